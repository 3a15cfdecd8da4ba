//! Pages and tables as a browser and a spreadsheet would read them, with no code of the program.

#![allow(dead_code, reason = "each test file uses its part")]

pub mod experiment;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A page.
pub struct Html {
    pub text: String,
}

/// One tag.
struct Tag<'a> {
    /// `/section` when it ends one.
    name: &'a str,
    attributes: Vec<(&'a str, &'a str)>,
    /// Where its text begins.
    end: usize,
}

/// Elements that have no end.
const VOID: [&str; 8] = ["meta", "link", "br", "hr", "img", "input", "col", "wbr"];

impl Html {
    pub fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { text }
    }

    /// What stands in the elements of a name that hold text alone.
    pub fn text_of(&self, name: &str) -> Vec<String> {
        let of_name = self.tags().into_iter().filter(|tag| tag.name == name);
        of_name.map(|tag| self.text[tag.end..].split('<').next().unwrap_or_default().to_owned()).collect()
    }

    /// Whatever is wrong: elements that do not fit into each other, what would be fetched, names that lead nowhere, tables
    /// without headers and figures without captions.
    pub fn problems(&self) -> Vec<String> {
        let tags = self.tags();
        let mut problems = Vec::new();
        let mut open: Vec<&str> = Vec::new();
        for tag in &tags {
            match tag.name.strip_prefix('/') {
                None if VOID.contains(&tag.name) || tag.name == "!DOCTYPE" => {}
                None => open.push(tag.name),
                Some(name) if open.last() == Some(&name) => _ = open.pop(),
                Some(name) => problems.push(format!("</{name}> within {open:?}")),
            }
        }
        problems.extend((!open.is_empty()).then(|| format!("never ended: {open:?}")));
        let values = |wanted: &'static str| {
            let all = tags.iter().flat_map(|tag| tag.attributes.iter());
            all.filter(move |(name, _)| *name == wanted).map(|(_, value)| *value).collect::<Vec<_>>()
        };
        let ids: BTreeSet<&str> = values("id").into_iter().collect();
        if ids.len() != values("id").len() {
            problems.push("an id stands for two elements".to_owned());
        }
        let inside = |link: &&&str| link.strip_prefix('#').is_some_and(|id| ids.contains(id));
        problems
            .extend(values("href").iter().filter(|link| !inside(link)).map(|link| format!("leads nowhere: {link}")));
        problems.extend(values("src").iter().map(|source| format!("is fetched: {source}")));
        for word in ["=\"http://", "=\"https://", "@import", "url("] {
            if self.text.contains(word) {
                problems.push(format!("is fetched: {word}"));
            }
        }
        let count = |name: &str| tags.iter().filter(|tag| tag.name == name).count();
        for (one, other) in [("table", "thead"), ("table", "caption"), ("figure", "figcaption")] {
            if count(one) != count(other) {
                problems.push(format!("{} {one}, {} {other}", count(one), count(other)));
            }
        }
        let is_named =
            |tag: &&Tag| tag.attributes.iter().any(|(name, value)| *name == "aria-label" && !value.is_empty());
        let silent = tags.iter().filter(|tag| tag.name == "svg").filter(|tag| !is_named(tag)).count();
        problems.extend((silent > 0).then(|| format!("{silent} pictures without a name")));
        problems
    }

    /// In order, without what stands in style and script.
    fn tags(&self) -> Vec<Tag<'_>> {
        let mut tags: Vec<Tag> = Vec::new();
        let mut at = 0;
        while let Some(begin) = self.text[at..].find('<').map(|found| at + found + 1) {
            if let Some(raw) = tags.last().map(|tag| tag.name).filter(|name| ["style", "script"].contains(name)) {
                let end = self.text[at..].find(&format!("</{raw}>")).expect("style and script end");
                tags.push(tag(&self.text, at + end + 1));
            } else {
                tags.push(tag(&self.text, begin));
            }
            at = tags.last().map_or(at, |tag| tag.end);
        }
        tags
    }
}

/// The tag whose name begins there. Panics at an attribute without quotes.
fn tag(text: &str, begin: usize) -> Tag<'_> {
    let length = text[begin..].find(|c: char| c.is_whitespace() || c == '>').expect("a tag ends");
    let (name, mut at) = (&text[begin..begin + length], begin + length);
    let mut attributes = Vec::new();
    while !text[at..].starts_with('>') {
        let rest = text[at..].trim_start();
        let start = text.len() - rest.len();
        let length = rest.find(|c: char| c.is_whitespace() || "=>".contains(c)).expect("an attribute ends");
        at = start + length;
        let mut value = "";
        if let Some(quoted) = text[at..].strip_prefix("=\"") {
            value = quoted.split('"').next().unwrap_or_default();
            at += value.len() + 3;
        }
        if length > 0 {
            assert!(!text[at..].starts_with('='), "an attribute without quotes: {}", &text[start..at + 20]);
            attributes.push((&rest[..length], value));
        }
    }
    Tag { name, attributes, end: at + 1 }
}

/// The rows of a CSV file; all have as many fields.
pub fn csv(path: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut rows = vec![vec![String::new()]];
    let mut letters = text.chars().peekable();
    let mut quoted = false;
    while let Some(letter) = letters.next() {
        let row = rows.last_mut().expect("there is a row");
        match letter {
            '"' if quoted && letters.next_if_eq(&'"').is_some() => row.last_mut().expect("a field").push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(String::new()),
            '\n' if !quoted => rows.push(vec![String::new()]),
            other => row.last_mut().expect("a field").push(other),
        }
    }
    assert_eq!((quoted, rows.pop()), (false, Some(vec![String::new()])), "{}: ends with a line", path.display());
    assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{}: {rows:?}", path.display());
    rows
}
