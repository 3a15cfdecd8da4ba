//! The Spark job against a `spark-submit` of our own, which writes what Spark was recorded to write, and a History Server of
//! our own, which answers what Spark's was recorded to answer.

use crate::doubles::{Object, OneObject};
use agent::jobs::command::CommandJob;
use agent::jobs::spark::{HistoryServer, Installation, Measures, SparkJob, Submission};
use agent::jobs::{DataSource, Job, JobError, JobReport};
use agent_core::domain::ids::Life;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::num::NonZeroU64;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;

const EVENT_LOG: &str = include_str!("../../fixtures/spark/event_log.jsonl");
const FAILED_EVENT_LOG: &str = include_str!("../../fixtures/spark/failed_event_log.jsonl");
const APPLICATIONS: &str = include_str!("../../fixtures/spark/applications.json");
const ENVIRONMENT: &str = include_str!("../../fixtures/spark/environment.json");
const JOBS: &str = include_str!("../../fixtures/spark/jobs.json");
const STAGES: &str = include_str!("../../fixtures/spark/stages.json");
const FAILED_JOBS: &str = include_str!("../../fixtures/spark/failed_jobs.json");
const FAILED_STAGES: &str = include_str!("../../fixtures/spark/failed_stages.json");

/// The two applications that were recorded; the first one's jobs succeeded.
const SUCCEEDED: &str = "local-1795885090894";
const FAILED: &str = "local-1795885118812";
/// What the recorded ones carry.
const RECORDED_MARK: &str = "run-1";
/// What the first run of this job carries.
const MARK: &str = "a1-answers-0";
/// So long may a server take that never lists it.
const BRIEFLY: Duration = Duration::from_millis(700);
const MINUTE: Duration = Duration::from_secs(60);

/// Keeps its arguments, its properties and who may read them; writes a log of this run where the properties say; and reports.
const SUBMIT: &str = r#"#!/bin/sh
cd "$(dirname "$0")"
tr '\0' ' ' < /proc/$$/cmdline > seen-arguments
while [ "$1" != --properties-file ]; do shift; done
cp "$2" seen-properties
stat -c %a "$2" > seen-mode
mark=$(sed -n 's/^spark.agent.run=//p' "$2")
log=$(sed -n 's/^spark.eventLog.dir=file\\:\/\///p' "$2")
if [ -s log ] && [ -n "$log" ]; then sed "s/run-1/$mark/" log > "$log/local-1"; fi
echo "a word from Spark" >&2
echo '{"records": 7, "execution_time_s": 0, "result": "42"}'
"#;

/// A directory with the program and what it finds.
struct Stage(tempfile::TempDir);

impl Stage {
    fn new(log: &str) -> Self {
        let stage = Self(tempfile::tempdir().unwrap());
        fs::write(stage.file("spark-submit"), SUBMIT).unwrap();
        fs::set_permissions(stage.file("spark-submit"), Permissions::from_mode(0o755)).unwrap();
        fs::write(stage.file("log"), log).unwrap();
        stage
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn seen(&self, what: &str) -> String {
        fs::read_to_string(self.file(&format!("seen-{what}"))).unwrap()
    }

    fn job(&self, measures: Measures) -> SparkJob {
        let submission = Submission {
            application: "average.py".to_owned(),
            arguments: vec!["cholesterol".to_owned()],
            main_class: None,
            master: "local[2]".to_owned(),
            conf: BTreeMap::from([("spark.executor.memory".to_owned(), "1g".to_owned())]),
        };
        let submit = CommandJob {
            program: self.file("spark-submit").to_str().unwrap().to_owned(),
            args: Vec::new(),
            time_limit: MINUTE,
            request_bytes: NonZeroU64::new(180_000).unwrap(),
            count_traffic: None,
            life: Life("a1-answers".to_owned()),
            keeper: env!("CARGO_BIN_EXE_agent").into(),
        };
        SparkJob::new(submission, submit, Installation::default(), measures, self.file("scratch"))
    }

    async fn run(&self, measures: Measures) -> Result<JobReport, JobError> {
        self.job(measures).run(&source()).await
    }
}

fn source() -> DataSource {
    OneObject::new(Object::Bytes(Bytes::from_static(b"[{}]")), 4096).source(1)
}

#[tokio::test]
async fn an_application_is_measured_by_its_event_log() {
    let stage = Stage::new(EVENT_LOG);
    let report = stage.run(Measures::OwnEventLog).await.unwrap();
    let expected = JobReport {
        result: "42".to_owned(),
        records: 7,
        skipped_records: 0,
        execution_time: Duration::from_millis(6_703),
        response_time: Duration::from_millis(6_764),
        parts: Vec::new(),
        requests: None,
        remark: None,
    };
    assert_eq!(report, expected);
    assert!(!stage.file("scratch").exists());
}

#[tokio::test]
async fn nothing_secret_is_on_the_command_line() {
    let stage = Stage::new(EVENT_LOG);
    stage.run(Measures::OwnEventLog).await.unwrap();
    let (arguments, properties) = (stage.seen("arguments"), stage.seen("properties"));
    assert!(arguments.contains(" --master local[2] --properties-file "), "{arguments}");
    assert!(arguments.trim_end().ends_with(" average.py cholesterol"), "{arguments}");
    assert!(!arguments.contains("secret"), "{arguments}");
    assert_eq!(stage.seen("mode"), "600\n");
    for property in [
        "spark.hadoop.fs.s3a.endpoint=http\\://in-memory",
        "spark.hadoop.fs.s3a.secret.key=secret",
        "spark.executorEnv.AWS_SECRET_ACCESS_KEY=secret",
        "spark.executorEnv.AGENT_KEY=blood_tests.json",
        "spark.executorEnv.AGENT_REQUEST_BYTES=180000",
        "spark.executor.memory=1g",
        "spark.agent.run=a1-answers-0",
    ] {
        assert!(properties.lines().any(|line| line == property), "there is no {property} in\n{properties}");
    }
}

#[tokio::test]
async fn a_spark_job_that_failed_fails_the_job_though_the_program_did_not() {
    let stage = Stage::new(FAILED_EVENT_LOG);
    let error = stage.run(Measures::OwnEventLog).await.unwrap_err();
    let JobError::Command { reason, output, .. } = &error else { panic!("{error}") };
    assert!(reason.starts_with("ended well, but its Spark job 0 failed: [PYTHON_EXCEPTION] "), "{reason}");
    assert!(reason.contains("ZeroDivisionError: division by zero"), "{reason}");
    assert!(output.contains("a word from Spark"), "{output}");
}

#[tokio::test]
async fn an_application_without_a_log_is_told_so() {
    let error = Stage::new("").run(Measures::OwnEventLog).await.unwrap_err();
    let JobError::Command { reason, .. } = &error else { panic!("{error}") };
    assert_eq!(reason, "left no event log: it makes no SparkContext, or sets spark.eventLog.* itself");
}

/// What a server answers, by what follows `/api/v1/applications`; each answer of a path once, the last for ever.
type Answers = BTreeMap<String, Vec<(StatusCode, String)>>;

struct Server {
    answers: Mutex<Answers>,
    asked: Mutex<Vec<String>>,
}

impl Server {
    /// Of recorded applications that carry these marks.
    fn of(marks: [(&str, &str); 2]) -> Answers {
        let mut answers = BTreeMap::from([ok("", APPLICATIONS)]);
        for (id, mark) in marks {
            answers.extend([ok(&format!("/{id}/environment"), &ENVIRONMENT.replace(RECORDED_MARK, mark))]);
        }
        let succeeded = [ok(&format!("/{SUCCEEDED}/jobs"), JOBS), ok(&format!("/{SUCCEEDED}/stages"), STAGES)];
        let failed = [ok(&format!("/{FAILED}/jobs"), FAILED_JOBS), ok(&format!("/{FAILED}/stages"), FAILED_STAGES)];
        answers.extend(succeeded.into_iter().chain(failed));
        answers
    }

    /// It ends with the runtime.
    async fn start(answers: Answers) -> (Arc<Self>, String) {
        let server = Arc::new(Self { answers: Mutex::new(answers), asked: Mutex::default() });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (server, address)
    }

    fn asked_for(&self, path: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| *asked == path).count()
    }
}

fn ok(path: &str, body: &str) -> (String, Vec<(StatusCode, String)>) {
    (path.to_owned(), vec![(StatusCode::OK, body.to_owned())])
}

async fn answer(State(server): State<Arc<Server>>, uri: Uri) -> Response {
    let Some(path) = uri.path().strip_prefix("/api/v1/applications") else {
        return StatusCode::NOT_FOUND.into_response();
    };
    server.asked.lock().unwrap().push(path.to_owned());
    if path.is_empty() {
        let query = uri.query().unwrap();
        assert!(query.starts_with("status=completed&minDate=2") && query.contains(".000GMT&limit=100"), "{query}");
    }
    match server.answers.lock().unwrap().get_mut(path) {
        Some(answers) if answers.len() > 1 => answers.remove(0).into_response(),
        Some(answers) => answers[0].clone().into_response(),
        None => (StatusCode::NOT_FOUND, "no such app").into_response(),
    }
}

fn history(address: &str, wait: Duration, event_log_dir: Option<&Path>) -> Measures {
    Measures::History {
        server: HistoryServer::new(address, wait).unwrap(),
        event_log_dir: event_log_dir.map(|directory| format!("file://{}", directory.display())),
    }
}

/// Why a run is not measured whose History Server answers so.
async fn unmeasured(answers: Answers) -> String {
    let (_server, address) = Server::start(answers).await;
    let error = Stage::new("").run(history(&address, BRIEFLY, None)).await.unwrap_err();
    match error {
        JobError::Surroundings { reason, .. } => reason.replace(&address, "http://HISTORY"),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_history_server_tells_of_the_application_that_carries_the_mark() {
    let mut answers = Server::of([(SUCCEEDED, MARK), (FAILED, "a2-somebody-elses-0")]);
    // At first it has not found the log; then it has, and lost it again.
    let listed = answers.get_mut("").unwrap();
    listed.insert(0, (StatusCode::OK, "[]".to_owned()));
    let environment = answers.get_mut(&format!("/{SUCCEEDED}/environment")).unwrap();
    environment.insert(0, (StatusCode::NOT_FOUND, "no such app".to_owned()));
    let (server, address) = Server::start(answers).await;
    let stage = Stage::new("");
    let report = stage.run(history(&address, MINUTE, None)).await.unwrap();
    assert_eq!(
        (report.response_time, report.execution_time),
        (Duration::from_millis(6_447), Duration::from_millis(6_375))
    );
    assert_eq!((report.records, report.remark), (7, None));
    assert_eq!((server.asked_for(""), server.asked_for(&format!("/{FAILED}/environment"))), (3, 1));
    assert!(!stage.seen("properties").contains("spark.eventLog"));
}

#[tokio::test]
async fn a_failed_job_is_seen_where_the_server_says_that_all_is_well() {
    assert!(APPLICATIONS.contains("\"exitCode\": 0") && !APPLICATIONS.contains("\"completed\": false"));
    let (_server, address) = Server::start(Server::of([(SUCCEEDED, "other"), (FAILED, MARK)])).await;
    let error = Stage::new("").run(history(&address, MINUTE, None)).await.unwrap_err();
    let JobError::Command { reason, .. } = &error else { panic!("{error}") };
    assert!(reason.contains("Spark job 0 failed: ") && reason.contains("ZeroDivisionError"), "{reason}");
}

#[tokio::test]
async fn attempts_that_have_ids_are_found_below_them() {
    let applications = r#"[{"id": "application_1", "attempts": [
        {"attemptId": "2", "completed": false}, {"attemptId": "1", "completed": true}]}]"#;
    let at = |part: &str, body: &str| ok(&format!("/application_1/1/{part}"), body);
    let environment = ENVIRONMENT.replace(RECORDED_MARK, MARK);
    let answers = [ok("", applications), at("environment", &environment), at("jobs", JOBS), at("stages", STAGES)];
    let (server, address) = Server::start(BTreeMap::from(answers)).await;
    Stage::new("").run(history(&address, MINUTE, None)).await.unwrap();
    // Of the other attempt, which is running or was killed, there is nothing to be asked.
    assert_eq!(server.asked_for("/application_1/2/environment"), 0);
}

#[tokio::test]
async fn somebody_elses_application_is_never_taken() {
    let reason = unmeasured(Server::of([(SUCCEEDED, "a1-answers-1"), (FAILED, "a2-answers-0")])).await;
    let expected = "ended well, but what it took is not known: the History Server at http://HISTORY/ did not list this run's \
        application within 700ms (2 others); does it read the directory that the application's event log is written to?; its \
        last line was `{\"records\": 7, \"execution_time_s\": 0, \"result\": \"42\"}`";
    assert_eq!(reason, expected);
}

#[tokio::test]
async fn what_is_no_history_server_is_told_from_one_that_is_away() {
    let says = |status, body: &str| BTreeMap::from([(String::new(), vec![(status, body.to_owned())])]);
    let page = unmeasured(says(StatusCode::OK, "<html>")).await;
    assert!(page.contains("http://HISTORY/ does not answer as one: expected value at line 1 column 1"), "{page}");
    let broken = unmeasured(says(StatusCode::INTERNAL_SERVER_ERROR, "")).await;
    assert!(broken.contains("does not answer as one: it says 500 Internal Server Error"), "{broken}");
    let other = unmeasured(BTreeMap::new()).await;
    assert!(other.contains("does not answer as one: it says 404 Not Found"), "{other}");
}

/// Where nobody listens.
async fn nowhere() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[tokio::test]
async fn a_history_server_that_is_away_costs_no_result() {
    let error = Stage::new("").run(history(&nowhere().await, MINUTE, None)).await.unwrap_err().to_string();
    for part in ["does not answer: Connection refused", "; is it running?", "\"result\": \"42\""] {
        assert!(error.contains(part), "there is no `{part}` in {error}");
    }
}

#[tokio::test]
async fn where_the_logs_are_on_this_machine_they_are_read_instead() {
    let stage = Stage::new(EVENT_LOG);
    let logs = stage.file("logs");
    fs::create_dir(&logs).unwrap();
    fs::write(logs.join("local-0"), EVENT_LOG.replace(RECORDED_MARK, "a2-answers-0")).unwrap();
    let report = stage.run(history(&nowhere().await, MINUTE, Some(&logs))).await.unwrap();
    assert_eq!(report.response_time, Duration::from_millis(6_764));
    let remark = report.remark.unwrap();
    assert!(remark.contains("does not answer: ") && remark.ends_with("; the event log itself was read"), "{remark}");
    assert!(logs.join("local-1").exists(), "the user's logs are the user's");

    // One without a log of this run.
    fs::write(stage.file("log"), "").unwrap();
    fs::remove_file(logs.join("local-1")).unwrap();
    let error = stage.run(history(&nowhere().await, MINUTE, Some(&logs))).await.unwrap_err().to_string();
    assert!(error.contains("logs: no event log in this directory is of this run"), "{error}");
}
