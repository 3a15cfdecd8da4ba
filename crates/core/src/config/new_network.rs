//! A new network's files, from what somebody wants: what is by default is not written.

use super::load::{NETWORK, Source, Sources, Vocabulary};
use super::problem::{ConfigError, Problems};
use super::settings::Settings;
use super::{defaults, quantity};
use crate::domain::ids::{AgentId, NodeId};
use crate::domain::store_url::StoreUrl;
use crate::domain::units::Percent;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// A real network: nobody injects latency, and each node has an agent.
#[derive(Clone, PartialEq, Debug)]
pub struct NewNetwork {
    /// As in `network.toml`.
    pub knowledge: String,
    pub nodes: BTreeMap<NodeId, NewNode>,
    /// Of links that are not to be measured, in both directions \[ms\].
    pub latencies: BTreeMap<(NodeId, NodeId), f64>,
    pub data_set: NewDataSet,
    /// Of every agent.
    pub job: NewJob,
}

/// A node, and what the user of its agent wants.
#[derive(Clone, PartialEq, Debug)]
pub struct NewNode {
    pub name: String,
    pub availability: Percent,
    /// Absent: an embedded one.
    pub store: Option<StoreUrl>,
    /// Which has the credentials of its store; absent: the environment.
    pub profile: Option<String>,
    pub goal: String,
}

#[derive(Clone, PartialEq, Debug)]
pub struct NewDataSet {
    pub name: String,
    /// The key of its object, or with a `/` at its end what the keys of its objects begin with.
    pub objects: String,
    pub first_node: NodeId,
    pub generate_records: Option<u64>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NewJob {
    Aggregate { expression: String },
    Command { program: String, arguments: Vec<String> },
    Spark { application: String, arguments: Vec<String> },
}

/// Where the nodes of a network on several machines listen for each other: on all addresses, at the port that is usual.
const GOSSIP_LISTEN: &str = "0.0.0.0:7946";

/// Files that are not written yet, and what they mean.
#[derive(Clone, PartialEq, Debug)]
pub struct Outline {
    /// By name, with their texts.
    pub files: BTreeMap<String, String>,
    pub settings: Settings,
}

impl NewNetwork {
    /// Refused where they would not be valid in this folder.
    pub fn outline(&self, directory: &Path, vocabulary: &Vocabulary) -> Result<Outline, ConfigError> {
        let source = |(name, text): (String, String)| Source { file: shown(directory, &name), text };
        let agents = self.nodes.iter().map(|(id, node)| (AgentId(id.0), (file_of(*id), self.agent(*id, node))));
        let agents: BTreeMap<AgentId, (String, String)> = agents.collect();
        let network = (NETWORK.to_owned(), self.network());
        let files = agents.values().cloned().chain([network.clone()]).collect();
        let agents = agents.into_iter().map(|(id, file)| (id, source(file))).collect();
        let sources = Sources { network: Some(source(network)), agents };
        let (settings, _) = sources.settle(vocabulary, Problems::default())?;
        Ok(Outline { files, settings })
    }

    fn network(&self) -> String {
        let mut text = head("What all agents share.");
        let Self { knowledge, nodes, latencies, data_set, .. } = self;
        let _infallible = writeln!(text, "knowledge = {}", quoted(knowledge));
        // Machines that share a server's table are to hear each other, too.
        if super::knowledge(knowledge).is_ok_and(|knowledge| knowledge.is_elsewhere()) {
            text.push_str("\n[membership]\n");
            line(&mut text, &[("listen", quoted(GOSSIP_LISTEN))]);
        }
        text.push_str("\n[data_set]\n");
        let NewDataSet { name, objects, first_node, generate_records } = data_set;
        let key = if objects.ends_with('/') { "prefix" } else { "object_key" };
        line(&mut text, &[("name", quoted(name)), (key, quoted(objects)), ("first_node", first_node.to_string())]);
        generate_records.iter().for_each(|records| line(&mut text, &[("generate_records", records.to_string())]));
        for (id, node) in nodes {
            text.push_str("\n[[node]]\n");
            line(&mut text, &[("id", id.to_string()), ("name", quoted(&node.name))]);
            if Ok(node.availability) != quantity::percent(defaults::AVAILABILITY) {
                line(&mut text, &[("availability", quoted(&node.availability.to_string()))]);
            }
            node.store.iter().for_each(|url| line(&mut text, &[("store", store(url, node.profile.as_deref()))]));
        }
        for ((one, other), latency) in latencies {
            text.push_str("\n[[link]]\n");
            let latency = quoted(&format!("{latency} ms"));
            line(&mut text, &[("between", format!("[{one}, {other}]")), ("latency", latency)]);
        }
        text
    }

    fn agent(&self, id: NodeId, node: &NewNode) -> String {
        let mut text = head(&format!("Agent {id}: what its user wants, and what it runs."));
        line(&mut text, &[("goal", quoted(&node.goal))]);
        text.push_str("\n[job]\n");
        let list = |all: &[String]| format!("[{}]", all.iter().map(|it| quoted(it)).collect::<Vec<_>>().join(", "));
        let (kind, what, arguments) = match &self.job {
            NewJob::Aggregate { expression } => ("aggregate", ("expression", expression), None),
            NewJob::Command { program, arguments } => ("command", ("program", program), Some(arguments)),
            NewJob::Spark { application, arguments } => ("spark", ("application", application), Some(arguments)),
        };
        line(&mut text, &[("kind", quoted(kind)), (what.0, quoted(what.1))]);
        let arguments = arguments.filter(|arguments| !arguments.is_empty());
        arguments.into_iter().for_each(|arguments| line(&mut text, &[("arguments", list(arguments))]));
        text
    }
}

fn head(what: &str) -> String {
    format!("# {what} `agent check` tells what is not written; docs/configuration.md explains every key.\n")
}

fn file_of(agent: NodeId) -> String {
    format!("{agent}.toml")
}

fn shown(directory: &Path, name: &str) -> String {
    let path: PathBuf = directory.join(name);
    path.display().to_string()
}

/// `key = value` for each.
fn line(text: &mut String, keys: &[(&str, String)]) {
    keys.iter().for_each(|(key, value)| text.extend([key, " = ", value.as_str(), "\n"]));
}

/// On one line, so that what follows still belongs to the node.
fn store(url: &StoreUrl, profile: Option<&str>) -> String {
    let mut keys = vec![("kind", quoted("s3")), ("endpoint", quoted(url.endpoint())), ("bucket", quoted(url.bucket()))];
    if url.region() != defaults::REGION {
        keys.push(("region", quoted(url.region())));
    }
    if url.path_style() != defaults::PATH_STYLE {
        keys.push(("path_style", url.path_style().to_string()));
    }
    keys.extend(profile.map(|profile| ("credentials", format!("{{ profile = {} }}", quoted(profile)))));
    let keys: Vec<String> = keys.into_iter().map(|(key, value)| format!("{key} = {value}")).collect();
    format!("{{ {} }}", keys.join(", "))
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::settings::{CredentialsSettings, EmulatorSettings, JobSettings, StoreSettings};
    use super::*;
    use crate::domain::metric::Metric;

    const VOCABULARY: Vocabulary = Vocabulary { policies: &["cooperative"], expression: |_| Ok(()) };

    fn two_nodes() -> NewNetwork {
        let node = |name: &str, store: Option<&str>| NewNode {
            name: name.to_owned(),
            availability: quantity::percent("100 %").unwrap(),
            store: store.map(|url| url.parse().unwrap()),
            profile: None,
            goal: "response_time <= 30 s".to_owned(),
        };
        let data_set = NewDataSet {
            name: "orders".to_owned(),
            objects: "orders.json".to_owned(),
            first_node: NodeId(1),
            generate_records: None,
        };
        NewNetwork {
            knowledge: "sqlite:network.db".to_owned(),
            nodes: [
                (NodeId(1), node("berlin", Some("https://s3.example.org/placement"))),
                (NodeId(2), node("plant", None)),
            ]
            .into(),
            latencies: BTreeMap::new(),
            data_set,
            job: NewJob::Aggregate { expression: "avg(amount)".to_owned() },
        }
    }

    fn outline(network: &NewNetwork) -> Result<Outline, String> {
        network.outline(Path::new("new"), &VOCABULARY).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_by_default_is_not_written() {
        let Outline { files, settings } = outline(&two_nodes()).unwrap();
        let body = |name: &str| files[name].split_once('\n').map(|(_, body)| body);
        let network = "\
knowledge = \"sqlite:network.db\"

[data_set]
name = \"orders\"
object_key = \"orders.json\"
first_node = 1

[[node]]
id = 1
name = \"berlin\"
store = { kind = \"s3\", endpoint = \"https://s3.example.org\", bucket = \"placement\" }

[[node]]
id = 2
name = \"plant\"
";
        assert_eq!(body("network.toml"), Some(network));
        let agent = "goal = \"response_time <= 30 s\"\n\n[job]\nkind = \"aggregate\"\nexpression = \"avg(amount)\"\n";
        assert_eq!((body("1.toml"), body("2.toml"), files.len()), (Some(agent), Some(agent), 3));
        assert_eq!((settings.network.emulator, settings.network.time_scale.factor()), (EmulatorSettings::None, 1));
        assert_eq!(settings.network.links, []);
        assert_eq!(settings.agents[&AgentId(1)].rho.get(Metric::ResponseTime), Some(15.0));
    }

    #[test]
    fn machines_that_share_a_server_hear_each_other() {
        let mut network = two_nodes();
        let listen =
            |network: &NewNetwork| outline(network).unwrap().settings.network.membership.listen.unwrap().to_string();
        assert_eq!(listen(&network), "127.0.0.1:0");
        network.knowledge = "mysql://agent@db.example.org/agent".to_owned();
        assert_eq!(listen(&network), "0.0.0.0:7946");
        network.knowledge = "mysql://agent@127.0.0.1/agent".to_owned();
        assert_eq!(listen(&network), "127.0.0.1:0");
    }

    #[test]
    fn what_is_said_is_what_is_meant() {
        let mut network = two_nodes();
        let text = "a \"quoted\"\\ name";
        network.nodes.entry(NodeId(1)).and_modify(|node| {
            node.availability = quantity::percent("99.5 %").unwrap();
            node.store = Some("http://10.0.0.4:9000/b?region=eu&path_style=false".parse().unwrap());
            node.profile = Some(text.to_owned());
        });
        network.latencies.insert((NodeId(1), NodeId(2)), 20.5);
        network.data_set.objects = "orders/2026/".to_owned();
        let arguments = vec!["job.py".to_owned(), text.to_owned()];
        network.job = NewJob::Command { program: "python3".to_owned(), arguments: arguments.clone() };
        let Outline { settings: Settings { network, agents }, .. } = outline(&network).unwrap();
        let StoreSettings::S3(store) = &network.nodes[&NodeId(1)].store else { panic!("it is embedded") };
        assert_eq!(store.url.to_string(), "http://10.0.0.4:9000/b?region=eu&path_style=false");
        assert_eq!(store.credentials, CredentialsSettings::Profile(text.to_owned()));
        assert_eq!(network.nodes[&NodeId(1)].availability.value(), 99.5);
        assert_eq!(network.links.iter().map(|link| link.latency_ms).collect::<Vec<_>>(), [20.5, 20.5]);
        assert!(network.data_sets.values().all(|data_set| data_set.selection.is_some()));
        let JobSettings::Command(program) = &agents[&AgentId(2)].job else { panic!("it is no program") };
        assert_eq!(program.arguments, arguments);
    }

    #[test]
    fn what_would_not_be_valid_is_refused() {
        let mut network = two_nodes();
        network.data_set.first_node = NodeId(7);
        let refused = outline(&network).unwrap_err();
        assert!(refused.starts_with("new/network.toml: data_set.first_node: there is no node 7\n"), "{refused}");
    }
}
