//! The table of an experiment of offloading. What a column means, and how it is counted: docs/experiments.md.

use super::columns::columns;

columns! {
    /// What a run is of, and what it came to.
    pub struct OffloadingRun {
        /// In the grid's order.
        pub id: i64,
        pub users: u32,
        pub servers: u32,
        /// Of the square that all of them are in.
        pub side_km: f64,
        pub ms_per_km: f64,
        /// So many take the whole CPU of a server.
        pub users_per_server: u32,
        /// Share of a server's CPU, 0 to 1, from which on it is passed over.
        pub cpu_threshold: f64,
        /// Share of the servers, 0 to 1.
        pub failures: f64,
        pub seed: u64,
        /// By what it is known again.
        pub identity: String,
        /// Of the users, 0 to 1.
        pub served_share: f64,
        /// Of those who were served; absent when nobody was.
        pub mean_latency_ms: Option<f64>,
        /// How often a server that had not failed was passed over, by all users together.
        pub violations: u64,
    }
}
