//! Machines that are only watched: a node that emits for them, and one that passes on what their aggregator hears.

use super::{Shared, Wanted};
use agent_aggregator::mdsmp::{self, Metric};
use agent_aggregator::udsmp::Request;
use agent_aggregator::{Emission, Emitter, HostName, Reader};
use agent_membership::Label;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How often it emits, and how often an aggregator is asked, on the wall.
const EVERY: Duration = Duration::from_secs(10);
/// Machines whose values are passed on (I-7): a record has little room, and its own labels come first.
const MACHINES_MAX: usize = 8;

/// Emits this machine's processors, memory and disk, if the configuration wants that and the machine can.
pub fn emit(wanted: &Wanted) -> Option<impl Future<Output = ()> + Send + use<>> {
    if !wanted.settings.mdsmp {
        return None;
    }
    let Some(host) = HostName::new(&wanted.name).ok().or_else(HostName::of_this_machine) else {
        wanted.trouble("`[membership] mdsmp`: the node has no name that can be sent".to_owned());
        return None;
    };
    let emission = Emission {
        metrics: vec![Metric::Cpu, Metric::Ram, Metric::Dsk],
        host,
        disk: wanted.data.clone(),
        interface: None,
        port: mdsmp::PORT,
        ttl: 1,
        delay: Duration::ZERO,
        frequency: EVERY,
    };
    let opened = {
        let _within = wanted.services.enter();
        Emitter::open(emission)
    };
    match opened {
        Ok(emitter) => Some(emitter.run()),
        Err(error) => {
            wanted.trouble(format!("`[membership] mdsmp`: {error}"));
            None
        }
    }
}

/// Asks an aggregator again and again, and makes labels of what it hears. What is silent has none.
pub async fn pass_on(shared: Arc<Shared>, aggregator: String) {
    let mut is_told = false;
    loop {
        match heard(&aggregator).await {
            Ok(labels) => {
                shared.own.heard(labels);
                is_told = false;
            }
            Err(why) => {
                shared.own.heard(Vec::new());
                if !std::mem::replace(&mut is_told, true) {
                    shared
                        .wanted
                        .trouble(format!("the aggregator `{aggregator}` in `[membership]`: {why}; it is asked again"));
                }
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn heard(aggregator: &str) -> Result<Vec<Label>, String> {
    let mut found =
        tokio::net::lookup_host(aggregator).await.map_err(|error| format!("it does not resolve: {error}"))?;
    let address = found.next().ok_or("it does not resolve")?;
    // Its reader waits a second for each answer.
    let asked = tokio::task::spawn_blocking(move || labels(address)).await;
    asked.map_err(|error| error.to_string())?
}

fn labels(aggregator: SocketAddr) -> Result<Vec<Label>, String> {
    let reader = Reader::new(aggregator);
    let machines = reader.ask(&Request::Emitters).map_err(|error| error.to_string())?;
    let mut labels = Vec::new();
    for machine in machines.entries.iter().take(MACHINES_MAX) {
        let values = reader.ask(&Request::Emitter(machine)).map_err(|error| error.to_string())?;
        labels.extend(latest(machine, &values.entries));
    }
    Ok(labels)
}

/// Of values, newest last, `cpu: 30.00`, the newest of each metric.
fn latest(machine: &str, values: &[String]) -> Vec<Label> {
    let mut labels: Vec<Label> = Vec::new();
    for (metric, value) in values.iter().filter_map(|value| value.split_once(": ")) {
        let key = format!("{machine}.{}", metric.to_lowercase());
        labels.retain(|label| label.key != key);
        labels.push(Label { key, value: value.to_owned() });
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_value_of_each_metric_is_a_label() {
        let values = ["cpu: 10.00", "ram: 900.00", "cpu: 30.00", "nonsense"].map(str::to_owned);
        let label = |key: &str, value: &str| Label { key: key.to_owned(), value: value.to_owned() };
        assert_eq!(latest("Node_1", &values), [label("Node_1.ram", "900.00"), label("Node_1.cpu", "30.00")]);
    }
}
