//! An experiment's file as written, of whichever kind.

use crate::config::fragment::{Guide, Quantity};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;

/// What tells the kinds of experiments apart, in any file.
#[derive(Deserialize, Debug)]
pub struct OfKind {
    pub kind: Option<String>,
}

/// Of policies.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    pub name: String,
    pub about: String,
    pub scenarios: Vec<String>,
    pub policies: Vec<String>,
    pub seeds: Seeds,
    pub hours: f64,
    #[serde(default)]
    pub factor: Vec<Factor>,
}

/// `[[factor]]`
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Factor {
    pub name: String,
    #[serde(default)]
    pub variant: Vec<Variant>,
}

/// `[[factor.variant]]`: beside its name what it changes of a scenario, written as the scenario would.
#[derive(Deserialize, Debug)]
pub struct Variant {
    pub name: String,
    #[serde(flatten)]
    pub over: toml::Table,
}

/// Of membership.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    /// Told by [`OfKind`].
    #[serde(rename = "kind")]
    pub _kind: String,
    pub name: String,
    pub about: String,
    pub nodes: Vec<i64>,
    pub fan_out: Vec<i64>,
    pub interval: Vec<Quantity>,
    pub loss: Option<Vec<Quantity>>,
    pub failures: Option<Vec<Quantity>>,
    pub seeds: Seeds,
    pub rounds: Option<i64>,
    #[serde(default)]
    pub real: bool,
    pub exchange: Option<Quantity>,
    pub detail: Option<i64>,
    pub history: Option<History>,
    #[serde(default)]
    pub queries: Queries,
}

/// `history = { push_every = 10 }`
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct History {
    pub push_every: i64,
    pub at_most: Option<Quantity>,
}

/// `[queries]`
#[derive(Deserialize, Default, Debug)]
#[serde(deny_unknown_fields)]
pub struct Queries {
    pub count: Option<i64>,
    pub quorum: Option<i64>,
    pub within: Option<i64>,
    pub deadline: Option<Quantity>,
}

/// Of offloading.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Offloading {
    /// Told by [`OfKind`].
    #[serde(rename = "kind")]
    pub _kind: String,
    pub name: String,
    pub about: String,
    pub users: i64,
    pub servers: i64,
    pub side_km: f64,
    pub ms_per_km: f64,
    pub users_per_server: i64,
    pub cpu_threshold: Vec<f64>,
    pub failures: Option<Vec<Quantity>>,
    pub seeds: Seeds,
}

/// `"1..200"`, or a list.
#[derive(Debug)]
pub enum Seeds {
    Range(String),
    List(Vec<i64>),
}

impl<'de> Deserialize<'de> for Seeds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RangeOrList;
        impl<'de> Visitor<'de> for RangeOrList {
            type Value = Seeds;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a range in quotes or a list of whole numbers")
            }
            fn visit_str<E>(self, text: &str) -> Result<Seeds, E> {
                Ok(Seeds::Range(text.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Seeds, A::Error> {
                let mut list = Vec::new();
                while let Some(seed) = items.next_element()? {
                    list.push(seed);
                }
                Ok(Seeds::List(list))
            }
        }
        deserializer.deserialize_any(RangeOrList)
    }
}

/// How keys are written, for the help of a missing or mistyped one.
pub const GUIDE: Guide = Guide {
    examples: &[
        ("kind", r#"kind = "membership""#),
        ("name", r#"name = "smoke""#),
        ("about", r#"about = "Whether copies help when links are noisy.""#),
        ("scenarios", r#"scenarios = ["../scenarios/published.toml"]"#),
        ("policies", r#"policies = ["reference", "fixed"]"#),
        ("seeds", r#"seeds = "1..200""#),
        ("hours", "hours = 4"),
        ("factor", "[[factor]]"),
        ("variant", "[[factor.variant]]"),
    ],
    document: "docs/experiments.md",
};

/// The same of an experiment of membership.
pub const MEMBERSHIP_GUIDE: Guide = Guide {
    examples: &[
        ("kind", r#"kind = "membership""#),
        ("name", r#"name = "membership""#),
        ("about", r#"about = "How soon everybody knows everybody.""#),
        ("nodes", "nodes = [50, 300]"),
        ("fan_out", "fan_out = [2, 3, 4]"),
        ("interval", r#"interval = ["1 s", "20 s"]"#),
        ("loss", r#"loss = ["0 %", "20 %"]"#),
        ("failures", r#"failures = ["0 %", "90 %"]"#),
        ("seeds", r#"seeds = "1..5""#),
        ("rounds", "rounds = 20"),
        ("real", "real = true"),
        ("exchange", r#"exchange = "8 MB""#),
        ("detail", "detail = 300"),
        ("history", "history = { push_every = 10 }"),
        ("push_every", "history = { push_every = 10 }"),
        ("at_most", r#"history = { push_every = 10, at_most = "16 MB" }"#),
        ("queries", "queries = { count = 20 }"),
        ("count", "queries = { count = 20 }"),
        ("quorum", "queries = { quorum = 3 }"),
        ("within", "queries = { within = 15 }"),
        ("deadline", r#"queries = { deadline = "2 s" }"#),
    ],
    document: "docs/experiments.md",
};

/// The same of an experiment of offloading.
pub const OFFLOADING_GUIDE: Guide = Guide {
    examples: &[
        ("kind", r#"kind = "offloading""#),
        ("name", r#"name = "offloading""#),
        ("about", r#"about = "How many failures a threshold bears.""#),
        ("users", "users = 800"),
        ("servers", "servers = 125"),
        ("side_km", "side_km = 20"),
        ("ms_per_km", "ms_per_km = 0.5"),
        ("users_per_server", "users_per_server = 20"),
        ("cpu_threshold", "cpu_threshold = [0.4, 0.8]"),
        ("failures", r#"failures = ["0 %", "50 %"]"#),
        ("seeds", r#"seeds = "1..30""#),
    ],
    document: "docs/experiments.md",
};
