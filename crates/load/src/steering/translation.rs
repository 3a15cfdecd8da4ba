//! An experiment's profile as the verbs that a person would type.

use super::selection::{Pattern, Selection};
use super::verb::Verb;
use agent_arrivals::{Profile, Within, profile::due};
use agent_core::config::Invalid;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// More verbs than this are no experiment that ends in time.
pub const VERBS_MAX: usize = 1_000_000;

/// What an experiment does to one service.
#[derive(Clone, Copy, Debug)]
pub struct Workload<'a> {
    pub service: &'a str,
    /// On each host, not on all together.
    pub clients: u32,
    /// Of all hosts together.
    pub profile: &'a Profile,
    pub within_ticks: Within,
}

/// Spawns the clients of every workload on every host. Then, for each tick, splits the service's rate over the hosts in whole
/// numbers, the remainder to the first of them, and sleeps until the next; where a workload ends its rate is 0 and its clients
/// are closed. What a rate has beyond a whole number goes to one host, so that nothing of it is lost.
///
/// No workload takes longer than `duration`; without one, each takes as long as its profile.
///
/// # Errors
/// There are no hosts or no workloads, two of one service (the second would undo the first), one that does not end, or more
/// than [`VERBS_MAX`] verbs.
pub fn translate(workloads: &[Workload<'_>], hosts: &[&str], duration: Option<Duration>) -> Result<Vec<Verb>, Invalid> {
    let on = |host: &&str| Pattern::exactly(host).map(Selection::named);
    let hosts: Vec<Selection> = hosts.iter().map(on).collect::<Result<_, _>>()?;
    if hosts.is_empty() {
        return Err(Invalid::new("no load host is there for the experiment", "`hosts` lists them; start one"));
    }
    if workloads.is_empty() {
        return Err(Invalid::new("the experiment has no workload", "give it a service and a profile"));
    }
    let mut timeline = Timeline::default();
    let mut services = BTreeSet::new();
    for workload in workloads {
        if !services.insert(workload.service) {
            let problem = format!("the experiment has two workloads for `{}`", workload.service);
            return Err(Invalid::new(problem, "make one profile of them"));
        }
        timeline.add(workload, &hosts, duration)?;
    }
    let spawned = workloads.iter().flat_map(|workload| hosts.iter().map(|on| spawn(workload, on)));
    Ok(spawned.chain(timeline.verbs()).collect())
}

fn spawn(workload: &Workload<'_>, on: &Selection) -> Verb {
    let Workload { service, clients, within_ticks, .. } = *workload;
    Verb::Spawn { on: on.clone(), service: service.to_owned(), clients, within_ticks }
}

/// What happens when, since the start.
#[derive(Default)]
struct Timeline {
    moments: BTreeMap<Duration, Moment>,
    verbs: usize,
}

#[derive(Default)]
struct Moment {
    rates: Vec<Verb>,
    /// After all rates of the moment: no client sends to one service while those of another are still being closed.
    closed: Vec<Verb>,
}

impl Timeline {
    fn add(&mut self, workload: &Workload<'_>, hosts: &[Selection], duration: Option<Duration>) -> Result<(), Invalid> {
        let service = workload.service;
        let end = [duration, workload.profile.length()].into_iter().flatten().min().ok_or_else(|| {
            Invalid::new(format!("the profile of `{service}` has no end"), "give the experiment a duration")
        })?;
        let interval = workload.profile.interval();
        for (tick, rate) in (0..).zip(workload.profile.ticks()).take_while(|(tick, _)| due(interval, *tick) < end) {
            self.verbs += hosts.len();
            if self.verbs > VERBS_MAX {
                let problem = format!("the experiment has more than {VERBS_MAX} verbs");
                return Err(Invalid::new(problem, "let it be shorter, have longer ticks, or run on fewer hosts"));
            }
            self.at(due(interval, tick)).rates.extend(rates(service, hosts, rate));
        }
        let last = self.at(end);
        last.rates.extend(rates(service, hosts, 0.0));
        last.closed.extend(hosts.iter().map(|on| Verb::Close { on: on.clone(), service: service.to_owned() }));
        Ok(())
    }

    /// To the microsecond, as a `sleep` can be written.
    fn at(&mut self, since_start: Duration) -> &mut Moment {
        let nanos = since_start.subsec_nanos() % 1_000;
        self.moments.entry(since_start - Duration::from_nanos(u64::from(nanos))).or_default()
    }

    fn verbs(self) -> impl Iterator<Item = Verb> {
        let mut now = Duration::ZERO;
        self.moments.into_iter().flat_map(move |(at, Moment { rates, closed })| {
            let pause = at - std::mem::replace(&mut now, at);
            let sleep = (!pause.is_zero()).then_some(Verb::Sleep(pause));
            sleep.into_iter().chain(rates).chain(closed)
        })
    }
}

fn rates(service: &str, hosts: &[Selection], rate: f64) -> impl Iterator<Item = Verb> {
    let on = |(on, rate): (&Selection, f64)| Verb::Rps { on: on.clone(), service: service.to_owned(), rate };
    hosts.iter().zip(split(rate, hosts.len())).map(on)
}

/// A rate over so many hosts, at least one.
fn split(rate: f64, hosts: usize) -> impl Iterator<Item = f64> {
    // Rates and numbers of hosts are so small that these are exact.
    let (whole, count) = (rate.floor(), hosts as f64);
    let (each, remainder) = ((whole / count).floor(), whole % count);
    (0..hosts).map(move |host| {
        let host = host as f64;
        let fraction = if host == remainder { rate - whole } else { 0.0 };
        each + f64::from(u8::from(host < remainder)) + fraction
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ticks(seconds: u64, rates: &[f64]) -> Profile {
        Profile::of_ticks(Duration::from_secs(seconds), rates.to_vec()).unwrap()
    }

    fn workload<'a>(service: &'a str, profile: &'a Profile) -> Workload<'a> {
        Workload { service, clients: 1, profile, within_ticks: Within::Constant }
    }

    fn typed(verbs: Result<Vec<Verb>, Invalid>) -> Vec<String> {
        verbs.unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_profile_is_split_over_the_hosts_and_closed_at_its_end() {
        let profile = ticks(10, &[2.0, 6.0]);
        let verbs = translate(&[workload("shop", &profile)], &["h1", "h2", "h3"], Some(Duration::from_secs(20)));
        let expected = "spawn h1 shop 1, spawn h2 shop 1, spawn h3 shop 1, \
            rps h1 shop 1, rps h2 shop 1, rps h3 shop 0, sleep 10, \
            rps h1 shop 2, rps h2 shop 2, rps h3 shop 2, sleep 10, \
            rps h1 shop 0, rps h2 shop 0, rps h3 shop 0, \
            close h1 shop, close h2 shop, close h3 shop";
        assert_eq!(typed(verbs).join(", "), expected);
    }

    #[test]
    fn clients_are_counted_per_host_and_keep_the_arrival_pattern() {
        let profile = ticks(1, &[1.0]);
        let workload = Workload { clients: 3, within_ticks: Within::Exponential, ..workload("shop", &profile) };
        let verbs = typed(translate(&[workload], &["h1", "h.2"], None));
        assert_eq!(verbs[0], "spawn --within-ticks exponential h1 shop 3");
        assert_eq!(verbs[1], r#"spawn --within-ticks exponential "h\\.2" shop 3"#, "no other host is meant");
    }

    #[test]
    fn workloads_of_different_ticks_share_one_time_line() {
        let (slow, fast) = (ticks(3, &[1.0]), ticks(2, &[4.0, 5.0]));
        let verbs = typed(translate(&[workload("slow", &slow), workload("fast", &fast)], &["h"], None));
        let expected = "spawn h slow 1, spawn h fast 1, rps h slow 1, rps h fast 4, sleep 2, rps h fast 5, sleep 1, \
            rps h slow 0, close h slow, sleep 1, rps h fast 0, close h fast";
        assert_eq!(verbs.join(", "), expected);
    }

    #[test]
    fn a_duration_cuts_a_profile_in_the_middle_of_a_tick() {
        let profile = Profile::constant(0.5).unwrap();
        let verbs = typed(translate(&[workload("shop", &profile)], &["h"], Some(Duration::from_millis(1_500))));
        let expected = "spawn h shop 1, rps h shop 0.5, sleep 1, rps h shop 0.5, sleep 0.5, rps h shop 0, close h shop";
        assert_eq!(verbs.join(", "), expected);
    }

    #[test]
    fn what_cannot_be_translated_says_why() {
        let (endless, short) = (Profile::constant(1.0).unwrap(), ticks(1, &[1.0]));
        let check = |workloads: &[Workload<'_>], hosts: &[&str], duration, expected: &str| {
            assert_eq!(translate(workloads, hosts, duration).unwrap_err().problem, expected);
        };
        let one = workload("shop", &short);
        check(&[one], &[], None, "no load host is there for the experiment");
        check(&[], &["h"], None, "the experiment has no workload");
        check(&[one, one], &["h"], None, "the experiment has two workloads for `shop`");
        check(&[workload("shop", &endless)], &["h"], None, "the profile of `shop` has no end");
        let year = Some(Duration::from_secs(365 * 86_400));
        check(&[workload("shop", &endless)], &["h"], year, "the experiment has more than 1000000 verbs");
    }

    proptest! {
        /// Nothing of a rate is lost, nobody has more than one request more than another, and the first have the most.
        #[test]
        fn a_rate_is_split_evenly(quarters in 0..4_000_000u32, hosts in 1..40usize) {
            let rate = f64::from(quarters) / 4.0;
            let shares: Vec<f64> = split(rate, hosts).collect();
            prop_assert_eq!(shares.iter().sum::<f64>(), rate);
            prop_assert!(shares.is_sorted_by(|a, b| a >= b), "{shares:?}");
            prop_assert!(shares[0] - shares[hosts - 1] <= 1.0, "{shares:?}");
            prop_assert!(shares.iter().filter(|share| share.fract() > 0.0).count() <= 1, "{shares:?}");
        }
    }
}
