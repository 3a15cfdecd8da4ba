//! Three agents that never stop acting, killed again and again: nothing is lost, nothing is done twice, nothing stays behind.
//!
//! `KILL_SEED=7 cargo test --test kill_recovers` repeats the choices of a run; what the kills hit is the machine's to say.

use crate::network::audit::Audit;
use crate::network::edits::{CALM, EXPLORE, RESTLESS, SLOW_LINKS};
use crate::network::process::Running;
use crate::network::{PATIENCE, Place, comes_true, text, wait_until};
use agent_core::mape::planner::Rng;
use rand::{RngExt as _, SeedableRng as _};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

const KILLS: u32 = 50;
const AGENTS: [u32; 3] = [1, 2, 3];
/// Of the kills, at least so many must hit an action under way.
const HIT_AT_LEAST: u32 = KILLS / 3;

struct Network {
    place: Place,
    agents: BTreeMap<u32, Running>,
    lives: u32,
}

impl Network {
    fn start(&mut self, agent: u32, config: &Path) {
        self.lives += 1;
        let (id, seed) = (agent.to_string(), self.lives.to_string());
        let (data, training) = (self.place.data(), self.place.training());
        let arguments = ["run", "--id", &id, "--seed", &seed, "--policy", "fixed", "--config", text(config)];
        let arguments = [&arguments[..], &["--data", text(&data), "--training", text(&training)]].concat();
        let name = format!("agent-{agent}-{}", self.lives);
        self.agents.insert(agent, Running::start(self.place.path(), &name, &arguments));
    }

    /// An agent that ended by itself has something to say.
    fn check_all_run(&mut self) {
        for (agent, running) in &mut self.agents {
            if let Some(status) = running.ended() {
                panic!("agent {agent} ended by itself: {status}\n{}\n{}", running.output(), running.errors());
            }
        }
    }

    fn stop(&mut self) {
        for running in self.agents.values() {
            running.signal(Signal::TERM);
        }
        for (agent, mut running) in std::mem::take(&mut self.agents) {
            let code = running.ends_within(PATIENCE);
            // All stop at once: a store may be gone before another agent has undone its transfer, which is worth a warning.
            let errors = running.errors();
            assert_eq!(code, Some(0), "agent {agent}\n{}\n{errors}", running.output());
            assert!(!errors.contains("ERROR"), "agent {agent}\n{}\n{errors}", running.output());
        }
    }
}

/// What kills hit, for people.
#[derive(Default, Debug)]
struct Hits {
    moves: u32,
    copies: u32,
    evicts: u32,
    changes: u32,
    idle: u32,
}

impl Hits {
    fn add(&mut self, action: Option<&str>) {
        *match action {
            Some("move") => &mut self.moves,
            Some("copy") => &mut self.copies,
            Some("evict") => &mut self.evicts,
            Some(_) => &mut self.changes,
            None => &mut self.idle,
        } += 1;
    }
}

#[test]
fn fifty_kills_lose_nothing_and_leave_nothing() {
    let seed: u64 = std::env::var("KILL_SEED").ok().map_or(1, |text| text.parse().expect("KILL_SEED is a number"));
    println!("KILL_SEED={seed}");
    let mut rng = Rng::seed_from_u64(seed);
    let place = Place::new();
    let restless = place.configuration("restless", &[&SLOW_LINKS[..], &RESTLESS, &[EXPLORE]].concat());
    let calm = place.configuration("calm", &[&SLOW_LINKS[..], &CALM].concat());
    let data = place.data();
    let mut network = Network { place, agents: BTreeMap::new(), lives: 0 };

    AGENTS.iter().for_each(|agent| network.start(*agent, &restless));
    let audit = Audit::of_new(&data);
    wait_until("every agent has run a job", PATIENCE, || {
        network.check_all_run();
        audit.count("select count(distinct agent) from measurements") == 3
    });

    let mut hits = Hits::default();
    for kill in 1..=KILLS {
        let (by_chance, aimed) = (AGENTS[rng.random_range(0..AGENTS.len())], rng.random_range(0..5) > 0);
        let moment = Duration::from_millis(rng.random_range(0..200));
        // Four of five kills are meant for whoever acts; when nobody does, they hit what there is.
        let acting = || AGENTS.into_iter().find(|agent| audit.running_action(*agent).is_some());
        let mut victim = None;
        let _found = aimed
            && comes_true(Duration::from_secs(3), || {
                victim = acting();
                victim.is_some()
            });
        let victim = victim.unwrap_or(by_chance);
        let _never = comes_true(moment, || false);
        network.check_all_run();
        network.agents.get_mut(&victim).expect("it was started").kill();
        let cut_short = audit.running_action(victim);
        hits.add(cut_short.as_ref().map(|(_, action)| action.as_str()));
        assert_eq!(audit.broken(), Vec::<String>::new(), "after kill {kill} of agent {victim}; {hits:?}");

        // Some stay away for longer than their leases hold: then the others undo what they had begun.
        if rng.random_range(0..5) == 0 {
            wait_until("the others undo its action", PATIENCE, || audit.running_action(victim).is_none());
        }
        let last_heard_of = audit.heard_of(victim);
        network.start(victim, &restless);
        wait_until("it is back", PATIENCE, || {
            network.check_all_run();
            audit.heard_of(victim) != last_heard_of
        });
        if let Some((event, _)) = cut_short {
            // It makes the agent its own first, and then undoes what it had begun.
            let outcome = || audit.count(&format!("select outcome <> 'running' from events where id = {event}")) == 1;
            wait_until(&format!("event {event} of agent {victim}, which was killed, has ended"), PATIENCE, outcome);
            let aborted = format!("select outcome = 'aborted' from events where id = {event}");
            assert_eq!(audit.count(&aborted), 1, "event {event} was running when agent {victim} was killed");
        }
        assert_eq!(audit.broken(), Vec::<String>::new(), "after start {kill} of agent {victim}; {hits:?}");
    }
    println!("{KILLS} kills hit {hits:?}");
    // Without that it would not show that none moved twice.
    wait_until("a counter has moved", PATIENCE, || {
        network.check_all_run();
        audit.count("select count(*) from audit_counters") > 0
    });
    network.stop();
    assert_eq!(audit.broken(), Vec::<String>::new(), "after the end; {hits:?}");

    // Nobody acts any more: what was left behind drains, and goes.
    AGENTS.iter().for_each(|agent| network.start(*agent, &calm));
    let settled = comes_true(PATIENCE, || {
        network.check_all_run();
        audit.unfinished().is_empty()
    });
    assert!(settled, "{:?}", audit.unfinished());
    network.stop();
    assert_eq!(audit.unfinished(), Vec::<String>::new());
    assert_eq!(audit.broken(), Vec::<String>::new());
    println!(
        "{} events, {} of them done",
        audit.count("select count(*) from events"),
        audit.count("select count(*) from events where outcome = 'done'")
    );
    assert!(KILLS - hits.idle >= HIT_AT_LEAST, "too few kills hit an action: {hits:?}");
    assert!(audit.count("select count(*) from events where outcome = 'aborted'") > 0, "nothing was ever undone");
}
