//! The agents of this process, as whoever decides for them from outside reaches them.

use crate::actors::Controls;
use agent_core::domain::ids::AgentId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Clone, Default)]
pub struct Switchboard(Arc<Mutex<BTreeMap<AgentId, Controls>>>);

impl Switchboard {
    /// Until what is returned is dropped.
    pub fn connect(&self, agent: AgentId, controls: Controls) -> Connection {
        self.lines().insert(agent, controls);
        Connection { switchboard: self.clone(), agent }
    }

    /// `None`: this process does not run it now.
    pub fn reach(&self, agent: AgentId) -> Option<Controls> {
        self.lines().get(&agent).cloned()
    }

    /// All that run now.
    pub fn all(&self) -> BTreeMap<AgentId, Controls> {
        self.lines().clone()
    }

    fn lines(&self) -> std::sync::MutexGuard<'_, BTreeMap<AgentId, Controls>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub struct Connection {
    switchboard: Switchboard,
    agent: AgentId,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.switchboard.lines().remove(&self.agent);
    }
}
