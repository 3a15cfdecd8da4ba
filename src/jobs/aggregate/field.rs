//! Picking one field out of a record while serde_json checks all of it.

use super::number::Number;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// A field's value as far as a function cares.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Field {
    Missing,
    Null,
    Number(Number),
    /// A string, a boolean, an object, an array, or a number beyond what an f64 holds.
    Other,
}

/// Reads the one record that `text` starts with: its field, and the bytes it takes. `path` leads through nested objects;
/// of members with the same name the last one counts. An empty path is always [`Field::Missing`].
pub(super) fn pick(text: &str, path: &[String]) -> serde_json::Result<(Field, usize)> {
    let mut record = serde_json::Deserializer::from_str(text);
    let field = match path {
        [name, inner @ ..] if text.starts_with('{') => match (Member { name }.deserialize(&mut record)?, inner) {
            (None, _) => Field::Missing,
            (Some(value), []) => classify(value.get()),
            (Some(value), inner) => pick(value.get(), inner)?.0,
        },
        _ => {
            IgnoredAny::deserialize(&mut record)?;
            Field::Missing
        }
    };
    Ok((field, record.into_iter::<IgnoredAny>().byte_offset()))
}

/// `json` is one valid value.
pub(super) fn classify(json: &str) -> Field {
    match json.as_bytes() {
        [b'-' | b'0'..=b'9', ..] => Number::parse(json).map_or(Field::Other, Field::Number),
        b"null" => Field::Null,
        _ => Field::Other,
    }
}

/// The value of an object's member with this name.
struct Member<'p> {
    name: &'p str,
}

impl<'de> DeserializeSeed<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(is_named_so) = members.next_key_seed(IsName(self.name))? {
            if is_named_so {
                found = Some(members.next_value()?);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Whether a key is this name.
struct IsName<'p>(&'p str);

impl<'de> DeserializeSeed<'de> for IsName<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for IsName<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(json: &str) -> Field {
        Field::Number(Number::parse(json).unwrap())
    }

    #[track_caller]
    fn check(path: &[&str], json: &str, expected: Field) {
        let path: Vec<String> = path.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(pick(json, &path).unwrap(), (expected, json.len()), "{json}");
    }

    #[test]
    fn a_field_is_found_wherever_it_stands() {
        check(&["a"], r#"{"a":1}"#, number("1.0"));
        check(&["a"], r#"{ "b" : {"a":2} , "a" : -13.0e1 }"#, number("-130.0"));
        check(&["a"], r#"{"a":1,"a":2}"#, number("2.0"));
        check(&["ä b"], r#"{"\u00e4 b":0.1}"#, number("0.1"));
        check(&["a", "b"], r#"{"a":{"b":3},"b":4}"#, number("3.0"));
    }

    #[test]
    fn what_is_no_number_is_told_apart() {
        check(&["a"], r#"{"b":1}"#, Field::Missing);
        check(&["a"], "{}", Field::Missing);
        check(&["a"], "[1]", Field::Missing);
        check(&["a"], "7", Field::Missing);
        check(&["a", "b"], r#"{"a":7}"#, Field::Missing);
        check(&["a"], r#"{"a":null}"#, Field::Null);
        for json in [r#"{"a":"1"}"#, r#"{"a":true}"#, r#"{"a":{}}"#, r#"{"a":[1]}"#, r#"{"a":1e999}"#] {
            check(&["a"], json, Field::Other);
        }
    }

    #[test]
    fn a_record_ends_where_it_ends() {
        assert_eq!(pick(r#"{"a":1},{"a":2}"#, &["a".to_owned()]).unwrap(), (number("1.0"), 7));
    }
}
