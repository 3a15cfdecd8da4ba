//! Experiments: loads that wait in the table, are run by whoever claims them, and end.

use crate::steering::Selection;
use agent_core::domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Given by the table, in the order in which they were queued.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExperimentId(pub i64);

impl fmt::Display for ExperimentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ExperimentId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.parse().ok().filter(|number| *number > 0);
        let wrong = || format!("`{}` is no experiment; write its number, like `7`", text.escape_debug());
        number.map(Self).ok_or_else(wrong)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Waits for whoever claims it.
    Queued,
    /// Somebody holds it.
    Running,
    Finished,
    Failed,
    Cancelled,
}

impl State {
    pub const ALL: [Self; 5] = [Self::Queued, Self::Running, Self::Finished, Self::Failed, Self::Cancelled];

    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// What an experiment in it does, for people.
    pub fn said(self) -> &'static str {
        match self {
            Self::Queued => "is queued",
            Self::Running => "runs",
            Self::Finished => "has finished",
            Self::Failed => "has failed",
            Self::Cancelled => "is cancelled",
        }
    }

    pub fn is_over(self) -> bool {
        match self {
            Self::Queued | Self::Running => false,
            Self::Finished | Self::Failed | Self::Cancelled => true,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for State {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|state| state.name() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            format!("`{}` is no state of an experiment; states are {known}", text.escape_debug())
        })
    }
}

/// Whoever runs an experiment: one start of a process, of which no two are called alike.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Holder(pub String);

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Until when it is counted on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Claim {
    pub holder: Holder,
    /// Unless it is heard of again before.
    pub until: Timestamp,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Experiment {
    pub id: ExperimentId,
    /// The same key is the same experiment.
    pub key: String,
    /// As its file says.
    pub name: String,
    /// Of its [`Files`] the one that says it.
    pub file: String,
    /// The load hosts that send it; `None`: whoever runs it does.
    #[serde(default)]
    pub on: Option<Selection>,
    pub state: State,
    pub queued_by: String,
    pub queued_at: Timestamp,
    /// Who holds it, or when it is over held it last.
    pub claim: Option<Claim>,
    /// Who wants it to end.
    pub cancelled_by: Option<String>,
    /// How often it was begun: more often than once, it was begun anew.
    pub begun: u32,
    /// How often whoever held it was not heard of any more.
    pub lost: u32,
    /// When it was begun last.
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// What it came to.
    pub summary: Option<Value>,
    /// Why it failed or was cancelled; before that, why it is begun anew.
    pub reason: Option<String>,
}

impl Experiment {
    /// Somebody holds it who is still counted on.
    pub fn is_held(&self, now: Timestamp) -> bool {
        self.state == State::Running && self.claim.as_ref().is_some_and(|claim| now < claim.until)
    }

    /// Whether it is this one's, though perhaps only because nobody else has claimed it since.
    pub fn is_of(&self, holder: &Holder) -> bool {
        self.claim.as_ref().is_some_and(|claim| claim.holder == *holder)
    }
}

/// The texts that an experiment is made of, by name: the file that says it, and the recordings that this names.
pub type Files = BTreeMap<String, String>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_read_by_their_names() {
        for state in State::ALL {
            assert_eq!(state.to_string().parse(), Ok(state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.name());
        }
        let wrong = "done".parse::<State>().unwrap_err();
        assert_eq!(
            wrong,
            "`done` is no state of an experiment; states are queued, running, finished, failed, cancelled"
        );
    }

    #[test]
    fn experiments_are_numbers_from_1() {
        assert_eq!("7".parse(), Ok(ExperimentId(7)));
        for wrong in ["0", "-1", "x", ""] {
            let said = wrong.parse::<ExperimentId>().unwrap_err();
            assert_eq!(said, format!("`{wrong}` is no experiment; write its number, like `7`"));
        }
    }
}
