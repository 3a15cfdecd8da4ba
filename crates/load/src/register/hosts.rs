//! Load hosts: processes that make load for whoever asks them by the table. They say again and again that they are there.

use super::experiment::Holder;
use super::orders::{Order, OrderId};
use super::{Refused, Register, Request, Scope, Which};
use agent_core::domain::labels::Labels;
use agent_core::domain::time::Timestamp;
use agent_core::domain::units::show_duration;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How often a host says that it is there.
pub const HEARTBEAT: Duration = Duration::from_secs(3);
/// Whoever is not heard of for three heartbeats is gone.
pub const LEASE: Duration = Duration::from_secs(9);
/// More are not there at once.
pub const HOSTS_MAX: usize = 1_000;
/// Who has been gone for so long is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3_600);

/// A host, as it said last.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LoadHost {
    pub name: String,
    pub labels: Labels,
    /// The process that it is.
    pub holder: Holder,
    pub joined_at: Timestamp,
    /// It counts as there until then, unless it is heard of again before.
    pub until: Timestamp,
    pub busy: Busy,
}

/// What a host does.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Busy {
    pub clients: usize,
    /// Requests/s of all its clients.
    pub rate: f64,
    /// Shares of experiments that it sends.
    pub shares: usize,
}

impl LoadHost {
    pub fn is_there(&self, now: Timestamp) -> bool {
        now < self.until
    }
}

/// A host comes, by a name of its own.
#[derive(Clone)]
pub struct Join {
    pub name: String,
    pub labels: Labels,
    pub holder: Holder,
    /// Counted on the table's clock.
    pub lease: Duration,
}

impl Request for Join {
    const OPERATION: &'static str = "join as a load host";
    type Answer = LoadHost;

    fn scope(&self) -> Scope {
        Scope { hosts: Which::All, orders_of: Which::only(self.name.clone()), ..Scope::default() }
    }

    fn apply(&self, register: &mut Register) -> Result<LoadHost, Refused> {
        let now = register.now;
        if let Some(other) = register.hosts.get(&self.name).filter(|it| it.is_there(now) && it.holder != self.holder) {
            let problem = format!("load host `{}` is there already: {}", self.name, other.holder);
            let help = format!(
                "take another name, or end that one; one that was killed is gone after {}",
                show_duration(LEASE)
            );
            return Err(Refused(format!("{problem}; {help}")));
        }
        if register.hosts.values().filter(|it| it.is_there(now) && it.name != self.name).count() >= HOSTS_MAX {
            return Err(Refused(format!("there are {HOSTS_MAX} load hosts already; end some")));
        }
        let forgotten = |it: &&LoadHost| now.since(it.until) > FORGOTTEN_AFTER;
        for name in register.hosts.values().filter(forgotten).map(|it| it.name.clone()).collect::<Vec<_>>() {
            register.hosts.remove(&name);
            register.changed.hosts.insert(name);
        }
        // What a former process of this name was asked nobody does any more.
        let former = |it: &&Order| it.host == self.name && it.holder != self.holder;
        for id in register.orders.values().filter(former).map(|it| it.id).collect::<Vec<OrderId>>() {
            register.forget(id);
        }
        let host = LoadHost {
            name: self.name.clone(),
            labels: self.labels.clone(),
            holder: self.holder.clone(),
            joined_at: now,
            until: now + self.lease,
            busy: Busy::default(),
        };
        register.put_host(host.clone());
        Ok(host)
    }
}

/// A host is there.
#[derive(Clone)]
pub struct Beat {
    pub name: String,
    pub holder: Holder,
    pub busy: Busy,
    /// Counted on the table's clock.
    pub lease: Duration,
}

impl Request for Beat {
    const OPERATION: &'static str = "say that a load host is there";
    /// `false`: the name is not this process's any more.
    type Answer = bool;

    fn scope(&self) -> Scope {
        Scope { hosts: Which::only(self.name.clone()), ..Scope::default() }
    }

    fn apply(&self, register: &mut Register) -> Result<bool, Refused> {
        let Some(host) = register.hosts.get(&self.name).filter(|it| it.holder == self.holder) else { return Ok(false) };
        let (until, busy) = (register.now + self.lease, self.busy.clone());
        register.put_host(LoadHost { until, busy, ..host.clone() });
        Ok(true)
    }
}

/// A host goes.
#[derive(Clone)]
pub struct Leave {
    pub name: String,
    pub holder: Holder,
}

impl Request for Leave {
    const OPERATION: &'static str = "leave as a load host";
    type Answer = ();

    fn scope(&self) -> Scope {
        Scope { hosts: Which::only(self.name.clone()), ..Scope::default() }
    }

    fn apply(&self, register: &mut Register) -> Result<(), Refused> {
        if register.hosts.get(&self.name).is_some_and(|it| it.holder == self.holder) {
            register.hosts.remove(&self.name);
            register.changed.hosts.insert(self.name.clone());
        }
        Ok(())
    }
}

impl Register {
    /// The hosts that are there, by their names.
    pub fn hosts_there(&self) -> impl Iterator<Item = &LoadHost> {
        self.hosts.values().filter(|host| host.is_there(self.now))
    }

    fn put_host(&mut self, host: LoadHost) {
        self.changed.hosts.insert(host.name.clone());
        self.hosts.insert(host.name.clone(), host);
    }
}
