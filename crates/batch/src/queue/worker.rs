//! Workers come, say that they are there, are drained, and go; those that are silent lose their tasks.

use super::{Queue, Refused, Request, Scope, Utilisation, Which};
use crate::cores::Cores;
use crate::job::{Attempt, RunnerKind, Task, TaskSpecification, Worker};
use agent_core::domain::ids::{Life, NodeId};
use agent_core::domain::labels::Labels;
use std::collections::BTreeSet;
use std::time::Duration;

/// A node takes tasks from now on, for a new life of its agent: what an earlier one held is lost.
pub struct Join {
    pub node: NodeId,
    pub life: Life,
    pub cores: Cores,
    pub memory: u64,
    pub runners: BTreeSet<RunnerKind>,
    pub labels: Labels,
    pub lease: Duration,
}

impl Request for Join {
    const OPERATION: &'static str = "join";
    type Answer = ();

    fn scope(&self) -> Scope {
        Scope { nodes: Which::only(self.node), ..Scope::default() }
    }

    fn apply(&self, queue: &mut Queue) -> Result<(), Refused> {
        let before = queue.workers.get(&self.node);
        let is_draining = before.is_some_and(|worker| worker.is_draining);
        if before.is_some_and(|worker| worker.life != self.life) {
            queue.lose_all_at(self.node, "its worker was started anew");
        }
        let worker = Worker {
            node: self.node,
            life: self.life.clone(),
            cores: self.cores.clone(),
            memory: self.memory,
            runners: self.runners.clone(),
            labels: self.labels.clone(),
            is_draining,
            alive_until: queue.now + self.lease,
        };
        queue.workers.insert(self.node, worker);
        queue.changed.workers.insert(self.node);
        queue.changed.is_news = true;
        Ok(())
    }
}

/// A task that a worker holds, with what it is.
#[derive(Clone, PartialEq, Debug)]
pub struct Assignment {
    pub task: Task,
    pub specification: TaskSpecification,
    pub job_name: String,
}

impl Assignment {
    pub fn attempt(&self) -> Attempt {
        Attempt { task: self.task.id, number: self.task.attempt }
    }
}

/// A worker is there, and asks what it holds.
pub struct Beat {
    pub node: NodeId,
    pub life: Life,
    pub lease: Duration,
    /// Whether what is in use is to be kept.
    pub samples: bool,
}

impl Request for Beat {
    const OPERATION: &'static str = "beat";
    /// `None`: the node is another life's by now, or no worker any more; whatever runs has to end.
    type Answer = Option<Vec<Assignment>>;

    fn scope(&self) -> Scope {
        Scope { nodes: Which::only(self.node), ..Scope::default() }
    }

    fn apply(&self, queue: &mut Queue) -> Result<Option<Vec<Assignment>>, Refused> {
        let Some(worker) = queue.workers.get(&self.node).filter(|worker| worker.life == self.life).cloned() else {
            return Ok(None);
        };
        // Late, and nobody has noticed: what others must take for lost is lost.
        if !worker.is_alive(queue.now) {
            queue.lose_all_at(self.node, "its worker was silent for too long");
            queue.changed.is_news = true;
        }
        let until = queue.now + self.lease;
        queue.change_worker(self.node, |worker| worker.alive_until = until);
        if self.samples {
            let sample = queue.utilisation(&worker);
            queue.changed.utilisation.push(sample);
        }
        Ok(Some(queue.assignments(self.node)))
    }
}

impl Queue {
    pub fn assignments(&self, node: NodeId) -> Vec<Assignment> {
        let assignment = |task: &Task| {
            let job = &self.jobs.get(&task.id.job)?.specification;
            let specification = job.tasks.get(task.id.index)?.clone();
            Some(Assignment { task: task.clone(), specification, job_name: job.name.clone() })
        };
        self.tasks_at(node).filter_map(assignment).collect()
    }

    fn utilisation(&self, worker: &Worker) -> Utilisation {
        let (free_cores, free_memory) = self.free(worker);
        let mut busy = worker.cores.clone();
        busy.remove(&free_cores);
        Utilisation {
            node: worker.node,
            at: self.now,
            cores: worker.cores.clone(),
            busy,
            memory: worker.memory,
            reserved: worker.memory - free_memory,
        }
    }
}

/// A worker ends in order: it holds nothing any more.
pub struct Leave {
    pub node: NodeId,
    pub life: Life,
}

impl Request for Leave {
    const OPERATION: &'static str = "leave";
    type Answer = ();

    fn scope(&self) -> Scope {
        Scope { nodes: Which::only(self.node), ..Scope::default() }
    }

    fn apply(&self, queue: &mut Queue) -> Result<(), Refused> {
        if queue.workers.get(&self.node).is_some_and(|worker| worker.life == self.life) {
            queue.lose_all_at(self.node, "its worker was stopped");
            let now = queue.now;
            queue.change_worker(self.node, |worker| worker.alive_until = now);
            queue.changed.is_news = true;
        }
        Ok(())
    }
}

/// From now on a worker takes no new tasks, or takes them again.
pub struct Drain {
    pub node: NodeId,
    pub is_draining: bool,
}

impl Request for Drain {
    const OPERATION: &'static str = "drain";
    /// How many tasks it still holds.
    type Answer = usize;

    fn scope(&self) -> Scope {
        Scope { nodes: Which::only(self.node), ..Scope::default() }
    }

    fn apply(&self, queue: &mut Queue) -> Result<usize, Refused> {
        if !queue.workers.contains_key(&self.node) {
            let node = self.node;
            return Err(Refused(format!("node {node} is no worker; `agent worker list` shows them")));
        }
        queue.change_worker(self.node, |worker| worker.is_draining = self.is_draining);
        queue.changed.is_news = true;
        Ok(queue.tasks_at(self.node).count())
    }
}

/// Tasks of workers that are silent for longer than they said they might be are lost.
pub struct Reap;

impl Request for Reap {
    const OPERATION: &'static str = "reap";
    /// Whose tasks were.
    type Answer = Vec<NodeId>;

    fn scope(&self) -> Scope {
        Scope { nodes: Which::All, ..Scope::default() }
    }

    fn apply(&self, queue: &mut Queue) -> Result<Vec<NodeId>, Refused> {
        let is_gone = |node: &NodeId| queue.workers.get(node).is_some_and(|worker| !worker.is_alive(queue.now));
        let gone: Vec<NodeId> = queue.occupants().into_keys().filter(is_gone).collect();
        for node in &gone {
            queue.lose_all_at(*node, "its worker was silent for too long");
        }
        Ok(gone)
    }
}
