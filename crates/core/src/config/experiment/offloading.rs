//! Experiments of offloading: users and servers somewhere on a plane, servers that fail, and for each user the nearest server below a
//! threshold. How many failures does a threshold bear, and at what latency?

use super::fragment::Offloading;
use super::values::varied;
use crate::config::problem::{Invalid, Problems};
use crate::config::quantity;
use crate::domain::units::Percent;
use std::ops::RangeInclusive;

/// The largest grid \[runs\].
const MAX_RUNS: usize = 100_000;
const USERS: RangeInclusive<i64> = 1..=1_000_000;
const SERVERS: RangeInclusive<i64> = 1..=1_000_000;
/// Every user looks at every server; so much takes some seconds, and a run is not interrupted.
const MAX_LOOKS: u64 = 20_000_000;
const USERS_PER_SERVER: RangeInclusive<i64> = 1..=1_000_000;
/// Once around the earth.
const MAX_SIDE_KM: f64 = 40_000.0;
/// Light in a fibre takes 0.005.
const MAX_MS_PER_KM: f64 = 1_000.0;
/// Where nobody says others.
const DEFAULT_FAILURES_PERCENT: [f64; 10] = [0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0];

/// A full grid: every threshold with every share of failures and every seed.
#[derive(Clone, PartialEq, Debug)]
pub struct OffloadingExperiment {
    /// Also the name of its database's file.
    pub name: String,
    /// One sentence.
    pub about: String,
    pub plane: Plane,
    /// Shares of a server's CPU, above 0 and at most 1, from which on it is passed over; each once, like everything that is varied.
    pub cpu_thresholds: Vec<f64>,
    /// Of the servers.
    pub failures: Vec<Percent>,
    /// A run for each, everywhere: other places, and another order in which servers fail.
    pub seeds: Vec<u64>,
}

/// Where users and servers are, and how many.
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

pub(super) fn validate(written: &Offloading, problems: &mut Problems) -> Option<OffloadingExperiment> {
    let name = problems.check("name", quantity::name(&written.name));
    let users = problems.check("users", quantity::whole(written.users, USERS));
    let servers = problems.check("servers", quantity::whole(written.servers, SERVERS));
    let side_km = problems.check("side_km", positive(written.side_km, MAX_SIDE_KM));
    let ms_per_km = problems.check("ms_per_km", positive(written.ms_per_km, MAX_MS_PER_KM));
    let users_per_server =
        problems.check("users_per_server", quantity::whole(written.users_per_server, USERS_PER_SERVER));
    let cpu_thresholds = varied("cpu_threshold", &written.cpu_threshold, |share| threshold(*share), problems);
    let failures = match &written.failures {
        Some(written) => varied("failures", written, quantity::percent, problems),
        None => Some(DEFAULT_FAILURES_PERCENT.into_iter().filter_map(Percent::new).collect()),
    };
    let seeds = problems.check("seeds", super::seeds(&written.seeds));
    let experiment = OffloadingExperiment {
        name: name?,
        about: written.about.clone(),
        plane: Plane {
            users: users?,
            servers: servers?,
            side_km: side_km?,
            ms_per_km: ms_per_km?,
            users_per_server: users_per_server?,
        },
        cpu_thresholds: cpu_thresholds?,
        failures: failures?,
        seeds: seeds?,
    };
    together(&experiment, problems);
    Some(experiment)
}

/// What only becomes wrong beside another key.
fn together(experiment: &OffloadingExperiment, problems: &mut Problems) {
    let OffloadingExperiment { plane: Plane { users, servers, .. }, cpu_thresholds, failures, seeds, .. } = experiment;
    let sizes = [cpu_thresholds.len(), failures.len(), seeds.len()];
    let runs = sizes.into_iter().fold(1, usize::saturating_mul);
    if runs > MAX_RUNS {
        let help = format!("at most {MAX_RUNS}: fewer seeds or values, or several experiments");
        problems.add("", Invalid::new(format!("comes to {runs} runs"), help));
    }
    if u64::from(*users) * u64::from(*servers) > MAX_LOOKS {
        let help = format!("at most {MAX_LOOKS} when they are multiplied: every user looks at every server");
        problems.add("users", Invalid::new(format!("{users} are too many for {servers} servers"), help));
    }
}

fn positive(written: f64, most: f64) -> Result<f64, Invalid> {
    match quantity::positive(written)? {
        value if value <= most => Ok(value),
        value => Err(Invalid::new(format!("{value} is out of range"), format!("it is at most {most}"))),
    }
}

/// 0 would let nobody in.
fn threshold(written: f64) -> Result<f64, Invalid> {
    match written > 0.0 && written <= 1.0 {
        true => Ok(written),
        false => Err(Invalid::new(
            format!("{written} is out of range"),
            "it is a share of a server's CPU: greater than 0, and at most 1",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{read_any, told};
    use super::super::{AnyExperiment, fragment};
    use super::*;
    use crate::config::fragment as files;

    const WRITTEN: &str = "kind = \"offloading\"\nname = \"small\"\nabout = \"Small.\"\nusers = 40\nservers = 5\nside_km = 20\n\
                           ms_per_km = 0.5\nusers_per_server = 10\ncpu_threshold = [0.4, 1]\nseeds = \"1..2\"\n";

    /// The file with one text in it changed for another; every problem that it then has.
    fn check(from: &str, to: &str, expected: &[&str]) {
        assert!(WRITTEN.contains(from), "{from}");
        told(&WRITTEN.replace(from, to), expected);
    }

    #[test]
    fn failures_are_up_to_nine_tenths_where_nobody_says_others() {
        let Ok(AnyExperiment::Offloading(experiment)) = read_any(WRITTEN) else { panic!("it is one") };
        let shares: Vec<f64> = experiment.failures.iter().map(|share| share.value()).collect();
        assert_eq!(shares, DEFAULT_FAILURES_PERCENT);
        assert_eq!((experiment.cpu_thresholds, experiment.seeds), (vec![0.4, 1.0], vec![1, 2]));
        let plane = Plane { users: 40, servers: 5, side_km: 20.0, ms_per_km: 0.5, users_per_server: 10 };
        assert_eq!(experiment.plane, plane);
    }

    #[test]
    fn every_value_is_held_to_its_range_and_all_problems_are_told_at_once() {
        check(
            "users = 40\nservers = 5\nside_km = 20\nms_per_km = 0.5\nusers_per_server = 10\n",
            "users = -1\nservers = 0\nside_km = 0\nms_per_km = -0.5\nusers_per_server = 0\n",
            &[
                "experiment.toml: users: -1 is out of range\n  help: it is a whole number between 1 and 1000000",
                "servers: 0 is out of range",
                "side_km: 0 is out of range\n  help: it has to be greater than 0",
                "ms_per_km: -0.5 is out of range",
                "users_per_server: 0 is out of range",
            ],
        );
        check(
            "[0.4, 1]",
            "[0, 0.4, 1.2, nan, 0.4]",
            &[
                "cpu_threshold: value 1: 0 is out of range\n  help: it is a share of a server's CPU: greater than 0, and at most 1",
                "cpu_threshold: value 3: 1.2 is out of range",
                "cpu_threshold: value 4: NaN is out of range",
                "cpu_threshold: value 5: is there twice",
            ],
        );
        check("[0.4, 1]", "[]", &["cpu_threshold: there is no value"]);
        check("\"1..2\"", "[]", &["seeds: there is no seed"]);
        check("side_km = 20", "side_km = 50_000", &["side_km: 50000 is out of range\n  help: it is at most 40000"]);
        check("side_km = 20", "side_km = inf", &["side_km: inf is out of range"]);
        check(
            "seeds",
            "failures = [\"101 %\", \"0.5 s\"]\nseeds",
            &["failures: value 1: 101 % is out of range", "failures: value 2: `s` is not a unit of a share"],
        );
    }

    #[test]
    fn what_does_not_go_together_is_said() {
        check(
            "users = 40\nservers = 5\n",
            "users = 1_000_000\nservers = 21\n",
            &[
                "experiment.toml: users: 1000000 are too many for 21 servers\n  help: at most 20000000 when they are multiplied",
            ],
        );
        check("\"1..2\"", "\"1..10000\"", &["experiment.toml: comes to 200000 runs"]);
    }

    #[test]
    fn keys_of_another_kind_are_refused() {
        check("users =", "nodes = [50]\nusers =", &["line 4, column 1: unknown key `nodes`"]);
        check("users = 40\n", "", &["`users` is missing\n  help: write it like `users = 800`; docs/experiments.md"]);
    }

    #[test]
    fn every_key_is_documented() {
        let document = include_str!("../../../../../docs/experiments.md");
        let (_, document) = document.split_once("\n## Offloading\n").expect("a section of its own");
        let guide = &fragment::OFFLOADING_GUIDE;
        let invalid = files::parse_by::<fragment::Offloading>("no_key_is_called_like_this = 1", guide).unwrap_err().1;
        for key in invalid.help.strip_prefix("keys here are ").unwrap().split(", ") {
            assert!(document.contains(&format!("\n| `{key}` |")), "`{key}` has no row in docs/experiments.md");
            assert!(guide.examples.iter().any(|(known, _)| *known == key), "`{key}` has no example");
        }
        let shipped = include_str!("../../../../../fixtures/experiments/offloading.toml");
        let (_comment, shipped) = shipped.split_once("\n\n").unwrap();
        assert!(document.contains(shipped), "the example is not fixtures/experiments/offloading.toml");
    }
}
