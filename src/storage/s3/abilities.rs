//! What a store turned out not to know or not to allow, and who has been told.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Each is believed until the store has refused it and done the same without.
#[derive(Debug)]
pub(super) struct Abilities {
    pub checksums: Ability,
    pub tags: Ability,
    pub conditional_deletions: Ability,
    pub listing_uploads: Ability,
    pub deleting_versions: Ability,
}

impl Default for Abilities {
    fn default() -> Self {
        Self {
            checksums: Ability::new("the store takes no checksums; what is written is only read back"),
            tags: Ability::new("the store takes no tags; objects arrive there without theirs"),
            conditional_deletions: Ability::new(
                "the store knows no conditional deletions; objects are looked at before",
            ),
            listing_uploads: Ability::new(
                "the store does not list unfinished uploads; those that this network's agents have noted are given up by \
                 their ids",
            ),
            deleting_versions: Ability::new(
                "the store does not delete versions, which `delete_versions` asks for; what is deleted stays as a noncurrent \
                 version",
            ),
        }
    }
}

/// Something that a store may or may not be able to do.
#[derive(Debug)]
pub(super) struct Ability {
    is_there: AtomicBool,
    without: &'static str,
}

impl Ability {
    fn new(without: &'static str) -> Self {
        Self { is_there: AtomicBool::new(true), without }
    }

    pub fn is_there(&self) -> bool {
        self.is_there.load(Ordering::Relaxed)
    }

    /// It is not there: said once for each store, however many clients it has.
    pub fn is_missing(&self, store: &str, why: &str) {
        self.is_there.store(false, Ordering::Relaxed);
        static TOLD: Mutex<BTreeSet<(String, &'static str)>> = Mutex::new(BTreeSet::new());
        // Of a set nothing is half done.
        let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
        if told.insert((store.to_owned(), self.without)) {
            tracing::warn!(store, why, "{}", self.without);
        }
    }
}
