//! Ctrl-C, SIGTERM and SIGHUP: the first ends in order, a second at once.

use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Exit code of what was stopped before it was done, or told twice.
pub const INTERRUPTED: u8 = 130;

/// Completes at the first signal; from then on a second one ends the process.
#[expect(clippy::exit, reason = "whoever signals twice wants it to end at once")]
pub async fn stop() {
    first().await;
    tokio::spawn(async {
        first().await;
        std::process::exit(INTERRUPTED.into());
    });
}

/// Completes at the next Ctrl-C, which ends nothing by itself from then on.
pub async fn interrupt() {
    if let Err(error) = tokio::signal::ctrl_c().await {
        // Without a handler the default holds: the signal ends the process.
        tracing::warn!(%error, "signals cannot be handled");
        std::future::pending::<()>().await;
    }
}

async fn first() {
    let signals = handled().into_iter().map(signal).collect::<io::Result<Vec<Signal>>>();
    match signals {
        Ok(mut signals) => {
            let any = signals.iter_mut().map(|signal| Box::pin(signal.recv()));
            futures::future::select_all(any).await;
        }
        // Without handlers the default holds: the signal ends the process.
        Err(error) => {
            tracing::warn!(%error, "signals cannot be handled");
            std::future::pending::<()>().await;
        }
    }
}

/// The terminal's end is handled unless whoever started the process wants it ignored, as `nohup` does.
fn handled() -> Vec<SignalKind> {
    let mut handled = vec![SignalKind::interrupt(), SignalKind::terminate()];
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if !ignores(&status, SignalKind::hangup()) {
        handled.push(SignalKind::hangup());
    }
    handled
}

/// Whether a process with this `/proc/*/status` ignores a signal.
fn ignores(status: &str, signal: SignalKind) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (signal.as_raw_value() - 1)) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_is_read_from_the_mask() {
        let status = "Name:\tagent\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000004002\n";
        assert!(ignores(status, SignalKind::hangup()));
        assert!(!ignores(status, SignalKind::interrupt()));
        assert!(!ignores("", SignalKind::hangup()));
    }
}
