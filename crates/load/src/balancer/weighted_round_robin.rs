//! Turns, as the weights say, spread evenly: 2 and 1 give a, b, a and not a, a, b.
//!
//! With each pick every seat is owed its share of one request, and the one that is owed most gets it. What is owed is counted
//! in requests and not in weights: so it keeps its meaning when weights change, and when hosts come (they are owed nothing) and
//! go (what they were owed goes with them) in mid-stream.

use super::seat::Seat;

/// Differences below this \[requests\] are of rounding: thirds do not add up, and yet equals take their turns in order.
const EVEN: f64 = 1e-10;

/// The position of the seat that is owed most; the first of equals.
///
/// While hosts stay the same nobody gets a whole request more than its share: what is owed adds up to 0, so whoever is owed
/// most is not ahead, and is less than one request ahead afterwards.
pub(super) fn pick(seats: &mut [Seat]) -> usize {
    let total: f64 = seats.iter().map(|seat| seat.weight).sum();
    for seat in &mut *seats {
        seat.credit += seat.weight / total;
    }
    let most = seats.iter().map(|seat| seat.credit).fold(f64::NEG_INFINITY, f64::max);
    let position = seats.iter().position(|seat| seat.credit > most - EVEN).unwrap_or(0);
    seats[position].credit -= 1.0;
    position
}

#[cfg(test)]
mod tests {
    use super::super::seat::seats;
    use super::*;
    use proptest::prelude::*;

    fn picks(seats: &mut [Seat], times: usize) -> String {
        (0..times).map(|_| char::from(b'a' + u8::try_from(pick(seats)).unwrap())).collect()
    }

    #[test]
    fn turns_are_spread() {
        assert_eq!(picks(&mut seats(&[2.0, 1.0]), 6), "abaaba");
        assert_eq!(picks(&mut seats(&[5.0, 1.0, 1.0]), 7), "aabacaa");
        assert_eq!(picks(&mut seats(&[1.0, 1.0, 1.0]), 6), "abcabc");
    }

    proptest! {
        /// The promise, whatever the weights: at no moment has anybody got a whole request more than its share.
        #[test]
        fn nobody_is_a_whole_request_ahead_of_its_share(
            weights in prop::collection::vec(0.01..1000.0f64, 1..12),
            times in 1..300usize,
        ) {
            let total: f64 = weights.iter().sum();
            let mut seats = seats(&weights);
            let mut counts = vec![0.0; weights.len()];
            for so_far in 1..=times {
                counts[pick(&mut seats)] += 1.0;
                for (count, weight) in counts.iter().zip(&weights) {
                    let share = weight / total * so_far as f64;
                    prop_assert!(count - share < 1.0 + 1e-9, "{count} instead of {share} after {so_far}");
                }
            }
        }
    }
}
