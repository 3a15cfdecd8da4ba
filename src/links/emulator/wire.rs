//! The bodies of the API, as they are written. Members that are not known are ignored, `null` is as good as absent.

use super::toxics::Toxic;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[derive(Deserialize, Default, Debug)]
pub struct ProxyInput {
    pub name: Option<String>,
    pub listen: Option<String>,
    pub upstream: Option<String>,
    pub enabled: Option<bool>,
}

#[derive(Serialize)]
pub struct ProxyOutput {
    pub name: String,
    pub listen: String,
    pub upstream: String,
    pub enabled: bool,
    pub toxics: Vec<Toxic>,
}

#[derive(Serialize)]
pub struct Populated {
    pub proxies: Vec<ProxyOutput>,
}

#[derive(Deserialize, Default, Debug)]
pub struct ToxicInput {
    pub name: Option<String>,
    #[serde(rename = "type")]
    pub type_name: Option<String>,
    pub stream: Option<String>,
    pub toxicity: Option<f64>,
    pub attributes: Option<Map<String, Value>>,
}

#[derive(Serialize)]
pub struct Version {
    /// The version of toxiproxy whose API this is.
    pub version: &'static str,
    /// What answers.
    pub server: &'static str,
}

#[derive(Serialize)]
pub struct ErrorBody {
    pub error: String,
    pub status: u16,
}
