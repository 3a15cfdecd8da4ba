//! What is said about a configuration that cannot be used, word for word: one mistake at a time from a table
//! (`fixtures/configurations/invalid/one_mistake.txt`), whole folders, and arbitrary text.

use agent_core::config::{ConfigError, Invalid, Vocabulary, load};
use proptest::prelude::*;
use std::fs;
use std::path::Path;

const CASES: &str = include_str!("../../fixtures/configurations/invalid/one_mistake.txt");
const THREE_NODES: [(&str, &str); 4] = [
    ("network.toml", include_str!("../../fixtures/configurations/valid/three_nodes/network.toml")),
    ("1.toml", include_str!("../../fixtures/configurations/valid/three_nodes/1.toml")),
    ("2.toml", include_str!("../../fixtures/configurations/valid/three_nodes/2.toml")),
    ("3.toml", include_str!("../../fixtures/configurations/valid/three_nodes/3.toml")),
];

const VOCABULARY: Vocabulary = Vocabulary { policies: &["reference", "fixed", "cooperative"], expression };

fn expression(text: &str) -> Result<(), Invalid> {
    match text.starts_with("mean") {
        true => Err(Invalid::new(
            "unknown function `mean` at column 1",
            "functions are avg, count, max, min, quantile, sum",
        )),
        false => Ok(()),
    }
}

/// Loads a folder `agents` with these files.
fn load_files(files: &[(&str, &[u8])]) -> Result<(), ConfigError> {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("agents");
    fs::create_dir(&directory).unwrap();
    for (name, bytes) in files {
        fs::write(directory.join(name), bytes).unwrap();
    }
    load(Some(&directory), &VOCABULARY).map(|_settings| ())
}

/// What is printed about the folder, without the path that leads to it.
fn complaint(files: &[(&str, &[u8])]) -> String {
    let error = load_files(files).expect_err("the configuration is wrong");
    let folder = |file: &str| match file.rsplit_once("/agents") {
        Some((root, _)) => format!("{root}/"),
        None => String::new(),
    };
    error.problems().iter().fold(format!("error: {error}"), |text, problem| text.replace(&folder(&problem.file), ""))
}

/// The three-node environment with one file changed.
fn with<'a>(name: &str, bytes: &'a [u8]) -> Vec<(&'a str, &'a [u8])> {
    let replace =
        |(file, text): (&'static str, &'static str)| (file, if file == name { bytes } else { text.as_bytes() });
    THREE_NODES.into_iter().map(replace).collect()
}

struct Case<'a> {
    file: &'a str,
    replaced: String,
    by: String,
    printed: String,
}

fn cases() -> impl Iterator<Item = Case<'static>> {
    CASES.split("\n\n").filter(|block| !block.starts_with('#')).map(|block| {
        let (file, rest) = block.split_once('\n').expect("a case has a file's name and more");
        let (edit, printed) = rest.split_once("error: ").expect("a case says what is printed");
        let marked = |mark: char| {
            let lines = edit.lines().filter_map(|line| line.strip_prefix(mark));
            lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
        };
        Case { file, replaced: marked('-'), by: marked('+'), printed: format!("error: {}", printed.trim_end()) }
    })
}

/// A folder with two data sets, and something in one of its files replaced.
fn with_two_data_sets(file: &str, replaced: &str, by: &str) -> String {
    const FILES: [(&str, &str); 5] = [
        ("network.toml", include_str!("../../fixtures/configurations/valid/two_data_sets/network.toml")),
        ("1.toml", include_str!("../../fixtures/configurations/valid/two_data_sets/1.toml")),
        ("2.toml", include_str!("../../fixtures/configurations/valid/two_data_sets/2.toml")),
        ("3.toml", include_str!("../../fixtures/configurations/valid/two_data_sets/3.toml")),
        ("4.toml", include_str!("../../fixtures/configurations/valid/two_data_sets/4.toml")),
    ];
    let edited = FILES.map(|(name, text)| {
        assert!(name != file || text.contains(replaced), "{file} has no `{replaced}`");
        (name, if name == file { text.replacen(replaced, by, 1) } else { text.to_owned() })
    });
    let files: Vec<(&str, &[u8])> = edited.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    complaint(&files)
}

#[test]
fn several_data_sets_are_apart_and_each_application_names_its_own() {
    let check = |file: &str, replaced: &str, by: &str, said: &str| {
        assert_eq!(with_two_data_sets(file, replaced, by), said);
    };
    check(
        "1.toml",
        "data_set = \"blood_tests\"\n",
        "",
        "error: agents/1.toml: data_set: is missing: there are several data sets\n  help: the network's are `blood_tests`, \
         `urine_tests`; name one",
    );
    check(
        "4.toml",
        "data_set = \"urine_tests\"",
        "data_set = \"urin_tests\"",
        "error: agents/4.toml: data_set: there is no data set `urin_tests`\n  help: the network's are `blood_tests`, \
         `urine_tests`; name one of them",
    );
    let apart =
        "can have objects in common\n  help: give one of them another prefix or key, or make one data set of both";
    for key in ["blood_tests.json", "blood_tests.json/urine.json", "blood_tests.json.replicas/urine.json"] {
        let said =
            format!("error: agents/network.toml: data_set urine_tests: data sets blood_tests and urine_tests {apart}");
        check("network.toml", "urine_tests.json", key, &said);
    }
    check(
        "network.toml",
        "generate_records = 276_864",
        "generate_records = 0",
        "error: agents/network.toml: data_set urine_tests.generate_records: 0 is out of range\n  help: it is a whole number \
         between 1 and 1000000000000",
    );
}

#[test]
fn each_mistake_is_named_with_its_place_and_its_remedy() {
    let mut wrong = Vec::new();
    for Case { file, replaced, by, printed } in cases() {
        let (_, text) = THREE_NODES.into_iter().find(|(name, _)| *name == file).expect("a file of the environment");
        assert!(text.contains(&replaced), "{file} has no `{replaced}`");
        let said = complaint(&with(file, text.replacen(&replaced, &by, 1).as_bytes()));
        if said != printed {
            wrong.push(format!("{file}: `{replaced}` -> `{by}`\nexpected {printed}\nsaid     {said}\n"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(cases().count(), 147);
}

#[test]
fn all_mistakes_are_told_at_once() {
    let network =
        THREE_NODES[0].1.replace("97 %", "197 %").replace("7 ms", "7 kB").replace("threshold = 0.3", "threshold = 3");
    let first = THREE_NODES[1].1.replace("<= 35 s", "<= 35 ms s").replace("move = 1.5", "move = 0");
    let mut files = with("network.toml", network.as_bytes());
    files[1].1 = first.as_bytes();
    files[3].1 = b"goal = 3";
    let expected = "\
error: agents/network.toml: node 1: availability: 197 % is out of range
  help: a share lies between 0 % and 100 %
error: agents/network.toml: link 1-2: jitter: `kB` is not a unit of time
  help: units are us, ms, s, min, h, d
error: agents/network.toml: link 1-3: jitter: `kB` is not a unit of time
  help: units are us, ms, s, min, h, d
error: agents/network.toml: link 2-3: jitter: `kB` is not a unit of time
  help: units are us, ms, s, min, h, d
error: agents/network.toml: feedback.threshold: 3 is out of range
  help: it lies between 0 and 1
error: agents/1.toml: goal: unexpected `s` at column 24
  help: join requirements with `and`, `or` and parentheses
error: agents/1.toml: cost.move: 0 is out of range
  help: it has to be greater than 0
error: agents/3.toml: line 1, column 8: found integer `3` instead of text in quotes
  help: write it like `goal = \"response_time <= 35 s and availability >= 95 %\"`; docs/configuration.md explains it";
    assert_eq!(complaint(&files), expected);
}

#[test]
fn a_problem_has_its_parts() {
    let first = THREE_NODES[1].1.replace("move = 1.5", "move = 0");
    let error = load_files(&with("1.toml", first.as_bytes())).unwrap_err();
    let [problem] = error.problems() else { panic!("{error}") };
    assert!(problem.file.ends_with("agents/1.toml"), "{}", problem.file);
    assert_eq!(problem.place, "cost.move");
    assert_eq!(problem.problem, "0 is out of range");
    assert_eq!(problem.help, "it has to be greater than 0");
}

#[test]
fn a_network_that_cannot_be_read_does_not_hide_what_is_wrong_with_an_agent() {
    let first = THREE_NODES[1].1.replace("move = 1.5", "move = 0");
    let mut files = with("1.toml", first.as_bytes());
    files[0].1 = b"nodes = 3";
    let expected = "\
error: agents/network.toml: line 1, column 1: unknown key `nodes`
  help: did you mean `node`? keys here are knowledge, time_scale, emulator, budget, data_set, node, link, feedback, learning, rhythm, membership
error: agents/1.toml: cost.move: 0 is out of range
  help: it has to be greater than 0";
    assert_eq!(complaint(&files), expected);
}

#[test]
fn a_large_network_without_links_does_not_flood_the_terminal() {
    let more: String =
        (4..=20).map(|id| format!("[[node]]\nid = {id}\nname = \"node-{id}\"\navailability = \"90 %\"\n\n")).collect();
    let network = THREE_NODES[0].1.replace("# Every two nodes", &format!("{more}# Every two nodes"));
    let said = complaint(&with("network.toml", network.as_bytes()));
    assert_eq!(said.lines().count(), 2 * (10 + 1), "{said}");
    // 20 nodes are 190 pairs; 3 of them have links.
    assert!(said.contains("error: agents/network.toml: link: 177 more pairs of nodes have no link\n"), "{said}");
}

const LAYOUT: &str =
    "\n  help: a configuration is a folder with network.toml and one N.toml for each agent; see docs/configuration.md";

#[test]
fn a_folder_without_its_files_is_named() {
    let expected = format!(
        "error: agents: there is no agent\n  help: add one N.toml for each agent, `1.toml` for agent 1\n\
         error: agents/network.toml: does not exist{LAYOUT}"
    );
    assert_eq!(complaint(&[("README.md", b"")]), expected);
    let missing = load(Some(Path::new("no/such/folder")), &VOCABULARY).unwrap_err();
    assert_eq!(missing.to_string(), format!("no/such/folder: does not exist{LAYOUT}"));
}

#[test]
fn a_file_that_belongs_to_no_agent_is_named() {
    for name in ["cloud.toml", "01.toml", "0.toml", "-1.toml"] {
        let mut files = with("", b"");
        files.push((name, b""));
        let expected =
            format!("error: agents/{name}: does not belong to an agent: its name is not a number from 1{LAYOUT}");
        assert_eq!(complaint(&files), expected);
    }
}

#[test]
fn a_file_that_is_not_text_is_named() {
    let expected = "error: agents/2.toml: is not UTF-8 text\n  help: save the file as UTF-8";
    assert_eq!(complaint(&with("2.toml", b"goal = \"\xff\"")), expected);
}

proptest! {
    /// Arbitrary text, and the real files with arbitrary text in the place of a part.
    #[test]
    fn no_text_makes_loading_panic(
        file in 0usize..2,
        text in "(\\PC|\n|[\\[\\]=\"{}.,0-9]){0,80}",
        whole in any::<bool>(),
        start in any::<prop::sample::Index>(),
        length in 0usize..60,
    ) {
        let (name, original) = THREE_NODES[file];
        let start = start.index(original.len());
        let end = (start + length).min(original.len());
        let changed = match whole {
            true => text,
            false => format!("{}{text}{}", &original[..start], &original[end..]),
        };
        if let Err(error) = load_files(&with(name, changed.as_bytes())) {
            prop_assert!(!error.problems().is_empty());
            for problem in error.problems() {
                prop_assert!(!problem.problem.is_empty() && !problem.help.is_empty(), "{problem:?}");
            }
        }
    }
}
