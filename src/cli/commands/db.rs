//! `agent db`: the tables in a server made, brought up to date, examined.

use crate::app::{self, database};
use crate::cli::arguments::Db;
use crate::cli::place::{Place, knowledge, services};
use crate::cli::print;
use std::process::ExitCode;

impl Place {
    pub(super) fn db(&self, db: &Db) -> anyhow::Result<ExitCode> {
        let network = self.settings()?.network;
        let (Db::Init(arguments) | Db::Migrate(arguments) | Db::Check(arguments)) = db;
        let table = match &arguments.url {
            Some(url) => knowledge("URL", url)?,
            None => network.knowledge.clone(),
        };
        let runtime = services()?;
        let prepared = match db {
            Db::Init(_) => runtime.block_on(database::init(&table))?,
            Db::Migrate(_) => runtime.block_on(database::migrate(&table))?,
            Db::Check(_) => {
                let report = runtime.block_on(database::check(&table, &app::clock(&network), runtime.handle()))?;
                if arguments.json {
                    print::json(&report)?
                } else {
                    print::database(&report)?
                }
                return Ok(if report.is_well() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
            }
        };
        if arguments.json {
            print::json(&prepared)?
        } else {
            print::prepared(&table, &prepared)?
        }
        Ok(ExitCode::SUCCESS)
    }
}
