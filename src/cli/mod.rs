//! The commands' arguments, their dispatch and exit codes: 0 done, 1 failed (or compared and found to differ), 2 wrong
//! configuration or arguments, 3 a demo that did not converge within its limit, 4 something that is not well (`status`,
//! `fsck`), 5 a data directory that was removed under it, 6 a plan that would change something, 130 what a signal stopped before it was done.

mod api_arguments;
mod arguments;
mod batch_arguments;
mod calibrate_arguments;
mod colour;
mod commands;
mod constraint_arguments;
mod display;
mod event_document;
mod external;
mod init_arguments;
mod line_editor;
mod load_arguments;
mod load_figures;
mod member_arguments;
mod monitor_arguments;
mod node_arguments;
mod place;
mod policies;
mod price_arguments;
mod print;
mod shell_arguments;
mod signals;
mod telemetry;
mod training;

use crate::app::Failure;
use agent_core::config::ConfigError;
use agent_core::domain::text::legible_lines;
use clap::Parser as _;
use std::process::ExitCode;

/// The longest error: a configuration may have many mistakes \[characters\].
const ERROR_MAX: usize = 100_000;

/// Runs the command line; the whole program.
pub fn main() -> ExitCode {
    let arguments = arguments::Arguments::parse();
    // A keeper's standard error is the output of a job's program.
    if !matches!(arguments.command, arguments::Command::Keep) {
        telemetry::start(arguments.log, arguments.command.diagnostics());
        telemetry::abort_on_panic();
    }
    match commands::dispatch(arguments) {
        Ok(code) => code,
        Err(error) if is_unread(&error) => ExitCode::SUCCESS,
        Err(error) => {
            display::note(&format!("error: {}", legible_lines(&explain(&error), ERROR_MAX)));
            ExitCode::from(exit_code(&error))
        }
    }
}

/// Whether it only means that whoever read the output has seen enough (`| head`).
fn is_unread(error: &anyhow::Error) -> bool {
    error.downcast_ref().is_some_and(|error: &std::io::Error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

fn exit_code(error: &anyhow::Error) -> u8 {
    match error.downcast_ref() {
        Some(Failure::Configuration(_)) => 2,
        Some(Failure::DirectoryRemoved(_)) => 5,
        None if error.is::<ConfigError>() => 2,
        None => 1,
    }
}

/// The error and its causes; a cause that the sentence before it names already is not repeated.
fn explain(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |text, cause| match text.is_empty() {
        true => cause,
        false if text.contains(&cause) => text,
        false => format!("{text}: {cause}"),
    })
}
