//! The published data set: 18 blood tests again and again, as a JSON array with a member on each line.
//!
//! `[`, CRLF, the records joined by `,` CRLF, CRLF, `]`. Numbers stand as they were written: `13.0` is not `13`.

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::fmt;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::LazyLock;

const SOURCE: &str = include_str!("../../fixtures/reference/blood_tests_18.json");
const OPENING: &[u8] = b"[\r\n";
const SEPARATOR: &str = ",\r\n";
const CLOSING: &[u8] = b"\r\n]";
/// Cycles of all records in the longest piece: about 170 kB.
const CYCLES: usize = 16;

/// A data set of so many records. Nothing of it lies in memory but one piece that all share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BloodTests {
    records: u64,
}

/// What [`BloodTests::generate`] wrote.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Generated {
    pub bytes: u64,
    /// In hexadecimal.
    pub sha256: String,
}

impl BloodTests {
    pub fn new(records: u64) -> Self {
        Self { records }
    }

    /// How long the data set is.
    pub fn bytes(self) -> u64 {
        (OPENING.len() + CLOSING.len()) as u64 + self.body_bytes()
    }

    /// Writes the data set.
    pub fn generate(self, mut to: impl Write) -> io::Result<Generated> {
        let mut sha256 = Sha256::new();
        for piece in self.pieces(0..self.bytes()) {
            sha256.update(&piece);
            to.write_all(&piece)?;
        }
        to.flush()?;
        Ok(Generated { bytes: self.bytes(), sha256: hex::encode(sha256.finalize()) })
    }

    /// The bytes of a range (within the data set), in pieces that are not copied: for an upload without a file.
    pub fn pieces(self, range: Range<u64>) -> impl Iterator<Item = Bytes> + Send + 'static {
        let mut at = range.start;
        std::iter::from_fn(move || {
            let left = usize::try_from(range.end.checked_sub(at)?).unwrap_or(usize::MAX);
            let mut piece = self.piece_from(at);
            piece.truncate(left);
            at += piece.len() as u64;
            (!piece.is_empty()).then_some(piece)
        })
    }

    /// Some bytes from here on; none behind the end.
    fn piece_from(self, offset: u64) -> Bytes {
        let body = OPENING.len() as u64..OPENING.len() as u64 + self.body_bytes();
        if offset < body.start {
            return tail(OPENING, offset);
        }
        if offset >= body.end {
            return tail(CLOSING, offset - body.end);
        }
        let cycles = &*REPEATED;
        let cycle_bytes = (cycles.bytes.len() / CYCLES) as u64;
        let mut piece = tail_of(&cycles.bytes, (offset - body.start) % cycle_bytes);
        piece.truncate(usize::try_from(body.end - offset).unwrap_or(usize::MAX));
        piece
    }

    /// The body is the beginning of an endless repetition of the records, each with a separator; after the last record
    /// there is none.
    fn body_bytes(self) -> u64 {
        let cycles = &*REPEATED;
        let count = cycles.record_ends.len() as u64;
        let cycle_bytes = (cycles.bytes.len() / CYCLES) as u64;
        match self.records.checked_sub(1) {
            None => 0,
            // The remainder of a division by a usize is one.
            Some(last) => last / count * cycle_bytes + cycles.record_ends[(last % count) as usize],
        }
    }
}

fn tail(part: &'static [u8], offset: u64) -> Bytes {
    tail_of(&Bytes::from_static(part), offset)
}

fn tail_of(bytes: &Bytes, offset: u64) -> Bytes {
    let offset = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
    bytes.slice(offset..)
}

/// All records with their separators, several times.
struct Repeated {
    bytes: Bytes,
    /// Where each record ends in the first cycle.
    record_ends: Vec<u64>,
}

static REPEATED: LazyLock<Repeated> = LazyLock::new(|| {
    let records: Vec<Record> =
        serde_json::from_str(SOURCE).expect("the file is part of this program, and a test reads it");
    let mut cycle = String::new();
    let mut record_ends = Vec::new();
    for record in records {
        cycle.push_str(&record.0);
        record_ends.push(cycle.len() as u64);
        cycle.push_str(SEPARATOR);
    }
    Repeated { bytes: cycle.repeat(CYCLES).into(), record_ends }
});

/// A record as published: its members in their order, values as written.
struct Record(String);

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RecordVisitor)
    }
}

struct RecordVisitor;

impl<'de> Visitor<'de> for RecordVisitor {
    type Value = Record;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Record, A::Error> {
        let mut lines = Vec::new();
        while let Some((key, value)) = members.next_entry::<String, &RawValue>()? {
            lines.push(format!("{}:{value}", serde_json::Value::from(key)));
        }
        Ok(Record(format!("{{\r\n{}\r\n}}", lines.join(SEPARATOR))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(records: u64, bytes: u64, sha256: &str) {
        let expected = Generated { bytes, sha256: sha256.to_owned() };
        assert_eq!(BloodTests::new(records).generate(io::sink()).unwrap(), expected);
    }

    #[test]
    fn the_data_set_is_the_published_one() {
        check(11_075, 6_441_964, "14ba3efa805cd7614442624a2598619ed789dc44fdff1ed08323e0994795b767");
        check(553_729, 322_085_706, "0e7fb3acdfe92a015a78fa40198fc058636b9e1fb4eb132b8824e1fe5e8f04d8");
    }

    #[test]
    fn what_is_written_is_what_was_counted_and_hashed() {
        for records in [0, 1, 2, 17, 18, 19, 36, 37, 1000] {
            let mut written = Vec::new();
            let generated = BloodTests::new(records).generate(&mut written).unwrap();
            assert_eq!(generated.bytes, written.len() as u64);
            assert_eq!(generated.sha256, hex::encode(Sha256::digest(&written)));
            let parsed: Vec<serde_json::Value> = serde_json::from_slice(&written).unwrap();
            assert_eq!(parsed.len() as u64, records);
        }
    }

    #[test]
    fn any_range_is_that_part_of_the_whole() {
        let data = BloodTests::new(700);
        let mut whole = Vec::new();
        data.generate(&mut whole).unwrap();
        let end = whole.len();
        for range in [0..end, 0..1, 1..5, 2..3, 100..300_000, end - 4..end, end - 1..end, end..end] {
            let pieces = data.pieces(range.start as u64..range.end as u64);
            let part: Vec<u8> = pieces.flat_map(|piece| piece.to_vec()).collect();
            assert!(part == whole[range.clone()], "{range:?}");
        }
    }

    #[test]
    fn numbers_stand_as_they_were_written() {
        let mut written = Vec::new();
        BloodTests::new(1).generate(&mut written).unwrap();
        let text = String::from_utf8(written).unwrap();
        assert!(text.starts_with("[\r\n{\r\n\"ssn\":\"8142611899\",\r\n"), "{text}");
        assert!(text.contains("\"MPV\":13.0,\r\n"), "{text}");
        assert!(text.ends_with("\"Chloride\":101.0\r\n}\r\n]"), "{text}");
    }
}
