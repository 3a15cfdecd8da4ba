//! `agent report`.

use crate::app::data_directory::DataDirectory;
use crate::app::report;
use crate::cli::place::{Place, knowledge, services};
use crate::cli::print;
use agent_core::clock::{Clock, FollowingClock};
use agent_core::config::settings::{KnowledgeSettings, NetworkSettings};
use agent_core::domain::units::show_bytes;
use agent_laboratory::report::experiment::wanted::Wanted;
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Arguments.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent report rivals.db                                   an experiment: who won, by how much, at what cost
  agent report rivals.db --run drift/cooperative/7         with the placement of this run over time
  agent report rivals.db --output rivals.html --csv rivals
  agent report membership.db --csv membership              an experiment of membership: rounds, bytes, ages, questions
  agent report offloading.db                               an experiment of offloading: who is served, from how far
  agent report agent-data/demo/network.db                  what the demo's agents did, and why
  agent report mysql://agent@db.example.org/agent          a network whose table is in a server

The page needs nothing but itself: no network, no other file.")]
pub struct Report {
    /// A file of `agent experiment`, or the shared table of a network: network.db or mysql://USER@HOST:3306/SCHEMA
    pub database: String,
    /// Where to write the page
    #[arg(long, value_name = "FILE", default_value = "report.html")]
    pub output: PathBuf,
    /// Write the tables into this folder, as CSV
    #[arg(long, value_name = "DIR")]
    pub csv: Option<PathBuf>,
    /// Show the placement of this run of an experiment: its number, or SCENARIO/POLICY/SEED [default: of each scenario a typical one
    /// of the policy that won]
    #[arg(long = "run", value_name = "RUN")]
    pub runs: Vec<Wanted>,
}

/// Of the agents that wrote this table: its directory knows their scale.
fn clock(network: &NetworkSettings, table: &Path) -> Arc<dyn Clock> {
    let directory = table.parent().and_then(|folder| DataDirectory::existing(Some(folder)).ok());
    let scale = directory.and_then(|directory| directory.time_scale());
    Arc::new(FollowingClock::new(scale.unwrap_or(network.time_scale)))
}

impl Place {
    pub(super) fn report(&self, arguments: &Report) -> anyhow::Result<ExitCode> {
        let network = self.settings()?.network;
        let clock = clock(&network, Path::new(&arguments.database));
        let services = services()?;
        let Report { database, output, csv, runs } = arguments;
        let report = if database.contains("://") {
            match knowledge("DATABASE", database)? {
                KnowledgeSettings::Mysql(url) => {
                    services.block_on(report::of_server(&url, runs, &clock, services.handle()))?
                }
                KnowledgeSettings::Sqlite(file) => services.block_on(report::of_file(&file, runs, &clock))?,
            }
        } else {
            services.block_on(report::of_file(Path::new(database), runs, &clock))?
        };
        report::write(&report, output, csv.as_deref())?;
        let mut said =
            vec![format!("{}: {}, {}", output.display(), report.about, show_bytes(report.html.len() as u64))];
        said.extend(csv.iter().map(|folder| format!("{}: {} tables", folder.display(), report.tables.len())));
        print::beside(Some(output)).lines(said)?;
        Ok(ExitCode::SUCCESS)
    }
}
