//! Looking again and again, until a signal.

use crate::cli::signals;
use std::io::Write as _;
use std::time::Duration;

/// How often what is followed is looked at, on the wall.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks again and again, until a signal.
pub(super) async fn until_stopped(mut look: impl AsyncFnMut() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let stop = signals::stop();
    tokio::pin!(stop);
    loop {
        look().await?;
        std::io::stdout().flush()?;
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = &mut stop => return Ok(()),
        }
    }
}
