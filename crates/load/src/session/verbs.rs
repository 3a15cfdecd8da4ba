//! The session, and what each verb does.

use super::answer::{Answer, Form, HostAnswer};
use super::errand::{Did, Errand};
use super::experiment::{Mark, Marker};
use super::fleet::{self, Heard};
use super::local::LocalHost;
use super::refused::Refused;
use super::routes::Routes;
use super::routing_table::RoutingTable;
use super::shared::{OnTable, SharedTable};
use crate::generator::{Figures, Recorded, RunError, Traces};
use crate::register::hosts::LoadHost;
use crate::register::orders::Task;
use crate::routes::News;
use crate::steering::forms::{self, FORMS, forms_of};
use crate::steering::{Experiment, Selection, Verb, pack};
use agent_core::clock::WallTime;
use agent_core::config::Invalid;
use agent_core::domain::labels::Labels;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// Hears each verb that was done, and what it came to.
pub type HearsVerbs = Arc<dyn Fn(&Verb, &Answer) + Send + Sync>;

/// What a session is begun with.
#[derive(Clone)]
pub struct Settings {
    /// Of its load host.
    pub name: String,
    pub labels: Labels,
    /// Hosts other than this machine that may be sent to: `shop.example.org`, with every port, or `shop.example.org:80`.
    pub allowed: Vec<String>,
    /// Clients are dealt out to so many threads.
    pub threads: NonZeroUsize,
    /// Where each request that is sent from here goes as it ended.
    pub traces: Option<Traces>,
    pub hears: Option<HearsVerbs>,
}

/// More are no marks any more.
pub const MARKERS_MAX: usize = 100_000;

/// What the load host of a process is called unless it is named.
pub const HERE: &str = "here";

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: HERE.to_owned(),
            labels: Labels::new(),
            allowed: Vec::new(),
            threads: NonZeroUsize::MIN,
            traces: None,
            hears: None,
        }
    }
}

/// Load hosts that do what it is asked: the one of this process, until the session is dropped, and those that joined by its table.
pub struct Session {
    /// `None`: this process makes no load.
    here: Option<LocalHost>,
    routes: RoutingTable,
    /// Whose hosts are asked, too.
    fleet: Option<SharedTable>,
    /// Names of other hosts, as far as they were heard of.
    known: Vec<String>,
    /// Of the marks that were made, in their order.
    markers: Vec<Marker>,
    hears: Option<HearsVerbs>,
}

/// The hosts that a verb is for: at least one.
struct Chosen {
    is_here: bool,
    others: Vec<LoadHost>,
}

impl Session {
    /// # Errors
    /// When the system gives no thread.
    pub fn new(settings: Settings) -> Result<Self, RunError> {
        let Settings { name, labels, allowed, threads, traces, hears } = settings;
        let here = LocalHost::begin(name, labels, threads, traces)?;
        let routes = RoutingTable::Own(Routes::new(allowed));
        Ok(Self { here: Some(here), routes, fleet: None, known: Vec::new(), markers: Vec::new(), hears })
    }

    /// The same whose routing records, experiments and further hosts are those of a table. Within a runtime, whose threads look at
    /// the table.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn on_table(settings: Settings, on: SharedTable) -> Result<Self, RunError> {
        let Settings { name, labels, allowed, threads, traces, hears } = settings;
        let here = LocalHost::begin(name, labels, threads, traces)?;
        Ok(Self { here: Some(here), hears, ..Self::of_others(on, allowed) })
    }

    /// A session whose hosts are those of a table alone. Within a runtime.
    pub fn of_others(on: SharedTable, allowed: Vec<String>) -> Self {
        let routes = RoutingTable::Shared(OnTable::begin(on.clone(), allowed));
        Self { here: None, routes, fleet: Some(on), known: Vec::new(), markers: Vec::new(), hears: None }
    }

    /// What others changed in the table since this was asked last.
    pub fn news(&self) -> Vec<News> {
        self.routes.news()
    }

    /// Those that were heard of, the one of this process first.
    pub fn hosts(&self) -> Vec<String> {
        let here = self.here.iter().map(|here| here.name().to_owned());
        here.chain(self.known.iter().cloned()).collect()
    }

    /// Those that are routed, and those that have clients here, in their order.
    pub fn services(&self) -> Vec<String> {
        let mut services = self.routes.services();
        services.extend(self.here.iter().flat_map(LocalHost::services).map(str::to_owned));
        services.sort_unstable();
        services.dedup();
        services
    }

    /// What was marked so far, in its order.
    pub fn markers(&self) -> &[Marker] {
        &self.markers
    }

    /// Sends nothing more from here, and says what came of all that was sent from here. What is in flight has a second to end.
    ///
    /// # Errors
    /// When a thread is gone.
    pub async fn end(self) -> Result<Figures, RunError> {
        match self.here {
            Some(here) => here.end().await,
            None => Ok(Recorded::none().figures()),
        }
    }

    /// Does a verb that is no `source`.
    pub(super) async fn answer(&mut self, verb: &Verb) -> Result<Answer, Refused> {
        let answer = self.done(verb).await?;
        self.hears.iter().for_each(|hears| hears(verb, &answer));
        Ok(answer)
    }

    async fn done(&mut self, verb: &Verb) -> Result<Answer, Refused> {
        match verb {
            Verb::Hosts(on) => self.list_hosts(on).await,
            Verb::Clients(on) => {
                let chosen = self.matching(on).await?;
                let heard = self.all(&chosen, &Errand::Clients).await?;
                said(heard, |did| Answer::Clients(did.into_iter().flat_map(|(_, did)| did.listed()).collect()))
            }
            Verb::Info => {
                let chosen = self.matching(&Selection::any()).await?;
                let heard = self.all(&chosen, &Errand::Info).await?;
                said(heard, |did| each(did.into_iter().filter_map(|(_, did)| did.info().map(Answer::Info))))
            }
            Verb::Ping => {
                let chosen = self.matching(&Selection::any()).await?;
                let heard = self.all(&chosen, &Errand::Ping).await?;
                said(heard, |did| {
                    let pong = |(host, did): (_, Did)| Some(Answer::Pong { host, after_ms: did.pong()? });
                    each(did.into_iter().filter_map(pong))
                })
            }
            Verb::Spawn { on, service, clients, within_ticks } => {
                let chosen = self.chosen(on).await?;
                let spawn = |clients| Errand::Spawn { service: service.clone(), clients, within_ticks: *within_ticks };
                let heard = self.spawn(&chosen, *clients, spawn).await?;
                said(heard, |did| Answer::Spawned { service: service.clone(), clients: *clients, of: sum(&did) })
            }
            Verb::Rps { on, service, rate } => self.change_rate(on, service, *rate).await,
            Verb::Pause { on, service } => self.change_rate(on, service, 0.0).await,
            Verb::Request { on, service, count } => {
                let chosen = self.chosen(on).await?;
                let request = Errand::Request { service: service.clone(), requests: *count };
                let heard = self.all(&chosen, &request).await?;
                said(heard, |did| {
                    let hosts = u32::try_from(did.len()).unwrap_or(u32::MAX);
                    Answer::Requested { service: service.clone(), requests: count.saturating_mul(hosts) }
                })
            }
            Verb::Close { on, service } => {
                let chosen = self.chosen(on).await?;
                let heard = self.all(&chosen, &Errand::Close { service: service.clone() }).await?;
                said(heard, |did| Answer::Closed { service: service.clone(), clients: sum(&did) })
            }
            Verb::Traces { on, are_kept } => {
                let chosen = self.chosen(on).await?;
                let heard = self.all(&chosen, &Errand::Traces { are_kept: *are_kept }).await?;
                said(heard, |did| Answer::Traces { are_kept: *are_kept, hosts: did.len() })
            }
            Verb::Sleep(duration) => {
                tokio::time::sleep(*duration).await;
                Ok(Answer::Slept { seconds: duration.as_secs_f64() })
            }
            // Its verbs answer for themselves.
            Verb::Source(file) => Ok(Answer::Sourced { file: file.clone(), answers: Vec::new() }),
            Verb::Date => Ok(Answer::Date(WallTime::now())),
            Verb::Echo(text) => Ok(Answer::Said(text.clone())),
            Verb::Routing(routing) => self.routes.perform(routing).await,
            Verb::Experiment(experiment) => self.experiment(experiment).await,
            Verb::Help(verb) => Ok(help(verb.as_deref())),
            Verb::Exit => Ok(Answer::Left),
        }
    }

    async fn change_rate(&mut self, on: &Selection, service: &str, rate: f64) -> Result<Answer, Refused> {
        let chosen = self.chosen(on).await?;
        let heard = self.all(&chosen, &Errand::Rate { service: service.to_owned(), rate }).await?;
        said(heard, |did| {
            let (hosts, clients) = (did.len(), sum(&did));
            Answer::Rate { service: service.to_owned(), rate, clients, hosts }
        })
    }

    async fn list_hosts(&mut self, on: &Selection) -> Result<Answer, Refused> {
        let Chosen { is_here, others } = self.matching(on).await?;
        let here = self.here.iter().filter(|_| is_here).map(LocalHost::answer);
        let other = |LoadHost { name, labels, busy, .. }: LoadHost| HostAnswer {
            host: name,
            labels,
            clients: busy.clients,
            rate: busy.rate,
        };
        Ok(Answer::Hosts(here.chain(others.into_iter().map(other)).collect()))
    }

    /// The hosts that match; perhaps none.
    async fn matching(&mut self, on: &Selection) -> Result<Chosen, Refused> {
        let others = match &self.fleet {
            Some(on) => fleet::hosts(on.table.as_ref(), &Selection::any()).await?,
            None => Vec::new(),
        };
        self.known = others.iter().map(|host| host.name.clone()).collect();
        let is_here = self.here.as_ref().is_some_and(|here| on.matches(here.name(), here.labels()));
        let others = others.into_iter().filter(|host| on.matches(&host.name, &host.labels)).collect();
        Ok(Chosen { is_here, others })
    }

    /// The hosts that a verb is for.
    async fn chosen(&mut self, on: &Selection) -> Result<Chosen, Refused> {
        let chosen = self.matching(on).await?;
        if chosen.is_here || !chosen.others.is_empty() {
            return Ok(chosen);
        }
        let labels: Vec<String> = on.labels.iter().map(|(key, value)| format!(" with {key}={value}")).collect();
        let problem = format!("no load host matches `{}`{}", on.pattern.as_str().escape_debug(), labels.concat());
        let help = match (&self.here, &self.fleet) {
            (Some(here), None) => format!("the only one is `{}`: this process", here.name()),
            (Some(_) | None, _) => "`hosts` lists those that are there; `agent load host NAME` makes one".to_owned(),
        };
        Err(Invalid::new(problem, help).into())
    }

    /// New clients go to the hosts that have the fewest.
    async fn spawn(
        &mut self,
        chosen: &Chosen,
        clients: u32,
        errand: impl Fn(u32) -> Errand,
    ) -> Result<Heard<Did>, Refused> {
        let here = self.here.as_ref().filter(|_| chosen.is_here);
        let here = here.map(|here| (here.name(), here.clients() as u64));
        let others = chosen.others.iter().map(|host| (host.name.as_str(), host.busy.clients as u64));
        let placed = pack(clients, &here.into_iter().chain(others).collect::<Vec<_>>());
        let of = |name: &str| placed.get(name).map(|clients| errand(*clients));
        let here = here.and_then(|(name, _)| of(name));
        let others = chosen.others.iter().filter_map(|host| Some((host.clone(), of(&host.name)?))).collect();
        self.send(here, others).await
    }

    /// The same of each of these hosts.
    async fn all(&mut self, chosen: &Chosen, errand: &Errand) -> Result<Heard<Did>, Refused> {
        let here = chosen.is_here.then(|| errand.clone());
        let others = chosen.others.iter().map(|host| (host.clone(), errand.clone())).collect();
        self.send(here, others).await
    }

    /// The others are asked first: that takes longer.
    async fn send(&mut self, here: Option<Errand>, others: Vec<(LoadHost, Errand)>) -> Result<Heard<Did>, Refused> {
        let asking = async {
            match &self.fleet {
                Some(table) => {
                    let tasks = others.into_iter().map(|(host, errand)| (host, Task::Errand(errand))).collect();
                    fleet::ask(table, tasks).await.map_err(Refused::from)
                }
                None => Ok(Heard::none()),
            }
        };
        let doing = async {
            match (&mut self.here, here) {
                (Some(local), Some(errand)) => {
                    let done = local.perform(&errand, &self.routes).await;
                    Some((local.name().to_owned(), done))
                }
                (Some(_) | None, _) => None,
            }
        };
        let (heard, done) = tokio::join!(asking, doing);
        let mut heard = heard?;
        match done {
            Some((host, Ok(did))) => heard.did.insert(0, (host, did)),
            Some((host, Err(Refused::Verb(invalid)))) => heard.refused.insert(0, (host, invalid)),
            Some((_, Err(other))) => return Err(other),
            None => {}
        }
        Ok(heard)
    }

    async fn experiment(&mut self, experiment: &Experiment) -> Result<Answer, Refused> {
        if let RoutingTable::Shared(table) = &self.routes
            && let Some(answer) = table.experiment(experiment).await?
        {
            return Ok(answer);
        }
        match Mark::of(experiment) {
            Some(mark) => self.mark(&mark).await,
            None => Err(Invalid::new(
                "experiments are queued in the table of a network, and this session has none",
                "`agent shell --table` begins one with it; `agent load run FILE` runs one now",
            )
            .into()),
        }
    }

    /// At all load hosts.
    async fn mark(&mut self, mark: &Mark) -> Result<Answer, Refused> {
        if self.markers.len() == MARKERS_MAX {
            let problem = format!("there are {MARKERS_MAX} markers already");
            return Err(Invalid::new(problem, "begin another session; this one keeps all of them").into());
        }
        let chosen = self.chosen(&Selection::any()).await?;
        let heard = self.all(&chosen, &Errand::Mark(mark.clone())).await?;
        let experiment = heard.did.iter().find_map(|(_, did)| did.experiment()).unwrap_or_default();
        let marker = Marker { experiment: experiment.to_owned(), moment: mark.moment(), at: WallTime::now() };
        let answer = said(heard, |_| Answer::Marked(marker.clone()))?;
        self.markers.push(marker);
        Ok(answer)
    }
}

/// What the hosts that did it say together. Who refused is told beside, unless all did.
///
/// # Errors
/// Nobody did it, or a host is gone: its part is missing.
fn said(heard: Heard<Did>, together: impl FnOnce(Vec<(String, Did)>) -> Answer) -> Result<Answer, Refused> {
    let Heard { did, refused, gone } = heard;
    if !gone.is_empty() {
        let did = did.into_iter().map(|(host, _)| host).collect();
        return Err(Refused::Gone { gone, did });
    }
    if did.is_empty()
        && let Some((host, invalid)) = refused.first()
    {
        let Invalid { problem, help } = invalid.clone();
        let problem =
            if refused.len() == 1 { problem } else { format!("load host `{host}`, and all others: {problem}") };
        return Err(Invalid::new(problem, help).into());
    }
    let refused = refused.into_iter().map(|(host, Invalid { problem, .. })| Answer::Refused { host, problem });
    Ok(each([together(did)].into_iter().chain(refused)))
}

/// One answer as it is.
fn each(answers: impl Iterator<Item = Answer>) -> Answer {
    let mut answers: Vec<Answer> = answers.collect();
    if answers.len() == 1 { answers.remove(0) } else { Answer::Each(answers) }
}

/// Clients that they have or closed.
fn sum(did: &[(String, Did)]) -> usize {
    did.iter().map(|(_, did)| did.clients()).sum()
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
