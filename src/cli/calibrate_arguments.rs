//! What can be written about real runs, and scenarios like them.

use agent_core::config::quantity;
use agent_core::mape::planner::POLICIES;
use clap::Args;
use clap::builder::PossibleValuesParser;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent calibrate agent-data/demo
  agent calibrate agent-data/real/fixed-* --output measured.toml
  agent calibrate network.db --scenario fixtures/scenarios/drift.toml --output drift_here.toml
  agent calibrate mysql://agent@db.example.org/agent --config my-network --json

Says what jobs, transfers and links take, how well that is known, and what is doubtful. The scenario has the nodes, links,
agents and goals of the first run's table, with the weights, rhythm and training of the configuration that ran.")]
pub struct Calibrate {
    /// Tables of runs of one network: files, directories of demos, mysql://USER@HOST:PORT/SCHEMA
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<String>,
    /// Write this scenario with the physics of the runs, instead of the runs' own network
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// Where to write the scenario [default: nowhere]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Where the training files lie
    #[arg(long, value_name = "DIR")]
    pub training: Option<PathBuf>,
    /// Print one JSON document and nothing else
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent compare agent-data/real/fixed-* --scenario measured.toml
  agent compare agent-data/real/reference-* --scenario measured.toml --policy reference --seeds 1..200 --json

Counts violated jobs, actions and scenario seconds up to convergence, on both sides by the same rule, and tests each for a
difference (Mann-Whitney, 5 %). Exit code 0: all agree; 1: something differs.")]
pub struct Compare {
    /// Tables of runs of one network: files, directories of demos, mysql://USER@HOST:PORT/SCHEMA
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<String>,
    /// What is simulated
    #[arg(long, value_name = "FILE")]
    pub scenario: PathBuf,
    /// What the agents of the runs ran [default: as their tables say]
    #[arg(long, value_parser = PossibleValuesParser::new(POLICIES))]
    pub policy: Option<String>,
    /// The simulated runs, the first and the last
    #[arg(long, default_value = "1..200", value_parser = seeds, value_name = "FIRST..LAST")]
    pub seeds: RangeInclusive<u64>,
    /// Scenario time after which a run that has not converged ends; as the real ones had
    #[arg(long, default_value = "1h", value_parser = quantity::positive_duration::<str>)]
    pub limit: Duration,
    /// Print one JSON document and nothing else
    #[arg(long)]
    pub json: bool,
}

/// `1..200`, both included.
fn seeds(text: &str) -> Result<RangeInclusive<u64>, String> {
    const HELP: &str = "write it like `1..200`: the first and the last, both included, at most 100000 of them";
    const MOST: u64 = 100_000;
    let (first, last) = text.split_once("..").ok_or(HELP)?;
    let number = |text: &str| text.trim().parse::<u64>().map_err(|_| HELP.to_owned());
    let (first, last) = (number(first)?, number(last)?);
    let is_range = first <= last && last - first < MOST;
    is_range.then_some(first..=last).ok_or_else(|| HELP.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_a_first_and_a_last() {
        let check = |text: &str, expected: RangeInclusive<u64>| assert_eq!(seeds(text), Ok(expected), "{text}");
        check("1..200", 1..=200);
        check("7 .. 7", 7..=7);
        for text in ["", "5", "2..1", "1..=3", "a..b", "1..100001", "-1..3"] {
            assert!(seeds(text).is_err(), "{text}");
        }
    }
}
