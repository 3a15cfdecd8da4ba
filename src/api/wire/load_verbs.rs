//! Verbs that steer load hosts.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A verb as it is typed in `agent shell --table`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoadVerb {
    /// For example `rps 'pico.*' shop 100`; `help` lists the verbs.
    pub verb: String,
    /// Hosts other than this machine that `rtbl` may route to; where a load host's requests may go it decides itself.
    #[serde(default)]
    pub allow: Vec<String>,
}

/// What a verb came to.
#[derive(Serialize, ToSchema)]
pub struct LoadVerbAnswer {
    /// As `agent shell --json` prints it.
    pub answer: Value,
    /// As `agent shell` prints it.
    pub lines: Vec<String>,
}
