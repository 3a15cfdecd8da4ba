//! Figures of this process, under the names that Prometheus' own clients use.

use super::figures::register_one;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use std::fs;

/// What cannot be read is left out.
pub fn register(registry: &mut Registry) {
    registry.register("agent_build", "This program", Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]));
    if let Some(seconds) = cpu_seconds() {
        let help = "Time that this process has spent on processors";
        registry.register("process_cpu_seconds", help, ConstCounter::new(seconds));
    }
    if let Some(bytes) = resident_bytes() {
        register_one(registry, "process_resident_memory_bytes", "Memory of this process", bytes);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        register_one(registry, "process_open_fds", "Files and sockets that are open", open.count() as f64);
    }
    if let Some(threads) = status("Threads:") {
        register_one(registry, "process_threads", "Threads of this process", threads);
    }
}

fn cpu_seconds() -> Option<f64> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Some(time.tv_sec as f64 + time.tv_nsec as f64 / 1e9)
}

fn resident_bytes() -> Option<f64> {
    status("VmRSS:").map(|kilobytes| kilobytes * 1024.0)
}

/// The number behind a name in this process's status.
fn status(name: &str) -> Option<f64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}
