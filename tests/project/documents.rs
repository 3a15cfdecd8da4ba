//! What the documents promise exists: files that they link to or name, and every dependency's reason.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders whose files documents name as `src/...`; nothing else in backquotes is taken for a path.
const FOLDERS: [&str; 12] = [
    "crates/",
    "src/",
    "tests/",
    "docs/",
    "agents/",
    "examples/",
    "fixtures/",
    "benches/",
    "training/",
    "scripts/",
    ".ci/",
    "compose/",
];

#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    for (name, text) in documents() {
        let folder = Path::new(&name).parent().unwrap_or(Path::new(""));
        for (line, link) in spans(&text, "](", ')') {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let path = if file.is_empty() { root().join(&name) } else { root().join(folder).join(file) };
            if !path.exists() {
                broken.push(format!("{name}:{line}: there is no {file}"));
            } else if !anchor.is_empty() && !headings(&path).contains(anchor) {
                broken.push(format!("{name}:{line}: {} has no heading `{anchor}`", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
}

#[test]
fn files_that_are_named_exist() {
    let mut missing = Vec::new();
    for (name, text) in documents() {
        for (line, word) in spans(&text, "`", '`') {
            let is_path = FOLDERS.iter().any(|folder| word.starts_with(folder));
            let is_pattern = word.contains(|c: char| c.is_whitespace() || "*<{N".contains(c));
            if is_path && !is_pattern && !root().join(word).exists() {
                missing.push(format!("{name}:{line}: there is no {word}"));
            }
        }
    }
    assert!(missing.is_empty(), "files that are named and missing:\n{}", missing.join("\n"));
}

#[test]
fn the_policy_shown_is_the_one_that_runs() {
    let page = read(&root().join("docs/policies.md"));
    let shown = page.split_once("```rust\n").and_then(|(_, rest)| rest.split_once("```"));
    let file = read(&root().join("crates/core/src/mape/planner/random.rs"));
    let own = file.split_once("\n#[cfg(test)]").map(|(code, _)| code);
    assert_eq!(shown.map(|(code, _)| code), own, "docs/policies.md (left) and the file that it shows (right)");
}

#[test]
fn every_policy_has_its_paragraph() {
    let registry = read(&root().join("crates/core/src/mape/planner/mod.rs"));
    let names = registry.split_once("pub const POLICIES").and_then(|(_, rest)| rest.split_once("];"));
    let names: BTreeSet<String> =
        names.map_or("", |(list, _)| list).split('"').skip(1).step_by(2).map(String::from).collect();
    let page = read(&root().join("docs/policies.md"));
    let explained: BTreeSet<String> =
        page.lines().filter_map(|line| line.strip_prefix("**`")?.split('`').next().map(str::to_owned)).collect();
    assert!(names.len() > 3, "only {names:?} found in crates/core/src/mape/planner/mod.rs");
    assert_eq!(names, explained, "POLICIES (left) and the paragraphs of docs/policies.md (right) differ");
}

#[test]
fn every_dependency_has_its_reason() {
    // Every package takes its dependencies from there.
    let manifest = read(&root().join("Cargo.toml"));
    let mut section = "";
    let mut declared = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if section == "[workspace.dependencies]"
            && let Some((name, _)) = line.split_once('=')
            && !name.starts_with("agent-")
        {
            declared.insert(name.trim().to_owned());
        }
    }
    let page = read(&root().join("docs/dependencies.md"));
    let explained: BTreeSet<String> =
        page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next().map(str::to_owned)).collect();
    assert!(declared.len() > 10, "only {declared:?} found in Cargo.toml");
    assert_eq!(declared, explained, "Cargo.toml (left) and the tables of docs/dependencies.md (right) differ");
}

/// Name and text of every document, code blocks emptied: what they show need not exist here.
fn documents() -> Vec<(String, String)> {
    let mut files = BTreeSet::new();
    collect(&root(), &mut files);
    let text = |path: &PathBuf| {
        let mut is_code = false;
        let mut lines = Vec::new();
        for line in read(path).lines() {
            is_code ^= line.trim_start().starts_with("```");
            lines.push(if is_code { String::new() } else { line.to_owned() });
        }
        lines.join("\n")
    };
    let all: Vec<_> = files
        .iter()
        .map(|path| (path.strip_prefix(root()).unwrap_or(path).display().to_string(), text(path)))
        .collect();
    assert!(all.len() > 3, "only {} documents found", all.len());
    all
}

fn collect(folder: &Path, files: &mut BTreeSet<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !["target", "agent-data"].contains(&name.as_str()) && !name.starts_with('.') {
            collect(&path, files);
        } else if name.ends_with(".md") {
            files.insert(path);
        }
    }
}

/// What stands between two marks on one line, and on which.
fn spans<'t>(text: &'t str, open: &str, close: char) -> Vec<(usize, &'t str)> {
    let mut found = Vec::new();
    for (number, mut line) in text.lines().enumerate() {
        while let Some((_, after)) = line.split_once(open) {
            let Some((inside, rest)) = after.split_once(close) else { break };
            found.push((number + 1, inside));
            line = rest;
        }
    }
    found
}

/// As links name them: lower case, words joined by `-`.
fn headings(path: &Path) -> BTreeSet<String> {
    let slug = |line: &str| {
        let kept = line.to_lowercase();
        kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>().replace(' ', "-")
    };
    read(path)
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| slug(line.trim_start_matches('#').trim()))
        .collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> PathBuf {
    PathBuf::from(option_env!("CARGO_MANIFEST_DIR").unwrap_or("."))
}
