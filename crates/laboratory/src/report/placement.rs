//! Where the replicas were, and who read which, from the start of a run to its end.

use super::number::Unit;
use super::table::{Cell, Column, Table};
use agent_core::domain::action::Action;
use std::collections::{BTreeMap, BTreeSet};

/// The placement of one data set over time.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct History {
    pub lasts_s: f64,
    /// In the order of time; the first is what the run began with.
    pub changes: Vec<Change>,
    /// In the order in which they began.
    pub transfers: Vec<Transfer>,
}

/// Bytes on their way from one node to another.
#[derive(Clone, PartialEq, Debug)]
pub struct Transfer {
    pub agent: Option<u32>,
    /// A move or a copy.
    pub action: Action,
    pub began_s: f64,
    pub ended_s: f64,
    pub end: End,
}

/// What became of a transfer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    Arrived,
    BrokenOff,
    /// It goes on.
    NotYet,
}

/// What the placement became, and by whom.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Change {
    pub at_s: f64,
    /// `None`: nobody's action, as at the start.
    pub agent: Option<u32>,
    /// An action's label, or what else happened.
    pub action: String,
    /// Nodes that hold a replica from now on.
    pub replicas: BTreeSet<u32>,
    /// The node that each agent reads from now on.
    pub references: BTreeMap<u32, u32>,
}

impl History {
    /// Changes, and until when each of them holds.
    pub fn spans(&self) -> impl Iterator<Item = (&Change, f64)> {
        let ends = self.changes.iter().skip(1).map(|change| change.at_s).chain([self.lasts_s]);
        self.changes.iter().zip(ends)
    }

    /// Every node that ever held a replica or was read.
    pub fn nodes(&self) -> BTreeSet<u32> {
        let nodes = |change: &Change| -> Vec<u32> {
            change.replicas.iter().chain(change.references.values()).copied().collect()
        };
        self.changes.iter().flat_map(nodes).collect()
    }

    /// Every agent that ever read.
    pub fn agents(&self) -> BTreeSet<u32> {
        self.changes.iter().flat_map(|change| change.references.keys().copied()).collect()
    }

    /// When a node held a replica, from and until.
    pub fn held(&self, node: u32) -> Vec<(f64, f64)> {
        let mut held: Vec<(f64, f64)> = Vec::new();
        for (change, until) in self.spans().filter(|(change, _)| change.replicas.contains(&node)) {
            match held.last_mut().filter(|last| last.1 >= change.at_s) {
                Some(last) => last.1 = until,
                None => held.push((change.at_s, until)),
            }
        }
        held
    }
}

impl History {
    /// Change by change.
    pub fn table(&self, caption: String) -> Table {
        let list = |items: Vec<String>| Cell::text(items.join(" "));
        let rows = self.changes.iter().map(|change| {
            vec![
                Cell::Number(change.at_s),
                change.agent.map_or(Cell::Missing, |agent| Cell::Count(u64::from(agent))),
                Cell::text(&change.action),
                list(change.replicas.iter().map(u32::to_string).collect()),
                list(change.references.iter().map(|(agent, node)| format!("{agent}\u{2192}{node}")).collect()),
            ]
        });
        let columns = vec![
            Column::number("at", "At", Unit::Seconds),
            Column::count("agent", "Agent"),
            Column::text("action", "Action"),
            Column::prose("replicas", "Replicas on nodes"),
            Column::prose("references", "Agent \u{2192} node that it reads"),
        ];
        Table { name: "placements", caption, columns, rows: rows.collect() }
    }
}

impl Change {
    /// Who reads a node.
    pub fn readers(&self, node: u32) -> impl Iterator<Item = u32> + '_ {
        self.references.iter().filter(move |(_, read)| **read == node).map(|(agent, _)| *agent)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Three agents read node 3; agent 2 takes the data to node 1, agent 1 copies it back.
    pub fn history() -> History {
        let change = |at_s, agent, action: &str, replicas: &[u32], references: &[(u32, u32)]| Change {
            at_s,
            agent,
            action: action.to_owned(),
            replicas: replicas.iter().copied().collect(),
            references: references.iter().copied().collect(),
        };
        let transfer = |agent, action: &str, began_s, ended_s| Transfer {
            agent: Some(agent),
            action: action.parse().unwrap(),
            began_s,
            ended_s,
            end: End::Arrived,
        };
        History {
            lasts_s: 14_400.0,
            transfers: vec![transfer(2, "M3_1", 63.0, 63.0), transfer(1, "C1_3", 90.0, 120.0)],
            changes: vec![
                change(0.0, None, "", &[3], &[(1, 3), (2, 3), (3, 3)]),
                change(63.0, Some(2), "M3_1", &[1], &[(1, 1), (2, 1), (3, 1)]),
                change(120.0, Some(1), "C1_3", &[1, 3], &[(1, 3), (2, 1), (3, 1)]),
            ],
        }
    }

    #[test]
    fn what_a_node_held_is_joined() {
        let history = history();
        assert_eq!(history.held(1), [(63.0, 14_400.0)]);
        assert_eq!(history.held(3), [(0.0, 63.0), (120.0, 14_400.0)]);
        assert_eq!(history.held(2), []);
        assert_eq!(history.nodes(), BTreeSet::from([1, 3]));
        assert_eq!(
            history.table(String::new()).csv().lines().nth(2),
            Some("63,2,M3_1,1,1\u{2192}1 2\u{2192}1 3\u{2192}1")
        );
        assert_eq!(history.changes[2].readers(1).collect::<Vec<_>>(), [2, 3]);
    }
}
