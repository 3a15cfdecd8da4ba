//! What a packager installs beside the program: completions for shells, and pages for `man`.

use crate::app::output;
use crate::cli::arguments::{Arguments, Completion, Man};
use crate::cli::print;
use anyhow::Context as _;
use clap::{Command, CommandFactory as _};
use clap_mangen::Man as Page;
use std::path::Path;
use std::process::ExitCode;

const PROGRAM: &str = "agent";

pub fn completion(arguments: &Completion) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), PROGRAM, &mut script);
    output::write(Path::new("-"), &script, "")?;
    Ok(ExitCode::SUCCESS)
}

/// The program's own page on standard output, or the page of each command into a folder.
pub fn man(arguments: &Man) -> anyhow::Result<ExitCode> {
    let mut program = Arguments::command().name(PROGRAM).disable_help_subcommand(true);
    // Names the commands below by their whole line, as a page's title has it.
    program.build();
    let Some(folder) = &arguments.output else {
        output::write(Path::new("-"), &page(&program)?, "")?;
        return Ok(ExitCode::SUCCESS);
    };
    std::fs::create_dir_all(folder)
        .with_context(|| format!("{}: cannot be made; name another folder with --output", folder.display()))?;
    let mut pages = vec![&program];
    while let Some(command) = pages.pop() {
        pages.extend(command.get_subcommands());
        let name = command.get_display_name().unwrap_or(PROGRAM);
        let path = folder.join(format!("{name}.1"));
        output::write(&path, &page(command)?, "--output")?;
        print::lines([path.display().to_string()])?;
    }
    Ok(ExitCode::SUCCESS)
}

fn page(command: &Command) -> std::io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Page::new(command.clone()).render(&mut page)?;
    Ok(page)
}
