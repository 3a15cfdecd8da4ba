pub mod action;
pub mod adaptation;
pub mod ask;
pub mod books;
pub mod constraints;
pub mod convergence;
pub mod environment;
pub mod event;
pub mod failure;
pub mod fairness;
pub mod feedback;
pub mod flat_map;
pub mod goal;
pub mod ids;
pub mod impact;
pub mod invariants;
pub mod job_gap;
pub mod labels;
pub mod link_table;
pub mod manifest;
pub mod measurement;
pub mod metric;
pub mod money;
pub mod oscillation;
pub mod placement;
pub mod planned;
/// Where agents read.
pub mod reads;
/// The way to an array of records within an object.
pub mod records_path;
pub mod saga;
pub mod score;
pub mod secret;
pub mod silence;
pub mod snapshot;
pub mod store_url;
pub mod text;
pub mod time;
pub mod traffic;
pub mod units;
pub mod validators;
pub mod versions;
pub mod work;

/// `x` cut towards zero to `decimals` decimals, in this order of operations: the recorded vectors depend on it.
#[inline]
pub fn truncate(x: f64, decimals: i32) -> f64 {
    let factor = 10f64.powi(decimals);
    towards_zero(x * factor) / factor
}

/// `f64::trunc`, but never a call: not every x86-64 processor has an instruction for it.
#[inline]
fn towards_zero(x: f64) -> f64 {
    // From 2^53 on there are whole numbers only; `copysign`, for -0.5 becomes -0.
    if x.abs() < 9_007_199_254_740_992.0 { (x as i64 as f64).copysign(x) } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_cut_towards_zero_to_the_last_bit() {
        let large = 9_007_199_254_740_993.0;
        for x in
            [0.0, 0.5, 0.999_999_999_999_999_9, 1.0, 1e-300, 2.5e15 + 0.5, large, 1e19, 1e300, f64::INFINITY, f64::NAN]
        {
            for x in [x, -x] {
                assert_eq!(towards_zero(x).to_bits(), x.trunc().to_bits(), "{x}");
            }
        }
    }
}
