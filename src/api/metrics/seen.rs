//! What has happened, counted from the table's records: each is read once, however often somebody looks.

use super::figures::{Acted, OfAgent};
use crate::api::problem::Problem;
use crate::api::view::View;
use crate::knowledge::{Knowledge, Recorded};
use agent_core::domain::action::{Action, ActionType};
use agent_core::domain::event::{Event, Outcome};
use agent_core::domain::ids::{DataSetName, EventId};
use agent_core::domain::metric::Metric;
use agent_core::mape::planner::{Decision, has_transferred};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::collections::{BTreeMap, BTreeSet};

/// Records that are read at a time.
const PAGE: usize = 1000;
/// Seconds: from what an edge answers in to what a night job takes.
const BUCKETS: [f64; 14] = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0];

type JobDurations = Family<OfAgent, Histogram, fn() -> Histogram>;

/// Up to where the records were read, and what they came to.
pub struct Seen {
    measurement: i64,
    event: i64,
    /// Actions that had not ended when they were read.
    running: BTreeSet<i64>,
    durations: JobDurations,
    actions: Family<Acted, Counter>,
    moved_bytes: u64,
    /// As the catalogue had them when they were last looked at.
    sizes: BTreeMap<DataSetName, u64>,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            measurement: 0,
            event: 0,
            running: BTreeSet::new(),
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            actions: Family::default(),
            moved_bytes: 0,
            sizes: BTreeMap::new(),
        }
    }
}

impl Seen {
    /// Reads what is new.
    pub async fn look(&mut self, knowledge: &dyn Knowledge, view: &View) -> Result<(), Problem> {
        let data_sets = view.snapshots.iter().map(|snapshot| &snapshot.data_set);
        self.sizes.extend(data_sets.map(|data_set| (data_set.name.clone(), data_set.bytes)));
        loop {
            let page = knowledge.measurements(self.measurement, PAGE).await?;
            page.iter().for_each(|row| self.measured(row));
            if page.len() < PAGE {
                break;
            }
        }
        loop {
            let page = knowledge.events(EventId(self.event), PAGE).await?;
            for event in &page {
                self.event = event.id.0;
                self.posted(event);
            }
            if page.len() < PAGE {
                break;
            }
        }
        for id in self.running.clone() {
            if let Some(event) = knowledge.event(EventId(id)).await? {
                self.posted(&event);
            }
        }
        Ok(())
    }

    fn measured(&mut self, row: &Recorded) {
        self.measurement = row.id;
        let took = row.measurement.metrics.get(Metric::ResponseTime).filter(|_| row.measurement.failure.is_none());
        if let Some(seconds) = took {
            let agent = OfAgent { agent: row.measurement.agent.0 };
            self.durations.get_or_create(&agent).observe(seconds);
        }
    }

    fn posted(&mut self, event: &Event) {
        if event.outcome == Outcome::Running {
            self.running.insert(event.id.0);
            return;
        }
        self.running.remove(&event.id.0);
        if event.action == Action::Nothing {
            return;
        }
        let decision: Option<Decision> = serde_json::from_str(&event.detail).ok();
        if event.outcome == Outcome::Done && has_transferred(event, decision.as_ref()) {
            let bytes = self.sizes.get(&event.data_set).copied().unwrap_or(0);
            self.moved_bytes = self.moved_bytes.saturating_add(bytes);
        }
        let kind: ActionType = event.action.kind();
        let acted = Acted { agent: event.agent.0, action: kind.name(), outcome: event.outcome.name() };
        self.actions.get_or_create(&acted).inc();
    }

    pub fn register(&self, registry: &mut Registry) {
        let help = "What jobs took, from their start to their result";
        registry.register("agent_job_duration_seconds", help, self.durations.clone());
        let help = "Actions that have ended, by kind and outcome";
        registry.register("agent_actions", help, self.actions.clone());
        let help = "Bytes that actions brought from one store to another, at the present size of their data sets";
        registry.register("agent_moved_bytes", help, ConstCounter::new(self.moved_bytes));
    }
}
