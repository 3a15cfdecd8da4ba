//! A new application's file, made like that of another one.

use super::load::{LAYOUT, NETWORK, Vocabulary, unreadable};
use super::problem::{ConfigError, Invalid, Problems};
use super::settings::AgentSettings;
use super::{agent, fragment};
use crate::domain::ids::{AgentId, NodeId};
use crate::domain::text::is_deceptive;
use std::path::{Path, PathBuf};

/// Longer goals are no goals.
const GOAL_MAX_BYTES: usize = 1000;

/// What distinguishes an application from the one that it is made like.
#[derive(Clone, PartialEq, Debug)]
pub struct NewAgent {
    pub id: AgentId,
    pub goal: String,
    /// Absent: the node with the agent's number.
    pub node: Option<NodeId>,
    /// Absent: the other's.
    pub policy: Option<String>,
    /// Whose job, rho and cost it has.
    pub like: AgentId,
}

/// A file that is not written yet.
#[derive(Clone, PartialEq, Debug)]
pub struct Draft {
    pub path: PathBuf,
    pub text: String,
    pub settings: AgentSettings,
}

/// The file of a new application in a configuration's folder, and what it means. Refused when the file is there, or it would
/// not be valid.
pub fn draft(directory: &Path, new: &NewAgent, vocabulary: &Vocabulary) -> Result<Draft, ConfigError> {
    let mut problems = Problems::default();
    let path = directory.join(format!("{}.toml", new.id));
    let drafted = make(directory, &path, new, vocabulary, &mut problems);
    problems.settle(drafted)
}

fn make(
    directory: &Path,
    path: &Path,
    new: &NewAgent,
    vocabulary: &Vocabulary,
    problems: &mut Problems,
) -> Option<Draft> {
    problems.enter(&path.display().to_string());
    if path.exists() {
        problems.add("", Invalid::new("is there already", "edit it, or choose another --id"));
        return None;
    }
    if new.goal.len() > GOAL_MAX_BYTES || new.goal.contains(is_deceptive) {
        let help = format!("a goal is one line of at most {GOAL_MAX_BYTES} bytes");
        problems.add("goal", Invalid::new("is too long or has control characters", help));
        return None;
    }
    let other = read(&directory.join(format!("{}.toml", new.like)), problems)?;
    let network = read(&directory.join(NETWORK), problems)?;
    problems.enter(&path.display().to_string());
    let text = problems.check("", like(&other, new))?;
    let written: fragment::Agent = parsed(&text, problems)?;
    let network: fragment::Network = parsed(&network, problems)?;
    let context = agent::Context { vocabulary, network: Some(&network) };
    let settings = agent::validate(new.id, &written, &context, problems)?;
    Some(Draft { path: path.to_owned(), text, settings })
}

fn read(path: &Path, problems: &mut Problems) -> Option<String> {
    problems.enter(&path.display().to_string());
    problems.check("", std::fs::read_to_string(path).map_err(|error| unreadable(&error, LAYOUT)))
}

fn parsed<T: serde::de::DeserializeOwned>(text: &str, problems: &mut Problems) -> Option<T> {
    fragment::parse(text).map_err(|(place, invalid)| problems.add(place, invalid)).ok()
}

/// The other's file with the goal, node and policy of the new one. Where the other listens is its own affair.
fn like(other: &str, new: &NewAgent) -> Result<String, Invalid> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Invalid::new(format!("agent {}'s file cannot be copied: {error}", new.like), "choose another with --like")
    };
    let mut table: toml::Table = toml::from_str(other).map_err(|error| unreadable(&error))?;
    table.insert("goal".to_owned(), new.goal.clone().into());
    table.remove("listen");
    table.remove("s3");
    table.remove("worker");
    match new.node {
        Some(node) => table.insert("node".to_owned(), i64::from(node.0).into()),
        None => table.remove("node"),
    };
    if let Some(policy) = &new.policy {
        table.insert("policy".to_owned(), policy.clone().into());
    }
    let body = toml::to_string(&table).map_err(|error| unreadable(&error))?;
    Ok(format!(
        "# Added with the job and weights of agent {}. Every field is explained in docs/configuration.md.\n{body}",
        new.like
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::metric::Metric;

    const VOCABULARY: Vocabulary =
        Vocabulary { policies: &["cooperative", "fixed", "reference"], expression: |_| Ok(()) };

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in [NETWORK, "1.toml"] {
            let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../agents").join(file);
            std::fs::copy(from, folder.path().join(file)).unwrap();
        }
        folder
    }

    fn four() -> NewAgent {
        NewAgent {
            id: AgentId(4),
            goal: "network_latency <= 600 ms".to_owned(),
            node: None,
            policy: None,
            like: AgentId(1),
        }
    }

    #[test]
    fn a_new_application_has_the_job_and_weights_of_another() {
        let folder = folder();
        let reference = Some("reference".to_owned());
        let new = NewAgent { node: Some(NodeId(7)), policy: reference, ..four() };
        let Draft { path, text, settings } = draft(folder.path(), &new, &VOCABULARY).unwrap();
        assert_eq!(path, folder.path().join("4.toml"));
        assert_eq!((settings.node, settings.policy.as_str()), (NodeId(7), "reference"));
        assert_eq!(settings.rho.get(Metric::ResponseTime), Some(40.0));
        std::fs::write(&path, &text).unwrap();
        let loaded = crate::config::load(Some(folder.path()), &VOCABULARY).unwrap();
        assert_eq!(loaded.agents[&AgentId(4)], settings);
        assert_eq!(loaded.agents[&AgentId(4)].job, loaded.agents[&AgentId(1)].job);
        let plain = draft(folder.path(), &NewAgent { id: AgentId(5), ..four() }, &VOCABULARY).unwrap();
        assert_eq!((plain.settings.node, plain.settings.policy.as_str()), (NodeId(5), "cooperative"));
    }

    #[test]
    fn nothing_is_overwritten_and_mistakes_are_named() {
        let folder = folder();
        let refused = |new: NewAgent| {
            let error = draft(folder.path(), &new, &VOCABULARY).unwrap_err().to_string();
            error.replace(&format!("{}/", folder.path().display()), "")
        };
        assert!(refused(NewAgent { id: AgentId(1), ..four() }).starts_with("1.toml: is there already\n"));
        assert!(refused(NewAgent { like: AgentId(9), ..four() }).starts_with("9.toml: does not exist\n"));
        let unknown = refused(NewAgent { goal: "happiness > 3".to_owned(), ..four() });
        assert!(unknown.starts_with("4.toml: goal: unknown metric `happiness`"), "{unknown}");
        let bell = refused(NewAgent { goal: "network_latency <= 600 ms\u{7}".to_owned(), ..four() });
        assert!(bell.starts_with("4.toml: goal: is too long or has control characters\n"), "{bell}");
        assert!(!folder.path().join("4.toml").exists());
    }
}
