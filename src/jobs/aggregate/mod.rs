//! A job that computes in this process: one function of one field over all records of an object.
//!
//! `batch` cuts the bytes as they come, `pipeline` has the batches parsed on all cores and merges them in order, `parse`
//! reads a batch's records, `field` picks the field (`shape` the same, faster, where records look alike), `accumulator` and
//! `quantile` compute.

mod accumulator;
mod batch;
mod field;
mod parse;
mod pipeline;
mod quantile;
mod shape;

use self::batch::Cutter;
use self::parse::{Malformed, Totals};
use self::pipeline::Pipeline;
use super::expression::Expression;
use super::{DataSource, Job, JobError, JobReport};
use crate::storage::{Content, RangeBody, StorageError};
use async_trait::async_trait;
use futures::StreamExt;
use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// Reads a JSON array of records, or newline-delimited JSON, in ranged requests one after the other, as Hadoop's S3A does:
/// a job that read everything at once would hardly feel a link's latency.
///
/// The result does not depend on the number of cores or on the size of the requests, to the last bit. Memory is bounded by
/// a few batches of 256 kB for each core, one record (16 MiB at most) and what the store hands out at a time.
pub struct AggregateJob {
    expression: Arc<Expression>,
    request_bytes: NonZeroU64,
}

impl AggregateJob {
    /// With `request_bytes` in each request but the last.
    pub fn new(expression: Expression, request_bytes: NonZeroU64) -> Self {
        Self { expression: Arc::new(expression), request_bytes }
    }
}

#[async_trait]
impl Job for AggregateJob {
    fn describe(&self) -> String {
        self.expression.to_string()
    }

    async fn run(&self, source: &DataSource) -> Result<JobReport, JobError> {
        let started = Instant::now();
        let pipeline = Pipeline::new(Arc::clone(&self.expression));
        let content = Content { bytes: source.bytes, etag: source.etag.clone() };
        let mut reading = Reading { source, content, cutter: Cutter::new(), pipeline };
        let first_request = Instant::now();
        for range in ranges(source.bytes, self.request_bytes) {
            reading.read(range).await?;
        }
        let totals = reading.finish().await?;
        let result = totals.accumulator.result();
        tracing::debug!(object = source.object_key, records = totals.records, result, "aggregated");
        Ok(JobReport {
            result,
            records: totals.records,
            skipped_records: totals.skipped_records,
            execution_time: first_request.elapsed(),
            response_time: started.elapsed(),
        })
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
    cutter: Cutter,
    pipeline: Pipeline,
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
                if let Some(batch) = self.cutter.push(&mut piece) {
                    let submitted = self.pipeline.submit(batch).await;
                    submitted.map_err(|malformed| not_json(self.source, malformed))?;
                }
            }
        }
        match expected {
            0 => Ok(()),
            missing => Err(self.damaged(format!("the last {missing} bytes of the range {range:?} did not come"))),
        }
    }

    async fn finish(mut self) -> Result<Totals, JobError> {
        let finished = match self.pipeline.submit(self.cutter.finish()).await {
            Ok(()) => self.pipeline.finish().await,
            Err(malformed) => Err(malformed),
        };
        finished.map_err(|malformed| not_json(self.source, malformed))
    }

    fn damaged(&self, reason: String) -> JobError {
        let (address, key) = (self.source.store.address().to_owned(), self.source.object_key.clone());
        StorageError::Damaged { address, key, reason }.into()
    }
}

fn not_json(source: &DataSource, malformed: Malformed) -> JobError {
    let Malformed { offset, reason } = malformed;
    JobError::Malformed { object: source.object_key.clone(), offset, reason }
}
