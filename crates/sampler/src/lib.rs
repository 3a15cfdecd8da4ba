//! What a machine has and does: cores, memory, disks, traffic and load.
//!
//! A [`Sampler`] reads four small files of `/proc` and asks the one file system that it is told of: a few system calls, no
//! thread, and nothing that waits for another mount. What cannot be known is `None`, never 0.
//!
//! It is the machine that is sampled: in a container, the one that the container runs on (only the traffic is the container's).

mod counters;

use counters::{CpuTicks, Traffic, busy_percent};
use procfs::{Current as _, CurrentSI as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

pub use counters::NetworkRate;

/// What there is of a kind, and what is left of it \[bytes\].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Space {
    pub total_bytes: u64,
    /// Of memory: what programs hold, without the page cache, which the kernel gives up when it is asked.
    pub used_bytes: u64,
    /// What somebody without privileges may still take. `used + free` is less than `total` where some is kept for the system.
    pub free_bytes: u64,
}

/// A machine at a moment.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Sample {
    /// Those that this process may use.
    pub cores: Option<usize>,
    pub memory: Option<Space>,
    /// Of the file system on which the sampler's path lies.
    pub disk: Option<Space>,
    /// Of all cores together, since the sample before, in 0..=100: `None` in the first, and when no tick has passed since.
    pub cpu_percent: Option<f64>,
    /// Since the sample before: `None` in the first.
    pub network: Option<NetworkRate>,
    /// Processes that run or wait for a core or a disk, averaged over a minute.
    pub load: Option<f64>,
}

/// Remembers the counters of the sample before, for the rates.
#[derive(Debug)]
pub struct Sampler {
    path: PathBuf,
    cpu: Option<CpuTicks>,
    traffic: Option<(Instant, Traffic)>,
}

impl Sampler {
    /// `path` is any file or folder of the file system whose space is asked for; it need not be there yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), cpu: None, traffic: None }
    }

    /// What the machine has and does at `now`. A `path` on a network's file system can hold it up as long as that does not
    /// answer.
    pub fn sample(&mut self, now: Instant) -> Sample {
        Sample {
            cores: std::thread::available_parallelism().ok().map(usize::from),
            memory: memory(),
            disk: disk(&self.path),
            cpu_percent: self.cpu_percent(),
            network: self.network(now),
            load: procfs::LoadAverage::current().ok().map(|load| f64::from(load.one)),
        }
    }

    fn cpu_percent(&mut self) -> Option<f64> {
        let ticks = procfs::KernelStats::current().ok().map(|stats| CpuTicks::of(&stats.total));
        let before = std::mem::replace(&mut self.cpu, ticks);
        busy_percent(before?, ticks?)
    }

    fn network(&mut self, now: Instant) -> Option<NetworkRate> {
        let traffic = procfs::net::dev_status().ok().map(|devices| Traffic::of(devices.into_values()));
        let before = std::mem::replace(&mut self.traffic, traffic.clone().map(|traffic| (now, traffic)));
        let (then, before) = before?;
        traffic?.rate_since(&before, now.saturating_duration_since(then))
    }
}

/// What this machine calls itself.
pub fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// The kernel of this machine, with its version: `Linux 6.1.0`.
pub fn kernel() -> Option<String> {
    let read = |file| std::fs::read_to_string(format!("/proc/sys/kernel/{file}")).ok();
    Some(format!("{} {}", read("ostype")?.trim(), read("osrelease")?.trim()))
}

fn memory() -> Option<Space> {
    let memory = procfs::Meminfo::current().ok()?;
    let (total_bytes, free_bytes) = (memory.mem_total, memory.mem_available?);
    Some(Space { total_bytes, used_bytes: total_bytes.saturating_sub(free_bytes), free_bytes })
}

/// Of the file system of `path` only: a list of all mounts would ask each, and one that hangs would hold up the rest.
fn disk(path: &Path) -> Option<Space> {
    let there = path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
    let found = rustix::fs::statvfs(there).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Some(Space {
        total_bytes: bytes(found.f_blocks),
        used_bytes: bytes(found.f_blocks.saturating_sub(found.f_bfree)),
        free_bytes: bytes(found.f_bavail),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_first_sample_has_all_but_rates() {
        let sample = Sampler::new("/").sample(Instant::now());
        assert!(sample.cores.is_some_and(|cores| cores >= 1), "{sample:?}");
        for space in [sample.memory, sample.disk] {
            let space = space.expect("known on every Linux");
            assert!(space.total_bytes > 0 && space.used_bytes <= space.total_bytes, "{space:?}");
            assert!(space.free_bytes <= space.total_bytes, "{space:?}");
        }
        assert!(sample.load.is_some_and(|load| load >= 0.0), "{sample:?}");
        assert_eq!((sample.cpu_percent, sample.network), (None, None));
    }

    #[test]
    fn the_second_sample_has_rates() {
        let mut sampler = Sampler::new("/");
        let start = Instant::now();
        sampler.sample(start);
        let second = sampler.sample(start + Duration::from_secs(1));
        let network = second.network.expect("a second has passed");
        assert!(network.received_bytes_per_s >= 0.0 && network.sent_bytes_per_s >= 0.0, "{network:?}");
        assert!(second.cpu_percent.is_none_or(|percent| (0.0..=100.0).contains(&percent)), "{second:?}");
    }

    #[test]
    fn time_that_does_not_pass_has_no_rate() {
        let mut sampler = Sampler::new("/");
        let now = Instant::now();
        sampler.sample(now);
        assert_eq!(sampler.sample(now).network, None);
    }

    #[test]
    fn a_path_that_is_not_there_is_asked_for_where_it_will_lie() {
        let folder = tempfile::tempdir().expect("a folder");
        let missing = folder.path().join("not/there/yet");
        let total = |path: &Path| disk(path).map(|space| space.total_bytes);
        assert_eq!(total(&missing), total(folder.path()));
        assert!(total(Path::new("relative-and-missing")).is_some());
    }

    #[test]
    fn the_machine_has_a_name() {
        let name = host_name().expect("every Linux has one");
        assert_eq!(name, name.trim());
        let kernel = kernel().expect("every Linux has one");
        assert!(kernel.starts_with("Linux ") && kernel == kernel.trim(), "{kernel}");
    }
}
