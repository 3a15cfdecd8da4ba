//! What a job's other data sets contribute to it: the same wherever the one lies that a prediction is about.
//!
//! Parts are read one after the other, so their times add up, and so do what is not known of them: they are predicted by one
//! model, which is wrong about all of them in the same way. All that is read must be there; the slowest link, the stalest and the least
//! consistent part are the job's.

use super::{Estimate, Forecast};
use crate::domain::ids::NodeId;
use crate::domain::metric::Metric;
use std::collections::BTreeMap;

/// One data set as a job reads it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Share {
    pub node: NodeId,
    /// Of this part alone.
    pub forecast: Forecast,
    /// 0..=1
    pub consistency: f64,
}

/// Where the others would best be read, if those who can would move them: what takes a step on each of two data sets is worth
/// nothing as long as either is looked at alone.
#[derive(Clone, PartialEq, Debug)]
pub struct Hope {
    pub rest: Rest,
    /// How many of them would have to move.
    pub moves: u32,
}

/// Several of them together.
#[derive(Clone, PartialEq, Debug)]
pub struct Rest {
    /// Without availability, which is the nodes'.
    forecast: Forecast,
    /// What each node declares \[%\].
    availability: BTreeMap<NodeId, f64>,
    consistency: f64,
}

impl Rest {
    /// `None`: there are no others.
    pub fn of(shares: impl IntoIterator<Item = Share>) -> Option<Self> {
        let mut rest: Option<Self> = None;
        for Share { node, forecast, consistency } in shares {
            let availability = forecast.get(Metric::Availability).map_or(0.0, |availability| availability.mean);
            let rest = match &mut rest {
                Some(rest) => {
                    rest.forecast = together(&rest.forecast, &forecast);
                    rest
                }
                None => rest.insert(Self { forecast, availability: BTreeMap::new(), consistency: 1.0 }),
            };
            rest.availability.insert(node, availability);
            rest.consistency = rest.consistency.min(consistency);
        }
        rest
    }

    /// Where the others are read.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, f64)> + '_ {
        self.availability.iter().map(|(node, availability)| (*node, *availability))
    }

    /// The whole job, were the data set in question read at this node.
    pub fn with(&self, node: NodeId, part: &Forecast) -> Forecast {
        let mut whole = together(&self.forecast, part);
        if let Some(own) = part.get(Metric::Availability) {
            // A node that serves several parts is there for all of them, or for none.
            let others = self.availability.iter().filter(|(other, _)| **other != node);
            let all = others.fold(own.mean, |all, (_, availability)| all * availability / 100.0);
            whole.set(Metric::Availability, Estimate { mean: all, ..own });
        }
        whole
    }

    /// How consistent all that is read is, were the data set in question so consistent.
    pub fn consistency(&self, own: f64) -> f64 {
        self.consistency.min(own)
    }
}

/// Two parts of a job.
fn together(a: &Forecast, b: &Forecast) -> Forecast {
    let mut both = Forecast::default();
    let of = |metric| Some((a.get(metric)?, b.get(metric)?));
    for metric in [Metric::ResponseTime, Metric::ExecutionTime] {
        if let Some((a, b)) = of(metric) {
            both.set(metric, sum(a, b));
        }
    }
    for metric in [Metric::NetworkLatency, Metric::Staleness] {
        if let Some((a, b)) = of(metric) {
            both.set(metric, if b.mean > a.mean { b } else { a });
        }
    }
    if let (Some((a, b)), Some(execution)) =
        (of(Metric::Throughput).zip(of(Metric::ExecutionTime)).map(records), both.get(Metric::ExecutionTime))
    {
        both.set(Metric::Throughput, super::throughput(a + b, execution));
    }
    both
}

/// How many records both parts have.
fn records(((a, b), (a_takes, b_takes)): ((Estimate, Estimate), (Estimate, Estimate))) -> (f64, f64) {
    (a.mean * a_takes.mean, b.mean * b_takes.mean)
}

fn sum(a: Estimate, b: Estimate) -> Estimate {
    Estimate { mean: a.mean + b.mean, deviation: a.deviation + b.deviation }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(node: u32, seconds: f64, latency_ms: f64, availability: f64) -> Share {
        let mut forecast = Forecast::default();
        for (metric, mean) in [
            (Metric::ResponseTime, seconds + 1.0),
            (Metric::ExecutionTime, seconds),
            (Metric::Throughput, 100.0 / seconds),
            (Metric::NetworkLatency, latency_ms),
            (Metric::Availability, availability),
            (Metric::Staleness, latency_ms),
        ] {
            forecast.set(metric, Estimate { mean, deviation: 0.5 });
        }
        Share { node: NodeId(node), forecast, consistency: 1.0 / f64::from(node) }
    }

    /// Reading a part at node 1 in 10 s beside these.
    fn check<const N: usize>(others: [Share; N], expected: [f64; 6]) {
        let own = part(1, 10.0, 20.0, 90.0);
        let rest = Rest::of(others).unwrap();
        let whole = rest.with(own.node, &own.forecast);
        let metrics = [
            Metric::ResponseTime,
            Metric::ExecutionTime,
            Metric::Throughput,
            Metric::NetworkLatency,
            Metric::Availability,
            Metric::Staleness,
        ];
        for (metric, expected) in metrics.into_iter().zip(expected) {
            let found = whole.get(metric).unwrap().mean;
            assert!((found - expected).abs() < 1e-9, "{metric}: {found} instead of {expected}");
        }
    }

    #[test]
    fn times_add_up_and_the_worst_link_counts() {
        check([part(2, 30.0, 700.0, 80.0)], [42.0, 40.0, 5.0, 700.0, 72.0, 700.0]);
        check([part(2, 30.0, 10.0, 80.0), part(3, 10.0, 5.0, 50.0)], [53.0, 50.0, 6.0, 20.0, 36.0, 20.0]);
    }

    #[test]
    fn one_node_for_several_parts_is_there_for_all_of_them() {
        check([part(1, 30.0, 700.0, 90.0), part(2, 10.0, 5.0, 50.0)], [53.0, 50.0, 6.0, 700.0, 45.0, 700.0]);
    }

    #[test]
    fn the_least_consistent_part_counts() {
        let rest = Rest::of([part(2, 1.0, 1.0, 1.0), part(4, 1.0, 1.0, 1.0)]).unwrap();
        assert_eq!((rest.consistency(1.0), rest.consistency(0.1)), (0.25, 0.1));
        assert_eq!(Rest::of([]), None);
    }
}
