//! What a field that is left out means; as it would be written. Every other field has to be there: the environment's
//! constants live in files, none in the code.

/// Spread of a link's latency from job to job (`[[link]] jitter`).
pub const JITTER: &str = "0 ms";
/// What a node's `[node.store]` is when it has none, or one without `kind`.
pub const STORE_KIND: &str = "embedded";
/// A difference of staleness that counts as large (`[rho] staleness`), where a goal speaks of it.
pub const STALENESS_RHO: &str = "60 s";
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
/// What submits a job's Spark application (`[job] program`).
pub const SPARK_SUBMIT: &str = "spark-submit";
/// Where a job's Spark application runs (`[job] master`): on this machine, with all its cores.
pub const SPARK_MASTER: &str = "local[*]";
/// How long a History Server may take to list an application (`[job] history_wait`): it looks for new ones every 10 s.
pub const HISTORY_WAIT: &str = "30 s";
/// Where an agent's own servers listen (`listen`): loopback.
pub const LISTEN: &str = "127.0.0.1";

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
        ];
        for (key, default) in defaults {
            let mut rows = document.lines().filter(|line| line.starts_with(&format!("| `{key}` |")));
            assert!(rows.any(|row| row.contains(&format!("| `\"{default}\"` |"))), "no row for {key} states {default}");
        }
    }
}
