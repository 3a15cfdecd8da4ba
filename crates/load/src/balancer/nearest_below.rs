//! The nearest host that is not busy: offloading, where whoever is near is also the first to be full.

use super::seat::{Condition, Seat};

/// The share of its CPU from which on a host is busy, where nobody says another: 0 to 1.
pub const CPU_THRESHOLD: f64 = 0.8;

/// A choice, and what it cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Pick {
    pub position: usize,
    /// Hosts that were nearer, or all, and not below the threshold: each is a violation of the quality of service.
    pub passed_over: u64,
    /// Whether the chosen host is below the threshold.
    pub is_below: bool,
}

/// Of the seats by latency the first whose CPU is below `threshold`. When none is, the request still has to go somewhere: to
/// the nearest, and all were passed over.
///
/// A host whose condition is unknown is behind all others, and not below any threshold: nobody knows that it is. Of equals
/// the first.
pub(super) fn pick(seats: &[Seat], threshold: f64) -> Pick {
    let latency = |seat: &Seat| seat.condition.map_or(f64::INFINITY, |condition: Condition| condition.latency_ms);
    let is_below = |seat: &Seat| seat.condition.is_some_and(|condition| condition.cpu < threshold);
    let mut nearest: Vec<(usize, &Seat)> = seats.iter().enumerate().collect();
    nearest.sort_by(|(_, a), (_, b)| latency(a).total_cmp(&latency(b)));
    let passed_over = nearest.iter().take_while(|(_, seat)| !is_below(seat)).count();
    let chosen = nearest.get(passed_over).or(nearest.first());
    Pick {
        position: chosen.map_or(0, |(position, _)| *position),
        passed_over: passed_over as u64,
        is_below: passed_over < nearest.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::seat::seats;
    use super::*;

    fn check(conditions: &[Option<(f64, f64)>], position: usize, passed_over: u64, is_below: bool) {
        let mut seats = seats(&vec![1.0; conditions.len()]);
        for (seat, condition) in seats.iter_mut().zip(conditions) {
            seat.condition = condition.map(|(latency_ms, cpu)| Condition { latency_ms, cpu });
        }
        assert_eq!(pick(&seats, 0.8), Pick { position, passed_over, is_below }, "{conditions:?}");
    }

    #[test]
    fn the_nearest_below_the_threshold_is_taken_and_who_was_nearer_is_counted() {
        check(&[Some((9.0, 0.0)), Some((1.0, 0.5)), Some((2.0, 0.0))], 1, 0, true);
        check(&[Some((9.0, 0.0)), Some((1.0, 0.9)), Some((2.0, 0.8))], 0, 2, true);
        check(&[Some((1.0, 0.5)), Some((1.0, 0.0))], 0, 0, true);
    }

    #[test]
    fn when_all_are_busy_the_nearest_is_taken_and_all_are_counted() {
        check(&[Some((9.0, 0.9)), Some((1.0, 1.0)), Some((2.0, 0.8))], 1, 3, false);
    }

    #[test]
    fn a_host_that_nobody_knows_comes_last_and_is_not_below() {
        check(&[None, Some((50.0, 0.1))], 1, 0, true);
        check(&[None, Some((50.0, 0.9))], 1, 2, false);
        check(&[None, None], 0, 2, false);
        check(&[Some((1.0, f64::NAN)), Some((2.0, 0.1))], 1, 1, true);
    }
}
