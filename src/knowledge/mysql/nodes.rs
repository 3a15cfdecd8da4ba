//! Nodes and links that come and go. Who may is `rules` to say.

use super::catalogue::sql_integer;
use super::select::{Answer, Part, Question};
use super::tables::{
    AGENTS, DATA_SETS, LINKS, MEASURED_LINKS, NODES, REFERENCES, REMOVED, REPLICAS, Result, Tables, places, text,
};
use agent_core::domain::environment::{Basis, Contact, Links, Measured, MeasuredLink, Quantity, Saying};
use agent_core::domain::ids::NodeId;
use agent_core::domain::placement::{Link, Node, NodeState, Replica};
use agent_core::domain::time::Timestamp;
use agent_core::domain::units::Percent;
use agent_core::knowledge::quarantine;
use agent_core::knowledge::rules::{self, Rejection};
use mysql_async::Value;
use std::time::Duration;

const FORMER: Part = Part {
    name: "former",
    table: quarantine::FORMER,
    columns: &["from_node", "to_node", "basis", "until_ms", "value"],
    from: "from former_environment",
};

impl Tables {
    pub(super) async fn register_network(&mut self, nodes: &[Node], links: &[Link]) -> Result<()> {
        let answer = self.ask(Question::new().and(&NODES, "", []).and(&REMOVED, "", [])).await?;
        let (nodes, links) = rules::still_wanted(nodes, links, &answer.removed_nodes());
        rules::check_network(&answer.nodes().keys().copied().collect(), &nodes, &links)?;
        self.begin().await?;
        self.insert(&nodes, &links).await?;
        self.commit().await
    }

    pub(super) async fn add_nodes(&mut self, nodes: &[Node], links: &[Link], are: Links) -> Result<()> {
        self.begin().await?;
        self.lock_all_data_sets().await?;
        let answer = self.ask(Question::new().and(&NODES, "", []).and(&LINKS, "", [])).await?;
        let registered = answer.nodes();
        rules::check_addition(&registered, &answer.links(&registered), (nodes, links), are)?;
        for node in nodes {
            // Also what somebody left by hand of an earlier node with this number.
            self.unlink(node.id).await?;
            self.execute("delete from removed_nodes where id = ?", vec![node.id.0.into()]).await?;
        }
        self.insert(nodes, links).await?;
        self.commit().await
    }

    pub(super) async fn leave_node(
        &mut self,
        node: NodeId,
        silence: Duration,
        drain: Duration,
    ) -> Result<Vec<Replica>> {
        self.begin().await?;
        self.lock_all_data_sets().await?;
        // Before anything is read: whoever registers a data set here writes the same row, and so is seen below or sees this.
        let sql = "update nodes set state = 'leaving' where id = ? and state <> 'leaving'";
        let begins = self.execute(sql, vec![node.0.into()]).await? > 0;
        let question = Question::new().and(&NODES, "", []).and_links().and(&AGENTS, "", []);
        let question = question.and(&DATA_SETS, "", []).and(&REPLICAS, "", []).and(&REFERENCES, "", []);
        let answer = self.ask(question.and_running().and_prices()).await?;
        answer.require_node(node)?;
        if begins {
            self.leave(&answer, node, silence, drain).await?;
        }
        let held = self.ask(Question::new().and(&REPLICAS, "where node = ?", [node.0.into()])).await?;
        self.commit().await?;
        Ok(held.replicas_anywhere())
    }

    async fn leave(&mut self, answer: &Answer, node: NodeId, silence: Duration, drain: Duration) -> Result<()> {
        let (nodes, now) = (answer.nodes(), answer.now);
        rules::check_leave(node, &answer.agents(&nodes), &answer.running_claims(), silence, now)?;
        let (links, seats) = (answer.links_in_force(&nodes), answer.seats());
        self.bill_held(answer).await?;
        for (data_set, guard) in answer.read(&DATA_SETS, quarantine::guarded) {
            let mut placement = answer.placement(&data_set);
            let at = (now, now + drain);
            let changes = rules::leave((&data_set, &guard), &placement, &links, &seats, node, at)?;
            self.apply(&data_set, &mut placement, &changes).await?;
        }
        self.execute("update data_sets set generation = generation + 1", Vec::new()).await?;
        self.execute("update agents set runs_at = null where runs_at = ?", vec![node.0.into()]).await?;
        Ok(())
    }

    /// Writes a node's row and leaves it as it is, so that a leaving that has not seen this transaction waits for it, or is
    /// refused where several servers compare what was written: a row that is set to what it is counts as written nowhere.
    /// Overtaken where the node leaves or is gone.
    pub(super) async fn write_node_that_stays(&mut self, node: NodeId) -> Result<()> {
        for heard_at in ["coalesce(heartbeat_at, 0) + 1", "nullif(heartbeat_at - 1, 0)"] {
            let sql = format!("update nodes set heartbeat_at = {heard_at} where id = ? and state <> 'leaving'");
            self.execute_unless_overtaken(&sql, vec![node.0.into()]).await?;
        }
        Ok(())
    }

    pub(super) async fn remove_node(&mut self, node: NodeId) -> Result<Vec<Replica>> {
        self.begin().await?;
        self.lock_all_data_sets().await?;
        let this = || [node.0.into()];
        let question = Question::new().and(&NODES, "where id = ?", this()).and(&REPLICAS, "where node = ?", this());
        let answer = self.ask(question).await?;
        let Some(row) = answer.nodes().remove(&node) else { return Ok(Vec::new()) };
        if row.state != NodeState::Leaving {
            return Err(Rejection::NotLeaving(node).into());
        }
        let held = answer.replicas_anywhere();
        if held.is_empty() {
            for table in ["reference_replicas", "readers"] {
                let sql = format!("delete from {table} where agent in (select id from agents where node = ?)");
                self.execute(&sql, this().to_vec()).await?;
            }
            self.execute("delete from agents where node = ?", this().to_vec()).await?;
            self.unlink(node).await?;
            self.execute("delete from nodes where id = ?", this().to_vec()).await?;
            let sql = "replace into removed_nodes (id, removed_at_ms) values (?, ?)";
            self.execute(sql, vec![node.0.into(), answer.now.0.into()]).await?;
            self.commit().await?;
        }
        Ok(held)
    }

    pub(super) async fn register_store(&mut self, node: NodeId, store_url: &str) -> Result<()> {
        let sql = "update nodes set store_url = ?, state = case state when 'leaving' then state else 'running' end
            where id = ?";
        self.change_one(sql, vec![text(store_url), node.0.into()], Rejection::UnknownNode(node)).await
    }

    /// Whoever changes the replicas of any data set waits, and finds what became of the nodes.
    async fn lock_all_data_sets(&mut self) -> Result<()> {
        self.execute("update data_sets set revision = revision + 1", Vec::new()).await?;
        Ok(())
    }

    async fn unlink(&mut self, node: NodeId) -> Result<()> {
        for table in ["links", "measured_links"] {
            let sql = format!("delete from {table} where from_node = ? or to_node = ?");
            self.execute(&sql, vec![node.0.into(), node.0.into()]).await?;
        }
        Ok(())
    }

    /// Of several that introduce themselves as one node at once, one is first.
    pub(super) async fn introduce(&mut self, node: NodeId, contact: &Contact) -> Result<()> {
        rules::check_contact(contact)?;
        let sql = "update nodes set gossip_address = coalesce(?, gossip_address), public_key = coalesce(?, public_key)
            where id = ? and (public_key is null or ? is null or public_key = ?)";
        let (address, key) = (|| contact.address.as_deref().into(), || contact.public_key.as_deref().into());
        let values = vec![address(), key(), node.0.into(), key(), key()];
        if self.execute_alone(sql, values).await? == 0 {
            let answer = self.ask(Question::new().and(&NODES, "where id = ?", [node.0.into()])).await?;
            let known = answer.require_node(node)?.contact.public_key;
            rules::check_key(node, known.as_deref(), contact)?;
        }
        Ok(())
    }

    pub(super) async fn forget_key(&mut self, node: NodeId) -> Result<()> {
        let sql = "update nodes set public_key = null where id = ?";
        self.change_one(sql, vec![node.0.into()], Rejection::UnknownNode(node)).await
    }

    /// Each statement by itself: repeating what was measured does no harm, and nothing else is written with it.
    pub(super) async fn measured(&mut self, from: NodeId, measured: &Measured) -> Result<()> {
        rules::check_measured(measured)?;
        let question = Question::new().and(&NODES, "", []);
        let answer = self.ask(question.and(&MEASURED_LINKS, "where from_node = ?", [from.0.into()])).await?;
        let (nodes, now) = (answer.nodes(), answer.now);
        let (known, is_known) = (answer.measured_links(&nodes), |node: &NodeId| nodes.contains_key(node));
        let availability = measured.availability.iter().filter(|(node, _)| is_known(node));
        let links = measured.links.iter().filter(|link| is_known(&from) && is_known(&link.to));
        let was_available = |(node, percent): &(NodeId, Percent)| {
            let was = nodes.get(node).and_then(|row| row.availability.measured).map(Percent::value);
            Saying::former(Quantity::Availability(*node), Basis::Measured, was, Some(percent.value()))
        };
        let took = |link: &MeasuredLink| {
            let was = known.get(from, link.to).map(|link| link.latency_ms);
            Saying::former(Quantity::Latency(from, link.to), Basis::Measured, was, Some(link.latency_ms))
        };
        let former = availability.clone().filter_map(was_available).chain(links.clone().filter_map(took));
        self.keep_former(former, now).await?;
        for (node, percent) in availability {
            let sql = "update nodes set measured_availability_percent = ? where id = ?";
            self.execute_alone(sql, vec![percent.value().into(), node.0.into()]).await?;
        }
        let links: Vec<[Value; 6]> = links.map(|link| measured_values(from, link, now.0)).collect();
        if !links.is_empty() {
            let rows = places(links.len(), 6);
            let sql = format!(
                "replace into measured_links (from_node, to_node, latency_ms, loss_percent, bytes_per_s, at_ms) values {rows}"
            );
            self.execute_alone(&sql, links.into_iter().flatten().collect()).await?;
        }
        Ok(())
    }

    /// What is said otherwise from now on: before it is, so that whoever does not get further has kept what is true.
    pub(super) async fn keep_former(&mut self, former: impl IntoIterator<Item = Saying>, now: Timestamp) -> Result<()> {
        let rows: Vec<[Value; 5]> = former.into_iter().map(|said| former_values(&said, now)).collect();
        if !rows.is_empty() {
            let rows_of = places(rows.len(), 5);
            let sql =
                format!("insert into former_environment (from_node, to_node, basis, until_ms, value) values {rows_of}");
            self.execute_alone(&sql, rows.into_iter().flatten().collect()).await?;
        }
        Ok(())
    }

    pub(super) async fn former_environment(&mut self, at: Timestamp) -> Result<Vec<Saying>> {
        let answer = self.ask(Question::new().and(&FORMER, quarantine::FORMER_AT, [at.0.into()])).await?;
        Ok(Saying::first_of_each(answer.read(&FORMER, quarantine::saying)))
    }

    /// What is missing.
    async fn insert(&mut self, nodes: &[Node], links: &[Link]) -> Result<()> {
        if !nodes.is_empty() {
            let rows = places(nodes.len(), 8);
            let sql = format!(
                "insert ignore into nodes
                (id, name, store_url, availability_percent, capacity_bytes, state, heartbeat_at, labels) values {rows}"
            );
            self.execute(&sql, nodes.iter().flat_map(node_values).collect()).await?;
        }
        if !links.is_empty() {
            let rows = places(links.len(), 4);
            let sql = format!("insert ignore into links (from_node, to_node, latency_ms, jitter_ms) values {rows}");
            self.execute(&sql, links.iter().flat_map(link_values).collect()).await?;
        }
        Ok(())
    }
}

impl Answer {
    pub(super) fn require_node(&self, node: NodeId) -> std::result::Result<Node, Rejection> {
        self.nodes().remove(&node).ok_or(Rejection::UnknownNode(node))
    }
}

fn node_values(node: &Node) -> [Value; 8] {
    [
        node.id.0.into(),
        text(&node.name),
        node.store_url.as_deref().into(),
        node.availability.declared.map(Percent::value).into(),
        node.capacity_bytes.map_or(Value::NULL, sql_integer),
        node.state.name().into(),
        node.heartbeat_at.map(|at| at.0).into(),
        rules::written_labels(&node.labels).into(),
    ]
}

fn measured_values(from: NodeId, link: &MeasuredLink, now: i64) -> [Value; 6] {
    let MeasuredLink { to, latency_ms, loss_percent, bytes_per_s, .. } = link;
    [from.0.into(), to.0.into(), latency_ms.into(), loss_percent.into(), (*bytes_per_s).into(), now.into()]
}

fn former_values(said: &Saying, now: Timestamp) -> [Value; 5] {
    let quarantine::FormerRow { from_node, to_node, basis, value } = said.into();
    [from_node.into(), to_node.into(), basis.into(), now.0.into(), value.into()]
}

fn link_values(link: &Link) -> [Value; 4] {
    [link.from.0.into(), link.to.0.into(), link.latency_ms.into(), link.jitter_ms.into()]
}
