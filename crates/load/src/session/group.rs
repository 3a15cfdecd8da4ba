//! The clients of one service on a host: what is asked of them is asked of all together.

use crate::generator::{Plan, Steering};
use agent_arrivals::{Arrival, Profile, Within};
use agent_core::config::Invalid;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::iter;
use std::time::Duration;

/// Of what clients draw.
const SEED: u64 = 1;

/// In the order in which they came.
#[derive(Default)]
pub struct Group {
    pub clients: Vec<Member>,
    /// Which of its rates it has, from 0: the tick of its requests, as that of a profile whose rates are these. `None`: it had
    /// none yet.
    pub tick: Option<u32>,
    /// Requests/s of all of them.
    pub rate: f64,
    /// The rate summed over time until it had the present one, and when that was, since the session began.
    summed: f64,
    since: Duration,
}

/// One client.
pub struct Member {
    pub id: u32,
    pub within_ticks: Within,
    /// Requests/s of its own.
    pub rate: f64,
    pub steering: Steering,
}

impl Group {
    /// From `since` on, all of them together have this rate. The plans are in the order of the clients.
    pub fn change_rate(&mut self, rate: f64, since: Duration) -> Result<Vec<Plan>, Invalid> {
        let tick = self.tick.map_or(0, |tick| tick.saturating_add(1));
        let count = self.clients.len();
        let summed = self.summed + self.rate * since.saturating_sub(self.since).as_secs_f64();
        let start = Start { since, tick, summed };
        let one = |(index, client): (usize, &Member)| {
            plan(rate, Turn { index, of: count }, client.within_ticks, seed(client.id, tick), start)
        };
        let plans = self.clients.iter().enumerate().map(one).collect::<Result<_, _>>()?;
        (self.tick, self.rate, self.summed, self.since) = (Some(tick), rate, summed, since);
        self.clients.iter_mut().for_each(|client| client.rate = rate / count as f64);
        Ok(plans)
    }

    /// How many of so many requests each client sends: as many as the others, or one more.
    pub fn share(&self, requests: u32) -> impl Iterator<Item = (&Member, u32)> {
        let count = u32::try_from(self.clients.len()).unwrap_or(u32::MAX).max(1);
        let share = move |index: u32| requests / count + u32::from(index < requests % count);
        self.clients.iter().zip((0..).map(share))
    }
}

/// Which of how many clients it is that share a rate; from 0.
#[derive(Clone, Copy)]
struct Turn {
    index: usize,
    of: usize,
}

#[derive(Clone, Copy)]
struct Start {
    /// Since the session began.
    since: Duration,
    tick: u32,
    /// The rate over time until then.
    summed: f64,
}

/// Intended times of one client. With constant gaps request n (from 0) of all clients together is meant to start when the
/// rate, summed over time, reaches n, as in [`agent_arrivals::Plan`]: what one rate has begun the next one ends. It goes to
/// the client whose turn it is: were they not in turn, all would send at once.
fn plan(rate: f64, turn: Turn, within: Within, seed: u64, start: Start) -> Result<Plan, Invalid> {
    let Start { since, tick, summed } = start;
    // There are far fewer than 2^53 clients.
    let (index, of) = (turn.index as f64, turn.of as f64);
    let profile = Profile::constant(rate / of).map_err(|wrong| Invalid::new(wrong.problem, wrong.help))?;
    let wait = match within {
        Within::Constant => {
            let next = summed.ceil();
            let turns = (index - next).rem_euclid(of);
            Duration::try_from_secs_f64((next - summed + turns) / rate).ok()
        }
        // Chance puts them apart.
        Within::Exponential => Some(Duration::ZERO),
    };
    // At a rate of 0, or one whose first turn is beyond all times, nothing comes.
    let Some(first) = wait.filter(|_| rate > 0.0).and_then(|wait| since.checked_add(wait)) else {
        return Ok(Box::new(iter::empty()));
    };
    let times = agent_arrivals::Plan::of_profile(&profile, within, seed);
    Ok(Box::new(times.map(move |arrival| Arrival { at: first.saturating_add(arrival.at), tick })))
}

/// Chance of its own for each client and each of its rates.
fn seed(client: u32, tick: u32) -> u64 {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    rng.set_stream(u64::from(client) << 32 | u64::from(tick));
    rng.next_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Start = Start { since: Duration::from_secs(10), tick: 3, summed: 0.0 };

    /// The first moments of all clients together \[ms\].
    fn times(rate: f64, clients: usize, within: Within, count: usize) -> Vec<u128> {
        times_from(START, rate, clients, within, count)
    }

    fn times_from(start: Start, rate: f64, clients: usize, within: Within, count: usize) -> Vec<u128> {
        let plans = (0..clients).map(|index| plan(rate, Turn { index, of: clients }, within, 1 + index as u64, start));
        let mut times: Vec<u128> = plans
            .flat_map(|plan| plan.unwrap().take(count))
            .inspect(|arrival| assert_eq!(arrival.tick, 3))
            .map(|arrival| arrival.at.as_millis())
            .collect();
        times.sort_unstable();
        times.truncate(count);
        times
    }

    #[test]
    fn clients_take_turns_from_the_moment_of_the_change() {
        let check = |rate, clients, expected: &[u128]| {
            assert_eq!(times(rate, clients, Within::Constant, expected.len()), expected);
        };
        check(2.0, 1, &[10_000, 10_500, 11_000]);
        check(2.0, 3, &[10_000, 10_500, 11_000, 11_500, 12_000, 12_500, 13_000]);
        assert_eq!(times(0.0, 2, Within::Constant, 5), [], "nothing at a rate of 0");
        assert_eq!(times(1e-300, 2, Within::Constant, 5), [10_000], "the second never comes");
    }

    #[test]
    fn what_one_rate_has_begun_the_next_one_ends() {
        let check = |summed, clients, expected: &[u128]| {
            let start = Start { summed, ..START };
            assert_eq!(
                times_from(start, 2.0, clients, Within::Constant, expected.len()),
                expected,
                "{summed} {clients}"
            );
        };
        check(4.0, 1, &[10_000, 10_500]);
        check(4.5, 1, &[10_250, 10_750]);
        check(4.5, 3, &[10_250, 10_750, 11_250, 11_750]);
        // Number 5 is the third of three clients' turn.
        let third = plan(2.0, Turn { index: 2, of: 3 }, Within::Constant, 1, Start { summed: 4.5, ..START }).unwrap();
        assert_eq!(third.map(|arrival| arrival.at.as_millis()).take(2).collect::<Vec<_>>(), [10_250, 11_750]);
    }

    #[test]
    fn chance_keeps_the_rate() {
        let last = *times(100.0, 4, Within::Exponential, 4_000).last().unwrap();
        // Of so many the deviation is 1.6 %.
        assert!((48_000..52_000).contains(&last), "{last}");
    }

    #[test]
    fn each_client_and_rate_has_chance_of_its_own() {
        let seeds: std::collections::BTreeSet<u64> =
            (1..5).flat_map(|client| (0..5).map(move |tick| seed(client, tick))).collect();
        assert_eq!(seeds.len(), 20);
    }
}
