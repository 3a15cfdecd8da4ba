//! A file with nodes to be added to a running network: `[[node]]` and `[[link]]` as in network.toml.

use super::problem::{ConfigError, Invalid, Problems};
use super::scenario::Links;
use super::settings::{CredentialsSettings, NodeSettings, S3StoreSettings, StoreSettings};
use super::{fragment, load, network, prices};
use crate::domain::books::Tariff;
use crate::domain::ids::NodeId;
use crate::domain::placement::Link;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Nodes, and links between them and to those that are there. Whether these are complete is the table's to say.
#[derive(Clone, PartialEq, Debug)]
pub struct Addition {
    pub nodes: BTreeMap<NodeId, NodeSettings>,
    /// Each direction.
    pub links: Vec<Link>,
    /// What these cost.
    pub tariff: Tariff,
}

/// Reads a file that adds to the nodes `existing`.
pub fn read_addition(path: &Path, existing: &BTreeSet<NodeId>) -> Result<Addition, ConfigError> {
    let mut problems = Problems::default();
    problems.enter(&path.display().to_string());
    let text =
        problems.check("", std::fs::read_to_string(path).map_err(|error| load::unreadable(&error, load::LAYOUT)));
    let addition = text.and_then(|text| parse(&text, existing, &mut problems));
    problems.settle(addition)
}

fn parse(text: &str, existing: &BTreeSet<NodeId>, problems: &mut Problems) -> Option<Addition> {
    let parsed = fragment::parse(text).map_err(|(place, invalid)| problems.add(place, invalid));
    let written: fragment::Addition = parsed.ok()?;
    let nodes = network::nodes(&written.node, Links::Measured, problems);
    nodes.values().for_each(|node| refuse_what_the_table_cannot_hold(node, problems));
    let ids: BTreeSet<NodeId> = existing.iter().chain(nodes.keys()).copied().collect();
    let tariff = prices::prices(&written.node, &written.link, &ids, problems);
    // Of nodes that come, the table demands what all their links are like.
    let (directions, _) = network::directions(&written.link, &ids, Links::Injected, problems);
    Some(Addition { nodes, links: directions.into_values().flatten().collect(), tariff })
}

/// Others know of an added node's store what the table says: its URL.
fn refuse_what_the_table_cannot_hold(node: &NodeSettings, problems: &mut Problems) {
    let (key, help) = match &node.store {
        StoreSettings::S3(S3StoreSettings { credentials, .. }) if *credentials != CredentialsSettings::Environment => {
            ("credentials", "remove it: the credentials of an added node come from the environment of each agent")
        }
        StoreSettings::S3(S3StoreSettings { ca: Some(_), .. }) => {
            ("ca", "remove it: name the certificates in AWS_CA_BUNDLE for each agent")
        }
        StoreSettings::S3(S3StoreSettings { encryption: Some(_), .. }) => {
            ("encryption", "remove it: set the bucket's own default encryption")
        }
        StoreSettings::S3(S3StoreSettings { delete_versions: true, .. }) => {
            ("delete_versions", "remove it: add the node to network.toml, or suspend the bucket's versioning")
        }
        StoreSettings::Embedded { .. } if node.store != StoreSettings::default() => {
            ("listen", "remove it: whoever serves the store says where, `agent store --node N --listen ADDRESS`")
        }
        StoreSettings::S3(_) | StoreSettings::Embedded { .. } => return,
    };
    problems.add(format!("node {}: store.{key}", node.id), Invalid::new("cannot be added to a running network", help));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<Addition, String> {
        let mut problems = Problems::default();
        problems.enter("nodes.toml");
        let addition = parse(text, &BTreeSet::from([NodeId(1), NodeId(2)]), &mut problems);
        problems.settle(addition).map_err(|error| error.to_string())
    }

    const FOUR: &str = "[[node]]\nid = 4\nname = \"plant\"\navailability = \"80 %\"\n";

    #[test]
    fn nodes_and_links_are_read_as_in_a_network() {
        let links = "[[link]]\nbetween = [1, 4]\nlatency = \"2 s\"\n[[link]]\nfrom = 4\nto = 2\nlatency = \"5 ms\"\n";
        let addition = check(&format!("{FOUR}{links}")).unwrap();
        assert_eq!(addition.nodes.keys().copied().collect::<Vec<_>>(), [NodeId(4)]);
        let ways: Vec<_> = addition.links.iter().map(|link| (link.from.0, link.to.0, link.latency_ms)).collect();
        assert_eq!(ways, [(1, 4, 2000.0), (4, 1, 2000.0), (4, 2, 5.0)]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let refused = |more: &str| check(&format!("{FOUR}{more}")).unwrap_err();
        let unknown = refused("[[link]]\nbetween = [4, 9]\nlatency = \"2 s\"\n");
        assert!(unknown.starts_with("nodes.toml: link 4-9: there is no node 9\n"), "{unknown}");
        let listens = refused("store = { listen = \"127.0.0.1:9000\" }\n");
        assert!(
            listens.starts_with("nodes.toml: node 4: store.listen: cannot be added to a running network"),
            "{listens}"
        );
        assert!(check("knowledge = \"sqlite:x\"").unwrap_err().contains("unknown key `knowledge`"));
        assert!(check("").unwrap_err().contains("there are no nodes"));
    }
}
