//! The way to the array of records within an object, a part of JSONPath (RFC 9535): `$.data`, `$.response["the items"][*]`.

use std::fmt;
use std::str::FromStr;

/// Names of members, outermost first; none for the object itself. Read it with `parse`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordsPath {
    names: Vec<String>,
}

/// A path that cannot be read: where, why, and what would have been right.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{path}`: {reason} at column {column}")]
pub struct PathError {
    pub path: String,
    /// In characters, from 1.
    pub column: usize,
    pub reason: String,
}

impl PathError {
    pub const HELP: &str =
        r#"write it like `$.data`, or `$["the data"].items` for names with blanks, dots or brackets"#;
}

impl RecordsPath {
    pub fn new(names: Vec<String>) -> Self {
        Self { names }
    }

    pub fn names(&self) -> &[String] {
        &self.names
    }
}

impl FromStr for RecordsPath {
    type Err = PathError;

    /// `[*]` at the end, for the elements, says nothing more.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = |rest: &str, reason: &str| PathError {
            path: text.to_owned(),
            column: text[..text.len() - rest.len()].chars().count() + 1,
            reason: reason.to_owned(),
        };
        let Some(mut rest) = text.strip_prefix('$') else {
            return Err(error(text, "no `$`, with which a path begins"));
        };
        let mut names = Vec::new();
        while !rest.is_empty() && rest != "[*]" {
            let (name, after) = if let Some(named) = rest.strip_prefix('.') {
                plain_name(named).ok_or_else(|| error(named, "no name of a member"))?
            } else if let Some(quoted) = rest.strip_prefix('[') {
                quoted_name(quoted).ok_or_else(|| error(quoted, "no quoted name of a member with `]` behind it"))?
            } else {
                return Err(error(rest, "neither `.` nor `[`"));
            };
            names.push(name);
            rest = after;
        }
        Ok(Self { names })
    }
}

/// A name without quotes, and what stands behind it.
fn plain_name(text: &str) -> Option<(String, &str)> {
    let (name, rest) = text.split_at(text.find(['.', '[']).unwrap_or(text.len()));
    is_plain(name).then(|| (name.to_owned(), rest))
}

fn is_plain(name: &str) -> bool {
    let is_reserved = |c: char| c.is_whitespace() || c.is_control() || "$.[]*'\"?@,:()".contains(c);
    !name.is_empty() && !name.contains(is_reserved)
}

/// `"a b"]` or `'a b'`], and what stands behind it.
fn quoted_name(text: &str) -> Option<(String, &str)> {
    if let Some(name) = text.strip_prefix('\'') {
        let (name, rest) = name.split_once("']")?;
        return (!name.contains(['\'', '\\'])).then(|| (name.to_owned(), rest));
    }
    let mut names = serde_json::Deserializer::from_str(text).into_iter::<String>();
    let name = names.next()?.ok()?;
    let rest = &text[names.byte_offset()..];
    Some((name, rest.strip_prefix(']')?))
}

impl fmt::Display for RecordsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        self.names.iter().try_for_each(|name| match is_plain(name) {
            true => write!(f, ".{name}"),
            // Single quotes, because it stands in double ones in a configuration.
            false if !name.contains(['\'', '\\']) => write!(f, "['{name}']"),
            false => write!(f, "[{}]", serde_json::Value::from(name.as_str())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_meant() {
        let check = |text: &str, names: &[&str], shown: &str| {
            let path: RecordsPath = text.parse().unwrap();
            assert_eq!(path.names(), names);
            assert_eq!(path.to_string(), shown);
            assert_eq!(shown.parse(), Ok(path), "what is shown can be read again");
        };
        check("$", &[], "$");
        check("$[*]", &[], "$");
        check("$.data", &["data"], "$.data");
        check("$.a-b.größe[*]", &["a-b", "größe"], "$.a-b.größe");
        check(r#"$["the data"]['a.b'].c"#, &["the data", "a.b", "c"], "$['the data']['a.b'].c");
        check(r#"$["it's"]["\"\\"]"#, &["it's", "\"\\"], r#"$["it's"]["\"\\"]"#);
    }

    #[test]
    fn what_is_wrong_with_a_path_is_named() {
        let check = |text: &str, message: &str| {
            assert_eq!(text.parse::<RecordsPath>().unwrap_err().to_string(), format!("`{text}`: {message}"));
        };
        check("", "no `$`, with which a path begins at column 1");
        check("data", "no `$`, with which a path begins at column 1");
        check("$data", "neither `.` nor `[` at column 2");
        check("$.", "no name of a member at column 3");
        check("$..data", "no name of a member at column 3");
        check("$.ä.*", "no name of a member at column 5");
        check("$.a b", "no name of a member at column 3");
        check("$[0]", "no quoted name of a member with `]` behind it at column 3");
        check("$[\"a\".b", "no quoted name of a member with `]` behind it at column 3");
        check("$[*].a", "no quoted name of a member with `]` behind it at column 3");
    }
}
