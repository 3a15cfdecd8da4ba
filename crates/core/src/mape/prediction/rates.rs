//! How fast bytes come from each node: as jobs felt it, and where none was run, as a probe that read a little of what lies there.

use super::Estimate;
use crate::domain::ids::NodeId;
use std::collections::BTreeMap;

/// A measurement further than this many standard deviations from the estimate shows another rate than before.
const BREAK: f64 = 5.0;
/// How much of the way to a new measurement the estimate goes.
const PACE: f64 = 0.2;
/// No rate is steadier than this share of it.
const LEAST_DEVIATION_SHARE: f64 = 0.1;

/// What one byte takes from each node \[s\]. A job that reads in parallel, or computes meanwhile, feels less of it than a probe
/// does: by how much is the same everywhere, and known from the nodes that have shown both.
#[derive(Clone, Debug, Default)]
pub struct Rates {
    of_jobs: BTreeMap<NodeId, Estimate>,
    of_probes: BTreeMap<NodeId, Estimate>,
}

impl Rates {
    pub fn read(&mut self, node: NodeId, seconds_per_byte: f64) {
        follow(&mut self.of_jobs, node, seconds_per_byte);
    }

    pub fn probed(&mut self, node: NodeId, seconds_per_byte: f64) {
        follow(&mut self.of_probes, node, seconds_per_byte);
    }

    /// What a byte is expected to take for a job at a node \[s\]: anything between what it took elsewhere, where nothing was measured.
    /// `None` before any job was.
    pub fn at(&self, node: NodeId) -> Option<Estimate> {
        let probed = || Some(self.of_probes.get(&node)?.scaled(self.felt()?));
        self.of_jobs.get(&node).copied().or_else(probed).or_else(|| self.anywhere())
    }

    /// The part of what a probe shows that jobs feel.
    fn felt(&self) -> Option<f64> {
        let both = self.of_jobs.iter().filter_map(|(node, job)| Some((job.mean, self.of_probes.get(node)?.mean)));
        let (of_jobs, of_probes) = both.fold((0.0, 0.0), |(jobs, probes), (job, probe)| (jobs + job, probes + probe));
        (of_probes > 0.0).then(|| of_jobs / of_probes)
    }

    fn anywhere(&self) -> Option<Estimate> {
        let nodes = self.of_jobs.len() as f64;
        let mean = self.of_jobs.values().map(|job| job.mean).sum::<f64>() / nodes;
        let squares: f64 = self.of_jobs.values().map(|job| (job.mean - mean).powi(2)).sum();
        match self.of_jobs.len() {
            0 => None,
            // A single node does not show how much nodes differ.
            1 => Some(Estimate { mean, deviation: mean }),
            _ => Some(Estimate { mean, deviation: (squares / (nodes - 1.0) * (1.0 + 1.0 / nodes)).sqrt() }),
        }
    }
}

fn follow(known: &mut BTreeMap<NodeId, Estimate>, node: NodeId, measured: f64) {
    let new = Estimate { mean: measured, deviation: measured * LEAST_DEVIATION_SHARE };
    let before = known.entry(node).or_insert(new);
    let difference = measured - before.mean;
    match difference.abs() > BREAK * before.deviation {
        true => *before = new,
        false => before.mean += PACE * difference,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(jobs: &[(u32, f64)], probes: &[(u32, f64)]) -> Rates {
        let mut rates = Rates::default();
        jobs.iter().for_each(|(node, seconds)| rates.read(NodeId(*node), *seconds));
        probes.iter().for_each(|(node, seconds)| rates.probed(NodeId(*node), *seconds));
        rates
    }

    fn check(rates: &Rates, node: u32, expected: Option<(f64, f64)>) {
        let rounded = |value: f64| (value * 1e6).round() / 1e6;
        let found = rates.at(NodeId(node)).map(|found| (rounded(found.mean), rounded(found.deviation)));
        assert_eq!(found, expected);
    }

    #[test]
    fn what_a_job_felt_counts_for_more_than_what_a_probe_showed() {
        let rates = rates(&[(1, 2.0)], &[(1, 8.0), (2, 4.0)]);
        check(&rates, 1, Some((2.0, 0.2)));
        // Jobs feel a quarter of it.
        check(&rates, 2, Some((1.0, 0.1)));
    }

    #[test]
    fn a_node_that_showed_nothing_is_anything_between_the_others() {
        check(&Rates::default(), 1, None);
        check(&rates(&[], &[(1, 2.0)]), 1, None);
        check(&rates(&[(1, 2.0)], &[]), 9, Some((2.0, 2.0)));
        // Variance 2, and the mean itself is uncertain: 2 * (1 + 1/2).
        check(&rates(&[(1, 2.0), (2, 4.0)], &[]), 9, Some((3.0, 1.732051)));
    }

    #[test]
    fn an_estimate_follows_slowly_and_breaks_at_once() {
        check(&rates(&[(1, 2.0), (1, 2.5)], &[]), 1, Some((2.1, 0.2)));
        check(&rates(&[(1, 2.0), (1, 4.0)], &[]), 1, Some((4.0, 0.4)));
    }
}
