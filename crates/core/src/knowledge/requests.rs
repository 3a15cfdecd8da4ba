//! Requests to a table of documents: rows are loaded, a rule changes them, and what it changed is kept, all in one transaction.
//!
//! What batch jobs and load share. Of which rows, and what may be done with them, their own packages say.

use super::quarantine::{DETAIL_MAX, Field, Fields};
use super::{KnowledgeError, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// How often what may have been carried out is asked again.
const TRIES: u32 = 3;

/// The request makes no sense, or cannot be met; nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

impl Refused {
    pub fn during(self, operation: &'static str) -> KnowledgeError {
        KnowledgeError::Rejected { operation, reason: self.0 }
    }
}

/// Rows of one kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Which<T> {
    /// Of what ends: those that are not over.
    All,
    These(BTreeSet<T>),
}

impl<T> Default for Which<T> {
    fn default() -> Self {
        Which::These(BTreeSet::new())
    }
}

impl<T: Ord> Which<T> {
    pub fn only(one: T) -> Self {
        Which::These(BTreeSet::from([one]))
    }

    pub fn has(&self, one: &T) -> bool {
        match self {
            Which::All => true,
            Which::These(these) => these.contains(one),
        }
    }
}

/// Changes what was loaded. It may be run more than once: only what the last run did is kept.
pub type Work<Rows> = Arc<dyn Fn(&mut Rows) -> std::result::Result<(), Refused> + Send + Sync>;

/// Has a rule applied within a transaction of the table. Applied again it does the same.
pub async fn carry_out<Rows, Answer: Send + 'static, Done: Future<Output = Result<()>>>(
    operation: &'static str,
    apply: impl Fn(&mut Rows) -> std::result::Result<Answer, Refused> + Send + Sync + 'static,
    transact: impl Fn(Work<Rows>) -> Done,
) -> Result<Answer> {
    let answer = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&answer);
    let work: Work<Rows> = Arc::new(move |rows| {
        let said = apply(rows)?;
        *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(said);
        Ok(())
    });
    let mut tries = 1;
    while let Err(error) = transact(Arc::clone(&work)).await {
        // Asked again it does the same, so what is uncertain becomes certain.
        if !matches!(error, KnowledgeError::Uncertain { .. }) || tries == TRIES {
            return Err(error);
        }
        tries += 1;
    }
    let said = answer.lock().unwrap_or_else(PoisonError::into_inner).take();
    let reason = || "the table did not carry it out".to_owned();
    said.ok_or_else(|| KnowledgeError::NotExecuted { operation, reason: reason() })
}

/// A row as it is kept. What rows are made of can be written as JSON.
pub fn document(row: &impl Serialize) -> String {
    serde_json::to_string(row).unwrap_or_default()
}

/// What a row's document says.
pub fn read_document<T: DeserializeOwned>(row: &mut Fields<'_>) -> Field<T> {
    let text = row.exact("document", DETAIL_MAX)?;
    match serde_json::from_str(&text) {
        Ok(read) => Ok(read),
        Err(error) => row.leave_out("document", format_args!("it says nothing that is known here: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// What a request that adds one comes to, and what then is there, when the table's answers are lost so many times.
    async fn added(lost: u32) -> (Result<u32>, u32) {
        let (rows, left) = (Mutex::new(0), Cell::new(lost));
        let add = |rows: &mut u32| {
            *rows += 1;
            Ok(*rows)
        };
        let said = carry_out("add", add, async |work: Work<u32>| {
            let mut loaded = 0;
            work(&mut loaded).map_err(|refused| refused.during("add"))?;
            *rows.lock().unwrap() = loaded;
            match left.get() {
                0 => Ok(()),
                lost => {
                    left.set(lost - 1);
                    Err(KnowledgeError::Uncertain { operation: "add", reason: "it fell silent".to_owned() })
                }
            }
        });
        (said.await, rows.into_inner().unwrap())
    }

    #[tokio::test]
    async fn what_is_uncertain_is_asked_again_and_done_once() {
        for lost in 0..TRIES {
            let (said, there) = added(lost).await;
            assert_eq!((said.unwrap(), there), (1, 1), "{lost} lost");
        }
        assert!(matches!(added(TRIES).await.0, Err(KnowledgeError::Uncertain { .. })));
    }

    #[tokio::test]
    async fn what_is_refused_is_said_with_the_operation() {
        let refuse = |_: &mut ()| -> std::result::Result<(), Refused> { Err(Refused("no".to_owned())) };
        let transact = async |work: Work<()>| work(&mut ()).map_err(|refused| refused.during("try"));
        assert_eq!(carry_out("try", refuse, transact).await.unwrap_err().to_string(), "try: no");
        let nothing = carry_out("try", |_: &mut ()| Ok(()), async |_: Work<()>| Ok(()));
        assert_eq!(nothing.await.unwrap_err().to_string(), "try: not carried out: the table did not carry it out");
    }
}
