//! What applications read through the endpoints of this process's agents.

use crate::s3_endpoint::{BOUNDS_MS, Counted};
use agent_core::domain::ids::{AgentId, DataSetName};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use std::fmt;

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct OfReads {
    agent: u32,
    data_set: String,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Ended {
    agent: u32,
    data_set: String,
    outcome: &'static str,
}

/// How long readers waited, which was counted in classes already.
#[derive(Debug)]
struct Latencies(Vec<(OfReads, Counted)>);

pub fn register(registry: &mut Registry, reads: Vec<(AgentId, DataSetName, Counted)>) {
    if reads.is_empty() {
        return;
    }
    let requests: Family<Ended, Counter> = Family::default();
    let (bytes, resumed): (Family<OfReads, Counter>, Family<OfReads, Counter>) = Default::default();
    let mut latencies = Vec::with_capacity(reads.len());
    for (agent, data_set, counted) in reads {
        let (agent, data_set) = (agent.0, data_set.to_string());
        for (outcome, count) in
            [("answered", counted.requests.saturating_sub(counted.errors)), ("failed", counted.errors)]
        {
            requests.get_or_create(&Ended { agent, data_set: data_set.clone(), outcome }).inc_by(count);
        }
        let of = OfReads { agent, data_set };
        bytes.get_or_create(&of).inc_by(counted.bytes);
        resumed.get_or_create(&of).inc_by(counted.resumed);
        latencies.push((of, counted));
    }
    registry.register("agent_reads", "Reads of applications through this process's S3 endpoints", requests);
    registry.register("agent_read_bytes", "Bytes that they were sent", bytes);
    registry.register("agent_reads_resumed", "How often an answer was continued from another replica", resumed);
    registry.register_collector(Box::new(Latencies(latencies)));
}

impl Collector for Latencies {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let help = "From a read's request to the first byte of its answer";
        let mut all = encoder.encode_descriptor("agent_read_latency_seconds", help, None, MetricType::Histogram)?;
        let bounds = BOUNDS_MS.map(|bound| bound as f64 / 1e3).into_iter().chain([f64::INFINITY]);
        for (labels, counted) in &self.0 {
            let classes: Vec<(f64, u64)> = bounds.clone().zip(counted.latencies).collect();
            let (sum, count) = (counted.latency.as_secs_f64(), counted.latencies.iter().sum());
            all.encode_family(labels)?.encode_histogram::<NoLabelSet>(sum, count, &classes, None)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text;
    use std::time::Duration;

    #[test]
    fn what_was_counted_in_classes_is_a_histogram() {
        let mut latencies = [0; BOUNDS_MS.len() + 1];
        (latencies[0], latencies[2], latencies[BOUNDS_MS.len()]) = (3, 1, 1);
        let latency = Duration::from_millis(31_006);
        let counted = Counted { requests: 6, errors: 1, bytes: 40, latency, latencies, ..Counted::default() };
        let mut registry = Registry::default();
        register(&mut registry, vec![(AgentId(2), "blood".into(), counted)]);
        let mut written = String::new();
        text::encode(&mut written, &registry).unwrap();
        let of = "agent=\"2\",data_set=\"blood\"";
        for line in [
            &format!("agent_reads_total{{{of},outcome=\"answered\"}} 5"),
            &format!("agent_reads_total{{{of},outcome=\"failed\"}} 1"),
            &format!("agent_read_bytes_total{{{of}}} 40"),
            "# TYPE agent_read_latency_seconds histogram",
            &format!("agent_read_latency_seconds_sum{{{of}}} 31.006"),
            &format!("agent_read_latency_seconds_count{{{of}}} 5"),
            &format!("agent_read_latency_seconds_bucket{{le=\"0.001\",{of}}} 3"),
            &format!("agent_read_latency_seconds_bucket{{le=\"0.005\",{of}}} 4"),
            &format!("agent_read_latency_seconds_bucket{{le=\"30.0\",{of}}} 4"),
            &format!("agent_read_latency_seconds_bucket{{le=\"+Inf\",{of}}} 5"),
        ] {
            assert!(written.lines().any(|written| written == line), "{line}: {written}");
        }
    }
}
