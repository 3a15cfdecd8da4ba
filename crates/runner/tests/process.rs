//! Programs, by what this machine has.

use agent_runner::contract::{self, Subject, exists, is_released, until, within};
use agent_runner::process::{KeeperProgram, ProcessRunner};
use agent_runner::{Ended, Launch, Port, Protocol, RunnerError};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// Daemons in sessions of their own that hold a pipe as long as they live; and the keeper's number.
const DAEMON: &str = "mkfifo held; echo $PPID >keeper; \
                      (setsid sh -c 'trap \"\" TERM HUP; exec 3<>held; echo >ready; sleep 1000' &); sleep 1000";

/// Where [`stand_in_for_an_agent`] is to work; unset in a usual run.
const DIRECTORY: &str = "AGENT_RUNNER_TEST_DIRECTORY";

async fn subject() -> (TempDir, Subject) {
    let directory = tempfile::tempdir().unwrap();
    let subject = subject_in(directory.path(), keeper()).await;
    (directory, subject)
}

async fn subject_in(directory: &Path, keeper: PathBuf) -> Subject {
    let runner = ProcessRunner::prepare(KeeperProgram { path: keeper, arguments: Vec::new() }).await;
    Subject::new(Arc::new(runner), None, directory)
}

fn keeper() -> PathBuf {
    env!("CARGO_BIN_EXE_agent-keeper").into()
}

#[tokio::test]
async fn programs_keep_the_contract() {
    let (_directory, subject) = subject().await;
    let abilities = subject.runner.examine().await.unwrap();
    println!("by {}; {}", abilities.mechanism(), abilities.remarks.join("; "));
    contract::check(&subject).await;
}

#[tokio::test]
async fn what_is_for_containers_is_refused() {
    let (_directory, subject) = subject().await;
    let check = async |launch: Launch, part: &str| {
        let error = subject.refused(&launch).await.to_string();
        assert!(error.contains(part), "{error}");
    };
    check(Launch { image: Some("x".to_owned()), ..subject.launch("") }, "it asks for an image").await;
    let ports = vec![Port { container: 80, host: None, protocol: Protocol::Tcp }];
    check(Launch { ports, ..subject.launch("") }, "it asks for ports, which is for containers: use the runner docker")
        .await;
    check(Launch { network: Some("x".to_owned()), ..subject.launch("") }, "it asks for a network").await;
    check(Launch { command: Vec::new(), ..subject.launch("") }, "it has no command").await;
}

#[tokio::test]
async fn the_agents_environment_stays_its_own() {
    let (_directory, subject) = subject().await;
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some(), "run by cargo");
    let launch = subject.launch("echo ${CARGO_MANIFEST_DIR:-none} $AGENT_TASK");
    let output = format!("none {}\n", launch.name);
    assert_eq!(subject.run(&launch).await, (Ended::Exited(0), output));
}

#[tokio::test]
async fn a_program_whose_first_line_names_none_is_told_from_one_that_is_missing() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_directory, subject) = subject().await;
    let launch = Launch { command: vec!["./script".to_owned()], ..subject.launch("") };
    let script = launch.directory.join("script");
    fs::write(&script, "#!/no/such/shell\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let error = subject.refused(&launch).await;
    assert!(matches!(error, RunnerError::NotExecutable { .. }), "{error}");
    assert!(error.to_string().ends_with("what it names in its first line is not there"), "{error}");
}

#[tokio::test]
async fn without_a_keeper_nothing_is_started() {
    let directory = tempfile::tempdir().unwrap();
    for (keeper, part) in [("/no/such/keeper", "No such file"), ("/bin/true", "ended at once")] {
        let subject = subject_in(directory.path(), keeper.into()).await;
        let launch = subject.launch("echo >started");
        let error = subject.refused(&launch).await;
        assert!(matches!(&error, RunnerError::Surroundings { .. }) && error.to_string().contains(part), "{error}");
        assert!(!launch.directory.join("started").exists());
        subject.assert_clean().await;
    }
}

#[tokio::test]
async fn a_keeper_that_is_killed_leaves_nothing() {
    let (_directory, subject) = subject().await;
    let launch = subject.launch(DAEMON);
    let mut task = subject.start(&launch).await;
    exists(&launch.directory.join("ready")).await;
    kill_process(keeper_of(&launch.directory), Signal::KILL).unwrap();
    let reason = "the process that watched over it was killed".to_owned();
    assert_eq!(within(task.ended()).await, Ended::Vanished { reason });
    assert!(is_released(&launch.directory.join("held")), "a daemon is left");
    subject.assert_clean().await;
}

#[tokio::test]
async fn an_agent_that_is_killed_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut agent = stand_in(directory.path());
    exists(&directory.path().join("ready")).await;
    agent.kill().unwrap();
    agent.wait().unwrap();
    until(|| is_released(&directory.path().join("held"))).await;
}

#[tokio::test]
async fn what_agent_and_keeper_left_is_swept() {
    let directory = tempfile::tempdir().unwrap();
    let mut agent = stand_in(directory.path());
    exists(&directory.path().join("ready")).await;
    // Stopped, it cannot clean up between the two kills.
    let keeper_left = keeper_of(directory.path());
    kill_process(keeper_left, Signal::STOP).unwrap();
    agent.kill().unwrap();
    agent.wait().unwrap();
    kill_process(keeper_left, Signal::KILL).unwrap();
    assert!(!is_released(&directory.path().join("held")), "the daemon has ended by itself");

    let next = subject_in(directory.path(), keeper()).await;
    assert_eq!(next.runner.sweep(&stand_in_name(directory.path())).await.unwrap(), [stand_in_name(directory.path())]);
    assert!(is_released(&directory.path().join("held")), "the daemon is left");
}

/// What another process does for the two tests above, which kill it.
#[tokio::test]
async fn stand_in_for_an_agent() {
    let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return };
    let subject = subject_in(&directory, keeper()).await;
    let name = stand_in_name(&directory);
    let output = directory.join("output");
    let mut task = subject.start(&Launch { name, output, directory, ..subject.launch(DAEMON) }).await;
    tokio::time::timeout(Duration::from_secs(300), task.ended()).await.expect_err("it is killed before");
}

fn stand_in(directory: &Path) -> std::process::Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "stand_in_for_an_agent"]).env(DIRECTORY, directory);
    command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
}

fn stand_in_name(directory: &Path) -> String {
    let name = directory.file_name().unwrap().to_str().unwrap().to_ascii_lowercase();
    format!("stand-in-{}", name.trim_start_matches('.'))
}

fn keeper_of(directory: &Path) -> Pid {
    let number = fs::read_to_string(directory.join("keeper")).unwrap();
    Pid::from_raw(number.trim().parse().unwrap()).unwrap()
}
