//! A file system that is quickly full: in memory, which takes root to mount.

use rustix::fs::statvfs;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const SIZE: &str = "size=32m";
/// Less than an object takes.
const LEFT_BYTES: u64 = 300_000;

/// Unmounts when its input ends, which happens also when the test is killed.
const GUARD: &str =
    r#"mount -t tmpfs -o "$2" tmpfs "$1" 2>/dev/null || exit 1; echo mounted; read -r _; umount -l "$1""#;

pub struct SmallDisk {
    path: PathBuf,
    guard: Child,
}

impl SmallDisk {
    /// `Err`: why there is none on this machine.
    pub fn mount(path: &Path) -> Result<Self, String> {
        fs::create_dir_all(path).expect("a directory to mount it on");
        let mut guard = Command::new("sh");
        guard.args(["-c", GUARD, "guard"]).arg(path).arg(SIZE).stdin(Stdio::piped()).stdout(Stdio::piped());
        // A process group of its own: Ctrl-C must not end the guard first.
        let mut guard = guard.process_group(0).spawn().expect("sh can be started");
        let mut said = String::new();
        BufReader::new(guard.stdout.take().expect("it is piped")).read_line(&mut said).expect("its output");
        if said == "mounted\n" {
            return Ok(Self { path: path.to_owned(), guard });
        }
        guard.wait().expect("the guard ends");
        Err("mounting a small file system needs root".to_owned())
    }

    /// Leaves less than an object needs.
    pub fn fill(&self) {
        let free = statvfs(&self.path).expect("a file system tells its size");
        let bytes = (free.f_bavail * free.f_frsize).saturating_sub(LEFT_BYTES);
        let zeros = vec![0; usize::try_from(bytes).expect("it is small")];
        File::create(self.ballast()).and_then(|mut file| file.write_all(&zeros)).unwrap_or_else(|error| {
            // An object came in between: all the fuller.
            println!("    filling up: {error}");
        });
    }

    pub fn free(&self) {
        fs::remove_file(self.ballast()).expect("the ballast is there");
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        // Whatever became of it: it can do no more.
        let _gone = self.guard.wait();
    }
}
