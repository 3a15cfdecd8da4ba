//! Containers of an engine on this machine: Docker, or Podman behind the same API.
//!
//! A container is the engine's, not the agent's: it goes on when the agent is killed. So whoever starts again sweeps first.
//! Without an `init` in its image, a container's program is process 1, to which the kernel gives only signals that it has a
//! handler for: one that has none for SIGTERM is killed when its grace is over.

mod container;
mod engine;
mod socket;
mod task;

use self::engine::Engine;
use self::task::Task;
use crate::output::Output;
use crate::{Abilities, Launch, Limit, Limits, Mechanism, Runner, RunnerError, RunnerKind, Running};
use async_trait::async_trait;
use bollard::models::SystemInfo;
use std::path::PathBuf;

/// When an image is pulled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pull {
    Never,
    /// When this machine has not got it.
    Missing,
    Always,
}

pub struct DockerRunner {
    socket: PathBuf,
    pull: Pull,
}

impl DockerRunner {
    /// By `DOCKER_HOST`, or where Docker and Podman have their sockets; an error when it names another machine.
    pub fn find(pull: Pull) -> Result<Self, RunnerError> {
        let socket = socket::find(|name| std::env::var(name).ok(), |path| path.exists())?;
        Ok(Self::at(socket, pull))
    }

    pub fn at(socket: PathBuf, pull: Pull) -> Self {
        Self { socket, pull }
    }

    async fn engine(&self) -> Result<Engine, RunnerError> {
        Engine::connect(&self.socket).await
    }

    async fn image(&self, engine: &Engine, image: &str) -> Result<(), RunnerError> {
        let is_present = engine.has_image(image).await?;
        match self.pull {
            Pull::Never if is_present => Ok(()),
            Pull::Never => Err(RunnerError::ImageNotPresent { image: image.to_owned(), policy: self.pull.name() }),
            Pull::Missing if is_present => Ok(()),
            Pull::Missing | Pull::Always => engine.pull(image).await,
        }
    }
}

#[async_trait]
impl Runner for DockerRunner {
    fn kind(&self) -> RunnerKind {
        RunnerKind::Docker
    }

    async fn examine(&self) -> Result<Abilities, RunnerError> {
        Ok(abilities(&self.engine().await?.info().await?))
    }

    async fn start(&self, launch: &Launch) -> Result<Box<dyn Running>, RunnerError> {
        let Some(image) = &launch.image else { return Err(launch.refused("it names no image".to_owned())) };
        let engine = self.engine().await?;
        let info = engine.info().await?;
        launch.check(&abilities(&info).cores)?;
        container::check(launch)?;
        let output = Output::open(&launch.output).map_err(|error| {
            RunnerError::system(
                format!("write the output of task {} to {}", launch.name, launch.output.display()),
                &error,
            )
        })?;
        self.image(&engine, image).await?;
        let warnings = engine.create(launch, image).await?;
        match Task::start(&engine, launch, info, warnings, output).await {
            Ok(task) => Ok(Box::new(task)),
            Err(error) => {
                engine.remove(&launch.name).await?;
                Err(error)
            }
        }
    }

    async fn sweep(&self, prefix: &str) -> Result<Vec<String>, RunnerError> {
        let engine = self.engine().await?;
        let mut names = engine.tasks(prefix).await?;
        names.sort_unstable();
        for name in &names {
            engine.remove(name).await?;
        }
        Ok(names)
    }
}

impl Pull {
    pub fn name(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Missing => "missing",
            Self::Always => "always",
        }
    }
}

fn abilities(info: &SystemInfo) -> Abilities {
    let number = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok()).unwrap_or_default();
    let cores: Vec<u32> = (0..u32::try_from(number(info.ncpu)).unwrap_or_default()).collect();
    let memory_bytes = number(info.mem_total);
    let limits = Limits {
        cores: held(cores.clone(), info.cpu_set, container::NO_CORES),
        memory_bytes: held(memory_bytes, info.memory_limit, container::NO_MEMORY),
        pids: held(u32::MAX, info.pids_limit, container::NO_PIDS),
        by: Mechanism::Docker,
    };
    Abilities { cores, memory_bytes, limits, remarks: info.warnings.clone().unwrap_or_default() }
}

fn held<T>(most: T, is_able: Option<bool>, why_not: &str) -> Limit<T> {
    // Who does not say is judged by each container.
    if is_able == Some(false) { Limit::Unlimited { reason: why_not.to_owned() } } else { Limit::Holds(most) }
}
