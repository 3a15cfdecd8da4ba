//! Agents that run: their jobs go on whether anybody watches or not.

use super::contract::{Base, Observed};
use super::{AgentOptions, Exemplar};
use crate::app::status::{self, JobCounter, Timing};
use crate::app::surroundings::Surroundings;
use agent_core::domain::adaptation::Order;
use agent_core::domain::ids::AgentId;
use agent_core::domain::time::Timestamp;
use async_trait::async_trait;
use std::collections::BTreeMap;
use tokio::sync::Mutex;

/// The network of this process's agents. All are watched, by the shared table; those that run here can be ordered about.
pub struct Live {
    surroundings: Surroundings,
    began: Timestamp,
    jobs: Mutex<JobCounter>,
}

impl Live {
    pub fn new(surroundings: Surroundings) -> Self {
        let began = surroundings.clock.now();
        Self { surroundings, began, jobs: Mutex::default() }
    }
}

#[async_trait]
impl Exemplar for Live {
    async fn observe(&self, _: Base) -> anyhow::Result<Observed> {
        let Surroundings { settings, knowledge, clock, switchboard, .. } = &self.surroundings;
        let network = &settings.network;
        let timing = Timing { silence: network.silence(), scale: network.time_scale };
        let status = status::load_some(knowledge.as_ref(), timing, &mut *self.jobs.lock().await).await?;
        let mut adaptations = BTreeMap::new();
        for agent in settings.agents.keys() {
            if let Some(controls) = switchboard.reach(*agent)
                && let Ok(consulted) = controls.consult().await
            {
                adaptations.extend(consulted.adaptation.map(|adaptation| (*agent, adaptation)));
            }
        }
        Ok(Observed { time_s: clock.now().since(self.began).as_secs_f64(), status, adaptations })
    }

    async fn options(&self, agents: &[AgentId]) -> anyhow::Result<BTreeMap<AgentId, AgentOptions>> {
        let mut all = BTreeMap::new();
        for agent in agents {
            if let Some(controls) = self.surroundings.switchboard.reach(*agent) {
                all.insert(*agent, controls.consult().await.map_err(anyhow::Error::msg)?.options);
            }
        }
        Ok(all)
    }

    async fn execute(&self, orders: BTreeMap<AgentId, Order>) -> anyhow::Result<BTreeMap<AgentId, String>> {
        let mut refused = BTreeMap::new();
        for (agent, order) in orders {
            let heard = match self.surroundings.switchboard.reach(agent) {
                Some(controls) => controls.order(order).await,
                None => Err(format!("agent {agent} does not run in this process: order it where it does")),
            };
            if let Err(why) = heard {
                refused.insert(agent, why);
            }
        }
        Ok(refused)
    }
}
