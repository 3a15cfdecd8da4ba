//! The share of a window in which each node was believed alive, kept across restarts.

use crate::identity::NodeId;
use crate::time::{Time, micros};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Parts of the window: it moves by one of them.
const PARTS: u64 = 96;

/// Of a part of the window.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Part {
    known_ms: u32,
    alive_ms: u32,
}

/// What is known of one node's availability.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct History {
    parts: BTreeMap<u64, Part>,
    is_alive: bool,
    counted_until: Time,
}

/// What a member saw of all nodes' availability: to be saved from time to time, and handed in at the next start.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Availabilities {
    window: Duration,
    nodes: BTreeMap<NodeId, History>,
}

impl Availabilities {
    pub(crate) fn new(window: Duration) -> Self {
        Self { window: window.max(Duration::from_millis(PARTS)), nodes: BTreeMap::new() }
    }

    /// From now on the node is believed alive, or not.
    pub(crate) fn turned(&mut self, node: NodeId, is_alive: bool, now: Time) {
        let part_us = self.part_us();
        let history =
            self.nodes.entry(node).or_insert_with(|| History { parts: BTreeMap::new(), is_alive, counted_until: now });
        history.count(now, part_us);
        history.is_alive = is_alive;
    }

    /// Counts until now, and drops what is before the window.
    pub(crate) fn count(&mut self, now: Time) {
        let part_us = self.part_us();
        for history in self.nodes.values_mut() {
            history.count(now, part_us);
        }
        self.nodes.retain(|_, history| !history.parts.is_empty() || history.counted_until == now);
    }

    /// Takes over what was seen before this start. In between nobody counted; of what has another window, nothing.
    pub(crate) fn restore(&mut self, saved: Availabilities, now: Time, max_nodes: usize) {
        if saved.window != self.window {
            return;
        }
        for (node, mut history) in saved.nodes.into_iter().take(max_nodes) {
            history.parts.retain(|_, part| part.alive_ms <= part.known_ms);
            history.counted_until = now;
            history.is_alive = self.nodes.get(&node).is_some_and(|history| history.is_alive);
            history.count(now, self.part_us());
            self.nodes.insert(node, history);
        }
    }

    /// 0 to 1, counted until the latest change or count; none if it was not seen for a millisecond.
    pub fn of(&self, node: NodeId) -> Option<f64> {
        let parts = &self.nodes.get(&node)?.parts;
        let sum = |of: fn(&Part) -> u32| parts.values().map(|part| f64::from(of(part))).sum::<f64>();
        let known = sum(|part| part.known_ms);
        (known > 0.0).then(|| sum(|part| part.alive_ms) / known)
    }

    pub(crate) fn forget(&mut self, node: NodeId) {
        self.nodes.remove(&node);
    }

    fn part_us(&self) -> u64 {
        micros(self.window) / PARTS
    }
}

impl History {
    fn count(&mut self, now: Time, part_us: u64) {
        let part_us = part_us.max(1);
        let oldest = (now.0 / part_us).saturating_sub(PARTS - 1);
        self.parts = self.parts.split_off(&oldest);
        let mut at = self.counted_until.0.max(oldest * part_us);
        // At most one turn for each part of the window.
        while at < now.0 {
            let end = ((at / part_us + 1) * part_us).min(now.0);
            let passed_ms = u32::try_from(end / 1000 - at / 1000).unwrap_or(u32::MAX);
            let part = self.parts.entry(at / part_us).or_default();
            part.known_ms = part.known_ms.saturating_add(passed_ms);
            part.alive_ms = part.alive_ms.saturating_add(if self.is_alive { passed_ms } else { 0 });
            at = end;
        }
        self.counted_until = self.counted_until.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId(1);
    const WINDOW: Duration = Duration::from_secs(96);

    #[test]
    fn the_share_is_that_of_the_window() {
        let mut seen = Availabilities::new(WINDOW);
        seen.turned(NODE, true, Time::from_secs(1000));
        assert_eq!(seen.of(NODE), None);
        seen.turned(NODE, false, Time::from_secs(1030));
        seen.count(Time::from_secs(1040));
        assert_eq!(seen.of(NODE), Some(0.75));
        seen.turned(NODE, true, Time::from_secs(1040));
        // The first 40 s are before the window.
        seen.count(Time::from_secs(1200));
        assert_eq!(seen.of(NODE), Some(1.0));
    }

    #[test]
    fn it_is_kept_across_a_restart_which_is_not_counted() {
        let mut seen = Availabilities::new(WINDOW);
        seen.turned(NODE, true, Time::from_secs(1000));
        seen.turned(NODE, false, Time::from_secs(1030));
        seen.count(Time::from_secs(1040));
        let mut again = Availabilities::new(WINDOW);
        again.restore(seen.clone(), Time::from_secs(1060), 10);
        assert_eq!(again.of(NODE), Some(0.75));
        again.turned(NODE, true, Time::from_secs(1060));
        again.count(Time::from_secs(1070));
        assert_eq!(again.of(NODE), Some(0.8));
        let mut other = Availabilities::new(WINDOW * 2);
        other.restore(seen, Time::from_secs(1060), 10);
        assert_eq!(other.of(NODE), None);
    }
}
