//! A container that runs, and who follows it to its end.

use super::container;
use super::engine::Engine;
use crate::launch::check_cores;
use crate::limits::Asked;
use crate::output::Output;
use crate::{Ended, Launch, Limits, Port, RunnerError, Running, Usage};
use async_trait::async_trait;
use bollard::container::AttachContainerResults;
use bollard::models::{ContainerInspectResponse, SystemInfo};
use futures::StreamExt as _;
use rustix::process::Signal;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long the end of the output may take to arrive when the container has ended.
const LAST_OUTPUT_WITHIN: Duration = Duration::from_secs(10);

pub(super) struct Task {
    engine: Engine,
    name: String,
    asked: Asked,
    info: SystemInfo,
    /// What the engine said when it made the container.
    warnings: Vec<String>,
    limits: Limits,
    ports: Vec<Port>,
    /// Its end is the order to end the task.
    held: oneshot::Sender<()>,
    follower: JoinHandle<Ended>,
    ended: Option<Ended>,
}

impl Task {
    /// Starts the container, which is created. After an error it is there still.
    pub async fn start(
        engine: &Engine,
        launch: &Launch,
        info: SystemInfo,
        warnings: Vec<String>,
        output: Output,
    ) -> Result<Self, RunnerError> {
        let name = launch.name.clone();
        // Before the start, so that nothing is missed.
        let attached = engine.attach(&name).await?;
        engine.start(launch).await?;
        let says = engine.inspect(&name).await?.ok_or_else(|| RunnerError::Engine {
            doing: format!("describe the container {name}"),
            reason: "somebody removed it".to_owned(),
        })?;
        let asked = Asked::of(launch);
        let limits = limits(&asked, &info, &warnings, &says);
        let bound = says.network_settings.and_then(|settings| settings.ports).unwrap_or_default();
        let ports = container::bound_ports(&launch.ports, &bound);
        let (held, dropped) = oneshot::channel();
        let output = tokio::spawn(collect(attached, output));
        let follower = tokio::spawn(follow(engine.clone(), name.clone(), dropped, output));
        Ok(Self { engine: engine.clone(), name, asked, info, warnings, limits, ports, held, follower, ended: None })
    }

    async fn memory_bytes(&self) -> Option<u64> {
        self.current_usage().await.map(|usage| usage.memory_bytes)
    }

    async fn current_usage(&self) -> Option<Usage> {
        let stats = self.engine.stats(&self.name).await?;
        let memory = stats.memory_stats?;
        let cached = memory.stats.as_ref().and_then(|stats| {
            // Version 1 of control groups, and version 2.
            stats.get("total_inactive_file").or_else(|| stats.get("inactive_file"))
        });
        let processor_time = Duration::from_nanos(stats.cpu_stats?.cpu_usage?.total_usage?);
        Some(Usage { memory_bytes: memory.usage?.saturating_sub(*cached.unwrap_or(&0)), processor_time })
    }

    fn over(&self) -> RunnerError {
        RunnerError::Ended { task: self.name.clone() }
    }
}

#[async_trait]
impl Running for Task {
    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn ports(&self) -> &[Port] {
        &self.ports
    }

    async fn ended(&mut self) -> Ended {
        if let Some(ended) = &self.ended {
            return ended.clone();
        }
        let ended = (&mut self.follower).await;
        let ended =
            ended.unwrap_or_else(|error| Ended::Vanished { reason: format!("it could not be followed: {error}") });
        self.ended.insert(ended).clone()
    }

    async fn resize(&mut self, cores: &[u32], memory_bytes: Option<u64>) -> Result<Limits, RunnerError> {
        check_cores(cores, &super::abilities(&self.info).cores)?;
        if self.follower.is_finished() {
            return Err(self.over());
        }
        if let Some(bytes) = memory_bytes {
            let in_use = self.memory_bytes().await.ok_or_else(|| self.over())?;
            if in_use >= bytes {
                return Err(RunnerError::below_use(bytes, in_use));
            }
        }
        self.engine.update(&self.name, container::update(cores, memory_bytes)).await?;
        self.asked.change(cores, memory_bytes);
        let says = self.engine.inspect(&self.name).await?.ok_or_else(|| self.over())?;
        self.limits = limits(&self.asked, &self.info, &self.warnings, &says);
        Ok(self.limits.clone())
    }

    async fn signal(&mut self, signal: Signal) -> Result<(), RunnerError> {
        if self.follower.is_finished() {
            return Err(self.over());
        }
        self.engine.signal(&self.name, signal).await
    }

    async fn usage(&mut self) -> Option<Usage> {
        self.current_usage().await
    }

    async fn stop(mut self: Box<Self>, grace: Duration) -> Ended {
        // One that has ended already is as it should be, and one that cannot be told is killed.
        let _told = self.signal(Signal::TERM).await;
        if let Ok(ended) = tokio::time::timeout(grace, self.ended()).await {
            return ended;
        }
        let (nobody, _) = oneshot::channel();
        self.held = nobody;
        self.ended().await
    }
}

fn limits(asked: &Asked, info: &SystemInfo, warnings: &[String], says: &ContainerInspectResponse) -> Limits {
    container::limits(asked, info, warnings, &says.host_config.clone().unwrap_or_default())
}

async fn collect(mut attached: AttachContainerResults, mut output: Output) {
    while let Some(printed) = attached.output.next().await {
        match printed {
            Ok(printed) => output.take(printed.as_ref()),
            Err(error) => {
                tracing::warn!(%error, "output of a container cannot be read on");
                return;
            }
        }
    }
}

/// Follows a container to its end, or ends it when nobody has the task any more; then removes it.
async fn follow(engine: Engine, name: String, dropped: oneshot::Receiver<()>, output: JoinHandle<()>) -> Ended {
    let mut waited = pin!(engine.wait(&name));
    let waited = tokio::select! {
        waited = &mut waited => waited,
        _ = dropped => {
            // Whether it was heard shows in how long it is waited for.
            let _heard = engine.signal(&name, Signal::KILL).await;
            waited.await
        }
    };
    let ended = match waited {
        Ok(()) => how_it_ended(&engine, &name).await,
        Err(error) => Err(error),
    };
    let _written = tokio::time::timeout(LAST_OUTPUT_WITHIN, output).await;
    let removed = engine.remove(&name).await;
    if let Err(error) = &removed {
        tracing::error!(task = name, %error, "the container of an ended task is left");
    }
    ended.unwrap_or_else(|error| Ended::Vanished {
        reason: format!("{error}; its container may go on until it is swept"),
    })
}

async fn how_it_ended(engine: &Engine, name: &str) -> Result<Ended, RunnerError> {
    let state = engine.inspect(name).await?.and_then(|says| says.state);
    Ok(match state {
        Some(state) => container::ended(&state),
        None => Ended::Vanished { reason: "somebody removed its container".to_owned() },
    })
}
