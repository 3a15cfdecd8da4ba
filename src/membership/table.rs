//! What the shared table tells a member, and what a member writes there for all. While the table is away the members know at
//! least whether the placement has moved on.

use super::{Attached, Shared};
use crate::actors::chain;
use crate::knowledge::KnowledgeError;
use agent_core::clock::Clock;
use agent_core::domain::environment::{Contact, Links, Measured, MeasuredLink};
use agent_core::domain::flat_map::FlatMap;
use agent_core::domain::ids::NodeId;
use agent_core::domain::placement::{Node, NodeState};
use agent_core::domain::units::Percent;
use agent_core::mape::findings::{Findings, writes_availability};
use agent_membership::udp::Running;
use agent_membership::{Input, MemberSeen, PublicKey, View};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::watch;

/// Once in a heartbeat, from when an agent is attached.
pub async fn follow(shared: Arc<Shared>, running: Arc<Running>, mut attachment: watch::Receiver<Option<Attached>>) {
    let attached = loop {
        if let Some(attached) = attachment.borrow_and_update().clone() {
            break attached;
        }
        if attachment.changed().await.is_err() {
            return;
        }
    };
    let mut table = Table::default();
    loop {
        let looked = table.look(&shared, &running, &attached).await;
        if let Err(error) = looked {
            tracing::debug!(agent = %shared.wanted.agent, error = chain(&error), "the table tells members nothing");
            let view = shared.view.borrow().clone();
            table.hear_of_newer(&shared, &view);
        }
        tokio::time::sleep(shared.wanted.clock.apply(attached.heartbeat)).await;
    }
}

/// What the table was told, and tells.
#[derive(Default)]
struct Table {
    findings: Findings,
    /// What it is known by there.
    introduced: Option<Contact>,
    /// It is known by another key, which is told once.
    is_refused: bool,
    nodes: BTreeSet<NodeId>,
    /// Of each data set that the agent reads, the generation of the placement as it was read last.
    generations: BTreeMap<String, u64>,
    /// The newest generation of each that people were told of while the table was away.
    told: BTreeMap<String, u64>,
}

impl Table {
    async fn look(&mut self, shared: &Shared, running: &Running, attached: &Attached) -> crate::knowledge::Result<()> {
        let world = &attached.world;
        let nodes = world.knowledge.nodes().await?;
        self.introduce(shared, running, attached).await?;
        self.hand_on(shared, running, &nodes);
        if let Ok(snapshots) = world.load().await? {
            let store_url = nodes.get(&world.home).and_then(|node| node.store_url.clone());
            let store_url = store_url.filter(|_| shared.wanted.has_store);
            shared.own.placed(world.home, store_url, &snapshots, &world.rates.all());
            let generation = |known: i64| u64::try_from(known).unwrap_or_default();
            self.generations = snapshots
                .iter()
                .map(|snapshot| (snapshot.data_set.name.0.to_string(), generation(snapshot.generation)))
                .collect();
            self.told.clear();
        }
        shared.own.draining(nodes.get(&world.home).is_some_and(|node| node.state == NodeState::Leaving));
        self.write(shared, attached).await
    }

    /// States where this node listens and by which key it is known.
    async fn introduce(
        &mut self,
        shared: &Shared,
        running: &Running,
        attached: &Attached,
    ) -> crate::knowledge::Result<()> {
        let view = shared.view.borrow().clone();
        let Some(own) = view.of(running.node) else { return Ok(()) };
        let record = own.record.record();
        let contact = Contact { address: Some(record.address.to_string()), public_key: Some(record.key.to_string()) };
        if self.introduced.as_ref() == Some(&contact) {
            return Ok(());
        }
        match attached.world.knowledge.introduce(attached.world.home, &contact).await {
            Ok(()) => {
                self.introduced = Some(contact);
                self.is_refused = false;
                Ok(())
            }
            // Others go by the table's key, and refuse this one: nothing is lost, and a person decides.
            Err(rejected @ KnowledgeError::Rejected { .. }) => {
                if !std::mem::replace(&mut self.is_refused, true) {
                    shared.wanted.trouble(chain(&rejected));
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Tells the member what the table knows of its peers.
    fn hand_on(&mut self, shared: &Shared, running: &Running, nodes: &FlatMap<NodeId, Node>) {
        let keys = nodes.values().filter_map(|node| Some((id(node.id), key(node.contact.public_key.as_deref()?)?)));
        running.tell(Input::Keys(Arc::new(keys.collect())));
        let others = nodes.values().filter(|node| node.id != shared.wanted.node);
        let seeds: Vec<SocketAddr> = others.filter_map(|node| node.contact.address.as_deref()?.parse().ok()).collect();
        running.tell(Input::Seeds(seeds.into()));
        let present: BTreeSet<NodeId> = nodes.keys().copied().collect();
        for gone in self.nodes.difference(&present) {
            running.tell(Input::Removed(id(*gone)));
        }
        self.nodes = present;
    }

    async fn write(&mut self, shared: &Shared, attached: &Attached) -> crate::knowledge::Result<()> {
        let world = &attached.world;
        let view = shared.view.borrow().clone();
        let mut measured = measured(&view, world.home, &world.rates.all(), world.clock.as_ref());
        if shared.wanted.links == Links::Injected {
            measured.links.clear();
        }
        measured.links.retain(|link| self.nodes.contains(&link.to));
        measured.availability.retain(|(node, _)| self.nodes.contains(node));
        let due = self.findings.due(&measured, world.clock.now(), attached.heartbeat);
        if due.is_empty() {
            return Ok(());
        }
        world.knowledge.measured(world.home, &due).await?;
        self.findings.wrote(&due, world.clock.now());
        Ok(())
    }

    /// While the table is away: that others have seen a newer placement, people are told once.
    fn hear_of_newer(&mut self, shared: &Shared, view: &View) {
        for (data_set, (node, generation)) in newer(view, &self.generations) {
            if self.told.get(&data_set).is_some_and(|told| *told >= generation) {
                continue;
            }
            let own = self.generations.get(&data_set).copied().unwrap_or_default();
            shared.wanted.trouble(format!(
                "the table cannot be reached, and the placement of {data_set} has moved on: node {node} has seen generation \
                 {generation}, this one reads as generation {own} said, and does nothing else until the table is back"
            ));
            self.told.insert(data_set, generation);
        }
    }
}

/// Of each data set the newest generation that a living peer has seen and this node has not, and who.
fn newer(view: &View, known: &BTreeMap<String, u64>) -> BTreeMap<String, (u32, u64)> {
    let mut newer: BTreeMap<String, (u32, u64)> = BTreeMap::new();
    for seen in view.members.iter().filter(|seen| seen.standing.lives()) {
        let record = seen.record.record();
        for replica in &record.own.replicas {
            let newest = newer.get(&replica.data_set).map(|(_, generation)| *generation);
            let newest = newest.or_else(|| known.get(&replica.data_set).copied());
            if newest.is_some_and(|newest| replica.generation > newest) {
                newer.insert(replica.data_set.clone(), (record.node.0, replica.generation));
            }
        }
    }
    newer
}

/// What is measured of the ways from a node and of its living peers.
fn measured(view: &View, home: NodeId, rates: &BTreeMap<NodeId, f64>, clock: &dyn Clock) -> Measured {
    let living = || view.members.iter().filter(|seen| seen.standing.lives()).map(node_of);
    let others = || view.members.iter().filter(|seen| node_of(seen) != home);
    let link = |seen: &MemberSeen| {
        let link = seen.link.filter(|_| seen.standing.lives())?;
        Some(MeasuredLink {
            from: home,
            to: node_of(seen),
            latency_ms: clock.record(link.round_trip).as_secs_f64() * 1e3,
            loss_percent: (link.loss * 100.0).clamp(0.0, 100.0),
            bytes_per_s: rates.get(&node_of(seen)).copied(),
            at: clock.now(),
        })
    };
    let available = |seen: &MemberSeen| {
        let percent = Percent::new((seen.availability? * 100.0).clamp(0.0, 100.0))?;
        writes_availability(home, node_of(seen), living()).then_some((node_of(seen), percent))
    };
    Measured { links: others().filter_map(link).collect(), availability: others().filter_map(available).collect() }
}

fn node_of(seen: &MemberSeen) -> NodeId {
    NodeId(seen.record.record().node.0)
}

fn id(node: NodeId) -> agent_membership::NodeId {
    agent_membership::NodeId(node.0)
}

/// From lower-case hexadecimal.
pub fn key(text: &str) -> Option<PublicKey> {
    let mut bytes = [0; agent_membership::PUBLIC_KEY_BYTES];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(PublicKey(bytes))
}
