//! What is said over the wire: types of its own (I-9), with the unit of every quantity in its name.

mod agents;
mod batch;
mod changes;
mod events;
mod load;
mod load_verbs;
mod members;
mod network;
mod nodes;
mod plans;
mod simulation;

pub use agents::{Agent, Measurement};
pub use batch::{
    BatchCancel, BatchChange, BatchCheckpoint, BatchJob, BatchResize, BatchStrategy, BatchSubmission, BatchTasks,
    BatchWhy, Worker, WorkerChange,
};
pub use changes::{
    ActionRequest, AgentAddition, AgentChange, BudgetChange, Changed, ConstraintsChange, EgressPriceChange, LinkChange,
    NodeAddition, NodeChange, PauseRequest, StoragePriceChange,
};
pub use events::{Ask, Counter, Event, EventDetail};
pub use load::{
    LoadCheck, LoadDraft, LoadExperiment, LoadExperimentDetail, LoadHostSelection, LoadRoute, LoadRouteChange,
    LoadSubmission,
};
pub use load_verbs::{LoadVerb, LoadVerbAnswer};
pub use members::{Member, MembershipChange, MembershipTuned};
pub use network::{DataSet, Network, Policy, Replica};
pub use nodes::{Link, Node};
pub use plans::{Plan, PlanRequest, WhatIf, WhyNot};
pub use simulation::{PaceChange, SimulationStep, SimulationView};

use agent_core::clock::TimeScale;
use agent_core::domain::time::Timestamp;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize as _, Deserializer};
use serde_json::{Map, Value};

/// An object that may be absent; a list is none.
fn object<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        value @ Value::Object(_) => serde_json::from_value(value).map(Some).map_err(D::Error::custom),
        _ => Err(D::Error::custom("it has to be an object")),
    }
}

/// A list of objects; lists in it are none.
fn objects<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let items = Vec::<Map<String, Value>>::deserialize(deserializer)?;
    let read = |item| serde_json::from_value(Value::Object(item)).map_err(D::Error::custom);
    items.into_iter().map(read).collect()
}

/// An instant by RFC 3339.
fn instant(scale: TimeScale, at: Timestamp) -> String {
    scale.on_the_wall(at).to_string()
}
