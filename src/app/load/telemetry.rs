//! What the machine that sends requests is, and does meanwhile.

use super::experiments::machine;
use agent_core::domain::labels::Labels;
use agent_sampler::{Sampler, kernel};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Between two samples, at first.
const EVERY: Duration = Duration::from_secs(1);
/// Of more samples every second one is left out, and they come half as often: what a host says must fit into an answer.
const SAMPLES_MAX: usize = 4_000;

/// A machine that sends requests of a run, and what it did.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Machine {
    /// As it is called among those that send load.
    pub name: String,
    pub labels: Labels,
    pub machine: String,
    pub system: Option<String>,
    pub agent: String,
    pub cores: Option<u64>,
    pub memory_bytes: Option<u64>,
    pub samples: Vec<Sampled>,
}

/// A machine at a moment; what could not be known is absent. Rates are since the sample before.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Sampled {
    /// The run's beginning.
    pub after: Duration,
    pub cpu_percent: Option<f64>,
    pub memory_used_bytes: Option<u64>,
    pub received_bytes_per_s: Option<f64>,
    pub sent_bytes_per_s: Option<f64>,
    pub load: Option<f64>,
}

/// Looks at this machine while requests are sent.
pub struct Watch {
    sampler: Sampler,
    began: Instant,
    next: Instant,
    every: Duration,
    machine: Machine,
}

impl Watch {
    /// `began`: the run.
    pub fn begin(name: &str, labels: &Labels, began: Instant) -> Self {
        // Of its disk nothing is asked: this one is always there.
        let mut sampler = Sampler::new("/");
        let now = sampler.sample(began.into_std());
        let machine = Machine {
            name: name.to_owned(),
            labels: labels.clone(),
            machine: machine(),
            system: kernel(),
            agent: env!("CARGO_PKG_VERSION").to_owned(),
            cores: now.cores.and_then(|cores| u64::try_from(cores).ok()),
            memory_bytes: now.memory.map(|memory| memory.total_bytes),
            samples: Vec::new(),
        };
        Self { sampler, began, next: began + EVERY, every: EVERY, machine }
    }

    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// As long as requests are sent.
    pub async fn go_on(&mut self, mut tell: impl FnMut(&Machine, Sampled)) -> Infallible {
        loop {
            sleep_until(self.next).await;
            let sampled = self.sample();
            tell(&self.machine, sampled);
            // Those that were missed are not made up for.
            self.next = (self.next + self.every).max(Instant::now());
        }
    }

    /// The last sample, and all of them.
    pub fn end(mut self, mut tell: impl FnMut(&Machine, Sampled)) -> Machine {
        let sampled = self.sample();
        tell(&self.machine, sampled);
        self.machine
    }

    fn sample(&mut self) -> Sampled {
        let now = Instant::now();
        let sample = self.sampler.sample(now.into_std());
        let sampled = Sampled {
            after: now.saturating_duration_since(self.began),
            cpu_percent: sample.cpu_percent,
            memory_used_bytes: sample.memory.map(|memory| memory.used_bytes),
            received_bytes_per_s: sample.network.map(|network| network.received_bytes_per_s),
            sent_bytes_per_s: sample.network.map(|network| network.sent_bytes_per_s),
            load: sample.load,
        };
        self.keep(sampled);
        sampled
    }

    fn keep(&mut self, sampled: Sampled) {
        let samples = &mut self.machine.samples;
        if samples.len() == SAMPLES_MAX {
            let mut kept = [false, true].into_iter().cycle();
            samples.retain(|_| kept.next() == Some(true));
            self.every *= 2;
        }
        samples.push(sampled);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_told_with_its_last_moment() {
        let began = Instant::now();
        let watch = Watch::begin("pico1", &Labels::new(), began);
        let mut told = Vec::new();
        let machine = watch.end(|machine, sampled| told.push((machine.name.clone(), sampled)));
        assert_eq!(told, [("pico1".to_owned(), machine.samples[0])]);
        assert!(machine.cores.is_some() && machine.samples[0].memory_used_bytes.is_some(), "{machine:?}");
    }

    #[test]
    fn a_long_run_is_looked_at_less_often() {
        let mut watch = Watch::begin("pico1", &Labels::new(), Instant::now());
        let sampled = watch.sample();
        (0..10 * SAMPLES_MAX).for_each(|_| watch.keep(sampled));
        assert!(watch.machine.samples.len() <= SAMPLES_MAX && watch.every > EVERY, "{:?}", watch.every);
        let answer = serde_json::to_vec(&watch.machine).expect("JSON").len();
        assert!(answer < 2 << 20, "{answer} bytes");
    }
}
