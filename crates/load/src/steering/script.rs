//! A text of verbs: one in each line, `#` begins a comment.

use super::parse::parse;
use super::verb::Verb;
use agent_core::config::{ConfigError, Invalid, Problems};

/// More lines than this are no script that somebody wrote.
pub const LINES_MAX: usize = 100_000;

/// A verb and where it stands.
#[derive(Clone, PartialEq, Debug)]
pub struct Line {
    /// From 1.
    pub number: usize,
    pub verb: Verb,
}

/// Verbs one after another. `source` stays a verb: the file it names is read when its turn comes.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Script {
    pub lines: Vec<Line>,
}

impl Script {
    /// `file` is what its problems are said to be in.
    ///
    /// # Errors
    /// Every line that is no verb, with its number: nothing of a script is done unless all of it can be.
    pub fn read(file: &str, text: &str) -> Result<Self, ConfigError> {
        let mut problems = Problems::default();
        problems.enter(file);
        let mut lines = Vec::new();
        for (number, line) in (1..).zip(text.lines().take(LINES_MAX)) {
            let verb = problems.check(format!("line {number}"), parse(line)).flatten();
            lines.extend(verb.map(|verb| Line { number, verb }));
        }
        if text.lines().nth(LINES_MAX).is_some() {
            problems.add(
                "",
                Invalid::new(
                    format!("it has more than {LINES_MAX} lines"),
                    "make several files of it, and `source` them",
                ),
            );
        }
        problems.settle(Some(Self { lines }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_blank_lines_are_no_verbs() {
        let text = "# the evening\n\nspawn h1 shop 2   # two of them\r\n\t\nsource more.load\necho 'not # a comment'\n";
        let script = Script::read("evening.load", text).unwrap();
        let shown: Vec<String> = script.lines.iter().map(|line| format!("{} {}", line.number, line.verb)).collect();
        assert_eq!(shown, ["3 spawn h1 shop 2", "5 source more.load", "6 echo 'not # a comment'"]);
    }

    #[test]
    fn every_line_that_is_no_verb_is_named() {
        let error = Script::read("evening.load", "ping\nrps h1 shop\nspwan h1 shop\necho 'x\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "evening.load: line 2: rps: 2 words behind it do not fit\n  \
             help: the form is `rps PATTERN SERVICE RATE [--label KEY=VALUE]`\n\
             error: evening.load: line 3: `spwan` is no verb\n  help: did you mean `spawn`? `help` lists all verbs\n\
             error: evening.load: line 4: a quotation mark has no other end, or a `\\` nothing behind it\n  \
             help: close it; a `\\` stands in front of a character that it quotes"
        );
    }

    #[test]
    fn a_script_is_not_endless() {
        assert!(Script::read("s", &"\n".repeat(LINES_MAX)).is_ok());
        let error = Script::read("s", &"\n".repeat(LINES_MAX + 1)).unwrap_err();
        assert_eq!(error.problems()[0].problem, "it has more than 100000 lines");
    }
}
