//! What stands before every action on a data set: its constraints, and whether it is paused.

use super::{DRAIN, LEASE, START, Table, WINDOW, blood, data_set, node, rejected};
use crate::domain::constraints::{Constraints, Forbidden, Guard};
use crate::domain::ids::NodeId;
use crate::domain::labels::Labels;
use crate::domain::placement::{Claim, DataSet};
use crate::domain::saga::{Lost, Refused};
use crate::domain::time::Timestamp;
use crate::knowledge::{Claimed, Committed};
use std::time::Duration;

fn constraints(written: &str) -> Constraints {
    serde_json::from_str(written).unwrap()
}

fn region(name: &str) -> Labels {
    [("region".to_owned(), name.to_owned())].into()
}

impl Table {
    async fn constrain(&self, written: &str) {
        self.knowledge.set_constraints(&data_set(), &constraints(written)).await.unwrap();
    }

    /// Why a claim is not granted; nothing when it is.
    async fn forbidden(&self, agent: u32, label: &str) -> String {
        match self.try_claim(&self.plan(agent, label).await).await {
            Err(lost @ Lost::Forbidden(_)) => lost.to_string(),
            Err(lost) => panic!("{label}: {lost}"),
            Ok(claim) => {
                self.give_up(&claim).await;
                String::new()
            }
        }
    }

    async fn give_up(&self, claim: &Claim) {
        let why = "only tried";
        let left = self.knowledge.abort(claim.event, crate::domain::event::Outcome::Aborted, why).await.unwrap();
        if let Some(left) = left {
            self.knowledge.removed(left.id).await.unwrap();
        }
    }
}

pub async fn constraints_and_labels_are_kept(table: Table) {
    let first = table.three_agents().await;
    let generation = first.snapshot().await.generation;
    let written =
        r#"{"must_not":{"labels":"region!=eu"},"must":[3],"min_replicas":2,"transfers":{"between":"22:00-06:00"}}"#;
    first.constrain(written).await;
    first.knowledge.set_labels(NodeId(1), &region("eu")).await.unwrap();
    let snapshot = first.snapshot().await;
    assert_eq!(snapshot.data_set.guard.constraints, constraints(written));
    assert_eq!((&snapshot.nodes[&NodeId(1)].labels, snapshot.nodes[&NodeId(2)].labels.len()), (&region("eu"), 0));
    assert!(snapshot.generation > generation, "whoever plans looks again");
    first.constrain("{}").await;
    first.knowledge.set_labels(NodeId(1), &Labels::new()).await.unwrap();
    let snapshot = first.snapshot().await;
    assert!(snapshot.data_set.guard.constraints.is_none() && snapshot.nodes[&NodeId(1)].labels.is_empty());
    let unknown = first.knowledge.set_constraints(&"urine".into(), &Constraints::default()).await;
    assert_eq!(rejected(unknown), "data set `urine` is not in the catalogue");
    assert_eq!(
        rejected(first.knowledge.pause(&"urine".into(), None).await),
        "data set `urine` is not in the catalogue"
    );
    assert_eq!(rejected(first.knowledge.set_labels(NodeId(9), &region("eu")).await), "node 9 is not registered");
}

pub async fn nodes_and_data_sets_come_with_theirs(table: Table) {
    let table = table.three_agents().await;
    let mut fourth = node(4, 90.0);
    fourth.labels = region("us");
    table.knowledge.register_network(&[fourth], &[]).await.unwrap();
    assert_eq!(table.snapshot().await.nodes[&NodeId(4)].labels, region("us"));
    let guard = Guard { constraints: constraints(r#"{"must_not":{"labels":"region=us"}}"#), paused_until: None };
    let images = DataSet { name: "images".into(), object_key: "images.json".to_owned(), guard, ..blood() };
    let there = table.knowledge.register_data_set(&images, NodeId(4), "images.json", &Default::default()).await;
    let why = rejected(there);
    assert!(why.starts_with("data set `images` may not lie there: must_not: no replica may lie on node 4"), "{why}");
    let elsewhere = table.knowledge.register_data_set(&images, NodeId(3), "images.json", &Default::default()).await;
    assert!(elsewhere.unwrap());
    let read = table.knowledge.snapshot(&images.name).await.unwrap().unwrap();
    assert_eq!(read.data_set.guard, images.guard);
}

pub async fn what_constraints_forbid_is_not_granted(table: Table) {
    let table = table.three_agents().await;
    table.constrain(r#"{"must_not":{"labels":"region!=eu"},"must":[3]}"#).await;
    table.knowledge.set_labels(NodeId(1), &region("eu")).await.unwrap();
    let abroad = "must_not: no replica may lie on node 2, whose labels match `region!=eu`";
    assert_eq!(table.forbidden(1, "C3_2").await, abroad);
    assert_eq!(table.forbidden(1, "M3_1").await, "must: the replica on node 3 stays");
    assert_eq!(table.forbidden(1, "C3_1").await, "");
    table.constrain(r#"{"min_replicas":1,"max_replicas":1}"#).await;
    assert_eq!(table.forbidden(1, "C3_1").await, "max_replicas: there are 1 replicas already");
    assert_eq!(table.forbidden(1, "M3_1").await, "");
    // The table's time is a quarter past midnight and more.
    assert!(START < Timestamp(6 * 3_600_000));
    table.constrain(r#"{"transfers":{"between":"06:00-07:00"}}"#).await;
    assert!(table.forbidden(1, "C3_1").await.starts_with("transfers: only 06:00-07:00, in 5 h"));
    table.constrain(r#"{"transfers":{"between":"00:00-07:00"}}"#).await;
    assert_eq!(table.forbidden(1, "C3_1").await, "");
}

pub async fn of_what_is_dropped_at_once_enough_stays(table: Table) {
    let table = table.three_agents().await;
    table.act(1, "C3_1").await;
    table.act(2, "C3_2").await;
    table.constrain(r#"{"min_replicas":2}"#).await;
    // Both were granted while there were three.
    let (one, other) = (table.claim(3, "E1").await, table.claim(3, "E2").await);
    table.commit(one.event).await;
    let refused = table.knowledge.commit(other.event, &Default::default(), DRAIN).await.unwrap();
    assert_eq!(refused, Committed::Refused(Refused::Forbidden(Forbidden::TooFew(2))));
    assert_eq!(table.snapshot().await.placement.nodes().len(), 2);
}

pub async fn what_is_demanded_is_made_though_nobody_reads_it(table: Table) {
    let table = table.three_agents().await;
    let plan = table.plan(1, "R3_1").await;
    assert_eq!(table.try_claim(&plan).await.unwrap_err(), Lost::NothingToMend(NodeId(1)));
    table.constrain(r#"{"must":[1]}"#).await;
    table.act(1, "R3_1").await;
    let snapshot = table.snapshot().await;
    assert_eq!(snapshot.placement.nodes(), [NodeId(1), NodeId(3)].into());
    assert_eq!(table.reads(1).await, Some(NodeId(3)), "its maker reads what it read");
    let again = table.plan(1, "R3_1").await;
    assert_eq!(table.try_claim(&again).await.unwrap_err(), Lost::NothingToMend(NodeId(1)));
}

pub async fn a_node_does_not_leave_with_what_must_stay(table: Table) {
    let table = table.three_agents().await;
    table.act(1, "C3_1").await;
    table.constrain(r#"{"never_delete_at":[3]}"#).await;
    table.advance(1);
    let why = rejected(table.knowledge.leave_node(NodeId(3), Duration::ZERO, DRAIN).await);
    let expected =
        "data set `blood` does not let its replica on node 3 go: never_delete_at: the replica on node 3 stays";
    assert!(why.starts_with(expected), "{why}");
    table.constrain("{}").await;
    table.knowledge.leave_node(NodeId(3), Duration::ZERO, DRAIN).await.unwrap();
}

pub async fn while_it_is_paused_nothing_begins(table: Table) {
    let table = table.three_agents().await;
    let under_way = table.claim(1, "C3_1").await;
    let until = table.now() + Duration::from_secs(5);
    table.knowledge.pause(&data_set(), Some(until)).await.unwrap();
    assert_eq!(table.snapshot().await.data_set.guard.paused_until, Some(until));
    assert_eq!(table.forbidden(2, "C3_2").await, "paused; `agent resume` ends it");
    // What had begun comes to its end.
    table.commit(under_way.event).await;
    table.advance(5);
    let claimed = table.knowledge.claim(&table.plan(2, "C3_2").await, LEASE, WINDOW).await.unwrap();
    assert!(matches!(claimed, Claimed::Granted(_)), "{claimed:?}");
    table.knowledge.pause(&data_set(), Some(Guard::FOR_EVER)).await.unwrap();
    assert_eq!(table.forbidden(3, "CR1").await, "paused; `agent resume` ends it");
    table.knowledge.pause(&data_set(), None).await.unwrap();
    assert_eq!(table.forbidden(3, "CR1").await, "");
}
