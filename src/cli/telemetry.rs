//! Diagnostics on standard error: `AGENT_LOG=debug` shows more; people's lines go to standard output and are not these.

use super::arguments::Log;
use super::colour;
use std::io::IsTerminal as _;
use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

/// Crates that show whole requests, with the credentials in them, and the most that each may tell whatever is asked for.
const DISCREET: [(&str, LevelFilter); 6] = [
    ("aws_", LevelFilter::DEBUG),
    ("s3s", LevelFilter::INFO),
    ("hyper", LevelFilter::DEBUG),
    ("reqwest", LevelFilter::DEBUG),
    ("rustls", LevelFilter::DEBUG),
    ("mysql_", LevelFilter::DEBUG),
];

/// `usual`: what a command shows unless `AGENT_LOG` says otherwise.
pub fn start(log: Log, usual: Option<&str>) {
    let filter = EnvFilter::try_from_env(agent_core::config::environment::AGENT_LOG)
        .unwrap_or_else(|_| EnvFilter::new(usual.unwrap_or("warn,s3s=off")));
    let discreet = filter_fn(is_discreet).with_max_level_hint(LevelFilter::TRACE);
    let colours = colour::suits(log, std::io::stderr().is_terminal());
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(colours);
    let lines = match log {
        Log::Text => lines.with_target(false).boxed(),
        Log::Json => lines.json().boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(filter.and(discreet))).init();
}

fn is_discreet(event: &Metadata<'_>) -> bool {
    let of_crate = DISCREET.iter().find(|(name, _)| event.target().starts_with(name));
    of_crate.is_none_or(|(_, most)| *event.level() <= *most)
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
