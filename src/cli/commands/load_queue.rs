//! `agent load queue`, `list`, `show`, `cancel`, `daemon`: experiments, which wait in the network's table.

use crate::app::Purpose;
use crate::app::load::Network;
use crate::app::load::daemon::{self, News, Until};
use crate::app::load::experiments::{self, Shown};
use crate::cli::load_arguments::{Cancel, Daemon, List, OfExperiment, Queue};
use crate::cli::place::Place;
use crate::cli::{display, print};
use agent_core::domain::text::{MESSAGE_MAX, legible, legible_lines};
use agent_core::domain::time::Timestamp;
use agent_core::domain::units::show_duration;
use agent_load::register::experiment::{Experiment, ExperimentId, State};
use serde_json::Value;
use std::process::ExitCode;

impl Place {
    pub(super) fn queue_experiment(&self, arguments: &Queue) -> anyhow::Result<ExitCode> {
        let Queue { file, allow, key, on, json } = arguments;
        let experiment = experiments::read(file, allow, key.clone(), on.selection())?;
        self.with_knowledge(Purpose::Change, async |_, existing| {
            let queued = experiments::queue(existing.load.as_ref(), experiment).await?;
            match json {
                true => print::json(&queued),
                false => print::lines([format!("experiment {} `{}` {}", queued.id, queued.name, queued.state.said())]),
            }
        })
    }

    pub(super) fn list_experiments(&self, arguments: &List) -> anyhow::Result<ExitCode> {
        let List { state, limit, json } = arguments;
        self.with_knowledge(Purpose::Look, async |_, existing| {
            let listed = experiments::list(existing.load.as_ref(), state, limit.get()).await?;
            if *json { print::json(&listed) } else { print::lines(list_lines(&listed, existing.clock.now())) }
        })
    }

    pub(super) fn show_experiment(&self, arguments: &OfExperiment) -> anyhow::Result<ExitCode> {
        let OfExperiment { experiment, json } = arguments;
        self.with_knowledge(Purpose::Look, async |_, existing| {
            let shown = experiments::show(existing.load.as_ref(), *experiment).await?;
            if *json { print::json(&shown) } else { print::lines(shown_lines(&shown, existing.clock.now())) }
        })
    }

    pub(super) fn cancel_experiments(&self, arguments: &Cancel) -> anyhow::Result<ExitCode> {
        self.with_knowledge(Purpose::Change, async |_, existing| {
            let mut cancelled = Vec::new();
            for id in &arguments.experiments {
                cancelled.push((*id, experiments::cancel(existing.load.as_ref(), *id, experiments::who()).await?));
            }
            let document = |(id, state): &(ExperimentId, State)| serde_json::json!({ "id": id, "state": state });
            let line = |(id, state): &(ExperimentId, State)| match state {
                State::Running => format!("experiment {id} is being stopped"),
                State::Queued | State::Finished | State::Failed | State::Cancelled => {
                    format!("experiment {id} {}", state.said())
                }
            };
            match arguments.json {
                true => print::json(&cancelled.iter().map(document).collect::<Vec<_>>()),
                false => print::lines(cancelled.iter().map(line)),
            }
        })
    }

    pub(super) fn load_daemon(&self, arguments: &Daemon) -> anyhow::Result<ExitCode> {
        let Daemon { allow, threads, output, until_idle, json } = arguments;
        let (until, mut code) = (if *until_idle { Until::Idle } else { Until::Stopped }, ExitCode::SUCCESS);
        self.with_knowledge(Purpose::Change, async |settings, existing| {
            let daemon = daemon::Daemon {
                network: Network::of(&settings.network, self.data.as_deref(), existing),
                allowed: allow.clone(),
                threads: *threads,
                output: output.clone().map(daemon::Output::Folder),
                hears_of_routes: super::load::hears_of_routes(),
            };
            let mut told = Ok(());
            let mut hears = |news: News| {
                if told.is_ok() {
                    told = if *json { print::json_line(&news) } else { tell(&news) };
                }
            };
            let failed = daemon::serve(&daemon, until, display::stop(), &mut hears).await?;
            if failed > 0 {
                code = ExitCode::FAILURE;
            }
            told
        })?;
        Ok(code)
    }
}

/// What became of experiments on standard output, everything else beside it.
fn tell(news: &News) -> anyhow::Result<()> {
    let line = legible_lines(&news.to_string(), MESSAGE_MAX).into_owned();
    let lines = line.lines().map(str::to_owned);
    match news {
        News::Ended { outcome, .. } => print::lines(lines.chain(super::load::lines(outcome))),
        News::Begins { .. } | News::Failed { .. } | News::GivenBack { .. } | News::Lost { .. } => print::lines(lines),
        News::Waits { .. } | News::Trouble { .. } | News::TroubleOver => {
            display::note(&format!("# {line}"));
            Ok(())
        }
        News::Away { .. } | News::NotNoted { .. } => {
            display::note(&format!("# WARNING: {line}"));
            Ok(())
        }
    }
}

fn list_lines(listed: &[Experiment], now: Timestamp) -> Vec<String> {
    if listed.is_empty() {
        return vec!["there are no experiments; `agent load queue evening.toml` queues one".to_owned()];
    }
    let heading = "id     state               waited     ran        queued by                name".to_owned();
    let row = |it: &Experiment| {
        let waited = it.started_at.or(it.ended_at).unwrap_or(now).since(it.queued_at);
        format!(
            "{:<6} {:<19} {:<10} {:<10} {:<24} {}",
            it.id.to_string(),
            state(it),
            show_duration(waited),
            ran(it, now).unwrap_or_else(|| "-".to_owned()),
            legible(&it.queued_by, MESSAGE_MAX),
            legible(&it.name, MESSAGE_MAX),
        )
    };
    std::iter::once(heading).chain(listed.iter().map(row)).collect()
}

/// Beside its state, that it was begun more often than once, or is to end.
fn state(it: &Experiment) -> String {
    let is_begun_anew = it.begun > 1 || (it.begun == 1 && it.state == State::Queued);
    match it.state {
        State::Running if it.cancelled_by.is_some() => "running, to end".to_owned(),
        State::Queued | State::Running if is_begun_anew => format!("{}, begun {} x", it.state, it.begun),
        State::Queued | State::Running | State::Finished | State::Failed | State::Cancelled => it.state.to_string(),
    }
}

/// How long, of its last begin.
fn ran(it: &Experiment, now: Timestamp) -> Option<String> {
    let until = match it.state {
        State::Queued => return None,
        State::Running => now,
        State::Finished | State::Failed | State::Cancelled => it.ended_at?,
    };
    Some(show_duration(until.since(it.started_at?)))
}

fn shown_lines(shown: &Shown, now: Timestamp) -> Vec<String> {
    let Shown { experiment: it, specification } = shown;
    let ago = |at: Timestamp| format!("{} ago", show_duration(now.since(at)));
    let mut lines = vec![format!("experiment {} `{}` {}", it.id, legible(&it.name, MESSAGE_MAX), it.state.said())];
    lines.extend(
        it.reason.iter().flat_map(|why| legible_lines(why, MESSAGE_MAX).lines().map(str::to_owned).collect::<Vec<_>>()),
    );
    lines.push(format!("queued {} by {}", ago(it.queued_at), legible(&it.queued_by, MESSAGE_MAX)));
    if let (Some(started), Some(ran)) = (it.started_at, ran(it, now)) {
        let begun = if it.begun > 1 { format!(", for the {}. time", it.begun) } else { String::new() };
        lines.push(format!(
            "begun {}{begun}; {} for {ran}",
            ago(started),
            if it.state.is_over() { "ran" } else { "runs" }
        ));
    }
    if let Some(claim) = &it.claim {
        let holder = legible(&claim.holder.0, MESSAGE_MAX);
        lines.push(match it.state {
            State::Running if it.is_held(now) => {
                format!("held by {holder}, who is counted on for {} more", show_duration(claim.until.since(now)))
            }
            State::Running => {
                format!("held by {holder}, who was not heard of any more; the next daemon begins it anew")
            }
            State::Queued | State::Finished | State::Failed | State::Cancelled => format!("held last by {holder}"),
        });
    }
    lines.extend(it.summary.as_ref().map(summary_line));
    lines.push(String::new());
    lines.extend(specification.lines().map(|line| legible(line, MESSAGE_MAX).into_owned()));
    lines
}

/// What a person wants to know first; all of it is in `--json`.
fn summary_line(summary: &Value) -> String {
    let count = |name: &str| summary[name].as_u64().unwrap_or_default();
    let errors: u64 =
        summary["errors"].as_object().into_iter().flat_map(|kinds| kinds.values()).filter_map(Value::as_u64).sum();
    let time = |name: &str| summary["response_ms"][name].as_f64().map_or("-".to_owned(), |ms| format!("{ms:.3} ms"));
    format!(
        "{} requests meant, {} sent, {} answered; {errors} errors, of these {} dropped; {} sent late; response time 50 % {}, 99 % {}",
        count("intended"),
        count("sent"),
        count("done"),
        count("dropped"),
        count("late"),
        time("p50"),
        time("p99"),
    )
}
