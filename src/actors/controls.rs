//! An agent, as whoever decides for it from outside reaches it: from any thread, whatever its actors are at.

use super::deciding::Deciding;
use super::planner::{Consult, Ordered, PlannerActor};
use super::world::{World, chain};
use actix::Addr;
use agent_core::domain::action::Labelled;
use agent_core::domain::adaptation::{Adaptation, Order};
use agent_core::domain::impact::Impacts;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Clone)]
pub struct Controls {
    pub(super) planner: Addr<PlannerActor>,
    pub(super) world: Arc<World>,
}

/// What an agent says to whoever decides for it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Consulted {
    /// What it can be ordered to do now, and what it expects of that where it knows something.
    pub options: BTreeMap<Labelled, Option<Impacts>>,
    /// The latest that it was ordered to do.
    pub adaptation: Option<Adaptation>,
}

impl Controls {
    /// What becomes of it, the agent says when it is consulted. `Err`: it has ended, or is about to.
    pub async fn order(&self, order: Order) -> Result<(), String> {
        self.planner.send(Ordered(order)).await.map_err(|_| self.gone())
    }

    pub async fn consult(&self) -> Result<Consulted, String> {
        let snapshots = self.world.load().await.map_err(|error| chain(&error))?;
        let snapshots = snapshots.map_err(|missing| format!("data set {missing} is not in the catalogue"))?;
        self.planner.send(Consult(snapshots)).await.map_err(|_| self.gone())
    }

    pub fn deciding(&self) -> &Deciding {
        &self.world.deciding
    }

    fn gone(&self) -> String {
        format!("agent {} does not run any more", self.world.agent)
    }
}
