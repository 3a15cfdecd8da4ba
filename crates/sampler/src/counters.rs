//! From counters that only rise to rates.

use procfs::CpuTime;
use procfs::net::DeviceStatus;
use std::collections::BTreeMap;
use std::time::Duration;

/// The loopback's traffic is no network's.
const LOOPBACK: &str = "lo";

/// Of all cores, since the machine's start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CpuTicks {
    /// Also what a hypervisor gave to others: it was not to be had here.
    busy: u64,
    /// Also waiting for a disk.
    idle: u64,
}

impl CpuTicks {
    pub fn of(time: &CpuTime) -> Self {
        // `user` and `nice` contain what guests took.
        let known = [Some(time.user), Some(time.nice), Some(time.system), time.irq, time.softirq, time.steal];
        Self { busy: known.into_iter().flatten().sum(), idle: time.idle.saturating_add(time.iowait.unwrap_or(0)) }
    }
}

/// The share of the ticks between two samples that were not idle, in 0..=100; `None` when there were none.
pub fn busy_percent(before: CpuTicks, after: CpuTicks) -> Option<f64> {
    let busy = after.busy.saturating_sub(before.busy);
    // The kernel's idle time may go back a little.
    let idle = after.idle.saturating_sub(before.idle);
    let all = busy.saturating_add(idle);
    (all > 0).then(|| 100.0 * busy as f64 / all as f64)
}

/// What all interfaces but the loopback carried since their start \[bytes\], by name: received, sent.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Traffic(BTreeMap<String, (u64, u64)>);

/// What a machine receives and sends.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct NetworkRate {
    pub received_bytes_per_s: f64,
    pub sent_bytes_per_s: f64,
}

impl Traffic {
    pub fn of(devices: impl Iterator<Item = DeviceStatus>) -> Self {
        let others = devices.filter(|device| device.name != LOOPBACK);
        Self(others.map(|device| (device.name, (device.recv_bytes, device.sent_bytes))).collect())
    }

    /// Only of interfaces that were there before: a new one's counters may be years old. One that began anew counts as still.
    /// `None` when no time has passed.
    pub fn rate_since(&self, before: &Self, elapsed: Duration) -> Option<NetworkRate> {
        let (mut received, mut sent) = (0_u64, 0_u64);
        for (name, now) in &self.0 {
            let then = before.0.get(name).unwrap_or(now);
            received = received.saturating_add(now.0.saturating_sub(then.0));
            sent = sent.saturating_add(now.1.saturating_sub(then.1));
        }
        let per_second = |bytes: u64| bytes as f64 / elapsed.as_secs_f64();
        (!elapsed.is_zero())
            .then(|| NetworkRate { received_bytes_per_s: per_second(received), sent_bytes_per_s: per_second(sent) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busy_share_is_that_of_the_ticks_between() {
        let check = |before: (u64, u64), after: (u64, u64), expected: Option<f64>| {
            let ticks = |(busy, idle)| CpuTicks { busy, idle };
            assert_eq!(busy_percent(ticks(before), ticks(after)), expected);
        };
        check((100, 900), (130, 970), Some(30.0));
        check((100, 900), (200, 900), Some(100.0));
        check((100, 900), (100, 950), Some(0.0));
        check((100, 900), (100, 900), None);
        // Idle time that went back, and counters that began anew.
        check((100, 900), (150, 890), Some(100.0));
        check((100, 900), (1, 2), None);
        check((0, 0), (u64::MAX, u64::MAX), Some(100.0));
    }

    #[test]
    fn traffic_is_that_of_interfaces_that_were_there() {
        let traffic = |all: &[(&str, u64, u64)]| {
            Traffic(all.iter().map(|(name, received, sent)| ((*name).to_owned(), (*received, *sent))).collect())
        };
        let before = traffic(&[("eth0", 1000, 500), ("eth1", 70, 80), ("gone", 5, 5)]);
        let after = traffic(&[("eth0", 3000, 1000), ("eth1", 10, 90), ("new", 9999, 9999)]);
        let rate = after.rate_since(&before, Duration::from_secs(2));
        assert_eq!(rate, Some(NetworkRate { received_bytes_per_s: 1000.0, sent_bytes_per_s: 255.0 }));
        assert_eq!(after.rate_since(&before, Duration::ZERO), None);
    }
}
