//! While it happens: lines, or on a terminal a live picture below the last events.

use super::arguments::Log;
use super::print;
use crate::actors::Notice;
use crate::app::status::Status;
use crate::config::settings::Settings;
use crate::domain::ids::AgentId;
use crate::domain::text::{LINE_MAX, MESSAGE_MAX, legible, legible_json, legible_lines};
use crate::domain::units::show_duration;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

/// One line to standard output. A reader that went away (`| head`) is no reason to stop an agent.
pub fn line(log: Log, notice: &Notice) {
    let text = match log {
        Log::Text => for_people(notice),
        Log::Json => {
            let text = serde_json::to_string(notice).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"));
            legible_json(&text).into_owned()
        }
    };
    let _reader_is_gone = writeln!(std::io::stdout(), "{text}");
}

/// What others wrote may bring lines of its own; they are indented, so that none looks like a notice.
fn for_people(notice: &Notice) -> String {
    legible_lines(&notice.to_string(), MESSAGE_MAX).replace('\n', "\n    ")
}

/// What a demo shows.
pub enum Screen {
    Live(Live),
    Lines(Log),
    /// Only the document at the end.
    Silent,
}

/// A line for each agent, one for the replicas, and the events scrolling above them.
pub struct Live {
    bars: MultiProgress,
    agents: BTreeMap<AgentId, ProgressBar>,
    replicas: ProgressBar,
}

impl Screen {
    pub fn new(settings: &Settings, log: Log, silent: bool) -> Self {
        match (silent, log) {
            (true, _) => Screen::Silent,
            (false, Log::Text) if std::io::stdout().is_terminal() => Screen::Live(Live::new(settings)),
            (false, log) => Screen::Lines(log),
        }
    }

    pub fn notice(&self, notice: &Notice) {
        match self {
            Screen::Silent => {}
            Screen::Lines(log) => line(*log, notice),
            Screen::Live(live) if notice.is_event() => {
                if let Err(error) = live.bars.println(for_people(notice)) {
                    tracing::debug!(%error, "the terminal is gone");
                }
            }
            Screen::Live(_) => {}
        }
    }

    pub fn status(&self, status: &Status, passed: Duration) {
        let Screen::Live(live) = self else { return };
        for agent in &status.agents {
            if let Some(bar) = live.agents.get(&agent.peer.registration.agent) {
                bar.set_message(legible(&print::agent_line(agent), LINE_MAX).into_owned());
            }
        }
        let replicas = print::replicas_line(&status.replicas);
        live.replicas.set_message(format!("replicas {replicas}   {} of the scenario", show_duration(passed)));
    }

    pub fn finish(&self) {
        if let Screen::Live(live) = self {
            live.agents.values().chain([&live.replicas]).for_each(ProgressBar::finish);
        }
    }
}

impl Live {
    fn new(settings: &Settings) -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        let line = || bars.add(ProgressBar::new_spinner().with_style(message_style("{wide_msg}")));
        let agents = settings
            .agents
            .values()
            .map(|agent| {
                let bar = line();
                bar.set_message(format!("agent {}  {}  starting", agent.id, agent.goal));
                (agent.id, bar)
            })
            .collect();
        let replicas = line();
        Self { bars, agents, replicas }
    }
}

/// Runs of the job, with the time left.
pub fn training_bar(total: u64, show: bool) -> ProgressBar {
    let target = if show { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(total), target);
    bar.set_style(message_style("training {wide_bar} {pos}/{len} runs, {eta} left  {msg}"));
    bar
}

/// Runs of an experiment, on a terminal.
pub fn runs_bar(total: u64) -> Option<ProgressBar> {
    let is_seen = std::io::stderr().is_terminal();
    let bar = is_seen.then(|| ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr()))?;
    bar.set_style(message_style("{wide_bar} {pos}/{len} runs, {elapsed}, {msg}"));
    bar.enable_steady_tick(Duration::from_secs(1));
    Some(bar)
}

/// The templates are constants of this file; a wrong one would show in the first demo.
fn message_style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
