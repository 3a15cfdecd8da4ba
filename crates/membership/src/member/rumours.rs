//! Suspicions and deaths, each passed on a bounded number of times.

use crate::identity::NodeId;
use crate::message::{MAX_RUMOURS, Rumour};
use crate::time::Time;
use std::collections::{BTreeMap, BTreeSet};

/// A rumour is passed on this many times for each doubling of the number of members.
const TIMES_FOR_EACH_DOUBLING: u32 = 4;
/// Rumours that wait at once.
const MAX_WAITING: usize = 40_000;

#[derive(Debug)]
struct Waiting {
    rumour: Rumour,
    since: Time,
    sent: u32,
}

/// Those that wait to be passed on; the least often told first.
#[derive(Default, Debug)]
pub(crate) struct Rumours {
    waiting: BTreeMap<(NodeId, NodeId), Waiting>,
    order: BTreeSet<(u32, NodeId, NodeId)>,
}

impl Rumours {
    /// `since`: when the suspicion began.
    pub fn spread(&mut self, rumour: Rumour, since: Time) {
        let (about, accuser) = (rumour.about, rumour.accuser);
        let before = self.waiting.get(&(about, accuser));
        let is_news = before.is_none_or(|waiting| {
            let of = |rumour: &Rumour| (rumour.incarnation, rumour.refutation, rumour.is_dead);
            of(&rumour) > of(&waiting.rumour)
        });
        if !is_news || (before.is_none() && self.waiting.len() >= MAX_WAITING) {
            return;
        }
        if let Some(before) = self.waiting.insert((about, accuser), Waiting { rumour, since, sent: 0 }) {
            self.order.remove(&(before.sent, about, accuser));
        }
        self.order.insert((0, about, accuser));
    }

    /// Nobody needs to hear of this node any more.
    pub fn silence(&mut self, about: NodeId) {
        let range = (about, NodeId(0))..=(about, NodeId(u32::MAX));
        let gone: Vec<_> = self.waiting.range(range).map(|(key, waiting)| (waiting.sent, key.0, key.1)).collect();
        for (sent, about, accuser) in gone {
            self.waiting.remove(&(about, accuser));
            self.order.remove(&(sent, about, accuser));
        }
    }

    /// What to add to a message, at most `room`; what is about `first` comes first and does not count as told.
    pub fn take(&mut self, members: usize, room: usize, first: Option<NodeId>, now: Time) -> Vec<Rumour> {
        let limit = TIMES_FOR_EACH_DOUBLING * (members + 2).ilog2();
        let told = |waiting: &Waiting| {
            let age_ms = u32::try_from(now.since(waiting.since).as_millis()).unwrap_or(u32::MAX);
            Rumour { age_ms, ..waiting.rumour }
        };
        let mut taken = Vec::new();
        if let Some(first) = first {
            let about = self.waiting.range((first, NodeId(0))..=(first, NodeId(u32::MAX)));
            taken.extend(about.map(|(_, waiting)| told(waiting)).take(1));
        }
        let next: Vec<_> = self.order.iter().take(room.min(MAX_RUMOURS).saturating_sub(taken.len())).copied().collect();
        for (sent, about, accuser) in next {
            self.order.remove(&(sent, about, accuser));
            let Some(waiting) = self.waiting.get_mut(&(about, accuser)) else { continue };
            taken.push(told(waiting));
            waiting.sent += 1;
            if waiting.sent < limit {
                self.order.insert((waiting.sent, about, accuser));
            } else {
                self.waiting.remove(&(about, accuser));
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rumour(about: u32, accuser: u32) -> Rumour {
        let (about, accuser) = (NodeId(about), NodeId(accuser));
        Rumour { about, incarnation: 1, refutation: 0, accuser, age_ms: 0, is_dead: false }
    }

    #[test]
    fn each_is_told_a_bounded_number_of_times() {
        let mut rumours = Rumours::default();
        rumours.spread(rumour(1, 9), Time::default());
        let told = (0..100).map(|_| rumours.take(14, 6, None, Time(2_000)).len()).sum::<usize>();
        assert_eq!(told, 4 * 4);
        assert!(rumours.waiting.is_empty() && rumours.order.is_empty());
    }

    #[test]
    fn the_least_told_comes_first_and_ages() {
        let mut rumours = Rumours::default();
        for about in 1..=4 {
            rumours.spread(rumour(about, 9), Time::default());
        }
        let about = |taken: Vec<Rumour>| taken.iter().map(|rumour| rumour.about.0).collect::<Vec<_>>();
        assert_eq!(about(rumours.take(100, 3, None, Time::default())), [1, 2, 3]);
        let next = rumours.take(100, 2, None, Time(5_000));
        assert_eq!(next[0].age_ms, 5);
        assert_eq!(about(next), [4, 1]);
        assert_eq!(about(rumours.take(100, 2, Some(NodeId(4)), Time::default())), [4, 2]);
        rumours.silence(NodeId(2));
        assert_eq!(about(rumours.take(100, 6, None, Time::default())), [3, 4, 1]);
    }
}
