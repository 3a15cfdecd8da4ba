//! Scenarios as text: what `load` reads back as it was.

use super::settings::{
    Calm, Change, Fault, FaultKind, Generate, Goals, Line, Links, Physics, Rules, Scenario, Service, Transfer, When,
    Writes,
};
use crate::config::settings::{NodeSettings, ScrubSettings};
use crate::config::{defaults, quantity};
use crate::domain::action::ActionType;
use crate::domain::books::{Payer, Tariff};
use crate::domain::constraints::Constraints;
use crate::domain::ids::NodeId;
use crate::domain::impact::{Impacts, Rho};
use crate::domain::job_gap::JobGap;
use crate::domain::labels::Labels;
use crate::domain::manifest::Extent;
use crate::domain::metric::Metric;
use crate::domain::placement::Link;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

/// Writing to a string cannot fail.
macro_rules! line {
    ($text:expr) => { $text.push('\n') };
    ($text:expr, $($part:tt)*) => {{ let _never_fails = writeln!($text, $($part)*); }};
}

/// The whole file. `remark` comes first, as a comment. A scenario whose network is generated is written as it was read, before its
/// network was made.
pub fn write(remark: &str, scenario: &Scenario) -> String {
    let mut text = head(remark, None, &scenario.name, &scenario.about);
    let budget = scenario.network.tariff.budgets.get(&Payer::Network);
    budget.into_iter().for_each(|budget| line!(text, "budget = \"{budget}\""));
    network(&mut text, scenario);
    physics(&mut text, &scenario.physics);
    agents(&mut text, scenario);
    scenario.generate.iter().for_each(|generate| self::generate(&mut text, generate));
    scenario.changes.iter().for_each(|change| self::change(&mut text, change));
    scenario.faults.iter().for_each(|fault| self::fault(&mut text, fault));
    for (agent, lie) in &scenario.dishonest {
        line!(text, "\n[[dishonest]]\nid = {agent}\nsays = \"{}\"", lie.name());
    }
    if let Some(Calm { from, healed_by }) = scenario.calm {
        line!(text, "\n[calm]\nfrom = {}\nhealed_by = {}", duration(from), duration(healed_by));
    }
    text
}

/// A file with another physics for the scenario in the file `base`.
pub fn write_over(remark: &str, base: &str, name: &str, about: &str, physics: &Physics) -> String {
    let mut text = head(remark, Some(base), name, about);
    self::physics(&mut text, physics);
    text
}

fn head(remark: &str, base: Option<&str>, name: &str, about: &str) -> String {
    let mut text = String::new();
    remark.lines().for_each(|remark| line!(text, "{}", format!("# {remark}").trim_end()));
    line!(text);
    base.into_iter().for_each(|base| line!(text, "base = {}", quoted(base)));
    line!(text, "name = {}\nabout = {}", quoted(name), quoted(about));
    text
}

fn network(text: &mut String, scenario: &Scenario) {
    let network = &scenario.network;
    let head = if network.data_sets.len() == 1 { "[data_set]" } else { "[[data_set]]" };
    for data_set in network.data_sets.values() {
        line!(text, "\n{head}\nname = {}", quoted(&data_set.name.0));
        // Nothing is read in a simulation: a set is one object there, as large as all of its objects.
        line!(text, "object_key = {}", quoted(Extent::of(&data_set.object_key).name()));
        data_set.generate_records.into_iter().for_each(|records| line!(text, "generate_records = {records}"));
        line!(text, "first_node = {}", data_set.first_node);
        constraints(text, &data_set.constraints);
        scenario.sizes.get(&data_set.name).into_iter().for_each(|bytes| line!(text, "bytes = \"{bytes} B\""));
        if let Some(Writes { every, share }) = scenario.writes.get(&data_set.name) {
            line!(text, "writes = {{ every = {}, bytes = \"{:?} %\" }}", duration(*every), share * 100.0);
        }
    }
    if scenario.generate.is_none() {
        network.nodes.values().for_each(|node| self::node(text, node, &network.tariff));
        links(text, &network.links, &network.tariff);
    }
    let feedback = &network.feedback;
    line!(text, "\n[feedback]\nwindow = {}", duration(feedback.window));
    line!(text, "threshold = {:?}\ngrace = {}", feedback.threshold, duration(feedback.grace));
    let learning = &network.learning;
    line!(text, "\n[learning]\nlearning_rate = {:?}", learning.learning_rate);
    line!(text, "exploration = {:?}\npenalty = {:?}", learning.exploration, learning.penalty);
    line!(text, "max_copies = {}", learning.max_copies);
    let rhythm = &network.rhythm;
    match &rhythm.job_gap {
        JobGap::Mean(mean) => line!(text, "\n[rhythm]\njob_gap = {}", duration(*mean)),
        JobGap::Profile(recurring) => line!(text, "\n[rhythm]\njob_gap = {}", toml(recurring.profile())),
    }
    line!(text, "job_gap_deviation = {}", duration(rhythm.job_gap_deviation));
    line!(text, "heartbeat = {}\nlease = {}", duration(rhythm.heartbeat), duration(rhythm.lease));
    line!(text, "drain = {}\nprobes = {}", duration(rhythm.drain), rhythm.probes);
    match rhythm.watch {
        None => line!(text, "watch = \"never\""),
        Some(every) if quantity::duration(defaults::WATCH) != Ok(every) => line!(text, "watch = {}", duration(every)),
        Some(_) => {}
    }
    if let Some(ScrubSettings { every, bytes_per_s }) = rhythm.scrub {
        line!(text, "scrub = {}\nscrub_rate = \"{bytes_per_s} B/s\"", duration(every));
    }
}

/// All in a line, so that what follows still belongs to the data set.
fn constraints(text: &mut String, constraints: &Constraints) {
    let listed = constraints.listed();
    if !listed.is_empty() {
        line!(text, "constraints = {{ {} }}", listed.join(", "));
    }
}

fn labels(text: &mut String, labels: &Labels) {
    let written = labels.iter().map(|(name, value)| format!("{} = {}", quoted(name), quoted(value)));
    if !labels.is_empty() {
        line!(text, "labels = {{ {} }}", written.collect::<Vec<_>>().join(", "));
    }
}

fn node(text: &mut String, node: &NodeSettings, tariff: &Tariff) {
    line!(text, "\n[[node]]\nid = {}\nname = {}", node.id, quoted(&node.name));
    line!(text, "availability = \"{}\"", node.availability.in_force());
    node.capacity_bytes.into_iter().for_each(|bytes| line!(text, "capacity = \"{bytes} B\""));
    labels(text, &node.labels);
    tariff.storage.get(&node.id).into_iter().for_each(|price| line!(text, "storage_price = \"{price}\""));
}

/// Links that are alike in both directions are one.
fn links(text: &mut String, links: &[Link], tariff: &Tariff) {
    let price = |link: &Link| tariff.egress.get(&(link.from, link.to));
    for link in links {
        let is_back = |back: &&Link| (back.from, back.to) == (link.to, link.from);
        let alike = |back: &Link| {
            (back.latency_ms, back.jitter_ms, price(back)) == (link.latency_ms, link.jitter_ms, price(link))
        };
        match links.iter().find(is_back) {
            Some(back) if alike(back) && link.from > link.to => continue,
            Some(back) if alike(back) => line!(text, "\n[[link]]\nbetween = [{}, {}]", link.from, link.to),
            _ => line!(text, "\n[[link]]\nfrom = {}\nto = {}", link.from, link.to),
        }
        line!(text, "latency = \"{} ms\"\njitter = \"{} ms\"", link.latency_ms, link.jitter_ms);
        price(link).into_iter().for_each(|price| line!(text, "egress_price = \"{price}\""));
    }
}

fn physics(text: &mut String, physics: &Physics) {
    line!(text, "\n[physics]\nresponse_time = {}", self::line(physics.response_time));
    line!(text, "execution_time = {}", self::line(physics.execution_time));
    line!(text, "bytes = \"{} B\"\npoll = {}", physics.bytes, duration(physics.poll));
    let rules = match physics.rules {
        Rules::Agents => "agents",
        Rules::Published => "published",
    };
    line!(text, "rules = \"{rules}\"\njob_failure = {}", duration(physics.job_failure));
    line!(text, "transfer_failures = \"{} %\"", percent(physics.transfer_failures));
    line!(text, "replies_lost = \"{} %\"", percent(physics.replies_lost));
    if physics.links == Links::Measured {
        line!(text, "links = \"measured\"");
    }
    match &physics.transfer {
        Transfer::Takes(long) => line!(text, "transfer = {}", duration(*long)),
        Transfer::Rates { link, store, of_links, of_stores } => {
            line!(text, "link_rate = \"{link} B/s\"\nstore_rate = \"{store} B/s\"");
            for (node, rate) in of_stores {
                line!(text, "\n[[physics.rate]]\nnode = {node}\nrate = \"{rate} B/s\"");
            }
            for ((a, b), rate) in of_links.iter().filter(|((a, b), _)| a < b) {
                line!(text, "\n[[physics.rate]]\nbetween = [{a}, {b}]\nrate = \"{rate} B/s\"");
            }
        }
    }
}

fn line(line: Line) -> String {
    let Line { base, slope, deviation } = line;
    format!("{{ base = {}, per_second_of_latency = {slope:?}, deviation = {} }}", duration(base), duration(deviation))
}

/// What the first agent has stands for all, and others say where they differ.
fn agents(text: &mut String, scenario: &Scenario) {
    let template = scenario.generate.as_ref().map(|generate| &generate.template);
    let Some(first) = template.or_else(|| scenario.agents.values().next()) else { return };
    line!(text, "\n# Of the agents that state none of their own.");
    line!(text, "[rho]\n{}", rho(&first.rho).join("\n"));
    line!(text, "\n[cost]\n{}", costs(&first.costs).join("\n"));
    if template.is_some() {
        return;
    }
    for agent in scenario.agents.values() {
        line!(text, "\n[[agent]]\nid = {}\ngoal = {}", agent.id, quoted(&agent.goal_text));
        line!(text, "policy = {}", quoted(&agent.policy));
        if agent.node != agent.id.home() {
            line!(text, "node = {}", agent.node);
        }
        if !agent.may_run_on.is_empty() {
            let nodes: Vec<String> = agent.may_run_on.iter().map(ToString::to_string).collect();
            line!(text, "may_run_on = [{}]", nodes.join(", "));
        }
        if scenario.network.data_sets.len() > 1 {
            match agent.data_sets.as_slice() {
                [only] => line!(text, "data_set = {}", quoted(&only.0)),
                several => {
                    let names: Vec<String> = several.iter().map(|name| quoted(&name.0)).collect();
                    line!(text, "data_sets = [{}]", names.join(", "));
                }
            }
        }
        if agent.rho != first.rho {
            line!(text, "rho = {{ {} }}", rho(&agent.rho).join(", "));
        }
        if agent.costs != first.costs {
            line!(text, "cost = {{ {} }}", costs(&agent.costs).join(", "));
        }
        agent.budget.into_iter().for_each(|budget| line!(text, "budget = \"{budget}\""));
        if let (Some(served), Some(window)) = (scenario.services.get(&agent.id), agent.job.window()) {
            service(text, window, served);
        }
        if let Some(impacts) = scenario.impacts.get(&agent.id) {
            line!(
                text,
                "\n# As trained: response time, execution time, throughput, network latency, availability, consistency."
            );
            line!(text, "[agent.impacts]");
            impacts.iter().for_each(|(action, impacts)| line!(text, "{action} = {}", vector(impacts)));
        }
    }
}

/// What was read from TOML can be written as TOML.
fn toml(value: &impl Serialize) -> String {
    toml::Value::try_from(value).map_or_else(|_| String::new(), |it| it.to_string())
}

/// `[agent.service]`
fn service(text: &mut String, window: Duration, service: &Service) {
    let Service { answer_bytes, round_trips, overhead, spread, connections, time_limit, traffic, within } = service;
    line!(text, "\n[agent.service]\nwindow = {}\nanswer = \"{answer_bytes} B\"", duration(window));
    line!(text, "round_trips = {round_trips:?}\noverhead = {}\nspread = {spread:?}", duration(*overhead));
    line!(text, "connections = {connections}\ntime_limit = {}", duration(*time_limit));
    line!(text, "traffic = {}", toml(traffic));
    line!(text, "within_ticks = {}", toml(within));
}

/// `[generate]`, with the policy of its agents.
fn generate(text: &mut String, generate: &Generate) {
    let Generate { nodes, seed, nearest_ms, farthest_ms, jitter_ms, replicas, placed, trained, .. } = generate;
    let (low, high) = generate.availability;
    line!(text, "\n[generate]\nnodes = {nodes}\nseed = {seed}");
    line!(text, "nearest = \"{nearest_ms} ms\"\nfarthest = \"{farthest_ms} ms\"\njitter = \"{jitter_ms} ms\"");
    line!(text, "availability = [\"{low}\", \"{high}\"]");
    generate.capacity_bytes.into_iter().for_each(|bytes| line!(text, "capacity = \"{bytes} B\""));
    line!(text, "replicas = {replicas}\nplaced = {placed}\ntrained = {trained}");
    line!(text, "satisfiable = \"{} %\"", percent(generate.satisfiable));
    line!(text, "thrifty = \"{} %\"", percent(generate.thrifty));
    let goals = match generate.goals {
        Goals::Shared => "shared",
        Goals::Own => "own",
    };
    line!(text, "goals = \"{goals}\"\npolicy = {}", quoted(&generate.template.policy));
}

fn change(text: &mut String, change: &Change) {
    line!(text, "\n[[change]]\nat = {}", duration(change.at));
    let link = |link: &Link| {
        let Link { from, to, latency_ms, jitter_ms } = link;
        format!("{{ from = {from}, to = {to}, latency = \"{latency_ms} ms\", jitter = \"{jitter_ms} ms\" }}")
    };
    list(text, "link", change.links.iter().map(link));
    let node = |(id, availability): &(NodeId, _)| format!("{{ id = {id}, availability = \"{availability}\" }}");
    list(text, "node", change.availability.iter().map(node));
    list(text, "join", change.join.iter().map(NodeId::to_string));
}

fn fault(text: &mut String, fault: &Fault) {
    line!(text, "\n[[fault]]\nkind = \"{}\"", fault.kind.name());
    match &fault.kind {
        FaultKind::NodeDown(node) | FaultKind::StoreDown(node) => {
            node.iter().for_each(|node| line!(text, "node = {node}"));
        }
        FaultKind::StoreSlow(node, factor) => {
            node.iter().for_each(|node| line!(text, "node = {node}"));
            line!(text, "factor = {factor:?}");
        }
        FaultKind::AgentDown(agent) => agent.iter().for_each(|agent| line!(text, "agent = {agent}")),
        FaultKind::Partition(sets) => {
            let set = |set: &BTreeSet<NodeId>| {
                format!("[{}]", set.iter().map(NodeId::to_string).collect::<Vec<_>>().join(", "))
            };
            list(text, "sets", sets.iter().map(set));
        }
        FaultKind::DatabaseAway => {}
    }
    match fault.when {
        When::At(at) => line!(text, "at = {}", duration(at)),
        When::Regularly(at, every) => line!(text, "at = {}\nevery = {}", duration(at), duration(every)),
        When::Every(mean) => line!(text, "every = {}", duration(mean)),
        When::Upon(moment) => line!(text, "upon = \"{}\"", moment.name()),
    }
    line!(text, "lasts = {}", duration(fault.lasts));
}

/// Nothing, where there is nothing in it.
fn list(text: &mut String, key: &str, items: impl Iterator<Item = String>) {
    let items: Vec<String> = items.collect();
    if !items.is_empty() {
        line!(text, "{key} = [{}]", items.join(", "));
    }
}

/// Of a share; the shortest that is read as the same.
fn percent(share: f64) -> f64 {
    const DIGITS: f64 = 1e9;
    let exact = share * 100.0;
    let short = (exact * DIGITS).round() / DIGITS;
    if short / 100.0 == share { short } else { exact }
}

fn rho(rho: &Rho) -> Vec<String> {
    let one = |(metric, value): (Metric, f64)| match metric.unit() {
        "" => format!("{metric} = {value:?}"),
        unit => format!("{metric} = \"{value} {unit}\""),
    };
    rho.iter().map(one).collect()
}

fn costs(costs: &BTreeMap<ActionType, f64>) -> Vec<String> {
    // What it costs to mend is not stated: as much as a copy.
    let stated = costs.iter().filter(|(kind, _)| !matches!(kind, ActionType::Nothing | ActionType::Restore));
    stated.map(|(kind, cost)| format!("{} = {cost:?}", kind.name())).collect()
}

/// In the order of the metrics; what is not known at the end is left out.
fn vector(impacts: &Impacts) -> String {
    let known = Metric::ALL.into_iter().rposition(|metric| impacts.get(metric).is_some()).map_or(0, |last| last + 1);
    let value = |metric: &Metric| format!("{:?}", impacts.get(*metric).unwrap_or(0.0));
    format!("[{}]", Metric::ALL[..known].iter().map(value).collect::<Vec<_>>().join(", "))
}

/// Exact, in seconds where it is that long.
fn duration(long: Duration) -> String {
    let (seconds, nanos) = (long.as_secs(), long.subsec_nanos());
    let fraction = format!(".{nanos:09}");
    match (seconds, nanos % 1_000_000) {
        (0, 0) if nanos > 0 => format!("\"{} ms\"", nanos / 1_000_000),
        (0, _) if nanos > 0 => format!("\"{} us\"", f64::from(nanos) / 1e3),
        _ => format!("\"{seconds}{} s\"", fraction.trim_end_matches(['0', '.'])),
    }
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::load;
    use super::*;
    use crate::config::Vocabulary;
    use crate::domain::ids::AgentId;
    use std::path::{Path, PathBuf};

    const VOCABULARY: Vocabulary =
        Vocabulary { policies: &["cooperative", "fixed", "reference"], expression: |_| Ok(()) };

    fn fixture(name: &str) -> PathBuf {
        Path::new("../../fixtures/scenarios").join(format!("{name}.toml"))
    }

    fn read(path: &Path) -> Scenario {
        load(path, &VOCABULARY).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Writes, and reads what was written.
    fn again(text: &str) -> Scenario {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("written.toml");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    fn check(scenario: &Scenario) {
        let text = write("A remark\nof two lines.", scenario);
        assert_eq!(again(&text), *scenario, "{text}");
    }

    #[test]
    fn what_is_written_is_read_back_as_it_was() {
        let folder = fixture("published").with_file_name("");
        let mut written = 0;
        for folder in [folder.clone(), folder.join("hard"), folder.join("trouble")] {
            for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                // What others build on is no scenario by itself.
                let is_base = path.ends_with("hard/world.toml");
                if path.extension().is_some_and(|extension| extension == "toml") && !is_base {
                    check(&read(&path));
                    written += 1;
                }
            }
        }
        assert!(written > 60, "only {written} scenarios found");
    }

    #[test]
    fn durations_are_written_as_people_would() {
        let check = |nanos: u64, expected: &str| assert_eq!(duration(Duration::from_nanos(nanos)), expected);
        check(0, "\"0 s\"");
        check(15_000_000_000, "\"15 s\"");
        check(10_500_000_000, "\"10.5 s\"");
        check(2_938_000_000, "\"2.938 s\"");
        check(500_000_000, "\"500 ms\"");
        check(87_300_000, "\"87300 us\"");
    }

    #[test]
    fn odd_values_survive() {
        use crate::domain::ids::NodeId;
        let mut scenario = read(&fixture("published"));
        scenario.name = "a \"name\" with \\ and \u{e9}".to_owned();
        scenario.network.links[0].latency_ms = 1003.0;
        scenario.physics.poll = Duration::from_micros(87_300);
        scenario.physics.response_time.base = Duration::from_millis(1037);
        scenario.physics.transfer_failures = 0.125;
        scenario.physics.replies_lost = 0.25;
        scenario.physics.links = Links::Measured;
        let of_links = [((NodeId(1), NodeId(2)), 7), ((NodeId(2), NodeId(1)), 7)].into();
        scenario.physics.transfer = Transfer::Rates { link: 5, store: 6, of_links, of_stores: [(NodeId(3), 9)].into() };
        scenario.agents.get_mut(&AgentId(2)).unwrap().costs.insert(ActionType::Evict, 0.75);
        scenario.agents.get_mut(&AgentId(2)).unwrap().budget = "0.5 EUR/week".parse().ok();
        let tariff = &mut scenario.network.tariff;
        tariff.storage.insert(NodeId(2), "0.021 EUR/GB/month".parse().unwrap());
        tariff.egress.insert((NodeId(1), NodeId(2)), "0.09 EUR/GB".parse().unwrap());
        tariff.budgets.insert(Payer::Network, "5 EUR/day".parse().unwrap());
        check(&scenario);
    }

    #[test]
    fn another_physics_leaves_the_rest_as_it_is() {
        let base = std::path::absolute(fixture("drift")).unwrap();
        let mut expected = read(&base);
        let mut physics = expected.physics.clone();
        physics.response_time.slope = 37.25;
        physics.rules = Rules::Agents;
        let text = write_over("", base.to_str().unwrap(), "measured", "As drift, as measured.", &physics);
        (expected.name, expected.about) = ("measured".to_owned(), "As drift, as measured.".to_owned());
        expected.physics = physics;
        assert_eq!(again(&text), expected, "{text}");
    }
}
