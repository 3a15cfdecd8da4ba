//! What people write into the tables by hand, and how agents take it: for technologies that speak SQL. `edit` does what a
//! person's client would.

use super::asks::{question, said};
use super::{Table, WINDOW, data_set};
use crate::domain::ids::{AgentId, NodeId};
use crate::knowledge::Pulse;

/// The pulse of a table that somebody edits.
pub struct Watched<'a, E> {
    table: &'a Table,
    edit: E,
    before: Pulse,
}

impl<'a, E: Fn(&str)> Watched<'a, E> {
    pub async fn new(table: &'a Table, edit: E) -> Self {
        Self { table, edit, before: pulse(table).await }
    }

    /// Edits, and compares the pulse with what it was after the last edit.
    pub async fn check(&mut self, sql: &str, changes: bool) {
        (self.edit)(sql);
        let (before, now) = (&self.before, pulse(self.table).await);
        assert_eq!(now != *before, changes, "{sql}: {before:?} -> {now:?}");
        self.before = now;
    }

    /// What decisions depend on. `immense`: what a column can hold that no availability can be.
    pub async fn conditions(&mut self, immense: &str) {
        self.check("update nodes set availability_percent = 75 where id = 2", true).await;
        self.check("update links set latency_ms = 200 where from_node = 1 and to_node = 2", true).await;
        self.check("update links set latency_ms = 200 where from_node = 3 and to_node = 2", false).await;
        self.check("update nodes set name = 'fog', heartbeat_at = 5", false).await;
        // Together they would balance, were the ids the weights.
        let balanced =
            "update nodes set availability_percent = availability_percent + case id when 1 then -10 else 5 end
                where id < 3";
        self.check(balanced, true).await;
        // What no number is hides no other.
        self.check(&format!("update nodes set availability_percent = {immense} where id = 3"), true).await;
        self.check("update nodes set availability_percent = 74 where id = 2", true).await;
        self.check("update data_sets set said = -7", true).await;
    }
}

pub async fn pulse(table: &Table) -> Pulse {
    table.knowledge.pulse(&data_set(), NodeId(1)).await.unwrap().unwrap()
}

/// `immense`: what a column can hold that no change of a level can be.
pub async fn what_nobody_can_have_said_is_left_out(table: &Table, edit: impl Fn(&str), immense: &str) {
    let knowledge = &table.knowledge;
    let ask = knowledge.ask(&question("key")).await.unwrap();
    assert!(knowledge.reply(ask, AgentId(2), &said()).await.unwrap());
    let before = knowledge.conversation(&data_set(), WINDOW).await.unwrap();
    edit(&format!(
        "insert into asks (idempotency_key, data_set, agent, generation, action, afresh, level, posted_at_ms, closed) values
             ('a', 'blood', 1, 0, 'X1_2', 0, 0.5, 1000000, 0), ('b', 'blood', 1, 0, null, 0, 1.5, 1000000, 0),
             ('c', 'blood', -1, 0, null, 0, 0.5, 1000000, 0), ('d', 'blood', 1, 0, null, 0, 0.5, 253402300799000, 0);
         insert into ask_nodes values (1, -4), (77, 1);
         insert into replies values (1, 3, -0.5, 0, '1'), (1, -3, 0.5, 0, '1'), (77, 2, 0.5, 0, '1');
         insert into named_nodes values (1, 2, -1), (1, 3, 2);
         insert into forecasts values (1, 2, 1, -2, 0.5), (1, 2, 1, 7, {immense}), (1, 2, -1, 1, 0.5), (1, 3, 1, 1, 0.5)",
    ));
    assert_eq!(knowledge.conversation(&data_set(), WINDOW).await.unwrap(), before);
    // The sensible ones can still be joined and closed.
    assert!(knowledge.reply(ask, AgentId(2), &said()).await.unwrap());
    knowledge.close_ask(ask).await.unwrap();
    assert!(knowledge.conversation(&data_set(), WINDOW).await.unwrap()[0].closed);
}

/// `count`: of a table's rows.
pub async fn old_questions_go_some_at_a_time(table: &Table, count: impl Fn(&str) -> u32) {
    let ask = async |key: u32| table.knowledge.ask(&question(&key.to_string())).await.unwrap();
    for n in 0..30 {
        let id = ask(n).await;
        assert!(table.knowledge.reply(id, AgentId(2), &said()).await.unwrap());
    }
    table.advance(2 * 86_400);
    for (n, left) in [(30, 11), (31, 2), (32, 3)] {
        ask(n).await;
        assert_eq!(["asks", "ask_nodes"].map(&count), [left, 2 * left]);
    }
    assert_eq!(["replies", "named_nodes", "forecasts"].map(count), [0, 0, 0]);
}
