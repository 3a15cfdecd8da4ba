//! What is said over the interface, and the JSON Schemas that it keeps to.
//!
//! A client validates every document: its keys have to *equal* those of the schema's `properties`, and then the schema has to hold
//! (Draft 2020-12). So the keys never change; what is not known is null.

use super::AgentOptions;
use crate::api::problem::{ErrorCode, Problem};
use crate::app::status::{AgentStatus, NetworkStatus, Status};
use agent_core::config::settings::AgentSettings;
use agent_core::domain::adaptation::{self, Adaptation};
use agent_core::domain::ids::{AgentId, DataSetName};
use agent_core::domain::metric::Metric;
use agent_core::domain::placement::ReplicaState;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The label of doing nothing, which can always be written.
pub const NOTHING: &str = "NA";

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// How an action is written; data sets are named where an agent reads several.
const LABEL: &str = "^(NA|([^:]+:)?(M[0-9]+_[0-9]+|C[0-9]+_[0-9]+|CR[0-9]+|E[0-9]+))$";

/// What a client is about: its paths begin with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Base {
    Agent(AgentId),
    Network,
}

/// How the network is.
#[derive(Clone, PartialEq, Debug)]
pub struct Observed {
    /// Of the scenario, since the beginning \[s\].
    pub time_s: f64,
    pub status: NetworkStatus,
    /// The latest that each agent was ordered to do.
    pub adaptations: BTreeMap<AgentId, Adaptation>,
}

/// The agents that are spoken of, and what each reads: neither changes while it is served.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Contract {
    data_sets: BTreeMap<AgentId, Vec<DataSetName>>,
}

/// As the network's documents call an agent.
pub fn key(agent: AgentId) -> String {
    format!("agent_{agent}")
}

/// The metrics of `monitor`, by the keys they have there: with their units, where these are not plain.
const METRICS: [(&str, Metric); 6] = [
    ("response_time_s", Metric::ResponseTime),
    ("execution_time_s", Metric::ExecutionTime),
    ("throughput", Metric::Throughput),
    ("network_latency_ms", Metric::NetworkLatency),
    ("availability", Metric::Availability),
    ("data_consistency", Metric::DataConsistency),
];

impl Contract {
    pub fn new(agents: &BTreeMap<AgentId, AgentSettings>) -> Self {
        let data_sets = agents.values().map(|agent| (agent.id, agent.data_sets.clone()));
        Self { data_sets: data_sets.collect() }
    }

    pub fn agents(&self) -> Vec<AgentId> {
        self.data_sets.keys().copied().collect()
    }

    /// Those that a base speaks of.
    pub fn of(&self, base: Base) -> Vec<AgentId> {
        match base {
            Base::Agent(agent) => vec![agent],
            Base::Network => self.agents(),
        }
    }

    pub fn monitor(&self, base: Base, observed: &Observed) -> Value {
        let time_s = json!(observed.time_s);
        match base {
            Base::Agent(agent) => {
                let mut document = self.agent(agent, observed);
                document.insert("time_s".to_owned(), time_s);
                Value::Object(document)
            }
            Base::Network => {
                let agents = self.agents().into_iter();
                let mut document: Map<String, Value> =
                    agents.map(|agent| (key(agent), Value::Object(self.agent(agent, observed)))).collect();
                document.insert("time_s".to_owned(), time_s);
                document.insert("placement".to_owned(), self.placement(observed));
                Value::Object(document)
            }
        }
    }

    pub fn monitor_schema(&self, base: Base) -> Value {
        let time_s = json!({ "type": "number", "minimum": 0, "description": "of the scenario, since the beginning" });
        let mut properties = Map::from_iter([("time_s".to_owned(), time_s)]);
        match base {
            Base::Agent(agent) => properties.extend(self.agent_properties(agent)),
            Base::Network => {
                let one = |agent: AgentId| (key(agent), closed(self.agent_properties(agent)));
                properties.extend(self.agents().into_iter().map(one));
                properties.insert("placement".to_owned(), self.placement_schema());
            }
        }
        document(properties)
    }

    pub fn options(&self, base: Base, options: &BTreeMap<AgentId, AgentOptions>) -> Value {
        let of = |agent: &AgentId| {
            let known = options.get(agent);
            // Doing nothing is always there, also for who does not run.
            let mut values: Vec<String> =
                known.into_iter().flat_map(|known| known.keys()).map(ToString::to_string).collect();
            if !values.iter().any(|value| value == NOTHING) {
                values.insert(0, NOTHING.to_owned());
            }
            let expected = known.into_iter().flatten();
            let expected: Map<String, Value> = expected
                .filter_map(|(label, impacts)| {
                    let impacts = (*impacts)?;
                    let by_metric = impacts.iter().map(|(metric, impact)| (metric.name().to_owned(), json!(impact)));
                    Some((label.to_string(), Value::Object(by_metric.collect())))
                })
                .collect();
            json!({ "values": values, "domain": "discrete", "impacts": expected })
        };
        match base {
            Base::Agent(agent) => json!({ "action": of(&agent) }),
            Base::Network => self.agents().iter().map(|agent| (key(*agent), of(agent))).collect::<Map<_, _>>().into(),
        }
    }

    pub fn options_schema(&self, base: Base) -> Value {
        let impacts = json!({
            "type": "object",
            "description": "what each action is expected to change, by metric: 1 is as good, -1 as bad as a difference can be that \
                            counts as large; an action of which nothing is known is absent",
            "additionalProperties": { "type": "object", "additionalProperties": { "type": "number" } },
        });
        let option = Map::from_iter([
            ("values".to_owned(), json!({ "type": "array", "items": { "type": "string", "pattern": LABEL } })),
            ("domain".to_owned(), json!({ "const": "discrete" })),
            ("impacts".to_owned(), impacts),
        ]);
        document(self.keys(base).into_keys().map(|key| (key, closed(option.clone()))).collect())
    }

    pub fn execute_schema(&self, base: Base) -> Value {
        let label = json!({
            "type": "string",
            "pattern": LABEL,
            "description": "what the agent is to do; NA: nothing. What is possible now, adaptation_options says",
        });
        document(self.keys(base).into_keys().map(|key| (key, label.clone())).collect())
    }

    /// What is ordered, by agent. Refused as a whole.
    pub fn read(&self, base: Base, body: &[u8]) -> Result<BTreeMap<AgentId, String>, Problem> {
        let keys = self.keys(base);
        let example = || {
            let example: Map<String, Value> = keys.keys().map(|key| (key.clone(), json!(NOTHING))).collect();
            format!("it has to be like {}", Value::Object(example))
        };
        let invalid = |what: String| Problem::new(ErrorCode::Invalid, what).with_help(example());
        let written: BTreeMap<String, Value> = serde_json::from_slice(body)
            .map_err(|error| Problem::new(ErrorCode::Malformed, format!("the body: {error}")).with_help(example()))?;
        if let Some(unknown) = written.keys().find(|key| !keys.contains_key(*key)) {
            return Err(invalid(format!("`{}`: there is no such key", unknown.escape_debug())));
        }
        let mut read = BTreeMap::new();
        for (key, agent) in &keys {
            match written.get(key) {
                Some(Value::String(action)) => read.insert(*agent, action.clone()),
                Some(_) => return Err(invalid(format!("`{key}` has to be the label of an action, a text"))),
                None => return Err(invalid(format!("`{key}` is missing"))),
            };
        }
        Ok(read)
    }

    /// Of what can be ordered.
    fn keys(&self, base: Base) -> BTreeMap<String, AgentId> {
        match base {
            Base::Agent(agent) => BTreeMap::from([("action".to_owned(), agent)]),
            Base::Network => self.agents().into_iter().map(|agent| (key(agent), agent)).collect(),
        }
    }

    fn agent(&self, agent: AgentId, observed: &Observed) -> Map<String, Value> {
        let statuses = observed.status.data_sets();
        let known = statuses.iter().find_map(|status| of_agent(status, agent));
        let measured = known.and_then(|known| known.last.as_ref());
        let metric = |metric| measured.and_then(|measured| measured.metrics.get(metric));
        let mut document: Map<String, Value> =
            METRICS.iter().map(|(key, of)| ((*key).to_owned(), json!(metric(*of)))).collect();
        let status_of = |name: &DataSetName| statuses.iter().find(|status| status.data_set == *name);
        let reference = |name: &DataSetName| json!(status_of(name).and_then(|status| of_agent(status, agent)?.reads));
        let replicas = |name: &DataSetName| json!(status_of(name).map(present).unwrap_or_default());
        // A job that failed has met no goal.
        let goal_met = measured.map(|_| known.and_then(|known| known.goal_met).unwrap_or(false));
        let tally = known.map(|known| known.tally).unwrap_or_default();
        document.extend([
            ("goal".to_owned(), json!(known.map(|known| &known.peer.registration.goal))),
            ("goal_met".to_owned(), json!(goal_met)),
            ("jobs".to_owned(), json!(tally.jobs + tally.failed)),
            ("violated_jobs".to_owned(), json!(tally.violated + tally.failed)),
            ("reference".to_owned(), self.by_data_set(agent, reference)),
            ("replicas".to_owned(), self.by_data_set(agent, replicas)),
            ("last_adaptation".to_owned(), last_adaptation(observed.adaptations.get(&agent))),
        ]);
        document
    }

    fn agent_properties(&self, agent: AgentId) -> Map<String, Value> {
        let number = json!({ "type": ["number", "null"] });
        let mut properties: Map<String, Value> =
            METRICS.iter().map(|(key, _)| ((*key).to_owned(), number.clone())).collect();
        let node = json!({ "type": ["integer", "null"], "description": "the node that it reads" });
        let nodes =
            json!({ "type": "array", "items": { "type": "integer" }, "description": "the nodes that hold one" });
        let last = Map::from_iter([
            ("id".to_owned(), json!({ "type": ["integer", "null"] })),
            ("action".to_owned(), json!({ "type": ["string", "null"] })),
            ("status".to_owned(), json!({ "enum": statuses() })),
            ("reason".to_owned(), json!({ "type": ["string", "null"] })),
        ]);
        properties.extend([
            ("goal".to_owned(), json!({ "type": ["string", "null"] })),
            ("goal_met".to_owned(), json!({ "type": ["boolean", "null"], "description": "by the last job" })),
            ("jobs".to_owned(), json!({ "type": "integer", "minimum": 0 })),
            ("violated_jobs".to_owned(), json!({ "type": "integer", "minimum": 0, "description": "failed ones, too" })),
            ("reference".to_owned(), self.schema_by_data_set(agent, &node)),
            ("replicas".to_owned(), self.schema_by_data_set(agent, &nodes)),
            ("last_adaptation".to_owned(), closed(last)),
        ]);
        properties
    }

    fn placement(&self, observed: &Observed) -> Value {
        let of_one = |name: DataSetName| {
            let status = observed.status.data_sets().iter().find(|status| status.data_set == name);
            let reads = |agent| (key(agent), json!(status.and_then(|status| of_agent(status, agent)?.reads)));
            let references: Map<String, Value> = self.readers(&name).into_iter().map(reads).collect();
            let replicas = status.map(present).unwrap_or_default();
            (name.to_string(), json!({ "replicas": replicas, "references": references }))
        };
        Value::Object(self.all_data_sets().into_iter().map(of_one).collect())
    }

    fn placement_schema(&self) -> Value {
        let of_one = |name: DataSetName| {
            let reads = |agent| (key(agent), json!({ "type": ["integer", "null"] }));
            let references = closed(self.readers(&name).into_iter().map(reads).collect());
            let nodes = json!({ "type": "array", "items": { "type": "integer" } });
            let both = Map::from_iter([("replicas".to_owned(), nodes), ("references".to_owned(), references)]);
            (name.to_string(), closed(both))
        };
        closed(self.all_data_sets().into_iter().map(of_one).collect())
    }

    fn readers(&self, name: &DataSetName) -> Vec<AgentId> {
        self.data_sets.iter().filter(|(_, reads)| reads.contains(name)).map(|(agent, _)| *agent).collect()
    }

    fn all_data_sets(&self) -> Vec<DataSetName> {
        let mut all: Vec<DataSetName> = self.data_sets.values().flatten().cloned().collect();
        all.sort();
        all.dedup();
        all
    }

    /// Plain where an agent reads one data set; by their names where it reads several.
    fn by_data_set(&self, agent: AgentId, of: impl Fn(&DataSetName) -> Value) -> Value {
        match self.data_sets.get(&agent).map(Vec::as_slice).unwrap_or_default() {
            [only] => of(only),
            several => several.iter().map(|name| (name.to_string(), of(name))).collect::<Map<_, _>>().into(),
        }
    }

    fn schema_by_data_set(&self, agent: AgentId, of_one: &Value) -> Value {
        match self.data_sets.get(&agent).map(Vec::as_slice).unwrap_or_default() {
            [_] => of_one.clone(),
            several => closed(several.iter().map(|name| (name.to_string(), of_one.clone())).collect()),
        }
    }
}

fn of_agent(status: &Status, agent: AgentId) -> Option<&AgentStatus> {
    status.agents.iter().find(|known| known.peer.registration.agent == agent)
}

/// The nodes whose replica can be read.
fn present(status: &Status) -> Vec<u32> {
    let present = status.replicas.iter().filter(|replica| replica.state == ReplicaState::Present);
    present.map(|replica| replica.node.0).collect()
}

fn last_adaptation(adaptation: Option<&Adaptation>) -> Value {
    match adaptation {
        Some(Adaptation { id, action, status, reason }) => {
            json!({ "id": id, "action": action, "status": status, "reason": reason })
        }
        None => json!({ "id": null, "action": null, "status": null, "reason": null }),
    }
}

fn statuses() -> Vec<Option<&'static str>> {
    adaptation::Status::ALL.map(|status| Some(status.name())).into_iter().chain([None]).collect()
}

/// The schema of an object with these keys and no others.
fn closed(properties: Map<String, Value>) -> Value {
    let required: Vec<&String> = properties.keys().collect();
    json!({ "type": "object", "required": required, "additionalProperties": false, "properties": properties })
}

fn document(properties: Map<String, Value>) -> Value {
    let mut schema = closed(properties);
    schema["$schema"] = json!(DRAFT);
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contract() -> Contract {
        let one: DataSetName = "blood".into();
        let reads = [(1, vec![one.clone()]), (2, vec![one, "images".into()])];
        Contract { data_sets: reads.map(|(agent, reads)| (AgentId(agent), reads)).into() }
    }

    fn keys(value: &Value) -> Vec<String> {
        let mut keys: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    }

    #[test]
    fn documents_have_the_keys_of_their_schemas_whatever_is_known() {
        let nobody = NetworkStatus::Several { converged: false, data_sets: Vec::new() };
        let observed = Observed { time_s: 0.0, status: nobody, adaptations: BTreeMap::new() };
        let contract = contract();
        for base in [Base::Network, Base::Agent(AgentId(1)), Base::Agent(AgentId(2))] {
            let pairs = [
                (contract.monitor(base, &observed), contract.monitor_schema(base)),
                (contract.options(base, &BTreeMap::new()), contract.options_schema(base)),
            ];
            for (document, schema) in pairs {
                assert_eq!(keys(&document), keys(&schema["properties"]), "{base:?}");
                assert_eq!(schema["type"], "object");
            }
        }
    }

    #[test]
    fn what_is_ordered_names_every_agent_once() {
        let contract = contract();
        let check = |base, body: &str, expected: Result<&[(u32, &str)], &str>| {
            let read = contract.read(base, body.as_bytes());
            match (read, expected) {
                (Ok(read), Ok(expected)) => {
                    let expected = expected.iter().map(|(agent, action)| (AgentId(*agent), (*action).to_owned()));
                    assert_eq!(read, expected.collect::<BTreeMap<_, _>>(), "{body}");
                }
                (Err(problem), Err(expected)) => assert!(problem.detail().contains(expected), "{}", problem.detail()),
                (read, _) => panic!("{body}: {read:?}"),
            }
        };
        check(Base::Agent(AgentId(1)), r#"{"action": "M3_1"}"#, Ok(&[(1, "M3_1")]));
        check(Base::Agent(AgentId(1)), r#"{"action": 3}"#, Err("has to be the label"));
        check(Base::Agent(AgentId(1)), r#"{"actoin": "NA"}"#, Err("`actoin`: there is no such key"));
        check(Base::Network, r#"{"agent_1": "NA", "agent_2": "blood:M3_1"}"#, Ok(&[(1, "NA"), (2, "blood:M3_1")]));
        check(Base::Network, r#"{"agent_1": "NA"}"#, Err("`agent_2` is missing"));
        check(Base::Network, "[1", Err("the body: "));
    }
}
