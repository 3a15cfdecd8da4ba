//! The routing records of services, changed while load runs.

use super::{Refused, Register, Request, Scope};
use crate::balancer::{BalancerKind, Host, Record, Unroutable};
use crate::steering::Change;
use agent_core::config::Invalid;
use agent_core::domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// So many services have a record, or had one: whoever follows it has to see that there is none any more.
pub const SERVICES_MAX: usize = 1_000;

/// Where requests of a service go, as it is kept.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Entry {
    pub service: String,
    /// Goes up by one with each change, also when the record goes.
    pub revision: u64,
    /// None: the service is routed nowhere.
    pub hosts: Vec<Host>,
    pub balancer: BalancerKind,
    pub changed_by: String,
    pub changed_at: Timestamp,
    /// The same key is the same change.
    pub key: String,
}

impl Entry {
    /// `None`: the service is routed nowhere.
    pub fn record(&self) -> Option<Record> {
        // Hosts that make no record were refused before they came here, unless somebody edited the table.
        Record::new(self.service.clone(), self.hosts.clone(), self.revision).ok()
    }

    pub fn is_routed(&self) -> bool {
        !self.hosts.is_empty()
    }
}

/// A service is to be routed otherwise.
#[derive(Clone)]
pub struct Reroute {
    /// The same key again is the same change.
    pub key: String,
    pub service: String,
    pub change: Change,
    /// `None`: as before.
    pub balancer: Option<BalancerKind>,
    /// Only if this is the revision now; 0: only if the service never had a record.
    pub revision: Option<u64>,
    pub by: String,
}

impl Request for Reroute {
    const OPERATION: &'static str = "route";
    /// As it is now.
    type Answer = Entry;

    fn scope(&self) -> Scope {
        // A new service is counted with all that there are.
        Scope::of_all_services()
    }

    fn apply(&self, register: &mut Register) -> Result<Entry, Refused> {
        let (service, before) = (&self.service, register.entries.get(&self.service));
        if let Some(done) = before.filter(|entry| entry.key == self.key) {
            return Ok(done.clone());
        }
        let revision = before.map_or(0, |entry| entry.revision);
        if let Some(expected) = self.revision.filter(|expected| *expected != revision) {
            let problem = format!("service `{service}` is at revision {revision}, not at {expected}");
            return Err(Refused(format!("{problem}; look at what somebody else has changed, and try again")));
        }
        let record = before.and_then(Entry::record);
        match (&self.change, &record) {
            (Change::Remove(_) | Change::Unset, None) => return Err(unrouted(service)),
            (Change::Set(_) | Change::Append(_) | Change::Remove(_) | Change::Unset, _) => {}
        }
        if before.is_none() && register.entries.len() >= SERVICES_MAX {
            let problem = format!("there are {SERVICES_MAX} services already");
            return Err(Refused(format!("{problem}; use the name of one of them, also of one that is routed no more")));
        }
        let after = self.change.apply(service, record.as_ref(), revision + 1).map_err(said)?;
        // A service that is routed anew is balanced as one that never was.
        let balancer = before.filter(|entry| entry.is_routed()).map(|entry| entry.balancer).unwrap_or_default();
        let entry = Entry {
            service: service.clone(),
            revision: revision + 1,
            hosts: after.map(|record| record.hosts().to_vec()).unwrap_or_default(),
            balancer: self.balancer.unwrap_or(balancer),
            changed_by: self.by.clone(),
            changed_at: register.now,
            key: self.key.clone(),
        };
        register.put(entry.clone());
        Ok(entry)
    }
}

/// No service is to be routed any more.
#[derive(Clone)]
pub struct Flush {
    /// The same key again is the same change.
    pub key: String,
    pub by: String,
}

impl Request for Flush {
    const OPERATION: &'static str = "flush";
    /// Those that were routed.
    type Answer = Vec<String>;

    fn scope(&self) -> Scope {
        Scope::of_all_services()
    }

    fn apply(&self, register: &mut Register) -> Result<Vec<String>, Refused> {
        let routed: Vec<Entry> = register.entries.values().filter(|entry| entry.is_routed()).cloned().collect();
        for before in routed {
            register.put(Entry {
                revision: before.revision + 1,
                hosts: Vec::new(),
                changed_by: self.by.clone(),
                changed_at: register.now,
                key: self.key.clone(),
                ..before
            });
        }
        let flushed = register.entries.values().filter(|entry| entry.key == self.key);
        Ok(flushed.map(|entry| entry.service.clone()).collect())
    }
}

impl Register {
    fn put(&mut self, entry: Entry) {
        self.changed.services.insert(entry.service.clone());
        self.entries.insert(entry.service.clone(), entry);
    }
}

/// The service has no record.
pub fn unrouted(service: &str) -> Refused {
    let problem = format!("service `{service}` has no hosts");
    Refused(format!("{problem}; route it first: `agent load route set {service} 127.0.0.1:8080 1`"))
}

fn said(Unroutable { service, place, invalid: Invalid { problem, help } }: Unroutable) -> Refused {
    Refused(format!("service `{service}`: {place}: {problem}; {help}"))
}
