//! Cutting an object's bytes into batches that can be parsed at the same time.
//!
//! Where a record begins is known for certain only after everything before it was parsed. So a cut is a guess: before what
//! looks like the beginning of a record, as the document's first one looks. Whoever merges the batches holds each guess
//! against where the batch before really ended, and parses again what was guessed wrong. A guess is therefore allowed to be
//! cheap (nothing here looks at more than a few bytes of a batch), and costs time, never correctness, when it is wrong.
//!
//! Cuts depend on the document alone, not on how its bytes arrived.

use super::parse::Place;
use bytes::Bytes;

/// Cuts are looked for between these lengths. Small enough to stay in a core's cache.
const SHORTEST: usize = 192 * 1024;
const LONGEST: usize = 256 * 1024;

/// Consecutive bytes of an object.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
    /// Of the first byte, in the object.
    pub(super) offset: u64,
    /// Where in the document this batch begins, if the guess is right.
    pub(super) begins: Place,
    /// Whether the object ends with this batch.
    pub(super) is_last: bool,
    /// Whether the records' array is within an object, and more of that may stand behind it.
    pub(super) is_enclosed: bool,
}

/// Collects pieces of any length and gives batches of similar lengths.
pub(super) struct Cutter {
    collected: Vec<u8>,
    offset: u64,
    begins: Place,
    boundary: Option<Boundary>,
    is_enclosed: bool,
}

/// What stands between the records of a document.
enum Boundary {
    /// Newline-delimited records.
    Newline,
    /// An array of objects that begin with these bytes: from the brace to the end of the first member's name. Names of
    /// members keep nested objects from being taken for records.
    Opening(Vec<u8>),
    /// An array of something else.
    Unknown,
}

impl Cutter {
    /// `offset`: where in the object the first byte is. `is_enclosed`: whether it begins an array within an object.
    pub(super) fn new(offset: u64, is_enclosed: bool) -> Self {
        let collected = Vec::with_capacity(LONGEST);
        Self { collected, offset, begins: Place::Start, boundary: None, is_enclosed }
    }

    /// Takes as many bytes from the front of `piece` as fit; a batch when that filled one. Call again until `piece` is
    /// empty.
    pub(super) fn push(&mut self, piece: &mut Bytes) -> Option<Batch> {
        let fitting = piece.split_to(piece.len().min(LONGEST - self.collected.len()));
        self.collected.extend_from_slice(&fitting);
        (self.collected.len() == LONGEST).then(|| self.cut())
    }

    /// The last batch: what is left.
    pub(super) fn finish(self) -> Batch {
        let Self { collected: bytes, offset, begins, is_enclosed, .. } = self;
        Batch { bytes, offset, begins, is_last: true, is_enclosed }
    }

    fn cut(&mut self) -> Batch {
        let boundary = self.boundary.get_or_insert_with(|| Boundary::learn(&self.collected));
        let window = &self.collected[SHORTEST..];
        // Without a guess the cut falls anywhere, and the place is most likely wrong.
        let (length, place) = match boundary {
            Boundary::Newline => (window.iter().rposition(|byte| *byte == b'\n').map(|at| at + 1), Place::Line),
            Boundary::Opening(opening) => {
                (window.windows(opening.len()).rposition(|bytes| bytes == opening), Place::Element)
            }
            Boundary::Unknown => (None, Place::Element),
        };
        let length = length.map_or(LONGEST, |length| SHORTEST + length);
        let mut rest = Vec::with_capacity(LONGEST);
        rest.extend_from_slice(&self.collected[length..]);
        self.collected.truncate(length);
        let batch = Batch {
            bytes: std::mem::replace(&mut self.collected, rest),
            offset: self.offset,
            begins: std::mem::replace(&mut self.begins, place),
            is_last: false,
            is_enclosed: self.is_enclosed,
        };
        self.offset += length as u64;
        batch
    }
}

impl Boundary {
    /// From a document's first bytes.
    fn learn(document: &[u8]) -> Self {
        let document = document.trim_ascii_start();
        let Some(elements) = document.strip_prefix(b"[") else { return Self::Newline };
        let record = elements.trim_ascii_start();
        let mut quotes = record.iter().enumerate().filter(|(_, byte)| **byte == b'"').map(|(at, _)| at);
        match (record.first(), quotes.next(), quotes.next()) {
            (Some(b'{'), Some(_), Some(closing)) => Self::Opening(record[..=closing].to_owned()),
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut_all(document: &[u8], piece_bytes: usize) -> Vec<Batch> {
        let mut cutter = Cutter::new(0, false);
        let mut batches = Vec::new();
        for piece in document.chunks(piece_bytes) {
            let mut piece = Bytes::copy_from_slice(piece);
            while !piece.is_empty() {
                batches.extend(cutter.push(&mut piece));
            }
        }
        batches.push(cutter.finish());
        batches
    }

    #[track_caller]
    fn check(document: &str, begins: Place, first_bytes: &str) {
        let batches = cut_all(document.as_bytes(), 100_000);
        assert!(batches.len() > 3);
        let joined: Vec<u8> = batches.iter().flat_map(|batch| batch.bytes.clone()).collect();
        assert_eq!(joined, document.as_bytes());
        let mut offset = 0;
        for (i, batch) in batches.iter().enumerate() {
            assert_eq!((batch.offset, batch.is_last), (offset, i + 1 == batches.len()));
            offset += batch.bytes.len() as u64;
            if i > 0 {
                assert_eq!(batch.begins, begins);
                assert!(batch.bytes.starts_with(first_bytes.as_bytes()));
            }
        }
        let other_pieces = cut_all(document.as_bytes(), 777);
        assert!(batches.iter().map(|batch| batch.offset).eq(other_pieces.iter().map(|batch| batch.offset)));
    }

    #[test]
    fn an_array_is_cut_before_records_that_begin_like_the_first() {
        let record = "{\r\n\"id\":1,\r\n\"visits\":[{\"day\":1},{\"day\":2}]\r\n},\r\n";
        check(&format!("[\r\n{}", record.repeat(20_000)), Place::Element, "{\r\n\"id\"");
    }

    #[test]
    fn lines_are_cut_after_their_ends() {
        check(&"{\"id\":1,\"visits\":[{\"day\":1}]}\n".repeat(40_000), Place::Line, "{\"id\"");
    }

    #[test]
    fn other_arrays_are_cut_anywhere() {
        check(&format!("[{}", "1,".repeat(600_000)), Place::Element, "");
    }

    #[test]
    fn what_is_short_is_one_batch() {
        let batches = cut_all(b"[{}]", 3);
        assert_eq!(batches.len(), 1);
        assert_eq!((batches[0].begins, batches[0].is_last), (Place::Start, true));
    }
}
