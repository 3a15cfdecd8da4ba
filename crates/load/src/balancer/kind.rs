//! The four ways of balancing, by name.

use agent_core::domain::goal::nearest;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How the next host is chosen. Hosts of weight 0 are never chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum BalancerKind {
    /// By chance, each as likely as its weight says.
    WeightedRandom,
    /// In turn, each as often as its weight says, spread as evenly as it goes.
    #[default]
    WeightedRoundRobin,
    /// The one with the fewest requests that have not ended; of equals the one of the highest weight, then the first.
    LeastOutstanding,
    /// The nearest whose CPU is below a threshold.
    NearestBelow,
}

impl BalancerKind {
    pub const ALL: [Self; 4] =
        [Self::WeightedRandom, Self::WeightedRoundRobin, Self::LeastOutstanding, Self::NearestBelow];

    pub fn name(self) -> &'static str {
        match self {
            Self::WeightedRandom => "weighted-random",
            Self::WeightedRoundRobin => "weighted-round-robin",
            Self::LeastOutstanding => "least-outstanding",
            Self::NearestBelow => "nearest-below",
        }
    }
}

impl fmt::Display for BalancerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<BalancerKind> for &'static str {
    fn from(kind: BalancerKind) -> Self {
        kind.name()
    }
}

impl FromStr for BalancerKind {
    type Err = UnknownBalancer;

    fn from_str(text: &str) -> Result<Self, UnknownBalancer> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| UnknownBalancer(text.to_owned()))
    }
}

impl TryFrom<String> for BalancerKind {
    type Error = UnknownBalancer;

    fn try_from(text: String) -> Result<Self, UnknownBalancer> {
        text.parse()
    }
}

/// No way of balancing is called so.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{}` is no balancer; {}", .0.escape_debug(), self.help())]
pub struct UnknownBalancer(pub String);

impl UnknownBalancer {
    /// What to write instead.
    pub fn help(&self) -> String {
        let names = BalancerKind::ALL.map(BalancerKind::name);
        let known = format!("balancers are {}", names.join(", "));
        nearest(&self.0, &names).map_or(known.clone(), |near| format!("did you mean `{near}`? {known}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_by_its_name() {
        for kind in BalancerKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
            let kept = serde_json::to_string(&kind).unwrap();
            assert_eq!(kept, format!("\"{kind}\""));
            assert_eq!(serde_json::from_str::<BalancerKind>(&kept).unwrap(), kind);
        }
    }

    #[test]
    fn an_unknown_kind_is_answered_with_the_known_ones() {
        let error = "nearest-belw".parse::<BalancerKind>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`nearest-belw` is no balancer; did you mean `nearest-below`? balancers are weighted-random, \
             weighted-round-robin, least-outstanding, nearest-below"
        );
    }
}
