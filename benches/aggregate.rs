//! How fast `avg(cholesterol)` over the published data set is, and how much memory it takes; beside it what DuckDB takes on
//! the same file on the local disk.
//!
//! `cargo bench --bench aggregate`; figures in `docs/performance.md`.

mod asked;
#[allow(dead_code, reason = "tests ask more of it")]
#[path = "../tests/jobs/doubles.rs"]
mod doubles;
mod linked_stores;

use agent::data::blood_tests::BloodTests;
use agent::jobs::aggregate::AggregateJob;
use agent::jobs::{DataSource, Job, JobReport};
use agent::storage::transfer::{Expected, transfer};
use asked::{Asked, asked};
use doubles::{Object, OneObject};
use linked_stores::{KEY, LinkedStores};
use std::fs::File;
use std::io::BufWriter;
use std::num::NonZeroU64;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use std::time::Instant;

const REQUEST_BYTES: NonZeroU64 = NonZeroU64::new(9_000_000).unwrap();

/// What is queried, how often, and what must come out.
#[derive(Clone, Copy)]
struct Extent {
    records: u64,
    runs: usize,
    average: f64,
}

const PUBLISHED: Extent = Extent { records: 553_729, runs: 7, average: 172.783_316_929_282_36 };
const MOMENT: Extent = Extent { records: 18_000, runs: 1, average: 172.783_333_333_333_3 };

fn main() {
    let extent = match asked("aggregate") {
        Asked::Everything => PUBLISHED,
        Asked::AMoment => MOMENT,
        Asked::Nothing => return,
    };
    let data = BloodTests::new(extent.records);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime starts");
    let from_memory = OneObject::new(Object::Generated(data), 64 * 1024);
    let before = duckdb(extent);
    runtime.block_on(async {
        aggregate("from memory", &from_memory.source(extent.records), extent).await;
        for (name, object) in [("from memory, gzip", gzip(data)), ("from memory, zstd", zstd(data))] {
            let compressed = OneObject::new(Object::Bytes(object.into()), 64 * 1024);
            aggregate(name, &compressed.source(extent.records), extent).await;
        }
        let stores = LinkedStores::start(extent.records, Duration::ZERO).await;
        let ours = aggregate("store through the link", &stores.source, extent).await;
        // Before and after ours: the machine may have changed its mind meanwhile.
        match (before, duckdb(extent)) {
            (Ok(before), Ok(after)) => {
                show("DuckDB, local file", before, data);
                show("DuckDB, once more", after, data);
                println!("ratio to DuckDB: {:.2}", ours / before.min(after));
            }
            (Err(why), _) | (_, Err(why)) => println!("SKIPPED: DuckDB: {why}"),
        }
        transferred(&stores).await;
        stores.stop().await;
    });
}

fn gzip(data: BloodTests) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    data.generate(&mut encoder).expect("it can be generated");
    encoder.finish().expect("memory takes it")
}

fn zstd(data: BloodTests) -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).expect("a known level");
    data.generate(&mut encoder).expect("it can be generated");
    encoder.finish().expect("memory takes it")
}

/// Store to store through the links, verified by reading it back.
async fn transferred(stores: &LinkedStores) {
    let data = BloodTests::new(stores.source.records);
    let sha256 = data.generate(std::io::sink()).expect("it can be generated").sha256;
    let expected = Expected { bytes: stores.source.bytes, sha256 };
    let started = Instant::now();
    let store = stores.source.store.as_ref();
    let transferred = transfer(store, KEY, None, &stores.other, "copy", &expected, |_| {}).await;
    assert_eq!(transferred.expect("the transfer succeeds").bytes(), stores.source.bytes);
    show("transfer, verified", started.elapsed().as_secs_f64(), data);
    println!("{:24} {:.0} MB", "peak resident", peak_resident_mb());
}

/// Seconds of the median run.
async fn aggregate(name: &str, source: &DataSource, extent: Extent) -> f64 {
    let expression = "avg(cholesterol)".parse().expect("a valid expression");
    let job = AggregateJob::new(expression, REQUEST_BYTES);
    let mut seconds = Vec::new();
    let cpu_before = cpu_seconds();
    for _ in 0..extent.runs {
        let started = Instant::now();
        let report = job.run(source).await.expect("the job succeeds");
        seconds.push(started.elapsed().as_secs_f64());
        check(&report, extent);
    }
    let median = median(seconds);
    show(name, median, BloodTests::new(source.records));
    println!("{:24} {:.3} s for each run", "processor time", (cpu_seconds() - cpu_before) / extent.runs as f64);
    println!("{:24} {:.0} MB", "peak resident", peak_resident_mb());
    median
}

fn check(report: &JobReport, Extent { records, average: expected, .. }: Extent) {
    let average: f64 = report.result.parse().expect("the average is a number");
    assert!((average - expected).abs() < 1e-9, "{average}");
    assert_eq!((report.records, report.skipped_records), (records, 0));
}

/// Seconds of the median query, two threads and the column given; in a process that is warm, as ours is.
fn duckdb(extent: Extent) -> Result<f64, String> {
    let path = std::env::temp_dir().join(format!("agent-bench-{}.json", std::process::id()));
    let seconds = generate(&path, extent.records).and_then(|()| query(&path, extent));
    std::fs::remove_file(&path).map_err(|error| error.to_string())?;
    seconds
}

fn generate(path: &Path, records: u64) -> Result<(), String> {
    let file = File::create(path).map_err(|error| error.to_string())?;
    BloodTests::new(records).generate(BufWriter::new(file)).map_err(|error| error.to_string())?;
    Ok(())
}

fn query(path: &Path, extent: Extent) -> Result<f64, String> {
    const PROGRAM: &str = "
import duckdb, sys, time
connection = duckdb.connect(config={'threads': 2})
connection.execute('set enable_progress_bar = false')
query = f\"select avg(cholesterol) from read_json('{sys.argv[1]}', format='array', columns={{'cholesterol': 'DOUBLE'}})\"
for _ in range(int(sys.argv[2])):
    started = time.perf_counter()
    ((average,),) = connection.execute(query).fetchall()
    print(time.perf_counter() - started)
    assert abs(average - float(sys.argv[3])) < 1e-9, average
";
    let mut python = Command::new("python3");
    python.args(["-c", PROGRAM]).arg(path).args([extent.runs.to_string(), extent.average.to_string()]);
    let output = python.output().map_err(|error| format!("python3: {error}"))?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        return Err(message.lines().last().unwrap_or("it failed without a word").to_owned());
    }
    let seconds = String::from_utf8_lossy(&output.stdout).lines().map(str::parse).collect::<Result<_, _>>();
    seconds.map(median).map_err(|error| error.to_string())
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

fn show(name: &str, seconds: f64, data: BloodTests) {
    let megabytes = data.bytes() as f64 / 1e6;
    println!("{name:24} {seconds:.3} s {:.0} MB/s", megabytes / seconds);
}

/// Of all threads of this process, so far.
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Of this process since it started, as Linux counts it.
fn peak_resident_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.parse::<f64>().ok()).map_or(f64::NAN, |kb| kb * 1.024e-3)
}
