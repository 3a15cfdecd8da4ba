//! Members of JSON objects as toxiproxy reads them, which leaves that to Go's library: names count in any case, of several
//! members with one name the last counts, `null` is as good as absent, what is not known is ignored, and so is whatever
//! follows the value. A whole number is digits: `100.0` and `1e2` are none.

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::value::RawValue;
use std::fmt;

/// An object's members, in the order in which they are written.
#[derive(Clone, Default, Debug)]
pub struct Members<'a>(Vec<(String, &'a RawValue)>);

/// The first value of a body, whatever follows it. The error is for people.
pub fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, String> {
    T::deserialize(&mut serde_json::Deserializer::from_slice(body)).map_err(|error| error.to_string())
}

impl<'a> Members<'a> {
    pub fn text(&self, name: &str) -> Result<Option<String>, String> {
        self.last(name, json)
    }

    pub fn flag(&self, name: &str) -> Result<Option<bool>, String> {
        self.last(name, json)
    }

    pub fn whole_number(&self, name: &str) -> Result<Option<i64>, String> {
        self.last(name, |text| text.parse().map_err(|_| format!("{} is not a whole number of 64 bits", excerpt(text))))
    }

    /// A finite one.
    pub fn number(&self, name: &str) -> Result<Option<f64>, String> {
        self.last(name, json)
    }

    /// The same with the 32 bits that the original has for it.
    pub fn short_number(&self, name: &str) -> Result<Option<f32>, String> {
        self.last(name, |text| {
            let number: f32 = json(text)?;
            if number.is_finite() { Ok(number) } else { Err(format!("{} is too large", excerpt(text))) }
        })
    }

    /// The members of a member; none where it is absent.
    pub fn members(&self, name: &str) -> Result<Members<'a>, String> {
        let mut all = Vec::new();
        for value in self.values(name) {
            let Members(members) = json(value.get()).map_err(|why| format!("{name}: {why}"))?;
            all.extend(members);
        }
        Ok(Members(all))
    }

    /// All that is written under a name is read, so that an earlier one that makes no sense is an error too.
    fn last<T>(&self, name: &str, read: impl Fn(&'a str) -> Result<T, String>) -> Result<Option<T>, String> {
        let mut last = None;
        for value in self.values(name) {
            last = Some(read(value.get()).map_err(|why| format!("{name}: {why}"))?);
        }
        Ok(last)
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &'a RawValue> {
        let named = self.0.iter().filter(move |(written, _)| written.eq_ignore_ascii_case(name));
        named.map(|(_, value)| *value).filter(|value| value.get() != "null")
    }
}

fn json<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    // What it says of the place is meant for longer texts: this is one value.
    serde_json::from_str(text).map_err(|error| {
        let why = error.to_string();
        why.split(" at line ").next().unwrap_or(&why).to_owned()
    })
}

/// As much of a value as a message shows.
fn excerpt(text: &str) -> String {
    const SHOWN: usize = 40;
    text.chars().take(SHOWN).collect()
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(Members::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(text: &str) -> Members<'_> {
        read(text.as_bytes()).unwrap()
    }

    #[test]
    fn names_count_in_any_case_and_the_last_of_several_wins() {
        let read = members(r#"{"Name": "a", "other": [1], "NAME": "b", "name": null} and so on"#);
        assert_eq!(read.text("name"), Ok(Some("b".to_owned())));
        assert_eq!(read.text("listen"), Ok(None));
        assert_eq!(members("null").flag("enabled"), Ok(None));
    }

    #[test]
    fn members_of_members_are_put_together() {
        let read = members(r#"{"attributes": {"latency": 1, "jitter": 2}, "Attributes": {"LATENCY": 3}, "b": []}"#);
        let attributes = read.members("attributes").unwrap();
        assert_eq!(attributes.whole_number("latency"), Ok(Some(3)));
        assert_eq!(attributes.whole_number("jitter"), Ok(Some(2)));
        assert_eq!(read.members("b").unwrap_err(), "b: invalid type: sequence, expected an object");
    }

    #[test]
    fn whole_numbers_are_digits() {
        for (text, expected) in
            [("100", Some(100)), ("-0", Some(0)), ("9223372036854775807", Some(i64::MAX)), ("-7", Some(-7))]
        {
            assert_eq!(members(&format!("{{\"a\": {text}}}")).whole_number("a"), Ok(expected));
        }
        for text in ["100.5", "100.0", "1e2", "9223372036854775808", "\"5\"", "true", "[]"] {
            let why = members(&format!("{{\"a\": {text}}}")).whole_number("a").unwrap_err();
            assert_eq!(why, format!("a: {text} is not a whole number of 64 bits"));
        }
    }

    #[test]
    fn other_values_are_of_their_type() {
        let read = members(r#"{"flag": 1, "text": 5, "half": 0.5, "huge": 1e300, "beyond": 1e999, "flag": true}"#);
        assert_eq!(read.flag("flag"), Err("flag: invalid type: integer `1`, expected a boolean".to_owned()));
        assert_eq!(read.text("text"), Err("text: invalid type: integer `5`, expected a string".to_owned()));
        assert_eq!((read.number("half"), read.short_number("half")), (Ok(Some(0.5)), Ok(Some(0.5))));
        assert_eq!(read.short_number("huge"), Err("huge: 1e300 is too large".to_owned()));
        assert_eq!(read.number("beyond"), Err("beyond: number out of range".to_owned()));
    }

    #[test]
    fn what_is_no_object_is_an_error() {
        for text in ["", "[]", "5", "{", "{\"a\"}"] {
            assert!(read::<Members>(text.as_bytes()).is_err(), "{text}");
        }
    }
}
