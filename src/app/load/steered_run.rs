//! What is steered by hand, as a run that is kept: every request, each verb that changed something, and what this machine did.

use super::recorder::{About, Keeping, Notes, Recorder};
use super::telemetry::Watch;
use super::{Network, require_file};
use agent_laboratory::results::MarkerRow;
use agent_load::generator::{Figures, Traces};
use agent_load::session::{Answer, HearsVerbs, Marker, Moment, Settings};
use agent_load::steering::{Routing, Verb};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub struct SteeredRun {
    recorder: Recorder,
    /// Until then the machine is looked at.
    stop: oneshot::Sender<()>,
    watching: JoinHandle<()>,
}

impl SteeredRun {
    /// The run is in the file from then on. Within a runtime, whose threads look at the machine.
    pub async fn begin(output: &Path, settings: &Settings, network: Option<Network>) -> anyhow::Result<Self> {
        require_file(output)?;
        let keeping = Keeping { output: output.to_owned(), parquet: None, experiment: None, network };
        let begins = Instant::now();
        let recorder = Recorder::begin(keeping, About { name: "shell", seed: 1, text: "" }, begins).await?;
        let mut watch = Watch::begin(&settings.name, &settings.labels, begins);
        let notes = recorder.notes().clone();
        notes.host(watch.machine());
        let (stop, stopped) = oneshot::channel();
        let watching = tokio::spawn(async move {
            tokio::select! {
                never = watch.go_on(|machine, sampled| notes.sampled(machine, sampled)) => match never {},
                // Also when nobody waits for it any more.
                Ok(()) | Err(_) = stopped => {}
            }
            drop(watch.end(|machine, sampled| notes.sampled(machine, sampled)));
        });
        Ok(Self { recorder, stop, watching })
    }

    pub fn traces(&self) -> Traces {
        self.recorder.traces()
    }

    pub fn hears_verbs(&self) -> HearsVerbs {
        let notes = self.recorder.notes().clone();
        Arc::new(move |verb, answer| note(&notes, verb, answer))
    }

    /// After the session has ended.
    ///
    /// # Errors
    /// Not all of it is in the file.
    pub async fn end(self, figures: &Figures) -> anyhow::Result<()> {
        let (Ok(()) | Err(())) = self.stop.send(());
        self.watching.await?;
        self.recorder.end(figures, false).await
    }
}

fn note(notes: &Notes, verb: &Verb, answer: &Answer) {
    if let Answer::Marked(Marker { experiment, moment, .. }) = answer {
        return match moment {
            Moment::Start => notes.marked(MarkerRow::EXPERIMENT, experiment, Some("begins".to_owned())),
            Moment::Stop => notes.marked(MarkerRow::EXPERIMENT, experiment, Some("ends".to_owned())),
            Moment::Event { name, value } => notes.marked(MarkerRow::EVENT, name, value.clone()),
        };
    }
    match verb {
        Verb::Spawn { .. } | Verb::Rps { .. } | Verb::Close { .. } | Verb::Request { .. } | Verb::Pause { .. } => {
            notes.marked(MarkerRow::VERB, verb.to_string(), None);
        }
        Verb::Routing(Routing::Change { .. } | Routing::Flush) => {
            notes.marked(MarkerRow::ROUTE, verb.to_string(), None);
        }
        // What changes nothing here.
        Verb::Hosts(_)
        | Verb::Clients(_)
        | Verb::Info
        | Verb::Ping
        | Verb::Sleep(_)
        | Verb::Source(_)
        | Verb::Date
        | Verb::Echo(_)
        | Verb::Routing(Routing::Info { .. } | Routing::List)
        | Verb::Experiment(_)
        | Verb::Help(_)
        | Verb::Exit => {}
    }
}
