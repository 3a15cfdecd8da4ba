//! The programs in `examples/`, run as jobs against an S3 server that checks signatures.

use crate::doubles::{Object, OneObject};
#[allow(dead_code, reason = "other tests ask for the rest")]
use agent::data::blood_tests::BloodTests;
use agent::jobs::command::CommandJob;
use agent::jobs::{DataSource, Job, S3Access};
use agent_core::domain::ids::Life;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufWriter;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub const RECORDS: u64 = 11_075;
pub const AVERAGE: f64 = 172.782_943_566_591_14;
pub const RANGES: usize = 36;
/// What shells, URLs and patterns take for something else.
const KEY: &str = "all of *[20]{26}?/blood tests #1, 100%25 + \"é\" & $HOME's.json";

/// An S3 server with the data set, for as long as the test's runtime lives.
pub struct Server {
    pub source: DataSource,
    /// What was asked for, as the `Range` headers say it.
    pub ranges: Arc<Mutex<Vec<String>>>,
    _directory: tempfile::TempDir,
}

/// The one place that knows which server this is.
pub async fn serve() -> Server {
    const USER: (&str, &str) = ("job", "kept-secret");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data").join(KEY);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let object = File::create(path).unwrap();
    let data = BloodTests::new(RECORDS);
    let generated = data.generate(BufWriter::new(object)).unwrap();

    let mut service = s3s::service::S3ServiceBuilder::new(s3s_fs::FileSystem::new(directory.path()).unwrap());
    service.set_auth(s3s::auth::SimpleAuth::from_single(USER.0, USER.1));
    let service = service.build();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let ranges = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&ranges);
    tokio::spawn(async move {
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            let (service, seen) = (service.clone(), Arc::clone(&seen));
            let counted = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                let range = request.headers().get(hyper::header::RANGE);
                seen.lock().unwrap().extend(range.map(|range| range.to_str().unwrap().to_owned()));
                let service = service.clone();
                async move { hyper::service::Service::call(&service, request).await }
            });
            let connection = hyper_util::rt::TokioIo::new(connection);
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(connection, counted));
        }
    });

    let access = S3Access {
        endpoint,
        region: "us-east-1".to_owned(),
        bucket: "data".to_owned(),
        access_key_id: USER.0.to_owned(),
        secret_access_key: USER.1.to_owned(),
        ..Default::default()
    };
    let source = DataSource {
        store: OneObject::new(Object::Generated(data), 65_536),
        access,
        data_set: "blood_tests".to_owned(),
        object_key: KEY.to_owned(),
        etag: None,
        sha256: String::new(),
        bytes: generated.bytes,
        records: RECORDS,
    };
    Server { source, ranges, _directory: directory }
}

/// Runs an example on the published data and holds its answer against the published one; the ranges it read.
async fn run(program: &str, args: &[&str]) -> Vec<String> {
    let server = serve().await;
    let job = CommandJob {
        program: program.to_owned(),
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        time_limit: Duration::from_secs(600),
        request_bytes: NonZeroU64::new(180_000).unwrap(),
        count_traffic: None,
        life: Life(format!("a1-{}-examples", std::process::id())),
        keeper: env!("CARGO_BIN_EXE_agent").into(),
    };
    let report = job.run(&server.source).await.unwrap_or_else(|error| panic!("{error}"));
    let average: f64 = report.result.parse().unwrap();
    assert!((average - AVERAGE).abs() < 1e-9, "{average}");
    assert_eq!((report.records, report.skipped_records), (RECORDS, 0));
    assert!(report.execution_time > Duration::ZERO && report.execution_time < report.response_time);
    println!("{}: {:?} of {:?}", job.describe(), report.execution_time, report.response_time);
    server.ranges.lock().unwrap().clone()
}

pub fn example(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    path.to_str().unwrap().to_owned()
}

/// Whether a command succeeds; says `SKIPPED` and why if not.
pub fn has(what: &str, program: &str, args: &[&str]) -> bool {
    let status = Command::new(program).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let is_there = status.is_ok_and(|status| status.success());
    if !is_there {
        println!("SKIPPED: {what}");
    }
    is_there
}

#[tokio::test(flavor = "multi_thread")]
async fn duckdb_reads_through_s3() {
    if !has(
        "duckdb, fsspec or boto3 is not installed (pip install duckdb fsspec boto3)",
        "python3",
        &["-c", "import duckdb, fsspec, boto3"],
    ) {
        return;
    }
    let ranges: BTreeSet<String> = run("python3", &[&example("duckdb_job.py")]).await.into_iter().collect();
    assert_eq!(ranges.len(), RANGES);
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_reads_one_range_after_the_other() {
    if !has("curl with --aws-sigv4 (7.75) is not installed", "sh", &["-c", "curl --help all | grep -q -- --aws-sigv4"])
        || !has("awk is not installed", "awk", &["BEGIN {}"])
    {
        return;
    }
    assert_eq!(run(&example("curl_job.sh"), &[]).await.len(), RANGES);
}
