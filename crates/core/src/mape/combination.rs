//! Several data sets that one job reads: what each contributes to the job as things stand, and where all of them would best be.
//!
//! Each data set is decided about by a planner of its own, which takes the others to be where they are: one step at a time raises what
//! the agent has of it. Where no single step helps, though several together would, each planner is told what to hope for.

use super::cooperative::{MARGIN, Outcomes, level};
use super::planner::{Parameters, Planner};
use super::prediction::{Estimate, Forecast, Hope, Predictor, Rest, Share, Wanted, place_of};
use crate::domain::goal::Goal;
use crate::domain::ids::NodeId;
use crate::domain::metric::Metric;
use crate::domain::placement;
use crate::domain::snapshot::Snapshot;
use std::collections::BTreeSet;

/// What one planner is to know of the others.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Company {
    pub rest: Option<Rest>,
    pub hope: Option<Hope>,
}

/// What moves less than this makes nobody move.
const NOTHING: f64 = 1e-6;
/// How often all data sets are gone through for where they would best be (I-7); mostly the second time changes nothing.
const ROUNDS: usize = 4;

/// For each planner; nothing for any as long as one of them has not seen its table. `hopes`: whether they make use of hope.
pub fn company(planners: &[Planner], hopes: bool) -> Vec<Company> {
    let alone = || vec![Company::default(); planners.len()];
    let Some(parts) = planners.iter().map(Part::of).collect::<Option<Vec<_>>>() else { return alone() };
    let here: Vec<Share> = parts.iter().map(|part| part.share(part.here)).collect();
    let rests = (0..parts.len()).map(|one| rest(&here, one));
    let mut company: Vec<Company> = rests.map(|rest| Company { rest, hope: None }).collect();
    let goal = &parts[0].parameters.goal;
    if hopes && !is_content(whole(goal, &here)) {
        let options: Vec<Vec<Share>> = parts.iter().map(Part::options).collect();
        let best = best(goal, &options, &here);
        for (one, company) in company.iter_mut().enumerate() {
            let others = (0..parts.len()).filter(|other| *other != one);
            let moves = others.filter(|other| best[*other].node != here[*other].node).count();
            let moves = u32::try_from(moves).unwrap_or(u32::MAX);
            company.hope = rest(&best, one).filter(|_| moves > 0).map(|rest| Hope { rest, moves });
        }
    }
    company
}

/// Nothing is worth hoping for.
fn is_content(level: f64) -> bool {
    1.0 - level < NOTHING
}

/// One data set, as its planner sees it.
struct Part<'a> {
    parameters: &'a Parameters,
    predictor: &'a Predictor,
    snapshot: &'a Snapshot,
    /// Where it will be read when all that is under way has ended.
    here: NodeId,
    replicas: usize,
    /// The nodes where it could be read.
    open: BTreeSet<NodeId>,
}

impl<'a> Part<'a> {
    /// `None`: its planner has not seen the table, or reads nothing.
    fn of(planner: &'a Planner) -> Option<Self> {
        let (parameters, predictor, snapshot) = planner.outlook();
        let snapshot = snapshot?;
        let planned = snapshot.planned();
        let here = planned.reads.get(&parameters.agent).copied()?;
        let replicas = planned.set.len();
        let mut open = planned.set.clone();
        if !planner.holds_back(snapshot.at) {
            open.extend(snapshot.nodes.values().filter(|node| snapshot.is_free(node)).map(|node| node.id));
        }
        Some(Self { parameters, predictor, snapshot, here, replicas, open })
    }

    /// Read at a node.
    fn share(&self, node: NodeId) -> Share {
        let consistency = placement::consistency(self.replicas, self.parameters.max_copies);
        let place = place_of(self.snapshot, self.parameters.seat(self.snapshot), node);
        let forecast = place.map_or_else(Forecast::default, |place| {
            let (latency, wanted) = (self.predictor.latency(&place), Wanted::all(&self.parameters.rho));
            self.predictor.forecast_beside(None, &place, latency, &wanted, Some(self.snapshot.at))
        });
        Share { node, forecast, consistency }
    }

    /// Read wherever it could be, by node.
    fn options(&self) -> Vec<Share> {
        self.open.iter().map(|node| self.share(*node)).collect()
    }
}

/// All but one of them.
fn rest(shares: &[Share], one: usize) -> Option<Rest> {
    let others = shares.iter().enumerate().filter(|(other, _)| *other != one);
    Rest::of(others.map(|(_, share)| *share))
}

/// How content the agent would be with all of them read like this.
fn whole(goal: &Goal, shares: &[Share]) -> f64 {
    let (own, rest) = (&shares[0], rest(shares, 0));
    let mut forecast = rest.as_ref().map_or(own.forecast, |rest| rest.with(own.node, &own.forecast));
    let consistency = rest.map_or(own.consistency, |rest| rest.consistency(own.consistency));
    forecast.set(Metric::DataConsistency, Estimate::certain(consistency));
    level(goal, &forecast, Outcomes::default())
}

/// How they would best be read, each in one of its ways. What need not move stays.
fn best(goal: &Goal, options: &[Vec<Share>], here: &[Share]) -> Vec<Share> {
    let (at, level) = risen(goal, options, here.to_vec());
    // A node that serves all parts is there for all of them, or for none: on the way to it, with one part there, there is less.
    let at_node = |node: NodeId| -> Option<Vec<Share>> {
        options.iter().map(|ways| ways.iter().find(|way| way.node == node).copied()).collect()
    };
    let together = options[0].iter().filter_map(|way| at_node(way.node)).map(|at| (whole(goal, &at), at));
    let together = together.reduce(|best, next| if next.0 > best.0 { next } else { best });
    match together.map(|(_, at)| risen(goal, options, at)) {
        Some((there, higher)) if higher >= level + MARGIN => there,
        Some(_) | None => at,
    }
}

/// Each in turn goes where that raises the level, as long as it does; and that level.
fn risen(goal: &Goal, options: &[Vec<Share>], mut at: Vec<Share>) -> (Vec<Share>, f64) {
    let mut highest = whole(goal, &at);
    for _ in 0..ROUNDS {
        let before = highest;
        for (one, ways) in options.iter().enumerate() {
            for way in ways {
                let stood = std::mem::replace(&mut at[one], *way);
                let level = whole(goal, &at);
                if level > highest + NOTHING {
                    highest = level;
                } else {
                    at[one] = stood;
                }
            }
        }
        if highest <= before + NOTHING {
            break;
        }
    }
    (at, highest)
}
