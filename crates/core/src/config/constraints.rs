//! `[data_set.constraints]` and `labels`: what may not be done with a data set; and sets of constraints that nothing can meet.

use super::fragment;
use super::network::existing_node;
use super::problem::{Invalid, Problems};
use super::quantity;
use super::settings::{DataSetSettings, NodeSettings};
use crate::domain::constraints::{Constraints, MustNot, Rate, Transfers, contradictions};
use crate::domain::ids::NodeId;
use crate::domain::labels::{self, Labels};
use std::collections::{BTreeMap, BTreeSet};

/// More replicas than this nobody means.
const REPLICAS_MAX: i64 = 10_000;

/// What is stated of one data set, whose nodes these are; none when nothing is.
pub fn constraints(
    written: Option<&fragment::Constraints>,
    place: &str,
    ids: &BTreeSet<NodeId>,
    problems: &mut Problems,
) -> Option<Constraints> {
    let Some(written) = written else { return Some(Constraints::default()) };
    let key = |key: &str| format!("{place}.constraints.{key}");
    let must_not = written.must_not.as_ref().map(must_not).transpose();
    let must_not = problems.check(key("must_not"), must_not);
    let must = problems.check(key("must"), nodes(written.must.as_deref(), ids));
    let never_delete_at = problems.check(key("never_delete_at"), nodes(written.never_delete_at.as_deref(), ids));
    let min_replicas = problems.check(key("min_replicas"), replicas(written.min_replicas));
    let max_replicas = problems.check(key("max_replicas"), replicas(written.max_replicas));
    let transfers = written.transfers.as_ref().map(transfers).transpose();
    let transfers = problems.check(key("transfers"), transfers);
    let origin = written.origin.map(|node| existing_node(node, ids)).transpose();
    let origin = problems.check(key("origin"), origin);
    Some(Constraints {
        must_not: must_not?,
        must: must?,
        never_delete_at: never_delete_at?,
        min_replicas: min_replicas?,
        max_replicas: max_replicas?,
        transfers: transfers?,
        origin: origin?,
    })
}

/// Whether the owner goes on writing at the node where a data set begins: `origin = "fixed"`.
pub fn origin(written: Option<&str>, first_node: NodeId) -> Result<Option<NodeId>, Invalid> {
    match written {
        None | Some("moves") => Ok(None),
        Some("fixed") => Ok(Some(first_node)),
        Some(other) => Err(Invalid::new(
            format!("`{}` is neither `fixed` nor `moves`", other.escape_debug()),
            "write `origin = \"fixed\"` for data that its owner goes on writing at `first_node`; else leave it out",
        )),
    }
}

/// What a node is called by.
pub fn labels(written: Option<&BTreeMap<String, String>>) -> Result<Labels, Invalid> {
    let written = written.into_iter().flatten();
    let label = |(name, value): (&String, &String)| Ok((labels::word(name)?, labels::word(value)?));
    let read: Result<Labels, labels::LabelError> = written.map(label).collect();
    match read {
        Ok(read) if read.len() > labels::MOST => {
            Err(Invalid::new(format!("there are more than {} labels", labels::MOST), "leave some out"))
        }
        read => read.map_err(|error| Invalid::new(error.to_string(), "write them like `{ region = \"eu\" }`")),
    }
}

fn must_not(written: &fragment::MustNot) -> Result<MustNot, Invalid> {
    let help = "write it like `{ labels = \"region!=eu\" }`";
    let labels = written.labels.parse().map_err(|error: labels::LabelError| Invalid::new(error.to_string(), help))?;
    Ok(MustNot { labels })
}

fn transfers(written: &fragment::Transfers) -> Result<Transfers, Invalid> {
    let read = |text: &String| {
        let between = text.parse();
        between.map_err(|error| Invalid::new(format!("{error}"), "the two times differ, and are in UTC"))
    };
    let between = written.between.as_ref().map(read).transpose()?;
    let rate = written.rate.as_ref().map(quantity::bytes_per_second).transpose()?.map(Rate);
    if between.is_none() && rate.is_none() {
        let help = "write `between`, `rate` or both, or leave `transfers` out";
        return Err(Invalid::new("says nothing", help));
    }
    Ok(Transfers { between, rate })
}

fn nodes(written: Option<&[i64]>, ids: &BTreeSet<NodeId>) -> Result<BTreeSet<NodeId>, Invalid> {
    written.unwrap_or_default().iter().map(|node| existing_node(*node, ids)).collect()
}

fn replicas(written: Option<i64>) -> Result<Option<u32>, Invalid> {
    written.map(|written| quantity::whole(written, 1..=REPLICAS_MAX)).transpose()
}

/// Constraints that nothing can meet.
pub fn refuse_contradictions(
    data_set: &DataSetSettings,
    place: &str,
    nodes: &BTreeMap<NodeId, NodeSettings>,
    problems: &mut Problems,
) {
    let labels = nodes.iter().map(|(id, node)| (*id, &node.labels)).collect();
    for contradiction in contradictions(&data_set.constraints, &labels, Some(data_set.first_node)) {
        let help = contradiction.remedy();
        problems.add(format!("{place}.constraints"), Invalid::new(contradiction.to_string(), help));
    }
}

#[cfg(test)]
mod tests {
    use super::super::scenario::Links;
    use super::*;
    use crate::config::network;

    /// The constraints of a data set that begins on node 3, or what is wrong with them. Nodes 1 and 3 are in region `eu`.
    fn read(written: &str) -> Result<Constraints, String> {
        #[derive(serde::Deserialize)]
        struct Network {
            node: Vec<fragment::Node>,
            constraints: fragment::Constraints,
        }
        let node = |id: u32, region: &str| {
            format!(
                "[[node]]\nid = {id}\nname = \"n{id}\"\navailability = \"90 %\"\nlabels = {{ region = \"{region}\" }}\n"
            )
        };
        let nodes = node(1, "eu") + &node(2, "us") + &node(3, "eu");
        let network: Network = toml::from_str(&format!("constraints = {written}\n{nodes}")).unwrap();
        let mut problems = Problems::default();
        let nodes = network::nodes(&network.node, Links::Injected, &mut problems);
        let ids = nodes.keys().copied().collect();
        let read = constraints(Some(&network.constraints), "data_set", &ids, &mut problems);
        let data_set = read.map(|constraints| DataSetSettings {
            name: "blood".into(),
            object_key: "blood.json".to_owned(),
            selection: None,
            generate_records: None,
            first_node: NodeId(3),
            constraints,
        });
        data_set.iter().for_each(|one| refuse_contradictions(one, "data_set", &nodes, &mut problems));
        let read = problems.settle(data_set).map_err(|error| error.to_string())?;
        Ok(read.constraints)
    }

    #[track_caller]
    fn refused(written: &str, expected: &str) {
        let said = read(written).unwrap_err();
        assert!(said.contains(expected), "{written}: {said}");
    }

    #[test]
    fn what_can_be_met_is_taken() {
        let constraints = r#"{ must_not = { labels = "region!=eu" }, must = [1], never_delete_at = [1], min_replicas = 2, max_replicas = 2, transfers = { between = "22:00-06:00" } }"#;
        assert_eq!(
            serde_json::to_string(&read(constraints).unwrap()).unwrap(),
            r#"{"must_not":{"labels":"region!=eu"},"must":[1],"never_delete_at":[1],"min_replicas":2,"max_replicas":2,"transfers":{"between":"22:00-06:00"}}"#
        );
        assert!(read("{}").unwrap().is_none());
    }

    #[test]
    fn what_says_nothing_is_told() {
        refused("{ must_not = { labels = \"eu\" } }", "data_set.constraints.must_not: `eu` means no label");
        refused("{ must = [9] }", "data_set.constraints.must: there is no node 9");
        refused("{ min_replicas = 0 }", "data_set.constraints.min_replicas: ");
        refused("{ transfers = { between = \"22-6\" } }", "data_set.constraints.transfers: `22-6` is no part of a day");
    }

    #[test]
    fn contradictions_are_told_as_the_smallest_set() {
        refused("{ min_replicas = 3, max_replicas = 2 }", "min_replicas and max_replicas contradict each other");
        refused(
            "{ must_not = { labels = \"region!=eu\" }, must = [2] }",
            "must and must_not contradict each other: node 2",
        );
        refused("{ must_not = { labels = \"region=eu\" } }", "first_node and must_not contradict each other");
        refused("{ must = [1, 2], max_replicas = 1 }", "must and max_replicas contradict each other");
        refused(
            "{ must = [1], never_delete_at = [3], max_replicas = 1 }",
            "must, never_delete_at and max_replicas contradict",
        );
        refused(
            "{ must_not = { labels = \"region!=eu\" }, min_replicas = 3 }",
            "min_replicas and must_not contradict each other: 2 of the 3",
        );
        refused("{ min_replicas = 4 }", "min_replicas cannot be met: 4 replicas need as many nodes, and there are 3");
    }
}
