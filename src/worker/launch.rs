//! What is started for a task.

use super::attempt::Hands;
use agent_batch::job::{Attempt, Container, RunnerKind};
use agent_batch::queue::worker::Assignment;
use agent_core::domain::ids::{AgentId, NodeId};
use agent_runner::{Launch, Port, Protocol, Volume};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where a task creates an empty file when its state is written.
pub const CHECKPOINT_DONE: &str = ".checkpoint-done";

/// What all names of an agent's tasks begin with. Two networks on one machine, which have different tables, do not end each
/// other's tasks.
pub fn prefix(table: &str, agent: AgentId) -> String {
    format!("agent-{}-a{agent}-", hex::encode(&Sha256::digest(table.as_bytes())[..4]))
}

/// An attempt's own folder.
pub fn directory(folder: &Path, attempt: Attempt) -> PathBuf {
    folder.join(format!("{}-{}", attempt.task, attempt.number))
}

/// `inputs`: what it is told about its data.
pub fn launch(node: NodeId, hands: &Hands, assignment: &Assignment, inputs: BTreeMap<String, String>) -> Launch {
    let Hands { prefix, folder, .. } = hands;
    let Assignment { task, specification, job_name } = assignment;
    let attempt = assignment.attempt();
    let directory = directory(folder, attempt);
    let container = specification.container.clone().unwrap_or_default();
    let own = match specification.runner {
        RunnerKind::Process => directory.display().to_string(),
        RunnerKind::Docker => "/work".to_owned(),
    };
    let mut environment = specification.environment.clone();
    environment.extend(inputs);
    environment.extend([
        ("AGENT_JOB".to_owned(), task.id.job.to_string()),
        ("AGENT_JOB_NAME".to_owned(), job_name.clone()),
        ("AGENT_TASK_INDEX".to_owned(), task.id.index.to_string()),
        ("AGENT_ATTEMPT".to_owned(), task.attempt.to_string()),
        ("AGENT_NODE".to_owned(), node.to_string()),
        ("AGENT_CORES".to_owned(), task.seat.as_ref().map(|seat| seat.cores.to_string()).unwrap_or_default()),
        ("AGENT_MEMORY_BYTES".to_owned(), task.size.memory.to_string()),
    ]);
    if let Some(checkpoint) = &specification.checkpoint {
        environment.insert("AGENT_CHECKPOINT".to_owned(), format!("{own}/{}", checkpoint.path));
        environment.insert("AGENT_CHECKPOINT_DONE".to_owned(), format!("{own}/{CHECKPOINT_DONE}"));
    }
    Launch {
        name: format!("{prefix}j{}-t{}-n{}", task.id.job, task.id.index, task.attempt),
        command: specification.command.clone(),
        image: specification.container.as_ref().map(|container| container.image.clone()),
        environment,
        output: output(folder, attempt),
        directory,
        cores: task.seat.as_ref().map(|seat| seat.cores.to_vec()).unwrap_or_default(),
        memory_bytes: Some(task.size.memory),
        pids: None,
        ports: ports(&container),
        volumes: volumes(&container),
        network: container.network,
    }
}

/// What a task says, beside its folder.
pub fn output(folder: &Path, attempt: Attempt) -> PathBuf {
    folder.join(format!("{}-{}.log", attempt.task, attempt.number))
}

/// They were checked when the job was submitted.
fn ports(container: &Container) -> Vec<Port> {
    let port = |text: &String| {
        let (host, inside) = text.split_once(':')?;
        Some(Port { host: host.parse().ok(), container: inside.parse().ok()?, protocol: Protocol::Tcp })
    };
    container.ports.iter().filter_map(port).collect()
}

fn volumes(container: &Container) -> Vec<Volume> {
    let volume = |text: &String| {
        let (rest, read_only) = text.strip_suffix(":ro").map_or((text.as_str(), false), |rest| (rest, true));
        let (source, target) = rest.split_once(':')?;
        Some(Volume { source: source.to_owned(), target: target.to_owned(), read_only })
    };
    container.volumes.iter().filter_map(volume).collect()
}
