//! A configuration for a network that is not there yet: `agent init`.

pub mod interview;

use super::{Failure, output};
use agent_core::config::Outline;
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Of the files, the one without which there is no configuration.
const NETWORK: &str = "network.toml";

/// What becomes of a configuration that is there already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Present {
    Kept,
    Replaced,
}

/// Refuses a folder that holds a configuration which is to be kept.
pub fn check_folder(directory: &Path, present: Present) -> anyhow::Result<()> {
    let found = configuration_in(directory)?;
    match (present, found.first()) {
        (Present::Kept, Some(file)) => Err(Failure::Configuration(format!(
            "{}: is there already; name another folder, or replace the configuration there with --force",
            directory.join(file).display()
        ))
        .into()),
        (Present::Kept | Present::Replaced, _) => Ok(()),
    }
}

/// The names of the files that a configuration in this folder consists of.
fn configuration_in(directory: &Path) -> anyhow::Result<Vec<OsString>> {
    let cannot = || format!("{}: cannot be read; name another folder", directory.display());
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(cannot)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.with_context(cannot)?.file_name();
        let shown = name.to_string_lossy();
        if shown.ends_with(".toml") && !shown.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Writes all files, and gives their paths. They are made in a folder beside, which becomes the folder itself where that is not there or
/// empty. Into another one they are moved, after what is replaced has gone: the network's file goes first and comes last, and in
/// between there is no configuration that could be run.
pub fn write(directory: &Path, outline: &Outline, present: Present) -> anyhow::Result<Vec<PathBuf>> {
    check_folder(directory, present)?;
    let growing = Growing::beside(directory)?;
    for (name, text) in &outline.files {
        output::write(&growing.path.join(name), text.as_bytes(), "DIR")?;
    }
    growing.become_the(directory, &outline.files)?;
    Ok(outline.files.keys().map(|name| directory.join(name)).collect())
}

/// A folder that is gone when it has not become another one.
struct Growing {
    path: PathBuf,
}

impl Growing {
    fn beside(directory: &Path) -> anyhow::Result<Self> {
        let name = directory.file_name().with_context(|| format!("{}: is no folder's name", directory.display()))?;
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.new", std::process::id()));
        let path = directory.with_file_name(hidden);
        let cannot = || format!("{}: cannot be made; name another folder", directory.display());
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(cannot)?;
        }
        fs::create_dir(&path).with_context(cannot)?;
        Ok(Self { path })
    }

    fn become_the(&self, directory: &Path, files: &BTreeMap<String, String>) -> anyhow::Result<()> {
        let cannot = || format!("{}: cannot be written; name another folder", directory.display());
        match fs::rename(&self.path, directory) {
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {}
            renamed => return renamed.with_context(cannot),
        }
        // Whatever ends this on the way, nobody runs a former network's agents in the new one, or the other way round.
        let is_network = |name: &&String| *name == NETWORK;
        let mut old = configuration_in(directory)?;
        old.sort_by_key(|name| name != NETWORK);
        for name in old {
            fs::remove_file(directory.join(name)).with_context(cannot)?;
        }
        for name in files.keys().filter(|name| !is_network(name)).chain(files.keys().filter(is_network)) {
            fs::rename(self.path.join(name), directory.join(name)).with_context(cannot)?;
        }
        Ok(())
    }
}

impl Drop for Growing {
    fn drop(&mut self) {
        // It has become the other one, or holds what is of no use to anybody.
        let _gone_already = fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::interview::Answers;
    use super::*;
    use crate::app::vocabulary::VOCABULARY;

    fn outline(nodes: u32) -> Outline {
        let mut answers = Answers { nodes: Some(nodes), ..Answers::default() };
        while let Some(question) = answers.open() {
            answers.answer(question, &answers.suggestion(question)).unwrap();
        }
        answers.network().unwrap().outline(Path::new("new"), &VOCABULARY).unwrap()
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = entries.collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_becomes_a_configuration_whole_or_not_at_all() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("deep/new");
        let written = write(&directory, &outline(2), Present::Kept).unwrap();
        assert_eq!(names(&directory), ["1.toml", "2.toml", NETWORK]);
        assert_eq!(written, ["1.toml", "2.toml", NETWORK].map(|name| directory.join(name)));
        let refused = write(&directory, &outline(1), Present::Kept).unwrap_err().to_string();
        assert!(refused.contains("new/1.toml: is there already; "), "{refused}");
        write(&directory, &outline(1), Present::Replaced).unwrap();
        assert_eq!(names(&directory), ["1.toml", NETWORK]);
        // It ends half-way, at something that cannot be replaced: no part of a network is there that is not whole.
        fs::create_dir(directory.join("2.toml")).unwrap();
        assert!(write(&directory, &outline(3), Present::Replaced).is_err());
        assert!(!names(&directory).contains(&NETWORK.to_owned()));
        assert_eq!(names(&directory.with_file_name("")), ["new"]);
    }
}
