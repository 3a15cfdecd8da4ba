//! The load host of this process: its clients.

use super::answer::{ClientAnswer, HostAnswer, Info};
use super::errand::{Did, Errand};
use super::experiment::{Mark, Running};
use super::group::{Group, Member};
use super::refused::Refused;
use super::routing_table::RoutingTable;
use crate::generator::{Bounds, Client, Figures, Numbers, Plan, Route, RunError, Steered, Steering, Template, Traces};
use crate::routes::Routed;
use crate::steering::CLIENTS_MAX;
use agent_arrivals::Within;
use agent_core::config::Invalid;
use agent_core::domain::labels::Labels;
use std::collections::BTreeMap;
use std::iter;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

/// What is in flight when a client is closed, or the host ends, has so long to end.
const GRACE: Duration = Duration::from_secs(1);

/// Does what it is asked until it is dropped: then its clients end.
pub struct LocalHost {
    name: String,
    labels: Labels,
    threads: NonZeroUsize,
    steered: Steered,
    /// By service; none is empty.
    groups: BTreeMap<String, Group>,
    /// Clients that there ever were.
    spawned: u32,
    /// What every client sends: `GET /`.
    template: Arc<Template>,
    /// Where each request goes as it ended.
    traces: Option<Traces>,
    experiment: Running,
}

impl LocalHost {
    /// Clients are dealt out to so many threads. `traces`: where each request goes as it ended.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn begin(
        name: String,
        labels: Labels,
        threads: NonZeroUsize,
        traces: Option<Traces>,
    ) -> Result<Self, RunError> {
        let template = Template::new("GET", "/", [], "").expect("it is the plainest request that there is");
        let steered = Steered::begin(threads, GRACE, traces.clone())?;
        Ok(Self {
            name,
            labels,
            threads,
            steered,
            groups: BTreeMap::new(),
            spawned: 0,
            template: Arc::new(template),
            traces,
            experiment: Running::default(),
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Those that have clients here.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        self.groups.keys().map(String::as_str)
    }

    pub fn clients(&self) -> usize {
        self.groups.values().map(|group| group.clients.len()).sum()
    }

    /// Requests/s of all clients.
    pub fn rate(&self) -> f64 {
        self.groups.values().fold(0.0, |rate, group| rate + group.rate)
    }

    pub(super) fn answer(&self) -> HostAnswer {
        let (host, labels) = (self.name.clone(), self.labels.clone());
        HostAnswer { host, labels, clients: self.clients(), rate: self.rate() }
    }

    /// # Errors
    /// Why it was not done; then nothing was changed, unless a thread is gone.
    pub async fn perform(&mut self, errand: &Errand, routes: &RoutingTable) -> Result<Did, Refused> {
        match errand {
            Errand::Spawn { service, clients, within_ticks } => {
                let route = routes.of(service).await?;
                self.spawn(service, route, *clients, *within_ticks).await
            }
            Errand::Rate { service, rate } => self.change_rate(service, *rate).await,
            Errand::Request { service, requests } => self.request(service, *requests).await,
            Errand::Close { service } => self.close(service).await,
            Errand::Traces { are_kept } => Ok(self.keep_traces(*are_kept)?),
            Errand::Mark(mark) => Ok(self.mark(mark)?),
            Errand::Clients => Ok(Did::Clients(self.listed())),
            Errand::Info => Ok(Did::Info(self.info(routes))),
            Errand::Ping => Ok(Did::Pong { after_ms: self.steered.ping().await?.as_secs_f64() * 1e3 }),
        }
    }

    fn keep_traces(&self, are_kept: bool) -> Result<Did, Invalid> {
        let none = || {
            Invalid::new("requests are not kept there one by one", "begin the load host, or the shell, with --output")
        };
        self.traces.as_ref().ok_or_else(none)?.switch().turn(are_kept);
        Ok(Did::Traced)
    }

    fn mark(&mut self, mark: &Mark) -> Result<Did, Invalid> {
        self.experiment.mark(mark).map(|experiment| Did::Marked { experiment })
    }

    /// Ends the clients of all services.
    ///
    /// # Errors
    /// When a thread is gone.
    pub async fn close_all(&mut self) -> Result<(), Refused> {
        for service in self.groups.keys().cloned().collect::<Vec<_>>() {
            self.close(&service).await?;
        }
        Ok(())
    }

    /// Sends nothing more, and says what came of all that was sent. What is in flight has a second to end.
    ///
    /// # Errors
    /// When a thread is gone.
    pub async fn end(self) -> Result<Figures, RunError> {
        // Whoever keeps them waits until nobody can send any more.
        drop(self.traces);
        self.steered.end().await
    }

    fn listed(&self) -> Vec<ClientAnswer> {
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
        let groups = self.groups.iter();
        groups.flat_map(|(service, group)| group.clients.iter().map(move |it| client((service, it)))).collect()
    }

    fn info(&self, routes: &RoutingTable) -> Info {
        let progress = self.steered.progress();
        Info {
            host: self.name.clone(),
            labels: self.labels.clone(),
            lasted_s: self.steered.elapsed().as_secs_f64(),
            threads: self.threads.get(),
            clients: self.clients(),
            services_routed: routes.services().len(),
            experiment: self.experiment.name().map(str::to_owned),
            intended: progress.intended(),
            ended: progress.ended(),
            errors: progress.errors(),
            late: progress.late(),
            dropped: progress.dropped(),
        }
    }

    async fn spawn(
        &mut self,
        service: &str,
        route: Arc<Routed>,
        clients: u32,
        within_ticks: Within,
    ) -> Result<Did, Refused> {
        if self.clients() + clients as usize > CLIENTS_MAX as usize {
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
        Ok(Did::Spawned { of: self.groups.get(service).map_or(0, |group| group.clients.len()) })
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
            numbers: Numbers::default(),
            seed: self.spawned.into(),
        })
    }

    async fn change_rate(&mut self, service: &str, rate: f64) -> Result<Did, Refused> {
        let since = self.steered.elapsed();
        let group = self.groups.get_mut(service).ok_or_else(|| clientless(service))?;
        let plans = group.change_rate(rate, since)?;
        let clients: Vec<(&Steering, Plan)> = group.clients.iter().map(|client| &client.steering).zip(plans).collect();
        self.steered.replan(since, clients).await?;
        Ok(Did::Rated { clients: group.clients.len() })
    }

    async fn request(&mut self, service: &str, requests: u32) -> Result<Did, Refused> {
        let at = self.steered.elapsed();
        let group = self.groups.get(service).ok_or_else(|| clientless(service))?;
        for (client, count) in group.share(requests) {
            self.steered.ask(&client.steering, at, group.tick.unwrap_or(0), count).await?;
        }
        Ok(Did::Requested)
    }

    async fn close(&mut self, service: &str) -> Result<Did, Refused> {
        let group = self.groups.get(service).ok_or_else(|| clientless(service))?;
        let clients: Vec<&Steering> = group.clients.iter().map(|client| &client.steering).collect();
        let (count, landing) = (clients.len(), self.steered.close(&clients).await?);
        self.groups.remove(service);
        landing.landed().await?;
        Ok(Did::Closed { clients: count })
    }
}

fn clientless(service: &str) -> Invalid {
    Invalid::new(format!("service `{service}` has no clients"), format!("`spawn .* {service}` makes one"))
}
