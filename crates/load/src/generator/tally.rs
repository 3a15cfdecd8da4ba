//! What one client came to so far, for whoever watches it.

use super::figures::{Counted, Times, coarse};
use super::recording::{CoarseRecord, Ended};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Written by the client's thread, read by others.
#[derive(Default)]
pub struct Tally(Mutex<CoarseRecord>);

impl Tally {
    pub fn add(&self, ended: &Ended<'_>) {
        self.lock().add(ended);
    }

    /// Requests that are over, and their response times to one digit; `None`: there are none.
    pub fn figures(&self) -> (Counted, Option<Times>) {
        coarse(&self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, CoarseRecord> {
        // Counts that one panic left short are still counts.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
