//! The verbs, and how they are printed: as they would be typed.

use super::forms::{LABEL, WITHIN_TICKS};
use super::routing::{Change, Routing};
use super::selection::Selection;
use crate::balancer::Host;
use crate::specification::within_ticks;
use agent_arrivals::Within;
use std::fmt;
use std::time::Duration;

/// What a shell, a script or an experiment asks for. What each verb does is in [`FORMS`](super::forms::FORMS).
#[derive(Clone, PartialEq, Debug)]
pub enum Verb {
    Hosts(Selection),
    Clients(Selection),
    Info,
    Ping,
    Spawn {
        on: Selection,
        service: String,
        clients: u32,
        within_ticks: Within,
    },
    /// `rate` in requests/s, of each host.
    Rps {
        on: Selection,
        service: String,
        rate: f64,
    },
    Close {
        on: Selection,
        service: String,
    },
    /// `count` of each host.
    Request {
        on: Selection,
        service: String,
        count: u32,
    },
    Pause {
        on: Selection,
        service: String,
    },
    /// Whether requests of these hosts are kept one by one.
    Traces {
        on: Selection,
        are_kept: bool,
    },
    /// Whole microseconds.
    Sleep(Duration),
    /// The file.
    Source(String),
    Date,
    Echo(String),
    Routing(Routing),
    Experiment(Experiment),
    /// Of a verb or its first word; `None`: of all.
    Help(Option<String>),
    Exit,
}

/// `exp`: a verb about experiments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Experiment {
    Start { name: String },
    Stop,
    Event { name: String, value: Option<String> },
    Queue { file: String },
    List,
    Cancel { id: String },
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.words();
        let quoted = shlex::Quoter::new().allow_nul(true).join(words.iter().map(String::as_str));
        // With NUL allowed there is no error.
        f.write_str(&quoted.map_err(|_| fmt::Error)?)
    }
}

impl Verb {
    /// As a shell would split them.
    fn words(&self) -> Vec<String> {
        match self {
            Self::Hosts(on) => selecting("hosts", on, &[]),
            Self::Clients(on) => selecting("clients", on, &[]),
            Self::Info => words(&["info"]),
            Self::Ping => words(&["ping"]),
            Self::Spawn { on, service, clients, within_ticks: within } => {
                let mut words = selecting("spawn", on, &[service, &clients.to_string()]);
                if *within != Within::default() {
                    words.splice(1..1, [WITHIN_TICKS.name, within_ticks::name(*within)].map(str::to_owned));
                }
                words
            }
            Self::Rps { on, service, rate } => selecting("rps", on, &[service, &rate.to_string()]),
            Self::Close { on, service } => selecting("close", on, &[service]),
            Self::Request { on, service, count } => selecting("request", on, &[service, &count.to_string()]),
            Self::Pause { on, service } => selecting("pause", on, &[service]),
            Self::Traces { on, are_kept } => selecting("traces", on, &[if *are_kept { "on" } else { "off" }]),
            Self::Sleep(duration) => words(&["sleep", &duration.as_secs_f64().to_string()]),
            Self::Source(file) => words(&["source", file]),
            Self::Date => words(&["date"]),
            Self::Echo(text) => words(&["echo", text]),
            Self::Routing(routing) => routing_words(routing),
            Self::Experiment(experiment) => experiment_words(experiment),
            Self::Help(verb) => {
                ["help"].into_iter().chain(verb.iter().flat_map(|verb| verb.split(' '))).map(str::to_owned).collect()
            }
            Self::Exit => words(&["exit"]),
        }
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn selecting(verb: &str, on: &Selection, arguments: &[&str]) -> Vec<String> {
    let mut words = vec![verb.to_owned()];
    words.extend(on.labels.iter().flat_map(|(key, value)| [LABEL.name.to_owned(), format!("{key}={value}")]));
    let arguments: Vec<&str> = [on.pattern.as_str()].into_iter().chain(arguments.iter().copied()).collect();
    // What looks like an option and is none stands behind this.
    words.extend(arguments.iter().any(|argument| argument.starts_with("--")).then(|| "--".to_owned()));
    words.extend(arguments.into_iter().map(str::to_owned));
    words
}

fn routing_words(routing: &Routing) -> Vec<String> {
    let hosts = |hosts: &[Host]| hosts.iter().map(|host| host.address.clone()).collect::<Vec<_>>().join(",");
    let weights = |hosts: &[Host]| hosts.iter().map(|host| host.weight.to_string()).collect::<Vec<_>>().join(",");
    match routing {
        Routing::Change { service, change } => match change {
            Change::Set(added) => words(&["rtbl", "set", service, &hosts(added), &weights(added)]),
            Change::Append(added) => words(&["rtbl", "append", service, &hosts(added), &weights(added)]),
            Change::Remove(addresses) => words(&["rtbl", "remove", service, &addresses.join(",")]),
            Change::Unset => words(&["rtbl", "unset", service]),
        },
        Routing::Info { service } => words(&["rtbl", "info", service]),
        Routing::List => words(&["rtbl", "list"]),
        Routing::Flush => words(&["rtbl", "flush"]),
    }
}

fn experiment_words(experiment: &Experiment) -> Vec<String> {
    match experiment {
        Experiment::Start { name } => words(&["exp", "start", name]),
        Experiment::Stop => words(&["exp", "stop"]),
        Experiment::Event { name, value: None } => words(&["exp", "event", name]),
        Experiment::Event { name, value: Some(value) } => words(&["exp", "event", name, value]),
        Experiment::Queue { file } => words(&["exp", "queue", file]),
        Experiment::List => words(&["exp", "list"]),
        Experiment::Cancel { id } => words(&["exp", "cancel", id]),
    }
}
