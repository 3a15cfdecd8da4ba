//! An experiment's file as written.

use crate::config::fragment::Guide;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;

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
