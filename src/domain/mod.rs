pub mod action;
pub mod ask;
pub mod convergence;
pub mod event;
pub mod feedback;
pub mod flat_map;
pub mod goal;
pub mod ids;
pub mod impact;
pub mod invariants;
pub mod link_table;
pub mod measurement;
pub mod metric;
pub mod placement;
pub mod saga;
pub mod score;
pub mod secret;
pub mod snapshot;
pub mod store_url;
pub mod text;
pub mod time;
pub mod units;

/// `x` cut towards zero to `decimals` decimals, in this order of operations: the recorded vectors depend on it.
pub fn truncate(x: f64, decimals: i32) -> f64 {
    let factor = 10f64.powi(decimals);
    (x * factor).trunc() / factor
}
