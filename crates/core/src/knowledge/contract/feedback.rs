use super::{RULE, Table, WINDOW, blood, data_set, identity, registration};
use crate::domain::action::Action;
use crate::domain::event::{Outcome, Window};
use crate::domain::ids::{AgentId, EventId, NodeId};
use crate::domain::placement::{DataSet, Health, Plan, Registration};
use crate::domain::time::Timestamp;
use crate::knowledge::{ClosedEvent, ClosingRule, Counter, Feedback};
use futures::future::join_all;
use std::collections::BTreeMap;
use std::time::Duration;

impl Table {
    async fn blame(&self, agent: u32, events: &[EventId]) -> Vec<Feedback> {
        self.knowledge.leave_feedback(AgentId(agent), events, WINDOW).await.unwrap()
    }

    async fn close(&self, agent: u32) -> Vec<ClosedEvent> {
        self.knowledge.close_due(AgentId(agent), RULE).await.unwrap()
    }
}

pub async fn blame_falls_over_the_window(table: Table) {
    let table = table.three_agents().await;
    let event = table.act(1, "M3_1").await;
    table.advance(9);
    let first = Feedback { event, agent: AgentId(3), p: 1.0 - 9.0 / 210.0, left_at: Timestamp(1_009_000) };
    assert_eq!(table.blame(3, &[event]).await, [first]);
    table.advance(61);
    let second = Feedback { event, agent: AgentId(2), p: 1.0 - 70.0 / 210.0, left_at: Timestamp(1_070_000) };
    assert_eq!(table.blame(2, &[event]).await, [second]);
    assert_eq!(table.knowledge.feedback(event).await.unwrap(), [first, second]);
    assert_eq!(table.event(event).await.feedback_sum, first.p + second.p);
    assert_eq!(table.knowledge.feedback(EventId(9)).await.unwrap(), []);
}

pub async fn blame_is_left_once_on_open_events_of_others(table: Table) {
    let table = table.three_agents().await;
    let own = table.act(1, "M3_1").await;
    let others = table.act(2, "C1_2").await;
    let nothing = table.plan(2, "NA").await;
    let nothing = table.knowledge.record_nothing(&nothing).await.unwrap();
    let asked = [own, others, nothing, EventId(99), others];
    let left = table.blame(1, &asked).await;
    assert_eq!(left.iter().map(|feedback| feedback.event).collect::<Vec<_>>(), [others]);
    table.advance(60);
    assert_eq!(table.blame(1, &asked).await, []);
    assert_eq!(table.event(others).await.feedback_sum, 1.0);
    assert_eq!(table.event(own).await.feedback_sum, 0.0);
}

pub async fn blame_ends_with_the_window(table: Table) {
    let table = table.three_agents().await;
    let event = table.act(1, "M3_1").await;
    assert_eq!(table.knowledge.leave_feedback(AgentId(2), &[event], Duration::ZERO).await.unwrap(), []);
    // A shorter window than the event's own, and a clock that went back: blame stays within 0 and 1.
    table.advance(100);
    let short = table.knowledge.leave_feedback(AgentId(2), &[event], Duration::from_secs(50)).await.unwrap();
    assert_eq!(short.iter().map(|feedback| feedback.p).collect::<Vec<_>>(), [0.0]);
    table.clock.set(Timestamp(900_000));
    assert_eq!(table.blame(3, &[event]).await[0].p, 1.0);

    table.clock.set(Timestamp(1_000_000));
    let event = table.act(2, "M1_2").await;
    table.clock.set(Timestamp(1_210_000));
    assert_eq!(table.blame(1, &[event]).await[0].p, 0.0);
    table.clock.set(Timestamp(1_210_001));
    assert_eq!(table.blame(3, &[event]).await, []);
    table.clock.set(Timestamp(1_100_000));
    let closed = table.act(3, "M2_3").await;
    table.clock.set(Timestamp(1_310_000));
    table.close(3).await;
    assert_eq!(table.blame(1, &[closed]).await, []);
}

pub async fn blame_of_agents_at_once_all_counts(table: Table) {
    const AGENTS: u32 = 12;
    let table = table.three_agents().await;
    let event = table.act(1, "M3_1").await;
    table.advance(105);
    let hurt = [event];
    for counted in join_all((2..2 + AGENTS).map(|agent| table.blame(agent, &hurt))).await {
        assert_eq!(counted.len(), 1);
    }
    assert_eq!(table.event(event).await.feedback_sum, 0.5 * f64::from(AGENTS));
    assert_eq!(table.knowledge.feedback(event).await.unwrap().len(), 12);
}

pub async fn a_window_closes_once_and_moves_the_counter(table: Table) {
    let table = table.three_agents().await;
    let hurt = table.act(1, "M3_1").await;
    table.blame(2, &[hurt]).await;
    let action = Action::Move { from: NodeId(3), to: NodeId(1) };
    table.clock.set(Timestamp(1_209_999));
    assert_eq!(table.close(1).await, []);
    table.clock.set(Timestamp(1_210_000));
    let expected =
        ClosedEvent { event: hurt, agent: AgentId(1), action, feedback_sum: 1.0, counter_before: 0, counter_after: 1 };
    assert_eq!(table.close(1).await, [expected]);
    assert_eq!(table.close(1).await, []);
    let event = table.event(hurt).await;
    assert_eq!((event.window, event.feedback_sum), (Window::Closed, 1.0));
    assert_eq!(table.snapshot().await.open_events, []);
    let counter = Counter { value: 1, changed_at: Timestamp(1_210_000) };
    assert_eq!(table.knowledge.counters(&data_set()).await.unwrap(), BTreeMap::from([(action, counter)]));
    assert_eq!(table.snapshot().await.counters, BTreeMap::from([(action, counter)]));

    // Two of them due at once: each moves the counter from where the one before left it, and never below 0.
    table.act(1, "M1_3").await;
    table.act(1, "M3_1").await;
    table.act(1, "M1_3").await;
    table.act(1, "M3_1").await;
    table.advance(210);
    let moved = table.close(1).await;
    let moved: Vec<_> = moved.iter().map(|closed| (closed.counter_before, closed.counter_after)).collect();
    assert_eq!(moved, [(0, 0), (1, 0), (0, 0), (0, 0)]);
    assert_eq!(table.counters().await, BTreeMap::from([("M3_1".to_owned(), 0)]));
}

pub async fn the_mean_is_over_all_who_live_or_answered(table: Table) {
    let table = table.three_agents().await;
    let fourth = Registration { node: NodeId(1), ..registration(4) };
    table.register(&fourth).await;
    let life = identity().life;
    let beat =
        async |agent| assert!(table.knowledge.heartbeat(AgentId(agent), &life, Health::default()).await.unwrap());
    let silence = Duration::from_secs(30);
    // 0.6 over two others is 0.3, which is the threshold; over three it is 0.2. Blame comes from agent 2, 84 s after.
    let counter_after = async |label, living: &[u32], silent: u64| {
        let event = table.act(1, label).await;
        table.advance(84);
        table.blame(2, &[event]).await;
        table.advance(126);
        for agent in living {
            beat(*agent).await;
        }
        table.advance(silent);
        let rule = ClosingRule { silence, ..RULE };
        table.knowledge.close_due(AgentId(1), rule).await.unwrap()[0].counter_after
    };
    assert_eq!(counter_after("M3_1", &[2, 3, 4], 30).await, 0);
    assert_eq!(counter_after("M1_3", &[2, 3], 30).await, 1);
    // Agent 2 is gone by then; it has answered.
    assert_eq!(counter_after("M3_2", &[3, 4], 30).await, 0);
    assert_eq!(counter_after("M2_3", &[3], 30).await, 1);
    // A millisecond more, and nobody else is there: 0.6 of one.
    let event = table.act(1, "M3_1").await;
    table.advance(155);
    table.blame(2, &[event]).await;
    table.advance(55);
    beat(3).await;
    table.clock.set(Timestamp(table.now().0 + 30_001));
    let closed = table.knowledge.close_due(AgentId(1), ClosingRule { silence, ..RULE }).await.unwrap();
    assert_eq!((closed[0].feedback_sum, closed[0].counter_after), (1.0 - 155.0 / 210.0, 0));
    // One that stopped cleanly is not waited for either.
    beat(3).await;
    assert!(table.knowledge.sign_off(AgentId(3), &life).await.unwrap());
    assert_eq!(counter_after("M1_3", &[4], 0).await, 2);
}

pub async fn others_close_after_the_grace(table: Table) {
    let table = table.three_agents().await;
    let event = table.act(1, "M3_1").await;
    table.clock.set(Timestamp(1_239_999));
    assert_eq!(table.close(2).await, []);
    table.clock.set(Timestamp(1_240_000));
    let closed = table.close(2).await;
    assert_eq!(closed.iter().map(|closed| (closed.event, closed.agent)).collect::<Vec<_>>(), [(event, AgentId(1))]);
    assert_eq!(table.close(1).await, []);
    let event = table.act(3, "M1_2").await;
    table.advance(210);
    let at_once = ClosingRule { grace: Duration::ZERO, ..RULE };
    assert_eq!(table.knowledge.close_due(AgentId(2), at_once).await.unwrap()[0].event, event);
}

pub async fn two_agents_that_close_at_once_move_the_counter_once(table: Table) {
    let table = table.three_agents().await;
    let event = table.act(1, "M3_1").await;
    table.blame(2, &[event]).await;
    table.advance(300);
    let closed = join_all((0..8).map(|n| table.close(1 + n % 3))).await;
    assert_eq!(closed.iter().map(Vec::len).sum::<usize>(), 1);
    assert_eq!(table.counters().await, BTreeMap::from([("M3_1".to_owned(), 1)]));
}

pub async fn what_did_not_happen_moves_no_counter(table: Table) {
    let table = table.three_agents().await;
    for outcome in [Outcome::Failed, Outcome::Aborted] {
        let claim = table.claim(1, "C3_1").await;
        table.blame(2, &[claim.event]).await;
        let left = table.knowledge.abort(claim.event, outcome, "").await.unwrap().unwrap();
        table.knowledge.removed(left.id).await.unwrap();
        assert_eq!(table.snapshot().await.open_events.len(), 1);
        table.advance(210);
        let closed = table.close(1).await;
        assert_eq!(closed.len(), 1);
        assert_eq!((closed[0].feedback_sum, closed[0].counter_before, closed[0].counter_after), (1.0, 0, 0));
    }
    let nothing = table.plan(1, "NA").await;
    table.knowledge.record_nothing(&nothing).await.unwrap();
    table.advance(300);
    assert_eq!(table.close(1).await, []);
    assert_eq!(table.counters().await, BTreeMap::new());
}

pub async fn a_running_event_waits_for_its_end(table: Table) {
    let table = table.three_agents().await;
    let claim = table.claim(1, "M3_1").await;
    table.blame(2, &[claim.event]).await;
    table.advance(1000);
    assert_eq!(table.close(1).await, []);
    assert_eq!(table.close(2).await, []);
    table.commit(claim.event).await;
    assert_eq!(table.close(1).await[0].counter_after, 1);
}

pub async fn only_events_about_the_data_set_are_open_in_its_snapshot(table: Table) {
    let table = table.three_agents().await;
    let another = DataSet { name: "another".into(), ..blood() };
    table.knowledge.register_data_set(&another, NodeId(3), "another.json", &Default::default()).await.unwrap();
    table.knowledge.register_agent(&registration(1), &[data_set(), another.name.clone()], &identity()).await.unwrap();
    let first = table.act(1, "M3_1").await;
    let elsewhere = table.knowledge.snapshot(&another.name).await.unwrap().unwrap();
    assert_eq!(elsewhere.open_events, []);
    let reference = elsewhere.placement.references[&AgentId(1)];
    let expected = BTreeMap::from([(reference, 1)]);
    let plan = Plan { data_set: another.name.clone(), reference, expected, ..table.plan(1, "M3_2").await };
    let second = table.try_claim(&plan).await.unwrap().event;
    let third = table.act(1, "M1_2").await;
    let open = async |name| {
        let snapshot = table.knowledge.snapshot(&name).await.unwrap().unwrap();
        snapshot.open_events.iter().map(|event| event.id).collect::<Vec<_>>()
    };
    assert_eq!(open(data_set()).await, [first, third]);
    assert_eq!(open(another.name).await, [second]);
}
