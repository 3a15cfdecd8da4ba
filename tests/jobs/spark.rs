//! The Spark job with a real Spark, where there is one: the example on two local cores, and on a standalone cluster of two
//! workers with a History Server, on the data of the three-node environment.

use crate::examples::{AVERAGE, RANGES, RECORDS, Server, example, has, serve};
use agent::jobs::command::CommandJob;
use agent::jobs::spark::{HistoryServer, Installation, Measures, SparkJob, Submission};
use agent::jobs::{Job, JobReport};
use agent_core::domain::ids::Life;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::num::NonZeroU64;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server of Spark's may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// Whether what the example needs is here; says `SKIPPED` and why if not.
fn has_spark() -> bool {
    has("pyspark or boto3 is not installed (pip install pyspark boto3)", "python3", &["-c", "import pyspark, boto3"])
        && has("java is not installed", "java", &["-version"])
        && has("spark-submit is not on the PATH", "sh", &["-c", "command -v spark-submit && command -v spark-class"])
}

/// The example as an agent would run it, with its properties below `place`.
fn average(place: &Path, master: &str, measures: Measures) -> SparkJob {
    let conf = [
        ("spark.driver.host", "127.0.0.1"),
        ("spark.driver.bindAddress", "127.0.0.1"),
        ("spark.ui.enabled", "false"),
        ("spark.cores.max", "2"),
        ("spark.executor.cores", "1"),
        ("spark.executor.memory", "512m"),
    ];
    let submission = Submission {
        application: example("pyspark_job.py"),
        arguments: vec!["cholesterol".to_owned()],
        main_class: None,
        master: master.to_owned(),
        conf: conf.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<BTreeMap<_, _>>(),
    };
    let submit = CommandJob {
        program: "spark-submit".to_owned(),
        args: Vec::new(),
        time_limit: Duration::from_secs(600),
        request_bytes: NonZeroU64::new(180_000).unwrap(),
        count_traffic: None,
        life: Life(format!("a1-{}-spark", std::process::id())),
        keeper: env!("CARGO_BIN_EXE_agent").into(),
    };
    let installation = Installation { path: std::env::var_os("PATH").unwrap_or_default(), ..Default::default() };
    SparkJob::new(submission, submit, installation, measures, place.join("with blanks and é").join("agent-1"))
}

/// Runs the example on the published data and holds its answer against the published one.
async fn run(job: &SparkJob, server: &Server) -> JobReport {
    let began = Instant::now();
    let report = job.run(&server.source).await.unwrap_or_else(|error| panic!("{error}"));
    let average: f64 = report.result.parse().unwrap();
    assert!((average - AVERAGE).abs() < 1e-9, "{average}");
    assert_eq!((report.records, report.skipped_records, &report.remark), (RECORDS, 0, &None));
    // Spark's own times: without the start of a JVM, and whole milliseconds.
    assert!(report.execution_time > Duration::ZERO && report.execution_time <= report.response_time);
    assert!(report.response_time < began.elapsed());
    assert_eq!(server.ranges.lock().unwrap().len(), RANGES);
    assert!(!job.scratch.exists());
    println!("{}: {:?} of {:?}", job.describe(), report.execution_time, report.response_time);
    report
}

#[tokio::test(flavor = "multi_thread")]
async fn spark_reads_the_ranges_in_its_tasks() {
    if !has_spark() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    run(&average(place.path(), "local[2]", Measures::OwnEventLog), &serve().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standalone_cluster_is_measured_by_its_history_server() {
    if !has_spark() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let (logs, work) = (place.path().join("logs"), place.path().join("work"));
    fs::create_dir(&logs).unwrap();
    let log_directory = format!("spark.history.fs.logDirectory=file://{}", logs.display());
    let properties = place.path().join("history.conf");
    fs::write(&properties, format!("{log_directory}\nspark.history.ui.port=0\nspark.history.fs.update.interval=1s\n"))
        .unwrap();

    let here = ["--host", "127.0.0.1"];
    let master = "org.apache.spark.deploy.master.Master";
    let mut master =
        Daemon::start(place.path(), "master", &[&[master], &here[..], &["--port", "0", "--webui-port", "0"]].concat());
    let mut history = Daemon::start(
        place.path(),
        "history",
        &["org.apache.spark.deploy.history.HistoryServer", "--properties-file", properties.to_str().unwrap()],
    );
    let spark_url = master.says("Starting Spark master at ");
    let mut workers = ["one", "two"].map(|name| {
        let worker = ["org.apache.spark.deploy.worker.Worker", "--cores", "1", "--memory", "1g", "--webui-port", "0"];
        let folder = work.join(name);
        let folder = ["--work-dir", folder.to_str().unwrap(), spark_url.as_str()];
        Daemon::start(place.path(), name, &[&worker[..], &here[..], &folder[..]].concat())
    });
    workers.iter_mut().for_each(|worker| drop(worker.says("Successfully registered with master ")));
    let address = history.says("started at ");

    let history_server = HistoryServer::new(&address, PATIENCE).unwrap();
    let measures =
        Measures::History { server: history_server, event_log_dir: Some(format!("file://{}", logs.display())) };
    let job = average(place.path(), &spark_url, measures);
    let server = serve().await;
    run(&job, &server).await;
    // Each worker had an executor, which found the store by its own environment.
    let executors = |name: &str| fs::read_dir(work.join(name)).unwrap().count();
    assert_eq!((executors("one"), executors("two")), (1, 1));

    // The next run is told from the first one, which the History Server lists as well.
    server.ranges.lock().unwrap().clear();
    run(&job, &server).await;
}

/// A server of Spark's; killed when dropped.
struct Daemon {
    name: &'static str,
    child: Child,
    log: std::path::PathBuf,
}

impl Daemon {
    fn start(place: &Path, name: &'static str, arguments: &[&str]) -> Self {
        let log = place.join(format!("{name}.log"));
        let file = File::create(&log).unwrap();
        let mut command = Command::new("spark-class");
        command
            .args(arguments)
            .env("SPARK_LOCAL_IP", "127.0.0.1")
            .env("SPARK_DAEMON_MEMORY", "512m")
            .stdin(Stdio::null());
        let child = command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        Self { name, child, log }
    }

    /// The word that follows this text in what it prints.
    fn says(&mut self, text: &str) -> String {
        let began = Instant::now();
        loop {
            let said = fs::read_to_string(&self.log).unwrap();
            // A line that is whole.
            let lines = said.rsplit_once('\n').map_or("", |(lines, _)| lines);
            if let Some((_, rest)) = lines.split_once(text) {
                return rest.split_whitespace().next().unwrap_or_default().to_owned();
            }
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() && began.elapsed() < PATIENCE,
                "{}: {ended:?} without `{text}`:\n{said}",
                self.name
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // One that has ended already needs neither.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}
