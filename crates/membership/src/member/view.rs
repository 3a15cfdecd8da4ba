//! What a member shows its owner.

use super::{Availabilities, Counters, Link, Member, age_of};
use crate::identity::NodeId;
use crate::message::Standing;
use crate::record::Signed;
use crate::time::Time;
use std::sync::Arc;
use std::time::Duration;

/// A member as another sees it.
#[derive(Clone, PartialEq, Debug)]
pub struct MemberSeen {
    /// The newest record.
    pub record: Arc<Signed>,
    /// How it stands.
    pub standing: Standing,
    /// Of the record.
    pub age: Duration,
    /// What was measured, if it was one of the peers measured latest.
    pub link: Option<Link>,
    /// Share of the window in which it was believed alive, 0 to 1.
    pub availability: Option<f64>,
}

/// All that a member sees at one moment.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct View {
    /// In the order of their numbers, the member itself among them.
    pub members: Vec<MemberSeen>,
    /// Since the start.
    pub counters: Counters,
    /// As it is now.
    pub fan_out: u32,
    /// When.
    pub at: Time,
}

impl View {
    /// One member.
    pub fn of(&self, node: NodeId) -> Option<&MemberSeen> {
        let at = self.members.binary_search_by_key(&node, |seen| seen.record.record().node).ok()?;
        self.members.get(at)
    }
}

impl Member {
    /// All that this member sees.
    pub fn view(&mut self, now: Time) -> View {
        if let Some(availability) = &mut self.availability {
            availability.count(now);
        }
        let mut members: Vec<_> = self.knowledge.iter().map(|held| self.seen(held, now)).collect();
        members.sort_by_key(|seen| seen.record.record().node);
        View { members, counters: self.counters, fan_out: self.settings.fan_out, at: now }
    }

    fn seen(&self, held: &super::knowledge::Held, now: Time) -> MemberSeen {
        let node = held.record.record().node;
        let link = self.links.get(node);
        MemberSeen {
            record: Arc::clone(&held.record),
            standing: held.standing,
            age: age_of(held, link, now),
            link,
            availability: self.availability.as_ref().and_then(|seen| seen.of(node)),
        }
    }

    /// How one node stands, without looking at all.
    pub fn standing(&self, node: NodeId) -> Option<Standing> {
        self.knowledge.get(node).map(|held| held.standing)
    }

    /// The record that is held of a node.
    pub fn record(&self, node: NodeId) -> Option<&Arc<Signed>> {
        self.knowledge.get(node).map(|held| &held.record)
    }

    /// Nodes that are known, this one included.
    pub fn known(&self) -> usize {
        self.knowledge.len()
    }

    /// Ages of all records but the own, by how long they were on their way, in no order that means anything.
    pub fn ages(&self, now: Time) -> Vec<Duration> {
        let others = self.knowledge.iter().filter(|held| held.record.record().node != self.identity.node);
        others.map(|held| now.since(held.issued)).collect()
    }

    /// Bytes of all records that are held.
    pub fn record_bytes(&self) -> usize {
        self.knowledge.iter().map(|held| held.record.wire().len()).sum()
    }

    /// What to save, to be handed to [`Member::restore`] at the next start; none if availability is not counted.
    pub fn availabilities(&mut self, now: Time) -> Option<Availabilities> {
        let availability = self.availability.as_mut()?;
        availability.count(now);
        Some(availability.clone())
    }

    /// Takes over what was saved before this start.
    pub fn restore(&mut self, saved: Availabilities, now: Time) {
        if let Some(availability) = &mut self.availability {
            availability.restore(saved, now, self.settings.max_members);
        }
    }
}
