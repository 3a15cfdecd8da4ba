//! One attempt of a task, from its start to its end.

use super::{Runners, inputs, launch, state};
use crate::actors::{Notice, World};
use agent_batch::cores::Cores;
use agent_batch::job::{Attempt, Checkpoint, Ending, Limit, Limits, Saved};
use agent_batch::placement::Size;
use agent_batch::queue::report::OUTPUT_KEPT;
use agent_batch::queue::worker::Assignment;
use agent_batch::worker::Input;
use agent_core::domain::ids::ReplicaId;
use agent_runner::{Ended, Launch, RunnerError, Running, Signal};
use std::fmt::Display;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How often it is looked whether a task has written its state.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Of so many attempts all that they said is kept.
const OUTPUTS_KEPT: usize = 200;

/// What a worker wants of a task that runs.
#[derive(Debug)]
pub enum Command {
    /// It has so long on the wall.
    Stop(Duration),
    Resize(Size, Cores),
    Checkpoint,
}

/// What performs the starts.
pub struct Hands {
    pub world: Arc<World>,
    pub runners: Runners,
    /// What names of tasks begin with.
    pub prefix: String,
    /// Where they work.
    pub folder: PathBuf,
}

/// Why a task was not started, and whether it would not be at another try either.
type NotStarted = (String, bool);

impl Hands {
    /// Starts it, does what is ordered, and tells what becomes of it. When nobody can order anything any more, it is ended.
    pub async fn carry(
        &self,
        assignment: Assignment,
        mut orders: mpsc::UnboundedReceiver<Command>,
        told: mpsc::UnboundedSender<Input>,
    ) {
        let attempt = assignment.attempt();
        let tell = |input: Input| _ = told.send(input);
        let output = launch::output(&self.folder, attempt);
        let mut states: Vec<Saved> = assignment.task.saved.iter().cloned().collect();
        match self.start(attempt, &assignment).await {
            Err(result) => tell(Input::Started { attempt, result: Err(result) }),
            Ok((running, _ways)) => {
                let limits = limits(running.limits());
                self.say(&assignment, &format!("runs, limited by {}", limits.by));
                tell(Input::Started { attempt, result: Ok(limits) });
                let ending = self.follow(attempt, &assignment, running, &mut orders, &tell, &mut states).await;
                self.say(&assignment, &ending.to_string());
                // Whoever has to try again goes on from there.
                if !ending.is_success() {
                    states.clear();
                }
                tell(Input::Ended { attempt, ending, output: tail(&output) });
                for saved in &states {
                    state::forget(&self.world, saved).await;
                }
            }
        }
        self.clean(attempt).await;
    }

    fn say(&self, assignment: &Assignment, what: &str) {
        let what = format!("task {} `{}`: {what}", assignment.task.id, assignment.specification.name);
        self.world.notify(Notice::UnderWay { agent: self.world.agent, what });
    }

    async fn start(
        &self,
        attempt: Attempt,
        assignment: &Assignment,
    ) -> Result<(Box<dyn Running>, Vec<crate::actors::Reached>), NotStarted> {
        let specification = &assignment.specification;
        let runner = self.runners.get(&specification.runner);
        let runner = runner.ok_or_else(|| (format!("there is no runner `{}` here", specification.runner), false))?;
        let replica = specification.replica.map(ReplicaId);
        let inputs = inputs::inputs(&self.world, specification.data_set_names(), replica).await;
        let inputs = inputs.map_err(|why| (why, false))?;
        let launch: Launch = launch::launch(self.world.home, self, assignment, inputs.variables);
        self.prepare(attempt, assignment).await.map_err(|error| (format!("{error:#}"), false))?;
        match runner.start(&launch).await {
            Ok(running) => Ok((running, inputs.ways)),
            Err(error) => Err((error.to_string(), is_final(&error))),
        }
    }

    /// Its folder, with what it has written down elsewhere.
    async fn prepare(&self, attempt: Attempt, assignment: &Assignment) -> anyhow::Result<()> {
        let directory = launch::directory(&self.folder, attempt);
        std::fs::create_dir_all(&directory)?;
        if let (Some(saved), Some(checkpoint)) = (&assignment.task.saved, &assignment.specification.checkpoint) {
            state::restore(&self.world, saved, &directory.join(&checkpoint.path)).await?;
        }
        Ok(())
    }

    async fn follow(
        &self,
        attempt: Attempt,
        assignment: &Assignment,
        mut running: Box<dyn Running>,
        orders: &mut mpsc::UnboundedReceiver<Command>,
        tell: &impl Fn(Input),
        states: &mut Vec<Saved>,
    ) -> Ending {
        loop {
            let order = tokio::select! {
                ended = running.ended() => return ending(ended),
                order = orders.recv() => order.unwrap_or(Command::Stop(Duration::ZERO)),
            };
            match order {
                Command::Stop(grace) => return ending(running.stop(grace).await),
                Command::Resize(size, cores) => {
                    let resized = running.resize(&cores.to_vec(), Some(size.memory)).await;
                    let result = resized.map(|held| limits(&held)).map_err(|error| error.to_string());
                    tell(Input::Resized { attempt, result });
                }
                Command::Checkpoint => {
                    let result = match &assignment.specification.checkpoint {
                        Some(checkpoint) => self.checkpoint(attempt, checkpoint, running.as_mut()).await,
                        None => Err("it has no checkpoint".to_owned()),
                    };
                    states.extend(result.iter().cloned());
                    tell(Input::Saved { attempt, result });
                }
            }
        }
    }

    /// Asks for its state, waits until it is written, and puts it into this node's store.
    async fn checkpoint(
        &self,
        attempt: Attempt,
        checkpoint: &Checkpoint,
        running: &mut dyn Running,
    ) -> Result<Saved, String> {
        let directory = launch::directory(&self.folder, attempt);
        let done = directory.join(launch::CHECKPOINT_DONE);
        // Of an earlier one.
        let _absent = std::fs::remove_file(&done);
        let signal = signal(&checkpoint.signal).ok_or("its signal is not known")?;
        running.signal(signal).await.map_err(|error| error.to_string())?;
        let within = Duration::from_millis(checkpoint.within_ms);
        let deadline = Instant::now() + self.world.clock.apply(within);
        while !done.exists() {
            if Instant::now() >= deadline {
                let within = agent_core::domain::units::show_duration(within);
                return Err(format!("within {within} it did not make the file $AGENT_CHECKPOINT_DONE"));
            }
            tokio::select! {
                ended = running.ended() => return Err(format!("it ended: {ended}")),
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
        let saved = state::save(&self.world, attempt, &directory.join(&checkpoint.path)).await;
        saved.map_err(|error| format!("{error:#}"))
    }

    /// Its folder goes, and what was said by those that ended long ago.
    async fn clean(&self, attempt: Attempt) {
        let directory = launch::directory(&self.folder, attempt);
        if let Err(error) = tokio::fs::remove_dir_all(&directory).await {
            tracing::debug!(%error, directory = %directory.display(), "a task's folder stays until the next start");
        }
        let folder = self.folder.clone();
        // Whoever is interrupted here does it again with the next task.
        _ = tokio::task::spawn_blocking(move || forget_old_outputs(&folder)).await;
    }
}

fn forget_old_outputs(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let output = |entry: std::fs::DirEntry| {
        let is_output = entry.path().extension().is_some_and(|extension| extension == "log");
        Some((entry.metadata().ok()?.modified().ok()?, entry.path())).filter(|_| is_output)
    };
    let mut outputs: Vec<_> = entries.flatten().filter_map(output).collect();
    outputs.sort_unstable();
    let many = outputs.len().saturating_sub(OUTPUTS_KEPT);
    for (_, old) in &outputs[..many] {
        // Another one may have done it.
        let _gone = std::fs::remove_file(old);
    }
}

fn signal(name: &str) -> Option<Signal> {
    match name {
        "SIGUSR1" => Some(Signal::USR1),
        "SIGUSR2" => Some(Signal::USR2),
        "SIGHUP" => Some(Signal::HUP),
        _ => None,
    }
}

fn ending(ended: Ended) -> Ending {
    match ended {
        Ended::Exited(code) => Ending::Exited(code),
        Ended::Killed { signal } => Ending::Killed(signal),
        Ended::OutOfMemory => Ending::OutOfMemory,
        Ended::Vanished { reason } => Ending::Lost { reason },
    }
}

/// Whether what is wrong is the task's own, and stays so.
fn is_final(error: &RunnerError) -> bool {
    match error {
        RunnerError::Launch { .. }
        | RunnerError::CommandNotFound { .. }
        | RunnerError::NotExecutable { .. }
        | RunnerError::ImageNotPresent { .. }
        | RunnerError::NoSuchCores { .. }
        | RunnerError::CoreListedTwice { .. }
        | RunnerError::CannotHold { .. } => true,
        RunnerError::PullFailed { .. }
        | RunnerError::EngineAway { .. }
        | RunnerError::Engine { .. }
        | RunnerError::MachineFull { .. }
        | RunnerError::Ended { .. }
        | RunnerError::Surroundings { .. } => false,
    }
}

fn limits(held: &agent_runner::Limits) -> Limits {
    Limits {
        by: held.by.to_string(),
        cores: limit(&held.cores, |it| agent_runner::cores_text(it)),
        memory: limit(&held.memory_bytes, shown),
    }
}

fn limit<T>(limit: &agent_runner::Limit<T>, shown: impl Fn(&T) -> String) -> Limit {
    match limit {
        agent_runner::Limit::NotAsked => Limit::Unlimited { reason: "nobody asked for it".to_owned() },
        agent_runner::Limit::Holds(value) => Limit::Holds(shown(value)),
        agent_runner::Limit::Unlimited { reason } => Limit::Unlimited { reason: reason.clone() },
    }
}

fn shown(value: &impl Display) -> String {
    value.to_string()
}

/// The last of what it said.
fn tail(output: &Path) -> String {
    let read = || {
        let mut file = std::fs::File::open(output)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(OUTPUT_KEPT as u64)))?;
        let mut bytes = Vec::new();
        file.take(OUTPUT_KEPT as u64).read_to_end(&mut bytes)?;
        std::io::Result::Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_default()
}
