//! Offloading at the edge, as an experiment: users and servers somewhere on a plane, servers that fail, and the nearest server
//! below a threshold for each user. What does a threshold cost in latency, and how many failures does it bear?
//!
//! It uses the choice of the balancer itself, so what it says holds of
//! [`NearestBelow`](super::BalancerKind::NearestBelow); only that a user whom no server has room for is not served here instead
//! of being sent to the nearest.

use super::nearest_below;
use super::record::Host;
use super::seat::{Condition, Seat};
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

/// The shares of servers that fail, 0 to 0.9.
pub const FAILURE_SHARES: [f64; 10] = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

/// Where and how many.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Plane {
    pub users: u32,
    pub servers: u32,
    /// Of the square that all of them are in \[km\].
    pub side_km: f64,
    /// Latency grows with distance.
    pub ms_per_km: f64,
    /// So many users take the whole CPU of a server.
    pub users_per_server: u32,
}

/// What came of one share of failures and one threshold.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Outcome {
    pub failure_share: f64,
    pub cpu_threshold: f64,
    /// Of the users, 0 to 1.
    pub served_share: f64,
    /// Of those who were served; `None` when nobody was.
    pub mean_latency_ms: Option<f64>,
    /// How often a server that had not failed was passed over because it was busy.
    pub violations: u64,
}

/// One outcome for each threshold and each of [`FAILURE_SHARES`], in this order. Places, and the order in which servers fail,
/// are drawn once: outcomes differ by the share and the threshold alone.
pub fn outcomes(plane: &Plane, cpu_thresholds: &[f64], seed: u64) -> Vec<Outcome> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let users = places(plane.users, plane.side_km, &mut rng);
    let mut servers = places(plane.servers, plane.side_km, &mut rng);
    // Those at the end fail first.
    servers.shuffle(&mut rng);
    let of_threshold =
        |cpu_threshold: &f64| FAILURE_SHARES.map(|share| outcome(plane, (&users, &servers), share, *cpu_threshold));
    cpu_thresholds.iter().flat_map(of_threshold).collect()
}

type Place = (f64, f64);

fn places(count: u32, side_km: f64, rng: &mut ChaCha8Rng) -> Vec<Place> {
    (0..count).map(|_| (rng.random::<f64>() * side_km, rng.random::<f64>() * side_km)).collect()
}

/// Users come one after another and stay.
fn outcome(plane: &Plane, (users, servers): (&[Place], &[Place]), failure_share: f64, cpu_threshold: f64) -> Outcome {
    // A share of a `u32` fits.
    let failed = (failure_share * servers.len() as f64).round() as usize;
    let running = &servers[..servers.len().saturating_sub(failed)];
    let mut cpus = vec![0.0; running.len()];
    let mut seats: Vec<Seat> = (0..running.len()).map(|index| Seat::new(index, &Host::new("", 1.0))).collect();
    let (mut latencies_ms, mut violations) = (Vec::new(), 0);
    for user in users {
        for (seat, (server, cpu)) in seats.iter_mut().zip(running.iter().zip(&cpus)) {
            let latency_ms = (user.0 - server.0).hypot(user.1 - server.1) * plane.ms_per_km;
            seat.condition = Some(Condition { latency_ms, cpu: *cpu });
        }
        let pick = nearest_below::pick(&seats, cpu_threshold);
        violations += pick.passed_over;
        if pick.is_below {
            cpus[pick.position] += 1.0 / f64::from(plane.users_per_server);
            latencies_ms.extend(seats[pick.position].condition.map(|condition| condition.latency_ms));
        }
    }
    let served = latencies_ms.len() as f64;
    Outcome {
        failure_share,
        cpu_threshold,
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
        let plane = Plane { users: 3, servers: 2, users_per_server: 1, ..PLANE };
        let (users, servers) = ([(0.0, 0.0); 3], [(3.0, 4.0), (0.0, 10.0)]);
        let outcome = outcome(&plane, (&users, &servers), 0.0, 0.5);
        // 0.5 ms, then 1 ms past one that is busy, then nobody past two.
        let (mean, served) = (outcome.mean_latency_ms.unwrap(), outcome.served_share);
        assert!((mean - 0.75).abs() < 1e-12 && (served - 2.0 / 3.0).abs() < 1e-12, "{outcome:?}");
        assert_eq!(outcome.violations, 3);
    }

    #[test]
    fn with_more_failures_fewer_are_served_from_farther_away() {
        let outcomes = outcomes(&PLANE, &[1.0], 1);
        let served: Vec<f64> = outcomes.iter().map(|outcome| outcome.served_share).collect();
        // 20 servers of 16 hold 200 users until 8 of them fail.
        assert_eq!(served, [1.0, 1.0, 1.0, 1.0, 0.96, 0.8, 0.64, 0.48, 0.32, 0.16]);
        let (none, some) = (&outcomes[0], &outcomes[3]);
        assert!(some.mean_latency_ms > none.mean_latency_ms && some.violations > none.violations);
    }

    #[test]
    fn nobody_is_served_where_nobody_serves() {
        let [first, ..] = outcomes(&Plane { servers: 0, ..PLANE }, &[0.8], 1)[..] else { panic!("ten outcomes") };
        assert_eq!((first.served_share, first.mean_latency_ms, first.violations), (0.0, None, 0));
    }

    proptest! {
        /// Whoever serves takes users until it is busy: so many are served as there is room for, wherever they are.
        #[test]
        fn all_room_is_used(seed in any::<u64>(), servers in 0..30u32, eighths in 1..=8u32) {
            let plane = Plane { servers, users_per_server: 8, ..PLANE };
            for outcome in outcomes(&plane, &[f64::from(eighths) / 8.0], seed) {
                let failed = (outcome.failure_share * f64::from(servers)).round();
                let room = (f64::from(servers) - failed) * f64::from(eighths);
                let expected = room.min(f64::from(plane.users)) / f64::from(plane.users);
                prop_assert!((outcome.served_share - expected).abs() < 1e-12, "{outcome:?} instead of {expected}");
            }
        }
    }
}
