//! Nodes, links, agents, data sets and their replicas, within one transaction.

use super::Tables;
use super::connect::Failure;
use super::rows;
use crate::knowledge::{Counter, NotedUpload, Registered, Snapshot};
use agent_core::domain::action::Action;
use agent_core::domain::constraints::{Constraints, Guard};
use agent_core::domain::environment::{Basis, MeasuredLinks, Quantity, Saying};
use agent_core::domain::flat_map::FlatMap;
use agent_core::domain::ids::{AgentId, DataSetName, Life, NodeId, ReplicaId};
use agent_core::domain::labels::Labels;
use agent_core::domain::link_table::LinkTable;
use agent_core::domain::placement::{
    Condition, DataSet, Health, Identity, Node, Override, Peer, Placement, Registration, Replica, StoreTraits,
};
use agent_core::domain::saga::{self, Change};
use agent_core::domain::snapshot::Content;
use agent_core::domain::time::Timestamp;
use agent_core::domain::units::Percent;
use agent_core::domain::validators::Validators;
use agent_core::domain::versions::Versions;
use agent_core::knowledge::quarantine::{
    self, AGENTS, COPIES, COUNTERS, DATA_SETS, Fields, LINKS, MEASURED_LINKS, NODES, READERS, REFERENCES, REPLICAS,
    UPLOADS,
};
use agent_core::knowledge::rules::{self, Rejection};
use rusqlite::params;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

type Result<T> = std::result::Result<T, Failure>;

/// What is said to have ended in the future has not changed anything yet. `events_changes` serves it because its condition stands
/// here word for word; with `not in` the whole history is read.
pub(super) const LATEST_CHANGE: &str = "select max(ended_at_ms) from events
    where data_set = ? and outcome = 'done' and action_type <> 'nothing' and action_type <> 'restore'
    and typeof(ended_at_ms) = 'integer' and ended_at_ms <= ?";

// Registration, and what people set.
impl Tables<'_> {
    pub(super) fn register_data_set(
        &mut self,
        data_set: &DataSet,
        node: NodeId,
        object_key: &str,
        validators: &Validators,
    ) -> Result<bool> {
        if let Some((known, _)) = self.data_set(&data_set.name)? {
            rules::check_same_content(&known, data_set)?;
            return Ok(false);
        }
        rules::check_sizes(data_set)?;
        rules::check_first_node(data_set, &self.require_node(node)?)?;
        self.bill_held()?;
        let DataSet { name, object_key: own_key, bytes, records, sha256, versions: _, guard } = data_set;
        self.execute(
            "insert into data_sets (name, object_key, bytes, records, sha256, constraints, registered_at)
                values (?, ?, ?, ?, ?, ?, ?)",
            params![
                name.0,
                own_key,
                sql_integer(*bytes),
                sql_integer(*records),
                sha256,
                rules::written_constraints(&guard.constraints),
                self.now.0
            ],
        )?;
        let first = saga::first_replica(node, object_key, validators);
        self.apply(name, &mut Placement::default(), &[first])?;
        Ok(true)
    }

    pub(super) fn remove_data_set(&mut self, name: &DataSetName, silence: Duration) -> Result<Vec<Replica>> {
        if self.data_set(name)?.is_none() {
            return Ok(Vec::new());
        }
        let (nodes, running) = (self.nodes()?, self.running_claims()?);
        let (peers, readers) = (self.agents(&nodes)?, self.readers(name)?);
        rules::check_removal(name, &read_by(&readers, peers), &running, silence, self.now)?;
        self.bill_held()?;
        let gone = self.placement(name)?.replicas.into_values().collect();
        for table in ["ask_nodes", "replies", "named_nodes", "forecasts"] {
            self.execute(
                &format!("delete from {table} where ask in (select id from asks where data_set = ?)"),
                [&name.0],
            )?;
        }
        for table in ["asks", "replicas", "reference_replicas", "readers", "counters"] {
            self.execute(&format!("delete from {table} where data_set = ?"), [&name.0])?;
        }
        self.execute("delete from data_sets where name = ?", [&name.0])?;
        Ok(gone)
    }

    pub(super) fn found(&mut self, id: ReplicaId, generation: i64, condition: &Condition) -> Result<bool> {
        let Some(row) = self.replica(id)? else { return Ok(false) };
        let mut placement = self.placement(&row.data_set)?;
        let links = self.all_links_in_force()?;
        let changes = saga::found(&placement, &links, &self.seats()?, id, generation, condition);
        if changes.is_empty() {
            return Ok(false);
        }
        self.bill_held()?;
        self.apply(&row.data_set, &mut placement, &changes)?;
        self.raise_generation(&row.data_set)?;
        Ok(true)
    }

    pub(super) fn accept(
        &mut self,
        data_set: &DataSet,
        written_bytes: u64,
        replica: ReplicaId,
        generation: i64,
        validators: &Validators,
    ) -> Result<bool> {
        let (known, _) = self.require_data_set(&data_set.name)?;
        rules::check_sizes(data_set)?;
        let mut placement = self.placement(&data_set.name)?;
        let changes = saga::accept(&placement, replica, generation, validators, &known, self.now);
        if changes.is_empty() {
            return Ok(false);
        }
        self.bill_held()?;
        let DataSet { name, bytes, records, sha256, .. } = data_set;
        let Versions { version, written_bytes, .. } = known.versions.followed(written_bytes, self.now);
        let sql =
            "update data_sets set bytes = ?, records = ?, sha256 = ?, version = ?, written_at = ?, written_bytes = ?
            where name = ?";
        let [bytes, records, version, written_bytes] = [*bytes, *records, version, written_bytes].map(sql_integer);
        self.execute(sql, params![bytes, records, sha256, version, self.now.0, written_bytes, name.0])?;
        self.apply(name, &mut placement, &changes)?;
        self.raise_generation(name)?;
        Ok(true)
    }

    pub(super) fn describe_store(&mut self, node: NodeId, traits: &StoreTraits) -> Result<()> {
        let sql = "update nodes set store_deletes = ?, store_remarks = ? where id = ?";
        let values = params![traits.deletes, traits.remarks.as_deref().map(rules::kept_line), node.0];
        self.change_one(sql, values, Rejection::UnknownNode(node))
    }

    pub(super) fn note_upload(&mut self, node: NodeId, key: &str, upload_id: &str, agent: AgentId) -> Result<()> {
        let sql =
            "insert or ignore into uploads (node, object_key, upload_id, agent, begun_at_ms) values (?, ?, ?, ?, ?)";
        self.execute(sql, params![node.0, key, upload_id, agent.0, self.now.0])?;
        Ok(())
    }

    pub(super) fn forget_upload(&mut self, node: NodeId, key: &str, upload_id: &str) -> Result<()> {
        let sql = "delete from uploads where node = ? and object_key = ? and upload_id = ?";
        self.execute(sql, params![node.0, key, upload_id])?;
        Ok(())
    }

    pub(super) fn uploads(&mut self, node: NodeId) -> Result<Vec<NotedUpload>> {
        let sql =
            "select node, object_key, upload_id, agent, begun_at_ms from uploads where node = ? order by begun_at_ms";
        Ok(rows::read(self.transaction, self.quarantine, UPLOADS, sql, [node.0], quarantine::upload)?)
    }

    pub(super) fn register_agent(
        &mut self,
        registration: &Registration,
        data_sets: &[DataSetName],
        identity: &Identity,
    ) -> Result<Registered> {
        let Registration { agent, node, goal, policy, may_run_on } = registration;
        for data_set in data_sets {
            self.require_data_set(data_set)?;
        }
        rules::check_stays(&self.require_node(*node)?)?;
        let (life, heartbeat_at) = self.life(*agent)?;
        if let Some(wait) = rules::taken(life.as_ref(), heartbeat_at, identity, self.now) {
            return Ok(Registered::Taken { wait });
        }
        let now = self.now.0;
        self.execute("update nodes set heartbeat_at = ? where id = ?", params![now, node.0])?;
        self.execute(
            "insert into agents (id, node, goal, policy, may_run_on, life, heartbeat_at, state, converged, unexpected)
             values (?, ?, ?, ?, ?, ?, ?, 'running', 0, 0)
             on conflict (id) do update set node = excluded.node, goal = excluded.goal, policy = excluded.policy,
                 may_run_on = excluded.may_run_on, life = excluded.life, heartbeat_at = excluded.heartbeat_at, state = excluded.state,
                 converged = excluded.converged, unexpected = excluded.unexpected",
            params![agent.0, node.0, goal, policy, rules::written_nodes(may_run_on), identity.life.0, now],
        )?;
        self.read_alone(*agent, data_sets)?;
        for data_set in data_sets {
            let mut placement = self.placement(data_set)?;
            if !rules::reads_present(&placement, *agent)
                && let Some(replica) = rules::first_reference(&placement, *node)
            {
                self.apply(data_set, &mut placement, &[Change::Point { agent: *agent, replica }])?;
                self.raise_generation(data_set)?;
            }
        }
        Ok(Registered::Done)
    }

    /// The agent reads these data sets from now on, and no others.
    fn read_alone(&mut self, agent: AgentId, data_sets: &[DataSetName]) -> Result<()> {
        let sql = "select agent, data_set from readers where agent = ?1
            union select agent, data_set from reference_replicas where agent = ?1";
        let known = rows::read(self.transaction, self.quarantine, READERS, sql, [agent.0], quarantine::reader)?;
        for (_, other) in known.into_iter().filter(|(_, name)| !data_sets.contains(name)) {
            for table in ["readers", "reference_replicas"] {
                let sql = format!("delete from {table} where agent = ? and data_set = ?");
                self.execute(&sql, params![agent.0, other.0])?;
            }
            self.raise_generation(&other)?;
        }
        for data_set in data_sets {
            self.execute(
                "insert or ignore into readers (agent, data_set) values (?, ?)",
                params![agent.0, data_set.0],
            )?;
        }
        Ok(())
    }

    /// Whose an agent is, and when it was last heard of.
    fn life(&mut self, agent: AgentId) -> Result<(Option<Life>, Option<Timestamp>)> {
        let sql = "select id, life, heartbeat_at from agents where id = ?";
        let found = rows::read(self.transaction, self.quarantine, AGENTS, sql, [agent.0], quarantine::life)?;
        Ok(found.into_iter().next().unwrap_or_default())
    }

    pub(super) fn heartbeat(&mut self, agent: AgentId, life: &Life, health: Health) -> Result<bool> {
        let Health { converged, unexpected } = health;
        let sql = "update agents set heartbeat_at = ?, state = 'running', converged = ?, unexpected = ?
            where id = ? and life = ?";
        if self.execute(sql, params![self.now.0, converged, unexpected, agent.0, life.0])? == 0 {
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

    pub(super) fn set_override(&mut self, agent: AgentId, stated: &Override) -> Result<()> {
        let (sql, value) = match stated {
            Override::Goal(goal) => ("update agents set goal_override = ? where id = ?", goal),
            Override::Policy(policy) => ("update agents set policy_override = ? where id = ?", policy),
        };
        self.change_one(sql, params![value, agent.0], Rejection::UnknownAgent(agent))
    }

    pub(super) fn set_availability(&mut self, node: NodeId, declared: Option<Percent>) -> Result<()> {
        let (was, value) = (self.require_node(node)?.availability.declared, declared.map(Percent::value));
        let quantity = Quantity::Availability(node);
        self.keep_former(Saying::former(quantity, Basis::Declared, was.map(Percent::value), value))?;
        let sql = "update nodes set availability_percent = ? where id = ?";
        self.change_one(sql, params![value, node.0], Rejection::UnknownNode(node))
    }

    pub(super) fn set_labels(&mut self, node: NodeId, labels: &Labels) -> Result<()> {
        let values = params![rules::written_labels(labels), node.0];
        self.change_one("update nodes set labels = ? where id = ?", values, Rejection::UnknownNode(node))?;
        self.execute("update data_sets set generation = generation + 1", [])?;
        Ok(())
    }

    pub(super) fn set_constraints(&mut self, name: &DataSetName, constraints: &Constraints) -> Result<()> {
        let sql = "update data_sets set constraints = ?, generation = generation + 1 where name = ?";
        let values = params![rules::written_constraints(constraints), name.0];
        self.change_one(sql, values, Rejection::UnknownDataSet(name.clone()))
    }

    pub(super) fn pause(&mut self, name: &DataSetName, until: Option<Timestamp>) -> Result<()> {
        let sql = "update data_sets set paused_until = ?, generation = generation + 1 where name = ?";
        let values = params![until.map(|until| until.0), name.0];
        self.change_one(sql, values, Rejection::UnknownDataSet(name.clone()))
    }

    pub(super) fn set_latency(&mut self, from: NodeId, to: NodeId, declared_ms: Option<f64>) -> Result<()> {
        let nodes = self.nodes()?;
        rules::check_ends((from, to), |node| nodes.contains_key(node))?;
        declared_ms.map_or(Ok(()), rules::check_latency)?;
        let was = self.links(&nodes)?.get(from, to).map(|link| link.latency_ms);
        self.keep_former(Saying::former(Quantity::Latency(from, to), Basis::Declared, was, declared_ms))?;
        match declared_ms {
            Some(latency_ms) => {
                let sql = "insert into links (from_node, to_node, latency_ms, jitter_ms) values (?, ?, ?, 0)
                    on conflict (from_node, to_node) do update set latency_ms = excluded.latency_ms";
                self.execute(sql, params![from.0, to.0, latency_ms])?;
            }
            None => _ = self.execute("delete from links where from_node = ? and to_node = ?", [from.0, to.0])?,
        }
        Ok(())
    }

    pub(super) fn seed_counters(&mut self, data_set: &DataSetName, counters: &BTreeMap<Action, Counter>) -> Result<()> {
        counters.iter().try_for_each(|(action, counter)| self.set_counter(data_set, *action, *counter))
    }

    pub(super) fn seed_placement(&mut self, data_set: &DataSetName, placement: &Placement) -> Result<()> {
        self.require_data_set(data_set)?;
        self.execute("delete from replicas where data_set = ?", [&data_set.0])?;
        self.execute("delete from reference_replicas where data_set = ?", [&data_set.0])?;
        for replica in placement.replicas.values() {
            let (lease, validators) = (replica.lease, &replica.validators);
            self.execute(
                "insert into replicas
                    (id, data_set, node, object_key, state, generation, lease_holder, lease_until,
                    object_bytes, etag, modified_at_ms, remark, former)
                    values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                params![
                    replica.id.0,
                    data_set.0,
                    replica.node.0,
                    replica.object_key,
                    replica.state.name(),
                    replica.generation,
                    lease.map(|lease| lease.holder.0),
                    lease.map(|lease| lease.until.0),
                    validators.bytes.map(sql_integer),
                    validators.etag,
                    validators.modified_ms,
                    replica.remark,
                    rules::written_former(replica.former.as_ref())
                ],
            )?;
        }
        let references = placement.references.iter().map(|(agent, replica)| (*agent, *replica));
        let points: Vec<_> = references.map(|(agent, replica)| Change::Point { agent, replica }).collect();
        for agent in placement.references.keys() {
            let sql = "insert or ignore into readers (agent, data_set) values (?, ?)";
            self.execute(sql, params![agent.0, data_set.0])?;
        }
        self.apply(data_set, &mut placement.clone(), &points)?;
        self.raise_generation(data_set)
    }

    pub(super) fn set_counter(&mut self, data_set: &DataSetName, action: Action, counter: Counter) -> Result<()> {
        let sql = "insert or replace into counters (data_set, action, value, changed_at_ms) values (?, ?, ?, ?)";
        self.execute(sql, params![data_set.0, action.to_string(), counter.value, counter.changed_at.0])?;
        Ok(())
    }

    /// The planned placement is another one from now on.
    pub(super) fn raise_generation(&self, data_set: &DataSetName) -> Result<()> {
        self.execute("update data_sets set generation = generation + 1 where name = ?", [&data_set.0])?;
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
            Change::Insert { node, object_key, state, lease, validators } => {
                let holder = lease.map(|lease| lease.holder.0);
                let until = lease.map(|lease| lease.until.0);
                let Validators { bytes, etag, modified_ms } = validators;
                let bytes = bytes.map(sql_integer);
                let values =
                    params![data_set.0, node.0, object_key, state.name(), holder, until, bytes, etag, modified_ms];
                let sql = "insert into replicas
                    (data_set, node, object_key, state, lease_holder, lease_until, object_bytes, etag, modified_at_ms,
                    generation) values (?, ?, ?, ?, ?, ?, ?, ?, ?, 1)";
                self.execute(sql, values)?;
                return Ok(Some(ReplicaId(self.transaction.last_insert_rowid())));
            }
            Change::Lease { replica, lease } => {
                let holder = lease.map(|lease| lease.holder.0);
                let until = lease.map(|lease| lease.until.0);
                let sql = "update replicas set lease_holder = ?, lease_until = ? where id = ?";
                self.execute(sql, params![holder, until, replica.0])?;
            }
            Change::Relocate { replica, node, object_key, validators: Validators { bytes, etag, modified_ms } } => {
                let sql =
                    "update replicas set node = ?, object_key = ?, object_bytes = ?, etag = ?, modified_at_ms = ?,
                    state = 'present', remark = null, former = null, generation = generation + 1,
                    lease_holder = null, lease_until = null where id = ?";
                self.execute(sql, params![node.0, object_key, bytes.map(sql_integer), etag, modified_ms, replica.0])?;
            }
            Change::See { replica, validators: Validators { bytes, etag, modified_ms }, remark } => {
                let sql = "update replicas set object_bytes = ?, etag = ?, modified_at_ms = ?, remark = ? where id = ?";
                let remark = remark.as_deref().map(rules::kept_line);
                self.execute(sql, params![bytes.map(sql_integer), etag, modified_ms, remark, replica.0])?;
            }
            Change::Become { replica, state, lease } => {
                let holder = lease.map(|lease| lease.holder.0);
                let until = lease.map(|lease| lease.until.0);
                let sql = "update replicas set state = ?, former = null, generation = generation + 1,
                    lease_holder = ?, lease_until = ? where id = ?";
                self.execute(sql, params![state.name(), holder, until, replica.0])?;
            }
            Change::Outdate { replica, former, validators: Validators { bytes, etag, modified_ms } } => {
                let sql = "update replicas set former = ?, object_bytes = ?, etag = ?, modified_at_ms = ?,
                    generation = generation + 1, lease_holder = null, lease_until = null where id = ?";
                let former = rules::written_former(Some(former));
                self.execute(sql, params![former, bytes.map(sql_integer), etag, modified_ms, replica.0])?;
            }
            Change::Point { agent, replica } => {
                let sql = "insert into reference_replicas (agent, data_set, replica, generation) values (?, ?, ?, 1)
                    on conflict (agent, data_set) do update set replica = excluded.replica, generation = generation + 1";
                self.execute(sql, params![agent.0, data_set.0, replica.0])?;
            }
            Change::Seat { agent, node } => {
                self.execute("update agents set runs_at = ? where id = ?", params![node.0, agent.0])?;
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

    /// And the generation of its planned placement.
    pub(super) fn require_data_set(&mut self, name: &DataSetName) -> Result<(DataSet, i64)> {
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
        let Some((data_set, generation)) = self.data_set(name)? else {
            return Ok(None);
        };
        let nodes = self.nodes()?;
        let agents = self.agents(&nodes)?;
        let content = Content {
            data_set,
            links: Arc::new(self.links(&nodes)?),
            measured: Arc::new(self.measured_links(&nodes)?),
            placement: self.placement(name)?,
            open_events: self.open_events(name, &nodes, &agents)?,
            agents: Arc::new(read_by(&self.readers(name)?, agents)),
            counters: self.counters(name)?,
            copies_made: self.copies_made(name)?,
            changed_at: self.changed_at(name)?,
            generation,
            stored_bytes: self.stored_bytes()?,
            books: self.books()?.map(Arc::new),
            derived: Default::default(),
            nodes: Arc::new(nodes),
        };
        Ok(Some(Snapshot::new(self.now, content)))
    }

    pub(super) fn data_sets(&mut self) -> Result<Vec<DataSetName>> {
        let sql = "select name from data_sets order by name";
        let name = |row: &mut Fields<'_>| quarantine::data_set_name(row, "name");
        Ok(rows::read(self.transaction, self.quarantine, DATA_SETS, sql, [], name)?)
    }

    pub(super) fn guard(&mut self, name: &DataSetName) -> Result<Guard> {
        let sql = "select name, constraints, paused_until from data_sets where name = ?";
        let found = rows::read(self.transaction, self.quarantine, DATA_SETS, sql, [&name.0], quarantine::guarded)?;
        Ok(found.into_iter().next().map(|(_, guard)| guard).unwrap_or_default())
    }

    /// The guards of all data sets.
    pub(super) fn guards(&mut self) -> Result<Vec<(DataSetName, Guard)>> {
        let sql = "select name, constraints, paused_until from data_sets order by name";
        Ok(rows::read(self.transaction, self.quarantine, DATA_SETS, sql, [], quarantine::guarded)?)
    }

    pub(super) fn data_set(&mut self, name: &DataSetName) -> Result<Option<(DataSet, i64)>> {
        let sql =
            "select name, object_key, bytes, records, sha256, version, registered_at, written_at, written_bytes, generation,
            constraints, paused_until from data_sets where name = ?";
        let found = rows::read(self.transaction, self.quarantine, DATA_SETS, sql, [&name.0], quarantine::catalogued)?;
        Ok(found.into_iter().next())
    }

    pub(super) fn nodes(&mut self) -> Result<FlatMap<NodeId, Node>> {
        let sql =
            "select id, name, store_url, availability_percent, capacity_bytes, state, heartbeat_at, store_deletes,
            store_remarks, labels, measured_availability_percent, gossip_address, public_key from nodes";
        let nodes = rows::read(self.transaction, self.quarantine, NODES, sql, [], quarantine::node)?;
        Ok(nodes.into_iter().collect())
    }

    pub(super) fn all_links(&mut self) -> Result<LinkTable> {
        let nodes = self.nodes()?;
        self.links(&nodes)
    }

    pub(super) fn all_links_in_force(&mut self) -> Result<LinkTable> {
        let nodes = self.nodes()?;
        self.links_in_force(&nodes)
    }

    pub(super) fn links(&mut self, nodes: &FlatMap<NodeId, Node>) -> Result<LinkTable> {
        let sql = "select from_node, to_node, latency_ms, jitter_ms from links";
        let link = |row: &mut Fields<'_>| quarantine::link(row, nodes);
        let links = rows::read(self.transaction, self.quarantine, LINKS, sql, [], link)?;
        Ok(links.into_iter().collect())
    }

    pub(super) fn measured_links(&mut self, nodes: &FlatMap<NodeId, Node>) -> Result<MeasuredLinks> {
        let sql = "select from_node, to_node, latency_ms, loss_percent, bytes_per_s, at_ms from measured_links";
        let link = |row: &mut Fields<'_>| quarantine::measured_link(row, nodes);
        let links = rows::read(self.transaction, self.quarantine, MEASURED_LINKS, sql, [], link)?;
        Ok(links.into_iter().collect())
    }

    /// Those that are declared, else measured.
    pub(super) fn links_in_force(&mut self, nodes: &FlatMap<NodeId, Node>) -> Result<LinkTable> {
        let declared = self.links(nodes)?;
        Ok(self.measured_links(nodes)?.beside(&declared))
    }

    pub(super) fn agents(&mut self, nodes: &FlatMap<NodeId, Node>) -> Result<FlatMap<AgentId, Peer>> {
        let sql = "select id, node, goal, policy, may_run_on, runs_at, heartbeat_at, converged, unexpected,
            goal_override, policy_override from agents";
        let peer = |row: &mut Fields<'_>| quarantine::peer(row, nodes);
        let agents = rows::read(self.transaction, self.quarantine, AGENTS, sql, [], peer)?;
        Ok(agents.into_iter().collect())
    }

    /// Who reads a data set.
    pub(super) fn readers(&mut self, data_set: &DataSetName) -> Result<BTreeSet<AgentId>> {
        let sql = "select agent, data_set from readers where data_set = ?";
        let readers = rows::read(self.transaction, self.quarantine, READERS, sql, [&data_set.0], quarantine::reader)?;
        Ok(readers.into_iter().map(|(agent, _)| agent).collect())
    }

    /// Where each agent's jobs run.
    pub(super) fn seats(&mut self) -> Result<BTreeMap<AgentId, NodeId>> {
        let sql = "select id, node, may_run_on, runs_at from agents";
        Ok(rows::read(self.transaction, self.quarantine, AGENTS, sql, [], quarantine::seat)?.into_iter().collect())
    }

    /// What is registered of an agent, if it is.
    pub(super) fn registration(&mut self, agent: AgentId) -> Result<Option<Registration>> {
        let nodes = self.nodes()?;
        Ok(self.agents(&nodes)?.remove(&agent).map(|peer| peer.registration))
    }

    /// Where each registered agent lives.
    pub(super) fn homes(&mut self) -> Result<BTreeMap<AgentId, NodeId>> {
        let sql = "select id, node from agents";
        Ok(rows::read(self.transaction, self.quarantine, AGENTS, sql, [], quarantine::home)?.into_iter().collect())
    }

    pub(super) fn placement(&mut self, data_set: &DataSetName) -> Result<Placement> {
        let sql = "select id, data_set, node, object_key, state, generation, lease_holder, lease_until, object_bytes, etag,
            modified_at_ms, remark, former, exists (select 1 from nodes where nodes.id = replicas.node) as node_known from replicas where data_set = ?";
        let replicas =
            rows::read(self.transaction, self.quarantine, REPLICAS, sql, [&data_set.0], quarantine::replica)?;
        let replicas: BTreeMap<_, _> = replicas.into_iter().map(|replica| (replica.id, replica)).collect();
        let sql = "select agent, replica from reference_replicas where data_set = ?";
        let reference = |row: &mut Fields<'_>| quarantine::reference(row, &replicas);
        let references = rows::read(self.transaction, self.quarantine, REFERENCES, sql, [&data_set.0], reference)?;
        Ok(Placement { references: references.into_iter().collect(), replicas })
    }

    pub(super) fn counters(&mut self, data_set: &DataSetName) -> Result<BTreeMap<Action, Counter>> {
        let sql = "select data_set, action, value, changed_at_ms from counters where data_set = ?";
        let counters =
            rows::read(self.transaction, self.quarantine, COUNTERS, sql, [&data_set.0], quarantine::counter)?;
        Ok(counters.into_iter().collect())
    }

    fn copies_made(&mut self, data_set: &DataSetName) -> Result<BTreeMap<ReplicaId, u32>> {
        let sql = "select replica, count(*) as copies from events
            where data_set = ? and action_type = 'copy' and outcome in ('running', 'done') group by replica";
        let copies = rows::read(self.transaction, self.quarantine, COPIES, sql, [&data_set.0], quarantine::copies)?;
        Ok(copies.into_iter().collect())
    }

    pub(super) fn changed_at(&self, data_set: &DataSetName) -> Result<Option<Timestamp>> {
        let mut statement = self.transaction.prepare_cached(LATEST_CHANGE)?;
        let latest: Option<i64> = statement.query_row(params![data_set.0, self.now.0], |row| row.get(0))?;
        Ok(latest.map(Timestamp))
    }

    pub(super) fn stored_bytes(&mut self) -> Result<BTreeMap<NodeId, u64>> {
        let sql = "select id, node, bytes from replicas join data_sets on data_sets.name = replicas.data_set";
        let sizes = rows::read(self.transaction, self.quarantine, REPLICAS, sql, [], quarantine::stored)?;
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
        let heartbeats = rows::read(self.transaction, self.quarantine, AGENTS, sql, [], quarantine::heartbeat)?;
        Ok(heartbeats.into_iter().collect())
    }
}

/// Those of the agents that are among the readers.
fn read_by(readers: &BTreeSet<AgentId>, agents: FlatMap<AgentId, Peer>) -> FlatMap<AgentId, Peer> {
    agents.into_iter().filter(|(agent, _)| readers.contains(agent)).collect()
}

/// SQL integers are signed. `rules` refuses larger values before they get here.
pub(super) fn sql_integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
