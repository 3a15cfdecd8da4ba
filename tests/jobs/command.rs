//! The command job against small shell scripts.

use crate::doubles::{Object, OneObject};
use agent::jobs::command::CommandJob;
use agent::jobs::{DataSource, Job, JobError, JobReport, S3Access};
#[allow(dead_code, reason = "other tests ask for the rest")]
use agent_core::domain::failure::FailureKind;
use agent_core::domain::ids::Life;
use agent_core::domain::manifest::SetKeys;
use bytes::Bytes;
use std::fs::File;
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

fn shell(script: &str, time_limit: Duration) -> CommandJob {
    CommandJob {
        program: "sh".to_owned(),
        args: vec!["-c".to_owned(), script.to_owned()],
        time_limit,
        request_bytes: NonZeroU64::new(9_000_000).unwrap(),
        count_traffic: None,
        life: life(),
        keeper: env!("CARGO_BIN_EXE_agent").into(),
    }
}

/// One that no other job has: what bears it may be killed.
fn life() -> Life {
    static LIVES: AtomicU32 = AtomicU32::new(0);
    Life(format!("a1-{}-{}", std::process::id(), LIVES.fetch_add(1, Ordering::Relaxed)))
}

fn source() -> DataSource {
    OneObject::new(Object::Bytes(Bytes::from_static(b"[{}]")), 4096).source(1)
}

async fn run(script: &str) -> Result<JobReport, JobError> {
    shell(script, MINUTE).run(&source()).await
}

/// Why the program failed, and its output as shown.
async fn failure(script: &str) -> (String, String) {
    match run(script).await.unwrap_err() {
        JobError::Command { program, reason, output } => {
            assert_eq!(program, "sh");
            (reason, output)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_program_reports_in_its_last_line() {
    let script = r#"echo working; echo '{"records": 7, "execution_time_s": 0.25, "result": "42", "skipped_records": 2}'; echo; echo noise >&2"#;
    let report = run(script).await.unwrap();
    assert!(report.response_time > Duration::ZERO);
    let expected = JobReport {
        result: "42".to_owned(),
        records: 7,
        skipped_records: 2,
        execution_time: Duration::from_millis(250),
        response_time: report.response_time,
        parts: Vec::new(),
        requests: None,
        remark: None,
    };
    assert_eq!(report, expected);
}

#[tokio::test]
async fn a_result_may_be_a_number() {
    let report = run(r#"echo '{"records": 7, "execution_time_s": 1, "result": 172.5}'"#).await.unwrap();
    assert_eq!((report.result.as_str(), report.skipped_records), ("172.5", 0));
}

#[tokio::test]
async fn a_program_finds_the_data_in_its_environment() {
    let script = r#"
        found="$AWS_ENDPOINT_URL $AWS_ENDPOINT_URL_S3 $AWS_ACCESS_KEY_ID $AWS_SECRET_ACCESS_KEY $AWS_REGION $AWS_DEFAULT_REGION"
        found="$found $AGENT_BUCKET $AGENT_KEY $AGENT_DATA_SET $AGENT_BYTES $AGENT_RECORDS $AGENT_REQUEST_BYTES $AGENT_LIFE"
        echo "{\"records\": 1, \"execution_time_s\": 0, \"result\": \"$found\"}""#;
    let job = shell(script, MINUTE);
    let found = job.run(&source()).await.unwrap().result;
    // A result is shown to people.
    let access = "http://in-memory http://in-memory id *** us-east-1 us-east-1";
    assert_eq!(found, format!("{access} data blood_tests.json blood_tests 4 1 9000000 {}", job.life));
}

#[tokio::test]
async fn a_program_has_no_input() {
    let report = run(r#"cat; echo '{"records": 1, "execution_time_s": 0, "result": ""}'"#).await.unwrap();
    assert_eq!(report.records, 1);
}

#[tokio::test]
async fn a_failure_is_shown_with_the_end_of_the_output_and_without_the_secret() {
    let (reason, output) =
        failure("for i in $(seq 1 30); do echo line $i; done; echo \"with $AWS_SECRET_ACCESS_KEY\"; exit 3").await;
    assert_eq!(reason, "failed: exit status: 3");
    let expected: Vec<String> = (12..=30).map(|i| format!("line {i}")).chain(["with ***".to_owned()]).collect();
    assert_eq!(output, expected.join("\n"));
}

#[tokio::test]
async fn errors_are_shown_too() {
    let (reason, output) = failure("echo oops >&2; kill -9 $$").await;
    assert_eq!((reason.as_str(), output.as_str()), ("failed: signal: 9 (SIGKILL)", "oops"));
}

#[tokio::test]
async fn a_missing_report_is_explained() {
    let expected =
        r#"must end its output with a line like `{"records": 11075, "execution_time_s": 1.5, "result": "172.78"}`: "#;
    let check = async |script: &str, reason: &str| assert_eq!(failure(script).await.0, format!("{expected}{reason}"));
    check("echo done", "expected value at line 1 column 1 in `done`").await;
    check("true", "EOF while parsing a value at line 1 column 0 in ``").await;
    check(
        r#"echo '{"records": 1, "result": ""}'"#,
        r#"missing field `execution_time_s` at line 1 column 28 in `{"records": 1, "result": ""}`"#,
    )
    .await;
    check(
        r#"echo '{"records": 1, "execution_time_s": -1, "result": ""}'"#,
        "execution_time_s: cannot convert float seconds to Duration: value is negative in `{\"records\": 1, \"execution_time_s\": -1, \"result\": \"\"}`",
    )
    .await;
}

#[tokio::test]
async fn a_program_that_does_not_exist_is_named() {
    let job = CommandJob { program: "/no/such/program".to_owned(), ..shell("", MINUTE) };
    let error = job.run(&source()).await.unwrap_err().to_string();
    let expected = "`/no/such/program` cannot be started: No such file or directory (os error 2); is it installed?\n(it printed nothing)";
    assert_eq!(error, expected);
}

#[tokio::test]
async fn much_output_is_read_and_dropped() {
    let script = r#"head -c 3000000 /dev/zero | tr '\0' x; yes | head -c 3000000; echo '{"records": 1, "execution_time_s": 0, "result": "r"}'"#;
    assert_eq!(run(script).await.unwrap().result, "r");
}

#[tokio::test]
async fn what_a_program_leaves_running_does_not_hold_the_job() {
    let script = r#"sleep 1000 & echo '{"records": 1, "execution_time_s": 0, "result": "r"}'"#;
    assert_eq!(run(script).await.unwrap().result, "r");
}

/// A script that leaves a daemon of its own session behind, with its output open and the lock on `held`.
fn daemon(directory: &Path, then: &str) -> String {
    File::create(directory.join("held")).unwrap();
    let held = directory.join("held");
    format!("exec 9>'{}'; flock 9; setsid sh -c 'sleep 1000 & sleep 1000' & {then}", held.display())
}

#[tokio::test]
async fn the_job_ends_with_its_program_and_all_that_it_printed_before_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let line = r#"yes | head -c 3000000; echo '{"records": 1, "execution_time_s": 0, "result": "r"}'"#;
    assert_eq!(run(&daemon(directory.path(), line)).await.unwrap().result, "r");
    assert!(is_released(directory.path()), "a daemon outlived its job");
}

#[tokio::test]
async fn what_a_failed_program_left_running_ends_too() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(failure(&daemon(directory.path(), "exit 3")).await.0, "failed: exit status: 3");
    assert!(is_released(directory.path()), "a daemon outlived its job");
}

#[tokio::test]
async fn at_the_time_limit_daemons_end_too() {
    let directory = tempfile::tempdir().unwrap();
    let job = shell(&daemon(directory.path(), "sleep 1000"), Duration::from_secs(3));
    let error = job.run(&source()).await.unwrap_err().to_string();
    assert_eq!(error, "`sh` was stopped after its time limit of 3s\n(it printed nothing)");
    assert!(is_released(directory.path()), "a daemon outlived its job");
}

#[tokio::test]
async fn a_script_that_kills_its_own_group_ends_itself_alone() {
    let (reason, _) = failure("kill -TERM 0; sleep 1000").await;
    assert_eq!(reason, "failed: signal: 15 (SIGTERM)");
}

#[tokio::test]
async fn a_program_whose_keeper_is_killed_dies_with_it_and_so_do_its_daemons() {
    let directory = tempfile::tempdir().unwrap();
    let error = run(&daemon(directory.path(), "kill -9 $PPID; sleep 1000")).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Surroundings);
    assert_eq!(error.to_string(), "`sh` was ended, and the process that watched over it, too");
    released(directory.path()).await;
}

#[tokio::test]
async fn a_failure_says_what_is_at_fault() {
    let kind = async |script: &str| run(script).await.unwrap_err().kind();
    assert_eq!(kind("exit 1").await, FailureKind::Program);
    assert_eq!(kind("echo nothing").await, FailureKind::Program);
    let missing = CommandJob { program: "/no/such/program".to_owned(), ..shell("", MINUTE) };
    assert_eq!(missing.run(&source()).await.unwrap_err().kind(), FailureKind::Program);
    let no_keeper = CommandJob { keeper: "/no/such/agent".into(), ..shell("", MINUTE) };
    assert_eq!(no_keeper.run(&source()).await.unwrap_err().kind(), FailureKind::Surroundings);

    let mut behind_https = source();
    behind_https.access.link = Some("127.0.0.1:1".to_owned());
    let error = shell("", MINUTE).run(&behind_https).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Surroundings);
    assert!(error.to_string().contains("through an emulated link programs reach plain http alone"), "{error}");
}

#[tokio::test]
async fn a_job_that_used_no_record_has_failed() {
    let script = r#"echo '{"records": 7, "skipped_records": 7, "execution_time_s": 1, "result": null}'"#;
    let error = run(script).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Data);
    assert!(error.to_string().ends_with("could use none of its 7 records"), "{error}");
    let empty = r#"echo '{"records": 0, "skipped_records": 0, "execution_time_s": 1, "result": null}'"#;
    assert_eq!(run(empty).await.unwrap().records, 0);
}

#[tokio::test]
async fn without_a_time_there_is_no_throughput() {
    let throughput = async |seconds: &str| {
        let script = format!(r#"echo '{{"records": 7.0, "execution_time_s": {seconds}, "result": ""}}'"#);
        run(&script).await.unwrap().throughput()
    };
    assert_eq!(throughput("0.5").await, Some(14.0));
    assert_eq!(throughput("0").await, None);
    assert_eq!(throughput("1e-300").await, None);
}

#[tokio::test]
async fn a_long_result_is_taken_and_a_longer_one_called_so() {
    let script =
        |blanks: u32| format!(r#"printf '{{"records": 1, "execution_time_s": 0, "result": "%{blanks}s"}}\n' r"#);
    assert_eq!(run(&script(60_000)).await.unwrap().result.len(), 60_000);
    let (reason, output) = failure(&script(70_000)).await;
    assert!(reason.ends_with("its last line is too long, at most 65536 bytes are taken"), "{reason}");
    assert!(output.len() <= 8 * 1024, "{} bytes are shown", output.len());
}

#[tokio::test]
async fn a_program_reaches_its_store_past_any_proxy() {
    let script = r#"echo "{\"records\": 1, \"execution_time_s\": 0, \"result\": \"$no_proxy $NO_PROXY\"}""#;
    let found = run(script).await.unwrap().result;
    let hosts: Vec<&str> = found.split(' ').collect();
    assert_eq!(hosts.len(), 2, "{found}");
    assert!(hosts.iter().all(|hosts| hosts.split(',').any(|host| ["in-memory", "*"].contains(&host))), "{found}");
}

/// A script whose processes hold a lock on `held` until the last of them ended, and which writes to `ready` when they do.
fn hold(directory: &Path) -> String {
    File::create(directory.join("held")).unwrap();
    let (held, ready) = (directory.join("held"), directory.join("ready"));
    let (held, ready) = (held.display(), ready.display());
    format!("exec 9>'{held}'; flock 9; sleep 1000 & echo waiting; echo held > '{ready}'; wait")
}

fn is_released(directory: &Path) -> bool {
    File::open(directory.join("held")).unwrap().try_lock().is_ok()
}

/// Returns when nobody holds the lock any more.
async fn released(directory: &Path) {
    let held = File::open(directory.join("held")).unwrap();
    tokio::task::spawn_blocking(move || held.lock()).await.unwrap().unwrap();
}

#[tokio::test]
async fn at_the_time_limit_the_program_and_its_children_are_killed() {
    let directory = tempfile::tempdir().unwrap();
    let job = shell(&hold(directory.path()), Duration::from_secs(3));
    let error = job.run(&source()).await.unwrap_err().to_string();
    assert_eq!(error, "`sh` was stopped after its time limit of 3s\nwaiting");
    released(directory.path()).await;
}

#[tokio::test]
async fn a_dropped_job_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let ready = directory.path().join("ready");
    assert!(std::process::Command::new("mkfifo").arg(&ready).status().unwrap().success());
    let job = shell(&hold(directory.path()), MINUTE);
    let source = source();
    tokio::select! {
        held = tokio::fs::read_to_string(ready) => assert_eq!(held.unwrap(), "held\n"),
        report = job.run(&source) => panic!("{report:?}"),
    }
    released(directory.path()).await;
}

#[tokio::test]
async fn of_several_data_sets_a_program_finds_each_where_it_lies() {
    let script = r#"
        python3 - <<'PYTHON'
import json, os
sets = json.loads(os.environ["AGENT_DATA_SETS"])
found = [[one[name] for name in ("data_set", "endpoint", "bucket", "records")] for one in sets]
found.append([sets[0]["key"], sets[1]["prefix"], os.environ["AGENT_DATA_SET"], sets[1]["secret_access_key"]])
print(json.dumps({"records": 3, "execution_time_s": 0.5, "result": json.dumps(found)}))
PYTHON"#;
    let other = source();
    let access = S3Access { endpoint: "http://elsewhere:9000".to_owned(), ..other.access.clone() };
    let second = SetKeys::below("patients/").manifest();
    let other = DataSource { data_set: "patients".to_owned(), object_key: second, access, records: 2, ..other };
    let report = shell(script, MINUTE).run_over(&[source(), other]).await.unwrap();
    let expected = r#"[["blood_tests", "http://in-memory", "data", 1], ["patients", "http://elsewhere:9000", "data", 2], ["blood_tests.json", "patients/", "blood_tests", "***"]]"#;
    assert_eq!(report.result, expected);
    assert_eq!(report.parts, [], "a program does not tell its parts apart");
}

#[tokio::test]
async fn one_data_set_is_no_list() {
    let found =
        run(r#"echo "{\"records\": 1, \"execution_time_s\": 0, \"result\": \"${AGENT_DATA_SETS-none}\"}""#).await;
    assert_eq!(found.unwrap().result, "none");
}
