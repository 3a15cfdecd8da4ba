//! What the agents of a network decided and measured while load ran.

use super::Network;
use agent_core::domain::event::Event;
use agent_core::domain::measurement::JobOutcome;
use agent_core::domain::time::Timestamp;
use agent_core::knowledge::{Recorded, Result, Selection};
use agent_laboratory::results::{AgentEvent, AgentMeasurement, Json};
use agent_load::register::Scope;

/// Rows that are read together.
const PAGE: usize = 1000;

/// A moment by the clock of a table, and the microsecond since 1970 at which it was here: what is recorded there is told in the time
/// that passed here, which the clock of a demo runs ahead of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moment {
    there: Timestamp,
    here_us: i64,
}

impl Network {
    /// What time it is there, where it is this time here.
    ///
    /// # Errors
    /// The table is away.
    pub async fn moment(&self, here_us: impl FnOnce() -> i64) -> Result<Moment> {
        let there = self.load.look(Scope::default()).await?.now;
        Ok(Moment { there, here_us: here_us() })
    }

    /// What agents decided since then, in pages: the next one after this id. An empty one is the last.
    ///
    /// # Errors
    /// The table is away.
    pub async fn events(&self, since: Moment, after: i64) -> Result<Vec<AgentEvent>> {
        let page = self.knowledge.select_events(&asked(since, after)).await?;
        Ok(page.iter().map(|event| event_row(event, |at| self.here_us(since, at))).collect())
    }

    /// The same of what their jobs, and windows of requests, came to.
    ///
    /// # Errors
    /// The table is away.
    pub async fn measurements(&self, since: Moment, after: i64) -> Result<Vec<AgentMeasurement>> {
        let page = self.knowledge.select_measurements(&asked(since, after)).await?;
        Ok(page.iter().map(|recorded| measurement_row(recorded, |at| self.here_us(since, at))).collect())
    }

    fn here_us(&self, since: Moment, at: Timestamp) -> i64 {
        let after = self.clock.apply(at.since(since.there));
        since.here_us.saturating_add(i64::try_from(after.as_micros()).unwrap_or(i64::MAX))
    }
}

fn asked(since: Moment, after: i64) -> Selection {
    Selection { after, since: since.there, limit: PAGE, explained: false, ..Selection::default() }
}

fn event_row(event: &Event, here_us: impl Fn(Timestamp) -> i64) -> AgentEvent {
    AgentEvent {
        id: event.id.0,
        at_us: here_us(event.posted_at),
        agent: event.agent.0,
        data_set: event.data_set.to_string(),
        action: event.action.to_string(),
        outcome: event.outcome.name().to_owned(),
        ended_us: event.ended_at.map(here_us),
    }
}

fn measurement_row(
    Recorded { id, measurement, satisfied }: &Recorded,
    here_us: impl Fn(Timestamp) -> i64,
) -> AgentMeasurement {
    let outcome = match measurement.outcome(*satisfied) {
        JobOutcome::Met => AgentMeasurement::MET,
        JobOutcome::Missed => AgentMeasurement::MISSED,
        JobOutcome::Failed => AgentMeasurement::FAILED,
    };
    AgentMeasurement {
        id: *id,
        at_us: here_us(measurement.at),
        agent: measurement.agent.0,
        data_set: measurement.data_set.to_string(),
        node: measurement.node.0,
        outcome: outcome.to_owned(),
        metrics: Json(measurement.metrics.iter().map(|(metric, value)| (metric.name().to_owned(), value)).collect()),
    }
}
