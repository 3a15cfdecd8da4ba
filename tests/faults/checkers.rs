//! What must hold whatever was injected, found out with code that is neither the agents' nor the injectors': the tables and
//! object files as `network::audit` counts them, and the measurements as the agents said that they had made them.

use super::network::audit::Audit;
use super::network::process::Running;
use super::table::Table;
use rusqlite::types::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How often something must be seen broken: between two looks at table and stores an agent may act.
const LOOKS: usize = 3;
/// On the wall, at the shipped time scale.
const HALF_AN_HOUR_MS: i64 = 1_800_000 * 50;

/// Remembers what was acknowledged.
#[derive(Default)]
pub struct Witness {
    /// Every measurement that the table has ever shown, by its job.
    seen: BTreeMap<String, Vec<Value>>,
}

/// What holds at every moment, also beside running agents.
pub fn broken(table: &Table, witness: &mut Witness) -> Vec<String> {
    let mut broken = Vec::new();
    for look in 0..LOOKS {
        let audit = table.look().expect("the table is back");
        let now = audit.broken();
        broken = if look == 0 { now } else { broken.into_iter().filter(|what| now.contains(what)).collect() };
        if broken.is_empty() {
            break;
        }
    }
    let audit = table.look().expect("the table is back");
    broken.extend(witness.look(&audit));
    if table.is_remote() {
        broken.extend(wrong_times(&audit));
    }
    broken
}

/// Measurements that are older or newer than their neighbours by more than any fault lasts: they have another clock's time.
fn wrong_times(audit: &Audit) -> Vec<String> {
    let sql = format!(
        "select job, at_ms - before from
        (select job, at_ms, lag(at_ms) over (order by id) as before from measurements) where abs(at_ms - before) > {}",
        HALF_AN_HOUR_MS
    );
    audit.rows(&sql, |row| Ok(format!("{} is {} ms away in time", row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))
}

impl Witness {
    /// What the table has shown once, it shows for ever.
    fn look(&mut self, audit: &Audit) -> Vec<String> {
        let now = measurements(audit);
        let lost = |(job, row): (&String, &Vec<Value>)| match now.get(job) {
            None => Some(format!("the measurement of {job} is gone")),
            Some(again) if again != row => Some(format!("the measurement of {job} was {row:?} and is {again:?}")),
            Some(_) => None,
        };
        let lost = self.seen.iter().filter_map(lost).collect();
        self.seen.extend(now);
        lost
    }

    pub fn measurements(&self) -> usize {
        self.seen.len()
    }

    /// Measurements are kept in the order in which they were made: a process that lost one to its own end has lost all that
    /// came later, and one that was ended in order has lost none.
    pub fn gaps(&self, processes: &mut [Running]) -> Vec<String> {
        let mut gaps = Vec::new();
        for process in processes {
            let told = told(process);
            let kept = told.iter().take_while(|job| self.seen.contains_key(*job)).count();
            let ended_in_order = process.ended().is_some_and(|status| status.success());
            let later: Vec<&String> = told[kept..].iter().filter(|job| self.seen.contains_key(*job)).collect();
            if !later.is_empty() || (ended_in_order && kept < told.len()) {
                gaps.push(format!("the measurement of {} was lost; kept later: {later:?}", told[kept]));
            }
        }
        gaps
    }
}

fn measurements(audit: &Audit) -> BTreeMap<String, Vec<Value>> {
    let sql = "select job, id, agent, data_set, replica, node, at_ms, response_time_s, execution_time_s,
        throughput_records_per_s, network_latency_ms, availability_percent, data_consistency, satisfied from measurements";
    audit
        .rows(sql, |row| Ok((row.get(0)?, (1..14).map(|column| row.get(column)).collect::<Result<_, _>>()?)))
        .into_iter()
        .collect()
}

/// The jobs that a process said it had measured, in order. The last line of a killed one may be cut.
fn told(process: &Running) -> Vec<String> {
    let output = process.output();
    let notices = output.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    notices
        .filter(|notice| notice["notice"] == "job")
        .filter_map(|notice| notice["measurement"]["job"].as_str().map(str::to_owned))
        .collect()
}

/// What agents never say, whatever happens to them.
pub fn alarming(processes: &[Running]) -> BTreeSet<String> {
    let lines = processes.iter().flat_map(|process| process.errors().lines().map(str::to_owned).collect::<Vec<_>>());
    lines.filter(|line| line.contains("panicked") || line.contains("ERROR")).collect()
}
