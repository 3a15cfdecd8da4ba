//! Several data sets in one network: their readers decide about their own, and share the rooms of the nodes.

use agent_core::config::Vocabulary;
use agent_core::config::scenario::{self, Scenario};
use agent_core::domain::action::Action;
use agent_core::domain::books::Payer;
use agent_core::domain::constraints::MustNot;
use agent_core::domain::ids::{AgentId, DataSetName, NodeId};
use agent_core::domain::time::Timestamp;
use agent_core::mape::planner::{POLICIES, Rng};
use agent_core::sim::{ALL_POLICIES, Figures, Options, Outcome, Simulation, Start, Tally, Told, expand, run};
use rand::{RngExt as _, SeedableRng as _};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

const HOUR: u64 = 3600;

fn scenario(name: &str) -> Scenario {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/scenarios").join(name).with_extension("toml");
    let vocabulary = Vocabulary { policies: &POLICIES, expression: |_| Ok(()) };
    expand(scenario::load(&file, &vocabulary).unwrap_or_else(|error| panic!("error: {error}")))
}

fn simulated(scenario: &Scenario, policy: &str, seconds: u64) -> Outcome {
    let lasts = Duration::from_secs(seconds);
    let options = Options { policy: Some(policy.to_owned()), seed: 7, lasts, until_converged: false };
    run(scenario, &options, None, |_| {}).unwrap_or_else(|error| panic!("{policy}: {error}"))
}

fn blood() -> DataSetName {
    "blood_tests".into()
}

fn urine() -> DataSetName {
    "urine_tests".into()
}

/// What was done about a data set, by whom and when.
fn course(outcome: &Outcome, data_set: &DataSetName) -> Vec<(AgentId, Action, Timestamp)> {
    let about_it = outcome.events.iter().filter(|event| event.data_set == *data_set);
    about_it.map(|event| (event.agent, event.action, event.posted_at)).collect()
}

#[test]
fn every_policy_places_each_data_set_for_its_readers() {
    let scenario = scenario("two_data_sets");
    for policy in ALL_POLICIES {
        let outcome = simulated(&scenario, policy, HOUR);
        let names: Vec<_> = outcome.snapshots.iter().map(|snapshot| &*snapshot.data_set.name.0).collect();
        assert_eq!(names, ["blood_tests", "urine_tests"]);
        for event in &outcome.events {
            assert_eq!(event.data_set, scenario.agents[&event.agent].data_sets[0], "{policy}: {event:?}");
        }
        let readers =
            |snapshot: &agent_core::domain::snapshot::Snapshot| snapshot.agents.keys().copied().collect::<Vec<_>>();
        assert_eq!(readers(&outcome.snapshots[0]), [1, 2, 3].map(AgentId));
        assert_eq!(readers(&outcome.snapshots[1]), [4, 5].map(AgentId));
    }
    for policy in ["cooperative", "oracle"] {
        let outcome = simulated(&scenario, policy, HOUR);
        assert!(outcome.converged, "{policy}: {:#?}", outcome.tallies);
        assert!(outcome.standing(&scenario).unwrap().is_best, "{policy}: {:?}", outcome.standing(&scenario));
        // Where else they are served: agent 4 wants to be up to date at node 1, agent 5 not to read from node 3.
        assert_eq!(outcome.reads(AgentId(4)), Some(NodeId(1)), "{policy}");
        assert!(outcome.reads(AgentId(5)).is_some_and(|node| node != NodeId(3)), "{policy}");
    }
}

#[test]
fn what_is_about_another_data_set_changes_nothing() {
    let scenario = scenario("two_data_sets");
    for policy in ["fixed", "cooperative"] {
        let together = simulated(&scenario, policy, HOUR);
        for data_set in [blood(), urine()] {
            let alone = simulated(&scenario.of(&data_set), policy, HOUR);
            assert_eq!(course(&together, &data_set), course(&alone, &data_set), "{policy}, {data_set}");
            for (agent, tally) in &alone.tallies {
                assert_eq!((tally.jobs, tally.violated), {
                    let beside = &together.tallies[agent];
                    (beside.jobs, beside.violated)
                });
            }
        }
    }
}

#[test]
fn jobs_take_as_long_as_what_they_read_is_large() {
    let scenario = scenario("two_data_sets");
    let (whole, half) = (scenario.physics_of(&blood()), scenario.physics_of(&urine()));
    assert_eq!((whole.bytes, half.bytes), (322_085_706, 161_000_000));
    let ratio = half.response_time.base.as_secs_f64() / whole.response_time.base.as_secs_f64();
    assert!((ratio - 161.0 / 322.085706).abs() < 1e-9, "{ratio}");
    assert_eq!(scenario.of(&urine()).physics, half);
}

/// Room on node 1 for one of the two alone.
fn crowded() -> Scenario {
    let mut scenario = scenario("two_data_sets");
    let node = scenario.network.nodes.get_mut(&NodeId(1)).expect("there is one");
    node.capacity_bytes = Some(400_000_000);
    scenario
}

#[test]
fn no_policy_brings_more_to_a_node_than_it_holds() {
    let scenario = crowded();
    for policy in ALL_POLICIES {
        // The checkers look at every store after every event.
        let outcome = simulated(&scenario, policy, 4 * HOUR);
        for snapshot in &outcome.snapshots {
            let stored = snapshot.stored_bytes.get(&NodeId(1)).copied().unwrap_or(0);
            assert!(stored <= 400_000_000, "{policy}: {stored} bytes lie on node 1");
        }
    }
}

#[test]
fn the_oracle_counts_what_it_is_about_to_bring() {
    // Both are wanted on node 1: by agent 1 and by agent 4.
    let outcome = simulated(&crowded(), "oracle", HOUR);
    let on_node_1 = outcome.snapshots.iter().filter(|snapshot| snapshot.placement.nodes().contains(&NodeId(1)));
    assert_eq!(on_node_1.count(), 1);
    let failed = outcome.events.iter().filter(|event| event.outcome == agent_core::domain::event::Outcome::Failed);
    assert_eq!(failed.count(), 0, "nothing was tried in vain");
}

#[test]
fn a_branch_goes_on_as_its_trunk_would_with_each_data_set() {
    let scenario = scenario("two_data_sets");
    let mut trunk = Simulation::new(&scenario, Start { policy: Some("cooperative"), seed: 3, state: None }).unwrap();
    trunk.run(Timestamp(600_000), |_| {}).unwrap();
    let mut branch = trunk.branch().unwrap();
    for it in [&mut trunk, &mut branch] {
        it.run(Timestamp(3_600_000), |_| {}).unwrap();
    }
    let [one, other] = [&trunk, &branch].map(|it| Figures::new(it.scenario(), &it.outcome()));
    assert_eq!(one, other);
    assert_eq!(one.replicas.keys().collect::<Vec<_>>(), [&blood(), &urine()]);
}

#[test]
fn networks_are_made_with_several_data_sets() {
    let mut listed = Vec::new();
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/scenarios/nodes_30.toml"));
    let text = text.expect("a scenario");
    let (before, after) = text.split_once("[data_set]").expect("one data set");
    let (of_it, after) = after.split_once("\n[").expect("another table");
    for name in ["a", "b", "c"] {
        let renamed = of_it.replace("name = \"blood_tests\"", &format!("name = \"{name}\""));
        listed.push(format!("[[data_set]]{}", renamed.replace("blood_tests.json", &format!("{name}.json"))));
    }
    let text = format!("{before}{}\n[{after}", listed.join("\n"));
    let vocabulary = Vocabulary { policies: &POLICIES, expression: |_| Ok(()) };
    let scenario = expand(scenario::parse("several", &text, &vocabulary).unwrap_or_else(|error| panic!("{error}")));
    let mut readers: BTreeMap<&DataSetName, usize> = BTreeMap::new();
    scenario.agents.values().for_each(|agent| *readers.entry(&agent.data_sets[0]).or_default() += 1);
    assert_eq!(readers.into_values().collect::<Vec<_>>(), [10, 10, 10]);
    let placed: BTreeSet<_> = scenario.placed.values().collect();
    assert_eq!(placed.len(), 3, "each is planted by itself");
    let outcome = simulated(&scenario, "cooperative", 2 * HOUR);
    let standing = outcome.standing(&scenario).unwrap();
    assert!(standing.share <= standing.best_share + 0.01, "{standing:?}");

    // What was said of the network can be said again.
    let mut seen: BTreeSet<DataSetName> = BTreeSet::new();
    let mut tell = |_: Timestamp, told: &Told| {
        if let Told::Placed(snapshot) = told {
            seen.insert(snapshot.data_set.name.clone());
        }
    };
    let options = Options { policy: None, seed: 1, lasts: Duration::from_secs(60), until_converged: false };
    run(&scenario, &options, Some(&mut tell), |_| {}).unwrap();
    assert_eq!(seen.len(), 3);
}

/// Where an agent reads each data set.
fn reads(outcome: &Outcome, agent: u32) -> Vec<Option<u32>> {
    let at = |snapshot: &agent_core::domain::snapshot::Snapshot| {
        snapshot.placement.reference(AgentId(agent)).map(|replica| replica.node.0)
    };
    outcome.snapshots.iter().map(at).collect()
}

/// Agent 1 alone, whose job reads both.
fn alone(goal: &str) -> Scenario {
    let mut scenario = scenario("joint");
    scenario.agents.retain(|agent, _| *agent == AgentId(1));
    let agent = scenario.agents.get_mut(&AgentId(1)).expect("it is there");
    (agent.goal, agent.goal_text) = (goal.parse().expect("a goal"), goal.to_owned());
    scenario
}

#[test]
fn a_job_over_several_data_sets_is_served_beside_others() {
    let outcome = simulated(&scenario("joint"), "cooperative", HOUR);
    assert_eq!(reads(&outcome, 1), [Some(1), Some(1)]);
    assert!(outcome.converged, "{:#?}", outcome.tallies);
    let violated: u64 = outcome.tallies.values().map(|tally| tally.violated).sum();
    assert!(violated <= 5, "{:#?}", outcome.tallies);
    assert!(outcome.events.len() <= 4, "{:#?}", outcome.events);
}

/// From node 3 both take 81 s; with one of them near it is 37 s or 59 s, with both 15 s.
#[test]
fn what_takes_a_step_on_each_of_two_data_sets_is_done() {
    for policy in ["cooperative", "greedy", "fixed"] {
        let outcome = simulated(&alone("response_time <= 20 s"), policy, HOUR);
        assert_eq!(reads(&outcome, 1), [Some(1), Some(1)], "{policy}: {:#?}", outcome.events);
        let Tally { jobs, violated, .. } = outcome.tallies[&AgentId(1)];
        assert!(jobs > 80 && violated <= 3, "{policy}: {violated} of {jobs}");
    }
}

#[test]
fn the_oracle_sees_what_two_steps_are_worth_together() {
    let scenario = alone("response_time <= 20 s");
    let outcome = simulated(&scenario, "oracle", HOUR);
    assert_eq!(reads(&outcome, 1), [Some(1), Some(1)], "{:#?}", outcome.events);
    let standing = outcome.standing(&scenario).expect("somebody reads");
    assert!(standing.is_best && standing.best_share < 1e-6, "{standing:?}");
    let left = simulated(&scenario, "none", HOUR).standing(&scenario).expect("somebody reads");
    assert!(!left.is_best && left.share == 1.0 && left.best_share < 1e-6, "{left:?}");
}

#[test]
fn every_policy_serves_a_job_over_several_data_sets() {
    let scenario = scenario("joint");
    for policy in ALL_POLICIES {
        let outcome = simulated(&scenario, policy, HOUR);
        for event in &outcome.events {
            assert!(scenario.agents[&event.agent].reads(&event.data_set), "{policy}: {event:?}");
        }
        assert!(outcome.tallies[&AgentId(1)].jobs > 30, "{policy}: {:?}", outcome.tallies);
    }
    for policy in ["cooperative", "oracle"] {
        let standing = simulated(&scenario, policy, HOUR).standing(&scenario).expect("somebody reads");
        assert!(standing.is_best, "{policy}: {standing:?}");
    }
}

#[test]
fn where_one_step_is_enough_there_is_one() {
    let outcome = simulated(&alone("response_time <= 45 s"), "cooperative", HOUR);
    assert_eq!(reads(&outcome, 1), [Some(1), Some(3)], "{:#?}", outcome.events);
    assert_eq!(outcome.events.len(), 1);
    assert!(outcome.tallies[&AgentId(1)].violated <= 1);
}

/// The job is there when all that it reads is: 85 % of node 3 and 97 % of node 1 are 82 % together.
#[test]
fn one_node_for_both_is_there_for_both() {
    let outcome = simulated(&alone("availability >= 90 %"), "cooperative", HOUR);
    assert_eq!(reads(&outcome, 1), [Some(1), Some(1)], "{:#?}", outcome.events);
    assert!(outcome.tallies[&AgentId(1)].violated <= 1, "{:?}", outcome.tallies);
}

#[test]
fn what_cannot_be_helped_is_left() {
    let mut scenario = alone("response_time <= 20 s");
    let urine = scenario.network.data_sets.get_mut(&urine()).expect("it is there");
    urine.constraints.never_delete_at.insert(NodeId(3));
    urine.constraints.max_replicas = Some(1);
    let outcome = simulated(&scenario, "cooperative", HOUR);
    assert_eq!(reads(&outcome, 1)[1], Some(3));
    assert!(outcome.events.len() <= 1, "{:#?}", outcome.events);
}

/// As many nodes, with as many agents, each of which reads one to three of 50 data sets.
const MANY: usize = 30;
const SETS: usize = 50;

/// A network of 50 data sets on 30 nodes, on a plane; the same for the same number.
fn fifty(number: u64) -> Scenario {
    let mut rng = Rng::seed_from_u64(number);
    let places: Vec<(f64, f64)> = (0..MANY).map(|_| (rng.random(), rng.random())).collect();
    let mut text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/scenarios/published.toml"))
            .expect("it is shipped");
    // Its rhythm, feedback and weights; another network and other jobs.
    text = text.split("[data_set]").next().expect("the head").to_owned()
        + &text[text.find("[feedback]").expect("settings")..text.find("[[agent]]").expect("agents")];
    for set in 0..SETS {
        let first = rng.random_range(1..=MANY);
        text += &format!(
            "[[data_set]]\nname = \"set-{set}\"\nobject_key = \"set-{set}.json\"\ngenerate_records = 100_000\nfirst_node = {first}\n"
        );
    }
    for (at, (x, y)) in (1..).zip(&places) {
        let available = rng.random_range(90..100);
        text += &format!("[[node]]\nid = {at}\nname = \"node-{at}\"\navailability = \"{available} %\"\n");
        for (to, (u, v)) in (1..at).zip(&places) {
            let latency = 20.0 + 1500.0 * (x - u).hypot(y - v);
            text += &format!("[[link]]\nbetween = [{to}, {at}]\nlatency = \"{latency:.0} ms\"\njitter = \"5 ms\"\n");
        }
    }
    for agent in 1..=MANY {
        let many = rng.random_range(1..=3);
        let read: BTreeSet<usize> = (0..many).map(|_| rng.random_range(0..SETS)).collect();
        let seconds = [20, 30, 40][rng.random_range(0..3)] * read.len();
        let names: Vec<String> = read.iter().map(|set| format!("\"set-{set}\"")).collect();
        let names = names.join(", ");
        text += &format!("[[agent]]\nid = {agent}\ndata_sets = [{names}]\ngoal = \"response_time <= {seconds} s\"\n");
    }
    let text = text
        .replace("rules = \"published\"", "rules = \"agents\"")
        .replace("transfer = \"0 s\"", "transfer = \"10 s\"");
    let vocabulary = Vocabulary { policies: &POLICIES, expression: |_| Ok(()) };
    scenario::parse("fifty.toml", &text, &vocabulary).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn fifty_data_sets_on_thirty_nodes_are_placed_for_thirty_jobs() {
    for number in 1..=3 {
        let scenario = fifty(number);
        let outcome = simulated(&scenario, "cooperative", HOUR);
        assert!(outcome.converged, "network {number}: {:#?}", outcome.tallies);
        let standing = outcome.standing(&scenario).expect("somebody reads");
        assert!(standing.share <= standing.best_share + 0.01, "network {number}: {standing:?}");
        let violated: u64 = outcome.tallies.values().map(|tally| tally.violated).sum();
        assert!(violated <= 2 * MANY as u64, "network {number}: {violated} jobs missed their goal");
    }
}

/// The same network where some data sets may not go abroad, or have to be somewhere or in some number, and where what travels and lies
/// has a price.
fn limited(number: u64) -> Scenario {
    let mut scenario = fifty(number);
    let mut rng = Rng::seed_from_u64(!number);
    let nodes: Vec<NodeId> = scenario.network.nodes.keys().copied().collect();
    let abroad: BTreeSet<NodeId> = nodes.iter().copied().filter(|_| rng.random_bool(0.3)).collect();
    for node in &abroad {
        let node = scenario.network.nodes.get_mut(node).expect("it is there");
        node.labels.insert("region".to_owned(), "abroad".to_owned());
    }
    for data_set in scenario.network.data_sets.values_mut() {
        let (first, constraints) = (data_set.first_node, &mut data_set.constraints);
        let is_barred = !abroad.contains(&first) && rng.random_bool(0.4);
        if is_barred {
            constraints.must_not = Some(MustNot { labels: "region=abroad".parse().expect("a selector") });
        }
        let allowed: Vec<NodeId> = nodes.iter().copied().filter(|node| !is_barred || !abroad.contains(node)).collect();
        let mut stay = BTreeSet::from([first]);
        if rng.random_bool(0.2) {
            constraints.must.insert(allowed[rng.random_range(0..allowed.len())]);
        }
        if rng.random_bool(0.2) {
            constraints.never_delete_at.insert(first);
        }
        stay.extend(&constraints.must);
        let least = rng.random_range(1..=3);
        constraints.min_replicas = rng.random_bool(0.2).then_some(least);
        constraints.max_replicas = rng.random_bool(0.3).then(|| least.max(stay.len() as u32));
    }
    let mut eur = |most: u32, unit: &str| {
        let cents = rng.random_range(0..=most);
        format!("{}.{:02} EUR/{unit}", cents / 100, cents % 100)
    };
    let (tariff, drawn) = (&mut scenario.network.tariff, "a price");
    for link in &scenario.network.links {
        tariff.egress.insert((link.from, link.to), eur(300, "GB").parse().expect(drawn));
    }
    for node in nodes {
        tariff.storage.insert(node, eur(900, "GB/month").parse().expect(drawn));
    }
    tariff.budgets.insert(Payer::Network, eur(1000, "hour").parse().expect(drawn));
    for agent in scenario.agents.values_mut().step_by(3) {
        agent.budget = Some(eur(40, "hour").parse().expect(drawn));
    }
    scenario
}

/// `NETWORKS=1000 cargo test --release -p agent-core --test decisions too_dear -- --nocapture` looks at more of them.
#[test]
fn what_is_forbidden_or_too_dear_is_not_done_in_any_of_many_networks() {
    let networks = std::env::var("NETWORKS").ok().map(|text| text.parse().expect("NETWORKS is a number"));
    let (mut done, mut differ) = (0, 0);
    for number in 1..=networks.unwrap_or(3) {
        let scenario = limited(number);
        // After every event its checkers look for what is forbidden (I-16) and for budgets (I-17), without the code that decides.
        let outcome = simulated(&scenario, "cooperative", HOUR);
        for snapshot in &outcome.snapshots {
            let constraints = &scenario.network.data_sets[&snapshot.data_set.name].constraints;
            let lie: Vec<NodeId> = snapshot.placement.nodes().into_iter().collect();
            let is_abroad = |node: &NodeId| !scenario.network.nodes[node].labels.is_empty();
            let name = &snapshot.data_set.name;
            assert!(constraints.must_not.is_none() || !lie.iter().any(is_abroad), "network {number}, {name}: {lie:?}");
            assert!(constraints.never_delete_at.iter().all(|node| lie.contains(node)), "network {number}, {name}");
            let most = constraints.max_replicas.map_or(usize::MAX, |most| most as usize);
            assert!(lie.len() <= most, "network {number}, {name}: {lie:?}");
        }
        done += outcome.events.len();
        differ += u32::from(simulated(&fifty(number), "cooperative", HOUR).events != outcome.events);
    }
    println!(
        "{done} actions, none of them forbidden or beyond a budget; what is limited changed what is done in {differ} networks"
    );
    assert!(done > 0 && differ > 0);
}
