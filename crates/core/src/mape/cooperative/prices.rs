//! What actions cost, whatever unit a user states that in: only how they compare with each other matters.

use crate::domain::action::ActionType;
use crate::mape::planner::Parameters;
use std::collections::BTreeMap;

/// The kinds of action on data that cost anything.
const KINDS: [ActionType; 4] = [ActionType::Move, ActionType::Copy, ActionType::ChangeReference, ActionType::Evict];
/// What one action of each kind costs together: a move 1.5, a copy 1.8, a change of reference 1, an evict 0.5.
const ALL_TOGETHER: f64 = 1.5 + 1.8 + 1.0 + 0.5;

/// The costs in units of which one action of each of these kinds takes [`ALL_TOGETHER`], and that of moving work in the same. Nothing costs anything where all costs are 0.
pub fn prices(parameters: &Parameters) -> BTreeMap<ActionType, f64> {
    let stated: f64 = KINDS.iter().map(|kind| parameters.cost(*kind)).sum();
    let factor = if stated > 0.0 { ALL_TOGETHER / stated } else { 0.0 };
    let priced = KINDS.iter().chain(&[ActionType::MoveWork]);
    priced.map(|kind| (*kind, parameters.cost(*kind) * factor)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mape::scene;

    fn of(costs: [f64; 4]) -> BTreeMap<ActionType, f64> {
        let costs = KINDS.into_iter().zip(costs).collect();
        prices(&Parameters { costs, ..scene::parameters("response_time <= 1 s") })
    }

    #[test]
    fn the_unit_cancels_out() {
        let usual = of([1.5, 1.8, 1.0, 0.5]);
        assert_eq!(usual[&ActionType::Copy], 1.8);
        for factor in [0.01, 100.0] {
            let other = of([1.5, 1.8, 1.0, 0.5].map(|cost| cost * factor));
            KINDS.iter().for_each(|kind| assert!((other[kind] - usual[kind]).abs() < 1e-12, "{kind:?}"));
        }
    }

    #[test]
    fn one_price_is_never_out_of_all_proportion() {
        assert!(of([100.0, 120.0, 1.0, 0.5])[&ActionType::Copy] < ALL_TOGETHER);
        assert_eq!(of([0.0; 4])[&ActionType::Copy], 0.0);
    }
}
