//! Parsing the records of one batch: a JSON array spread over any number of lines, or newline-delimited JSON.

use super::accumulator::Accumulator;
use super::batch::Batch;
use super::field::{Field, pick};
use super::shape::Shape;
use super::unusable::Unused;
use crate::jobs::expression::{Expression, Function};

/// Where in a document a byte stands, as far as the records around it say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// Nothing came yet: `[` begins an array, anything else is a line.
    Start,
    /// After `[`: an element or `]`.
    FirstElement,
    /// After `,`: an element.
    Element,
    /// After an element: `,` or `]`.
    AfterElement,
    /// After `]`: only white space, unless the array is within an object.
    AfterArray,
    /// A record or an empty line.
    Line,
    /// After a line's record: the end of the line.
    AfterLine,
}

/// What the records of a batch, or of several, come to.
#[derive(Clone, Debug)]
pub(super) struct Totals {
    pub(super) accumulator: Accumulator,
    pub(super) records: u64,
    /// Records without the field, or with another type of it.
    pub(super) skipped_records: u64,
    /// The document's first record, when it is one of these.
    pub(super) first_unused: Option<Unused>,
}

/// A batch's whole records. From `end` on the batch may hold the beginning of one more.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) totals: Totals,
    /// In bytes from the batch's beginning.
    pub(super) end: usize,
    pub(super) ends: Place,
}

/// Why a document cannot be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Unreadable {
    Malformed(Malformed),
    /// Well-formed, but not as a job can read it: for people.
    Unusable(String),
}

impl From<Malformed> for Unreadable {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

/// What is not JSON, and the first byte that shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Malformed {
    /// In the object.
    pub(super) offset: u64,
    pub(super) reason: String,
}

impl Totals {
    pub(super) fn new(function: Function) -> Self {
        Self { accumulator: Accumulator::new(function), records: 0, skipped_records: 0, first_unused: None }
    }

    pub(super) fn merge(&mut self, later: Self) {
        self.accumulator.merge(later.accumulator);
        self.records += later.records;
        self.skipped_records += later.skipped_records;
        self.first_unused = self.first_unused.take().or(later.first_unused);
    }

    fn add(&mut self, field: Field, expression: &Expression) {
        self.records += 1;
        let is_count = expression.function() == Function::Count;
        match field {
            Field::Number(value) => self.accumulator.add(value),
            Field::Other if is_count => self.accumulator.count(),
            Field::Missing if expression.field().is_empty() => self.accumulator.count(),
            Field::Other | Field::Missing | Field::Null => self.skipped_records += 1,
        }
    }
}

/// Parses a batch that begins where it says.
pub(super) fn parse(batch: &Batch, expression: &Expression) -> Result<Parsed, Malformed> {
    let (text, wrong_utf8) = valid_utf8(batch);
    let mut records = Records {
        text,
        at: 0,
        place: batch.begins,
        is_enclosed: batch.is_enclosed,
        is_last: batch.is_last && text.len() == batch.bytes.len(),
        shape: None,
        totals: Totals::new(expression.function()),
    };
    let malformed = |(at, reason)| Malformed { offset: batch.offset + at as u64, reason };
    records.read_all(expression).map_err(malformed)?;
    match wrong_utf8 {
        Some(at) => Err(malformed((at, "this is not UTF-8".to_owned()))),
        None => Ok(Parsed { totals: records.totals, end: records.at, ends: records.place }),
    }
}

/// The text up to the first byte that is not UTF-8, and where that is. A character that goes on in the next batch is not
/// wrong.
fn valid_utf8(batch: &Batch) -> (&str, Option<usize>) {
    match std::str::from_utf8(&batch.bytes) {
        Ok(text) => (text, None),
        Err(error) => {
            let valid = error.valid_up_to();
            let text = std::str::from_utf8(&batch.bytes[..valid]).unwrap_or_default();
            let goes_on = error.error_len().is_none() && !batch.is_last;
            (text, (!goes_on).then_some(valid))
        }
    }
}

struct Records<'t> {
    text: &'t str,
    /// Everything before is read: records and what stands between them.
    at: usize,
    place: Place,
    is_enclosed: bool,
    /// Whether the document ends with this text.
    is_last: bool,
    /// Of the first record.
    shape: Option<Shape>,
    totals: Totals,
}

/// Where in the text, and why.
type Wrong = (usize, String);

impl Records<'_> {
    /// Stops before a record that goes on after the text.
    fn read_all(&mut self, expression: &Expression) -> Result<(), Wrong> {
        loop {
            self.skip_white_space();
            let Some(byte) = self.text.as_bytes().get(self.at) else { return self.check_end() };
            let after = match (self.place, byte) {
                (Place::Start, b'[') => Place::FirstElement,
                (Place::FirstElement | Place::AfterElement, b']') => Place::AfterArray,
                (Place::AfterElement, b',') => Place::Element,
                (Place::AfterLine, b'\n') => Place::Line,
                (Place::Start | Place::Line, _) => match self.read_record(expression)? {
                    true => Place::AfterLine,
                    false => return Ok(()),
                },
                (Place::FirstElement | Place::Element, _) => match self.read_record(expression)? {
                    true => Place::AfterElement,
                    false => return Ok(()),
                },
                (Place::AfterElement, _) => return Err(self.wrong("expected `,` or `]` after a record")),
                (Place::AfterLine, _) => return Err(self.wrong("expected the line's end after a record")),
                (Place::AfterArray, _) if self.is_enclosed => return Ok(()),
                (Place::AfterArray, _) => return Err(self.wrong("expected nothing after the array")),
            };
            if !matches!(after, Place::AfterElement | Place::AfterLine) {
                self.at += 1;
            }
            self.place = after;
        }
    }

    /// `false` when the record goes on after the text.
    fn read_record(&mut self, expression: &Expression) -> Result<bool, Wrong> {
        let text = &self.text[self.at..];
        let picked = self.shape.as_ref().and_then(|shape| shape.pick(text));
        match picked.map_or_else(|| pick(text, expression.field()), Ok) {
            // A number at the end may have more digits in the next batch.
            Ok((_, end)) if end == text.len() && !self.is_last && !text.ends_with(['}', ']', '"']) => Ok(false),
            Ok((field, end)) => {
                if self.totals.records == 0 {
                    self.shape = Shape::of(&text[..end], expression.field());
                }
                self.totals.add(field, expression);
                let is_first = matches!(self.place, Place::Start | Place::FirstElement);
                if is_first && self.totals.skipped_records > 0 {
                    self.totals.first_unused = Some(Unused::of(&text[..end], expression));
                }
                self.at += end;
                Ok(true)
            }
            Err(error) if !self.is_last && can_go_on(text, expression.field(), &error) => Ok(false),
            Err(error) => Err((self.at + first_wrong_byte(text, expression.field()), reason(&error))),
        }
    }

    fn skip_white_space(&mut self) {
        let ends_line = |byte: &u8| *byte == b'\n' && self.place == Place::AfterLine;
        let is_skipped = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n') && !ends_line(byte);
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().position(|byte| !is_skipped(byte)).unwrap_or(rest.len());
    }

    fn check_end(&self) -> Result<(), Wrong> {
        match self.place {
            _ if !self.is_last => Ok(()),
            Place::Start | Place::Line | Place::AfterLine | Place::AfterArray => Ok(()),
            Place::FirstElement | Place::Element | Place::AfterElement => {
                Err(self.wrong("the object ends before the array does"))
            }
        }
    }

    fn wrong(&self, reason: &str) -> Wrong {
        (self.at, reason.to_owned())
    }
}

/// Whether `text`, which gave this error, is the beginning of some record. serde_json says of most that their end is missing,
/// but of a number without its last digits (`-`, `1.`, `1e`) that it is invalid; another digit tells.
fn can_go_on(text: &str, field: &[String], error: &serde_json::Error) -> bool {
    let with_a_digit = || match pick(&format!("{text}0"), field) {
        Ok(_) => true,
        Err(error) => error.is_eof(),
    };
    error.is_eof() || text.ends_with(['-', '+', '.', 'e', 'E']) && with_a_digit()
}

/// The first byte that nothing valid has there: no text with the bytes up to it is the beginning of a record. The text's
/// length when only the end is missing.
///
/// By bisection over the text's beginnings, because serde_json's columns stand sometimes at and sometimes after the byte.
fn first_wrong_byte(text: &str, field: &[String]) -> usize {
    let is_wrong = |bytes: usize| {
        let beginning = &text[..text.floor_char_boundary(bytes)];
        pick(beginning, field).is_err_and(|error| !can_go_on(beginning, field, &error))
    };
    if !is_wrong(text.len()) {
        return text.len();
    }
    let (mut right, mut wrong) = (0, text.len());
    while wrong - right > 1 {
        let middle = right + (wrong - right) / 2;
        if is_wrong(middle) { wrong = middle } else { right = middle }
    }
    text.floor_char_boundary(right)
}

/// serde_json's words without its line and column, which count from the record's beginning.
pub(super) fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(reason, _)| reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(text: &[u8], begins: Place, is_last: bool) -> Batch {
        Batch { bytes: text.to_owned(), offset: 1000, begins, is_last, is_enclosed: false }
    }

    fn average() -> Expression {
        "avg(a)".parse().unwrap()
    }

    /// Of a whole document: records, skipped records, result.
    fn check(document: &str, expected: (u64, u64, &str)) {
        let parsed = parse(&batch(document.as_bytes(), Place::Start, true), &average()).unwrap();
        let totals = parsed.totals;
        assert_eq!(
            (totals.records, totals.skipped_records, totals.accumulator.result().as_str()),
            expected,
            "{document}"
        );
        assert_eq!(parsed.end, document.len());
    }

    #[test]
    fn arrays_and_lines_are_read() {
        check("[{\"a\":1},{\"a\":2}]", (2, 0, "1.5"));
        check("\r\n[\r\n{\r\n\"a\":1\r\n},\r\n{\r\n\"a\":2\r\n}\r\n]\r\n", (2, 0, "1.5"));
        check("{\"a\":1}\n{\"a\":2}\n", (2, 0, "1.5"));
        check("{\"a\":1} \r\n\n{\"a\":2}", (2, 0, "1.5"));
        check("{\n\"a\":1\n}\n{\n\"a\":2\n}", (2, 0, "1.5"));
        check("", (0, 0, "null"));
        check(" \n", (0, 0, "null"));
        check("[]", (0, 0, "null"));
    }

    #[test]
    fn records_that_cannot_be_used_are_counted() {
        check(r#"[{"a":1},{"b":1},{"a":"1"},{"a":null},7,[],"a"]"#, (7, 6, "1"));
    }

    #[test]
    fn a_count_counts_what_is_there() {
        let count = |expression: &str| {
            let document = batch(br#"[{"a":1},{"b":1},{"a":"1"},{"a":null},7]"#, Place::Start, true);
            let totals = parse(&document, &expression.parse().unwrap()).unwrap().totals;
            (totals.records, totals.skipped_records, totals.accumulator.result())
        };
        assert_eq!(count("count(*)"), (5, 0, "5".to_owned()));
        assert_eq!(count("count(a)"), (5, 3, "2".to_owned()));
    }

    #[test]
    fn a_batch_ends_with_its_last_whole_record() {
        let check = |text: &str, end: usize, ends: Place| {
            let parsed = parse(&batch(text.as_bytes(), Place::Element, false), &average()).unwrap();
            assert_eq!((parsed.end, parsed.ends), (end, ends), "{text}");
        };
        check("{\"a\":1},\n", 9, Place::Element);
        check("{\"a\":1},\n{\"a\":", 9, Place::Element);
        check("{\"a\":1}", 7, Place::AfterElement);
        check("1,2", 2, Place::Element);
        for beginning in ["tru", "-", "1.", "1e", "1E+", "[1.", "{\"a\":-", "\"a\\u00"] {
            check(&format!("1,{beginning}"), 2, Place::Element);
        }
        check("1 ", 2, Place::AfterElement);
        check("{\"a\":1}]", 8, Place::AfterArray);
    }

    #[test]
    fn a_character_cut_in_two_belongs_to_the_record_that_goes_on() {
        let bytes = "1,\"ä".as_bytes();
        let parsed = parse(&batch(&bytes[..bytes.len() - 1], Place::Element, false), &average()).unwrap();
        assert_eq!((parsed.end, parsed.ends), (2, Place::Element));
    }

    #[test]
    fn what_is_malformed_is_shown_by_its_first_wrong_byte() {
        let check = |document: &[u8], offset: u64, reason: &str| {
            let malformed = parse(&batch(document, Place::Start, true), &average()).unwrap_err();
            assert_eq!(malformed, Malformed { offset: 1000 + offset, reason: reason.to_owned() });
        };
        check(b"[{\"a\":1} {\"a\":2}]", 9, "expected `,` or `]` after a record");
        check(b"[{\"a\":1},]", 9, "expected value");
        check(b"[,{\"a\":1}]", 1, "expected value");
        check(b"[{\"a\":1}]]", 9, "expected nothing after the array");
        check(b"[{\"a\":1}", 8, "the object ends before the array does");
        check(b"[{\"a\":1},", 9, "the object ends before the array does");
        check(b"[", 1, "the object ends before the array does");
        check(b"[{\"a\":1", 7, "EOF while parsing an object");
        check(b"[{\"b\":\"x\ny\"}]", 8, "control character (\\u0000-\\u001F) found while parsing a string");
        check(b"[{\"b\":\"\\q\"}]", 8, "invalid escape");
        check(b"[{\"a\":01}]", 7, "invalid number");
        check(b"[{\"a\":1-}]", 7, "expected `,` or `}`");
        check(b"[{\"a\":1.}]", 8, "invalid number");
        check(b"[-{}]", 2, "invalid number");
        check(b"[{\"a\" 1}]", 6, "expected `:`");
        check(b"[{\"a\":1 \"b\":2}]", 8, "expected `,` or `}`");
        check(b"[{\"a\":nul}]", 9, "expected ident");
        check(b"[{a:1}]", 2, "key must be a string");
        check("[{\"ä\":1ü}]".as_bytes(), 8, "expected `,` or `}`");
        check(b"[{\"b\":\"\xff\"}]", 7, "this is not UTF-8");
        check(b"[{\"b\":\"\xe4", 7, "this is not UTF-8");
        check(b"{\"a\":1} {\"a\":2}", 8, "expected the line's end after a record");
        check(b"{\"a\":1}\n{\"a\":}", 13, "expected value");
    }
}
