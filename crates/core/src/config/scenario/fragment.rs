//! A scenario's file as written. What it shares with `network.toml` and `N.toml` is read by their types.

use super::service;
use crate::config::fragment::DataSet as DataSetTable;
use crate::config::fragment::{Agent as AgentFile, Constraints, Job, S3};
use crate::config::fragment::{
    Cost, Feedback, Learning, Link, Membership, Network, Node, Quantity, Rho, Rhythm, table, tables,
};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    pub name: String,
    pub about: String,
    pub budget: Option<Quantity>,
    #[serde(deserialize_with = "tables")]
    pub data_set: Vec<DataSet>,
    #[serde(default)]
    pub node: Vec<Node>,
    #[serde(default)]
    pub link: Vec<Link>,
    #[serde(deserialize_with = "table")]
    pub feedback: Feedback,
    #[serde(deserialize_with = "table")]
    pub learning: Learning,
    #[serde(deserialize_with = "table")]
    pub rhythm: Rhythm,
    /// Of agents that state none of their own.
    #[serde(deserialize_with = "table")]
    pub rho: Rho,
    #[serde(deserialize_with = "table")]
    pub cost: Cost,
    #[serde(default)]
    pub agent: Vec<Agent>,
    #[serde(deserialize_with = "table")]
    pub physics: Physics,
    #[serde(default)]
    pub change: Vec<Change>,
    #[serde(default)]
    pub fault: Vec<Fault>,
    #[serde(default)]
    pub dishonest: Vec<Dishonest>,
    pub calm: Option<Calm>,
    pub generate: Option<Generate>,
}

/// `[data_set]` or `[[data_set]]`: as in `network.toml`, and how large it is where that is not `physics.bytes`.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct DataSet {
    pub name: String,
    pub object_key: String,
    pub generate_records: Option<i64>,
    pub first_node: i64,
    pub origin: Option<String>,
    pub bytes: Option<Quantity>,
    pub writes: Option<Writes>,
    #[serde(default)]
    pub constraints: Option<Constraints>,
}

/// `[data_set.writes]`
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Writes {
    pub every: Quantity,
    pub bytes: Quantity,
}

/// `[[agent]]`: as `N.toml`, without a job: the physics is the job, or what its service says.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    pub id: i64,
    pub goal: String,
    pub policy: Option<String>,
    pub node: Option<i64>,
    pub may_run_on: Option<Vec<i64>>,
    pub data_set: Option<String>,
    pub data_sets: Option<Vec<String>>,
    pub rho: Option<Rho>,
    pub cost: Option<Cost>,
    pub budget: Option<Quantity>,
    /// It runs no jobs: its users make requests.
    pub service: Option<service::Written>,
    /// What was trained, instead of simulated training: by action, in the order of the metrics.
    pub impacts: Option<BTreeMap<String, Vec<f64>>>,
}

/// `[physics]`
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Physics {
    #[serde(deserialize_with = "table")]
    pub response_time: Line,
    #[serde(deserialize_with = "table")]
    pub execution_time: Line,
    pub bytes: Quantity,
    pub poll: Quantity,
    pub rules: Option<String>,
    pub job_failure: Option<Quantity>,
    pub transfer: Option<Quantity>,
    pub link_rate: Option<Quantity>,
    pub store_rate: Option<Quantity>,
    pub transfer_failures: Option<Quantity>,
    pub replies_lost: Option<Quantity>,
    pub links: Option<String>,
    #[serde(default)]
    pub rate: Vec<Rate>,
}

/// A time that grows with latency.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Line {
    pub base: Quantity,
    pub per_second_of_latency: f64,
    pub deviation: Quantity,
}

/// `[[physics.rate]]`: of one node's store, or of the link between two nodes.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    pub node: Option<i64>,
    pub between: Option<Vec<i64>>,
    pub rate: Quantity,
}

/// `[[change]]`
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Change {
    pub at: Quantity,
    /// Again and again, so long after each other.
    pub every: Option<Quantity>,
    /// How often in all.
    pub times: Option<u32>,
    #[serde(default)]
    pub link: Vec<Link>,
    #[serde(default)]
    pub node: Vec<NodeChange>,
    /// Nodes that join now, with the agents on them.
    #[serde(default)]
    pub join: Vec<i64>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct NodeChange {
    pub id: i64,
    pub availability: Quantity,
}

/// `[[fault]]`; which keys belong together depends on `kind`.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    pub kind: String,
    pub at: Option<Quantity>,
    pub every: Option<Quantity>,
    pub upon: Option<String>,
    pub lasts: Quantity,
    pub node: Option<i64>,
    pub agent: Option<i64>,
    pub factor: Option<f64>,
    pub sets: Option<Vec<Vec<i64>>>,
}

/// `[[dishonest]]`: an agent that does not say what it expects.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Dishonest {
    /// The agent's.
    pub id: i64,
    pub says: String,
}

/// `[calm]`
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Calm {
    pub from: Quantity,
    pub healed_by: Quantity,
}

/// `[generate]`: a network made from a seed, instead of `[[node]]`, `[[link]]` and `[[agent]]`.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Generate {
    pub nodes: i64,
    pub seed: i64,
    pub nearest: Quantity,
    pub farthest: Quantity,
    pub jitter: Quantity,
    pub availability: Vec<Quantity>,
    pub capacity: Option<Quantity>,
    pub replicas: i64,
    pub placed: i64,
    pub satisfiable: Quantity,
    pub thrifty: Quantity,
    pub trained: i64,
    pub goals: Option<String>,
    /// Of every agent.
    pub policy: Option<String>,
}

impl Scenario {
    /// The part that `network.toml` would hold. Where the table lies and how time is scaled means nothing in virtual time; what links
    /// are like is stated, for nobody could measure it.
    pub fn split(self) -> (Network, Rest) {
        let network = Network {
            knowledge: Some("sqlite:simulated.db".to_owned()),
            time_scale: Some(1),
            emulator: Some("embedded".to_owned()),
            budget: self.budget,
            data_set: self.data_set.iter().map(DataSet::file).collect(),
            node: self.node,
            link: self.link,
            feedback: self.feedback,
            learning: self.learning,
            rhythm: self.rhythm,
            membership: Membership::default(),
        };
        let mut writes = Vec::new();
        let size = |one: DataSet| {
            writes.extend(one.writes.map(|written| (one.name.clone(), written)));
            Some((one.name, one.bytes?))
        };
        let rest = Rest {
            name: self.name,
            about: self.about,
            sizes: self.data_set.into_iter().filter_map(size).collect(),
            writes,
            rho: self.rho,
            cost: self.cost,
            agent: self.agent,
            physics: self.physics,
            change: self.change,
            fault: self.fault,
            dishonest: self.dishonest,
            calm: self.calm,
            generate: self.generate,
        };
        (network, rest)
    }
}

/// What only scenarios have.
pub struct Rest {
    pub name: String,
    pub about: String,
    /// Of the data sets that state theirs.
    pub sizes: Vec<(String, Quantity)>,
    pub writes: Vec<(String, Writes)>,
    pub rho: Rho,
    pub cost: Cost,
    pub agent: Vec<Agent>,
    pub physics: Physics,
    pub change: Vec<Change>,
    pub fault: Vec<Fault>,
    pub dishonest: Vec<Dishonest>,
    pub calm: Option<Calm>,
    pub generate: Option<Generate>,
}

impl DataSet {
    fn file(&self) -> DataSetTable {
        DataSetTable {
            name: self.name.clone(),
            object_key: Some(self.object_key.clone()),
            prefix: None,
            include: None,
            exclude: None,
            generate_records: self.generate_records,
            first_node: self.first_node,
            origin: self.origin.clone(),
            constraints: self.constraints.clone(),
        }
    }
}

impl Agent {
    /// As its own file would say it, with a job that nobody runs.
    pub fn file(&self, rho: &Rho, cost: &Cost) -> AgentFile {
        AgentFile {
            goal: self.goal.clone(),
            policy: self.policy.clone(),
            node: self.node,
            may_run_on: self.may_run_on.clone(),
            data_set: self.data_set.clone(),
            data_sets: self.data_sets.clone(),
            listen: None,
            s3: self.service.as_ref().map(|_| S3 { listen: "127.0.0.1:0".to_owned(), writes: false }),
            worker: None,
            budget: self.budget.clone(),
            job: match &self.service {
                Some(service) => Job { kind: "service".to_owned(), window: service.window(), ..Job::default() },
                None => Job {
                    kind: "aggregate".to_owned(),
                    request_size: Some(Quantity("9 MB".to_owned())),
                    expression: Some("avg(cholesterol)".to_owned()),
                    ..Job::default()
                },
            },
            rho: self.rho.clone().unwrap_or_else(|| rho.clone()),
            cost: self.cost.clone().unwrap_or_else(|| cost.clone()),
        }
    }
}
