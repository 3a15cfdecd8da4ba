//! How fast, how cheap and how truthful membership is, in virtual time and on real sockets.
//!
//! ```text
//! cargo bench -p agent-membership                            all of it
//! cargo bench -p agent-membership -- knowledge failures      some of: knowledge large exchange restart failures
//!                                                            bad_nodes query sockets idle hostile
//! MEMBERSHIP_HOURS=24 cargo bench -p agent-membership -- failures     300 nodes for so many hours at each loss
//! ```

#[path = "../../../benches/asked/mod.rs"]
mod asked;

mod parts {
    pub mod cost;
    pub mod failures;
    pub mod knowledge;
    pub mod query;
}

use asked::{Asked, asked};
use parts::{cost, failures, knowledge, query};

/// How much is measured.
#[derive(Clone, Copy)]
pub struct Extent {
    /// Nodes of the usual network.
    nodes: u32,
    /// Nodes of the large one.
    large: u32,
    seeds: u64,
    hours: f64,
    queries: u32,
    datagrams: u32,
    idle_s: u64,
}

const WHOLE: Extent =
    Extent { nodes: 300, large: 10_000, seeds: 50, hours: 1.0, queries: 1_000, datagrams: 1_000_000, idle_s: 30 };
const MOMENT: Extent = Extent { nodes: 20, large: 40, seeds: 1, hours: 0.01, queries: 3, datagrams: 500, idle_s: 1 };

type Part = (&'static str, fn(&Extent));

const PARTS: [Part; 10] = [
    ("knowledge", knowledge::full),
    ("large", knowledge::large),
    ("exchange", knowledge::exchange),
    ("restart", knowledge::restart),
    ("failures", failures::failures),
    ("bad_nodes", failures::bad_nodes),
    ("query", query::query),
    ("sockets", cost::sockets),
    ("idle", cost::idle),
    ("hostile", cost::hostile),
];

fn main() {
    let named: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_named = |part: &str| named.is_empty() || named.iter().any(|name| name == part);
    let mut extent =
        match asked("membership knowledge large exchange restart failures bad_nodes query sockets idle hostile") {
            Asked::Everything => WHOLE,
            Asked::AMoment => MOMENT,
            Asked::Nothing => return,
        };
    if let Some(hours) = std::env::var("MEMBERSHIP_HOURS").ok().and_then(|hours| hours.parse().ok()) {
        extent.hours = hours;
    }
    PARTS.iter().filter(|(name, _)| is_named(name)).for_each(|(_, measure)| measure(&extent));
}

/// Mean, and the value that 99 of 100 do not exceed.
fn mean_and_p99(values: &mut [f64]) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    let p99 = values[((values.len() - 1) as f64 * 0.99).ceil() as usize];
    (values.iter().sum::<f64>() / values.len() as f64, p99)
}
