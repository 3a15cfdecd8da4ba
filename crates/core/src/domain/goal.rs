//! What a user asks for: a tree of requirements, read from text.
//!
//! ```text
//! goal        = all { "or" all }
//! all         = requirement { "and" requirement }
//! requirement = "(" goal ")" | metric ("<=" | "<" | ">=" | ">") number [unit]
//! ```
//!
//! `and` binds stronger than `or`; words may be written in capitals. Each metric has its units: `s`, `ms`, `min` and `h` for
//! times and staleness, `records/s` for throughput, `%` for availability, none for data consistency.

use super::metric::{Metric, Metrics};
use super::units::split_quantity;
use serde::{Serialize, Serializer};
use std::{fmt, str::FromStr};

/// A goal, or a part of one.
#[derive(Clone, PartialEq, Debug)]
pub enum Goal {
    Threshold(Threshold),
    /// Every part holds; at least two parts.
    All(Vec<Goal>),
    /// At least one part holds; at least two parts.
    Any(Vec<Goal>),
}

/// A bound on one metric, in the metric's own unit.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Threshold {
    pub metric: Metric,
    pub comparison: Comparison,
    pub value: f64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Comparison {
    AtMost,
    Below,
    AtLeast,
    Above,
}

impl Comparison {
    fn symbol(self) -> &'static str {
        match self {
            Comparison::AtMost => "<=",
            Comparison::Below => "<",
            Comparison::AtLeast => ">=",
            Comparison::Above => ">",
        }
    }
}

impl Threshold {
    /// Whether the bound holds. A metric that was not measured, or is not a number, does not meet a bound.
    pub fn holds(&self, metrics: &Metrics) -> bool {
        metrics.get(self.metric).is_some_and(|measured| match self.comparison {
            Comparison::AtMost => measured <= self.value,
            Comparison::Below => measured < self.value,
            Comparison::AtLeast => measured >= self.value,
            Comparison::Above => measured > self.value,
        })
    }
}

/// Whether all are true: one that is false settles it, whatever is not known.
fn all(mut answers: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    answers
        .try_fold(Some(true), |all, answer| match answer {
            Some(false) => Err(()),
            Some(true) => Ok(all),
            None => Ok(None),
        })
        .unwrap_or(Some(false))
}

impl Goal {
    pub fn holds(&self, metrics: &Metrics) -> bool {
        match self {
            Goal::Threshold(threshold) => threshold.holds(metrics),
            Goal::All(parts) => parts.iter().all(|part| part.holds(metrics)),
            Goal::Any(parts) => parts.iter().any(|part| part.holds(metrics)),
        }
    }

    /// Whether the goal holds; `None` when that depends on a metric that was not measured.
    pub fn judge(&self, metrics: &Metrics) -> Option<bool> {
        match self {
            Goal::Threshold(threshold) => metrics.get(threshold.metric).map(|_| threshold.holds(metrics)),
            Goal::All(parts) => all(parts.iter().map(|part| part.judge(metrics))),
            Goal::Any(parts) => all(parts.iter().map(|part| part.judge(metrics).map(|holds| !holds))).map(|none| !none),
        }
    }

    /// Every bound, in the order written.
    pub fn thresholds(&self) -> Vec<Threshold> {
        match self {
            Goal::Threshold(threshold) => vec![*threshold],
            Goal::All(parts) | Goal::Any(parts) => parts.iter().flat_map(Goal::thresholds).collect(),
        }
    }

    /// The first bound, in the order written, that is such.
    pub fn find(&self, is_such: &impl Fn(&Threshold) -> bool) -> Option<Threshold> {
        match self {
            Goal::Threshold(threshold) => is_such(threshold).then_some(*threshold),
            Goal::All(parts) | Goal::Any(parts) => parts.iter().find_map(|part| part.find(is_such)),
        }
    }

    /// The bounds that do not hold.
    pub fn violated(&self, metrics: &Metrics) -> Vec<Threshold> {
        self.thresholds().into_iter().filter(|threshold| !threshold.holds(metrics)).collect()
    }

    pub fn mentions(&self, metric: Metric) -> bool {
        self.find(&|threshold| threshold.metric == metric).is_some()
    }

    /// Whether it asks for something that only the requests to a service show.
    pub fn speaks_of_requests(&self) -> bool {
        self.find(&|threshold| threshold.metric.is_of_requests()).is_some()
    }

    /// The parts joined by `word`; those that would read otherwise without parentheses have them.
    fn write_parts(&self, f: &mut fmt::Formatter<'_>, parts: &[Goal], word: &str) -> fmt::Result {
        parts.iter().enumerate().try_for_each(|(i, part)| {
            if i > 0 {
                write!(f, " {word} ")?;
            }
            match (self, part) {
                (Goal::All(_), Goal::All(_) | Goal::Any(_)) | (Goal::Any(_), Goal::Any(_)) => write!(f, "({part})"),
                _ => write!(f, "{part}"),
            }
        })
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.metric, self.comparison.symbol(), self.value)?;
        match self.metric.unit() {
            "" => Ok(()),
            unit => write!(f, " {unit}"),
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Goal::Threshold(threshold) => write!(f, "{threshold}"),
            Goal::All(parts) => self.write_parts(f, parts, "and"),
            Goal::Any(parts) => self.write_parts(f, parts, "or"),
        }
    }
}

impl Serialize for Goal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Where a goal's text is wrong (column from 1) and what would be right.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{problem} at column {column}")]
pub struct GoalError {
    pub problem: String,
    pub column: usize,
    pub help: String,
}

/// Nesting deeper than this is refused: no recursion without a bound (I-7).
const MAX_DEPTH: usize = 32;
const MAX_LENGTH: usize = 4096;

impl FromStr for Goal {
    type Err = GoalError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parser = Parser { text, at: 0, depth: 0 };
        if text.len() > MAX_LENGTH {
            return Err(parser.error("the goal is too long", format!("a goal has at most {MAX_LENGTH} characters")));
        }
        let goal = parser.goal()?;
        parser.skip_space();
        match parser.rest().is_empty() {
            true => Ok(goal),
            false => Err(parser.error(
                &format!("unexpected `{}`", parser.word()),
                "join requirements with `and`, `or` and parentheses".to_owned(),
            )),
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn goal(&mut self) -> Result<Goal, GoalError> {
        let mut parts = vec![self.all()?];
        while self.accept_word("or") {
            parts.push(self.all()?);
        }
        Ok(one_or(parts, Goal::Any))
    }

    fn all(&mut self) -> Result<Goal, GoalError> {
        let mut parts = vec![self.requirement()?];
        while self.accept_word("and") {
            parts.push(self.requirement()?);
        }
        Ok(one_or(parts, Goal::All))
    }

    fn requirement(&mut self) -> Result<Goal, GoalError> {
        self.skip_space();
        if !self.accept("(") {
            return self.threshold().map(Goal::Threshold);
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error("parentheses are nested too deeply", format!("at most {MAX_DEPTH} levels")));
        }
        let goal = self.goal()?;
        self.skip_space();
        if !self.accept(")") {
            return Err(self.error("`)` is missing", "close every parenthesis that was opened".to_owned()));
        }
        self.depth -= 1;
        Ok(goal)
    }

    fn threshold(&mut self) -> Result<Threshold, GoalError> {
        let name = self.word();
        let metric: Metric = name.parse().map_err(|_| self.unknown_metric(name))?;
        self.at += name.len();
        self.skip_space();
        let comparison = self.comparison()?;
        self.skip_space();
        let length = self.quantity_length();
        let (value, unit) = split_quantity(&self.rest()[..length], example(metric)).map_err(|_| {
            self.error(
                "a number is missing",
                format!("write it like `{metric} {} {}`", comparison.symbol(), example(metric)),
            )
        })?;
        let factor = unit_factor(metric, unit).ok_or_else(|| self.wrong_unit(metric, unit))?;
        let value = value * factor;
        if let Some(range) = impossible(metric, value) {
            return Err(self.error(&format!("{metric} can never be {value} {}", metric.unit()), range.to_owned()));
        }
        self.at += length;
        Ok(Threshold { metric, comparison, value })
    }

    fn comparison(&mut self) -> Result<Comparison, GoalError> {
        let table = [
            ("<=", Comparison::AtMost),
            (">=", Comparison::AtLeast),
            ("<", Comparison::Below),
            (">", Comparison::Above),
        ];
        match table.into_iter().find(|(symbol, _)| self.accept(symbol)) {
            Some((_, comparison)) => Ok(comparison),
            None => Err(self.error("a comparison is missing", "use one of <=, <, >=, >".to_owned())),
        }
    }

    /// The number and its unit: up to a parenthesis, or a word that is no unit.
    fn quantity_length(&self) -> usize {
        let rest = self.rest();
        let number =
            rest.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | '_'))).unwrap_or(rest.len());
        let space = rest[number..].len() - rest[number..].trim_start().len();
        let unit = &rest[number + space..];
        let unit_length =
            unit.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '<' | '>')).unwrap_or(unit.len());
        match unit[..unit_length].to_ascii_lowercase().as_str() {
            "and" | "or" | "" => number,
            _ => number + space + unit_length,
        }
    }

    fn unknown_metric(&self, name: &str) -> GoalError {
        let known = Metric::ALL.map(Metric::name);
        let help = match nearest(name, &known) {
            Some(metric) => format!("did you mean `{metric}`? metrics are {}", known.join(", ")),
            None => format!("metrics are {}", known.join(", ")),
        };
        match name {
            "" => self.error("a metric is missing", help),
            _ => self.error(&format!("unknown metric `{name}`"), help),
        }
    }

    fn wrong_unit(&self, metric: Metric, unit: &str) -> GoalError {
        let known = units(metric).iter().map(|(unit, _)| *unit).filter(|unit| !unit.is_empty()).collect::<Vec<_>>();
        let help = match known.is_empty() {
            true => format!("{metric} is a ratio between 0 and 1, without a unit"),
            false => format!("write it like `{}`; known are {}", example(metric), known.join(", ")),
        };
        match unit {
            "" => self.error(&format!("{metric} has no unit"), help),
            _ => self.error(&format!("`{unit}` is not a unit of {metric}"), help),
        }
    }

    fn error(&self, problem: &str, help: String) -> GoalError {
        let column = self.text[..self.at].chars().count() + 1;
        GoalError { problem: problem.to_owned(), column, help }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// The word ahead, possibly empty.
    fn word(&self) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        if end == 0 {
            &rest[..rest.chars().next().map_or(0, |c| if c == '(' { 0 } else { c.len_utf8() })]
        } else {
            &rest[..end]
        }
    }

    fn skip_space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn accept(&mut self, symbol: &str) -> bool {
        let found = self.rest().starts_with(symbol);
        if found {
            self.at += symbol.len();
        }
        found
    }

    fn accept_word(&mut self, word: &str) -> bool {
        self.skip_space();
        let found = self.word().eq_ignore_ascii_case(word);
        if found {
            self.at += word.len();
        }
        found
    }
}

fn one_or(mut parts: Vec<Goal>, join: fn(Vec<Goal>) -> Goal) -> Goal {
    if parts.len() == 1 { parts.swap_remove(0) } else { join(parts) }
}

fn units(metric: Metric) -> &'static [(&'static str, f64)] {
    match metric {
        Metric::ResponseTime
        | Metric::ExecutionTime
        | Metric::Staleness
        | Metric::ResponseTimeP95
        | Metric::ResponseTimeP99 => &[("s", 1.0), ("ms", 1e-3), ("min", 60.0), ("h", 3600.0)],
        Metric::Throughput => &[("records/s", 1.0), ("requests/s", 1.0)],
        Metric::NetworkLatency => &[("ms", 1.0), ("s", 1e3), ("us", 1e-3)],
        Metric::Availability | Metric::ErrorRate => &[("%", 1.0)],
        Metric::DataConsistency => &[("", 1.0)],
    }
}

fn unit_factor(metric: Metric, unit: &str) -> Option<f64> {
    units(metric).iter().find(|(known, _)| *known == unit).map(|(_, factor)| *factor)
}

fn example(metric: Metric) -> &'static str {
    match metric {
        Metric::ResponseTime | Metric::ExecutionTime | Metric::ResponseTimeP95 | Metric::ResponseTimeP99 => "35 s",
        Metric::Throughput => "30000 records/s",
        Metric::NetworkLatency => "1300 ms",
        Metric::Availability => "95 %",
        Metric::DataConsistency => "0.7",
        Metric::Staleness => "60 s",
        Metric::ErrorRate => "1 %",
    }
}

/// The metric's range, when `value` lies outside it.
fn impossible(metric: Metric, value: f64) -> Option<&'static str> {
    let (range, text) = match metric {
        Metric::Availability => (0.0..=100.0, "availability lies between 0 % and 100 %"),
        Metric::ErrorRate => (0.0..=100.0, "an error rate lies between 0 % and 100 %"),
        Metric::DataConsistency => (0.0..=1.0, "data consistency lies between 0 and 1"),
        Metric::ResponseTime
        | Metric::ExecutionTime
        | Metric::Throughput
        | Metric::NetworkLatency
        | Metric::Staleness
        | Metric::ResponseTimeP95
        | Metric::ResponseTimeP99 => (0.0..=f64::MAX, "it is not negative and not infinite"),
    };
    (!range.contains(&value)).then_some(text)
}

/// The known word that is at most two edits away from `word`, if any.
pub fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let distance = |other: &str| {
        let other: Vec<char> = other.chars().collect();
        let mut row: Vec<usize> = (0..=other.len()).collect();
        for (i, a) in word.chars().take(64).enumerate() {
            let mut diagonal = row[0];
            row[0] = i + 1;
            for (j, b) in other.iter().enumerate() {
                let substitution = diagonal + usize::from(a != *b);
                diagonal = row[j + 1];
                row[j + 1] = substitution.min(row[j] + 1).min(diagonal + 1);
            }
        }
        row[other.len()]
    };
    known
        .iter()
        .map(|known| (distance(known), *known))
        .filter(|(distance, _)| *distance <= 2)
        .min()
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, written: &str) {
        let goal: Goal = text.parse().unwrap_or_else(|error: GoalError| panic!("{text}: {error}; {}", error.help));
        assert_eq!(goal.to_string(), written);
        assert_eq!(written.parse::<Goal>().unwrap(), goal, "what is written reads the same");
    }

    #[test]
    fn the_published_goals_are_read() {
        check("response_time <= 35 s AND availability >= 95 %", "response_time <= 35 s and availability >= 95 %");
        check(
            "throughput >= 30000 records/s and availability >= 80%",
            "throughput >= 30000 records/s and availability >= 80 %",
        );
        check(
            "data_consistency >= 0.7 or network_latency <= 1300 ms",
            "data_consistency >= 0.7 or network_latency <= 1300 ms",
        );
    }

    #[test]
    fn and_binds_stronger_than_or_and_parentheses_than_both() {
        check(
            "(response_time<1min or execution_time < 500 ms) and (availability > 90 %)",
            "(response_time < 60 s or execution_time < 0.5 s) and availability > 90 %",
        );
        // What was grouped stays grouped.
        check(
            "(availability > 1 % or availability > 2 %) or data_consistency > 0.5",
            "(availability > 1 % or availability > 2 %) or data_consistency > 0.5",
        );
        let goal: Goal = "data_consistency >= 1 or availability >= 1 % and availability >= 2 %".parse().unwrap();
        assert!(matches!(&goal, Goal::Any(parts) if matches!(&parts[1], Goal::All(two) if two.len() == 2)), "{goal:?}");
    }

    #[test]
    fn what_was_not_measured_decides_nothing() {
        let measured = Metrics::default().with(Metric::ResponseTime, 10.0);
        let check = |goal: &str, expected: Option<bool>| {
            assert_eq!(goal.parse::<Goal>().unwrap().judge(&measured), expected, "{goal}");
        };
        check("response_time <= 35 s", Some(true));
        check("response_time <= 5 s", Some(false));
        check("throughput >= 1 records/s", None);
        check("throughput >= 1 records/s and response_time <= 35 s", None);
        check("throughput >= 1 records/s and response_time <= 5 s", Some(false));
        check("throughput >= 1 records/s or response_time <= 35 s", Some(true));
        check("throughput >= 1 records/s or response_time <= 5 s", None);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_column() {
        let check = |text: &str, message: &str, help: &str| {
            let error = text.parse::<Goal>().unwrap_err();
            assert_eq!(error.to_string(), message, "{text}");
            assert!(error.help.contains(help), "{text}: {}", error.help);
        };
        check("respnse_time <= 35 s", "unknown metric `respnse_time` at column 1", "did you mean `response_time`?");
        check("response_time = 35 s", "a comparison is missing at column 15", "<=, <, >=, >");
        check("response_time <= 35", "response_time has no unit at column 18", "`35 s`; known are s, ms, min, h");
        check("response_time <= 35 %", "`%` is not a unit of response_time at column 18", "35 s");
        check("availability >= 120 %", "availability can never be 120 % at column 17", "0 % and 100 %");
        check("network_latency <= -5 ms", "network_latency can never be -5 ms at column 20", "not negative");
        check("availability >= 95 % and", "a metric is missing at column 25", "metrics are");
        check("(availability >= 95 %", "`)` is missing at column 22", "close");
        check("availability >= 95 % availability", "unexpected `availability` at column 22", "join");
        check("data_consistency >= 0.7 s", "`s` is not a unit of data_consistency at column 21", "ratio");
        check("", "a metric is missing at column 1", "metrics are");
        check(&"(".repeat(100), "parentheses are nested too deeply at column 34", "32");
    }

    #[test]
    fn a_metric_that_was_not_measured_meets_no_bound() {
        let goal: Goal = "availability >= 0 %".parse().unwrap();
        assert!(!goal.holds(&Metrics::default()));
        assert!(!goal.holds(&Metrics::default().with(Metric::Availability, f64::NAN)));
        assert!(goal.holds(&Metrics::default().with(Metric::Availability, 0.0)));
    }

    #[test]
    fn a_goal_is_as_deep_and_as_long_as_its_bounds_allow() {
        let nested = |depth: usize| format!("{}availability >= 1 %{}", "(".repeat(depth), ")".repeat(depth));
        assert!(nested(MAX_DEPTH).parse::<Goal>().is_ok());
        assert!(nested(MAX_DEPTH + 1).parse::<Goal>().is_err());
        let beside = vec!["(availability >= 1 %)"; MAX_DEPTH + 1].join(" and ");
        assert!(beside.parse::<Goal>().is_ok(), "a parenthesis that was closed is no level any more");
        let padded = |length: usize| format!("{:length$}", "availability >= 1 %");
        assert!(padded(MAX_LENGTH).parse::<Goal>().is_ok());
        let error = padded(MAX_LENGTH + 1).parse::<Goal>().unwrap_err();
        assert_eq!(error.to_string(), "the goal is too long at column 1");
    }
}
