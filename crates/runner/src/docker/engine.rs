//! What is asked of an engine, and what its refusals mean.

use super::container::{self, LABEL};
use crate::{Launch, RunnerError};
use bollard::container::AttachContainerResults;
use bollard::errors::Error;
use bollard::models::{ContainerInspectResponse, ContainerStatsResponse, ContainerUpdateBody, SystemInfo};
use bollard::query_parameters::{AttachContainerOptionsBuilder, CreateContainerOptionsBuilder};
use bollard::query_parameters::{CreateImageOptionsBuilder, KillContainerOptionsBuilder, ListContainersOptionsBuilder};
use bollard::query_parameters::{RemoveContainerOptionsBuilder, StatsOptionsBuilder, WaitContainerOptionsBuilder};
use bollard::{API_DEFAULT_VERSION, Docker};
use futures::{StreamExt as _, TryStreamExt as _};
use rustix::process::Signal;
use std::collections::HashMap;
use std::error::Error as _;
use std::path::Path;
use std::time::Duration;

/// How long an answer may take \[s\].
const ANSWERS_WITHIN: u64 = 120;

/// How long an engine may be away while a container is waited for: it is being restarted, say.
const BACK_WITHIN_TRIES: u32 = 60;
const TRIED_AGAIN_AFTER: Duration = Duration::from_secs(1);

const NOT_FOUND: u16 = 404;
const CONFLICT: u16 = 409;

#[derive(Clone)]
pub(super) struct Engine {
    docker: Docker,
    socket: String,
}

impl Engine {
    pub async fn connect(socket: &Path) -> Result<Self, RunnerError> {
        let socket = socket.display().to_string();
        let away = |error: Error| RunnerError::EngineAway { socket: socket.clone(), reason: reason(&error) };
        let docker = Docker::connect_with_unix(&socket, ANSWERS_WITHIN, API_DEFAULT_VERSION).map_err(away)?;
        // An older one refuses what it does not know.
        let docker = docker.negotiate_version().await.map_err(away)?;
        Ok(Self { docker, socket })
    }

    pub async fn info(&self) -> Result<SystemInfo, RunnerError> {
        self.docker.info().await.map_err(|error| self.failed("say what it can", &error))
    }

    pub async fn has_image(&self, image: &str) -> Result<bool, RunnerError> {
        match self.docker.inspect_image(image).await {
            Ok(_) => Ok(true),
            Err(error) if status(&error) == Some(NOT_FOUND) => Ok(false),
            Err(error) => Err(self.failed("look for an image", &error)),
        }
    }

    pub async fn pull(&self, image: &str) -> Result<(), RunnerError> {
        let options = CreateImageOptionsBuilder::default().from_image(&with_tag(image)).build();
        let progress = self.docker.create_image(Some(options), None, None);
        let failed = |error: Error| match error {
            Error::DockerResponseServerError { message: reason, .. } | Error::DockerStreamError { error: reason } => {
                RunnerError::PullFailed { image: image.to_owned(), reason }
            }
            error => self.failed("pull an image", &error),
        };
        progress.try_for_each(async |_| Ok(())).await.map_err(failed)
    }

    /// Makes the container and does not start it; what the engine warns of.
    pub async fn create(&self, launch: &Launch, image: &str) -> Result<Vec<String>, RunnerError> {
        let options = CreateContainerOptionsBuilder::default().name(&launch.name).build();
        let created = self.docker.create_container(Some(options), container::body(launch, image)).await;
        match created {
            Ok(created) => Ok(created.warnings),
            Err(error) => Err(self.refused(launch, &error, "create")),
        }
    }

    pub async fn attach(&self, name: &str) -> Result<AttachContainerResults, RunnerError> {
        let options = AttachContainerOptionsBuilder::default().stdout(true).stderr(true).stream(true).build();
        let attached = self.docker.attach_container(name, Some(options)).await;
        attached.map_err(|error| self.failed("give a container's output", &error))
    }

    pub async fn start(&self, launch: &Launch) -> Result<(), RunnerError> {
        let started = self.docker.start_container(&launch.name, None).await;
        started.map_err(|error| self.refused(launch, &error, "start"))
    }

    /// `None`: there is none of this name.
    pub async fn inspect(&self, name: &str) -> Result<Option<ContainerInspectResponse>, RunnerError> {
        match self.docker.inspect_container(name, None).await {
            Ok(says) => Ok(Some(says)),
            Err(error) if status(&error) == Some(NOT_FOUND) => Ok(None),
            Err(error) => Err(self.failed("describe a container", &error)),
        }
    }

    /// Returns when the container runs no more, or is gone.
    pub async fn wait(&self, name: &str) -> Result<(), RunnerError> {
        let mut tries = 0;
        loop {
            let options = WaitContainerOptionsBuilder::default().condition("not-running").build();
            let error = match self.docker.wait_container(name, Some(options)).next().await {
                Some(Ok(_) | Err(Error::DockerContainerWaitError { .. })) => return Ok(()),
                Some(Err(error)) if status(&error) == Some(NOT_FOUND) => return Ok(()),
                // It goes on.
                Some(Err(Error::RequestTimeoutError)) => continue,
                Some(Err(error)) => self.failed("wait for a container", &error),
                None => RunnerError::EngineAway { socket: self.socket.clone(), reason: "it hung up".to_owned() },
            };
            tries += 1;
            if tries == BACK_WITHIN_TRIES {
                return Err(error);
            }
            tokio::time::sleep(TRIED_AGAIN_AFTER).await;
        }
    }

    /// To process 1 of the container.
    pub async fn signal(&self, name: &str, signal: Signal) -> Result<(), RunnerError> {
        let options = KillContainerOptionsBuilder::default().signal(&signal.as_raw().to_string()).build();
        match self.docker.kill_container(name, Some(options)).await {
            Ok(()) => Ok(()),
            Err(error) if matches!(status(&error), Some(NOT_FOUND | CONFLICT)) => {
                Err(RunnerError::Ended { task: name.to_owned() })
            }
            Err(error) => Err(self.failed("signal a container", &error)),
        }
    }

    pub async fn stats(&self, name: &str) -> Option<ContainerStatsResponse> {
        let options = StatsOptionsBuilder::default().stream(false).one_shot(true).build();
        self.docker.stats(name, Some(options)).next().await?.ok()
    }

    pub async fn update(&self, name: &str, update: ContainerUpdateBody) -> Result<(), RunnerError> {
        let updated = self.docker.update_container(name, update).await;
        updated.map_err(|error| self.failed("change a container's limits", &error))
    }

    /// With all that runs in it, and its nameless volumes. That there is none is as it should be.
    pub async fn remove(&self, name: &str) -> Result<(), RunnerError> {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        match self.docker.remove_container(name, Some(options)).await {
            Ok(()) => Ok(()),
            // Gone, or somebody else is removing it.
            Err(error) if matches!(status(&error), Some(NOT_FOUND | CONFLICT)) => Ok(()),
            Err(error) => Err(self.failed(&format!("remove the container {name}"), &error)),
        }
    }

    /// The names of tasks that have a container and begin like this.
    pub async fn tasks(&self, prefix: &str) -> Result<Vec<String>, RunnerError> {
        let filters = HashMap::from([("label", vec![LABEL])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let listed = self.docker.list_containers(Some(options)).await;
        let listed = listed.map_err(|error| self.failed("list containers", &error))?;
        let names = listed.into_iter().filter_map(|container| container.labels?.remove(LABEL));
        Ok(names.filter(|name| name.starts_with(prefix)).collect())
    }

    fn refused(&self, launch: &Launch, error: &Error, doing: &str) -> RunnerError {
        let doing = format!("{doing} the container {}", launch.name);
        match error {
            Error::DockerResponseServerError { message, .. } => refusal(launch, message, doing),
            error => self.failed(&doing, error),
        }
    }

    fn failed(&self, doing: &str, error: &Error) -> RunnerError {
        match error {
            Error::DockerResponseServerError { message, .. } => {
                RunnerError::Engine { doing: doing.to_owned(), reason: message.clone() }
            }
            error => RunnerError::EngineAway { socket: self.socket.clone(), reason: reason(error) },
        }
    }
}

/// What an engine's words mean: it has no others for them.
fn refusal(launch: &Launch, message: &str, doing: String) -> RunnerError {
    let says = |words: &[&str]| words.iter().any(|word| message.to_ascii_lowercase().contains(word));
    let reason = message.to_owned();
    let command = || launch.command.first().cloned().unwrap_or_default();
    let is_of_command = says(&["exec: ", "exec /", "executable"]);
    if says(&["cannot allocate memory", "resource temporarily unavailable", "too many open files", "no space left"]) {
        RunnerError::MachineFull { doing, reason }
    } else if is_of_command && says(&["not found", "no such file"]) {
        let searched = format!("in the image {}", launch.image.as_deref().unwrap_or_default());
        RunnerError::CommandNotFound { command: command(), searched }
    } else if is_of_command && says(&["permission denied", "exec format error", "is a directory"]) {
        RunnerError::NotExecutable { command: command(), reason }
    } else if says(&["minimum memory limit", "memory limit is too low", "container init was oom-killed"]) {
        RunnerError::CannotHold { limit: "memory", reason }
    } else {
        RunnerError::Engine { doing, reason }
    }
}

/// Without a tag, every one that the registry has would be pulled.
fn with_tag(image: &str) -> String {
    let name = image.rsplit('/').next().unwrap_or(image);
    if name.contains([':', '@']) { image.to_owned() } else { format!("{image}:latest") }
}

fn status(error: &Error) -> Option<u16> {
    match error {
        Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// With what is behind it: the outermost says little.
fn reason(error: &Error) -> String {
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_reason = inner.to_string();
        if !reason.contains(&inner_reason) {
            reason = format!("{reason}: {inner_reason}");
        }
        source = inner.source();
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engines_words_are_understood() {
        let launch = Launch { image: Some("i:1".to_owned()), command: vec!["./x".to_owned()], ..Launch::example("t") };
        let check = |message: &str, expected: &str| {
            let error = refusal(&launch, message, "start the container t".to_owned());
            assert!(error.to_string().starts_with(expected), "{error}");
        };
        let not_found = "OCI runtime create failed: exec: \"./x\": stat ./x: no such file or directory: unknown";
        check(not_found, "command `./x` is not found in the image i:1");
        check("exec: \"x\": executable file not found in $PATH", "command `./x` is not found in the image i:1");
        check("exec: \"./x\": permission denied", "command `./x` cannot be executed: exec");
        check("exec /work/x: exec format error", "command `./x` cannot be executed: exec");
        check("Minimum memory limit allowed is 6MB", "the limit of memory cannot hold: Minimum");
        check("fork/exec /usr/bin/x: resource temporarily unavailable", "this machine is full");
        check("port is already allocated", "the container engine refuses to start the container t: port");
    }

    #[test]
    fn one_image_is_pulled_not_all_of_its_tags() {
        assert_eq!(with_tag("busybox"), "busybox:latest");
        assert_eq!(with_tag("host:5000/busybox"), "host:5000/busybox:latest");
        assert_eq!(with_tag("busybox:1"), "busybox:1");
        assert_eq!(with_tag("busybox@sha256:0"), "busybox@sha256:0");
    }
}
