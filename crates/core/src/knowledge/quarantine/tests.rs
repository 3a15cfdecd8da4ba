//! What is seen of a row, table by table: a sensible row with some of its cells changed.

use super::*;
use crate::domain::books::{Payer, Stated};
use crate::domain::flat_map::FlatMap;
use crate::domain::ids::{AgentId, AskId, NodeId, ReplicaId};
use crate::domain::money::{Amount, Budget};
use crate::domain::placement::{Lease, Node};
use std::collections::{BTreeMap, BTreeSet};

const NOW: Timestamp = Timestamp(1_000_000);
const YEAR_9999: i64 = 253_402_300_799_000;

type Row = BTreeMap<&'static str, Cell<'static>>;

impl Cells for Row {
    fn cell(&self, column: &str) -> Result<Cell<'_>, String> {
        self.get(column).copied().ok_or_else(|| format!("there is no column {column}"))
    }
}

fn text(text: &'static str) -> Cell<'static> {
    Cell::Text(text.as_bytes())
}

fn huge() -> Cell<'static> {
    Cell::Text(Vec::leak(vec![b'x'; 10 << 20]))
}

/// A sensible row; the columns of all tables that are called alike hold the same.
fn row(changed: &[(&'static str, Cell<'static>)]) -> Row {
    let sha256 = "14ba3efa805cd7614442624a2598619ed789dc44fdff1ed08323e0994795b767";
    let (zero, one, now) = (Cell::Integer(0), Cell::Integer(1), Cell::Integer(NOW.0));
    let mut row = Row::from([
        ("id", one),
        ("name", text("blood")),
        ("store_url", text("http://127.0.0.1:9000/agent")),
        ("availability_percent", Cell::Real(97.0)),
        ("measured_availability_percent", Cell::Real(96.5)),
        ("gossip_address", text("10.0.0.1:7946")),
        ("public_key", text(sha256)),
        ("loss_percent", Cell::Real(0.5)),
        ("bytes_per_s", Cell::Real(1e6)),
        ("at_ms", now),
        ("capacity_bytes", Cell::Integer(1000)),
        ("heartbeat_at", now),
        ("from_node", one),
        ("to_node", Cell::Integer(2)),
        ("latency_ms", Cell::Real(1000.0)),
        ("jitter_ms", Cell::Real(7.0)),
        ("object_key", text("blood.json")),
        ("bytes", Cell::Integer(100)),
        ("records", Cell::Integer(10)),
        ("sha256", text(sha256)),
        ("data_set", text("blood")),
        ("node", one),
        ("state", text("present")),
        ("generation", one),
        ("lease_holder", one),
        ("lease_until", now),
        ("object_bytes", Cell::Integer(100)),
        ("etag", text("9b2cf535f27731c974343645a3985328")),
        ("modified_at_ms", now),
        ("remark", Cell::Null),
        ("former", Cell::Null),
        ("version", one),
        ("registered_at", now),
        ("written_at", Cell::Null),
        ("written_bytes", zero),
        ("store_deletes", one),
        ("store_remarks", Cell::Null),
        ("labels", Cell::Null),
        ("constraints", Cell::Null),
        ("what", text("budget")),
        ("written", text("5 EUR/day")),
        ("since_ms", zero),
        ("kind", text("read")),
        ("amount", Cell::Integer(7)),
        ("units", Cell::Integer(2)),
        ("parts", Cell::Integer(5)),
        ("until_ms", now),
        ("paused_until", Cell::Null),
        ("upload_id", text("VXBsb2Fk")),
        ("begun_at_ms", now),
        ("goal", text("availability >= 95 %")),
        ("policy", text("fixed")),
        ("converged", one),
        ("unexpected", zero),
        ("agent", one),
        ("replica", one),
        ("action", text("M1_2")),
        ("explored", zero),
        ("posted_at_ms", now),
        ("closes_at_ms", now),
        ("outcome", text("done")),
        ("ended_at_ms", now),
        ("feedback_sum", Cell::Real(0.5)),
        ("detail", text("{}")),
        ("claimed", one),
        ("event", one),
        ("p", Cell::Real(0.5)),
        ("left_at_ms", now),
        ("value", Cell::Integer(1)),
        ("changed_at_ms", now),
        ("at_ms", now),
        ("response_time_s", Cell::Real(30.0)),
        ("execution_time_s", Cell::Null),
        ("throughput_records_per_s", Cell::Null),
        ("network_latency_ms", Cell::Null),
        ("data_consistency", Cell::Null),
        ("staleness_s", Cell::Null),
        ("response_time_p95_s", Cell::Null),
        ("response_time_p99_s", Cell::Null),
        ("error_rate_percent", Cell::Null),
        ("emulated_latency_ms", Cell::Null),
        ("satisfied", one),
        ("result", text("172.78")),
        ("failure", Cell::Null),
        ("failure_reason", Cell::Null),
        ("job_parts", Cell::Null),
        ("ran_at", Cell::Null),
        ("runs_at", Cell::Null),
        ("may_run_on", Cell::Null),
        ("goal_override", Cell::Null),
        ("policy_override", text("fixed")),
        ("basis", text("measured")),
        ("job", text("a1-1")),
        ("metric", text("availability")),
        ("samples", one),
        ("node_known", one),
        ("object_used", zero),
        ("role", text("source")),
        ("copies", one),
        ("said", one),
        ("conditions", Cell::Real(97.5)),
        ("ask", one),
        ("level", Cell::Real(0.5)),
        ("closed", zero),
        ("afresh", zero),
        ("nodes", text("1 2")),
        ("replicas", Cell::Integer(2)),
        ("level_change", Cell::Real(-0.5)),
    ]);
    row.extend(changed.iter().copied());
    row
}

fn node_row(changed: &[(&'static str, Cell<'static>)]) -> Row {
    row(&[&[("state", text("running"))], changed].concat())
}

fn open(changed: &[(&'static str, Cell<'static>)]) -> Row {
    row(&[&[("state", text("open"))], changed].concat())
}

/// What is seen, as text, and what was reported, after reading the row three times.
fn seen<T: std::fmt::Debug>(
    table: Table,
    row: &Row,
    read: impl Fn(&mut Fields<'_>) -> Field<T>,
) -> (Option<T>, Vec<(&'static str, String)>) {
    let mut quarantine = Quarantine::default();
    quarantine.at(NOW);
    let mut last = None;
    for _ in 0..3 {
        last = quarantine.read(table, row, &read);
    }
    (last, quarantine.reported().map(|report| (report.column, report.what.clone())).collect())
}

/// The row is left out for this reason, said once.
fn left_out<T: std::fmt::Debug>(
    table: Table,
    row: &Row,
    read: impl Fn(&mut Fields<'_>) -> Field<T>,
    column: &'static str,
    why: &str,
) {
    let (value, reported) = seen(table, row, read);
    assert!(value.is_none(), "{value:?}");
    assert_eq!(reported, [(column, format!("{why}; the row is left out"))]);
}

/// The row is read, and this is said once; the value is handed back.
fn put_right<T: std::fmt::Debug>(
    table: Table,
    row: &Row,
    read: impl Fn(&mut Fields<'_>) -> Field<T>,
    column: &'static str,
    what: &str,
) -> T {
    let (value, reported) = seen(table, row, read);
    assert_eq!(reported, [(column, what.to_owned())]);
    value.expect("it is read")
}

fn two_nodes() -> FlatMap<NodeId, Node> {
    let one = |id: i64| {
        let (node, reported) = seen(NODES, &node_row(&[("id", Cell::Integer(id))]), node);
        assert_eq!(reported, []);
        node.expect("a sensible row")
    };
    [1, 2].map(one).into()
}

#[test]
fn sensible_rows_are_read_and_nothing_is_said() {
    let nodes = two_nodes();
    let agents = FlatMap::from([seen(AGENTS, &row(&[]), |row| peer(row, &nodes)).0.unwrap()]);
    let said = [
        seen(LINKS, &row(&[]), |row| link(row, &nodes)).1,
        seen(DATA_SETS, &row(&[]), catalogued).1,
        seen(DATA_SETS, &row(&[]), pulse).1,
        seen(REPLICAS, &row(&[]), replica).1,
        seen(REPLICAS, &row(&[]), replica_to_remove).1,
        seen(CLAIMS, &row(&[]), |row| claimed(row, &"blood".into())).1,
        seen(EVENTS, &open(&[]), |row| open_event(row, &nodes, &agents, &BTreeSet::new())).1,
        seen(FEEDBACK, &row(&[]), feedback).1,
        seen(READERS, &row(&[]), reader).1,
        seen(COUNTERS, &row(&[]), counter).1,
        seen(MEASUREMENTS, &row(&[]), recorded).1,
        seen(IMPACTS, &row(&[]), impact).1,
        seen(ASKS, &row(&[]), ask).1,
        seen(ASK_NODES, &row(&[]), ask_node).1,
        seen(REPLIES, &row(&[]), reply).1,
        seen(NAMED_NODES, &row(&[]), named_node).1,
        seen(FORECASTS, &row(&[]), forecast).1,
    ];
    assert_eq!(said.concat(), []);
}

#[test]
fn nodes() {
    let node = |row: &mut Fields<'_>| node(row).map(|(_, node)| node);
    left_out(NODES, &node_row(&[("id", Cell::Integer(-4))]), node, "id", "-4 is no id");
    left_out(NODES, &node_row(&[("id", text("one"))]), node, "id", "a whole number is expected, not text");
    let availability = "availability_percent";
    left_out(NODES, &node_row(&[(availability, Cell::Real(f64::NAN))]), node, availability, "there is no number");
    let clamped = |value, what: &str| {
        put_right(NODES, &node_row(&[(availability, Cell::Real(value))]), node, availability, what).availability.value()
    };
    assert_eq!(clamped(250.0, "2.5e2 is out of range; 100 is used"), 100.0);
    assert_eq!(clamped(f64::NEG_INFINITY, "-inf is out of range; 0 is used"), 0.0);
    let full = put_right(
        NODES,
        &node_row(&[("capacity_bytes", Cell::Integer(-1))]),
        node,
        "capacity_bytes",
        "-1 is negative; 0 is used",
    );
    assert_eq!(full.capacity_bytes, Some(0));
    let named = put_right(NODES, &node_row(&[("name", huge())]), node, "name", "its 10485760 bytes are cut to 64");
    assert_eq!(named.name.len(), 64);
    let odd = "`flying` is none of declared, running, stopped, leaving; `declared` is used";
    put_right(NODES, &node_row(&[("state", text("flying"))]), node, "state", odd);
    let future = "it lies in the future and is taken as absent; was the time scale changed?";
    let silent =
        put_right(NODES, &node_row(&[("heartbeat_at", Cell::Integer(YEAR_9999))]), node, "heartbeat_at", future);
    assert_eq!(silent.heartbeat_at, None);
    for odd in ["", "[]", r#"{"region":1}"#] {
        let said = "it is no JSON object of texts and is taken as absent";
        let read = put_right(NODES, &node_row(&[("labels", text(odd))]), node, "labels", said);
        assert!(read.labels.is_empty(), "{odd}");
    }
    let (read, _) = seen(NODES, &node_row(&[("labels", text(r#"{"region":"eu"}"#))]), node);
    assert_eq!(read.unwrap().labels["region"], "eu");
}

#[test]
fn addresses_of_stores() {
    let node = |row: &mut Fields<'_>| node(row).map(|(_, node)| node);
    let no_address = "it is no address like http://HOST:PORT/BUCKET and is taken as absent";
    for url in [
        "",
        "ftp://host",
        "http://",
        "http:///x",
        "http://a b",
        "http://\u{1b}[2J",
        "http://user:hush@host:1",
        "file:///etc",
    ] {
        let node = put_right(NODES, &node_row(&[("store_url", text(url))]), node, "store_url", no_address);
        assert_eq!(node.store_url, None, "{url}");
    }
    for url in ["http://127.0.0.1:9000", "https://s3.example.org/bucket?region=eu-central-1", "http://[::1]:9000/b"] {
        assert_eq!(
            seen(NODES, &node_row(&[("store_url", text(url))]), node).0.unwrap().store_url.as_deref(),
            Some(url)
        );
    }
    assert_eq!(seen(NODES, &node_row(&[("store_url", huge())]), node).0.unwrap().store_url, None);
}

#[test]
fn links() {
    let nodes = two_nodes();
    let link = |row: &mut Fields<'_>| link(row, &nodes);
    left_out(LINKS, &row(&[("to_node", Cell::Integer(9))]), link, "to_node", "node 9 is not registered");
    left_out(LINKS, &row(&[("latency_ms", Cell::Real(f64::NAN))]), link, "latency_ms", "there is no number");
    let clamped = |value, what: &str| {
        put_right(LINKS, &row(&[("latency_ms", Cell::Real(value))]), link, "latency_ms", what).latency_ms
    };
    assert_eq!(clamped(-5.0, "-5e0 is out of range; 0 is used"), 0.0);
    let year = 365.0 * 86_400_000.0;
    assert_eq!(clamped(f64::INFINITY, "inf is out of range; 31536000000 is used"), year);
    assert_eq!(clamped(1e300, "1e300 is out of range; 31536000000 is used"), year);
}

#[test]
fn agents() {
    let nodes = two_nodes();
    let peer = |row: &mut Fields<'_>| peer(row, &nodes).map(|(_, peer)| peer);
    left_out(AGENTS, &row(&[("node", Cell::Integer(88))]), peer, "node", "node 88 is not registered");
    left_out(AGENTS, &row(&[("converged", text("yes"))]), peer, "converged", "a whole number is expected, not text");
    let wordy = put_right(AGENTS, &row(&[("goal", huge())]), peer, "goal", "its 10485760 bytes are cut to 4096");
    assert_eq!(wordy.registration.goal.len(), 4096);
    // Nobody reads another agent's goal, so it may say anything.
    let rambling = seen(AGENTS, &row(&[("goal", text("world peace <= 3 %"))]), peer);
    assert_eq!((rambling.0.is_some(), rambling.1.len()), (true, 0));
    let (immortal, _) = seen(AGENTS, &row(&[("heartbeat_at", Cell::Integer(YEAR_9999))]), peer);
    assert_eq!(immortal.unwrap().heartbeat_at, None);
}

#[test]
fn data_sets() {
    let sha256 = "it is no SHA-256: 64 digits of lower-case hexadecimal";
    for wrong in ["", "14ba3e", "14BA3EFA805CD7614442624A2598619ED789DC44FDFF1ED08323E0994795B767"] {
        left_out(DATA_SETS, &row(&[("sha256", text(wrong))]), data_set, "sha256", sha256);
    }
    left_out(DATA_SETS, &row(&[("bytes", Cell::Integer(-1))]), data_set, "bytes", "-1 is no size of a data set");
    left_out(DATA_SETS, &row(&[("object_key", huge())]), data_set, "object_key", "10485760 bytes are more than 1024");
    left_out(DATA_SETS, &row(&[("name", Cell::Text(b"\xff"))]), data_set, "name", "it is not UTF-8");
    let empty =
        put_right(DATA_SETS, &row(&[("records", Cell::Integer(-1))]), data_set, "records", "-1 is negative; 0 is used");
    assert_eq!(empty.records, 0);
    for odd in ["", "{", "[]", r#"{"must":["one"]}"#, r#"{"never":[1]}"#, r#"{"must_not":{"labels":"region"}}"#] {
        let said = "it is no JSON of constraints, and nobody can tell what it forbids; no action is begun";
        let held = put_right(DATA_SETS, &row(&[("constraints", text(odd))]), data_set, "constraints", said);
        assert!(held.guard.is_paused(NOW), "{odd}");
    }
    let stated = row(&[("constraints", text(r#"{"min_replicas":2}"#)), ("paused_until", Cell::Integer(i64::MAX))]);
    let (read, reported) = seen(DATA_SETS, &stated, data_set);
    let guard = read.unwrap().guard;
    assert_eq!((guard.constraints.min_replicas, guard.is_paused(NOW), reported.len()), (Some(2), true, 0));
    for generation in [-1, i64::MAX] {
        let odd = row(&[("generation", Cell::Integer(generation))]);
        left_out(DATA_SETS, &odd, catalogued, "generation", &format!("{generation} is out of range"));
        left_out(DATA_SETS, &odd, pulse, "generation", &format!("{generation} is out of range"));
    }
    // Nobody counts what was said, so it may be any number.
    let (odd, reported) = seen(DATA_SETS, &row(&[("said", Cell::Integer(i64::MIN))]), pulse);
    assert_eq!((odd.map(|pulse| pulse.said), reported.len()), (Some(i64::MIN), 0));
    left_out(DATA_SETS, &row(&[("conditions", Cell::Null)]), pulse, "conditions", "there is no number");
}

#[test]
fn prices_and_charges() {
    let eur = |row: &mut Fields<'_>| stated(row, &mut "EUR".parse().ok());
    let (read, reported) = seen(PRICES, &row(&[]), eur);
    let budget = "5 EUR/day".parse().ok();
    assert_eq!((read, reported.len()), (Some(Stated::Budget(Payer::Agent(AgentId(1)), budget)), 0));
    // Whoever wrote it wanted to limit something.
    for (odd, why) in [
        ("much", "`much` has no number in front"),
        ("5 USD/day", "it is in USD, and others are in EUR"),
        ("5 EUR/year", "`5 EUR/year` does not say for what: `/hour`, `/day`, `/week` or `/month`"),
    ] {
        let said = format!("{why}; nothing is spent until it is mended");
        let read = put_right(PRICES, &row(&[("written", text(odd))]), eur, "written", &said);
        assert_eq!(read, Stated::Budget(Payer::Agent(AgentId(1)), Some(Budget::UNREADABLE)));
    }
    let egress = |written| row(&[("what", text("egress")), ("written", text(written))]);
    left_out(PRICES, &egress("1 USD/GB"), eur, "written", "it is in USD, and others are in EUR");
    left_out(PRICES, &egress("1/GB"), eur, "written", "`1/GB` is no currency: three capital letters");
    let odd = row(&[("what", text("love"))]);
    left_out(PRICES, &odd, eur, "what", "`love` is none of storage, egress, budget");
    let negative = row(&[("amount", Cell::Integer(-7))]);
    assert_eq!(seen(CHARGES, &negative, charge).0.map(|charge| charge.amount), Some(Amount::NOTHING));
    left_out(
        CHARGES,
        &row(&[("kind", text("gift"))]),
        charge,
        "kind",
        "`gift` is none of move, copy, restore, read, held",
    );
    let most = row(&[("units", Cell::Integer(i64::MAX))]);
    assert_eq!(seen(SPENT, &most, spent).0.map(|spent| spent.amount), Some(Amount(i64::MAX)));
    let future = row(&[("until_ms", Cell::Integer(YEAR_9999))]);
    assert_eq!(seen(BILLING, &future, billed_until).0, Some(None));
}

#[test]
fn what_each_data_set_had_to_do_with_a_job_may_make_no_sense_without_harm_to_the_job() {
    let parts = |written: &'static str| {
        let (read, reported) = seen(MEASUREMENTS, &row(&[("job_parts", text(written))]), recorded);
        (read.expect("the job counts").measurement.parts.len(), reported.len())
    };
    let part = r#"[{"data_set":"blood","replica":1,"node":3,"records":7,"metrics":{"response_time":1.5}}]"#;
    assert_eq!(parts(part), (1, 0));
    let negative = r#"[{"data_set":"blood","replica":1,"node":3,"records":7,"metrics":{"response_time":-1.5}}]"#;
    for odd in ["", "{}", "[1]", "null", r#"[{"data_set":"blood"}]"#, negative] {
        assert_eq!(parts(odd), (0, 1), "{odd}");
    }
}

#[test]
fn questions() {
    left_out(ASK_NODES, &row(&[("node", Cell::Integer(-1))]), ask_node, "node", "-1 is no id");
    let left_out = |column, value, why: &str| left_out(ASKS, &row(&[(column, value)]), ask, column, why);
    left_out("id", Cell::Integer(-1), "-1 is out of range");
    left_out("agent", Cell::Integer(-1), "-1 is no id");
    left_out("generation", Cell::Null, "there is no value");
    left_out(
        "action",
        text("X1_2"),
        "`X1_2` is not an action; actions are written M1_2, C1_2, CR2, E2, R1_2, T1_2 and NA",
    );
    left_out("level", Cell::Null, "there is no number");
    for (level, said) in [(1.5, "1.5e0"), (-0.1, "-1e-1"), (f64::NAN, "NaN"), (f64::INFINITY, "inf")] {
        left_out("level", Cell::Real(level), &format!("{said} is out of range"));
    }
    left_out("posted_at_ms", Cell::Integer(YEAR_9999), "it lies in the future; was the time scale changed?");
    left_out("closed", text("yes"), "a whole number is expected, not text");
    let (unproposed, _) = seen(ASKS, &row(&[("action", Cell::Null)]), ask);
    assert_eq!(unproposed.unwrap().action, None);
}

#[test]
fn replies() {
    left_out(REPLIES, &row(&[("level", Cell::Real(7.0))]), reply, "level", "7e0 is out of range");
    left_out(REPLIES, &row(&[("ask", Cell::Integer(1 << 60))]), reply, "ask", "1152921504606846976 is out of range");
    left_out(REPLIES, &row(&[("nodes", text("all"))]), reply, "nodes", "it is no list of nodes, like `1 2 5`");
    left_out(NAMED_NODES, &row(&[("node", Cell::Integer(-1))]), named_node, "node", "-1 is no id");
    let left_out = |column, value, why: &str| left_out(FORECASTS, &row(&[(column, value)]), forecast, column, why);
    left_out("level_change", Cell::Real(-1.5), "-1.5e0 is out of range");
    left_out("level_change", Cell::Real(f64::NAN), "NaN is out of range");
    left_out("level_change", text("much"), "a number is expected, not text");
    left_out("replicas", Cell::Integer(-2), "-2 is no number of replicas");
    left_out("node", Cell::Integer(-1), "-1 is no id");
    let however_many = row(&[("replicas", Cell::Integer(-1)), ("level_change", Cell::Integer(-1))]);
    let expected = (AskId(1), AgentId(1), (NodeId(1), None), -1.0);
    assert_eq!(seen(FORECASTS, &however_many, forecast), (Some(expected), Vec::new()));
}

#[test]
fn replicas() {
    let left_out = |column, value, why: &str| {
        left_out(REPLICAS, &row(&[(column, value)]), replica, column, why);
    };
    left_out("state", text("flying"), "`flying` is none of copying, present, removing, changed, damaged");
    left_out("generation", Cell::Null, "there is no value");
    left_out("generation", Cell::Integer(-1), "-1 is out of range");
    left_out("generation", Cell::Integer(i64::MAX), "9223372036854775807 is out of range");
    left_out("id", Cell::Integer(i64::MIN), "-9223372036854775808 is out of range");
    left_out("node", Cell::Integer(1 << 40), "1099511627776 is no id");
    left_out("object_key", huge(), "10485760 bytes are more than 1024");
    let (nowhere, _) = seen(REPLICAS, &row(&[("node_known", Cell::Integer(0))]), replica);
    assert_eq!(nowhere, None);
    let (used, _) = seen(REPLICAS, &row(&[("object_used", Cell::Integer(1))]), replica_to_remove);
    assert_eq!(used, None);
}

#[test]
fn leases() {
    let lease = |changed: &[_]| seen(REPLICAS, &row(changed), any_replica).0.unwrap().lease;
    assert_eq!(lease(&[]), Some(Lease { holder: AgentId(1), until: NOW }));
    assert_eq!(lease(&[("lease_until", Cell::Null)]), None);
    assert_eq!(lease(&[("lease_holder", Cell::Integer(-1))]), None);
    assert_eq!(lease(&[("lease_until", Cell::Integer(YEAR_9999))]), None);
    put_right(
        REPLICAS,
        &row(&[("lease_until", Cell::Integer(i64::MAX))]),
        replica,
        "lease_until",
        "no lease holds for so long; nobody holds it",
    );
}

#[test]
fn references() {
    let (replica, _) = seen(REPLICAS, &row(&[]), replica);
    let replicas = BTreeMap::from([(ReplicaId(1), replica.unwrap())]);
    let reference = |row: &mut Fields<'_>| reference(row, &replicas);
    assert_eq!(seen(REFERENCES, &row(&[]), reference).0, Some((AgentId(1), ReplicaId(1))));
    let nowhere = row(&[("replica", Cell::Integer(555))]);
    left_out(REFERENCES, &nowhere, reference, "replica", "there is no replica 555 of this data set");
}

#[test]
fn events() {
    let nodes = two_nodes();
    let agents = FlatMap::from([seen(AGENTS, &row(&[]), |row| peer(row, &nodes)).0.unwrap()]);
    let open_event = |row: &mut Fields<'_>| open_event(row, &nodes, &agents, &BTreeSet::new());
    let skipped = |column, value, why: &str| left_out(EVENTS, &open(&[(column, value)]), open_event, column, why);
    skipped(
        "action",
        text("XYZ"),
        "`XYZ` is not an action; actions are written M1_2, C1_2, CR2, E2, R1_2, T1_2 and NA",
    );
    skipped("action", text("M1_99"), "node 99 is not registered");
    skipped("action", huge(), "10485760 bytes are more than 64");
    skipped("agent", Cell::Integer(77), "agent 77 is not registered");
    // Whoever was removed since was somebody.
    let removed = BTreeSet::from([NodeId(77), NodeId(99)]);
    for changed in [[("agent", Cell::Integer(77))], [("action", text("M1_99"))]] {
        let read = |row: &mut Fields<'_>| super::open_event(row, &nodes, &agents, &removed);
        assert_eq!(seen(EVENTS, &open(&changed), read).1, []);
    }
    skipped("posted_at_ms", Cell::Integer(YEAR_9999), "it lies in the future; was the time scale changed?");
    skipped("closes_at_ms", Cell::Integer(YEAR_9999), "no window is open for so long");
    skipped("outcome", text("splendid"), "`splendid` is none of running, done, failed, aborted");
    let alone = open(&[("outcome", text("running")), ("claimed", Cell::Integer(0))]);
    left_out(EVENTS, &alone, open_event, "outcome", "it is running and nothing was claimed for it");
    let blamed = open(&[("feedback_sum", Cell::Real(1e300))]);
    let event = put_right(EVENTS, &blamed, open_event, "feedback_sum", "1e300 is out of range; 4294967295 is used");
    assert_eq!(event.feedback_sum, f64::from(u32::MAX));
    let (event, _) = seen(EVENTS, &open(&[("detail", huge())]), open_event);
    assert_eq!(event.unwrap().detail.len(), DETAIL_MAX);
}

#[test]
fn what_hides_in_a_report_is_written_out() {
    let hostile = row(&[("action", text("\u{1b}[2J\u{202e}"))]);
    let (_, reported) = seen(COUNTERS, &hostile, counter);
    assert!(reported[0].1.starts_with("`\\u{1b}[2J\\u{202e}` is not an action"), "{reported:?}");
    let mut quarantine = Quarantine::default();
    quarantine.read(COUNTERS, &hostile, counter);
    assert_eq!(quarantine.reported().next().unwrap().row, "blood \\u{1b}[2J\\u{202e}");
}

#[test]
fn feedback_and_counters() {
    let blame =
        put_right(FEEDBACK, &row(&[("p", Cell::Real(1e300))]), feedback, "p", "1e300 is out of range; 1 is used");
    assert_eq!(blame.p, 1.0);
    left_out(FEEDBACK, &row(&[("p", Cell::Null)]), feedback, "p", "there is no number");
    let (_, counter) =
        put_right(COUNTERS, &row(&[("value", Cell::Integer(-4))]), counter, "value", "-4 is negative; 0 is used");
    assert_eq!(counter.value, 0);
    assert_eq!(
        seen(COUNTERS, &row(&[("value", Cell::Integer(i64::MAX))]), super::counter).0.unwrap().1.value,
        u32::MAX
    );
}

#[test]
fn measurements_and_impacts() {
    use crate::domain::metric::Metric;
    let response = "response_time_s";
    for (value, said) in [(f64::NAN, "NaN"), (f64::INFINITY, "inf"), (-1.0, "-1e0"), (1e300, "1e300")] {
        let what = format!("{said} cannot be measured; it is taken as absent");
        let one = put_right(MEASUREMENTS, &row(&[(response, Cell::Real(value))]), recorded, response, &what);
        assert_eq!(one.measurement.metrics.get(Metric::ResponseTime), None);
    }
    left_out(IMPACTS, &row(&[("metric", text("smell"))]), impact, "metric", "unknown metric `smell`");
    let (_, _, value, _) =
        put_right(IMPACTS, &row(&[("value", Cell::Real(7.0))]), impact, "value", "7e0 is out of range; 1 is used");
    assert_eq!(value, 1.0);
}

#[test]
fn reports_are_bounded() {
    let mut quarantine = Quarantine::default();
    for id in 0..2 * REPORTS_MAX as i64 {
        quarantine.read(NODES, &node_row(&[("id", Cell::Integer(-1 - id))]), node);
    }
    assert_eq!(quarantine.reported().count(), REPORTS_MAX);
}

#[test]
fn a_column_that_is_gone_is_named() {
    let mut without = row(&[]);
    without.remove("latency_ms");
    let nodes = two_nodes();
    left_out(LINKS, &without, |row| link(row, &nodes), "latency_ms", "there is no column latency_ms");
}
