//! What a run came to so far, for whoever watches it.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counted while requests run, by all threads. Each number is right; together they may be some requests apart.
#[derive(Debug, Default)]
pub struct Progress {
    intended: AtomicU64,
    ended: AtomicU64,
    errors: AtomicU64,
    dropped: AtomicU64,
    late: AtomicU64,
}

impl Progress {
    /// Requests whose time came.
    pub fn intended(&self) -> u64 {
        self.intended.load(Ordering::Relaxed)
    }

    /// Of those, the ones that are over, in whatever way.
    pub fn ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }

    /// Of those, the ones that had no answer below 400; the dropped ones too.
    pub fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub fn late(&self) -> u64 {
        self.late.load(Ordering::Relaxed)
    }

    pub(super) fn begins(&self) {
        self.intended.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn ends(&self, ended: &super::recording::Ended<'_>) {
        let kind = ended.outcome.kind();
        self.ended.fetch_add(1, Ordering::Relaxed);
        for (counter, counts) in [
            (&self.errors, kind.is_error()),
            (&self.dropped, kind == super::outcome::Kind::Dropped),
            (&self.late, ended.is_late),
        ] {
            if counts {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
