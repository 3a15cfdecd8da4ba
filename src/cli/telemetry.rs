//! Diagnostics on standard error: `AGENT_LOG=debug` shows more; people's lines go to standard output and are not these.

use super::arguments::Log;
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;

pub fn start(log: Log) {
    let filter = EnvFilter::try_from_env(crate::config::environment::AGENT_LOG)
        .unwrap_or_else(|_| EnvFilter::new("warn,s3s=off"));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match log {
        Log::Text => subscriber.with_target(false).init(),
        Log::Json => subscriber.json().init(),
    }
}

/// actix restarts no actor that panicked and leaves a zombie: an agent that is killed at once recovers at its next start.
pub fn abort_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        tracing::error!("panicked; the next start undoes what was begun");
        std::process::abort();
    }));
}
