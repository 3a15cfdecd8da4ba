//! Records of comma-separated values (RFC 4180): cells may stand in quotes, and then have commas, doubled quotes and line
//! breaks in them.
//!
//! Our own, because the usual crate (`csv` 1.4) takes a quote that is never closed for one long cell: of a recording with such a
//! quote the rest would be left out in silence.

use std::borrow::Cow;

/// A record that is not blank.
#[derive(PartialEq, Debug)]
pub struct Record<'t> {
    /// On which it begins; the first is 1.
    pub line: usize,
    /// Without the blanks around them; what stood in quotes is as it was.
    pub cells: Vec<Cow<'t, str>>,
}

/// What is no record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Broken<'t> {
    /// The quote that was opened on this line is never closed.
    Unclosed { line: usize },
    /// Something follows the quote that closes a cell.
    AfterQuote { line: usize, text: &'t str },
}

/// One after another; after the first that is broken, nothing.
pub struct Records<'t> {
    rest: &'t str,
    line: usize,
}

/// What ended a cell.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Comma,
    Record,
}

impl<'t> Records<'t> {
    pub fn of(text: &'t str) -> Self {
        // Some editors begin a file with a byte order mark.
        Self { rest: text.strip_prefix('\u{feff}').unwrap_or(text), line: 1 }
    }

    fn cell(&mut self) -> Result<(Cow<'t, str>, End), Broken<'t>> {
        let unquoted = self.rest.trim_start_matches([' ', '\t']);
        match unquoted.strip_prefix('"') {
            Some(quoted) => self.quoted(quoted),
            None => {
                let (cell, end) = self.up_to_the_end();
                Ok((Cow::Borrowed(cell), end))
            }
        }
    }

    fn quoted(&mut self, after_quote: &'t str) -> Result<(Cow<'t, str>, End), Broken<'t>> {
        let line = self.line;
        let mut cell = Cow::Borrowed("");
        self.rest = after_quote;
        loop {
            let Some((part, rest)) = self.rest.split_once('"') else {
                self.rest = "";
                return Err(Broken::Unclosed { line });
            };
            self.line += part.matches('\n').count();
            cell += part;
            match rest.strip_prefix('"') {
                Some(rest) => {
                    cell += "\"";
                    self.rest = rest;
                }
                None => {
                    self.rest = rest;
                    break;
                }
            }
        }
        let line = self.line;
        match self.up_to_the_end() {
            ("", end) => Ok((cell, end)),
            (text, _) => {
                self.rest = "";
                Err(Broken::AfterQuote { line, text })
            }
        }
    }

    fn up_to_the_end(&mut self) -> (&'t str, End) {
        let at = self.rest.find([',', '\n']).unwrap_or(self.rest.len());
        let (cell, rest) = self.rest.split_at(at);
        let end = if rest.starts_with(',') { End::Comma } else { End::Record };
        self.line += usize::from(rest.starts_with('\n'));
        self.rest = rest.get(1..).unwrap_or("");
        (cell.trim(), end)
    }
}

impl<'t> Iterator for Records<'t> {
    type Item = Result<Record<'t>, Broken<'t>>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let (line, mut cells) = (self.line, Vec::new());
            loop {
                match self.cell() {
                    Ok((cell, end)) => {
                        cells.push(cell);
                        if end == End::Record {
                            break;
                        }
                    }
                    Err(broken) => return Some(Err(broken)),
                }
            }
            if cells != [""] {
                return Some(Ok(Record { line, cells }));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(usize, &[&str])]) {
        let found: Vec<Record> = Records::of(text).map(Result::unwrap).collect();
        let expected: Vec<Record> = expected
            .iter()
            .map(|(line, cells)| Record { line: *line, cells: cells.iter().map(|cell| Cow::Borrowed(*cell)).collect() })
            .collect();
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn cells_are_told_apart() {
        check("a,b\n1,2", &[(1, &["a", "b"]), (2, &["1", "2"])]);
        check("\u{feff}a , b\r\n\r\n \t\n1,,\r\n", &[(1, &["a", "b"]), (4, &["1", "", ""])]);
        check("\"a, b\",\"say \"\"no\"\"\" ,1\n", &[(1, &["a, b", "say \"no\"", "1"])]);
        check("\"one\ntwo\",1\n2,3", &[(1, &["one\ntwo", "1"]), (3, &["2", "3"])]);
        check("5\" disk,1", &[(1, &["5\" disk", "1"])]);
        check("\"\"\n1", &[(2, &["1"])]);
        check("1,", &[(1, &["1", ""])]);
        check("", &[]);
    }

    #[test]
    fn broken_quotes_are_found_on_their_line() {
        let broken = |text: &'static str| Records::of(text).find_map(Result::err);
        assert_eq!(broken("1\n\n2,\"a\nb"), Some(Broken::Unclosed { line: 3 }));
        assert_eq!(broken("1\n\"a\nb\" c,2"), Some(Broken::AfterQuote { line: 3, text: "c" }));
        assert_eq!(Records::of("\"a").count(), 1, "nothing follows what is broken");
    }
}
