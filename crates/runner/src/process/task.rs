//! A program that runs, and who follows it to its end.

use super::end_marked;
use super::place::{Place, look};
use crate::keeper::{Kept, Started};
use crate::launch::check_cores;
use crate::limits::Asked;
use crate::{Ended, Launch, Limits, Port, RunnerError, Running, Usage};
use async_trait::async_trait;
use rustix::process::{Pid, Signal};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Signals on their way.
const SIGNALS: usize = 16;

/// How long the end of the output may take to arrive when the program and all that it started are gone: only a process that
/// could not be killed holds it open for longer.
const LAST_OUTPUT_WITHIN: Duration = Duration::from_secs(1);

pub(super) struct Task {
    name: String,
    place: Place,
    asked: Asked,
    started: Started,
    keeper: Option<Pid>,
    /// Those that it may be moved to.
    present: Vec<u32>,
    limits: Limits,
    /// Its end is the order to end the task.
    signals: mpsc::Sender<Signal>,
    follower: JoinHandle<Ended>,
    ended: Option<Ended>,
}

impl Task {
    pub fn new(
        launch: &Launch,
        present: Vec<u32>,
        place: Place,
        kept: Kept,
        output: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        let asked = Asked::of(launch);
        let started = kept.started().clone();
        let keeper = kept.keeper().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let limits = place.limits(&asked, &started);
        let (signals, asked_signals) = mpsc::channel(SIGNALS);
        let follower =
            tokio::spawn(follow(launch.name.clone(), place.clone(), kept, asked_signals, tokio::spawn(output)));
        let name = launch.name.clone();
        Self { name, place, asked, started, keeper, present, limits, signals, follower, ended: None }
    }

    /// The keeper, while there is something to be changed.
    fn keeper(&self) -> Result<Pid, RunnerError> {
        let over = || RunnerError::Ended { task: self.name.clone() };
        self.keeper.filter(|_| !self.follower.is_finished()).ok_or_else(over)
    }
}

#[async_trait]
impl Running for Task {
    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn ports(&self) -> &[Port] {
        &[]
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
        check_cores(cores, &self.present)?;
        self.place.resize(self.keeper()?, cores, memory_bytes).await?;
        self.asked.change(cores, memory_bytes);
        self.limits = self.place.limits(&self.asked, &look(&self.started));
        Ok(self.limits.clone())
    }

    async fn signal(&mut self, signal: Signal) -> Result<(), RunnerError> {
        self.signals.send(signal).await.map_err(|_| RunnerError::Ended { task: self.name.clone() })
    }

    async fn usage(&mut self) -> Option<Usage> {
        self.place.usage(self.keeper().ok()?)
    }

    async fn stop(mut self: Box<Self>, grace: Duration) -> Ended {
        // One that has ended already is as it should be.
        let _ended = self.signal(Signal::TERM).await;
        if let Ok(ended) = tokio::time::timeout(grace, self.ended()).await {
            return ended;
        }
        let (nobody, _) = mpsc::channel(1);
        self.signals = nobody;
        self.ended().await
    }
}

/// Follows a program to its end, or ends it when nobody has the task any more; then ends all that it started.
async fn follow(
    name: String,
    place: Place,
    mut kept: Kept,
    mut signals: mpsc::Receiver<Signal>,
    output: JoinHandle<()>,
) -> Ended {
    let by_itself = loop {
        tokio::select! {
            ended = kept.ended() => break Some(ended),
            signal = signals.recv() => match signal {
                // A keeper that does not hear it is about to be missed.
                Some(signal) => drop(kept.signal(signal).await),
                None => break None,
            }
        }
    };
    // Before the group is gone.
    let is_out_of_memory = place.is_out_of_memory();
    let status = match (by_itself, kept.end().await) {
        (Some(Ok(Some(status))), _) | (None, Ok(Some(status))) => Ok(status),
        (Some(Ok(None)), _) => Err("the process that watched over it was killed".to_owned()),
        (None, Ok(None)) => Err("it was killed, and nobody saw it end".to_owned()),
        (Some(Err(error)), _) | (None, Err(error)) => Err(format!("it could not be followed: {error}")),
    };
    let left = clear(&name, &place, status.is_ok()).await;
    // Otherwise somebody who could not be killed goes on.
    let _written = tokio::time::timeout(LAST_OUTPUT_WITHIN, output).await;
    match (status, left) {
        (Ok(status), Ok(())) => Ended::of(status).judged(is_out_of_memory),
        (Ok(status), Err(error)) => {
            tracing::error!(task = name, %error, "something of an ended task is left");
            Ended::of(status).judged(is_out_of_memory)
        }
        (Err(reason), Ok(())) => Ended::Vanished { reason },
        (Err(reason), Err(error)) => Ended::Vanished { reason: format!("{reason}; {error}") },
    }
}

/// Ends what a keeper could not: all, when it was killed itself.
async fn clear(name: &str, place: &Place, was_kept: bool) -> Result<(), RunnerError> {
    place.leave().await?;
    if !was_kept {
        end_marked(|task| task == name).await?;
    }
    Ok(())
}
