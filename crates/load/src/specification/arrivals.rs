//! When a client's requests are meant to start, as a file says it: a rate, a profile or gaps.

use super::within_ticks;
use super::written::WrittenClient;
use agent_arrivals::replay::{Kind, ReplayError};
use agent_arrivals::{Gaps, Plan, Profile, Replay, Within, duration};
use agent_core::config::{Invalid, Problems};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::io;
use std::path::Path;

/// When requests are meant to start.
#[derive(Clone, PartialEq, Debug)]
pub enum Arrivals {
    /// At a rate that may change over time; a `rate` alone is a profile that never changes.
    Profile { profile: Profile, within_ticks: Within },
    /// With gaps that are drawn or were recorded.
    Gaps(Gaps),
}

impl Arrivals {
    /// Whether they end by themselves.
    pub fn has_end(&self) -> bool {
        match self {
            Self::Profile { profile, .. } => profile.length().is_some(),
            Self::Gaps(Gaps::Drawn(_)) => false,
            Self::Gaps(Gaps::Replay(_)) => true,
        }
    }

    /// The intended times; the same seed gives the same.
    pub fn plan(&self, seed: u64) -> Plan {
        match self {
            Self::Profile { profile, within_ticks } => Plan::of_profile(profile, *within_ticks, seed),
            Self::Gaps(gaps) => Plan::of_gaps(gaps, seed),
        }
    }
}

/// A recording in a file of its own.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Recorded {
    /// The file.
    replay: String,
    /// Of a table: its name or its number from 1.
    column: Option<String>,
    #[serde(default)]
    kind: Kind,
}

/// `None` after noting at least one problem. `open` reads a recording's file by its name as it is written.
pub(super) fn arrivals(
    written: &WrittenClient,
    open: &impl Fn(&Path) -> io::Result<String>,
    problems: &mut Problems,
) -> Option<Arrivals> {
    let within = written.within_ticks.as_deref().map(within_ticks::read);
    let within = problems.check("within_ticks", within.transpose().map(Option::unwrap_or_default));
    match (written.rate, &written.profile, &written.gaps) {
        (Some(rate), None, None) => {
            let rate = Profile::constant(rate).map_err(|error| Invalid::new(error.problem, error.help));
            let profile = problems.check("rate", rate);
            Some(Arrivals::Profile { profile: profile?, within_ticks: within? })
        }
        (None, Some(profile), None) => {
            let profile = self::profile(profile, problems);
            Some(Arrivals::Profile { profile: profile?, within_ticks: within? })
        }
        (None, None, Some(gaps)) => {
            if written.within_ticks.is_some() {
                let invalid =
                    Invalid::new("is of a rate or a profile", "leave it out: the gaps say how far apart requests are");
                problems.add("within_ticks", invalid);
            }
            problems.check("gaps", self::gaps(gaps, open)).map(Arrivals::Gaps)
        }
        (None, None, None) => {
            let help = "write one of `rate = 100`, `profile = { ticks = [2, 6], interval = \"10 s\" }` and \
                `gaps = { distribution = \"exponential\", mean = 0.01 }`";
            problems.add("rate", Invalid::new("nothing says when requests are sent", help));
            None
        }
        (rate, profile, _) => {
            let place = if rate.is_some() { "rate" } else { "profile" };
            let other = if rate.is_some() && profile.is_some() { "profile" } else { "gaps" };
            problems.add(
                place,
                Invalid::new(format!("stands beside `{other}`"), "write only one of `rate`, `profile` and `gaps`"),
            );
            None
        }
    }
}

/// `None` after noting at least one problem. Durations are looked at first: what is wrong with one does not say which it is.
fn profile(written: &toml::Table, problems: &mut Problems) -> Option<Profile> {
    let texts = ["interval", "over"].into_iter().filter_map(|key| Some((key, written.get(key)?.as_str()?)));
    let wrong: Vec<_> = texts.filter_map(|(key, text)| Some((key, duration::parse(text).err()?))).collect();
    if wrong.is_empty() {
        return problems.check("profile", read(written, "docs/load.md shows every form of a profile"));
    }
    for (key, error) in wrong {
        problems.add(format!("profile.{key}"), Invalid::new(error.problem, error.help));
    }
    None
}

fn gaps(written: &toml::Table, open: &impl Fn(&Path) -> io::Result<String>) -> Result<Gaps, Invalid> {
    if !written.contains_key("replay") {
        return read(written, "docs/load.md lists the distributions");
    }
    let Recorded { replay: file, column, kind } =
        read(written, "write it like `{ replay = \"gaps.csv\", column = \"gap\" }`; `kind` is `gaps` or `times`")?;
    let shown = file.escape_debug();
    let text = open(Path::new(&file)).map_err(|error| {
        Invalid::new(format!("`{shown}` cannot be read: {error}"), "name a file of numbers, from this file's folder")
    })?;
    let replay = Replay::read_as(kind, &text, column.as_deref()).map_err(|error: ReplayError| {
        Invalid::new(
            format!("`{shown}`: {error}"),
            "it has a number of seconds in each line, or in a `column` of a CSV",
        )
    })?;
    Ok(replay.into())
}

fn read<T: DeserializeOwned>(written: &toml::Table, help: &str) -> Result<T, Invalid> {
    written.clone().try_into().map_err(|error: toml::de::Error| Invalid::new(error.message(), help))
}
