//! JSON in pieces of any length, token by token: for what stands around the records, and is never kept.

use super::LONGEST_RECORD;
use super::parse::{Malformed, reason};
use serde::de::IgnoredAny;

/// How deep arrays and objects may be nested, as serde_json has it.
const DEEPEST: usize = 128;

/// What the text consists of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Token {
    Open(Container),
    Close(Container),
    /// A member's name; its value comes next.
    Name(String),
    /// A string, a number, `true`, `false` or `null`: its first byte.
    Scalar(u8),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Container {
    Object,
    Array,
}

/// Reads one value, of which it keeps the token that is not finished yet.
#[derive(Default)]
pub(super) struct Scanner {
    open: Vec<Container>,
    expected: Expected,
    /// The beginning of a string, a number or a literal.
    begun: Vec<u8>,
    /// Whether a string's next character is escaped.
    is_escaped: bool,
    /// How many bytes were read.
    offset: u64,
}

/// What may come next, besides white space.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Expected {
    #[default]
    Value,
    /// Or the end of the array.
    FirstElement,
    /// Or the end of the object.
    FirstName,
    Name,
    Colon,
    /// A comma, or the end of what is open.
    Next,
    Nothing,
}

impl Scanner {
    /// Leaves the array whose `[` was just read to somebody else, with its brackets, and goes on behind it.
    pub(super) fn leave_array(&mut self) {
        self.open.pop();
        self.offset -= 1;
        self.value_ended();
    }

    /// How many objects and arrays are open.
    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    /// How many bytes were read.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn is_finished(&self) -> bool {
        self.expected == Expected::Nothing
    }

    /// Takes bytes from the front until they make a token; `None` when they are used up. Errors count bytes from the scanner's
    /// first.
    pub(super) fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<Token>, Malformed> {
        while let Some(&byte) = bytes.first() {
            if !self.begun.is_empty() {
                if let Some(token) = self.go_on(bytes)? {
                    return Ok(Some(token));
                }
                continue;
            }
            let token = match (self.expected, byte) {
                (_, b' ' | b'\t' | b'\r' | b'\n') => None,
                (Expected::Value | Expected::FirstElement, b'{') => Some(self.open(Container::Object)?),
                (Expected::Value | Expected::FirstElement, b'[') => Some(self.open(Container::Array)?),
                (Expected::Value | Expected::FirstElement, b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n')
                | (Expected::FirstName | Expected::Name, b'"') => {
                    self.begun.push(byte);
                    None
                }
                (Expected::Colon, b':') => {
                    self.expected = Expected::Value;
                    None
                }
                (Expected::Next, b',') => {
                    self.expected =
                        if self.open.last() == Some(&Container::Object) { Expected::Name } else { Expected::Value };
                    None
                }
                (Expected::FirstName | Expected::Next, b'}') => Some(self.close(Container::Object)?),
                (Expected::FirstElement | Expected::Next, b']') => Some(self.close(Container::Array)?),
                _ => return Err(self.wrong(self.expectation())),
            };
            *bytes = &bytes[1..];
            self.offset += 1;
            if token.is_some() {
                return Ok(token);
            }
        }
        Ok(None)
    }

    /// More of a string, a number or a literal.
    fn go_on(&mut self, bytes: &mut &[u8]) -> Result<Option<Token>, Malformed> {
        let is_string = self.begun[0] == b'"';
        let end = if is_string { self.string_end(bytes) } else { number_end(bytes) };
        let length = end.unwrap_or(bytes.len());
        self.begun.extend_from_slice(&bytes[..length]);
        self.offset += length as u64;
        *bytes = &bytes[length..];
        if self.begun.len() > LONGEST_RECORD {
            let reason = format!("the value that begins here is longer than {LONGEST_RECORD} bytes");
            return Err(self.wrong_from_its_beginning(reason));
        }
        end.map(|_| self.finish_token()).transpose()
    }

    fn string_end(&mut self, bytes: &[u8]) -> Option<usize> {
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => return Some(at + 1),
                _ => {}
            }
        }
        None
    }

    /// Whether what was begun is right is serde_json's to say.
    fn finish_token(&mut self) -> Result<Token, Malformed> {
        let checked = match (std::str::from_utf8(&self.begun), self.expected) {
            (Err(_), _) => Err("this is not UTF-8".to_owned()),
            (Ok(text), Expected::FirstName | Expected::Name) => {
                serde_json::from_str(text).map(Token::Name).map_err(|error| reason(&error))
            }
            (Ok(text), _) => serde_json::from_str::<IgnoredAny>(text)
                .map(|_| Token::Scalar(self.begun[0]))
                .map_err(|error| reason(&error)),
        };
        let token = checked.map_err(|reason| self.wrong_from_its_beginning(reason))?;
        self.begun.clear();
        match token {
            Token::Name(_) => self.expected = Expected::Colon,
            _ => self.value_ended(),
        }
        Ok(token)
    }

    fn open(&mut self, container: Container) -> Result<Token, Malformed> {
        if self.open.len() == DEEPEST {
            return Err(self.wrong(&format!("more than {DEEPEST} arrays and objects are nested")));
        }
        self.open.push(container);
        self.expected = match container {
            Container::Object => Expected::FirstName,
            Container::Array => Expected::FirstElement,
        };
        Ok(Token::Open(container))
    }

    fn close(&mut self, container: Container) -> Result<Token, Malformed> {
        if self.open.last() != Some(&container) {
            return Err(self.wrong(self.expectation()));
        }
        self.open.pop();
        self.value_ended();
        Ok(Token::Close(container))
    }

    fn value_ended(&mut self) {
        self.expected = if self.open.is_empty() { Expected::Nothing } else { Expected::Next };
    }

    fn expectation(&self) -> &'static str {
        match (self.expected, self.open.last()) {
            (Expected::Value | Expected::FirstElement, _) => "expected value",
            (Expected::FirstName | Expected::Name, _) => "key must be a string",
            (Expected::Colon, _) => "expected `:`",
            (Expected::Next, Some(Container::Array)) => "expected `,` or `]`",
            (Expected::Next, _) => "expected `,` or `}`",
            (Expected::Nothing, _) => "expected nothing after the object",
        }
    }

    fn wrong(&self, reason: &str) -> Malformed {
        Malformed { offset: self.offset, reason: reason.to_owned() }
    }

    fn wrong_from_its_beginning(&self, reason: String) -> Malformed {
        Malformed { offset: self.offset - self.begun.len() as u64, reason }
    }
}

/// Of a number or a literal.
fn number_end(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| matches!(byte, b',' | b']' | b'}' | b':' | b' ' | b'\t' | b'\r' | b'\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every token, with the text in pieces of this length.
    fn scan(text: &str, piece_bytes: usize) -> Result<(Vec<Token>, bool), Malformed> {
        let mut scanner = Scanner::default();
        let mut tokens = Vec::new();
        for mut piece in text.as_bytes().chunks(piece_bytes) {
            while let Some(token) = scanner.next(&mut piece)? {
                tokens.push(token);
            }
        }
        Ok((tokens, scanner.is_finished()))
    }

    #[test]
    fn tokens_come_out_however_the_text_is_cut() {
        use Container::{Array, Object};
        use Token::{Close, Name, Open, Scalar};
        let text = "{\"a\\\"\\\\\" : [1.5e3, \"x,]\\\\\", true , {}, []] ,\r\n\"\\u00e4\":null}\n";
        let expected = [
            Open(Object),
            Name("a\"\\".to_owned()),
            Open(Array),
            Scalar(b'1'),
            Scalar(b'"'),
            Scalar(b't'),
            Open(Object),
            Close(Object),
            Open(Array),
            Close(Array),
            Close(Array),
            Name("ä".to_owned()),
            Scalar(b'n'),
            Close(Object),
        ];
        for piece_bytes in [1, 2, 7, 100] {
            assert_eq!(scan(text, piece_bytes), Ok((expected.to_vec(), true)));
        }
        assert!(!scan("{\"a\":[1", 3).unwrap().1);
    }

    #[test]
    fn what_is_no_json_is_shown() {
        let check = |text: &str, offset: u64, reason: &str| {
            for piece_bytes in [1, 100] {
                assert_eq!(scan(text, piece_bytes), Err(Malformed { offset, reason: reason.to_owned() }), "{text}");
            }
        };
        check("{a:1}", 1, "key must be a string");
        check("{\"a\" 1}", 5, "expected `:`");
        check("{\"a\":}", 5, "expected value");
        check("{\"a\":01,", 5, "invalid number");
        check("{\"a\":1]", 6, "expected `,` or `}`");
        check("[1}", 2, "expected `,` or `]`");
        check("{\"a\":1,}", 7, "key must be a string");
        check("[1] [", 4, "expected nothing after the object");
        check("[\"\\q\"]", 1, "invalid escape");
        check("[\"\n\"]", 1, "control character (\\u0000-\\u001F) found while parsing a string");
        check(&"[".repeat(200), 128, "more than 128 arrays and objects are nested");
    }
}
