//! An experiment that the hosts which joined the table send, each its share; what they recorded is put together here. The share of a
//! host that is gone is missing, and nobody makes up for it: the load would be another one than was measured until then.

use super::recorder::{About, Notes, Recorder};
use super::replicas::Replicas;
use super::telemetry::Machine;
use super::{Network, Options, Outcome, SharedBy, following, routes_of, told};
use crate::app::Failure;
use crate::app::batch::new_key;
use agent_core::knowledge::KnowledgeError;
use agent_load::generator::Recorded;
use agent_load::register::Scope;
use agent_load::register::experiment::{ExperimentId, Holder};
use agent_load::register::hosts::LoadHost;
use agent_load::register::orders::{Part, Task};
use agent_load::routes::{Followed, News, Shared};
use agent_load::session::SharedTable;
use agent_load::session::fleet::{Asked, Outcome as Became, Said, hosts};
use agent_load::specification::{Share, Specification};
use agent_load::steering::Selection;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Between what is asked and the moment when all begin: by then every host has seen it, and read the files.
const LEAD: Duration = Duration::from_secs(2);
/// What was recorded until it was stopped is waited for so long: what is in flight has a second to end.
const ENDS_WITHIN: Duration = Duration::from_secs(10);
/// The table is asked again after this long.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

pub struct Sending<'a> {
    pub options: &'a Options,
    pub network: &'a Network,
    /// Holds the experiment.
    pub holder: &'a Holder,
    pub id: ExperimentId,
    /// Which hosts send it.
    pub on: &'a Selection,
}

/// What a host says of its share.
#[derive(Serialize, Deserialize)]
pub struct SentShare {
    pub recorded: Recorded,
    pub passed_over: u64,
    pub machine: Machine,
}

/// What hosts said so far.
struct Heard<'a> {
    all: Recorded,
    passed_over: u64,
    hosts: Vec<SharedBy>,
    notes: Option<&'a Notes>,
    /// Why it cannot be sent as it is meant.
    refused: Option<String>,
}

impl Sending<'_> {
    /// To its end or until `stop`.
    ///
    /// # Errors
    /// No host is meant, or one does not send its share; then the others do not go on either.
    pub async fn send(&self, specification: &Specification, stop: impl Future<Output = ()>) -> anyhow::Result<Outcome> {
        let on = SharedTable { table: self.network.load.clone(), by: self.holder.to_string(), new_key };
        let chosen = hosts(on.table.as_ref(), self.on).await?;
        if chosen.is_empty() {
            let problem = format!("no load host matches `{}`", self.on.pattern.as_str().escape_debug());
            let help = "`agent load hosts` lists those that are there; `agent load host NAME` makes one";
            return Err(Failure::Configuration(format!("{problem}\n  help: {help}")).into());
        }
        let begins = Instant::now() + LEAD;
        let recorder = match &self.options.keeping {
            Some(keeping) => Some(Recorder::begin(keeping.clone(), About::from(specification), begins).await?),
            None => None,
        };
        let (mut asked, gone) = Asked::begin(on, self.parts(chosen).await?).await?;
        let missing = |load_host| SharedBy { load_host, counted: None };
        let mut heard = Heard {
            all: Recorded::none(),
            passed_over: 0,
            hosts: gone.into_iter().map(missing).collect(),
            notes: recorder.as_ref().map(Recorder::notes),
            refused: None,
        };
        let is_stopped = tokio::select! {
            () = heard.listen(&mut asked) => false,
            () = stop => true,
            never = self.watch_routes(specification, recorder.as_ref()) => match never {},
        };
        if is_stopped || heard.refused.is_some() {
            // If the table is away, they end by themselves: the experiment is not held any more.
            let (Ok(()) | Err(_)) = asked.withdraw().await;
            let (Ok(()) | Err(_)) = timeout(ENDS_WITHIN, heard.listen_to_all(&mut asked)).await;
        }
        heard.hosts.extend(asked.silent().map(missing));
        // What stays there is forgotten after an hour.
        let (Ok(()) | Err(_)) = asked.end().await;
        let Heard { all, passed_over, hosts: mut load_hosts, refused, .. } = heard;
        load_hosts.sort_by(|a, b| a.load_host.cmp(&b.load_host));
        let figures = all.figures();
        let not_recorded = match recorder {
            Some(recorder) => recorder.end(&figures, is_stopped || refused.is_some()).await.err(),
            None => None,
        };
        if let Some(refused) = refused.filter(|_| !is_stopped) {
            anyhow::bail!(refused);
        }
        let not_recorded = not_recorded.map(|error| format!("{error:#}"));
        let (name, seed) = (specification.name.clone(), specification.seed);
        Ok(Outcome { name, seed, is_stopped, not_recorded, passed_over, load_hosts, figures })
    }

    /// Notes what is changed of the routes that the hosts follow, as long as somebody keeps that.
    async fn watch_routes(&self, specification: &Specification, recorder: Option<&Recorder>) -> Infallible {
        let (Some(router), Some(notes)) = (&self.options.router, recorder.map(Recorder::notes)) else {
            return pending().await;
        };
        let followed = Shared::new(Followed::new(router.allowed.clone(), specification.seed));
        let routes = routes_of(specification, Some(router), &followed).await;
        let replicas = Replicas::begin(specification, Some(self.network), &router.allowed).await;
        // Where one cannot be followed, the hosts, which follow it too, say why not.
        let (Ok(_), Ok(mut replicas)) = (routes, replicas) else { return pending().await };
        let hears = |news: &News| notes.rerouted(news);
        tokio::select! {
            never = following(Some(router), &followed, hears) => never,
            never = replicas.follow(|news| told(Some(router), &hears, news)) => never,
        }
    }

    async fn parts(&self, hosts: Vec<LoadHost>) -> Result<Vec<(LoadHost, Task)>, KnowledgeError> {
        let now = self.network.load.look(Scope::default()).await?.now;
        let begins_at = now + self.network.clock.record(LEAD);
        let of = u32::try_from(hosts.len()).unwrap_or(u32::MAX);
        let part =
            |index| Part { experiment: self.id, holder: self.holder.clone(), share: Share { index, of }, begins_at };
        Ok(hosts.into_iter().zip(0..).map(|(host, index)| (host, Task::Send(part(index)))).collect())
    }
}

impl Heard<'_> {
    /// Until all have said what they recorded, or one refuses.
    async fn listen(&mut self, asked: &mut Asked) {
        while self.refused.is_none() && self.hear(asked).await {}
    }

    async fn listen_to_all(&mut self, asked: &mut Asked) {
        while self.hear(asked).await {}
    }

    /// `false`: there is nobody more to be heard.
    async fn hear(&mut self, asked: &mut Asked) -> bool {
        let (load_host, became) = match asked.next::<SentShare>().await {
            Ok(None) => return false,
            Ok(Some(heard)) => heard,
            Err(_) => {
                // Whoever holds the experiment ends this when the table is away for too long.
                sleep(AGAIN_AFTER).await;
                return true;
            }
        };
        let counted = match became {
            Became::Said(Said::Did(SentShare { recorded, passed_over, machine })) => {
                self.passed_over += passed_over;
                if let Some(notes) = self.notes {
                    notes.host(&machine);
                    machine.samples.iter().for_each(|sampled| notes.sampled(&machine, *sampled));
                }
                let counted = recorded.counted();
                self.all.merge(recorded);
                Some(counted)
            }
            Became::Said(Said::Refused { problem, help }) => {
                let refused = format!("load host `{load_host}`: {problem}\n  help: {help}");
                self.refused.get_or_insert(refused);
                None
            }
            Became::Gone => None,
        };
        self.hosts.push(SharedBy { load_host, counted });
        true
    }
}
