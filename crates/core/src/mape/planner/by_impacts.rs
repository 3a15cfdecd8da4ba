//! Scoring an action by its impacts: what they do to the goal, per cost, weakened by what others said of the action.

use super::{Expected, Scored, Situation, Verdict};
use crate::domain::action::Action;
use crate::domain::score::{self, Pursue};

/// In what such policies differ.
pub(super) trait ByImpacts {
    const PURSUE: Pursue;

    /// `None` where nothing is known of the action.
    fn expected<'a>(situation: &'a Situation, action: Action) -> Option<Expected<'a>>;

    /// What others' answers to the action added up to, as it counts now.
    fn counter(situation: &Situation, action: Action) -> u32;

    /// The internal score, weakened.
    fn global(internal: f64, counter: u32, penalty: f64) -> f64;
}

/// A candidate with all its parts.
pub(super) fn scored<P: ByImpacts>(situation: &Situation, action: Action) -> Scored {
    let infeasible = |why: String| Scored { action, verdict: Verdict::Infeasible { why } };
    let Some(expected) = P::expected(situation, action) else {
        return infeasible(
            "no impacts are known: it was neither trained nor learned, and its node is unknown".to_owned(),
        );
    };
    let appraisal = match situation.appraise(&expected, P::PURSUE) {
        Ok(appraisal) => appraisal,
        Err(metric) => return infeasible(format!("its impact on {metric} is not known")),
    };
    let (impacts, basis) = (situation.impacts(&expected), expected.basis());
    let cost = situation.outlay(action.kind()).cost;
    let internal = score::internal(appraisal.value, cost);
    let counter = P::counter(situation, action);
    let global = P::global(internal, counter, situation.parameters.penalty);
    Scored { action, verdict: Verdict::Feasible { impacts, basis, appraisal, cost, internal, counter, global } }
}

/// What decides about it, and nothing else.
pub(super) fn global<P: ByImpacts>(situation: &Situation, action: Action) -> f64 {
    let Some(expected) = P::expected(situation, action) else { return Scored::INFEASIBLE };
    let Ok(value) = situation.value(&expected, P::PURSUE) else { return Scored::INFEASIBLE };
    let internal = score::internal(value, situation.outlay(action.kind()).cost);
    P::global(internal, P::counter(situation, action), situation.parameters.penalty)
}
