//! Actors and simulator take the same decisions from the same inputs: all that the machines of a real network were told is
//! recorded, on real sockets and with real bytes, and given to the simulator's driver again.

use crate::network::{PATIENCE, Place};
use agent::actors::{Makeup, Observer, Step};
use agent::app::data_directory::DataDirectory;
use agent::app::hosting::Hosting;
use agent::app::live_agent::LiveAgent;
use agent::app::run::surroundings;
use agent::app::surroundings::start_emulator;
use agent::app::training_file::TrainingFile;
use agent::data::blood_tests::BloodTests;
use agent::storage::embedded::Durability;
use agent_core::clock::TimeScale;
use agent_core::config::{self, Vocabulary};
use agent_core::domain::ids::{AgentId, Life};
use agent_core::mape::chance::Streams;
use agent_core::mape::monitor::Monitor;
use agent_core::mape::planner::Planner;
use agent_core::mape::{executor, monitor, planner};
use agent_core::sim::driver::{Driver, Effect, Input};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const VOCABULARY: Vocabulary = Vocabulary { policies: &planner::POLICIES, expression: |_| Ok(()) };

/// Enough of a run to have decided, acted, lost, learned and answered others.
const ACTIONS: usize = 5;

/// What happened to the machines of each agent.
#[derive(Default)]
struct Recorder {
    agents: Mutex<BTreeMap<Life, Recorded>>,
}

#[derive(Clone)]
struct Recorded {
    makeup: Makeup,
    steps: Vec<Step>,
}

impl Observer for Recorder {
    fn started(&self, makeup: &Makeup, life: &Life) {
        let recorded = Recorded { makeup: makeup.clone(), steps: Vec::new() };
        self.agents.lock().unwrap_or_else(PoisonError::into_inner).insert(life.clone(), recorded);
    }

    fn stepped(&self, life: &Life, step: Step) {
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        agents.get_mut(life).expect("it started").steps.push(step);
    }
}

impl Recorder {
    fn recorded(&self) -> BTreeMap<Life, Recorded> {
        self.agents.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Actions that were committed.
    fn actions(&self) -> usize {
        let is_commit = |step: &&Step| matches!(step, Step::Executor(executor::Input::Committed(_), _));
        let agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        agents.values().flat_map(|recorded| &recorded.steps).filter(is_commit).count()
    }
}

/// Runs the three-node environment in this process, as `agent demo` does, until so many actions were carried out.
fn demo(policy: &str, seed: u64, actions: usize) -> BTreeMap<Life, Recorded> {
    let place = Place::new();
    let mut settings = config::load(None, &VOCABULARY).unwrap_or_else(|error| panic!("error: {error}"));
    settings.network.time_scale = TimeScale::new(100).expect("a scale");
    let services = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads");
    let recorder = Arc::new(Recorder::default());
    actix::System::new().block_on(async {
        let (address, emulator) =
            start_emulator(&settings.network.emulator, services.handle()).await.expect("an emulator");
        let data = DataDirectory::create(&place.data()).expect("a directory");
        let hosting = Hosting { durability: Durability::Kill, create_bucket: false, advertise: None };
        let (settings, threads, silent) = (Arc::new(settings), services.handle().clone(), Arc::new(|_| {}));
        let all = surroundings(settings, data, address, threads, hosting, silent).await.expect("a table");
        let all = agent::app::surroundings::Surroundings { observer: Some(recorder.clone()), ..all };
        let mut agents = Vec::new();
        // At this scale the data set is another one than the shipped training was measured on.
        let records =
            all.network().time_scale.shrink(all.network().data_set.generate_records.expect("it is generated"));
        let data_set = BloodTests::new(records).generate(std::io::sink()).expect("nothing is written");
        // The one that brings the data set comes first.
        for id in [3, 1, 2].map(AgentId) {
            let shipped = TrainingFile::embedded(id).expect("a valid file").expect("it is shipped");
            let training = TrainingFile { sha256: data_set.sha256.clone(), records, ..shipped };
            agents.push(LiveAgent::start(&all, id, Some(policy), &training, seed).await.expect("it starts"));
        }
        let began = Instant::now();
        while recorder.actions() < actions {
            assert!(began.elapsed() < PATIENCE, "{} actions in {PATIENCE:?}", recorder.actions());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for agent in agents {
            agent.stop().await;
        }
        if let Some(emulator) = emulator {
            emulator.shutdown().await;
        }
    });
    services.shutdown_timeout(Duration::from_secs(1));
    recorder.recorded()
}

/// Messages of an agent's machines to each other that are under way.
#[derive(Default, PartialEq, Debug)]
struct UnderWay {
    /// For each one to the planner, how many inputs from outside had come by the one that it follows from.
    to_planner: std::collections::VecDeque<usize>,
    to_monitor: usize,
    to_executor: usize,
}

impl UnderWay {
    /// After a step; `inputs`: how many had come from outside before it.
    fn follow(&mut self, step: &Step, inputs: usize) {
        match step {
            Step::Monitor(input, effects) => {
                self.to_monitor -= usize::from(matches!(input, monitor::Input::Repaired(_)));
                let told = |effect: &&monitor::Effect| {
                    use monitor::Effect as E;
                    matches!(effect, E::Plan(_) | E::Record { .. } | E::Failed { .. })
                };
                self.to_planner.extend(effects.iter().filter(told).map(|_| inputs));
            }
            Step::Planner(input, effects) => {
                if from_outside(step).is_none() {
                    self.to_planner.pop_front().unwrap_or_else(|| panic!("nobody sent {input:?}"));
                }
                let count = |is: fn(&planner::Effect) -> bool| effects.iter().filter(|effect| is(effect)).count();
                self.to_monitor += count(|effect| matches!(effect, planner::Effect::Repaired(_)));
                self.to_executor += count(|effect| matches!(effect, planner::Effect::Execute(_)));
            }
            Step::Executor(input, effects) => {
                self.to_executor -= usize::from(matches!(input, executor::Input::Execute(_)));
                let ended = effects.iter().filter(|effect| matches!(effect, executor::Effect::Finished(_)));
                self.to_planner.extend(ended.map(|_| inputs));
            }
        }
    }
}

/// What was no message of the agent's own machines to each other: the driver passes these on itself.
fn from_outside(step: &Step) -> Option<Input> {
    match step {
        Step::Monitor(monitor::Input::Repaired(_), _) => None,
        Step::Monitor(input, _) => Some(Input::Monitor(input.clone())),
        Step::Planner(input @ (planner::Input::Looked { .. } | planner::Input::Probed { .. }), _) => {
            Some(Input::Planner(input.clone()))
        }
        Step::Planner(..) | Step::Executor(executor::Input::Execute(_), _) => None,
        Step::Executor(input, _) => Some(Input::Executor(Box::new(input.clone()))),
    }
}

/// The steps up to the last moment when no message was under way.
fn settled(steps: &[Step]) -> &[Step] {
    let mut under_way = UnderWay::default();
    let quiet = steps.iter().enumerate().filter_map(|(index, step)| {
        under_way.follow(step, index);
        (under_way == UnderWay::default()).then_some(index + 1)
    });
    &steps[..quiet.last().unwrap_or(0)]
}

/// The inputs from outside, in an order in which each machine meets its own as it did: the driver delivers messages at once, so
/// what the planner saw of the world before a message that was under way comes before what that message follows from.
fn inputs(steps: &[Step]) -> Vec<Input> {
    let (mut inputs, mut under_way) = (Vec::new(), UnderWay::default());
    for step in steps {
        let before = inputs.len();
        if let Some(input) = from_outside(step) {
            let at = match input {
                Input::Planner(_) => under_way.to_planner.front().copied().unwrap_or(before),
                Input::Monitor(_) | Input::Executor(_) => before,
            };
            inputs.insert(at, input);
            if at < before {
                under_way.to_planner.iter_mut().for_each(|follows| *follows += 1);
            }
        }
        under_way.follow(step, before);
    }
    inputs
}

/// What an agent did, machine by machine, to the last bit.
#[derive(PartialEq, Debug, Default)]
struct Done {
    monitor: Vec<String>,
    planner: Vec<String>,
    executor: Vec<String>,
}

/// As it was recorded, but for the messages of the machines to each other.
fn recorded(steps: &[Step]) -> Done {
    let mut done = Done::default();
    for step in steps {
        match step {
            Step::Monitor(_, effects) => {
                let outward = effects
                    .iter()
                    .filter(|effect| !matches!(effect, monitor::Effect::Plan(_) | monitor::Effect::Failed { .. }));
                done.monitor.extend(outward.map(|effect| format!("{effect:?}")));
            }
            Step::Planner(_, effects) => {
                let outward = effects
                    .iter()
                    .filter(|effect| !matches!(effect, planner::Effect::Execute(_) | planner::Effect::Repaired(_)));
                done.planner.extend(outward.map(|effect| format!("{effect:?}")));
            }
            Step::Executor(_, effects) => {
                let outward = effects.iter().filter(|effect| !matches!(effect, executor::Effect::Finished(_)));
                done.executor.extend(outward.map(|effect| format!("{effect:?}")));
            }
        }
    }
    done
}

/// What the simulator's driver makes of the inputs.
fn replayed(makeup: &Makeup, life: &Life, seed: u64, inputs: Vec<Input>) -> Done {
    let Makeup { parameters, policy, experience, rhythm, .. } = makeup.clone();
    let monitor = Monitor::new(parameters.clone(), "blood_tests".into(), policy.clone(), rhythm, life.to_string());
    let mut driver = Driver::new(monitor, Planner::new(parameters, policy, experience, life.to_string()));
    let mut streams = Streams::new(seed);
    let mut done = Done::default();
    for effect in inputs.into_iter().flat_map(|input| driver.handle(input, &mut streams)) {
        match effect {
            Effect::Monitor(effect) => done.monitor.push(format!("{effect:?}")),
            Effect::Executor(effect) => done.executor.push(format!("{effect:?}")),
            Effect::Decided(decision) => done.planner.push(format!("{:?}", planner::Effect::Decided(*decision))),
            Effect::Learn(lesson) => done.planner.push(format!("{:?}", planner::Effect::Learn(*lesson))),
            Effect::Say(message) => done.planner.push(format!("{:?}", planner::Effect::Say(*message))),
            Effect::Look { after } => done.planner.push(format!("{:?}", planner::Effect::Look { after })),
        }
    }
    done
}

/// The first difference, for a message of bearable length.
fn difference(one: &[String], other: &[String]) -> Option<String> {
    let at = (0..one.len().max(other.len())).find(|at| one.get(*at) != other.get(*at))?;
    let shown = |list: &[String]| list.get(at).map_or("nothing".to_owned(), |it| it.chars().take(2000).collect());
    Some(format!("effect {at}: recorded\n{}\nreplayed\n{}", shown(one), shown(other)))
}

fn replays(policy: &str, seed: u64, actions: usize) {
    let agents = demo(policy, seed, actions);
    assert_eq!(agents.len(), 3);
    let mut decisions = 0;
    for (life, Recorded { makeup, steps }) in &agents {
        let steps = settled(steps);
        let (was, inputs) = (recorded(steps), inputs(steps));
        let again = replayed(makeup, life, makeup.seed, inputs.clone());
        for (machine, was, again) in [
            ("monitor", &was.monitor, &again.monitor),
            ("planner", &was.planner, &again.planner),
            ("executor", &was.executor, &again.executor),
        ] {
            let differs = difference(was, again);
            assert!(differs.is_none(), "{life}, {machine}, {}", differs.unwrap_or_default());
        }
        decisions += was.planner.iter().filter(|effect| effect.starts_with("Decided")).count();
        // It is no accident: with other chance it would have paused, and decided, otherwise.
        assert_ne!(was, replayed(makeup, life, makeup.seed + 1, inputs), "{life}: the seed has no say");
    }
    assert!(decisions >= actions, "{decisions} decisions were compared");
}

#[test]
fn the_driver_does_what_the_actors_of_the_fixed_policy_did() {
    replays("fixed", 3, ACTIONS);
}

#[test]
fn the_driver_does_what_the_actors_of_the_reference_policy_did() {
    replays("reference", 4, ACTIONS);
}

#[test]
fn the_driver_does_what_the_actors_of_the_cooperative_policy_did() {
    // It needs no more.
    replays("cooperative", 5, 2);
}
