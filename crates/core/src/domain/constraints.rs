//! What must not be done with a data set, whoever wants it: where its replicas may lie, where they must stay, how many there are,
//! and when they may travel.
//!
//! One piece of code answers for all: the candidates of every policy, the search of `cooperative`, the simulator's oracle and its
//! checkers, and the claim in the shared table, where two agents cannot slip past each other.

mod contradiction;

pub use contradiction::{Contradiction, contradictions};

use super::action::Action;
use super::books::OverBudget;
use super::flat_map::FlatMap;
use super::ids::NodeId;
use super::labels::Selector;
use super::placement::{Node, Placement, ReplicaState};
use super::time::Timestamp;
use super::units::{parse_bytes, show_duration};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

const DAY_MS: i64 = 86_400_000;
const MINUTE_MS: i64 = 60_000;
const MINUTES: u16 = 24 * 60;

/// What holds for one data set. The default constrains nothing.
///
/// Kept in the shared table as JSON, in the words of the configuration: `{"must":[1],"min_replicas":2}`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Constraints {
    /// Nodes that get no replica.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub must_not: Option<MustNot>,
    /// Nodes that hold one: it is made where it is missing, and stays.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub must: BTreeSet<NodeId>,
    /// Nodes whose replica stays once it is there.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub never_delete_at: BTreeSet<NodeId>,
    /// So many are kept, also when nobody's goal asks for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_replicas: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_replicas: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfers: Option<Transfers>,
    /// The node where the owner writes: what lies there stays, and what is written there is the next version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<NodeId>,
}

/// What stands before every action on a data set.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Guard {
    #[serde(skip_serializing_if = "Constraints::is_none")]
    pub constraints: Constraints,
    /// No action begins before then.
    #[serde(rename = "paused_until_scenario_ms", skip_serializing_if = "Option::is_none")]
    pub paused_until: Option<Timestamp>,
}

/// `must_not = { labels = "region!=eu" }`
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MustNot {
    pub labels: Selector,
}

/// `transfers = { between = "22:00-06:00", rate = "50 MB/s" }`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Transfers {
    /// When they may begin; absent: at any time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub between: Option<DailyWindow>,
    /// How fast they are at most; absent: as fast as they can be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
}

/// Bytes in a second, at least one: `50 MB/s`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rate(pub u64);

impl Rate {
    /// What so many bytes take at least.
    pub fn takes(self, bytes: u64) -> Duration {
        Duration::from_secs_f64(bytes as f64 / self.0.max(1) as f64)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
        match units.into_iter().find(|(size, _)| self.0.is_multiple_of(*size)) {
            Some((size, unit)) => write!(f, "{} {unit}/s", self.0 / size),
            None => write!(f, "{} B/s", self.0),
        }
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let size = text.trim().strip_suffix("/s").and_then(|size| parse_bytes(size).ok()).filter(|bytes| *bytes > 0);
        size.map(Self).ok_or_else(|| format!("`{}` is no rate; write it like `50 MB/s`", text.escape_debug()))
    }
}

impl TryFrom<String> for Rate {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Rate> for String {
    fn from(rate: Rate) -> Self {
        rate.to_string()
    }
}

impl Transfers {
    pub fn is_none(self) -> bool {
        self == Self::default()
    }
}

impl fmt::Display for Transfers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let between = self.between.map(|window| format!("between = \"{window}\""));
        let rate = self.rate.map(|rate| format!("rate = \"{rate}\""));
        let written: Vec<String> = between.into_iter().chain(rate).collect();
        write!(f, "transfers = {{ {} }}", written.join(", "))
    }
}

/// A part of each day, in UTC of the scenario's time. One that begins later than it ends goes over midnight.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DailyWindow {
    /// Minutes since midnight, 0 to 1439; never equal.
    from: u16,
    until: u16,
}

impl DailyWindow {
    /// Whether it is open then.
    pub fn is_open(self, at: Timestamp) -> bool {
        let minute = u16::try_from(at.0.rem_euclid(DAY_MS) / MINUTE_MS).unwrap_or(0);
        match self.from < self.until {
            true => (self.from..self.until).contains(&minute),
            false => minute >= self.from || minute < self.until,
        }
    }

    /// The same window for a clock that began at this moment, to the minute.
    #[must_use]
    pub fn seen_from(self, start: Timestamp) -> Self {
        let passed = (start.0.rem_euclid(DAY_MS) / MINUTE_MS) as u16;
        let moved = |minute: u16| (minute + MINUTES - passed) % MINUTES;
        Self { from: moved(self.from), until: moved(self.until) }
    }

    /// When it opens next after a moment at which it is closed.
    fn opens(self, at: Timestamp) -> Timestamp {
        let of_day = at.0.rem_euclid(DAY_MS);
        let wait = (i64::from(self.from) * MINUTE_MS - of_day).rem_euclid(DAY_MS);
        Timestamp(at.0.saturating_add(wait))
    }
}

/// Why a text is no part of a day.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{0}` is no part of a day; write it like `22:00-06:00`, in UTC")]
pub struct NoWindow(String);

impl FromStr for DailyWindow {
    type Err = NoWindow;

    fn from_str(text: &str) -> Result<Self, NoWindow> {
        let two_digits = |text: &str| {
            let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse::<u16>().ok()).flatten()
        };
        let minute = |text: &str| {
            let (hour, minute) = text.split_once(':')?;
            let (hour, minute) = (two_digits(hour)?, two_digits(minute)?);
            (hour < 24 && minute < 60).then_some(hour * 60 + minute)
        };
        let ends = text.split_once('-').and_then(|(from, until)| Some((minute(from.trim())?, minute(until.trim())?)));
        let ends = ends.filter(|(from, until)| from != until);
        ends.map(|(from, until)| Self { from, until }).ok_or_else(|| NoWindow(text.escape_debug().to_string()))
    }
}

impl fmt::Display for DailyWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, until } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, until / 60, until % 60)
    }
}

impl TryFrom<String> for DailyWindow {
    type Error = NoWindow;

    fn try_from(text: String) -> Result<Self, NoWindow> {
        text.parse()
    }
}

impl From<DailyWindow> for String {
    fn from(window: DailyWindow) -> Self {
        window.to_string()
    }
}

/// Why an action may not be done.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Forbidden {
    #[error("must_not: no replica may lie on node {0}, whose labels match `{1}`")]
    MustNot(NodeId, Selector),
    #[error("must: the replica on node {0} stays")]
    Must(NodeId),
    #[error("never_delete_at: the replica on node {0} stays")]
    NeverDeletedAt(NodeId),
    #[error("min_replicas: there are no more than {0} replicas")]
    TooFew(u32),
    #[error("max_replicas: there are {0} replicas already")]
    TooMany(u32),
    #[error("max_replicas: what is left of {0} replicas is for nodes of `must`")]
    Reserved(u32),
    #[error("transfers: only {window}, in {}", show_duration(*.wait))]
    OutsideWindow { window: DailyWindow, wait: Duration },
    #[error("paused; `agent resume` ends it")]
    Paused,
    #[error("origin: its owner writes at node {0}, and the replica there stays")]
    Origin(NodeId),
    #[error("the replica on node {0} holds a former version, and is refreshed first")]
    Outdated(NodeId),
    #[error("budget: {0}")]
    OverBudget(OverBudget),
}

impl Constraints {
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Each as it is written, for people.
    pub fn listed(&self) -> Vec<String> {
        let Self { must_not, must, never_delete_at, min_replicas, max_replicas, transfers, origin } = self;
        let nodes = |key: &str, nodes: &BTreeSet<NodeId>| {
            let listed = nodes.iter().map(NodeId::to_string).collect::<Vec<_>>().join(", ");
            (!nodes.is_empty()).then(|| format!("{key} = [{listed}]"))
        };
        let written = [
            must_not.as_ref().map(|it| format!("must_not = {{ labels = \"{}\" }}", it.labels)),
            nodes("must", must),
            nodes("never_delete_at", never_delete_at),
            min_replicas.map(|least| format!("min_replicas = {least}")),
            max_replicas.map(|most| format!("max_replicas = {most}")),
            transfers.map(|it| it.to_string()),
            origin.map(|node| format!("origin = {node}")),
        ];
        written.into_iter().flatten().collect()
    }

    /// The same for a clock that began at this moment.
    #[must_use]
    pub fn seen_from(mut self, start: Timestamp) -> Self {
        if let Some(window) = self.transfers.as_mut().and_then(|transfers| transfers.between.as_mut()) {
            *window = window.seen_from(start);
        }
        self
    }

    /// When bytes may begin to travel; `None`: at any time.
    fn window(&self) -> Option<DailyWindow> {
        self.transfers?.between
    }

    /// How fast bytes may travel; `None`: as fast as they can.
    pub fn rate(&self) -> Option<Rate> {
        self.transfers?.rate
    }

    /// Why no replica may lie on a node; `None`: one may.
    pub fn bars(&self, node: &Node) -> Option<Forbidden> {
        let MustNot { labels } = self.must_not.as_ref()?;
        labels.matches(&node.labels).then(|| Forbidden::MustNot(node.id, labels.clone()))
    }

    /// Why what lies on a node stays there, however many others there are; `None`: it may go.
    pub fn holds(&self, node: NodeId) -> Option<Forbidden> {
        if self.must.contains(&node) {
            return Some(Forbidden::Must(node));
        }
        if self.origin == Some(node) {
            return Some(Forbidden::Origin(node));
        }
        self.never_delete_at.contains(&node).then_some(Forbidden::NeverDeletedAt(node))
    }

    /// Why a present replica on a node may not be dropped; `None`: it may.
    pub fn keeps(&self, placement: &Placement, node: NodeId) -> Option<Forbidden> {
        let few = self.min_replicas.filter(|least| placement.present().count() <= *least as usize);
        self.holds(node).or_else(|| few.map(Forbidden::TooFew))
    }

    /// Why there may be no further replica; `None`: there may.
    pub fn fills(&self, placement: &Placement) -> Option<Forbidden> {
        self.max_replicas.filter(|most| coming(placement) >= *most as usize).map(Forbidden::TooMany)
    }

    /// The same of one at this node that nothing demands: it takes no place of those that nodes of `must` are still to get.
    fn leaves_no_place(&self, placement: &Placement, node: NodeId) -> Option<Forbidden> {
        let lacking = self.must.iter().filter(|other| **other != node && placement.on(**other).is_none()).count();
        let reserved = || self.max_replicas.filter(|most| coming(placement) + lacking >= *most as usize);
        self.fills(placement).or_else(|| reserved().map(Forbidden::Reserved))
    }

    /// Whether these nodes may hold the replicas when `present` hold them now. What is forbidden and there already may stay, and
    /// too few or too many, with those that nodes of `must` are still to get, need not become right at once, but no more wrong.
    pub fn allow(&self, present: &BTreeSet<NodeId>, set: &BTreeSet<NodeId>) -> bool {
        let count = |nodes: &BTreeSet<NodeId>| u32::try_from(nodes.len()).unwrap_or(u32::MAX);
        let with_demanded = |nodes: &BTreeSet<NodeId>| count(nodes) + count(&(&self.must - nodes));
        let (now, then) = (count(present), count(set));
        let is_within = |most: u32| then <= most.max(now) && with_demanded(set) <= most.max(with_demanded(present));
        self.min_replicas.is_none_or(|least| then >= least.min(now))
            && self.max_replicas.is_none_or(is_within)
            && present.difference(set).all(|node| self.holds(*node).is_none())
    }

    /// What of them a placement does not meet now, for people.
    pub fn unmet(&self, nodes: &FlatMap<NodeId, Node>, placement: &Placement) -> Vec<String> {
        let present = placement.nodes();
        let demanded = self.must.difference(&present);
        let mut unmet: Vec<String> =
            demanded.map(|node| format!("node {node} holds no replica, and has to (must)")).collect();
        let count = u32::try_from(present.len()).unwrap_or(u32::MAX);
        unmet.extend(
            self.min_replicas
                .filter(|least| count < *least)
                .map(|least| format!("there are {count} replicas of at least {least} (min_replicas)")),
        );
        let barred = present.iter().filter(|node| nodes.get(node).is_some_and(|node| self.bars(node).is_some()));
        unmet.extend(barred.map(|node| format!("node {node} holds a replica, and should not (must_not)")));
        unmet
    }

    /// How many replicas are missing of those that there must be, besides those at nodes of `must`.
    fn missing(&self, placement: &Placement) -> usize {
        let least = self.min_replicas.unwrap_or(0) as usize;
        least.saturating_sub(coming(placement))
    }

    /// Whether a replica is to be made at a node that has none, though no goal asks for it.
    pub fn wants_at(&self, placement: &Placement, node: NodeId) -> bool {
        placement.on(node).is_none() && (self.must.contains(&node) || self.missing(placement) > 0)
    }

    /// Whether a replica is missing that no goal has to ask for.
    pub fn wants_more(&self, placement: &Placement) -> bool {
        self.missing(placement) > 0 || self.must.iter().any(|node| placement.on(*node).is_none())
    }
}

/// Replicas that are there or on their way. One that is made anew lies beside what it replaces, and is one with it.
fn coming(placement: &Placement) -> usize {
    let comes = |state| match state {
        ReplicaState::Copying | ReplicaState::Present => true,
        ReplicaState::Removing | ReplicaState::Changed | ReplicaState::Damaged => false,
    };
    let coming = placement.replicas.values().filter(|row| comes(row.state));
    coming.map(|row| row.node).collect::<BTreeSet<_>>().len()
}

impl Guard {
    /// A pause without an end, and the guard of what cannot be read.
    pub const FOR_EVER: Timestamp = Timestamp(i64::MAX);

    /// Whether all actions are held.
    pub fn is_paused(&self, now: Timestamp) -> bool {
        self.paused_until.is_some_and(|until| now < until)
    }

    /// When something may begin that may not now, because time alone holds it; `None`: nothing waits for that.
    pub fn opens_at(&self, now: Timestamp) -> Option<Timestamp> {
        let pause = self.paused_until.filter(|until| now < *until && *until != Self::FOR_EVER);
        let window = self.constraints.window();
        let window = window.filter(|window| !window.is_open(now)).map(|window| window.opens(now));
        pause.into_iter().chain(window).min()
    }

    /// Whether bytes may travel now.
    pub fn lets_travel(&self, now: Timestamp) -> bool {
        !self.is_paused(now) && self.constraints.window().is_none_or(|window| window.is_open(now))
    }

    /// Why an action may not begin now; `None`: it may. `destination`: the node that it brings a replica to.
    pub fn forbids(
        &self,
        destination: Option<&Node>,
        placement: &Placement,
        action: Action,
        now: Timestamp,
    ) -> Option<Forbidden> {
        if action == Action::Nothing {
            return None;
        }
        if self.is_paused(now) {
            return Some(Forbidden::Paused);
        }
        let constraints = &self.constraints;
        let arrives = placement.is_brought_by(action);
        let outdated = || {
            let from = action.from_node().filter(|_| arrives)?;
            let source = placement.present().find(|row| row.node == from)?;
            source.is_outdated().then_some(Forbidden::Outdated(from))
        };
        let barred = || destination.filter(|_| arrives).and_then(|node| constraints.bars(node));
        let closed = || {
            let window = constraints.window().filter(|_| arrives)?;
            (!window.is_open(now)).then(|| Forbidden::OutsideWindow { window, wait: window.opens(now).since(now) })
        };
        let of_placement = || match action {
            Action::Move { from, .. } if arrives => constraints.holds(from),
            Action::Move { from: node, .. } | Action::Evict { node } => constraints.keeps(placement, node),
            Action::Copy { to, .. } if arrives => constraints.leaves_no_place(placement, to),
            Action::Restore { to, .. } if placement.on(to).is_none() => constraints.fills(placement),
            Action::Copy { .. }
            | Action::ChangeReference { .. }
            | Action::Restore { .. }
            | Action::MoveWork { .. }
            | Action::Nothing => None,
        };
        barred().or_else(of_placement).or_else(outdated).or_else(closed)
    }
}

#[cfg(test)]
mod tests;
