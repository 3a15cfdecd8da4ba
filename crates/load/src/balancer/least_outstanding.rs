//! The host that has the least to do.

use super::seat::Seat;

/// The position of the seat with the fewest requests that have not ended; of equals the one of the highest weight, then the
/// first.
pub(super) fn pick(seats: &[Seat]) -> usize {
    let by_work = |a: &Seat, b: &Seat| a.outstanding.cmp(&b.outstanding).then_with(|| b.weight.total_cmp(&a.weight));
    // `min_by` takes the first of equals.
    seats.iter().enumerate().min_by(|(_, a), (_, b)| by_work(a, b)).map_or(0, |(position, _)| position)
}

#[cfg(test)]
mod tests {
    use super::super::seat::seats;
    use super::*;

    #[test]
    fn the_least_busy_is_taken_then_the_heaviest_then_the_first() {
        let check = |hosts: &[(u64, f64)], expected: usize| {
            let weights: Vec<f64> = hosts.iter().map(|(_, weight)| *weight).collect();
            let mut seats = seats(&weights);
            seats.iter_mut().zip(hosts).for_each(|(seat, (outstanding, _))| seat.outstanding = *outstanding);
            assert_eq!(pick(&seats), expected, "{hosts:?}");
        };
        check(&[(3, 9.0), (1, 1.0), (2, 9.0)], 1);
        check(&[(1, 1.0), (1, 0.5), (1, 2.0)], 2);
        check(&[(1, 2.0), (0, 2.0), (0, 2.0)], 1);
    }
}
