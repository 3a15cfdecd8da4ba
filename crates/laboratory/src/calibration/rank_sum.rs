//! Whether two samples come from one distribution: the rank-sum test of Wilcoxon, Mann and Whitney. It asks nothing of the
//! distributions, and counts with many ties are no trouble to it.

use agent_core::mape::prediction::Estimate;
use serde::Serialize;

/// What the test found.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct RankSum {
    /// Of how many pairs the first sample's value is the larger one; a tie counts half.
    pub u: f64,
    /// The chance, 0..=1, of a difference at least as large when there is none; two-sided.
    pub p: f64,
}

/// By the normal approximation with ties and continuity corrected for, which is good from about eight values on each side.
/// Samples that are empty, or all of whose values are the same, differ in nothing: p is 1.
pub fn rank_sum(first: &[f64], second: &[f64]) -> RankSum {
    let (n, m) = (first.len() as f64, second.len() as f64);
    let mut all: Vec<(f64, bool)> =
        first.iter().map(|value| (*value, true)).chain(second.iter().map(|value| (*value, false))).collect();
    all.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let (mut ranks_of_first, mut ties, mut before) = (0.0, 0.0, 0.0);
    for same in all.chunk_by(|(a, _), (b, _)| a == b) {
        let count = same.len() as f64;
        let rank = before + (count + 1.0) / 2.0;
        ranks_of_first += rank * same.iter().filter(|(_, is_first)| *is_first).count() as f64;
        ties += count.powi(3) - count;
        before += count;
    }
    let u = ranks_of_first - n * (n + 1.0) / 2.0;
    let total = n + m;
    let variance = n * m / 12.0 * (total + 1.0 - ties / (total * (total - 1.0)).max(1.0));
    let off = ((u - n * m / 2.0).abs() - 0.5).max(0.0);
    let p = match variance > 0.0 {
        true => 2.0 * Estimate { mean: 0.0, deviation: variance.sqrt() }.chance_below(-off),
        false => 1.0,
    };
    RankSum { u, p: p.min(1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values are those of SciPy 1.17, `mannwhitneyu(first, second, method="asymptotic")`.
    fn check(first: &[f64], second: &[f64], u: f64, p: f64) {
        let found = rank_sum(first, second);
        assert!(found.u == u && (found.p - p).abs() < 2e-7, "{found:?} instead of {u}, {p}");
        let turned = rank_sum(second, first);
        let pairs = (first.len() * second.len()) as f64;
        assert!(turned.u == pairs - u && (turned.p - found.p).abs() < 1e-12, "{turned:?} the other way round");
    }

    #[test]
    fn it_finds_what_others_find() {
        check(&[19.0, 22.0, 16.0, 29.0, 24.0], &[20.0, 11.0, 17.0, 12.0], 17.0, 0.111_346_886);
        check(&[1.0, 2.0, 3.0, 4.0, 5.0], &[11.0, 12.0, 13.0, 14.0, 15.0, 16.0], 0.0, 0.008_113_117);
    }

    #[test]
    fn ties_are_corrected_for() {
        let first = [1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 5.0];
        let second = [2.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0, 4.0, 5.0, 6.0, 6.0, 7.0];
        check(&first, &second, 26.0, 0.091_748_850);
        check(&[1.0, 2.0, 2.0, 3.0], &[1.0, 2.0, 2.0, 3.0], 8.0, 1.0);
    }

    #[test]
    fn what_is_all_the_same_differs_in_nothing() {
        check(&[3.0, 3.0, 3.0], &[3.0, 3.0, 3.0, 3.0], 6.0, 1.0);
        assert_eq!(rank_sum(&[], &[1.0]), RankSum { u: 0.0, p: 1.0 });
    }

    /// Of samples that come from one distribution, one in twenty is rejected at 5 %.
    #[test]
    fn it_errs_as_often_as_it_says() {
        use rand::{RngExt as _, SeedableRng as _};
        let mut rng = agent_core::mape::planner::Rng::seed_from_u64(11);
        let mut draw = |n: usize| (0..n).map(|_| f64::from(rng.random_range(0..12_u32))).collect::<Vec<_>>();
        let rejected = (0..2000).filter(|_| rank_sum(&draw(20), &draw(60)).p < 0.05).count();
        assert!((70..=130).contains(&rejected), "{rejected} of 2000");
    }
}
