//! What all know of load together: the experiments that were queued, the routing record of each service, and the hosts that make load
//! for whoever asks. Every change that can be made to it is here, as rules on rows that have been loaded.
//!
//! A technology of the [`table`](crate::table) loads what a [`Request`] is about, lets it change that, and keeps what was changed, all
//! in one transaction. So two that want the same thing at once want it one after the other, and what is decided is decided here, alike
//! for all technologies.

// What an experiment is, and what becomes of it.
pub mod experiment;
// Who makes load for whoever asks, and is there.
pub mod hosts;
// What they are asked, and what they answer.
pub mod orders;
// What a host does about what it is asked.
pub mod attendance;
// Experiments come, are run, and are called off.
pub mod queue;
// Where the requests of a service go.
pub mod routing;
// A claim, as whoever runs the experiment holds it.
pub mod tenure;

use agent_core::domain::time::Timestamp;
pub use agent_core::knowledge::requests::{Refused, Which};
use experiment::{Experiment, ExperimentId, Files};
use hosts::LoadHost;
use orders::{Order, OrderId};
use routing::Entry;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What holds for all.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The number of the experiment that came last.
    pub last_experiment: i64,
    /// The number of what a load host was asked last.
    pub last_order: i64,
}

/// The rows that a request is about.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Scope {
    pub experiments: Which<ExperimentId>,
    /// The experiment that was queued with this key.
    pub key: Option<String>,
    pub services: Which<String>,
    pub hosts: Which<String>,
    /// What these hosts were asked.
    pub orders_of: Which<String>,
}

impl Scope {
    /// The routing records of these services, of those that ever had one.
    pub fn of_services<'a>(services: impl IntoIterator<Item = &'a str>) -> Self {
        let services = services.into_iter().map(str::to_owned).collect();
        Self { services: Which::These(services), ..Self::default() }
    }

    pub fn of_all_services() -> Self {
        Self { services: Which::All, ..Self::default() }
    }

    pub fn of_experiment(id: ExperimentId) -> Self {
        Self { experiments: Which::only(id), ..Self::default() }
    }
}

/// Rows as they were loaded, and what was changed of them.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Register {
    pub now: Timestamp,
    pub settings: Settings,
    pub experiments: BTreeMap<ExperimentId, Experiment>,
    /// By service; also of those that are routed no more.
    pub entries: BTreeMap<String, Entry>,
    /// By name; also some that are gone.
    pub hosts: BTreeMap<String, LoadHost>,
    pub orders: BTreeMap<OrderId, Order>,
    changed: Changed,
}

/// What a technology has to keep.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Changed {
    pub settings: bool,
    pub experiments: BTreeSet<ExperimentId>,
    /// What experiments that are new were queued with; never changed again.
    pub files: BTreeMap<ExperimentId, Files>,
    pub services: BTreeSet<String>,
    /// Those that the register has no more are gone; so are orders, each with its answer.
    pub hosts: BTreeSet<String>,
    pub orders: BTreeSet<OrderId>,
    /// To orders that have one now; never changed again.
    pub answers: BTreeMap<OrderId, String>,
}

/// Something that is asked of the table.
pub trait Request: Send + Sync + 'static {
    /// As errors name it.
    const OPERATION: &'static str;
    type Answer: Send + 'static;

    fn scope(&self) -> Scope;

    /// Asked again it does the same: a transaction may be repeated, also when its outcome is not known.
    fn apply(&self, register: &mut Register) -> Result<Self::Answer, Refused>;
}

impl Register {
    /// As it was loaded, without rows.
    pub fn new(now: Timestamp, settings: Settings) -> Self {
        Self { now, settings, ..Self::default() }
    }

    /// What is to be kept of what was done; from then on nothing is.
    pub fn take_changed(&mut self) -> Changed {
        std::mem::take(&mut self.changed)
    }

    /// Whether there is an experiment that a claim would be given.
    pub fn has_free(&self) -> bool {
        self.experiments.values().any(|it| !it.state.is_over() && !it.is_held(self.now))
    }

    fn experiment(&self, id: ExperimentId) -> Result<&Experiment, Refused> {
        let none = || Refused(format!("there is no experiment {id}; `agent load list` shows them"));
        self.experiments.get(&id).ok_or_else(none)
    }

    /// It is there.
    fn change(&mut self, id: ExperimentId, change: impl FnOnce(&mut Experiment, Timestamp)) {
        if let Some(experiment) = self.experiments.get_mut(&id) {
            change(experiment, self.now);
            self.changed.experiments.insert(id);
        }
    }
}
