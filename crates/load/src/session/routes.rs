//! The routing records of a session that are its own, and what follows them while requests run.

use crate::balancer::{BalancerKind, Host, Record, Unroutable};
use crate::routes::Routed;
use crate::specification::{may_be_sent_to, not_allowed};
use crate::steering::Change;
use agent_core::config::Invalid;
use std::collections::BTreeMap;
use std::sync::Arc;

/// More services than this are not one person's to steer.
pub const SERVICES_MAX: usize = 1_000;

/// Of what balancers draw.
pub const SEED: u64 = 1;

/// One record for each service that is routed.
pub struct Routes {
    /// Hosts other than this machine that may be sent to.
    allowed: Vec<String>,
    /// Also those that are routed no more: clients may still hold them, and follow the next record.
    known: BTreeMap<String, Arc<Routed>>,
    /// Of the last change of any of them. One for all: a record that is set after another was unset is newer than that.
    revision: u64,
}

impl Routes {
    pub fn new(allowed: Vec<String>) -> Self {
        Self { allowed, known: BTreeMap::new(), revision: 0 }
    }

    /// What requests of this service follow; `None`: it has no record.
    pub fn of(&self, service: &str) -> Option<&Arc<Routed>> {
        self.known.get(service).filter(|routed| routed.is_routed())
    }

    /// `None`: the service is not routed.
    pub fn record(&self, service: &str) -> Option<Record> {
        self.known.get(service)?.record()
    }

    /// Those of all services that are routed.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        self.known.keys().filter_map(|service| self.record(service))
    }

    /// Requests that begin from now on follow it. `None`: the service is routed no more.
    pub fn change(&mut self, service: &str, change: &Change) -> Result<Option<Record>, Invalid> {
        let before = self.record(service);
        match change {
            Change::Set(hosts) | Change::Append(hosts) => self.check(hosts)?,
            Change::Remove(_) | Change::Unset if before.is_none() => return Err(unknown(service)),
            Change::Remove(_) | Change::Unset => {}
        }
        if !self.known.contains_key(service) && self.known.len() == SERVICES_MAX {
            let problem = format!("there are {SERVICES_MAX} services already");
            return Err(Invalid::new(problem, "use the name of one of them; `rtbl list` has those that are routed"));
        }
        let revision = self.revision + 1;
        let after = change.apply(service, before.as_ref(), revision).map_err(|wrong| {
            let Unroutable { service, place, invalid: Invalid { problem, help } } = wrong;
            Invalid::new(format!("service `{service}`: {place}: {problem}"), help)
        })?;
        self.revision = revision;
        self.follow(service, after.clone());
        Ok(after)
    }

    /// Routes nothing any more; the services that were routed.
    pub fn flush(&mut self) -> Vec<String> {
        let routed: Vec<String> = self.records().map(|record| record.service().to_owned()).collect();
        routed.iter().for_each(|service| self.follow(service, None));
        routed
    }

    fn check(&self, hosts: &[Host]) -> Result<(), Invalid> {
        match hosts.iter().find(|host| !may_be_sent_to(&host.address, &self.allowed)) {
            Some(other) => Err(not_allowed(&other.address)),
            None => Ok(()),
        }
    }

    fn follow(&mut self, service: &str, record: Option<Record>) {
        match (self.known.get(service), record) {
            (Some(routed), Some(record)) => routed.follow(BalancerKind::default(), record),
            (Some(routed), None) => routed.unset(),
            (None, Some(record)) => {
                let routed = Routed::new(BalancerKind::default(), record, SEED);
                self.known.insert(service.to_owned(), Arc::new(routed));
            }
            (None, None) => {}
        }
    }
}

/// The service has no record.
pub fn unknown(service: &str) -> Invalid {
    Invalid::new(
        format!("service `{service}` has no hosts"),
        format!("route it first: `rtbl set {service} 127.0.0.1:8080 1`"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::Route as _;

    fn set(addresses: &[&str]) -> Change {
        Change::Set(addresses.iter().map(|address| Host::new(*address, 1.0)).collect())
    }

    fn chosen(route: &Routed) -> Option<String> {
        route.choose().map(|target| target.host.to_string())
    }

    #[test]
    fn who_holds_a_route_follows_it_through_unset_and_set() {
        let mut routes = Routes::new(Vec::new());
        routes.change("shop", &set(&["127.0.0.1:1"])).unwrap();
        let held = Arc::clone(routes.of("shop").unwrap());
        assert_eq!(chosen(&held).as_deref(), Some("127.0.0.1:1"));
        assert_eq!(routes.change("shop", &Change::Unset), Ok(None));
        assert_eq!((chosen(&held), routes.of("shop").is_none(), routes.records().count()), (None, true, 0));
        routes.change("shop", &set(&["127.0.0.1:2"])).unwrap();
        assert_eq!(chosen(&held).as_deref(), Some("127.0.0.1:2"));
        assert_eq!(routes.record("shop").unwrap().revision(), 3);
        assert_eq!(routes.flush(), ["shop"]);
        assert_eq!((chosen(&held), routes.flush().len()), (None, 0));
    }

    #[test]
    fn what_is_not_allowed_or_not_there_changes_nothing() {
        let mut routes = Routes::new(vec!["example.org".to_owned()]);
        routes.change("shop", &set(&["example.org:80", "localhost:80"])).unwrap();
        let before = routes.record("shop");
        let problem = |routes: &mut Routes, service, change| routes.change(service, &change).unwrap_err().problem;
        assert_eq!(problem(&mut routes, "shop", set(&["10.0.0.1:80"])), "`10.0.0.1:80` is another machine");
        let append = Change::Append(vec![Host::new("example.com:80", 1.0)]);
        assert_eq!(problem(&mut routes, "shop", append), "`example.com:80` is another machine");
        let remove = Change::Remove(vec!["localhost:81".to_owned()]);
        assert_eq!(problem(&mut routes, "shop", remove), "service `shop`: hosts: `localhost:81` is not among them");
        assert_eq!(routes.record("shop"), before);
        assert_eq!(problem(&mut routes, "bank", Change::Unset), "service `bank` has no hosts");
    }
}
