//! A document as it comes: past its byte order mark, through what may stand around its records, and into the pipeline.

use super::appearance::{ACCEPTED, appearance};
use super::batch::Cutter;
use super::envelope::Envelope;
use super::parse::{Malformed, Totals, Unreadable};
use super::pipeline::Pipeline;
use crate::jobs::expression::Expression;
use agent_core::domain::records_path::RecordsPath;
use bytes::Bytes;
use std::mem;
use std::sync::Arc;

/// How many bytes are kept to say what a document looks like.
const BEGINNING: usize = 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

pub(super) struct Document {
    expression: Arc<Expression>,
    path: Option<RecordsPath>,
    beginning: Vec<u8>,
    /// Whether nothing came but white space.
    is_blank: bool,
    part: Part,
}

/// What the next bytes belong to.
enum Part {
    /// The first ones, which are not enough yet.
    Beginning,
    /// What stands before the records.
    Before(Box<Envelope>),
    Records(Cutter, Box<Pipeline>),
}

impl Document {
    /// `path`: to the records; absent where they are the document.
    pub(super) fn new(expression: Arc<Expression>, path: Option<RecordsPath>) -> Self {
        let beginning = Vec::with_capacity(BEGINNING);
        Self { expression, path, beginning, is_blank: true, part: Part::Beginning }
    }

    /// Waits while much is in work. An error may belong to what came before.
    pub(super) async fn read(&mut self, mut bytes: Bytes) -> Result<(), Unreadable> {
        if let Part::Beginning = self.part {
            let missing = BEGINNING - self.beginning.len();
            self.beginning.extend_from_slice(&bytes.split_to(missing.min(bytes.len())));
            if self.beginning.len() < BEGINNING {
                return Ok(());
            }
            self.begin().await?;
        }
        self.go_on(bytes).await
    }

    /// What the records come to: the document has ended.
    pub(super) async fn finish(&mut self) -> Result<Totals, Unreadable> {
        if let Part::Beginning = self.part {
            self.begin().await?;
        }
        if self.is_blank {
            return Err(Unreadable::Unusable(format!("it is empty; {ACCEPTED}")));
        }
        match mem::replace(&mut self.part, Part::Beginning) {
            Part::Beginning => Ok(Totals::new(self.expression.function())),
            Part::Before(envelope) => {
                envelope.finish()?;
                Ok(Totals::new(self.expression.function()))
            }
            Part::Records(cutter, mut pipeline) => {
                pipeline.submit(cutter.finish()).await?;
                pipeline.finish().await
            }
        }
    }

    /// What is no JSON from its beginning on is something else.
    pub(super) fn appearance(&self, malformed: &Malformed) -> Option<String> {
        let is_at_the_beginning = malformed.offset <= self.beginning.len() as u64;
        appearance(without_mark(&self.beginning)).filter(|_| is_at_the_beginning)
    }

    async fn begin(&mut self) -> Result<(), Unreadable> {
        let text = Bytes::copy_from_slice(without_mark(&self.beginning));
        let start = (self.beginning.len() - text.len()) as u64;
        self.part = match self.path.take() {
            None => {
                Part::Records(Cutter::new(start, false), Box::new(Pipeline::new(Arc::clone(&self.expression), None)))
            }
            Some(path) => Part::Before(Box::new(Envelope::new(path, start))),
        };
        self.go_on(text).await
    }

    async fn go_on(&mut self, mut bytes: Bytes) -> Result<(), Unreadable> {
        self.is_blank = self.is_blank && bytes.trim_ascii().is_empty();
        if let Part::Before(envelope) = &mut self.part {
            let mut rest = &bytes[..];
            if !envelope.find_array(&mut rest)? {
                return Ok(());
            }
            bytes = bytes.slice_ref(rest);
            self.enter_array();
        }
        if let Part::Records(cutter, pipeline) = &mut self.part {
            while !bytes.is_empty() {
                if let Some(batch) = cutter.push(&mut bytes) {
                    pipeline.submit(batch).await?;
                }
            }
        }
        Ok(())
    }

    fn enter_array(&mut self) {
        if let Part::Before(envelope) = mem::replace(&mut self.part, Part::Beginning) {
            let cutter = Cutter::new(envelope.offset(), true);
            let pipeline = Pipeline::new(Arc::clone(&self.expression), Some(*envelope));
            self.part = Part::Records(cutter, Box::new(pipeline));
        }
    }
}

fn without_mark(beginning: &[u8]) -> &[u8] {
    beginning.strip_prefix(BYTE_ORDER_MARK).unwrap_or(beginning)
}
