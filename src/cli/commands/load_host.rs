//! `agent load host`, `hosts`: who makes load for whoever asks.

use crate::app::Purpose;
use crate::app::load::Network;
use crate::app::load::experiments::machine;
use crate::app::load::host::{self, Hosting, News, Served};
use crate::cli::load_arguments::{Host, Hosts};
use crate::cli::place::Place;
use crate::cli::{display, load_figures, print};
use agent_core::domain::text::{MESSAGE_MAX, legible, legible_lines};
use agent_core::domain::time::Timestamp;
use agent_core::domain::units::show_duration;
use agent_load::register::hosts::LoadHost;
use agent_load::session::fleet;
use agent_load::steering::Selection;
use std::process::ExitCode;

impl Place {
    pub(super) fn load_host(&self, arguments: &Host) -> anyhow::Result<ExitCode> {
        let Host { name, label, allow, threads, output, json } = arguments;
        let is_json = *json;
        self.with_knowledge(Purpose::Change, async |settings, existing| {
            let hosting = Hosting {
                network: Network::of(&settings.network, self.data.as_deref(), existing),
                name: name.clone().unwrap_or_else(machine),
                labels: label.iter().cloned().collect(),
                allowed: allow.clone(),
                threads: *threads,
                output: output.clone(),
                hears_of_routes: super::load::hears_of_routes(),
            };
            let hears = move |news: News| tell(&news, is_json);
            let served = host::serve(hosting, display::stop(), hears).await?;
            let Served { not_recorded, figures } = &served;
            let not_recorded = not_recorded.as_ref().map(|why| format!("NOT ALL RECORDED: {why}"));
            match is_json {
                true => print::json_line(&serde_json::json!({ "ended": served })),
                false if figures.counted.intended > 0 => {
                    print::lines(load_figures::lines("what was steered", Vec::from_iter(not_recorded), figures))
                }
                false => not_recorded.map_or(Ok(()), |why| print::lines([why])),
            }
        })
    }

    pub(super) fn list_load_hosts(&self, arguments: &Hosts) -> anyhow::Result<ExitCode> {
        let Hosts { pattern, label, json } = arguments;
        let on = Selection { pattern: pattern.clone(), labels: label.iter().cloned().collect() };
        self.with_knowledge(Purpose::Look, async |_, existing| {
            let listed = fleet::hosts(existing.load.as_ref(), &on).await?;
            if *json { print::json(&listed) } else { print::lines(list_lines(&listed, existing.clock.now())) }
        })
    }
}

/// Once nobody reads it any more it is not said.
fn tell(news: &News, is_json: bool) {
    if is_json {
        let (Ok(()) | Err(_)) = print::json_line(news);
        return;
    }
    let warning = match news {
        News::Gone { .. } | News::Trouble { .. } => "WARNING: ",
        News::Joined { .. } | News::Asked { .. } | News::Sent { .. } | News::Refused { .. } => "",
    };
    display::note(&format!("# {warning}{}", legible_lines(&news.to_string(), MESSAGE_MAX)));
}

fn list_lines(hosts: &[LoadHost], now: Timestamp) -> Vec<String> {
    if hosts.is_empty() {
        return vec!["no load host is there; `agent load host NAME` makes one".to_owned()];
    }
    let row = |LoadHost { name, labels, holder, joined_at, busy, .. }: &LoadHost| {
        let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        format!(
            "{:<20} {:>8} {:>12.3} {:>7}   {:<10} {:<24} {}",
            legible(name, MESSAGE_MAX),
            busy.clients,
            busy.rate,
            busy.shares,
            show_duration(now.since(*joined_at)),
            labels.join(", "),
            legible(&holder.0, MESSAGE_MAX),
        )
    };
    let heading = "load host             clients   requests/s  shares   for        labels                   process";
    std::iter::once(heading.to_owned()).chain(hosts.iter().map(row)).collect()
}
