//! Constraints that nothing can meet: each told as the smallest set of them that contradict each other.

use super::{Constraints, MustNot};
use crate::domain::ids::NodeId;
use crate::domain::labels::{Labels, Selector};
use std::collections::{BTreeMap, BTreeSet};

/// What of the constraints cannot be had together, by their keys.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Contradiction {
    #[error("must and must_not contradict each other: node {0} has to hold a replica, and its labels match `{1}`")]
    MustNotMust(NodeId, Selector),
    #[error("first_node and must_not contradict each other: the data begins on node {0}, whose labels match `{1}`")]
    BeginsWhereNot(NodeId, Selector),
    #[error("min_replicas and max_replicas contradict each other: {0} are more than {1}")]
    MoreThanMost(u32, u32),
    #[error("must and max_replicas contradict each other: {0} nodes have to hold a replica, and there may be {1}")]
    MustBeMore(usize, u32),
    #[error("must, never_delete_at and max_replicas contradict each other: {0} replicas stay, and there may be {1}")]
    StayMore(usize, u32),
    #[error("min_replicas cannot be met: {0} replicas need as many nodes, and there are {1}")]
    TooFewNodes(u32, usize),
    #[error(
        "min_replicas and must_not contradict each other: {may} of the {all} nodes may hold a replica, and there have to be {least}"
    )]
    TooFewAllowed { least: u32, may: usize, all: usize },
}

impl Contradiction {
    pub fn remedy(&self) -> &'static str {
        match self {
            Contradiction::MustNotMust(..) => "take the node out of `must`, or give it other `labels`",
            Contradiction::BeginsWhereNot(..) => "let it begin where it may lie, or give the node other `labels`",
            Contradiction::MoreThanMost(..) => "raise one, or lower the other",
            Contradiction::MustBeMore(..) | Contradiction::StayMore(..) => "raise `max_replicas`, or demand fewer",
            Contradiction::TooFewNodes(..) => "lower it, or add nodes",
            Contradiction::TooFewAllowed { .. } => "lower `min_replicas`, or add nodes with other `labels`",
        }
    }
}

/// All that are found among these nodes; `first`: where the data begins, where that is still to be.
pub fn contradictions(
    constraints: &Constraints,
    nodes: &BTreeMap<NodeId, &Labels>,
    first: Option<NodeId>,
) -> Vec<Contradiction> {
    let Constraints { must_not, must, never_delete_at, min_replicas, max_replicas, transfers: _, origin } = constraints;
    let barred = |node: &NodeId| {
        let MustNot { labels } = must_not.as_ref()?;
        nodes.get(node).filter(|known| labels.matches(known)).map(|_| labels.clone())
    };
    let mut found = Vec::new();
    found.extend(must.iter().filter_map(|node| Some(Contradiction::MustNotMust(*node, barred(node)?))));
    found.extend(first.and_then(|node| Some(Contradiction::BeginsWhereNot(node, barred(&node)?))));
    if let (Some(least), Some(most)) = (*min_replicas, *max_replicas)
        && least > most
    {
        found.push(Contradiction::MoreThanMost(least, most));
    }
    if let Some(most) = *max_replicas {
        // What is there at the start and never goes is as good as demanded.
        let begins_and_stays = first.filter(|node| never_delete_at.contains(node) || *origin == Some(*node));
        let stay = must.iter().copied().chain(begins_and_stays).collect::<BTreeSet<_>>().len();
        if must.len() > most as usize {
            found.push(Contradiction::MustBeMore(must.len(), most));
        } else if stay > most as usize {
            found.push(Contradiction::StayMore(stay, most));
        }
    }
    if let Some(least) = *min_replicas {
        let (may, all) = (nodes.keys().filter(|node| barred(node).is_none()).count(), nodes.len());
        if least as usize > all {
            found.push(Contradiction::TooFewNodes(least, all));
        } else if least as usize > may {
            found.push(Contradiction::TooFewAllowed { least, may, all });
        }
    }
    found
}
