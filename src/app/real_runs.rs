//! Real runs, read back from their tables.

use super::data_directory::DATABASE;
use super::{Failure, database, summary};
use crate::knowledge::Knowledge;
use crate::knowledge::sqlite::SqliteKnowledge;
use agent_core::clock::{Clock, SystemClock, TimeScale};
use agent_core::config::{self, Invalid, settings::KnowledgeSettings};
use agent_core::domain::event::Event;
use agent_core::domain::measurement::Measurement;
use agent_core::domain::placement::Link;
use agent_core::domain::text::without_userinfo;
use agent_laboratory::calibration::Record;
use anyhow::{Context as _, bail};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::runtime::Handle;

/// Reads the tables named: each an SQLite file, a demo's directory, or `mysql://...`. They must be of the same network, and each
/// must have jobs.
pub async fn read_all(places: &[String], services: &Handle) -> anyhow::Result<Vec<Record>> {
    let mut records: Vec<Record> = Vec::with_capacity(places.len());
    for place in places {
        // An error of opening names the table itself.
        let knowledge = open(place, services).await?;
        let record = read(knowledge.as_ref()).await.with_context(|| without_userinfo(place).into_owned())?;
        if let Some((other, first)) = records.first().zip(places.first())
            && let Some(difference) = difference(other, &record)
        {
            let (place, first) = (without_userinfo(place), without_userinfo(first));
            bail!("{place}: {difference} than in {first}; name runs of the same network");
        }
        records.push(record);
    }
    Ok(records)
}

pub(super) async fn read(knowledge: &dyn Knowledge) -> anyhow::Result<Record> {
    let data_sets = knowledge.data_sets().await?;
    let [data_set] = data_sets.as_slice() else {
        bail!("its table holds {} data sets, and a run has one; did the run begin?", data_sets.len());
    };
    let snapshot = knowledge.snapshot(data_set).await?.context("the row of its data set makes no sense")?;
    let jobs = all_jobs(knowledge).await?;
    if jobs.is_empty() {
        bail!("no job was measured in this run; let it run for a while");
    }
    let events: Vec<Event> = summary::all_events(knowledge).await?;
    Ok(Record { snapshot, jobs, events })
}

async fn open(place: &str, services: &Handle) -> anyhow::Result<Arc<dyn Knowledge>> {
    // At the largest scale it is later than in any run: nothing that was recorded lies in the future.
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new(TimeScale::LARGEST));
    if place.contains("://") {
        let known = config::knowledge(place);
        let known =
            known.map_err(|Invalid { problem, help }| Failure::Configuration(format!("{problem}\n  help: {help}")))?;
        return match known {
            KnowledgeSettings::Mysql(url) => Ok(database::open(&url, &clock, services).await?.knowledge),
            KnowledgeSettings::Sqlite(file) => sqlite(&file, clock),
        };
    }
    sqlite(Path::new(place), clock)
}

/// It is not made when it is missing.
fn sqlite(named: &Path, clock: Arc<dyn Clock>) -> anyhow::Result<Arc<dyn Knowledge>> {
    let file: PathBuf = if named.is_dir() { named.join(DATABASE) } else { named.to_owned() };
    if !file.is_file() {
        bail!("{}: there is no such table; name the {DATABASE} of a run, or the directory of a demo", file.display());
    }
    Ok(Arc::new(SqliteKnowledge::open_to_read(&file, clock)?))
}

/// Jobs that failed measured nothing: nothing can be fitted to them or compared with them.
async fn all_jobs(knowledge: &dyn Knowledge) -> crate::knowledge::Result<Vec<(Measurement, bool)>> {
    const PAGE: usize = 1000;
    let (mut jobs, mut seen) = (Vec::new(), 0);
    loop {
        let page = knowledge.measurements(seen, PAGE).await?;
        let full = page.len() == PAGE;
        for recorded in page {
            seen = recorded.id;
            if recorded.measurement.failure.is_none() {
                jobs.push((recorded.measurement, recorded.satisfied));
            }
        }
        if !full {
            return Ok(jobs);
        }
    }
}

/// In what two runs' networks differ, if they do.
fn difference(one: &Record, other: &Record) -> Option<&'static str> {
    let links = |record: &Record| record.snapshot.links.iter().copied().collect::<Vec<Link>>();
    let nodes = |record: &Record| {
        record.snapshot.nodes.values().map(|node| (node.id, node.availability.value())).collect::<Vec<_>>()
    };
    let goals = |record: &Record| {
        let registrations = record.snapshot.agents.values().map(|peer| &peer.registration);
        registrations.map(|it| (it.agent, it.node, it.goal.clone())).collect::<Vec<_>>()
    };
    let read = |record: &Record| record.snapshot.data_set.sha256.clone();
    match () {
        () if read(one) != read(other) => Some("another data set is read"),
        () if nodes(one) != nodes(other) => Some("the nodes are others"),
        () if links(one) != links(other) => Some("the links have other latencies"),
        () if goals(one) != goals(other) => Some("the agents or their goals are others"),
        () => None,
    }
}
