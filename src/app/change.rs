//! Changing the environment while it runs: what is written here acts from the next job on.

use super::catalogue::Catalogue;
use super::data_sets;
use crate::knowledge::Knowledge;
use agent_core::config::settings::Settings;
use agent_core::config::{Invalid, known_policy, overridden, parsed_goal};
use agent_core::domain::books::{Payer, Stated};
use agent_core::domain::constraints::{Constraints, Guard, contradictions};
use agent_core::domain::ids::{AgentId, DataSetName, NodeId};
use agent_core::domain::labels::Labels;
use agent_core::domain::placement::{Override, Overrides};
use agent_core::domain::units::{Percent, show_duration};
use agent_core::mape::planner::POLICIES;
use anyhow::{Context as _, anyhow, bail};
use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// What was changed, for printing.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Changed {
    Availability {
        node: NodeId,
        /// Absent: as it is measured.
        percent: Option<f64>,
    },
    Latency {
        from: NodeId,
        to: NodeId,
        /// Absent: as it is measured.
        latency_ms: Option<f64>,
        both_directions: bool,
    },
    Labels {
        node: NodeId,
        labels: Labels,
    },
    Goal {
        agent: AgentId,
        /// Absent: as its configuration says.
        goal: Option<String>,
    },
    Policy {
        agent: AgentId,
        /// Absent: as its configuration says.
        policy: Option<String>,
    },
    Constraints {
        data_set: DataSetName,
        constraints: Constraints,
    },
    /// Of what; absent: it is lifted.
    Price {
        what: String,
        price: Option<String>,
    },
    /// `for_scenario_s`: absent: until it is resumed.
    Paused {
        data_sets: Vec<DataSetName>,
        for_scenario_s: Option<f64>,
    },
    Resumed {
        data_sets: Vec<DataSetName>,
    },
}

/// In words.
impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Changed::Availability { node, percent: Some(percent) } => {
                write!(f, "node {node} is available {percent} % of the time, from the next job on")
            }
            Changed::Availability { node, percent: None } => {
                write!(f, "node {node} is as available as its peers measure, from the next job on")
            }
            Changed::Latency { from, to, latency_ms, both_directions } => {
                let takes = match latency_ms {
                    Some(latency_ms) => format!("takes {latency_ms} ms"),
                    None => "takes what is measured".to_owned(),
                };
                match both_directions {
                    true => write!(
                        f,
                        "the link between nodes {from} and {to} {takes}, in both directions, from the next job on"
                    ),
                    false => write!(f, "the link from node {from} to node {to} {takes}, from the next job on"),
                }
            }
            Changed::Goal { agent, goal: Some(goal) } => {
                write!(f, "agent {agent} pursues {goal}, from its next job on")
            }
            Changed::Goal { agent, goal: None } => {
                write!(f, "agent {agent} pursues the goal of its configuration, from its next job on")
            }
            Changed::Policy { agent, policy: Some(policy) } => {
                write!(f, "agent {agent} decides by {policy}, from its next job on")
            }
            Changed::Policy { agent, policy: None } => {
                write!(f, "agent {agent} decides by the policy that it was started with, from its next job on")
            }
            Changed::Labels { node, labels } if labels.is_empty() => write!(f, "node {node} has no labels"),
            Changed::Labels { node, labels } => write!(f, "node {node} is called {}", show_labels(labels)),
            Changed::Constraints { data_set, constraints } => {
                let listed = constraints.listed();
                let listed = if listed.is_empty() { "none".to_owned() } else { listed.join(", ") };
                write!(f, "data set {data_set}: {listed}; held from now on")
            }
            Changed::Price { what, price } => write!(f, "{what}: {}, from now on", price.as_deref().unwrap_or("none")),
            Changed::Paused { data_sets, for_scenario_s } => {
                let long = match for_scenario_s {
                    Some(seconds) => {
                        format!("for {}", show_duration(Duration::try_from_secs_f64(*seconds).unwrap_or_default()))
                    }
                    None => "until `agent resume`".to_owned(),
                };
                write!(f, "no action is begun on {} {long}; jobs go on", names(data_sets))
            }
            Changed::Resumed { data_sets } => write!(f, "agents may act on {} again", names(data_sets)),
        }
    }
}

fn names(data_sets: &[DataSetName]) -> String {
    data_sets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// `region=eu, tier=edge`
pub fn show_labels(labels: &Labels) -> String {
    labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
}

/// What an application is asked to do in place of its configuration.
pub async fn overriding(
    knowledge: &dyn Knowledge,
    settings: &Settings,
    agent: AgentId,
    stated: Override,
) -> anyhow::Result<Changed> {
    let stated = match sound(settings, agent, &stated) {
        Ok(stated) => stated,
        Err(why) => bail!("{why}; nothing was changed"),
    };
    knowledge.set_override(agent, &stated).await?;
    Ok(match stated {
        Override::Goal(goal) => Changed::Goal { agent, goal },
        Override::Policy(policy) => Changed::Policy { agent, policy },
    })
}

/// The same as agents write it. Whether the application's job measures all that a goal speaks of is seen where its configuration is
/// at hand, else by its agent. An error says why it makes no sense.
pub fn sound(settings: &Settings, agent: AgentId, stated: &Override) -> Result<Override, String> {
    let mut asked = Overrides::default();
    asked.set(stated.clone());
    let place = |what: &'static str| move |invalid: Invalid| format!("{what}: {invalid}");
    let settings = settings.agents.get(&agent);
    match stated {
        Override::Goal(Some(text)) => {
            let goal = match settings {
                Some(settings) => overridden(settings, &asked, &POLICIES).map(|settings| settings.goal),
                None => parsed_goal(text),
            };
            Ok(Override::Goal(Some(goal.map_err(place("goal"))?.to_string())))
        }
        Override::Policy(Some(policy)) => {
            Ok(Override::Policy(Some(known_policy(policy, &POLICIES).map_err(place("policy"))?)))
        }
        Override::Goal(None) | Override::Policy(None) => Ok(stated.clone()),
    }
}

pub async fn labels(knowledge: &dyn Knowledge, node: NodeId, labels: Labels) -> crate::knowledge::Result<Changed> {
    knowledge.set_labels(node, &labels).await?;
    Ok(Changed::Labels { node, labels })
}

/// All of one thing: in both directions, for a link. Refused when nobody knows a node or agent of that number.
pub async fn prices(knowledge: &dyn Knowledge, all: &[Stated]) -> anyhow::Result<Changed> {
    let nodes = knowledge.nodes().await?;
    let known = |node: &NodeId| match nodes.contains_key(node) {
        true => Ok(()),
        false => Err(anyhow!("node {node} is not registered; nothing was changed")),
    };
    let mut changed = None;
    for stated in all {
        let (what, price) = match stated {
            Stated::Storage(node, price) => {
                known(node)?;
                (format!("storage on node {node}"), price.map(|price| price.to_string()))
            }
            Stated::Egress(from, to, price) => {
                known(from)?;
                known(to)?;
                (format!("from node {from} to node {to}"), price.map(|price| price.to_string()))
            }
            Stated::Budget(payer, budget) => {
                if let Payer::Agent(agent) = payer
                    && !Catalogue::load(knowledge).await?.peers().contains_key(agent)
                {
                    bail!("agent {agent} is not registered; nothing was changed");
                }
                (format!("budget of {payer}"), budget.map(|budget| budget.to_string()))
            }
        };
        knowledge.set_price(stated).await?;
        changed.get_or_insert(Changed::Price { what, price });
    }
    changed.context("nothing is stated")
}

/// Refused when nothing could meet all of them.
pub async fn constraints(
    knowledge: &dyn Knowledge,
    data_set: &DataSetName,
    change: impl FnOnce(Constraints) -> Constraints,
) -> anyhow::Result<Changed> {
    data_sets::require(knowledge, data_set).await?;
    let Some(snapshot) = knowledge.snapshot(data_set).await? else { bail!("data set {data_set} is gone") };
    let constraints = change(snapshot.data_set.guard.constraints.clone());
    let nodes = snapshot.nodes.iter().map(|(id, node)| (*id, &node.labels)).collect();
    let contradictions = contradictions(&constraints, &nodes, None);
    if !contradictions.is_empty() {
        let told = contradictions.iter().map(|one| format!("{one}; {}", one.remedy()));
        bail!("{}; nothing was changed", told.collect::<Vec<_>>().join("\n  "));
    }
    if let Some(unknown) = constraints
        .must
        .iter()
        .chain(&constraints.never_delete_at)
        .chain(&constraints.origin)
        .find(|id| !nodes.contains_key(id))
    {
        bail!("node {unknown} is not registered; nothing was changed");
    }
    knowledge.set_constraints(data_set, &constraints).await?;
    Ok(Changed::Constraints { data_set: data_set.clone(), constraints })
}

/// Holds all actions on a data set, or on all: so long by the table's clock, or until they are resumed.
pub async fn pause(
    knowledge: &dyn Knowledge,
    data_set: Option<&DataSetName>,
    lasts: Option<Duration>,
) -> anyhow::Result<Changed> {
    let data_sets = named(knowledge, data_set).await?;
    for name in &data_sets {
        let until = match (lasts, knowledge.snapshot(name).await?) {
            (Some(lasts), Some(snapshot)) => snapshot.at + lasts,
            (None, _) | (_, None) => Guard::FOR_EVER,
        };
        knowledge.pause(name, Some(until)).await?;
    }
    Ok(Changed::Paused { data_sets, for_scenario_s: lasts.map(|lasts| lasts.as_secs_f64()) })
}

pub async fn resume(knowledge: &dyn Knowledge, data_set: Option<&DataSetName>) -> anyhow::Result<Changed> {
    let data_sets = named(knowledge, data_set).await?;
    for name in &data_sets {
        knowledge.pause(name, None).await?;
    }
    Ok(Changed::Resumed { data_sets })
}

/// The data set of this name, or all there are.
async fn named(knowledge: &dyn Knowledge, data_set: Option<&DataSetName>) -> anyhow::Result<Vec<DataSetName>> {
    match data_set {
        None => Ok(knowledge.data_sets().await?),
        Some(name) => data_sets::require(knowledge, name).await.map(|()| vec![name.clone()]),
    }
}

pub async fn availability(
    knowledge: &dyn Knowledge,
    node: NodeId,
    declared: Option<Percent>,
) -> crate::knowledge::Result<Changed> {
    knowledge.set_availability(node, declared).await?;
    Ok(Changed::Availability { node, percent: declared.map(Percent::value) })
}

pub async fn latency(
    knowledge: &dyn Knowledge,
    (from, to): (NodeId, NodeId),
    latency_ms: Option<f64>,
    both_directions: bool,
) -> crate::knowledge::Result<Changed> {
    knowledge.set_latency(from, to, latency_ms).await?;
    if both_directions {
        knowledge.set_latency(to, from, latency_ms).await?;
    }
    Ok(Changed::Latency { from, to, latency_ms, both_directions })
}
