//! The shared table in a server: opened for a network, and `agent db`.

use super::Failure;
use crate::knowledge::mysql::{self, Finding, Host, MysqlKnowledge, MysqlSettings, Prepared, Tls, server_time};
use crate::knowledge::{Knowledge, SharedTable};
use agent_core::clock::Clock;
use agent_core::config::environment::AGENT_DATABASE_PASSWORD;
use agent_core::config::settings::{DatabaseHost, DatabaseTls, DatabaseUrl, KnowledgeSettings};
use agent_core::domain::invariants;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// How long any operation on the table may take before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sums of blame may differ by what their order makes of the last digits.
const ROUNDING: f64 = 1e-6;

/// What was found in a database, and what is broken in its catalogue.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Report {
    /// Without the password.
    pub address: String,
    pub findings: Vec<Finding>,
    /// Broken invariants; empty unless somebody edited the table.
    pub broken: Vec<String>,
}

impl Report {
    pub fn is_well(&self) -> bool {
        self.broken.is_empty() && self.findings.iter().all(|finding| finding.is_well)
    }
}

/// Opens the tables that `init` made. `services` carries the connections.
pub async fn open(url: &DatabaseUrl, clock: &Arc<dyn Clock>, services: &Handle) -> anyhow::Result<SharedTable> {
    let knowledge = MysqlKnowledge::open(&settings(url), server_time(clock.clone()), services.clone()).await?;
    Ok(SharedTable::new(knowledge))
}

/// `agent db init`.
pub async fn init(knowledge: &KnowledgeSettings) -> anyhow::Result<Prepared> {
    Ok(mysql::init(&settings(url(knowledge)?)).await?)
}

/// `agent db migrate`.
pub async fn migrate(knowledge: &KnowledgeSettings) -> anyhow::Result<Prepared> {
    Ok(mysql::migrate(&settings(url(knowledge)?)).await?)
}

/// `agent db check`.
pub async fn check(knowledge: &KnowledgeSettings, clock: &Arc<dyn Clock>, services: &Handle) -> anyhow::Result<Report> {
    let url = url(knowledge)?;
    let findings = mysql::check(&settings(url)).await?;
    let broken = broken(open(url, clock, services).await?.knowledge.as_ref()).await?;
    Ok(Report { address: knowledge.to_string(), findings, broken })
}

/// Every promise of the catalogue that does not hold.
async fn broken(knowledge: &dyn Knowledge) -> crate::knowledge::Result<Vec<String>> {
    let mut broken = Vec::new();
    for name in knowledge.data_sets().await? {
        let Some(snapshot) = knowledge.snapshot(&name).await? else { continue };
        broken.extend(invariants::check(&name, &snapshot.placement).iter().map(ToString::to_string));
        for event in &snapshot.open_events {
            let left: f64 = knowledge.feedback(event.id).await?.iter().map(|feedback| feedback.p).sum();
            // Nobody has answered meanwhile.
            let is_current = knowledge.event(event.id).await?.as_ref() == Some(event);
            if is_current && (left - event.feedback_sum).abs() > ROUNDING {
                let (id, sum) = (event.id, event.feedback_sum);
                broken.push(format!("event {id}: its feedback_sum is {sum}, the sum of its feedback {left}"));
            }
        }
    }
    Ok(broken)
}

fn url(knowledge: &KnowledgeSettings) -> Result<&DatabaseUrl, Failure> {
    match knowledge {
        KnowledgeSettings::Mysql(url) => Ok(url),
        KnowledgeSettings::Sqlite(_) => Err(Failure::Configuration(format!(
            "{knowledge}: needs no preparation, `agent run` makes the file; `agent db` is for \
             mysql://USER@HOST:PORT/SCHEMA"
        ))),
    }
}

pub(super) fn settings(url: &DatabaseUrl) -> MysqlSettings {
    let DatabaseUrl { hosts, user, password, schema, tls } = url.clone();
    MysqlSettings {
        hosts: hosts.into_iter().map(|DatabaseHost { name, port }| Host { name, port }).collect(),
        user,
        password: password.or_else(|| std::env::var(AGENT_DATABASE_PASSWORD).ok()),
        schema,
        tls: match tls {
            DatabaseTls::Off => Tls::Off,
            DatabaseTls::On { authority } => Tls::On { authority },
        },
        patience: PATIENCE,
    }
}
