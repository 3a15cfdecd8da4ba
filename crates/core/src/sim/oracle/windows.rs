//! What the requests to a service really come to: the chance that a window of them misses its goal, at the rate at which they come now.
//!
//! Times in a queue have no formula for log-normal answers, so windows are drawn as the world draws them, from seeds of their own: the
//! same question has the same answer.

use super::truth::Place;
use crate::config::scenario::{Physics, Service};
use crate::domain::goal::Goal;
use crate::domain::metric::Metric;
use crate::mape::planner::Rng;
use crate::sim::requests::{self, Way};
use agent_arrivals::{Arrival, Plan, Profile};
use rand::SeedableRng as _;
use std::time::Duration;

/// So many are drawn: a chance is known to within a few hundredths, and 0 and 1 are exact.
const DRAWN: u64 = 32;

/// A service whose requests come at one rate.
pub struct Windows<'a> {
    pub goal: &'a Goal,
    pub service: &'a Service,
    pub physics: &'a Physics,
    pub long: Duration,
    /// Requests in a second.
    pub rate: f64,
}

impl Windows<'_> {
    /// The chance that a window misses the goal, 0..=1: none does where nobody asks.
    pub fn violated(&self, place: &Place) -> f64 {
        let Ok(traffic) = Profile::constant(self.rate) else { return 0.0 };
        let way = Way::new(self.physics, place.link, place.slow);
        let (mut missed, mut seen) = (0u32, 0u32);
        for number in 0..DRAWN {
            let plan = Plan::of_profile(&traffic, self.service.within, number).until(self.long);
            let came: Vec<Duration> = plan.map(|Arrival { at, .. }| at).collect();
            let mut rng = Rng::seed_from_u64(number);
            let Some(window) = requests::window(self.service, &way, &came, (Duration::ZERO, self.long), &mut rng)
            else {
                continue;
            };
            let metrics = window
                .metrics(&way)
                .with(Metric::Availability, place.availability_percent)
                .with(Metric::DataConsistency, place.data_consistency);
            let holds = window.times.is_some() && self.goal.judge(&metrics) != Some(false);
            (missed, seen) = (missed + u32::from(!holds), seen + 1);
        }
        if seen == 0 { 0.0 } else { f64::from(missed) / f64::from(seen) }
    }
}
