//! The file as people write it.

use super::load::S3Object;
use agent_core::config::Guide;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    pub name: String,
    pub seed: Option<u64>,
    pub duration: Option<String>,
    pub service: Vec<WrittenService>,
    pub client: Vec<WrittenClient>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenService {
    pub name: String,
    pub hosts: Option<WrittenHosts>,
    pub data_set: Option<String>,
    pub agent: Option<i64>,
    pub balancer: Option<String>,
    pub cpu_threshold: Option<f64>,
}

/// A list, or one word.
pub(super) enum WrittenHosts {
    Listed(Vec<WrittenHost>),
    Word(String),
}

/// An address, or a table with a weight.
#[derive(Clone)]
pub(super) struct WrittenHost {
    pub address: String,
    pub weight: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenClient {
    pub service: String,
    pub count: Option<i64>,
    pub rate: Option<f64>,
    /// Read later, so that what is wrong with it is said together with all else, and with its place.
    pub profile: Option<toml::Table>,
    pub gaps: Option<toml::Table>,
    pub within_ticks: Option<String>,
    pub in_flight: Option<i64>,
    pub late_after: Option<String>,
    pub timeout: Option<String>,
    #[serde(default)]
    pub request: WrittenRequest,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenRequest {
    pub method: Option<String>,
    pub path: Option<String>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default)]
    pub body: String,
    pub s3: Option<S3Object>,
    pub object: Option<String>,
}

impl<'de> Deserialize<'de> for WrittenHosts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = WrittenHosts;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of hosts, or \"table\"")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<WrittenHosts, E> {
                Ok(WrittenHosts::Word(text.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<WrittenHosts, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(WrittenHosts::Listed)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl<'de> Deserialize<'de> for WrittenHost {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Weighted {
            address: String,
            #[serde(default = "one")]
            weight: f64,
        }
        fn one() -> f64 {
            1.0
        }
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = WrittenHost;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address in quotes, or a table of an address and a weight")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<WrittenHost, E> {
                Ok(WrittenHost { address: text.to_owned(), weight: one() })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<WrittenHost, A::Error> {
                let Weighted { address, weight } = Weighted::deserialize(MapAccessDeserializer::new(map))?;
                Ok(WrittenHost { address, weight })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

pub(super) const GUIDE: Guide = Guide {
    examples: &[
        ("name", r#"name = "evening""#),
        ("seed", "seed = 7"),
        ("duration", r#"duration = "60 s""#),
        ("service", r#"service = "shop""#),
        ("client", "[[client]]"),
        ("hosts", r#"hosts = ["127.0.0.1:8080"]"#),
        ("data_set", r#"data_set = "blood_tests""#),
        ("agent", "agent = 3"),
        ("balancer", r#"balancer = "least-outstanding""#),
        ("cpu_threshold", "cpu_threshold = 0.8"),
        ("count", "count = 2"),
        ("rate", "rate = 100"),
        ("profile", r#"profile = { ticks = [2, 6], interval = "10 s" }"#),
        ("gaps", r#"gaps = { distribution = "gamma", shape = 2.0, scale = 0.5 }"#),
        ("within_ticks", r#"within_ticks = "exponential""#),
        ("in_flight", "in_flight = 1000"),
        ("late_after", r#"late_after = "10 ms""#),
        ("timeout", r#"timeout = "10 s""#),
        ("request", r#"request = { path = "/items/{n}" }"#),
        ("method", r#"method = "POST""#),
        ("path", r#"path = "/items/{n}""#),
        ("headers", r#"headers = { Accept = "text/plain" }"#),
        ("body", r#"body = "{n}""#),
        ("s3", r#"s3 = { bucket = "blood_tests", key = "blood_tests.json" }"#),
        ("bucket", r#"bucket = "blood_tests""#),
        ("key", r#"key = "blood_tests.json""#),
        ("object", r#"object = "patients/part-1.json""#),
        ("replay", r#"gaps = { replay = "gaps.csv" }"#),
    ],
    document: "docs/load.md",
};
