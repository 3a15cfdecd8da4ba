//! An experiment that the hosts which joined the table send, each its share; what they recorded is put together here. The share of a
//! host that is gone is missing, and nobody makes up for it: the load would be another one than was measured until then.

use super::daemon::Daemon;
use super::{Outcome, SharedBy};
use crate::app::Failure;
use crate::app::batch::new_key;
use agent_core::knowledge::KnowledgeError;
use agent_load::generator::Recorded;
use agent_load::register::Scope;
use agent_load::register::experiment::{ExperimentId, Holder};
use agent_load::register::hosts::LoadHost;
use agent_load::register::orders::{Part, Task};
use agent_load::session::SharedTable;
use agent_load::session::fleet::{Asked, Outcome as Became, Said, hosts};
use agent_load::specification::{Share, Specification};
use agent_load::steering::Selection;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Between what is asked and the moment when all begin: by then every host has seen it, and read the files.
const LEAD: Duration = Duration::from_secs(2);
/// What was recorded until it was stopped is waited for so long: what is in flight has a second to end.
const ENDS_WITHIN: Duration = Duration::from_secs(10);
/// The table is asked again after this long.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

pub struct Sending<'a> {
    pub daemon: &'a Daemon,
    /// Holds the experiment.
    pub holder: &'a Holder,
    pub id: ExperimentId,
    /// Which hosts send it.
    pub on: &'a Selection,
}

/// What hosts said so far.
struct Heard {
    all: Recorded,
    hosts: Vec<SharedBy>,
    /// Why it cannot be sent as it is meant.
    refused: Option<String>,
}

impl Sending<'_> {
    /// To its end or until `stop`.
    ///
    /// # Errors
    /// No host is meant, or one does not send its share; then the others do not go on either.
    pub async fn send(&self, specification: &Specification, stop: impl Future<Output = ()>) -> anyhow::Result<Outcome> {
        let on = SharedTable { table: self.daemon.table.clone(), by: self.holder.to_string(), new_key };
        let chosen = hosts(on.table.as_ref(), self.on).await?;
        if chosen.is_empty() {
            let problem = format!("no load host matches `{}`", self.on.pattern.as_str().escape_debug());
            let help = "`agent load hosts` lists those that are there; `agent load host NAME` makes one";
            return Err(Failure::Configuration(format!("{problem}\n  help: {help}")).into());
        }
        let (mut asked, gone) = Asked::begin(on, self.parts(chosen).await?).await?;
        let missing = |load_host| SharedBy { load_host, counted: None };
        let mut heard = Heard { all: Recorded::none(), hosts: gone.into_iter().map(missing).collect(), refused: None };
        let is_stopped = tokio::select! {
            () = heard.listen(&mut asked) => false,
            () = stop => true,
        };
        if is_stopped || heard.refused.is_some() {
            // If the table is away, they end by themselves: the experiment is not held any more.
            let (Ok(()) | Err(_)) = asked.withdraw().await;
            let (Ok(()) | Err(_)) = timeout(ENDS_WITHIN, heard.listen_to_all(&mut asked)).await;
        }
        heard.hosts.extend(asked.silent().map(missing));
        // What stays there is forgotten after an hour.
        let (Ok(()) | Err(_)) = asked.end().await;
        if let Some(refused) = heard.refused.filter(|_| !is_stopped) {
            anyhow::bail!(refused);
        }
        heard.hosts.sort_by(|a, b| a.load_host.cmp(&b.load_host));
        Ok(Outcome {
            name: specification.name.clone(),
            seed: specification.seed,
            is_stopped,
            not_recorded: None,
            load_hosts: heard.hosts,
            figures: heard.all.figures(),
        })
    }

    async fn parts(&self, hosts: Vec<LoadHost>) -> Result<Vec<(LoadHost, Task)>, KnowledgeError> {
        let now = self.daemon.table.look(Scope::default()).await?.now;
        let begins_at = now + self.daemon.clock.record(LEAD);
        let of = u32::try_from(hosts.len()).unwrap_or(u32::MAX);
        let part =
            |index| Part { experiment: self.id, holder: self.holder.clone(), share: Share { index, of }, begins_at };
        Ok(hosts.into_iter().zip(0..).map(|(host, index)| (host, Task::Send(part(index)))).collect())
    }
}

impl Heard {
    /// Until all have said what they recorded, or one refuses.
    async fn listen(&mut self, asked: &mut Asked) {
        while self.refused.is_none() && self.hear(asked).await {}
    }

    async fn listen_to_all(&mut self, asked: &mut Asked) {
        while self.hear(asked).await {}
    }

    /// `false`: there is nobody more to be heard.
    async fn hear(&mut self, asked: &mut Asked) -> bool {
        let (load_host, became) = match asked.next::<Recorded>().await {
            Ok(None) => return false,
            Ok(Some(heard)) => heard,
            Err(_) => {
                // Whoever holds the experiment ends this when the table is away for too long.
                sleep(AGAIN_AFTER).await;
                return true;
            }
        };
        let counted = match became {
            Became::Said(Said::Did(recorded)) => {
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
