//! Names of things. Newtypes, so that a node's number is never taken for an agent's.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::num::ParseIntError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

number!(
    /// A place with a store: 1, 2, 3, ... Node 12 has a name too: action labels separate ids with `_`.
    NodeId(u32)
);
number!(
    /// The process that looks after one application. Agent N lives on node N unless configured otherwise.
    AgentId(u32)
);
number!(
    /// One copy of a data set on one node; given by the shared table.
    ReplicaId(i64)
);
number!(
    /// One chosen action in the shared table.
    EventId(i64)
);
number!(
    /// One question of an agent to its peers in the shared table.
    AskId(i64)
);

impl AgentId {
    /// Who holds what people do by hand: no application has this number.
    pub const OPERATOR: AgentId = AgentId(0);

    /// The node that an agent lives on when its configuration names none.
    pub fn home(self) -> NodeId {
        NodeId(self.0)
    }
}

/// One start of an agent's process: no two are alike, so the table can tell a restarted agent, or a second process with the
/// same number, from the one that it knows.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Life(pub String);

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of a data set in the catalogue. Every measurement and every replica bears it, so a copy costs next to nothing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DataSetName(pub Arc<str>);

impl fmt::Display for DataSetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<&str> for DataSetName {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl From<String> for DataSetName {
    fn from(name: String) -> Self {
        Self(name.into())
    }
}

impl Serialize for DataSetName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for DataSetName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}
