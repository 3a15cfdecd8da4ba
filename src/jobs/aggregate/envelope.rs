//! An object around the array of records: `{"count": 2, "data": [...]}`.

use super::parse::{Malformed, Unreadable};
use super::scanner::{Container, Scanner, Token};
use super::unusable::{MemberNames, kind_of};
use agent_core::domain::records_path::RecordsPath;

/// Through how many objects an array of records is looked for that no path leads to.
const DEEPEST_GUESS: usize = 3;

/// Reads what stands before and after the array that a path leads to, and keeps nothing of it.
pub(super) struct Envelope {
    path: RecordsPath,
    scanner: Scanner,
    /// Of the scanner's first byte, in the object; the array that it does not see is counted in.
    start: u64,
    is_opened: bool,
    /// How many of the path's names lead to the innermost open object on its way.
    followed: usize,
    /// Whether the next value is what the path's next name leads to.
    is_next: bool,
    has_array: bool,
    /// How far the path could be followed, and what was there instead of its next name.
    farthest: usize,
    members: MemberNames,
}

impl Envelope {
    /// `start`: of the document's first byte, in the object.
    pub(super) fn new(path: RecordsPath, start: u64) -> Self {
        Self {
            path,
            scanner: Scanner::default(),
            start,
            is_opened: false,
            followed: 0,
            is_next: true,
            has_array: false,
            farthest: 0,
            members: MemberNames::default(),
        }
    }

    /// Where the next byte is, in the object.
    pub(super) fn offset(&self) -> u64 {
        self.start + self.scanner.offset()
    }

    /// Takes what stands before the array from the front; `true` when the next byte is its `[`.
    pub(super) fn find_array(&mut self, bytes: &mut &[u8]) -> Result<bool, Unreadable> {
        let all = *bytes;
        while let Some(token) = self.next(bytes)? {
            if self.follow(token)? {
                *bytes = &all[all.len() - bytes.len() - 1..];
                self.scanner.leave_array();
                (self.has_array, self.is_next) = (true, false);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Checks what stands behind the array; `offset` is of the first of these bytes, in the object.
    pub(super) fn read_after(&mut self, offset: u64, mut bytes: &[u8]) -> Result<(), Unreadable> {
        self.start += offset - self.offset();
        while let Some(token) = self.next(&mut bytes)? {
            self.follow(token)?;
            if self.is_next && self.followed + 1 == self.path.names().len() {
                return Err(Unreadable::Unusable(format!("`{}` is there twice", self.path)));
            }
        }
        Ok(())
    }

    /// The document has ended.
    pub(super) fn finish(&self) -> Result<(), Unreadable> {
        if !self.scanner.is_finished() {
            let reason = "the object ends before the one around the records does".to_owned();
            return Err(Malformed { offset: self.offset(), reason }.into());
        }
        if self.has_array {
            return Ok(());
        }
        let (names, next) = self.path.names().split_at(self.farthest);
        let place = RecordsPath::new(names.to_vec());
        let members = self.members.describe(next.first().map_or("", String::as_str));
        Err(Unreadable::Unusable(format!("there is nothing at `{}`: `{place}` has {members}", self.path)))
    }

    fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<Token>, Malformed> {
        let start = self.start;
        let shift = |malformed: Malformed| Malformed { offset: start + malformed.offset, ..malformed };
        self.scanner.next(bytes).map_err(shift)
    }

    /// Whether this token opens the array.
    fn follow(&mut self, token: Token) -> Result<bool, Unreadable> {
        let depth = self.scanner.depth();
        let wanted = self.path.names().len();
        match token {
            Token::Name(name) => {
                if depth == self.followed + 1 {
                    self.is_next = self.path.names().get(self.followed) == Some(&name);
                    if !self.is_next && self.followed == self.farthest {
                        self.members.add(&name);
                    }
                }
                return Ok(false);
            }
            Token::Open(Container::Object) if self.is_next && !self.is_opened => self.is_opened = true,
            Token::Open(Container::Object) if self.is_next && self.followed + 1 < wanted => {
                self.followed += 1;
                if self.followed > self.farthest {
                    self.farthest = self.followed;
                    self.members = MemberNames::default();
                }
            }
            Token::Open(Container::Array) if self.is_next && self.is_opened && self.followed + 1 == wanted => {
                return Ok(true);
            }
            Token::Open(_) | Token::Scalar(_) if self.is_next => return Err(self.astray(&token)),
            Token::Close(Container::Object) if depth == self.followed => {
                self.followed = self.followed.saturating_sub(1)
            }
            Token::Open(_) | Token::Close(_) | Token::Scalar(_) => {}
        }
        self.is_next = false;
        Ok(false)
    }

    /// What the path leads to is something else than it has to be.
    fn astray(&self, token: &Token) -> Unreadable {
        let found = match token {
            Token::Open(Container::Array) => kind_of(b'['),
            Token::Open(Container::Object) => kind_of(b'{'),
            Token::Scalar(first) => kind_of(*first),
            Token::Name(_) | Token::Close(_) => "no value",
        };
        let path = &self.path;
        Unreadable::Unusable(match self.is_opened {
            false if *token == Token::Open(Container::Array) => {
                format!("it is an array itself, not an object around one: leave out path = \"{path}\"")
            }
            false => format!("it is {found}, not an object with an array at `{path}`"),
            true => {
                let names = self.path.names();
                let reached = RecordsPath::new(names[..self.followed + 1].to_vec());
                let wanted = if self.followed + 1 == names.len() { "an array of records" } else { "an object" };
                format!("`{reached}` is {found}, not {wanted}")
            }
        })
    }
}

/// The way to the first array of objects within the object that `text` starts with, which may end anywhere.
pub(super) fn array_within(mut text: &[u8]) -> Option<RecordsPath> {
    let mut scanner = Scanner::default();
    let (mut names, mut open_arrays, mut is_candidate) = (Vec::new(), 0, false);
    while let Ok(Some(token)) = scanner.next(&mut text) {
        let was_candidate = std::mem::take(&mut is_candidate);
        match token {
            Token::Open(Container::Object) if was_candidate => return Some(RecordsPath::new(names)),
            Token::Open(Container::Array) => {
                // What is open besides it are objects.
                is_candidate = open_arrays == 0 && (1..=DEEPEST_GUESS).contains(&(scanner.depth() - 1));
                open_arrays += 1;
            }
            Token::Close(Container::Array) => open_arrays -= 1,
            Token::Name(name) if open_arrays == 0 => {
                names.truncate(scanner.depth() - 1);
                names.push(name);
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(path: &str) -> Envelope {
        Envelope::new(path.parse().unwrap(), 3)
    }

    /// Where the array begins and what is left behind it, with the text in pieces of this length.
    fn find(path: &str, text: &str, piece_bytes: usize) -> Result<Option<usize>, Unreadable> {
        let mut envelope = envelope(path);
        for (i, mut piece) in text.as_bytes().chunks(piece_bytes).enumerate() {
            let bytes = piece.len();
            if envelope.find_array(&mut piece)? {
                let at = i * piece_bytes + bytes - piece.len();
                assert_eq!(envelope.offset(), 3 + at as u64);
                let end = text.rfind(']').unwrap() + 1;
                envelope.read_after(3 + end as u64, &text.as_bytes()[end..])?;
                envelope.finish()?;
                return Ok(Some(at));
            }
        }
        envelope.finish().map(|()| None)
    }

    #[track_caller]
    fn check(path: &str, text: &str, expected: Result<usize, &str>) {
        for piece_bytes in [1, 3, 1000] {
            let found = find(path, text, piece_bytes).map(|at| at.unwrap()).map_err(|unreadable| match unreadable {
                Unreadable::Malformed(Malformed { offset, reason }) => format!("{offset}: {reason}"),
                Unreadable::Unusable(reason) => reason,
            });
            assert_eq!(found.as_ref().map_err(String::as_str), expected.as_ref().map_err(|reason| *reason), "{text}");
        }
    }

    #[test]
    fn the_array_is_found_where_the_path_leads() {
        check("$.data", r#"{"data":[1]}"#, Ok(8));
        check("$.data", r#" {"count":2,"inner":{"data":[0]},"data": [1],"next":null} "#, Ok(41));
        check("$.a.b", r#"{"b":[0],"a":{"c":{"b":[0]},"b":[[1]]},"c":{"b":1}}"#, Ok(32));
        check("$.a.b", r#"{"a":{},"a":{"b":[]}}"#, Ok(17));
    }

    #[test]
    fn a_path_that_leads_nowhere_is_told_with_what_is_there() {
        check(
            "$.dta",
            r#"{"count":2,"data":[1]}"#,
            Err("there is nothing at `$.dta`: `$` has the members `count`, `data`"),
        );
        check("$.a.b", r#"{"a":{"c":1},"d":2}"#, Err("there is nothing at `$.a.b`: `$.a` has the members `c`"));
        check("$.a", "{}", Err("there is nothing at `$.a`: `$` has no members"));
        check("$.a", r#"{"a":7}"#, Err("`$.a` is a number, not an array of records"));
        check("$.a", r#"{"a":{"b":[]}}"#, Err("`$.a` is an object, not an array of records"));
        check("$.a.b", r#"{"a":[]}"#, Err("`$.a` is an array, not an object"));
        check("$.a", "[1]", Err(r#"it is an array itself, not an object around one: leave out path = "$.a""#));
        check("$.a", "7 ", Err("it is a number, not an object with an array at `$.a`"));
        check("$.a", r#"{"a":[],"a":1}"#, Err("`$.a` is there twice"));
    }

    #[test]
    fn what_stands_around_the_array_is_json_to_its_end() {
        check("$.a", r#"{"b":x,"a":[]}"#, Err("8: expected value"));
        check("$.a", r#"{"a":[]x}"#, Err("10: expected `,` or `}`"));
        check("$.a", r#"{"a":[]"#, Err("10: the object ends before the one around the records does"));
        check("$.a", r#"{"a":[]}}"#, Err("11: expected nothing after the object"));
    }

    #[test]
    fn an_array_of_records_is_seen_within_an_object() {
        let within = |text: &str| array_within(text.as_bytes()).map(|path| path.to_string());
        assert_eq!(within(r#"{"count":1,"data":[{"a":"#).as_deref(), Some("$.data"));
        assert_eq!(within(r#"{"x":{"y":[]},"a":{"b":[1,[{}]],"c":[ {"#).as_deref(), Some("$.a.c"));
        assert_eq!(within(r#"{"a":{"b":{"c":{"d":[{}]}}}}"#), None);
        assert_eq!(within(r#"{"a":[1],"b":[[{}]]}"#), None);
        assert_eq!(within(r#"[{"a":[{}]}]"#), None);
    }
}
