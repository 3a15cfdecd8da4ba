//! Scenario time and its scale.
//!
//! At `time_scale = 50` a second of the scenario takes 1/50 s on the wall. This file is the one place that converts: a
//! scenario duration becomes real when it is *applied* ([`Clock::apply`]) and a real one becomes the scenario's when it is
//! *recorded* ([`Clock::record`]). Everything else, goals, rho, leases, windows, reports, speaks scenario time.

use crate::domain::time::Timestamp;
use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// What time it is in the scenario, and how scenario durations relate to the wall's.
pub trait Clock: Send + Sync {
    /// Now, in scenario time.
    fn now(&self) -> Timestamp;
    /// How long to wait on the wall for this much of the scenario.
    fn apply(&self, scenario: Duration) -> Duration;
    /// How much of the scenario passed in this much time on the wall.
    fn record(&self, real: Duration) -> Duration;
    /// It is this time now where all agents look. Clocks that follow nobody take no notice.
    fn follow(&self, _now: Timestamp) {}
}

/// How many seconds of the scenario pass in a second on the wall: 1 to 1000.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimeScale(u32);

impl TimeScale {
    /// The scale one to one.
    pub const REAL: TimeScale = TimeScale(1);
    /// Above, a scenario millisecond would be shorter than what can be measured.
    pub const LARGEST: TimeScale = TimeScale(1000);

    /// `None` outside 1..=1000.
    pub fn new(factor: u32) -> Option<Self> {
        (Self::REAL.0..=Self::LARGEST.0).contains(&factor).then_some(Self(factor))
    }

    /// Seconds of the scenario in a second on the wall.
    pub fn factor(self) -> u32 {
        self.0
    }

    /// A quantity of data (records, bytes) of the scenario, shrunk so that rates need no scaling; rounded to nearest.
    pub fn shrink(self, amount: u64) -> u64 {
        let factor = u64::from(self.0);
        (amount + factor / 2) / factor
    }

    /// When on the wall it was this time of the scenario.
    pub fn on_the_wall(self, at: Timestamp) -> WallTime {
        WallTime(at.0 / i64::from(self.0))
    }

    /// What time of the scenario it was then.
    pub fn in_the_scenario(self, at: WallTime) -> Timestamp {
        Timestamp(at.0.saturating_mul(i64::from(self.0)))
    }
}

/// An instant as calendars and other programs know it: milliseconds since the Unix epoch. Written by RFC 3339, in UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct WallTime(i64);

impl WallTime {
    pub fn now() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for WallTime {
    /// `2026-03-01T12:00:00.250Z`: always as long, so that lines stay in columns.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000) {
            Ok(at) => {
                let (year, month, day) = at.to_calendar_date();
                let (hour, minute, second, milli) = at.to_hms_milli();
                write!(f, "{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z", u8::from(month))
            }
            // No calendar has that year: somebody edited a table.
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

impl FromStr for WallTime {
    type Err = time::error::Parse;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let at = OffsetDateTime::parse(text, &Rfc3339)?;
        // A calendar's years are fewer than an `i64` of milliseconds holds.
        Ok(Self((at.unix_timestamp_nanos() / 1_000_000) as i64))
    }
}

impl Serialize for WallTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The wall's clock, scaled. Its origin is the Unix epoch, so that processes agree on the time without a word.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    scale: TimeScale,
}

impl SystemClock {
    pub fn new(scale: TimeScale) -> Self {
        Self { scale }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(self.record(since_epoch).as_millis()).unwrap_or(i64::MAX))
    }

    fn apply(&self, scenario: Duration) -> Duration {
        scenario / self.scale.0
    }

    fn record(&self, real: Duration) -> Duration {
        real * self.scale.0
    }
}

/// The wall's clock, scaled, as far ahead or behind as it takes to agree with another one: agents whose machines' clocks differ
/// agree about the time all the same.
#[derive(Debug)]
pub struct FollowingClock {
    own: SystemClock,
    ahead_ms: AtomicI64,
}

impl FollowingClock {
    /// Agrees with the wall until it hears of another time.
    pub fn new(scale: TimeScale) -> Self {
        Self { own: SystemClock::new(scale), ahead_ms: AtomicI64::new(0) }
    }
}

impl Clock for FollowingClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.own.now().0.saturating_add(self.ahead_ms.load(Ordering::Relaxed)))
    }

    fn apply(&self, scenario: Duration) -> Duration {
        self.own.apply(scenario)
    }

    fn record(&self, real: Duration) -> Duration {
        self.own.record(real)
    }

    fn follow(&self, now: Timestamp) {
        self.ahead_ms.store(now.0.saturating_sub(self.own.now().0), Ordering::Relaxed);
    }
}

/// A clock that moves only when told to: for tests and the simulator. Its scale is one to one.
#[derive(Debug, Default)]
pub struct VirtualClock {
    now_ms: AtomicI64,
}

impl VirtualClock {
    pub fn at(now: Timestamp) -> Self {
        Self { now_ms: AtomicI64::new(now.0) }
    }

    pub fn set(&self, now: Timestamp) {
        self.now_ms.store(now.0, Ordering::SeqCst);
    }

    pub fn advance(&self, by: Duration) {
        self.set(self.now() + by);
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.now_ms.load(Ordering::SeqCst))
    }

    fn apply(&self, scenario: Duration) -> Duration {
        scenario
    }

    fn record(&self, real: Duration) -> Duration {
        real
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_survive_the_way_there_and_back() {
        let clock = SystemClock::new(TimeScale::new(50).unwrap());
        let window = Duration::from_secs(210);
        assert_eq!(clock.apply(window), Duration::from_millis(4200));
        assert_eq!(clock.record(clock.apply(window)), window);
    }

    #[test]
    fn a_scale_shrinks_the_published_data_set_as_documented() {
        assert_eq!(TimeScale::new(50).unwrap().shrink(553_729), 11_075);
    }

    #[test]
    fn a_clock_an_hour_off_agrees_with_the_one_that_it_follows() {
        let clock = FollowingClock::new(TimeScale::new(50).unwrap());
        let elsewhere = clock.now() + Duration::from_secs(3600);
        clock.follow(elsewhere);
        let off = clock.now().since(elsewhere);
        assert!(clock.now() >= elsewhere && off < Duration::from_secs(60), "{off:?}");
    }

    #[test]
    fn the_time_on_the_wall_is_written_as_calendars_do() {
        let scale = TimeScale::new(50).unwrap();
        let at: WallTime = "2026-03-01T13:00:00.25+01:00".parse().unwrap();
        assert_eq!(at.to_string(), "2026-03-01T12:00:00.250Z");
        assert_eq!(scale.on_the_wall(scale.in_the_scenario(at)), at);
        assert_eq!(
            serde_json::to_string(&TimeScale::REAL.on_the_wall(Timestamp(0))).unwrap(),
            "\"1970-01-01T00:00:00.000Z\""
        );
        assert_eq!(WallTime(i64::MAX).to_string(), "9223372036854775807 ms");
        assert!("yesterday".parse::<WallTime>().is_err());
    }

    #[test]
    fn scales_without_meaning_are_refused() {
        assert_eq!(TimeScale::new(0), None);
        assert_eq!(TimeScale::new(1001), None);
    }
}
