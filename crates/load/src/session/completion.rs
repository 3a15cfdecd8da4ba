//! How a line that is being typed may go on.

use crate::steering::forms::{FORMS, Form, form_of, forms_of};
use std::collections::BTreeSet;

/// Words that fit where a line ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Completion {
    /// Where the word begins that each of them would replace \[bytes\].
    pub start: usize,
    /// In alphabetical order.
    pub words: Vec<String>,
}

/// What may stand at the end of `line`, which is what was typed up to the cursor: verbs, names of hosts and services, options.
pub fn complete(line: &str, hosts: &[String], services: &[String]) -> Completion {
    let start = line.rfind(char::is_whitespace).map_or(0, |space| space + 1);
    // Behind every space that there is the next character begins, whatever its length.
    let start = (start..=line.len()).find(|at| line.is_char_boundary(*at)).unwrap_or(line.len());
    let (before, begun) = line.split_at(start);
    let before: Vec<&str> = before.split_whitespace().collect();
    let words: BTreeSet<String> = fitting(&before, begun, hosts, services).into_iter().collect();
    Completion { start, words: words.into_iter().filter(|word| word.starts_with(begun)).collect() }
}

fn fitting(before: &[&str], begun: &str, hosts: &[String], services: &[String]) -> Vec<String> {
    let first_words = || FORMS.iter().filter_map(|form| form.name.split(' ').next()).map(str::to_owned).collect();
    let Some(first) = before.first() else { return first_words() };
    let Some(form) = form_of(before.iter().copied()) else {
        // It may be the first word of two.
        let second = |form: &Form| form.name.split(' ').nth(before.len()).map(str::to_owned);
        return forms_of(first).filter(|_| before.len() == 1).filter_map(second).collect();
    };
    if begun.starts_with('-') {
        return form.options.iter().map(|option| option.name.to_owned()).collect();
    }
    let position = arguments(&before[form.name.split(' ').count()..]);
    match form.arguments.split(' ').nth(position).map(|argument| argument.trim_matches(['[', ']'])) {
        Some("PATTERN") => hosts.to_vec(),
        Some("SERVICE") => services.to_vec(),
        Some("VERB") => first_words(),
        Some(_) | None => Vec::new(),
    }
}

/// How many of these words are no options, nor values of options.
fn arguments(words: &[&str]) -> usize {
    let mut words = words.iter();
    let mut count = 0;
    while let Some(word) = words.next() {
        match word.starts_with("--") {
            false => count += 1,
            true if word.contains('=') => {}
            // Its value.
            true => {
                words.next();
            }
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, start: usize, words: &[&str]) {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let completion = complete(line, &names(&["here"]), &names(&["bank", "shop"]));
        assert_eq!(completion, Completion { start, words: names(words) }, "{line}");
    }

    #[test]
    fn verbs_hosts_and_services_are_completed_where_they_stand() {
        check("sp", 0, &["spawn"]);
        check("  p", 2, &["pause", "ping"]);
        check("rtbl ", 5, &["append", "flush", "info", "list", "remove", "set", "unset"]);
        check("exp st", 4, &["start", "stop"]);
        check("rps ", 4, &["here"]);
        check("rps here ", 9, &["bank", "shop"]);
        check("rps here s", 9, &["shop"]);
        check("rps here shop ", 14, &[]);
        check("rtbl info b", 10, &["bank"]);
        check("help rt", 5, &["rtbl"]);
        check("hosts h", 6, &["here"]);
    }

    #[test]
    fn options_and_their_values_are_no_arguments() {
        check("spawn --", 6, &["--label", "--within-ticks"]);
        check("spawn --label zone=A he", 21, &["here"]);
        check("spawn --label=zone=A here ", 26, &["bank", "shop"]);
        check("close here --l", 11, &["--label"]);
    }

    #[test]
    fn what_is_no_verb_has_no_completion() {
        check("nonsense ", 9, &[]);
        check("rtbl nonsense ", 14, &[]);
        check("é\u{3000}é", 5, &[]);
        check("echo ", 5, &[]);
    }
}
