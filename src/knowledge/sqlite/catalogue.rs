//! Nodes, links, agents, data sets and their replicas, within one transaction.

use super::Tables;
use super::connect::Failure;
use super::rows::{self, Keyed};
use crate::domain::action::Action;
use crate::domain::ids::{AgentId, DataSetName, Life, NodeId, ReplicaId};
use crate::domain::placement::{DataSet, Identity, Link, Node, NodeState, Peer, Placement, Registration, ReplicaState};
use crate::domain::saga::{self, Change};
use crate::domain::time::Timestamp;
use crate::domain::units::Percent;
use crate::knowledge::rules::{self, Rejection};
use crate::knowledge::{Counter, Registered, Snapshot};
use rusqlite::params;
use std::collections::{BTreeMap, VecDeque};

type Result<T> = std::result::Result<T, Failure>;

const NODES: Keyed = Keyed("nodes", 1);
const LINKS: Keyed = Keyed("links", 2);
const AGENTS: Keyed = Keyed("agents", 1);
const DATA_SETS: Keyed = Keyed("data_sets", 1);
const REPLICAS: Keyed = Keyed("replicas", 1);
const REFERENCES: Keyed = Keyed("reference_replicas", 1);
const COUNTERS: Keyed = Keyed("counters", 1);

// Registration, and what people set.
impl Tables<'_> {
    pub(super) fn register_data_set(&mut self, data_set: &DataSet, node: NodeId, object_key: &str) -> Result<bool> {
        if let Some(known) = self.data_set(&data_set.name)? {
            rules::check_same_content(&known, data_set)?;
            return Ok(false);
        }
        rules::check_sizes(data_set)?;
        rules::check_stays(&self.require_node(node)?)?;
        let DataSet { name, object_key: own_key, bytes, records, sha256 } = data_set;
        self.execute(
            "insert into data_sets (name, object_key, bytes, records, sha256) values (?, ?, ?, ?, ?)",
            params![name.0, own_key, sql_integer(*bytes), sql_integer(*records), sha256],
        )?;
        let first =
            Change::Insert { node, object_key: object_key.to_owned(), state: ReplicaState::Present, lease: None };
        self.apply(name, &mut Placement::default(), &[first])?;
        Ok(true)
    }

    pub(super) fn register_agent(
        &mut self,
        registration: &Registration,
        data_set: &DataSetName,
        identity: &Identity,
    ) -> Result<Registered> {
        let Registration { agent, node, goal, policy } = registration;
        self.require_data_set(data_set)?;
        rules::check_stays(&self.require_node(*node)?)?;
        let (life, heartbeat_at) = self.life(*agent)?;
        if let Some(wait) = rules::taken(life.as_ref(), heartbeat_at, identity, self.now) {
            return Ok(Registered::Taken { wait });
        }
        let now = self.now.0;
        self.execute("update nodes set heartbeat_at = ? where id = ?", params![now, node.0])?;
        self.execute(
            "insert into agents (id, node, goal, policy, life, heartbeat_at, state, converged)
             values (?, ?, ?, ?, ?, ?, 'running', 0)
             on conflict (id) do update set node = excluded.node, goal = excluded.goal, policy = excluded.policy,
                 life = excluded.life, heartbeat_at = excluded.heartbeat_at, state = excluded.state,
                 converged = excluded.converged",
            params![agent.0, node.0, goal, policy, identity.life.0, now],
        )?;
        let mut placement = self.placement(data_set)?;
        if !rules::reads_present(&placement, *agent)
            && let Some(replica) = rules::first_reference(&placement, *node)
        {
            self.apply(data_set, &mut placement, &[Change::Point { agent: *agent, replica }])?;
        }
        Ok(Registered::Done)
    }

    /// Whose an agent is, and when it was last heard of.
    fn life(&mut self, agent: AgentId) -> Result<(Option<Life>, Option<Timestamp>)> {
        let sql = "select id, life, heartbeat_at from agents where id = ?";
        let found = rows::read(self.transaction, self.warned, AGENTS, sql, [agent.0], |row| {
            Ok((row.maybe_text("life")?.map(Life), row.maybe_time("heartbeat_at")?))
        })?;
        Ok(found.into_iter().next().unwrap_or_default())
    }

    pub(super) fn heartbeat(&mut self, agent: AgentId, life: &Life, converged: bool) -> Result<bool> {
        let sql = "update agents set heartbeat_at = ?, state = 'running', converged = ? where id = ? and life = ?";
        if self.execute(sql, params![self.now.0, converged, agent.0, life.0])? == 0 {
            return Ok(false);
        }
        let sql = "update nodes set heartbeat_at = ?, state = iif(state = 'leaving', state, 'running')
            where id = (select node from agents where id = ?)";
        self.execute(sql, params![self.now.0, agent.0])?;
        Ok(true)
    }

    pub(super) fn sign_off(&mut self, agent: AgentId, life: &Life) -> Result<bool> {
        let sql = "update agents set heartbeat_at = null, state = 'stopped' where id = ? and life = ?";
        if self.execute(sql, params![agent.0, life.0])? == 0 {
            return Ok(false);
        }
        let sql = "update nodes set state = 'stopped'
            where id = (select node from agents where id = ?) and state <> 'leaving'";
        self.execute(sql, [agent.0])?;
        Ok(true)
    }

    pub(super) fn set_availability(&mut self, node: NodeId, availability: Percent) -> Result<()> {
        let sql = "update nodes set availability_percent = ? where id = ?";
        self.change_one(sql, params![availability.value(), node.0], Rejection::UnknownNode(node))
    }

    pub(super) fn set_latency(&mut self, from: NodeId, to: NodeId, latency_ms: f64) -> Result<()> {
        rules::check_latency(latency_ms)?;
        let sql = "update links set latency_ms = ? where from_node = ? and to_node = ?";
        self.change_one(sql, params![latency_ms, from.0, to.0], Rejection::UnknownLink(from, to))
    }

    pub(super) fn seed_counters(&mut self, counters: &BTreeMap<Action, Counter>) -> Result<()> {
        counters.iter().try_for_each(|(action, counter)| self.set_counter(*action, *counter))
    }

    pub(super) fn seed_placement(&mut self, data_set: &DataSetName, placement: &Placement) -> Result<()> {
        self.require_data_set(data_set)?;
        self.execute("delete from replicas where data_set = ?", [&data_set.0])?;
        self.execute("delete from reference_replicas where data_set = ?", [&data_set.0])?;
        for replica in placement.replicas.values() {
            let lease = replica.lease;
            self.execute(
                "insert into replicas
                    (id, data_set, node, object_key, state, generation, lease_holder, lease_until)
                    values (?, ?, ?, ?, ?, ?, ?, ?)",
                params![
                    replica.id.0,
                    data_set.0,
                    replica.node.0,
                    replica.object_key,
                    replica.state.name(),
                    replica.generation,
                    lease.map(|lease| lease.holder.0),
                    lease.map(|lease| lease.until.0)
                ],
            )?;
        }
        let references = placement.references.iter().map(|(agent, replica)| (*agent, *replica));
        let points: Vec<_> = references.map(|(agent, replica)| Change::Point { agent, replica }).collect();
        self.apply(data_set, &mut placement.clone(), &points)
    }

    pub(super) fn set_counter(&mut self, action: Action, counter: Counter) -> Result<()> {
        let sql = "insert or replace into counters (action, value, changed_at_ms) values (?, ?, ?)";
        self.execute(sql, params![action.to_string(), counter.value, counter.changed_at.0])?;
        Ok(())
    }

    /// Writes changes to the tables and to `placement`, which is what they were decided on.
    pub(super) fn apply(
        &mut self,
        data_set: &DataSetName,
        placement: &mut Placement,
        changes: &[Change],
    ) -> Result<()> {
        let mut inserted = VecDeque::new();
        for change in changes {
            if let Some(id) = self.write(data_set, change)? {
                inserted.push_back(id);
            }
        }
        // Cannot fail: `write` gave one id for each insert, in the same order.
        saga::apply(placement, data_set, changes, || inserted.pop_front().expect("an id for each insert"));
        Ok(())
    }

    fn write(&self, data_set: &DataSetName, change: &Change) -> Result<Option<ReplicaId>> {
        match change {
            Change::Insert { node, object_key, state, lease } => {
                let holder = lease.map(|lease| lease.holder.0);
                let until = lease.map(|lease| lease.until.0);
                let values = params![data_set.0, node.0, object_key, state.name(), holder, until];
                let sql = "insert into replicas
                    (data_set, node, object_key, state, lease_holder, lease_until, generation)
                    values (?, ?, ?, ?, ?, ?, 1)";
                self.execute(sql, values)?;
                return Ok(Some(ReplicaId(self.transaction.last_insert_rowid())));
            }
            Change::Lease { replica, lease } => {
                let holder = lease.map(|lease| lease.holder.0);
                let until = lease.map(|lease| lease.until.0);
                let sql = "update replicas set lease_holder = ?, lease_until = ? where id = ?";
                self.execute(sql, params![holder, until, replica.0])?;
            }
            Change::Relocate { replica, node, object_key } => {
                let sql = "update replicas set node = ?, object_key = ?, generation = generation + 1,
                    lease_holder = null, lease_until = null where id = ?";
                self.execute(sql, params![node.0, object_key, replica.0])?;
            }
            Change::Become { replica, state, lease } => {
                let holder = lease.map(|lease| lease.holder.0);
                let until = lease.map(|lease| lease.until.0);
                let sql = "update replicas set state = ?, generation = generation + 1,
                    lease_holder = ?, lease_until = ? where id = ?";
                self.execute(sql, params![state.name(), holder, until, replica.0])?;
            }
            Change::Point { agent, replica } => {
                let sql = "insert into reference_replicas (agent, data_set, replica, generation) values (?, ?, ?, 1)
                    on conflict (agent, data_set) do update set replica = excluded.replica, generation = generation + 1";
                self.execute(sql, params![agent.0, data_set.0, replica.0])?;
            }
            Change::Delete { replica } => {
                self.execute("delete from replicas where id = ?", params![replica.0])?;
            }
        }
        Ok(None)
    }

    pub(super) fn require_node(&mut self, node: NodeId) -> Result<Node> {
        self.nodes()?.remove(&node).ok_or_else(|| Rejection::UnknownNode(node).into())
    }

    pub(super) fn require_data_set(&mut self, name: &DataSetName) -> Result<DataSet> {
        self.data_set(name)?.ok_or_else(|| Rejection::UnknownDataSet(name.clone()).into())
    }

    /// An update of exactly one row, else rejected.
    pub(super) fn change_one(&self, sql: &str, values: impl rusqlite::Params, otherwise: Rejection) -> Result<()> {
        match self.execute(sql, values)? {
            0 => Err(otherwise.into()),
            _ => Ok(()),
        }
    }

    pub(super) fn execute(&self, sql: &str, values: impl rusqlite::Params) -> Result<usize> {
        Ok(self.transaction.prepare_cached(sql)?.execute(values)?)
    }
}

// Reading.
impl Tables<'_> {
    pub(super) fn snapshot(&mut self, name: &DataSetName) -> Result<Option<Snapshot>> {
        let Some(data_set) = self.data_set(name)? else {
            return Ok(None);
        };
        let nodes = self.nodes()?;
        Ok(Some(Snapshot {
            at: self.now,
            data_set,
            links: self.links(&nodes)?,
            placement: self.placement(name)?,
            agents: self.agents(&nodes)?,
            open_events: self.open_events(name)?,
            counters: self.counters()?,
            copies_made: self.copies_made(name)?,
            changed_at: self.changed_at(name)?,
            stored_bytes: self.stored_bytes()?,
            nodes,
        }))
    }

    pub(super) fn data_sets(&mut self) -> Result<Vec<DataSetName>> {
        let sql = "select name from data_sets order by name";
        Ok(rows::read(self.transaction, self.warned, DATA_SETS, sql, [], |row| row.text("name").map(DataSetName))?)
    }

    fn data_set(&mut self, name: &DataSetName) -> Result<Option<DataSet>> {
        let sql = "select name, object_key, bytes, records, sha256 from data_sets where name = ?";
        let found = rows::read(self.transaction, self.warned, DATA_SETS, sql, [&name.0], |row| {
            Ok(DataSet {
                name: name.clone(),
                object_key: row.text("object_key")?,
                bytes: row.amount("bytes")?,
                records: row.amount("records")?,
                sha256: row.text("sha256")?,
            })
        })?;
        Ok(found.into_iter().next())
    }

    pub(super) fn nodes(&mut self) -> Result<BTreeMap<NodeId, Node>> {
        let sql = "select id, name, store_url, availability_percent, capacity_bytes, state, heartbeat_at
            from nodes";
        let nodes = rows::read(self.transaction, self.warned, NODES, sql, [], |row| {
            let availability = row.real_within("availability_percent", 0.0..=100.0)?;
            let node = Node {
                id: NodeId(row.id("id")?),
                name: row.text("name")?,
                store_url: row.maybe_text("store_url")?,
                availability: match Percent::new(availability) {
                    Some(percent) => percent,
                    None => return row.leave_out("availability_percent", "it is no number"),
                },
                capacity_bytes: row.maybe_amount("capacity_bytes")?,
                state: row.one_of_or(NodeState::default(), "state", NodeState::ALL, NodeState::name)?,
                heartbeat_at: row.maybe_time("heartbeat_at")?,
            };
            Ok((node.id, node))
        })?;
        Ok(nodes.into_iter().collect())
    }

    pub(super) fn all_links(&mut self) -> Result<BTreeMap<(NodeId, NodeId), Link>> {
        let nodes = self.nodes()?;
        self.links(&nodes)
    }

    pub(super) fn links(&mut self, nodes: &BTreeMap<NodeId, Node>) -> Result<BTreeMap<(NodeId, NodeId), Link>> {
        let sql = "select from_node, to_node, latency_ms, jitter_ms from links";
        let links = rows::read(self.transaction, self.warned, LINKS, sql, [], |row| {
            let link = Link {
                from: NodeId(row.id("from_node")?),
                to: NodeId(row.id("to_node")?),
                latency_ms: row.real_within("latency_ms", 0.0..=f64::MAX)?,
                jitter_ms: row.real_within("jitter_ms", 0.0..=f64::MAX)?,
            };
            if !nodes.contains_key(&link.from) {
                return row.leave_out("from_node", Rejection::UnknownNode(link.from));
            }
            if !nodes.contains_key(&link.to) {
                return row.leave_out("to_node", Rejection::UnknownNode(link.to));
            }
            Ok(((link.from, link.to), link))
        })?;
        Ok(links.into_iter().collect())
    }

    pub(super) fn agents(&mut self, nodes: &BTreeMap<NodeId, Node>) -> Result<BTreeMap<AgentId, Peer>> {
        let sql = "select id, node, goal, policy, heartbeat_at, converged from agents";
        let agents = rows::read(self.transaction, self.warned, AGENTS, sql, [], |row| {
            let registration = Registration {
                agent: AgentId(row.id("id")?),
                node: NodeId(row.id("node")?),
                goal: row.text("goal")?,
                policy: row.text("policy")?,
            };
            if !nodes.contains_key(&registration.node) {
                return row.leave_out("node", Rejection::UnknownNode(registration.node));
            }
            let agent = registration.agent;
            let heartbeat_at = row.maybe_time("heartbeat_at")?;
            Ok((agent, Peer { registration, heartbeat_at, converged: row.flag("converged")? }))
        })?;
        Ok(agents.into_iter().collect())
    }

    /// Where each registered agent lives.
    pub(super) fn homes(&mut self) -> Result<BTreeMap<AgentId, NodeId>> {
        let sql = "select id, node from agents";
        let homes = rows::read(self.transaction, self.warned, AGENTS, sql, [], |row| {
            Ok((AgentId(row.id("id")?), NodeId(row.id("node")?)))
        })?;
        Ok(homes.into_iter().collect())
    }

    pub(super) fn placement(&mut self, data_set: &DataSetName) -> Result<Placement> {
        let sql = "select id, node, object_key, state, generation, lease_holder, lease_until,
            exists (select 1 from nodes where nodes.id = replicas.node) as node_known from replicas where data_set = ?";
        let replicas = rows::read(self.transaction, self.warned, REPLICAS, sql, [&data_set.0], |row| {
            let replica = row.replica("id", data_set.clone())?;
            if !row.flag("node_known")? {
                return row.leave_out("node", Rejection::UnknownNode(replica.node));
            }
            Ok((replica.id, replica))
        })?;
        let replicas: BTreeMap<_, _> = replicas.into_iter().collect();
        let sql = "select agent, replica from reference_replicas where data_set = ?";
        let references = rows::read(self.transaction, self.warned, REFERENCES, sql, [&data_set.0], |row| {
            let replica = ReplicaId(row.integer("replica")?);
            if !replicas.contains_key(&replica) {
                return row.leave_out("replica", format_args!("there is no replica {replica} of {data_set}"));
            }
            Ok((AgentId(row.id("agent")?), replica))
        })?;
        Ok(Placement { references: references.into_iter().collect(), replicas })
    }

    pub(super) fn counters(&mut self) -> Result<BTreeMap<Action, Counter>> {
        let sql = "select action, value, changed_at_ms from counters";
        let counters = rows::read(self.transaction, self.warned, COUNTERS, sql, [], |row| {
            let value = u32::try_from(row.amount("value")?).unwrap_or(u32::MAX);
            Ok((row.parsed("action")?, Counter { value, changed_at: row.time("changed_at_ms")? }))
        })?;
        Ok(counters.into_iter().collect())
    }

    fn copies_made(&mut self, data_set: &DataSetName) -> Result<BTreeMap<ReplicaId, u32>> {
        let sql = "select replica, count(*) as copies from events
            where data_set = ? and action_type = 'copy' and outcome in ('running', 'done') group by replica";
        let copies = rows::read(self.transaction, self.warned, Keyed("events", 1), sql, [&data_set.0], |row| {
            let copies = u32::try_from(row.amount("copies")?).unwrap_or(u32::MAX);
            Ok((ReplicaId(row.integer("replica")?), copies))
        })?;
        Ok(copies.into_iter().collect())
    }

    fn changed_at(&self, data_set: &DataSetName) -> Result<Option<Timestamp>> {
        let sql = "select max(ended_at_ms) from events
            where data_set = ? and outcome = 'done' and action_type <> 'nothing'";
        let latest: Option<i64> = self.transaction.prepare_cached(sql)?.query_row([&data_set.0], |row| row.get(0))?;
        Ok(latest.map(Timestamp))
    }

    fn stored_bytes(&mut self) -> Result<BTreeMap<NodeId, u64>> {
        let sql = "select node, bytes from replicas join data_sets on data_sets.name = replicas.data_set";
        let sizes = rows::read(self.transaction, self.warned, REPLICAS, sql, [], |row| {
            Ok((NodeId(row.id("node")?), row.amount("bytes")?))
        })?;
        let mut stored: BTreeMap<NodeId, u64> = BTreeMap::new();
        for (node, bytes) in sizes {
            let sum = stored.entry(node).or_default();
            *sum = sum.saturating_add(bytes);
        }
        Ok(stored)
    }

    /// When each registered agent was last heard of.
    pub(super) fn heartbeats(&mut self) -> Result<BTreeMap<AgentId, Option<Timestamp>>> {
        let sql = "select id, heartbeat_at from agents";
        let heartbeats = rows::read(self.transaction, self.warned, AGENTS, sql, [], |row| {
            Ok((AgentId(row.id("id")?), row.maybe_time("heartbeat_at")?))
        })?;
        Ok(heartbeats.into_iter().collect())
    }
}

/// SQL integers are signed. `rules` refuses larger values before they get here.
pub(super) fn sql_integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
