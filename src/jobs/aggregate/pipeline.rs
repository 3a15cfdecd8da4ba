//! Batches on their way: parsed on all cores, merged in their order.

use super::LONGEST_RECORD;
use super::batch::Batch;
use super::envelope::{Envelope, array_within};
use super::parse::{Malformed, Parsed, Place, Totals, Unreadable, parse};
use super::unusable::around;
use crate::jobs::expression::Expression;
use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::available_parallelism;
use tokio::task::{JoinHandle, spawn_blocking};

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
    /// Where the records are an array within an object: its rest.
    envelope: Option<Envelope>,
}

impl Pipeline {
    /// `envelope`: where the records are an array within an object, what is around them, read up to their array.
    pub(super) fn new(expression: Arc<Expression>, envelope: Option<Envelope>) -> Self {
        let totals = Totals::new(expression.function());
        let merged = Merged { totals, place: Place::Start, unfinished: Vec::new(), envelope };
        let limit = available_parallelism().map_or(1, usize::from) + 1;
        Self { expression, in_work: VecDeque::new(), limit, merged }
    }

    /// Waits while too many are in work. An error belongs to this batch or one before it.
    pub(super) async fn submit(&mut self, batch: Batch) -> Result<(), Unreadable> {
        if self.in_work.len() == self.limit {
            self.merge_oldest().await?;
        }
        self.in_work.push_back(self.start(batch));
        Ok(())
    }

    pub(super) async fn finish(mut self) -> Result<Totals, Unreadable> {
        while !self.in_work.is_empty() {
            self.merge_oldest().await?;
        }
        self.merged.envelope.as_ref().map_or(Ok(()), Envelope::finish)?;
        Ok(self.merged.totals)
    }

    fn start(&self, batch: Batch) -> JoinHandle<Outcome> {
        let expression = Arc::clone(&self.expression);
        spawn_blocking(move || {
            let parsed = parse(&batch, &expression);
            (batch, parsed)
        })
    }

    async fn merge_oldest(&mut self) -> Result<(), Unreadable> {
        let Some(oldest) = self.in_work.pop_front() else { return Ok(()) };
        let (batch, parsed) = outcome(oldest).await;
        if self.merged.place == Place::AfterArray && batch.is_enclosed {
            return self.merged.read_after(batch.offset, &batch.bytes);
        }
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
        Batch { bytes, offset, begins: self.place, ..batch }
    }

    fn add(&mut self, mut batch: Batch, parsed: Parsed) -> Result<(), Unreadable> {
        self.totals.merge(parsed.totals);
        self.place = parsed.ends;
        let rest = batch.bytes.split_off(parsed.end);
        let offset = batch.offset + parsed.end as u64;
        if self.place == Place::AfterArray && batch.is_enclosed {
            return self.read_after(offset, &rest);
        }
        if rest.len() > LONGEST_RECORD {
            return Err(self.too_long(offset, &rest));
        }
        self.unfinished = rest;
        Ok(())
    }

    fn read_after(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Unreadable> {
        self.envelope.as_mut().map_or(Ok(()), |envelope| envelope.read_after(offset, bytes))
    }

    fn too_long(&self, offset: u64, record: &[u8]) -> Unreadable {
        match array_within(record).filter(|_| self.place == Place::Start) {
            Some(path) => Unreadable::Unusable(around(&path)),
            None => {
                let reason = format!("the record that begins here is longer than {LONGEST_RECORD} bytes");
                Malformed { offset, reason }.into()
            }
        }
    }
}

/// Of work that blocks.
pub(super) async fn outcome<T>(task: JoinHandle<T>) -> T {
    match task.await {
        Ok(outcome) => outcome,
        // A panic is the same bug here as it was there.
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // Only threads that end cancel such a task, and then nobody waits for the outcome any more.
        Err(_) => std::future::pending().await,
    }
}
