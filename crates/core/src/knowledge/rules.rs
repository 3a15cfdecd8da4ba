//! What every technology decides alike, on rows that it has loaded: pure, like `domain::saga`, so that none can disagree.

use super::quarantine::DETAIL_MAX;
use super::{ClosedEvent, ClosingRule, Counter, Feedback, KnowledgeError};
use crate::domain::action::{Action, ActionType};
use crate::domain::ask::{Ask, NODES_MAX, Question, Reply};
use crate::domain::books::{Stated, Tariff};
use crate::domain::constraints::{Constraints, Forbidden, Guard};
use crate::domain::environment::{Contact, Links, Measured};
use crate::domain::event::{Event, Outcome, Window};
use crate::domain::feedback::{aggregate, blame, counter_after};
use crate::domain::flat_map::FlatMap;
use crate::domain::ids::{AgentId, AskId, DataSetName, EventId, Life, NodeId, ReplicaId};
use crate::domain::impact::Impacts;
use crate::domain::labels::Labels;
use crate::domain::link_table::LinkTable;
use crate::domain::measurement::Measurement;
use crate::domain::metric::Metrics;
use crate::domain::money::Currency;
use crate::domain::placement::{
    Claim, DataSet, Identity, Lease, Link, Node, NodeState, Peer, Placement, Plan, Registration, Replica, ReplicaState,
};
use crate::domain::saga::{self, Change, Lost, Refused};
use crate::domain::text::{LINE_MAX, NAME_MAX, shortened};
use crate::domain::time::Timestamp;
use crate::domain::versions::Former;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Questions are kept for so long at least.
const ASKS_KEPT: Duration = Duration::from_secs(86_400);
/// `HOST:PORT` \[characters\].
pub const ADDRESS_MAX: usize = 255;
/// So many old ones are deleted with each new one, so that none takes long: more than are added.
pub const FORGOTTEN_AT_ONCE: i64 = 20;

/// A request that makes no sense, in the same words whatever the technology. Nothing was changed.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum Rejection {
    #[error("node {0} is not registered")]
    UnknownNode(NodeId),
    #[error("data set `{0}` is not in the catalogue")]
    UnknownDataSet(DataSetName),
    #[error("there is no event {0}")]
    UnknownEvent(EventId),
    #[error("there is no link from node {0} to node {1}")]
    UnknownLink(NodeId, NodeId),
    #[error(
        "data set `{name}` is in the catalogue with other content ({bytes} bytes, SHA-256 {sha256}); give this one another name"
    )]
    OtherContent { name: DataSetName, bytes: u64, sha256: String },
    #[error("idempotency key `{key}` belongs to event {event} of agent {agent} (`{action}`) already")]
    KeyTaken { key: String, event: EventId, agent: AgentId, action: Action },
    #[error("`{0}` is not the decision to do nothing")]
    NotNothing(Action),
    #[error("an action ends as failed or aborted here, not as {}", .0.name())]
    NotAnEnd(Outcome),
    #[error("replica {0} is {state}, not removing", state = .1.name())]
    NotRemoving(ReplicaId, ReplicaState),
    #[error("{what} is {value}, which is not a finite number")]
    NotFinite { what: String, value: f64 },
    #[error("a latency or jitter of {0} ms is negative")]
    NegativeLatency(f64),
    #[error("{what} is {value}, more than a table can hold")]
    TooLarge { what: &'static str, value: u64 },
    #[error("`{0}` comes without impacts; nothing was learned")]
    NothingLearned(String),
    #[error("data set `{0}` comes without a SHA-256: 64 digits of lower-case hexadecimal")]
    NotASha256(DataSetName),
    #[error("agent {0} has not registered that its jobs can be handed to node {1} (`may_run_on`)")]
    MayNotRun(AgentId, NodeId),
    #[error("agent {0} cannot move the work of agent {1}")]
    NotItsWork(AgentId, AgentId),
    #[error("agent {0} is not registered")]
    UnknownAgent(AgentId),
    #[error("{what} has {length} characters; a table holds {most}")]
    TooLong { what: &'static str, length: usize, most: usize },
    #[error("a question is about 1 to {NODES_MAX} nodes, not {0}")]
    NotAQuestion(usize),
    #[error("{what} is {value}, which is not within {lowest} and 1")]
    OutOfRange { what: &'static str, value: f64, lowest: f64 },
    #[error("there is a node {0} already, `{1}`")]
    NodeExists(NodeId, String),
    #[error("node {0} is called `{1}` already")]
    NameTaken(NodeId, String),
    #[error("there is a link from node {0} to node {1} already")]
    LinkExists(NodeId, NodeId),
    #[error("a link from node {0} to node {1} is missing; state the latency to and from every other node")]
    LinkMissing(NodeId, NodeId),
    #[error(
        "node {0} is known by another key: two machines call themselves node {0}, or its key file was lost; stop one, or let go \
         of the former key with `agent members --forget {0}`"
    )]
    OtherKey(NodeId),
    #[error("{0}")]
    NotAContact(&'static str),
    #[error("node {0} is leaving")]
    NodeLeaves(NodeId),
    #[error("node {0} is not leaving")]
    NotLeaving(NodeId),
    #[error("node {node} holds the only replica of data set `{data_set}`; copy or move it to another node first")]
    OnlyReplica { node: NodeId, data_set: DataSetName },
    #[error("data set `{data_set}` does not let its replica on node {node} go: {why}; see `agent set constraints`")]
    Held { node: NodeId, data_set: DataSetName, why: Forbidden },
    #[error("data set `{data_set}` may not lie there: {why}; see `agent set constraints`")]
    Barred { data_set: DataSetName, why: Forbidden },
    #[error("prices and budgets are in {0}, and this one is in {1}: a network has one currency")]
    TwoCurrencies(Currency, Currency),
    #[error("agent {agent} reads data set `{data_set}`; stop it first")]
    AgentReads { agent: AgentId, data_set: DataSetName },
    #[error("agent {agent} runs on node {node}; stop it first")]
    AgentLives { agent: AgentId, node: NodeId },
    #[error("event {event} (`{action}` of agent {agent}) is under way on node {node}; try again when it has ended")]
    ClaimRuns { event: EventId, action: Action, agent: AgentId, node: NodeId },
}

impl Rejection {
    pub fn during(self, operation: &'static str) -> KnowledgeError {
        KnowledgeError::Rejected { operation, reason: self.to_string() }
    }
}

/// Whether these nodes and links make sense beside the nodes that are registered.
pub fn check_network(registered: &BTreeSet<NodeId>, nodes: &[Node], links: &[Link]) -> Result<(), Rejection> {
    let known = |id: NodeId| registered.contains(&id) || nodes.iter().any(|node| node.id == id);
    for node in nodes {
        check_length("a node's name", &node.name, NAME_MAX)?;
        check_size("a capacity in bytes", node.capacity_bytes.unwrap_or(0))?;
    }
    for link in links {
        if let Some(unknown) = [link.from, link.to].into_iter().find(|id| !known(*id)) {
            return Err(Rejection::UnknownNode(unknown));
        }
        check_latency(link.latency_ms)?;
        check_latency(link.jitter_ms)?;
    }
    Ok(())
}

/// The part of a configured network that is to be added: without the nodes that were `removed`, and their links.
pub fn still_wanted(nodes: &[Node], links: &[Link], removed: &BTreeSet<NodeId>) -> (Vec<Node>, Vec<Link>) {
    let nodes = nodes.iter().filter(|node| !removed.contains(&node.id)).cloned();
    let joins_removed = |link: &Link| removed.contains(&link.from) || removed.contains(&link.to);
    (nodes.collect(), links.iter().filter(|link| !joins_removed(link)).copied().collect())
}

/// Whether these nodes can be added to those that are registered. Of the links, those that exist are given; where they are
/// injected, each has to be declared.
pub fn check_addition(
    registered: &FlatMap<NodeId, Node>,
    linked: &LinkTable,
    (nodes, links): (&[Node], &[Link]),
    are: Links,
) -> Result<(), Rejection> {
    let mut all = registered.clone();
    for node in nodes {
        if let Some(known) = all.values().find(|known| known.name == node.name && known.id != node.id) {
            return Err(Rejection::NameTaken(known.id, known.name.clone()));
        }
        if let Some(known) = all.insert(node.id, node.clone()) {
            return Err(Rejection::NodeExists(known.id, known.name));
        }
    }
    check_network(&registered.keys().copied().collect(), nodes, links)?;
    let mut ways = BTreeSet::new();
    for link in links {
        if linked.get(link.from, link.to).is_some() || !ways.insert((link.from, link.to)) {
            return Err(Rejection::LinkExists(link.from, link.to));
        }
    }
    if are == Links::Measured {
        return Ok(());
    }
    let others = || all.values().filter(|node| node.state != NodeState::Leaving).map(|node| node.id);
    let pairs = nodes.iter().flat_map(|node| others().map(move |other| (node.id, other)));
    let both = pairs.flat_map(|(node, other)| [(node, other), (other, node)]);
    let is_there = |from, to| ways.contains(&(from, to)) || linked.get(from, to).is_some();
    match both.filter(|(from, to)| from != to).find(|(from, to)| !is_there(*from, *to)) {
        Some((from, to)) => Err(Rejection::LinkMissing(from, to)),
        None => Ok(()),
    }
}

/// Whether a node may leave as far as its applications and the actions under way are concerned.
pub fn check_leave(
    node: NodeId,
    peers: &FlatMap<AgentId, Peer>,
    running: &[Claim],
    silence: Duration,
    now: Timestamp,
) -> Result<(), Rejection> {
    let lives = |peer: &&Peer| peer.registration.node == node && is_alive(peer.heartbeat_at, silence, now);
    if let Some(peer) = peers.values().find(lives) {
        return Err(Rejection::AgentLives { agent: peer.registration.agent, node });
    }
    let concerns =
        |claim: &&Claim| std::iter::once(&claim.source).chain(&claim.destination).any(|row| row.node == node);
    match running.iter().find(concerns) {
        Some(Claim { event, action, agent, .. }) => {
            Err(Rejection::ClaimRuns { event: *event, action: *action, agent: *agent, node })
        }
        None => Ok(()),
    }
}

/// Whether a data set may be forgotten as far as its readers and the actions under way are concerned.
pub fn check_removal(
    data_set: &DataSetName,
    readers: &FlatMap<AgentId, Peer>,
    running: &[Claim],
    silence: Duration,
    now: Timestamp,
) -> Result<(), Rejection> {
    if let Some(peer) = readers.values().find(|peer| is_alive(peer.heartbeat_at, silence, now)) {
        return Err(Rejection::AgentReads { agent: peer.registration.agent, data_set: data_set.clone() });
    }
    match running.iter().find(|claim| claim.data_set == *data_set) {
        Some(Claim { event, action, agent, source, .. }) => {
            Err(Rejection::ClaimRuns { event: *event, action: *action, agent: *agent, node: source.node })
        }
        None => Ok(()),
    }
}

/// What becomes of a tariff to which one is added that is missing there.
pub fn with_missing(known: &Tariff, added: &Tariff) -> Result<Tariff, Rejection> {
    let mut tariff = known.clone();
    tariff.add_missing(added);
    of_one_currency(known, tariff)
}

/// What becomes of a tariff in which one thing is stated anew.
pub fn with_stated(known: &Tariff, stated: &Stated) -> Result<Tariff, Rejection> {
    let mut tariff = known.clone();
    tariff.set(*stated);
    of_one_currency(known, tariff)
}

fn of_one_currency(known: &Tariff, tariff: Tariff) -> Result<Tariff, Rejection> {
    let currency = known.currency().or(tariff.currency());
    let other = tariff.currencies().find(|other| currency.is_some_and(|currency| currency != *other));
    match currency.zip(other) {
        Some((currency, other)) => Err(Rejection::TwoCurrencies(currency, other)),
        None => Ok(tariff),
    }
}

/// As a table keeps them; `None`: there are none.
pub fn written_constraints(constraints: &Constraints) -> Option<String> {
    (!constraints.is_none()).then(|| written(constraints))
}

/// As a table keeps them; `None`: there are none.
pub fn written_labels(labels: &Labels) -> Option<String> {
    (!labels.is_empty()).then(|| written(labels))
}

/// As a table keeps them; `None`: there are none.
pub fn written_nodes(nodes: &BTreeSet<NodeId>) -> Option<String> {
    (!nodes.is_empty()).then(|| written(nodes))
}

/// As a table keeps it; `None`: the replica holds the newest version.
pub fn written_former(former: Option<&Former>) -> Option<String> {
    former.map(written)
}

fn written(value: &impl serde::Serialize) -> String {
    // Numbers and texts only: nothing that JSON cannot say.
    serde_json::to_string(value).expect("these are JSON")
}

/// Whether a data set may begin at a node.
pub fn check_first_node(data_set: &DataSet, node: &Node) -> Result<(), Rejection> {
    check_stays(node)?;
    let barred = data_set.guard.constraints.bars(node);
    barred.map_or(Ok(()), |why| Err(Rejection::Barred { data_set: data_set.name.clone(), why }))
}

/// Whether a node can be given anything new.
pub fn check_stays(node: &Node) -> Result<(), Rejection> {
    if node.state == NodeState::Leaving { Err(Rejection::NodeLeaves(node.id)) } else { Ok(()) }
}

/// What becomes of a leaving node's replica of one data set.
pub fn leave(
    (data_set, guard): (&DataSetName, &Guard),
    placement: &Placement,
    links: &LinkTable,
    seats: &BTreeMap<AgentId, NodeId>,
    node: NodeId,
    (now, drained_at): (Timestamp, Timestamp),
) -> Result<Vec<Change>, Rejection> {
    saga::leave(placement, links, seats, guard, node, (now, drained_at)).map_err(|refused| match refused {
        Refused::Forbidden(why) => Rejection::Held { node, data_set: data_set.clone(), why },
        Refused::LeaseLost(_) | Refused::Gone(_) | Refused::LastReplica(_) => {
            Rejection::OnlyReplica { node, data_set: data_set.clone() }
        }
    })
}

/// Whether somebody was heard of within `silence`.
pub fn is_alive(heartbeat_at: Option<Timestamp>, silence: Duration, now: Timestamp) -> bool {
    heartbeat_at.is_some_and(|at| now.since(at) <= silence)
}

/// How long an agent still belongs to the life that is registered; `None`: it is free for the one that asks.
pub fn taken(
    holder: Option<&Life>,
    heartbeat_at: Option<Timestamp>,
    identity: &Identity,
    now: Timestamp,
) -> Option<Duration> {
    let known = |life: &Life| *life == identity.life || identity.ended.contains(life);
    let heard_at = heartbeat_at.filter(|_| !holder.is_some_and(known))?;
    let silent = now.since(heard_at);
    (silent <= identity.silence).then(|| identity.silence - silent + Duration::from_millis(1))
}

/// Whether there can be a link between two nodes.
pub fn check_ends((from, to): (NodeId, NodeId), is_known: impl Fn(&NodeId) -> bool) -> Result<(), Rejection> {
    match from != to && is_known(&from) && is_known(&to) {
        true => Ok(()),
        false => Err(Rejection::UnknownLink(from, to)),
    }
}

pub fn check_latency(latency_ms: f64) -> Result<(), Rejection> {
    if !latency_ms.is_finite() {
        return Err(Rejection::NotFinite { what: "latency".to_owned(), value: latency_ms });
    }
    if latency_ms < 0.0 { Err(Rejection::NegativeLatency(latency_ms)) } else { Ok(()) }
}

/// Whether somebody can be found and known by this.
pub fn check_contact(contact: &Contact) -> Result<(), Rejection> {
    if contact.public_key.as_deref().is_some_and(|key| !is_key(key)) {
        return Err(Rejection::NotAContact("a public key has 64 digits of lower-case hexadecimal"));
    }
    contact.address.as_deref().map_or(Ok(()), |address| check_length("an address", address, ADDRESS_MAX))
}

/// Whether a node may say that its key is this one: it has said so before, or nothing.
pub fn check_key(node: NodeId, known: Option<&str>, contact: &Contact) -> Result<(), Rejection> {
    match (known, &contact.public_key) {
        (Some(known), Some(key)) if known != key => Err(Rejection::OtherKey(node)),
        (Some(_) | None, _) => Ok(()),
    }
}

/// 32 bytes of lower-case hexadecimal.
pub fn is_key(text: &str) -> bool {
    is_sha256(text)
}

/// Whether these can have been measured.
pub fn check_measured(measured: &Measured) -> Result<(), Rejection> {
    for link in &measured.links {
        check_latency(link.latency_ms)?;
        let numbers = [("a loss", Some(link.loss_percent)), ("a rate", link.bytes_per_s)];
        for (what, value) in numbers.into_iter().filter_map(|(what, value)| Some((what, value?))) {
            if !value.is_finite() || value < 0.0 {
                return Err(Rejection::NotFinite { what: what.to_owned(), value });
            }
        }
    }
    Ok(())
}

/// Whether a data set's sizes fit into a table, and its content can be verified.
pub fn check_sizes(data_set: &DataSet) -> Result<(), Rejection> {
    if !is_sha256(&data_set.sha256) {
        return Err(Rejection::NotASha256(data_set.name.clone()));
    }
    check_length("the data set's name", &data_set.name.0, NAME_MAX)?;
    check_size("the size in bytes", data_set.bytes)?;
    check_size("the number of records", data_set.records)
}

/// SQL integers are signed.
fn check_size(what: &'static str, value: u64) -> Result<(), Rejection> {
    i64::try_from(value).map(|_| ()).map_err(|_| Rejection::TooLarge { what, value })
}

fn check_length(what: &'static str, text: &str, most: usize) -> Result<(), Rejection> {
    match text.chars().count() {
        length if length > most => Err(Rejection::TooLong { what, length, most }),
        _ => Ok(()),
    }
}

/// 64 digits of lower-case hexadecimal.
pub fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// No SQL table holds infinity or NaN in a way that all clients agree about.
fn check_finite(values: &Metrics) -> Result<(), Rejection> {
    match values.iter().find(|(_, value)| !value.is_finite()) {
        Some((metric, value)) => Err(Rejection::NotFinite { what: metric.to_string(), value }),
        None => Ok(()),
    }
}

/// Whether a measurement can be kept.
pub fn check_measurement(measurement: &Measurement) -> Result<(), Rejection> {
    check_finite(&measurement.metrics)?;
    measurement.parts.iter().try_for_each(|part| check_finite(&part.metrics))?;
    match measurement.emulated_latency_ms {
        Some(value) if !value.is_finite() => Err(Rejection::NotFinite { what: "emulated latency".to_owned(), value }),
        Some(_) | None => Ok(()),
    }
}

/// What each data set had to do with a job, as it is kept; `None` where it reads one.
pub fn parts(measurement: &Measurement) -> Option<String> {
    (!measurement.parts.is_empty()).then(|| serde_json::json!(measurement.parts).to_string())
}

/// What is kept of a job's result or of why it failed: a line for people.
pub fn kept_line(text: &str) -> String {
    shortened(text, LINE_MAX).into_owned()
}

/// Why nothing may be brought to a node; `None`: it may.
pub fn no_destination(node: &Node, action: Action) -> Option<Lost> {
    if node.state == NodeState::Leaving {
        return Some(Lost::Leaving(node.id));
    }
    (action.transfers() && node.store.deletes == Some(false)).then_some(Lost::CannotDelete(node.id))
}

/// Why an agent's work may not be moved as planned now; `None`: it may, or the plan is about something else. Rejected when it is neither
/// its own agent's doing nor a person's, or the node is unknown or none that its user allows.
pub fn no_seat(plan: &Plan, whose: Option<&Registration>, node: Option<&Node>) -> Result<Option<Lost>, Rejection> {
    let Action::MoveWork { agent, to } = plan.action else { return Ok(None) };
    if ![agent, AgentId::OPERATOR].contains(&plan.agent) {
        return Err(Rejection::NotItsWork(plan.agent, agent));
    }
    let whose = whose.ok_or(Rejection::UnknownAgent(agent))?;
    let node = node.ok_or(Rejection::UnknownNode(to))?;
    if !whose.lets_run_on(to) {
        return Err(Rejection::MayNotRun(agent, to));
    }
    Ok((node.state == NodeState::Leaving).then_some(Lost::Leaving(to)))
}

/// Whether a claim's changes take room on a node that has a limit: one that mends takes the place of what it mends, one that refreshes
/// lies beside the former version for a while.
pub fn takes_room(node: &Node, placement: &Placement, changes: &[Change]) -> bool {
    let arrives = |change: &Change| matches!(change, Change::Insert { state: ReplicaState::Copying, .. });
    let mends = placement.unsound_on(node.id).is_some_and(|row| row.state.is_unsound());
    node.capacity_bytes.is_some() && !mends && changes.iter().any(arrives)
}

/// Why so many bytes more cannot lie on a node; `None`: they can. `stored` are those of all data sets that lie there or are on
/// their way: claims reserve what they bring.
pub fn no_room(node: &Node, stored: u64, bytes: u64) -> Option<Lost> {
    let is_full = node.capacity_bytes.is_some_and(|capacity| stored.saturating_add(bytes) > capacity);
    is_full.then_some(Lost::NoRoom(node.id))
}

/// Whether there is something to learn.
pub fn check_impacts(label: &str, impacts: &Impacts) -> Result<(), Rejection> {
    match impacts.iter().next() {
        Some(_) => check_finite(impacts),
        None => Err(Rejection::NothingLearned(label.to_owned())),
    }
}

/// Whether `known` is the data set that is registered again.
pub fn check_same_content(known: &DataSet, again: &DataSet) -> Result<(), Rejection> {
    if known.bytes == again.bytes && known.sha256 == again.sha256 {
        return Ok(());
    }
    Err(Rejection::OtherContent { name: known.name.clone(), bytes: known.bytes, sha256: known.sha256.clone() })
}

/// An idempotency key that came again must come with the same request.
pub fn check_same_request(known: &Event, plan: &Plan) -> Result<(), Rejection> {
    if known.agent == plan.agent && known.action == plan.action && known.data_set == plan.data_set {
        return Ok(());
    }
    Err(Rejection::KeyTaken { key: plan.key.clone(), event: known.id, agent: known.agent, action: known.action })
}

/// Whether a question can be posted.
pub fn check_question(question: &Question) -> Result<(), Rejection> {
    match question.nodes.len() {
        1..=NODES_MAX => check_within("the asker's level", question.level, 0.0),
        count => Err(Rejection::NotAQuestion(count)),
    }
}

/// Whether an answer makes sense.
pub fn check_reply(reply: &Reply) -> Result<(), Rejection> {
    check_within("the level", reply.level, 0.0)?;
    reply.forecasts.values().try_for_each(|change| check_within("a forecast", *change, -1.0))
}

fn check_within(what: &'static str, value: f64, lowest: f64) -> Result<(), Rejection> {
    if (lowest..=1.0).contains(&value) { Ok(()) } else { Err(Rejection::OutOfRange { what, value, lowest }) }
}

/// A question as it is posted. `id` is the table's to give.
pub fn asked(id: AskId, question: &Question, now: Timestamp) -> Ask {
    Ask {
        id,
        agent: question.agent,
        generation: question.generation,
        nodes: question.nodes.clone(),
        action: question.action,
        afresh: question.afresh,
        level: question.level,
        posted_at: now,
        closed: false,
        replies: BTreeMap::new(),
    }
}

/// Questions from before then may be forgotten.
pub fn forgotten_before(now: Timestamp) -> Timestamp {
    earliest(now, ASKS_KEPT)
}

/// The first moment that lies within this time.
pub fn earliest(now: Timestamp, within: Duration) -> Timestamp {
    Timestamp(now.0.saturating_sub(i64::try_from(within.as_millis()).unwrap_or(i64::MAX)))
}

/// Only rows whose object was dropped from the catalogue may go.
pub fn check_removing(row: &Replica) -> Result<(), Rejection> {
    match row.state {
        ReplicaState::Removing => Ok(()),
        ReplicaState::Copying | ReplicaState::Present | ReplicaState::Changed | ReplicaState::Damaged => {
            Err(Rejection::NotRemoving(row.id, row.state))
        }
    }
}

pub fn check_end(outcome: Outcome) -> Result<(), Rejection> {
    match outcome {
        Outcome::Failed | Outcome::Aborted => Ok(()),
        Outcome::Running | Outcome::Done => Err(Rejection::NotAnEnd(outcome)),
    }
}

/// What an agent without a reference is given: the replica on its own node, else the one of the lowest id.
pub fn first_reference(placement: &Placement, home: NodeId) -> Option<ReplicaId> {
    let at_home = placement.present().find(|replica| replica.node == home);
    at_home.or_else(|| placement.present().next()).map(|replica| replica.id)
}

/// Whether an agent's reference can be read.
pub fn reads_present(placement: &Placement, agent: AgentId) -> bool {
    placement.reference(agent).is_some_and(|replica| replica.state == ReplicaState::Present)
}

/// The event of a plan, as it is posted. `id` is the table's to give.
pub fn posted(id: EventId, plan: &Plan, now: Timestamp, window: Option<Duration>) -> Event {
    Event {
        id,
        agent: plan.agent,
        data_set: plan.data_set.clone(),
        replica: plan.reference,
        action: plan.action,
        explored: plan.explored,
        posted_at: now,
        closes_at: window.map_or(now, |window| now + window),
        window: if window.is_some() { Window::Open } else { Window::Closed },
        outcome: if window.is_some() { Outcome::Running } else { Outcome::Done },
        ended_at: None,
        feedback_sum: 0.0,
        detail: detail(&plan.detail),
    }
}

/// A report as a table keeps it: one that is too long is not cut, for half of it could not be read, but named.
fn detail(report: &str) -> String {
    match report.len() {
        length if length > DETAIL_MAX => {
            with_failure("", &format!("the report has {length} bytes; a table keeps {DETAIL_MAX}"))
        }
        _ => report.to_owned(),
    }
}

/// What a claim was granted: its rows, after the changes that `saga::claim` gave were applied to `placement`.
pub fn granted(event: EventId, plan: &Plan, placement: &Placement) -> Claim {
    // Neither can fail: `saga::claim` found the subject, and its changes inserted the destination.
    let source = saga::subject(placement, plan.action).expect("a granted claim has a source").clone();
    let arriving = |node| placement.on(node).filter(|row| row.state == ReplicaState::Copying).cloned();
    let destination = match plan.action {
        Action::Move { to, .. } | Action::Copy { to, .. } | Action::Restore { to, .. } => arriving(to),
        Action::ChangeReference { .. } | Action::Evict { .. } | Action::MoveWork { .. } | Action::Nothing => None,
    };
    let Plan { agent, data_set, action, .. } = plan;
    Claim { event, agent: *agent, data_set: data_set.clone(), action: *action, source, destination }
}

/// The row whose object is to be deleted now, after the changes of a commit or an abort were applied to `placement`.
pub fn left_behind(changes: &[Change], placement: &Placement) -> Option<Replica> {
    changes.iter().find_map(|change| match change {
        Change::Insert { object_key, state: ReplicaState::Removing, .. } => {
            placement.replicas.values().find(|row| row.object_key == *object_key).cloned()
        }
        Change::Become { replica, state: ReplicaState::Removing, .. } => placement.replicas.get(replica).cloned(),
        Change::Insert { .. }
        | Change::Become { .. }
        | Change::Lease { .. }
        | Change::Relocate { .. }
        | Change::See { .. }
        | Change::Outdate { .. }
        | Change::Point { .. }
        | Change::Seat { .. }
        | Change::Delete { .. } => None,
    })
}

/// Prolongs a claim's leases; `None` when one of them was taken. One that ran out and was not taken is as good as held:
/// nothing can have changed (as in `saga::commit`).
pub fn renewal(placement: &Placement, claim: &Claim, until: Timestamp) -> Option<Vec<Change>> {
    let lease = Lease { holder: claim.agent, until };
    // A copy to a new node, and one that mends, only reads its source.
    let only_reads = matches!(claim.action.kind(), ActionType::Copy | ActionType::Restore);
    let source = Some(&claim.source).filter(|_| !only_reads || claim.destination.is_none());
    let rows = source.into_iter().chain(&claim.destination);
    rows.map(|row| {
        let held = placement.replicas.get(&row.id)?.lease?.holder == claim.agent;
        held.then_some(Change::Lease { replica: row.id, lease: Some(lease) })
    })
    .collect()
}

/// The destination of an action that was given up, as long as its object is to be deleted.
pub fn undone(placement: &Placement, claim: &Claim) -> Option<Replica> {
    let row = placement.replicas.get(&claim.destination.as_ref()?.id)?;
    (row.state == ReplicaState::Removing).then(|| row.clone())
}

/// Whether a running claim is to be undone: when all its leases ran out or were taken, and `own`'s in any case.
pub fn is_unfinished(claim: &Claim, placement: &Placement, own: Option<AgentId>, now: Timestamp) -> bool {
    let holds = |row: &Replica| {
        let lease = placement.replicas.get(&row.id).and_then(|row| row.lease);
        lease.is_some_and(|lease| lease.holder == claim.agent && lease.until >= now)
    };
    own == Some(claim.agent) || !std::iter::once(&claim.source).chain(&claim.destination).any(holds)
}

/// Whether a row's object is to be deleted: the last jobs that read it have had their time.
pub fn is_to_remove(replica: &Replica, now: Timestamp) -> bool {
    let drained = replica.lease.is_none_or(|lease| lease.until <= now);
    replica.state == ReplicaState::Removing && drained
}

/// The blame that a violation of `agent` puts on an event now; `None` when it may not answer it (any more).
pub fn answer(event: &Event, agent: AgentId, now: Timestamp, window: Duration) -> Option<f64> {
    let open = event.window == Window::Open && now <= event.closes_at && !window.is_zero();
    (open && event.agent != agent).then(|| blame(event.posted_at, now, window).clamp(0.0, 1.0))
}

/// Whether `agent` closes an event's window now. A running event waits for its end, which decides whether it counts.
pub fn is_due(event: &Event, agent: AgentId, rule: ClosingRule, now: Timestamp) -> bool {
    let due_at = if event.agent == agent { event.closes_at } else { event.closes_at + rule.grace };
    event.window == Window::Open && event.outcome != Outcome::Running && due_at <= now
}

/// How many other applications an event can have hurt: those that live, and those that said so.
pub fn others<'a>(
    event: &Event,
    heartbeats: impl Iterator<Item = (AgentId, Option<Timestamp>)>,
    feedback: impl Iterator<Item = &'a Feedback>,
    rule: ClosingRule,
    now: Timestamp,
) -> usize {
    let live =
        heartbeats.filter(|(_, heartbeat_at)| is_alive(*heartbeat_at, rule.silence, now)).map(|(agent, _)| agent);
    let all: BTreeSet<AgentId> = live.chain(feedback.map(|feedback| feedback.agent)).collect();
    all.iter().filter(|agent| **agent != event.agent).count()
}

/// Whether an event is of an agent that is registered, or was until its node was removed. Any other was put there by hand.
pub fn is_somebodys(event: &Event, is_registered: bool, removed: &BTreeSet<NodeId>) -> bool {
    is_registered || event.agent == AgentId::OPERATOR || removed.contains(&event.agent.home())
}

/// The closing of an event of nobody: it ends as well, and moves nothing.
pub fn closed_of_nobody(closed: ClosedEvent) -> ClosedEvent {
    ClosedEvent { counter_after: closed.counter_before, ..closed }
}

/// What an event's closing does to its action's counter. What did not happen hurt nobody: a failed or aborted action leaves
/// the counter.
pub fn closed(event: &Event, others: usize, counter: Option<Counter>, rule: ClosingRule) -> ClosedEvent {
    let counter_before = counter.map_or(0, |counter| counter.value);
    let counts = event.outcome == Outcome::Done && event.action != Action::Nothing;
    let counter_after = match counts {
        true => counter_after(counter_before, aggregate(event.feedback_sum, others), rule.threshold),
        false => counter_before,
    };
    ClosedEvent {
        event: event.id,
        agent: event.agent,
        action: event.action,
        feedback_sum: event.feedback_sum,
        counter_before,
        counter_after,
    }
}

/// An event's report with what went wrong as its member `failure`; a report that is no JSON object becomes the member
/// `decision` of one.
pub fn with_failure(detail: &str, why: &str) -> String {
    let mut report = match serde_json::from_str(detail) {
        Ok(serde_json::Value::Object(members)) => members,
        _ if detail.is_empty() => serde_json::Map::new(),
        _ => serde_json::Map::from_iter([("decision".to_owned(), detail.into())]),
    };
    report.insert("failure".to_owned(), shortened(why, LINE_MAX).into());
    serde_json::Value::Object(report).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::placement::StoreTraits;
    use crate::domain::units::Percent;
    use crate::mape::scene;

    #[test]
    fn a_failure_joins_the_report_of_its_decision() {
        assert_eq!(with_failure(r#"{"chosen":"M1_2"}"#, "store away"), r#"{"chosen":"M1_2","failure":"store away"}"#);
        assert_eq!(with_failure("", "store away"), r#"{"failure":"store away"}"#);
        assert_eq!(with_failure("by hand", "store away"), r#"{"decision":"by hand","failure":"store away"}"#);
    }

    #[test]
    fn rejections_say_what_to_look_at() {
        let check = |rejection: Rejection, message: &str| assert_eq!(rejection.to_string(), message);
        check(Rejection::UnknownLink(NodeId(1), NodeId(9)), "there is no link from node 1 to node 9");
        check(Rejection::NotAnEnd(Outcome::Done), "an action ends as failed or aborted here, not as done");
        check(Rejection::NotRemoving(ReplicaId(3), ReplicaState::Present), "replica 3 is present, not removing");
        let taken = Rejection::KeyTaken {
            key: "k".to_owned(),
            event: EventId(7),
            agent: AgentId(2),
            action: Action::Evict { node: NodeId(3) },
        };
        check(taken, "idempotency key `k` belongs to event 7 of agent 2 (`E3`) already");
    }

    #[test]
    fn what_is_as_long_as_it_may_be_is_kept() {
        let report = "x".repeat(DETAIL_MAX);
        assert_eq!(detail(&report), report);
        let named = format!(r#"{{"failure":"the report has {} bytes; a table keeps {DETAIL_MAX}"}}"#, DETAIL_MAX + 1);
        assert_eq!(detail(&format!("{report}x")), named);
        let name = "\u{e9}".repeat(NAME_MAX);
        assert_eq!(check_length("a name", &name, NAME_MAX), Ok(()));
        let too_long = Rejection::TooLong { what: "a name", length: NAME_MAX + 1, most: NAME_MAX };
        assert_eq!(check_length("a name", &format!("{name}x"), NAME_MAX), Err(too_long));
    }

    #[test]
    fn a_key_that_comes_again_is_the_same_request_only_for_the_same_data_set() {
        let plan = |data_set: &str| Plan {
            key: "k".to_owned(),
            agent: AgentId(1),
            data_set: data_set.into(),
            reference: ReplicaId(1),
            action: "M3_1".parse().unwrap(),
            explored: false,
            expected: BTreeMap::new(),
            generation: None,
            detail: String::new(),
        };
        let known = posted(EventId(7), &plan("blood"), Timestamp(0), None);
        assert_eq!(check_same_request(&known, &plan("blood")), Ok(()));
        assert!(matches!(check_same_request(&known, &plan("urine")), Err(Rejection::KeyTaken { .. })));
    }

    #[test]
    fn what_is_copied_to_where_a_replica_is_holds_its_source() {
        let lease = Some(Lease { holder: AgentId(1), until: Timestamp(5) });
        let [source, arriving] = [(1, 3), (2, 1)].map(|(id, node)| Replica { lease, ..scene::replica(id, node) });
        let rows = [&source, &arriving].map(|row| (row.id, row.clone()));
        let placement = Placement { replicas: rows.into(), ..Placement::default() };
        let renewed = |destination: Option<&Replica>| {
            let (source, destination) = (source.clone(), destination.cloned());
            let (action, data_set) = ("C3_1".parse().unwrap(), "blood".into());
            let claim = Claim { event: EventId(1), agent: AgentId(1), data_set, action, source, destination };
            let changes = renewal(&placement, &claim, Timestamp(9)).unwrap();
            let rows = changes.into_iter().map(|change| match change {
                Change::Lease { replica, lease: Some(Lease { until: Timestamp(9), .. }) } => replica.0,
                change => panic!("{change:?}"),
            });
            rows.collect::<Vec<_>>()
        };
        assert_eq!(renewed(None), [1]);
        assert_eq!(renewed(Some(&arriving)), [2]);
    }

    #[test]
    fn what_cannot_be_deleted_again_is_not_written_but_may_be_read() {
        let node = |deletes, state| Node {
            id: NodeId(1),
            name: "node-1".to_owned(),
            store_url: None,
            availability: Percent::new(97.0).unwrap().into(),
            capacity_bytes: None,
            state,
            heartbeat_at: None,
            labels: Default::default(),
            store: StoreTraits { deletes, ..Default::default() },
            contact: Default::default(),
        };
        let (copy, read) = ("C3_1".parse().unwrap(), "CR1".parse().unwrap());
        let keeps = node(Some(false), NodeState::Running);
        assert_eq!(no_destination(&keeps, copy), Some(Lost::CannotDelete(NodeId(1))));
        assert_eq!(no_destination(&keeps, read), None);
        assert_eq!(no_destination(&node(None, NodeState::Running), copy), None);
        assert_eq!(no_destination(&node(None, NodeState::Leaving), read), Some(Lost::Leaving(NodeId(1))));
    }
}
