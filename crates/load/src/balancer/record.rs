//! The routing record of a service: its hosts, what each of them takes, and how often that was changed.

use super::address::Address;
use agent_core::config::Invalid;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// More hosts than this are several services.
pub const HOSTS_MAX: usize = 1_000;
/// The highest weight: sums of so many stay exact to far below the smallest share.
pub const WEIGHT_MAX: f64 = 1e9;

/// What requests of a service go to.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// `HOST:PORT`.
    pub address: String,
    /// Relative to those of the others, from 0 to [`WEIGHT_MAX`]; with 0 it gets no further requests, in every kind of balancing.
    #[serde(default = "one")]
    pub weight: f64,
}

fn one() -> f64 {
    1.0
}

impl Host {
    pub fn new(address: impl Into<String>, weight: f64) -> Self {
        Self { address: address.into(), weight }
    }

    /// It can stand in a record.
    ///
    /// # Errors
    /// The key that is wrong, and why.
    pub fn check(&self) -> Result<(), (&'static str, Invalid)> {
        Address::parse(&self.address).map_err(|invalid| ("address", invalid))?;
        match (0.0..=WEIGHT_MAX).contains(&self.weight) {
            true => Ok(()),
            false => {
                let help = format!("a weight is a number from 0 (no requests) to {WEIGHT_MAX}");
                Err(("weight", Invalid::new(format!("{} is no weight", self.weight), help)))
            }
        }
    }
}

/// With its weight, unless that is the usual one.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, weight } = self;
        if *weight == one() { f.write_str(address) } else { write!(f, "{address} (weight {weight})") }
    }
}

/// Hosts that requests can go to: at least one of them has a weight above 0, and each address stands there once.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Record {
    service: String,
    hosts: Vec<Host>,
    revision: u64,
}

/// The same before it is checked.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    service: String,
    hosts: Vec<Host>,
    revision: u64,
}

impl Record {
    /// `revision` is higher than that of the record it replaces.
    ///
    /// # Errors
    /// Which host cannot be used, or that none can.
    pub fn new(service: impl Into<String>, hosts: Vec<Host>, revision: u64) -> Result<Self, Unroutable> {
        let service = service.into();
        match check(&hosts) {
            Ok(()) => Ok(Self { service, hosts, revision }),
            Err((place, invalid)) => Err(Unroutable { service, place, invalid }),
        }
    }

    pub fn service(&self) -> &str {
        &self.service
    }

    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    pub fn revision(&self) -> u64 {
        self.revision
    }
}

fn check(hosts: &[Host]) -> Result<(), (String, Invalid)> {
    let of_all = |problem: String, help: &str| Err(("hosts".to_owned(), Invalid::new(problem, help)));
    if hosts.is_empty() {
        return of_all("there are none".to_owned(), "name at least one, like `127.0.0.1:8080`");
    }
    if hosts.len() > HOSTS_MAX {
        return of_all(format!("there are {}", hosts.len()), &format!("a service has at most {HOSTS_MAX}"));
    }
    let mut seen = BTreeSet::new();
    for (index, host) in hosts.iter().enumerate() {
        let number = index + 1;
        host.check().map_err(|(key, invalid)| (format!("host {number}: {key}"), invalid))?;
        if !seen.insert(&host.address) {
            let invalid = Invalid::new(
                format!("`{}` is listed twice", host.address),
                "list it once; its weight says how much it gets",
            );
            return Err((format!("host {number}: address"), invalid));
        }
    }
    match hosts.iter().any(|host| host.weight > 0.0) {
        true => Ok(()),
        false => of_all("all have weight 0".to_owned(), "give one of them a weight above 0, or remove the record"),
    }
}

impl TryFrom<Written> for Record {
    type Error = Unroutable;

    fn try_from(written: Written) -> Result<Self, Unroutable> {
        Self::new(written.service, written.hosts, written.revision)
    }
}

impl From<Record> for Written {
    fn from(Record { service, hosts, revision }: Record) -> Self {
        Self { service, hosts, revision }
    }
}

/// Why hosts make no record. Nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unroutable {
    pub service: String,
    /// In the service: `hosts`, or `host 2: weight`.
    pub place: String,
    pub invalid: Invalid,
}

impl fmt::Display for Unroutable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, place, invalid: Invalid { problem, help } } = self;
        write!(f, "service `{}`: {place}: {problem}\n  help: {help}", service.escape_debug())
    }
}

impl std::error::Error for Unroutable {}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(hosts: &[(&str, f64)]) -> String {
        let hosts = hosts.iter().map(|(address, weight)| Host::new(*address, *weight)).collect();
        Record::new("shop", hosts, 1).map_or_else(|error| error.to_string(), |_| "fine".to_owned())
    }

    #[test]
    fn what_cannot_be_routed_is_said_with_its_place_and_remedy() {
        let check =
            |hosts: &[(&str, f64)], expected: &str| assert_eq!(said(hosts), format!("service `shop`: {expected}"));
        check(&[], "hosts: there are none\n  help: name at least one, like `127.0.0.1:8080`");
        let no_weight = "a weight is a number from 0 (no requests) to 1000000000";
        for weight in [f64::NAN, f64::INFINITY, -1.0, 2e9] {
            check(
                &[("a:1", 1.0), ("b:1", weight)],
                &format!("host 2: weight: {weight} is no weight\n  help: {no_weight}"),
            );
        }
        check(
            &[("a:1", 0.0), ("b:1", 0.0)],
            "hosts: all have weight 0\n  help: give one of them a weight above 0, or remove the record",
        );
        check(
            &[("a:1", 1.0), ("a:1", 2.0)],
            "host 2: address: `a:1` is listed twice\n  help: list it once; its weight says how much it gets",
        );
        check(
            &[("a", 1.0)],
            "host 1: address: `a` is no address of a host\n  help: write it like `127.0.0.1:8080`, `[::1]:8080` or \
             `shop.example.org:80`",
        );
        assert_eq!(said(&[("a:1", 0.0), ("b:1", 0.5)]), "fine");
        let many: Vec<String> = (0..=HOSTS_MAX).map(|port| format!("a:{}", port + 1)).collect();
        let many: Vec<(&str, f64)> = many.iter().map(|address| (address.as_str(), 1.0)).collect();
        check(&many, "hosts: there are 1001\n  help: a service has at most 1000");
    }

    #[test]
    fn a_record_is_kept_as_it_is_and_read_only_when_it_is_fine() {
        let text = r#"{"service":"shop","hosts":[{"address":"a:1","weight":4.0},{"address":"b:1","weight":1.0}],"revision":7}"#;
        let record: Record = serde_json::from_str(text).unwrap();
        assert_eq!((record.service(), record.hosts().len(), record.revision()), ("shop", 2, 7));
        assert_eq!(serde_json::to_string(&record).unwrap(), text);
        let unweighted = r#"{"service":"s","hosts":[{"address":"a:1"}],"revision":0}"#;
        assert_eq!(serde_json::from_str::<Record>(unweighted).unwrap().hosts(), [Host::new("a:1", 1.0)]);
        let empty = serde_json::from_str::<Record>(r#"{"service":"s","hosts":[],"revision":0}"#).unwrap_err();
        assert!(empty.to_string().contains("hosts: there are none"), "{empty}");
    }
}
