//! The files of a configuration: found, read, validated together.

use super::problem::{ConfigError, Invalid, Problems, Unwritten};
use super::settings::Settings;
use super::{agent, fragment, network, secrecy};
use crate::domain::ids::AgentId;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

/// What other modules understand: configuration is held against it without knowing them.
#[derive(Clone, Copy, Debug)]
pub struct Vocabulary {
    /// The names of the policies.
    pub policies: &'static [&'static str],
    /// Whether an aggregate job's expression can be read.
    pub expression: fn(&str) -> Result<(), Invalid>,
}

pub(super) const NETWORK: &str = "network.toml";

pub(super) const LAYOUT: &str =
    "a configuration is a folder with network.toml and one N.toml for each agent; see docs/configuration.md";

/// The three-node environment, compiled in.
const BUILT_IN_NETWORK: &str = include_str!("../../../../agents/network.toml");
const BUILT_IN_AGENTS: [(AgentId, &str); 3] = [
    (AgentId(1), include_str!("../../../../agents/1.toml")),
    (AgentId(2), include_str!("../../../../agents/2.toml")),
    (AgentId(3), include_str!("../../../../agents/3.toml")),
];

/// Reads and validates the configuration in a folder, or the built-in three-node environment. All problems are reported at
/// once, except that a file which is not TOML of the right shape only tells its first.
pub fn load(directory: Option<&Path>, vocabulary: &Vocabulary) -> Result<Settings, ConfigError> {
    load_all(directory, vocabulary).map(|(settings, _)| settings)
}

/// The same with what is not written, and what that means.
pub fn load_all(directory: Option<&Path>, vocabulary: &Vocabulary) -> Result<(Settings, Vec<Unwritten>), ConfigError> {
    let mut problems = Problems::default();
    let sources = match directory {
        Some(directory) => Sources::read(directory, &mut problems),
        None => Sources::built_in(),
    };
    sources.settle(vocabulary, problems)
}

/// A file and what it holds.
pub(super) struct Source {
    pub file: String,
    pub text: String,
}

#[derive(Default)]
pub(super) struct Sources {
    pub network: Option<Source>,
    pub agents: BTreeMap<AgentId, Source>,
}

impl Sources {
    fn built_in() -> Self {
        let source = |name: &str, text: &str| Source { file: format!("built-in {name}"), text: text.to_owned() };
        let agents = BUILT_IN_AGENTS.map(|(id, text)| (id, source(&format!("{id}.toml"), text)));
        Self { network: Some(source(NETWORK, BUILT_IN_NETWORK)), agents: BTreeMap::from(agents) }
    }

    fn read(directory: &Path, problems: &mut Problems) -> Self {
        problems.enter(&directory.display().to_string());
        let Some(names) = problems.check("", toml_files(directory).map_err(|error| unreadable(&error, LAYOUT))) else {
            return Self::default();
        };
        if !names.iter().any(|name| agent_of(name).is_some()) {
            problems.add("", Invalid::new("there is no agent", "add one N.toml for each agent, `1.toml` for agent 1"));
        }
        let network = Source::read(directory, NETWORK, problems);
        let mut agents = BTreeMap::new();
        for name in names.iter().filter(|name| *name != NETWORK) {
            match agent_of(name) {
                Some(id) => agents.extend(Source::read(directory, name, problems).map(|source| (id, source))),
                None => {
                    problems.enter(&directory.join(name).display().to_string());
                    problems
                        .add("", Invalid::new("does not belong to an agent: its name is not a number from 1", LAYOUT));
                }
            }
        }
        Self { network, agents }
    }

    /// What they mean, if nothing is wrong with them, and what is not written in them.
    pub fn settle(
        &self,
        vocabulary: &Vocabulary,
        mut problems: Problems,
    ) -> Result<(Settings, Vec<Unwritten>), ConfigError> {
        let settings = self.settings(vocabulary, &mut problems);
        let unwritten = problems.unwritten();
        problems.settle(settings).map(|settings| (settings, unwritten))
    }

    /// `None` after noting at least one problem.
    fn settings(&self, vocabulary: &Vocabulary, problems: &mut Problems) -> Option<Settings> {
        let written: Option<fragment::Network> = self.network.as_ref().and_then(|source| source.parse(problems));
        let network = written.as_ref().and_then(|written| network::validate(written, problems));
        let context = agent::Context { vocabulary, network: written.as_ref() };
        let mut agents = BTreeMap::new();
        for (id, source) in &self.agents {
            let agent = source.parse(problems).and_then(|written| agent::validate(*id, &written, &context, problems));
            agents.extend(agent.map(|agent| (*id, agent)));
        }
        Some(Settings { network: network?, agents })
    }
}

impl Source {
    fn read(directory: &Path, name: &str, problems: &mut Problems) -> Option<Self> {
        let path = directory.join(name);
        let file = path.display().to_string();
        problems.enter(&file);
        let text = problems.check("", std::fs::read_to_string(&path).map_err(|error| unreadable(&error, LAYOUT)))?;
        secrecy::warn_of_readers(&path, &text);
        Some(Self { file, text })
    }

    /// Its shape; problems that follow are this file's.
    fn parse<T: DeserializeOwned>(&self, problems: &mut Problems) -> Option<T> {
        problems.enter(&self.file);
        fragment::parse(&self.text).map_err(|(place, invalid)| problems.add(place, invalid)).ok()
    }
}

fn toml_files(directory: &Path) -> io::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".toml") && !name.starts_with('.') {
            names.insert(name);
        }
    }
    Ok(names)
}

/// `12.toml` is agent 12's; `012.toml` would be a second one of the same agent.
fn agent_of(name: &str) -> Option<AgentId> {
    let number = name.strip_suffix(".toml")?;
    number.parse().ok().filter(|id: &AgentId| id.0 > 0 && id.to_string() == number)
}

/// A file that cannot be read; `layout` says what it should be.
pub(super) fn unreadable(error: &io::Error, layout: &str) -> Invalid {
    if error.kind() == io::ErrorKind::NotFound {
        Invalid::new("does not exist", layout)
    } else if error.kind() == io::ErrorKind::InvalidData {
        Invalid::new("is not UTF-8 text", "save the file as UTF-8")
    } else {
        Invalid::new(format!("cannot be read: {error}"), layout)
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::{
        CredentialsSettings, EmulatorSettings, HistorySettings, JobSettings, KnowledgeSettings, NodeSettings,
        ProgramSettings, SparkSettings, StoreSettings,
    };
    use super::*;
    use crate::domain::action::ActionType;
    use crate::domain::ids::NodeId;
    use crate::domain::metric::Metric;
    use crate::domain::time::Timestamp;
    use std::time::Duration;

    const VOCABULARY: Vocabulary =
        Vocabulary { policies: &["reference", "fixed", "cooperative"], expression: |_| Ok(()) };

    #[test]
    fn the_built_in_configuration_is_the_three_node_environment() {
        let Settings { network, agents } = load(None, &VOCABULARY).unwrap();
        assert_eq!(network.knowledge, KnowledgeSettings::Sqlite("network.db".into()));
        assert_eq!(network.time_scale.factor(), 50);
        assert_eq!(network.emulator, EmulatorSettings::Embedded);
        assert_eq!(network.data_sets.values().next().unwrap().generate_records, Some(553_729));
        assert_eq!(network.data_sets.values().next().unwrap().first_node, NodeId(3));
        let availabilities: Vec<_> = network.nodes.values().map(|node| node.availability.value()).collect();
        assert_eq!(availabilities, [97.0, 80.0, 85.0]);
        let any_port = StoreSettings::default();
        assert!(network.nodes.values().all(|node| node.store == any_port && node.capacity_bytes.is_none()));
        let latencies: Vec<_> = network.links.iter().map(|link| (link.from.0, link.to.0, link.latency_ms)).collect();
        let expected = [(1, 2, 1000.0), (1, 3, 1500.0), (2, 1, 1000.0), (2, 3, 1200.0), (3, 1, 1500.0), (3, 2, 1200.0)];
        assert_eq!(latencies, expected);
        assert_eq!(network.feedback.window, Duration::from_secs(210));
        assert_eq!(network.rhythm.lease, Duration::from_secs(300));

        let ids: Vec<_> = agents.iter().map(|(id, agent)| (id.0, agent.node.0, agent.policy.as_str())).collect();
        assert_eq!(ids, [(1, 1, "cooperative"), (2, 2, "cooperative"), (3, 3, "cooperative")]);
        let third = &agents[&AgentId(3)];
        assert_eq!(third.goal.to_string(), "data_consistency >= 0.7 or network_latency <= 1300 ms");
        assert_eq!(third.rho.get(Metric::NetworkLatency), Some(2000.0));
        assert_eq!(third.costs[&ActionType::Copy], 1.8);
        assert_eq!(third.costs[&ActionType::Nothing], 1.0);
        let job =
            JobSettings::Aggregate { expression: "avg(cholesterol)".to_owned(), path: None, request_bytes: 9_000_000 };
        assert_eq!(third.job, job);
    }

    fn fixture(name: &str) -> Settings {
        let directory = Path::new("../../fixtures/configurations/valid").join(name);
        load(Some(&directory), &VOCABULARY).unwrap_or_else(|error| panic!("error: {error}"))
    }

    #[test]
    fn a_fourth_node_joins_as_the_document_shows() {
        let Settings { network, agents } = fixture("four_nodes");
        assert_eq!((network.nodes.len(), network.links.len(), agents.len()), (4, 12, 4));
        let latency = |from, to| {
            let link = network.links.iter().find(|link| link.from == NodeId(from) && link.to == NodeId(to)).unwrap();
            (link.latency_ms, link.jitter_ms)
        };
        assert_eq!((latency(4, 1), latency(1, 4), latency(3, 4)), ((1800.0, 20.0), (1600.0, 0.0), (300.0, 0.0)));
        assert_eq!(network.nodes[&NodeId(4)].capacity_bytes, Some(1_000_000_000));

        let document = include_str!("../../../../docs/configuration.md");
        let files = [
            include_str!("../../../../fixtures/configurations/valid/four_nodes/network.toml"),
            include_str!("../../../../fixtures/configurations/valid/four_nodes/4.toml"),
        ];
        // Those of its steps are indented.
        let snippets =
            document.split("   ```toml\n").skip(1).map(|rest| rest.split("   ```").next().unwrap_or_default());
        let snippets: Vec<String> = snippets.map(|text| text.replace("\n   ", "\n").trim().to_owned()).collect();
        assert_eq!(snippets.len(), files.len());
        for (snippet, file) in snippets.iter().zip(files) {
            assert!(file.contains(snippet), "not in the fixture:\n{snippet}");
        }
    }

    #[test]
    fn every_optional_key_and_unit_is_read() {
        let Settings { network, agents } = fixture("real_stores");
        assert_eq!(network.emulator, EmulatorSettings::None);
        assert_eq!(network.data_sets.values().next().unwrap().generate_records, None);
        let (plant, office) = (&network.nodes[&NodeId(10)], &network.nodes[&NodeId(20)]);
        let s3 = |node: &NodeSettings| match &node.store {
            StoreSettings::S3(store) => store.clone(),
            StoreSettings::Embedded { .. } => panic!("{} has an embedded store", node.name),
        };
        let (plant_store, office_store) = (s3(plant), s3(office));
        assert_eq!(plant_store.url.to_string(), "http://[fd00::10]:9000/plant");
        assert_eq!((plant_store.credentials, plant_store.ca), (CredentialsSettings::Environment, None));
        assert_eq!(office_store.url.to_string(), "https://s3.example.org/office?region=eu-central-1&path_style=false");
        assert_eq!(office_store.credentials, CredentialsSettings::Profile("office".to_owned()));
        assert_eq!(office_store.ca, Some("/etc/agent/ca.pem".into()));
        assert_eq!(plant.capacity_bytes, Some(500 * 1024 * 1024 * 1024));
        let links: Vec<_> = network.links.iter().map(|link| (link.from.0, link.latency_ms, link.jitter_ms)).collect();
        assert_eq!(links, [(10, 20.0, 0.0), (20, 35.0, 0.5)]);
        assert_eq!(network.feedback.window, Duration::from_secs(210));
        let at = |hour: u32| network.rhythm.job_gap.after(Timestamp(i64::from(hour) * 3_600_000)).as_secs_f64();
        assert_eq!([0, 6, 12, 18].map(at), [500.0, 20.0, 20.0, 100.0], "by the time of the day");
        let document = include_str!("../../../../docs/configuration.md");
        assert!(document.contains("job_gap = { ticks = [0.002, 0.05, 0.05, 0.01], interval = \"6 h\" }"));

        let agent = &agents[&AgentId(7)];
        assert_eq!((agent.node, agent.policy.as_str()), (NodeId(20), "reference"));
        assert_eq!(agent.listen, std::net::IpAddr::from(std::net::Ipv6Addr::LOCALHOST));
        let job = JobSettings::Command(ProgramSettings {
            program: "python3".to_owned(),
            arguments: ["average.py", "--field", "temperature"].map(str::to_owned).to_vec(),
            time_limit: Duration::from_secs(600),
            request_bytes: 64 * 1024 * 1024,
            count_traffic: None,
        });
        assert_eq!(agent.job, job);
    }

    /// The built-in configuration with one text of the network's file replaced.
    fn changed(from: &str, to: &str, agent_from: &str, agent_to: &str) -> Result<Settings, ConfigError> {
        let mut sources = Sources::built_in();
        let replace = |source: &mut Source, from: &str, to: &str| {
            assert!(source.text.contains(from), "there is no `{from}`");
            source.text = source.text.replace(from, to);
        };
        sources.network.iter_mut().for_each(|network| replace(network, from, to));
        sources.agents.values_mut().for_each(|agent| replace(agent, agent_from, agent_to));
        let mut problems = Problems::default();
        let settings = sources.settings(&VOCABULARY, &mut problems);
        problems.settle(settings)
    }

    /// A folder of two nodes with as little as can be written, and more.
    fn little(network: &str, agent: &str) -> Result<(Settings, Vec<Unwritten>), ConfigError> {
        let text =
            "data_set = { name = \"d\", object_key = \"d.json\", first_node = 1 }\nnode = [{ id = 1 }, { id = 2 }]\n";
        let source = |file: &str, text: String| Source { file: file.to_owned(), text };
        let job = "job = { kind = \"aggregate\", expression = \"count(*)\" }\n";
        let agents = [(AgentId(1), source("1.toml", format!("goal = \"response_time <= 35 s\"\n{job}{agent}")))];
        let network = Some(source("network.toml", format!("{network}{text}")));
        Sources { network, agents: agents.into() }.settle(&VOCABULARY, Problems::default())
    }

    #[test]
    fn what_is_not_written_is_by_default_a_real_network_and_told() {
        let (Settings { network, agents }, unwritten) = little("", "[rho]\nexecution_time = \"3 s\"").unwrap();
        assert_eq!(network.knowledge, KnowledgeSettings::Sqlite("network.db".into()));
        assert_eq!((network.emulator, network.time_scale.factor(), network.links), (EmulatorSettings::None, 1, vec![]));
        assert_eq!(
            (network.nodes[&NodeId(2)].name.as_str(), network.nodes[&NodeId(2)].availability.value()),
            ("node-2", 100.0)
        );
        // Of the others the environment states what the defaults are.
        let environment = load(None, &VOCABULARY).unwrap();
        assert_eq!((network.feedback, network.learning), (environment.network.feedback, environment.network.learning));
        assert_eq!(network.rhythm, environment.network.rhythm);
        let agent = &agents[&AgentId(1)];
        assert_eq!(agent.costs, environment.agents[&AgentId(1)].costs);
        let rho = |metric| agent.rho.get(metric);
        assert_eq!((rho(Metric::ResponseTime), rho(Metric::ExecutionTime)), (Some(17.5), Some(3.0)));
        assert_eq!((rho(Metric::Availability), rho(Metric::Staleness)), (Some(25.0), None));
        let told = |table: &str| {
            let of_table = unwritten.iter().filter(|one| one.table == table);
            of_table.map(|one| format!("{}: {} = {}", one.file, one.key, one.value)).collect::<Vec<_>>().join("; ")
        };
        assert_eq!(told("node 2"), "network.toml: name = \"node-2\"");
        assert_eq!(
            told("feedback"),
            "network.toml: window = \"210 s\"; network.toml: threshold = 0.3; network.toml: grace = \"60 s\""
        );
        let rho = "1.toml: response_time = \"17.5 s\"; 1.toml: throughput = \"3000 records/s\"; 1.toml: network_latency = \"2000 ms\"; \
                   1.toml: availability = \"25 %\"; 1.toml: data_consistency = 0.5";
        assert_eq!(told("rho"), rho);
        assert_eq!(told("job"), "1.toml: request_size = \"8 MiB\"");
    }

    #[test]
    fn links_are_stated_or_measured_and_an_emulator_has_to_know_them() {
        let link = "link = [{ between = [1, 2], egress_price = \"0.09 EUR/GB\" }]\n";
        let network = little(link, "").unwrap().0.network;
        assert_eq!((network.links, network.tariff.egress.len()), (vec![], 2));
        let network = little("link = [{ from = 1, to = 2, latency = \"20\" }]\n", "").unwrap().0.network;
        assert_eq!(network.links.len(), 1);
        let refused = |written: &str| little(written, "").unwrap_err().problems()[0].clone();
        let jitter = refused("link = [{ between = [1, 2], jitter = \"1 ms\" }]\n");
        assert_eq!((jitter.place.as_str(), jitter.problem.as_str()), ("link 1-2: latency", "is missing"));
        assert_eq!(refused("emulator = \"embedded\"\n").problem, "there is no link between nodes 1 and 2");
        let latency = refused(&format!("emulator = \"embedded\"\n{link}"));
        assert_eq!((latency.place.as_str(), latency.problem.as_str()), ("link 1-2: latency", "is missing"));
    }

    #[test]
    fn an_emulator_elsewhere_is_named_by_its_address() {
        let address = "emulator = \"http://toxiproxy.example.org:8474/\"";
        let settings = changed("emulator = \"embedded\"", address, "goal", "goal").unwrap();
        let expected = EmulatorSettings::Toxiproxy("http://toxiproxy.example.org:8474".to_owned());
        assert_eq!(settings.network.emulator, expected);
    }

    #[test]
    fn a_program_is_not_sent_to_a_store_that_it_cannot_reach() {
        let cloud =
            "name = \"cloud\"\nstore = { kind = \"s3\", endpoint = \"https://s3.example.org\", bucket = \"b\" }";
        let (aggregate, command) = (
            "kind = \"aggregate\"\nexpression = \"avg(cholesterol)\"",
            "kind = \"command\"\nprogram = \"job\"\ntime_limit = \"1 min\"",
        );
        assert!(changed("name = \"cloud\"", cloud, aggregate, aggregate).is_ok());
        let refused = changed("name = \"cloud\"", cloud, aggregate, command).unwrap_err();
        let first = &refused.problems()[0];
        assert_eq!((first.file.as_str(), first.place.as_str()), ("built-in 1.toml", "job.kind"));
        assert!(first.problem.contains("the store of node 1, behind HTTPS"), "{first}");
    }

    #[test]
    fn an_application_of_spark_needs_little_and_may_say_much() {
        let aggregate = "kind = \"aggregate\"\nexpression = \"avg(cholesterol)\"";
        let spark = |written: &str| {
            let job = format!("kind = \"spark\"\napplication = \"average.py\"\ntime_limit = \"1 min\"\n{written}");
            let settings = changed("first_node", "first_node", aggregate, &job).unwrap();
            match settings.agents[&AgentId(1)].job.clone() {
                JobSettings::Spark(spark) => spark,
                other => panic!("{other:?}"),
            }
        };
        let submit = ProgramSettings {
            program: "spark-submit".to_owned(),
            arguments: Vec::new(),
            time_limit: Duration::from_secs(60),
            request_bytes: 9_000_000,
            count_traffic: None,
        };
        let least = SparkSettings {
            submit: submit.clone(),
            application: "average.py".to_owned(),
            main_class: None,
            master: "local[*]".to_owned(),
            conf: BTreeMap::new(),
            history: None,
        };
        assert_eq!(spark(""), least);
        let most = spark(
            "program = \"/opt/spark/bin/spark-submit\"\narguments = [\"cholesterol\"]\nmain_class = \"org.example.Average\"\n\
             master = \"spark://10.0.0.4:7077\"\nhistory_server = \"http://10.0.0.4:18080/\"\nhistory_wait = \"1 min\"\n\
             event_log_dir = \"hdfs:///logs\"\ncount_traffic = true\n\
             conf = { spark.executor.cores = 2, \"spark.executor.memory\" = \"2g\", spark.ui.enabled = false }",
        );
        let conf = [("spark.executor.cores", "2"), ("spark.executor.memory", "2g"), ("spark.ui.enabled", "false")];
        let expected = SparkSettings {
            submit: ProgramSettings {
                program: "/opt/spark/bin/spark-submit".to_owned(),
                arguments: vec!["cholesterol".to_owned()],
                count_traffic: Some(true),
                ..submit
            },
            application: "average.py".to_owned(),
            main_class: Some("org.example.Average".to_owned()),
            master: "spark://10.0.0.4:7077".to_owned(),
            conf: conf.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            history: Some(HistorySettings {
                server: "http://10.0.0.4:18080".to_owned(),
                wait: Duration::from_secs(60),
                event_log_dir: Some("hdfs:///logs".to_owned()),
            }),
        };
        assert_eq!(most, expected);
        let shown = JobSettings::Spark(most).to_string();
        assert_eq!(shown, "/opt/spark/bin/spark-submit --master spark://10.0.0.4:7077 average.py cholesterol");
    }

    #[test]
    fn only_plain_numbers_name_agents() {
        assert_eq!(agent_of("12.toml"), Some(AgentId(12)));
        for name in ["0.toml", "012.toml", "+1.toml", "one.toml", "1.tml", ".toml", "99999999999.toml"] {
            assert_eq!(agent_of(name), None, "{name}");
        }
    }
}
