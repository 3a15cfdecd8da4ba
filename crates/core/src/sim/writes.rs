//! The owner of a data set, who writes now and then: each time a new version, of which all other replicas lack something until they
//! are refreshed.

use super::physics;
use super::setup::VALIDATED;
use super::table::ready;
use super::world::{Happening, Told, World};
use crate::config::scenario::{Physics, Writes};
use crate::domain::ids::NodeId;
use crate::domain::placement::{Claim, DataSet};
use crate::domain::validators::Validators;
use crate::knowledge::Knowledge as _;
use std::time::Duration;

impl World<'_> {
    /// The first write of each data set that is written.
    pub fn arrange_writes(&mut self) {
        let written = self.shelves.iter().enumerate().filter_map(|(shelf, it)| Some((shelf, it.writes?.every)));
        for (shelf, every) in written.collect::<Vec<_>>() {
            self.agenda.arrange(self.now() + every, Happening::Writes { shelf });
        }
    }

    /// A new version lies at the origin, and its agent has noticed it at once, as if the owner had said so. Whose store is away
    /// cannot write, and what cannot be announced becomes a part of the next version.
    pub fn writes(&mut self, shelf: usize) {
        let Some(Writes { every, share }) = self.shelves[shelf].writes else { return };
        if self.is_calm() {
            return;
        }
        self.agenda.arrange(self.now() + every, Happening::Writes { shelf });
        let Some(snapshot) = self.truth_of(shelf) else { return };
        let Some(origin) = snapshot.origin() else { return };
        let Some(row) = snapshot.placement.current().find(|row| row.node == origin) else { return };
        if self.damage.between(origin, origin).is_some() || self.damage.database_is_away() {
            return;
        }
        let known = &snapshot.data_set;
        let version = known.versions.version + 1;
        let content = DataSet { sha256: checksum(version), ..known.clone() };
        let written = (known.bytes as f64 * share).round() as u64;
        let none = Validators::default();
        let accepted = ready(self.table.knowledge.accept(&content, written, row.id, row.generation, &none));
        accepted.expect(VALIDATED);
        self.shelves[shelf].touched = true;
        self.tell(|| Told::World(format!("version {version} of data set {} is written at node {origin}", known.name)));
    }

    /// How much of a data set a claim's transfer carries, 0..=1: all of it, where nobody writes.
    pub fn share_carried(&self, shelf: usize, claim: &Claim) -> f64 {
        let written = self.shelves[shelf].writes.and_then(|_| self.truth_of(shelf));
        written.map_or(1.0, |truth| {
            let carried = truth.placement.bytes_brought(claim.action, &truth.data_set);
            carried as f64 / truth.data_set.bytes.max(1) as f64
        })
    }
}

/// Of no bytes that exist.
fn checksum(version: u64) -> String {
    format!("{version:064x}")
}

/// How long a replica on a node lacks what was written, and in what share of the time: refreshed by an agent there, at its next
/// heartbeat.
pub fn lag(physics: &Physics, writes: Writes, heartbeat: Duration, origin: NodeId, node: NodeId) -> (Duration, f64) {
    let whole = physics::transfer_time(physics, node, (origin, 1.0), (node, 1.0));
    let lasts = heartbeat / 2 + whole.mul_f64(writes.share);
    (lasts, (lasts.as_secs_f64() / writes.every.as_secs_f64()).min(1.0))
}
