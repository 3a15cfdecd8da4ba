use super::registration::links_of_4;
use super::{DRAIN, LEASE, SILENCE, Table, WINDOW, data_set, lives, node, registration, rejected};
use crate::domain::environment::Links;
use crate::domain::event::{Outcome, Window};
use crate::domain::ids::{AgentId, NodeId};
use crate::domain::placement::{Lease, Plan, Registration};
use crate::domain::saga::Lost;
use crate::knowledge::{Committed, Registered};
use std::time::Duration;

/// May run on nodes 2 and 4, besides its own.
fn mobile(agent: u32) -> Registration {
    Registration { may_run_on: [NodeId(2), NodeId(4)].into(), ..registration(agent) }
}

impl Table {
    /// Three agents, of which two may run elsewhere, and a fourth node.
    async fn mobile_agents(self) -> Self {
        let table = self.three_agents().await;
        table.knowledge.add_nodes(&[node(4, 99.0)], &links_of_4(&[1, 2, 3]), Links::Injected).await.unwrap();
        table.register(&mobile(1)).await;
        table.register(&mobile(3)).await;
        table
    }

    async fn runs_at(&self, agent: u32) -> NodeId {
        self.snapshot().await.agents[&AgentId(agent)].seat().node
    }

    async fn by_hand(&self, label: &str) -> Plan {
        Plan { agent: AgentId::OPERATOR, ..self.plan(1, label).await }
    }
}

pub async fn work_that_moves_takes_nothing_along(table: Table) {
    let table = table.mobile_agents().await;
    let before = table.snapshot().await;
    let claim = table.claim(1, "T1_2").await;
    assert_eq!((claim.source.node, claim.destination), (NodeId(3), None));
    let lease = Some(Lease { holder: AgentId(1), until: table.now() + LEASE });
    assert_eq!(table.replica(1).await.unwrap().lease, lease);
    assert_eq!(table.runs_at(1).await, NodeId(1), "not before its commit");
    assert_eq!(table.commit(claim.event).await, None);
    let after = table.snapshot().await;
    assert_eq!((table.runs_at(1).await, table.runs_at(3).await), (NodeId(2), NodeId(3)));
    assert_eq!(after.placement, before.placement);
    assert_eq!((after.generation, after.changed_at), (before.generation + 1, Some(table.now())));
    let event = table.event(claim.event).await;
    let event = (event.action.to_string(), event.outcome, event.window);
    assert_eq!(event, ("T1_2".to_owned(), Outcome::Done, Window::Open));
    table.act(1, "T1_1").await;
    assert_eq!(table.runs_at(1).await, NodeId(1));
}

pub async fn work_goes_only_where_its_user_lets_it(table: Table) {
    let table = table.mobile_agents().await;
    let claim = |plan: Plan| {
        let knowledge = table.knowledge.clone();
        async move { knowledge.claim(&plan, LEASE, WINDOW).await }
    };
    let reason = |reason: &str| reason.to_owned();
    let not_there = "agent 1 has not registered that its jobs can be handed to node 3 (`may_run_on`)";
    assert_eq!(rejected(claim(table.plan(1, "T1_3").await).await), reason(not_there));
    assert_eq!(rejected(claim(table.plan(1, "T1_9").await).await), reason("node 9 is not registered"));
    let others = "agent 1 cannot move the work of agent 3";
    assert_eq!(rejected(claim(table.plan(1, "T3_2").await).await), reason(others));
    assert_eq!(rejected(claim(table.by_hand("T9_2").await).await), reason("agent 9 is not registered"));
    let stays = "agent 2 has not registered that its jobs can be handed to node 4 (`may_run_on`)";
    assert_eq!(rejected(claim(table.plan(2, "T2_4").await).await), reason(stays));
    let by_hand = table.try_claim(&table.by_hand("T1_4").await).await.unwrap();
    table.commit(by_hand.event).await;
    assert_eq!(table.runs_at(1).await, NodeId(4));
}

pub async fn work_that_was_not_moved_is_where_it_was(table: Table) {
    let table = table.mobile_agents().await;
    let plan = table.plan(1, "T1_2").await;
    let claim = table.try_claim(&plan).await.unwrap();
    assert_eq!(table.try_claim(&plan).await.unwrap(), claim, "the same key is granted the same");
    assert_eq!(table.knowledge.abort(claim.event, Outcome::Aborted, "it died").await.unwrap(), None);
    assert_eq!((table.runs_at(1).await, table.replica(1).await.unwrap().lease), (NodeId(1), None));
    let committed = table.knowledge.commit(claim.event, &Default::default(), DRAIN).await.unwrap();
    assert!(matches!(committed, Committed::Refused(_)), "{committed:?}");
    assert_eq!(table.runs_at(1).await, NodeId(1));
    // Nobody has to be there for its lease to run out.
    let forgotten = table.claim(1, "T1_2").await;
    table.advance(LEASE.as_secs() + 1);
    assert_eq!(table.knowledge.unfinished(AgentId(3), false).await.unwrap().claims, [forgotten]);
}

pub async fn of_two_that_move_the_same_work_one_is_granted(table: Table) {
    let table = table.mobile_agents().await;
    table.act(3, "C3_2").await;
    let (own, by_hand) = (table.plan(1, "T1_2").await, table.by_hand("T1_4").await);
    let (own, by_hand) = futures::join!(table.try_claim(&own), table.try_claim(&by_hand));
    let granted: Vec<_> = [&own, &by_hand].into_iter().filter_map(|claimed| claimed.as_ref().ok()).collect();
    assert_eq!(granted.len(), 1, "{own:?}, {by_hand:?}");
    let lost = [&own, &by_hand].into_iter().find_map(|claimed| claimed.as_ref().err());
    assert!(matches!(lost, Some(Lost::Held { .. })), "{lost:?}");
    // What reads something else moves meanwhile.
    let other = table.claim(3, "T3_4").await;
    table.commit(granted[0].event).await;
    table.commit(other.event).await;
    assert_eq!(table.runs_at(3).await, NodeId(4));
}

pub async fn an_agent_that_starts_again_runs_where_it_ran_as_long_as_it_may(table: Table) {
    let table = table.mobile_agents().await;
    table.act(1, "T1_2").await;
    table.register(&mobile(1)).await;
    assert_eq!(table.runs_at(1).await, NodeId(2));
    assert_eq!(table.snapshot().await.agents[&AgentId(1)].registration, mobile(1));
    table.register(&registration(1)).await;
    assert_eq!(table.runs_at(1).await, NodeId(1));
}

pub async fn a_node_that_leaves_sends_work_home(table: Table) {
    let table = table.mobile_agents().await;
    table.act(1, "T1_4").await;
    table.act(3, "T3_2").await;
    let plan = table.plan(3, "T3_4").await;
    table.knowledge.leave_node(NodeId(4), SILENCE, DRAIN).await.unwrap();
    assert_eq!((table.runs_at(1).await, table.runs_at(3).await), (NodeId(1), NodeId(2)));
    assert_eq!(table.snapshot().await.agents[&AgentId(1)].runs_at, None);
    assert_eq!(table.try_claim(&plan).await, Err(Lost::Leaving(NodeId(4))));
    // Added again, it has nobody's work.
    table.knowledge.remove_node(NodeId(4)).await.unwrap();
    table.knowledge.add_nodes(&[node(4, 99.0)], &links_of_4(&[1, 2, 3]), Links::Injected).await.unwrap();
    assert_eq!(table.runs_at(1).await, NodeId(1));
}

pub async fn readers_are_given_what_is_near_to_where_they_run(table: Table) {
    let table = table.mobile_agents().await;
    table.act(2, "C3_2").await;
    table.act(2, "C2_1").await;
    table.act(1, "T1_2").await;
    // At home the replica on node 1 would be nearest.
    table.act(3, "CR1").await;
    table.act(3, "E3").await;
    assert_eq!(table.reads(1).await, Some(NodeId(2)));
}

pub async fn an_agent_that_falls_silent_takes_no_work(table: Table) {
    let table = table.mobile_agents().await;
    table.act(1, "T1_2").await;
    let silence = Duration::from_secs(30);
    let seat = |snapshot: crate::domain::snapshot::Snapshot| snapshot.seat(AgentId(1), silence).unwrap().node;
    let registered = table.knowledge.register_agent(&registration(2), &[data_set()], &lives("first")).await.unwrap();
    assert_eq!(registered, Registered::Done);
    table.knowledge.register_store(NodeId(2), "http://node-2").await.unwrap();
    assert_eq!(seat(table.snapshot().await), NodeId(2));
    table.advance(31);
    assert_eq!(seat(table.snapshot().await), NodeId(1));
}
