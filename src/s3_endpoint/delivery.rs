//! How one answer is brought to its end while replicas come and go: where its next bytes are read from, when the table is looked
//! at again, and when it is given up. A machine without I/O: whoever drives it reads, looks and waits.
//!
//! An answer is of one version from its first byte to its last. What is left of it may come from any replica of that version,
//! once it is certain that the object there is still of that version; what cannot be told to be so is read only for answers of
//! which no byte was sent.

use agent_core::domain::ids::{NodeId, ReplicaId};
use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

/// How long is waited before each look at the table, one after the other; behind the last one an answer is given up (I-7). All
/// together about as long as a process takes to be started again, and less than clients wait for an answer.
pub const PAUSES_MS: [u64; 8] = [0, 50, 100, 200, 400, 800, 1600, 3200];

/// A replica, as the table has it: one that was moved or refreshed is another one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Source {
    pub replica: ReplicaId,
    pub node: NodeId,
    /// What the table names it by.
    pub object_key: String,
    /// The version that it holds, by its SHA-256.
    pub version: String,
    /// Its object, or its manifest, as it was last seen to be right; absent where the store has no ETags.
    pub etag: Option<String>,
}

/// What a failure says about trying again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The store or the link is away: it may be back after the next look.
    Passing,
    /// What was to be read is not there, or something else is: whatever is read there is not of the version.
    Lasting,
}

/// What is to be done next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    Read {
        from: Source,
        range: Range<u64>,
    },
    Look {
        after: Duration,
    },
    /// All bytes were sent.
    Done,
    GiveUp(GivenUp),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GivenUp {
    /// The reference holds another version by now, and nothing holds this one.
    Superseded,
    /// As often as it was tried, nothing could be read.
    Unreadable,
}

/// One answer.
#[derive(Debug)]
pub struct Delivery {
    left: Range<u64>,
    /// Whether bytes were sent.
    has_begun: bool,
    /// The best one first.
    sources: Vec<Source>,
    /// Of these, those that failed since the last look; and those that are of no use any more.
    passed_over: BTreeSet<Source>,
    useless: BTreeSet<Source>,
    /// Whether readers are still to be given this version.
    is_current: bool,
    looks: usize,
}

impl Delivery {
    /// Of this range of an object, from any of these, the best one first.
    pub fn new(range: Range<u64>, sources: Vec<Source>) -> Self {
        Self {
            left: range,
            has_begun: false,
            sources,
            passed_over: BTreeSet::new(),
            useless: BTreeSet::new(),
            is_current: true,
            looks: 0,
        }
    }

    pub fn next(&self) -> Step {
        if self.left.is_empty() {
            return Step::Done;
        }
        if let Some(from) = self.sources.iter().find(|source| self.may_serve(source)) {
            return Step::Read { from: from.clone(), range: self.left.clone() };
        }
        let is_held = || self.sources.iter().any(|source| !self.useless.contains(source));
        if !self.is_current && !is_held() {
            return Step::GiveUp(GivenUp::Superseded);
        }
        match PAUSES_MS.get(self.looks) {
            Some(pause) => Step::Look { after: Duration::from_millis(*pause) },
            None => Step::GiveUp(GivenUp::Unreadable),
        }
    }

    fn may_serve(&self, source: &Source) -> bool {
        // Where nobody can tell whether the object was replaced, another one's bytes are not continued.
        let is_certain = source.etag.is_some() || !self.has_begun;
        is_certain && !self.passed_over.contains(source) && !self.useless.contains(source)
    }

    /// So many bytes more were sent.
    pub fn sent(&mut self, bytes: u64) {
        self.has_begun |= bytes > 0;
        self.left.start = self.left.start.saturating_add(bytes).min(self.left.end);
    }

    /// What was to be read there was not, or not to its end.
    pub fn failed(&mut self, from: &Source, how: Failure) {
        match how {
            Failure::Passing => self.passed_over.insert(from.clone()),
            Failure::Lasting => self.useless.insert(from.clone()),
        };
    }

    /// The table was looked at: these may hold the content now. `is_current`: it is the one that readers are to be given.
    pub fn looked(&mut self, sources: Vec<Source>, is_current: bool) {
        self.looks += 1;
        self.passed_over.clear();
        self.sources = sources;
        self.is_current = is_current;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn source(id: i64) -> Source {
        Source {
            replica: ReplicaId(id),
            node: NodeId(1),
            object_key: format!("key-{id}"),
            version: "ab".repeat(32),
            etag: Some("a".to_owned()),
        }
    }

    fn read(id: i64, range: Range<u64>) -> Step {
        Step::Read { from: source(id), range }
    }

    #[test]
    fn what_is_left_comes_from_the_next_replica() {
        let mut delivery = Delivery::new(10..100, vec![source(1), source(2)]);
        assert_eq!(delivery.next(), read(1, 10..100));
        delivery.sent(50);
        delivery.failed(&source(1), Failure::Passing);
        assert_eq!(delivery.next(), read(2, 60..100));
        delivery.sent(40);
        assert_eq!(delivery.next(), Step::Done);
    }

    #[test]
    fn an_empty_object_is_read_from_nowhere() {
        assert_eq!(Delivery::new(0..0, Vec::new()).next(), Step::Done);
    }

    #[test]
    fn one_that_is_away_is_tried_again_after_a_look_and_one_that_is_gone_is_not() {
        let mut delivery = Delivery::new(0..10, vec![source(1), source(2)]);
        delivery.failed(&source(1), Failure::Passing);
        delivery.failed(&source(2), Failure::Lasting);
        assert_eq!(delivery.next(), Step::Look { after: Duration::ZERO });
        delivery.looked(vec![source(1), source(2)], true);
        assert_eq!(delivery.next(), read(1, 0..10));
        delivery.failed(&source(1), Failure::Passing);
        assert_eq!(delivery.next(), Step::Look { after: Duration::from_millis(50) });
        // It has moved: what lies there now was not tried.
        let moved = Source { object_key: "elsewhere".to_owned(), ..source(2) };
        delivery.looked(vec![source(1), moved.clone()], true);
        delivery.failed(&source(1), Failure::Passing);
        assert_eq!(delivery.next(), Step::Read { from: moved, range: 0..10 });
    }

    #[test]
    fn an_answer_that_has_begun_goes_on_only_where_the_content_is_certain() {
        let unknown = Source { etag: None, ..source(2) };
        let mut delivery = Delivery::new(0..10, vec![source(1), unknown.clone()]);
        delivery.failed(&source(1), Failure::Passing);
        assert_eq!(delivery.next(), Step::Read { from: unknown, range: 0..10 });
        delivery.sent(1);
        assert_eq!(delivery.next(), Step::Look { after: Duration::ZERO });
    }

    #[test]
    fn a_version_that_nothing_holds_any_more_is_given_up_at_once() {
        let mut delivery = Delivery::new(0..10, vec![source(1)]);
        delivery.sent(5);
        delivery.failed(&source(1), Failure::Lasting);
        delivery.looked(Vec::new(), false);
        assert_eq!(delivery.next(), Step::GiveUp(GivenUp::Superseded));
        // As long as a store that is away holds it, it may come back.
        let mut delivery = Delivery::new(0..10, vec![source(1)]);
        delivery.looked(vec![source(1)], false);
        delivery.failed(&source(1), Failure::Passing);
        assert_eq!(delivery.next(), Step::Look { after: Duration::from_millis(50) });
    }

    #[test]
    fn patience_has_an_end() {
        let mut delivery = Delivery::new(0..10, vec![source(1)]);
        let mut waited = Duration::ZERO;
        loop {
            match delivery.next() {
                Step::Read { from, .. } => delivery.failed(&from, Failure::Passing),
                Step::Look { after } => {
                    waited += after;
                    delivery.looked(vec![source(1)], true);
                }
                Step::GiveUp(why) => {
                    assert_eq!(why, GivenUp::Unreadable);
                    break;
                }
                Step::Done => panic!("nothing was sent"),
            }
        }
        assert_eq!(waited, Duration::from_millis(PAUSES_MS.iter().sum()));
    }

    proptest! {
        /// Whatever fails whenever: every byte once and in order, or the end is no success.
        #[test]
        fn no_byte_is_left_out_or_sent_twice(
            bytes in 0_u64..50,
            events in prop::collection::vec((0_u64..20, any::<bool>(), 0_i64..4, any::<bool>()), 0..60),
        ) {
            let mut delivery = Delivery::new(0..bytes, vec![source(0)]);
            let (mut sent, mut events) = (Vec::new(), events.into_iter());
            loop {
                // When nothing happens any more, everything that is asked for comes.
                let (some, lasts, other, is_current) = events.next().unwrap_or((u64::MAX, false, 0, true));
                match delivery.next() {
                    Step::Read { from, range } => {
                        let come = (range.end - range.start).min(some);
                        sent.extend(range.start..range.start + come);
                        delivery.sent(come);
                        let how = if lasts { Failure::Lasting } else { Failure::Passing };
                        if range.start + come < range.end {
                            delivery.failed(&from, how);
                        }
                    }
                    Step::Look { .. } => delivery.looked((0..other).map(source).collect(), is_current),
                    Step::Done => {
                        prop_assert_eq!(&sent, &(0..bytes).collect::<Vec<_>>());
                        break;
                    }
                    Step::GiveUp(_) => {
                        prop_assert!(sent.len() < bytes as usize);
                        break;
                    }
                }
            }
        }
    }
}
