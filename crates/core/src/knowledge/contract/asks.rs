use super::super::{Pulse, Result};
use super::{CONVERGED, DRAIN, LEASE, SILENCE, Table, WINDOW, blood, data_set, rejected};
use crate::domain::action::Action;
use crate::domain::ask::{Ask, NODES_MAX, Question, Reply};
use crate::domain::environment::{Measured, MeasuredLink};
use crate::domain::event::Outcome;
use crate::domain::ids::{AgentId, AskId, NodeId};
use crate::domain::placement::{DataSet, Plan, Registration};
use crate::domain::saga::Lost;
use crate::domain::time::Timestamp;
use crate::domain::units::Percent;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const LATELY: Duration = Duration::from_secs(60);

fn nodes(ids: impl IntoIterator<Item = u32>) -> BTreeSet<NodeId> {
    ids.into_iter().map(NodeId).collect()
}

pub fn question(key: &str) -> Question {
    Question {
        key: key.to_owned(),
        agent: AgentId(1),
        data_set: data_set(),
        generation: 3,
        nodes: nodes([1, 2]),
        action: Some(Action::Move { from: NodeId(3), to: NodeId(1) }),
        afresh: true,
        level: 0.25,
    }
}

fn reply(node: u32, forecasts: &[(Option<u32>, f64)], named: &[u32]) -> Reply {
    Reply {
        level: 0.5,
        nodes: nodes([node]),
        forecasts: forecasts.iter().map(|(replicas, change)| ((NodeId(node), *replicas), *change)).collect(),
        said: 7,
        named: nodes(named.iter().copied()),
    }
}

/// A reply with something of each kind.
pub fn said() -> Reply {
    reply(1, &[(None, 0.25), (Some(2), -0.25)], &[2])
}

impl Table {
    async fn ask(&self, key: &str) -> AskId {
        self.knowledge.ask(&question(key)).await.unwrap()
    }

    async fn reply(&self, ask: AskId, agent: u32, reply: &Reply) -> Result<bool> {
        self.knowledge.reply(ask, AgentId(agent), reply).await
    }

    async fn asked(&self) -> Vec<Ask> {
        let conversation = self.knowledge.conversation(&data_set(), LATELY).await.unwrap();
        conversation.iter().map(|ask| Ask::clone(ask)).collect()
    }

    async fn pulse(&self) -> Pulse {
        self.knowledge.pulse(&data_set(), NodeId(1)).await.unwrap().unwrap()
    }
}

pub async fn a_question_is_posted_once_and_read_with_its_replies(table: Table) {
    let table = table.three_agents().await;
    let first = table.ask("first").await;
    table.advance(1);
    let second = table.ask("second").await;
    assert_eq!(table.ask("first").await, first);
    let said = reply(1, &[(None, 0.5), (Some(2), -0.25)], &[3]);
    assert!(table.reply(second, 2, &said).await.unwrap());
    let asked = |id, seconds, replies| Ask {
        id,
        agent: AgentId(1),
        generation: 3,
        nodes: nodes([1, 2]),
        action: Some(Action::Move { from: NodeId(3), to: NodeId(1) }),
        afresh: true,
        level: 0.25,
        posted_at: super::START + Duration::from_secs(seconds),
        closed: false,
        replies,
    };
    let expected = [asked(first, 0, BTreeMap::new()), asked(second, 1, [(AgentId(2), said)].into())];
    assert_eq!(table.asked().await, expected);
    let unproposed = Question { action: None, afresh: false, ..question("third") };
    table.knowledge.ask(&unproposed).await.unwrap();
    let third = table.asked().await.remove(2);
    assert_eq!((third.action, third.afresh), (None, false));
}

pub async fn what_an_agent_says_later_is_joined(table: Table) {
    let table = table.three_agents().await;
    let ask = table.ask("key").await;
    let (first, mut later) = (reply(1, &[(Some(1), 0.5), (Some(2), 0.5)], &[]), reply(2, &[(None, -1.0)], &[3]));
    (later.level, later.said) = (0.75, 9);
    later.nodes = nodes([1, 2]);
    later.forecasts.insert((NodeId(1), Some(2)), -0.5);
    for said in [&first, &later, &later] {
        assert!(table.reply(ask, 2, said).await.unwrap());
    }
    let forecasts = [((NodeId(1), Some(1)), 0.5), ((NodeId(1), Some(2)), -0.5), ((NodeId(2), None), -1.0)].into();
    let joined = Reply { level: 0.75, nodes: nodes([1, 2]), forecasts, said: 9, named: nodes([3]) };
    assert_eq!(table.asked().await[0].replies, [(AgentId(2), joined)].into());
}

pub async fn of_replies_at_once_all_are_joined(table: Table) {
    let table = table.three_agents().await;
    let ask = table.ask("key").await;
    // Whatever comes last, what is replaced is the same.
    let about = |node| Reply { nodes: nodes([1]), ..reply(node, &[(None, 0.5)], &[node]) };
    let said: Vec<(u32, Reply)> = (1..=12).map(|node| (2 + node % 2, about(node))).collect();
    let all = said.iter().map(|(agent, reply)| table.reply(ask, *agent, reply));
    assert!(futures::future::join_all(all).await.into_iter().all(|taken| taken.unwrap()));
    for agent in [2, 3] {
        let mut joined = Reply::default();
        said.iter().filter(|(of, _)| *of == agent).for_each(|(_, reply)| joined.join(reply));
        assert_eq!(table.asked().await[0].replies[&AgentId(agent)], joined);
    }
}

pub async fn a_closed_question_takes_no_reply(table: Table) {
    let table = table.three_agents().await;
    let ask = table.ask("key").await;
    for _ in 0..2 {
        table.knowledge.close_ask(ask).await.unwrap();
    }
    assert!(!table.reply(ask, 2, &reply(1, &[], &[])).await.unwrap());
    assert!(!table.reply(AskId(99), 2, &reply(1, &[], &[])).await.unwrap(), "nobody asked that");
    table.knowledge.close_ask(AskId(99)).await.unwrap();
    assert!(table.asked().await[0].closed);
    assert!(table.asked().await[0].replies.is_empty());
}

pub async fn only_what_was_asked_lately_about_the_data_set_is_read(table: Table) {
    let table = table.three_agents().await;
    let another = DataSet { name: "another".into(), ..blood() };
    table.knowledge.register_data_set(&another, NodeId(1), "another.json", &Default::default()).await.unwrap();
    table.ask("old").await;
    table.advance(61);
    let recent = table.ask("recent").await;
    table.knowledge.ask(&Question { data_set: "another".into(), ..question("elsewhere") }).await.unwrap();
    table.advance(60);
    assert_eq!(table.asked().await.iter().map(|ask| ask.id).collect::<Vec<_>>(), [recent]);
}

pub async fn what_was_asked_more_than_a_day_ago_is_forgotten(table: Table) {
    const DAY: u64 = 86_400;
    let table = table.three_agents().await;
    let old = table.ask("old").await;
    assert!(table.reply(old, 2, &reply(1, &[(None, 0.5)], &[3])).await.unwrap());
    table.advance(1);
    let kept = table.ask("kept").await;
    table.advance(DAY);
    let new = table.ask("new").await;
    let conversation = table.knowledge.conversation(&data_set(), 3 * LATELY + 2 * Duration::from_secs(DAY)).await;
    assert_eq!(conversation.unwrap().iter().map(|ask| ask.id).collect::<Vec<_>>(), [kept, new]);
    assert!(!table.reply(old, 2, &reply(1, &[], &[])).await.unwrap(), "nobody remembers it");
    assert!(table.reply(kept, 2, &reply(1, &[], &[])).await.unwrap());
    // Nor its key.
    let again = table.ask("old").await;
    assert!(again > new, "{again} was given before");
}

pub async fn questions_and_replies_that_make_no_sense_are_rejected(table: Table) {
    let table = table.three_agents().await;
    let check = async |question: Question, why: &str| {
        assert_eq!(rejected(table.knowledge.ask(&question).await), why);
    };
    let about = |count: u32| Question { nodes: nodes(1..=count), ..question("key") };
    check(about(0), "a question is about 1 to 12 nodes, not 0").await;
    check(about(u32::try_from(NODES_MAX).unwrap() + 1), "a question is about 1 to 12 nodes, not 13").await;
    let unsure = Question { level: f64::NAN, ..question("key") };
    check(unsure, "the asker's level is NaN, which is not within 0 and 1").await;
    let elsewhere = Question { data_set: "urine".into(), ..question("key") };
    check(elsewhere, "data set `urine` is not in the catalogue").await;
    let ask = table.ask("key").await;
    let check = async |reply: Reply, why: &str| {
        assert_eq!(rejected(table.reply(ask, 2, &reply).await), why);
    };
    check(Reply { level: 1.5, ..Reply::default() }, "the level is 1.5, which is not within 0 and 1").await;
    check(reply(1, &[(None, -1.5)], &[]), "a forecast is -1.5, which is not within -1 and 1").await;
    assert!(table.asked().await[0].replies.is_empty());
}

pub async fn what_begins_or_gives_up_an_action_makes_a_new_generation(table: Table) {
    let table = table.three_agents().await;
    let mut before = table.snapshot().await.generation;
    let mut check = async |changes: bool| {
        let now = table.snapshot().await.generation;
        assert_eq!(now != before, changes, "{before} -> {now}");
        assert_eq!(table.pulse().await.generation, now);
        before = now;
    };
    let claim = table.claim(1, "C3_1").await;
    check(true).await;
    table.knowledge.renew(claim.event, LEASE).await.unwrap();
    check(false).await;
    table.commit(claim.event).await;
    check(false).await;
    let given_up = table.claim(2, "C3_2").await;
    check(true).await;
    table.knowledge.abort(given_up.event, Outcome::Failed, "a test").await.unwrap();
    check(true).await;
    table.knowledge.abort(given_up.event, Outcome::Failed, "a test").await.unwrap();
    check(false).await;
    table.knowledge.close_due(AgentId(1), super::RULE).await.unwrap();
    check(false).await;
}

pub async fn who_comes_and_what_leaves_makes_a_new_generation(table: Table) {
    let table = table.three_agents().await;
    let another = DataSet { name: "another".into(), ..blood() };
    table.knowledge.register_data_set(&another, NodeId(1), "another.json", &Default::default()).await.unwrap();
    let mut before = table.snapshot().await.generation;
    let mut check = async |what: &str, changes: bool| {
        let now = table.snapshot().await.generation;
        assert_eq!(now != before, changes, "{what}: {before} -> {now}");
        before = now;
    };
    table.register(&super::registration(1)).await;
    check("an agent that has a reference", false).await;
    let newcomer = Registration { agent: AgentId(9), node: NodeId(1), ..super::registration(1) };
    table.knowledge.register_agent(&newcomer, std::slice::from_ref(&another.name), &super::identity()).await.unwrap();
    check("an agent that reads another data set", false).await;
    table.register(&newcomer).await;
    check("an agent that is given one", true).await;
    let plan = table.plan(1, "C3_1").await;
    let claim = table.try_claim(&plan).await.unwrap();
    check("a claim", true).await;
    assert!(table.try_claim(&Plan { key: "too late".to_owned(), ..plan.clone() }).await.is_err());
    check("a lost claim", false).await;
    table.try_claim(&plan).await.unwrap();
    check("the same key", false).await;
    table.commit(claim.event).await;
    table.knowledge.remove_node(NodeId(3)).await.unwrap_err();
    check("an end", false).await;
    table.advance(SILENCE.as_secs() + 1);
    for changes in [true, false] {
        table.knowledge.leave_node(NodeId(3), SILENCE, DRAIN).await.unwrap();
        check("a node that leaves, and leaves already", changes).await;
    }
}

pub async fn a_plan_for_a_whole_placement_is_lost_when_another_action_began(table: Table) {
    let table = table.three_agents().await;
    let whole =
        async |label: &str| Plan { generation: Some(table.snapshot().await.generation), ..table.plan(1, label).await };
    let overtaken = whole("C3_1").await;
    // Of another replica: to what the plan names nothing has happened.
    table.act(2, "C3_2").await;
    let plan = Plan { expected: BTreeMap::new(), ..overtaken };
    assert_eq!(table.try_claim(&plan).await, Err(Lost::Overtaken));
    let granted = whole("C3_1").await;
    let claim = table.try_claim(&granted).await.unwrap();
    let again = table.knowledge.claim(&granted, LEASE, WINDOW).await.unwrap();
    assert_eq!(again, super::Claimed::Granted(claim), "the same key is granted the same");
}

pub async fn a_pulse_changes_with_what_matters_and_with_nothing_else(table: Table) {
    let table = table.three_agents().await;
    let mut before = table.pulse().await;
    let mut check = async |what: &str, changes: bool| {
        let now = table.pulse().await;
        assert_eq!(now != before, changes, "{what}: {before:?} -> {now:?}");
        before = now;
    };
    let life = super::identity().life;
    table.knowledge.heartbeat(AgentId(2), &life, CONVERGED).await.unwrap();
    check("a sign of life", false).await;
    table.knowledge.set_availability(NodeId(2), Percent::new(81.0)).await.unwrap();
    check("an availability", true).await;
    table.knowledge.set_latency(NodeId(1), NodeId(2), Some(900.0)).await.unwrap();
    check("a link", true).await;
    let measured = async |percent, latency_ms| {
        let (from, to) = (NodeId(1), NodeId(2));
        let link = MeasuredLink { from, to, latency_ms, loss_percent: 0.0, bytes_per_s: None, at: Timestamp(0) };
        let availability = vec![(NodeId(3), Percent::new(percent).unwrap())];
        table.knowledge.measured(from, &Measured { links: vec![link], availability }).await.unwrap();
    };
    measured(70.0, 5.0).await;
    check("what is measured of what is declared", false).await;
    table.knowledge.set_availability(NodeId(3), None).await.unwrap();
    check("nothing is declared any more", true).await;
    measured(71.0, 6.0).await;
    check("what is measured", true).await;
    let another = DataSet { name: "another".into(), ..blood() };
    table.knowledge.register_data_set(&another, NodeId(1), "another.json", &Default::default()).await.unwrap();
    table.knowledge.ask(&Question { data_set: "another".into(), ..question("elsewhere") }).await.unwrap();
    check("a question about another data set", false).await;
    let ask = table.ask("key").await;
    check("a question", true).await;
    table.reply(ask, 2, &reply(1, &[], &[])).await.unwrap();
    check("a reply", true).await;
    table.knowledge.close_ask(ask).await.unwrap();
    check("its end", true).await;
    let claim = table.claim(1, "C3_1").await;
    check("a claim", true).await;
    table.advance(1);
    table.commit(claim.event).await;
    check("a commit", true).await;
    assert_eq!(table.knowledge.pulse(&"urine".into(), NodeId(1)).await.unwrap(), None);
}
