//! What people change in a simulation while it runs: what a scenario's changes and faults can say, and what an agent is to do.

use super::checkers::Violated;
use super::faults::Broken;
use super::table::ready;
use super::world::{Told, World};
use crate::config::{Invalid, overridden};
use crate::domain::adaptation::Order;
use crate::domain::goal::Goal;
use crate::domain::ids::{AgentId, NodeId};
use crate::domain::placement::{Override, Overrides};
use crate::domain::units::Percent;
use crate::knowledge::Knowledge as _;
use crate::mape::control_loop::Input;
use crate::mape::planner::{self, POLICIES};
use std::fmt;

/// A change at the present moment; it acts from the next job on.
#[derive(Clone, PartialEq, Debug)]
pub enum Edit {
    Availability {
        node: NodeId,
        availability: Percent,
    },
    /// Of one direction.
    Latency {
        from: NodeId,
        to: NodeId,
        latency_ms: f64,
    },
    /// In place of the scenario's.
    Goal {
        agent: AgentId,
        goal: Goal,
    },
    /// In place of the scenario's.
    Policy {
        agent: AgentId,
        policy: String,
    },
    /// Until it is mended. No partition: whom it keeps apart is the scenario's to say.
    Break(Broken),
    /// What an edit broke.
    Mend(Broken),
    /// A node of the scenario that joins later is there from now on.
    Join {
        node: NodeId,
    },
    /// What an agent is to do, whose policy is `external`.
    Order {
        agent: AgentId,
        order: Order,
    },
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Edit::Availability { node, availability } => write!(f, "node {node}: available {availability}"),
            Edit::Latency { from, to, latency_ms } => write!(f, "link {from}-{to}: {latency_ms} ms"),
            Edit::Goal { agent, goal } => write!(f, "agent {agent}: goal {goal}"),
            Edit::Policy { agent, policy } => write!(f, "agent {agent}: policy {policy}"),
            Edit::Break(broken) => broken.fmt(f),
            Edit::Mend(broken) => write!(f, "{broken}: over"),
            Edit::Join { node } => write!(f, "node {node} joins"),
            Edit::Order { agent, order } => write!(f, "agent {agent}: order {} {}", order.id, order.action),
        }
    }
}

/// Why nothing was changed.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum EditError {
    #[error("there is no agent {0}")]
    UnknownAgent(AgentId),
    #[error("there is no node {0}")]
    UnknownNode(NodeId),
    #[error("{0} already, by hand")]
    BrokenAlready(Broken),
    #[error("{0}: not by hand; what the scenario breaks it mends itself")]
    NotBroken(Broken),
    #[error("a partition cannot be made by hand: whom it keeps apart is the scenario's to say")]
    Partition,
    #[error("a store cannot be slower by {0}: name a factor above 0")]
    Factor(f64),
    #[error("agent {0} does not run")]
    Stopped(AgentId),
    #[error("node {0} is there already")]
    JoinedAlready(NodeId),
    /// The shared table's answer.
    #[error("{0}")]
    Refused(String),
    /// It was changed, and showed a bug.
    #[error(transparent)]
    Violated(#[from] Violated),
}

impl World<'_> {
    pub fn edit(&mut self, edit: &Edit) -> Result<(), EditError> {
        let lives: Vec<u32> =
            self.agents.iter().map(|agent| agent.control_loop.as_ref().map_or(0, |_| agent.life())).collect();
        self.check_names(edit)?;
        match edit {
            Edit::Availability { node, availability } => {
                refused(ready(self.table.knowledge.set_availability(*node, Some(*availability))))?;
            }
            Edit::Latency { from, to, latency_ms } => {
                refused(ready(self.table.knowledge.set_latency(*from, *to, Some(*latency_ms))))?;
            }
            Edit::Goal { agent, goal } => self.ask_for(*agent, Override::Goal(Some(goal.to_string())))?,
            Edit::Policy { agent, policy } => self.ask_for(*agent, Override::Policy(Some(policy.clone())))?,
            Edit::Break(broken) => self.break_by_hand(*broken)?,
            Edit::Mend(broken) => self.mend_by_hand(*broken)?,
            Edit::Join { node } => self.join(*node),
            Edit::Order { agent, order } => self.order(*agent, order)?,
        }
        let ended = |(agent, life): (&super::agent::Agent, u32)| {
            life > 0 && (agent.control_loop.is_none() || agent.life() != life)
        };
        self.ended_by_hand += self.agents.iter().zip(lives).filter(|it| ended((it.0, it.1))).count();
        self.tell(|| Told::World(edit.to_string()));
        self.oracle_hears_of_change(|| edit.to_string());
        Ok(self.settle()?)
    }

    fn check_names(&self, edit: &Edit) -> Result<(), EditError> {
        let node = |node: &NodeId| match self.scenario.network.nodes.contains_key(node) {
            true => Ok(()),
            false => Err(EditError::UnknownNode(*node)),
        };
        match edit {
            Edit::Availability { node: one, .. } => node(one),
            Edit::Latency { from, to, .. } => node(from).and(node(to)),
            Edit::Goal { agent, .. } | Edit::Policy { agent, .. } | Edit::Order { agent, .. } => {
                self.position(*agent).map(|_| ())
            }
            Edit::Break(broken) | Edit::Mend(broken) => match broken {
                Broken::Node(one) | Broken::Store(one) => node(one),
                Broken::Slow(_, factor) if !(*factor > 0.0 && factor.is_finite()) => Err(EditError::Factor(*factor)),
                Broken::Slow(one, _) => node(one),
                Broken::Agent(agent) => self.position(*agent).map(|_| ()),
                Broken::Partition(_) => Err(EditError::Partition),
                Broken::Database => Ok(()),
            },
            Edit::Join { node: one } => {
                node(one)?;
                let there = ready(self.table.knowledge.nodes()).is_ok_and(|there| there.contains_key(one));
                if there { Err(EditError::JoinedAlready(*one)) } else { Ok(()) }
            }
        }
    }

    pub fn position(&self, agent: AgentId) -> Result<usize, EditError> {
        self.agents.iter().position(|slot| slot.id() == agent).ok_or(EditError::UnknownAgent(agent))
    }

    /// Of an agent that runs it is asked by the table, and it follows from its next job on; another one begins with it. The clairvoyant
    /// and the figures go by the scenario as it is `edited`.
    fn ask_for(&mut self, agent: AgentId, stated: Override) -> Result<(), EditError> {
        let position = self.position(agent)?;
        let edited = self.edited.get_or_insert_with(|| Box::new(self.scenario.clone()));
        let Some(settings) = edited.agents.get_mut(&agent) else { return Err(EditError::UnknownAgent(agent)) };
        let mut asked = Overrides::default();
        asked.set(stated.clone());
        let refuse = |invalid: Invalid| EditError::Refused(invalid.to_string());
        *settings = overridden(settings, &asked, &POLICIES).map_err(refuse)?;
        let slot = &mut self.agents[position];
        if slot.control_loop.is_some() {
            return refused(ready(self.table.knowledge.set_override(agent, &stated)));
        }
        slot.begin_with(&edited.network, settings, asked.policy.as_deref());
        self.policies_changed();
        Ok(())
    }

    fn order(&mut self, agent: AgentId, order: &Order) -> Result<(), EditError> {
        let position = self.position(agent)?;
        if self.agents[position].control_loop.is_none() {
            return Err(EditError::Stopped(agent));
        }
        self.step(position, Input::Planner(planner::Input::Ordered(order.clone())));
        Ok(())
    }

    fn break_by_hand(&mut self, broken: Broken) -> Result<(), EditError> {
        if self.broken_by_hand.contains(&broken) {
            return Err(EditError::BrokenAlready(broken));
        }
        self.broken_by_hand.push(broken);
        self.begin_damage(broken);
        Ok(())
    }

    fn mend_by_hand(&mut self, broken: Broken) -> Result<(), EditError> {
        let place = self.broken_by_hand.iter().position(|one| *one == broken).ok_or(EditError::NotBroken(broken))?;
        self.broken_by_hand.remove(place);
        self.end_damage(broken);
        Ok(())
    }
}

fn refused(answer: crate::knowledge::Result<()>) -> Result<(), EditError> {
    answer.map_err(|error| EditError::Refused(error.to_string()))
}
