//! The session, and what each verb does.

use super::answer::{Answer, ClientAnswer, Form, HostAnswer, Info};
use super::experiment::{Marker, Markers};
use super::group::{Group, Member};
use super::refused::Refused;
use super::routes::{Routes, unknown};
use super::shared::{OnTable, SharedTable};
use crate::generator::{Bounds, Client, Figures, Plan, Route, RunError, Steered, Steering, Template};
use crate::routes::{News, Routed};
use crate::steering::forms::{self, FORMS, forms_of};
use crate::steering::{CLIENTS_MAX, Experiment, Routing, Selection, Verb};
use agent_arrivals::Within;
use agent_core::clock::WallTime;
use agent_core::config::Invalid;
use agent_core::domain::labels::Labels;
use std::collections::BTreeMap;
use std::iter;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

/// What is in flight when a client is closed, or the session ends, has so long to end.
const GRACE: Duration = Duration::from_secs(1);

/// What a session is begun with.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// Of its load host.
    pub name: String,
    pub labels: Labels,
    /// Hosts other than this machine that may be sent to: `shop.example.org`, with every port, or `shop.example.org:80`.
    pub allowed: Vec<String>,
    /// Clients are dealt out to so many.
    pub threads: NonZeroUsize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { name: "here".to_owned(), labels: Labels::new(), allowed: Vec::new(), threads: NonZeroUsize::MIN }
    }
}

/// A load host that does what it is asked until it is dropped: then its clients end.
pub struct Session {
    name: String,
    labels: Labels,
    threads: NonZeroUsize,
    steered: Steered,
    /// Its own; of no use where it has a table.
    routes: Routes,
    table: Option<OnTable>,
    /// By service; none is empty.
    groups: BTreeMap<String, Group>,
    markers: Markers,
    /// Clients that there ever were.
    spawned: u32,
    /// What every client sends: `GET /`.
    template: Arc<Template>,
}

impl Session {
    /// # Errors
    /// When the system gives no thread.
    pub fn new(settings: Settings) -> Result<Self, RunError> {
        let Settings { name, labels, allowed, threads } = settings;
        let template = Template::new("GET", "/", [], "").expect("it is the plainest request that there is");
        Ok(Self {
            name,
            labels,
            threads,
            steered: Steered::begin(threads, GRACE)?,
            routes: Routes::new(allowed),
            table: None,
            groups: BTreeMap::new(),
            markers: Markers::default(),
            spawned: 0,
            template: Arc::new(template),
        })
    }

    /// The same whose routing records and experiments are those of a table. Within a runtime, whose threads look at the table.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn on_table(settings: Settings, on: SharedTable) -> Result<Self, RunError> {
        let table = OnTable::begin(on, settings.allowed.clone());
        Ok(Self { table: Some(table), ..Self::new(settings)? })
    }

    /// What others changed in the table since this was asked last.
    pub fn news(&self) -> Vec<News> {
        self.table.as_ref().map(OnTable::news).unwrap_or_default()
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Those that are routed, and those that have clients, in their order.
    pub fn services(&self) -> Vec<String> {
        let mut services: Vec<String> = self.routed().into_iter().chain(self.groups.keys().cloned()).collect();
        services.sort_unstable();
        services.dedup();
        services
    }

    /// What was marked so far, in its order.
    pub fn markers(&self) -> &[Marker] {
        self.markers.all()
    }

    /// Sends nothing more, and says what came of all that was sent. What is in flight has a second to end.
    ///
    /// # Errors
    /// When a thread is gone.
    pub async fn end(self) -> Result<Figures, RunError> {
        self.steered.end().await
    }

    /// Does a verb that is no `source`.
    pub(super) async fn answer(&mut self, verb: &Verb) -> Result<Answer, Refused> {
        match verb {
            Verb::Hosts(on) => Ok(self.hosts(on)),
            Verb::Clients(on) => Ok(self.clients(on)),
            Verb::Info => Ok(Answer::Info(self.info())),
            Verb::Ping => {
                let after_ms = self.steered.ping().await?.as_secs_f64() * 1e3;
                Ok(Answer::Pong { host: self.name.clone(), after_ms })
            }
            Verb::Spawn { on, service, clients, within_ticks } => {
                self.meant(on)?;
                self.spawn(service, *clients, *within_ticks).await
            }
            Verb::Rps { on, service, rate } => {
                self.meant(on)?;
                self.change_rate(service, *rate).await
            }
            Verb::Pause { on, service } => {
                self.meant(on)?;
                self.change_rate(service, 0.0).await
            }
            Verb::Request { on, service, count } => {
                self.meant(on)?;
                self.request(service, *count).await
            }
            Verb::Close { on, service } => {
                self.meant(on)?;
                self.close(service).await
            }
            Verb::Sleep(duration) => {
                tokio::time::sleep(*duration).await;
                Ok(Answer::Slept { seconds: duration.as_secs_f64() })
            }
            // Its verbs answer for themselves.
            Verb::Source(file) => Ok(Answer::Sourced { file: file.clone(), answers: Vec::new() }),
            Verb::Date => Ok(Answer::Date(WallTime::now())),
            Verb::Echo(text) => Ok(Answer::Said(text.clone())),
            Verb::Routing(routing) => match &self.table {
                Some(table) => table.route(routing).await,
                None => Ok(self.route(routing)?),
            },
            Verb::Experiment(experiment) => self.experiment(experiment).await,
            Verb::Help(verb) => Ok(help(verb.as_deref())),
            Verb::Exit => Ok(Answer::Left),
        }
    }

    fn hosts(&self, on: &Selection) -> Answer {
        let host = HostAnswer {
            host: self.name.clone(),
            labels: self.labels.clone(),
            clients: self.count(),
            rate: self.groups.values().fold(0.0, |rate, group| rate + group.rate),
        };
        Answer::Hosts(on.matches(&self.name, &self.labels).then_some(host).into_iter().collect())
    }

    fn clients(&self, on: &Selection) -> Answer {
        let client = |(service, client): (&String, &Member)| {
            let (counted, times) = client.steering.tally.figures();
            ClientAnswer {
                client: client.id,
                host: self.name.clone(),
                service: service.clone(),
                rate: client.rate,
                sent: counted.sent,
                errors: counted.errors.values().sum(),
                p50_ms: times.map(|times| times.p50),
                p99_ms: times.map(|times| times.p99),
            }
        };
        let groups = self.groups.iter().filter(|_| on.matches(&self.name, &self.labels));
        let clients = groups.flat_map(|(service, group)| group.clients.iter().map(move |client| (service, client)));
        Answer::Clients(clients.map(client).collect())
    }

    fn info(&self) -> Info {
        let progress = self.steered.progress();
        Info {
            host: self.name.clone(),
            labels: self.labels.clone(),
            lasted_s: self.steered.elapsed().as_secs_f64(),
            threads: self.threads.get(),
            clients: self.count(),
            services_routed: self.routed().len(),
            experiment: self.markers.running().map(str::to_owned),
            intended: progress.intended(),
            ended: progress.ended(),
            errors: progress.errors(),
            late: progress.late(),
            dropped: progress.dropped(),
        }
    }

    async fn spawn(&mut self, service: &str, clients: u32, within_ticks: Within) -> Result<Answer, Refused> {
        let route = match &self.table {
            Some(table) => table.of(service).await?,
            None => Arc::clone(self.routes.of(service).ok_or_else(|| unknown(service))?),
        };
        if self.count() + clients as usize > CLIENTS_MAX as usize {
            let problem = format!("there would be more than {CLIENTS_MAX} clients");
            return Err(Invalid::new(problem, "`close` some, or let fewer send more").into());
        }
        let name: Arc<str> = service.into();
        for _ in 0..clients {
            let client = self.newcomer(Arc::clone(&name), Arc::clone(&route))?;
            let (id, steering) = (client.id, self.steered.add(client).await?);
            let group = self.groups.entry(service.to_owned()).or_default();
            group.clients.push(Member { id, within_ticks, rate: 0.0, steering });
        }
        let of = self.groups.get(service).map_or(0, |group| group.clients.len());
        Ok(Answer::Spawned { service: service.to_owned(), clients, of })
    }

    /// A client that sends nothing yet.
    fn newcomer(&mut self, service: Arc<str>, route: Arc<Routed>) -> Result<Client, Invalid> {
        let too_many = || Invalid::new("there were more clients than have a number", "begin another session");
        self.spawned = self.spawned.checked_add(1).ok_or_else(too_many)?;
        Ok(Client {
            id: self.spawned,
            service,
            plan: Box::new(iter::empty()),
            template: Arc::clone(&self.template),
            route: route as Arc<dyn Route>,
            bounds: Bounds::default(),
            seed: self.spawned.into(),
        })
    }

    async fn change_rate(&mut self, service: &str, rate: f64) -> Result<Answer, Refused> {
        let since = self.steered.elapsed();
        let group = self.groups.get_mut(service).ok_or_else(|| clientless(service))?;
        let plans = group.change_rate(rate, since)?;
        let clients: Vec<(&Steering, Plan)> = group.clients.iter().map(|client| &client.steering).zip(plans).collect();
        self.steered.replan(since, clients).await?;
        Ok(Answer::Rate { service: service.to_owned(), rate, clients: group.clients.len() })
    }

    async fn request(&mut self, service: &str, requests: u32) -> Result<Answer, Refused> {
        let at = self.steered.elapsed();
        let group = self.groups.get(service).ok_or_else(|| clientless(service))?;
        for (client, count) in group.share(requests) {
            self.steered.ask(&client.steering, at, group.tick.unwrap_or(0), count).await?;
        }
        Ok(Answer::Requested { service: service.to_owned(), requests })
    }

    async fn close(&mut self, service: &str) -> Result<Answer, Refused> {
        let group = self.groups.get(service).ok_or_else(|| clientless(service))?;
        let clients: Vec<&Steering> = group.clients.iter().map(|client| &client.steering).collect();
        let (count, landing) = (clients.len(), self.steered.close(&clients).await?);
        self.groups.remove(service);
        landing.landed().await?;
        Ok(Answer::Closed { service: service.to_owned(), clients: count })
    }

    fn route(&mut self, routing: &Routing) -> Result<Answer, Invalid> {
        match routing {
            Routing::Change { service, change } => Ok(match self.routes.change(service, change)? {
                Some(record) => Answer::Routed(Vec::from([record])),
                None => Answer::Unrouted(Vec::from([service.clone()])),
            }),
            Routing::Info { service } => {
                let record = self.routes.record(service).ok_or_else(|| unknown(service))?;
                Ok(Answer::Routed(Vec::from([record])))
            }
            Routing::List => Ok(Answer::Routed(self.routes.records().collect())),
            Routing::Flush => Ok(Answer::Unrouted(self.routes.flush())),
        }
    }

    async fn experiment(&mut self, experiment: &Experiment) -> Result<Answer, Refused> {
        if let Some(table) = &self.table
            && let Some(answer) = table.experiment(experiment).await?
        {
            return Ok(answer);
        }
        Ok(self.mark(experiment).map(Answer::Marked)?)
    }

    fn mark(&mut self, experiment: &Experiment) -> Result<Marker, Invalid> {
        match experiment {
            Experiment::Start { name } => self.markers.start(name),
            Experiment::Stop => self.markers.stop(),
            Experiment::Event { name, value } => self.markers.event(name, value.as_deref()),
            Experiment::Queue { .. } | Experiment::List | Experiment::Cancel { .. } => Err(Invalid::new(
                "experiments are queued in the table of a network, and this session has none",
                "`agent shell --table` begins one with it; `agent load run FILE` runs one now",
            )),
        }
    }

    /// The services that have a record, as far as it is known here.
    fn routed(&self) -> Vec<String> {
        match &self.table {
            Some(table) => table.services(),
            None => self.routes.records().map(|record| record.service().to_owned()).collect(),
        }
    }

    /// The verb is for this host.
    fn meant(&self, on: &Selection) -> Result<(), Invalid> {
        if on.matches(&self.name, &self.labels) {
            return Ok(());
        }
        let labels: Vec<String> = on.labels.iter().map(|(key, value)| format!(" with {key}={value}")).collect();
        let problem = format!("no load host matches `{}`{}", on.pattern.as_str().escape_debug(), labels.concat());
        Err(Invalid::new(problem, format!("the only one is `{}`: this process", self.name)))
    }

    fn count(&self) -> usize {
        self.groups.values().map(|group| group.clients.len()).sum()
    }
}

fn clientless(service: &str) -> Invalid {
    Invalid::new(format!("service `{service}` has no clients"), format!("`spawn .* {service}` makes one"))
}

fn help(verb: Option<&str>) -> Answer {
    let form = |form: &forms::Form| Form { form: form.to_string(), meaning: form.meaning, example: form.example };
    Answer::Help(match verb {
        None => FORMS.iter().map(form).collect(),
        // The name of a verb, or the first word of several.
        Some(name) => FORMS
            .iter()
            .filter(|it| it.name == name)
            .chain(forms_of(name).filter(|it| it.name != name))
            .map(form)
            .collect(),
    })
}
