//! A short cut for records that look like the one before.
//!
//! Data that a program wrote has the same members in the same order, with the same white space. Once serde_json has read
//! one such record, what stands between the values of the next ones need not be parsed again, only compared; and the values
//! are mostly plain. Whatever is not exactly so is left to serde_json, which alone decides what is malformed. Halves the
//! time for the published data set.

use super::field::{Field, classify};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// What a record consists of besides its values.
#[derive(Debug)]
pub(super) struct Shape {
    /// The text before each value: punctuation, white space, the member's name.
    before: Vec<String>,
    /// The text after the last value.
    after: String,
    /// Which value is the field's; the last one of several.
    field: Option<usize>,
}

impl Shape {
    /// Of a record that serde_json has found valid. `None` when it is no object, when it is empty, or when the field lies
    /// in a nested object.
    pub(super) fn of(record: &str, path: &[String]) -> Option<Self> {
        let members = members(record)?;
        let mut shape = Self { before: Vec::new(), after: String::new(), field: None };
        let mut end = 0;
        for (i, (name, value)) in members.iter().enumerate() {
            match path {
                [outer, inner @ ..] if outer == name && !inner.is_empty() => return None,
                [field] if field == name => shape.field = Some(i),
                _ => {}
            }
            // Both are slices of the same text.
            let start = value.get().as_ptr().addr() - record.as_ptr().addr();
            shape.before.push(record.get(end..start)?.to_owned());
            end = start + value.get().len();
        }
        shape.after = record[end..].to_owned();
        (!members.is_empty()).then_some(shape)
    }

    /// As [`super::field::pick`], when the record that `text` starts with has this shape and plain values.
    pub(super) fn pick(&self, text: &str) -> Option<(Field, usize)> {
        let mut rest = text.as_bytes();
        let mut field = Field::Missing;
        for (i, before) in self.before.iter().enumerate() {
            rest = rest.strip_prefix(before.as_bytes())?;
            let length = plain_value(rest)?;
            if self.field == Some(i) {
                let start = text.len() - rest.len();
                field = classify(&text[start..start + length]);
            }
            rest = &rest[length..];
        }
        rest = rest.strip_prefix(self.after.as_bytes())?;
        Some((field, text.len() - rest.len()))
    }
}

/// The length of the string without escapes, the number without exponent or the literal that `json` starts with. A number
/// may go on behind it (`1e5`): the shape does not.
fn plain_value(json: &[u8]) -> Option<usize> {
    match json.first()? {
        b'"' => {
            let text = &json[1..];
            let end = text.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
            (text[end] == b'"').then_some(end + 2)
        }
        b'-' | b'0'..=b'9' => plain_number(json),
        _ => [&b"null"[..], b"true", b"false"]
            .iter()
            .find(|literal| json.starts_with(literal))
            .map(|literal| literal.len()),
    }
}

fn plain_number(json: &[u8]) -> Option<usize> {
    let digits = |from: usize| json[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let start = usize::from(json[0] == b'-');
    let integer = digits(start);
    if integer == 0 || (integer > 1 && json[start] == b'0') {
        return None;
    }
    let end = start + integer;
    match json.get(end) {
        Some(b'.') => match digits(end + 1) {
            0 => None,
            fraction => Some(end + 1 + fraction),
        },
        _ => Some(end),
    }
}

/// An object's members in their order, with their values as written; `None` when `json` is none.
pub(super) fn members(json: &str) -> Option<Vec<(String, &RawValue)>> {
    serde_json::from_str::<Members>(json).ok().map(|members| members.0)
}

struct Members<'t>(Vec<(String, &'t RawValue)>);

impl<'de: 't, 't> Deserialize<'de> for Members<'t> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor).map(Members)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = access.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::aggregate::field::pick;
    use crate::jobs::aggregate::number::Number;
    use proptest::prelude::*;

    fn number(json: &str) -> Field {
        Field::Number(Number::parse(json).unwrap())
    }

    fn path(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn records_that_look_alike_are_picked() {
        let shape = Shape::of("{\r\n\"a\":1,\r\n\"b\": \"x\" }", &path(&["a"])).unwrap();
        let check = |record: &str, expected| assert_eq!(shape.pick(record), expected, "{record}");
        check("{\r\n\"a\":-20.5,\r\n\"b\": \"\" },", Some((number("-20.5"), 24)));
        check("{\r\n\"a\":\"1\",\r\n\"b\": null }", Some((Field::Other, 24)));
        check("{\r\n\"a\":null,\r\n\"b\": true }", Some((Field::Null, 25)));
        check("{\r\n\"a\":1,\n\"b\": \"x\" }", None);
        check("{\r\n\"a\":1,\r\n\"c\": \"x\" }", None);
        check("{\r\n\"a\":1,\r\n\"b\": \"\\n\" }", None);
        check("{\r\n\"a\":1e5,\r\n\"b\": \"x\" }", None);
        check("{\r\n\"a\":[],\r\n\"b\": \"x\" }", None);
        check("{\r\n\"a\":1,\r\n\"b\": \"x\"", None);
    }

    #[test]
    fn of_members_with_one_name_the_last_counts() {
        let shape = Shape::of(r#"{"a":1,"\u0061":2}"#, &path(&["a"])).unwrap();
        assert_eq!(shape.pick(r#"{"a":3,"\u0061":4}"#), Some((number("4.0"), 18)));
    }

    #[test]
    fn not_every_record_has_a_shape() {
        assert!(Shape::of("7", &path(&["a"])).is_none());
        assert!(Shape::of("{}", &path(&["a"])).is_none());
        assert!(Shape::of(r#"{"a":{"b":1}}"#, &path(&["a", "b"])).is_none());
    }

    proptest! {
        /// What the short cut accepts is what serde_json accepts, with the same result.
        #[test]
        fn the_short_cut_agrees_with_serde_json(
            values in prop::collection::vec("-?[0-9]{1,3}(\\.[0-9]{0,2})?(e[0-9])?|\"[a\\\\\"\n]{0,2}\"|null|true|nul|\\[\\]", 3),
        ) {
            let record = |values: &[String]| format!(r#"{{"a":{}, "b":{},"c":{}}}"#, values[0], values[1], values[2]);
            let plain = ["1".to_owned(), "2".to_owned(), "3".to_owned()];
            let field = path(&["b"]);
            let shape = Shape::of(&record(&plain), &field).unwrap();
            let record = record(&values);
            if let Some(picked) = shape.pick(&record) {
                prop_assert_eq!(pick(&record, &field).ok(), Some(picked), "{}", record);
            }
        }
    }
}
