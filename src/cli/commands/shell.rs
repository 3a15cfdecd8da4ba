//! `agent shell`: load that is steered by hand while it runs.

use crate::app::Purpose;
use crate::app::load::Network;
use crate::app::shell::{self as app, Outcome};
use crate::cli::line_editor::{LineEditor, Names, Typed};
use crate::cli::place::{Place, services};
use crate::cli::shell_arguments::Shell;
use crate::cli::{display, load_figures, print, signals};
use agent_core::domain::text::{MESSAGE_MAX, legible_lines};
use agent_load::session::{Answer, HERE, Refused, Session};
use agent_load::steering::{Verb, parse};
use anyhow::Context as _;
use serde::Serialize;
use std::io::IsTerminal as _;
use std::ops::ControlFlow;
use std::process::ExitCode;
use tokio::runtime::Runtime;

/// How verbs came to their end.
enum Ended {
    Done,
    /// Said already.
    Refused,
    Stopped,
}

/// The last line of a session for machines.
#[derive(Serialize)]
struct Last<'a> {
    ended: &'a Outcome,
}

impl Place {
    pub(super) fn shell(&self, arguments: &Shell) -> anyhow::Result<ExitCode> {
        let runtime = services()?;
        let network = match arguments.table {
            true => {
                let (settings, existing) = self.open(Purpose::Change, &runtime)?;
                Some(Network::of(&settings.network, self.data.as_deref(), &existing))
            }
            false => None,
        };
        shell(arguments, &runtime, network)
    }
}

fn shell(arguments: &Shell, runtime: &Runtime, network: Option<Network>) -> anyhow::Result<ExitCode> {
    let Shell { allow, threads, output, .. } = arguments;
    let mut shell = runtime.block_on(app::Shell::begin(allow, *threads, network, output.as_deref()))?;
    let ended = match arguments.source.is_none() && std::io::stdin().is_terminal() {
        true => converse(runtime, &mut shell.session, arguments.json)?,
        false => follow(runtime, &mut shell.session, arguments)?,
    };
    let outcome = runtime.block_on(shell.end())?;
    let not_recorded = outcome.not_recorded.as_ref().map(|why| format!("NOT ALL RECORDED: {why}"));
    if arguments.json {
        print::json_line(&Last { ended: &outcome })?
    } else if outcome.figures.counted.intended > 0 || not_recorded.is_some() {
        print::lines(load_figures::lines("the session", not_recorded.into_iter().collect(), &outcome.figures))?
    }
    Ok(match ended {
        Ended::Done if outcome.not_recorded.is_some() => ExitCode::FAILURE,
        Ended::Done => ExitCode::SUCCESS,
        Ended::Refused => ExitCode::FAILURE,
        Ended::Stopped => ExitCode::from(signals::INTERRUPTED),
    })
}

/// Does a script.
fn follow(runtime: &Runtime, session: &mut Session, arguments: &Shell) -> anyhow::Result<Ended> {
    let (name, script) = app::script(arguments.source.as_deref())?;
    let mut telling = Telling::new(arguments.json);
    let done = runtime.block_on(async {
        let mut tell = |answer: Answer| telling.tell(&answer);
        tokio::select! {
            done = session.run(&name, &script, &mut tell) => Some(done),
            () = display::stop() => None,
        }
    });
    telling.told?;
    Ok(match done {
        None => Ended::Stopped,
        Some(Ok(ControlFlow::Continue(()) | ControlFlow::Break(()))) => Ended::Done,
        Some(Err(refused)) => {
            say(&refused);
            Ended::Refused
        }
    })
}

/// Asks for verbs until there is an `exit`, or the end. What is refused is said, and the next verb asked for.
fn converse(runtime: &Runtime, session: &mut Session, json: bool) -> anyhow::Result<Ended> {
    const UNREADABLE: &str = "the terminal cannot be read";
    let mut editor = LineEditor::new(names(session), app::history()).context(UNREADABLE)?;
    display::note("# `help` lists the verbs, Tab completes them; `exit` ends it");
    let prompt = format!("{HERE}> ");
    loop {
        let line = match editor.ask(&prompt).context(UNREADABLE)? {
            Typed::Line(line) => line,
            Typed::Interrupt => {
                display::note("# `exit` ends it");
                continue;
            }
            Typed::End => return Ok(Ended::Done),
        };
        match parse(&line) {
            Ok(None) => {}
            Ok(Some(verb)) => {
                if perform(runtime, session, &verb, json)?.is_break() {
                    return Ok(Ended::Done);
                }
            }
            Err(invalid) => say(&Refused::Verb(invalid)),
        }
        for news in session.news() {
            display::note(&format!("# {}", legible_lines(&news.to_string(), MESSAGE_MAX)));
        }
        editor.completes(names(session));
    }
}

/// Does one verb; Ctrl-C ends it, and not the session.
fn perform(runtime: &Runtime, session: &mut Session, verb: &Verb, json: bool) -> anyhow::Result<ControlFlow<()>> {
    let mut telling = Telling::new(json);
    let done = runtime.block_on(async {
        let mut tell = |answer: Answer| telling.tell(&answer);
        tokio::select! {
            biased;
            () = signals::interrupt() => None,
            done = session.perform(verb, &mut tell) => Some(done),
        }
    });
    telling.told?;
    Ok(match done {
        Some(Ok(flow)) => flow,
        Some(Err(refused)) => {
            say(&refused);
            ControlFlow::Continue(())
        }
        None => {
            // Behind the `^C` that the terminal shows.
            display::note(&format!("\n# interrupted: {verb}"));
            ControlFlow::Continue(())
        }
    })
}

fn names(session: &Session) -> Names {
    Names { hosts: session.hosts(), services: session.services() }
}

fn say(refused: &Refused) {
    display::note(&format!("error: {}", legible_lines(&refused.to_string(), MESSAGE_MAX)));
}

/// Prints answers as they come; once nobody reads them any more, no further ones.
struct Telling {
    json: bool,
    told: anyhow::Result<()>,
}

impl Telling {
    fn new(json: bool) -> Self {
        Self { json, told: Ok(()) }
    }

    fn tell(&mut self, answer: &Answer) {
        if self.told.is_ok() {
            self.told = if self.json { print::json_line(answer) } else { print::lines(answer.lines()) };
        }
    }
}
