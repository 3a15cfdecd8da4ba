//! `agent data`: a data set to try things with, and what a person decides about objects.

use super::fsck;
use crate::app::data::Accepted;
use crate::app::{self, Purpose, data, data_sets};
use crate::cli::arguments::OnNode;
use crate::cli::place::Place;
use crate::cli::{print, signals};
use crate::data::blood_tests::BloodTests;
use agent_core::domain::ids::DataSetName;
use anyhow::Context as _;
use serde::Serialize;
use std::path::Path;
use std::process::ExitCode;

/// What was done, for `--json`.
#[derive(Serialize)]
struct Restored<'a> {
    data_set: &'a DataSetName,
    node: u32,
    restored: bool,
}

impl Place {
    pub(super) fn list_data_sets(&self, json: bool) -> anyhow::Result<ExitCode> {
        self.with_knowledge(Purpose::Look, async |_, existing| {
            let listed = data_sets::list(existing.knowledge.as_ref()).await?;
            if json { print::json(&listed) } else { print::data_sets(&listed) }
        })
    }

    pub(super) fn accept(&self, arguments: &OnNode) -> anyhow::Result<ExitCode> {
        let name = DataSetName::from(arguments.name.as_str());
        let accepted = self.with_stores(arguments.json, async |surroundings| {
            data::accept(surroundings, &name, arguments.node).await
        })?;
        let Some(accepted) = accepted else { return Ok(ExitCode::from(signals::INTERRUPTED)) };
        if arguments.json {
            print::json(&accepted)?
        } else {
            print::lines(accepted_lines(&accepted))?
        }
        Ok(ExitCode::SUCCESS)
    }

    pub(super) fn commit(&self, name: &str, json: bool) -> anyhow::Result<ExitCode> {
        let name = DataSetName::from(name);
        let committed = self.with_stores(json, async |surroundings| data::commit(surroundings, &name).await)?;
        let Some(committed) = committed else { return Ok(ExitCode::from(signals::INTERRUPTED)) };
        match (json, &committed) {
            (true, committed) => print::json(committed)?,
            (false, Some(accepted)) => print::lines(accepted_lines(accepted))?,
            (false, None) => {
                print::lines([format!("data set {name} is what the catalogue says: there is nothing new")])?
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    pub(super) fn scrub(&self, name: Option<&str>, rate: u64, json: bool) -> anyhow::Result<ExitCode> {
        let name = name.map(DataSetName::from);
        let found = self.with_stores(json, async |surroundings| {
            data::scrub(surroundings, name.as_ref(), rate, fsck::told(json)).await
        })?;
        fsck::ended(found, json)
    }

    pub(super) fn restore(&self, arguments: &OnNode) -> anyhow::Result<ExitCode> {
        let (name, node) = (DataSetName::from(arguments.name.as_str()), arguments.node);
        let done =
            self.with_stores(arguments.json, async |surroundings| data::restore(surroundings, &name, node).await)?;
        if done.is_none() {
            return Ok(ExitCode::from(signals::INTERRUPTED));
        }
        match arguments.json {
            true => print::json(&Restored { data_set: &name, node: node.0, restored: true })?,
            false => print::lines([format!("the replica of data set {name} on node {node} is restored")])?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn accepted_lines(accepted: &Accepted) -> Vec<String> {
    let Accepted { data_set: name, node, version, bytes, sha256, outdated } = accepted;
    let mut text = vec![format!(
        "version {version} of data set {name} is what lies on node {node} now: {bytes} bytes, SHA-256 {sha256}"
    )];
    text.extend(outdated.iter().map(|node| {
        format!(
            "node {node} holds a former version: an agent refreshes it, or `agent data restore {name} --node {node}`"
        )
    }));
    text
}

pub(super) fn generate(records: u64, output: &Path) -> anyhow::Result<ExitCode> {
    let file = app::output::create(output, "--output")?;
    let generated = BloodTests::new(records)
        .generate(std::io::BufWriter::with_capacity(1 << 20, file))
        .with_context(|| format!("{}: cannot be written", output.display()))?;
    let (bytes, sha256) = (generated.bytes, generated.sha256);
    print::beside(Some(output))
        .lines([format!("{}: {records} records, {bytes} bytes, SHA-256 {sha256}", output.display())])?;
    Ok(ExitCode::SUCCESS)
}
