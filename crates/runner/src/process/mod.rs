//! Programs, each under a [`keeper`](crate::keeper).
//!
//! What keeps them within their limits is the best that is there, found out once: a control group in a subtree that is delegated
//! to the agent; else a scope of a systemd manager; else the affinity and the address space of each process
//! ([`Mechanism`](crate::Mechanism)). Without a control group nobody counts what a task has in memory: a program that is refused
//! memory fails in a way of its own, which cannot be told from any other failure.

mod cgroup;
mod confinement;
mod place;
mod scope;
mod task;

use self::confinement::Confinement;
use self::task::Task;
use crate::keeper::{Failure, NotStarted};
use crate::output::Output;
use crate::{Abilities, Launch, Runner, RunnerError, RunnerKind, Running, marked};
use async_trait::async_trait;
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::process::Command;

/// The variable that names a task to its own processes, and them to those who look for what was left.
pub const AGENT_TASK: &str = "AGENT_TASK";

/// What programs inherit of the agent's environment, which holds secrets. What a launch says comes before it.
const INHERITED: [&str; 8] = ["PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR"];

/// How long what was killed may take to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(5);

/// How often it is looked for what was left: who is killed may just have started another one.
const LOOKS: u32 = 10;

/// How a keeper is started: a program that does nothing but [`keep`](crate::keeper::keep).
#[derive(Clone, PartialEq, Debug)]
pub struct KeeperProgram {
    pub path: PathBuf,
    pub arguments: Vec<String>,
}

pub struct ProcessRunner {
    keeper: KeeperProgram,
    confinement: Confinement,
    /// Why no better one.
    remarks: Vec<String>,
}

impl ProcessRunner {
    /// Finds the best that this machine has. Where a subtree of control groups is delegated to this process, it moves itself
    /// into a group of its own in it; so it must be before anything else has been started.
    pub async fn prepare(keeper: KeeperProgram) -> Self {
        let (confinement, remarks) = Confinement::find().await;
        Self { keeper, confinement, remarks }
    }

    async fn launch(&self, launch: &Launch, present: Vec<u32>) -> Result<Task, RunnerError> {
        let output = Output::open(&launch.output).map_err(|error| {
            RunnerError::system(
                format!("write the output of task {} to {}", launch.name, launch.output.display()),
                &error,
            )
        })?;
        let mut place = self.confinement.enter(launch).await?;
        match place.start(self.command(launch), launch).await {
            Ok((kept, printed)) => Ok(Task::new(launch, present, place, kept, output.collect(printed))),
            Err(error) => {
                place.leave().await?;
                Err(not_started(launch, error))
            }
        }
    }

    fn command(&self, launch: &Launch) -> Command {
        let mut command = self.confinement.command(&self.keeper.path, launch);
        command.args(&self.keeper.arguments).env_clear();
        command.envs(INHERITED.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.envs(&launch.environment).env(AGENT_TASK, &launch.name);
        command
    }
}

#[async_trait]
impl Runner for ProcessRunner {
    fn kind(&self) -> RunnerKind {
        RunnerKind::Process
    }

    async fn examine(&self) -> Result<Abilities, RunnerError> {
        self.confinement.abilities(self.remarks.clone())
    }

    async fn start(&self, launch: &Launch) -> Result<Box<dyn Running>, RunnerError> {
        refuse_containers(launch)?;
        let present = self.confinement.cores()?;
        launch.check(&present)?;
        Ok(Box::new(self.launch(launch, present).await?))
    }

    async fn sweep(&self, prefix: &str) -> Result<Vec<String>, RunnerError> {
        let mut ended: BTreeSet<String> = self.confinement.sweep(prefix).await?.into_iter().collect();
        ended.extend(end_marked(|task| task.starts_with(prefix)).await?);
        Ok(ended.into_iter().collect())
    }
}

/// Ends all processes of these tasks, by the mark that they bear; the tasks' names.
async fn end_marked(is_meant: impl Fn(&str) -> bool) -> Result<BTreeSet<String>, RunnerError> {
    let mut names = BTreeSet::new();
    for _ in 0..LOOKS {
        let found: Vec<_> = marked::find(AGENT_TASK).into_iter().filter(|found| is_meant(&found.value)).collect();
        if found.is_empty() {
            return Ok(names);
        }
        names.extend(found.iter().map(|found| found.value.clone()));
        // One with more rights than the agent cannot be killed; it stays, and is seen again.
        let _told: Vec<bool> = found.iter().map(marked::Marked::kill).collect();
        futures::future::join_all(found.into_iter().map(|found| found.is_gone(GONE_WITHIN))).await;
    }
    let names = names.into_iter().collect::<Vec<_>>().join(", ");
    Err(RunnerError::Surroundings { doing: format!("end what is left of {names}"), reason: "it goes on".to_owned() })
}

fn refuse_containers(launch: &Launch) -> Result<(), RunnerError> {
    let Launch { image, ports, volumes, network, .. } = launch;
    let asked = [
        (image.is_some(), "an image"),
        (!ports.is_empty(), "ports"),
        (!volumes.is_empty(), "volumes"),
        (network.is_some(), "a network"),
    ];
    if let Some((_, what)) = asked.into_iter().find(|(is_asked, _)| *is_asked) {
        return Err(launch.refused(format!("it asks for {what}, which is for containers: use the runner docker")));
    }
    if launch.command.is_empty() {
        return Err(launch.refused("it has no command".to_owned()));
    }
    Ok(())
}

fn not_started(launch: &Launch, error: NotStarted) -> RunnerError {
    let doing = || format!("start task {}", launch.name);
    match error {
        NotStarted::Keeper(error) => RunnerError::system(format!("{} under a keeper", doing()), &error),
        NotStarted::Program(Failure { reason, is_full: true, .. }) => {
            RunnerError::MachineFull { doing: doing(), reason }
        }
        NotStarted::Program(Failure { reason, errno, is_full: false }) => {
            let command = launch.command.first().cloned().unwrap_or_default();
            match errno.map(Errno::from_raw_os_error) {
                Some(Errno::NOENT) if is_there(launch, &command) => RunnerError::NotExecutable {
                    command,
                    reason: "what it names in its first line is not there".to_owned(),
                },
                Some(Errno::NOENT) => RunnerError::CommandNotFound { searched: searched(launch, &command), command },
                Some(Errno::ACCESS | Errno::NOEXEC | Errno::ISDIR | Errno::NOTDIR) => RunnerError::NotExecutable {
                    command,
                    reason: format!("{reason}: is it a program, and may this user run it?"),
                },
                _ => RunnerError::Surroundings { doing: doing(), reason },
            }
        }
    }
}

fn path_variable(launch: &Launch) -> String {
    let own = launch.environment.get("PATH").cloned();
    own.unwrap_or_else(|| std::env::var("PATH").unwrap_or_default())
}

fn is_there(launch: &Launch, command: &str) -> bool {
    if command.contains('/') {
        return launch.directory.join(command).exists();
    }
    path_variable(launch).split(':').any(|folder| Path::new(folder).join(command).exists())
}

fn searched(launch: &Launch, command: &str) -> String {
    if command.contains('/') {
        return format!("from {}", launch.directory.display());
    }
    format!("on the PATH {}", path_variable(launch))
}
