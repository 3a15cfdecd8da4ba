//! What a configuration would run, for `agent check`: a table for people, or JSON.

use super::problem::Unwritten;
use super::settings::{
    AgentSettings, CredentialsSettings, DataSetSettings, DatabaseHost, DatabaseTls, DatabaseUrl, EmulatorSettings,
    EncryptionSettings, JobSettings, KnowledgeSettings, LearningSettings, MembershipSettings, NetworkSettings,
    NodeSettings, ProgramSettings, S3StoreSettings, ServiceSettings, Settings, SparkSettings, StoreSettings,
};
use crate::clock::{Clock, SystemClock};
use crate::domain::action::ActionType;
use crate::domain::environment::Availability;
use crate::domain::goal::Goal;
use crate::domain::ids::{AgentId, DataSetName, NodeId};
use crate::domain::impact::Rho;
use crate::domain::manifest::Extent;
use crate::domain::placement::Link;
use crate::domain::units::{show_bytes, show_duration};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// Everything that would run, with the figures that follow from the time scale. `Display` prints it for people.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Description {
    pub knowledge: String,
    pub emulator: String,
    pub time_scale: u32,
    /// How nodes find each other.
    pub membership: String,
    #[serde(flatten)]
    pub data_sets: DataSetsDescription,
    pub nodes: Vec<NodeDescription>,
    pub links: Vec<Link>,
    pub durations: Vec<DurationDescription>,
    pub feedback_threshold: f64,
    pub learning: LearningDescription,
    pub probes: u32,
    pub agents: Vec<AgentDescription>,
    /// What is not written, and what it means.
    pub defaults: Vec<Unwritten>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct LearningDescription {
    pub learning_rate: f64,
    pub exploration: f64,
    pub penalty: f64,
    pub max_copies: u32,
}

/// Where there is one, it is told as such.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(untagged)]
pub enum DataSetsDescription {
    One { data_set: DataSetDescription },
    Several { data_sets: Vec<DataSetDescription> },
}

impl DataSetsDescription {
    fn as_slice(&self) -> &[DataSetDescription] {
        match self {
            DataSetsDescription::One { data_set } => std::slice::from_ref(data_set),
            DataSetsDescription::Several { data_sets } => data_sets,
        }
    }
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct DataSetDescription {
    pub name: DataSetName,
    pub object_key: String,
    /// Where it is all objects below a prefix; `object_key` is its manifest's then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    pub first_node: NodeId,
    /// At the time scale; absent: nothing is generated.
    pub generated_records: Option<u64>,
    /// At the time scale; absent when it is not known before the object was looked at.
    pub bytes: Option<u64>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct NodeDescription {
    pub id: NodeId,
    pub name: String,
    #[serde(flatten)]
    pub availability: Availability,
    /// Absent: unlimited.
    pub capacity_bytes: Option<u64>,
    pub store: String,
}

/// A duration of the scenario, and what it takes on the clock.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct DurationDescription {
    pub name: &'static str,
    pub scenario_seconds: f64,
    pub real_seconds: f64,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct AgentDescription {
    pub id: AgentId,
    pub node: NodeId,
    /// Whether network.toml lists its node.
    pub node_is_listed: bool,
    /// The nodes that its jobs may be handed to.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub may_run_on: BTreeSet<NodeId>,
    /// What it reads; absent where there is one data set, or it reads several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_set: Option<DataSetName>,
    /// What it reads, where that is several data sets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub data_sets: Vec<DataSetName>,
    pub goal: Goal,
    pub policy: String,
    /// Where applications read by S3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3: Option<SocketAddr>,
    pub job: String,
    /// What one request asks for, at the time scale.
    pub request_bytes: u64,
    /// Requests that a job makes; absent as long as the data set's size is not known.
    pub requests: Option<u64>,
    pub rho: Rho,
    pub costs: BTreeMap<&'static str, f64>,
}

/// What `settings` would run, of which `unwritten` is by default. `generated_bytes` tells the size of a generated data set of so many
/// records.
pub fn describe(settings: &Settings, unwritten: Vec<Unwritten>, generated_bytes: impl Fn(u64) -> u64) -> Description {
    let network = &settings.network;
    let describe = |data_set: &DataSetSettings| {
        let generated_records = data_set.generate_records.map(|records| network.time_scale.shrink(records));
        DataSetDescription {
            name: data_set.name.clone(),
            object_key: data_set.object_key.clone(),
            prefix: match Extent::of(&data_set.object_key) {
                Extent::Object(_) => None,
                Extent::Set(keys) => Some(keys.prefix()),
            },
            first_node: data_set.first_node,
            generated_records,
            bytes: generated_records.map(&generated_bytes),
        }
    };
    let mut data_sets: Vec<_> = network.data_sets.values().map(describe).collect();
    let bytes: BTreeMap<_, _> = data_sets.iter().map(|data_set| (data_set.name.clone(), data_set.bytes)).collect();
    let bytes_of = |name: &DataSetName| bytes.get(name).copied().flatten();
    let agents = settings.agents.values().map(|agent| describe_agent(agent, network, &bytes_of)).collect();
    Description {
        knowledge: network.knowledge.to_string(),
        emulator: network.emulator.to_string(),
        time_scale: network.time_scale.factor(),
        membership: network.membership.to_string(),
        data_sets: match data_sets.len() {
            1 => DataSetsDescription::One { data_set: data_sets.remove(0) },
            _ => DataSetsDescription::Several { data_sets },
        },
        nodes: network.nodes.values().map(describe_node).collect(),
        links: network.links.clone(),
        durations: durations(network),
        feedback_threshold: network.feedback.threshold,
        learning: describe_learning(network.learning),
        probes: network.rhythm.probes,
        agents,
        defaults: unwritten,
    }
}

fn describe_learning(learning: LearningSettings) -> LearningDescription {
    let LearningSettings { learning_rate, exploration, penalty, max_copies } = learning;
    LearningDescription { learning_rate, exploration, penalty, max_copies }
}

fn describe_node(node: &NodeSettings) -> NodeDescription {
    NodeDescription {
        id: node.id,
        name: node.name.clone(),
        availability: node.availability,
        capacity_bytes: node.capacity_bytes,
        store: node.store.to_string(),
    }
}

fn durations(network: &NetworkSettings) -> Vec<DurationDescription> {
    let clock = SystemClock::new(network.time_scale);
    let of = |(name, scenario): (&'static str, Duration)| DurationDescription {
        name,
        scenario_seconds: scenario.as_secs_f64(),
        real_seconds: clock.apply(scenario).as_secs_f64(),
    };
    let all = [
        ("job gap", network.rhythm.job_gap.mean()),
        ("heartbeat", network.rhythm.heartbeat),
        ("lease", network.rhythm.lease),
        ("drain", network.rhythm.drain),
        ("feedback window", network.feedback.window),
        ("feedback grace", network.feedback.grace),
    ];
    all.map(of).to_vec()
}

/// `bytes_of`: how large a data set is, where that is known.
fn describe_agent(
    agent: &AgentSettings,
    network: &NetworkSettings,
    bytes_of: &dyn Fn(&DataSetName) -> Option<u64>,
) -> AgentDescription {
    let request_bytes = network.time_scale.shrink(agent.job.request_bytes());
    let requests = |name| Some(bytes_of(name)?.div_ceil(request_bytes.max(1)));
    let several = agent.data_sets.len() > 1;
    // Moving work matters to those who let it move.
    let matters = |kind: &ActionType| *kind != ActionType::MoveWork || !agent.may_run_on.is_empty();
    let stated_costs = STATED_COSTS.into_iter().filter(matters);
    let only = agent.data_sets.first().filter(|_| !several && network.data_sets.len() > 1);
    AgentDescription {
        id: agent.id,
        node: agent.node,
        node_is_listed: network.nodes.contains_key(&agent.node),
        data_set: only.cloned(),
        data_sets: if several { agent.data_sets.clone() } else { Vec::new() },
        goal: agent.goal.clone(),
        policy: agent.policy.clone(),
        s3: agent.s3.map(|endpoint| endpoint.listen),
        job: agent.job.to_string(),
        request_bytes,
        requests: agent.data_sets.iter().map(requests).sum(),
        rho: agent.rho,
        may_run_on: agent.may_run_on.clone(),
        costs: stated_costs.filter_map(|kind| Some((kind.name(), *agent.costs.get(&kind)?))).collect(),
    }
}

/// Doing nothing costs 1, and mending what a copy costs.
const STATED_COSTS: [ActionType; 5] =
    [ActionType::Move, ActionType::Copy, ActionType::ChangeReference, ActionType::Evict, ActionType::MoveWork];

impl fmt::Display for KnowledgeSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KnowledgeSettings::Sqlite(file) => write!(f, "sqlite:{}", file.display()),
            KnowledgeSettings::Mysql(url) => url.fmt(f),
        }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = self.hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        write!(f, "mysql://{}@{hosts}/{}", self.user, self.schema)?;
        match &self.tls {
            DatabaseTls::Off => Ok(()),
            DatabaseTls::On { authority: None } => f.write_str("?tls=true"),
            DatabaseTls::On { authority: Some(file) } => write!(f, "?tls=true&ca={}", file.display()),
        }
    }
}

/// As in a URL.
impl fmt::Display for DatabaseHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, port } = self;
        if name.contains(':') { write!(f, "[{name}]:{port}") } else { write!(f, "{name}:{port}") }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

impl fmt::Display for EmulatorSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EmulatorSettings::Embedded => f.write_str("embedded"),
            EmulatorSettings::Toxiproxy(address) => f.write_str(address),
            EmulatorSettings::None => f.write_str("none"),
        }
    }
}

impl fmt::Display for MembershipSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { listen, advertise, interval, fan_out, adapt, .. } = self;
        let Some(listen) = listen else { return f.write_str("off") };
        match listen.port() {
            0 => write!(f, "on {}, a free port", listen.ip())?,
            _ => write!(f, "on {listen}")?,
        }
        advertise.iter().try_for_each(|advertise| write!(f, ", as {advertise}"))?;
        write!(f, "; every {} with {fan_out} peers", show_duration(*interval))?;
        f.write_str(if *adapt { ", or as many as it takes" } else { "" })
    }
}

impl fmt::Display for StoreSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreSettings::Embedded { listen, advertise } => {
                match listen.port() {
                    0 => write!(f, "embedded on {}, a free port", listen.ip())?,
                    _ => write!(f, "embedded on {listen}")?,
                }
                advertise.as_ref().map_or(Ok(()), |advertise| write!(f, ", as {advertise}"))
            }
            StoreSettings::S3(S3StoreSettings { url, credentials, ca, encryption, delete_versions }) => {
                write!(f, "{}/{} ({}), credentials from {credentials}", url.endpoint(), url.bucket(), url.region())?;
                ca.as_ref().map_or(Ok(()), |ca| write!(f, ", authorities in {}", ca.display()))?;
                match encryption {
                    None => {}
                    Some(EncryptionSettings::Aes256) => f.write_str(", encrypted with AES256")?,
                    Some(EncryptionSettings::Kms { key: None }) => f.write_str(", encrypted with aws:kms")?,
                    Some(EncryptionSettings::Kms { key: Some(key) }) => write!(f, ", encrypted with aws:kms, {key}")?,
                }
                f.write_str(if *delete_versions { ", versions are deleted" } else { "" })
            }
        }
    }
}

impl fmt::Display for CredentialsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CredentialsSettings::Environment => f.write_str("the environment"),
            CredentialsSettings::Profile(profile) => write!(f, "profile {profile}"),
            CredentialsSettings::Keys { .. } => f.write_str("the configuration"),
        }
    }
}

impl fmt::Display for JobSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JobSettings::Aggregate { expression, path: None, .. } => f.write_str(expression),
            JobSettings::Aggregate { expression, path: Some(path), .. } => write!(f, "{expression} of {path}"),
            JobSettings::Command(ProgramSettings { program, arguments, .. }) => {
                f.write_str(program)?;
                arguments.iter().try_for_each(|argument| write!(f, " {argument}"))
            }
            JobSettings::Spark(SparkSettings { submit, application, master, .. }) => {
                write!(f, "{} --master {master} {application}", submit.program)?;
                submit.arguments.iter().try_for_each(|argument| write!(f, " {argument}"))
            }
            JobSettings::Service(ServiceSettings { window, .. }) => {
                write!(f, "requests, by windows of {} s", window.as_secs_f64())
            }
        }
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "knowledge   {}", self.knowledge)?;
        writeln!(f, "emulator    {}", self.emulator)?;
        writeln!(f, "time scale  {}", self.time_scale)?;
        writeln!(f, "membership  {}", self.membership)?;
        self.data_sets.as_slice().iter().try_for_each(|data_set| writeln!(f, "data set    {data_set}"))?;
        self.write_nodes(f)?;
        self.write_links(f)?;
        self.write_durations(f)?;
        self.write_learning(f)?;
        self.agents.iter().try_for_each(|agent| write!(f, "{agent}"))?;
        self.write_defaults(f)
    }
}

impl Description {
    fn write_nodes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nnode  name          availability  capacity   store")?;
        self.nodes.iter().try_for_each(|node| {
            let capacity = node.capacity_bytes.map_or_else(|| "unlimited".to_owned(), show_bytes);
            let availability = match node.availability.declared {
                Some(declared) => declared.to_string(),
                None => "measured".to_owned(),
            };
            writeln!(f, "{:>4}  {:<12}  {availability:>12}  {capacity:<9}  {}", node.id, node.name, node.store)
        })
    }

    fn write_links(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nlink        latency [ms]  jitter [ms]")?;
        self.links.iter().try_for_each(|link| {
            let ends = format!("{} to {}", link.from, link.to);
            writeln!(f, "{ends:<10}  {:>12}  {:>11}", link.latency_ms, link.jitter_ms)
        })?;
        match self.links.len() < self.nodes.len() * (self.nodes.len() - 1) {
            true => writeln!(f, "all others      measured"),
            false => Ok(()),
        }
    }

    fn write_durations(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nduration         in the scenario  on the clock")?;
        self.durations.iter().try_for_each(|duration| {
            let [scenario, real] = [duration.scenario_seconds, duration.real_seconds]
                .map(|seconds| show_duration(Duration::from_secs_f64(seconds)));
            writeln!(f, "{:<15}  {scenario:>15}  {real:>12}", duration.name)
        })
    }

    fn write_learning(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LearningDescription { learning_rate, exploration, penalty, max_copies } = &self.learning;
        write!(f, "\nlearning  learning_rate {learning_rate}, exploration {exploration}, penalty {penalty}, ")?;
        writeln!(f, "max_copies {max_copies}")?;
        writeln!(f, "feedback  threshold {}", self.feedback_threshold)?;
        writeln!(f, "probes    {}", self.probes)
    }

    /// A line for each table of each file.
    fn write_defaults(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.defaults.is_empty() {
            writeln!(f, "\nnot written, and so by default")?;
        }
        let place = |one: &Unwritten| (one.file.clone(), one.table.clone());
        self.defaults.chunk_by(|one, other| place(one) == place(other)).try_for_each(|of_table| {
            let values: Vec<String> = of_table.iter().map(|one| format!("{} = {}", one.key, one.value)).collect();
            let (file, table) = place(&of_table[0]);
            let table = if table.is_empty() { table } else { format!("{table}: ") };
            writeln!(f, "  {file}: {table}{}", values.join(", "))
        })
    }
}

impl fmt::Display for DataSetDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let objects =
            self.prefix.as_ref().map_or_else(|| self.object_key.clone(), |prefix| format!("all below {prefix}"));
        write!(f, "{} ({objects}), first on node {}", self.name, self.first_node)?;
        match (self.generated_records, self.bytes) {
            (Some(records), Some(bytes)) => write!(f, ", generated: {records} records, {}", show_bytes(bytes)),
            (Some(records), None) => write!(f, ", generated: {records} records"),
            (None, _) => f.write_str(", not generated: it has to be there"),
        }
    }
}

impl fmt::Display for AgentDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let only_there = if self.node_is_listed { "" } else { " (not in network.toml: the table must have it)" };
        writeln!(f, "\nagent {} on node {}{only_there}", self.id, self.node)?;
        if !self.may_run_on.is_empty() {
            let nodes: Vec<String> = self.may_run_on.iter().map(ToString::to_string).collect();
            writeln!(f, "  may run on nodes {}, too", nodes.join(", "))?;
        }
        self.data_set.iter().chain(&self.data_sets).try_for_each(|data_set| writeln!(f, "  reads   {data_set}"))?;
        writeln!(f, "  goal    {}", self.goal)?;
        writeln!(f, "  policy  {}", self.policy)?;
        self.s3.iter().try_for_each(|listen| writeln!(f, "  s3      {listen}"))?;
        let size = show_bytes(self.request_bytes);
        match self.requests {
            Some(1) => writeln!(f, "  job     {}, 1 request of {size}", self.job)?,
            Some(requests) => writeln!(f, "  job     {}, {requests} requests of {size}", self.job)?,
            None => writeln!(f, "  job     {}, in requests of {size}", self.job)?,
        }
        let rho =
            self.rho.iter().map(|(metric, rho)| format!("{metric} {rho} {}", metric.unit()).trim_end().to_owned());
        writeln!(f, "  rho     {}", rho.collect::<Vec<_>>().join(", "))?;
        let costs = STATED_COSTS.into_iter().filter_map(|kind| self.costs.get_key_value(kind.name()));
        writeln!(f, "  cost    {}", costs.map(|(kind, cost)| format!("{kind} {cost}")).collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Vocabulary, load_all};
    use super::*;
    use std::path::Path;

    fn description(fixture: &str) -> Description {
        let vocabulary = Vocabulary { policies: &["reference", "fixed", "cooperative"], expression: |_| Ok(()) };
        let directory = Path::new("../../fixtures/configurations/valid").join(fixture);
        let loaded = load_all(Some(&directory), &vocabulary).unwrap_or_else(|error| panic!("error: {error}"));
        describe(&loaded.0, loaded.1, |records| {
            assert_eq!(records, 11_075, "the size is asked for at the time scale");
            6_441_964
        })
    }

    #[test]
    fn the_three_nodes_are_shown_with_what_the_scale_makes_of_them() {
        let expected = "\
knowledge   sqlite:network.db
emulator    embedded
time scale  50
membership  on 127.0.0.1, a free port; every 1.0 s with 3 peers
data set    blood_tests (blood_tests.json), first on node 3, generated: 11075 records, 6.4 MB

node  name          availability  capacity   store
   1  cloud                 97 %  unlimited  embedded on 127.0.0.1, a free port
   2  fog                   80 %  unlimited  embedded on 127.0.0.1, a free port
   3  edge                  85 %  unlimited  embedded on 127.0.0.1, a free port

link        latency [ms]  jitter [ms]
1 to 2              1000            7
1 to 3              1500            7
2 to 1              1000            7
2 to 3              1200            7
3 to 1              1500            7
3 to 2              1200            7

duration         in the scenario  on the clock
job gap                   15.0 s        300 ms
heartbeat                 10.0 s        200 ms
lease                  5 min 0 s         6.0 s
drain                  1 min 0 s         1.2 s
feedback window       3 min 30 s         4.2 s
feedback grace         1 min 0 s         1.2 s

learning  learning_rate 0.5, exploration 0.1, penalty 0.33, max_copies 2
feedback  threshold 0.3
probes    5

agent 1 on node 1
  goal    response_time <= 35 s and availability >= 95 %
  policy  cooperative
  job     avg(cholesterol), 36 requests of 180.0 kB
  rho     response_time 40 s, execution_time 15 s, throughput 30000 records/s, network_latency 2000 ms, availability 25 %, data_consistency 0.5
  cost    move 1.5, copy 1.8, change_reference 1, evict 0.5

agent 2 on node 2
  goal    throughput >= 30000 records/s and availability >= 80 %
  policy  cooperative
  job     avg(cholesterol), 36 requests of 180.0 kB
  rho     response_time 40 s, execution_time 15 s, throughput 3000 records/s, network_latency 2000 ms, availability 25 %, data_consistency 0.5
  cost    move 1.5, copy 1.8, change_reference 1, evict 0.5

agent 3 on node 3
  goal    data_consistency >= 0.7 or network_latency <= 1300 ms
  policy  cooperative
  job     avg(cholesterol), 36 requests of 180.0 kB
  rho     response_time 40 s, execution_time 15 s, throughput 3000 records/s, network_latency 2000 ms, availability 25 %, data_consistency 1
  cost    move 1.5, copy 1.8, change_reference 1, evict 0.5

not written, and so by default
  DIR/network.toml: rhythm: watch = \"1 min\"
  DIR/network.toml: membership: listen = \"127.0.0.1:0\", interval = \"1 s\", fan_out = 3, window = \"24 h\"
  DIR/1.toml: policy = \"cooperative\"
  DIR/2.toml: policy = \"cooperative\"
  DIR/3.toml: policy = \"cooperative\"
";
        let text = description("three_nodes").to_string();
        assert_eq!(text.replace("../../fixtures/configurations/valid/three_nodes", "DIR"), expected);
    }

    #[test]
    fn a_data_set_of_unknown_size_leaves_the_number_of_requests_open() {
        let description = description("real_stores");
        assert_eq!((description.data_sets.as_slice()[0].bytes, description.agents[0].requests), (None, None));
        let text = description.to_string();
        let agent = "
agent 7 on node 20
  goal    response_time <= 120 s
  policy  reference
  job     python3 average.py --field temperature, in requests of 67.1 MB
";
        assert!(text.contains(agent), "{text}");
        assert!(
            text.contains("(plant/measurements.ndjson), first on node 10, not generated: it has to be there"),
            "{text}"
        );
    }

    #[test]
    fn machines_read_it_as_json() {
        let json = serde_json::to_value(description("three_nodes")).unwrap();
        assert_eq!(json["agents"][0]["goal"], "response_time <= 35 s and availability >= 95 %");
        assert_eq!(json["agents"][0]["requests"], 36);
        assert_eq!(json["durations"][4]["real_seconds"], 4.2);
        assert_eq!(json["nodes"][1]["availability"], 80.0);
    }
}
