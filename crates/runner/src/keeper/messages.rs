//! What an agent and a keeper say to each other, in lines of JSON.

use crate::error::is_full;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;

/// A program, and what is done before it begins. Its environment is the keeper's own: no line holds a secret.
#[derive(Clone, Default, Serialize, Deserialize, PartialEq, Debug)]
pub struct Order {
    /// The program, a path or a name to be found on the `PATH`, and its arguments.
    pub command: Vec<String>,
    /// `None`: the keeper's.
    pub directory: Option<PathBuf>,
    /// The control group that it joins.
    pub cgroup: Option<PathBuf>,
    /// Empty: the keeper's.
    pub cores: Vec<u32>,
    pub address_space_bytes: Option<u64>,
}

/// What the agent says.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[serde(rename_all = "snake_case")]
pub(super) enum Asked {
    Start(Order),
    /// To the program itself.
    Signal(i32),
}

/// What the keeper says.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[serde(rename_all = "snake_case")]
pub(super) enum Told {
    Started(Started),
    NotStarted(Failure),
    /// The program has ended with this status, as the system encodes it.
    Ended(i32),
}

/// A program that was started, and what the kernel says of it.
#[derive(Clone, Serialize, Deserialize, PartialEq, Debug)]
pub struct Started {
    pub process: i32,
    /// `None`: it could not be read.
    pub cores: Option<Vec<u32>>,
    /// `None`: as much as there is.
    pub address_space_bytes: Option<u64>,
}

/// Why a program was not started.
#[derive(Clone, Serialize, Deserialize, PartialEq, Debug)]
pub struct Failure {
    pub reason: String,
    /// As the system numbers them.
    pub errno: Option<i32>,
    /// Whether the machine has no room for it: the program itself may be well.
    pub is_full: bool,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self { reason: error.to_string(), errno: error.raw_os_error(), is_full: is_full(&error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn a_full_machine_is_no_fault_of_the_program() {
        let failure = |errno: Errno| Failure::from(io::Error::from(errno));
        assert!(failure(Errno::AGAIN).is_full);
        assert!(!failure(Errno::NOENT).is_full);
    }
}
