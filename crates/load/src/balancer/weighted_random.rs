//! Chance, as the weights say.

use super::seat::Seat;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

/// The position of the seat that a draw falls on; each is as wide as its weight.
pub(super) fn pick(seats: &[Seat], rng: &mut ChaCha8Rng) -> usize {
    let total: f64 = seats.iter().map(|seat| seat.weight).sum();
    let mut drawn = rng.random::<f64>() * total;
    let hit = seats.iter().position(|seat| {
        drawn -= seat.weight;
        drawn < 0.0
    });
    // Rounding may leave a draw just behind the last one.
    hit.unwrap_or(seats.len().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::super::seat::seats;
    use super::*;
    use rand::SeedableRng as _;

    fn picks(weights: &[f64], seed: u64, times: usize) -> Vec<usize> {
        let (seats, mut rng) = (seats(weights), ChaCha8Rng::seed_from_u64(seed));
        (0..times).map(|_| pick(&seats, &mut rng)).collect()
    }

    #[test]
    fn each_is_as_likely_as_its_weight_says() {
        const PICKS: usize = 10_000;
        let picks = picks(&[1.0, 4.0, 5.0], 1, PICKS);
        for (position, share) in [0.1, 0.4, 0.5].into_iter().enumerate() {
            let count = picks.iter().filter(|pick| **pick == position).count() as f64;
            let deviation = (share * (1.0 - share) * PICKS as f64).sqrt();
            let expected = share * PICKS as f64;
            assert!((count - expected).abs() < 4.0 * deviation, "{position}: {count} instead of {expected}");
        }
    }

    #[test]
    fn the_same_seed_makes_the_same_choices() {
        assert_eq!(picks(&[1.0, 2.0], 7, 100), picks(&[1.0, 2.0], 7, 100));
        assert_ne!(picks(&[1.0, 2.0], 7, 100), picks(&[1.0, 2.0], 8, 100));
    }
}
