//! What an agent can do, and its label in the shared table: `M1_2`, `C1_2`, `CR2`, `E2`, `R1_2`, `T1_2`, `NA`.

use super::ids::{AgentId, DataSetName, NodeId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};

/// A change of the placement of one data set, or of where an application that reads it runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Action {
    /// Do nothing. Recorded too, so that a run can be counted again.
    Nothing,
    /// Re-home the replica: everybody who references it reads it at `to` afterwards.
    Move { from: NodeId, to: NodeId },
    /// Make a new replica; only the acting agent changes its reference to it.
    Copy { from: NodeId, to: NodeId },
    /// Read another replica that exists already.
    ChangeReference { to: NodeId },
    /// Drop the replica on `node`; its readers are given another one.
    Evict { node: NodeId },
    /// Make the replica on `to`, which is damaged, anew from the one on `from`. No policy chooses it: it only mends.
    Restore { from: NodeId, to: NodeId },
    /// Run the agent's jobs on `to` from now on. The data stays, and so does the replica that they read.
    MoveWork { agent: AgentId, to: NodeId },
}

/// The kinds of action: what costs are stated for and what `events.action_type` holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionType {
    Nothing,
    Move,
    Copy,
    ChangeReference,
    Evict,
    Restore,
    MoveWork,
}

impl ActionType {
    pub const ALL: [ActionType; 7] = [
        ActionType::Nothing,
        ActionType::Move,
        ActionType::Copy,
        ActionType::ChangeReference,
        ActionType::Evict,
        ActionType::Restore,
        ActionType::MoveWork,
    ];

    pub fn name(self) -> &'static str {
        match self {
            ActionType::Nothing => "nothing",
            ActionType::Move => "move",
            ActionType::Copy => "copy",
            ActionType::ChangeReference => "change_reference",
            ActionType::Evict => "evict",
            ActionType::Restore => "restore",
            ActionType::MoveWork => "move_work",
        }
    }
}

impl fmt::Display for ActionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Action {
    pub fn kind(self) -> ActionType {
        match self {
            Action::Nothing => ActionType::Nothing,
            Action::Move { .. } => ActionType::Move,
            Action::Copy { .. } => ActionType::Copy,
            Action::ChangeReference { .. } => ActionType::ChangeReference,
            Action::Evict { .. } => ActionType::Evict,
            Action::Restore { .. } => ActionType::Restore,
            Action::MoveWork { .. } => ActionType::MoveWork,
        }
    }

    /// Whether bytes travel.
    pub fn transfers(self) -> bool {
        matches!(self, Action::Move { .. } | Action::Copy { .. } | Action::Restore { .. })
    }

    /// The node that the data comes from, or that loses its replica.
    pub fn from_node(self) -> Option<NodeId> {
        match self {
            Action::Move { from, .. } | Action::Copy { from, .. } | Action::Restore { from, .. } => Some(from),
            Action::Evict { node } => Some(node),
            Action::Nothing | Action::ChangeReference { .. } | Action::MoveWork { .. } => None,
        }
    }

    /// The node where its agent's jobs run afterwards, if the action changes that.
    pub fn work_node(self) -> Option<NodeId> {
        match self {
            Action::MoveWork { to, .. } => Some(to),
            Action::Nothing
            | Action::Move { .. }
            | Action::Copy { .. }
            | Action::ChangeReference { .. }
            | Action::Evict { .. }
            | Action::Restore { .. } => None,
        }
    }

    /// The node where the acting agent reads afterwards, if the action changes that; or whose replica is mended.
    pub fn to_node(self) -> Option<NodeId> {
        match self {
            Action::Move { to, .. }
            | Action::Copy { to, .. }
            | Action::ChangeReference { to }
            | Action::Restore { to, .. } => Some(to),
            Action::Nothing | Action::Evict { .. } | Action::MoveWork { .. } => None,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&match self {
            Action::Nothing => "NA".to_owned(),
            Action::Move { from, to } => format!("M{from}_{to}"),
            Action::Copy { from, to } => format!("C{from}_{to}"),
            Action::ChangeReference { to } => format!("CR{to}"),
            Action::Evict { node } => format!("E{node}"),
            Action::Restore { from, to } => format!("R{from}_{to}"),
            Action::MoveWork { agent, to } => format!("T{agent}_{to}"),
        })
    }
}

/// The text is not an action's label.
/// An action, and on which data set where there are several: `blood_tests:M1_2`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Labelled {
    pub data_set: Option<DataSetName>,
    pub action: Action,
}

impl fmt::Display for Labelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.data_set {
            Some(data_set) => f.pad(&format!("{data_set}:{}", self.action)),
            None => self.action.fmt(f),
        }
    }
}

impl FromStr for Labelled {
    type Err = UnknownAction;

    fn from_str(label: &str) -> Result<Self, Self::Err> {
        match label.rsplit_once(':') {
            Some((data_set, action)) => Ok(Self { data_set: Some(data_set.into()), action: action.parse()? }),
            None => Ok(Self { data_set: None, action: label.parse()? }),
        }
    }
}

impl Serialize for Labelled {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{0}` is not an action; actions are written M1_2, C1_2, CR2, E2, R1_2, T1_2 and NA")]
pub struct UnknownAction(pub String);

impl FromStr for Action {
    type Err = UnknownAction;

    fn from_str(label: &str) -> Result<Self, Self::Err> {
        let unknown = || UnknownAction(label.chars().take(40).collect());
        let node = |text: &str| match text.bytes().all(|b| b.is_ascii_digit()) {
            true => text.parse::<NodeId>().map_err(|_| unknown()),
            false => Err(unknown()),
        };
        let pair = |text: &str| {
            let (from, to) = text.split_once('_').ok_or_else(unknown)?;
            Ok((node(from)?, node(to)?))
        };
        if label == "NA" {
            Ok(Action::Nothing)
        } else if let Some(to) = label.strip_prefix("CR") {
            Ok(Action::ChangeReference { to: node(to)? })
        } else if let Some(nodes) = label.strip_prefix('C') {
            pair(nodes).map(|(from, to)| Action::Copy { from, to })
        } else if let Some(nodes) = label.strip_prefix('M') {
            pair(nodes).map(|(from, to)| Action::Move { from, to })
        } else if let Some(dropped) = label.strip_prefix('E') {
            Ok(Action::Evict { node: node(dropped)? })
        } else if let Some(nodes) = label.strip_prefix('R') {
            pair(nodes).map(|(from, to)| Action::Restore { from, to })
        } else if let Some(whose_and_where) = label.strip_prefix('T') {
            pair(whose_and_where).map(|(agent, to)| Action::MoveWork { agent: AgentId(agent.0), to })
        } else {
            Err(unknown())
        }
    }
}

impl Serialize for Action {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_as_they_are_written() {
        for label in ["NA", "M1_2", "C12_3", "CR2", "E10", "R3_1", "T1_2"] {
            assert_eq!(label.parse::<Action>().unwrap().to_string(), label);
        }
    }

    #[test]
    fn other_text_is_no_action() {
        for text in ["", "M1", "M1_", "M_2", "CR", "E-1", "E+1", "X1_2", "M1_2_3", "T1", "T_2", "M99999999999_1", "na"]
        {
            assert_eq!(text.parse::<Action>(), Err(UnknownAction(text.to_owned())));
        }
    }
}
