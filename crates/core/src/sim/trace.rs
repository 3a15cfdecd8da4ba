//! The log of a run: a line for everything that anybody did, and at its end every event with its decision, for
//! `agent explain --trace`.

use super::setup::Outcome;
use super::world::Told;
use crate::domain::event::Event;
use crate::domain::feedback::Feedback;
use crate::domain::ids::EventId;
use crate::domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, Write};

/// What the lines begin with that hold an event.
const EVENT: &str = "event ";

/// An event as it was in the end, with what others left on it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Traced {
    pub event: Event,
    pub feedback: Vec<Feedback>,
}

pub struct Trace<W: Write> {
    out: W,
    /// The first line that could not be written; none was tried after it.
    failed: Option<io::Error>,
}

impl<W: Write> Trace<W> {
    pub fn new(out: W) -> Self {
        Self { out, failed: None }
    }

    pub fn line(&mut self, at: Timestamp, told: &Told) {
        let seconds = at.0 as f64 / 1e3;
        self.write(|out| match told {
            Told::Notice(notice) => writeln!(out, "{seconds:>12.3} s  {notice}"),
            Told::World(what) => writeln!(out, "{seconds:>12.3} s  world    {what}"),
            // Whoever reads the lines knows it from the actions.
            Told::Placed(_) => Ok(()),
        });
    }

    /// Writes the events; says whether all could be written.
    pub fn finish(&mut self, outcome: &Outcome) -> io::Result<()> {
        for event in &outcome.events {
            let feedback = outcome.feedback.get(&event.id).cloned().unwrap_or_default();
            let traced = Traced { event: event.clone(), feedback };
            self.write(|out| {
                out.write_all(EVENT.as_bytes())?;
                serde_json::to_writer(&mut *out, &traced)?;
                writeln!(out)
            });
        }
        self.write(|out| out.flush());
        self.failed.take().map_or(Ok(()), Err)
    }

    fn write(&mut self, write: impl FnOnce(&mut W) -> io::Result<()>) {
        if self.failed.is_none() {
            self.failed = write(&mut self.out).err();
        }
    }
}

/// Finds an event in a trace.
pub fn find(trace: impl BufRead, id: EventId) -> io::Result<Option<Traced>> {
    for line in trace.lines() {
        let line = line?;
        let Some(json) = line.strip_prefix(EVENT) else { continue };
        let traced: Traced = serde_json::from_str(json)?;
        if traced.event.id == id {
            return Ok(Some(traced));
        }
    }
    Ok(None)
}
