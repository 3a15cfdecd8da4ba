//! `rtbl`: what people do to routing records.

use crate::balancer::{Host, Record, Unroutable};
use agent_core::config::Invalid;

/// A verb about the routing table.
#[derive(Clone, PartialEq, Debug)]
pub enum Routing {
    Change { service: String, change: Change },
    Info { service: String },
    List,
    Flush,
}

/// What becomes of one record.
#[derive(Clone, PartialEq, Debug)]
pub enum Change {
    Set(Vec<Host>),
    Append(Vec<Host>),
    /// These addresses.
    Remove(Vec<String>),
    Unset,
}

impl Change {
    /// The record after the change, `None` where there is none any more. `revision` is higher than any that the service had,
    /// also before its record was unset: who follows a record ignores what is not newer.
    ///
    /// # Errors
    /// No host would take requests, one is listed twice, or one that goes is not there. Nothing is changed.
    pub fn apply(&self, service: &str, before: Option<&Record>, revision: u64) -> Result<Option<Record>, Unroutable> {
        let before = before.map_or(&[][..], Record::hosts);
        let hosts = match self {
            Self::Set(hosts) => hosts.clone(),
            Self::Append(hosts) => before.iter().chain(hosts).cloned().collect(),
            Self::Remove(addresses) => {
                let is_there = |address: &&String| before.iter().any(|host| host.address == **address);
                if let Some(unknown) = addresses.iter().find(|address| !is_there(address)) {
                    let invalid =
                        Invalid::new(format!("`{}` is not among them", unknown.escape_debug()), named(before));
                    return Err(Unroutable { service: service.to_owned(), place: "hosts".to_owned(), invalid });
                }
                before.iter().filter(|host| !addresses.contains(&host.address)).cloned().collect()
            }
            Self::Unset => return Ok(None),
        };
        Record::new(service, hosts, revision).map(Some)
    }
}

/// Which hosts there are.
fn named(hosts: &[Host]) -> String {
    const NAMED_MAX: usize = 5;
    let named: Vec<&str> = hosts.iter().take(NAMED_MAX).map(|host| host.address.as_str()).collect();
    match (named.join(", "), hosts.len().saturating_sub(NAMED_MAX)) {
        (none, _) if none.is_empty() => "there are none".to_owned(),
        (named, 0) => format!("they are {named}"),
        (named, more) => format!("they are {named} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After the changes one after another: `a:1=4 b:1=1`, or what was wrong.
    fn after(changes: &[Change]) -> String {
        let mut record = None;
        for (revision, change) in (1..).zip(changes) {
            match change.apply("shop", record.as_ref(), revision) {
                Ok(changed) => record = changed,
                Err(error) => return format!("{}: {}", error.place, error.invalid.problem),
            }
        }
        let show = |host: &Host| format!("{}={}", host.address, host.weight);
        record.map_or_else(
            || "none".to_owned(),
            |record| format!("{} {}", record.revision(), record.hosts().iter().map(show).collect::<Vec<_>>().join(" ")),
        )
    }

    #[test]
    fn a_record_becomes_what_the_verbs_say() {
        let hosts =
            |hosts: &[(&str, f64)]| hosts.iter().map(|(address, weight)| Host::new(*address, *weight)).collect();
        let set = Change::Set(hosts(&[("a:1", 1.0), ("b:1", 4.0)]));
        let append = Change::Append(hosts(&[("c:1", 5.0)]));
        let remove = |address: &str| Change::Remove(vec![address.to_owned()]);
        let check = |changes: &[Change], expected: &str| assert_eq!(after(changes), expected);
        check(&[set.clone(), append.clone()], "2 a:1=1 b:1=4 c:1=5");
        check(std::slice::from_ref(&append), "1 c:1=5");
        check(&[set.clone(), append.clone(), set.clone()], "3 a:1=1 b:1=4");
        check(&[set.clone(), remove("a:1")], "2 b:1=4");
        check(&[set.clone(), Change::Unset], "none");
        check(&[append.clone(), append], "host 2: address: `c:1` is listed twice");
        check(&[set.clone(), remove("c:1")], "hosts: `c:1` is not among them");
        check(&[set, remove("a:1"), remove("b:1")], "hosts: there are none");
        check(&[remove("a:1")], "hosts: `a:1` is not among them");
    }
}
