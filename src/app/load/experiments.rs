//! Experiments, as people ask for them: what is queued, what became of it, and what is called off.

use super::{Outcome, SharedBy, require_allowed};
use crate::app::batch::new_key;
use agent_core::clock::Clock;
use agent_load::generator::{Counted, Times};
use agent_load::register::experiment::{Experiment, ExperimentId, State};
use agent_load::register::queue::{Cancel, Enqueue};
use agent_load::register::{Scope, Which};
use agent_load::specification::Specification;
use agent_load::steering::Selection;
use agent_load::table::{Listing, LoadTable, carry_out, find};
use agent_sampler::host_name;
use anyhow::Context as _;
use serde::Serialize;
use std::path::Path;
use std::time::Duration;

/// Figures of more services than this are not kept in the table.
const SERVICES_KEPT: usize = 100;

/// A daemon that is not busy claims what waits within this.
const CLAIMED_WITHIN: Duration = Duration::from_secs(5);

/// What is kept of a run in the table: its figures without those of hosts and ticks.
#[derive(Serialize)]
pub struct Summary<'a> {
    pub seed: u64,
    #[serde(flatten)]
    pub counted: &'a Counted,
    pub planned_s: f64,
    pub lasted_s: f64,
    pub rate_intended: f64,
    pub rate_achieved: f64,
    pub response_ms: Option<&'a Times>,
    pub service_ms: Option<&'a Times>,
    pub traces_missed: u64,
    /// That sent it, each its share; one without figures is gone.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub load_hosts: &'a [SharedBy],
    /// Why not every request is in the daemon's file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_recorded: Option<&'a str>,
    /// The first of them.
    pub services: Vec<ServiceSummary<'a>>,
}

#[derive(Serialize)]
pub struct ServiceSummary<'a> {
    pub service: &'a str,
    #[serde(flatten)]
    pub counted: &'a Counted,
    pub response_ms: Option<&'a Times>,
}

impl<'a> Summary<'a> {
    pub fn of(outcome: &'a Outcome) -> Self {
        let Outcome { seed, not_recorded, load_hosts, figures, .. } = outcome;
        let services = figures.services.iter().take(SERVICES_KEPT).map(|service| ServiceSummary {
            service: &service.service,
            counted: &service.counted,
            response_ms: service.response_ms.as_ref(),
        });
        Self {
            seed: *seed,
            counted: &figures.counted,
            planned_s: figures.planned_s,
            lasted_s: figures.lasted_s,
            rate_intended: figures.rate_intended,
            rate_achieved: figures.rate_achieved,
            response_ms: figures.response_ms.as_ref(),
            service_ms: figures.service_ms.as_ref(),
            traces_missed: figures.traces_missed,
            load_hosts,
            not_recorded: not_recorded.as_deref(),
            services: services.collect(),
        }
    }
}

/// Checks a load as `agent load run` would, and reads it with its recordings.
pub fn read(file: &Path, allowed: &[String], key: Option<String>, on: Option<Selection>) -> anyhow::Result<Enqueue> {
    let (specification, name, files) = Specification::load_with_files(file)?;
    require_allowed(&file.display().to_string(), &specification, allowed)?;
    let key = key.unwrap_or_else(new_key);
    Ok(Enqueue { key, name: specification.name, file: name, files, on, by: who() })
}

pub async fn queue(table: &dyn LoadTable, experiment: Enqueue) -> anyhow::Result<Experiment> {
    Ok(carry_out(table, experiment).await?)
}

/// The latest first.
pub async fn list(table: &dyn LoadTable, states: &[State], limit: usize) -> anyhow::Result<Vec<Experiment>> {
    Ok(table.experiments(&Listing { states: states.iter().copied().collect(), limit }).await?)
}

/// An experiment, and its file.
#[derive(Serialize)]
pub struct Shown {
    #[serde(flatten)]
    pub experiment: Experiment,
    pub specification: String,
}

pub async fn show(table: &dyn LoadTable, id: ExperimentId) -> anyhow::Result<Shown> {
    let found = find(table, id).await?;
    let experiment = found.with_context(|| format!("there is no experiment {id}; `agent load list` shows them"))?;
    let specification = table.files(id).await?.remove(&experiment.file).unwrap_or_default();
    Ok(Shown { experiment, specification })
}

pub async fn cancel(table: &dyn LoadTable, id: ExperimentId, by: String) -> anyhow::Result<State> {
    Ok(carry_out(table, Cancel { id, by }).await?)
}

/// Whether something waits that a daemon would have claimed by now: none seems to run. As long as one is busy, what waits has its
/// turn after that.
pub async fn waits_for_nobody(table: &dyn LoadTable, clock: &dyn Clock) -> anyhow::Result<bool> {
    let seen = table.look(Scope { experiments: Which::All, ..Scope::default() }).await?;
    let patience = clock.record(CLAIMED_WITHIN);
    let waits = |it: &Experiment| it.state == State::Queued && seen.now.since(it.queued_at) >= patience;
    let mut all = seen.experiments.values();
    Ok(!all.any(|it| it.is_held(seen.now)) && seen.experiments.values().any(waits))
}

/// `USER@MACHINE`: as others are told who did something.
pub fn who() -> String {
    let user = std::env::var("USER").ok().filter(|user| !user.is_empty()).unwrap_or_else(|| "somebody".to_owned());
    format!("{user}@{}", machine())
}

/// What this machine is called.
pub fn machine() -> String {
    host_name().unwrap_or_else(|| "this-machine".to_owned())
}
