//! A view as text that Prometheus reads.

use crate::mdsmp::{Metric, Refusal};
use crate::view::View;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::sync::atomic::AtomicU64;

/// What the text is.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Number = Gauge<f64, AtomicU64>;

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct OfHost {
    host: String,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct OfMetric {
    host: String,
    metric: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

/// The newest value of each emitter's metrics, their ages, and what was refused.
pub fn exposition(view: &View) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    add_values(&mut registry, view);
    add_counts(&mut registry, view);
    let mut page = String::new();
    text::encode(&mut page, &registry)?;
    Ok(page)
}

fn add_values(registry: &mut Registry, view: &View) {
    let [cpu, ram, dsk] = [(); 3].map(|()| Family::<OfHost, Number>::default());
    let ages = Family::<OfMetric, Number>::default();
    for emitter in &view.emitters {
        for (metric, series) in &emitter.metrics {
            let Some(newest) = series.first() else { continue };
            let (family, number) = match metric {
                Metric::Cpu => (&cpu, newest.value.number()),
                Metric::Ram => (&ram, newest.value.bytes_of_megabytes() as f64),
                Metric::Dsk => (&dsk, newest.value.bytes_of_megabytes() as f64),
            };
            let host = emitter.host.to_string();
            ages.get_or_create(&OfMetric { host: host.clone(), metric: metric.word() }).set(newest.age.as_secs_f64());
            family.get_or_create(&OfHost { host }).set(number);
        }
    }
    registry.register("mdsmp_cpu_percent", "CPU in use, of all cores", cpu);
    registry.register_with_unit("mdsmp_ram_used", "Memory in use", Unit::Bytes, ram);
    registry.register_with_unit("mdsmp_dsk_used", "Disk in use", Unit::Bytes, dsk);
    registry.register_with_unit("mdsmp_age", "Since the newest value arrived", Unit::Seconds, ages);
}

fn add_counts(registry: &mut Registry, view: &View) {
    let counts = &view.counts;
    let refused = Family::<OfKind, Number>::default();
    for kind in Refusal::ALL {
        let count = counts.refused.get(&kind).copied().unwrap_or(0);
        refused.get_or_create(&OfKind { kind: kind.word() }).set(count as f64);
    }
    registry.register("mdsmp_refused_datagrams", "Datagrams that were no measurement, since the start", refused);
    for (name, help, count) in [
        ("mdsmp_measurements", "Measurements taken in", counts.accepted),
        ("mdsmp_expired_emitters", "Emitters forgotten because they were silent", counts.expired),
        ("udsmp_requests", "Requests of readers", counts.answered),
        ("udsmp_misunderstood", "Datagrams that were no request", counts.misunderstood),
    ] {
        registry.register(name, help, ConstCounter::new(count));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregator::{Aggregator, Policy};
    use std::time::{Duration, SystemTime};

    #[test]
    fn values_have_base_units_and_escaped_hosts() {
        let mut aggregator = Aggregator::new(Policy::default());
        for datagram in ["cpu{value=30.50, host=a\"}}", "ram{value=10000.00, host=Node_1}", "NaN"] {
            let _counted = aggregator.take_in(datagram.as_bytes(), Duration::ZERO);
        }
        let view = aggregator.view(Duration::from_millis(1500), SystemTime::UNIX_EPOCH);
        let page = exposition(&view).expect("text");
        for line in [
            "mdsmp_cpu_percent{host=\"a\\\"}\"} 30.5",
            "mdsmp_ram_used_bytes{host=\"Node_1\"} 10000000000.0",
            "mdsmp_age_seconds{host=\"Node_1\",metric=\"ram\"} 1.5",
            "mdsmp_refused_datagrams{kind=\"form\"} 1.0",
            "mdsmp_refused_datagrams{kind=\"full\"} 0.0",
            "mdsmp_measurements_total 2",
            "udsmp_requests_total 0",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
        }
        assert!(page.ends_with("# EOF\n"));
    }
}
