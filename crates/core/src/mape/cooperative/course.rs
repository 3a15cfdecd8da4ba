//! How what is known of a node has moved, and what that makes one believe of it: a value that comes and goes is on average what
//! it was on average, and one that drifts goes on drifting for about as long as it has.

use crate::domain::ids::NodeId;
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Timestamp;
use crate::domain::work::Seat;
use crate::mape::planner::View;
use crate::mape::prediction::{self, Estimate, Place, Predictor};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// So many values of a node are remembered (I-7), and so long.
const REMEMBERED: usize = 16;
const WITHIN: Duration = Duration::from_secs(3600);
/// A latency is another one when it differs by this share of what it varies by.
const NOTABLE: f64 = 0.5;
/// So many changes in a row to the same side are a drift; it is expected to go on for as long as it has, but no longer than this.
const DRIFTS: usize = 3;
const FORESEEN: Duration = Duration::from_secs(6 * 3600);

/// What is known of a node without a job there, at one time.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct State {
    pub place: Place,
    pub latency: Option<Estimate>,
}

impl State {
    pub fn of(predictor: &Predictor, snapshot: &Snapshot, seat: Seat, node: NodeId) -> Option<Self> {
        let place = prediction::place_of(snapshot, seat, node)?;
        Some(Self { place, latency: predictor.latency(&place) })
    }

    fn differs(&self, other: &Self) -> bool {
        let far = |a: Estimate, b: Estimate| (a.mean - b.mean).abs() > NOTABLE * a.deviation.max(b.deviation);
        let latency = match (self.latency, other.latency) {
            (Some(a), Some(b)) => far(a, b),
            (a, b) => a != b,
        };
        latency || self.place.availability != other.place.availability
    }

    fn at_latency(self, mean: f64) -> Self {
        let latency = self.latency.map(|latency| Estimate { mean: mean.max(0.0), ..latency });
        Self { latency, ..self }
    }
}

/// The values of one node that has changed, the latest last, each with the time since when.
#[derive(Clone, PartialEq, Debug)]
pub struct Course(VecDeque<(Timestamp, State)>);

impl Course {
    fn push(&mut self, at: Timestamp, state: State) {
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back((at, state));
    }

    /// What is believed besides what is now, each with its weight, all weights together 1; nothing where nothing moves: a
    /// single change is believed.
    pub fn beliefs(&self, now: Timestamp) -> Vec<(f64, State)> {
        let drift = self.drift(now);
        if drift.is_empty() { self.average(now) } else { drift }
    }

    /// Where a drift leads in a third, in two thirds and in all of the time that it is expected to go on.
    fn drift(&self, now: Timestamp) -> Vec<(f64, State)> {
        let mean = |state: &State| state.latency.map(|latency| latency.mean);
        let steps: Vec<(Timestamp, f64)> = self.0.iter().filter_map(|(at, state)| Some((*at, mean(state)?))).collect();
        let Some(&(last_at, last)) = steps.last() else { return Vec::new() };
        let signs = steps.windows(2).rev().map(|pair| (pair[1].1 - pair[0].1).signum());
        let sign = signs.clone().next().unwrap_or(0.0);
        let changes = signs.take_while(|one| *one == sign && sign != 0.0).count();
        if changes < DRIFTS {
            return Vec::new();
        }
        let (first_at, first) = steps[steps.len() - 1 - changes];
        let lasted = last_at.since(first_at).min(FORESEEN);
        // A drift that has not gone on for twice its usual step is over.
        let step = last_at.since(first_at) / u32::try_from(changes).unwrap_or(u32::MAX);
        if now.since(last_at) > 2 * step {
            return Vec::new();
        }
        let speed = (last - first) / last_at.since(first_at).as_secs_f64();
        let Some((_, state)) = self.0.back() else { return Vec::new() };
        (1..=3)
            .map(|third| (1.0 / 3.0, state.at_latency(last + speed * lasted.as_secs_f64() * f64::from(third) / 3.0)))
            .collect()
    }

    /// What was within the last hour, by how long it was, if it has changed more than once.
    fn average(&self, now: Timestamp) -> Vec<(f64, State)> {
        let from = Timestamp(now.0 - WITHIN.as_millis() as i64);
        if self.0.iter().skip(1).filter(|(at, _)| *at >= from).count() < 2 {
            return Vec::new();
        }
        let ends = self.0.iter().skip(1).map(|(at, _)| *at).chain([now]);
        let mut held: Vec<(f64, State)> = Vec::new();
        for ((since, state), end) in self.0.iter().zip(ends) {
            let lasted = (end.0 - since.0.max(from.0)).max(0) as f64;
            match held.iter_mut().find(|(_, known)| !known.differs(state)) {
                Some((sum, _)) => *sum += lasted,
                None => held.push((lasted, *state)),
            }
        }
        let all: f64 = held.iter().map(|(lasted, _)| lasted).sum();
        if all <= 0.0 {
            return Vec::new();
        }
        held.into_iter().map(|(lasted, state)| (lasted / all, state)).collect()
    }
}

/// By where jobs run or could run.
pub type Seen = BTreeMap<NodeId, Courses>;

/// All nodes, seen from where an agent's jobs run or could.
#[derive(Default)]
pub struct Courses {
    moved: BTreeMap<NodeId, Course>,
    /// What the table said last, of nodes that have not moved.
    table: Option<Snapshot>,
    /// Latencies that were measured, of nodes that have not moved.
    measured: BTreeMap<NodeId, State>,
}

impl Courses {
    pub fn of(&self, node: NodeId) -> Option<&Course> {
        self.moved.get(&node)
    }

    /// Takes note of what has changed since the last look: these nodes, with what was known of them before.
    pub fn note(&mut self, view: &View, seat: Seat) -> Vec<(NodeId, Option<State>)> {
        let (snapshot, predictor) = (view.snapshot, &view.experience.predictor);
        let is_same =
            |table: &Snapshot| Arc::ptr_eq(&table.nodes, &snapshot.nodes) && Arc::ptr_eq(&table.links, &snapshot.links);
        if self.table.as_ref().is_some_and(is_same) && !predictor.needs_probes() {
            return Vec::new();
        }
        let mut changed = Vec::new();
        for node in snapshot.nodes.keys() {
            let Some(state) = State::of(predictor, snapshot, seat, *node) else { continue };
            let before = match self.moved.get(node) {
                Some(course) => course.0.back().map(|(_, state)| *state),
                None if predictor.needs_probes() => self.measured.insert(*node, state),
                None => self.table.as_ref().and_then(|table| State::of(predictor, table, seat, *node)),
            };
            let is_first = self.table.is_none();
            match before {
                Some(before) if !state.differs(&before) => {
                    if predictor.needs_probes() && !self.moved.contains_key(node) {
                        self.measured.insert(*node, before);
                    }
                }
                None if is_first => {}
                before => {
                    self.moved(*node, before.unwrap_or(state), state, view);
                    changed.push((*node, before));
                }
            }
        }
        self.moved.retain(|node, _| snapshot.nodes.contains_key(node));
        self.table = Some(snapshot.clone());
        changed
    }

    fn moved(&mut self, node: NodeId, before: State, state: State, view: &View) {
        let now = view.now();
        // Since when it was as it was before, nobody has noted: for as long as anything is remembered.
        let since = Timestamp((now.0 - WITHIN.as_millis() as i64).max(0));
        let course = self.moved.entry(node).or_insert_with(|| Course([(since, before)].into()));
        course.push(now, state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::units::Percent;

    fn state(latency_ms: f64) -> State {
        let (seat, availability) = (Seat::at_home(NodeId(1)), Percent::new(95.0).unwrap());
        let place = Place { seat, node: NodeId(2), availability, stated: None, follows: false };
        State { place, latency: Some(Estimate { mean: latency_ms, deviation: 5.0 }) }
    }

    fn minutes(minutes: u64) -> Timestamp {
        Timestamp(0) + Duration::from_secs(60 * minutes)
    }

    /// With these values since these minutes; what is believed at a minute, as weights and latencies.
    fn believed(values: &[(u64, f64)], at: u64) -> Vec<(f64, f64)> {
        let course = Course(values.iter().map(|(since, latency)| (minutes(*since), state(*latency))).collect());
        let beliefs = course.beliefs(minutes(at)).into_iter();
        let rounded = |value: f64| (value * 1000.0).round() / 1000.0;
        beliefs.map(|(weight, state)| (rounded(weight), rounded(state.latency.unwrap().mean))).collect()
    }

    #[test]
    fn a_single_change_is_believed() {
        assert_eq!(believed(&[(0, 100.0), (10, 900.0)], 20), []);
    }

    #[test]
    fn what_comes_and_goes_is_what_it_was_on_average() {
        assert_eq!(believed(&[(0, 100.0), (10, 900.0), (20, 100.0)], 40), [(0.75, 100.0), (0.25, 900.0)]);
        // What was more than an hour ago does not count.
        assert_eq!(believed(&[(0, 100.0), (10, 900.0), (20, 100.0)], 90), []);
    }

    #[test]
    fn a_drift_goes_on_for_as_long_as_it_has() {
        let drift = [(0, 100.0), (60, 110.0), (120, 120.0), (180, 130.0)];
        assert_eq!(believed(&drift, 180), [(0.333, 140.0), (0.333, 150.0), (0.333, 160.0)]);
        assert_eq!(believed(&drift[..3], 121), [], "two changes may be chance");
        assert_eq!(believed(&drift, 420), [], "it has ended");
    }

    #[test]
    fn a_value_that_is_restated_has_not_changed() {
        assert!(!state(100.0).differs(&state(102.0)));
        assert!(state(100.0).differs(&state(103.0)));
    }
}
