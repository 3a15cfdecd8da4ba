//! All nodes at once: what reading there instead of here is expected to change.

use super::{Baseline, Forecast, Place, Predictor, Wanted};
use crate::domain::ids::NodeId;
use crate::domain::impact::{Impacts, Rho};
use crate::domain::placement::{Link, Node};
use crate::domain::snapshot::Snapshot;
use crate::domain::work::Seat;

/// The predicted impacts of reading at any node, seen from the one that is read now. Made once for each decision, for there
/// may be many nodes and several actions that lead to each.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Outlook {
    /// In the order of their ids.
    nodes: Vec<NodeId>,
    impacts: Vec<Impacts>,
}

impl Outlook {
    /// `seat`: where the links begin; `from`: the node that is read now; `rho`: of the metrics that matter.
    pub fn new(predictor: &Predictor, snapshot: &Snapshot, seat: Seat, from: NodeId, rho: &Rho) -> Self {
        let Some(here) = snapshot.nodes.get(&from) else { return Self::default() };
        let wanted = Wanted::of(rho);
        let here = place(seat, here, snapshot.link(seat.node, from), snapshot.written_origin());
        let here = Baseline::new(&predictor.forecast(&here, &wanted), rho);
        let there = places(snapshot, seat).map(|place| predictor.forecast(&place, &wanted));
        let impacts = there.map(|there| here.impacts(&there)).collect();
        Self { nodes: snapshot.nodes.keys().copied().collect(), impacts }
    }

    /// Of reading at each node, by its [place](Self::place).
    pub fn impacts(&self) -> &[Impacts] {
        &self.impacts
    }

    /// Nodes are mostly numbered without gaps; then nothing has to be searched.
    pub fn place(&self, node: NodeId) -> Option<usize> {
        let without_gaps = node.0.checked_sub(self.nodes.first()?.0)? as usize;
        let found = self.nodes.get(without_gaps) == Some(&node);
        if found { Some(without_gaps) } else { self.nodes.binary_search(&node).ok() }
    }
}

/// What is expected at one node, of every metric; of staleness where it is in `rho`.
pub fn forecast(predictor: &Predictor, snapshot: &Snapshot, seat: Seat, node: NodeId, rho: &Rho) -> Option<Forecast> {
    Some(predictor.forecast(&place_of(snapshot, seat, node)?, &Wanted::all(rho)))
}

/// What is known of a node without reading there from this seat; `None` for a node that is not known.
pub fn place_of(snapshot: &Snapshot, seat: Seat, node: NodeId) -> Option<Place> {
    Some(place(seat, snapshot.nodes.get(&node)?, snapshot.link(seat.node, node), snapshot.written_origin()))
}

/// `origin`: where what is written is written; absent: nothing is.
fn place(seat: Seat, node: &Node, stated: Option<Link>, origin: Option<NodeId>) -> Place {
    let follows = origin.is_some_and(|origin| origin != node.id);
    Place { seat, node: node.id, availability: node.availability.in_force(), stated, follows }
}

/// Every node with the link to it. Both tables are in the order of the nodes' ids, so one pass finds all that are declared.
fn places(snapshot: &Snapshot, seat: Seat) -> impl Iterator<Item = Place> + '_ {
    let (mut links, origin) = (snapshot.links.from(seat.node).peekable(), snapshot.written_origin());
    snapshot.nodes.values().map(move |node| {
        while links.next_if(|link| link.to < node.id).is_some() {}
        let declared = links.next_if(|link| link.to == node.id).copied();
        let is_known = || node.id == seat.node || !snapshot.measured.is_empty();
        let link = declared.or_else(|| is_known().then(|| snapshot.link(seat.node, node.id)).flatten());
        place(seat, node, link, origin)
    })
}
