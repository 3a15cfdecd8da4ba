//! The members of the network, as the nodes of this process see them.

use agent_membership::{Intent, MemberSeen};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub struct Member {
    /// The agent of this process whose node sees it so.
    pub seen_by: u32,
    pub node: u32,
    pub name: String,
    /// `alive`, `suspect`, `dead` or `left`.
    pub standing: String,
    /// It wants nothing new: it is being removed.
    pub draining: bool,
    pub address: String,
    /// Rises with every start.
    pub incarnation: u64,
    /// Rises with every change within a start.
    pub version: u64,
    /// How old this is, by the clock.
    pub age_s: f64,
    /// Of what is sent there and comes back, by the clock; absent: not measured lately.
    pub round_trip_ms: Option<f64>,
    pub loss_percent: Option<f64>,
    /// The share of the window in which it was seen alive.
    pub availability_percent: Option<f64>,
    pub cores: u32,
    pub cpu_percent: f64,
    /// The system's load average over a minute.
    pub load: f64,
    pub memory_free_bytes: u64,
    pub memory_total_bytes: u64,
    /// Where its objects lie.
    pub disk_free_bytes: u64,
    pub network_bytes_per_s: u64,
    pub labels: BTreeMap<String, String>,
}

/// What is not named stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MembershipChange {
    /// How often a node talks to some of its peers, by the clock.
    #[schema(minimum = 0.05, maximum = 3600.0)]
    pub interval_s: Option<f64>,
    /// To how many.
    #[schema(minimum = 1, maximum = 16)]
    pub fan_out: Option<u32>,
    /// Whether that follows the age of what is known.
    pub adapt: Option<bool>,
}

#[derive(Serialize, ToSchema)]
pub struct MembershipTuned {
    /// How many nodes of this process took it.
    pub members: usize,
}

impl Member {
    pub fn new(seen_by: u32, seen: &MemberSeen) -> Self {
        let record = seen.record.record();
        let own = &record.own;
        let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        Self {
            seen_by,
            node: record.node.0,
            name: own.name.clone(),
            standing: seen.standing.name().to_owned(),
            draining: own.intent == Intent::Draining,
            address: record.address.to_string(),
            incarnation: record.incarnation,
            version: record.version,
            age_s: seen.age.as_secs_f64(),
            round_trip_ms: seen.link.map(|link| ms(link.round_trip)),
            loss_percent: seen.link.map(|link| link.loss * 100.0),
            availability_percent: seen.availability.map(|share| share * 100.0),
            cores: own.cores.into(),
            cpu_percent: f64::from(own.cpu_permille) / 10.0,
            load: f64::from(own.load_percent) / 100.0,
            memory_free_bytes: own.memory_free,
            memory_total_bytes: own.memory_total,
            disk_free_bytes: own.disk_free,
            network_bytes_per_s: own.network_bytes_per_s,
            labels: own.labels.iter().map(|label| (label.key.clone(), label.value.clone())).collect(),
        }
    }
}
