//! The shared table in virtual time: in this process's memory, so that every answer is there at once; sometimes away.

use crate::domain::ids::{DataSetName, NodeId};
use crate::domain::snapshot::Snapshot;
use crate::knowledge::memory::MemoryKnowledge;
use crate::knowledge::{Conversation, Knowledge as _, Pulse, Result};
use futures::FutureExt as _;
use std::time::Duration;

pub struct Table {
    pub knowledge: MemoryKnowledge,
    /// How old a sign of life is at most that a snapshot does not show; without end where nobody asks for any.
    unheard: Duration,
    is_away: bool,
}

const AWAY: &str = "the shared table cannot be reached";

impl Table {
    pub fn new(knowledge: MemoryKnowledge, unheard: Duration) -> Self {
        Self { knowledge, unheard, is_away: false }
    }

    /// From now on signs of life are shown no later than this.
    pub fn hear_within(&mut self, unheard: Duration) {
        self.unheard = self.unheard.min(unheard);
    }

    pub fn set_away(&mut self, is_away: bool) {
        self.is_away = is_away;
    }

    /// An agent's question. `Err` says why it was not answered, for people; nothing was changed then.
    pub fn ask<'a, T>(
        &'a self,
        question: impl FnOnce(&'a MemoryKnowledge) -> futures::future::BoxFuture<'a, Result<T>>,
    ) -> std::result::Result<T, String> {
        if self.is_away {
            return Err(AWAY.to_owned());
        }
        ready(question(&self.knowledge)).map_err(|error| error.to_string())
    }

    pub fn load(&self, data_set: &DataSetName) -> std::result::Result<Snapshot, String> {
        if self.is_away {
            return Err(AWAY.to_owned());
        }
        let snapshot = self.knowledge.recent_snapshot(data_set, self.unheard);
        snapshot.ok_or_else(|| format!("data set {data_set} is not in the catalogue"))
    }

    pub fn conversation(&self, data_set: &DataSetName, within: Duration) -> std::result::Result<Conversation, String> {
        self.ask(|table| table.conversation(data_set, within))
    }

    /// What an agent would see that asks whether something has changed.
    pub fn pulse(&self, data_set: &DataSetName) -> Pulse {
        // In this table nobody's home matters.
        let pulse = ready(self.knowledge.pulse(data_set, NodeId(0)));
        pulse.ok().flatten().unwrap_or_default()
    }

    /// The same with everybody's last sign of life: later looks see these, too.
    pub fn settled(&self, data_set: &DataSetName) -> Option<Snapshot> {
        ready(self.knowledge.snapshot(data_set)).ok().flatten()
    }

    /// What somebody sees from outside: everybody's last sign of life where that shows no agent more than it would have seen.
    pub fn seen(&self, data_set: &DataSetName) -> Option<Snapshot> {
        if self.unheard == Duration::MAX { self.settled(data_set) } else { self.truth(data_set) }
    }

    /// The table for somebody who looks on while it goes on.
    pub fn for_observer(&self) -> MemoryKnowledge {
        self.knowledge.for_observer(self.unheard == Duration::MAX)
    }

    /// What the world itself knows, whether the table is away or not; signs of life left aside.
    pub fn truth(&self, data_set: &DataSetName) -> Option<Snapshot> {
        self.knowledge.recent_snapshot(data_set, Duration::MAX)
    }
}

/// The answer of a table in memory.
pub fn ready<T>(answer: impl Future<Output = T>) -> T {
    // No operation of it waits for anything: its module promises that.
    answer.now_or_never().expect("a table in memory answers at once")
}
