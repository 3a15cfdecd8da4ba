//! What agents say to each other before one of them acts: a question about nodes, and everybody's forecasts.
//!
//! Nobody reveals goals or measurements. A forecast says how the level of the agent that answers (its share of satisfied jobs,
//! 0 to 1) would change if it read at a node while there were so many replicas.

use super::action::Action;
use super::ids::{AgentId, AskId, DataSetName, NodeId};
use super::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Reading at a node while there are so many replicas, or more of which nothing else is said; `None`: however many.
pub type Prospect = (NodeId, Option<u32>);

/// What an agent asks, as it is posted.
#[derive(Clone, PartialEq, Debug)]
pub struct Question {
    /// Idempotency key (I-6).
    pub key: String,
    pub agent: AgentId,
    pub data_set: DataSetName,
    /// Of the planned placement that the question is about: answers to another one are worth nothing.
    pub generation: i64,
    /// At most [`NODES_MAX`].
    pub nodes: BTreeSet<NodeId>,
    /// What is proposed, where the question is whether to agree to one action.
    pub action: Option<Action>,
    /// Also what was said before is to be said again: the agent has missed some of it.
    pub afresh: bool,
    /// How content the agent is now, 0 to 1.
    pub level: f64,
}

/// A posted question with what was answered so far.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Ask {
    pub id: AskId,
    pub agent: AgentId,
    pub generation: i64,
    pub nodes: BTreeSet<NodeId>,
    pub action: Option<Action>,
    pub afresh: bool,
    pub level: f64,
    pub posted_at: Timestamp,
    /// It collects answers no more.
    pub closed: bool,
    pub replies: BTreeMap<AgentId, Reply>,
}

/// What one agent answers. It may say more later, when others have named nodes.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Reply {
    /// How content it is now, 0 to 1.
    pub level: f64,
    /// All nodes that it has spoken about so far: what is not forecast for them changes nothing.
    pub nodes: BTreeSet<NodeId>,
    /// Changes of its level, -1 to 1; only those that it has not said before, from where it reads now.
    #[serde(with = "forecasts")]
    pub forecasts: BTreeMap<Prospect, f64>,
    /// How many changes it has said from there, these included: who knows fewer has missed some.
    pub said: u32,
    /// Nodes that would suit it, and that nobody had asked about.
    pub named: BTreeSet<NodeId>,
}

/// An ask is about at most so many nodes, named ones included (I-7).
pub const NODES_MAX: usize = 12;

impl Ask {
    /// The nodes asked about and those that were named since, by the lower id where there are too many.
    pub fn all_nodes(&self) -> BTreeSet<NodeId> {
        let named: BTreeSet<NodeId> = self.replies.values().flat_map(|reply| &reply.named).copied().collect();
        let free = NODES_MAX.saturating_sub(self.nodes.len());
        self.nodes.iter().copied().chain(named.difference(&self.nodes).copied().take(free)).collect()
    }

    /// Whether an agent has nothing left to answer.
    pub fn is_answered_by(&self, agent: AgentId) -> bool {
        self.replies.get(&agent).is_some_and(|reply| self.all_nodes().is_subset(&reply.nodes))
    }
}

impl Reply {
    /// With what the same agent says later.
    pub fn join(&mut self, more: &Reply) {
        self.level = more.level;
        self.said = more.said;
        self.nodes.clone_from(&more.nodes);
        self.forecasts.extend(&more.forecasts);
        self.named.extend(&more.named);
    }

    /// The rows that it takes in a table.
    pub fn rows(&self) -> u64 {
        1 + self.forecasts.len() as u64 + self.named.len() as u64
    }
}

impl Question {
    /// The rows that it takes in a table.
    pub fn rows(&self) -> u64 {
        1 + self.nodes.len() as u64
    }
}

/// As a list, for JSON's keys are texts.
mod forecasts {
    use super::{BTreeMap, NodeId, Prospect};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(forecasts: &BTreeMap<Prospect, f64>, serializer: S) -> Result<S::Ok, S::Error> {
        let rows: Vec<_> = forecasts.iter().map(|((node, replicas), change)| (node, replicas, change)).collect();
        rows.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<Prospect, f64>, D::Error> {
        let rows: Vec<(NodeId, Option<u32>, f64)> = Vec::deserialize(deserializer)?;
        Ok(rows.into_iter().map(|(node, replicas, change)| ((node, replicas), change)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(ids: impl IntoIterator<Item = u32>) -> BTreeSet<NodeId> {
        ids.into_iter().map(NodeId).collect()
    }

    fn ask(about: BTreeSet<NodeId>) -> Ask {
        Ask {
            id: AskId(1),
            agent: AgentId(1),
            generation: 1,
            nodes: about,
            action: None,
            afresh: false,
            level: 0.5,
            posted_at: Timestamp(0),
            closed: false,
            replies: BTreeMap::new(),
        }
    }

    #[test]
    fn who_named_nodes_makes_others_answer_again() {
        let mut ask = ask(nodes([1]));
        ask.replies.insert(AgentId(2), Reply { nodes: nodes([1]), ..Reply::default() });
        assert!(ask.is_answered_by(AgentId(2)) && !ask.is_answered_by(AgentId(3)));
        ask.replies.insert(AgentId(3), Reply { nodes: nodes([1, 5]), named: nodes([5]), ..Reply::default() });
        assert_eq!(ask.all_nodes(), nodes([1, 5]));
        assert!(!ask.is_answered_by(AgentId(2)) && ask.is_answered_by(AgentId(3)));
    }

    #[test]
    fn an_ask_is_about_so_many_nodes_at_most() {
        let mut ask = ask(nodes(21..=30));
        ask.replies.insert(AgentId(2), Reply { named: nodes(1..=9), ..Reply::default() });
        assert_eq!(ask.all_nodes(), nodes((1..=2).chain(21..=30)));
    }

    #[test]
    fn a_reply_is_read_as_it_is_written() {
        let forecasts = [((NodeId(1), None), 0.5), ((NodeId(2), Some(3)), -0.25)].into();
        let reply = Reply { level: 0.75, nodes: nodes([1, 2]), forecasts, said: 5, named: nodes([2]) };
        let written = serde_json::to_string(&reply).unwrap();
        assert_eq!(serde_json::from_str::<Reply>(&written).unwrap(), reply);
    }
}
