//! What every runner must keep, whatever it runs.
//!
//! A task's command is a shell script here; of a container, in an image that holds a `sh` and the usual small programs.

use crate::{Ended, Launch, Limit, Mechanism, Runner, RunnerError, Running};
use rustix::process::Signal;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// For anything that must happen on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(10);
const MIB: u64 = 1024 * 1024;

/// A runner, and what its tasks need.
pub struct Subject {
    pub runner: Arc<dyn Runner>,
    pub image: Option<String>,
    /// Exists, and is for these tests alone.
    pub directory: PathBuf,
    /// What its tasks' names begin with.
    prefix: String,
}

impl Subject {
    pub fn new(runner: Arc<dyn Runner>, image: Option<String>, directory: &Path) -> Self {
        static SUBJECTS: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("test-{}-{}-", std::process::id(), SUBJECTS.fetch_add(1, Ordering::Relaxed));
        Self { runner, image, directory: directory.to_owned(), prefix }
    }

    /// A task of these tests that runs a script in a directory of its own.
    pub fn launch(&self, script: &str) -> Launch {
        static LAUNCHED: AtomicU32 = AtomicU32::new(0);
        let number = LAUNCHED.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}{number}", self.prefix);
        let directory = self.directory.join(&name);
        fs::create_dir(&directory).expect("a directory of its own");
        Launch {
            command: ["sh", "-c", script].map(str::to_owned).to_vec(),
            image: self.image.clone(),
            output: self.directory.join(format!("{name}.output")),
            directory,
            ..Launch::example(&name)
        }
    }

    pub async fn start(&self, launch: &Launch) -> Box<dyn Running> {
        match self.runner.start(launch).await {
            Ok(running) => running,
            Err(error) => panic!("{launch:?}: {error}"),
        }
    }

    /// How it ended, and its output.
    pub async fn run(&self, launch: &Launch) -> (Ended, String) {
        let ended = within(self.start(launch).await.ended()).await;
        (ended, fs::read_to_string(&launch.output).unwrap_or_default())
    }

    pub async fn refused(&self, launch: &Launch) -> RunnerError {
        match self.runner.start(launch).await {
            Ok(_) => panic!("{launch:?} was started"),
            Err(error) => error,
        }
    }

    /// Nothing of these tests is left.
    pub async fn assert_clean(&self) {
        assert_eq!(
            self.runner.sweep(&self.prefix).await.expect("it can be looked"),
            [""; 0],
            "something was left behind"
        );
    }
}

/// Runs all of it; each part fails by a panic that says what.
pub async fn check(subject: &Subject) {
    it_works_where_and_with_what_it_is_told(subject).await;
    both_outputs_are_appended_and_cut(subject).await;
    how_it_ended_is_told(subject).await;
    limits_are_read_back(subject).await;
    memory_is_limited(subject).await;
    processes_are_limited(subject).await;
    what_cannot_be_started_says_why(subject).await;
    nothing_outlives_the_program(subject).await;
    waiting_can_be_dropped(subject).await;
    signals_reach_the_program(subject).await;
    who_is_stopped_has_its_grace_and_no_more(subject).await;
    who_is_dropped_ends(subject).await;
    limits_are_changed_or_refused(subject).await;
    what_was_left_is_swept(subject).await;
    subject.assert_clean().await;
}

async fn it_works_where_and_with_what_it_is_told(subject: &Subject) {
    let mut launch = subject.launch("echo \"$SECRET\"; echo here >file; exit 3");
    launch.environment.insert("SECRET".to_owned(), "a b'c".to_owned());
    assert_eq!(subject.run(&launch).await, (Ended::Exited(3), "a b'c\n".to_owned()));
    assert_eq!(fs::read_to_string(launch.directory.join("file")).expect("it was written"), "here\n");
    assert!(!format!("{launch:?}").contains("a b'c"), "a secret is shown");
}

async fn both_outputs_are_appended_and_cut(subject: &Subject) {
    let launch = subject.launch("echo one; echo two >&2");
    fs::write(&launch.output, "before\n").expect("it can be written");
    let (ended, output) = subject.run(&launch).await;
    // An engine carries them by two ways, and what was written at nearly the same time may change places.
    let either = ["before\none\ntwo\n", "before\ntwo\none\n"];
    assert!(ended == Ended::Exited(0) && either.contains(&output.as_str()), "{ended:?}, {output:?}");

    let bytes = crate::OUTPUT_MAX_BYTES + MIB;
    let (ended, output) = subject.run(&subject.launch(&format!("head -c {bytes} /dev/zero"))).await;
    assert_eq!(ended, Ended::Exited(0), "it was not read to its end");
    let shown = &output[output.len() - 60..];
    assert!(output.ends_with("\n[cut here: the output is longer than what is kept]\n"), "{shown:?}");
    assert!((output.len() as u64) < crate::OUTPUT_MAX_BYTES + 100, "{} bytes were written", output.len());
}

async fn how_it_ended_is_told(subject: &Subject) {
    let ended = async |script: &str| subject.run(&subject.launch(script)).await.0;
    assert_eq!(ended("true").await, Ended::Exited(0));
    assert_eq!(ended("exit 42").await, Ended::Exited(42));
    let mut task = subject.start(&subject.launch("echo ready; while :; do sleep 1; done")).await;
    task.signal(Signal::KILL).await.expect("it runs");
    assert_eq!(within(task.ended()).await, Ended::Killed { signal: 9 });
    assert_eq!(within(task.ended()).await, Ended::Killed { signal: 9 }, "it is not told twice");
    let over = task.signal(Signal::USR1).await.expect_err("it has ended");
    assert!(matches!(over, RunnerError::Ended { .. }), "{over}");
    let over = task.resize(&[], Some(64 * MIB)).await.expect_err("it has ended");
    assert!(matches!(over, RunnerError::Ended { .. }), "{over}");
    assert_eq!(task.usage().await, None);
}

async fn limits_are_read_back(subject: &Subject) {
    let abilities = subject.runner.examine().await.expect("it can run tasks");
    assert!(!abilities.cores.is_empty() && abilities.memory_bytes > 0, "{abilities:?}");
    let last = *abilities.cores.last().expect("there is one");
    let mut launch = subject.launch("grep Cpus_allowed_list /proc/self/status");
    let running = subject.start(&launch).await;
    let none = running.limits();
    assert_eq!((&none.cores, &none.memory_bytes, &none.pids), (&Limit::NotAsked, &Limit::NotAsked, &Limit::NotAsked));
    within(running.stop(DEADLINE)).await;

    (launch.cores, launch.memory_bytes, launch.pids) = (vec![last], Some(512 * MIB), Some(64));
    launch.name.push('b');
    fs::write(&launch.output, "").expect("it can be written");
    let mut running = subject.start(&launch).await;
    let limits = running.limits().clone();
    assert_eq!(limits.by, abilities.mechanism());
    let held = |holds: bool, able: bool| assert_eq!(holds, able, "{limits:?} of {abilities:?}");
    held(limits.cores == Limit::Holds(vec![last]), matches!(abilities.limits.cores, Limit::Holds(_)));
    held(limits.memory_bytes == Limit::Holds(512 * MIB), matches!(abilities.limits.memory_bytes, Limit::Holds(_)));
    held(limits.pids == Limit::Holds(64), matches!(abilities.limits.pids, Limit::Holds(_)));
    assert_eq!(within(running.ended()).await, Ended::Exited(0));
    let output = fs::read_to_string(&launch.output).expect("it was written");
    assert_eq!(output, format!("Cpus_allowed_list:\t{last}\n"), "it is not pinned");
}

async fn memory_is_limited(subject: &Subject) {
    // It keeps a line that has no end.
    let launch = Launch { memory_bytes: Some(64 * MIB), ..subject.launch("tail /dev/zero") };
    let mut running = subject.start(&launch).await;
    let (limits, ended) = (running.limits().clone(), within(running.ended()).await);
    match (limits.memory_bytes, limits.by) {
        (Limit::Holds(_), Mechanism::Cgroup | Mechanism::Scope | Mechanism::Docker) => {
            assert_eq!(ended, Ended::OutOfMemory);
        }
        // It was refused memory, and said so in its own way.
        (Limit::Holds(_), Mechanism::AffinityAndRlimit) => assert!(matches!(ended, Ended::Exited(1..)), "{ended}"),
        (limit, by) => panic!("memory is not limited by {by}: {limit:?}"),
    }
}

async fn processes_are_limited(subject: &Subject) {
    let script = "i=0; while [ $i -lt 64 ]; do sleep 1000 & i=$((i+1)); done";
    let launch = Launch { pids: Some(16), ..subject.launch(script) };
    let mut running = subject.start(&launch).await;
    let (pids, ended) = (running.limits().pids.clone(), within(running.ended()).await);
    match pids {
        Limit::Holds(_) => assert!(!ended.is_success(), "64 processes were started where 16 may be"),
        Limit::Unlimited { .. } => assert_eq!(ended, Ended::Exited(0)),
        Limit::NotAsked => panic!("it was asked for"),
    }
}

async fn what_cannot_be_started_says_why(subject: &Subject) {
    let missing = Launch { command: vec!["no-such-program".to_owned()], ..subject.launch("") };
    let error = subject.refused(&missing).await;
    assert!(matches!(error, RunnerError::CommandNotFound { .. }), "{error}");
    assert!(error.to_string().contains("`no-such-program`"), "{error}");

    let path = |name: &str| vec![format!("./{name}")];
    let launch = Launch { command: path("script"), ..subject.launch("") };
    fs::write(launch.directory.join("script"), "#!/bin/sh\n").expect("it can be written");
    let error = subject.refused(&launch).await;
    assert!(matches!(error, RunnerError::NotExecutable { .. }), "{error}");

    let error = subject.refused(&Launch { directory: "/no/such/directory".into(), ..subject.launch("") }).await;
    assert!(error.to_string().contains("/no/such/directory is not there"), "{error}");
    let error = subject.refused(&Launch { name: "A_1".to_owned(), ..subject.launch("") }).await;
    assert!(matches!(error, RunnerError::Launch { .. }), "{error}");
    let error = subject.refused(&Launch { cores: vec![0, 4000], ..subject.launch("") }).await;
    assert!(matches!(&error, RunnerError::NoSuchCores { missing, .. } if missing == "4000"), "{error}");
    let error = subject.refused(&Launch { cores: vec![0, 0], ..subject.launch("") }).await;
    assert!(matches!(error, RunnerError::CoreListedTwice { core: 0 }), "{error}");
    let error = subject.refused(&Launch { memory_bytes: Some(0), ..subject.launch("") }).await;
    assert!(matches!(error, RunnerError::CannotHold { limit: "memory", .. }), "{error}");
    subject.assert_clean().await;
}

async fn nothing_outlives_the_program(subject: &Subject) {
    // Daemons in sessions of their own, which ignore what they can; what they hold is released when they are gone.
    let script = "mkfifo held; (trap '' TERM HUP INT; setsid sh -c 'exec 3<>held; echo >ready; sleep 1000' &) & \
                  while ! [ -e ready ]; do sleep 0.01; done";
    let launch = subject.launch(script);
    assert_eq!(subject.run(&launch).await.0, Ended::Exited(0));
    assert_released(&launch.directory.join("held"));
    subject.assert_clean().await;
}

async fn waiting_can_be_dropped(subject: &Subject) {
    let launch = subject.launch("while ! [ -e go ]; do sleep 0.01; done; exit 5");
    let mut task = subject.start(&launch).await;
    for _ in 0..3 {
        assert!(tokio::time::timeout(Duration::from_millis(1), task.ended()).await.is_err());
    }
    fs::write(launch.directory.join("go"), "").expect("it can be written");
    assert_eq!(within(task.ended()).await, Ended::Exited(5));
}

async fn signals_reach_the_program(subject: &Subject) {
    let script = "trap 'echo saved >state; exit 0' USR1; echo >ready; while :; do sleep 0.01; done";
    let launch = subject.launch(script);
    let mut task = subject.start(&launch).await;
    exists(&launch.directory.join("ready")).await;
    let usage = task.usage().await.expect("it runs");
    assert!(usage.memory_bytes > 0, "{usage:?}");
    task.signal(Signal::USR1).await.expect("it runs");
    assert_eq!(within(task.ended()).await, Ended::Exited(0));
    assert_eq!(fs::read_to_string(launch.directory.join("state")).expect("it was written"), "saved\n");
}

async fn who_is_stopped_has_its_grace_and_no_more(subject: &Subject) {
    let polite = subject.launch("trap 'exit 7' TERM; echo >ready; while :; do sleep 0.01; done");
    let task = subject.start(&polite).await;
    exists(&polite.directory.join("ready")).await;
    assert_eq!(within(task.stop(DEADLINE)).await, Ended::Exited(7));

    let deaf = subject.launch("trap '' TERM; mkfifo held; (exec 3<>held; sleep 1000) & echo >ready; wait; sleep 1000");
    let task = subject.start(&deaf).await;
    exists(&deaf.directory.join("ready")).await;
    assert_eq!(within(task.stop(Duration::from_millis(100))).await, Ended::Killed { signal: 9 });
    assert_released(&deaf.directory.join("held"));
    subject.assert_clean().await;
}

async fn who_is_dropped_ends(subject: &Subject) {
    let launch = subject.launch("mkfifo held; exec 3<>held; echo >ready; sleep 1000");
    let task = subject.start(&launch).await;
    exists(&launch.directory.join("ready")).await;
    drop(task);
    until(|| is_released(&launch.directory.join("held"))).await;
    let deadline = Instant::now() + DEADLINE;
    while !subject.runner.sweep(&launch.name).await.expect("it can be looked").is_empty() {
        assert!(Instant::now() < deadline, "it is not removed");
    }
}

async fn limits_are_changed_or_refused(subject: &Subject) {
    let cores = subject.runner.examine().await.expect("it can run tasks").cores;
    let launch = Launch {
        cores: cores.clone(),
        memory_bytes: Some(512 * MIB),
        ..subject.launch("echo >ready; while ! [ -e go ]; do sleep 0.01; done; grep Cpus_allowed_list /proc/$$/status")
    };
    let mut task = subject.start(&launch).await;
    exists(&launch.directory.join("ready")).await;
    let before = task.limits().clone();
    let error = task.resize(&[], Some(4096)).await.expect_err("more is in use");
    assert!(matches!(error, RunnerError::CannotHold { limit: "memory", .. }), "{error}");
    let error = task.resize(&[4000], None).await.expect_err("there is no such core");
    assert!(matches!(error, RunnerError::NoSuchCores { .. }), "{error}");
    assert_eq!(task.limits(), &before);

    let after = task.resize(&cores[..1], Some(256 * MIB)).await.expect("there is room");
    assert_eq!(task.limits(), &after);
    if let Limit::Holds(_) = before.memory_bytes {
        assert_eq!(after.memory_bytes, Limit::Holds(256 * MIB));
    }
    if let Limit::Holds(_) = before.cores {
        assert_eq!(after.cores, Limit::Holds(vec![cores[0]]));
    }
    fs::write(launch.directory.join("go"), "").expect("it can be written");
    assert_eq!(within(task.ended()).await, Ended::Exited(0));
    let output = fs::read_to_string(&launch.output).expect("it was written");
    assert_eq!(output, format!("Cpus_allowed_list:\t{}\n", cores[0]), "it is not pinned anew");
}

async fn what_was_left_is_swept(subject: &Subject) {
    let script = "mkfifo held; exec 3<>held; echo >ready; sleep 1000";
    let (left, other) = (subject.launch(script), subject.launch(script));
    let (mut of_left, of_other) = (subject.start(&left).await, subject.start(&other).await);
    for launch in [&left, &other] {
        exists(&launch.directory.join("ready")).await;
    }
    assert_eq!(subject.runner.sweep(&left.name).await.expect("it can be ended"), [left.name.as_str()]);
    assert_released(&left.directory.join("held"));
    assert!(!is_released(&other.directory.join("held")), "another one was ended, too");
    let ended = within(of_left.ended()).await;
    assert!(matches!(ended, Ended::Vanished { .. } | Ended::Killed { signal: 9 }), "{ended}");
    within(of_other.stop(Duration::ZERO)).await;
}

/// Whether nobody has it open for reading.
pub fn is_released(fifo: &Path) -> bool {
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).expect("a small number");
    fs::OpenOptions::new().write(true).custom_flags(flags).open(fifo).is_err()
}

fn assert_released(fifo: &Path) {
    assert!(is_released(fifo), "something outlived its task");
}

pub async fn exists(path: &Path) {
    until(|| path.exists()).await;
}

/// Waits until it holds, with a deadline.
pub async fn until(mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < deadline, "it did not happen within {DEADLINE:?}");
        tokio::time::sleep(LOOK_AGAIN_AFTER).await;
    }
}

/// Waits for it, with a deadline.
pub async fn within<T>(awaited: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, awaited).await.expect("it takes longer than the deadline")
}
