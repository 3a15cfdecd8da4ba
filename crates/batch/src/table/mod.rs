//! Where the queue is kept: in the table that all agents share.

// What every technology promises, as tests.
#[doc(hidden)]
pub mod contract;
// In this process's memory.
pub mod memory;
// As rows of an SQL database.
pub mod rows;

use crate::job::{Change, Job, JobId, State, Task};
use crate::queue::{Queue, Request, Scope, Utilisation};
use agent_core::domain::time::Timestamp;
use agent_core::knowledge::{Result, requests};
use async_trait::async_trait;
use std::collections::BTreeSet;
use std::time::Duration;

/// Changes what was loaded.
pub type Work = requests::Work<Queue>;

/// What is known of utilisation is forgotten after this long.
pub const UTILISATION_KEPT: Duration = Duration::from_secs(7 * 86_400);

/// A technology: it loads, and keeps what was changed. Every writer waits for the one before.
#[async_trait]
pub trait BatchTable: Send + Sync {
    /// One transaction: loads the rows of a scope, at the table's own time, lets them be changed, and keeps what was. Rejected when
    /// the work refuses; nothing is kept then.
    async fn transact(&self, operation: &'static str, scope: Scope, work: Work) -> Result<()>;

    /// The rows of a scope as they are.
    async fn look(&self, scope: Scope) -> Result<Queue>;

    /// [`Settings::revision`](crate::queue::Settings): cheap, to be asked many times in a second.
    async fn revision(&self) -> Result<i64>;

    /// Jobs with their tasks, the latest first.
    async fn jobs(&self, asked: &Listing) -> Result<Vec<(Job, Vec<Task>)>>;

    /// What became of a job and its tasks, oldest first.
    async fn history(&self, job: JobId) -> Result<Vec<Change>>;

    /// What of the workers was in use since then, oldest first.
    async fn utilisation(&self, since: Timestamp) -> Result<Vec<Utilisation>>;
}

/// Which jobs are asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listing {
    /// Empty: whatever their state.
    pub states: BTreeSet<State>,
    /// Only those that came before this one.
    pub before: Option<JobId>,
    /// A technology may give no more than [`LISTED_AT_ONCE`]; [`latest`] asks for the others.
    pub limit: usize,
}

/// More jobs than this are asked for in several questions.
pub const LISTED_AT_ONCE: usize = 10_000;

/// A job with its tasks; `None`: there is none with this id.
pub async fn find(table: &dyn BatchTable, id: JobId) -> Result<Option<(Job, Vec<Task>)>> {
    let before = Some(JobId(id.0.saturating_add(1)));
    let found = table.jobs(&Listing { states: BTreeSet::new(), before, limit: 1 }).await?.pop();
    Ok(found.filter(|(job, _)| job.id == id))
}

/// So many jobs in these states with their tasks, the latest first; no states: whatever theirs.
pub async fn latest(table: &dyn BatchTable, states: &[State], limit: usize) -> Result<Vec<(Job, Vec<Task>)>> {
    in_pages(table, states, limit, LISTED_AT_ONCE).await
}

async fn in_pages(
    table: &dyn BatchTable,
    states: &[State],
    limit: usize,
    at_once: usize,
) -> Result<Vec<(Job, Vec<Task>)>> {
    let (mut found, mut before) = (Vec::new(), None);
    while found.len() < limit {
        let states = states.iter().copied().collect();
        let page = table.jobs(&Listing { states, before, limit: at_once.min(limit - found.len()) }).await?;
        // A page that is not full is not the last: rows that make no sense are left out.
        let Some((last, _)) = page.last() else { break };
        before = Some(last.id);
        found.extend(page);
    }
    Ok(found)
}

/// Asks the table for something.
pub async fn carry_out<R: Request>(table: &dyn BatchTable, request: R) -> Result<R::Answer> {
    let scope = request.scope();
    let transact = |work| table.transact(R::OPERATION, scope.clone(), work);
    requests::carry_out(R::OPERATION, move |queue: &mut Queue| request.apply(queue), transact).await
}
