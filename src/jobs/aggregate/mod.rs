//! A job that computes in this process: one function of one field over all records of an object, or of all objects of a set
//! (`of_set`); of several data sets over all records of all of them.
//!
//! `compression` undoes gzip and zstd as the bytes come, `document` finds the records in what comes out (`envelope` and
//! `scanner` read what may stand around them), `batch` cuts them, `pipeline` has the batches parsed on all cores and merges
//! them in order, `parse` reads a batch's records, `field` picks the field (`shape` the same, faster, where records look
//! alike) and its `number`, `accumulator`, `exact_sum` and `quantile` compute. What cannot be used is described by
//! `appearance` and `unusable`.

mod accumulator;
mod appearance;
mod batch;
mod compression;
mod document;
mod envelope;
mod exact_sum;
mod field;
mod number;
mod of_set;
mod parse;
mod pipeline;
mod quantile;
mod scanner;
mod shape;
mod unusable;

use self::appearance::ACCEPTED;
use self::compression::{Damage, Decompressor};
use self::document::Document;
use self::parse::{Malformed, Totals, Unreadable};
use self::pipeline::outcome;
use super::expression::Expression;
use super::{DataSource, FailedFor, Job, JobError, JobReport, PartReport};
use crate::storage::{Content, RangeBody, StorageError};
use agent_core::domain::manifest::Extent;
use agent_core::domain::records_path::RecordsPath;
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use std::mem;
use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;
use tokio::task::spawn_blocking;

/// The longest record [bytes], and so the most that waits for its end in memory.
const LONGEST_RECORD: usize = 16 << 20;

/// Reads a JSON array of records, or newline-delimited JSON, in ranged requests one after the other, as Hadoop's S3A does:
/// a job that read everything at once would hardly feel a link's latency. Objects that gzip or zstd compressed are
/// decompressed as they come.
///
/// The result does not depend on the number of cores or on the size of the requests, to the last bit. Memory is bounded by
/// a few batches of 256 kB for each core, one record (16 MiB at most), what the store hands out at a time, and the window
/// of zstd (128 MiB at most, mostly 8 MiB or less).
pub struct AggregateJob {
    expression: Arc<Expression>,
    path: Option<RecordsPath>,
    request_bytes: NonZeroU64,
}

impl AggregateJob {
    /// With `request_bytes` in each request but the last.
    pub fn new(expression: Expression, request_bytes: NonZeroU64) -> Self {
        Self { expression: Arc::new(expression), path: None, request_bytes }
    }

    /// The same over the array that `path` leads to within one object.
    pub fn within(self, path: RecordsPath) -> Self {
        Self { path: Some(path).filter(|path| !path.names().is_empty()), ..self }
    }
}

#[async_trait]
impl Job for AggregateJob {
    fn describe(&self) -> String {
        match &self.path {
            Some(path) => format!("{} of {path}", self.expression),
            None => self.expression.to_string(),
        }
    }

    /// One after the other: so each part's time says what it is to read that data set where it lies.
    async fn run_over(&self, sources: &[DataSource]) -> Result<JobReport, FailedFor> {
        let started = Instant::now();
        let mut all = Totals::new(self.expression.function());
        let mut parts = Vec::new();
        for (part, source) in sources.iter().enumerate() {
            let began = Instant::now();
            let totals = self.usable_totals(source).await.map_err(|error| FailedFor { part, error })?;
            parts.push(PartReport { records: totals.records, time: began.elapsed() });
            all.merge(totals);
        }
        let result = all.accumulator.result();
        tracing::debug!(parts = parts.len(), records = all.records, result, "aggregated");
        Ok(JobReport {
            result,
            records: all.records,
            skipped_records: all.skipped_records,
            execution_time: started.elapsed(),
            response_time: started.elapsed(),
            parts: if parts.len() > 1 { parts } else { Vec::new() },
            requests: None,
            remark: None,
        })
    }
}

impl AggregateJob {
    /// Of one data set, in which something can be used, if there is anything.
    async fn usable_totals(&self, source: &DataSource) -> Result<Totals, JobError> {
        let totals = match Extent::of(&source.object_key) {
            Extent::Object(_) => self.totals(source).await?,
            Extent::Set(keys) => self.totals_of_set(source, keys).await?,
        };
        if totals.records > 0 && totals.records == totals.skipped_records {
            let reason = totals.first_unused.map(|unused| unused.reason(totals.records, &self.expression));
            return Err(unusable(source, reason.unwrap_or_default()));
        }
        Ok(totals)
    }

    /// Of one object.
    async fn totals(&self, source: &DataSource) -> Result<Totals, JobError> {
        let mut reading = Reading {
            source,
            content: Content { bytes: source.bytes, etag: source.etag.clone() },
            decompressor: Decompressor::new(),
            document: Document::new(Arc::clone(&self.expression), self.path.clone()),
        };
        if source.bytes == 0 {
            reading.check_that_it_is_empty().await?;
        }
        for range in ranges(source.bytes, self.request_bytes) {
            reading.read(range).await?;
        }
        reading.finish().await
    }
}

/// `ceil(bytes / request_bytes)` ranges.
fn ranges(bytes: u64, request_bytes: NonZeroU64) -> impl Iterator<Item = Range<u64>> + Send {
    let request_bytes = request_bytes.get();
    (0..bytes.div_ceil(request_bytes)).map(move |i| {
        let start = i * request_bytes;
        start..bytes.min(start.saturating_add(request_bytes))
    })
}

struct Reading<'s> {
    source: &'s DataSource,
    /// What is read: every range is of one content, also where the catalogue knows no ETag.
    content: Content,
    decompressor: Decompressor,
    document: Document,
}

impl Reading<'_> {
    async fn read(&mut self, range: Range<u64>) -> Result<(), JobError> {
        let RangeBody { etag, bytes: mut body } =
            self.source.store.read_range(&self.source.object_key, range.clone(), &self.content).await?;
        self.content.etag = self.content.etag.take().or(etag);
        let mut expected = range.end - range.start;
        while let Some(piece) = body.next().await {
            let mut piece = piece?;
            expected = expected
                .checked_sub(piece.len() as u64)
                .ok_or_else(|| self.damaged(format!("more bytes came than the range {range:?} has")))?;
            while !piece.is_empty() {
                let bytes = self.decompress(&mut piece).await?;
                let read = self.document.read(bytes).await;
                read.map_err(|unreadable| self.unreadable(unreadable))?;
            }
        }
        match expected {
            0 => Ok(()),
            missing => Err(self.damaged(format!("the last {missing} bytes of the range {range:?} did not come"))),
        }
    }

    /// Where nothing is compressed, `piece` as it is; else some of what it holds.
    async fn decompress(&mut self, piece: &mut Bytes) -> Result<Bytes, JobError> {
        if self.decompressor.compression().is_none() {
            return self.decompressor.read(piece).map_err(|damage| self.broken(damage));
        }
        let mut decompressor = mem::replace(&mut self.decompressor, Decompressor::new());
        let mut rest = mem::take(piece);
        // Links are served by these threads too: none of them may be kept for long.
        let task = spawn_blocking(move || {
            let read = decompressor.read(&mut rest);
            (decompressor, rest, read)
        });
        let (decompressor, rest, read) = outcome(task).await;
        (self.decompressor, *piece) = (decompressor, rest);
        read.map_err(|damage| self.broken(damage))
    }

    async fn finish(mut self) -> Result<Totals, JobError> {
        let left = self.decompressor.finish().map_err(|damage| self.broken(damage))?;
        let finished = match self.document.read(left).await {
            Ok(()) => self.document.finish().await,
            Err(unreadable) => Err(unreadable),
        };
        finished.map_err(|unreadable| self.unreadable(unreadable))
    }

    /// Nothing is asked of an object without bytes, so nothing would show that it has some by now.
    async fn check_that_it_is_empty(&self) -> Result<(), JobError> {
        let (address, key) = (self.source.store.address().to_owned(), self.source.object_key.clone());
        let Some(found) = self.source.store.info(&key).await? else {
            return Err(StorageError::NotFound { address, key }.into());
        };
        match self.content.difference(found.bytes, found.validators.etag.as_deref()) {
            Some(reason) => Err(StorageError::Changed { address, key, reason }.into()),
            None => Ok(()),
        }
    }

    fn damaged(&self, reason: String) -> JobError {
        let (address, key) = (self.source.store.address().to_owned(), self.source.object_key.clone());
        StorageError::Damaged { address, key, reason }.into()
    }

    fn broken(&self, Damage { compression, reason }: Damage) -> JobError {
        unusable(self.source, format!("its {compression} data {reason}"))
    }

    fn unreadable(&self, unreadable: Unreadable) -> JobError {
        let malformed = match unreadable {
            Unreadable::Unusable(reason) => return unusable(self.source, reason),
            Unreadable::Malformed(malformed) => malformed,
        };
        if let Some(appearance) = self.document.appearance(&malformed) {
            return unusable(self.source, format!("it looks like {appearance}; {ACCEPTED}"));
        }
        let Malformed { offset, reason } = malformed;
        let reason = match self.decompressor.compression() {
            Some(compression) => format!("{reason} (counted in what its {compression} data holds)"),
            None => reason,
        };
        JobError::Malformed { object: self.source.object_key.clone(), offset, reason }
    }
}

fn unusable(source: &DataSource, reason: String) -> JobError {
    JobError::Unusable { object: source.object_key.clone(), reason }
}
