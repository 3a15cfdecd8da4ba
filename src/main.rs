//! The binary: parse, start telemetry, dispatch, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    agent::cli::main()
}
