//! What a verb came to, for people and for machines.

use super::experiment::{Marker, Moment};
use crate::balancer::{Host, Record};
use crate::register::experiment::{Experiment, ExperimentId, State};
use agent_core::clock::WallTime;
use agent_core::domain::labels::Labels;
use serde::{Deserialize, Serialize};

/// What a verb came to. Rates are in requests/s, times in milliseconds unless a name says otherwise.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Hosts(Vec<HostAnswer>),
    Clients(Vec<ClientAnswer>),
    Info(Info),
    Pong {
        host: String,
        after_ms: f64,
    },
    Spawned {
        service: String,
        clients: u32,
        of: usize,
    },
    Rate {
        service: String,
        rate: f64,
        clients: usize,
        /// Each of them sends at this rate.
        hosts: usize,
    },
    Requested {
        service: String,
        requests: u32,
    },
    Closed {
        service: String,
        clients: usize,
    },
    /// Whether requests of these hosts are kept one by one.
    Traces {
        are_kept: bool,
        hosts: usize,
    },
    Slept {
        seconds: f64,
    },
    /// What each verb of the file came to.
    Sourced {
        file: String,
        answers: Vec<Answer>,
    },
    Date(WallTime),
    Said(String),
    /// Of several load hosts.
    Each(Vec<Answer>),
    /// This host did not, while others did.
    Refused {
        host: String,
        problem: String,
    },
    /// Of each service that was asked for; after a change, the record as it is now.
    Routed(Vec<Record>),
    /// These services are routed no more.
    Unrouted(Vec<String>),
    Marked(Marker),
    /// The latest first.
    Experiments(Vec<Experiment>),
    /// What it is now: over, unless somebody has to stop it first.
    Cancelled {
        id: ExperimentId,
        state: State,
    },
    Help(Vec<Form>),
    /// There was an `exit`: whoever asks should ask no more.
    Left,
}

/// A load host.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct HostAnswer {
    pub host: String,
    pub labels: Labels,
    pub clients: usize,
    /// Of all its clients.
    pub rate: f64,
}

/// A client, and what its requests came to so far.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ClientAnswer {
    pub client: u32,
    pub host: String,
    pub service: String,
    pub rate: f64,
    /// Of the requests that are over.
    pub sent: u64,
    /// All that had no answer below 400.
    pub errors: u64,
    /// From when requests were meant to start, to one digit. `None`: none has ended.
    pub p50_ms: Option<f64>,
    pub p99_ms: Option<f64>,
}

/// A load host so far.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Info {
    pub host: String,
    pub labels: Labels,
    pub lasted_s: f64,
    pub threads: usize,
    pub clients: usize,
    pub services_routed: usize,
    /// The experiment that goes on.
    pub experiment: Option<String>,
    /// Requests whose time came.
    pub intended: u64,
    /// Of those, the ones that are over.
    pub ended: u64,
    pub errors: u64,
    pub late: u64,
    pub dropped: u64,
}

/// How a verb is written.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Form {
    pub form: String,
    pub meaning: &'static str,
    pub example: &'static str,
}

impl Answer {
    /// What was marked, also where not all hosts did.
    pub fn marker(&self) -> Option<&Marker> {
        match self {
            Self::Marked(marker) => Some(marker),
            Self::Each(answers) => answers.iter().find_map(Self::marker),
            _ => None,
        }
    }

    /// Whether an `exit` was among what was done.
    pub fn leaves(&self) -> bool {
        match self {
            Self::Left => true,
            Self::Sourced { answers, .. } | Self::Each(answers) => answers.iter().any(Self::leaves),
            Self::Hosts(_)
            | Self::Clients(_)
            | Self::Info(_)
            | Self::Pong { .. }
            | Self::Spawned { .. }
            | Self::Rate { .. }
            | Self::Requested { .. }
            | Self::Closed { .. }
            | Self::Traces { .. }
            | Self::Slept { .. }
            | Self::Date(_)
            | Self::Said(_)
            | Self::Refused { .. }
            | Self::Routed(_)
            | Self::Unrouted(_)
            | Self::Marked(_)
            | Self::Experiments(_)
            | Self::Cancelled { .. }
            | Self::Help(_) => false,
        }
    }

    /// For people; none where nobody wants to be told.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Hosts(hosts) if hosts.is_empty() => Vec::from(["no load host matches".to_owned()]),
            Self::Hosts(hosts) => hosts.iter().map(host).collect(),
            Self::Clients(clients) => table(clients),
            Self::Info(info) => self::info(info),
            Self::Pong { host, after_ms } => Vec::from([format!("{host} answers after {after_ms:.3} ms")]),
            Self::Spawned { service, clients, of } => {
                let more = number(clients, "client");
                Vec::from([format!("{service}: {more} more, {of} in all; `rps` lets them send")])
            }
            Self::Rate { service, rate, clients, hosts: 0 | 1 } => {
                Vec::from([format!("{service}: {rate} requests/s by {}", number(clients, "client"))])
            }
            Self::Rate { service, rate, clients, hosts } => {
                let clients = number(clients, "client");
                Vec::from([format!("{service}: {rate} requests/s from each of {hosts} hosts, by {clients} together")])
            }
            Self::Requested { service, requests } => Vec::from([format!("{service}: {}", number(requests, "request"))]),
            Self::Closed { service, clients } => {
                Vec::from([format!("{service}: {} closed", number(clients, "client"))])
            }
            Self::Traces { are_kept, hosts } => {
                let what = if *are_kept { "each request is" } else { "requests are not" };
                Vec::from([format!("{what} kept from now on, at {}", number(hosts, "load host"))])
            }
            Self::Slept { .. } | Self::Left => Vec::new(),
            Self::Sourced { answers, .. } | Self::Each(answers) => answers.iter().flat_map(Self::lines).collect(),
            Self::Refused { host, problem } => Vec::from([format!("{host} does not: {problem}")]),
            Self::Date(at) => Vec::from([at.to_string()]),
            Self::Said(text) => Vec::from([text.clone()]),
            Self::Routed(records) if records.is_empty() => Vec::from(["no service is routed".to_owned()]),
            Self::Routed(records) => records.iter().map(record).collect(),
            Self::Unrouted(services) => services.iter().map(|service| format!("{service} is routed nowhere")).collect(),
            Self::Marked(Marker { experiment, moment, at }) => {
                let moment = match moment {
                    Moment::Start => "begins".to_owned(),
                    Moment::Stop => "ends".to_owned(),
                    Moment::Event { name, value: None } => name.clone(),
                    Moment::Event { name, value: Some(value) } => format!("{name} {value}"),
                };
                Vec::from([format!("{at}  {experiment}: {moment}")])
            }
            Self::Experiments(experiments) if experiments.is_empty() => {
                Vec::from(["there are no experiments; `exp queue` queues one".to_owned()])
            }
            Self::Experiments(experiments) => experiments.iter().map(experiment).collect(),
            Self::Cancelled { id, state: State::Running } => Vec::from([format!("experiment {id} is being stopped")]),
            Self::Cancelled { id, state } => Vec::from([format!("experiment {id} {}", state.said())]),
            Self::Help(forms) => help(forms),
        }
    }
}

fn experiment(Experiment { id, name, state, .. }: &Experiment) -> String {
    format!("experiment {id} `{name}` {}", state.said())
}

fn number(count: &(impl ToString + PartialEq + From<u8>), what: &str) -> String {
    let plural = if *count == 1_u8.into() { "" } else { "s" };
    format!("{} {what}{plural}", count.to_string())
}

fn host(HostAnswer { host, labels, clients, rate }: &HostAnswer) -> String {
    format!("{host}{}: {}, {rate:.3} requests/s", labelled(labels), number(clients, "client"))
}

fn labelled(labels: &Labels) -> String {
    let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if labels.is_empty() { String::new() } else { format!(" ({})", labels.join(", ")) }
}

fn table(clients: &[ClientAnswer]) -> Vec<String> {
    if clients.is_empty() {
        return Vec::from(["there are no clients; `spawn` makes some".to_owned()]);
    }
    let row = |cells: [&str; 8]| {
        let [client, host, service, rate, sent, errors, p50, p99] = cells;
        format!("{client:>6}  {host:<12} {service:<16} {rate:>12} {sent:>10} {errors:>8} {p50:>12} {p99:>12}")
    };
    let ms = |time: Option<f64>| time.map_or_else(|| "-".to_owned(), |time| format!("{time:.3}"));
    let heading = row(["client", "host", "service", "requests/s", "sent", "errors", "50 % (ms)", "99 % (ms)"]);
    let rows = clients.iter().map(|it| {
        let [client, sent, errors] = [u64::from(it.client), it.sent, it.errors].map(|count| count.to_string());
        let (rate, p50, p99) = (format!("{:.3}", it.rate), ms(it.p50_ms), ms(it.p99_ms));
        row([&client, &it.host, &it.service, &rate, &sent, &errors, &p50, &p99])
    });
    std::iter::once(heading).chain(rows).collect()
}

fn info(info: &Info) -> Vec<String> {
    let Info { host, labels, lasted_s, threads, clients, services_routed, experiment, .. } = info;
    let experiment = experiment.as_ref().map(|name| format!(", experiment {name}")).unwrap_or_default();
    let Info { intended, ended, errors, late, dropped, .. } = info;
    Vec::from([
        format!(
            "load host {host}{}, for {lasted_s:.1} s: {}, {}, {} routed{experiment}",
            labelled(labels),
            number(threads, "thread"),
            number(clients, "client"),
            number(services_routed, "service"),
        ),
        format!(
            "{}, {ended} have ended; {errors} errors, of these {dropped} dropped; {late} sent late",
            number(intended, "request")
        ),
    ])
}

fn record(record: &Record) -> String {
    let hosts: Vec<String> = record.hosts().iter().map(Host::to_string).collect();
    format!("{}: {}; revision {}", record.service(), hosts.join(", "), record.revision())
}

/// One form alone is shown with its example.
fn help(forms: &[Form]) -> Vec<String> {
    match forms {
        [Form { form, meaning, example }] => {
            Vec::from([form.clone(), format!("  {meaning}"), format!("  for example: {example}")])
        }
        forms => forms.iter().flat_map(|it| [it.form.clone(), format!("    {}", it.meaning)]).collect(),
    }
}
