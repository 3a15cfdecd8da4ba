//! What a node measured of its links and of its peers: what of it is worth a row of the shared table, and when.
//!
//! Everybody reads what is written here, and few things change: so a row is written when it says something else than before, and
//! from time to time so that it is seen to be looked after. However much changes, a node writes at most once in a heartbeat
//! (I-7): in an hour 360 times with the default of 10 s, once where nothing changes.

use crate::domain::environment::{Measured, MeasuredLink};
use crate::domain::ids::NodeId;
use crate::domain::time::Timestamp;
use crate::domain::units::Percent;
use std::collections::BTreeMap;
use std::time::Duration;

/// Rows of links that one node has in the table (I-7): those to the peers of the lowest numbers.
pub const LINKS_MAX: usize = 64;
/// A latency is another one when it has changed by this share of what was written, and by so much \[ms\].
const LATENCY_SHARE: f64 = 0.2;
const LATENCY_MS: f64 = 0.5;
/// A share of losses is another one when it has changed by so much \[%\].
const LOSS_PERCENT: f64 = 1.0;
/// A rate is another one when it has changed by this share of what was written.
const RATE_SHARE: f64 = 0.3;
/// An availability is another one when it has changed by so much \[%\].
const AVAILABILITY_PERCENT: f64 = 0.5;
/// What has not changed enough is written again after this.
const REFRESHED_AFTER: Duration = Duration::from_secs(3600);

/// What is in the table, as far as this node wrote it.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    links: BTreeMap<NodeId, (MeasuredLink, Timestamp)>,
    availability: BTreeMap<NodeId, (Percent, Timestamp)>,
    /// When it was last written to, or tried.
    tried_at: Option<Timestamp>,
}

impl Findings {
    /// Of what is measured now, what is to be written; nothing within `pause` after the last time.
    pub fn due(&mut self, measured: &Measured, now: Timestamp, pause: Duration) -> Measured {
        if self.tried_at.is_some_and(|at| now.since(at) < pause) {
            return Measured::default();
        }
        let mut links: Vec<MeasuredLink> = measured.links.clone();
        links.sort_by_key(|link| link.to);
        links.truncate(LINKS_MAX);
        links.retain(|link| is_due(self.links.get(&link.to), now, |written| is_another(written, link)));
        let differs = |(node, percent): &(NodeId, Percent)| {
            let by = |written: &Percent| (written.value() - percent.value()).abs() >= AVAILABILITY_PERCENT;
            is_due(self.availability.get(node), now, by)
        };
        let availability = measured.availability.iter().copied().filter(differs).collect();
        let due = Measured { links, availability };
        if !due.is_empty() {
            self.tried_at = Some(now);
        }
        due
    }

    /// It is written.
    pub fn wrote(&mut self, written: &Measured, now: Timestamp) {
        self.links.extend(written.links.iter().map(|link| (link.to, (*link, now))));
        self.availability.extend(written.availability.iter().map(|(node, percent)| (*node, (*percent, now))));
    }
}

fn is_due<T>(written: Option<&(T, Timestamp)>, now: Timestamp, is_another: impl FnOnce(&T) -> bool) -> bool {
    written.is_none_or(|(written, at)| now.since(*at) >= REFRESHED_AFTER || is_another(written))
}

fn is_another(written: &MeasuredLink, now: &MeasuredLink) -> bool {
    let by_ms = (written.latency_ms - now.latency_ms).abs();
    let rate = match (written.bytes_per_s, now.bytes_per_s) {
        (Some(written), Some(now)) => (written - now).abs() > written * RATE_SHARE,
        (None, Some(_)) => true,
        (_, None) => false,
    };
    (by_ms > LATENCY_MS && by_ms > written.latency_ms * LATENCY_SHARE)
        || (written.loss_percent - now.loss_percent).abs() >= LOSS_PERCENT
        || rate
}

/// Who writes how available a node is: the first of those that live, but not the node itself, which does not know when it was
/// away.
pub fn writes_availability(me: NodeId, of: NodeId, living: impl Iterator<Item = NodeId>) -> bool {
    me != of && living.filter(|node| *node != of && *node < me).count() == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(10);

    fn link(to: u32, latency_ms: f64, loss_percent: f64) -> MeasuredLink {
        MeasuredLink { from: NodeId(1), to: NodeId(to), latency_ms, loss_percent, bytes_per_s: None, at: Timestamp(0) }
    }

    fn measured(links: &[MeasuredLink], available: &[(u32, f64)]) -> Measured {
        let percent = |(node, value): &(u32, f64)| (NodeId(*node), Percent::new(*value).unwrap());
        Measured { links: links.to_vec(), availability: available.iter().map(percent).collect() }
    }

    /// Writes what is due at this second; which links and which availabilities that were.
    fn write(findings: &mut Findings, second: i64, now: &Measured) -> (Vec<u32>, Vec<u32>) {
        let at = Timestamp(second * 1000);
        let due = findings.due(now, at, PAUSE);
        findings.wrote(&due, at);
        (due.links.iter().map(|link| link.to.0).collect(), due.availability.iter().map(|(node, _)| node.0).collect())
    }

    #[test]
    fn what_has_not_changed_is_written_once_in_an_hour() {
        let mut findings = Findings::default();
        let first = measured(&[link(2, 20.0, 0.0), link(3, 0.2, 0.0)], &[(2, 99.0), (3, 98.0)]);
        assert_eq!(write(&mut findings, 0, &first), (vec![2, 3], vec![2, 3]));
        let noise = measured(&[link(2, 23.9, 0.9), link(3, 0.6, 0.0)], &[(2, 99.4), (3, 98.0)]);
        assert_eq!(write(&mut findings, 60, &noise), (vec![], vec![]));
        let changed = measured(&[link(2, 24.1, 0.0), link(3, 0.2, 1.0)], &[(2, 99.5), (3, 98.0)]);
        assert_eq!(write(&mut findings, 120, &changed), (vec![2, 3], vec![2]));
        assert_eq!(write(&mut findings, 3599, &changed), (vec![], vec![]));
        assert_eq!(write(&mut findings, 3600, &changed), (vec![], vec![3]));
        assert_eq!(write(&mut findings, 3720, &changed), (vec![2, 3], vec![2]));
    }

    #[test]
    fn however_much_changes_there_is_a_pause() {
        let mut findings = Findings::default();
        let writes = (0..3600).filter(|second| {
            let now = measured(&[link(2, 1.0 + f64::from(*second as i32 % 3) * 1000.0, 0.0)], &[]);
            !write(&mut findings, *second, &now).0.is_empty()
        });
        assert_eq!(writes.count(), 360);
    }

    #[test]
    fn what_could_not_be_written_is_due_again() {
        let mut findings = Findings::default();
        let now = measured(&[link(2, 20.0, 0.0)], &[]);
        assert_eq!(findings.due(&now, Timestamp(0), PAUSE), now);
        assert_eq!(findings.due(&now, Timestamp(9_999), PAUSE), Measured::default());
        assert_eq!(findings.due(&now, Timestamp(10_000), PAUSE), now);
    }

    #[test]
    fn a_node_has_so_many_rows_and_no_more() {
        let mut findings = Findings::default();
        let links: Vec<_> = (2..200).rev().map(|to| link(to, 1.0, 0.0)).collect();
        let (written, _) = write(&mut findings, 0, &measured(&links, &[]));
        assert_eq!((written.len(), written[0], written[63]), (64, 2, 65));
    }

    #[test]
    fn one_writes_how_available_a_node_is() {
        let living = [1, 2, 3].map(NodeId);
        let writers = |of: u32| {
            let writes = |me: &NodeId| writes_availability(*me, NodeId(of), living.into_iter());
            living.into_iter().filter(writes).map(|node| node.0).collect::<Vec<_>>()
        };
        assert_eq!((writers(1), writers(2), writers(9)), (vec![2], vec![1], vec![1]));
    }
}
