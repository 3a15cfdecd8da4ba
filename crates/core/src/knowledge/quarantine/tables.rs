//! What the columns of each table may hold.

use super::{DETAIL_MAX, Field, Fields, LeftOut, TOLERANCE, Table};
use crate::domain::action::Action;
use crate::domain::ask::{Ask, Prospect, Reply};
use crate::domain::books::{Cause, Charge, ChargeKind, Held, Payer, Running, Spent, Stated};
use crate::domain::constraints::{Constraints, Guard};
use crate::domain::environment::{Availability, Basis, Contact, MeasuredLink, Quantity, Saying};
use crate::domain::event::{Event, Outcome, Window};
use crate::domain::failure::{FailureKind, JobFailure};
use crate::domain::flat_map::FlatMap;
use crate::domain::ids::{AgentId, AskId, DataSetName, EventId, Life, NodeId, ReplicaId};
use crate::domain::labels::Labels;
use crate::domain::measurement::{Measurement, Part};
use crate::domain::metric::{Metric, Metrics};
use crate::domain::money::{Amount, Budget, Currency, StoragePrice, TransferPrice};
use crate::domain::placement::{
    DataSet, Health, Lease, Link, Node, NodeState, Overrides, Peer, Registration, Replica, ReplicaState, StoreTraits,
};
use crate::domain::store_url::StoreUrl;
use crate::domain::text::{LINE_MAX, NAME_MAX};
use crate::domain::time::{LONGEST, Timestamp};
use crate::domain::units::Percent;
use crate::domain::validators::Validators;
use crate::domain::versions::{Former, Versions};
use crate::domain::work::Seat;
use crate::knowledge::conversation;
use crate::knowledge::rules::{self, Rejection, is_sha256, is_somebodys};
use crate::knowledge::{Counter, Feedback, NotedUpload, Pulse, Recorded};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

pub const NODES: Table = Table { name: "nodes", key: &["id"] };
pub const LINKS: Table = Table { name: "links", key: &["from_node", "to_node"] };
pub const MEASURED_LINKS: Table = Table { name: "measured_links", key: &["from_node", "to_node"] };
pub const FORMER: Table = Table { name: "former_environment", key: &["from_node", "to_node", "basis", "until_ms"] };

/// Those rows that say what was at a moment; of what was changed twice in a millisecond the first is right.
pub const FORMER_AT: &str = "where (from_node, to_node, basis, until_ms) in
    (select from_node, to_node, basis, min(until_ms) from former_environment where until_ms > ?
        group by from_node, to_node, basis) order by id";
pub const AGENTS: Table = Table { name: "agents", key: &["id"] };
pub const DATA_SETS: Table = Table { name: "data_sets", key: &["name"] };
pub const REPLICAS: Table = Table { name: "replicas", key: &["id"] };
pub const READERS: Table = Table { name: "readers", key: &["agent", "data_set"] };
pub const REFERENCES: Table = Table { name: "reference_replicas", key: &["agent"] };
pub const REMOVED: Table = Table { name: "removed_nodes", key: &["id"] };
pub const EVENTS: Table = Table { name: "events", key: &["id"] };
pub const COPIES: Table = Table { name: "events", key: &["replica"] };
pub const CLAIMS: Table = Table { name: "claims", key: &["event", "role"] };
pub const FEEDBACK: Table = Table { name: "feedback", key: &["event", "agent"] };
pub const COUNTERS: Table = Table { name: "counters", key: &["data_set", "action"] };
pub const MEASUREMENTS: Table = Table { name: "measurements", key: &["id"] };
pub const UPLOADS: Table = Table { name: "uploads", key: &["node", "object_key", "upload_id"] };
pub const IMPACTS: Table = Table { name: "impacts", key: &["agent", "action", "metric"] };
pub const ASKS: Table = Table { name: "asks", key: &["id"] };
pub const ASK_NODES: Table = Table { name: "ask_nodes", key: &["ask", "node"] };
pub const REPLIES: Table = Table { name: "replies", key: &["ask", "agent"] };
pub const NAMED_NODES: Table = Table { name: "named_nodes", key: &["ask", "agent", "node"] };
pub const PRICES: Table = Table { name: "prices", key: &["what", "from_node", "to_node", "agent"] };
pub const CHARGES: Table =
    Table { name: "charges", key: &["since_ms", "agent", "data_set", "kind", "from_node", "to_node"] };
/// Charges of a day (or hour), added up.
pub const SPENT: Table = Table { name: "charges", key: &["since_ms", "agent"] };
pub const BILLING: Table = Table { name: "billing", key: &["agent"] };
pub const FORECASTS: Table = Table { name: "forecasts", key: &["ask", "agent", "node", "replicas"] };

/// The longest goal that can be written \[bytes\].
const GOAL_MAX: usize = 4096;
/// What S3 allows, and a little more than configurations do \[bytes\].
const KEY_MAX: usize = 1024;
/// The key of a run or request \[bytes\].
const JOB_MAX: usize = 200;
/// A line for people, of any characters \[bytes\].
const LINE_BYTES_MAX: usize = 4 * LINE_MAX;
/// Of a public key.
const KEY_BYTES: usize = 32;
/// What a store calls an object's content \[bytes\].
const ETAG_MAX: usize = 256;
/// No data set is larger; sums of them stay numbers.
const BYTES_MAX: u64 = 9_000_000_000_000_000;
/// More than all agents there can be: such a sum says no more than that everybody was hurt.
const FEEDBACK_MAX: f64 = u32::MAX as f64;
/// Labels and constraints \[bytes\].
const GUARD_MAX: usize = 1 << 14;
/// The list of the nodes that a reply speaks about \[bytes\].
const NODES_LONGEST: usize = 1 << 16;
/// How content an agent can be.
const LEVEL: RangeInclusive<f64> = 0.0..=1.0;

type Nodes = FlatMap<NodeId, Node>;

/// The column of each metric.
pub fn metric_column(metric: Metric) -> &'static str {
    match metric {
        Metric::ResponseTime => "response_time_s",
        Metric::ExecutionTime => "execution_time_s",
        Metric::Throughput => "throughput_records_per_s",
        Metric::NetworkLatency => "network_latency_ms",
        Metric::Availability => "availability_percent",
        Metric::DataConsistency => "data_consistency",
        Metric::Staleness => "staleness_s",
        Metric::ResponseTimeP95 => "response_time_p95_s",
        Metric::ResponseTimeP99 => "response_time_p99_s",
        Metric::ErrorRate => "error_rate_percent",
    }
}

fn longest_ms() -> RangeInclusive<f64> {
    0.0..=LONGEST.as_secs_f64() * 1e3
}

pub fn node(row: &mut Fields<'_>) -> Field<(NodeId, Node)> {
    let id = NodeId(row.id("id")?);
    let availability = Availability {
        declared: maybe_percent(row, "availability_percent")?,
        measured: maybe_percent(row, "measured_availability_percent")?,
    };
    let node = Node {
        id,
        name: row.name("name")?,
        store_url: store_url(row)?,
        availability,
        capacity_bytes: row.maybe_amount("capacity_bytes")?,
        state: row.one_of_or(NodeState::default(), "state", NodeState::ALL, NodeState::name)?,
        heartbeat_at: row.maybe_past("heartbeat_at")?,
        labels: labels(row)?,
        store: StoreTraits { deletes: row.maybe_flag("store_deletes")?, remarks: maybe_line(row, "store_remarks")? },
        contact: contact(row)?,
    };
    Ok((id, node))
}

fn maybe_percent(row: &mut Fields<'_>, column: &'static str) -> Field<Option<Percent>> {
    if row.is_null(column)? {
        return Ok(None);
    }
    match Percent::new(row.real_within(column, 0.0..=100.0)?) {
        Some(percent) => Ok(Some(percent)),
        None => row.leave_out(column, "there is no number"),
    }
}

/// What cannot be read introduces nobody.
fn contact(row: &mut Fields<'_>) -> Field<Contact> {
    let public_key = row.maybe_exact("public_key", 2 * KEY_BYTES)?.filter(|key| {
        let is_key = rules::is_key(key);
        if !is_key {
            row.report("public_key", "it is no 64 digits of hexadecimal and is taken as absent".to_owned());
        }
        is_key
    });
    let address = match row.is_null("gossip_address")? {
        true => None,
        false => Some(row.text("gossip_address", rules::ADDRESS_MAX)?),
    };
    Ok(Contact { address, public_key })
}

/// What was measured of a link.
pub fn measured_link(row: &mut Fields<'_>, nodes: &Nodes) -> Field<MeasuredLink> {
    let (from, to) = ends(row, nodes)?;
    Ok(MeasuredLink {
        from,
        to,
        latency_ms: row.real_within("latency_ms", longest_ms())?,
        loss_percent: row.real_within("loss_percent", 0.0..=100.0)?,
        bytes_per_s: row.measured("bytes_per_s", 0.0..=f64::MAX)?,
        at: row.time("at_ms")?,
    })
}

/// Two nodes that there are.
fn ends(row: &mut Fields<'_>, nodes: &Nodes) -> Field<(NodeId, NodeId)> {
    let (from, to) = (NodeId(row.id("from_node")?), NodeId(row.id("to_node")?));
    for (column, node) in [("from_node", from), ("to_node", to)] {
        if !nodes.contains_key(&node) {
            return row.leave_out(column, Rejection::UnknownNode(node));
        }
    }
    Ok((from, to))
}

/// What cannot be read labels nothing: then a constraint that names labels holds it back rather than lets it in.
fn labels(row: &mut Fields<'_>) -> Field<Labels> {
    if row.is_null("labels")? {
        return Ok(Labels::new());
    }
    let text = row.text("labels", GUARD_MAX)?;
    Ok(serde_json::from_str(&text).unwrap_or_else(|_| {
        row.report("labels", "it is no JSON object of texts and is taken as absent".to_owned());
        Labels::new()
    }))
}

/// What makes no sense was not noted.
fn versions(row: &mut Fields<'_>) -> Field<Versions> {
    let moment = |written: Option<i64>| written.map(Timestamp);
    Ok(Versions {
        version: row.amount("version")?,
        registered_at: moment(row.maybe_integer("registered_at")?),
        written_at: moment(row.maybe_integer("written_at")?),
        written_bytes: row.amount("written_bytes")?,
    })
}

/// What stands before every action on a data set. What cannot be read might forbid any: none begins until somebody mends it.
fn guard(row: &mut Fields<'_>) -> Field<Guard> {
    let paused_until = row.maybe_integer("paused_until")?.map(Timestamp);
    if row.is_null("constraints")? {
        return Ok(Guard { constraints: Constraints::default(), paused_until });
    }
    let text = row.text("constraints", GUARD_MAX)?;
    // An object: a list without anything in it would be read as one, too.
    let object: Result<serde_json::Map<_, _>, _> = serde_json::from_str(&text);
    Ok(match object.and_then(|object| serde_json::from_value(object.into())) {
        Ok(constraints) => Guard { constraints, paused_until },
        Err(_) => {
            let what = "it is no JSON of constraints, and nobody can tell what it forbids; no action is begun";
            row.report("constraints", what.to_owned());
            Guard { constraints: Constraints::default(), paused_until: Some(Guard::FOR_EVER) }
        }
    })
}

/// A data set's name and its guard.
pub fn guarded(row: &mut Fields<'_>) -> Field<(DataSetName, Guard)> {
    Ok((data_set_name(row, "name")?, guard(row)?))
}

/// What a row of `prices` is about.
#[derive(Clone, Copy)]
enum Priced {
    Storage,
    Egress,
    Budget,
}

impl Priced {
    const ALL: [Priced; 3] = [Priced::Storage, Priced::Egress, Priced::Budget];

    fn name(self) -> &'static str {
        match self {
            Priced::Storage => "storage",
            Priced::Egress => "egress",
            Priced::Budget => "budget",
        }
    }
}

/// A row of `prices`, as it is written.
pub struct PriceRow {
    pub what: &'static str,
    pub from_node: u32,
    pub to_node: u32,
    pub agent: u32,
    /// Absent: it is lifted.
    pub written: Option<String>,
}

impl From<&Stated> for PriceRow {
    fn from(stated: &Stated) -> Self {
        let nowhere = |what: Priced, written| Self { what: what.name(), from_node: 0, to_node: 0, agent: 0, written };
        match stated {
            Stated::Storage(node, price) => {
                Self { from_node: node.0, ..nowhere(Priced::Storage, price.map(|price| price.to_string())) }
            }
            Stated::Egress(from, to, price) => Self {
                from_node: from.0,
                to_node: to.0,
                ..nowhere(Priced::Egress, price.map(|price| price.to_string()))
            },
            Stated::Budget(payer, budget) => {
                Self { agent: payer.number(), ..nowhere(Priced::Budget, budget.map(|budget| budget.to_string())) }
            }
        }
    }
}

/// A price or a budget. `currency` is that of the first row, and has to be that of all. A budget that cannot be read is one of
/// nothing: whoever wrote it wanted to limit something.
pub fn stated(row: &mut Fields<'_>, currency: &mut Option<Currency>) -> Field<Stated> {
    let what = row.one_of("what", Priced::ALL, Priced::name)?;
    let (from, to) = (NodeId(row.id("from_node")?), NodeId(row.id("to_node")?));
    match what {
        Priced::Storage => {
            let price: StoragePrice = row.parsed("written")?;
            one_currency(row, price.currency, currency)?;
            Ok(Stated::Storage(from, Some(price)))
        }
        Priced::Egress => {
            let price: TransferPrice = row.parsed("written")?;
            one_currency(row, price.currency, currency)?;
            Ok(Stated::Egress(from, to, Some(price)))
        }
        Priced::Budget => {
            let payer = Payer::of_number(row.id("agent")?);
            let read = row
                .parsed("written")
                .and_then(|budget: Budget| one_currency(row, budget.currency, currency).map(|()| budget));
            let budget = read.unwrap_or_else(|LeftOut { why, .. }| {
                row.report("written", format!("{why}; nothing is spent until it is mended"));
                Budget::UNREADABLE
            });
            Ok(Stated::Budget(payer, Some(budget)))
        }
    }
}

fn one_currency(row: &Fields<'_>, own: Currency, all: &mut Option<Currency>) -> Field<()> {
    match *all.get_or_insert(own) {
        first if first == own => Ok(()),
        first => row.leave_out("written", format_args!("it is in {own}, and others are in {first}")),
    }
}

pub fn charge(row: &mut Fields<'_>) -> Field<Charge> {
    let cause = Cause {
        since: row.time("since_ms")?,
        agent: AgentId(row.id("agent")?),
        data_set: data_set_name(row, "data_set")?,
        kind: row.one_of("kind", ChargeKind::ALL, ChargeKind::name)?,
        from: NodeId(row.id("from_node")?),
        to: NodeId(row.id("to_node")?),
    };
    Ok(Charge { cause, bytes: row.amount("bytes")?, amount: Amount(row.integer("amount")?).or_nothing() })
}

/// What an agent was charged in a day (or hour); whole units and parts by themselves, so that no sum is too large.
pub fn spent(row: &mut Fields<'_>) -> Field<Spent> {
    let (since, agent) = (row.time("since_ms")?, AgentId(row.id("agent")?));
    Ok(Spent { since, agent, amount: Amount::sum_of(row.integer("units")?, row.integer("parts")?).or_nothing() })
}

/// Up to when what is held has been billed.
pub fn billed_until(row: &mut Fields<'_>) -> Field<Option<Timestamp>> {
    row.maybe_past("until_ms")
}

pub fn held(row: &mut Fields<'_>) -> Field<Held> {
    let (node, bytes) = stored(row)?;
    Ok(Held { data_set: data_set_name(row, "data_set")?, node, bytes })
}

/// An action under way that sends bytes.
pub fn running(row: &mut Fields<'_>) -> Field<Running> {
    let bytes = row.amount("bytes")?.min(BYTES_MAX);
    Ok(Running { agent: AgentId(row.id("agent")?), action: row.parsed("action")?, bytes })
}

/// A line for people; null is none.
fn maybe_line(row: &mut Fields<'_>, column: &'static str) -> Field<Option<String>> {
    if row.is_null(column)? { Ok(None) } else { row.text(column, LINE_BYTES_MAX).map(Some) }
}

/// A node whose store cannot be addressed is a node whose store was not started. The address itself is not repeated: it may hold
/// a password.
fn store_url(row: &mut Fields<'_>) -> Field<Option<String>> {
    if row.is_null("store_url")? {
        return Ok(None);
    }
    let url = row.text("store_url", 2 * KEY_MAX)?;
    if url.parse::<StoreUrl>().is_ok() {
        return Ok(Some(url));
    }
    row.report("store_url", "it is no address like http://HOST:PORT/BUCKET and is taken as absent".to_owned());
    Ok(None)
}

pub fn link(row: &mut Fields<'_>, nodes: &Nodes) -> Field<Link> {
    let (from, to) = ends(row, nodes)?;
    let latency_ms = row.real_within("latency_ms", longest_ms())?;
    let jitter_ms = row.real_within("jitter_ms", longest_ms())?;
    Ok(Link { from, to, latency_ms, jitter_ms })
}

pub fn peer(row: &mut Fields<'_>, nodes: &Nodes) -> Field<(AgentId, Peer)> {
    let (agent, node) = home(row)?;
    let (may_run_on, runs_at) = work(row)?;
    if !nodes.contains_key(&node) {
        return row.leave_out("node", Rejection::UnknownNode(node));
    }
    let registration =
        Registration { agent, node, goal: row.text("goal", GOAL_MAX)?, policy: row.name("policy")?, may_run_on };
    let heartbeat_at = row.maybe_past("heartbeat_at")?;
    let unexpected = u32::try_from(row.amount("unexpected")?).unwrap_or(u32::MAX);
    let health = Health { converged: row.flag("converged")?, unexpected };
    Ok((agent, Peer { registration, runs_at, overrides: overrides(row)?, heartbeat_at, health }))
}

/// What cannot be read asks for nothing: an agent does what its configuration says.
fn overrides(row: &mut Fields<'_>) -> Field<Overrides> {
    Ok(Overrides {
        goal: row.maybe_exact("goal_override", GOAL_MAX)?,
        policy: row.maybe_exact("policy_override", NAME_MAX)?,
    })
}

/// A row of `former_environment`, as it is written, but for its time.
pub struct FormerRow {
    pub from_node: u32,
    /// Of a link; else 0.
    pub to_node: u32,
    pub basis: &'static str,
    pub value: Option<f64>,
}

impl From<&Saying> for FormerRow {
    fn from(said: &Saying) -> Self {
        let (from_node, to_node) = match said.quantity {
            Quantity::Availability(node) => (node.0, 0),
            Quantity::Latency(from, to) => (from.0, to.0),
        };
        Self { from_node, to_node, basis: said.basis.name(), value: said.value }
    }
}

/// What was said of a node or a link before it was changed.
pub fn saying(row: &mut Fields<'_>) -> Field<Saying> {
    let (from, to) = (NodeId(row.id("from_node")?), row.id("to_node")?);
    let (quantity, possible) = match to {
        0 => (Quantity::Availability(from), 0.0..=100.0),
        to => (Quantity::Latency(from, NodeId(to)), longest_ms()),
    };
    let basis = row.one_of("basis", [Basis::Declared, Basis::Measured], Basis::name)?;
    Ok(Saying { quantity, basis, value: row.measured("value", possible)? })
}

/// Where an agent lives.
pub fn home(row: &mut Fields<'_>) -> Field<(AgentId, NodeId)> {
    Ok((AgentId(row.id("id")?), NodeId(row.id("node")?)))
}

/// Where an agent's jobs run.
pub fn seat(row: &mut Fields<'_>) -> Field<(AgentId, NodeId)> {
    let ((agent, home), (may_run_on, runs_at)) = (home(row)?, work(row)?);
    Ok((agent, Seat::of(home, &may_run_on, runs_at).node))
}

/// Where else an agent's jobs may run, and where they were moved to. What cannot be read lets them run at home alone.
fn work(row: &mut Fields<'_>) -> Field<(BTreeSet<NodeId>, Option<NodeId>)> {
    let runs_at = row.maybe_amount("runs_at")?.and_then(|node| u32::try_from(node).ok()).map(NodeId);
    if row.is_null("may_run_on")? {
        return Ok((BTreeSet::new(), runs_at));
    }
    let text = row.text("may_run_on", GUARD_MAX)?;
    let may_run_on = serde_json::from_str(&text).unwrap_or_else(|_| {
        row.report("may_run_on", "it is no JSON list of nodes and is taken as absent".to_owned());
        BTreeSet::new()
    });
    Ok((may_run_on, runs_at))
}

/// Whose an agent is, and when it was last heard of.
pub fn life(row: &mut Fields<'_>) -> Field<(Option<Life>, Option<Timestamp>)> {
    let life = if row.is_null("life")? { None } else { Some(Life(row.exact("life", JOB_MAX)?)) };
    Ok((life, row.maybe_past("heartbeat_at")?))
}

/// When an agent was last heard of.
pub fn heartbeat(row: &mut Fields<'_>) -> Field<(AgentId, Option<Timestamp>)> {
    Ok((AgentId(row.id("id")?), row.maybe_past("heartbeat_at")?))
}

pub fn removed(row: &mut Fields<'_>) -> Field<NodeId> {
    row.id("id").map(NodeId)
}

pub fn data_set_name(row: &mut Fields<'_>, column: &'static str) -> Field<DataSetName> {
    row.exact(column, NAME_MAX).map(DataSetName::from)
}

/// One that could not be verified is left out: agents go on against what they knew of it, and change nothing.
pub fn data_set(row: &mut Fields<'_>) -> Field<DataSet> {
    let (name, object_key, sha256) =
        (data_set_name(row, "name")?, row.exact("object_key", KEY_MAX)?, row.exact("sha256", KEY_MAX)?);
    if !is_sha256(&sha256) {
        return row.leave_out("sha256", "it is no SHA-256: 64 digits of lower-case hexadecimal");
    }
    let bytes = row.integer("bytes")?;
    match u64::try_from(bytes) {
        Ok(bytes @ 0..=BYTES_MAX) => {
            let (records, versions, guard) = (row.amount("records")?, versions(row)?, guard(row)?);
            Ok(DataSet { name, object_key, bytes, records, sha256, versions, guard })
        }
        _ => row.leave_out("bytes", format_args!("{bytes} is no size of a data set")),
    }
}

/// The same, and the generation of its planned placement. One that cannot rise any more could never be changed.
pub fn catalogued(row: &mut Fields<'_>) -> Field<(DataSet, i64)> {
    Ok((data_set(row)?, row.countable("generation")?))
}

/// What is new about a data set, but for the ends of actions.
pub fn pulse(row: &mut Fields<'_>) -> Field<Pulse> {
    Ok(Pulse {
        generation: row.countable("generation")?,
        changed_at: None,
        conditions: row.real_within("conditions", f64::MIN..=f64::MAX)?,
        said: row.integer("said")?,
    })
}

/// A row of `replicas`. One whose generation cannot rise any more could never be claimed.
pub fn any_replica(row: &mut Fields<'_>) -> Field<Replica> {
    let data_set = data_set_name(row, "data_set")?;
    let replica = placed(row, "id", data_set)?;
    Ok(Replica { validators: validators(row)?, remark: maybe_line(row, "remark")?, former: former(row)?, ..replica })
}

/// What makes no sense is not known: then the object itself is read before anything rests on it.
fn validators(row: &mut Fields<'_>) -> Field<Validators> {
    let etag = row.maybe_exact("etag", ETAG_MAX)?;
    let bytes = row.maybe_amount("object_bytes")?;
    Ok(Validators { bytes, etag, modified_ms: row.maybe_integer("modified_at_ms")? })
}

/// A replica of which nobody can tell what it holds is none.
fn former(row: &mut Fields<'_>) -> Field<Option<Former>> {
    if row.is_null("former")? {
        return Ok(None);
    }
    let text = row.text("former", GUARD_MAX)?;
    match serde_json::from_str::<Former>(&text) {
        Ok(former) if is_sha256(&former.sha256) => Ok(Some(former)),
        Ok(_) | Err(_) => row.leave_out("former", "it is no JSON of a version; `null` where it holds the newest"),
    }
}

/// The same, on a node that is registered.
pub fn replica(row: &mut Fields<'_>) -> Field<Replica> {
    let replica = any_replica(row)?;
    match row.flag("node_known")? {
        true => Ok(replica),
        false => row.leave_out("node", Rejection::UnknownNode(replica.node)),
    }
}

/// The same, unless its object is another replica's too: deleting it would lose data.
pub fn replica_to_remove(row: &mut Fields<'_>) -> Field<Replica> {
    let replica = any_replica(row)?;
    match row.flag("object_used")? {
        false => Ok(replica),
        true => row.leave_out("object_key", "another replica's row names the same object"),
    }
}

/// A row of `claims`.
pub fn claimed(row: &mut Fields<'_>, data_set: &DataSetName) -> Field<Replica> {
    placed(row, "replica", data_set.clone())
}

fn placed(row: &mut Fields<'_>, id: &'static str, data_set: DataSetName) -> Field<Replica> {
    Ok(Replica {
        id: ReplicaId(row.countable(id)?),
        data_set,
        node: NodeId(row.id("node")?),
        object_key: row.exact("object_key", KEY_MAX)?,
        state: row.one_of("state", ReplicaState::ALL, ReplicaState::name)?,
        generation: row.countable("generation")?,
        lease: lease(row)?,
        validators: Validators::default(),
        remark: None,
        former: None,
    })
}

/// An upload that somebody began.
pub fn upload(row: &mut Fields<'_>) -> Field<NotedUpload> {
    Ok(NotedUpload {
        object_key: row.exact("object_key", KEY_MAX)?,
        upload_id: row.exact("upload_id", KEY_MAX)?,
        agent: AgentId(row.id("agent")?),
        begun_at: row.time("begun_at_ms")?,
    })
}

/// A lease without holder or end is none; nor is one that would hold for longer than any can.
fn lease(row: &mut Fields<'_>) -> Field<Option<Lease>> {
    let (Some(holder), Some(until)) = (row.maybe_integer("lease_holder")?, row.maybe_time("lease_until")?) else {
        return Ok(None);
    };
    let Ok(holder) = u32::try_from(holder).map(AgentId) else {
        row.report("lease_holder", format!("{holder} is no id; nobody holds the lease"));
        return Ok(None);
    };
    if until > row.now() + LONGEST {
        row.report("lease_until", "no lease holds for so long; nobody holds it".to_owned());
        return Ok(None);
    }
    Ok(Some(Lease { holder, until }))
}

/// Who reads which of these replicas.
pub fn reference(row: &mut Fields<'_>, replicas: &BTreeMap<ReplicaId, Replica>) -> Field<(AgentId, ReplicaId)> {
    let (agent, replica) = (AgentId(row.id("agent")?), ReplicaId(row.integer("replica")?));
    match replicas.contains_key(&replica) {
        true => Ok((agent, replica)),
        false => row.leave_out("replica", format_args!("there is no replica {replica} of this data set")),
    }
}

/// Who reads which data set.
pub fn reader(row: &mut Fields<'_>) -> Field<(AgentId, DataSetName)> {
    Ok((AgentId(row.id("agent")?), data_set_name(row, "data_set")?))
}

pub fn counter(row: &mut Fields<'_>) -> Field<(Action, Counter)> {
    let value = u32::try_from(row.amount("value")?).unwrap_or(u32::MAX);
    Ok((row.parsed("action")?, Counter { value, changed_at: row.time("changed_at_ms")? }))
}

/// How often a replica was copied.
pub fn copies(row: &mut Fields<'_>) -> Field<(ReplicaId, u32)> {
    let copies = u32::try_from(row.amount("copies")?).unwrap_or(u32::MAX);
    Ok((ReplicaId(row.integer("replica")?), copies))
}

/// The size of a replica of any data set, and its node.
pub fn stored(row: &mut Fields<'_>) -> Field<(NodeId, u64)> {
    Ok((NodeId(row.id("node")?), row.amount("bytes")?.min(BYTES_MAX)))
}

pub fn event(row: &mut Fields<'_>) -> Field<Event> {
    let outcomes = [Outcome::Running, Outcome::Done, Outcome::Failed, Outcome::Aborted];
    Ok(Event {
        id: EventId(row.countable("id")?),
        agent: AgentId(row.id("agent")?),
        data_set: data_set_name(row, "data_set")?,
        replica: ReplicaId(row.integer("replica")?),
        action: row.parsed("action")?,
        explored: row.flag("explored")?,
        posted_at: row.time("posted_at_ms")?,
        closes_at: row.time("closes_at_ms")?,
        window: row.one_of("state", [Window::Open, Window::Closed], Window::name)?,
        outcome: row.one_of("outcome", outcomes, Outcome::name)?,
        ended_at: row.maybe_time("ended_at_ms")?,
        feedback_sum: row.real_within("feedback_sum", 0.0..=FEEDBACK_MAX)?,
        detail: row.text("detail", DETAIL_MAX)?,
    })
}

/// An open event that can have happened: of an agent and of nodes that are registered or were, in the past, and claimed if it
/// runs. Any other is nobody's doing: it is blamed for nothing and nobody waits for it.
pub fn open_event(
    row: &mut Fields<'_>,
    nodes: &Nodes,
    agents: &FlatMap<AgentId, Peer>,
    removed: &BTreeSet<NodeId>,
) -> Field<Event> {
    let event = event(row)?;
    if !is_somebodys(&event, agents.contains_key(&event.agent), removed) {
        return row.leave_out("agent", format_args!("agent {} is not registered", event.agent));
    }
    if let Some(node) = action_nodes(event.action).find(|node| !nodes.contains_key(node) && !removed.contains(node)) {
        return row.leave_out("action", Rejection::UnknownNode(node));
    }
    if event.posted_at > row.now() + TOLERANCE {
        return row.leave_out("posted_at_ms", "it lies in the future; was the time scale changed?");
    }
    if event.closes_at > event.posted_at + LONGEST {
        return row.leave_out("closes_at_ms", "no window is open for so long");
    }
    if event.outcome == Outcome::Running && !row.flag("claimed")? {
        return row.leave_out("outcome", "it is running and nothing was claimed for it");
    }
    Ok(event)
}

fn action_nodes(action: Action) -> impl Iterator<Item = NodeId> {
    [action.from_node(), action.to_node()].into_iter().flatten()
}

pub fn feedback(row: &mut Fields<'_>) -> Field<Feedback> {
    let (event, agent) = (EventId(row.integer("event")?), AgentId(row.id("agent")?));
    Ok(Feedback { event, agent, p: row.real_within("p", 0.0..=1.0)?, left_at: row.time("left_at_ms")? })
}

pub fn recorded(row: &mut Fields<'_>) -> Field<Recorded> {
    let mut metrics = Metrics::default();
    for metric in Metric::ALL {
        if let Some(value) = row.measured(metric_column(metric), metric.measurable())? {
            metrics.set(metric, value);
        }
    }
    let measurement = Measurement {
        agent: AgentId(row.id("agent")?),
        data_set: data_set_name(row, "data_set")?,
        replica: ReplicaId(row.integer("replica")?),
        node: NodeId(row.id("node")?),
        at: row.time("at_ms")?,
        metrics,
        ran_at: row.maybe_amount("ran_at")?.and_then(|node| u32::try_from(node).ok()).map(NodeId),
        emulated_latency_ms: row.measured("emulated_latency_ms", longest_ms())?,
        traffic: None,
        parts: parts(row)?,
        result: maybe_line(row, "result")?,
        failure: failure(row)?,
        job: row.text("job", JOB_MAX)?,
    };
    Ok(Recorded { id: row.countable("id")?, measurement, satisfied: row.flag("satisfied")? })
}

/// Of a job that reads several data sets; the job itself counts also where they make no sense.
fn parts(row: &mut Fields<'_>) -> Field<Vec<Part>> {
    if row.is_null("job_parts")? {
        return Ok(Vec::new());
    }
    let text = row.text("job_parts", GUARD_MAX)?;
    let is_sane = |part: &Part| part.metrics.iter().all(|(metric, value)| metric.measurable().contains(&value));
    match serde_json::from_str::<Vec<Part>>(&text) {
        Ok(parts) if parts.iter().all(is_sane) => Ok(parts),
        Ok(_) | Err(_) => {
            row.report(
                "job_parts",
                "it is no JSON of what each data set had to do with the job; read as nothing".to_owned(),
            );
            Ok(Vec::new())
        }
    }
}

fn failure(row: &mut Fields<'_>) -> Field<Option<JobFailure>> {
    if row.is_null("failure")? {
        return Ok(None);
    }
    let kind = row.one_of("failure", FailureKind::ALL, FailureKind::name)?;
    Ok(Some(JobFailure { kind, why: maybe_line(row, "failure_reason")?.unwrap_or_default() }))
}

/// The longest label that something is learned under: a data set's name, and an action \[bytes\].
const LABEL_MAX: usize = NAME_MAX + 45;

/// What was learned under a label about a metric, and how often.
pub fn impact(row: &mut Fields<'_>) -> Field<(String, Metric, f64, u32)> {
    let samples = u32::try_from(row.amount("samples")?).unwrap_or(u32::MAX);
    let value = row.real_within("value", -1.0..=1.0)?;
    Ok((row.exact("action", LABEL_MAX)?, row.parsed("metric")?, value, samples))
}

/// A question, without its nodes and replies.
pub fn ask(row: &mut Fields<'_>) -> Field<Ask> {
    let posted_at = row.time("posted_at_ms")?;
    if posted_at > row.now() + TOLERANCE {
        return row.leave_out("posted_at_ms", "it lies in the future; was the time scale changed?");
    }
    Ok(Ask {
        id: ask_id(row, "id")?,
        agent: AgentId(row.id("agent")?),
        generation: row.integer("generation")?,
        nodes: BTreeSet::new(),
        action: if row.is_null("action")? { None } else { Some(row.parsed("action")?) },
        afresh: row.flag("afresh")?,
        level: row.real_only_within("level", LEVEL)?,
        posted_at,
        closed: row.flag("closed")?,
        replies: BTreeMap::new(),
    })
}

pub fn ask_node(row: &mut Fields<'_>) -> Field<(AskId, NodeId)> {
    Ok((ask_id(row, "ask")?, NodeId(row.id("node")?)))
}

/// Who replied, and what, without names and forecasts.
pub fn reply(row: &mut Fields<'_>) -> Field<(AskId, AgentId, Reply)> {
    let nodes = row.text("nodes", NODES_LONGEST)?;
    let Ok(nodes) = conversation::from_list(&nodes) else {
        return row.leave_out("nodes", "it is no list of nodes, like `1 2 5`");
    };
    let reply = Reply {
        level: row.real_only_within("level", LEVEL)?,
        nodes,
        said: u32::try_from(row.amount("said")?).unwrap_or(u32::MAX),
        ..Reply::default()
    };
    Ok((ask_id(row, "ask")?, AgentId(row.id("agent")?), reply))
}

pub fn named_node(row: &mut Fields<'_>) -> Field<(AskId, AgentId, NodeId)> {
    Ok((ask_id(row, "ask")?, AgentId(row.id("agent")?), NodeId(row.id("node")?)))
}

pub fn forecast(row: &mut Fields<'_>) -> Field<(AskId, AgentId, Prospect, f64)> {
    let replicas = row.integer("replicas")?;
    let Ok(replicas) = conversation::from_column(replicas) else {
        return row.leave_out("replicas", format_args!("{replicas} is no number of replicas"));
    };
    let prospect = (NodeId(row.id("node")?), replicas);
    let change = row.real_only_within("level_change", -1.0..=1.0)?;
    Ok((ask_id(row, "ask")?, AgentId(row.id("agent")?), prospect, change))
}

fn ask_id(row: &mut Fields<'_>, column: &'static str) -> Field<AskId> {
    row.countable(column).map(AskId)
}
