//! The tables of what load has come to. What a column means: docs/load.md.

use super::columns::{Json, columns};
use serde_json::Value;

columns! {
    /// A run of a load.
    pub struct LoadRun {
        pub id: i64,
        /// As its file calls it.
        pub name: String,
        pub seed: u64,
        /// [`LoadRun::RUNNING`] and so on; one that was killed stays at `running`.
        pub state: String,
        /// Microseconds since 1970, as all moments here.
        pub began_us: i64,
        pub ended_us: Option<i64>,
        /// What the file says, as it was read.
        pub specification: String,
        /// What it came to, as `agent load run --json` prints it.
        pub figures: Option<Json<Value>>,
        /// Requests of which there is no row, because writing was too slow for them.
        pub traces_missed: u64,
    }
}

impl LoadRun {
    pub const RUNNING: &str = "running";
    pub const FINISHED: &str = "finished";
    /// Stopped before its end.
    pub const CANCELLED: &str = "cancelled";
}

columns! {
    /// One request.
    pub struct TraceRow {
        /// Counts a run's requests as they ended.
        pub sequence: u64,
        pub client: u32,
        pub service: String,
        /// Absent when none was chosen.
        pub host: Option<String>,
        pub intended_us: i64,
        /// Absent when nothing was sent.
        pub sent_us: Option<i64>,
        pub done_us: i64,
        /// `answered`, `refused` and so on.
        pub outcome: String,
        /// Of an answer, and how many bytes its body had.
        pub status: Option<u32>,
        pub bytes: Option<u64>,
    }
}

/// What the requests of a run lie between. A run that goes on has more later.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TraceExtent {
    /// How many are stored.
    pub requests: u64,
    /// When the first of them was meant to start.
    pub first_us: i64,
    /// When the last of them ended.
    pub last_us: i64,
}
