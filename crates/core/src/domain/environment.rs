//! What a network is like: as people declare it, and as its members measure it. What is declared is in force.

use super::ids::NodeId;
use super::link_table::LinkTable;
use super::placement::Link;
use super::time::Timestamp;
use super::units::Percent;
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The share of time in which a node is up.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Availability {
    /// What people say; an override of what is measured.
    pub declared: Option<Percent>,
    /// What its peers saw of it within their window.
    pub measured: Option<Percent>,
}

impl Availability {
    /// What counts: as declared, else as measured; a node of which nothing is known is taken to be always up.
    pub fn in_force(self) -> Percent {
        self.declared.or(self.measured).unwrap_or(Percent::FULL)
    }

    /// The same \[%\].
    pub fn value(self) -> f64 {
        self.in_force().value()
    }

    /// Where the value in force is from.
    pub fn basis(self) -> Basis {
        match self {
            Self { declared: Some(_), .. } => Basis::Declared,
            Self { declared: None, measured: Some(_) } => Basis::Measured,
            Self { declared: None, measured: None } => Basis::Assumed,
        }
    }
}

impl From<Percent> for Availability {
    fn from(declared: Percent) -> Self {
        Self { declared: Some(declared), measured: None }
    }
}

/// What is in force, and where it is from.
impl fmt::Display for Availability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = Percent::new((self.value() * 100.0).round() / 100.0).unwrap_or(Percent::FULL);
        match self.basis() {
            Basis::Declared => write!(f, "{}", self.in_force()),
            Basis::Measured => write!(f, "{shown} measured"),
            Basis::Assumed => write!(f, "{shown} assumed"),
        }
    }
}

/// As members of a row: the value in force, and what it is from where that is not a declaration alone.
impl Serialize for Availability {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_map(None)?;
        members.serialize_entry("availability", &self.value())?;
        if self.basis() != Basis::Declared || self.measured.is_some() {
            members.serialize_entry("availability_basis", self.basis().name())?;
            members.serialize_entry("measured_availability", &self.measured.map(Percent::value))?;
        }
        members.end()
    }
}

/// How agents know of their links' latency.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Links {
    /// An emulator makes what the shared table declares.
    #[default]
    Injected,
    /// Nobody need declare anything: jobs, probes and members measure them.
    Measured,
}

/// Where a value is from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Basis {
    Declared,
    Measured,
    /// Nobody says anything.
    Assumed,
}

impl Basis {
    pub fn name(self) -> &'static str {
        match self {
            Basis::Declared => "declared",
            Basis::Measured => "measured",
            Basis::Assumed => "assumed",
        }
    }
}

/// What a value is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Quantity {
    /// Of a node \[%\].
    Availability(NodeId),
    /// From one node to another \[ms\].
    Latency(NodeId, NodeId),
}

/// What was said of an environment at some moment, in the past.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Saying {
    pub quantity: Quantity,
    pub basis: Basis,
    /// Absent: nobody said anything.
    pub value: Option<f64>,
}

impl Saying {
    /// What was said, when something else is said from now on.
    pub fn former(quantity: Quantity, basis: Basis, was: Option<f64>, becomes: Option<f64>) -> Option<Self> {
        (was != becomes).then_some(Self { quantity, basis, value: was })
    }

    /// Of what is said of one thing the first.
    pub fn first_of_each(all: Vec<Self>) -> Vec<Self> {
        let mut seen = BTreeSet::new();
        all.into_iter().filter(|said| seen.insert((said.quantity, said.basis))).collect()
    }
}

/// What was said before it was changed, each until when. What was never changed takes no room.
#[derive(Default)]
pub struct Former(BTreeMap<(Quantity, Basis), Vec<Until>>);

/// What was said until then.
struct Until(Timestamp, Option<f64>);

impl Former {
    /// From now on it is something else.
    pub fn note(&mut self, Saying { quantity, basis, value }: Saying, now: Timestamp) {
        self.0.entry((quantity, basis)).or_default().push(Until(now, value));
    }

    /// What was said at a moment, where that has been changed since.
    pub fn at(&self, moment: Timestamp) -> Vec<Saying> {
        let at = |said: &Vec<Until>| {
            let then = said.partition_point(|Until(until, _)| *until <= moment);
            said.get(then).map(|Until(_, value)| *value)
        };
        let saying = |(&(quantity, basis), said)| Some(Saying { quantity, basis, value: at(said)? });
        self.0.iter().filter_map(saying).collect()
    }
}

/// How a node is found and known among the members of the network.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Contact {
    /// Where it listens for its peers, `HOST:PORT`; absent: it has not said so.
    #[serde(rename = "gossip_address", skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// What its records are signed with, lower-case hexadecimal; absent: it was never started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
}

/// The way from one node to another, as the first one measured it.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct MeasuredLink {
    pub from: NodeId,
    pub to: NodeId,
    /// There and back \[ms\].
    pub latency_ms: f64,
    /// Of what is sent, so much is lost \[%\].
    pub loss_percent: f64,
    /// What came of transfers \[bytes/s\]; absent: there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_s: Option<f64>,
    #[serde(rename = "at_scenario_ms")]
    pub at: Timestamp,
}

impl From<&MeasuredLink> for Link {
    /// How much it varies nobody measured.
    fn from(link: &MeasuredLink) -> Self {
        Link { from: link.from, to: link.to, latency_ms: link.latency_ms, jitter_ms: 0.0 }
    }
}

/// By where they begin and where they end.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct MeasuredLinks(BTreeMap<(NodeId, NodeId), MeasuredLink>);

impl MeasuredLinks {
    pub fn get(&self, from: NodeId, to: NodeId) -> Option<&MeasuredLink> {
        self.0.get(&(from, to))
    }

    pub fn insert(&mut self, link: MeasuredLink) {
        self.0.insert((link.from, link.to), link);
    }

    /// What was measured in place of what is known \[ms\]; `None`: nothing was.
    pub fn set_latency(&mut self, from: NodeId, to: NodeId, latency_ms: Option<f64>) {
        match (latency_ms, self.0.get_mut(&(from, to))) {
            (Some(latency_ms), Some(link)) => link.latency_ms = latency_ms,
            (None, Some(_)) => _ = self.0.remove(&(from, to)),
            (_, None) => {}
        }
    }

    /// In the order of the nodes where they begin, then of those that they lead to.
    pub fn iter(&self) -> impl Iterator<Item = &MeasuredLink> {
        self.0.values()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Drops all that begin or end at a node.
    pub fn remove_node(&mut self, node: NodeId) {
        self.0.retain(|(from, to), _| *from != node && *to != node);
    }

    /// The links that are declared, and those beside them that nobody declares and somebody measured.
    pub fn beside(&self, declared: &LinkTable) -> LinkTable {
        let mut all = declared.clone();
        self.iter().for_each(|link| all.insert_missing(Link::from(link)));
        all
    }
}

impl FromIterator<MeasuredLink> for MeasuredLinks {
    fn from_iter<I: IntoIterator<Item = MeasuredLink>>(links: I) -> Self {
        Self(links.into_iter().map(|link| ((link.from, link.to), link)).collect())
    }
}

/// What one node has measured since it last said so.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Measured {
    /// The links from it; the moment of each is the table's.
    pub links: Vec<MeasuredLink>,
    /// How available other nodes were.
    pub availability: Vec<(NodeId, Percent)>,
}

impl Measured {
    pub fn is_empty(&self) -> bool {
        self.links.is_empty() && self.availability.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn percent(value: f64) -> Option<Percent> {
        Percent::new(value)
    }

    #[test]
    fn what_is_declared_is_in_force_then_what_is_measured() {
        let check = |declared: Option<f64>, measured: Option<f64>, expected: &str, json: &str| {
            let of = |value: Option<f64>| value.and_then(percent);
            let availability = Availability { declared: of(declared), measured: of(measured) };
            assert_eq!(availability.to_string(), expected);
            assert_eq!(serde_json::to_string(&availability).unwrap(), json);
        };
        check(Some(95.0), None, "95 %", r#"{"availability":95.0}"#);
        check(
            Some(95.0),
            Some(80.0),
            "95 %",
            r#"{"availability":95.0,"availability_basis":"declared","measured_availability":80.0}"#,
        );
        check(
            None,
            Some(80.126),
            "80.13 % measured",
            r#"{"availability":80.126,"availability_basis":"measured","measured_availability":80.126}"#,
        );
        check(
            None,
            None,
            "100 % assumed",
            r#"{"availability":100.0,"availability_basis":"assumed","measured_availability":null}"#,
        );
    }

    #[test]
    fn a_measured_link_stands_where_none_is_declared() {
        let measured = |from, to, latency_ms| MeasuredLink {
            from: NodeId(from),
            to: NodeId(to),
            latency_ms,
            loss_percent: 1.0,
            bytes_per_s: None,
            at: Timestamp(5),
        };
        let declared = Link { from: NodeId(1), to: NodeId(2), latency_ms: 9.0, jitter_ms: 1.0 };
        let mut links: MeasuredLinks =
            [measured(1, 2, 5.0), measured(2, 1, 6.0), measured(1, 3, 7.0)].into_iter().collect();
        let all = links.beside(&[declared].into_iter().collect());
        let found: Vec<_> = all.iter().map(|link| (link.from.0, link.to.0, link.latency_ms)).collect();
        assert_eq!(found, [(1, 2, 9.0), (1, 3, 7.0), (2, 1, 6.0)]);
        links.remove_node(NodeId(3));
        assert_eq!(links.iter().map(|link| link.to.0).collect::<Vec<_>>(), [2, 1]);
    }
}
