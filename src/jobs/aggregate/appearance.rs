//! What an object looks like that is no JSON, by how it begins.

use super::unusable::shown;

/// What a job can read, for messages.
pub(super) const ACCEPTED: &str =
    "accepted are a JSON array of records or newline-delimited JSON, as it is or compressed with gzip or zstd";

/// Formats that begin with bytes of their own.
const FORMATS: [(&[u8], &str); 18] = [
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"PAR1", "Parquet"),
    (b"ORC", "ORC"),
    (b"Obj\x01", "Avro"),
    (b"ARROW1", "Arrow"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x04\x22\x4d\x18", "LZ4"),
    (b"\xff\x06\0\0sNaPpY", "Snappy"),
    (b"%PDF", "PDF"),
    (b"\xff\xfe", "UTF-16 text"),
    (b"\xfe\xff", "UTF-16 text"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x7fELF", "a program"),
];

/// For people; `None` when it begins as JSON does. `beginning` is the whole object, or its first few hundred bytes at least.
pub(super) fn appearance(beginning: &[u8]) -> Option<String> {
    if let Some((_, format)) = FORMATS.iter().find(|(magic, _)| beginning.starts_with(magic)) {
        return Some((*format).to_owned());
    }
    if let [0, 0x20..0x7f, ..] | [0x20..0x7f, 0, ..] = beginning {
        return Some("UTF-16 text".to_owned());
    }
    let text = beginning.trim_ascii_start();
    match text.first()? {
        b'{' | b'[' => None,
        b'<' => Some(markup(text).to_owned()),
        first => {
            let Some(text) = as_text(text) else {
                return Some(format!(
                    "binary data: its first bytes are {}",
                    hex::encode(&beginning[..beginning.len().min(8)])
                ));
            };
            let line = text.lines().next().unwrap_or_default();
            match separated(text) {
                Some(format) => Some(format!("{format}: its first line is `{}`", shown(line))),
                None if matches!(first, b'"' | b'-' | b'0'..=b'9') || is_literal(line) => None,
                None => Some(format!("plain text: its first line is `{}`", shown(line))),
            }
        }
    }
}

fn is_literal(line: &str) -> bool {
    ["true", "false", "null"].iter().any(|literal| line.starts_with(literal))
}

fn markup(text: &[u8]) -> &'static str {
    let beginning = text[..text.len().min(256)].to_ascii_lowercase();
    let is_html = [&b"<!doctype html"[..], b"<html", b"<head", b"<body"].iter().any(|tag| beginning.starts_with(tag));
    if is_html { "HTML, a page for browsers" } else { "XML" }
}

/// `None` when it is not UTF-8, as far as it goes, or has characters that no text has.
fn as_text(bytes: &[u8]) -> Option<&str> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        // The last character may be cut in two.
        Err(error) if error.error_len().is_none() => std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()?,
        Err(_) => return None,
    };
    let is_text = text.chars().all(|c| !c.is_control() || matches!(c, '\t' | '\r' | '\n'));
    is_text.then_some(text)
}

/// Lines of columns: as many separators in the second line as in the first.
fn separated(text: &str) -> Option<&'static str> {
    let mut lines = text.lines();
    let (first, second) = (lines.next()?, lines.next());
    // A last line may be cut off.
    let second = second.filter(|_| lines.next().is_some() || text.ends_with('\n'));
    [(',', "CSV"), (';', "CSV with semicolons"), ('\t', "CSV with tabs")].into_iter().find_map(|(separator, format)| {
        let columns = |line: &str| line.matches(separator).count();
        let is_separated = columns(first) > 0 && second.is_none_or(|second| columns(second) >= columns(first));
        is_separated.then_some(format)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(beginning: &[u8], expected: Option<&str>) {
        assert_eq!(appearance(beginning).as_deref(), expected);
    }

    #[test]
    fn formats_are_told_by_how_they_begin() {
        check(b"\x1f\x8b\x08\0", Some("gzip"));
        check(b"\x28\xb5\x2f\xfd\x04", Some("zstd"));
        check(b"PAR1\x15\0", Some("Parquet"));
        check(b"\xff\xfe[\0{\0", Some("UTF-16 text"));
        check(b"[\0{\0", Some("UTF-16 text"));
        check(b"\0[\0{", Some("UTF-16 text"));
        check(b"<?xml version='1.0'?><a/>", Some("XML"));
        check(b"\n <!DOCTYPE html>\n<html>", Some("HTML, a page for browsers"));
        check(b"id,price\n1,2.5\n2,3.5\n", Some("CSV: its first line is `id,price`"));
        check(
            b"\"id\";\"price\"\r\n\"1\";\"2,5\"\r\n",
            Some("CSV with semicolons: its first line is `\"id\";\"price\"`"),
        );
        check(b"1\t2\n", Some("CSV with tabs: its first line is `1\\t2`"));
        check("Prüfung".as_bytes(), Some("plain text: its first line is `Prüfung`"));
        check(b"\x01\x02\xff", Some("binary data: its first bytes are 0102ff"));
        check(b"hello\0", Some("binary data: its first bytes are 68656c6c6f00"));
    }

    #[test]
    fn what_begins_as_json_does_is_left_to_the_parser() {
        for beginning in ["", " \n", "[", "{\"a\":1}, x", "[1,2\n3,4", "7", "-1 x", "\"a\"\n\"b\"", "true\n", "null"] {
            check(beginning.as_bytes(), None);
        }
    }
}
