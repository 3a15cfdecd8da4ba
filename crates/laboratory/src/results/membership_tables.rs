//! The tables of an experiment of membership. What a column means, and how it is counted: docs/experiments.md.

use super::columns::columns;

columns! {
    /// What a run of a network is of, and what it came to.
    pub struct NetworkRun {
        /// In the grid's order.
        pub id: i64,
        pub nodes: u32,
        pub fan_out: u32,
        pub interval_s: f64,
        /// Share of the datagrams, 0 to 1.
        pub loss: f64,
        /// Share of the nodes that was stopped before the queries, 0 to 1.
        pub failures: f64,
        /// On real sockets.
        pub real: bool,
        pub seed: u64,
        /// By what it is known again.
        pub identity: String,
        /// Recorded.
        pub rounds: u32,
        /// When every node knew every node, in intervals since the start, and in seconds. Absent if that did not come about.
        pub converged_round: Option<f64>,
        pub converged_s: Option<f64>,
        /// Sent in all rounds, by all nodes.
        pub messages: u64,
        pub bytes: u64,
        /// The same up to the end of the round in which it converged.
        pub converged_messages: Option<u64>,
        pub converged_bytes: Option<u64>,
        pub exchanges: u64,
        /// Mean of all bytes, for each exchange that was begun: over all rounds, and after the one in which it converged.
        pub exchange_bytes: Option<f64>,
        pub quiet_exchange_bytes: Option<f64>,
        /// Records that a node holds at the end, mean.
        pub state_bytes: f64,
        /// Of what nodes know of each other at the end.
        pub age_mean_s: Option<f64>,
        pub age_p95_s: Option<f64>,
        pub age_max_s: Option<f64>,
        /// All that a node heard up to the end, mean; and what it keeps of that when it pushes, what it pushed, and what it had to
        /// drop before.
        pub heard_bytes: f64,
        pub kept_bytes: Option<f64>,
        pub pushed_bytes: Option<f64>,
        pub dropped_bytes: Option<f64>,
        /// Found dead, though they ran on.
        pub false_deaths: u64,
        /// Before the queries.
        pub stopped: u32,
        pub queries: u32,
        /// Of these, those that were answered, with the right record.
        pub answered: u32,
        /// Of these, those that were answered with a record that the node never issued.
        pub wrong: u32,
        /// Of all queries, also of those that failed.
        pub query_ms: Option<f64>,
        pub query_messages: Option<f64>,
    }
}

columns! {
    /// A round of a run, of all its nodes together.
    pub struct NetworkRound {
        /// From 1.
        pub round: u32,
        /// At its end.
        pub at_s: f64,
        /// Of nodes that had not been known.
        pub new_entries: u64,
        /// Newer than what was held.
        pub fresh_entries: u64,
        pub messages: u64,
        pub bytes: u64,
        pub known_entries: u64,
        /// By the node that knows the fewest.
        pub known_least: u64,
        pub age_mean_s: Option<f64>,
        pub age_p95_s: Option<f64>,
        pub age_max_s: Option<f64>,
        pub state_bytes: u64,
        pub heard_bytes: u64,
        pub kept_bytes: Option<u64>,
        pub pushed_bytes: Option<u64>,
        pub dropped_bytes: Option<u64>,
    }
}

columns! {
    /// A node in a round of a run.
    pub struct NetworkNode {
        /// From 1.
        pub round: u32,
        pub node: u32,
        pub new_entries: u64,
        pub fresh_entries: u64,
        pub messages: u64,
        pub bytes: u64,
        pub known_entries: u64,
        pub state_bytes: u64,
        pub heard_bytes: u64,
        pub kept_bytes: Option<u64>,
    }
}

columns! {
    /// A question to what is left of the network.
    pub struct NetworkQuery {
        /// From 1.
        pub query: u32,
        /// The node that was asked about.
        pub about: u32,
        /// [`NetworkQuery::RIGHT`], [`NetworkQuery::FAILED`] or [`NetworkQuery::WRONG`].
        pub outcome: String,
        pub took_ms: f64,
        /// Datagrams, over all tries.
        pub sent: u64,
        pub received: u64,
        /// Holders of a record that was fresh enough.
        pub agreed: u32,
        /// Of the answer.
        pub age_s: Option<f64>,
    }
}

impl NetworkQuery {
    /// Answered with a record of that node.
    pub const RIGHT: &str = "right";
    /// Not answered before the deadline, and said so.
    pub const FAILED: &str = "failed";
    /// Answered with a record that the node never issued.
    pub const WRONG: &str = "wrong";
}

/// All that is stored of a run.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct NetworkResults {
    pub run: NetworkRun,
    /// In order.
    pub rounds: Vec<NetworkRound>,
    /// In the order of rounds, then of nodes; none where only sums are kept.
    pub nodes: Vec<NetworkNode>,
    /// In order.
    pub queries: Vec<NetworkQuery>,
}
