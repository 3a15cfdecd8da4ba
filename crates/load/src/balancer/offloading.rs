//! Offloading at the edge, as an experiment: users and servers somewhere on a plane, servers that fail, and the nearest server
//! below a threshold for each user. What does a threshold cost in latency, and how many failures does it bear?
//!
//! It uses the choice of the balancer itself, so what it says holds of
//! [`NearestBelow`](super::BalancerKind::NearestBelow); only that a user whom no server has room for is not served here instead
//! of being sent to the nearest.

use super::nearest_below;
use super::record::Host;
use super::seat::{Condition, Seat};
use agent_core::config::experiment::offloading::Plane;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// What came of one share of failures and one threshold.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Outcome {
    /// Of the users, 0 to 1.
    pub served_share: f64,
    /// Of those who were served; `None` when nobody was.
    pub mean_latency_ms: Option<f64>,
    /// How often a server that had not failed was passed over because it was busy.
    pub violations: u64,
}

/// Places, and the order in which servers fail, follow from the plane and the seed: with the same ones, outcomes differ by the share
/// and the threshold alone. Both are 0 to 1.
pub fn outcome(plane: &Plane, failure_share: f64, cpu_threshold: f64, seed: u64) -> Outcome {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let users = places(plane.users, plane.side_km, &mut rng);
    let mut servers = places(plane.servers, plane.side_km, &mut rng);
    // Those at the end fail first.
    servers.shuffle(&mut rng);
    // A share of a `u32` fits.
    let failed = (failure_share * servers.len() as f64).round() as usize;
    servers.truncate(servers.len().saturating_sub(failed));
    offloaded(plane, &users, &servers, cpu_threshold)
}

type Place = (f64, f64);

fn places(count: u32, side_km: f64, rng: &mut ChaCha8Rng) -> Vec<Place> {
    (0..count).map(|_| (rng.random::<f64>() * side_km, rng.random::<f64>() * side_km)).collect()
}

/// Users come one after another and stay.
fn offloaded(plane: &Plane, users: &[Place], servers: &[Place], cpu_threshold: f64) -> Outcome {
    let mut taken = vec![0_u32; servers.len()];
    let mut seats: Vec<Seat> = (0..servers.len()).map(|index| Seat::new(index, &Host::new("", 1.0))).collect();
    let (mut latencies_ms, mut violations) = (Vec::new(), 0);
    for user in users {
        for (seat, (server, taken)) in seats.iter_mut().zip(servers.iter().zip(&taken)) {
            let latency_ms = (user.0 - server.0).hypot(user.1 - server.1) * plane.ms_per_km;
            // Divided, not summed up: eight of twenty users are 0.4 to the last bit.
            let cpu = f64::from(*taken) / f64::from(plane.users_per_server);
            seat.condition = Some(Condition { latency_ms, cpu });
        }
        let pick = nearest_below::pick(&seats, cpu_threshold);
        violations += pick.passed_over;
        if pick.is_below {
            taken[pick.position] += 1;
            latencies_ms.extend(seats[pick.position].condition.map(|condition| condition.latency_ms));
        }
    }
    let served = latencies_ms.len() as f64;
    Outcome {
        served_share: if users.is_empty() { 1.0 } else { served / users.len() as f64 },
        mean_latency_ms: (served > 0.0).then(|| latencies_ms.iter().sum::<f64>() / served),
        violations,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLANE: Plane = Plane { users: 200, servers: 20, side_km: 100.0, ms_per_km: 0.1, users_per_server: 16 };

    #[test]
    fn one_user_is_served_by_the_nearest_of_two_that_is_not_busy() {
        let plane = Plane { users_per_server: 1, ..PLANE };
        let outcome = offloaded(&plane, &[(0.0, 0.0); 3], &[(3.0, 4.0), (0.0, 10.0)], 0.5);
        // 0.5 ms, then 1 ms past one that is busy, then nobody past two.
        let (mean, served) = (outcome.mean_latency_ms.unwrap(), outcome.served_share);
        assert!((mean - 0.75).abs() < 1e-12 && (served - 2.0 / 3.0).abs() < 1e-12, "{outcome:?}");
        assert_eq!(outcome.violations, 3);
    }

    #[test]
    fn with_more_failures_fewer_are_served_from_farther_away() {
        let outcomes: Vec<Outcome> = (0..10).map(|tenths| outcome(&PLANE, f64::from(tenths) / 10.0, 1.0, 1)).collect();
        let served: Vec<f64> = outcomes.iter().map(|outcome| outcome.served_share).collect();
        // 20 servers of 16 hold 200 users until 8 of them fail.
        assert_eq!(served, [1.0, 1.0, 1.0, 1.0, 0.96, 0.8, 0.64, 0.48, 0.32, 0.16]);
        let (none, some) = (&outcomes[0], &outcomes[3]);
        assert!(some.mean_latency_ms > none.mean_latency_ms && some.violations > none.violations);
    }

    #[test]
    fn nobody_is_served_where_nobody_serves() {
        let outcome = outcome(&PLANE, 1.0, 0.8, 1);
        assert_eq!((outcome.served_share, outcome.mean_latency_ms, outcome.violations), (0.0, None, 0));
    }

    proptest! {
        /// Whoever serves takes users until it is busy: so many are served as there is room for, wherever they are.
        #[test]
        fn all_room_is_used(
            seed in any::<u64>(),
            (servers, failed) in (1..30u32).prop_flat_map(|servers| (Just(servers), 0..=servers)),
            users_per_server in 1..=30u32,
            percent in 1..=100u32,
        ) {
            let plane = Plane { servers, users_per_server, ..PLANE };
            let failure_share = f64::from(failed) / f64::from(servers);
            let outcome = outcome(&plane, failure_share, f64::from(percent) / 100.0, seed);
            let room = (servers - failed) * (percent * users_per_server).div_ceil(100);
            let expected = f64::from(room.min(plane.users)) / f64::from(plane.users);
            prop_assert!((outcome.served_share - expected).abs() < 1e-12, "{outcome:?} instead of {expected}");
        }
    }
}
