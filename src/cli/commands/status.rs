//! `agent status`: a network at a glance.

use super::follow::until_stopped;
use crate::app::status::{self, JobCounter, NetworkStatus, Timing};
use crate::app::{Existing, Purpose};
use crate::cli::arguments::StatusArguments;
use crate::cli::place::{Place, UNHEALTHY};
use crate::cli::print;
use agent_core::clock::WallTime;
use agent_core::config::settings::Settings;
use std::io::IsTerminal as _;
use std::process::ExitCode;

impl Place {
    pub(super) fn status(&self, arguments: &StatusArguments) -> anyhow::Result<ExitCode> {
        let mut is_healthy = true;
        let code = self.with_knowledge(Purpose::Look, async |settings, existing| {
            let mut jobs = JobCounter::default();
            if !arguments.watch {
                let status = load(settings, existing, &mut jobs).await?;
                is_healthy = status.is_healthy();
                return if arguments.json { print::json(&status) } else { print::status(&status) };
            }
            let is_picture = std::io::stdout().is_terminal() && !arguments.json;
            until_stopped(async || {
                let status = load(settings, existing, &mut jobs).await?;
                match arguments.json {
                    true => print::json_line(&status)?,
                    false => {
                        print::clear_screen()?;
                        print::lines([WallTime::now().to_string()])?;
                        print::status(&status)?;
                    }
                }
                // Between two pictures in a file.
                if !is_picture && !arguments.json { print::lines([String::new()]) } else { Ok(()) }
            })
            .await
        })?;
        Ok(if is_healthy { code } else { ExitCode::from(UNHEALTHY) })
    }
}

async fn load(settings: &Settings, existing: &Existing, jobs: &mut JobCounter) -> anyhow::Result<NetworkStatus> {
    let network = &settings.network;
    let timing = Timing { silence: network.silence(), scale: existing.scale };
    status::load(existing.knowledge.as_ref(), &network.data_sets, timing, jobs).await
}
