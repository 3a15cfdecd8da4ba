//! What is said of records that a job cannot use.

use super::shape;
use crate::jobs::expression::{Expression, Function, field_text};
use agent_core::domain::goal::nearest;
use agent_core::domain::records_path::RecordsPath;

/// How many members a message names.
const NAMED_MEMBERS: usize = 20;

/// How many characters it shows of a name or a value.
const SHOWN_CHARACTERS: usize = 60;

/// A record that could not be used, as a message shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Unused {
    /// `the first one has ...`
    seen: String,
    /// To the array of records that it is around.
    array: Option<RecordsPath>,
}

impl Unused {
    /// `record` is the document's first, and valid.
    pub(super) fn of(record: &str, expression: &Expression) -> Self {
        Self { seen: seen(record, expression.field()), array: super::envelope::array_within(record.as_bytes()) }
    }

    /// Why a job fails that could use none of so many records.
    pub(super) fn reason(&self, records: u64, expression: &Expression) -> String {
        if let (1, Some(path)) = (records, &self.array) {
            return around(path);
        }
        let needed = match expression.function() {
            Function::Count => "has",
            _ => "has a number in",
        };
        let (field, seen) = (field_text(expression.field()), &self.seen);
        format!("none of its {records} records {needed} `{field}`: {seen}")
    }
}

/// Said of an object around an array of records.
pub(super) fn around(path: &RecordsPath) -> String {
    format!("it is one object around an array; path = \"{path}\" in [job] reads the array's elements as the records")
}

/// Where the field's names lead in the first record.
fn seen(record: &str, field: &[String]) -> String {
    let mut value = record;
    for (depth, name) in field.iter().enumerate() {
        let place = match depth {
            0 => "the first one".to_owned(),
            _ => format!("`{}` of the first one", field_text(&field[..depth])),
        };
        let Some(members) = shape::members(value) else {
            return format!("{place} is {}, not an object: {}", kind(value), shown(value));
        };
        match members.iter().rev().find(|(member, _)| member == name) {
            Some((_, found)) => value = found.get(),
            None => {
                let mut names = MemberNames::default();
                members.iter().for_each(|(member, _)| names.add(member));
                return format!("{place} has {}", names.describe(name));
            }
        }
    }
    match value {
        "null" => "that of the first one is null".to_owned(),
        _ if kind(value) == kind_of(b'0') => {
            format!("that of the first one is a number beyond what can be computed with: {}", shown(value))
        }
        _ => format!("that of the first one is {}: {}", kind(value), shown(value)),
    }
}

/// The names of an object's members, as far as a message shows them.
#[derive(Clone, Default)]
pub(super) struct MemberNames {
    names: Vec<String>,
    more: u64,
}

impl MemberNames {
    pub(super) fn add(&mut self, name: &str) {
        if self.names.len() < NAMED_MEMBERS {
            self.names.push(name.to_owned());
        } else {
            self.more += 1;
        }
    }

    /// ``the members `a`, `b` and 7 more``, and which of them was probably meant.
    pub(super) fn describe(&self, meant: &str) -> String {
        if self.names.is_empty() {
            return "no members".to_owned();
        }
        let names: Vec<String> = self.names.iter().map(|name| format!("`{}`", shown(name))).collect();
        let more = if self.more > 0 { format!(" and {} more", self.more) } else { String::new() };
        let question = self.nearest(meant).map_or(String::new(), |name| format!("; did you mean `{}`?", shown(name)));
        format!("the members {}{more}{question}", names.join(", "))
    }

    /// The one that was probably meant. Of few letters, two others are no slip of the finger.
    fn nearest(&self, meant: &str) -> Option<&str> {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let differs_in_case = names.iter().find(|name| name.to_lowercase() == meant.to_lowercase()).copied();
        differs_in_case.or_else(|| nearest(meant, &names).filter(|_| meant.chars().count() > 3))
    }
}

fn kind(json: &str) -> &'static str {
    kind_of(json.bytes().next().unwrap_or_default())
}

/// What kind of value begins with this byte.
pub(super) fn kind_of(first: u8) -> &'static str {
    match first {
        b'{' => "an object",
        b'[' => "an array",
        b'"' => "a string",
        b't' | b'f' => "a boolean",
        b'n' => "null",
        _ => "a number",
    }
}

/// A text in one line, cut where it is long.
pub(super) fn shown(text: &str) -> String {
    let mut characters = text.chars();
    let beginning: String = characters.by_ref().take(SHOWN_CHARACTERS).flat_map(char::escape_debug).collect();
    let beginning = beginning.replace("\\\"", "\"").replace("\\'", "'");
    if characters.next().is_some() { format!("{beginning}...") } else { beginning }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expression: &str, record: &str, expected: &str) {
        let expression = expression.parse().unwrap();
        assert_eq!(Unused::of(record, &expression).reason(7, &expression), expected);
    }

    #[test]
    fn what_the_first_record_has_instead_is_told() {
        let none = "none of its 7 records has a number in";
        check(
            "avg(cholestrol)",
            r#"{"id":1,"cholesterol":2}"#,
            &format!(
                "{none} `cholestrol`: the first one has the members `id`, `cholesterol`; did you mean `cholesterol`?"
            ),
        );
        check(
            "count(ID)",
            r#"{"id":1}"#,
            "none of its 7 records has `ID`: the first one has the members `id`; did you mean `id`?",
        );
        check("sum(a)", "{}", &format!("{none} `a`: the first one has no members"));
        check("sum(a)", r#"{"a":"1.5"}"#, &format!(r#"{none} `a`: that of the first one is a string: "1.5""#));
        check("sum(a)", r#"{"a":1,"a":null}"#, &format!("{none} `a`: that of the first one is null"));
        check(
            "sum(a)",
            r#"{"a":1e999}"#,
            &format!("{none} `a`: that of the first one is a number beyond what can be computed with: 1e999"),
        );
        check("max(a)", "17", &format!("{none} `a`: the first one is a number, not an object: 17"));
        check(
            "max(patient.age)",
            r#"{"patient":{"Age":3}}"#,
            &format!("{none} `patient.age`: `patient` of the first one has the members `Age`; did you mean `Age`?"),
        );
        check(
            "max(a.b.c)",
            r#"{"a":{"b":[1]}}"#,
            &format!("{none} `a.b.c`: `a.b` of the first one is an array, not an object: [1]"),
        );
    }

    #[test]
    fn a_long_record_makes_no_long_message() {
        let members: Vec<String> = (0..1000).map(|i| format!(r#""{}{i}":0"#, "ä".repeat(100))).collect();
        let expression = "avg(x)".parse().unwrap();
        let reason = Unused::of(&format!("{{{}}}", members.join(",")), &expression).reason(1, &expression);
        assert!(reason.ends_with("... and 980 more") || reason.ends_with("` and 980 more"), "{reason}");
        assert!(reason.chars().count() < 1600, "{reason}");
    }

    #[test]
    fn an_object_around_the_records_is_told_as_such() {
        let expression = "avg(price)".parse().unwrap();
        let unused = Unused::of(r#"{"count":2,"data":[{"price":1},{"price":2}]}"#, &expression);
        assert_eq!(
            unused.reason(1, &expression),
            r#"it is one object around an array; path = "$.data" in [job] reads the array's elements as the records"#
        );
        assert!(unused.reason(2, &expression).starts_with("none of its 2 records has a number in `price`"));
    }
}
