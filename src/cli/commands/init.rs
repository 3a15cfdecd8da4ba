//! `agent init`: asks at a terminal what flags do not say, writes the files, and says what to do next.

use crate::app::init::interview::Answers;
use crate::app::init::{self, Present};
use crate::app::invocation::Invocation;
use crate::app::vocabulary::VOCABULARY;
use crate::app::{Failure, warnings};
use crate::cli::arguments::Log;
use crate::cli::init_arguments::Init;
use crate::cli::place::Place;
use crate::cli::{display, print, signals};
use agent_core::config::Invalid;
use agent_core::config::settings::{KnowledgeSettings, NetworkSettings, Settings, StoreSettings};
use agent_core::domain::manifest::Extent;
use anyhow::Context as _;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Longer answers are refused \[bytes\].
const LINE_MAX: u64 = 10_000;

/// Where `agent` looks when nobody names a configuration.
const DIRECTORY: &str = "agents";

/// The document of `agent init`.
#[derive(Serialize)]
struct Initialized {
    files: Vec<PathBuf>,
    /// What would go wrong all the same.
    warnings: Vec<String>,
    /// Commands, and what they are for.
    next: Vec<Next>,
}

#[derive(Serialize)]
struct Next {
    command: String,
    about: String,
}

impl Place {
    pub(super) fn init(&self, arguments: Init) -> anyhow::Result<ExitCode> {
        let directory = arguments.directory.clone().or_else(|| self.config.clone()).unwrap_or_else(|| DIRECTORY.into());
        let present = if arguments.force { Present::Replaced } else { Present::Kept };
        let json = arguments.json;
        init::check_folder(&directory, present)?;
        let answers = consistent(arguments.answers().map_err(|invalid| refused(&invalid))?)?;
        let answers = match std::io::stdin().is_terminal() {
            true => ask(answers)?,
            false => Some(assume(answers)?),
        };
        let Some(answers) = answers else {
            display::note("stopped; nothing was written");
            return Ok(ExitCode::from(signals::INTERRUPTED));
        };
        let network = consistent(answers)?.network().context("a question was not asked")?;
        let files = init::write(&directory, &network.outline(&directory, &VOCABULARY)?, present)?;
        let written = Place { config: Some(directory), data: None, log: Log::Text };
        let settings = written.settings()?;
        let warnings = [warnings::beforehand(&settings, &BTreeMap::new()), unreachable(&settings.network)].concat();
        let done = Initialized { files, warnings, next: next(&settings, &written) };
        if json { print::json(&done) } else { print::lines(done.lines()) }.map(|()| ExitCode::SUCCESS)
    }
}

impl Initialized {
    fn lines(&self) -> Vec<String> {
        let written = self.files.iter().map(|file| file.display().to_string());
        let warned = self.warnings.iter().map(|warning| format!("WARNING: {warning}"));
        let next = self.next.iter().flat_map(|next| [format!("  # {}", next.about), format!("  {}", next.command)]);
        let head = ["nothing is wrong with it; next:".to_owned()];
        written.chain(warned).chain(head).chain(next).collect()
    }
}

fn refused(invalid: &Invalid) -> Failure {
    Failure::Configuration(format!("{}\n  help: {}", invalid.problem, invalid.help))
}

/// Answers that do not contradict each other.
fn consistent(answers: Answers) -> Result<Answers, Failure> {
    match answers.contradiction() {
        Some(invalid) => Err(refused(&invalid)),
        None => Ok(answers),
    }
}

/// Asks a person; `None`: the input has ended. Nothing is written before all is known, so that Ctrl-C leaves nothing.
fn ask(mut answers: Answers) -> anyhow::Result<Option<Answers>> {
    let mut input = std::io::stdin().lock();
    while let Some(question) = answers.open() {
        let suggestion = answers.suggestion(question);
        // Standard output is what the command comes to.
        let mut prompt = std::io::stderr().lock();
        write!(prompt, "{question} [{suggestion}]: ").and_then(|()| prompt.flush())?;
        drop(prompt);
        let mut line = String::new();
        if input.by_ref().take(LINE_MAX).read_line(&mut line).context("an answer cannot be read")? == 0 {
            display::note("");
            return Ok(None);
        }
        let given = Some(line.trim()).filter(|line| !line.is_empty()).unwrap_or(&suggestion);
        if let Err(Invalid { problem, help }) = answers.answer(question, given) {
            display::note(&format!("  {problem}; {help}"));
        }
    }
    Ok(Some(answers))
}

/// Takes the default of whatever is not said, or says what is missing.
fn assume(mut answers: Answers) -> anyhow::Result<Answers> {
    let mut missing: Vec<&str> = Vec::new();
    while let Some(question) = answers.open() {
        // Of what is missing a default is taken, too: to see what else is.
        missing.extend(question.required().filter(|flag| !missing.contains(flag)));
        let suggestion = answers.suggestion(question);
        answers.answer(question, &suggestion).map_err(|invalid| refused(&invalid))?;
    }
    match missing.is_empty() {
        true => Ok(answers),
        false => Err(Failure::Configuration(format!(
            "missing: {}\n  help: state it, or run `agent init` at a terminal, where it asks; `agent init --help` has examples",
            missing.join(", ")
        ))
        .into()),
    }
}

/// Embedded stores that agents on other machines cannot use.
fn unreachable(network: &NetworkSettings) -> Vec<String> {
    if matches!(network.knowledge, KnowledgeSettings::Sqlite(_)) {
        return Vec::new();
    }
    let embedded = network.nodes.values().filter(|node| matches!(node.store, StoreSettings::Embedded { .. }));
    let embedded: Vec<String> = embedded.map(|node| node.id.to_string()).collect();
    let warning = format!(
        "embedded stores listen on 127.0.0.1, where no other machine reaches them (of nodes {}); state `listen` and `advertise` \
         (docs/stores.md), or name servers of your own",
        embedded.join(", ")
    );
    if embedded.is_empty() { Vec::new() } else { vec![warning] }
}

/// What to do with a configuration that nobody has run.
fn next(settings: &Settings, written: &Place) -> Vec<Next> {
    let Settings { network, agents } = settings;
    // Found without being named.
    let named = written.config.clone().filter(|directory| directory != Path::new(DIRECTORY));
    let here = Invocation { config: named, data: None, training: None };
    let mut next = Vec::new();
    let mut add = |words: &str, about: String| next.push(Next { command: here.command(words), about });
    let is_foreign = |store: &StoreSettings| matches!(store, StoreSettings::S3(_));
    match network.nodes.values().any(|node| is_foreign(&node.store)) {
        true => add("check --online", "what would run, and whether the stores do what they should".to_owned()),
        false => add("check", "what would run, with all defaults".to_owned()),
    }
    if matches!(network.knowledge, KnowledgeSettings::Mysql(_)) {
        add("db init", "make the shared table".to_owned());
    }
    for data_set in network.data_sets.values().filter(|data_set| data_set.generate_records.is_none()) {
        let node = data_set.first_node;
        let objects = match Extent::of(&data_set.object_key) {
            Extent::Object(key) => key,
            Extent::Set(keys) => format!("all below {}", keys.prefix()),
        };
        if network.nodes.get(&node).is_some_and(|node| !is_foreign(&node.store)) {
            add(
                &format!("store --node {node}"),
                format!("serve the store of node {node}, to put the data there by S3: {objects}"),
            );
        }
    }
    add("train", "measure the job at every node, while nothing else runs".to_owned());
    let mut ids = agents.keys();
    if let Some(first) = ids.next() {
        let others: Vec<String> = ids.map(ToString::to_string).collect();
        let likewise = match others.is_empty() {
            true => String::new(),
            false => format!("; likewise {}, each on its machine", others.join(", ")),
        };
        add(&format!("run --id {first}"), format!("run agent {first}{likewise}"));
    }
    add("add-data-set NAME --object-key KEY --first-node NODE", "a data set more, while they run".to_owned());
    next
}
