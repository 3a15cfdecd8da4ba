//! The agents of this process, as whoever decides for them from outside reaches them.

use crate::actors::Controls;
use crate::membership::Watched;
use crate::s3_endpoint::{Counted, Reads};
use agent_core::domain::ids::{AgentId, DataSetName};
use agent_membership::{Tuning, View};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Clone, Default)]
pub struct Switchboard(Arc<Mutex<BTreeMap<AgentId, Line>>>);

/// What there is of an agent that runs.
#[derive(Clone)]
pub struct Line {
    pub controls: Controls,
    /// Its node among the others; absent where that is no member.
    pub member: Option<Watched>,
    /// What applications read through its endpoint; nothing where it has none.
    pub reads: BTreeMap<DataSetName, Arc<Reads>>,
}

impl Switchboard {
    /// Until what is returned is dropped.
    pub fn connect(&self, agent: AgentId, line: Line) -> Connection {
        self.lines().insert(agent, line);
        Connection { switchboard: self.clone(), agent }
    }

    /// `None`: this process does not run it now.
    pub fn reach(&self, agent: AgentId) -> Option<Controls> {
        self.lines().get(&agent).map(|line| line.controls.clone())
    }

    /// All that run now.
    pub fn all(&self) -> BTreeMap<AgentId, Controls> {
        self.lines().iter().map(|(agent, line)| (*agent, line.controls.clone())).collect()
    }

    /// What applications have read so far through the endpoints of those that run now.
    pub fn reads(&self) -> Vec<(AgentId, DataSetName, Counted)> {
        let lines = self.lines();
        let of = |(agent, line): (&AgentId, &Line)| {
            let counted = |(data_set, reads): (&DataSetName, &Arc<Reads>)| (*agent, data_set.clone(), reads.so_far());
            line.reads.iter().map(counted).collect::<Vec<_>>()
        };
        lines.iter().flat_map(of).collect()
    }

    /// Whom the nodes of those see that run now.
    pub fn members(&self) -> BTreeMap<AgentId, Arc<View>> {
        let lines = self.lines();
        let views = lines.iter().filter_map(|(agent, line)| Some((*agent, line.member.as_ref()?.view())));
        views.collect()
    }

    /// Other parameters for the nodes of all agents that run now; how many took them.
    pub fn tune(&self, tuning: Tuning) -> usize {
        self.lines().values().filter(|line| line.member.as_ref().is_some_and(|member| member.tune(tuning))).count()
    }

    fn lines(&self) -> std::sync::MutexGuard<'_, BTreeMap<AgentId, Line>> {
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
