//! An experiment that is held: while it runs, the table hears that somebody is there, and is asked whether it is to go on. What that
//! means is `agent_load::register::tenure`'s to say.

use agent_core::clock::Clock;
use agent_core::knowledge::Result;
use agent_load::register::experiment::{ExperimentId, Holder};
use agent_load::register::queue::{Renew, Standing, standing};
use agent_load::register::tenure::{LEASE, LOOKS_EVERY, Question, Tenure, Terms, Word};
use agent_load::table::{LoadTable, carry_out, find};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};

/// Ends with its drop.
pub struct Holding {
    word: watch::Receiver<Option<Word>>,
    task: JoinHandle<()>,
}

impl Holding {
    /// `claimed`: a moment before it was.
    pub fn begin(
        table: Arc<dyn LoadTable>,
        clock: &dyn Clock,
        id: ExperimentId,
        holder: Holder,
        claimed: Instant,
    ) -> Self {
        let (sender, word) = watch::channel(None);
        let claim = Renew { id, holder, lease: clock.record(LEASE) };
        let task = tokio::spawn(async move {
            sender.send_replace(Some(hold(table.as_ref(), &claim, claimed).await));
        });
        Self { word, task }
    }

    /// Completes when it is not to go on.
    pub async fn word(&self) -> Word {
        let mut word = self.word.clone();
        // Whoever says it ends with this, and not before.
        match word.wait_for(Option::is_some).await.map(|word| word.clone()) {
            Ok(Some(word)) => word,
            Ok(None) | Err(_) => Word::Lost,
        }
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Until it is not to go on.
async fn hold(table: &dyn LoadTable, claim: &Renew, claimed: Instant) -> Word {
    let mut tenure = Tenure::new(Terms::EXPERIMENT);
    loop {
        let asked = claimed.elapsed();
        let Some(question) = tenure.asks(asked) else { return tenure.gives_up() };
        let answer = timeout_at(claimed + tenure.hopes_until(), ask(table, claim, question)).await;
        let Ok(answer) = answer else { return tenure.gives_up() };
        if let Some(word) = tenure.hears(question, asked, answer.map_err(|error| error.to_string())) {
            return word;
        }
        sleep(LOOKS_EVERY).await;
    }
}

async fn ask(table: &dyn LoadTable, claim: &Renew, question: Question) -> Result<Standing> {
    match question {
        Question::Renew => carry_out(table, claim.clone()).await,
        Question::Look => Ok(standing(find(table, claim.id).await?.as_ref(), &claim.holder)),
    }
}
