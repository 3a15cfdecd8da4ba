//! Time as the machines are handed it.

use serde::{Deserialize, Serialize};
use std::ops::{Add, Sub};
use std::time::Duration;

/// A moment of the node's own clock: microseconds since the Unix epoch.
///
/// Whoever drives a machine hands it in. It must not run backwards for one machine; two machines' clocks may be hours
/// apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash, Serialize, Deserialize)]
pub struct Time(pub u64);

impl Time {
    /// Later than any.
    pub const NEVER: Time = Time(u64::MAX);

    /// Whole seconds since the Unix epoch.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// How long ago `earlier` was; nothing if it is later.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// Microseconds by which this is later than `other`, negative if it is earlier.
    pub fn minus(self, other: Time) -> i64 {
        let apart = i64::try_from(self.0.abs_diff(other.0)).unwrap_or(i64::MAX);
        if self >= other { apart } else { -apart }
    }

    /// This moment, moved by a signed number of microseconds.
    pub fn moved(self, microseconds: i64) -> Time {
        Time(self.0.saturating_add_signed(microseconds))
    }
}

impl Add<Duration> for Time {
    type Output = Time;

    fn add(self, duration: Duration) -> Time {
        Time(self.0.saturating_add(micros(duration)))
    }
}

impl Sub<Duration> for Time {
    type Output = Time;

    fn sub(self, duration: Duration) -> Time {
        Time(self.0.saturating_sub(micros(duration)))
    }
}

/// A duration in whole microseconds.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
