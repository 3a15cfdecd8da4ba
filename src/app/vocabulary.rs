//! What a configuration may name: policies, and expressions of jobs.

use crate::jobs::expression::Expression;
use agent_core::config::{Invalid, Vocabulary};
use agent_core::mape::planner::POLICIES;

pub const VOCABULARY: Vocabulary = Vocabulary {
    policies: &POLICIES,
    expression: |text| match text.parse::<Expression>() {
        Ok(_) => Ok(()),
        Err(error) => Err(Invalid::new(error.to_string(), error.help)),
    },
};
