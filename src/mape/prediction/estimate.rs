//! A number that is not known for sure.

use serde::{Deserialize, Serialize};

/// A mean, and the standard deviation of what may come instead; both in the unit of what is estimated.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Estimate {
    pub mean: f64,
    pub deviation: f64,
}

impl Estimate {
    /// What is known for sure.
    pub fn certain(mean: f64) -> Self {
        Self { mean, deviation: 0.0 }
    }

    /// In another unit.
    pub fn scaled(self, factor: f64) -> Self {
        Self { mean: self.mean * factor, deviation: self.deviation * factor.abs() }
    }
}
