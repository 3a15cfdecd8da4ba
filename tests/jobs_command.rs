//! The command job against small shell scripts.

#[allow(dead_code, reason = "other tests ask for the rest")]
mod jobs_doubles;

use agent::jobs::command::CommandJob;
use agent::jobs::{DataSource, Job, JobError, JobReport};
use bytes::Bytes;
use jobs_doubles::{Object, OneObject};
use std::collections::BTreeMap;
use std::fs::File;
use std::num::NonZeroU64;
use std::path::Path;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

fn shell(script: &str, time_limit: Duration) -> CommandJob {
    CommandJob {
        program: "sh".to_owned(),
        args: vec!["-c".to_owned(), script.to_owned()],
        time_limit,
        env: BTreeMap::from([("EXTRA".to_owned(), "more".to_owned())]),
        request_bytes: NonZeroU64::new(9_000_000).unwrap(),
    }
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
        found="$found $AGENT_BUCKET $AGENT_KEY $AGENT_DATA_SET $AGENT_BYTES $AGENT_RECORDS $AGENT_REQUEST_BYTES $EXTRA"
        echo "{\"records\": 1, \"execution_time_s\": 0, \"result\": \"$found\"}""#;
    let found = run(script).await.unwrap().result;
    let access = "http://in-memory http://in-memory id secret us-east-1 us-east-1";
    assert_eq!(found, format!("{access} data blood_tests.json blood_tests 4 1 9000000 more"));
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

/// A script whose processes hold a lock on `held` until the last of them ended, and which writes to `ready` when they do.
fn hold(directory: &Path) -> String {
    File::create(directory.join("held")).unwrap();
    let (held, ready) = (directory.join("held"), directory.join("ready"));
    let (held, ready) = (held.display(), ready.display());
    format!("exec 9>'{held}'; flock 9; sleep 1000 & echo waiting; echo held > '{ready}'; wait")
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
