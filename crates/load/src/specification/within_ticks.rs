//! How requests lie inside of a tick, by name.

use agent_arrivals::Within;
use agent_core::config::Invalid;

pub(crate) fn name(within: Within) -> &'static str {
    match within {
        Within::Constant => "constant",
        Within::Exponential => "exponential",
    }
}

pub(crate) fn read(text: &str) -> Result<Within, Invalid> {
    [Within::Constant, Within::Exponential].into_iter().find(|within| name(*within) == text).ok_or_else(|| {
        let problem = format!("`{}` is no way to lie in a tick", text.escape_debug());
        Invalid::new(problem, "it is `constant` (evenly) or `exponential` (by chance, a Poisson process)")
    })
}
