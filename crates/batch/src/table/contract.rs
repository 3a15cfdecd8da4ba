//! What every technology promises: one function for each rule of the queue, run on a fresh table.
//!
//! A technology runs all of them with one line in its tests, `agent_batch::contract!(factory)`, where
//! `async fn factory(clock: Arc<VirtualClock>) -> Result<Fixture, String>` opens a fresh, empty table, or says why it cannot
//! here (a service is missing).

use super::{BatchTable, Listing, carry_out, find, in_pages};
use crate::cores::Cores;
use crate::job::*;
use crate::placement::Size;
use crate::placement::explanation::{Explanation, ObstacleKind};
use crate::placement::strategy::Strategy;
use crate::placer::placing;
use crate::queue::Scope;
use crate::queue::checkpoint::Checkpoint as AskCheckpoint;
use crate::queue::place::{Place, Placement};
use crate::queue::report::{OUTPUT_KEPT, Report, What};
use crate::queue::resize::Resize as AskResize;
use crate::queue::submit::{Cancel, Submit, Submitted, Use};
use crate::queue::worker::{Assignment, Beat, Drain, Join, Leave, Reap};
use agent_core::clock::{Clock as _, VirtualClock};
use agent_core::domain::ids::{Life, NodeId};
use agent_core::domain::time::Timestamp;
use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// When every test begins.
pub const START: Timestamp = Timestamp(1_000_000);
pub const LEASE: Duration = Duration::from_secs(60);

/// A technology's table under test, its time, and what must live as long (a folder, a server).
pub struct Fixture {
    pub table: Arc<dyn BatchTable>,
    pub clock: Arc<VirtualClock>,
    _keep: Box<dyn Any + Send + Sync>,
}

#[doc(hidden)]
#[macro_export]
macro_rules! contract {
    ($factory:path) => {
        $crate::contract! { $factory,
            a_job_is_submitted_once,
            what_no_worker_could_take_is_refused_unless_it_may_wait,
            a_deadline_that_is_over_is_refused,
            a_job_goes_from_queued_to_done,
            who_places_second_changes_nothing,
            a_gang_is_placed_whole_or_not_at_all,
            what_tasks_occupy_is_free_when_they_have_ended,
            a_failed_task_is_tried_again_after_a_growing_pause,
            the_others_of_a_failed_task_are_stopped,
            a_job_may_keep_going,
            a_silent_worker_loses_its_tasks,
            a_worker_that_starts_anew_has_lost_its_tasks,
            reports_about_another_attempt_are_late,
            a_cancelled_job_ends_when_its_tasks_have,
            the_strategy_is_changed_while_jobs_wait,
            a_draining_worker_takes_no_tasks,
            a_resize_occupies_the_larger_size_until_it_is_done,
            a_checkpoint_is_kept_and_taken_along,
            jobs_are_listed_latest_first,
            what_happened_is_kept,
            revisions_tell_of_news,
        }
    };
    ($factory:path, $($rule:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() {
                let clock = std::sync::Arc::new(agent_core::clock::VirtualClock::at($crate::table::contract::START));
                match $factory(clock).await {
                    Ok(fixture) => $crate::table::contract::$rule(fixture).await,
                    Err(why) => println!("SKIPPED: {why}"),
                }
            }
        )*
    };
}

fn task(cores: usize) -> TaskSpecification {
    TaskSpecification {
        name: "part".to_owned(),
        runner: RunnerKind::Process,
        command: vec!["true".to_owned()],
        container: None,
        environment: BTreeMap::new(),
        size: Size { cores, memory: 100 },
        place: crate::placement::Place::Anywhere,
        labels: None,
        data_sets: Vec::new(),
        replica: None,
        time_limit_ms: None,
        restart: Restart::NEVER,
        checkpoint: Some(Checkpoint { signal: "SIGUSR1".to_owned(), path: "state".to_owned(), within_ms: 1_000 }),
        grace_ms: 1_000,
    }
}

/// A job with a task of each of these numbers of cores.
pub fn job(cores: &[usize]) -> Specification {
    let tasks = cores.iter().map(|cores| task(*cores)).collect();
    Specification { name: "test".to_owned(), priority: 0, deadline: None, keep_going: false, tasks }
}

fn restarting(tries: u32, pause_ms: u64) -> Specification {
    let mut specification = job(&[1]);
    specification.tasks[0].restart = Restart { tries, pause_ms };
    specification
}

fn limits() -> Limits {
    let holds = |text: &str| Limit::Holds(text.to_owned());
    Limits { by: "nothing".to_owned(), cores: holds("0"), memory: holds("100") }
}

fn life(node: u32, number: u32) -> Life {
    Life(format!("{node}-{number}"))
}

fn id(job: JobId, index: usize) -> TaskId {
    TaskId { job, index }
}

impl Fixture {
    pub fn new(table: Arc<dyn BatchTable>, clock: Arc<VirtualClock>, keep: impl Any + Send + Sync) -> Self {
        Self { table, clock, _keep: Box::new(keep) }
    }

    async fn ask<R: crate::queue::Request>(&self, request: R) -> R::Answer {
        carry_out(self.table.as_ref(), request).await.unwrap()
    }

    /// Why it is refused.
    async fn refused<R: crate::queue::Request>(&self, request: R) -> String {
        match carry_out(self.table.as_ref(), request).await {
            Ok(_) => panic!("{} was not refused", R::OPERATION),
            Err(error) => error.to_string(),
        }
    }

    /// A worker in its first life.
    async fn join(&self, node: u32, cores: u32) {
        self.join_as(node, life(node, 1), cores).await;
    }

    async fn join_as(&self, node: u32, life: Life, cores: u32) {
        let runners = BTreeSet::from([RunnerKind::Process]);
        let cores: Cores = (0..cores).collect();
        let labels = Default::default();
        self.ask(Join { node: NodeId(node), life, cores, memory: 1_000, runners, labels, lease: LEASE }).await;
    }

    async fn submit(&self, key: &str, specification: Specification) -> JobId {
        match self.ask(Submit { key: key.to_owned(), specification, waits: false }).await {
            Submitted::Queued(job) => job,
            Submitted::TooLarge(explanation) => panic!("{explanation:?}"),
        }
    }

    /// As any agent does it.
    async fn place(&self) -> Vec<JobId> {
        match placing(&self.all().await).place {
            Some(place) => self.ask(place).await,
            None => Vec::new(),
        }
    }

    async fn all(&self) -> crate::queue::Queue {
        self.table.look(Scope::all()).await.unwrap()
    }

    async fn job(&self, job: JobId) -> (Job, Vec<Task>) {
        find(self.table.as_ref(), job).await.unwrap().unwrap()
    }

    async fn states(&self, job: JobId) -> (State, Vec<State>) {
        let (job, tasks) = self.job(job).await;
        (job.state, tasks.into_iter().map(|task| task.state).collect())
    }

    async fn held(&self, node: u32) -> Option<Vec<Assignment>> {
        self.held_by(node, life(node, 1)).await
    }

    async fn held_by(&self, node: u32, life: Life) -> Option<Vec<Assignment>> {
        self.ask(Beat { node: NodeId(node), life, lease: LEASE, samples: true }).await
    }

    /// A word of whoever holds the task, in its first life.
    async fn say(&self, task: TaskId, attempt: u32, what: What) -> bool {
        let (_, tasks) = self.job(task.job).await;
        let node = tasks[task.index].seat.as_ref().map_or(NodeId(1), |seat| seat.node);
        self.ask(Report { node, life: life(node.0, 1), task, attempt, what }).await
    }

    async fn start(&self, task: TaskId) -> bool {
        let attempt = self.job(task.job).await.1[task.index].attempt;
        self.say(task, attempt, What::Started { limits: limits() }).await
    }

    async fn end(&self, task: TaskId, ending: Ending) -> bool {
        let attempt = self.job(task.job).await.1[task.index].attempt;
        self.say(task, attempt, What::Ended { ending, output: "bye".to_owned() }).await
    }

    async fn free(&self, node: u32) -> (usize, u64) {
        let queue = self.all().await;
        let (cores, memory) = queue.free(&queue.workers[&NodeId(node)]);
        (cores.len(), memory)
    }
}

pub async fn a_job_is_submitted_once(fixture: Fixture) {
    fixture.join(1, 4).await;
    let first = fixture.submit("a", job(&[1])).await;
    assert_eq!(fixture.submit("a", job(&[2])).await, first, "the same key is the same job");
    let second = fixture.submit("b", job(&[1])).await;
    assert_eq!((first, second), (JobId(1), JobId(2)));
    assert_eq!(fixture.all().await.jobs.len(), 2);
}

pub async fn what_no_worker_could_take_is_refused_unless_it_may_wait(fixture: Fixture) {
    let submit = |key: &str, waits| Submit { key: key.to_owned(), specification: job(&[1, 3]), waits };
    let none = Explanation::NoRoom { task: 1, size: Size { cores: 3, memory: 100 }, workers: Vec::new() };
    assert_eq!(fixture.ask(submit("a", false)).await, Submitted::TooLarge(none));
    fixture.join(1, 2).await;
    let Submitted::TooLarge(Explanation::NoRoom { task: 1, workers, .. }) = fixture.ask(submit("a", false)).await
    else {
        panic!("it is too large");
    };
    assert_eq!(workers[0].kind, ObstacleKind::TooSmall { cores: 1, memory: 0 });
    assert!(fixture.all().await.jobs.is_empty(), "nothing was queued");
    let Submitted::Queued(job) = fixture.ask(submit("a", true)).await else { panic!("it may wait") };
    assert!(fixture.place().await.is_empty());
    fixture.join(2, 4).await;
    assert_eq!(fixture.place().await, [job]);
}

pub async fn a_deadline_that_is_over_is_refused(fixture: Fixture) {
    fixture.join(1, 1).await;
    let specification = Specification { deadline: Some(START), ..job(&[1]) };
    let said = fixture.refused(Submit { key: "a".to_owned(), specification, waits: false }).await;
    assert_eq!(said, "submit: its deadline is over already; state a later one, or none");
}

pub async fn a_job_goes_from_queued_to_done(fixture: Fixture) {
    fixture.join(1, 4).await;
    let job = fixture.submit("a", job(&[1, 2])).await;
    assert_eq!(fixture.states(job).await, (State::Queued, vec![State::Queued; 2]));
    assert_eq!(fixture.place().await, [job]);
    assert_eq!(fixture.states(job).await, (State::Placed, vec![State::Placed; 2]));
    let held = fixture.held(1).await.unwrap();
    assert_eq!(
        held.iter().map(|it| (it.task.id, it.task.attempt)).collect::<Vec<_>>(),
        [(id(job, 0), 1), (id(job, 1), 1)]
    );
    assert!(fixture.start(id(job, 0)).await);
    fixture.clock.advance(Duration::from_secs(1));
    assert!(fixture.start(id(job, 1)).await);
    assert_eq!(fixture.job(job).await.0.started_at, Some(START + Duration::from_secs(1)), "when the last one has");
    assert!(fixture.end(id(job, 1), Ending::Exited(0)).await);
    assert_eq!(fixture.states(job).await, (State::Running, vec![State::Running, State::Done]));
    assert!(fixture.end(id(job, 0), Ending::Exited(0)).await);
    let (ended, tasks) = fixture.job(job).await;
    assert_eq!((ended.state, ended.ended_at), (State::Done, Some(START + Duration::from_secs(1))));
    assert_eq!((tasks[0].output.as_str(), tasks[0].limits.clone()), ("bye", Some(limits())));
    assert!(fixture.all().await.jobs.is_empty(), "it is over");
}

pub async fn who_places_second_changes_nothing(fixture: Fixture) {
    fixture.join(1, 4).await;
    fixture.submit("a", job(&[2])).await;
    fixture.submit("b", job(&[2])).await;
    let seen = fixture.all().await;
    let (one, two) = (placing(&seen).place.unwrap(), placing(&seen).place.unwrap());
    assert_eq!(fixture.ask(one).await, [JobId(1), JobId(2)]);
    assert!(fixture.ask(two).await.is_empty());
    assert_eq!(fixture.job(JobId(1)).await.1[0].attempt, 1);
    assert_eq!(fixture.free(1).await, (0, 800));
}

pub async fn a_gang_is_placed_whole_or_not_at_all(fixture: Fixture) {
    fixture.join(1, 3).await;
    fixture.join(2, 1).await;
    let job = fixture.submit("a", job(&[2, 1])).await;
    let seats = |second: (u32, &str)| {
        let seat = |(node, cores): (u32, &str)| (NodeId(node), cores.parse::<Cores>().unwrap());
        Place { placements: vec![Placement { job, seats: vec![seat((1, "0-1")), seat(second)] }] }
    };
    for wrong in [(1, "1"), (1, "3"), (2, "0-1"), (3, "0")] {
        assert!(fixture.ask(seats(wrong)).await.is_empty(), "{wrong:?}");
        assert_eq!(fixture.free(1).await, (3, 1_000), "{wrong:?}");
    }
    assert_eq!(fixture.ask(seats((2, "0"))).await, [job]);
}

pub async fn what_tasks_occupy_is_free_when_they_have_ended(fixture: Fixture) {
    fixture.join(1, 2).await;
    let first = fixture.submit("a", job(&[2])).await;
    let second = fixture.submit("b", job(&[1])).await;
    assert_eq!(fixture.place().await, [first]);
    assert_eq!(fixture.free(1).await, (0, 900));
    assert!(fixture.start(id(first, 0)).await);
    assert!(fixture.end(id(first, 0), Ending::Exited(0)).await);
    assert!(fixture.end(id(first, 0), Ending::Exited(0)).await, "said twice it is heard once");
    assert_eq!(fixture.free(1).await, (2, 1_000));
    assert_eq!(fixture.place().await, [second]);
}

pub async fn a_failed_task_is_tried_again_after_a_growing_pause(fixture: Fixture) {
    fixture.join(1, 1).await;
    let job = fixture.submit("a", restarting(3, 1_000)).await;
    for (attempt, pause) in [(1, Some(1_000)), (2, Some(2_000)), (3, None)] {
        assert_eq!(fixture.place().await, [job], "attempt {attempt}");
        assert!(fixture.start(id(job, 0)).await);
        assert!(fixture.end(id(job, 0), Ending::Exited(7)).await);
        let Some(pause) = pause else { break };
        let due = fixture.clock.now() + Duration::from_millis(pause);
        assert_eq!(fixture.all().await.next_due(), Some(due));
        assert!(fixture.place().await.is_empty(), "it waits");
        fixture.clock.set(due);
    }
    let (ended, tasks) = fixture.job(job).await;
    assert_eq!((ended.state, tasks[0].ending.clone()), (State::Failed, Some(Ending::Exited(7))));
    assert_eq!(ended.verdict.unwrap().reason, format!("task {job}.0 `part`: exit code 7"));
}

pub async fn the_others_of_a_failed_task_are_stopped(fixture: Fixture) {
    fixture.join(1, 3).await;
    let job = fixture.submit("a", job(&[1, 1])).await;
    fixture.place().await;
    for index in 0..2 {
        assert!(fixture.start(id(job, index)).await);
    }
    assert!(fixture.end(id(job, 0), Ending::OutOfMemory).await);
    assert_eq!(fixture.states(job).await, (State::Running, vec![State::Failed, State::Running]));
    let held = fixture.held(1).await.unwrap();
    let reason = format!("task {job}.0 `part`: out of memory");
    assert_eq!(held[0].task.wanted, Wanted::Stop { reason: reason.clone() });
    assert!(fixture.end(id(job, 1), Ending::Stopped { reason }).await);
    assert_eq!(fixture.states(job).await, (State::Failed, vec![State::Failed, State::Cancelled]));
}

pub async fn a_job_may_keep_going(fixture: Fixture) {
    fixture.join(1, 2).await;
    let job = fixture.submit("a", Specification { keep_going: true, ..job(&[1, 1]) }).await;
    fixture.place().await;
    let not_started = Ending::NotStarted { reason: "not found".to_owned(), is_final: true };
    assert!(fixture.end(id(job, 0), not_started).await);
    assert!(fixture.start(id(job, 1)).await);
    assert_eq!(fixture.held(1).await.unwrap()[0].task.wanted, Wanted::Run);
    assert!(fixture.end(id(job, 1), Ending::Exited(0)).await);
    assert_eq!(fixture.states(job).await, (State::Failed, vec![State::Failed, State::Done]));
}

pub async fn a_silent_worker_loses_its_tasks(fixture: Fixture) {
    fixture.join(1, 1).await;
    fixture.join(2, 1).await;
    let job = fixture.submit("a", restarting(2, 1)).await;
    fixture.place().await;
    assert!(fixture.start(id(job, 0)).await);
    fixture.clock.advance(LEASE - Duration::from_millis(1));
    assert!(fixture.ask(Reap).await.is_empty());
    assert!(fixture.held(2).await.is_some());
    assert_eq!(fixture.all().await.next_loss(), Some(START + LEASE));
    fixture.clock.advance(Duration::from_millis(1));
    assert!(placing(&fixture.all().await).reap);
    assert_eq!(fixture.ask(Reap).await, [NodeId(1)]);
    assert!(fixture.ask(Reap).await.is_empty(), "once");
    assert!(
        !fixture.say(id(job, 0), 1, What::Ended { ending: Ending::Exited(0), output: String::new() }).await,
        "too late"
    );
    fixture.clock.advance(Duration::from_millis(1));
    assert_eq!(fixture.place().await, [job]);
    let task = &fixture.held(2).await.unwrap()[0].task;
    assert_eq!((task.id, task.attempt), (id(job, 0), 2));
    assert_eq!(fixture.held(1).await, Some(Vec::new()), "it is there again, with nothing");
}

pub async fn a_worker_that_starts_anew_has_lost_its_tasks(fixture: Fixture) {
    fixture.join(1, 2).await;
    let job = fixture.submit("a", restarting(2, 1)).await;
    let other = fixture.submit("b", restarting(1, 1)).await;
    fixture.place().await;
    fixture.join_as(1, life(1, 2), 2).await;
    assert_eq!(fixture.held(1).await, None, "the former life has to stop");
    assert_eq!(fixture.held_by(1, life(1, 2)).await, Some(Vec::new()));
    assert_eq!(fixture.states(job).await.0, State::Queued);
    assert_eq!(fixture.states(other).await.0, State::Failed, "it had one try");
    fixture.ask(Leave { node: NodeId(1), life: life(1, 1) }).await;
    assert!(fixture.held_by(1, life(1, 2)).await.is_some(), "a former life takes nobody along");
    fixture.ask(Leave { node: NodeId(1), life: life(1, 2) }).await;
    assert!(fixture.all().await.problem().workers.is_empty());
}

pub async fn reports_about_another_attempt_are_late(fixture: Fixture) {
    fixture.join(1, 1).await;
    let job = fixture.submit("a", restarting(2, 1)).await;
    fixture.place().await;
    assert!(fixture.end(id(job, 0), Ending::Exited(1)).await);
    fixture.clock.advance(Duration::from_millis(1));
    fixture.place().await;
    for what in [What::Started { limits: limits() }, What::Ended { ending: Ending::Exited(0), output: String::new() }] {
        assert!(!fixture.say(id(job, 0), 1, what).await);
    }
    assert_eq!(fixture.states(job).await.1, [State::Placed]);
    let stranger = Report {
        node: NodeId(1),
        life: life(1, 9),
        task: id(job, 0),
        attempt: 2,
        what: What::Started { limits: limits() },
    };
    assert!(!fixture.ask(stranger).await);
}

pub async fn a_cancelled_job_ends_when_its_tasks_have(fixture: Fixture) {
    fixture.join(1, 1).await;
    let running = fixture.submit("a", job(&[1])).await;
    let waiting = fixture.submit("b", job(&[1])).await;
    fixture.place().await;
    assert!(fixture.start(id(running, 0)).await);
    let cancel = |job| Cancel { job, reason: "by hand".to_owned() };
    assert_eq!(fixture.ask(cancel(waiting)).await, State::Cancelled);
    assert_eq!(fixture.ask(cancel(running)).await, State::Running);
    assert_eq!(fixture.free(1).await.0, 0, "it occupies its core until it has ended");
    assert!(fixture.end(id(running, 0), Ending::Stopped { reason: "by hand".to_owned() }).await);
    assert_eq!(fixture.states(running).await, (State::Cancelled, vec![State::Cancelled]));
    assert_eq!(fixture.ask(cancel(running)).await, State::Cancelled, "once more is no error");
    let said = fixture.refused(cancel(JobId(9))).await;
    assert_eq!(said, "cancel: there is no batch job 9; `agent batch list` shows them");
}

pub async fn the_strategy_is_changed_while_jobs_wait(fixture: Fixture) {
    fixture.join(1, 1).await;
    fixture.submit("a", job(&[1])).await;
    let urgent = fixture.submit("b", Specification { priority: 5, ..job(&[1]) }).await;
    let before = fixture.ask(Use { strategy: "priority".parse().unwrap() }).await;
    assert_eq!(before, Strategy::default());
    assert_eq!(fixture.all().await.jobs.len(), 2, "nothing is lost");
    assert_eq!(fixture.place().await, [urgent]);
}

pub async fn a_draining_worker_takes_no_tasks(fixture: Fixture) {
    fixture.join(1, 2).await;
    let first = fixture.submit("a", job(&[1])).await;
    fixture.place().await;
    let drain = |node, is_draining| Drain { node: NodeId(node), is_draining };
    assert_eq!(fixture.ask(drain(1, true)).await, 1);
    let second = match fixture.ask(Submit { key: "b".to_owned(), specification: job(&[1]), waits: true }).await {
        Submitted::Queued(job) => job,
        Submitted::TooLarge(explanation) => panic!("{explanation:?}"),
    };
    assert!(fixture.place().await.is_empty());
    assert!(fixture.start(id(first, 0)).await, "what it has goes on");
    fixture.join_as(1, life(1, 1), 2).await;
    assert!(fixture.place().await.is_empty(), "it drains until it is told otherwise");
    assert_eq!(fixture.ask(drain(1, false)).await, 1);
    assert_eq!(fixture.place().await, [second]);
    let said = fixture.refused(drain(7, true)).await;
    assert_eq!(said, "drain: node 7 is no worker; `agent worker list` shows them");
}

pub async fn a_resize_occupies_the_larger_size_until_it_is_done(fixture: Fixture) {
    fixture.join(1, 4).await;
    let job = fixture.submit("a", job(&[2])).await;
    fixture.place().await;
    let task = id(job, 0);
    let resize = |cores, memory| AskResize { tasks: vec![task], cores: Some(cores), memory };
    let said = fixture.refused(resize(1, None)).await;
    assert_eq!(said, format!("resize: task {task} is just being started; try again when it runs"));
    assert!(fixture.start(task).await);
    let said = fixture.refused(resize(5, None)).await;
    assert_eq!(said, format!("resize: task {task} needs 3 more cores, and node 1 has 2 free"));
    let said = fixture.refused(resize(2, Some(1_001))).await;
    assert_eq!(said, format!("resize: task {task} needs 901 more bytes of memory, and node 1 has 900 free"));
    fixture.ask(resize(1, Some(500))).await;
    assert_eq!(fixture.free(1).await, (2, 500), "the larger of both");
    assert!(fixture.say(task, 1, What::Resized(Ok(limits()))).await);
    assert_eq!(fixture.free(1).await, (3, 500));
    fixture.ask(resize(3, Some(100))).await;
    assert_eq!(fixture.free(1).await, (1, 500));
    assert!(fixture.say(task, 1, What::Resized(Err("600 bytes are in use".to_owned()))).await);
    assert_eq!(fixture.free(1).await, (3, 500), "as it was");
    let last = fixture.table.history(job).await.unwrap().pop().unwrap();
    assert_eq!((last.state, last.reason.as_str()), (State::Running, "not resized: 600 bytes are in use"));
}

pub async fn a_checkpoint_is_kept_and_taken_along(fixture: Fixture) {
    fixture.join(1, 1).await;
    fixture.join(2, 2).await;
    let job = fixture.submit("a", job(&[1])).await;
    fixture.place().await;
    let task = id(job, 0);
    let ask = |then| AskCheckpoint { tasks: vec![task], then };
    let said = fixture.refused(ask(Then::GoOn)).await;
    assert_eq!(said, format!("checkpoint: task {task} is placed, and only what runs undisturbed can be asked"));
    assert!(fixture.start(task).await);
    let said = fixture.refused(ask(Then::Migrate(Some(NodeId(3))))).await;
    assert_eq!(said, format!("checkpoint: task {task} cannot run on node 3, even if that were idle"));
    fixture.ask(ask(Then::Migrate(Some(NodeId(2))))).await;
    let saved =
        Saved { node: NodeId(1), object_key: "state.tar".to_owned(), sha256: "00".to_owned(), bytes: 5, at: START };
    assert!(fixture.say(task, 1, What::Saved(Ok(saved.clone()))).await);
    assert!(fixture.end(task, Ending::Migrated).await);
    assert_eq!(fixture.place().await, [job]);
    let there = &fixture.held(2).await.unwrap()[0].task;
    assert_eq!((there.attempt, there.tries, &there.saved), (2, 0, &Some(saved)));
}

pub async fn jobs_are_listed_latest_first(fixture: Fixture) {
    fixture.join(1, 9).await;
    for key in ["a", "b", "c"] {
        fixture.submit(key, job(&[1])).await;
    }
    fixture.ask(Cancel { job: JobId(2), reason: String::new() }).await;
    let listed = async |states: &[State], before: Option<i64>, limit| {
        let listing = Listing { states: states.iter().copied().collect(), before: before.map(JobId), limit };
        let jobs = fixture.table.jobs(&listing).await.unwrap();
        assert!(jobs.iter().all(|(job, tasks)| tasks.len() == 1 && tasks[0].id.job == job.id));
        jobs.iter().map(|(job, _)| job.id.0).collect::<Vec<_>>()
    };
    assert_eq!(listed(&[], None, 9).await, [3, 2, 1]);
    assert_eq!(listed(&[], None, 2).await, [3, 2]);
    assert_eq!(listed(&[], Some(2), 9).await, [1]);
    assert_eq!(listed(&[State::Cancelled], None, 9).await, [2]);
    assert_eq!(listed(&[State::Done], None, 9).await, Vec::<i64>::new());
    for missing in [0, 4, i64::MAX] {
        assert_eq!(find(fixture.table.as_ref(), JobId(missing)).await.unwrap(), None);
    }
    let ids = async |states: &[State], limit, at_once| {
        let jobs = in_pages(fixture.table.as_ref(), states, limit, at_once).await.unwrap();
        jobs.iter().map(|(job, _)| job.id.0).collect::<Vec<_>>()
    };
    for at_once in [1, 2, 3, 9] {
        assert_eq!(ids(&[], usize::MAX, at_once).await, [3, 2, 1], "{at_once}");
        assert_eq!(ids(&[], 2, at_once).await, [3, 2], "{at_once}");
        assert_eq!(ids(&[State::Queued], usize::MAX, at_once).await, [3, 1], "{at_once}");
    }
}

pub async fn what_happened_is_kept(fixture: Fixture) {
    fixture.join(1, 2).await;
    let job = fixture.submit("a", job(&[1])).await;
    fixture.clock.advance(Duration::from_secs(1));
    fixture.place().await;
    fixture.held(1).await;
    let history = fixture.table.history(job).await.unwrap();
    let told = |change: &Change| (change.task, change.at.0 - START.0, change.state, change.reason.clone());
    assert_eq!(
        history.iter().map(told).collect::<Vec<_>>(),
        [
            (None, 0, State::Queued, String::new()),
            (Some(0), 1_000, State::Placed, "on node 1, cores 0".to_owned()),
            (None, 1_000, State::Placed, String::new()),
        ]
    );
    let used = fixture.table.utilisation(START).await.unwrap();
    let told: Vec<_> = used.iter().map(|it| (it.node.0, it.busy.to_string(), it.cores.len(), it.reserved)).collect();
    assert_eq!(told, [(1, "0".to_owned(), 2, 100)]);
    assert!(fixture.table.utilisation(fixture.clock.now() + LEASE).await.unwrap().is_empty());
    assert!(fixture.end(id(job, 0), Ending::Stopped { reason: "é".repeat(OUTPUT_KEPT) }).await);
}

pub async fn revisions_tell_of_news(fixture: Fixture) {
    let mut last = fixture.table.revision().await.unwrap();
    let mut is_news = async || {
        let revision = fixture.table.revision().await.unwrap();
        revision != std::mem::replace(&mut last, revision)
    };
    fixture.join(1, 1).await;
    assert!(is_news().await);
    fixture.held(1).await;
    assert!(!is_news().await, "that a worker is there is none");
    let job = fixture.submit("a", job(&[1])).await;
    assert!(is_news().await);
    fixture.place().await;
    assert!(is_news().await);
    assert!(!fixture.say(id(job, 0), 9, What::Started { limits: limits() }).await);
    assert!(!is_news().await, "nothing was changed");
}
