//! The agents as their users start them: processes in a directory of their own, and an eye on what they leave there that
//! shares no code with them.

#![allow(dead_code, reason = "each test file uses its part")]

pub mod audit;
pub mod edits;
pub mod fake_store;
pub mod mariadb;
pub mod process;
pub mod secrets;

use agent::data::blood_tests::BloodTests;
use sha2::{Digest as _, Sha256};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long anything may take that takes moments on an idle machine.
pub const PATIENCE: Duration = Duration::from_secs(90);
/// SHA-256 of the data set of the shipped configuration.
const SHIPPED_DATA: &str = "14ba3efa805cd7614442624a2598619ed789dc44fdff1ed08323e0994795b767";
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Waits until a condition holds; panics with `what` when it does not within the limit.
pub fn wait_until(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    assert!(comes_true(limit, &mut holds), "{what}: not within {limit:?}");
}

/// Whether a condition holds within the limit.
pub fn comes_true(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    while !holds() {
        if began.elapsed() > limit {
            return false;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    true
}

/// A directory for one test, and the command lines that are about it.
pub struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a temporary directory") }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// The shipped training files; of a configuration with another data set, as if they had been measured on that one.
    pub fn training(&self) -> PathBuf {
        let own = self.path().join("trained");
        if own.is_dir() { own } else { repository().join("training") }
    }

    /// Has the training files of this place say that they were measured on this content.
    pub fn trained_on(&self, sha256: &str) {
        for agent in ["1", "2", "3"] {
            self.retrain(agent, SHIPPED_DATA, sha256);
        }
    }

    /// Changes what an agent's training file of this place says; at first it says what is shipped.
    fn retrain(&self, agent: &str, from: &str, to: &str) {
        let (shipped, own) = (repository().join("training"), self.path().join("trained"));
        if !own.is_dir() {
            fs::create_dir(&own).expect("a directory for the training files");
            for entry in fs::read_dir(shipped).expect("training files") {
                let file = entry.expect("an entry").path();
                fs::copy(&file, own.join(file.file_name().expect("a name"))).expect("a copy");
            }
        }
        let path = own.join(format!("agent-{agent}.json"));
        let text = fs::read_to_string(&path).expect("a training file");
        assert!(text.contains(from) || text.contains(to), "{}: there is no `{from}`", path.display());
        fs::write(path, text.replace(from, to)).expect("a training file");
    }

    /// The same of a data set that is generated with so many records of the scenario, at the shipped scale.
    fn trained_on_generated(&self, records: u64) {
        let generated = BloodTests::new((records + 25) / 50).generate(std::io::sink()).expect("nothing is written");
        self.trained_on(&generated.sha256);
    }

    /// An edit that gives an agent's file this script, which is written here, as its job: it may run for hours.
    pub fn job<'a>(&self, file: &'a str, script: &str) -> (&'a str, &'static str, String) {
        let program = self.path().join("program");
        fs::write(&program, script).expect("a script");
        fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("a script that can be run");
        self.retrain(file.trim_end_matches(".toml"), "avg(cholesterol)", text(&program));
        let command = format!("kind = \"command\"\nprogram = \"{}\"\ntime_limit = \"100 h\"", text(&program));
        (file, "kind = \"aggregate\"\nexpression = \"avg(cholesterol)\"", command)
    }

    /// A copy of the shipped configuration; each edit replaces a text that must be in its file.
    pub fn configuration(&self, name: &str, edits: &[(&str, &str, &str)]) -> PathBuf {
        let directory = self.path().join(name);
        fs::create_dir(&directory).expect("a directory for the configuration");
        for entry in fs::read_dir(repository().join("agents")).expect("the shipped configuration") {
            let source = entry.expect("an entry").path();
            let file = source.file_name().expect("a file has a name").to_owned();
            let mut text = fs::read_to_string(&source).expect("a text");
            for (_, from, to) in edits.iter().filter(|(of, _, _)| *of == file) {
                assert!(text.contains(from), "{}: there is no `{from}`", source.display());
                text = text.replace(from, to);
            }
            fs::write(directory.join(file), text).expect("a copy");
        }
        let records = |text: &str| text.strip_prefix("generate_records = ")?.replace('_', "").parse().ok();
        let edited = edits.iter().find_map(|(_, _, to)| records(to));
        edited.into_iter().for_each(|records| self.trained_on_generated(records));
        directory
    }
}

pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// SHA-256 in hexadecimal.
pub fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("temporary directories have plain names")
}
