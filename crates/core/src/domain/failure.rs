//! Why a job has no result. Only a failure of the store or link that was read says anything about a place: everything else
//! would fail at every node alike, and moves nothing.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What failed, as far as the error tells.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The node's store, or the link to it: it may go well elsewhere.
    Store,
    /// The user's program: not found, its exit code, its time limit, a result that is none.
    Program,
    /// The data, whole as it is: malformed, or no record that the job can use.
    Data,
    /// The object is not, or no longer, what the catalogue says: replaced, truncated, damaged or deleted.
    ChangedData,
    /// This agent's surroundings: credentials, the link emulator, the machine.
    Surroundings,
}

impl FailureKind {
    pub const ALL: [FailureKind; 5] = [
        FailureKind::Store,
        FailureKind::Program,
        FailureKind::Data,
        FailureKind::ChangedData,
        FailureKind::Surroundings,
    ];

    /// As written in the shared table.
    pub fn name(self) -> &'static str {
        match self {
            FailureKind::Store => "store",
            FailureKind::Program => "program",
            FailureKind::Data => "data",
            FailureKind::ChangedData => "changed_data",
            FailureKind::Surroundings => "surroundings",
        }
    }
}

/// For people: what is to be looked at.
impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            FailureKind::Store => "store or link",
            FailureKind::Program => "program",
            FailureKind::Data => "data",
            FailureKind::ChangedData => "changed data",
            FailureKind::Surroundings => "surroundings",
        })
    }
}

/// A job, or the transfer of an action, that has no result.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct JobFailure {
    pub kind: FailureKind,
    /// For people, in one line.
    pub why: String,
}

impl JobFailure {
    /// With what stopped it, for people.
    pub fn new(kind: FailureKind, why: impl Into<String>) -> Self {
        Self { kind, why: why.into() }
    }
}
