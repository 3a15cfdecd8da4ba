//! What can be written about what nobody may do with a data set, and about holding everything.

use super::policies::of_agents;
use agent_core::config::quantity;
use agent_core::domain::action::Labelled;
use agent_core::domain::constraints::{Constraints, DailyWindow, MustNot, Rate};
use agent_core::domain::ids::{AgentId, NodeId};
use agent_core::domain::labels::{self, Selector};
use clap::Args;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent set constraints blood_tests --must-not 'region!=eu' --min-replicas 2
  agent set constraints blood_tests --must 1,2 --transfers 22:00-06:00
  agent set constraints blood_tests --max-replicas none           lifts that one

What is not named stays as it is. Refused when nothing could meet all of them.")]
pub struct SetConstraints {
    /// The data set's name
    pub data_set: String,
    /// Nodes whose labels match get no replica: region!=eu, several with commas between
    #[arg(long, value_name = "LABELS|none")]
    pub must_not: Option<OrNone<Selector>>,
    /// Nodes that hold a replica
    #[arg(long, value_name = "NODE,...|none")]
    pub must: Option<OrNone<Nodes>>,
    /// Nodes whose replica stays once it is there
    #[arg(long, value_name = "NODE,...|none")]
    pub never_delete_at: Option<OrNone<Nodes>>,
    /// So many are kept, also when nobody's goal asks for them
    #[arg(long, value_name = "COUNT|none")]
    pub min_replicas: Option<OrNone<Replicas>>,
    /// No more than so many are made
    #[arg(long, value_name = "COUNT|none")]
    pub max_replicas: Option<OrNone<Replicas>>,
    /// When bytes may travel, in UTC: 22:00-06:00
    #[arg(long, value_name = "HH:MM-HH:MM|none")]
    pub transfers: Option<OrNone<DailyWindow>>,
    /// Where the owner writes: what lies there stays, and what is written there is the next version
    #[arg(long, value_name = "NODE|none")]
    pub origin: Option<OrNone<NodeId>>,
    /// How fast bytes may travel at most: '50 MB/s'
    #[arg(long, value_name = "RATE|none")]
    pub transfer_rate: Option<OrNone<Rate>>,
    #[arg(long)]
    pub json: bool,
}

impl SetConstraints {
    /// These, with what was named changed.
    pub fn change(&self, mut constraints: Constraints) -> Constraints {
        if let Some(OrNone(labels)) = &self.must_not {
            constraints.must_not = labels.clone().map(|labels| MustNot { labels });
        }
        if let Some(OrNone(nodes)) = &self.must {
            constraints.must = nodes.clone().unwrap_or_default().0;
        }
        if let Some(OrNone(nodes)) = &self.never_delete_at {
            constraints.never_delete_at = nodes.clone().unwrap_or_default().0;
        }
        if let Some(OrNone(least)) = self.min_replicas {
            constraints.min_replicas = least.map(|least| least.0);
        }
        if let Some(OrNone(most)) = self.max_replicas {
            constraints.max_replicas = most.map(|most| most.0);
        }
        let mut transfers = constraints.transfers.unwrap_or_default();
        if let Some(OrNone(between)) = self.transfers {
            transfers.between = between;
        }
        if let Some(OrNone(node)) = self.origin {
            constraints.origin = node;
        }
        if let Some(OrNone(rate)) = self.transfer_rate {
            transfers.rate = rate;
        }
        constraints.transfers = (!transfers.is_none()).then_some(transfers);
        constraints
    }
}

/// A value, or `none`, which lifts what there was.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct OrNone<T>(pub Option<T>);

impl<T: FromStr> FromStr for OrNone<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        if text == "none" { Ok(Self(None)) } else { text.parse().map(|value| Self(Some(value))) }
    }
}

/// `1,2`
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Nodes(pub BTreeSet<NodeId>);

impl FromStr for Nodes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let node = |part: &str| {
            let number = part.trim().parse().ok().filter(|number| *number > 0);
            number.map(NodeId).ok_or_else(|| format!("`{part}` is no number of a node; write them like `1,2`"))
        };
        text.split(',').map(node).collect::<Result<_, _>>().map(Self)
    }
}

/// At least one.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Replicas(pub u32);

impl FromStr for Replicas {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let count = text.parse().ok().filter(|count| *count > 0);
        count
            .map(Self)
            .ok_or_else(|| format!("`{text}` is no number of replicas; write a whole number from 1, or `none`"))
    }
}

/// `region=eu`
pub fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) =
        text.split_once('=').ok_or_else(|| format!("`{text}` is no label; write it like `region=eu`"))?;
    let word = |text: &str| labels::word(text).map_err(|error| error.to_string());
    Ok((word(name)?, word(value)?))
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent set labels 2 region=eu tier=edge
  agent set labels 2 --none

Replaces the labels that the node has.")]
pub struct SetLabels {
    pub node: NodeId,
    /// Like region=eu
    #[arg(value_name = "NAME=VALUE", value_parser = label, required_unless_present = "none")]
    pub labels: Vec<(String, String)>,
    /// It has none from now on
    #[arg(long, conflicts_with = "labels")]
    pub none: bool,
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent pause                          everything, until `agent resume`
  agent pause blood_tests --for 2h     one data set, for two hours

Jobs go on; no action is begun, by nobody. What is under way comes to its end.")]
pub struct Pause {
    /// The data set's name [default: all]
    pub data_set: Option<String>,
    /// So long, in scenario time [default: until it is resumed]
    #[arg(long = "for", value_name = "DURATION", value_parser = quantity::duration::<str>)]
    pub lasts: Option<Duration>,
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent resume
  agent resume blood_tests")]
pub struct Resume {
    /// The data set's name [default: all]
    pub data_set: Option<String>,
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent plan                             what the agents would do now, and why; nothing is done
  agent plan --policy cooperative        what they would do with that policy, whatever theirs is
  agent plan --apply                     does it, step by step

The network is simulated from what its table shows, as by `agent simulate --from-table`. Exit code 0 when nothing would change, 6 when
something would; with --apply 0 when all of it was done.")]
pub struct Plan {
    /// Where the physics comes from, when there are too few jobs in the table to fit one to
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// For all agents, instead of each one's own
    #[arg(long, value_parser = of_agents())]
    pub policy: Option<String>,
    /// How far ahead it looks, in scenario time
    #[arg(long, value_name = "DURATION", default_value = "30 min", value_parser = quantity::duration::<str>)]
    pub ahead: Duration,
    /// The source of chance
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Do it
    #[arg(long)]
    pub apply: bool,
    #[arg(long)]
    pub json: bool,
}

/// What `agent explain --not` is about.
#[derive(Args, Debug)]
pub struct NotDone {
    /// Why this action is not done now
    #[arg(long = "not", value_name = "ACTION", conflicts_with_all = ["event", "trace"])]
    pub action: Option<Labelled>,
    /// By this agent [default: the first that reads the replica]
    #[arg(long, requires = "action")]
    pub agent: Option<AgentId>,
}
