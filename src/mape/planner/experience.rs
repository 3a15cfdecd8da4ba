//! What an agent knows of the effects of actions: trained before, learned since.

use crate::domain::action::Action;
use crate::domain::ids::NodeId;
use crate::domain::impact::Impacts;
use std::collections::BTreeMap;

/// Impacts by action, as trained, and by label, as learned online. What was learned wins.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Experience {
    pub trained: BTreeMap<Action, Impacts>,
    pub learned: BTreeMap<String, Impacts>,
}

impl Experience {
    /// Under the action's own label.
    pub fn of(&self, action: Action) -> Option<Impacts> {
        self.learned.get(&action.to_string()).or_else(|| self.trained.get(&action)).copied()
    }

    /// Of reading at `to` instead of at `from`: what a move between them was seen to do.
    pub fn of_going(&self, from: NodeId, to: NodeId) -> Option<Impacts> {
        self.of(Action::Move { from, to })
    }
}
