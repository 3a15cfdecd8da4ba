//! The pause before each job of an application: always about as long, or as long as jobs are rare at that time of its day.

use crate::domain::time::Timestamp;
use agent_arrivals::Profile;
use agent_arrivals::profile::TICKS_MAX;
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, PartialEq, Debug)]
pub enum JobGap {
    Mean(Duration),
    Profile(Arc<Recurring>),
}

/// A profile of jobs per second that begins anew whenever it has ended, counted from when the scenario's clock shows 0.
#[derive(Clone, PartialEq, Debug)]
pub struct Recurring {
    profile: Profile,
    /// Of one that has no end, as many as a profile may have.
    ticks: u32,
    /// Jobs that come until it begins anew.
    jobs: f64,
}

/// Less than one job comes until a profile begins anew: the next one might never come.
#[derive(Clone, Copy, PartialEq, Debug, thiserror::Error)]
#[error("{jobs} jobs come until the profile begins anew")]
pub struct TooRare {
    jobs: f64,
}

impl Recurring {
    pub fn new(profile: Profile) -> Result<Self, TooRare> {
        let ticks = profile.tick_count().unwrap_or(TICKS_MAX);
        let jobs = profile.ticks().take(ticks as usize).sum::<f64>() * profile.interval().as_secs_f64();
        if jobs < 1.0 {
            return Err(TooRare { jobs });
        }
        Ok(Self { profile, ticks, jobs })
    }

    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    fn period(&self) -> Duration {
        self.profile.interval() * self.ticks
    }

    /// Until one job has come, of those that the rates from `now` on bring.
    fn after(&self, now: Timestamp) -> Duration {
        let interval = self.profile.interval();
        let now = Duration::from_millis(u64::try_from(now.0).unwrap_or(0));
        let (passed, within) = (now.as_nanos() / interval.as_nanos(), now.as_nanos() % interval.as_nanos());
        // Below the number of ticks, and within one of them.
        let begins = (passed % u128::from(self.ticks)) as u32;
        let mut remains = interval.as_secs_f64() - within as f64 / 1e9;
        let (mut wanted, mut pause) = (1.0, 0.0);
        // From where it is to there again, where at least one has come.
        for tick in (begins..self.ticks).chain(0..=begins) {
            let rate = self.profile.tick(tick).unwrap_or(0.0);
            if rate * remains >= wanted {
                return Duration::from_secs_f64(pause + wanted / rate);
            }
            wanted -= rate * remains;
            pause += remains;
            remains = interval.as_secs_f64();
        }
        Duration::from_secs_f64(pause)
    }
}

impl From<Recurring> for JobGap {
    fn from(recurring: Recurring) -> Self {
        Self::Profile(Arc::new(recurring))
    }
}

impl JobGap {
    /// Before the job that follows on `now`.
    pub fn after(&self, now: Timestamp) -> Duration {
        match self {
            Self::Mean(mean) => *mean,
            Self::Profile(recurring) => recurring.after(now),
        }
    }

    /// Of all jobs.
    pub fn mean(&self) -> Duration {
        match self {
            Self::Mean(mean) => *mean,
            Self::Profile(recurring) => recurring.period().div_f64(recurring.jobs),
        }
    }

    /// No pause is longer.
    pub fn longest(&self) -> Duration {
        match self {
            Self::Mean(mean) => *mean,
            Self::Profile(recurring) => recurring.period(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(profile: &str) -> Result<JobGap, TooRare> {
        Recurring::new(toml::from_str(profile).unwrap()).map(JobGap::from)
    }

    fn seconds(gap: &JobGap, at_s: f64) -> f64 {
        gap.after(Timestamp((at_s * 1e3) as i64)).as_secs_f64()
    }

    #[test]
    fn a_pause_is_as_long_as_the_rates_from_then_on_take_to_bring_a_job() {
        // A day of 40 s: a job each 2 s, each 10 s, and none.
        let gap = gap("ticks = [0.5, 0.1, 0, 0]\ninterval = \"10 s\"").unwrap();
        let check = |at_s: f64, expected: f64| {
            let pause = seconds(&gap, at_s);
            assert!((pause - expected).abs() < 1e-6, "{at_s}: {pause}, not {expected}");
        };
        check(0.0, 2.0);
        check(8.0, 2.0);
        // Half a job in a second, and the other half at a tenth a second.
        check(9.0, 6.0);
        check(10.0, 10.0);
        // Half a job is left before the night, which lasts 20 s; the other half comes in the morning.
        check(15.0, 26.0);
        check(30.0, 12.0);
        // The next day, and one in a thousand years.
        check(49.0, 6.0);
        check(40.0 * 788_940_000.0 + 30.0, 12.0);
        assert_eq!((gap.mean(), gap.longest()), (Duration::from_secs_f64(40.0 / 6.0), Duration::from_secs(40)));
    }

    #[test]
    fn a_clock_before_its_beginning_counts_as_there() {
        let gap = gap("ticks = [0.5, 0.1]\ninterval = \"10 s\"").unwrap();
        assert_eq!(gap.after(Timestamp(-5)), Duration::from_secs(2));
    }

    #[test]
    fn one_without_an_end_goes_on() {
        let gap = gap("rate = 0.25").unwrap();
        assert_eq!((seconds(&gap, 0.0), seconds(&gap, 1e9), gap.mean()), (4.0, 4.0, Duration::from_secs(4)));
        assert_eq!(JobGap::Mean(Duration::from_secs(15)).after(Timestamp(7)), Duration::from_secs(15));
    }

    #[test]
    fn a_profile_whose_next_job_might_never_come_is_refused() {
        let refused = gap("ticks = [0, 0.05]\ninterval = \"10 s\"").unwrap_err();
        assert_eq!(refused.to_string(), "0.5 jobs come until the profile begins anew");
        assert!(gap("ticks = [0, 0.1]\ninterval = \"10 s\"").is_ok());
        assert!(gap("rate = 0").is_err());
    }
}
