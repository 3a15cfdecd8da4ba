//! Nodes and links that come and go, within one transaction. Who may is `rules` to say.

use super::Tables;
use super::catalogue::sql_integer;
use super::connect::Failure;
use super::rows;
use agent_core::domain::environment::{Basis, Contact, Links, Measured, MeasuredLink, Quantity, Saying};
use agent_core::domain::ids::NodeId;
use agent_core::domain::placement::{Claim, Link, Node, NodeState, Replica};
use agent_core::domain::time::Timestamp;
use agent_core::domain::units::Percent;
use agent_core::knowledge::quarantine::{self, FORMER, FORMER_AT, FormerRow, REMOVED, REPLICAS};
use agent_core::knowledge::rules::{self, Rejection};
use rusqlite::params;
use std::collections::BTreeSet;
use std::time::Duration;

type Result<T> = std::result::Result<T, Failure>;

impl Tables<'_> {
    pub(super) fn register_network(&mut self, nodes: &[Node], links: &[Link]) -> Result<()> {
        let (nodes, links) = rules::still_wanted(nodes, links, &self.removed_nodes()?);
        let registered = self.nodes()?.keys().copied().collect();
        rules::check_network(&registered, &nodes, &links)?;
        self.insert(&nodes, &links)
    }

    pub(super) fn add_nodes(&mut self, nodes: &[Node], links: &[Link], are: Links) -> Result<()> {
        let (registered, linked) = (self.nodes()?, self.all_links()?);
        rules::check_addition(&registered, &linked, (nodes, links), are)?;
        for node in nodes {
            // Also what somebody left by hand of an earlier node with this number.
            self.execute("delete from links where ?1 in (from_node, to_node)", [node.id.0])?;
            self.execute("delete from removed_nodes where id = ?", [node.id.0])?;
        }
        self.insert(nodes, links)
    }

    /// What is missing.
    fn insert(&self, nodes: &[Node], links: &[Link]) -> Result<()> {
        for node in nodes {
            let values = params![
                node.id.0,
                node.name,
                node.store_url,
                node.availability.declared.map(Percent::value),
                node.capacity_bytes.map(sql_integer),
                node.state.name(),
                node.heartbeat_at.map(|at| at.0),
                rules::written_labels(&node.labels)
            ];
            let sql = "insert or ignore into nodes
                (id, name, store_url, availability_percent, capacity_bytes, state, heartbeat_at, labels)
                values (?, ?, ?, ?, ?, ?, ?, ?)";
            self.execute(sql, values)?;
        }
        for link in links {
            let values = params![link.from.0, link.to.0, link.latency_ms, link.jitter_ms];
            let sql = "insert or ignore into links (from_node, to_node, latency_ms, jitter_ms) values (?, ?, ?, ?)";
            self.execute(sql, values)?;
        }
        Ok(())
    }

    pub(super) fn leave_node(&mut self, node: NodeId, silence: Duration, drain: Duration) -> Result<Vec<Replica>> {
        if self.require_node(node)?.state == NodeState::Leaving {
            return self.held(node);
        }
        let (nodes, running) = (self.nodes()?, self.running_claims()?);
        rules::check_leave(node, &self.agents(&nodes)?, &running, silence, self.now)?;
        let (links, seats) = (self.links_in_force(&nodes)?, self.seats()?);
        self.bill_held()?;
        for (data_set, guard) in self.guards()? {
            let mut placement = self.placement(&data_set)?;
            let at = (self.now, self.now + drain);
            let changes = rules::leave((&data_set, &guard), &placement, &links, &seats, node, at)?;
            self.apply(&data_set, &mut placement, &changes)?;
        }
        self.execute("update data_sets set generation = generation + 1", [])?;
        self.execute("update agents set runs_at = null where runs_at = ?", [node.0])?;
        self.execute("update nodes set state = 'leaving' where id = ?", [node.0])?;
        self.held(node)
    }

    pub(super) fn remove_node(&mut self, node: NodeId) -> Result<Vec<Replica>> {
        let Some(row) = self.nodes()?.remove(&node) else { return Ok(Vec::new()) };
        if row.state != NodeState::Leaving {
            return Err(Rejection::NotLeaving(node).into());
        }
        let held = self.held(node)?;
        if held.is_empty() {
            for table in ["reference_replicas", "readers"] {
                let sql = format!("delete from {table} where agent in (select id from agents where node = ?)");
                self.execute(&sql, [node.0])?;
            }
            self.execute("delete from agents where node = ?", [node.0])?;
            for table in ["links", "measured_links"] {
                self.execute(&format!("delete from {table} where ?1 in (from_node, to_node)"), [node.0])?;
            }
            self.execute("delete from nodes where id = ?", [node.0])?;
            self.execute("insert or replace into removed_nodes values (?, ?)", params![node.0, self.now.0])?;
        }
        Ok(held)
    }

    pub(super) fn register_store(&mut self, node: NodeId, store_url: &str) -> Result<()> {
        let sql = "update nodes set store_url = ?, state = iif(state = 'leaving', state, 'running') where id = ?";
        self.change_one(sql, params![store_url, node.0], Rejection::UnknownNode(node))
    }

    pub(super) fn introduce(&mut self, node: NodeId, contact: &Contact) -> Result<()> {
        rules::check_contact(contact)?;
        let known = self.require_node(node)?.contact.public_key;
        rules::check_key(node, known.as_deref(), contact)?;
        let sql = "update nodes set gossip_address = coalesce(?, gossip_address), public_key = coalesce(?, public_key)
            where id = ?";
        self.execute(sql, params![contact.address, contact.public_key, node.0])?;
        Ok(())
    }

    pub(super) fn forget_key(&mut self, node: NodeId) -> Result<()> {
        let sql = "update nodes set public_key = null where id = ?";
        self.change_one(sql, [node.0], Rejection::UnknownNode(node))
    }

    pub(super) fn measured(&mut self, from: NodeId, measured: &Measured) -> Result<()> {
        rules::check_measured(measured)?;
        let nodes = self.nodes()?;
        let known = self.measured_links(&nodes)?;
        for (node, percent) in &measured.availability {
            let Some(row) = nodes.get(node) else { continue };
            let (quantity, was) = (Quantity::Availability(*node), row.availability.measured.map(Percent::value));
            self.keep_former(Saying::former(quantity, Basis::Measured, was, Some(percent.value())))?;
            let sql = "update nodes set measured_availability_percent = ? where id = ?";
            self.execute(sql, params![percent.value(), node.0])?;
        }
        let is_known = |node: &NodeId| nodes.contains_key(node);
        for link in measured.links.iter().filter(|link| is_known(&from) && is_known(&link.to)) {
            let MeasuredLink { to, latency_ms, loss_percent, bytes_per_s, .. } = link;
            let was = known.get(from, *to).map(|link| link.latency_ms);
            self.keep_former(Saying::former(Quantity::Latency(from, *to), Basis::Measured, was, Some(*latency_ms)))?;
            let sql = "insert or replace into measured_links (from_node, to_node, latency_ms, loss_percent, bytes_per_s, at_ms)
                values (?, ?, ?, ?, ?, ?)";
            self.execute(sql, params![from.0, to.0, latency_ms, loss_percent, bytes_per_s, self.now.0])?;
        }
        Ok(())
    }

    /// What is said otherwise from now on.
    pub(super) fn keep_former(&self, former: Option<Saying>) -> Result<()> {
        let Some(former) = former else { return Ok(()) };
        let FormerRow { from_node, to_node, basis, value } = FormerRow::from(&former);
        let sql = "insert into former_environment (from_node, to_node, basis, until_ms, value) values (?, ?, ?, ?, ?)";
        self.execute(sql, params![from_node, to_node, basis, self.now.0, value])?;
        Ok(())
    }

    pub(super) fn former_environment(&mut self, at: Timestamp) -> Result<Vec<Saying>> {
        let sql = format!("select from_node, to_node, basis, until_ms, value from former_environment {FORMER_AT}");
        let said = rows::read(self.transaction, self.quarantine, FORMER, &sql, [at.0], quarantine::saying)?;
        Ok(Saying::first_of_each(said))
    }

    pub(super) fn running_claims(&mut self) -> Result<Vec<Claim>> {
        let mut claims = Vec::new();
        for event in self.running_events()? {
            claims.extend(self.granted(&event)?);
        }
        Ok(claims)
    }

    pub(super) fn removed_nodes(&mut self) -> Result<BTreeSet<NodeId>> {
        let sql = "select id from removed_nodes";
        let removed = rows::read(self.transaction, self.quarantine, REMOVED, sql, [], quarantine::removed)?;
        Ok(removed.into_iter().collect())
    }

    /// The rows on a node, whatever their state.
    fn held(&mut self, node: NodeId) -> Result<Vec<Replica>> {
        let sql =
            "select id, data_set, node, object_key, state, generation, lease_holder, lease_until, object_bytes, etag,
            modified_at_ms, remark, former from replicas where node = ? order by id";
        Ok(rows::read(self.transaction, self.quarantine, REPLICAS, sql, [node.0], quarantine::any_replica)?)
    }
}
