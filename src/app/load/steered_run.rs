//! What is steered by hand, as a run that is kept: every request, each verb that changed something, and what this machine did.

use super::recorder::{About, Keeping, Notes, Recorder};
use super::require_file;
use super::telemetry::Watch;
use agent_core::domain::labels::Labels;
use agent_laboratory::results::MarkerRow;
use agent_load::generator::{Figures, Traces};
use agent_load::routes::News;
use agent_load::session::{Answer, Did, Errand, HearsVerbs, Marker, Moment};
use agent_load::steering::{Routing, Verb};
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
    /// The run, which is called so, is in the file from then on; `host`: as this machine is called among those that send load. Within a
    /// runtime, whose threads look at the machine.
    pub async fn begin(keeping: Keeping, name: &str, host: &str, labels: &Labels) -> anyhow::Result<Self> {
        require_file(&keeping.output)?;
        let begins = Instant::now();
        let recorder = Recorder::begin(keeping, About { name, seed: 1, text: "" }, begins).await?;
        let mut watch = Watch::begin(host, labels, begins);
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

    /// The load host of this process, which is called so, did this.
    pub fn hears_errand(&self, host: &str, errand: &Errand, did: &Did) {
        let verb = match errand {
            Errand::Spawn { service, clients, .. } => format!("spawn {host} {service} {clients}"),
            Errand::Rate { service, rate } => format!("rps {host} {service} {rate}"),
            Errand::Request { service, requests } => format!("request {host} {service} {requests}"),
            Errand::Close { service } => format!("close {host} {service}"),
            Errand::Traces { are_kept } => format!("traces {host} {}", if *are_kept { "on" } else { "off" }),
            Errand::Mark(mark) => {
                let Did::Marked { experiment } = did else { return };
                return note_moment(self.recorder.notes(), experiment, &mark.moment());
            }
            Errand::Clients | Errand::Info | Errand::Ping => return,
        };
        self.recorder.notes().marked(MarkerRow::VERB, verb, None);
    }

    pub fn hears_of_routes(&self, news: &News) {
        self.recorder.notes().rerouted(news);
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

fn note_moment(notes: &Notes, experiment: &str, moment: &Moment) {
    match moment {
        Moment::Start => notes.marked(MarkerRow::EXPERIMENT, experiment, Some("begins".to_owned())),
        Moment::Stop => notes.marked(MarkerRow::EXPERIMENT, experiment, Some("ends".to_owned())),
        Moment::Event { name, value } => notes.marked(MarkerRow::EVENT, name, value.clone()),
    }
}

fn note(notes: &Notes, verb: &Verb, answer: &Answer) {
    match verb {
        Verb::Spawn { .. }
        | Verb::Rps { .. }
        | Verb::Close { .. }
        | Verb::Request { .. }
        | Verb::Pause { .. }
        | Verb::Traces { .. } => notes.marked(MarkerRow::VERB, verb.to_string(), None),
        Verb::Experiment(_) => {
            if let Some(Marker { experiment, moment, .. }) = answer.marker() {
                note_moment(notes, experiment, moment);
            }
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
        | Verb::Help(_)
        | Verb::Exit => {}
    }
}
