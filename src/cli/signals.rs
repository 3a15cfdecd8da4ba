//! Ctrl-C and SIGTERM: the first ends in order, a second at once.

use tokio::signal::unix::{SignalKind, signal};

/// Exit code of a process that was told twice.
const INTERRUPTED: i32 = 130;

/// Completes at the first signal; from then on a second one ends the process.
pub async fn stop() {
    first().await;
    tokio::spawn(async {
        first().await;
        std::process::exit(INTERRUPTED);
    });
}

async fn first() {
    match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(mut interrupt), Ok(mut terminate)) => {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        }
        // Without handlers the default holds: the signal ends the process.
        (Err(error), _) | (_, Err(error)) => {
            tracing::warn!(%error, "signals cannot be handled");
            std::future::pending::<()>().await;
        }
    }
}
