//! What is asked to be changed, and what was.

use super::object;
use agent_core::domain::constraints::Constraints;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What is not named stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeChange {
    /// What is declared from now on; `null`: nothing, it is measured.
    #[serde(default, deserialize_with = "said")]
    #[schema(minimum = 0.0, maximum = 100.0, value_type = Option<f64>)]
    pub availability_percent: Option<Option<f64>>,
    /// All of its labels.
    pub labels: Option<BTreeMap<String, String>>,
}

/// What is there is said, also if it is `null`.
fn said<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// What an application is to do in place of its configuration. What is not named stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentChange {
    /// `null`: that of its configuration again.
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<String>)]
    pub goal: Option<Option<String>>,
    /// `null`: the one that it was started with again.
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<String>)]
    pub policy: Option<Option<String>>,
}

/// A node that comes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeAddition {
    /// Absent: the next.
    #[schema(minimum = 1)]
    pub id: Option<u32>,
    /// Absent: `node-ID`.
    pub name: Option<String>,
    /// Absent: it is measured, which it cannot be where latency is injected.
    #[schema(minimum = 0.0, maximum = 100.0)]
    pub availability_percent: Option<f64>,
    /// To and from every other node, by its number; where latency is not injected, links that are absent are measured.
    #[serde(default)]
    pub latency_ms: BTreeMap<String, f64>,
    /// Spread of the latencies from job to job.
    pub jitter_ms: Option<f64>,
    /// Absent: without limit.
    pub capacity_bytes: Option<u64>,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// `http(s)://HOST:PORT/BUCKET[?region=R]`; absent: one that `agent store` starts.
    pub store_url: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkChange {
    /// What is declared from now on; `null`: nothing, it is measured.
    #[serde(deserialize_with = "number_or_null")]
    #[schema(minimum = 0.0, required = true)]
    pub latency_ms: Option<f64>,
    /// Back, too.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub both_directions: bool,
}

/// It has to be said.
fn number_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    Option::deserialize(deserializer)
}

fn yes() -> bool {
    true
}

/// All that constrains a data set from now on; what is not named does not.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConstraintsChange {
    #[serde(default, deserialize_with = "object", skip_serializing_if = "Option::is_none")]
    pub must_not: Option<MustNot>,
    /// Nodes that hold a replica.
    #[serde(default)]
    pub must: Vec<u32>,
    /// Nodes whose replica stays once it is there.
    #[serde(default)]
    pub never_delete_at: Vec<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>, maximum = 4_294_967_295_u64)]
    pub min_replicas: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>, maximum = 4_294_967_295_u64)]
    pub max_replicas: Option<u32>,
    #[serde(default, deserialize_with = "object", skip_serializing_if = "Option::is_none")]
    pub transfers: Option<Transfers>,
    /// Where the owner writes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<u32>,
}

/// Nodes that get no replica.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MustNot {
    /// `region!=eu`
    pub labels: String,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Transfers {
    /// When they may begin, in UTC: `22:00-06:00`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub between: Option<String>,
    /// How fast they are at most: `50 MB/s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<String>,
}

impl TryFrom<&ConstraintsChange> for Constraints {
    type Error = serde_json::Error;

    /// The words are those of the configuration.
    fn try_from(change: &ConstraintsChange) -> Result<Self, serde_json::Error> {
        serde_json::from_value(serde_json::to_value(change)?)
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetChange {
    /// Of this agent's actions and reads; absent: of the network.
    pub agent: Option<u32>,
    /// `5 EUR/day`; null: no budget.
    pub budget: Option<String>,
}

/// What it costs to keep data on a node.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StoragePriceChange {
    pub node: u32,
    /// `0.021 EUR/GB/month`; null: none.
    pub price: Option<String>,
}

/// What leaves a node for another one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EgressPriceChange {
    pub from: u32,
    pub to: u32,
    /// `0.09 EUR/GB`; null: none.
    pub price: Option<String>,
    /// Back, too.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub both_directions: bool,
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PauseRequest {
    /// Absent: all.
    pub data_set: Option<String>,
    /// So long, in scenario time; absent: until it is resumed.
    #[schema(exclusive_minimum = 0.0, maximum = 31536000.0)]
    pub for_s: Option<f64>,
}

/// An application that comes: its configuration is made like another one's.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentAddition {
    #[schema(minimum = 1)]
    pub id: u32,
    pub goal: String,
    /// Where it lives; absent: the node of its number.
    pub node: Option<u32>,
    /// Whose job it takes; absent: the first one's.
    pub like: Option<u32>,
    pub policy: Option<String>,
}

/// An action taken by hand.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ActionRequest {
    /// In whose place.
    pub agent: u32,
    /// `M1_2`, `C1_2`, `CR2`, `E2`.
    pub action: String,
    /// Needed where there are several.
    pub data_set: Option<String>,
}

/// What was done.
#[derive(Serialize, ToSchema)]
pub struct Changed {
    /// In words.
    pub changed: String,
    /// `false`: it is under way, and this server goes on with it.
    pub done: bool,
}

impl Changed {
    pub fn done(what: impl ToString) -> Self {
        Self { changed: what.to_string(), done: true }
    }
}
