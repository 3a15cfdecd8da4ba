//! An agent's own job on another node: handed to the worker there as a batch job of one task.

use crate::jobs::command::CommandJob;
use crate::jobs::{DataSource, FailedFor, Job, JobError, JobReport};
use crate::worker::place;
use agent_batch::job::{
    Ending, Job as BatchJob, JobId, Restart, RunnerKind, Specification, State, Task, TaskSpecification,
};
use agent_batch::placement::{Place, Size};
use agent_batch::queue::submit::{Cancel, Submit, Submitted};
use agent_batch::table::{BatchTable, carry_out, find};
use agent_core::clock::Clock;
use agent_core::domain::ids::{AgentId, NodeId};
use agent_core::domain::placement::Replica;
use agent_core::domain::snapshot::Snapshot;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// What a job is given on a node that is not its own: nobody says what it needs.
const SIZE: Size = Size { cores: 1, memory: 500_000_000 };
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long it may wait there for a place before it counts as failed, for its surroundings.
const PLACED_WITHIN: Duration = Duration::from_secs(10);

/// A program that can run here, and on nodes whose workers take it.
pub struct MovableJob {
    pub job: CommandJob,
    pub agent: AgentId,
    pub table: Arc<dyn BatchTable>,
    pub clock: Arc<dyn Clock>,
    pub services: Handle,
}

#[async_trait]
impl Job for MovableJob {
    fn describe(&self) -> String {
        self.job.describe()
    }

    async fn run_over(&self, sources: &[DataSource]) -> Result<JobReport, FailedFor> {
        self.job.run_over(sources).await
    }

    fn is_counted_on_the_way(&self, endpoint: &str) -> bool {
        self.job.is_counted_on_the_way(endpoint)
    }

    async fn run_on(&self, node: NodeId, snapshot: &Snapshot, replica: &Replica) -> Result<JobReport, JobError> {
        let began = Instant::now();
        let handed = Handed { job: self.submit(node, snapshot, replica).await?, of: self };
        let task = handed.ended(began).await?;
        let response_time = began.elapsed();
        match &task.ending {
            Some(Ending::Exited(0)) => {}
            Some(ending @ (Ending::Exited(_) | Ending::Killed(_) | Ending::OutOfMemory | Ending::TimeLimit)) => {
                return Err(JobError::Command {
                    program: self.job.program.clone(),
                    reason: format!("failed on node {node}: {ending}"),
                    output: task.output.clone(),
                });
            }
            Some(ending) => return Err(self.surroundings(format!("on node {node}: {ending}"))),
            None => return Err(self.surroundings(format!("nobody knows how it ended on node {node}"))),
        }
        self.job.read(&task.output, response_time)
    }
}

impl MovableJob {
    async fn submit(&self, node: NodeId, snapshot: &Snapshot, replica: &Replica) -> Result<JobId, JobError> {
        let limit = u64::try_from(self.clock.record(self.job.time_limit).as_millis()).unwrap_or(u64::MAX);
        let task = TaskSpecification {
            name: format!("agent {}", self.agent),
            runner: RunnerKind::Process,
            command: [&self.job.program].into_iter().chain(&self.job.args).cloned().collect(),
            container: None,
            environment: BTreeMap::new(),
            size: SIZE,
            place: Place::Node(node),
            labels: None,
            data_sets: vec![snapshot.data_set.name.to_string()],
            replica: Some(replica.id.0),
            time_limit_ms: Some(limit),
            restart: Restart::NEVER,
            checkpoint: None,
            grace_ms: 1_000,
        };
        let specification = Specification {
            name: format!("job of agent {}", self.agent),
            priority: i32::MAX,
            deadline: None,
            keep_going: false,
            tasks: vec![task],
        };
        let key = format!("agent-{}-{:032x}", self.agent, rand::random::<u128>());
        let submitted = carry_out(self.table.as_ref(), Submit { key, specification, waits: false }).await;
        match submitted.map_err(|error| self.surroundings(error.to_string()))? {
            Submitted::Queued(job) => {
                place(self.table.as_ref()).await.map_err(|error| self.surroundings(error.to_string()))?;
                Ok(job)
            }
            Submitted::TooLarge(_) => Err(self.surroundings(format!("node {node} takes no such tasks"))),
        }
    }

    fn surroundings(&self, reason: String) -> JobError {
        JobError::Surroundings { program: self.job.program.clone(), reason }
    }
}

/// Calls it off when nobody waits for it any more.
struct Handed<'a> {
    job: JobId,
    of: &'a MovableJob,
}

impl Handed<'_> {
    async fn ended(&self, began: Instant) -> Result<Task, JobError> {
        loop {
            let (job, task) = self.look().await?;
            if job.state.is_over() {
                return Ok(task);
            }
            if job.state == State::Queued && began.elapsed() > PLACED_WITHIN {
                let reason =
                    format!("waited {PLACED_WITHIN:?} for a place; `agent batch why {}` says for what", self.job);
                return Err(self.of.surroundings(reason));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn look(&self) -> Result<(BatchJob, Task), JobError> {
        let found = find(self.of.table.as_ref(), self.job).await;
        let found = found.map_err(|error| self.of.surroundings(error.to_string()))?;
        let found = found.and_then(|(job, mut tasks)| Some((job, tasks.pop()?)));
        found.ok_or_else(|| self.of.surroundings(format!("batch job {} is gone", self.job)))
    }
}

impl Drop for Handed<'_> {
    fn drop(&mut self) {
        let (table, job) = (self.of.table.clone(), self.job);
        self.of.services.spawn(async move {
            // Of one that is over this changes nothing.
            let reason = "its agent does not wait for it any more".to_owned();
            if let Err(error) = carry_out(table.as_ref(), Cancel { job, reason }).await {
                tracing::warn!(%error, %job, "a job that was handed over goes on");
            }
        });
    }
}
