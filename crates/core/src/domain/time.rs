//! Instants of scenario time. Durations are `std::time::Duration`, also of the scenario.

use serde::{Deserialize, Serialize};
use std::{fmt, ops, time::Duration};

/// No configuration, edit or measurement has longer durations: more is a mistake, and would overflow when it is scaled.
pub const LONGEST: Duration = Duration::from_secs(365 * 86_400);

/// Milliseconds of scenario time since the clock's origin (the Unix epoch, scaled; see [`crate::clock`]).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Time from `earlier` to `self`; zero when `earlier` is the later one.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl ops::Add<Duration> for Timestamp {
    type Output = Timestamp;
    fn add(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}
