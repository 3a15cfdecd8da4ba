//! How long a job takes: a curve through what jobs saw, and for each node how far it lies off that curve.
//!
//! A job makes its requests one after the other, or so many at a time, so some of them take the latency once: durations are a
//! line over it, whose slope is their number, and what is left at latency 0 is reading and computing. Where nodes differ in how fast bytes
//! come from them, the line is wrong, and [`Features`] explain more. All of it grows with the object, so everything is kept for
//! one record of it.

use super::{Conditions, Estimate, Features, Line, Load};
use crate::domain::ids::NodeId;
use crate::domain::time::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::sync::OnceLock;
use std::time::Duration;

/// Jobs that are kept of a node, the latest (I-7).
const KEPT_JOBS: usize = 30;
/// Of these, how many say how far the node lies off the curve.
const RECENT_JOBS: usize = 10;
/// This many jobs of a node without a difference to the curve weigh as much as what was seen: few jobs say little of a node.
const PRIOR_JOBS: f64 = 2.0;
/// A job this many standard deviations off shows another node than before, if the next one does so too.
const BREAK: f64 = 5.0;
/// Jobs never lie closer to the curve than this share of what is expected, however well it fits.
const LEAST_DEVIATION_SHARE: f64 = 0.02;
/// A node that was found to be apart, or slower than it was, is believed to be so for this long after its last job, and twice as long
/// each time that it is found so again, up to so many times (I-7): it may have been mended, and who does not try it never learns of that.
const BELIEVED_FOR: Duration = Duration::from_secs(3600);
const DOUBLED: u32 = 5;

/// A job as it is predicted.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Point {
    pub latency_ms: f64,
    /// For one record \[s\].
    pub seconds: f64,
    /// Absent where its traffic was not counted.
    pub load: Option<Load>,
}

impl Point {
    /// Under which it ran.
    pub fn conditions(&self) -> Conditions {
        Conditions { latency_ms: Estimate::certain(self.latency_ms), load: self.load }
    }
}

/// One kind of duration (response time, execution time), at every node.
#[derive(Clone, Debug, Default)]
pub struct DurationModel {
    nodes: BTreeMap<NodeId, History>,
    /// Through all jobs so far; fitted when somebody asks for it.
    line: OnceLock<Option<Line>>,
    /// The one that was asked for last, perhaps some jobs ago.
    last_line: Option<Line>,
    /// What the traffic of the jobs on the curve explains; none before any was counted.
    features: Option<Features>,
}

/// What jobs lie on, but for what is particular to a node.
#[derive(Clone, Copy, Debug)]
enum Curve<'a> {
    Line(&'a Line),
    Features(&'a Features),
}

#[derive(Clone, PartialEq, Debug, Default)]
struct History {
    points: VecDeque<Point>,
    /// The last job, if it was far off: it counts when the next one confirms it.
    doubted: Option<Point>,
    /// The node does not follow the curve, and its jobs do not enter it: it is slower (or faster) than others.
    is_apart: bool,
    /// What it was before it became slower; none if it has not.
    before: VecDeque<Point>,
    /// How often in a row it was found to be apart or slower, after it was believed not to be any more and no job showed it.
    times_found: u32,
    /// When a job was last measured here.
    tried_at: Timestamp,
}

impl DurationModel {
    /// A model of jobs that are all believed.
    pub fn new(jobs: impl IntoIterator<Item = (NodeId, Point)>) -> Self {
        let mut model = Self::default();
        for (node, point) in jobs {
            model.push(node, point);
        }
        model
    }

    /// One more job.
    pub fn measured(&mut self, node: NodeId, point: Point, at: Timestamp) {
        self.believe_again(at);
        let new = || History { tried_at: at, ..History::default() };
        self.nodes.entry(node).or_insert_with(new).tried(at);
        if self.is_doubtful(node, point) {
            self.doubt(node, point);
        } else {
            self.push(node, point);
        }
    }

    /// Nodes that became slower long ago are what they were before.
    fn believe_again(&mut self, now: Timestamp) {
        for history in self.nodes.values_mut().filter(|history| history.was_slower(now)) {
            let slower = history.clone();
            (history.points, history.is_apart, history.doubted) = (std::mem::take(&mut history.before), false, None);
            if let Some(features) = &mut self.features {
                slower.on_curve().for_each(|point| features.remove(*point));
                history.on_curve().for_each(|point| features.add(*point));
            }
            self.last_line = self.line.take().flatten().or(self.last_line);
        }
    }

    /// What a job at a node is expected to take for one record \[s\]; `None` while no line is known. Never below what the
    /// uncertainty hides: far from what was seen, the curve itself may fall below zero. `now`: what was seen long
    /// before then is not believed any more; without it, it is for ever.
    pub fn at(&self, node: NodeId, conditions: &Conditions, now: Option<Timestamp>) -> Option<Estimate> {
        let curve = self.curve(conditions)?;
        let on_curve = curve.at(conditions)?;
        let believed = self.nodes.get(&node).filter(|history| !now.is_some_and(|now| history.is_past(now)));
        let offset = believed.map_or(0.0, |history| history.offset(curve));
        Some(Estimate { mean: (on_curve.mean + offset).max(on_curve.deviation), ..on_curve })
    }

    /// By how much more probable their transport makes the jobs that were seen, as a logarithm; `None` where a line is all that
    /// is believed in.
    pub fn evidence(&self) -> Option<f64> {
        self.features.as_ref().filter(|features| features.are_worth_it()).map(Features::evidence)
    }

    /// A job that is believed.
    fn push(&mut self, node: NodeId, point: Point) {
        self.forget_line();
        let history = self.nodes.entry(node).or_default();
        let forgotten = history.push(point);
        if history.is_apart {
            return;
        }
        match &mut self.features {
            Some(features) => {
                features.add(point);
                forgotten.into_iter().for_each(|point| features.remove(point));
            }
            None => self.features = self.first_features(point),
        }
    }

    /// Once traffic is counted.
    fn first_features(&self, point: Point) -> Option<Features> {
        let mut features = Features::new(point.seconds).filter(|_| point.load.is_some())?;
        self.nodes.values().flat_map(History::on_curve).for_each(|point| features.add(*point));
        Some(features)
    }

    /// A job that is far off.
    fn doubt(&mut self, node: NodeId, point: Point) {
        let curve = self.features_of(&point.conditions()).map(Curve::Features).or_else(|| self.line().map(Curve::Line));
        let (Some(curve), Some(history)) = (curve, self.nodes.get(&node)) else { return };
        let (usual, on_curve) = (history.usual(point, curve), curve.at(&point.conditions()));
        let is_apart = on_curve.is_some_and(|on_curve| is_far(point.seconds, on_curve));
        let Some(history) = self.nodes.get_mut(&node) else { return };
        let before = history.clone();
        let has_changed = history.doubt(point, usual.map_or(point.seconds, |usual| usual.mean), is_apart);
        if let Some(features) = self.features.as_mut().filter(|_| has_changed) {
            before.on_curve().for_each(|point| features.remove(*point));
            history.on_curve().for_each(|point| features.add(*point));
        }
        self.forget_line();
    }

    /// Whether a job is far from the line, and what it stood still for does not explain that: as long as nodes of few rates were
    /// seen, a node of another one is no odd one. Most jobs are as the last line says, and need no other one: fitting it takes longer
    /// than the rest of a job's simulation.
    fn is_doubtful(&self, node: NodeId, point: Point) -> bool {
        let is_far_from = |curve: Curve| {
            let usual = self.nodes.get(&node).and_then(|history| history.usual(point, curve));
            usual.is_some_and(|usual| is_far(point.seconds, usual))
        };
        if self.last_line.is_some_and(|line| !is_far_from(Curve::Line(&line))) {
            return false;
        }
        let explained = self.features_of(&point.conditions()).map(|features| !is_far_from(Curve::Features(features)));
        explained != Some(true) && self.line().is_some_and(|line| is_far_from(Curve::Line(line)))
    }

    /// What a job under these conditions lies on.
    fn curve(&self, conditions: &Conditions) -> Option<Curve<'_>> {
        let line = self.line()?;
        let features = self.features_of(conditions).filter(|features| features.are_worth_it());
        Some(features.map_or(Curve::Line(line), Curve::Features))
    }

    fn features_of(&self, conditions: &Conditions) -> Option<&Features> {
        self.features.as_ref().filter(|_| conditions.load.is_some())
    }

    fn forget_line(&mut self) {
        if let Some(line) = self.line.take() {
            self.last_line = line;
        }
    }

    fn line(&self) -> Option<&Line> {
        self.line.get_or_init(|| self.fit()).as_ref()
    }

    fn fit(&self) -> Option<Line> {
        let tried = || self.nodes.values().filter(|history| !history.points.is_empty());
        let on_line: Vec<&History> = tried().filter(|history| !history.is_apart).collect();
        // One node's latency varies by chance alone, and so would the slope.
        let fitted = match on_line.len() {
            // Apart from what? Whoever knows nothing of any node could never find out that they are as they were.
            0 | 1 => tried().collect(),
            _ => on_line,
        };
        if fitted.len() < 2 {
            return None;
        }
        let points = fitted.iter().flat_map(|history| &history.points).map(|point| (point.latency_ms, point.seconds));
        Line::fit(&points.collect::<Vec<_>>())
    }
}

impl History {
    /// Whether it was found apart so long ago that it may be as others again.
    fn is_past(&self, now: Timestamp) -> bool {
        self.is_apart && self.is_long_ago(now)
    }

    /// Whether it became slower so long ago that it may be as it was again.
    fn was_slower(&self, now: Timestamp) -> bool {
        !self.before.is_empty() && self.is_long_ago(now)
    }

    fn is_long_ago(&self, now: Timestamp) -> bool {
        let doubled = self.times_found.saturating_sub(1).min(DOUBLED);
        now.since(self.tried_at) >= BELIEVED_FOR * (1 << doubled)
    }

    /// A job is measured here again: what was past begins anew.
    fn tried(&mut self, at: Timestamp) {
        if self.is_past(at) {
            self.points.clear();
            self.doubted = None;
            self.is_apart = false;
        }
        self.tried_at = at;
    }

    /// The job that is too long ago now.
    fn push(&mut self, point: Point) -> Option<Point> {
        self.doubted = None;
        let forgotten = if self.points.len() == KEPT_JOBS { self.points.pop_front() } else { None };
        self.points.push_back(point);
        if !self.is_apart && self.before.is_empty() {
            self.times_found = 0;
        }
        forgotten
    }

    /// A job that is far off: nothing the first time, for every job has a bad day; the second time on the same side the node
    /// has changed, which is told, and only these two say what it is now. `usual`: what jobs here take \[s\].
    fn doubt(&mut self, point: Point, usual: f64, is_apart: bool) -> bool {
        match self.doubted {
            Some(before) if (before.seconds > usual) == (point.seconds > usual) => {
                let was_found = self.is_apart || !self.before.is_empty();
                let points = std::mem::replace(&mut self.points, [before, point].into());
                match point.seconds > usual {
                    true if self.before.is_empty() => self.before = points,
                    true => {}
                    false => self.before.clear(),
                }
                self.doubted = None;
                self.is_apart = is_apart;
                self.times_found = match is_apart || !self.before.is_empty() {
                    true => self.times_found.saturating_add(u32::from(!was_found)),
                    false => 0,
                };
                true
            }
            Some(_) | None => {
                self.doubted = Some(point);
                false
            }
        }
    }

    /// The jobs that enter the curve.
    fn on_curve(&self) -> impl Iterator<Item = &Point> {
        self.points.iter().filter(|_| !self.is_apart)
    }

    /// What jobs here usually take under the conditions of this one.
    fn usual(&self, point: Point, curve: Curve) -> Option<Estimate> {
        let (sum, jobs) = self.off(curve);
        let on_curve = curve.at(&point.conditions())?;
        Some(Estimate { mean: on_curve.mean + sum / jobs.max(1.0), ..on_curve })
    }

    /// How far the next job is expected to lie off the curve \[s\].
    fn offset(&self, curve: Curve) -> f64 {
        let (sum, jobs) = self.off(curve);
        sum / (jobs + PRIOR_JOBS)
    }

    /// How far recent jobs lay off the curve: their sum \[s\], and how many they are.
    fn off(&self, curve: Curve) -> (f64, f64) {
        let recent = self.points.iter().rev().take(RECENT_JOBS);
        let off = recent.filter_map(|point| Some(point.seconds - curve.at(&point.conditions())?.mean));
        off.fold((0.0, 0.0), |(sum, jobs), off| (sum + off, jobs + 1.0))
    }
}

impl Curve<'_> {
    /// `None` where it takes more to say than is known.
    fn at(self, conditions: &Conditions) -> Option<Estimate> {
        match self {
            Curve::Line(line) => Some(line.at(conditions.latency_ms)),
            Curve::Features(features) => features.at(conditions),
        }
    }
}

fn is_far(seconds: f64, expected: Estimate) -> bool {
    let deviation = expected.deviation.max(LEAST_DEVIATION_SHARE * expected.mean.abs());
    (seconds - expected.mean).abs() > BREAK * deviation
}

#[cfg(test)]
mod tests;
