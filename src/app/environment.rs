//! What is known of the nodes and links that an event is about: as declared, and as measured.

use agent_core::domain::environment::{Availability, MeasuredLink};
use agent_core::domain::event::Event;
use agent_core::domain::ids::NodeId;
use agent_core::domain::snapshot::Snapshot;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Environment {
    pub nodes: Vec<KnownNode>,
    /// From where the agent lives.
    pub links: Vec<KnownLink>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct KnownNode {
    pub node: NodeId,
    #[serde(flatten)]
    pub availability: Availability,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct KnownLink {
    pub from: NodeId,
    pub to: NodeId,
    /// Absent: nobody declares it.
    pub declared_ms: Option<f64>,
    /// Absent: nobody has measured it.
    pub measured: Option<MeasuredLink>,
}

/// As it is now. `None`: nothing of it is measured, and what is declared the decision says.
pub fn of(snapshot: &Snapshot, event: &Event) -> Option<Environment> {
    let home = snapshot.agents.get(&event.agent).map(|peer| peer.registration.node);
    let ends = [event.action.from_node(), event.action.to_node()];
    let nodes: BTreeSet<NodeId> = ends.into_iter().flatten().collect();
    let known = |node: &NodeId| Some(KnownNode { node: *node, availability: snapshot.nodes.get(node)?.availability });
    let link = |to: &NodeId| {
        let from = home.filter(|home| home != to)?;
        let declared_ms = snapshot.links.get(from, *to).map(|link| link.latency_ms);
        let measured = snapshot.measured.get(from, *to).copied();
        (declared_ms.is_some() || measured.is_some()).then_some(KnownLink { from, to: *to, declared_ms, measured })
    };
    let environment =
        Environment { nodes: nodes.iter().filter_map(known).collect(), links: nodes.iter().filter_map(link).collect() };
    let is_measured = environment.nodes.iter().any(|node| node.availability.measured.is_some())
        || environment.links.iter().any(|link| link.measured.is_some());
    is_measured.then_some(environment)
}

impl fmt::Display for KnownNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {}: available {}", self.node, self.availability)?;
        match (self.availability.declared, self.availability.measured) {
            (Some(_), Some(measured)) => write!(f, " declared, {:.2} % measured", measured.value()),
            (Some(_) | None, _) => Ok(()),
        }
    }
}

impl fmt::Display for KnownLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "link from node {} to node {}: ", self.from, self.to)?;
        let declared = self.declared_ms.map(|ms| format!("{ms} ms declared"));
        let measured = self.measured.map(|link| {
            let rate = link.bytes_per_s.map(|rate| {
                let rate = agent_core::domain::units::show_bytes(rate.max(0.0) as u64);
                format!(", {rate}/s")
            });
            let (ms, lost, rate) = (link.latency_ms, link.loss_percent, rate.unwrap_or_default());
            format!("{ms:.2} ms measured, {lost:.1} % lost{rate}")
        });
        f.write_str(&declared.into_iter().chain(measured).collect::<Vec<_>>().join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_core::domain::ids::AgentId;
    use agent_core::domain::time::Timestamp;
    use agent_core::domain::units::Percent;
    use agent_core::knowledge::contract::{Table, clock};
    use agent_core::knowledge::memory::MemoryKnowledge;
    use std::sync::Arc;

    #[tokio::test]
    async fn what_was_measured_stands_beside_what_is_declared() {
        let clock = clock();
        let table = Table::new(MemoryKnowledge::new(clock.clone()), clock, ()).three_agents().await;
        let claim = table.claim(1, "M3_2").await;
        let event = table.knowledge.event(claim.event).await.unwrap().unwrap();
        let mut snapshot = table.snapshot().await;
        assert_eq!((event.agent, of(&snapshot, &event)), (AgentId(1), None));
        let (from, to) = (NodeId(1), NodeId(2));
        let link =
            MeasuredLink { from, to, latency_ms: 12.25, loss_percent: 0.5, bytes_per_s: Some(2e6), at: Timestamp(0) };
        snapshot.measured = Arc::new([link].into_iter().collect());
        let mut nodes = (*snapshot.nodes).clone();
        nodes.get_mut(&to).unwrap().availability.measured = Percent::new(99.5);
        snapshot.nodes = Arc::new(nodes);
        let Environment { nodes, links } = of(&snapshot, &event).unwrap();
        let shown: Vec<String> = nodes.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["node 2: available 80 % declared, 99.50 % measured", "node 3: available 85 %"]);
        let shown: Vec<String> = links.iter().map(ToString::to_string).collect();
        let to_2 = "link from node 1 to node 2: 1000 ms declared; 12.25 ms measured, 0.5 % lost, 2.0 MB/s";
        assert_eq!(shown, [to_2, "link from node 1 to node 3: 1500 ms declared"]);
    }
}
