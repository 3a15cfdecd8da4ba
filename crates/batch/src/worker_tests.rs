use super::*;
use crate::job::{Checkpoint, JobId, Limit, Resize, Restart, RunnerKind, Seat, Task, TaskId, TaskSpecification};
use crate::placement::Place;
use agent_core::domain::ids::{Life, NodeId};

const LEASE: Duration = Duration::from_secs(30);

fn attempt(number: u32) -> Attempt {
    Attempt { task: TaskId { job: JobId(1), index: 0 }, number }
}

fn limits() -> Limits {
    let holds = |text: &str| Limit::Holds(text.to_owned());
    Limits { by: "nothing".to_owned(), cores: holds("0"), memory: holds("1") }
}

fn assignment(number: u32, state: State, wanted: Wanted) -> Assignment {
    let size = Size { cores: 1, memory: 1 };
    let specification = TaskSpecification {
        name: "a".to_owned(),
        runner: RunnerKind::Process,
        command: Vec::new(),
        container: None,
        environment: BTreeMap::new(),
        size,
        place: Place::Anywhere,
        labels: None,
        data_sets: Vec::new(),
        replica: None,
        time_limit_ms: Some(5_000),
        restart: Restart::NEVER,
        checkpoint: Some(Checkpoint { signal: "SIGUSR1".to_owned(), path: "s".to_owned(), within_ms: 1 }),
        grace_ms: 100,
    };
    let seat = Some(Seat { node: NodeId(1), life: Life("a".to_owned()), cores: "0".parse().unwrap() });
    let task = Task { attempt: number, state, seat, wanted, ..Task::new(attempt(number).task, size) };
    Assignment { task, specification, job_name: "j".to_owned() }
}

fn placed(number: u32) -> Assignment {
    assignment(number, State::Placed, Wanted::Run)
}

fn running(wanted: Wanted) -> Assignment {
    assignment(1, State::Running, wanted)
}

fn stop(number: u32) -> Effect {
    Effect::Stop { attempt: attempt(number), grace: Duration::from_millis(100) }
}

fn report(what: What) -> Effect {
    Effect::Report { attempt: attempt(1), what }
}

struct Driver(Worker);

impl Driver {
    fn held(&mut self, assignments: Vec<Assignment>) -> Vec<Effect> {
        self.at(0, Input::Held { assignments, until: Timestamp(30_000) })
    }

    fn at(&mut self, now: i64, input: Input) -> Vec<Effect> {
        self.0.handle(input, Timestamp(now))
    }

    fn ended(&mut self, ending: Ending) -> Vec<Effect> {
        self.at(0, Input::Ended { attempt: attempt(1), ending, output: "o".to_owned() })
    }

    /// One whose task runs.
    fn running() -> Self {
        let mut driver = Self(Worker::new(LEASE));
        assert_eq!(driver.held(vec![placed(1)]), [Effect::Start(Box::new(placed(1)))]);
        let started = driver.at(0, Input::Started { attempt: attempt(1), result: Ok(limits()) });
        assert_eq!(started, [report(What::Started { limits: limits() })]);
        assert_eq!(driver.held(vec![running(Wanted::Run)]), [], "it is told once");
        driver
    }
}

fn over(ending: Ending) -> Effect {
    report(What::Ended { ending, output: "o".to_owned() })
}

#[test]
fn a_task_is_started_once_and_its_end_is_told() {
    let mut driver = Driver::running();
    assert_eq!(driver.ended(Ending::Exited(3)), [over(Ending::Exited(3))]);
    assert!(driver.0.is_idle());
    assert_eq!(driver.held(vec![running(Wanted::Run)]), [], "the table may not know yet");
    assert_eq!(driver.held(Vec::new()), []);
    assert_eq!(driver.held(vec![placed(2)]), [Effect::Start(Box::new(placed(2)))]);
}

#[test]
fn what_is_stopped_ends_as_that_and_what_was_done_as_done() {
    let wanted = || Wanted::Stop { reason: "by hand".to_owned() };
    let mut driver = Driver::running();
    assert_eq!(driver.held(vec![running(wanted())]), [stop(1)]);
    assert_eq!(driver.held(vec![running(wanted())]), [], "once");
    assert_eq!(driver.ended(Ending::Killed(15)), [over(Ending::Stopped { reason: "by hand".to_owned() })]);
    let mut driver = Driver::running();
    driver.held(vec![running(wanted())]);
    assert_eq!(driver.ended(Ending::Exited(0)), [over(Ending::Exited(0))]);
}

#[test]
fn a_stop_that_is_wanted_before_the_start_waits_for_it() {
    let mut driver = Driver(Worker::new(LEASE));
    driver.held(vec![placed(1)]);
    assert_eq!(driver.held(Vec::new()), [], "it is given to somebody else");
    let started = driver.at(0, Input::Started { attempt: attempt(1), result: Ok(limits()) });
    assert_eq!(started, [stop(1)]);
    assert_eq!(driver.ended(Ending::Killed(15)), [], "nobody is to hear of it");
}

#[test]
fn the_next_attempt_waits_until_the_former_is_gone() {
    let mut driver = Driver::running();
    assert_eq!(driver.held(vec![placed(2)]), [stop(1)]);
    assert_eq!(driver.held(vec![placed(2)]), []);
    assert_eq!(driver.ended(Ending::Killed(9)), []);
    assert_eq!(driver.held(vec![placed(2)]), [Effect::Start(Box::new(placed(2)))]);
}

#[test]
fn a_start_that_fails_is_told_with_its_reason() {
    let mut driver = Driver(Worker::new(LEASE));
    driver.held(vec![placed(1)]);
    let result = Err(("not found".to_owned(), true));
    let ending = Ending::NotStarted { reason: "not found".to_owned(), is_final: true };
    let told = report(What::Ended { ending, output: String::new() });
    assert_eq!(driver.at(0, Input::Started { attempt: attempt(1), result }), [told]);
}

#[test]
fn a_task_ends_with_its_time_limit() {
    let mut driver = Driver::running();
    assert_eq!(driver.0.next(), Some(Timestamp(5_000)));
    assert_eq!(driver.at(4_999, Input::Tick), []);
    assert_eq!(driver.at(5_000, Input::Tick), [stop(1)]);
    assert_eq!(driver.ended(Ending::Killed(9)), [over(Ending::TimeLimit)]);
}

#[test]
fn who_cannot_reach_the_table_ends_its_tasks_before_they_count_as_lost() {
    let mut driver = Driver(Worker::new(LEASE));
    let mut endless = placed(1);
    endless.specification.time_limit_ms = None;
    driver.held(vec![endless]);
    driver.at(0, Input::Started { attempt: attempt(1), result: Ok(limits()) });
    assert_eq!(driver.0.next(), Some(Timestamp(20_000)), "a third of the lease is left for ending");
    assert_eq!(driver.at(20_000, Input::Tick), [stop(1)]);
    let reason = "its worker could not reach the shared table".to_owned();
    assert_eq!(driver.ended(Ending::Killed(9)), [over(Ending::Lost { reason })]);
}

#[test]
fn a_node_that_is_another_lifes_ends_everything_in_silence() {
    let mut driver = Driver::running();
    assert_eq!(driver.at(0, Input::Disowned), [stop(1)]);
    assert_eq!(driver.ended(Ending::Killed(9)), []);
}

#[test]
fn a_task_that_is_not_here_is_told_as_lost() {
    let mut driver = Driver(Worker::new(LEASE));
    let ending = Ending::Lost { reason: "its worker knows nothing of it".to_owned() };
    let told = report(What::Ended { ending, output: String::new() });
    assert_eq!(driver.held(vec![running(Wanted::Run)]), [told]);
    assert_eq!(driver.held(vec![running(Wanted::Run)]), []);
}

#[test]
fn a_resize_is_asked_for_once_and_answered() {
    let mut driver = Driver::running();
    let (from, to) = (Size { cores: 1, memory: 1 }, Size { cores: 2, memory: 5 });
    let to_cores: Cores = "0-1".parse().unwrap();
    let resize = Resize { from, from_cores: "0".parse().unwrap(), to, to_cores: to_cores.clone() };
    let wanted = vec![running(Wanted::Resize(resize))];
    assert_eq!(driver.held(wanted.clone()), [Effect::Resize { attempt: attempt(1), size: to, cores: to_cores }]);
    assert_eq!(driver.held(wanted), []);
    let result = Ok(limits());
    let told = report(What::Resized(result.clone()));
    assert_eq!(driver.at(0, Input::Resized { attempt: attempt(1), result }), [told]);
}

#[test]
fn who_migrates_ends_when_its_state_is_written_down() {
    let saved =
        Saved { node: NodeId(1), object_key: "k".to_owned(), sha256: "s".to_owned(), bytes: 1, at: Timestamp(0) };
    let mut driver = Driver::running();
    let wanted = Wanted::Checkpoint { then: Then::Migrate(None) };
    assert_eq!(driver.held(vec![running(wanted.clone())]), [Effect::Checkpoint { attempt: attempt(1) }]);
    let failed = Input::Saved { attempt: attempt(1), result: Err("nothing there".to_owned()) };
    assert_eq!(driver.at(0, failed), [report(What::Saved(Err("nothing there".to_owned())))], "it stays");
    let mut driver = Driver::running();
    driver.held(vec![running(wanted)]);
    let result = Ok(saved);
    let told = report(What::Saved(result.clone()));
    assert_eq!(driver.at(0, Input::Saved { attempt: attempt(1), result }), [told, stop(1)]);
    assert_eq!(driver.ended(Ending::Killed(15)), [over(Ending::Migrated)]);
    let mut driver = Driver::running();
    driver.held(vec![running(Wanted::Checkpoint { then: Then::GoOn })]);
    assert_eq!(driver.at(0, Input::Late { attempt: attempt(1) }), [stop(1)], "what is late is ended");
}
