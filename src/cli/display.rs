//! While it happens: lines, or on a terminal a live picture below the last events.

use super::arguments::Log;
use super::{print, signals};
use crate::actors::Notice;
use crate::app::status::Status;
use crate::app::training::Progress;
use crate::config::settings::Settings;
use crate::domain::ids::AgentId;
use crate::domain::text::{LINE_MAX, MESSAGE_MAX, legible, legible_json, legible_lines};
use crate::domain::units::show_duration;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;
use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Cancelled when whoever read the lines has gone (`| head`).
static UNREAD: LazyLock<CancellationToken> = LazyLock::new(CancellationToken::new);

/// Completes at a signal, or when nobody reads the lines any more.
pub async fn stop() {
    tokio::select! {
        () = signals::stop() => {}
        () = UNREAD.cancelled() => {}
    }
}

/// Whether it is the reader that ended it: then nobody is left to be told.
pub fn is_unread() -> bool {
    UNREAD.is_cancelled()
}

/// One line to standard output. A full disk is no reason to stop an agent.
pub fn line(log: Log, notice: &Notice) {
    let text = match log {
        Log::Text => for_people(notice),
        Log::Json => {
            let text = serde_json::to_string(notice).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"));
            legible_json(&text).into_owned()
        }
    };
    if writeln!(std::io::stdout(), "{text}").is_err_and(|error| error.kind() == ErrorKind::BrokenPipe) {
        UNREAD.cancel();
    }
}

/// A line to standard error about what goes on. The terminal may be gone: that ends nothing.
pub fn note(text: &str) {
    let _nobody_reads = writeln!(std::io::stderr(), "{text}");
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

/// How far training has come: a bar on a terminal, else lines now and then.
pub enum Training {
    Bar(ProgressBar),
    Lines { began: Instant, told: Option<Instant> },
    Silent,
}

impl Training {
    /// Between two lines.
    const EVERY: Duration = Duration::from_secs(3);

    pub fn new(total: u64, show: bool) -> Self {
        if !show {
            return Training::Silent;
        }
        if !std::io::stderr().is_terminal() {
            return Training::Lines { began: Instant::now(), told: None };
        }
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        bar.set_style(message_style("training {wide_bar} {pos}/{len} runs, {eta} left  {msg}"));
        Training::Bar(bar)
    }

    pub fn show(&mut self, progress: Progress) {
        let Progress { agent, node, done, total } = progress;
        match self {
            Training::Bar(bar) => {
                bar.set_position(done);
                bar.set_message(format!("agent {agent} at node {node}"));
            }
            Training::Lines { told: Some(told), .. } if told.elapsed() < Self::EVERY => {}
            Training::Lines { began, told } => {
                let left = began.elapsed().as_secs_f64() * (total - done) as f64 / done.max(1) as f64;
                let left = if done == 0 { String::new() } else { format!(", about {left:.0} s left") };
                note(&format!("# training: {done} of {total} runs done, agent {agent} at node {node}{left}"));
                *told = Some(Instant::now());
            }
            Training::Silent => {}
        }
    }

    pub fn finish(&self) {
        if let Training::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
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
