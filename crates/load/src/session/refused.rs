//! Why a verb was not done.

use crate::generator::RunError;
use agent_core::config::{ConfigError, Invalid};
use agent_core::knowledge::KnowledgeError;

/// What is wrong, where, and what to do. Unless it says otherwise, nothing was changed, and the session goes on.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// What the verb is about is not there or not allowed.
    #[error("{}\n  help: {}", .0.problem, .0.help)]
    Verb(Invalid),
    /// Lines of a script are no verbs; nothing of it was done.
    #[error(transparent)]
    Script(ConfigError),
    /// A line of a script was refused; those before it were done, and those behind it were not.
    #[error("{file}: line {number}: {refused}")]
    Line {
        file: String,
        /// From 1.
        number: usize,
        refused: Box<Refused>,
    },
    /// Hosts that it was for are gone; what they did of it nobody knows.
    #[error(
        "{} of {} load hosts not heard of any more: {}; {}\n  help: `hosts` lists those that are there; what is missing is not made up for by the others",
        .gone.len(), .gone.len() + .did.len(), .gone.join(", "), others(.did)
    )]
    Gone { gone: Vec<String>, did: Vec<String> },
    /// The table does not do it, or is away.
    #[error(transparent)]
    Table(#[from] KnowledgeError),
    /// A thread is gone, and the session can do no more.
    #[error(transparent)]
    Lost(#[from] RunError),
}

fn others(did: &[String]) -> String {
    if did.is_empty() { "nobody did it".to_owned() } else { format!("done by {}", did.join(", ")) }
}

impl From<Invalid> for Refused {
    fn from(invalid: Invalid) -> Self {
        Self::Verb(invalid)
    }
}
