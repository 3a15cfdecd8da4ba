//! How a task ended.

use std::fmt::{self, Display, Formatter};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ended {
    Exited(i32),
    /// By a signal that was not the kernel's for want of memory.
    Killed {
        signal: i32,
    },
    /// The kernel killed some of it at its limit of memory, and it did not succeed all the same. Said only where the kernel
    /// counts that: in a control group. Without one, a program that is refused memory fails in a way of its own.
    OutOfMemory,
    /// Nobody knows how it ended; nothing of it is left that could be found.
    Vanished {
        reason: String,
    },
}

impl Ended {
    pub fn is_success(&self) -> bool {
        *self == Self::Exited(0)
    }

    pub(crate) fn of(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exited(code),
            (None, Some(signal)) => Self::Killed { signal },
            (None, None) => Self::Vanished { reason: format!("its status is {status}") },
        }
    }

    /// With what the kernel has counted: who succeeded did without what was killed.
    pub(crate) fn judged(self, is_out_of_memory: bool) -> Self {
        if is_out_of_memory && !self.is_success() { Self::OutOfMemory } else { self }
    }
}

impl Display for Ended {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exit code {code}"),
            Self::Killed { signal } => write!(f, "killed by signal {signal}"),
            Self::OutOfMemory => f.write_str("out of memory"),
            Self::Vanished { reason } => write!(f, "vanished: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn want_of_memory_is_told_apart_from_failure_and_success() {
        assert_eq!(Ended::Killed { signal: 9 }.judged(true), Ended::OutOfMemory);
        assert_eq!(Ended::Exited(137).judged(true), Ended::OutOfMemory);
        assert_eq!(Ended::Exited(0).judged(true), Ended::Exited(0));
        assert_eq!(Ended::Killed { signal: 9 }.judged(false), Ended::Killed { signal: 9 });
    }
}
