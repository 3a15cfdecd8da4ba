//! One agent's decisions by a policy, with whatever the policy remembers: inputs in, intents out.

use super::{Decision, Experience, Parameters, Rng, Situation};
use crate::domain::adaptation::{Adaptation, Order};
use crate::domain::ask::{Ask, Question, Reply};
use crate::domain::ids::{AskId, NodeId};
use crate::domain::measurement::Measurement;
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Timestamp;
use crate::mape::monitor::Repair;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How often a policy that [looks](super::Policy::looks) hears whether something has changed.
pub const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Nobody is waited for longer than this, where agents and the table are as quick as they can be.
pub const ANSWERED_WITHIN: Duration = Duration::from_secs(2);

/// Questions are shown so long after they were asked.
pub(super) const REMEMBERED: Duration = Duration::from_secs(60);

/// What a policy wants done.
// A few at a time: a box would save nothing.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, PartialEq, Debug)]
pub enum Intent {
    /// Carry a decision out. Not while another one is under way.
    Act(Decision),
    Say(Message),
    /// Be shown the table again, at the latest after this.
    Look {
        after: Duration,
    },
    /// How far what was ordered has come.
    Adapted(Adaptation),
    /// What the next job waits for is over. Without meaning when nothing waits.
    Over(Repair),
}

/// What one agent tells the others.
#[derive(Clone, PartialEq, Debug)]
pub enum Message {
    Ask(Question),
    Reply { ask: AskId, reply: Reply },
    Close(AskId),
}

impl Message {
    /// The rows that it takes in a table.
    pub fn rows(&self) -> u64 {
        match self {
            Message::Ask(question) => question.rows(),
            Message::Reply { reply, .. } => reply.rows(),
            Message::Close(_) => 0,
        }
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |nodes: &BTreeSet<NodeId>| nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match self {
            Message::Ask(question) => {
                write!(f, "asks about nodes {} (content to {:.2})", list(&question.nodes), question.level)
            }
            Message::Reply { ask, reply } => {
                write!(f, "answers {ask} (content to {:.2}):", reply.level)?;
                for ((node, replicas), change) in &reply.forecasts {
                    let replicas = replicas.map_or(String::new(), |replicas| format!(" of {replicas}"));
                    write!(f, " {node}{replicas} {change:+.2}")?;
                }
                if reply.forecasts.is_empty() {
                    write!(f, " nothing changes")?;
                }
                if !reply.named.is_empty() {
                    write!(f, "; names {}", list(&reply.named))?;
                }
                Ok(())
            }
            Message::Close(ask) => write!(f, "has heard enough of {ask}"),
        }
    }
}

/// The table between jobs.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    pub parameters: &'a Parameters,
    pub experience: &'a Experience,
    pub snapshot: &'a Snapshot,
    /// What was asked lately, oldest first.
    pub conversation: &'a [Arc<Ask>],
}

impl View<'_> {
    pub fn now(&self) -> Timestamp {
        self.snapshot.at
    }

    /// How long a question holds others up: who has not closed it after twice the time for answers is dead.
    pub fn open_for(&self) -> Duration {
        2 * self.parameters.patience
    }

    pub fn is_open(&self, ask: &Ask) -> bool {
        !ask.closed && self.now().since(ask.posted_at) < self.open_for()
    }

    /// Others' open questions, oldest first.
    pub fn asked_by_others(&self) -> impl Iterator<Item = &Arc<Ask>> {
        self.conversation.iter().filter(|ask| ask.agent != self.parameters.agent && self.is_open(ask))
    }
}

/// The machine behind a policy. Whoever only scores candidates is a [`ByScore`](super::ByScore).
pub trait Decider: Send {
    /// The goal was missed, and the next job waits until [`Intent::Over`], or the end of what [`Intent::Act`] begins.
    fn missed(&mut self, situation: &Situation, rng: &mut Rng) -> Vec<Intent>;

    /// Every job's measurement, before `missed` when it missed the goal.
    fn measured(&mut self, _measurement: &Measurement, _satisfied: bool) {}

    /// A job could not read its data from this node.
    fn failed(&mut self, _node: NodeId) {}

    /// Something in the table has changed, or the time asked for has come. Only for policies that
    /// [look](super::Policy::looks).
    fn looked(&mut self, _view: &View, _rng: &mut Rng) -> Vec<Intent> {
        Vec::new()
    }

    /// Somebody outside wants something done. Whoever decides for itself refuses.
    fn ordered(&mut self, order: Order) -> Vec<Intent> {
        vec![Intent::Adapted(order.refused("this agent decides for itself: its policy is not external"))]
    }

    /// What the best thing to do about a missed goal promises: of several data sets the one where it is most is acted on. 0 for
    /// policies that do not decide by a score.
    fn promises(&self, _situation: &Situation) -> f64 {
        0.0
    }

    /// Whether it does nothing for a while, for it was refused.
    fn holds_back(&self, _now: Timestamp) -> bool {
        false
    }

    /// What [`Intent::Act`] began came to its end.
    fn ended(&mut self, repair: Repair, _rng: &mut Rng) -> Vec<Intent> {
        vec![Intent::Over(repair)]
    }

    /// The names of the ways that its turns have taken since this was asked last, of those that name them: to be counted.
    fn take_arms(&mut self) -> Vec<&'static str> {
        Vec::new()
    }
}
