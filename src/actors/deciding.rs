//! What deciding takes of an agent in this process, and what it says: for whoever watches it.

use agent_core::mape::planner::Message;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Decisions that nobody has asked about yet; of more, the latest.
const REMEMBERED: usize = 4096;

#[derive(Debug, Default)]
pub struct Deciding {
    took: Mutex<VecDeque<Duration>>,
    asked: AtomicU64,
    answered: AtomicU64,
}

impl Deciding {
    /// A planner has looked at the table, and decided or not.
    pub(super) fn took(&self, time: Duration) {
        let mut took = self.took.lock().unwrap_or_else(PoisonError::into_inner);
        if took.len() == REMEMBERED {
            took.pop_front();
        }
        took.push_back(time);
    }

    pub(super) fn said(&self, message: &Message) {
        match message {
            Message::Ask(_) => _ = self.asked.fetch_add(1, Ordering::Relaxed),
            Message::Reply { .. } => _ = self.answered.fetch_add(1, Ordering::Relaxed),
            Message::Close(_) => {}
        }
    }

    /// What each took on the wall since this was asked last.
    pub fn take(&self) -> Vec<Duration> {
        self.took.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }

    /// Questions and answers that were posted in this life.
    pub fn posted(&self) -> (u64, u64) {
        (self.asked.load(Ordering::Relaxed), self.answered.load(Ordering::Relaxed))
    }
}
