//! Which records are asked for, of those that are only ever added: events and measurements.

use crate::domain::ids::{AgentId, DataSetName};
use crate::domain::time::Timestamp;

/// All that is stated holds for each record; the default asks for the oldest ones of all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Selection {
    /// Ids above this one.
    pub after: i64,
    /// Ids below this one.
    pub before: i64,
    /// Of this agent.
    pub agent: Option<AgentId>,
    /// On this data set; of a job that read several, the first.
    pub data_set: Option<DataSetName>,
    /// Posted, or measured, then or later.
    pub since: Timestamp,
    /// Before then.
    pub until: Timestamp,
    pub order: Order,
    /// So many at most.
    pub limit: usize,
    /// Events with their `detail`, which is most of their bytes; without, it is empty.
    pub explained: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Order {
    #[default]
    OldestFirst,
    NewestFirst,
}

impl Default for Selection {
    fn default() -> Self {
        Self {
            after: i64::MIN,
            before: i64::MAX,
            agent: None,
            data_set: None,
            since: Timestamp(i64::MIN),
            until: Timestamp(i64::MAX),
            order: Order::default(),
            limit: usize::MAX,
            explained: true,
        }
    }
}

impl Selection {
    /// The first records that are asked for, of all there are, which are in the order of their ids. `key`: a record's id, agent,
    /// data set and time.
    pub fn of<'a, T>(
        &self,
        all: &'a [T],
        key: impl Fn(&'a T) -> (i64, AgentId, &'a DataSetName, Timestamp),
    ) -> Vec<&'a T> {
        let is_asked = |record: &&'a T| {
            let (id, agent, data_set, at) = key(record);
            self.after < id
                && id < self.before
                && self.agent.is_none_or(|asked| asked == agent)
                && self.data_set.as_ref().is_none_or(|asked| asked == data_set)
                && self.since <= at
                && at < self.until
        };
        match self.order {
            Order::OldestFirst => all.iter().filter(is_asked).take(self.limit).collect(),
            Order::NewestFirst => all.iter().rev().filter(is_asked).take(self.limit).collect(),
        }
    }
}
