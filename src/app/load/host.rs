//! `agent load host`: makes load for whoever asks it by the table, until it is stopped.

use super::on_hosts::SentShare;
use super::{Keeping, Network, Options, Router, Sent, SteeredRun, make_folder, require_allowed, send};
use crate::app::batch::new_key;
use crate::app::{Failure, open_files};
use agent_core::config::Invalid;
use agent_core::domain::labels::Labels;
use agent_core::domain::time::Timestamp;
use agent_core::knowledge::{KnowledgeError, Result};
use agent_load::generator::{Figures, Progress, Switch};
use agent_load::register::attendance::{Attendance, Duty};
use agent_load::register::experiment::{ExperimentId, Holder};
use agent_load::register::hosts::{Beat, Busy, Join, LEASE, Leave};
use agent_load::register::orders::{Answer, Order, OrderId, Part, Task};
use agent_load::register::queue::Standing;
use agent_load::register::tenure::{Question, Tenure, Terms};
use agent_load::register::{Register, Scope, Which};
use agent_load::routes;
use agent_load::session::fleet::{self, Said, answer, told};
use agent_load::session::{HERE, LocalHost, OnTable, RoutingTable, SharedTable};
use agent_load::specification::{Share, Specification};
use agent_load::table::{LoadTable, carry_out, find};
use anyhow::Context as _;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

/// What is asked is begun after this long, and what a look takes.
const LOOKS_EVERY: Duration = Duration::from_millis(200);
/// What the table did not take is said to it again after this long.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// A host that is to be.
pub struct Hosting {
    pub network: Network,
    /// As others call it.
    pub name: String,
    pub labels: Labels,
    /// Hosts other than this machine that may be sent to, whoever asks.
    pub allowed: Vec<String>,
    pub threads: NonZeroUsize,
    /// A folder for the requests of each experiment.
    pub output: Option<PathBuf>,
    /// Hears what is changed of routes that are followed.
    pub hears_of_routes: Arc<dyn Fn(routes::News) + Send + Sync>,
}

/// What happens.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub enum News {
    Joined {
        name: String,
        holder: Holder,
    },
    Asked {
        by: String,
        #[serde(flatten)]
        task: Task,
    },
    /// A share is sent no more.
    Sent {
        experiment: ExperimentId,
        intended: u64,
        /// Why not every request is in the file.
        #[serde(skip_serializing_if = "Option::is_none")]
        not_recorded: Option<String>,
    },
    Refused {
        problem: String,
    },
    /// Nothing is sent any more, for nobody counts on it, or can stop it.
    Gone {
        why: String,
    },
    /// The table does not take something; it is tried again.
    Trouble {
        why: String,
    },
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Joined { name, holder } => write!(f, "load host `{name}` is there, as {holder}"),
            Self::Asked { by, task: Task::Errand(errand) } => {
                write!(f, "{by}: {}", serde_json::to_string(errand).unwrap_or_default())
            }
            Self::Asked { by, task: Task::Send(Part { experiment, share: Share { index, of }, .. }) } => {
                write!(f, "{by}: share {} of {of} of experiment {experiment}", index + 1)
            }
            Self::Sent { experiment, intended, not_recorded } => {
                write!(f, "experiment {experiment}: {intended} requests were meant here")?;
                match not_recorded {
                    Some(why) => write!(f, "; NOT ALL RECORDED: {why}"),
                    None => Ok(()),
                }
            }
            Self::Refused { problem } => write!(f, "not done: {problem}"),
            Self::Gone { why } => write!(f, "sends nothing any more, and joins anew: {why}"),
            Self::Trouble { why } => write!(f, "{why}; tried again"),
        }
    }
}

/// What came of what was steered.
#[derive(Serialize)]
pub struct Served {
    /// Why the file does not hold all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_recorded: Option<String>,
    #[serde(flatten)]
    pub figures: Figures,
}

/// Makes load for whoever asks, until `stop`.
pub async fn serve(
    hosting: Hosting,
    stop: impl Future<Output = ()>,
    tell: impl Fn(News) + 'static,
) -> anyhow::Result<Served> {
    if let Some(folder) = &hosting.output {
        make_folder(folder)?;
    }
    if hosting.name == HERE {
        let problem = format!("load host `{HERE}`: so each `agent shell` calls the host of its own process");
        return Err(Failure::Configuration(format!("{problem}\n  help: choose another name")).into());
    }
    open_files::allow_all()?;
    let requests = Switch::default();
    let steered = match &hosting.output {
        Some(folder) => Some(hosting.keep_steered(folder, &requests).await?),
        None => None,
    };
    let traces = steered.as_ref().map(SteeredRun::traces);
    let local = LocalHost::begin(hosting.name.clone(), hosting.labels.clone(), hosting.threads, traces)?;
    let holder = super::holder();
    let on = SharedTable { table: hosting.network.load.clone(), by: format!("load host {}", hosting.name), new_key };
    let routes = RoutingTable::Shared(OnTable::begin(on, hosting.allowed.clone()));
    let (table, leave) = (hosting.network.load.clone(), Leave { name: hosting.name.clone(), holder: holder.clone() });
    let (ended, ending) = mpsc::channel(1);
    let mut host = Host {
        hosting: Rc::new(hosting),
        holder,
        local,
        routes,
        steered,
        requests,
        parts: BTreeMap::new(),
        ended,
        told: Busy::default(),
        tell: Rc::new(tell),
    };
    let set = LocalSet::new();
    let joined = set
        .run_until(async {
            tokio::select! {
                error = host.attend(ending) => Err(error),
                () = stop => Ok(()),
            }
        })
        .await;
    // Shares that are sent still end with it.
    drop(set);
    // It is gone by itself soon, if the table is away.
    let (Ok(()) | Err(_)) = carry_out(table.as_ref(), leave).await;
    let Host { local, steered, .. } = host;
    let figures = local.end().await;
    // Also when it could not join, or stay.
    let not_recorded = match (steered, &figures) {
        (Some(steered), Ok(figures)) => steered.end(figures).await.err(),
        (Some(_) | None, _) => None,
    };
    joined?;
    Ok(Served { not_recorded: not_recorded.map(|error| format!("{error:#}")), figures: figures? })
}

impl Hosting {
    /// What is steered by hand, in a file of its own.
    async fn keep_steered(&self, folder: &Path, requests: &Switch) -> anyhow::Result<SteeredRun> {
        let output = folder.join(format!("steered-{}.db", self.name));
        // Agents' deeds are kept with experiments, by whoever has them sent.
        let keeping = Keeping { requests: requests.clone(), ..Keeping::of_network(output, None) };
        SteeredRun::begin(keeping, &format!("load host {}", self.name), &self.name, &self.labels).await
    }
}

struct Host<T> {
    hosting: Rc<Hosting>,
    holder: Holder,
    local: LocalHost,
    routes: RoutingTable,
    /// What is steered, if it is kept.
    steered: Option<SteeredRun>,
    /// Whether requests are kept now, of whatever is sent.
    requests: Switch,
    /// Those that are sent; told when they are to end.
    parts: BTreeMap<OrderId, watch::Sender<bool>>,
    /// Hears which of them is sent no more.
    ended: mpsc::Sender<OrderId>,
    /// What others were told last of what it does.
    told: Busy,
    tell: Rc<T>,
}

impl<T: Fn(News) + 'static> Host<T> {
    /// As long as the name can be had.
    async fn attend(&mut self, mut ending: mpsc::Receiver<OrderId>) -> anyhow::Error {
        loop {
            let asked = Instant::now();
            match self.join().await {
                Ok(()) => {
                    let (name, holder) = (self.hosting.name.clone(), self.holder.clone());
                    (self.tell)(News::Joined { name, holder });
                    let why = self.stay(asked, &mut ending).await;
                    (self.tell)(News::Gone { why });
                    self.parts.keys().for_each(|id| self.end(*id));
                    if let Err(lost) = self.local.close_all().await {
                        return lost.into();
                    }
                }
                Err(error @ KnowledgeError::Rejected { .. }) => return error.into(),
                Err(error) => {
                    (self.tell)(News::Trouble { why: error.to_string() });
                    sleep(AGAIN_AFTER).await;
                }
            }
        }
    }

    async fn join(&mut self) -> Result<()> {
        self.told = Busy::default();
        let (name, labels) = (self.hosting.name.clone(), self.hosting.labels.clone());
        let join = Join { name, labels, holder: self.holder.clone(), lease: self.hosting.network.clock.record(LEASE) };
        carry_out(self.hosting.network.load.as_ref(), join).await.map(drop)
    }

    /// Does what it is asked while it is counted on; why it is not any more.
    async fn stay(&mut self, joined: Instant, ending: &mut mpsc::Receiver<OrderId>) -> String {
        let mut tenure = Tenure::new(Terms::LOAD_HOST);
        let mut attendance = Attendance::new(self.holder.clone());
        loop {
            self.routes.news().iter().for_each(|news| self.hears_of_routes(news));
            while let Ok(ended) = ending.try_recv() {
                attendance.ended(ended);
                self.parts.remove(&ended);
            }
            let asked = joined.elapsed();
            let Some(question) = tenure.asks(asked) else { return tenure.gives_up().to_string() };
            let seen = timeout_at(joined + tenure.hopes_until(), self.ask(question, attendance.experiments())).await;
            let Ok(seen) = seen else { return tenure.gives_up().to_string() };
            let seen = seen.map_err(|error| error.to_string());
            let standing = match &seen {
                Ok(Some(_)) => Ok(Standing::GoesOn),
                Ok(None) => Ok(Standing::Lost),
                Err(why) => Err(why.clone()),
            };
            if let Some(word) = tenure.hears(question, asked, standing) {
                return word.to_string();
            }
            if let Ok(Some(seen)) = seen {
                let looked = Instant::now();
                for duty in attendance.sees(&seen) {
                    match duty {
                        Duty::Begin(order) => self.begin(order, looked, seen.now).await,
                        Duty::End(id) => self.end(id),
                    }
                }
            }
            sleep(LOOKS_EVERY).await;
        }
    }

    fn end(&self, id: OrderId) {
        if let Some(part) = self.parts.get(&id) {
            part.send_replace(true);
        }
    }

    /// What the table says now. `None`: it does not count this process as the host.
    async fn ask(&mut self, question: Question, of: BTreeSet<ExperimentId>) -> Result<Option<Register>> {
        if (question == Question::Renew || self.busy() != self.told) && !self.beat().await? {
            return Ok(None);
        }
        let (table, name) = (self.hosting.network.load.as_ref(), self.hosting.name.clone());
        let scope = Scope {
            experiments: Which::These(of),
            hosts: Which::only(name.clone()),
            orders_of: Which::only(name),
            ..Scope::default()
        };
        let seen = table.look(scope).await?;
        let is_it = seen.hosts.get(&self.hosting.name).is_some_and(|host| host.holder == self.holder);
        Ok(is_it.then_some(seen))
    }

    fn busy(&self) -> Busy {
        Busy { clients: self.local.clients(), rate: self.local.rate(), shares: self.parts.len() }
    }

    /// Says that it is there, and what it does. `false`: the table does not count this process as the host.
    async fn beat(&mut self) -> Result<bool> {
        let (name, holder, busy) = (self.hosting.name.clone(), self.holder.clone(), self.busy());
        let beat = Beat { name, holder, busy: busy.clone(), lease: self.hosting.network.clock.record(LEASE) };
        let is_it = carry_out(self.hosting.network.load.as_ref(), beat).await?;
        self.told = busy;
        Ok(is_it)
    }

    /// `looked`: when the table's clock said `now`.
    async fn begin(&mut self, order: Order, looked: Instant, now: Timestamp) {
        (self.tell)(News::Asked { by: order.by.clone(), task: order.task.clone() });
        let table = self.hosting.network.load.clone();
        match &order.task {
            Task::Errand(_) | Task::Send(_) if order.is_withdrawn => {
                let help = "ask again if it is wanted after all";
                let withdrawn = Said::<()>::refused(Invalid::new("it was withdrawn before it was begun", help));
                spawn_local(say(table, answer(&order, &withdrawn)));
            }
            Task::Errand(errand) => {
                let said = match self.local.perform(errand, &self.routes).await {
                    Ok(did) => {
                        self.steered.iter().for_each(|kept| kept.hears_errand(&self.hosting.name, errand, &did));
                        Said::Did(did)
                    }
                    Err(refused) => self.refuses(told(&refused)),
                };
                if self.busy() != self.told {
                    // Whoever hears the answer and looks is to see it. If it does not succeed now, the next look says it.
                    let (Ok(true | false) | Err(_)) = self.beat().await;
                }
                spawn_local(say(table, answer(&order, &said)));
            }
            Task::Send(part) => {
                let (stop, mut stopped) = watch::channel(false);
                self.parts.insert(order.id, stop);
                let begins = looked + self.hosting.network.clock.apply(part.begins_at.since(now));
                let (hosting, tell, part, ended) =
                    (self.hosting.clone(), self.tell.clone(), part.clone(), self.ended.clone());
                let requests = self.requests.clone();
                spawn_local(async move {
                    let stop = async {
                        // Whoever tells it ends after this.
                        let (Ok(_) | Err(_)) = stopped.wait_for(|is_stopped| *is_stopped).await;
                    };
                    let said = match send_part(&hosting, &part, requests, begins, stop).await {
                        Ok(sent) => {
                            let Sent { recorded, figures, not_recorded, passed_over, machine, .. } = sent;
                            let (experiment, intended) = (part.experiment, figures.counted.intended);
                            tell(News::Sent { experiment, intended, not_recorded });
                            Said::Did(SentShare { recorded, passed_over, machine })
                        }
                        Err(error) => {
                            let error = format!("{error:#}");
                            tell(News::Refused { problem: error.clone() });
                            let without = (error.as_str(), "mend that, and run the load again");
                            let (problem, help) = error.split_once("\n  help: ").unwrap_or(without);
                            Said::refused(Invalid::new(problem, help))
                        }
                    };
                    say(table, answer(&order, &said)).await;
                    // Who hears it ends after this, unless the host does.
                    let (Ok(()) | Err(_)) = ended.send(order.id).await;
                });
            }
        }
    }

    /// Of services that have clients here.
    fn hears_of_routes(&self, news: &routes::News) {
        (self.hosting.hears_of_routes)(news.clone());
        self.steered.iter().for_each(|kept| kept.hears_of_routes(news));
    }

    fn refuses<D>(&self, why: Invalid) -> Said<D> {
        (self.tell)(News::Refused { problem: why.problem.clone() });
        Said::refused(why)
    }
}

/// Sends a share of an experiment from its moment on.
async fn send_part(
    hosting: &Hosting,
    part: &Part,
    requests: Switch,
    begins: Instant,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<Sent> {
    let table = hosting.network.load.clone();
    let experiment = find(table.as_ref(), part.experiment).await?.context("the experiment is not there any more")?;
    let files = table.files(part.experiment).await?;
    let specification = Specification::of_files(&experiment.file, &files)?;
    require_allowed(&experiment.file, &specification, &hosting.allowed)?;
    let keeping = hosting.output.as_ref().map(|folder| Keeping {
        experiment: Some(part.experiment),
        requests,
        // Whoever has it sent keeps what agents do.
        ..Keeping::of_network(folder.join(format!("{}.db", part.experiment)), None)
    });
    let router = Router { table, allowed: hosting.allowed.clone(), tell: hosting.hears_of_routes.clone() };
    let Hosting { network, threads, name, labels, .. } = hosting;
    let options = Options {
        threads: *threads,
        name: name.clone(),
        labels: labels.clone(),
        keeping,
        router: Some(router),
        network: Some(network.clone()),
    };
    tokio::pin!(stop);
    tokio::select! {
        () = sleep_until(begins) => {}
        () = &mut stop => anyhow::bail!("it was withdrawn before it began"),
    }
    send(&specification, part.share, &options, Arc::<Progress>::default(), stop).await
}

/// Says it to the table until it takes it, or does not want it.
async fn say(table: Arc<dyn LoadTable>, answer: Answer) {
    loop {
        match carry_out(table.as_ref(), answer.clone()).await {
            Ok(true | false) => return,
            Err(KnowledgeError::Rejected { reason, .. }) => {
                let help = "ask for less at once";
                let too_long = Said::<()>::refused(Invalid::new(reason, help));
                let short = fleet::answer(&answer.order, &too_long);
                // It is short.
                let (Ok(_) | Err(_)) = carry_out(table.as_ref(), short).await;
                return;
            }
            Err(_) => sleep(AGAIN_AFTER).await,
        }
    }
}
