//! Simulations that are stepped, changed and branched.

use agent_core::config::Vocabulary;
use agent_core::config::scenario::{self, Scenario};
use agent_core::domain::adaptation::Order;
use agent_core::domain::ids::{AgentId, NodeId};
use agent_core::domain::job_gap::{JobGap, Recurring};
use agent_core::domain::placement::Override;
use agent_core::domain::time::Timestamp;
use agent_core::domain::units::Percent;
use agent_core::knowledge::Knowledge as _;
use agent_core::mape::planner::POLICIES;
use agent_core::sim::{
    Broken, DataSetState, Edit, EditError, Figures, NetworkState, Options, Simulation, Start, Told, Trace, Until,
    expand, run,
};
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

const MINUTE: Timestamp = Timestamp(60_000);

fn minutes(count: i64) -> Timestamp {
    Timestamp(MINUTE.0 * count)
}

fn scenario(name: &str) -> Scenario {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../fixtures/scenarios/{name}.toml"));
    let vocabulary = Vocabulary { policies: &POLICIES, expression: |_| Ok(()) };
    expand(scenario::load(&file, &vocabulary).unwrap_or_else(|error| panic!("error: {error}")))
}

fn start(policy: &'static str, seed: u64) -> Start<'static> {
    Start { policy: Some(policy), seed, state: None }
}

fn begin<'a>(scenario: &'a Scenario, policy: &'static str) -> Simulation<'a> {
    Simulation::new(scenario, start(policy, 5)).unwrap()
}

/// Everything that is told from now on.
fn heard(simulation: &mut Simulation) -> Rc<RefCell<Vec<u8>>> {
    let text = Rc::new(RefCell::new(Vec::new()));
    let written = text.clone();
    simulation.listen(Some(Box::new(move |at, told: &Told| {
        Trace::new(&mut *written.borrow_mut()).line(at, told);
    })));
    text
}

fn availability(node: u32, percent: f64) -> Edit {
    Edit::Availability { node: NodeId(node), availability: Percent::new(percent).unwrap() }
}

fn goal(agent: u32, goal: &str) -> Edit {
    Edit::Goal { agent: AgentId(agent), goal: goal.parse().unwrap() }
}

#[test]
fn a_branch_without_changes_goes_on_as_its_trunk_to_the_byte() {
    for (name, policy) in
        [("published", "cooperative"), ("published_30s", "fixed"), ("storm", "cooperative"), ("drift", "oracle-late")]
    {
        let scenario = scenario(name);
        let mut trunk = begin(&scenario, policy);
        trunk.run(minutes(7), |_| {}).unwrap();
        trunk.edit(availability(3, 60.0)).unwrap();
        trunk.edit(goal(2, "response_time <= 40 s")).unwrap();
        (0..50).for_each(|_| _ = trunk.step().unwrap());
        trunk.edit(Edit::Break(Broken::Store(NodeId(1)))).unwrap();
        trunk.run(trunk.now() + Duration::from_secs(600), |_| {}).unwrap();
        trunk.edit(Edit::Mend(Broken::Store(NodeId(1)))).unwrap();

        let mut branch = trunk.branch().unwrap();
        assert_eq!(branch.now(), trunk.now(), "{name}");
        assert_eq!(branch.edits().count(), 4, "{name}");
        let (told, told_again) = (heard(&mut trunk), heard(&mut branch));
        let end = trunk.now() + Duration::from_secs(3600);
        trunk.run(end, |_| {}).unwrap();
        branch.run(end, |_| {}).unwrap();
        assert!(told.borrow().len() > 1000, "{name}: {}", String::from_utf8_lossy(&told.borrow()));
        assert!(told == told_again, "{name}: the branch went another way");
        let [one, two] = [&trunk, &branch].map(|it| Figures::new(it.scenario(), &it.outcome()));
        assert_eq!(one, two, "{name}");
    }
}

#[test]
fn jobs_come_as_often_as_a_day_says_and_a_scenario_is_written_with_its_day() {
    let vocabulary = Vocabulary { policies: &POLICIES, expression: |_| Ok(()) };
    let mut scenario = scenario("published");
    let day = "ticks = [0.02, 0.002, 0]\ninterval = \"1 h\"";
    let recurring = Recurring::new(toml::from_str(day).unwrap()).unwrap();
    scenario.network.rhythm.job_gap = JobGap::from(recurring);
    let again = scenario::parse("again.toml", &scenario::write("", &scenario), &vocabulary).unwrap();
    assert_eq!(again.network.rhythm, scenario.network.rhythm);

    let mut simulation = begin(&again, "none");
    let mut jobs = Vec::new();
    for hour in 1..=4 {
        simulation.run(minutes(60 * hour), |_| {}).unwrap();
        jobs.push(simulation.outcome().tallies[&AgentId(1)].jobs);
    }
    let each: Vec<u64> = [0].iter().chain(&jobs).zip(&jobs).map(|(before, after)| after - before).collect();
    // A pause of 50 s and a job of almost a minute; then 500 s; then none, and the next day.
    assert!((30..=40).contains(&each[0]) && (5..=7).contains(&each[1]), "{each:?}");
    assert!(each[2] <= 1 && (30..=40).contains(&each[3]), "{each:?}");
}

#[test]
fn steps_and_looks_change_nothing() {
    let scenario = scenario("storm");
    let lasts = Duration::from_secs(3600);
    let mut text = Vec::new();
    let mut tell = |at: Timestamp, told: &Told| Trace::new(&mut text).line(at, told);
    let options = Options { policy: Some("cooperative".to_owned()), seed: 5, lasts, until_converged: false };
    let expected = run(&scenario, &options, Some(&mut tell), |_| {}).unwrap();

    let mut stepped = begin(&scenario, "cooperative");
    let told = heard(&mut stepped);
    let end = Timestamp::default() + lasts;
    while stepped.now() < minutes(59) {
        stepped.step().unwrap();
        _ = stepped.outcome();
    }
    stepped.run(end, |_| {}).unwrap();
    assert!(*told.borrow() == text, "looking changed what happened");
    assert_eq!(stepped.outcome().events, expected.events);
    assert_eq!(stepped.outcome().tallies, expected.tallies);
}

#[test]
fn a_branch_that_is_changed_leaves_its_trunk_alone() {
    let scenario = scenario("published");
    let (mut alone, mut trunk) = (begin(&scenario, "cooperative"), begin(&scenario, "cooperative"));
    for network in [&mut alone, &mut trunk] {
        network.run(minutes(10), |_| {}).unwrap();
    }
    let mut branch = trunk.branch().unwrap();
    // Two of the three read it by then.
    branch.edit(availability(2, 10.0)).unwrap();
    branch.run(minutes(60), |_| {}).unwrap();
    trunk.run(minutes(60), |_| {}).unwrap();
    alone.run(minutes(60), |_| {}).unwrap();
    let [alone, trunk, branch] = [&alone, &trunk, &branch].map(|it| Figures::new(it.scenario(), &it.outcome()));
    assert_eq!(trunk, alone);
    assert_ne!(branch, trunk);
}

#[test]
fn what_is_waited_for_is_so_when_it_stops() {
    let scenario = scenario("published");
    let mut network = begin(&scenario, "fixed");
    assert!(network.run_until(Until::Missed(Some(AgentId(2))), minutes(60), |_| {}).unwrap());
    assert_eq!(network.outcome().tallies[&AgentId(2)].violated, 1);
    let before = Figures::new(&scenario, &network.outcome()).actions;
    assert!(network.run_until(Until::Acted, minutes(60), |_| {}).unwrap());
    assert_eq!(Figures::new(&scenario, &network.outcome()).actions, before + 1);
    assert!(network.run_until(Until::Converged, minutes(60), |_| {}).unwrap());
    assert!(network.outcome().converged && network.now() < minutes(60));
    assert!(!network.run_until(Until::Missed(None), network.now() + Duration::from_secs(1), |_| {}).unwrap());
}

#[test]
fn an_agent_with_another_goal_follows_it() {
    let scenario = scenario("published");
    let mut network = begin(&scenario, "cooperative");
    assert!(network.run_until(Until::Converged, minutes(60), |_| {}).unwrap());
    network.edit(goal(1, "response_time <= 1 ms")).unwrap();
    assert_eq!(network.scenario().agents[&AgentId(1)].goal_text, "response_time <= 0.001 s");
    assert!(
        network.run_until(Until::Missed(Some(AgentId(1))), network.now() + Duration::from_secs(600), |_| {}).unwrap()
    );
    assert_eq!(network.outcome().snapshot().agents[&AgentId(1)].registration.goal, "response_time <= 0.001 s");
    assert!(!network.outcome().converged);
    // As often as anybody likes.
    for _ in 0..100 {
        network.edit(goal(1, "response_time <= 1 h")).unwrap();
    }
    network.run(network.now() + Duration::from_secs(600), |_| {}).unwrap();
}

#[test]
fn what_is_broken_by_hand_stays_so_until_it_is_mended() {
    let scenario = scenario("published");
    let mut network = begin(&scenario, "cooperative");
    network.run(minutes(5), |_| {}).unwrap();
    let down = Broken::Node(NodeId(2));
    network.edit(Edit::Break(down)).unwrap();
    assert_eq!(network.running().collect::<Vec<_>>(), [AgentId(1), AgentId(3)]);
    assert_eq!(network.edit(Edit::Break(down)), Err(EditError::BrokenAlready(down)));
    let jobs = |network: &Simulation| network.outcome().tallies[&AgentId(2)].jobs;
    let before = jobs(&network);
    network.run(minutes(30), |_| {}).unwrap();
    assert_eq!((jobs(&network), network.broken_by_hand()), (before, &[down][..]));
    network.edit(Edit::Mend(down)).unwrap();
    network.run(minutes(60), |_| {}).unwrap();
    assert!(jobs(&network) > before && network.broken_by_hand().is_empty());
}

#[test]
fn an_edit_that_makes_no_sense_is_refused_and_forgotten() {
    let scenario = scenario("published");
    let mut network = begin(&scenario, "cooperative");
    let mut check = |edit: Edit, expected: &str| {
        let refused = network.edit(edit.clone()).err().map(|error| error.to_string());
        assert_eq!(refused.as_deref(), Some(expected), "{edit:?}");
    };
    check(availability(9, 50.0), "there is no node 9");
    check(goal(9, "response_time <= 1 s"), "there is no agent 9");
    check(Edit::Mend(Broken::Node(NodeId(2))), "node 2 down: not by hand; what the scenario breaks it mends itself");
    check(Edit::Break(Broken::Slow(NodeId(2), 0.0)), "a store cannot be slower by 0: name a factor above 0");
    check(Edit::Join { node: NodeId(1) }, "node 1 is there already");
    let negative = Edit::Latency { from: NodeId(1), to: NodeId(2), latency_ms: -1.0 };
    assert!(matches!(network.edit(negative), Err(EditError::Refused(_))));
    assert_eq!(network.edits().count(), 0);
}

#[tokio::test]
async fn what_is_asked_of_an_application_holds_from_its_next_job_on_until_it_is_taken_back() {
    let scenario = scenario("published");
    let mut network = begin(&scenario, "cooperative");
    network.count_states();
    network.run(minutes(30), |_| {}).unwrap();
    let registered = |network: &Simulation| {
        let peer = network.outcome().snapshot().agents[&AgentId(2)].registration.clone();
        (peer.goal, peer.policy)
    };
    let missed = |network: &Simulation| network.outcome().tallies[&AgentId(2)].violated;
    let (own, before) = (registered(&network), missed(&network));
    let table = network.table();
    let ask = async |stated| table.set_override(AgentId(2), &stated).await.unwrap();

    // Nobody can meet it.
    let impossible = "response_time <= 0.001 s".to_owned();
    ask(Override::Goal(Some(impossible.clone()))).await;
    network.run(minutes(40), |_| {}).unwrap();
    assert_eq!(registered(&network), (impossible.clone(), "cooperative".to_owned()));
    let then = missed(&network);
    assert!(then > before + 5, "{before}, then {then}");
    ask(Override::Policy(Some("none".to_owned()))).await;
    network.run(minutes(45), |_| {}).unwrap();
    assert_eq!(registered(&network), (impossible, "none".to_owned()));

    // What makes no sense is not followed.
    ask(Override::Policy(Some("wisest".to_owned()))).await;
    network.run(minutes(50), |_| {}).unwrap();
    assert_eq!(registered(&network).1, "none");

    ask(Override::Goal(None)).await;
    ask(Override::Policy(None)).await;
    network.run(minutes(55), |_| {}).unwrap();
    assert_eq!(registered(&network), own);
    let then = missed(&network);
    network.run(minutes(85), |_| {}).unwrap();
    assert_eq!(missed(&network), then);
}

#[test]
fn whoever_is_given_a_policy_decides_by_it() {
    let scenario = scenario("published");
    let mut network = begin(&scenario, "none");
    // One begins with it, the others follow when they run.
    let policy = |agent| Edit::Policy { agent: AgentId(agent), policy: "cooperative".to_owned() };
    network.edit(policy(1)).unwrap();
    network.run(minutes(10), |_| {}).unwrap();
    assert!(!network.outcome().converged);
    network.edit(policy(2)).unwrap();
    network.edit(policy(3)).unwrap();
    assert!(network.run_until(Until::Converged, minutes(60), |_| {}).unwrap());
    let outcome = network.outcome();
    let policies: Vec<&str> = outcome.snapshot().agents.values().map(|peer| &*peer.registration.policy).collect();
    assert_eq!(policies, ["cooperative"; 3]);
}

#[test]
fn a_node_may_join_earlier_than_planned() {
    let scenario = scenario("node_added");
    let (node, _) = scenario.joining().into_iter().next().expect("one joins");
    let mut network = begin(&scenario, "cooperative");
    network.run(minutes(10), |_| {}).unwrap();
    assert!(!network.outcome().snapshot().nodes.contains_key(&node));
    network.edit(Edit::Join { node }).unwrap();
    network.run(minutes(20), |_| {}).unwrap();
    assert!(network.outcome().snapshot().nodes.contains_key(&node));
    assert!(
        network.outcome().tallies.iter().any(|(agent, tally)| scenario.agents[agent].node == node && tally.jobs > 0)
    );
}

#[test]
fn a_network_that_is_there_goes_on_from_where_it_is() {
    let scenario = scenario("published");
    let mut before = begin(&scenario, "fixed");
    assert!(before.run_until(Until::Converged, minutes(60), |_| {}).unwrap());
    let outcome = before.outcome();
    let snapshot = outcome.snapshot();
    let taken_over = DataSetState {
        placement: snapshot.placement.clone(),
        copies_made: snapshot.copies_made.clone(),
        counters: snapshot.counters.clone(),
    };
    let state = NetworkState {
        data_sets: [(snapshot.data_set.name.clone(), taken_over.clone())].into(),
        stopped: [AgentId(3)].into(),
        ..NetworkState::default()
    };
    let mut network =
        Simulation::new(&scenario, Start { policy: Some("fixed"), seed: 5, state: Some(&state) }).unwrap();
    assert_eq!(network.outcome().snapshot().placement, taken_over.placement);
    assert_eq!(network.outcome().snapshot().counters, taken_over.counters);
    assert_eq!(network.outcome().snapshot().copies_made, taken_over.copies_made);
    network.run(minutes(30), |_| {}).unwrap();
    assert_eq!(network.running().collect::<Vec<_>>(), [AgentId(1), AgentId(2)]);
    network.edit(Edit::Mend(Broken::Agent(AgentId(3)))).unwrap();
    let mut branch = network.branch().unwrap();
    for it in [&mut network, &mut branch] {
        it.run(minutes(60), |_| {}).unwrap();
    }
    let [network, branch] = [&network, &branch].map(|it| Figures::new(it.scenario(), &it.outcome()));
    assert_eq!(network, branch);
    assert_eq!((network.violated, network.actions), (0, 0), "what had converged is content");
}

fn order(agent: u32, id: u64, action: &str) -> Edit {
    Edit::Order { agent: AgentId(agent), order: Order { id, action: action.to_owned() } }
}

/// How the latest order of an agent stands, for people.
fn adaptation(simulation: &Simulation, agent: u32) -> String {
    simulation.adaptation(AgentId(agent)).map_or_else(|| "none".to_owned(), ToString::to_string)
}

#[test]
fn agents_that_are_decided_for_do_what_they_are_ordered_and_nothing_else() {
    let scenario = scenario("published");
    let mut simulation = begin(&scenario, "external");
    simulation.run(minutes(30), |_| {}).unwrap();
    let missed = simulation.outcome().tallies[&AgentId(1)].violated;
    assert!(missed > 10 && simulation.outcome().events.is_empty(), "{:?}", simulation.outcome().tallies);

    let options = simulation.options(AgentId(1)).unwrap();
    let labels: Vec<String> = options.keys().map(ToString::to_string).collect();
    assert_eq!(labels, ["NA", "M3_1", "M3_2", "C3_1", "C3_2"]);
    simulation.edit(order(1, 1, "C3_1")).unwrap();
    assert!(simulation.run_until(Until::Adapted, minutes(60), |_| {}).unwrap());
    assert_eq!(adaptation(&simulation, 1), "1 C3_1: done");
    assert!(simulation.now() < minutes(35), "{:?}", simulation.now());
    let event = &simulation.outcome().events[0];
    assert_eq!((event.agent, event.action.to_string().as_str()), (AgentId(1), "C3_1"));

    // It reads at home from now on, and is content.
    simulation.run(minutes(60), |_| {}).unwrap();
    let missed = simulation.outcome().tallies[&AgentId(1)].violated;
    simulation.run(minutes(90), |_| {}).unwrap();
    assert_eq!(simulation.outcome().tallies[&AgentId(1)].violated, missed);

    let branch = simulation.branch().unwrap();
    assert_eq!(branch.outcome().events, simulation.outcome().events);
}

#[test]
fn what_cannot_be_ordered_is_refused_with_the_reason() {
    let scenario = scenario("published");
    let mut simulation = begin(&scenario, "external");
    simulation.run(minutes(5), |_| {}).unwrap();
    simulation.edit(order(1, 1, "CR2")).unwrap();
    simulation.run_until(Until::Adapted, minutes(60), |_| {}).unwrap();
    assert_eq!(adaptation(&simulation, 1), "1 CR2: refused, it is none of what agent 1 can do now");
    simulation.edit(Edit::Break(Broken::Agent(AgentId(2)))).unwrap();
    assert_eq!(simulation.edit(order(2, 2, "M3_2")), Err(EditError::Stopped(AgentId(2))));

    let mut simulation = begin(&scenario, "fixed");
    simulation.run(minutes(5), |_| {}).unwrap();
    simulation.edit(order(1, 1, "M3_1")).unwrap();
    let refused = "1 M3_1: refused, this agent decides for itself: its policy is not external";
    assert_eq!(adaptation(&simulation, 1), refused);
}

#[test]
fn a_job_that_ends_is_what_is_waited_for() {
    let scenario = scenario("published");
    let mut simulation = begin(&scenario, "external");
    for jobs in 1..=3 {
        assert!(simulation.run_until(Until::Job(Some(AgentId(2))), minutes(60), |_| {}).unwrap());
        assert_eq!(simulation.outcome().tallies[&AgentId(2)].jobs, jobs);
    }
    let all = |simulation: &Simulation| simulation.outcome().tallies.values().map(|tally| tally.jobs).sum::<u64>();
    let before = all(&simulation);
    simulation.run_until(Until::Job(None), minutes(60), |_| {}).unwrap();
    assert_eq!(all(&simulation), before + 1);
}
