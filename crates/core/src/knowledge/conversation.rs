//! Questions with their replies as rows of five tables (`asks`, `ask_nodes`, `replies`, `named_nodes`, `forecasts`), and put
//! together from them again.

use super::Conversation;
use crate::domain::ask::{Ask, Prospect, Reply};
use crate::domain::ids::{AgentId, AskId, NodeId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What stands in `forecasts.replicas` where a forecast holds however many there are: a key has no nulls.
const HOWEVER_MANY: i64 = -1;

/// What a reply's row has in `nodes`.
pub fn to_list(nodes: &BTreeSet<NodeId>) -> String {
    nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// The other way round; `Err`: it is no list of nodes.
pub fn from_list(nodes: &str) -> Result<BTreeSet<NodeId>, std::num::ParseIntError> {
    nodes.split_ascii_whitespace().map(str::parse).collect()
}

/// What a forecast's row has in `replicas`.
pub fn to_column(replicas: Option<u32>) -> i64 {
    replicas.map_or(HOWEVER_MANY, i64::from)
}

/// The other way round; `Err`: no forecast has that.
pub fn from_column(replicas: i64) -> Result<Option<u32>, std::num::TryFromIntError> {
    if replicas == HOWEVER_MANY { Ok(None) } else { u32::try_from(replicas).map(Some) }
}

/// Rows that make sense, in any order. What belongs to a question or reply that is not among them is nobody's.
#[derive(Default)]
pub struct Rows {
    /// Each without nodes and replies.
    pub asks: Vec<Ask>,
    pub ask_nodes: Vec<(AskId, NodeId)>,
    /// Each without names and forecasts.
    pub replies: Vec<(AskId, AgentId, Reply)>,
    pub named_nodes: Vec<(AskId, AgentId, NodeId)>,
    pub forecasts: Vec<(AskId, AgentId, Prospect, f64)>,
}

impl Rows {
    pub fn into_conversation(self) -> Conversation {
        let mut asks: BTreeMap<AskId, Ask> = self.asks.into_iter().map(|ask| (ask.id, ask)).collect();
        for (ask, node) in self.ask_nodes {
            if let Some(ask) = asks.get_mut(&ask) {
                ask.nodes.insert(node);
            }
        }
        let whose = |(ask, agent, reply)| ((ask, agent), reply);
        let mut replies: BTreeMap<(AskId, AgentId), Reply> = self.replies.into_iter().map(whose).collect();
        for (ask, agent, node) in self.named_nodes {
            if let Some(reply) = replies.get_mut(&(ask, agent)) {
                reply.named.insert(node);
            }
        }
        for (ask, agent, prospect, change) in self.forecasts {
            if let Some(reply) = replies.get_mut(&(ask, agent)) {
                reply.forecasts.insert(prospect, change);
            }
        }
        for ((ask, agent), reply) in replies {
            if let Some(ask) = asks.get_mut(&ask) {
                ask.replies.insert(agent, reply);
            }
        }
        asks.into_values().map(Arc::new).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    const ASKER: AgentId = AgentId(1);

    fn ask(id: i64) -> Ask {
        Ask {
            id: AskId(id),
            agent: ASKER,
            generation: 1,
            nodes: [].into(),
            action: None,
            afresh: false,
            level: 0.5,
            posted_at: Timestamp(0),
            closed: false,
            replies: BTreeMap::new(),
        }
    }

    fn content() -> Reply {
        Reply { level: 1.0, ..Reply::default() }
    }

    #[test]
    fn rows_find_together_in_any_order() {
        let peer = AgentId(2);
        let (first, second) = (AskId(1), AskId(2));
        let rows = Rows {
            asks: vec![ask(2), ask(1)],
            ask_nodes: vec![(second, NodeId(5)), (first, NodeId(1)), (second, NodeId(4))],
            replies: vec![(
                second,
                peer,
                Reply { level: 0.25, nodes: [NodeId(4)].into(), said: 2, ..Reply::default() },
            )],
            named_nodes: vec![(second, peer, NodeId(9))],
            forecasts: vec![(second, peer, (NodeId(4), None), 0.5), (second, peer, (NodeId(4), Some(2)), -1.0)],
        };
        let said = Reply {
            level: 0.25,
            nodes: [NodeId(4)].into(),
            said: 2,
            forecasts: [((NodeId(4), None), 0.5), ((NodeId(4), Some(2)), -1.0)].into(),
            named: [NodeId(9)].into(),
        };
        let expected = [
            Ask { nodes: [NodeId(1)].into(), ..ask(1) },
            Ask { nodes: [NodeId(4), NodeId(5)].into(), replies: [(peer, said)].into(), ..ask(2) },
        ];
        assert_eq!(rows.into_conversation(), expected.map(Arc::new));
    }

    #[test]
    fn what_belongs_to_nothing_is_nobodys() {
        let (asked, unasked, peer, stranger) = (AskId(1), AskId(7), AgentId(2), AgentId(8));
        let rows = Rows {
            asks: vec![ask(1)],
            ask_nodes: vec![(unasked, NodeId(1))],
            replies: vec![(asked, peer, content()), (unasked, peer, content())],
            named_nodes: vec![(asked, stranger, NodeId(1)), (unasked, peer, NodeId(1))],
            forecasts: vec![(asked, stranger, (NodeId(1), None), 1.0)],
        };
        let replies = [(peer, content())].into();
        assert_eq!(rows.into_conversation(), [Arc::new(Ask { replies, ..ask(1) })]);
    }

    #[test]
    fn a_number_of_replicas_is_read_as_it_is_written() {
        for replicas in [None, Some(0), Some(1), Some(u32::MAX)] {
            assert_eq!(from_column(to_column(replicas)), Ok(replicas));
        }
        assert!(from_column(-2).is_err() && from_column(i64::MAX).is_err());
    }

    #[test]
    fn a_list_of_nodes_is_read_as_it_is_written() {
        for nodes in [BTreeSet::new(), [NodeId(7)].into(), [NodeId(12), NodeId(1), NodeId(5)].into()] {
            assert_eq!(from_list(&to_list(&nodes)).as_ref(), Ok(&nodes));
        }
        assert_eq!(to_list(&[NodeId(12), NodeId(1), NodeId(5)].into()), "1 5 12");
        assert!(from_list("1 -5").is_err() && from_list("all").is_err());
    }
}
