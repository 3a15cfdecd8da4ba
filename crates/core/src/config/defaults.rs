//! What a field that is left out means; as it would be written. Whoever leaves out most describes a real network: what the emulated
//! environment of `agents` needs beside that, its files say.

use crate::domain::action::ActionType;
use crate::domain::goal::Goal;
use crate::domain::metric::Metric;

/// Where the shared table is (`knowledge`): for agents on one machine.
pub const KNOWLEDGE: &str = "sqlite:network.db";
/// Seconds of the scenario in a second (`time_scale`): real time.
pub const TIME_SCALE: i64 = 1;
/// Who injects latency (`emulator`): nobody.
pub const EMULATOR: &str = "none";
/// The share of time that a node is up (`[[node]] availability`).
pub const AVAILABILITY: &str = "100 %";

/// How long an event collects feedback (`[feedback] window`).
pub const WINDOW: &str = "210 s";
/// The feedback from which an action's counter rises (`[feedback] threshold`).
pub const THRESHOLD: f64 = 0.3;
/// How long others wait for the agent that posted an event (`[feedback] grace`).
pub const GRACE: &str = "60 s";

/// The weight of the newest observation (`[learning] learning_rate`).
pub const LEARNING_RATE: f64 = 0.5;
/// How often an action is chosen at random (`[learning] exploration`).
pub const EXPLORATION: f64 = 0.1;
/// What each point of an action's counter takes from its score (`[learning] penalty`).
pub const PENALTY: f64 = 0.33;
/// The copies after which data consistency is 0 (`[learning] max_copies`).
pub const MAX_COPIES: i64 = 2;

/// Mean pause before each job (`[rhythm] job_gap`).
pub const JOB_GAP: &str = "15 s";
/// Its standard deviation (`[rhythm] job_gap_deviation`).
pub const JOB_GAP_DEVIATION: &str = "2 s";
/// How often an agent says that it is alive (`[rhythm] heartbeat`).
pub const HEARTBEAT: &str = "10 s";
/// How long a claim holds without being renewed (`[rhythm] lease`).
pub const LEASE: &str = "300 s";
/// How long what a move leaves behind stays readable (`[rhythm] drain`).
pub const DRAIN: &str = "60 s";
/// By which a network is told from others (`[membership] network`).
pub const NETWORK: &str = "agent";
/// Where a node listens for its peers (`[membership] listen`): loopback, a free port.
pub const GOSSIP_LISTEN: &str = "127.0.0.1:0";
/// How often it talks to some of them (`[membership] interval`).
pub const GOSSIP_INTERVAL: &str = "1 s";
/// To how many of them (`[membership] fan_out`).
pub const FAN_OUT: i64 = 3;
/// Over which availability is measured (`[membership] window`).
pub const AVAILABILITY_WINDOW: &str = "24 h";
/// Round trips that measure a link (`[rhythm] probes`).
pub const PROBES: i64 = 5;

/// Spread of a link's latency from job to job (`[[link]] jitter`).
pub const JITTER: &str = "0 ms";
/// What a node's `[node.store]` is when it has none, or one without `kind`.
pub const STORE_KIND: &str = "embedded";
/// How often an origin is looked at (`[rhythm] watch`).
pub const WATCH: &str = "1 min";
/// How fast what lies on a node is read only to see whether it is what it should be.
pub const SCRUB_RATE: &str = "50 MB/s";
/// Where an embedded store listens (`[node.store] listen`): loopback, a free port.
pub const STORE_LISTEN: &str = "127.0.0.1:0";
/// The region that requests to an S3 store are signed for (`[node.store] region`).
pub const REGION: &str = "us-east-1";
/// Whether the bucket stands in the path of a request (`[node.store] path_style`).
pub const PATH_STYLE: bool = true;
/// How an agent chooses its actions (`policy`).
pub const POLICY: &str = "cooperative";
/// How much of the object one request asks for (`[job] request_size`): as much as a part of a transfer.
pub const REQUEST_SIZE: &str = "8 MiB";
/// How long a job's program may take (`[job] time_limit`).
pub const TIME_LIMIT: &str = "1 h";
/// Over how long a service's requests are looked at (`[job] window`).
pub const SERVICE_WINDOW: &str = "60 s";
/// What submits a job's Spark application (`[job] program`).
pub const SPARK_SUBMIT: &str = "spark-submit";
/// Where a job's Spark application runs (`[job] master`): on this machine, with all its cores.
pub const SPARK_MASTER: &str = "local[*]";
/// How long a History Server may take to list an application (`[job] history_wait`): it looks for new ones every 10 s.
pub const HISTORY_WAIT: &str = "30 s";
/// Where an agent's own servers listen (`listen`): loopback.
pub const LISTEN: &str = "127.0.0.1";

/// What an action costs (`[cost]`), against 1 for doing nothing.
pub fn cost(action: ActionType) -> f64 {
    match action {
        ActionType::Nothing => 1.0,
        ActionType::Move => 1.5,
        ActionType::Copy | ActionType::Restore => 1.8,
        ActionType::ChangeReference => 1.0,
        ActionType::Evict => 0.5,
        // Nothing travels that is large, but jobs and their results leave their user's machine.
        ActionType::MoveWork => 1.2,
    }
}

/// A difference of a metric that counts as large (`[rho]`), in its unit. Times and rates are large or small against what the user asks
/// for: half of the first bound in the goal, that of somebody who asks for nothing being that of the emulated environment. Shares
/// have their own scale. What staleness is asked to be says how old data may get, and nothing about what difference matters.
pub fn rho(metric: Metric, goal: &Goal) -> f64 {
    let half = goal.find(&|bound| bound.metric == metric && bound.value > 0.0).map(|bound| bound.value / 2.0);
    match metric {
        Metric::ResponseTime | Metric::ResponseTimeP95 | Metric::ResponseTimeP99 => half.unwrap_or(40.0),
        Metric::ExecutionTime => half.unwrap_or(15.0),
        Metric::Throughput => half.unwrap_or(3000.0),
        Metric::NetworkLatency => half.unwrap_or(2000.0),
        Metric::Availability => 25.0,
        Metric::DataConsistency => 0.5,
        Metric::Staleness => 60.0,
        Metric::ErrorRate => 5.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_states_the_defaults() {
        let document = include_str!("../../../../docs/configuration.md");
        let defaults = [
            ("jitter", JITTER),
            ("kind", STORE_KIND),
            ("listen", STORE_LISTEN),
            ("region", REGION),
            ("policy", POLICY),
            ("listen", LISTEN),
            ("program", SPARK_SUBMIT),
            ("master", SPARK_MASTER),
            ("history_wait", HISTORY_WAIT),
            ("knowledge", KNOWLEDGE),
            ("emulator", EMULATOR),
            ("window", WINDOW),
            ("grace", GRACE),
            ("job_gap", JOB_GAP),
            ("job_gap_deviation", JOB_GAP_DEVIATION),
            ("heartbeat", HEARTBEAT),
            ("lease", LEASE),
            ("drain", DRAIN),
            ("listen", GOSSIP_LISTEN),
            ("network", NETWORK),
            ("interval", GOSSIP_INTERVAL),
            ("window", AVAILABILITY_WINDOW),
            ("request_size", REQUEST_SIZE),
            ("time_limit", TIME_LIMIT),
        ];
        let numbers = [
            ("time_scale", TIME_SCALE as f64),
            ("threshold", THRESHOLD),
            ("learning_rate", LEARNING_RATE),
            ("exploration", EXPLORATION),
            ("penalty", PENALTY),
            ("max_copies", MAX_COPIES as f64),
            ("probes", PROBES as f64),
            ("fan_out", FAN_OUT as f64),
            ("move", cost(ActionType::Move)),
            ("copy", cost(ActionType::Copy)),
            ("change_reference", cost(ActionType::ChangeReference)),
            ("evict", cost(ActionType::Evict)),
            ("move_work", cost(ActionType::MoveWork)),
        ];
        let texts = defaults.map(|(key, default)| (key, format!("\"{default}\"")));
        let numbers = numbers.map(|(key, default)| (key, default.to_string()));
        for (key, default) in texts.into_iter().chain(numbers) {
            let mut rows = document.lines().filter(|line| line.starts_with(&format!("| `{key}` |")));
            assert!(rows.any(|row| row.contains(&format!("| `{default}` |"))), "no row for {key} states {default}");
        }
    }

    #[test]
    fn what_counts_as_large_follows_from_the_goal() {
        let goal: Goal = "(response_time <= 35 s and availability >= 95 %) or response_time <= 4 s".parse().unwrap();
        let of = |metric| rho(metric, &goal);
        assert_eq!((of(Metric::ResponseTime), of(Metric::ExecutionTime)), (17.5, 15.0));
        assert_eq!((of(Metric::Availability), of(Metric::DataConsistency)), (25.0, 0.5));
        // Half of nothing would make every difference a large one.
        let nothing: Goal = "network_latency <= 0 ms".parse().unwrap();
        assert_eq!(rho(Metric::NetworkLatency, &nothing), 2000.0);
    }
}
