//! What can be written about a network that is not there yet.

use crate::app::init::interview::{self, Answers, Credentials, Records, Store};
use agent_core::config::{Invalid, NewJob, own_key, prefix, quantity};
use agent_core::domain::ids::NodeId;
use agent_core::domain::units::Percent;
use clap::Args;
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent init my-network                   asks for everything
  agent init my-network --nodes 2 --knowledge mysql://agent@db.example.org/agent \\
    --store 1=https://s3.berlin.example.org/placement \\
    --store '2=https://s3.plant.example.org/placement?region=eu' \\
    --object-key orders.json --expression 'avg(amount)' --goal 'response_time <= 30 s'
  agent init my-network --nodes 3 --prefix scans/2026/ --program python3 --argument job.py \\
    --goal 'response_time <= 5 min' --goal '3=throughput >= 30000 records/s'

It is a real network: links are measured, unless they are stated, and every node has an agent
with this job. What is not said is asked at a terminal; elsewhere it is the default, or an error
that names what is missing. Secrets are no part of it: the stores' are read from the environment
or a profile, the database's from AGENT_DATABASE_PASSWORD. All files are written, or none; then
they are checked as `agent check` does.")]
pub struct Init {
    /// The folder [default: agents]
    #[arg(value_name = "DIR")]
    pub directory: Option<PathBuf>,
    /// How many nodes there are
    #[arg(long, value_name = "COUNT", value_parser = interview::count)]
    pub nodes: Option<u32>,
    /// What a node is called [default: node-ID]
    #[arg(long, value_name = "NODE=NAME", value_parser = name)]
    pub name: Vec<(NodeId, String)>,
    /// Where a node's store is: http(s)://HOST:PORT/BUCKET[?region=R] [default: one that its agent starts]
    // Read later: an error of the parser would repeat a password in it.
    #[arg(long, value_name = "NODE=URL")]
    pub store: Vec<String>,
    /// The profile in ~/.aws/credentials for a node's store [default: the environment]
    #[arg(long, value_name = "NODE=NAME", value_parser = profile)]
    pub profile: Vec<(NodeId, String)>,
    /// The share of time that a node is up [default: 100 %]
    #[arg(long, value_name = "NODE=PERCENT", value_parser = availability)]
    pub availability: Vec<(NodeId, Percent)>,
    /// The latency between two nodes, like 1-2=20ms [default: measured]
    #[arg(long, value_name = "NODE-NODE=MS", value_parser = link)]
    pub link: Vec<((NodeId, NodeId), f64)>,
    /// The shared table: sqlite:FILE, or mysql://USER@HOST/SCHEMA for agents on several machines [default: sqlite:network.db]
    // Read later, too.
    #[arg(long, value_name = "URL")]
    pub knowledge: Option<String>,
    /// The key of the data set's object
    #[arg(long, value_name = "KEY", value_parser = own_key)]
    pub object_key: Option<String>,
    /// What the keys of its objects begin with, where it is many
    #[arg(long, value_parser = below, conflicts_with = "object_key")]
    pub prefix: Option<String>,
    /// What the data set is called [default: like its objects]
    #[arg(long, value_name = "NAME", value_parser = quantity::name)]
    pub data_set: Option<String>,
    /// The node in whose store it lies [default: 1]
    #[arg(long, value_name = "NODE")]
    pub first_node: Option<NodeId>,
    /// Make so many records of an example where it does not lie there [default: none]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "prefix")]
    pub generate_records: Option<u64>,
    /// The job computes this: a function of a field
    #[arg(long, value_parser = interview::expression)]
    pub expression: Option<String>,
    /// The job is this program
    #[arg(long, conflicts_with = "expression", value_parser = quantity::filled)]
    pub program: Option<String>,
    /// The job is this application of Spark: a Python file or a JAR
    #[arg(long, value_name = "FILE", conflicts_with_all = ["expression", "program"], value_parser = quantity::filled)]
    pub application: Option<String>,
    /// An argument of the program or application; may be given several times
    #[arg(long, allow_hyphen_values = true, conflicts_with = "expression")]
    pub argument: Vec<String>,
    /// What each agent's user wants, or with a number in front one of them
    #[arg(long, value_name = "[NODE=]GOAL", value_parser = goal)]
    pub goal: Vec<(Option<NodeId>, String)>,
    /// Replace the configuration that is there
    #[arg(long)]
    pub force: bool,
    /// Print one JSON document and nothing else
    #[arg(long)]
    pub json: bool,
}

impl Init {
    /// What they say; two words on one thing are refused.
    pub fn answers(self) -> Result<Answers, Invalid> {
        let job = match (self.expression, self.program, self.application) {
            (Some(expression), ..) => Some(NewJob::Aggregate { expression }),
            (None, Some(program), _) => Some(NewJob::Command { program, arguments: self.argument }),
            (None, None, Some(application)) => Some(NewJob::Spark { application, arguments: self.argument }),
            (None, None, None) if self.argument.is_empty() => None,
            (None, None, None) => {
                return Err(Invalid::new("--argument: of what?", "add --program or --application"));
            }
        };
        let (own, of_all): (Vec<_>, Vec<_>) = self.goal.into_iter().partition(|(node, _)| node.is_some());
        let mut of_all = of_all.into_iter().map(|(_, goal)| goal);
        let goal = of_all.next();
        if of_all.next().is_some() {
            return Err(Invalid::new("--goal: there are two for all agents", "write one of them like `2=GOAL`"));
        }
        let profiles = self.profile.into_iter().map(|(node, profile)| (node, Credentials::Profile(profile)));
        Ok(Answers {
            nodes: self.nodes,
            names: once("--name", self.name)?,
            availability: once("--availability", self.availability)?,
            stores: once("--store", self.store.iter().map(|text| store(text)).collect::<Result<_, _>>()?)?,
            credentials: once("--profile", profiles.collect())?,
            latencies: once("--link", self.link)?,
            knowledge: self.knowledge.map(|text| of("--knowledge", interview::knowledge(&text))).transpose()?,
            objects: self.object_key.or(self.prefix),
            data_set: self.data_set,
            first_node: self.first_node,
            records: self.generate_records.map(Records::Generated),
            kind: None,
            job,
            goal,
            goals: once("--goal", own.into_iter().filter_map(|(node, goal)| Some((node?, goal))).collect())?,
        })
    }
}

fn of<T>(flag: &str, read: Result<T, Invalid>) -> Result<T, Invalid> {
    read.map_err(|Invalid { problem, help }| Invalid::new(format!("{flag}: {problem}"), help))
}

fn once<K: Ord + std::fmt::Debug, T>(flag: &str, said: Vec<(K, T)>) -> Result<BTreeMap<K, T>, Invalid> {
    let count = said.len();
    let all: BTreeMap<K, T> = said.into_iter().collect();
    match all.len() == count {
        true => Ok(all),
        false => Err(Invalid::new(format!("{flag}: the same is said twice"), "keep one of them")),
    }
}

/// `2=VALUE`
fn of_node<T>(text: &str, read: impl FnOnce(&str) -> Result<T, Invalid>) -> Result<(NodeId, T), Invalid> {
    let help = "write the node's number, `=` and the value, like `2=...`";
    let (node, value) = text.split_once('=').ok_or_else(|| Invalid::new("it does not say of which node", help))?;
    Ok((number(node)?, read(value.trim())?))
}

fn number(text: &str) -> Result<NodeId, Invalid> {
    let node = text.trim().parse().ok().filter(|node: &NodeId| node.0 > 0);
    let problem = || format!("`{}` is not a node's number", text.escape_debug());
    node.ok_or_else(|| Invalid::new(problem(), "nodes have numbers from 1"))
}

fn name(text: &str) -> Result<(NodeId, String), Invalid> {
    of_node(text, quantity::name)
}

fn store(text: &str) -> Result<(NodeId, Store), Invalid> {
    of("--store", of_node(text, interview::store))
}

fn profile(text: &str) -> Result<(NodeId, String), Invalid> {
    of_node(text, quantity::filled)
}

fn availability(text: &str) -> Result<(NodeId, Percent), Invalid> {
    of_node(text, quantity::percent::<str>)
}

/// `1-2=20ms`; the smaller number first.
fn link(text: &str) -> Result<((NodeId, NodeId), f64), Invalid> {
    let help = "write it like `1-2=20` (milliseconds) or `1-2=20ms`";
    let (ends, latency) = text.split_once('=').ok_or_else(|| Invalid::new("it has no latency", help))?;
    let (one, other) = ends.split_once('-').ok_or_else(|| Invalid::new("it does not join two nodes", help))?;
    let (one, other) = (number(one)?, number(other)?);
    match one == other {
        true => Err(Invalid::new(format!("it leads from node {one} to itself"), help)),
        false => Ok(((one.min(other), one.max(other)), quantity::latency_ms(latency)?)),
    }
}

fn below(text: &str) -> Result<String, Invalid> {
    prefix(text).map(|_| text.to_owned())
}

/// A goal begins with a metric or a parenthesis, never with a digit.
fn goal(text: &str) -> Result<(Option<NodeId>, String), Invalid> {
    match text.trim_start().starts_with(|letter: char| letter.is_ascii_digit()) {
        true => of_node(text, interview::goal).map(|(node, goal)| (Some(node), goal)),
        false => interview::goal(text.trim()).map(|goal| (None, goal)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_a_node_begins_with_its_number() {
        assert_eq!(name("2=plant"), Ok((NodeId(2), "plant".to_owned())));
        assert!(name("plant").is_err() && name("0=plant").is_err() && name("x=plant").is_err() && name("2=").is_err());
        let url = store("1=https://s3.example.org/b?region=eu").unwrap();
        assert!(matches!(url, (NodeId(1), Store::S3(url)) if url.region() == "eu"));
        assert_eq!(availability("3=97").map(|(node, percent)| (node.0, percent.value())), Ok((3, 97.0)));
    }

    #[test]
    fn a_link_has_two_ends() {
        assert_eq!(link("2-1=1.5 s"), Ok(((NodeId(1), NodeId(2)), 1500.0)));
        for text in ["1-2", "1=20", "1-1=20", "1-x=20", "1-2=far"] {
            assert!(link(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_goal_is_of_all_or_of_one() {
        let written = "response_time <= 35 s and availability >= 95 %".to_owned();
        assert_eq!(goal(&written), Ok((None, written.clone())));
        assert_eq!(goal(&format!("2={written}")), Ok((Some(NodeId(2)), written)));
        assert!(goal("2").is_err() && goal("2=fast").is_err() && goal("fast").is_err());
    }
}
