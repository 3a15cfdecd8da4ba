//! What can be written about nodes and applications that come and go.

use super::policies;
use agent_core::config::quantity;
use agent_core::domain::ids::{AgentId, NodeId};
use agent_core::domain::store_url::StoreUrl;
use agent_core::domain::units::Percent;
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent add-node --id 4 --availability 80 --latency 1=2000,2=1000,3=500
  agent add-node --availability 99 --latency 1=20ms,2=30ms,3=1s --store http://10.0.0.4:9000/data?region=eu
  agent add-node --id 4                 where nothing is injected: availability and links are measured
  agent add-node --random --count 3 --seed 7
  agent add-node --from nodes.toml      [[node]] and [[link]] as in network.toml

All or nothing: when one of them cannot be added, nothing changes. Then `agent store --node 4` serves its store, and
`agent train --node 4` measures what until then is estimated.")]
pub struct AddNode {
    /// Its number; with --random the first of them [default: the next]
    #[arg(long)]
    pub id: Option<NodeId>,
    /// [default: node-ID]
    #[arg(long, conflicts_with = "random")]
    pub name: Option<String>,
    /// In percent [default: as it is measured; where latency is injected it has to be said]
    #[arg(long, value_parser = quantity::percent::<str>, conflicts_with = "random")]
    pub availability: Option<Percent>,
    /// To and from every other node, in milliseconds or with a unit [default: as for --availability]
    #[arg(long, value_name = "NODE=MS,...", value_delimiter = ',', value_parser = latency, conflicts_with = "random")]
    pub latency: Vec<(NodeId, f64)>,
    /// Spread of the latencies from job to job, in milliseconds or with a unit
    #[arg(long, value_parser = quantity::latency_ms::<str>, conflicts_with = "random")]
    pub jitter: Option<f64>,
    /// What its store holds, like '10 GB' [default: without limit]
    #[arg(long, value_parser = quantity::positive_size::<str>, conflicts_with = "random")]
    pub capacity: Option<u64>,
    /// What it is called by in constraints, like region=eu; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = super::constraint_arguments::label, conflicts_with = "random")]
    pub label: Vec<(String, String)>,
    /// Where its store is: http(s)://HOST:PORT/BUCKET[?region=R] [default: one that `agent store` starts]
    #[arg(long, value_name = "URL", conflicts_with = "random")]
    pub store: Option<StoreUrl>,
    /// Draw availability and latencies, like those that are known
    #[arg(long)]
    pub random: bool,
    /// How many are drawn
    #[arg(long, requires = "random", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub count: u32,
    /// The source of the drawing [default: the time; it is printed]
    #[arg(long, requires = "random")]
    pub seed: Option<u64>,
    /// A file with all of them
    #[arg(long, value_name = "FILE")]
    #[arg(conflicts_with_all = ["id", "name", "availability", "latency", "jitter", "capacity", "label", "store", "random"])]
    pub from: Option<PathBuf>,
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent remove-node 4
  agent remove-node 4 --lost

Refused while the node holds the only replica of a data set, an application runs on it, or an action is under way there.
Ctrl-C leaves it `leaving`: nothing is brought there any more, and the same command goes on.")]
pub struct RemoveNode {
    pub node: NodeId,
    /// Its store is gone for good: do not try to delete the objects there
    #[arg(long)]
    pub lost: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent add-agent --id 4 --goal 'network_latency <= 600 ms'
  agent add-agent --id 5 --node 4 --like 2 --goal 'throughput >= 30000 records/s and availability >= 80 %'

Then: `agent train --id 4` (or `agent run --id 4 --train`), `agent run --id 4`.")]
pub struct AddAgent {
    /// Its number: the file is ID.toml in the configuration directory
    #[arg(long, value_parser = agent_id)]
    pub id: AgentId,
    /// What its user wants
    #[arg(long)]
    pub goal: String,
    /// Where it lives [default: the node with its number]
    #[arg(long)]
    pub node: Option<NodeId>,
    /// Whose job, rho and cost it has [default: the first agent's]
    #[arg(long, value_name = "ID")]
    pub like: Option<AgentId>,
    /// Instead of that agent's policy
    #[arg(long, value_parser = policies::of_agents())]
    pub policy: Option<String>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent store --node 4
  agent store --node 4 --listen 10.0.0.4:9000")]
pub struct Store {
    #[arg(long)]
    pub node: NodeId,
    /// Where it listens [default: network.toml's, or loopback at a free port]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
}

/// `1=2000`, `1=500ms`, `1=2 s`.
fn latency(text: &str) -> Result<(NodeId, f64), String> {
    const HELP: &str = "write it like `1=2000` (milliseconds) or `1=500ms`";
    let (node, value) = text.split_once('=').ok_or(HELP)?;
    let node = node.trim().parse().map_err(|_| format!("`{}` is not a node's number; {HELP}", node.escape_debug()))?;
    let milliseconds = quantity::latency_ms(value).map_err(|invalid| format!("{}; {HELP}", invalid.problem))?;
    Ok((node, milliseconds))
}

fn agent_id(text: &str) -> Result<AgentId, String> {
    let id = text.parse().map_err(|_| "it is a whole number from 1".to_owned())?;
    if id == AgentId::OPERATOR { Err("it is a whole number from 1".to_owned()) } else { Ok(id) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_has_a_node_and_milliseconds_or_a_unit() {
        let check = |text: &str, expected: f64| assert_eq!(latency(text), Ok((NodeId(3), expected)), "{text}");
        check("3=500", 500.0);
        check("3=2 s", 2000.0);
        check(" 3 = 1.5ms ", 1.5);
        for text in ["500", "x=500", "3=", "3=-1", "3=nan", "3=inf", "3=5 apples", "3=400 d"] {
            assert!(latency(text).is_err(), "{text}");
        }
        assert!(agent_id("0").is_err() && agent_id("4").is_ok());
    }
}
