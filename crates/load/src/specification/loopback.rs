//! Load stays on this machine unless somebody says where else it may go.

use super::load::Specification;
use crate::balancer::Address;
use agent_core::config::Invalid;
use std::fmt;

/// A host that load must not go to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RefusedTarget {
    pub service: String,
    /// `HOST:PORT`.
    pub address: String,
}

impl fmt::Display for RefusedTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, address } = self;
        write!(f, "service `{service}`: {}", elsewhere(address))
    }
}

/// The hosts of a load that are neither this machine's own (`127.0.0.0/8`, `::1`, `localhost`) nor in `allowed`, which has hosts
/// (`shop.example.org`, with every port) or addresses (`shop.example.org:80`). Those that a table names are checked when they are followed.
/// Names are not looked up: what they mean may
/// change between now and the first request.
pub fn refused_targets(specification: &Specification, allowed: &[String]) -> Vec<RefusedTarget> {
    let listed = specification.services.iter().filter_map(|service| Some((service, service.listed()?)));
    let hosts = listed.flat_map(|(service, listed)| listed.record.hosts().iter().map(move |host| (service, host)));
    let refused = hosts.filter(|(_, host)| !may_be_sent_to(&host.address, allowed));
    refused
        .map(|(service, host)| RefusedTarget { service: service.name.clone(), address: host.address.clone() })
        .collect()
}

/// Of an address that load must not go to.
pub fn not_allowed(address: &str) -> Invalid {
    Invalid::new(
        elsewhere(address),
        "load goes to this machine alone unless its host is allowed by name; allow it only if it is yours, and bears the \
         load",
    )
}

/// What is wrong with an address that load must not go to.
pub(crate) fn elsewhere(address: &str) -> String {
    format!("`{address}` is another machine")
}

/// Whether the address is this machine's own, or allowed.
pub fn may_be_sent_to(address: &str, allowed: &[String]) -> bool {
    // No record has an address that is none; if one had, nothing would allow it.
    Address::parse(address).is_ok_and(|parsed| {
        let is_named =
            |allowed: &String| allowed.eq_ignore_ascii_case(address) || allowed.eq_ignore_ascii_case(parsed.host);
        parsed.is_loopback() || allowed.iter().any(is_named)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_and_what_is_allowed_by_name_is_sent_to() {
        let check = |address: &str, allowed: &[&str], expected| {
            let allowed: Vec<String> = allowed.iter().map(|host| (*host).to_owned()).collect();
            assert_eq!(may_be_sent_to(address, &allowed), expected, "{address} {allowed:?}");
        };
        check("127.0.0.1:80", &[], true);
        check("[::1]:80", &[], true);
        check("localhost:80", &[], true);
        check("127.0.0.1.example.org:80", &[], false);
        check("node-1:80", &[], false);
        check("node-1:80", &["node-1"], true);
        check("Node-1:80", &["node-1"], true);
        check("node-1:80", &["node-1:80"], true);
        check("node-1:81", &["node-1:80"], false);
        check("node-10:80", &["node-1"], false);
        check("node-1.example.org:80", &["node-1", "example.org"], false);
        check("[2001:db8::1]:80", &["2001:db8::1"], true);
        check("10.0.0.1:80", &["10.0.0.2"], false);
    }

    #[test]
    fn every_refused_target_is_named_with_its_service() {
        let text = r#"
            name = "load"
            duration = "1 s"
            [[service]]
            name = "shop"
            hosts = ["127.0.0.1:80", "example.org:80"]
            [[service]]
            name = "bank"
            hosts = [{ address = "10.0.0.1:80", weight = 0 }, "localhost:80"]
            [[client]]
            service = "shop"
            rate = 1
        "#;
        let specification = Specification::read("load.toml", text, |_| Ok(String::new())).unwrap();
        let refused: Vec<String> = refused_targets(&specification, &[])
            .iter()
            .map(|target| format!("{} {}", target.service, target.address))
            .collect();
        assert_eq!(refused, ["shop example.org:80", "bank 10.0.0.1:80"], "also one that could get requests later");
        assert_eq!(refused_targets(&specification, &["example.org".to_owned(), "10.0.0.1".to_owned()]), []);
    }
}
