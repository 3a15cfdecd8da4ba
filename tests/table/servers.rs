//! The table on the servers that the tests started, as every test here opens it, and plans on it.

use crate::mariadb::{PASSWORD, USER};
use agent::knowledge::mysql::{Host, MysqlKnowledge, MysqlSettings, Tls};
use agent_core::clock::{Clock as _, VirtualClock};
use agent_core::domain::action::Action;
use agent_core::domain::ids::AgentId;
use agent_core::domain::placement::Plan;
use agent_core::domain::saga::subject;
use agent_core::domain::snapshot::Snapshot;
use agent_core::knowledge::Result;
use std::sync::Arc;
use std::time::Duration;

/// What an operation may take.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Of servers on these ports, the first one first.
pub fn settings(ports: &[u16], schema: &str) -> MysqlSettings {
    MysqlSettings {
        hosts: ports.iter().map(|port| Host { name: "127.0.0.1".to_owned(), port: *port }).collect(),
        user: USER.to_owned(),
        password: Some(PASSWORD.to_owned()),
        schema: schema.to_owned(),
        tls: Tls::Off,
        patience: PATIENCE,
    }
}

pub async fn open(settings: &MysqlSettings, clock: &Arc<VirtualClock>) -> Result<MysqlKnowledge> {
    let (time, runtime) = (clock.clone(), tokio::runtime::Handle::current());
    MysqlKnowledge::open(settings, Arc::new(move |_| time.now()), runtime).await
}

/// For the table as it was seen; `None` where the action's subject is gone. `number` tells plans of the same apart.
pub fn plan(seen: &Snapshot, agent: u32, action: Action, number: u32) -> Option<Plan> {
    let (name, subject) = (&seen.data_set.name, subject(&seen.placement, action)?);
    Some(Plan {
        key: format!("{name}-{agent}-{action}-{number}"),
        agent: AgentId(agent),
        data_set: name.clone(),
        reference: seen.placement.references[&AgentId(agent)],
        action,
        explored: false,
        expected: [(subject.id, subject.generation)].into(),
        generation: None,
        detail: "{}".to_owned(),
    })
}

/// What the environment says of how much is to be done.
pub fn number(name: &str, otherwise: u32) -> u32 {
    std::env::var(name).ok().map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}
