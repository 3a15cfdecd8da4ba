//! An agent's node as a worker: what of its machine there is for tasks, and what starts them.

use super::surroundings::Surroundings;
use crate::actors::World;
use crate::jobs::command::THIS_PROGRAM;
use crate::worker::{Runners, Wanted, Worker, offer};
use agent_batch::job::RunnerKind;
use agent_core::config::settings::{Pull, TaskKind, WorkerSettings};
use agent_runner::Runner;
use agent_runner::docker::{self, DockerRunner};
use agent_runner::process::{KeeperProgram, ProcessRunner};
use anyhow::Context as _;
use std::sync::Arc;

/// Takes tasks from then on.
pub async fn begin(
    surroundings: &Surroundings,
    world: &Arc<World>,
    settings: &WorkerSettings,
) -> anyhow::Result<Worker> {
    let mut runners = runners(settings).await?;
    let offer = offer(settings, &mut runners).await?;
    let network = surroundings.network();
    let labels = network.nodes.get(&world.home).map(|node| node.labels.clone()).unwrap_or_default();
    let begun = Worker::begin(Wanted {
        world: world.clone(),
        table: surroundings.batch.clone(),
        runners,
        offer,
        labels,
        network: surroundings.table(),
        folder: surroundings.data.tasks(world.agent),
        silence: network.silence(),
    });
    begun.await.context("the node cannot take tasks")
}

/// What the settings name. Whether it can start anything here is found out later.
async fn runners(settings: &WorkerSettings) -> anyhow::Result<Runners> {
    let mut runners = Runners::new();
    for kind in &settings.runners {
        let (kind, runner): (RunnerKind, Arc<dyn Runner>) = match kind {
            TaskKind::Process => {
                let keeper = KeeperProgram { path: THIS_PROGRAM.into(), arguments: vec!["keep".to_owned()] };
                (RunnerKind::Process, Arc::new(ProcessRunner::prepare(keeper).await))
            }
            TaskKind::Docker => (RunnerKind::Docker, Arc::new(DockerRunner::find(pull(settings.pull))?)),
        };
        runners.insert(kind, runner);
    }
    Ok(runners)
}

fn pull(stated: Pull) -> docker::Pull {
    match stated {
        Pull::Never => docker::Pull::Never,
        Pull::Missing => docker::Pull::Missing,
        Pull::Always => docker::Pull::Always,
    }
}
