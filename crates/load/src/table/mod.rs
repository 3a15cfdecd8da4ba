//! Where experiments, routing records and load hosts are kept: in the table that all share.

// What every technology promises, as tests.
#[doc(hidden)]
pub mod contract;
// In this process's memory.
pub mod memory;
// As rows of an SQL database.
pub mod rows;

use crate::register::experiment::{Experiment, ExperimentId, Files, State};
use crate::register::orders::OrderId;
use crate::register::{Register, Request, Scope};
use agent_core::knowledge::{Result, requests};
use async_trait::async_trait;
use std::collections::BTreeSet;

/// Changes what was loaded.
pub type Work = requests::Work<Register>;

/// A technology: it loads, and keeps what was changed. Every writer waits for the one before.
#[async_trait]
pub trait LoadTable: Send + Sync {
    /// One transaction: loads the rows of a scope, at the table's own time, lets them be changed, and keeps what was. Rejected when
    /// the work refuses; nothing is kept then.
    async fn transact(&self, operation: &'static str, scope: Scope, work: Work) -> Result<()>;

    /// The rows of a scope as they are: cheap where it names few, to be asked many times in a second.
    async fn look(&self, scope: Scope) -> Result<Register>;

    /// The latest first.
    async fn experiments(&self, asked: &Listing) -> Result<Vec<Experiment>>;

    /// What an experiment was queued with; nothing of one that is not there.
    async fn files(&self, id: ExperimentId) -> Result<Files>;

    /// What a load host answered. `None`: it has not, or it is forgotten.
    async fn answer(&self, id: OrderId) -> Result<Option<String>>;
}

/// Which experiments are asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listing {
    /// Empty: whatever their state.
    pub states: BTreeSet<State>,
    pub limit: usize,
}

/// More experiments than this are not listed.
pub const LISTED_MAX: usize = 10_000;

/// `None`: there is none with this id.
pub async fn find(table: &dyn LoadTable, id: ExperimentId) -> Result<Option<Experiment>> {
    Ok(table.look(Scope::of_experiment(id)).await?.experiments.remove(&id))
}

/// Asks the table for something.
pub async fn carry_out<R: Request>(table: &dyn LoadTable, request: R) -> Result<R::Answer> {
    let scope = request.scope();
    let transact = |work| table.transact(R::OPERATION, scope.clone(), work);
    requests::carry_out(R::OPERATION, move |register: &mut Register| request.apply(register), transact).await
}
