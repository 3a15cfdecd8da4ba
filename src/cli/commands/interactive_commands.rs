//! What a line of `agent simulate --interactive` can say.

use agent_core::config::quantity;
use agent_core::domain::goal::Goal;
use agent_core::domain::ids::{AgentId, EventId, NodeId};
use agent_core::domain::units::Percent;
use agent_core::sim::{Broken, Until};
use clap::{Parser, Subcommand};
use std::time::Duration;

#[derive(Parser, Debug)]
#[command(
    multicall = true,
    disable_help_flag = true,
    subcommand_value_name = "COMMAND",
    subcommand_help_heading = "Commands",
    help_template = "{subcommands}"
)]
pub struct Line {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Let the next thing happen, or the next N
    Step {
        #[arg(default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
        n: u64,
    },
    /// Let time pass: `run 10 min`; or until something is so: `run until converged`, `run until missed [AGENT]`, `run until
    /// action`, each also `within 2 h`
    Run {
        #[arg(required = true, num_args = 1..)]
        how: Vec<String>,
    },
    /// Nodes, replicas, who reads what, whose goal is met; or one agent: `show agent 3`
    Show {
        #[command(subcommand)]
        what: Option<Shown>,
    },
    /// What was done so far, as at the end of a run
    Summary,
    /// What the agents did, and how others answered
    Events {
        /// The latest so many
        #[arg(long)]
        limit: Option<usize>,
    },
    /// Why an action was chosen
    Explain { event: EventId },
    /// Change something from now on: an availability, a latency, a goal
    #[command(subcommand)]
    Set(Set),
    /// Break a node, or `agent 3`, `store 2`, `database`, until it is `up` again
    Down {
        #[arg(required = true, num_args = 1..=2)]
        what: Vec<String>,
    },
    /// Mend what was broken by `down`
    Up {
        #[arg(required = true, num_args = 1..=2)]
        what: Vec<String>,
    },
    /// Let reading and writing a node's store take FACTOR times as long; 1: as usual
    Slow { node: NodeId, factor: f64 },
    /// Let a node of the scenario join now that would later
    Join { node: NodeId },
    /// Go on from here under another name, and leave this branch as it is
    Branch { name: String },
    /// Go on with another branch
    Switch { name: String },
    /// Forget a branch
    Drop { name: String },
    /// The branches, and how far each has come
    Branches,
    /// Hold this branch beside another one, or two others
    Compare { name: String, other: Option<String> },
    /// End
    #[command(alias = "exit")]
    Quit,
}

#[derive(Subcommand, Debug)]
pub enum Shown {
    /// One agent
    Agent { agent: AgentId },
}

#[derive(Subcommand, Debug)]
pub enum Set {
    /// A node's availability: `set availability 2 70`
    Availability {
        node: NodeId,
        /// In percent
        #[arg(value_parser = quantity::percent::<str>)]
        percent: Percent,
    },
    /// A link's latency: `set latency 1 2 "200 ms"`
    Latency {
        from: NodeId,
        to: NodeId,
        /// In milliseconds or with a unit
        #[arg(value_parser = quantity::latency_ms::<str>)]
        latency: f64,
        /// Only from FROM to TO, not back
        #[arg(long)]
        one_way: bool,
    },
    /// An agent's goal, from its next job on: `set goal 3 "response_time <= 20 s"`
    Goal { agent: AgentId, goal: Goal },
    /// How an agent decides, from its next job on: `set policy 3 fixed`
    Policy { agent: AgentId, policy: String },
}

/// What `run` waits for, and for how long at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Waiting {
    pub until: Option<Until>,
    /// Absent: as long as the session allows.
    pub within: Option<Duration>,
}

const RUN_HELP: &str = "write `run 10 min`, `run until converged`, `run until missed`, `run until missed 3` or `run until action`, \
                        the latter also with `within 2 h`";

/// The words behind `run`.
pub fn waiting(how: &[String]) -> Result<Waiting, String> {
    let words: Vec<&str> = how.iter().map(String::as_str).collect();
    let long = |words: &[&str]| {
        quantity::positive_duration(&words.join(" ")).map_err(|invalid| format!("{}: {invalid}", words.join(" ")))
    };
    let (condition, within) = match words.iter().position(|word| *word == "within") {
        Some(at) => (&words[..at], Some(long(&words[at + 1..])?)),
        None => (words.as_slice(), None),
    };
    let until = match condition {
        ["until", "converged"] => Until::Converged,
        ["until", "action"] => Until::Acted,
        ["until", "missed"] => Until::Missed(None),
        ["until", "missed", agent] | ["until", "missed", "agent", agent] => {
            Until::Missed(Some(agent.parse().map_err(|_| format!("`{agent}` is no agent's number"))?))
        }
        ["until", ..] | [] => return Err(RUN_HELP.to_owned()),
        duration if within.is_none() => return Ok(Waiting { until: None, within: Some(long(duration)?) }),
        _ => return Err(RUN_HELP.to_owned()),
    };
    Ok(Waiting { until: Some(until), within })
}

/// The words behind `down` and `up`.
pub fn broken(what: &[String]) -> Result<Broken, String> {
    const HELP: &str = "write `2` or `node 2`, `agent 3`, `store 2` or `database`";
    let words: Vec<&str> = what.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u32>().map_err(|_| format!("`{text}` is no number; {HELP}"));
    match words.as_slice() {
        ["database"] => Ok(Broken::Database),
        ["node", node] | [node] => Ok(Broken::Node(NodeId(number(node)?))),
        ["agent", agent] => Ok(Broken::Agent(AgentId(number(agent)?))),
        ["store", node] => Ok(Broken::Store(NodeId(number(node)?))),
        _ => Err(format!("`{}` is nothing that can be down; {HELP}", words.join(" "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn run_takes_a_time_or_a_condition() {
        let check = |text: &str, until: Option<Until>, seconds: Option<u64>| {
            let expected = Waiting { until, within: seconds.map(Duration::from_secs) };
            assert_eq!(waiting(&words(text)), Ok(expected), "{text}");
        };
        check("10 min", None, Some(600));
        check("10min", None, Some(600));
        check("until converged", Some(Until::Converged), None);
        check("until missed within 2 h", Some(Until::Missed(None)), Some(7200));
        check("until missed 3", Some(Until::Missed(Some(AgentId(3)))), None);
        check("until action", Some(Until::Acted), None);
        for wrong in ["until noon", "until", "10 parsecs", "10 min within 1 h", "0 s", "until missed x"] {
            assert!(waiting(&words(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_down_is_a_node_unless_it_says_what() {
        let check = |text: &str, expected: Broken| assert_eq!(broken(&words(text)), Ok(expected), "{text}");
        check("2", Broken::Node(NodeId(2)));
        check("node 2", Broken::Node(NodeId(2)));
        check("agent 3", Broken::Agent(AgentId(3)));
        check("store 2", Broken::Store(NodeId(2)));
        check("database", Broken::Database);
        assert_eq!(
            broken(&words("moon 1")),
            Err("`moon 1` is nothing that can be down; write `2` or `node 2`, `agent 3`, `store 2` or `database`"
                .to_owned())
        );
    }
}
