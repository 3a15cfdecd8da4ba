//! Files that were damaged or written by somebody who means harm: configurations and training files. Loading either succeeds or
//! says what is wrong and where; it never panics.
//!
//! `PROPTEST_CASES=100000 cargo test --test fuzz_files` looks for longer.

use agent::app::training_file::TrainingFile;
use agent_core::config::{Invalid, Vocabulary, load};
use agent_core::domain::ids::AgentId;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use std::fs;

const CONFIGURATION: [(&str, &str); 4] = [
    ("network.toml", include_str!("../../fixtures/configurations/valid/three_nodes/network.toml")),
    ("1.toml", include_str!("../../fixtures/configurations/valid/three_nodes/1.toml")),
    ("2.toml", include_str!("../../fixtures/configurations/valid/three_nodes/2.toml")),
    ("3.toml", include_str!("../../fixtures/configurations/valid/three_nodes/3.toml")),
];

const TRAINING: &str = include_str!("../../training/agent-1.json");

const VOCABULARY: Vocabulary =
    Vocabulary { policies: &["cooperative", "fixed", "reference"], expression: |_| Ok::<(), Invalid>(()) };

/// What may stand where something else stood.
const PIECES: [&str; 22] = [
    "",
    "\"",
    "=",
    "[",
    "]",
    "[[",
    "{",
    "}",
    "\n",
    "-1",
    "0",
    "1e999",
    "nan",
    "99999999999999999999",
    "true",
    "\"\"",
    "\u{0}",
    "\u{202e}",
    "''' ",
    "[[node]]\n",
    "id = 1\n",
    "null",
];

#[derive(Clone, Debug)]
enum Damage {
    Replace(Index, usize, String),
    DropLine(Index),
    RepeatLine(Index, Index),
    Truncate(Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let piece = prop_oneof![select(PIECES.to_vec()).prop_map(str::to_owned), "\\PC{0,12}"];
    prop_oneof![
        6 => (any::<Index>(), 0usize..30, piece).prop_map(|(at, length, by)| Damage::Replace(at, length, by)),
        2 => any::<Index>().prop_map(Damage::DropLine),
        2 => (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Damage::RepeatLine(from, to)),
        1 => any::<Index>().prop_map(Damage::Truncate),
    ]
}

impl Damage {
    fn done_to(&self, text: &str) -> String {
        let boundary = |at: usize| (at..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
        let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
        match self {
            Damage::Replace(at, length, by) => {
                let start = boundary(at.index(text.len() + 1));
                let end = boundary((start + length).min(text.len()));
                return format!("{}{by}{}", &text[..start], &text[end..]);
            }
            Damage::Truncate(at) => return text[..boundary(at.index(text.len() + 1))].to_owned(),
            Damage::DropLine(_) | Damage::RepeatLine(..) if lines.is_empty() => {}
            Damage::DropLine(at) => _ = lines.remove(at.index(lines.len())),
            Damage::RepeatLine(from, to) => lines.insert(to.index(lines.len()), lines[from.index(lines.len())]),
        }
        lines.concat()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_configuration_is_loaded_or_explained(
        damages in prop::collection::vec((0..CONFIGURATION.len(), damage()), 1..4),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let mut texts = CONFIGURATION.map(|(_, text)| text.to_owned());
        for (file, damage) in &damages {
            texts[*file] = damage.done_to(&texts[*file]);
        }
        for ((name, _), text) in CONFIGURATION.iter().zip(&texts) {
            fs::write(directory.path().join(name), text).unwrap();
        }
        if let Err(error) = load(Some(directory.path()), &VOCABULARY) {
            prop_assert!(!error.problems().is_empty());
            for problem in error.problems() {
                let names_a_file = CONFIGURATION.iter().any(|(name, _)| problem.file.ends_with(name));
                prop_assert!(names_a_file && !problem.problem.is_empty() && !problem.help.is_empty(), "{problem:?}");
                // Only what is missing from a file has no place in it.
                let is_placed = !problem.place.is_empty() || problem.problem.ends_with("is missing");
                prop_assert!(is_placed, "{problem:?}");
            }
        }
    }

    #[test]
    fn a_damaged_training_file_is_read_or_refused(damages in prop::collection::vec(damage(), 1..4)) {
        let directory = tempfile::tempdir().unwrap();
        let text = damages.iter().fold(TRAINING.to_owned(), |text, damage| damage.done_to(&text));
        fs::write(TrainingFile::path(directory.path(), AgentId(1)), text).unwrap();
        match TrainingFile::read(directory.path(), AgentId(1), "make it anew with `agent train --id 1`") {
            Ok(file) => {
                let impacts = file.unwrap().impacts;
                let sane = |value: f64| (-1.0..=1.0).contains(&value);
                prop_assert!(impacts.values().flat_map(|impacts| impacts.iter()).all(|(_, value)| sane(value)));
            }
            Err(error) => {
                let message = format!("{error:#}");
                prop_assert!(message.contains("agent-1.json: "), "{message}");
                prop_assert!(message.contains("make it anew with `agent train --id 1`"), "{message}");
            }
        }
    }
}
