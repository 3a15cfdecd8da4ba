//! While it happens: lines, or on a terminal a live picture below the last events.

use super::arguments::Log;
use super::{colour, print, signals};
use crate::actors::Notice;
use crate::app::status::{NetworkStatus, Status};
use crate::app::training::Progress;
use agent_core::clock::WallTime;
use agent_core::config::settings::Settings;
use agent_core::domain::ids::AgentId;
use agent_core::domain::text::{LINE_MAX, MESSAGE_MAX, legible, legible_json, legible_lines};
use agent_core::domain::units::show_duration;
use console::{Term, measure_text_width, truncate_str};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
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

/// Set at the first signal, for work on other threads; `told` is said then. A second signal ends the process.
pub fn stop_flag(services: &Runtime, told: String) -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let set = stop.clone();
    services.spawn(async move {
        signals::stop().await;
        set.store(true, Ordering::Relaxed);
        note(&told);
    });
    stop
}

/// Whether it is the reader that ended it: then nobody is left to be told.
pub fn is_unread() -> bool {
    UNREAD.is_cancelled()
}

/// One line to standard output. A full disk is no reason to stop an agent.
pub fn line(log: Log, notice: &Notice) {
    let mut out = std::io::stdout();
    let text = match log {
        Log::Text if colour::suits(log, out.is_terminal()) => {
            colour::of(notice).apply_to(for_people(notice)).to_string()
        }
        Log::Text => for_people(notice),
        Log::Json => {
            let line = Line { time: WallTime::now(), notice };
            let text = serde_json::to_string(&line).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"));
            legible_json(&text).into_owned()
        }
    };
    if writeln!(out, "{text}").is_err_and(|error| error.kind() == ErrorKind::BrokenPipe) {
        UNREAD.cancel();
    }
}

/// A line to standard error about what goes on. The terminal may be gone: that ends nothing.
pub fn note(text: &str) {
    let _nobody_reads = writeln!(std::io::stderr(), "{text}");
}

/// A notice for machines.
#[derive(Serialize)]
struct Line<'a> {
    time: WallTime,
    #[serde(flatten)]
    notice: &'a Notice,
}

/// With the time in front. What others wrote may bring lines of its own; they are indented, so that none looks like a notice.
fn for_people(notice: &Notice) -> String {
    let text = legible_lines(&notice.to_string(), MESSAGE_MAX).replace('\n', "\n    ");
    format!("{}  {text}", WallTime::now())
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
    colours: bool,
    drawn: Mutex<Drawn>,
}

/// What stands on the terminal now.
#[derive(Default)]
struct Drawn {
    columns: usize,
    /// The width of each line.
    widths: Vec<usize>,
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
            Screen::Live(live) if notice.is_event() => live.event(notice),
            Screen::Live(_) => {}
        }
    }

    pub fn status(&self, status: &NetworkStatus, passed: Duration) {
        if let Screen::Live(live) = self {
            live.status(status, passed);
        }
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
        let line = || bars.add(ProgressBar::new_spinner().with_style(message_style("{msg}")));
        let agents = settings
            .agents
            .values()
            .map(|agent| {
                let bar = line();
                bar.set_message(cut(&format!("agent {}  {}  starting", agent.id, agent.goal), columns()));
                (agent.id, bar)
            })
            .collect();
        let replicas = line();
        let colours = colour::is_wanted(true);
        Self { bars, agents, replicas, colours, drawn: Mutex::default() }
    }

    fn event(&self, notice: &Notice) {
        let text = cut(&for_people(notice).replace('\n', " "), columns());
        let text = if self.colours { colour::of(notice).apply_to(text).to_string() } else { text };
        if let Err(error) = self.bars.println(text) {
            tracing::debug!(%error, "the terminal is gone");
        }
    }

    fn status(&self, status: &NetworkStatus, passed: Duration) {
        let columns = columns();
        let replicas = match status.data_sets() {
            [only] => print::replicas_line(&only.replicas),
            all => {
                let one = |status: &Status| format!("{}: {}", status.data_set, print::replicas_line(&status.replicas));
                all.iter().map(one).collect::<Vec<_>>().join("   ")
            }
        };
        let replicas = cut(&format!("replicas {replicas}   {} of the scenario", show_duration(passed)), columns);
        let mut lines: Vec<(&ProgressBar, String, bool)> = Vec::new();
        for agent in status.agents() {
            let Some(bar) = self.agents.get(&agent.peer.registration.agent) else { continue };
            let text = cut(&legible(&print::agent_line(agent), LINE_MAX), columns);
            lines.push((bar, text, agent.goal_met == Some(false) || agent.failed_in_a_row > 0));
        }
        lines.push((&self.replicas, replicas, false));
        self.resized(columns, lines.iter().map(|(_, text, _)| measure_text_width(text)).collect());
        for (bar, text, is_violated) in lines {
            let is_coloured = is_violated && self.colours;
            let text = if is_coloured { colour::violated().apply_to(text).to_string() } else { text };
            // What stands there already is not drawn again.
            if bar.message() != text {
                bar.set_message(text);
            }
        }
    }

    /// A terminal that became narrower has broken the lines that stand there; the rows more are cleared before anything is drawn.
    fn resized(&self, columns: usize, widths: Vec<usize>) {
        // A panic ends the process.
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        if columns < drawn.columns {
            let more: usize = drawn.widths.iter().map(|width| width.saturating_sub(1) / columns.max(1)).sum();
            self.bars.suspend(|| match more {
                0 => {}
                more => print!("\u{1b}[{more}A\r\u{1b}[J"),
            });
        }
        *drawn = Drawn { columns, widths };
    }
}

/// One column stays free: some terminals begin a new line behind the last one.
fn columns() -> usize {
    usize::from(Term::stdout().size().1).saturating_sub(1).max(20)
}

/// As much of a line as fits, with an ellipsis where there is more.
fn cut(text: &str, columns: usize) -> String {
    truncate_str(text, columns, "\u{2026}").into_owned()
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
