//! A profile as people write it, and everything that can be wrong with it.

use super::curve::Curve;
use super::{Profile, Rates, TICKS_MAX, UnknownShape, evenly};
use crate::RATE_MAX;
use crate::duration::{self, LONGEST};
use crate::invalid::{Invalid, within};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Shorter ticks are told apart by nothing that sends.
const INTERVAL_MIN: Duration = Duration::from_millis(1);
/// Where the rate never changes, ticks matter to reports alone.
const INTERVAL_OF_A_RATE: Duration = Duration::from_secs(1);
const DEFAULT_SEED: u64 = 1;

/// The fields of a [`Profile`].
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticks: Option<Vec<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shape: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<duration::Written>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over: Option<duration::Written>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linear: Option<Linear>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub curve: Option<Curve>,
}

/// Rates of the first and the last tick; those between lie on a line.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Linear {
    from: f64,
    to: f64,
}

/// What says the rates: a profile has exactly one.
enum Source<'w> {
    Rate(f64),
    Ticks(&'w [f64]),
    Shape(&'w str),
    Linear(Linear),
    Curve(&'w Curve),
}

impl TryFrom<Written> for Profile {
    type Error = Invalid;

    fn try_from(written: Written) -> Result<Self, Invalid> {
        let source = written.source()?;
        if written.seed.is_some() && !matches!(source, Source::Shape(_)) {
            return Err(Invalid::new("seed", "is of shapes alone", "leave it out; nothing else here is drawn"));
        }
        let interval = written.interval(&source)?;
        let over = written.over.map(|over| ticks_in(over.0, interval)).transpose()?;
        let needed =
            || over.ok_or_else(|| Invalid::new("over", "is missing", "say how long it takes: `over = \"60 s\"`"));
        let (rates, length) = match source {
            Source::Rate(rate) => (Rates::Constant(self::rate("rate", rate)?), over),
            Source::Shape(shape) => {
                let shape = shape.parse().map_err(unknown_shape)?;
                (Rates::Shaped { shape, seed: written.seed.unwrap_or(DEFAULT_SEED) }, over)
            }
            Source::Ticks(ticks) => {
                if over.is_some() {
                    return Err(Invalid::new("over", "is what the number of ticks says", "leave it out"));
                }
                let count = listed(ticks, interval)?;
                (Rates::Listed(ticks.into()), Some(count))
            }
            Source::Linear(Linear { from, to }) => {
                let ticks = needed()?;
                rate("linear.from", from)?;
                rate("linear.to", to)?;
                (Rates::Listed(evenly(from, to, ticks).collect()), Some(ticks))
            }
            Source::Curve(curve) => {
                let ticks = needed()?;
                (Rates::Listed(curve.rates(ticks).collect()), Some(ticks))
            }
        };
        Ok(Self { interval, rates, length, written })
    }
}

impl Written {
    fn source(&self) -> Result<Source<'_>, Invalid> {
        let found = [
            ("rate", self.rate.map(Source::Rate)),
            ("ticks", self.ticks.as_deref().map(Source::Ticks)),
            ("shape", self.shape.as_deref().map(Source::Shape)),
            ("linear", self.linear.map(Source::Linear)),
            ("curve", self.curve.as_ref().map(Source::Curve)),
        ];
        let mut found = found.into_iter().filter_map(|(name, source)| Some(name).zip(source));
        let help = "write one of `rate`, `ticks`, `shape`, `linear` and `curve`";
        match (found.next(), found.next()) {
            (Some((_, source)), None) => Ok(source),
            (None, _) => Err(Invalid::new("profile", "has no rates", help)),
            (Some((one, _)), Some((other, _))) => {
                Err(Invalid::new("profile", format!("has both `{one}` and `{other}`"), help))
            }
        }
    }

    fn interval(&self, source: &Source) -> Result<Duration, Invalid> {
        match (self.interval, source) {
            (Some(duration::Written(interval)), _) if interval >= INTERVAL_MIN => Ok(interval),
            (Some(duration::Written(interval)), _) => {
                let problem = format!("{} is too short", duration::show(interval));
                Err(Invalid::new("interval", problem, "a tick takes at least 1 ms"))
            }
            (None, Source::Rate(_)) => Ok(INTERVAL_OF_A_RATE),
            (None, Source::Ticks(_) | Source::Shape(_) | Source::Linear(_) | Source::Curve(_)) => {
                Err(Invalid::new("interval", "is missing", "say how long a tick takes: `interval = \"10 s\"`"))
            }
        }
    }
}

fn rate(place: &str, rate: f64) -> Result<f64, Invalid> {
    within(place, rate, 0.0..=RATE_MAX, "a rate per second")
}

/// How many there are, if all is well with them.
fn listed(ticks: &[f64], interval: Duration) -> Result<u32, Invalid> {
    for (index, tick) in ticks.iter().enumerate() {
        rate(&format!("ticks[{index}]"), *tick)?;
    }
    let count = u32::try_from(ticks.len()).ok().filter(|count| (1..=TICKS_MAX).contains(count));
    let count = count.ok_or_else(|| {
        Invalid::new("ticks", format!("there are {}", ticks.len()), format!("a profile has from 1 to {TICKS_MAX}"))
    })?;
    match interval * count <= LONGEST {
        true => Ok(count),
        false => Err(Invalid::new("interval", "makes the whole longer than 365 d", "make it shorter")),
    }
}

fn ticks_in(over: Duration, interval: Duration) -> Result<u32, Invalid> {
    let refuse = |problem: String, help: &str| Err(Invalid::new("over", problem, help));
    let (ticks, rest) = (over.as_nanos() / interval.as_nanos(), over.as_nanos() % interval.as_nanos());
    if ticks == 0 || rest > 0 {
        let problem = format!("{} is not a whole number of ticks", duration::show(over));
        return refuse(problem, &format!("write a multiple of the interval, {}", duration::show(interval)));
    }
    match u32::try_from(ticks) {
        Ok(ticks) if ticks <= TICKS_MAX => Ok(ticks),
        _ => refuse(
            format!("has {ticks} ticks"),
            &format!("make the interval longer; a profile has at most {TICKS_MAX}"),
        ),
    }
}

fn unknown_shape(unknown: UnknownShape) -> Invalid {
    // It says itself what to write.
    let text = unknown.to_string();
    let (problem, help) = text.split_once("; ").unwrap_or((&text, ""));
    Invalid::new("shape", problem, help)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        toml::from_str::<Profile>(text).unwrap_err().message().to_owned()
    }

    #[test]
    fn what_is_wrong_with_a_profile_is_named() {
        let check = |text: &str, message: &str| assert_eq!(refusal(text), message, "{text}");
        let one = "write one of `rate`, `ticks`, `shape`, `linear` and `curve`";
        check("", &format!("profile: has no rates; {one}"));
        check("rate = 1\nticks = [1]", &format!("profile: has both `rate` and `ticks`; {one}"));
        check("rate = -1", "rate: -1 is out of range; a rate per second, from 0 to 10000000");
        check("rate = nan", "rate: NaN is out of range; a rate per second, from 0 to 10000000");
        check("rate = 1\nseed = 1", "seed: is of shapes alone; leave it out; nothing else here is drawn");
        check("ticks = [1]", "interval: is missing; say how long a tick takes: `interval = \"10 s\"`");
        check("ticks = [1]\ninterval = 0", "interval: 0 s is too short; a tick takes at least 1 ms");
        check("ticks = []\ninterval = 1", "ticks: there are 0; a profile has from 1 to 1000000");
        let message = "ticks[1]: -0.5 is out of range; a rate per second, from 0 to 10000000";
        check("ticks = [1, -0.5]\ninterval = 1", message);
        let message = "over: is what the number of ticks says; leave it out";
        check("ticks = [1]\ninterval = 1\nover = 1", message);
        check("ticks = [1, 1]\ninterval = \"200 d\"", "interval: makes the whole longer than 365 d; make it shorter");
        let missing = "over: is missing; say how long it takes: `over = \"60 s\"`";
        check("linear = { from = 1, to = 2 }\ninterval = 1", missing);
        check("curve = { kind = \"step\", points = [[0, 0], [1, 1]], max = 1 }\ninterval = 1", missing);
        let message = "linear.to: inf is out of range; a rate per second, from 0 to 10000000";
        check("linear = { from = 1, to = inf }\ninterval = 1\nover = 1", message);
        let message = "over: 10 s is not a whole number of ticks; write a multiple of the interval, 3 s";
        check("rate = 1\ninterval = 3\nover = 10", message);
        let message = "over: 0 s is not a whole number of ticks; write a multiple of the interval, 1 s";
        check("rate = 1\nover = 0", message);
        let message = "over: has 31536000 ticks; make the interval longer; a profile has at most 1000000";
        check("rate = 1\nover = \"365 d\"", message);
        assert!(refusal("shape = \"steady\"\ninterval = 1").starts_with("shape: `steady` is no shape of load; write"));
        assert!(refusal("rte = 1").starts_with("unknown field `rte`, expected one of `rate`, `ticks`"));
        let kinds = "unknown variant `bezier`, expected one of `linear`, `step`, `catmull-rom`, `basis`";
        check("curve = { kind = \"bezier\", points = [], max = 1 }", kinds);
    }

    #[test]
    fn more_ticks_than_a_profile_has_are_refused() {
        let message = "ticks: there are 1000001; a profile has from 1 to 1000000";
        let count = TICKS_MAX as usize + 1;
        assert_eq!(listed(&vec![1.0; count], INTERVAL_MIN).unwrap_err().to_string(), message);
        assert_eq!(listed(&vec![1.0; count - 1], INTERVAL_MIN), Ok(TICKS_MAX));
    }
}
