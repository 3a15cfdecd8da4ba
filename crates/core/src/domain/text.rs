//! Text that others wrote: names, details, messages of servers. It is shown without what could steer a terminal or reorder a
//! line, and no longer than a reader needs.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The longest name of a node, data set or policy \[characters\].
pub const NAME_MAX: usize = 64;
/// The longest line for people \[characters\].
pub const LINE_MAX: usize = 2_000;
/// The longest message of several lines: an error with its causes, the end of a program's output \[characters\].
pub const MESSAGE_MAX: usize = 10_000;

/// Whether a character is not seen but changes what is: it steers a terminal (control characters, among them those from
/// 0x80), turns the direction of writing, or hides.
pub fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// As one line: what is deceptive is written out (`\u{1b}`), and more than `most` characters are cut.
pub fn legible(text: &str, most: usize) -> Cow<'_, str> {
    write_out(text, most, is_deceptive)
}

/// The same for a text of several lines, which stay lines.
pub fn legible_lines(text: &str, most: usize) -> Cow<'_, str> {
    write_out(text, most, |character| character != '\n' && is_deceptive(character))
}

/// At most `most` characters, the last three of them dots where it was longer.
pub fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    write_out(text, most, |_| false)
}

fn write_out(text: &str, most: usize, is_hidden: impl Fn(char) -> bool) -> Cow<'_, str> {
    let kept = match text.char_indices().nth(most) {
        Some(_) => &text[..text.char_indices().nth(most.saturating_sub(3)).map_or(0, |(at, _)| at)],
        None => text,
    };
    if kept.len() == text.len() && !text.contains(&is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(kept.len() + 3);
    for character in kept.chars() {
        match is_hidden(character) {
            // Writing to a string does not fail.
            true => _ = write!(shown, "{}", character.escape_unicode()),
            false => shown.push(character),
        }
    }
    shown.push_str(if kept.len() < text.len() { "..." } else { "" });
    Cow::Owned(shown)
}

/// A JSON document in which what is deceptive stands as an escape: the same document to any reader.
pub fn legible_json(document: &str) -> Cow<'_, str> {
    // Outside of strings JSON is plain ASCII, and a new line there is no part of a text.
    let is_hidden = |character: char| character != '\n' && is_deceptive(character);
    if !document.contains(is_hidden) {
        return Cow::Borrowed(document);
    }
    let mut escaped = String::with_capacity(document.len());
    for character in document.chars() {
        match is_hidden(character) {
            // Writing to a string does not fail.
            true => character.encode_utf16(&mut [0; 2]).iter().for_each(|unit| _ = write!(escaped, "\\u{unit:04x}")),
            false => escaped.push(character),
        }
    }
    Cow::Owned(escaped)
}

/// An address or setting with `***` in the place of a user and password in front of its host.
pub fn without_userinfo(text: &str) -> Cow<'_, str> {
    let Some(end) = text.rfind('@') else { return Cow::Borrowed(text) };
    let start = text[..end].find("://").map_or(0, |scheme| scheme + 3);
    Cow::Owned(format!("{}***{}", &text[..start], &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_harmless_stays_as_it_is() {
        for text in ["", "node-1", "Ünïcode 結 🙂", "a \\ b"] {
            assert!(matches!(legible(text, 20), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn what_steers_a_terminal_is_written_out() {
        let check = |text: &str, expected: &str| assert_eq!(legible(text, 100), expected);
        check("\u{1b}[2Jgone", "\\u{1b}[2Jgone");
        check("\u{9b}31m", "\\u{9b}31m");
        check("a\r\nb\tc\0", "a\\u{d}\\u{a}b\\u{9}c\\u{0}");
        check("\u{202e}txt.exe\u{2066}", "\\u{202e}txt.exe\\u{2066}");
        check("zero\u{200b}width\u{feff}", "zero\\u{200b}width\\u{feff}");
        assert_eq!(legible_lines("a\n\u{1b}b", 100), "a\n\\u{1b}b");
    }

    #[test]
    fn what_is_too_long_is_cut() {
        assert_eq!(legible("abcdef", 6), "abcdef");
        assert_eq!(legible("abcdefg", 6), "abc...");
        assert_eq!(shortened("äöüäöüä\n", 6), "äöü...");
        assert_eq!(shortened("abc", 2), "...");
        assert_eq!(shortened("a\nb", 5), "a\nb");
    }

    #[test]
    fn a_document_stays_the_same_to_its_readers() {
        let text = "a\u{1b}\u{7f}\u{9b}\u{202e}\u{e0041}ä";
        let document = serde_json::to_string_pretty(&[text]).unwrap();
        let escaped = legible_json(&document);
        assert_eq!(escaped, "[\n  \"a\\u001b\\u007f\\u009b\\u202e\\udb40\\udc41ä\"\n]");
        assert_eq!(serde_json::from_str::<[String; 1]>(&escaped).unwrap(), [text]);
    }

    #[test]
    fn users_and_passwords_are_not_repeated() {
        let check = |text: &str, expected: &str| assert_eq!(without_userinfo(text), expected);
        check("http://host:1", "http://host:1");
        check("mysql://root:p@ss@host:3306/agent", "mysql://***@host:3306/agent");
        check("root:hush@host", "***@host");
    }
}
