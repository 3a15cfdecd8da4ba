//! `agent load daemon`: takes the experiments that wait, one after another, and runs each as `agent load run` does.

use super::experiments::{Summary, machine};
use super::holding::Holding;
use super::{Keeping, Network, Options, Outcome, Router, make_folder, on_hosts, require_allowed, run};
use agent_core::config::settings::DatabaseUrl;
use agent_core::domain::labels::Labels;
use agent_core::domain::units::show_duration;
use agent_core::knowledge::{KnowledgeError, Result};
use agent_load::generator::Progress;
use agent_load::register::experiment::{Experiment, ExperimentId, Files, Holder, State};
use agent_load::register::queue::{Claim, End, Ending, GiveBack};
use agent_load::register::tenure::{LEASE, Word};
use agent_load::register::{Request, Scope, Which};
use agent_load::routes;
use agent_load::specification::Specification;
use agent_load::table::carry_out;
use anyhow::Context as _;
use futures::future::{FutureExt as _, Shared};
use serde::Serialize;
use std::cell::Cell;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often it is looked whether an experiment waits.
const LOOKS_EVERY: Duration = Duration::from_millis(500);
/// What the table did not take is said to it again after this long.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// So often once the daemon is told to end.
const LAST_TRIES: u32 = 3;

pub struct Daemon {
    pub network: Network,
    /// Hosts other than this machine that may be sent to.
    pub allowed: Vec<String>,
    pub threads: NonZeroUsize,
    /// Where the requests of each experiment are kept.
    pub output: Option<Output>,
    /// Hears what is changed of routes that an experiment follows.
    pub hears_of_routes: Arc<dyn Fn(routes::News) + Send + Sync>,
}

/// Where experiments are kept.
pub enum Output {
    /// Each in a file of its own, by its number.
    Folder(PathBuf),
    /// The one that is run.
    File { output: PathBuf, parquet: Option<PathBuf>, mysql: Option<DatabaseUrl> },
}

impl Output {
    fn of(&self, id: ExperimentId, network: &Network) -> Keeping {
        let (output, parquet, mysql) = match self {
            Self::Folder(folder) => (folder.join(format!("{id}.db")), None, None),
            Self::File { output, parquet, mysql } => (output.clone(), parquet.clone(), mysql.clone()),
        };
        Keeping { parquet, mysql, experiment: Some(id), ..Keeping::of_network(output, Some(network.clone())) }
    }
}

/// Until when a daemon goes on, unless it is stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Until {
    Stopped,
    /// Nothing waits any more.
    Idle,
}

/// What happens.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub enum News {
    Waits {
        holder: Holder,
    },
    Begins {
        id: ExperimentId,
        name: String,
        /// How often it was begun.
        begun: u32,
    },
    Ended {
        id: ExperimentId,
        state: State,
        #[serde(flatten)]
        outcome: Box<Outcome>,
    },
    Failed {
        id: ExperimentId,
        reason: String,
    },
    GivenBack {
        id: ExperimentId,
        state: State,
    },
    /// Another has it, or nobody; what it came to here does not count.
    Lost {
        id: ExperimentId,
    },
    /// It was stopped: the table could not be told that somebody is there.
    Away {
        id: ExperimentId,
        why: String,
    },
    /// The table does not take something; it is tried again.
    Trouble {
        why: String,
    },
    TroubleOver,
    /// The daemon ends without having said to the table what it had to.
    NotNoted {
        id: ExperimentId,
        why: String,
    },
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waits { holder } => write!(f, "{holder} waits for experiments"),
            Self::Begins { id, name, begun: 1 } => write!(f, "experiment {id} `{name}` begins"),
            Self::Begins { id, name, begun } => {
                write!(f, "experiment {id} `{name}` begins anew, for the {begun}. time")
            }
            Self::Ended { id, state, .. } => write!(f, "experiment {id} {}", state.said()),
            Self::Failed { id, reason } => write!(f, "experiment {id} has failed: {reason}"),
            Self::GivenBack { id, state: State::Queued } => {
                write!(f, "experiment {id} is given back: it waits for another")
            }
            Self::GivenBack { id, state } => write!(f, "experiment {id} {}", state.said()),
            Self::Lost { id } => write!(f, "experiment {id} is another's by now, and ends here"),
            Self::Away { id, why } => {
                write!(f, "experiment {id} is stopped, for another may begin it anew: the table is away: {why}")
            }
            Self::Trouble { why } => write!(f, "{why}; tried again"),
            Self::TroubleOver => f.write_str("the table is there again"),
            Self::NotNoted { id, why } => write!(
                f,
                "what became of experiment {id} is not noted: {why}\n  help: it is begun anew {} after it was last heard of",
                show_duration(LEASE)
            ),
        }
    }
}

/// Why a run ended before its time.
#[derive(Clone)]
enum Stopped {
    Signal,
    Word(Word),
}

type Stop<'a> = Shared<Pin<Box<dyn Future<Output = ()> + 'a>>>;

/// Takes what waits, until `stop`: then what it holds waits for another. How many experiments failed.
pub async fn serve(
    daemon: &Daemon,
    until: Until,
    stop: impl Future<Output = ()>,
    tell: &mut dyn FnMut(News),
) -> anyhow::Result<u32> {
    let stop: Pin<Box<dyn Future<Output = ()> + '_>> = Box::pin(stop);
    let mut serving = Serving::begin(daemon, None, stop.shared(), tell)?;
    (serving.tell)(News::Waits { holder: serving.holder.clone() });
    while !serving.is_stopped() {
        match serving.claim().await {
            Some(Some((experiment, claimed))) => serving.perform(&experiment, claimed).await,
            Some(None) if until == Until::Idle => break,
            // Nothing waits, or the table is away.
            Some(None) | None => serving.pause(LOOKS_EVERY).await,
        }
    }
    Ok(serving.failed)
}

/// Runs this one, if nobody else does.
pub async fn run_one(
    daemon: &Daemon,
    id: ExperimentId,
    stop: impl Future<Output = ()>,
    tell: &mut dyn FnMut(News),
) -> anyhow::Result<()> {
    let stop: Pin<Box<dyn Future<Output = ()> + '_>> = Box::pin(stop);
    let mut serving = Serving::begin(daemon, Some(id), stop.shared(), tell)?;
    let claimed = Instant::now();
    let experiment = serving.ask_for_one().await?;
    let experiment = experiment.with_context(|| format!("experiment {id} is another daemon's, which runs it"))?;
    serving.perform(&experiment, claimed).await;
    Ok(())
}

/// What a daemon is about.
struct Serving<'a> {
    daemon: &'a Daemon,
    holder: Holder,
    /// The one that it claims; `None`: whichever waits.
    only: Option<ExperimentId>,
    stop: Stop<'a>,
    tell: &'a mut dyn FnMut(News),
    is_troubled: bool,
    failed: u32,
}

impl<'a> Serving<'a> {
    fn begin(
        daemon: &'a Daemon,
        only: Option<ExperimentId>,
        stop: Stop<'a>,
        tell: &'a mut dyn FnMut(News),
    ) -> anyhow::Result<Self> {
        if let Some(Output::Folder(folder)) = &daemon.output {
            make_folder(folder)?;
        }
        Ok(Self { daemon, holder: super::holder(), only, stop, tell, is_troubled: false, failed: 0 })
    }

    fn is_stopped(&self) -> bool {
        self.stop.clone().now_or_never().is_some()
    }

    async fn pause(&self, pause: Duration) {
        tokio::select! {
            () = sleep(pause) => {}
            () = self.stop.clone() => {}
        }
    }

    /// The oldest experiment that waits, with a moment before it was claimed. `None`: the table is away, which is told once.
    async fn claim(&mut self) -> Option<Option<(Experiment, Instant)>> {
        let claimed = Instant::now();
        let answer = self.ask_for_one().await;
        self.heard(answer).map(|found| found.map(|experiment| (experiment, claimed)))
    }

    async fn ask_for_one(&self) -> Result<Option<Experiment>> {
        let (table, lease) = (self.daemon.network.load.as_ref(), self.daemon.network.clock.record(LEASE));
        // A claim is a write, and mostly there is nothing.
        let seen = table.look(Scope { experiments: Which::All, ..Scope::default() }).await?;
        match seen.has_free() {
            true => carry_out(table, Claim { holder: self.holder.clone(), only: self.only, lease }).await,
            false => Ok(None),
        }
    }

    /// Trouble is told once, and when it is over.
    fn heard<T>(&mut self, answer: Result<T>) -> Option<T> {
        match answer {
            Ok(answer) => {
                if std::mem::take(&mut self.is_troubled) {
                    (self.tell)(News::TroubleOver);
                }
                Some(answer)
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_troubled, true) {
                    (self.tell)(News::Trouble { why: error.to_string() });
                }
                None
            }
        }
    }

    async fn perform(&mut self, experiment: &Experiment, claimed: Instant) {
        let Experiment { id, name, begun, .. } = experiment.clone();
        let (table, holder) = (self.daemon.network.load.clone(), self.holder.clone());
        let holding = Holding::begin(table.clone(), self.daemon.network.clock.as_ref(), id, holder.clone(), claimed);
        (self.tell)(News::Begins { id, name, begun });
        let files = match table.files(id).await {
            Ok(files) => files,
            Err(error) => {
                self.heard::<()>(Err(error));
                return self.give_back(id).await;
            }
        };
        match self.make(experiment, &files, &holding).await {
            Ok((outcome, None)) => self.ended(id, outcome, State::Finished).await,
            Ok((outcome, Some(Stopped::Word(Word::Cancelled)))) => self.ended(id, outcome, State::Cancelled).await,
            Ok((_, Some(Stopped::Word(Word::Lost)))) => (self.tell)(News::Lost { id }),
            Ok((_, Some(Stopped::Word(Word::Away(why))))) => {
                (self.tell)(News::Away { id, why });
                self.give_back(id).await;
            }
            // Whoever runs this one alone waits for what it came to.
            Ok((outcome, Some(Stopped::Signal))) if self.only.is_some() => {
                self.ended(id, outcome, State::Cancelled).await;
            }
            Ok((_, Some(Stopped::Signal))) => self.give_back(id).await,
            // It is not the experiment's fault that the table is away.
            Err(error) if error.is::<KnowledgeError>() => {
                (self.tell)(News::Away { id, why: format!("{error:#}") });
                self.give_back(id).await;
            }
            Err(error) => {
                let reason = format!("{error:#}");
                self.failed += 1;
                let ending = Ending::Failed { reason: reason.clone() };
                match self.note(id, End { id, holder, ending }).await {
                    Some(true) => (self.tell)(News::Failed { id, reason }),
                    Some(false) => (self.tell)(News::Lost { id }),
                    None => {}
                }
            }
        }
    }

    /// Sends what is specified, to its end or until the experiment is not to go on.
    async fn make(
        &self,
        experiment: &Experiment,
        files: &Files,
        holding: &Holding,
    ) -> anyhow::Result<(Outcome, Option<Stopped>)> {
        let specification = Specification::of_files(&experiment.file, files)?;
        require_allowed(&experiment.file, &specification, &self.daemon.allowed)?;
        let Daemon { network, output, .. } = self.daemon;
        let keeping = output.as_ref().map(|output| output.of(experiment.id, network));
        let router = Router {
            table: network.load.clone(),
            allowed: self.daemon.allowed.clone(),
            tell: self.daemon.hears_of_routes.clone(),
        };
        let options = Options {
            threads: self.daemon.threads,
            name: machine(),
            labels: Labels::new(),
            keeping,
            router: Some(router),
            network: Some(network.clone()),
        };
        let stopped = Cell::new(None);
        let stop = async {
            let why = tokio::select! {
                biased;
                word = holding.word() => Stopped::Word(word),
                () = self.stop.clone() => Stopped::Signal,
            };
            stopped.set(Some(why));
        };
        let outcome = match &experiment.on {
            None => run(&specification, &options, Arc::<Progress>::default(), stop).await?,
            Some(on) => {
                let sending =
                    on_hosts::Sending { options: &options, network, holder: &self.holder, id: experiment.id, on };
                sending.send(&specification, stop).await?
            }
        };
        Ok((outcome, stopped.take()))
    }

    async fn ended(&mut self, id: ExperimentId, outcome: Outcome, state: State) {
        // Everything of it can be written as JSON.
        let summary = serde_json::to_value(Summary::of(&outcome)).unwrap_or_default();
        let ending = if outcome.is_stopped { Ending::Stopped { summary } } else { Ending::Finished { summary } };
        match self.note(id, End { id, holder: self.holder.clone(), ending }).await {
            Some(true) => (self.tell)(News::Ended { id, state, outcome: Box::new(outcome) }),
            Some(false) => (self.tell)(News::Lost { id }),
            None => {}
        }
    }

    async fn give_back(&mut self, id: ExperimentId) {
        if let Some(state) = self.note(id, GiveBack { id, holder: self.holder.clone() }).await {
            (self.tell)(News::GivenBack { id, state });
        }
    }

    /// Says something to the table until it takes it. `None`: it never did, which is told.
    async fn note<R: Request + Clone>(&mut self, id: ExperimentId, request: R) -> Option<R::Answer> {
        let mut last_tries = 0;
        loop {
            let answer = carry_out(self.daemon.network.load.as_ref(), request.clone()).await;
            let why = match &answer {
                Ok(_) => return self.heard(answer),
                Err(error) => error.to_string(),
            };
            last_tries += u32::from(self.is_stopped());
            let is_refused = matches!(answer, Err(KnowledgeError::Rejected { .. }));
            if is_refused || last_tries > LAST_TRIES {
                (self.tell)(News::NotNoted { id, why });
                return None;
            }
            self.heard(answer);
            match last_tries {
                0 => self.pause(AGAIN_AFTER).await,
                _ => sleep(AGAIN_AFTER).await,
            }
        }
    }
}
