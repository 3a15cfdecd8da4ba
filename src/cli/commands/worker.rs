//! `agent worker`: the nodes that take tasks.

use crate::app::Purpose;
use crate::app::batch::{self, WorkerView};
use crate::cli::batch_arguments::{OfNode, Worker};
use crate::cli::place::Place;
use crate::cli::print;
use agent_core::domain::units::show_bytes;
use std::process::ExitCode;

impl Place {
    pub(super) fn worker(&self, arguments: Worker) -> anyhow::Result<ExitCode> {
        match arguments {
            Worker::List { json } => self.with_knowledge(Purpose::Look, async |_, existing| {
                let workers = batch::workers(existing.batch.as_ref()).await?;
                if json { print::json(&workers) } else { print::lines(worker_lines(&workers)) }
            }),
            Worker::Drain(of) => self.drain(&of, true),
            Worker::Resume(of) => self.drain(&of, false),
        }
    }

    fn drain(&self, OfNode { node, json }: &OfNode, is_draining: bool) -> anyhow::Result<ExitCode> {
        self.with_knowledge(Purpose::Change, async |_, existing| {
            let tasks = batch::drain(existing.batch.as_ref(), *node, is_draining).await?;
            if *json {
                return print::json(&serde_json::json!({ "node": node, "draining": is_draining, "tasks": tasks }));
            }
            print::lines([match is_draining {
                true => format!("node {node} is given no new tasks; it has {tasks}"),
                false => format!("node {node} is given tasks again; it has {tasks}"),
            }])
        })
    }
}

pub(super) fn worker_lines(workers: &[WorkerView]) -> Vec<String> {
    if workers.is_empty() {
        return vec!["no node takes tasks; give an agent's N.toml a `[worker]`".to_owned()];
    }
    let mut lines = vec!["node   state      tasks  cores free  memory free          starts".to_owned()];
    lines.extend(workers.iter().map(|view| {
        let WorkerView { worker, standing, free_cores, free_memory, tasks } = view;
        let runners: Vec<&str> = worker.runners.iter().map(|runner| runner.name()).collect();
        let cores = format!("{free_cores} of {}", worker.cores.len());
        let memory = format!("{} of {}", show_bytes(*free_memory), show_bytes(worker.memory));
        let node = worker.node.to_string();
        format!("{node:<6} {standing:<10} {tasks:<6} {cores:<11} {memory:<20} {}", runners.join(", "))
    }));
    lines
}
