//! The records and experiments of a table that others share: what is changed here they see, and what they change is followed here.

use super::answer::Answer;
use super::refused::Refused;
use super::routes::{SEED, unknown};
use crate::balancer::Record;
use crate::register::Scope;
use crate::register::queue::{Cancel, Enqueue};
use crate::register::routing::{Flush, Reroute};
use crate::routes::{Followed, News, Routed, Shared, follow, lock};
use crate::specification::{RefusedTarget, Specification, not_allowed, refused_targets};
use crate::steering::{Change, Experiment, Routing};
use crate::table::{Listing, LoadTable, carry_out};
use agent_core::config::Invalid;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinHandle;

/// What is not asked for is forgotten beyond so many, the oldest first.
const NEWS_MAX: usize = 100;
/// So many experiments are listed.
const LISTED: usize = 50;

/// A table, and who uses it.
#[derive(Clone)]
pub struct SharedTable {
    pub table: Arc<dyn LoadTable>,
    /// As others are told who changed something.
    pub by: String,
    /// Makes a key that nobody had before.
    pub new_key: fn() -> String,
}

/// What a session does there.
pub struct OnTable {
    on: SharedTable,
    allowed: Vec<String>,
    followed: Arc<Shared>,
    news: Arc<Mutex<Vec<News>>>,
    /// Looks at the table.
    following: JoinHandle<()>,
}

impl Drop for OnTable {
    fn drop(&mut self) {
        self.following.abort();
    }
}

impl OnTable {
    /// Within a runtime, whose threads look at the table from now on.
    pub fn begin(on: SharedTable, allowed: Vec<String>) -> Self {
        let followed = Arc::new(Shared::new(Followed::new(allowed.clone(), SEED)));
        let news = Arc::<Mutex<Vec<News>>>::default();
        let (table, seen, heard) = (on.table.clone(), followed.clone(), news.clone());
        let following = tokio::spawn(async move {
            let tell = |one: News| {
                let mut news = heard.lock().unwrap_or_else(PoisonError::into_inner);
                if news.len() == NEWS_MAX {
                    news.remove(0);
                }
                news.push(one);
            };
            match follow(table.as_ref(), &seen, tell).await {}
        });
        Self { on, allowed, followed, news, following }
    }

    /// What others changed since this was asked last, and whether the table is away.
    pub fn news(&self) -> Vec<News> {
        std::mem::take(&mut self.news.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Those that are followed.
    pub fn services(&self) -> Vec<String> {
        lock(&self.followed).services().map(str::to_owned).collect()
    }

    /// What requests of this service follow.
    pub async fn of(&self, service: &str) -> Result<Arc<Routed>, Refused> {
        let seen = self.on.table.look(Scope::of_services([service])).await?;
        Ok(lock(&self.followed).begin(service, seen.entries.get(service))?)
    }

    pub async fn route(&self, routing: &Routing) -> Result<Answer, Refused> {
        let table = self.on.table.as_ref();
        match routing {
            Routing::Change { service, change } => self.change(service, change).await,
            Routing::Info { service } => {
                let seen = table.look(Scope::of_services([service.as_str()])).await?;
                let record = seen.entries.get(service).and_then(|entry| entry.record());
                Ok(Answer::Routed(Vec::from([record.ok_or_else(|| unknown(service))?])))
            }
            Routing::List => {
                let seen = table.look(Scope::of_all_services()).await?;
                Ok(Answer::Routed(seen.entries.values().filter_map(|entry| entry.record()).collect()))
            }
            Routing::Flush => {
                let flush = Flush { key: (self.on.new_key)(), by: self.on.by.clone() };
                let flushed = carry_out(table, flush).await?;
                self.look_now().await?;
                Ok(Answer::Unrouted(flushed))
            }
        }
    }

    async fn change(&self, service: &str, change: &Change) -> Result<Answer, Refused> {
        match change {
            Change::Set(hosts) | Change::Append(hosts) => lock(&self.followed).require_allowed(hosts)?,
            Change::Remove(_) | Change::Unset => {}
        }
        let reroute = Reroute {
            key: (self.on.new_key)(),
            service: service.to_owned(),
            change: change.clone(),
            balancer: None,
            revision: None,
            by: self.on.by.clone(),
        };
        let entry = carry_out(self.on.table.as_ref(), reroute).await?;
        let record: Option<Record> = entry.record();
        // It is in force when it is answered, and no news to who asked.
        lock(&self.followed).hear(&[(service.to_owned(), entry)].into());
        Ok(match record {
            Some(record) => Answer::Routed(Vec::from([record])),
            None => Answer::Unrouted(Vec::from([service.to_owned()])),
        })
    }

    async fn look_now(&self) -> Result<(), Refused> {
        let scope = Scope::of_services(lock(&self.followed).services());
        let seen = self.on.table.look(scope).await?;
        lock(&self.followed).hear(&seen.entries);
        Ok(())
    }

    /// `None`: a verb that is not about the table.
    pub async fn experiment(&self, experiment: &Experiment) -> Result<Option<Answer>, Refused> {
        let table = self.on.table.as_ref();
        Ok(match experiment {
            Experiment::Queue { file } => {
                let queued = carry_out(table, self.enqueue(file)?).await?;
                Some(Answer::Experiments(Vec::from([queued])))
            }
            Experiment::List => {
                let all = Listing { states: BTreeSet::new(), limit: LISTED };
                Some(Answer::Experiments(table.experiments(&all).await?))
            }
            Experiment::Cancel { id } => {
                let id = id.parse().map_err(|problem| Invalid::new(problem, "`exp list` shows them"))?;
                let state = carry_out(table, Cancel { id, by: self.on.by.clone() }).await?;
                Some(Answer::Cancelled { id, state })
            }
            Experiment::Start { .. } | Experiment::Stop | Experiment::Event { .. } => None,
        })
    }

    fn enqueue(&self, file: &str) -> Result<Enqueue, Refused> {
        let (specification, name, files) = Specification::load_with_files(Path::new(file)).map_err(Refused::Script)?;
        if let Some(RefusedTarget { service, address }) = refused_targets(&specification, &self.allowed).first() {
            let Invalid { problem, help } = not_allowed(address);
            return Err(Invalid::new(format!("{file}: service `{service}`: {problem}"), help).into());
        }
        Ok(Enqueue {
            key: (self.on.new_key)(),
            name: specification.name,
            file: name,
            files,
            on: None,
            by: self.on.by.clone(),
        })
    }
}
