//! What somebody outside of an agent orders it to do, and what became of that.

use serde::Serialize;
use std::fmt;

/// An action that an agent is to take, for somebody else has decided so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// Of all that this agent gets; a later one has a higher number.
    pub id: u64,
    /// The action's label, as it was written: whoever orders need not know what can be done.
    pub action: String,
}

/// An order, and how far it has come.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Adaptation {
    pub id: u64,
    pub action: String,
    pub status: Status,
    /// Why it is so, where that is not plain.
    pub reason: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It is begun as soon as it can be.
    Waiting,
    UnderWay,
    Done,
    /// It was begun, and came to nothing.
    Failed,
    /// It was not begun.
    Refused,
}

impl Status {
    pub const ALL: [Status; 5] = [Status::Waiting, Status::UnderWay, Status::Done, Status::Failed, Status::Refused];

    pub fn name(self) -> &'static str {
        match self {
            Status::Waiting => "waiting",
            Status::UnderWay => "under_way",
            Status::Done => "done",
            Status::Failed => "failed",
            Status::Refused => "refused",
        }
    }

    /// Nothing more becomes of it.
    pub fn is_over(self) -> bool {
        match self {
            Status::Waiting | Status::UnderWay => false,
            Status::Done | Status::Failed | Status::Refused => true,
        }
    }
}

impl Order {
    pub fn is(self, status: Status) -> Adaptation {
        Adaptation { id: self.id, action: self.action, status, reason: None }
    }

    pub fn refused(self, reason: impl Into<String>) -> Adaptation {
        Adaptation { reason: Some(reason.into()), ..self.is(Status::Refused) }
    }
}

impl fmt::Display for Adaptation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.id, self.action, self.status.name().replace('_', " "))?;
        self.reason.iter().try_for_each(|reason| write!(f, ", {reason}"))
    }
}
