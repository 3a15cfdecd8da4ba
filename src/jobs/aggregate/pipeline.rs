//! Batches on their way: parsed on all cores, merged in their order.

use super::batch::Batch;
use super::parse::{Malformed, Parsed, Place, Totals, parse};
use crate::jobs::expression::Expression;
use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::available_parallelism;
use tokio::task::{JoinHandle, spawn_blocking};

/// The longest record [bytes], and so the most that waits for its end in memory.
const LONGEST_RECORD: usize = 16 << 20;

type Outcome = (Batch, Result<Parsed, Malformed>);

/// Takes batches in their order and keeps as many in work as there are cores, plus one.
pub(super) struct Pipeline {
    expression: Arc<Expression>,
    in_work: VecDeque<JoinHandle<Outcome>>,
    limit: usize,
    merged: Merged,
}

/// Everything before the batches in work, known for certain.
struct Merged {
    totals: Totals,
    /// Where the document stands after it.
    place: Place,
    /// The beginning of a record that goes on in the next batch.
    unfinished: Vec<u8>,
}

impl Pipeline {
    pub(super) fn new(expression: Arc<Expression>) -> Self {
        let merged = Merged { totals: Totals::new(expression.function()), place: Place::Start, unfinished: Vec::new() };
        let limit = available_parallelism().map_or(1, usize::from) + 1;
        Self { expression, in_work: VecDeque::new(), limit, merged }
    }

    /// Waits while too many are in work. An error belongs to this batch or one before it.
    pub(super) async fn submit(&mut self, batch: Batch) -> Result<(), Malformed> {
        if self.in_work.len() == self.limit {
            self.merge_oldest().await?;
        }
        self.in_work.push_back(self.start(batch));
        Ok(())
    }

    pub(super) async fn finish(mut self) -> Result<Totals, Malformed> {
        while !self.in_work.is_empty() {
            self.merge_oldest().await?;
        }
        Ok(self.merged.totals)
    }

    fn start(&self, batch: Batch) -> JoinHandle<Outcome> {
        let expression = Arc::clone(&self.expression);
        spawn_blocking(move || {
            let parsed = parse(&batch, &expression);
            (batch, parsed)
        })
    }

    async fn merge_oldest(&mut self) -> Result<(), Malformed> {
        let Some(oldest) = self.in_work.pop_front() else { return Ok(()) };
        let (batch, parsed) = outcome(oldest).await;
        let was_guessed_right = self.merged.unfinished.is_empty() && self.merged.place == batch.begins;
        let (batch, parsed) = if was_guessed_right {
            (batch, parsed)
        } else {
            let begun = self.merged.join(batch);
            outcome(self.start(begun)).await
        };
        self.merged.add(batch, parsed?)
    }
}

impl Merged {
    /// The batch with what belongs before it.
    fn join(&mut self, batch: Batch) -> Batch {
        let mut bytes = std::mem::take(&mut self.unfinished);
        let offset = batch.offset - bytes.len() as u64;
        bytes.extend_from_slice(&batch.bytes);
        Batch { bytes, offset, begins: self.place, is_last: batch.is_last }
    }

    fn add(&mut self, mut batch: Batch, parsed: Parsed) -> Result<(), Malformed> {
        self.totals.merge(parsed.totals);
        self.place = parsed.ends;
        self.unfinished = batch.bytes.split_off(parsed.end);
        if self.unfinished.len() > LONGEST_RECORD {
            let reason = format!("the record that begins here is longer than {LONGEST_RECORD} bytes");
            return Err(Malformed { offset: batch.offset + parsed.end as u64, reason });
        }
        Ok(())
    }
}

async fn outcome(task: JoinHandle<Outcome>) -> Outcome {
    match task.await {
        Ok(outcome) => outcome,
        // Nobody cancels these tasks, and a panic is the same bug here as it was there.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
