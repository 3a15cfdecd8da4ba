//! The layers, held by reading the source: who may import whom (I-1), what deciding may not touch (I-2), and where each
//! vendor's types stay (I-9). `ARCHITECTURE.md` draws the picture. What a package may depend on is held by cargo; here is what
//! happens inside of one.
//!
//! Reads `use` statements and paths in the code alike. What stands behind `#[cfg(test)]` may name anything.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What an agent needs from the world, one folder for each: the traits are in its `mod.rs`, the technologies beside it.
const NEEDS: [&str; 5] = ["knowledge", "storage", "links", "jobs", "data"];

/// Modules in a need's folder that are no technology: they work on the trait alone.
const NO_TECHNOLOGY: [&str; 7] = [
    "knowledge::quarantine",
    "knowledge::requests",
    "storage::counted",
    "storage::credentials",
    "storage::paced",
    "storage::set",
    "storage::transfer",
];

/// A crate, and the only modules that may name it.
const HOMES: [(&str, &[&str]); 49] = [
    ("actix", &["actors", "app", "cli"]),
    ("actix_rt", &["actors", "app", "cli"]),
    ("aws_runtime", &["storage::credentials"]),
    ("aws_sdk_s3", &["storage::s3"]),
    ("aws_smithy_http_client", &["storage::s3"]),
    ("aws_smithy_runtime_api", &["storage::s3"]),
    ("aws_smithy_types", &["storage::s3", "storage::embedded"]),
    ("aws_types", &["storage::credentials"]),
    ("axum", &["emulator", "api", "upisas", "aggregator"]),
    ("bollard", &["runner::docker"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("console", &["cli"]),
    ("flate2", &["jobs::aggregate::compression"]),
    ("globset", &["domain::manifest"]),
    ("hdrhistogram", &["load::generator", "jobs::service"]),
    ("httparse", &["load::generator"]),
    ("hyper", &["http_server", "storage::embedded"]),
    ("hyper_util", &["http_server", "api", "upisas", "cli::commands::aggregator"]),
    ("indicatif", &["cli"]),
    ("linfa", &["mape::prediction"]),
    ("linfa_linear", &["mape::prediction"]),
    ("maud", &["report", "api::page"]),
    ("mysql_async", &["knowledge::mysql"]),
    ("nalgebra", &["mape::prediction"]),
    ("ndarray", &["mape::prediction"]),
    ("parquet", &["results::export"]),
    ("regex_lite", &["load::steering"]),
    ("reqwest", &["links::toxiproxy", "jobs::spark::history"]),
    ("rustyline", &["cli"]),
    ("rusqlite", &["knowledge::sqlite", "results"]),
    ("postcard", &["agent_membership"]),
    ("procfs", &["sampler"]),
    ("prometheus_client", &["api::metrics", "aggregator::exposition"]),
    ("ring", &["agent_membership::identity", "agent_membership::member::exchange"]),
    ("rustls", &["storage::s3", "api::tls"]),
    ("rustls_native_certs", &["storage::s3"]),
    ("s3s", &["storage::embedded", "s3_endpoint"]),
    ("s3s_fs", &["storage::embedded"]),
    ("socket2", &["agent_membership::udp", "aggregator"]),
    ("subtle", &["api::access"]),
    ("tar", &["worker::state"]),
    ("tokio_rustls", &["http_server", "api::tls"]),
    ("toml", &["config", "load::specification"]),
    ("utoipa", &["api"]),
    ("utoipa_axum", &["api"]),
    ("utoipa_swagger_ui", &["api"]),
    ("zstd", &["jobs::aggregate::compression", "jobs::spark::event_log"]),
];

/// Words that would make a decision depend on more than its input.
const IMPURE: [&str; 11] =
    ["actix", "tokio", "SystemTime", "Instant", "thread_rng", "HashMap", "HashSet", "env", "fs", "net", "process"];

/// The same of a package that also has a driver on real sockets, and whose addresses are the standard library's.
const IMPURE_MEMBERS: [&str; 9] =
    ["tokio", "socket2", "SystemTime", "Instant", "thread_rng", "HashMap", "HashSet", "fs", "process"];

#[test]
fn imports_follow_the_layers() {
    let mut found = Vec::new();
    for file in sources() {
        for (line, path) in file.own_paths() {
            if let Some(rule) = forbidden(&file.module, &path) {
                found.push(format!("{}:{line}: `{}`: {rule}", file.name, path.join("::")));
            }
        }
    }
    assert!(found.is_empty(), "imports against the layers (I-1):\n{}", found.join("\n"));
}

#[test]
fn deciding_touches_nothing_but_its_input() {
    let mut found = Vec::new();
    for file in sources().iter().filter(|file| ["domain", "mape", "sim", "calibration"].contains(&file.layer())) {
        for (line, word) in file.words().filter(|(_, word)| IMPURE.contains(word)) {
            found.push(format!(
                "{}:{line}: `{word}`: {} is pure and gets time and chance handed in",
                file.name,
                file.layer()
            ));
        }
    }
    let members =
        |file: &&Source| file.layer() == "agent_membership" && file.module.get(1).is_none_or(|name| name != "udp");
    for file in sources().iter().filter(members) {
        for (line, word) in file.words().filter(|(_, word)| IMPURE_MEMBERS.contains(word)) {
            found.push(format!("{}:{line}: `{word}`: only the driver `udp` may", file.name));
        }
    }
    assert!(found.is_empty(), "more than input and state (I-2):\n{}", found.join("\n"));
}

#[test]
fn vendors_stay_where_they_belong() {
    let mut found = Vec::new();
    for file in sources() {
        let module = file.module.join("::");
        for (line, name) in file.crates() {
            let Some((_, homes)) = HOMES.iter().find(|(vendor, _)| *vendor == name) else { continue };
            if !homes.iter().any(|home| is_inside(&module, home)) {
                found.push(format!("{}:{line}: `{name}`: only {} may name it", file.name, homes.join(", ")));
            }
        }
    }
    assert!(found.is_empty(), "vendors outside of their place (I-9):\n{}", found.join("\n"));
}

#[test]
fn the_core_needs_no_runtime_database_or_network() {
    let manifest = fs::read_to_string(root().join("crates/core/Cargo.toml")).expect("it is there");
    let manifest: toml::Table = manifest.parse().expect("it is TOML");
    let needed = manifest["dependencies"].as_table().expect("a table").iter();
    let needed: Vec<&str> = needed
        .filter(|(_, how)| how.get("optional").and_then(toml::Value::as_bool) != Some(true))
        .map(|(name, _)| name.as_str())
        .collect();
    let refused =
        ["actix", "tokio", "async-std", "smol", "rusqlite", "mysql_async", "reqwest", "hyper", "axum", "aws-sdk-s3"];
    assert!(needed.contains(&"serde"), "{needed:?}");
    assert!(!needed.iter().any(|name| refused.contains(name)), "{needed:?}");
}

#[test]
fn the_rules_see_what_is_wrong() {
    let rule = |from: &[&str], to: &[&str]| {
        forbidden(
            &from.iter().map(ToString::to_string).collect::<Vec<_>>(),
            &to.iter().map(ToString::to_string).collect::<Vec<_>>(),
        )
    };
    assert!(rule(&["domain", "score"], &["mape", "planner"]).is_some());
    assert!(rule(&["mape", "monitor"], &["clock", "Clock"]).is_some());
    assert!(rule(&["storage", "s3"], &["knowledge", "sqlite", "SqliteKnowledge"]).is_some());
    assert!(rule(&["actors", "world"], &["storage", "s3", "S3Store"]).is_some());
    assert!(rule(&["app", "run"], &["cli", "print"]).is_some());
    assert!(rule(&["sim", "world"], &["knowledge", "sqlite", "SqliteKnowledge"]).is_some());
    assert!(rule(&["sim", "world"], &["actors", "World"]).is_some());
    assert!(rule(&["sim", "world"], &["experiments", "perform"]).is_some());
    assert!(rule(&["experiments", "figures"], &["knowledge", "Knowledge"]).is_some());
    assert!(rule(&["report", "table"], &["knowledge", "Knowledge"]).is_some());
    assert!(rule(&["results", "writer"], &["experiments", "simulate"]).is_some());
    assert!(rule(&["sim", "world"], &["knowledge", "memory", "MemoryKnowledge"]).is_none());
    assert!(rule(&["actors", "executor"], &["storage", "transfer", "transfer"]).is_none());
    assert!(rule(&["jobs", "command"], &["storage", "ObjectStore"]).is_none());

    let text = "use crate::{clock::Clock, storage::{self, s3::S3Store as Real}};\nlet a = super::super::super::cli::main();\n\
                // agent_core::cli\n#[cfg(test)]\nmod tests {\n    use crate::app::run;\n}\nuse tokio::net;use agent_core::domain::ids;use agent_emulator::Metrics;\n";
    let file = Source::read("crates/core/src/mape/planner/x.rs", text);
    let paths: Vec<String> =
        file.own_paths().into_iter().map(|(line, path)| format!("{line} {}", path.join("::"))).collect();
    assert_eq!(
        paths,
        [
            "1 clock::Clock",
            "1 storage",
            "1 storage::s3::S3Store",
            "2 cli::main",
            "8 domain::ids",
            "8 emulator::Metrics"
        ]
    );
    assert!(file.crates().contains(&(8, "tokio")));
}

/// The rule that an import breaks.
fn forbidden(from: &[String], to: &[String]) -> Option<String> {
    let (layer, target) = (from.first().map_or("", String::as_str), to.first()?.as_str());
    if layer == target || layer.is_empty() {
        return None;
    }
    let (may, traits): (&[&str], &[&str]) = match layer {
        "domain" => (&["arrivals"], &[]),
        "clock" | "mape" => (&["domain"], &[]),
        "emulator" | "sampler" | "agent_membership" | "runner" | "arrivals" => (&[], &[]),
        "aggregator" => (&["sampler"], &[]),
        "batch" => (&["domain", "clock", "config"], &["knowledge"]),
        "load" => (&["domain", "clock", "config", "arrivals"], &["knowledge"]),
        "knowledge" => (&["domain", "clock", "batch", "load"], &NEEDS),
        "worker" => (&["domain", "clock", "config", "actors", "batch", "runner"], &["knowledge", "storage", "jobs"]),
        "links" => (&["domain", "clock", "emulator"], &NEEDS),
        "config" => (&["domain", "clock", "arrivals"], &[]),
        "results" => (&[], &[]),
        "report" => (&["domain", "results"], &[]),
        "sim" => (&["domain", "clock", "mape", "config", "arrivals"], &["knowledge"]),
        "experiments" => (&["domain", "mape", "config", "sim", "results", "agent_membership"], &[]),
        "calibration" => (&["domain", "mape", "config"], &[]),
        "actors" => (&["domain", "clock", "mape"], &["knowledge", "storage", "links", "jobs"]),
        "http_server" | "private_file" => (&[], &[]),
        "membership" => (
            &[
                "domain",
                "clock",
                "mape",
                "config",
                "actors",
                "private_file",
                "sampler",
                "aggregator",
                "agent_membership",
            ],
            &["knowledge"],
        ),
        "s3_endpoint" => (&["domain", "actors", "http_server"], &["knowledge", "storage", "jobs"]),
        "jobs" => (&["domain", "clock", "runner"], &NEEDS),
        need if NEEDS.contains(&need) => (&["domain", "clock", "http_server"], &NEEDS),
        "app" => (
            &[
                "domain",
                "clock",
                "mape",
                "config",
                "actors",
                "knowledge",
                "storage",
                "links",
                "jobs",
                "data",
                "sim",
                "experiments",
                "calibration",
                "report",
                "results",
                "emulator",
                "http_server",
                "s3_endpoint",
                "membership",
                "agent_membership",
                "batch",
                "runner",
                "worker",
                "arrivals",
                "load",
                "sampler",
            ],
            &[],
        ),
        "api" => (
            &[
                "domain",
                "clock",
                "mape",
                "config",
                "actors",
                "knowledge",
                "sim",
                "app",
                "http_server",
                "private_file",
                "s3_endpoint",
                "membership",
                "agent_membership",
                "batch",
                "load",
            ],
            &["storage", "links", "jobs"],
        ),
        "upisas" => (&["domain", "config", "sim", "app", "api", "http_server"], &[]),
        "cli" => return None,
        other => return Some(format!("no rule for a module `{other}`: add one here and in ARCHITECTURE.md")),
    };
    if may.contains(&target) {
        return None;
    }
    if !traits.contains(&target) {
        let allowed = [may, traits].concat();
        return Some(format!(
            "{layer} may import only {}",
            if allowed.is_empty() { "itself".into() } else { allowed.join(", ") }
        ));
    }
    let inside = to.get(1).map(String::as_str).unwrap_or_default();
    // In virtual time everything is in memory.
    if layer == "sim" && inside == "memory" {
        return None;
    }
    let is_technology = is_module(target, inside) && !NO_TECHNOLOGY.contains(&format!("{target}::{inside}").as_str());
    is_technology.then(|| format!("{layer} may use what {target}/mod.rs says, not the technology `{inside}`"))
}

fn is_module(folder: &str, name: &str) -> bool {
    let is_there = |path: PathBuf| path.is_dir() || path.with_extension("rs").is_file();
    !name.is_empty() && SOURCES.iter().any(|sources| is_there(root().join(sources).join(folder).join(name)))
}

fn is_inside(module: &str, home: &str) -> bool {
    module.strip_prefix(home).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// The packages' sources.
const SOURCES: [&str; 11] = [
    "src",
    "crates/core/src",
    "crates/laboratory/src",
    "crates/emulator/src",
    "crates/membership/src",
    "crates/aggregator/src",
    "crates/batch/src",
    "crates/sampler/src",
    "crates/runner/src",
    "crates/arrivals/src",
    "crates/load/src",
];

/// How a path begins that leads to one of our own modules.
const OWN: [&str; 12] = [
    "crate",
    "super",
    "agent_core",
    "agent_laboratory",
    "agent_emulator",
    "agent_membership",
    "agent_aggregator",
    "agent_batch",
    "agent_sampler",
    "agent_runner",
    "agent_arrivals",
    "agent_load",
];

/// What stands before an item that no user of the program runs.
const FOR_TESTS: [&str; 2] = ["#[cfg(test)]", "#[doc(hidden)]"];

/// Packages that are one layer as a whole: their folder, the crate's name, and the layer's.
const WHOLE: [(&str, &str, &str); 8] = [
    ("emulator/", "agent_emulator", "emulator"),
    // Another one than `membership`, which makes an agent's node a member.
    ("membership/", "agent_membership", "agent_membership"),
    ("aggregator/", "agent_aggregator", "aggregator"),
    ("batch/", "agent_batch", "batch"),
    ("sampler/", "agent_sampler", "sampler"),
    ("runner/", "agent_runner", "runner"),
    ("arrivals/", "agent_arrivals", "arrivals"),
    ("load/", "agent_load", "load"),
];

/// A source file without its comments and tests, line by line.
struct Source {
    name: String,
    /// `["knowledge", "sqlite", "rows"]`; empty for `lib.rs` and `main.rs`.
    module: Vec<String>,
    lines: Vec<String>,
    /// The files of modules that are compiled for tests alone.
    test_modules: Vec<PathBuf>,
}

impl Source {
    fn read(name: &str, text: &str) -> Self {
        let (package, path) = name.split_once("src/").unwrap_or(("", name));
        let mut module: Vec<String> = path.trim_end_matches(".rs").split('/').map(String::from).collect();
        if let Some((_, _, layer)) = WHOLE.iter().find(|(folder, ..)| package.ends_with(folder)) {
            module.insert(0, (*layer).to_owned());
        }
        if module.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
            module.pop();
        }
        let mut source = Self { name: name.to_owned(), module, lines: Vec::new(), test_modules: Vec::new() };
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            source.lines.push(line.split("//").next().unwrap_or_default().to_owned());
            if FOR_TESTS.contains(&line.trim()) {
                source.skip_item(&mut lines);
            }
        }
        source
    }

    /// Up to the line that ends the item: rustfmt closes it where it began.
    fn skip_item<'a>(&mut self, lines: &mut impl Iterator<Item = &'a str>) {
        let mut end = None;
        for line in lines {
            self.lines.push(String::new());
            let item = line.trim();
            if end.is_none() && item.starts_with("#[") {
                continue;
            }
            if end.is_none() && item.ends_with(';') {
                let name = item.trim_end_matches(';').rsplit(' ').next().unwrap_or_default();
                let file = root().join(&self.name);
                let is_folder = file.ends_with("mod.rs") || file.ends_with("lib.rs");
                let folder = if is_folder { file.with_file_name("") } else { file.with_extension("") };
                self.test_modules.push(folder.join(name));
                return;
            }
            let indent = &line[..line.len() - line.trim_start().len()];
            let end: &String = end.get_or_insert_with(|| format!("{indent}}}"));
            if line.starts_with(end.as_str()) {
                return;
            }
        }
    }

    fn layer(&self) -> &str {
        self.module.first().map_or("", String::as_str)
    }

    /// Paths of this crate, from its root: `crate::` and `super::` followed, braces opened.
    fn own_paths(&self) -> Vec<(usize, Vec<String>)> {
        let text = self.lines.join("\n");
        let mut paths = Vec::new();
        let mut at = 0;
        while let Some((start, word)) = next_word(&text, at) {
            at = start + word.len();
            let begins_path = OWN.contains(&word) && !text[..start].ends_with("::");
            if begins_path && text[at..].starts_with("::") {
                let line = text[..start].matches('\n').count() + 1;
                let mut tree = Vec::new();
                open_tree(&text[start..], &mut Vec::new(), &mut tree);
                paths.extend(tree.into_iter().filter_map(|path| Some((line, self.absolute(&path)?))));
            }
        }
        paths
    }

    /// `None` for a path that stays in sight: `super::sibling` of a file in a folder is no import across layers.
    fn absolute(&self, path: &[String]) -> Option<Vec<String>> {
        let ups = path.iter().take_while(|name| *name == "super").count();
        let names = path[ups.max(1)..].iter().filter(|name| *name != "self").cloned();
        let base: Vec<String> = match path.first().map(String::as_str) {
            Some("super") => self.module.get(..self.module.len().checked_sub(ups)?)?.to_vec(),
            Some("crate") => WHOLE
                .iter()
                .filter(|(.., layer)| self.layer() == *layer)
                .map(|(.., layer)| (*layer).to_owned())
                .collect(),
            Some(other) => {
                WHOLE.iter().filter(|(_, name, _)| *name == other).map(|(.., layer)| (*layer).to_owned()).collect()
            }
            None => Vec::new(),
        };
        Some(base.into_iter().chain(names).collect())
    }

    /// What a path or a `use` begins with: other crates, and names from a `use` of braces, which are no crate of `HOMES`.
    fn crates(&self) -> Vec<(usize, &str)> {
        let mut found = Vec::new();
        for (number, line) in self.lines.iter().enumerate() {
            let mut at = 0;
            while let Some((start, word)) = next_word(line, at) {
                at = start + word.len();
                let before = &line[..start];
                if !before.ends_with("::") && (line[at..].starts_with("::") || before.trim_end().ends_with("use")) {
                    found.push((number + 1, word));
                }
            }
        }
        found.retain(|(_, word)| {
            !["self", "std"].contains(word) && !OWN.contains(word) && word.starts_with(char::is_lowercase)
        });
        found
    }

    fn words(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines.iter().enumerate().flat_map(|(number, line)| {
            let is_part = |c: char| c.is_alphanumeric() || c == '_';
            line.split(move |c| !is_part(c)).filter(|word| !word.is_empty()).map(move |word| (number + 1, word))
        })
    }
}

/// The identifier at or after a position.
fn next_word(text: &str, from: usize) -> Option<(usize, &str)> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let start = from + text[from..].find(is_part)?;
    let length = text[start..].find(|c| !is_part(c)).unwrap_or(text.len() - start);
    Some((start, &text[start..start + length]))
}

/// Every path of a `use` tree (`a::{b, c::d}`), or the one path that code begins with. Returns what follows it.
fn open_tree<'a>(text: &'a str, prefix: &mut Vec<String>, paths: &mut Vec<Vec<String>>) -> &'a str {
    let depth = prefix.len();
    let mut rest = text.trim_start();
    loop {
        if let Some(mut inside) = rest.strip_prefix('{') {
            while !inside.trim_start().starts_with('}') && !inside.is_empty() {
                inside = open_tree(inside, prefix, paths);
                // Past ` as name` and the comma.
                inside = &inside[inside.find([',', '}']).unwrap_or(inside.len())..];
                inside = inside.strip_prefix(',').unwrap_or(inside);
            }
            prefix.truncate(depth);
            return inside.trim_start().strip_prefix('}').unwrap_or_default();
        }
        if let Some((0, word)) = next_word(rest, 0) {
            prefix.push(word.to_owned());
            rest = &rest[word.len()..];
        }
        match rest.strip_prefix("::") {
            Some(after) if after.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '{') => rest = after,
            _ => break,
        }
    }
    paths.push(prefix.clone());
    prefix.truncate(depth);
    rest
}

/// Every file of `src` that is compiled outside of tests.
fn sources() -> Vec<Source> {
    let mut files = BTreeSet::new();
    for sources in SOURCES {
        collect(&root().join(sources), &mut files);
    }
    let all: Vec<Source> = files
        .iter()
        .map(|path| {
            let name = path.strip_prefix(root()).unwrap_or(path).display().to_string();
            Source::read(&name, &fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}")))
        })
        .collect();
    assert!(all.len() > 50, "only {} files found in {}", all.len(), root().display());
    let tests: Vec<PathBuf> = all.iter().flat_map(|file| file.test_modules.clone()).collect();
    let is_test = |file: &Source| {
        let path = root().join(&file.name).with_extension("");
        tests.iter().any(|test| path.starts_with(test))
    };
    all.into_iter().filter(|file| !is_test(file)).collect()
}

fn collect(folder: &Path, files: &mut BTreeSet<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.insert(path);
        }
    }
}

fn root() -> PathBuf {
    PathBuf::from(option_env!("CARGO_MANIFEST_DIR").unwrap_or("."))
}
