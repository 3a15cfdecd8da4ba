//! What applications have written through the endpoint, as long as the version that readers are given does not have it: pure.
//!
//! Whoever has written reads it back at once. It is announced when nobody has written for a moment: a version is not made of half of
//! what belongs together, as far as anybody can tell.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

/// So long nobody has written before what was written is announced.
pub const QUIET: Duration = Duration::from_secs(1);
/// After an announcement that could not be made.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// An object as it was left at the origin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Left {
    /// `etag`: the store's, where it has any. `sha256`: lower-case hexadecimal.
    Object {
        bytes: u64,
        sha256: String,
        etag: Option<String>,
        at: SystemTime,
    },
    Deleted,
}

struct Write {
    /// Of all writes to this data set, in order.
    number: u64,
    left: Left,
    /// By this version of the data set; absent: not yet.
    announced: Option<u64>,
}

/// Of one data set.
#[derive(Default)]
pub struct Writes {
    number: u64,
    under_way: u32,
    /// When it may be announced.
    due: Option<Instant>,
    /// The latest of each key.
    objects: BTreeMap<String, Write>,
}

impl Writes {
    pub fn begin(&mut self) {
        self.under_way += 1;
    }

    /// A write that was begun has ended; `None`: it left everything as it was.
    pub fn end(&mut self, now: Instant, left: Option<(String, Left)>) {
        self.under_way = self.under_way.saturating_sub(1);
        if let Some((key, left)) = left {
            self.number += 1;
            self.objects.insert(key, Write { number: self.number, left, announced: None });
            self.due = Some(now + QUIET);
        }
    }

    /// What a reader of this version does not see otherwise.
    pub fn get(&self, key: &str, reads: u64) -> Option<&Left> {
        let write = self.objects.get(key)?;
        write.announced.is_none_or(|version| version > reads).then_some(&write.left)
    }

    /// Whether there is anything to be announced, now or later.
    pub fn is_awaited(&self) -> bool {
        self.due.is_some()
    }

    /// It is to be announced now: everything up to this write.
    pub fn due(&self, now: Instant) -> Option<u64> {
        let is_due = self.under_way == 0 && self.due.is_some_and(|due| due <= now);
        is_due.then_some(self.number)
    }

    /// Everything up to a write is in this version.
    pub fn announced(&mut self, number: u64, version: u64) {
        for write in self.objects.values_mut().filter(|write| write.number <= number) {
            write.announced.get_or_insert(version);
        }
        if self.number == number {
            self.due = None;
        }
    }

    pub fn put_off(&mut self, now: Instant) {
        self.due = Some(now + AGAIN_AFTER);
    }

    /// Readers are given this version from now on.
    pub fn read(&mut self, version: u64) {
        self.objects.retain(|_, write| write.announced.is_none_or(|announced| announced > version));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(bytes: u64) -> Left {
        Left::Object { bytes, sha256: "aa".to_owned(), etag: None, at: SystemTime::UNIX_EPOCH }
    }

    #[test]
    fn what_was_written_is_announced_when_nobody_writes_any_more() {
        let (mut writes, now) = (Writes::default(), Instant::now());
        writes.begin();
        writes.begin();
        writes.end(now, Some(("a".to_owned(), object(1))));
        assert!(writes.is_awaited());
        assert_eq!(writes.due(now + 2 * QUIET), None, "somebody writes");
        writes.end(now + QUIET, Some(("b".to_owned(), object(2))));
        assert_eq!((writes.due(now + QUIET), writes.due(now + 2 * QUIET)), (None, Some(2)));
        // What comes while that is announced is in the next version, or the one after.
        writes.begin();
        writes.end(now + 2 * QUIET, Some(("a".to_owned(), Left::Deleted)));
        writes.announced(2, 7);
        assert_eq!(writes.due(now + 3 * QUIET), Some(3));
        writes.put_off(now + 3 * QUIET);
        assert_eq!(writes.due(now + 3 * QUIET), None);
        writes.announced(3, 8);
        assert!(!writes.is_awaited());
    }

    #[test]
    fn who_has_written_reads_it_until_the_version_has_it() {
        let (mut writes, now) = (Writes::default(), Instant::now());
        writes.begin();
        writes.end(now, Some(("a".to_owned(), object(1))));
        assert_eq!((writes.get("a", 3), writes.get("b", 3)), (Some(&object(1)), None));
        writes.announced(1, 4);
        assert_eq!(
            (writes.get("a", 3), writes.get("a", 4)),
            (Some(&object(1)), None),
            "a replica is not refreshed yet"
        );
        writes.read(3);
        assert!(writes.get("a", 3).is_some());
        writes.read(4);
        assert_eq!(writes.get("a", 3), None);
        // One that failed left nothing.
        writes.begin();
        writes.end(now, None);
        assert!(!writes.is_awaited());
    }
}
