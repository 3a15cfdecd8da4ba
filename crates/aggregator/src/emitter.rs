//! A node that tells what it does: fire and forget.

use crate::host_name::HostName;
use crate::interface::Interface;
use crate::mdsmp::{Measurement, Metric};
use crate::sockets::{self, SocketError};
use crate::value::Value;
use agent_sampler::{Sample, Sampler};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval_at};

/// A share of the CPU is one of some time: it is measured over at least this.
const CPU_WINDOW: Duration = Duration::from_millis(250);

/// What a node sends, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Emission {
    pub metrics: Vec<Metric>,
    pub host: HostName,
    /// Whose disk is measured: a path on it.
    pub disk: PathBuf,
    /// By which it is sent; `None`: the kernel's choice.
    pub interface: Option<String>,
    pub port: u16,
    /// How many routers it may pass: 1 is this network, 0 this machine.
    pub ttl: u32,
    /// Until the first.
    pub delay: Duration,
    /// Between two: at least 0.25 s, and less counts as that.
    pub frequency: Duration,
}

/// Sends until it is dropped.
#[derive(Debug)]
pub struct Emitter {
    emission: Emission,
    socket: UdpSocket,
}

impl Emitter {
    /// Opens the socket; needs a runtime of tokio.
    pub fn open(emission: Emission) -> Result<Self, SocketError> {
        let interface = emission.interface.as_deref().map(Interface::find).transpose()?;
        let socket = sockets::sender(interface.as_ref(), emission.ttl)?;
        let socket = UdpSocket::from_std(socket).map_err(SocketError::NoSocket)?;
        Ok(Self { emission, socket })
    }

    /// Samples and sends, for ever. What cannot be known is not sent; what cannot be sent is lost, and the next is tried.
    /// It ends only with the runtime.
    pub async fn run(self) {
        let first = Instant::now() + self.emission.delay.max(CPU_WINDOW);
        let mut ticks = interval_at(first.into(), self.emission.frequency.max(CPU_WINDOW));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sampled = sample(Sampler::new(&self.emission.disk)).await;
        let mut is_heard = true;
        while let Ok((sampler, _)) = sampled {
            ticks.tick().await;
            sampled = sample(sampler).await;
            let Ok((_, sample)) = &sampled else { return };
            let sent = self.send(sample).await;
            if let Err(error) = &sent
                && is_heard
            {
                tracing::warn!(%error, "measurements cannot be sent; they are lost until they can");
            }
            is_heard = sent.is_ok();
        }
    }

    async fn send(&self, sample: &Sample) -> std::io::Result<()> {
        for measurement in measurements(sample, &self.emission) {
            let to = SocketAddr::from((measurement.metric.group(), self.emission.port));
            self.socket.send_to(measurement.to_string().as_bytes(), to).await?;
            tracing::debug!(%to, %measurement, "sent");
        }
        Ok(())
    }
}

/// On a thread for what may wait: a disk takes its time.
async fn sample(mut sampler: Sampler) -> Result<(Sampler, Sample), JoinError> {
    spawn_blocking(move || {
        let sample = sampler.sample(Instant::now());
        (sampler, sample)
    })
    .await
}

/// Of the metrics that are sent those that are known.
fn measurements(sample: &Sample, emission: &Emission) -> Vec<Measurement> {
    let used = |space: Option<agent_sampler::Space>| Value::megabytes(space?.used_bytes).ok();
    let value = |metric: Metric| match metric {
        Metric::Cpu => Value::of(sample.cpu_percent?).ok(),
        Metric::Ram => used(sample.memory),
        Metric::Dsk => used(sample.disk),
    };
    let measurement =
        |metric: &Metric| Some(Measurement { metric: *metric, value: value(*metric)?, host: emission.host.clone() });
    emission.metrics.iter().filter_map(measurement).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_sampler::Space;

    #[test]
    fn what_is_known_is_sent_in_the_units_of_the_specification() {
        let emission = Emission {
            metrics: Metric::ALL.into(),
            host: HostName::new("Node_1").expect("a name"),
            disk: "/".into(),
            interface: None,
            port: crate::mdsmp::PORT,
            ttl: 1,
            delay: Duration::ZERO,
            frequency: Duration::from_secs(5),
        };
        let sent =
            |sample: &Sample| measurements(sample, &emission).iter().map(ToString::to_string).collect::<Vec<_>>();
        let space = |used_bytes| Some(Space { total_bytes: 64_000_000_000, used_bytes, free_bytes: 1 });
        let (memory, disk) = (space(10_000_000_000), space(123_456_789));
        let all = Sample { cpu_percent: Some(30.0), memory, disk, ..Sample::default() };
        let expected =
            ["cpu{value=30.00, host=Node_1}", "ram{value=10000.00, host=Node_1}", "dsk{value=123.46, host=Node_1}"];
        assert_eq!(sent(&all), expected);
        assert_eq!(sent(&Sample { memory, ..Sample::default() }), ["ram{value=10000.00, host=Node_1}"]);
        assert_eq!(sent(&Sample { cpu_percent: Some(f64::NAN), ..Sample::default() }), [""; 0]);
    }
}
