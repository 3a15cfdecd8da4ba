//! The bodies of the API, as they are written.

use super::members::Members;
use super::toxics::{Numbers, Toxic};
use serde::Serialize;

#[derive(Default, Debug)]
pub struct ProxyInput {
    pub name: Option<String>,
    pub listen: Option<String>,
    pub upstream: Option<String>,
    pub enabled: Option<bool>,
}

impl TryFrom<Members<'_>> for ProxyInput {
    type Error = String;

    fn try_from(members: Members<'_>) -> Result<Self, String> {
        Ok(Self {
            name: members.text("name")?,
            listen: members.text("listen")?,
            upstream: members.text("upstream")?,
            enabled: members.flag("enabled")?,
        })
    }
}

#[derive(Serialize)]
pub struct ProxyOutput {
    pub name: String,
    pub listen: String,
    pub upstream: String,
    pub enabled: bool,
    pub toxics: Vec<Toxic>,
}

impl ProxyOutput {
    /// As a client that writes such numbers sees it.
    pub fn seen(mut self, numbers: Numbers) -> Self {
        self.toxics = self.toxics.into_iter().map(|toxic| toxic.seen(numbers)).collect();
        self
    }
}

/// What became of a list of proxies: those that are there now, up to the first failure, and that failure.
#[derive(Serialize)]
pub struct Populated {
    #[serde(flatten)]
    pub failure: Option<ErrorBody>,
    /// `null` if it is none, as with the original.
    pub proxies: Option<Vec<ProxyOutput>>,
}

/// A toxic to be made.
#[derive(Debug)]
pub struct ToxicInput<'a> {
    pub name: Option<String>,
    pub type_name: String,
    pub stream: Option<String>,
    pub change: ToxicChange<'a>,
}

impl<'a> TryFrom<Members<'a>> for ToxicInput<'a> {
    type Error = String;

    fn try_from(members: Members<'a>) -> Result<Self, String> {
        Ok(Self {
            name: members.text("name")?,
            type_name: members.text("type")?.unwrap_or_default(),
            stream: members.text("stream")?,
            change: members.try_into()?,
        })
    }
}

/// What may be changed of a toxic.
#[derive(Debug)]
pub struct ToxicChange<'a> {
    pub toxicity: Option<f32>,
    pub attributes: Members<'a>,
}

impl<'a> TryFrom<Members<'a>> for ToxicChange<'a> {
    type Error = String;

    fn try_from(members: Members<'a>) -> Result<Self, String> {
        Ok(Self { toxicity: members.short_number("toxicity")?, attributes: members.members("attributes")? })
    }
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
