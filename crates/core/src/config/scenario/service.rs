//! `[agent.service]`: an agent that does not run jobs, but whose users make requests: when they come, and what an answer takes.

use crate::config::fragment::Quantity;
use crate::config::problem::{Invalid, Problems};
use crate::config::quantity;
use agent_arrivals::{Profile, Within};
use serde::Deserialize;
use std::time::Duration;

/// Requests that come in one second at most: each is simulated.
const RATE_MAX: f64 = 10_000.0;
/// Requests that are answered at a time, at most.
const CONNECTIONS_MAX: i64 = 100_000;
/// Above it, the mean of a log-normal time says nothing any more.
const SPREAD_MAX: f64 = 3.0;

/// As written. What is left out is that of a small service close to its data.
#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct Written {
    window: Option<Quantity>,
    answer: Quantity,
    round_trips: Option<f64>,
    overhead: Option<Quantity>,
    spread: Option<f64>,
    connections: Option<i64>,
    time_limit: Option<Quantity>,
    traffic: Profile,
    within_ticks: Option<Within>,
}

/// What an agent's users ask for, and what answering takes.
#[derive(Clone, PartialEq, Debug)]
pub struct Service {
    /// Bytes of an answer, which come over the link from the replica that is read.
    pub answer_bytes: u64,
    /// So often an answer waits for the link's latency.
    pub round_trips: f64,
    /// What it takes besides.
    pub overhead: Duration,
    /// The standard deviation of the logarithm of what an answer takes: times are log-normal, with the mean that follows from the rest.
    pub spread: f64,
    /// So many are answered at a time; others wait until it is their turn, in the order in which they came.
    pub connections: usize,
    /// After which whoever waits for an answer gives up: an error.
    pub time_limit: Duration,
    /// Requests in a second, from the scenario's start on.
    pub traffic: Profile,
    pub within: Within,
}

impl Written {
    /// The window, as an agent's own file would say it.
    pub fn window(&self) -> Option<Quantity> {
        self.window.clone()
    }

    /// The problems are told of the place that `problems` are within.
    pub fn validate(&self, problems: &mut Problems) -> Option<Service> {
        let answer = problems.check("service.answer", quantity::positive_size(&self.answer));
        let duration = |written: &Option<Quantity>, default: Duration| match written {
            Some(written) => quantity::duration(written),
            None => Ok(default),
        };
        let overhead = problems.check("service.overhead", duration(&self.overhead, Duration::from_millis(5)));
        let time_limit = match &self.time_limit {
            Some(written) => quantity::positive_duration(written),
            None => Ok(Duration::from_secs(30)),
        };
        let time_limit = problems.check("service.time_limit", time_limit);
        let round_trips = self.round_trips.unwrap_or(1.0);
        let round_trips = problems.check("service.round_trips", number(round_trips, 100.0));
        let spread = problems.check("service.spread", number(self.spread.unwrap_or(0.25), SPREAD_MAX));
        let connections = quantity::whole(self.connections.unwrap_or(16), 1..=CONNECTIONS_MAX);
        let connections = problems.check("service.connections", connections);
        let traffic = problems.check("service.traffic", bearable(&self.traffic));
        Some(Service {
            answer_bytes: answer?,
            round_trips: round_trips?,
            overhead: overhead?,
            spread: spread?,
            connections: connections?,
            time_limit: time_limit?,
            traffic: traffic?,
            within: self.within_ticks.unwrap_or(Within::Exponential),
        })
    }
}

fn number(value: f64, most: f64) -> Result<f64, Invalid> {
    match (0.0..=most).contains(&value) {
        true => Ok(value),
        false => Err(Invalid::new(format!("{value} is out of range"), format!("it is a number between 0 and {most}"))),
    }
}

/// A profile that never asks for more than can be simulated.
fn bearable(traffic: &Profile) -> Result<Profile, Invalid> {
    let ticks = || traffic.ticks().take(traffic.tick_count().unwrap_or(100_000) as usize);
    match ticks().find(|rate| *rate > RATE_MAX) {
        None => Ok(traffic.clone()),
        Some(rate) => Err(Invalid::new(
            format!("{rate} requests come in a second"),
            format!("at most {RATE_MAX} can be simulated: scale the service down, with fewer `connections`"),
        )),
    }
}
