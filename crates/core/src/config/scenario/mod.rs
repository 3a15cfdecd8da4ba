//! Scenarios for the simulator: the configuration of real agents in one file, with physics, a schedule of changes and faults.
//! What each field means is in `docs/simulator.md`.

mod fragment;
mod physics;
mod schedule;
mod service;
mod settings;
mod write;

pub use settings::{
    Calm, Change, Fault, FaultKind, Generate, Goals, Lie, Line, Links, Moment, Physics, Rules, Scenario, Service,
    Transfer, When, Writes,
};
pub use write::{write, write_over};

use super::agent::Context;
use super::load::{Vocabulary, unreadable};
use super::problem::{ConfigError, Invalid, Problems};
use super::settings::{AgentSettings, DataSetSettings, NetworkSettings};
use super::{agent, fragment as files, network, quantity};
use crate::domain::action::Action;
use crate::domain::ids::{AgentId, DataSetName, NodeId};
use crate::domain::impact::Impacts;
use crate::domain::metric::Metric;
use fragment::Rest;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A scenario may build on another one, and that on a third.
const MAX_BASES: usize = 4;

const LAYOUT: &str = "a scenario is a TOML file; docs/simulator.md explains every key and has an example";

/// Reads and validates a scenario. All problems are reported at once, except that a file which is not TOML of the right shape
/// only tells its first.
pub fn load(file: &Path, vocabulary: &Vocabulary) -> Result<Scenario, ConfigError> {
    let mut problems = Problems::default();
    problems.enter(&file.display().to_string());
    let text = read(file, &mut problems);
    let scenario = text.and_then(|text| understood(&text, vocabulary, &mut problems));
    problems.settle(scenario)
}

/// The same from a text, whose problems are told of `name`.
pub fn parse(name: &str, text: &str, vocabulary: &Vocabulary) -> Result<Scenario, ConfigError> {
    let mut problems = Problems::default();
    problems.enter(name);
    let scenario = understood(text, vocabulary, &mut problems);
    problems.settle(scenario)
}

/// What a file's text means.
pub(super) fn understood(text: &str, vocabulary: &Vocabulary, problems: &mut Problems) -> Option<Scenario> {
    let written = files::parse(text).map_err(|(place, invalid)| problems.add(place, invalid)).ok()?;
    validate(written, vocabulary, problems)
}

/// What it means with these tables laid over it, one after the other, as a scenario lies over its base; and the text of both.
pub(super) fn varied<'a>(
    text: &str,
    over: impl Iterator<Item = &'a toml::Table>,
    vocabulary: &Vocabulary,
    problems: &mut Problems,
) -> Option<(String, Scenario)> {
    let below: toml::Table = toml::from_str(text).ok()?;
    let text = over.cloned().fold(below, joined).to_string();
    let written = files::parse_joined(&text).map_err(|(place, invalid)| problems.add(place, invalid)).ok()?;
    let scenario = validate(written, vocabulary, problems)?;
    Some((text, scenario))
}

/// The file's text; with its bases joined in, if it builds on others.
pub(super) fn read(file: &Path, problems: &mut Problems) -> Option<String> {
    let text = problems.check("", text_of(file))?;
    let mut table = match toml::from_str::<toml::Table>(&text) {
        Ok(table) if table.contains_key("base") => table,
        // Read again as it is, for the lines of its problems.
        Ok(_) | Err(_) => return Some(text),
    };
    let mut at: PathBuf = file.to_owned();
    for _ in 0..MAX_BASES {
        let Some(base) = table.remove("base") else { return Some(table.to_string()) };
        let name = base.as_str().ok_or_else(|| Invalid::new("is no text", "write it like `base = \"published.toml\"`"));
        at = at.with_file_name(problems.check("base", name)?);
        let below =
            text_of(&at).and_then(|text| toml::from_str(&text).map_err(|error| Invalid::new(error.message(), LAYOUT)));
        table = joined(problems.check(format!("base {}", at.display()), below)?, table);
    }
    problems.add("base", Invalid::new(format!("more than {MAX_BASES} files build on each other"), "join some of them"));
    None
}

fn text_of(file: &Path) -> Result<String, Invalid> {
    std::fs::read_to_string(file).map_err(|error| unreadable(&error, LAYOUT))
}

/// What `over` says replaces what `base` says. Tables are joined key by key, lists of tables with an `id` item by item; other
/// lists are replaced as a whole.
fn joined(mut base: toml::Table, over: toml::Table) -> toml::Table {
    for (key, value) in over {
        // What an agent reads is said in one of two ways.
        match key.as_str() {
            "data_set" => _ = base.remove("data_sets"),
            "data_sets" => _ = base.remove("data_set"),
            _ => {}
        }
        let value = match base.remove(&key) {
            Some(below) => joined_value(below, value),
            None => value,
        };
        base.insert(key, value);
    }
    base
}

fn joined_value(below: toml::Value, above: toml::Value) -> toml::Value {
    use toml::Value::{Array, Table};
    let has_ids = |items: &[toml::Value]| items.iter().all(|item| item.get("id").is_some());
    match (below, above) {
        (Table(below), Table(above)) => Table(joined(below, above)),
        (Array(mut below), Array(above)) if has_ids(&below) && has_ids(&above) => {
            for item in above {
                match below.iter().position(|known| known.get("id") == item.get("id")) {
                    Some(at) => below[at] = joined_value(below[at].clone(), item),
                    None => below.push(item),
                }
            }
            Array(below)
        }
        (_, above) => above,
    }
}

fn validate(written: fragment::Scenario, vocabulary: &Vocabulary, problems: &mut Problems) -> Option<Scenario> {
    let (mut network, mut rest) = written.split();
    if rest.generate.is_some() {
        stand_in(&mut network, &mut rest, problems);
    } else if rest.agent.is_empty() {
        problems.add("agent", Invalid::new("there is no agent", "add one `[[agent]]` with `id` and `goal` for each"));
    }
    let ids = network::node_ids(&network);
    let settings = network::validate(&network, problems);
    let agents = agents(&rest, &network, vocabulary, problems);
    let impacts = impacts(&rest, problems);
    let services = services(&rest, problems);
    let physics = physics::validate(&rest.physics, &ids, problems);
    let changes = schedule::changes(&rest.change, &ids, problems);
    let known: BTreeSet<AgentId> = agents.keys().copied().collect();
    let faults = schedule::faults(&rest.fault, &ids, &known, problems);
    let dishonest = schedule::dishonest(&rest.dishonest, &known, problems);
    let calm = rest.calm.as_ref().and_then(|calm| schedule::calm(calm, &changes, problems));
    let generate = match (&rest.generate, agents.values().next()) {
        (Some(written), Some(template)) => Some(physics::generate(written, template, problems)?),
        (Some(_), None) => return None,
        (None, _) => None,
    };
    let network = settings?;
    let first =
        |(name, data_set): (&DataSetName, &DataSetSettings)| (name.clone(), BTreeSet::from([data_set.first_node]));
    let placed: BTreeMap<DataSetName, BTreeSet<NodeId>> = network.data_sets.iter().map(first).collect();
    schedule::check_joins(&changes, &placed.values().flatten().copied().collect(), problems);
    let sizes = sizes(&rest.sizes, problems);
    let writes = writes(&rest.writes, problems);
    let Rest { name, about, .. } = rest;
    let physics = physics?;
    check_room(&network, &physics, &sizes, generate.as_ref(), problems);
    Some(Scenario {
        name,
        about,
        network,
        agents,
        impacts,
        physics,
        services,
        sizes,
        writes,
        placed,
        changes,
        faults,
        dishonest,
        calm,
        generate,
    })
}

fn sizes(written: &[(String, files::Quantity)], problems: &mut Problems) -> BTreeMap<DataSetName, u64> {
    let read = written.iter().filter_map(|(name, bytes)| {
        let place = format!("data_set {}: bytes", name.escape_debug());
        Some((name.as_str().into(), problems.check(place, quantity::positive_size(bytes))?))
    });
    read.collect()
}

fn writes(written: &[(String, fragment::Writes)], problems: &mut Problems) -> BTreeMap<DataSetName, Writes> {
    let mut read = BTreeMap::new();
    for (name, fragment::Writes { every, bytes }) in written {
        let place = |key: &str| format!("data_set {}: writes.{key}", name.escape_debug());
        let every = problems.check(place("every"), quantity::positive_duration(every));
        let share = quantity::percent(bytes).map(|share| share.value() / 100.0).and_then(quantity::positive);
        let share = problems.check(place("bytes"), share);
        read.extend(every.zip(share).map(|(every, share)| (name.as_str().into(), Writes { every, share })));
    }
    read
}

/// Every data set lies somewhere at the start.
fn check_room(
    network: &NetworkSettings,
    physics: &Physics,
    sizes: &BTreeMap<DataSetName, u64>,
    generate: Option<&Generate>,
    problems: &mut Problems,
) {
    let mut needed: BTreeMap<NodeId, u64> = BTreeMap::new();
    for data_set in network.data_sets.values() {
        let bytes = sizes.get(&data_set.name).copied().unwrap_or(physics.bytes);
        let on_node = needed.entry(data_set.first_node).or_default();
        *on_node = on_node.saturating_add(bytes);
    }
    for (first, needed) in needed {
        let (place, capacity) = match generate {
            Some(generate) => ("generate.capacity".to_owned(), generate.capacity_bytes),
            None => (format!("node {first}: capacity"), network.nodes.get(&first).and_then(|node| node.capacity_bytes)),
        };
        if let Some(capacity) = capacity.filter(|capacity| *capacity < needed) {
            let what = if network.data_sets.len() == 1 { "data set's" } else { "data sets'" };
            let problem = format!("{capacity} B are less than the {what} {needed} B");
            let help = "give the store where the data lies at first room for `physics.bytes`";
            problems.add(place, Invalid::new(problem, help));
        }
    }
}

/// A network that is generated is validated with one node and one agent, which what is generated takes the rest from.
fn stand_in(network: &mut files::Network, rest: &mut Rest, problems: &mut Problems) {
    let listed = [("node", network.node.len()), ("link", network.link.len()), ("agent", rest.agent.len())];
    for (key, _) in listed.into_iter().filter(|(_, count)| *count > 0) {
        problems
            .add(key, Invalid::new("is listed beside `[generate]`", "remove one of them: `[generate]` makes its own"));
    }
    let id = network.data_set.first().map_or(1, |first| first.first_node);
    network.data_set.iter_mut().for_each(|data_set| data_set.first_node = id);
    network.node = vec![files::Node {
        id,
        name: Some("generated".to_owned()),
        availability: None,
        capacity: None,
        labels: None,
        storage_price: None,
        store: files::Store::default(),
    }];
    rest.agent = vec![fragment::Agent {
        id: 1,
        goal: "response_time <= 1 s".to_owned(),
        policy: rest.generate.as_ref().and_then(|generate| generate.policy.clone()),
        node: Some(id),
        may_run_on: None,
        // What is generated says what it reads.
        data_set: network.data_set.first().map(|first| first.name.clone()),
        data_sets: None,
        rho: None,
        cost: None,
        budget: None,
        service: None,
        impacts: None,
    }];
}

fn agents(
    rest: &Rest,
    network: &files::Network,
    vocabulary: &Vocabulary,
    problems: &mut Problems,
) -> BTreeMap<AgentId, AgentSettings> {
    let context = Context { vocabulary, network: Some(network) };
    let mut agents = BTreeMap::new();
    for written in &rest.agent {
        let id = quantity::whole(written.id, 1..=i64::from(u32::MAX)).map(AgentId);
        let Some(id) = problems.check(format!("agent {}: id", written.id), id) else { continue };
        let mut own = problems.within(format!("agent {id}"));
        let agent = agent::validate(id, &written.file(&rest.rho, &rest.cost), &context, &mut own);
        problems.absorb(own);
        if agent.and_then(|agent| agents.insert(id, agent)).is_some() {
            let help = "give each `[[agent]]` an `id` of its own";
            problems.add(format!("agent {id}"), Invalid::new("is listed twice", help));
        }
    }
    agents
}

fn services(rest: &Rest, problems: &mut Problems) -> BTreeMap<AgentId, Service> {
    let mut all = BTreeMap::new();
    for agent in &rest.agent {
        let Some(written) = &agent.service else { continue };
        let mut own = problems.within(format!("agent {}", agent.id));
        let service = written.validate(&mut own);
        problems.absorb(own);
        all.extend(u32::try_from(agent.id).ok().map(AgentId).zip(service));
    }
    all
}

fn impacts(rest: &Rest, problems: &mut Problems) -> BTreeMap<AgentId, BTreeMap<Action, Impacts>> {
    let mut all = BTreeMap::new();
    for agent in &rest.agent {
        let Some(written) = &agent.impacts else { continue };
        // They are about one data set, perhaps those of a file below: what a job over several shows is predicted.
        if agent.data_sets.as_ref().is_some_and(|read| read.len() > 1) {
            continue;
        }
        let place = |action: &str| format!("agent {}: impacts.{action}", agent.id);
        let read = written.iter().filter_map(|(label, values)| {
            let action = label.parse::<Action>().map_err(|error| Invalid::new(error.to_string(), LAYOUT));
            let action = problems.check(place(label), action)?;
            Some((action, problems.check(place(label), vector(values))?))
        });
        let vectors: BTreeMap<Action, Impacts> = read.collect();
        all.extend(u32::try_from(agent.id).map(|id| (AgentId(id), vectors)));
    }
    all
}

/// In the order of the metrics; the last ones may be left out.
fn vector(values: &[f64]) -> Result<Impacts, Invalid> {
    let help = "at most ten numbers from -1 to 1: response time, execution time, throughput, network latency, availability, consistency, staleness, then what a service's requests show: response time p95, p99, error rate";
    if values.len() > Metric::ALL.len() || values.iter().any(|value| !(-1.0..=1.0).contains(value)) {
        return Err(Invalid::new("is no vector of impacts", help));
    }
    Ok(Metric::ALL.into_iter().zip(values.iter().copied()).collect())
}

fn existing(written: i64, ids: &BTreeSet<NodeId>) -> Result<NodeId, Invalid> {
    network::existing_node(written, ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOCABULARY: Vocabulary =
        Vocabulary { policies: &["cooperative", "fixed", "reference"], expression: |_| Ok(()) };

    fn fixture(name: &str) -> String {
        format!("{}/../../fixtures/scenarios/{name}.toml", env!("CARGO_MANIFEST_DIR"))
    }

    fn check_text(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("scenario.toml");
        std::fs::write(&file, text).unwrap();
        match load(&file, &VOCABULARY) {
            Ok(_) => String::new(),
            Err(error) => error.to_string().replace(&file.display().to_string(), "FILE"),
        }
    }

    fn published() -> String {
        std::fs::read_to_string(fixture("published")).unwrap()
    }

    #[test]
    fn every_scenario_that_is_shipped_can_be_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/scenarios");
        let mut read = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                let name = path.file_stem().unwrap().to_string_lossy().into_owned();
                let scenario = load(&path, &VOCABULARY).unwrap_or_else(|error| panic!("error: {error}"));
                assert_eq!(scenario.name, name, "a scenario is called as its file");
                read += 1;
            }
        }
        assert!(read >= 3);
    }

    #[test]
    fn a_scenario_that_builds_on_another_says_only_what_differs() {
        let (below, above) = (Path::new(&fixture("published")).to_owned(), fixture("hopeless"));
        let below = load(&below, &VOCABULARY).unwrap();
        let above = load(Path::new(&above), &VOCABULARY).unwrap();
        assert_eq!(above.network, below.network);
        assert_eq!(above.impacts[&AgentId(1)], below.impacts[&AgentId(1)]);
        assert_ne!(above.agents[&AgentId(2)].goal, below.agents[&AgentId(2)].goal);
    }

    #[test]
    fn every_problem_is_named_with_its_place_and_remedy() {
        let wrong = published()
            .replace("goal = \"throughput", "goal = \"speed")
            .replace("poll = \"1 s\"", "poll = \"1\"")
            .replace("M1_2 = [-0.856", "M1_2 = [-1.856");
        let told = check_text(&wrong);
        assert!(told.contains("FILE: agent 2: goal: unknown metric `speed`"), "{told}");
        assert!(told.contains("FILE: physics.poll: `1` has no unit"), "{told}");
        assert!(told.contains("FILE: agent 1: impacts.M1_2: is no vector of impacts"), "{told}");
    }

    #[test]
    fn faults_name_what_they_need() {
        let with = |fault: &str| check_text(&format!("{}\n[[fault]]\n{fault}\n", published()));
        assert_eq!(with("kind = \"node_down\"\nat = \"1 h\"\nlasts = \"5 min\"\nnode = 2"), "");
        let told = with("kind = \"node_down\"\nlasts = \"5 min\"\nnode = 9");
        assert!(told.contains("fault 1: there is no node 9") && told.contains("fault 1: does not say when"), "{told}");
        let told = with("kind = \"sunny\"\nat = \"1 h\"\nlasts = \"5 min\"");
        assert!(told.contains("fault 1: kind: `sunny` is not a kind of fault"), "{told}");
        assert_eq!(with("kind = \"agent_down\"\nupon = \"transfer\"\nlasts = \"5 min\"\nagent = 2"), "");
        let told = with("kind = \"agent_down\"\nupon = \"noon\"\nlasts = \"5 min\"");
        assert!(told.contains("fault 1: upon: `noon` is no moment of an agent"), "{told}");
        let told = with("kind = \"node_down\"\nupon = \"transfer\"\nlasts = \"5 min\"");
        assert!(told.contains("fault 1: only an agent goes down upon what it does"), "{told}");
    }

    #[test]
    fn a_change_of_what_has_not_joined_is_refused() {
        let with = |changes: &str| check_text(&format!("{}\n{changes}", published()));
        let link = "[[change]]\nat = \"5 min\"\nlink = [{ between = [1, 2], latency = \"10 ms\" }]\n";
        let join = |at: &str| format!("[[change]]\nat = \"{at}\"\njoin = [2]\n");
        assert_eq!(with(link), "");
        assert_eq!(with(&format!("{}{link}", join("5 min"))), "");
        let told = with(&format!("{link}{}", join("6 min")));
        assert!(told.contains("change at 300 s: node 2 has not joined yet"), "{told}");
        let node = "[[change]]\nat = \"1 min\"\nnode = [{ id = 2, availability = \"75 %\" }]\n";
        let told = with(&format!("{node}{}", join("2 min")));
        assert!(told.contains("change at 60 s: node 2 has not joined yet"), "{told}");
        let told = with(&format!("{}{}", join("1 min"), join("2 min")));
        assert!(told.contains("change at 120 s: node 2 joins a second time"), "{told}");
        let told = with("[[change]]\nat = \"1 min\"\njoin = [3]\n");
        assert!(told.contains("change at 60 s: the data set lies on node 3 from the start"), "{told}");
    }

    #[test]
    fn the_data_set_has_room_where_it_lies_at_first() {
        let told = check_text(&published().replace("name = \"edge\"", "name = \"edge\"\ncapacity = \"1 MB\""));
        assert!(told.contains("node 3: capacity: 1000000 B are less than the data set's"), "{told}");
    }

    #[test]
    fn calm_comes_after_the_last_change_and_leaves_time() {
        let with = |from: &str, by: &str| {
            let change = "[[change]]\nat = \"5 min\"\nlink = [{ between = [1, 2], latency = \"10 ms\" }]\n";
            check_text(&format!("{}\n{change}[calm]\nfrom = \"{from}\"\nhealed_by = \"{by}\"\n", published()))
        };
        assert_eq!(with("5 min", "1 h"), "");
        assert!(with("4 min", "1 h").contains("calm.from: a change comes later, at 300 s"));
        assert!(with("1 h", "1 h").contains("calm.healed_by: leaves no time to heal"));
    }

    #[test]
    fn who_lies_is_an_agent_and_how_is_known() {
        let with = |id: u32, says: &str| {
            check_text(&format!("{}\n[[dishonest]]\nid = {id}\nsays = \"{says}\"\n", published()))
        };
        assert_eq!(with(2, "cunning"), "");
        assert!(with(9, "worst").contains("dishonest 1: there is no agent 9"));
        assert!(with(2, "truth").contains("dishonest 1: says: `truth` is no lie"));
    }
}
