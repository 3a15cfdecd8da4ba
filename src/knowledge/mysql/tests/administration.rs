//! Making and checking the schema, rights, and tables that people edit.

use super::*;
use agent_core::knowledge::contract::asks::{question, said};
use agent_core::knowledge::contract::edits::{self, Watched};
use agent_core::knowledge::contract::{RULE, START, WINDOW, clock, data_set};
use mariadb::{PASSWORD, USER};
use std::collections::BTreeMap;

#[tokio::test]
async fn init_can_be_repeated_and_keeps_what_is_there() {
    let bench = bench!(Bench::new().await);
    let before = bench.table().await.three_agents().await.snapshot().await;
    let again = init(&bench.settings()).await.unwrap();
    assert_eq!(again, Prepared { from_version: Some(23), to_version: 23 });
    assert_eq!(migrate(&bench.settings()).await.unwrap(), again);
    assert_eq!(bench.table().await.snapshot().await, before);
}

#[tokio::test]
async fn init_makes_the_schema_and_goes_on_where_it_was_interrupted() {
    let bench = bench!(Bench::without_tables());
    bench.edit(&format!("drop database {}", bench.schema));
    assert_eq!(init(&bench.settings()).await.unwrap(), Prepared { from_version: None, to_version: 23 });
    bench.edit("drop table schema_version, impacts");
    assert_eq!(init(&bench.settings()).await.unwrap(), Prepared { from_version: None, to_version: 23 });
    bench.table().await.three_agents().await;
}

#[tokio::test]
async fn tables_of_version_1_are_brought_up_to_date() {
    let bench = bench!(Bench::without_tables());
    bench.edit(include_str!("../001_tables.sql"));
    bench.edit(
        "insert into schema_version values (1, 5);
         insert into nodes values (1, 'cloud', null, 97, null, 'running', 1000000);
         insert into data_sets values ('blood', 'blood.json', 100, 10, sha2('', 256), 3);
         insert into replicas (data_set, node, object_key, state, generation) values ('blood', 1, 'k', 'present', 1);
         insert into agents values (1, 1, 'availability >= 95 %', 'fixed', 'running', 1000000, 1, null);
         insert into reference_replicas values (1, 'blood', 1, 1);
         insert into agents values (2, 1, 'availability >= 95 %', 'fixed', 'running', 1000000, 1, null);
         insert into counters values ('M1_2', 3, 7)",
    );
    let settings = bench.settings();
    let expected = format!(
        "{settings}: its tables are of version 1, this binary needs 23; stop the agents and run `agent db migrate`"
    );
    assert_eq!(message(open(&settings, &clock()).await), expected);
    assert_eq!(migrate(&settings).await.unwrap(), Prepared { from_version: Some(1), to_version: 23 });
    // Interrupted after its last statement, before its version was noted; and before the last.
    for undo in ["", "; drop table forecasts; alter table data_sets drop column generation, drop column said;
         alter table replicas drop column object_bytes, drop column etag, drop column modified_at_ms, drop column remark"] {
        bench.edit(&format!("delete from schema_version where version >= 2{undo}"));
        assert_eq!(migrate(&settings).await.unwrap(), Prepared { from_version: Some(1), to_version: 23 });
        assert_eq!(migrate(&settings).await.unwrap(), Prepared { from_version: Some(23), to_version: 23 });
    }
    let table = bench.table().await;
    assert_eq!((table.reads(1).await, table.snapshot().await.generation), (Some(NodeId(1)), 0));
    // The second reads nothing yet, and could read nothing else.
    assert_eq!(table.snapshot().await.agents.keys().map(|id| id.0).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(table.counters().await, BTreeMap::from([("M1_2".to_owned(), 3)]));
    let pulse = table.knowledge.pulse(&data_set(), NodeId(1)).await.unwrap().unwrap();
    assert_eq!((pulse.generation, pulse.changed_at, pulse.said), (0, None, 0));
    let ask = table.knowledge.ask(&question("key")).await.unwrap();
    assert!(table.knowledge.reply(ask, AgentId(2), &said()).await.unwrap());
    let conversation = table.knowledge.conversation(&data_set(), WINDOW).await.unwrap();
    assert_eq!(conversation[0].replies, [(AgentId(2), said())].into());
}

#[tokio::test]
async fn many_may_init_at_once() {
    let bench = bench!(Bench::without_tables());
    let settings = bench.settings();
    let (a, b, c) = tokio::join!(init(&settings), init(&settings), init(&settings));
    for prepared in [a, b, c] {
        assert_eq!(prepared.unwrap().to_version, 23);
    }
    assert_eq!(bench.edit("select count(*) from schema_version"), ["23"]);
}

#[tokio::test]
async fn tables_of_others_are_left_alone() {
    let bench = bench!(Bench::without_tables());
    bench.edit("create table nodes (id int); create table mails (id int)");
    let settings = bench.settings();
    let expected = format!("{settings}: the schema holds tables of another program (mails, nodes); name an empty one");
    assert_eq!(message(init(&settings).await), expected);
    let expected = format!(
        "{settings}: the schema holds tables of another program (mails, nodes); name another schema, and make its tables \
         with `agent db init`"
    );
    assert_eq!(message(open(&settings, &clock()).await), expected);
    assert_eq!(message(migrate(&settings).await), expected);
    assert_eq!(bench.edit("show tables"), ["mails", "nodes"]);
}

#[tokio::test]
async fn nothing_is_made_without_init() {
    let bench = bench!(Bench::without_tables());
    let settings = bench.settings();
    let expected = format!("{settings}: the schema is empty; `agent db init` makes the tables");
    assert_eq!(message(open(&settings, &clock()).await), expected);
    assert_eq!(message(check(&settings).await), expected);
    assert_eq!(bench.edit("show tables"), [""; 0]);
}

#[tokio::test]
async fn newer_tables_are_left_alone() {
    let bench = bench!(Bench::new().await);
    bench.edit("insert into schema_version values (24, 0)");
    let settings = bench.settings();
    let expected =
        format!("{settings}: schema version 24 is newer than 23, the newest this binary knows; use the newer `agent`");
    assert_eq!(message(open(&settings, &clock()).await), expected);
    assert_eq!(message(init(&settings).await), expected);
}

#[tokio::test]
async fn who_is_refused_is_told_so_without_a_password() {
    let bench = bench!(Bench::new().await);
    let wrong = MysqlSettings { password: Some("guessed".to_owned()), ..bench.settings() };
    let expected = format!(
        "{wrong}: Access denied for user '{USER}'@'127.0.0.1' (using password: YES) (error 1045); check the user and \
         AGENT_DATABASE_PASSWORD, and what docs/database.md grants"
    );
    assert_eq!(message(open(&wrong, &clock()).await), expected);
    let elsewhere = MysqlSettings { schema: "nowhere".to_owned(), ..bench.settings() };
    let expected =
        format!("{elsewhere}: Unknown database 'nowhere' (error 1049); `agent db init URL` makes the schema");
    assert_eq!(message(open(&elsewhere, &clock()).await), expected);
    assert!(!format!("{:?}", bench.settings()).contains(PASSWORD));
}

/// The statements of the document, for a schema of the tests.
fn documented_grants(schema: &str) -> String {
    let page = include_str!("../../../../docs/database.md");
    let (_, after) = page.split_once("```sql\n").expect("statements");
    let (statements, _) = after.split_once("```").expect("their end");
    let own = statements.replace("`agent`.", &format!("`{schema}`.")).replace("'agent'@", &format!("'user_{schema}'@"));
    own.replace("'CHOOSE ONE'", &format!("'{PASSWORD}'"))
}

#[tokio::test]
async fn who_may_not_make_a_schema_is_told_so() {
    let bench = bench!(Bench::without_tables());
    bench.server.execute(&documented_grants(&bench.schema));
    let user = format!("user_{}", bench.schema);
    let without = MysqlSettings { schema: "nowhere".to_owned(), user: user.clone(), ..bench.settings() };
    let refused = message(init(&without).await);
    assert!(refused.contains(&format!("Access denied for user '{user}'@'%' to database 'nowhere'")), "{refused}");
    let empty = MysqlSettings { user: user.clone(), ..bench.settings() };
    let refused = message(init(&empty).await);
    assert!(refused.contains("CREATE command denied"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_rights_are_all_that_agents_need() {
    let bench = bench!(Bench::new().await);
    let user = format!("user_{}", bench.schema);
    bench.server.execute(&documented_grants(&bench.schema));
    let settings = MysqlSettings { user: user.clone(), ..bench.settings() };
    let clock = clock();
    let table = Table::new(open(&settings, &clock).await.unwrap(), clock, ()).three_agents().await;
    table.act(1, "M3_1").await;
    let findings = check(&settings).await.unwrap();
    let rights = findings.iter().find(|finding| finding.what == "rights").unwrap();
    assert!(rights.is_well, "{rights:?}");
    // And one fewer is noticed.
    bench.server.execute(&format!("revoke delete on `{}`.* from '{user}'@'%'", bench.schema));
    let findings = check(&settings).await.unwrap();
    let rights = findings.iter().find(|finding| finding.what == "rights").unwrap();
    assert!(!rights.is_well && rights.detail.starts_with("delete on nodes, delete on links"), "{rights:?}");
}

#[tokio::test]
async fn a_check_looks_at_all_that_matters() {
    let bench = bench!(Bench::new().await);
    let findings = check(&bench.settings()).await.unwrap();
    let verdicts: Vec<_> = findings.iter().map(|finding| (finding.what, finding.is_well)).collect();
    // The tests' server trades durability for speed.
    let expected = [
        ("server", true),
        ("tls", true),
        ("rights", true),
        ("isolation", true),
        ("durability", false),
        ("clock", true),
    ];
    assert_eq!(verdicts, expected, "{findings:#?}");
    assert_eq!(findings[3].detail, "read-committed");
}

#[tokio::test]
async fn time_is_the_servers() {
    let bench = bench!(Bench::new().await);
    let scale = agent_core::clock::TimeScale::new(50).unwrap();
    let time = server_time(Arc::new(agent_core::clock::SystemClock::new(scale)));
    let knowledge = MysqlKnowledge::open(&bench.settings(), time, Handle::current()).await.unwrap();
    // Whatever time zone it is set to.
    let seconds = || bench.server.execute("select unix_timestamp(now(6))")[0].parse::<f64>().unwrap();
    bench.server.execute("set global time_zone = '+05:30'");
    knowledge.register_network(&[agent_core::knowledge::contract::node(1, 90.0)], &[]).await.unwrap();
    let blood = agent_core::knowledge::contract::blood();
    knowledge.register_data_set(&blood, NodeId(1), "blood.json", &Default::default()).await.unwrap();
    let (before, at, after) =
        (seconds(), knowledge.snapshot(&data_set()).await.unwrap().unwrap().at.0 as f64 / 50_000.0, seconds());
    bench.server.execute("set global time_zone = 'SYSTEM'");
    assert!(before <= at + 0.001 && at <= after, "{before} {at} {after}");
}

#[tokio::test]
async fn rows_that_make_no_sense_are_left_out() {
    let bench = bench!(Bench::new().await);
    let table = bench.table().await.three_agents().await;
    let event = table.act(1, "C3_1").await;
    bench.edit(
        "update nodes set availability_percent = 400, capacity_bytes = -5 where id = 1;
         update links set latency_ms = -10 where from_node = 1 and to_node = 2;
         insert into links values (1, 77, 5, 0), (-1, 2, 5, 0);
         insert into nodes (id, name, availability_percent, state) values (-4, 'negative', 50, 'declared');
         insert into agents (id, node, goal, policy, state, heartbeat_at, converged)
             values (4, 88, '', '', 'running', null, 0);
         insert into replicas (data_set, node, object_key, state, generation) values
             ('blood', 2, 'k', 'sleeping', 1), ('blood', 99, 'k', 'present', 1);
         update reference_replicas set replica = 555 where agent = 2;
         insert into counters values ('blood', 'JUMP', 3, 0), ('blood', 'M1_2', 99999999999, 0);
         insert into events (idempotency_key, agent, data_set, replica, action, action_type, explored, posted_at_ms,
             closes_at_ms, state, outcome, feedback_sum, detail)
             values ('by hand', 1, 'blood', 1, 'X1_2', 'move', 0, 0, 9000000000000, 'open', 'done', 0, '');
         update claims set state = 'odd'",
    );
    let snapshot = table.snapshot().await;
    assert_eq!(snapshot.nodes.len(), 3);
    assert_eq!(snapshot.nodes[&NodeId(1)].availability.value(), 100.0);
    assert_eq!(snapshot.nodes[&NodeId(1)].capacity_bytes, Some(0));
    assert_eq!(snapshot.links.len(), 6);
    assert_eq!(snapshot.links[(NodeId(1), NodeId(2))].latency_ms, 0.0);
    assert_eq!(snapshot.agents.len(), 3);
    assert_eq!(snapshot.placement.replicas.keys().map(|id| id.0).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(snapshot.placement.references.keys().map(|id| id.0).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(snapshot.open_events.iter().map(|event| event.id).collect::<Vec<_>>(), [event]);
    assert_eq!(table.counters().await, BTreeMap::from([("M1_2".to_owned(), u32::MAX)]));
}

#[tokio::test]
async fn edits_show_in_the_pulse() {
    let bench = bench!(Bench::new().await);
    let table = bench.table().await.three_agents().await;
    let mut watched = Watched::new(&table, |sql| _ = bench.edit(sql)).await;
    watched.conditions("1e300").await;
    table.act(1, "C3_1").await;
    watched.check("update events set ended_at_ms = ended_at_ms - 1", true).await;
    assert_eq!(edits::pulse(&table).await.changed_at, table.snapshot().await.changed_at);
    table.act(2, "C3_2").await;
    // The later one did not end yet, so the earlier one was the last.
    watched.check("update events set ended_at_ms = 253402300799000 where id = 2", true).await;
    let last = edits::pulse(&table).await.changed_at;
    assert_eq!((last, last.is_some()), (table.snapshot().await.changed_at, true));
    bench.edit("update data_sets set generation = -1");
    assert_eq!(table.knowledge.pulse(&data_set(), NodeId(1)).await.unwrap(), None);
    assert_eq!(table.knowledge.snapshot(&data_set()).await.unwrap(), None);
}

#[tokio::test]
async fn what_nobody_can_have_said_is_left_out() {
    let bench = bench!(Bench::new().await);
    let table = bench.table().await.three_agents().await;
    edits::what_nobody_can_have_said_is_left_out(&table, |sql| _ = bench.edit(sql), "1e300").await;
}

#[tokio::test]
async fn old_questions_go_some_at_a_time() {
    let bench = bench!(Bench::new().await);
    let table = bench.table().await.three_agents().await;
    let count = |table: &str| bench.edit(&format!("select count(*) from {table}")).concat().parse().unwrap();
    edits::old_questions_go_some_at_a_time(&table, count).await;
}

#[tokio::test]
async fn numbers_that_make_no_sense_stop_no_closing() {
    let bench = bench!(Bench::new().await);
    let table = bench.table().await.three_agents().await;
    let event = table.act(1, "M3_1").await;
    bench.edit("update events set feedback_sum = 1e300; insert into counters values ('blood', 'M3_1', -4, 0)");
    table.advance(300);
    let closed = table.knowledge.close_due(AgentId(1), RULE).await.unwrap();
    assert_eq!(closed.iter().map(|closed| (closed.event, closed.counter_after)).collect::<Vec<_>>(), [(event, 1)]);
    assert_eq!(table.counters().await, BTreeMap::from([("M3_1".to_owned(), 1)]));
}

#[tokio::test]
async fn names_keep_their_letters_and_case() {
    let bench = bench!(Bench::new().await);
    let table = bench.table().await.three_agents().await;
    let mut plan = table.plan(1, "M3_1").await;
    (plan.key, plan.detail) = ("Schlüssel-🗝".to_owned(), "{\"why\":\"日本語 🗾 ' \\\\ %\"}".to_owned());
    let event = table.try_claim(&plan).await.unwrap().event;
    assert_eq!(table.event(event).await.detail, plan.detail);
    assert_eq!(table.knowledge.event_by_key("schlüssel-🗝").await.unwrap(), None);
    assert_eq!(table.knowledge.event_by_key(&plan.key).await.unwrap().map(|event| event.posted_at), Some(START));
}
