//! Nodes, links, agents, data sets and their replicas.

use super::select::{Answer, Part, Question};
use super::tables::{
    AGENTS, COUNTERS, DATA_SETS, EVENTS, LINKS, NODES, READERS, REMOVED, REPLICAS, Result, Tables, in_order, places,
    text,
};
use crate::knowledge::{Counter, NotedUpload, Registered, Snapshot, quarantine};
use agent_core::domain::action::Action;
use agent_core::domain::constraints::Constraints;
use agent_core::domain::environment::{Basis, Quantity, Saying};
use agent_core::domain::flat_map::FlatMap;
use agent_core::domain::ids::{AgentId, DataSetName, Life, NodeId, ReplicaId};
use agent_core::domain::labels::Labels;
use agent_core::domain::placement::{
    Condition, DataSet, Health, Identity, Lease, Node, Override, Placement, Registration, Replica, StoreTraits,
};
use agent_core::domain::saga::{self, Change};
use agent_core::domain::snapshot::Content;
use agent_core::domain::time::Timestamp;
use agent_core::domain::units::Percent;
use agent_core::domain::validators::Validators;
use agent_core::domain::versions::Versions;
use agent_core::knowledge::rules::{self, Rejection};
use mysql_async::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

const LIVES: Part =
    Part { name: "lives", table: quarantine::AGENTS, columns: &["id", "life", "heartbeat_at"], from: "from agents" };
const COPIES: Part = Part {
    name: "copies",
    table: quarantine::COPIES,
    columns: &["replica", "count(*) as copies"],
    from: "from events where action_type = 'copy' and outcome in ('running', 'done')",
};
pub(super) const CHANGES: Part = Part {
    name: "changes",
    table: quarantine::EVENTS,
    columns: &["ended_at_ms"],
    from: "from events where outcome = 'done' and action_type not in ('nothing', 'restore')",
};
pub(super) const STORED: Part = Part {
    name: "stored",
    table: quarantine::REPLICAS,
    columns: &["id", "node", "bytes"],
    from: "from replicas join data_sets on data_sets.name = replicas.data_set",
};

const UPLOADS: Part = Part {
    name: "uploads",
    table: quarantine::UPLOADS,
    columns: &["node", "object_key", "upload_id", "agent", "begun_at_ms"],
    from: "from uploads",
};

/// So many changes may be said to have ended in the future before the last real one is overlooked.
pub(super) const LATEST_CHANGES: &str = "and data_set = ? order by ended_at_ms desc limit 100";

// Registration, and what people set.
impl Tables {
    pub(super) async fn register_data_set(
        &mut self,
        data_set: &DataSet,
        node: NodeId,
        object_key: &str,
        validators: &Validators,
    ) -> Result<bool> {
        let question = Question::new().and_data_set(&data_set.name).and(&NODES, "where id = ?", [node.0.into()]);
        let answer = self.ask(question.and_prices()).await?;
        if let Some((known, _)) = answer.data_set() {
            rules::check_same_content(&known, data_set)?;
            return Ok(false);
        }
        rules::check_sizes(data_set)?;
        rules::check_first_node(data_set, &answer.require_node(node)?)?;
        let DataSet { name, object_key: own_key, bytes, records, sha256, versions: _, guard } = data_set;
        self.begin().await?;
        self.execute(
            "insert into data_sets (name, object_key, bytes, records, sha256, constraints, registered_at, revision)
                values (?, ?, ?, ?, ?, ?, ?, 1)",
            vec![
                text(&name.0),
                text(own_key),
                sql_integer(*bytes),
                sql_integer(*records),
                text(sha256),
                rules::written_constraints(&guard.constraints).into(),
                answer.now.0.into(),
            ],
        )
        .await?;
        self.bill_held(&answer).await?;
        let first = saga::first_replica(node, object_key, validators);
        self.apply(name, &mut Placement::default(), &[first]).await?;
        // Not to a node that has begun to leave since it was read.
        self.write_node_that_stays(node).await?;
        self.commit().await?;
        Ok(true)
    }

    pub(super) async fn remove_data_set(&mut self, name: &DataSetName, silence: Duration) -> Result<Vec<Replica>> {
        let this = || vec![text(&name.0)];
        self.begin().await?;
        if !self.lock_data_set(name).await? {
            return Ok(Vec::new());
        }
        let question = Question::new().and_placement(name).and(&NODES, "", []).and(&AGENTS, "", []);
        let question = question.and(&READERS, "where data_set = ?", [text(&name.0)]);
        let answer = self.ask(question.and_running().and_prices()).await?;
        let (peers, readers) = (answer.agents(&answer.nodes()), answer.readers(name));
        let peers = peers.into_iter().filter(|(agent, _)| readers.contains(agent)).collect();
        rules::check_removal(name, &peers, &answer.running_claims(), silence, answer.now)?;
        self.bill_held(&answer).await?;
        for table in ["ask_nodes", "replies", "named_nodes", "forecasts"] {
            let sql = format!("delete from {table} where ask in (select id from asks where data_set = ?)");
            self.execute(&sql, this()).await?;
        }
        for table in ["asks", "replicas", "reference_replicas", "readers", "counters"] {
            self.execute(&format!("delete from {table} where data_set = ?"), this()).await?;
        }
        self.execute("delete from data_sets where name = ?", this()).await?;
        self.commit().await?;
        Ok(answer.replicas_anywhere())
    }

    pub(super) async fn found(&mut self, id: ReplicaId, generation: i64, condition: &Condition) -> Result<bool> {
        let Some(row) = self.replica(id).await? else { return Ok(false) };
        let name = &row.data_set;
        self.begin().await?;
        self.lock_data_set(name).await?;
        let question = Question::new().and_placement(name).and(&NODES, "", []).and_links().and(&AGENTS, "", []);
        let answer = self.ask(question.and_prices()).await?;
        let (mut placement, links) = (answer.placement(name), answer.links_in_force(&answer.nodes()));
        let changes = saga::found(&placement, &links, &answer.seats(), id, generation, condition);
        if changes.is_empty() {
            return Ok(false);
        }
        self.bill_held(&answer).await?;
        self.apply(name, &mut placement, &changes).await?;
        self.raise_generation(name).await?;
        self.commit().await?;
        Ok(true)
    }

    pub(super) async fn accept(
        &mut self,
        data_set: &DataSet,
        written_bytes: u64,
        replica: ReplicaId,
        generation: i64,
        validators: &Validators,
    ) -> Result<bool> {
        let DataSet { name, bytes, records, sha256, .. } = data_set;
        self.begin().await?;
        self.lock_data_set(name).await?;
        let question = Question::new().and_data_set(name).and_placement(name).and(&NODES, "", []);
        let answer = self.ask(question.and_prices()).await?;
        let (known, _) = answer.data_set().ok_or_else(|| Rejection::UnknownDataSet(name.clone()))?;
        rules::check_sizes(data_set)?;
        let mut placement = answer.placement(name);
        let changes = saga::accept(&placement, replica, generation, validators, &known, answer.now);
        if changes.is_empty() {
            return Ok(false);
        }
        self.bill_held(&answer).await?;
        let Versions { version, written_bytes, .. } = known.versions.followed(written_bytes, answer.now);
        let sql =
            "update data_sets set bytes = ?, records = ?, sha256 = ?, version = ?, written_at = ?, written_bytes = ?
            where name = ?";
        let [bytes, records, version, written_bytes] = [*bytes, *records, version, written_bytes].map(sql_integer);
        let values = vec![bytes, records, text(sha256), version, answer.now.0.into(), written_bytes, text(&name.0)];
        self.execute(sql, values).await?;
        self.apply(name, &mut placement, &changes).await?;
        self.raise_generation(name).await?;
        self.commit().await?;
        Ok(true)
    }

    pub(super) async fn describe_store(&mut self, node: NodeId, traits: &StoreTraits) -> Result<()> {
        let sql = "update nodes set store_deletes = ?, store_remarks = ? where id = ?";
        let remarks = traits.remarks.as_deref().map(rules::kept_line);
        let values = vec![traits.deletes.into(), remarks.into(), node.0.into()];
        self.change_one(sql, values, Rejection::UnknownNode(node)).await
    }

    pub(super) async fn note_upload(&mut self, node: NodeId, key: &str, id: &str, agent: AgentId) -> Result<()> {
        let now = self.ask(Question::new()).await?.now;
        let sql = "insert into uploads (node, object_key, upload_id, agent, begun_at_ms) values (?, ?, ?, ?, ?)";
        self.execute_alone(sql, vec![node.0.into(), text(key), text(id), agent.0.into(), now.0.into()]).await?;
        Ok(())
    }

    pub(super) async fn forget_upload(&mut self, node: NodeId, key: &str, id: &str) -> Result<()> {
        let sql = "delete from uploads where node = ? and object_key = ? and upload_id = ?";
        self.execute_alone(sql, vec![node.0.into(), text(key), text(id)]).await?;
        Ok(())
    }

    pub(super) async fn uploads(&mut self, node: NodeId) -> Result<Vec<NotedUpload>> {
        let answer = self.ask(Question::new().and(&UPLOADS, "where node = ?", [node.0.into()])).await?;
        let mut noted = answer.read(&UPLOADS, quarantine::upload);
        noted.sort_by_key(|upload| upload.begun_at);
        // One is noted twice when an answer was lost.
        let mut seen = BTreeSet::new();
        noted.retain(|upload| seen.insert((upload.object_key.clone(), upload.upload_id.clone())));
        Ok(noted)
    }

    pub(super) async fn register_agent(
        &mut self,
        registration: &Registration,
        data_sets: &[DataSetName],
        identity: &Identity,
    ) -> Result<Registered> {
        let Registration { agent, node, goal, policy, may_run_on } = registration;
        self.begin().await?;
        // In the order of their names, so that nobody waits for somebody who waits for him.
        let names: BTreeSet<&DataSetName> = data_sets.iter().collect();
        for name in &names {
            if !self.lock_data_set(name).await? {
                return Err(Rejection::UnknownDataSet((*name).clone()).into());
            }
        }
        let this = || [agent.0.into()];
        let question = names.iter().fold(Question::new(), |question, name| question.and_placement(name));
        let question = question.and(&NODES, "where id = ?", [node.0.into()]).and(&READERS, "where agent = ?", this());
        let answer = self.ask(question.and(&LIVES, "where id = ?", this())).await?;
        rules::check_stays(&answer.require_node(*node)?)?;
        let lives = answer.read(&LIVES, quarantine::life);
        let (life, heartbeat_at) = lives.into_iter().next().unwrap_or_default();
        if let Some(wait) = rules::taken(life.as_ref(), heartbeat_at, identity, answer.now) {
            return Ok(Registered::Taken { wait });
        }
        let now = answer.now.0;
        let sql = "insert into agents (id, node, goal, policy, may_run_on, life, heartbeat_at, state, converged, unexpected)
            values (?, ?, ?, ?, ?, ?, ?, 'running', 0, 0)
            on duplicate key update node = values(node), goal = values(goal), policy = values(policy),
                may_run_on = values(may_run_on), life = values(life), heartbeat_at = values(heartbeat_at), state = values(state),
                converged = values(converged), unexpected = values(unexpected)";
        let (life, may_run_on) = (text(&identity.life.0), rules::written_nodes(may_run_on).into());
        let values = vec![agent.0.into(), node.0.into(), text(goal), text(policy), may_run_on, life, now.into()];
        self.execute(sql, values).await?;
        self.execute("update nodes set heartbeat_at = ? where id = ?", vec![now.into(), node.0.into()]).await?;
        self.read_alone(*agent, answer.read(&READERS, quarantine::reader), &names).await?;
        for name in names {
            let mut placement = answer.placement(name);
            if !rules::reads_present(&placement, *agent)
                && let Some(replica) = rules::first_reference(&placement, *node)
            {
                self.apply(name, &mut placement, &[Change::Point { agent: *agent, replica }]).await?;
                self.raise_generation(name).await?;
            }
        }
        self.commit().await?;
        Ok(Registered::Done)
    }

    /// The agent reads these data sets from now on, and no others. `known`: what it read before.
    async fn read_alone(
        &mut self,
        agent: AgentId,
        known: Vec<(AgentId, DataSetName)>,
        names: &BTreeSet<&DataSetName>,
    ) -> Result<()> {
        let known: BTreeSet<DataSetName> = known.into_iter().map(|(_, name)| name).collect();
        for other in known.iter().filter(|name| !names.contains(name)) {
            self.raise_generation(other).await?;
            for table in ["readers", "reference_replicas"] {
                let sql = format!("delete from {table} where agent = ? and data_set = ?");
                self.execute(&sql, vec![agent.0.into(), text(&other.0)]).await?;
            }
        }
        for name in names.iter().filter(|name| !known.contains(**name)) {
            let sql = "insert ignore into readers (agent, data_set) values (?, ?)";
            self.execute(sql, vec![agent.0.into(), text(&name.0)]).await?;
        }
        Ok(())
    }

    pub(super) async fn heartbeat(&mut self, agent: AgentId, life: &Life, health: Health) -> Result<bool> {
        let now = self.ask(Question::new()).await?.now.0;
        self.begin().await?;
        let Health { converged, unexpected } = health;
        let sql = "update agents set heartbeat_at = ?, state = 'running', converged = ?, unexpected = ?
            where id = ? and life = ?";
        if self
            .execute(sql, vec![now.into(), converged.into(), unexpected.into(), agent.0.into(), text(&life.0)])
            .await?
            == 0
        {
            return Ok(false);
        }
        let sql = "update nodes set heartbeat_at = ?, state = case state when 'leaving' then state else 'running' end
            where id = (select node from agents where id = ?)";
        self.execute(sql, vec![now.into(), agent.0.into()]).await?;
        self.commit().await?;
        Ok(true)
    }

    pub(super) async fn sign_off(&mut self, agent: AgentId, life: &Life) -> Result<bool> {
        self.begin().await?;
        let sql = "update agents set heartbeat_at = null, state = 'stopped' where id = ? and life = ?";
        if self.execute(sql, vec![agent.0.into(), text(&life.0)]).await? == 0 {
            return Ok(false);
        }
        let sql = "update nodes set state = 'stopped'
            where id = (select node from agents where id = ?) and state <> 'leaving'";
        self.execute(sql, vec![agent.0.into()]).await?;
        self.commit().await?;
        Ok(true)
    }

    pub(super) async fn set_override(&mut self, agent: AgentId, stated: &Override) -> Result<()> {
        let (sql, value) = match stated {
            Override::Goal(goal) => ("update agents set goal_override = ? where id = ?", goal),
            Override::Policy(policy) => ("update agents set policy_override = ? where id = ?", policy),
        };
        let values = vec![value.as_deref().into(), agent.0.into()];
        self.change_one(sql, values, Rejection::UnknownAgent(agent)).await
    }

    pub(super) async fn set_availability(&mut self, node: NodeId, declared: Option<Percent>) -> Result<()> {
        let answer = self.ask(Question::new().and(&NODES, "where id = ?", [node.0.into()])).await?;
        let (was, value) = (answer.require_node(node)?.availability.declared, declared.map(Percent::value));
        let quantity = Quantity::Availability(node);
        let former = Saying::former(quantity, Basis::Declared, was.map(Percent::value), value);
        self.keep_former(former, answer.now).await?;
        let sql = "update nodes set availability_percent = ? where id = ?";
        self.change_one(sql, vec![value.into(), node.0.into()], Rejection::UnknownNode(node)).await
    }

    pub(super) async fn set_labels(&mut self, node: NodeId, labels: &Labels) -> Result<()> {
        let values = vec![rules::written_labels(labels).into(), node.0.into()];
        self.change_one("update nodes set labels = ? where id = ?", values, Rejection::UnknownNode(node)).await?;
        self.execute_alone("update data_sets set generation = generation + 1", Vec::new()).await?;
        Ok(())
    }

    pub(super) async fn set_constraints(&mut self, name: &DataSetName, constraints: &Constraints) -> Result<()> {
        let sql = "update data_sets set constraints = ?, generation = generation + 1 where name = ?";
        let values = vec![rules::written_constraints(constraints).into(), text(&name.0)];
        self.change_one(sql, values, Rejection::UnknownDataSet(name.clone())).await
    }

    pub(super) async fn pause(&mut self, name: &DataSetName, until: Option<Timestamp>) -> Result<()> {
        let sql = "update data_sets set paused_until = ?, generation = generation + 1 where name = ?";
        let values = vec![until.map(|until| until.0).into(), text(&name.0)];
        self.change_one(sql, values, Rejection::UnknownDataSet(name.clone())).await
    }

    pub(super) async fn set_latency(&mut self, from: NodeId, to: NodeId, declared_ms: Option<f64>) -> Result<()> {
        let ends = || [from.0.into(), to.0.into()];
        let question = Question::new().and(&NODES, "where id in (?, ?)", ends());
        let question = question.and(&LINKS, "where from_node = ? and to_node = ?", ends());
        let answer = self.ask(question).await?;
        let nodes = answer.nodes();
        rules::check_ends((from, to), |node| nodes.contains_key(node))?;
        declared_ms.map_or(Ok(()), rules::check_latency)?;
        let was = answer.links(&nodes).get(from, to).map(|link| link.latency_ms);
        let former = Saying::former(Quantity::Latency(from, to), Basis::Declared, was, declared_ms);
        self.keep_former(former, answer.now).await?;
        match declared_ms {
            Some(latency_ms) => {
                let sql = "insert into links (from_node, to_node, latency_ms, jitter_ms) values (?, ?, ?, 0)
                    on duplicate key update latency_ms = values(latency_ms)";
                self.execute_alone(sql, vec![from.0.into(), to.0.into(), latency_ms.into()]).await?;
            }
            None => {
                self.execute_alone("delete from links where from_node = ? and to_node = ?", ends().to_vec()).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn seed_counters(
        &mut self,
        name: &DataSetName,
        counters: &BTreeMap<Action, Counter>,
    ) -> Result<()> {
        self.begin().await?;
        for (action, counter) in counters {
            let sql = "replace into counters (data_set, action, value, changed_at_ms) values (?, ?, ?, ?)";
            let label = text(&action.to_string());
            let values = vec![text(&name.0), label, counter.value.into(), counter.changed_at.0.into()];
            self.execute(sql, values).await?;
        }
        self.commit().await
    }

    pub(super) async fn seed_placement(&mut self, name: &DataSetName, placement: &Placement) -> Result<()> {
        self.begin().await?;
        if !self.lock_data_set(name).await? {
            return Err(Rejection::UnknownDataSet(name.clone()).into());
        }
        self.execute("delete from replicas where data_set = ?", vec![text(&name.0)]).await?;
        self.execute("delete from reference_replicas where data_set = ?", vec![text(&name.0)]).await?;
        for replica in placement.replicas.values() {
            let [holder, until] = lease_values(replica.lease);
            let values = vec![
                replica.id.0.into(),
                text(&name.0),
                replica.node.0.into(),
                text(&replica.object_key),
                replica.state.name().into(),
                replica.generation.into(),
                holder,
                until,
            ];
            let sql = "insert into replicas
                (id, data_set, node, object_key, state, generation, lease_holder, lease_until)
                values (?, ?, ?, ?, ?, ?, ?, ?)";
            self.execute(sql, values).await?;
        }
        let references = placement.references.iter().map(|(agent, replica)| (*agent, *replica));
        let points: Vec<_> = references.map(|(agent, replica)| Change::Point { agent, replica }).collect();
        for agent in placement.references.keys() {
            let sql = "insert ignore into readers (agent, data_set) values (?, ?)";
            self.execute(sql, vec![agent.0.into(), text(&name.0)]).await?;
        }
        self.apply(name, &mut placement.clone(), &points).await?;
        self.raise_generation(name).await?;
        self.commit().await
    }

    /// Writers of one data set's replicas queue here, so that they never wait for each other in a circle. Writing, because
    /// members of a Galera cluster compare what was written alone. `false`: there is no such data set.
    pub(super) async fn lock_data_set(&mut self, name: &DataSetName) -> Result<bool> {
        let sql = "update data_sets set revision = revision + 1 where name = ?";
        Ok(self.execute(sql, vec![text(&name.0)]).await? > 0)
    }

    /// The planned placement is another one from now on.
    pub(super) async fn raise_generation(&mut self, name: &DataSetName) -> Result<()> {
        self.execute("update data_sets set generation = generation + 1 where name = ?", vec![text(&name.0)]).await?;
        Ok(())
    }

    /// Writes changes to the tables and to `placement`, which is what they were decided on.
    pub(super) async fn apply(
        &mut self,
        data_set: &DataSetName,
        placement: &mut Placement,
        changes: &[Change],
    ) -> Result<()> {
        let mut inserted = VecDeque::new();
        for change in changes {
            if let Some(id) = self.write(data_set, change).await? {
                inserted.push_back(id);
            }
        }
        self.point(data_set, changes).await?;
        // Cannot fail: `write` gave one id for each insert, in the same order.
        saga::apply(placement, data_set, changes, || inserted.pop_front().expect("an id for each insert"));
        Ok(())
    }

    async fn write(&mut self, data_set: &DataSetName, change: &Change) -> Result<Option<ReplicaId>> {
        match change {
            Change::Insert { node, object_key, state, lease, validators } => {
                let [holder, until] = lease_values(*lease);
                let mut values =
                    vec![text(&data_set.0), node.0.into(), text(object_key), state.name().into(), holder, until];
                values.extend(validator_values(validators));
                let sql = "insert into replicas
                    (data_set, node, object_key, state, lease_holder, lease_until, object_bytes, etag, modified_at_ms,
                    generation) values (?, ?, ?, ?, ?, ?, ?, ?, ?, 1)";
                self.execute(sql, values).await?;
                return Ok(Some(ReplicaId(self.last_id())));
            }
            Change::Lease { replica, lease } => {
                let [holder, until] = lease_values(*lease);
                let sql = "update replicas set lease_holder = ?, lease_until = ? where id = ?";
                self.execute(sql, vec![holder, until, replica.0.into()]).await?;
            }
            Change::Relocate { replica, node, object_key, validators } => {
                let sql =
                    "update replicas set node = ?, object_key = ?, object_bytes = ?, etag = ?, modified_at_ms = ?,
                    state = 'present', remark = null, former = null, generation = generation + 1,
                    lease_holder = null, lease_until = null where id = ?";
                let [bytes, etag, modified] = validator_values(validators);
                self.execute(sql, vec![node.0.into(), text(object_key), bytes, etag, modified, replica.0.into()])
                    .await?;
            }
            Change::See { replica, validators, remark } => {
                let sql = "update replicas set object_bytes = ?, etag = ?, modified_at_ms = ?, remark = ? where id = ?";
                let [bytes, etag, modified] = validator_values(validators);
                let remark = remark.as_deref().map(rules::kept_line).into();
                self.execute(sql, vec![bytes, etag, modified, remark, replica.0.into()]).await?;
            }
            Change::Become { replica, state, lease } => {
                let [holder, until] = lease_values(*lease);
                let sql = "update replicas set state = ?, former = null, generation = generation + 1,
                    lease_holder = ?, lease_until = ? where id = ?";
                self.execute(sql, vec![state.name().into(), holder, until, replica.0.into()]).await?;
            }
            Change::Outdate { replica, former, validators } => {
                let sql = "update replicas set former = ?, object_bytes = ?, etag = ?, modified_at_ms = ?,
                    generation = generation + 1, lease_holder = null, lease_until = null where id = ?";
                let former = rules::written_former(Some(former)).into();
                let [bytes, etag, modified] = validator_values(validators);
                self.execute(sql, vec![former, bytes, etag, modified, replica.0.into()]).await?;
            }
            Change::Seat { agent, node } => {
                let sql = "update agents set runs_at = ? where id = ?";
                self.execute(sql, vec![node.0.into(), agent.0.into()]).await?;
            }
            Change::Delete { replica } => {
                self.execute("delete from replicas where id = ?", vec![replica.0.into()]).await?;
            }
            // All at once, below: there may be as many as agents.
            Change::Point { .. } => {}
        }
        Ok(None)
    }

    async fn point(&mut self, data_set: &DataSetName, changes: &[Change]) -> Result<()> {
        let points: Vec<[Value; 4]> = changes
            .iter()
            .filter_map(|change| match change {
                Change::Point { agent, replica } => {
                    Some([agent.0.into(), text(&data_set.0), replica.0.into(), 1.into()])
                }
                _ => None,
            })
            .collect();
        if points.is_empty() {
            return Ok(());
        }
        let rows = places(points.len(), 4);
        let sql = format!(
            "insert into reference_replicas (agent, data_set, replica, generation) values {rows}
            on duplicate key update replica = values(replica), generation = generation + 1"
        );
        self.execute(&sql, points.into_iter().flatten().collect()).await?;
        Ok(())
    }

    /// An update of exactly one row, else rejected.
    pub(super) async fn change_one(&mut self, sql: &str, values: Vec<Value>, otherwise: Rejection) -> Result<()> {
        match self.execute_alone(sql, values).await? {
            0 => Err(otherwise.into()),
            _ => Ok(()),
        }
    }
}

// Reading.
impl Tables {
    pub(super) async fn snapshot(&mut self, name: &DataSetName) -> Result<Option<Snapshot>> {
        let this = || [text(&name.0)];
        let question = Question::new().and_data_set(name).and_placement(name);
        let question = question.and(&NODES, "", []).and_links().and(&AGENTS, "", []);
        let question =
            question.and(&COUNTERS, "where data_set = ?", this()).and(&READERS, "where data_set = ?", this());
        let question = question.and(&EVENTS, "where state = 'open' and data_set = ?", this());
        let question = question.and(&COPIES, "and data_set = ? group by replica", this());
        let question = question.and(&CHANGES, LATEST_CHANGES, this()).and(&STORED, "", []).and(&REMOVED, "", []);
        let answer = self.ask(question.and_prices()).await?;
        let Some((data_set, generation)) = answer.data_set() else {
            return Ok(None);
        };
        let books = if answer.tariff().is_none() { None } else { self.books().await? };
        let nodes = answer.nodes();
        let (agents, readers, removed) = (answer.agents(&nodes), answer.readers(name), answer.removed_nodes());
        let open = answer.read(&EVENTS, |row| quarantine::open_event(row, &nodes, &agents, &removed));
        let content = Content {
            data_set,
            links: Arc::new(answer.links(&nodes)),
            measured: Arc::new(answer.measured_links(&nodes)),
            placement: answer.placement(name),
            agents: Arc::new(agents.into_iter().filter(|(agent, _)| readers.contains(agent)).collect()),
            open_events: in_order(open).into_iter().map(Arc::new).collect(),
            counters: answer.counters(name),
            copies_made: answer.read(&COPIES, quarantine::copies).into_iter().collect(),
            changed_at: answer.changed_at(),
            generation,
            stored_bytes: answer.stored_bytes(),
            books: books.map(Arc::new),
            derived: Default::default(),
            nodes: Arc::new(nodes),
        };
        Ok(Some(Snapshot::new(answer.now, content)))
    }

    pub(super) async fn nodes(&mut self) -> Result<FlatMap<NodeId, Node>> {
        Ok(self.ask(Question::new().and(&NODES, "", [])).await?.nodes())
    }

    pub(super) async fn data_sets(&mut self) -> Result<Vec<DataSetName>> {
        let answer = self.ask(Question::new().and(&DATA_SETS, "", [])).await?;
        let mut names = answer.read(&DATA_SETS, |row| quarantine::data_set_name(row, "name"));
        names.sort();
        Ok(names)
    }

    pub(super) async fn counters(&mut self, name: &DataSetName) -> Result<BTreeMap<Action, Counter>> {
        let question = Question::new().and(&COUNTERS, "where data_set = ?", [text(&name.0)]);
        Ok(self.ask(question).await?.counters(name))
    }

    /// A replica, whatever its node.
    pub(super) async fn replica(&mut self, id: ReplicaId) -> Result<Option<Replica>> {
        let answer = self.ask(Question::new().and(&REPLICAS, "where id = ?", [id.0.into()])).await?;
        Ok(answer.replicas_anywhere().pop())
    }
}

impl Answer {
    /// Of all data sets' replicas in the answer.
    pub(super) fn stored_bytes(&self) -> BTreeMap<NodeId, u64> {
        let mut stored: BTreeMap<NodeId, u64> = BTreeMap::new();
        for (node, bytes) in self.read(&STORED, quarantine::stored) {
            let sum = stored.entry(node).or_default();
            *sum = sum.saturating_add(bytes);
        }
        stored
    }

    /// When an action last changed the placement. What is said to have ended in the future has not changed anything yet.
    pub(super) fn changed_at(&self) -> Option<Timestamp> {
        self.numbers(&CHANGES, "ended_at_ms").map(Timestamp).filter(|at| *at <= self.now).max()
    }
}

/// Holder and end.
pub(super) fn lease_values(lease: Option<Lease>) -> [Value; 2] {
    [lease.map(|lease| lease.holder.0).into(), lease.map(|lease| lease.until.0).into()]
}

/// Length, ETag and time of the last change.
fn validator_values(validators: &Validators) -> [Value; 3] {
    let Validators { bytes, etag, modified_ms } = validators;
    let bytes = bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
    [bytes.into(), etag.as_deref().map(text).unwrap_or(Value::NULL), (*modified_ms).into()]
}

/// SQL integers are signed. `rules` refuses larger values before they get here.
pub(super) fn sql_integer(value: u64) -> Value {
    i64::try_from(value).unwrap_or(i64::MAX).into()
}
