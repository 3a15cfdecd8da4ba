use super::*;
use agent_core::clock::VirtualClock;
use agent_core::contract;
use agent_core::domain::placement::NodeState;
use agent_core::knowledge::contract::asks::{question, said};
use agent_core::knowledge::contract::edits::{self, Watched};
use agent_core::knowledge::contract::{
    CONVERGED, LEASE, RULE, START, Table, WINDOW, clock, data_set, identity, lives, registration,
};
use rusqlite::{OpenFlags, params};
use std::os::unix::fs::PermissionsExt;

async fn sqlite(clock: Arc<VirtualClock>) -> std::result::Result<Table, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let knowledge = SqliteKnowledge::open(&folder.path().join("knowledge.db"), clock.clone()).unwrap();
    Ok(Table::new(knowledge, clock, folder))
}

contract!(sqlite);

mod batch {
    use super::*;
    use agent_batch::table::contract::Fixture;

    async fn sqlite(clock: Arc<VirtualClock>) -> std::result::Result<Fixture, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let table = SqliteKnowledge::open(&folder.path().join("knowledge.db"), clock.clone()).unwrap();
        Ok(Fixture::new(Arc::new(table), clock, folder))
    }

    agent_batch::contract!(sqlite);
}

mod load {
    use super::*;
    use agent_load::table::contract::Fixture;

    async fn sqlite(clock: Arc<VirtualClock>) -> std::result::Result<Fixture, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let table = SqliteKnowledge::open(&folder.path().join("knowledge.db"), clock.clone()).unwrap();
        Ok(Fixture::new(Arc::new(table), clock, folder))
    }

    agent_load::contract!(sqlite);
}

/// A table in a file that the test can also get at by other ways.
struct Bench {
    folder: tempfile::TempDir,
    table: Table,
}

impl Bench {
    async fn three_agents() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let table = open(&folder.path().join("knowledge.db"));
        Self { folder, table: table.three_agents().await }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("knowledge.db")
    }

    /// As a person with an SQL client.
    fn edit(&self, sql: &str) {
        Connection::open(self.path()).unwrap().execute_batch(sql).unwrap();
    }
}

fn open(path: &Path) -> Table {
    let clock = clock();
    Table::new(SqliteKnowledge::open(path, clock.clone()).unwrap(), clock, ())
}

/// The message of a file that is refused, without its folder.
fn refused(path: &Path) -> String {
    let error = SqliteKnowledge::open(path, clock()).err().expect("it is refused");
    error.to_string().replace(&format!("{}/", path.parent().unwrap().display()), "")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_share_one_file() {
    let bench = Bench::three_agents().await;
    let other = open(&bench.path());
    let event = bench.table.act(1, "M3_1").await;
    assert_eq!(other.snapshot().await, bench.table.snapshot().await);
    other.knowledge.leave_feedback(AgentId(2), &[event], WINDOW).await.unwrap();
    assert_eq!(bench.table.event(event).await.feedback_sum, 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_latest_change_is_found_without_reading_the_history() {
    let bench = Bench::three_agents().await;
    let table = Connection::open(bench.path()).unwrap();
    let sql = format!("explain query plan {}", catalogue::LATEST_CHANGE);
    let plan: String = table.query_row(&sql, params!["d", 0], |row| row.get(3)).unwrap();
    assert!(plan.contains("USING INDEX events_changes"), "{plan}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_claims_by_many_processes_one_is_granted() {
    const PROCESSES: u32 = 6;
    const ROUNDS: u32 = 5;
    let bench = Bench::three_agents().await;
    let processes: Vec<_> = (0..PROCESSES).map(|_| Arc::new(open(&bench.path()))).collect();
    for round in 0..ROUNDS {
        let label = if round % 2 == 0 { "M3_1" } else { "M1_3" };
        let mut claims = Vec::new();
        for (n, process) in (0..).zip(&processes) {
            let mut plan = bench.table.plan(1 + n % 3, label).await;
            plan.key = format!("{round}-{n}");
            let process = Arc::clone(process);
            claims.push(tokio::spawn(async move { process.try_claim(&plan).await }));
        }
        let mut granted = Vec::new();
        for claim in claims {
            granted.extend(claim.await.unwrap());
        }
        assert_eq!(granted.len(), 1);
        let leftover = bench.table.commit(granted[0].event).await.unwrap();
        bench.table.knowledge.removed(leftover.id).await.unwrap();
    }
}

#[test]
fn processes_may_create_the_file_at_the_same_moment() {
    (0..30).for_each(|_| six_create_the_file());
}

fn six_create_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("knowledge.db");
    std::thread::scope(|scope| {
        let opened: Vec<_> =
            (0..6).map(|_| scope.spawn(|| SqliteKnowledge::open(&path, clock()).map(|_| ()))).collect();
        for handle in opened {
            handle.join().unwrap().unwrap();
        }
    });
    let versions: i64 = Connection::open(&path)
        .unwrap()
        .query_row("select count(*) from schema_version", [], |row| row.get(0))
        .unwrap();
    assert_eq!(versions, 17);
}

#[tokio::test]
async fn an_empty_file_is_filled_and_what_is_in_it_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("knowledge.db");
    std::fs::write(&path, "").unwrap();
    let before = open(&path).three_agents().await.snapshot().await;
    assert_eq!(open(&path).snapshot().await, before);
    let connection = Connection::open(&path).unwrap();
    let mut statement = connection.prepare("select version, applied_at_ms from schema_version").unwrap();
    let applied: Vec<(i64, i64)> =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(|row| row.unwrap()).collect();
    assert_eq!(applied, (1..=17).map(|version| (version, START.0)).collect::<Vec<_>>());
}

/// A file as an earlier version of the schema left it, with an agent that was heard of at the start.
fn of_version(version: i64, path: &Path) {
    let connection = Connection::open(path).unwrap();
    let version_table =
        "create table schema_version (version integer primary key, applied_at_ms integer not null) strict";
    connection.execute_batch(version_table).unwrap();
    let migrations = [include_str!("001_tables.sql"), include_str!("002_nodes_come_and_go.sql")];
    for (applied, migration) in (1..=version).zip(migrations) {
        connection.execute_batch(migration).unwrap();
        connection.execute("insert into schema_version values (?, 5)", [applied]).unwrap();
    }
    let rows = "pragma application_id = 0x61676e74;
        insert into nodes values (1, 'cloud', 'http://127.0.0.1:4001', 97, null, 'running', 1000000);
        insert into data_sets values ('blood', 'blood.json', 100, 10, hex(zeroblob(32)));
        insert into replicas (data_set, node, object_key, state, generation) values ('blood', 1, 'k', 'present', 1);
        insert into agents (id, node, goal, policy, state, heartbeat_at, converged)
            values (1, 1, 'availability >= 95 %', 'fixed', 'running', 1000000, 1);
        insert into reference_replicas values (1, 'blood', 1, 1);
        insert into agents (id, node, goal, policy, state, heartbeat_at, converged)
            values (2, 1, 'availability >= 95 %', 'fixed', 'running', 1000000, 1);
        insert into counters values ('M1_2', 3, 7);";
    connection.execute_batch(rows).unwrap();
}

#[tokio::test]
async fn a_file_of_version_1_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("knowledge.db");
    of_version(1, &path);
    let table = open(&path);
    let snapshot = table.snapshot().await;
    assert_eq!(snapshot.nodes[&NodeId(1)].state, NodeState::Running);
    assert_eq!(
        snapshot.agents[&AgentId(1)].registration,
        Registration { policy: "fixed".to_owned(), ..registration(1) }
    );
    assert_eq!(table.reads(1).await, Some(NodeId(1)));
    // The second reads nothing yet, and could read nothing else.
    assert_eq!(snapshot.agents.keys().map(|id| id.0).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(table.counters().await, BTreeMap::from([("M1_2".to_owned(), 3)]));
    assert_eq!(applied(&path), migrated("1 5", 2));

    // Nobody can say which life the agent belongs to: whoever comes waits until it must have been heard of again.
    let silence = Duration::from_secs(30);
    let new = Identity { silence, ..lives("new") };
    let register = async || table.knowledge.register_agent(&registration(1), &[data_set()], &new).await.unwrap();
    assert_eq!(register().await, Registered::Taken { wait: silence + Duration::from_millis(1) });
    table.advance(31);
    assert_eq!(register().await, Registered::Done);
}

/// What is `applied` when all migrations from this version on have joined what was there.
fn migrated(before: &str, from: i64) -> String {
    (from..=17).fold(before.to_owned(), |all, version| format!("{all}, {version} {}", START.0))
}

fn applied(path: &Path) -> String {
    let versions = "select group_concat(version || ' ' || applied_at_ms, ', ') from schema_version";
    Connection::open(path).unwrap().query_row(versions, [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn a_file_of_version_2_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("knowledge.db");
    of_version(2, &path);
    let table = open(&path);
    assert_eq!(applied(&path), migrated("1 5, 2 5", 3));
    assert_eq!((table.reads(1).await, table.snapshot().await.generation), (Some(NodeId(1)), 0));
    let pulse = table.knowledge.pulse(&data_set(), NodeId(1)).await.unwrap().unwrap();
    assert_eq!((pulse.generation, pulse.changed_at, pulse.said), (0, None, 0));
    let ask = table.knowledge.ask(&question("key")).await.unwrap();
    assert!(table.knowledge.reply(ask, AgentId(2), &said()).await.unwrap());
    let conversation = table.knowledge.conversation(&data_set(), WINDOW).await.unwrap();
    assert_eq!(conversation[0].replies, [(AgentId(2), said())].into());
}

#[tokio::test]
async fn a_newer_file_is_left_alone() {
    let bench = Bench::three_agents().await;
    bench.edit("insert into schema_version values (18, 0)");
    assert_eq!(
        refused(&bench.path()),
        "knowledge.db: schema version 18 is newer than 17, the newest this binary knows; use the newer `agent`"
    );
}

#[test]
fn another_programs_file_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mail.db");
    Connection::open(&path).unwrap().execute_batch("create table mails (id integer)").unwrap();
    let before = std::fs::read(&path).unwrap();
    assert_eq!(refused(&path), "mail.db: this is an SQLite file of another program; name another file");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn what_is_no_usable_file_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "not a database, but long enough to be looked at: ".repeat(40)).unwrap();
    assert_eq!(
        refused(&text),
        "notes.txt: file is not a database; it is no SQLite file, or damaged: name another file"
    );
    let message = SqliteKnowledge::open(Path::new(""), clock()).err().unwrap().to_string();
    assert!(message.ends_with("; name a file"), "{message}");
    for path in [folder.path().join("missing/knowledge.db"), folder.path().join(".")] {
        let message = refused(&path);
        assert!(message.contains("unable to open database file"), "{message}");
        assert!(message.contains("its folder must exist and this user must be allowed to write there"), "{message}");
    }
}

#[tokio::test]
async fn a_damaged_file_is_unusable() {
    let bench = Bench::three_agents().await;
    let path = bench.path();
    bench.edit("pragma wal_checkpoint(truncate)");
    let Bench { folder: _folder, table } = bench;
    drop(table);
    let mut bytes = std::fs::read(&path).unwrap();
    // The header stays; every page after the first is noise.
    bytes[4096..].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    let outcome = match SqliteKnowledge::open(&path, clock()) {
        Ok(table) => table.snapshot(&data_set()).await.map(|_| ()),
        Err(error) => Err(error),
    };
    let Err(KnowledgeError::Unusable { address, reason }) = outcome else { panic!("{outcome:?}") };
    assert_eq!(address, path.display().to_string());
    assert!(reason.contains("it is damaged: restore it"), "{reason}");
}

#[tokio::test]
async fn a_read_only_file_is_unusable() {
    let bench = Bench::three_agents().await;
    let path = bench.path();
    let advice = "the file is read-only; let this user write to it and to its folder";
    let mut connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let error = connect::prepare(&mut connection, &path, START).unwrap_err();
    assert_eq!(error.to_string(), format!("{}: {advice}", path.display()));

    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o444)).unwrap();
    if std::fs::OpenOptions::new().write(true).open(&path).is_ok() {
        println!("SKIPPED: this user may write to files whose mode is read-only");
        return;
    }
    assert_eq!(refused(&path), format!("knowledge.db: {advice}"));
}

#[tokio::test]
async fn a_full_disk_changes_nothing_and_is_survived() {
    let bench = Bench::three_agents().await;
    let full = SqliteKnowledge::open(&bench.path(), clock()).unwrap();
    // SQLite's own limit on the file gives the same error as a disk without room.
    let pages = |count: i64| {
        let session = full.file.session.try_lock().unwrap();
        session.connection.pragma_update(None, "max_page_count", count).unwrap();
    };
    pages(1);
    let before = bench.table.snapshot().await;
    let mut plan = bench.table.plan(1, "M3_1").await;
    plan.detail = "x".repeat(1_000_000);
    let error = full.claim(&plan, LEASE, WINDOW).await.unwrap_err();
    let KnowledgeError::NotExecuted { operation: "claim", reason } = error else { panic!("{error:?}") };
    let expected = format!("{}: database or disk is full; make room on its disk", bench.path().display());
    assert_eq!(reason, expected);
    assert_eq!(full.snapshot(&data_set()).await.unwrap().unwrap(), before);
    pages(1_000_000);
    assert!(matches!(full.claim(&plan, LEASE, WINDOW).await.unwrap(), Claimed::Granted(_)));
}

#[tokio::test]
async fn a_writer_waits_without_blocking_its_thread_and_readers_do_not_wait() {
    let bench = Bench::three_agents().await;
    let other = Connection::open(bench.path()).unwrap();
    other.execute_batch("begin immediate").unwrap();
    assert_eq!(bench.table.snapshot().await.agents.len(), 3);
    // On this one thread: the lock can only be given back while the heartbeat waits for it elsewhere.
    let release = async { other.execute_batch("commit").unwrap() };
    let life = identity().life;
    let (beaten, ()) = tokio::join!(bench.table.knowledge.heartbeat(AgentId(1), &life, CONVERGED), release);
    assert!(beaten.unwrap());
}

#[tokio::test]
async fn a_table_that_stays_locked_is_said_to_be() {
    let bench = Bench::three_agents().await;
    let impatient = SqliteKnowledge::open(&bench.path(), clock()).unwrap();
    impatient.file.session.try_lock().unwrap().connection.busy_timeout(Duration::ZERO).unwrap();
    let other = Connection::open(bench.path()).unwrap();
    other.execute_batch("begin immediate").unwrap();
    let life = identity().life;
    let error = impatient.heartbeat(AgentId(1), &life, CONVERGED).await.unwrap_err();
    let path = bench.path();
    assert_eq!(
        error.to_string(),
        format!(
            "heartbeat: not carried out: {}: database is locked; another program holds it: end its transaction, or wait",
            path.display()
        )
    );
    other.execute_batch("commit").unwrap();
    assert!(impatient.heartbeat(AgentId(1), &life, CONVERGED).await.unwrap());
}

#[tokio::test]
async fn edits_act_at_the_next_snapshot() {
    let bench = Bench::three_agents().await;
    bench.edit("update nodes set availability_percent = 75 where id = 2");
    bench.edit("update links set latency_ms = 200, jitter_ms = 0 where from_node = 1 and to_node = 2");
    let snapshot = bench.table.snapshot().await;
    assert_eq!(snapshot.nodes[&NodeId(2)].availability.value(), 75.0);
    let link = snapshot.links[(NodeId(1), NodeId(2))];
    assert_eq!((link.latency_ms, link.jitter_ms), (200.0, 0.0));
}

#[tokio::test]
async fn edits_show_in_the_pulse() {
    let bench = Bench::three_agents().await;
    let mut watched = Watched::new(&bench.table, |sql| bench.edit(sql)).await;
    watched.conditions("9e999").await;
    bench.table.act(1, "C3_1").await;
    watched.check("update events set ended_at_ms = ended_at_ms - 1", true).await;
    watched.check("update events set ended_at_ms = 253402300799000", true).await;
    assert_eq!(edits::pulse(&bench.table).await.changed_at, None);
    bench.edit("update data_sets set generation = -1");
    assert_eq!(bench.table.knowledge.pulse(&data_set(), NodeId(1)).await.unwrap(), None);
    assert_eq!(bench.table.knowledge.snapshot(&data_set()).await.unwrap(), None);
}

#[tokio::test]
async fn what_nobody_can_have_said_is_left_out() {
    let bench = Bench::three_agents().await;
    edits::what_nobody_can_have_said_is_left_out(&bench.table, |sql| bench.edit(sql), "9e999").await;
}

#[tokio::test]
async fn old_questions_go_some_at_a_time() {
    let bench = Bench::three_agents().await;
    let connection = Connection::open(bench.path()).unwrap();
    let count =
        |table: &str| connection.query_row(&format!("select count(*) from {table}"), [], |row| row.get(0)).unwrap();
    edits::old_questions_go_some_at_a_time(&bench.table, count).await;
}

#[tokio::test]
async fn numbers_out_of_range_are_clamped() {
    let bench = Bench::three_agents().await;
    bench.edit(
        "update nodes set availability_percent = 400, capacity_bytes = -5 where id = 1;
         update nodes set availability_percent = -1e300 where id = 2;
         update links set latency_ms = -10, jitter_ms = 9e999 where from_node = 1 and to_node = 2;
         insert into counters values ('blood', 'M1_2', 99999999999, 0), ('blood', 'C1_2', -4, 0)",
    );
    let snapshot = bench.table.snapshot().await;
    assert_eq!(snapshot.nodes[&NodeId(1)].availability.value(), 100.0);
    assert_eq!(snapshot.nodes[&NodeId(1)].capacity_bytes, Some(0));
    assert_eq!(snapshot.nodes[&NodeId(2)].availability.value(), 0.0);
    let link = snapshot.links[(NodeId(1), NodeId(2))];
    assert_eq!((link.latency_ms, link.jitter_ms), (0.0, 365.0 * 86_400_000.0));
    let counters = bench.table.counters().await;
    assert_eq!(counters, BTreeMap::from([("M1_2".to_owned(), u32::MAX), ("C1_2".to_owned(), 0)]));
}

#[tokio::test]
async fn rows_that_make_no_sense_are_left_out() {
    let bench = Bench::three_agents().await;
    let event = bench.table.act(1, "C3_1").await;
    bench.edit(
        "insert into links values (1, 77, 5, 0), (-1, 2, 5, 0);
         insert into nodes (id, name, availability_percent, state) values (-4, 'negative', 50, 'declared');
         insert into agents (id, node, goal, policy, state, converged) values (4, 88, '', '', 'running', 0);
         update nodes set state = 'asleep' where id = 3;
         insert into replicas (data_set, node, object_key, state, generation) values
             ('blood', 2, 'k', 'sleeping', 1), ('blood', 99, 'k', 'present', 1);
         update reference_replicas set replica = 555 where agent = 2;
         insert into counters values ('blood', 'JUMP', 3, 0);
         insert into impacts values (1, 'M1_2', 'smell', 0.5, 1, 0), (1, 'M1_2', 'response_time', 7, 1, 0);
         insert into events (idempotency_key, agent, data_set, replica, action, action_type, explored, posted_at_ms,
             closes_at_ms, state, outcome, feedback_sum, detail)
             values ('by hand', 1, 'blood', 1, 'X1_2', 'move', 0, 0, 9e12, 'open', 'done', 0, '');
         update claims set state = 'odd'",
    );
    let snapshot = bench.table.snapshot().await;
    assert_eq!(snapshot.nodes.len(), 3);
    assert_eq!(snapshot.nodes[&NodeId(3)].state, NodeState::Declared);
    assert_eq!(snapshot.links.len(), 6);
    assert_eq!(snapshot.agents.len(), 3);
    assert_eq!(snapshot.placement.replicas.keys().map(|id| id.0).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(snapshot.placement.references.keys().map(|id| id.0).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(snapshot.open_events.iter().map(|event| event.id).collect::<Vec<_>>(), [event]);
    assert_eq!(snapshot.counters, BTreeMap::new());
    let learned = bench.table.knowledge.impacts(AgentId(1)).await.unwrap();
    assert_eq!(
        learned["M1_2"].impacts.iter().collect::<Vec<_>>(),
        [(agent_core::domain::metric::Metric::ResponseTime, 1.0)]
    );
    // A new registration mends the reference.
    bench.table.register(&registration(2)).await;
    assert_eq!(bench.table.reads(2).await, Some(NodeId(3)));
}

#[tokio::test]
async fn huge_and_broken_texts_are_cut() {
    let bench = Bench::three_agents().await;
    let event = bench.table.act(1, "C3_1").await;
    bench.edit(
        "update events set detail = replace(hex(zeroblob(1500000)), '0', 'x');
         update nodes set name = cast(x'61ff62' as text) where id = 1;
         update nodes set name = replace(hex(zeroblob(5000000)), '0', 'x') where id = 2",
    );
    assert_eq!(bench.table.event(event).await.detail, "x".repeat(1 << 20));
    assert_eq!(bench.table.snapshot().await.nodes[&NodeId(2)].name, "x".repeat(64));
    assert_eq!(bench.table.snapshot().await.nodes[&NodeId(1)].name, "a\u{fffd}b");
}

#[tokio::test]
async fn one_warning_is_given_for_each_column_and_row() {
    let bench = Bench::three_agents().await;
    let knowledge = SqliteKnowledge::open(&bench.path(), clock()).unwrap();
    bench.edit("update nodes set availability_percent = 400; update links set latency_ms = -1 where from_node = 1");
    for _ in 0..3 {
        knowledge.snapshot(&data_set()).await.unwrap();
    }
    let session = knowledge.file.session.try_lock().unwrap();
    let reported = session.quarantine.reported();
    let reported: Vec<_> = reported.map(|report| (report.table, report.row.as_str(), report.column)).collect();
    let expected = [
        ("links", "1 2", "latency_ms"),
        ("links", "1 3", "latency_ms"),
        ("nodes", "1", "availability_percent"),
        ("nodes", "2", "availability_percent"),
        ("nodes", "3", "availability_percent"),
    ];
    assert_eq!(reported, expected);
}

#[tokio::test]
async fn a_row_that_changes_is_reported_again() {
    let bench = Bench::three_agents().await;
    let knowledge = SqliteKnowledge::open(&bench.path(), clock()).unwrap();
    for percent in [400, 500, 500] {
        bench.edit(&format!("update nodes set availability_percent = {percent} where id = 1"));
        knowledge.snapshot(&data_set()).await.unwrap();
    }
    assert_eq!(knowledge.file.session.try_lock().unwrap().quarantine.reported().count(), 2);
}

#[tokio::test]
async fn rows_that_make_no_sense_are_no_part_of_a_page() {
    let bench = Bench::three_agents().await;
    let mut sensible = Vec::new();
    for label in ["C3_1", "C3_2"] {
        sensible.push(bench.table.act(1, label).await);
        bench.edit(
            "insert into events (idempotency_key, agent, data_set, replica, action, action_type, explored, posted_at_ms,
                closes_at_ms, state, outcome, feedback_sum, detail)
                values (hex(randomblob(8)), 1, 'blood', 1, 'X1_2', 'move', 0, 0, 0, 'closed', 'done', 0, '')",
        );
    }
    let page = bench.table.knowledge.events(EventId(0), 2).await.unwrap();
    assert_eq!(page.iter().map(|event| event.id).collect::<Vec<_>>(), sensible);
}

#[tokio::test]
async fn a_row_of_nobody_moves_nothing() {
    let bench = Bench::three_agents().await;
    bench.edit(&format!(
        "insert into events (idempotency_key, agent, data_set, replica, action, action_type, explored, posted_at_ms,
            closes_at_ms, state, outcome, feedback_sum, detail)
            values ('by hand', 77, 'blood', 1, 'M1_2', 'move', 0, {0}, {0}, 'open', 'done', 9, '')",
        START.0
    ));
    assert_eq!(bench.table.snapshot().await.open_events, []);
    bench.table.clock.advance(RULE.grace);
    let closed = bench.table.knowledge.close_due(AgentId(1), RULE).await.unwrap();
    assert_eq!(closed.iter().map(|one| (one.counter_before, one.counter_after)).collect::<Vec<_>>(), [(0, 0)]);
}

#[tokio::test]
async fn what_ended_in_the_future_has_not_changed_anything() {
    let bench = Bench::three_agents().await;
    bench.table.act(1, "C3_1").await;
    let before = bench.table.snapshot().await.changed_at;
    bench.edit("update events set ended_at_ms = 253402300799000");
    assert_eq!((before, bench.table.snapshot().await.changed_at), (Some(START), None));
}

#[tokio::test]
async fn the_largest_number_stops_new_rows_until_it_is_gone() {
    let bench = Bench::three_agents().await;
    let record = async |job: &str| {
        let measurement = Measurement { job: job.to_owned(), ..measurement() };
        bench.table.knowledge.record(&measurement, true).await
    };
    record("before").await.unwrap();
    bench.edit(
        "update measurements set id = 9223372036854775807; insert into sqlite_sequence values ('measurements', 0)",
    );
    assert!(matches!(record("meanwhile").await, Err(KnowledgeError::NotExecuted { .. })));
    assert_eq!(bench.table.knowledge.measurements(0, 10).await.unwrap(), []);
    // As docs/security.md says.
    bench.edit("delete from measurements; update sqlite_sequence set seq = 0 where name = 'measurements'");
    record("after").await.unwrap();
    assert_eq!(bench.table.knowledge.measurements(0, 10).await.unwrap().len(), 1);
}

fn measurement() -> Measurement {
    Measurement {
        agent: AgentId(1),
        data_set: data_set(),
        replica: ReplicaId(1),
        node: NodeId(3),
        at: START,
        metrics: agent_core::domain::metric::Metrics::default(),
        ran_at: None,
        emulated_latency_ms: None,
        traffic: None,
        parts: Vec::new(),
        job: String::new(),
        failure: None,
        result: None,
    }
}

#[tokio::test]
async fn an_object_that_another_row_names_is_not_deleted() {
    let bench = Bench::three_agents().await;
    bench.edit(
        "insert into replicas (data_set, node, object_key, state, generation)
            select 'other', node, object_key, 'removing', 1 from replicas",
    );
    let unfinished = bench.table.knowledge.unfinished(AgentId(3), true).await.unwrap();
    assert_eq!(unfinished.removing, []);
}

#[tokio::test]
async fn people_find_what_they_look_for() {
    let bench = Bench::three_agents().await;
    let event = bench.table.act(1, "C3_1").await;
    assert!(bench.table.knowledge.sign_off(AgentId(2), &identity().life).await.unwrap());
    let connection = Connection::open(bench.path()).unwrap();
    let line = |sql: &str, id: i64| connection.query_row(sql, params![id], |row| row.get::<_, String>(0)).unwrap();
    let sql = "select concat_ws(' ', action, action_type, from_node, to_node, state, outcome) from events where id = ?";
    assert_eq!(line(sql, event.0), "C3_1 copy 3 1 open done");
    let sql = "select concat_ws(' ', name, availability_percent, state) from nodes where id = ?";
    assert_eq!(line(sql, 2), "node-2 80.0 stopped");
    let sql = "select concat_ws(' ', data_set, node, state, generation) from replicas where id = ?";
    assert_eq!(line(sql, 2), "blood 1 present 2");
    let sql = "select concat_ws(' ', replica, generation) from reference_replicas where agent = ?";
    assert_eq!(line(sql, 1), "2 2");
}

/// Names and bytes of all files in a folder.
fn everything(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path()).unwrap()))
        .collect()
}

fn look(path: &Path) -> SqliteKnowledge {
    SqliteKnowledge::open_to_read(path, clock()).unwrap()
}

#[tokio::test]
async fn looking_leaves_everything_as_it_is_and_sees_what_writers_write() {
    let Bench { folder, table } = Bench::three_agents().await;
    let path = folder.path().join("knowledge.db");
    let looking = look(&path);
    assert_eq!(looking.events(EventId(0), 10).await.unwrap(), []);
    // What is only in the log is seen, too.
    let event = table.act(1, "M3_1").await;
    assert_eq!(looking.events(EventId(0), 10).await.unwrap()[0].id, event);
    drop(table);
    // The last writer has gone, and the log with it.
    assert!(!path.with_extension("db-wal").exists());
    let before = everything(folder.path());
    assert_eq!(look(&path).events(EventId(0), 10).await.unwrap()[0].id, event);
    assert_eq!(looking.events(EventId(0), 10).await.unwrap()[0].id, event);
    let refused = look(&path).set_availability(NodeId(1), Percent::new(1.0)).await.unwrap_err().to_string();
    assert!(refused.contains("readonly"), "{refused}");
    drop(looking);
    assert_eq!(everything(folder.path()), before);
    // A writer comes back while somebody looks.
    let looking = look(&path);
    let again = open(&path);
    again.knowledge.set_availability(NodeId(1), Percent::new(1.0)).await.unwrap();
    assert_eq!(looking.nodes().await.unwrap()[&NodeId(1)].availability.value(), 1.0);
}

#[tokio::test]
async fn what_a_killed_writer_left_is_seen() {
    let Bench { folder, table } = Bench::three_agents().await;
    let event = table.act(1, "M3_1").await;
    // As after a kill: the file and its log, and nobody who has them open.
    let other = tempfile::tempdir().unwrap();
    for name in ["knowledge.db", "knowledge.db-wal"] {
        std::fs::copy(folder.path().join(name), other.path().join(name)).unwrap();
    }
    let before = everything(other.path());
    let looking = look(&other.path().join("knowledge.db"));
    assert_eq!(looking.events(EventId(0), 10).await.unwrap()[0].id, event);
    drop(looking);
    let after = everything(other.path());
    assert!(before.iter().all(|(name, bytes)| after.get(name) == Some(bytes)), "{:?}", after.keys());
}

#[tokio::test]
async fn older_tables_are_read_and_stay_old() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.db");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch(include_str!("001_tables.sql")).unwrap();
    connection
        .execute_batch(
            "pragma application_id = 0x61676e74; pragma journal_mode = wal;
             create table schema_version (version integer primary key, applied_at_ms integer not null) strict;
             insert into schema_version values (1, 0)",
        )
        .unwrap();
    drop(connection);
    let before = everything(folder.path());
    let looking = look(&path);
    assert!(looking.nodes().await.unwrap().is_empty());
    assert_eq!(looking.events(EventId(0), 10).await.unwrap(), []);
    assert_eq!(everything(folder.path()), before);
}

#[test]
fn nothing_is_made_of_what_is_empty_or_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("empty.db");
    let refused = || SqliteKnowledge::open_to_read(&path, clock()).err().unwrap().to_string();
    assert!(refused().contains("cannot be read: No such file"), "{}", refused());
    std::fs::write(&path, "").unwrap();
    assert!(refused().contains("the file is empty"), "{}", refused());
    assert_eq!(everything(folder.path()), BTreeMap::from([("empty.db".to_owned(), Vec::new())]));
}
