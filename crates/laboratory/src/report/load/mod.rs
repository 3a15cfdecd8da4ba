//! A page about requests: what they took, whether as many were made as intended, and what became of those that failed.

mod beside;
mod course;
mod figures;
mod outcomes;
mod page;
mod pictures;
mod records;
pub mod tables;
mod times;

pub use beside::{Beside, Happened};
pub use course::{Course, Part};
pub use figures::{Counted, Figures, HostFigures, ServiceFigures};
pub use page::{Content, page};
pub use times::Times;

use crate::results::Head;
pub use crate::results::{LoadRun, TraceExtent, TraceRow};
use course::CourseInMaking;
use records::{Records, between};

/// Of more runs the latest are drawn.
const DRAWN: usize = 20;

/// What was run.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Loads {
    pub head: Head,
    /// In the order of their numbers.
    pub runs: Vec<LoadRun>,
}

impl Loads {
    /// The runs of which there is a section, the latest first.
    pub fn drawn(&self) -> impl Iterator<Item = &LoadRun> {
        self.runs.iter().rev().take(DRAWN)
    }
}

/// A run that is drawn.
#[derive(Clone, PartialEq, Debug)]
pub struct Drawn<'a> {
    pub run: &'a LoadRun,
    pub basis: Basis,
    /// `None`: there are none, for not one request has ended yet.
    pub figures: Option<Figures>,
    /// Without parts where there are no traces.
    pub course: Course,
    pub beside: Beside,
    /// What its seconds count from: when the first request was meant to start that is stored, or else when it began \[microseconds
    /// since 1970\].
    pub began_us: i64,
}

impl Drawn<'_> {
    /// How long after [`Drawn::began_us`] that was; what was before it lies at 0.
    pub fn second(&self, at_us: i64) -> f64 {
        between(self.began_us, at_us) as f64 / 1e6
    }
}

/// Where figures come from.
#[derive(Clone, PartialEq, Debug)]
pub enum Basis {
    /// The run said so at its end.
    Told,
    /// It has said nothing: they were counted from its traces.
    Counted,
    /// What it said lacks something, by this reason; they were counted.
    NotRead(String),
}

/// Makes a [`Drawn`] from what is stored of a run, one request after the other: it keeps the times of requests, not more.
#[derive(Debug)]
pub struct Drawing<'a> {
    run: &'a LoadRun,
    basis: Basis,
    told: Option<Figures>,
    counted: Option<Counting>,
    beside: Beside,
}

#[derive(Debug)]
struct Counting {
    extent: TraceExtent,
    course: CourseInMaking,
    /// Of a run that said nothing itself.
    records: Option<Records>,
}

impl<'a> Drawing<'a> {
    /// `extent`: what all of the run's requests lie between, `None` when there are none.
    pub fn new(run: &'a LoadRun, extent: Option<TraceExtent>, beside: Beside) -> Self {
        let (basis, told) = match Figures::told(run) {
            Some(Ok(figures)) => (Basis::Told, Some(figures)),
            Some(Err(problem)) => (Basis::NotRead(problem.to_string()), None),
            None => (Basis::Counted, None),
        };
        let records = |extent| told.is_none().then(|| Records::new(extent));
        let counted =
            extent.map(|extent| Counting { extent, course: CourseInMaking::new(extent), records: records(extent) });
        Self { run, basis, told, counted, beside }
    }

    /// One of its requests. What came after the extent had been looked at is left out, so that no part has more than others.
    pub fn hear(&mut self, trace: TraceRow) {
        let Some(counting) = self.counted.as_mut().filter(|counting| trace.done_us <= counting.extent.last_us) else {
            return;
        };
        counting.course.hear(&trace);
        if let Some(records) = &mut counting.records {
            records.hear(trace);
        }
    }

    pub fn drawn(self) -> Drawn<'a> {
        let Self { run, basis, told, counted, beside } = self;
        let began_us = counted.as_ref().map_or(run.began_us, |counting| counting.extent.first_us);
        let (course, records) = match counted {
            Some(counting) => (counting.course.course(), counting.records),
            None => (Course::default(), None),
        };
        Drawn { run, basis, figures: told.or(records.map(Records::figures)), course, beside, began_us }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::results::Json;

    /// A request to `shop` on `a:1`, sent 1 ms after its time.
    pub fn trace(intended_ms: i64, took_ms: i64, outcome: &str) -> TraceRow {
        TraceRow {
            service: "shop".to_owned(),
            host: Some("a:1".to_owned()),
            intended_us: intended_ms * 1_000,
            sent_us: Some((intended_ms + 1) * 1_000),
            done_us: (intended_ms + took_ms) * 1_000,
            outcome: outcome.to_owned(),
            ..TraceRow::default()
        }
    }

    /// A request of 10 ms every 10 ms; each tenth is refused.
    pub fn traces(requests: i64) -> Vec<TraceRow> {
        let outcome = |number: i64| if number % 10 == 9 { "refused" } else { "answered" };
        (0..requests).map(|number| trace(number * 10, 10, outcome(number))).collect()
    }

    pub fn run(id: i64, figures: Option<serde_json::Value>) -> LoadRun {
        let state = if figures.is_some() { LoadRun::FINISHED } else { LoadRun::RUNNING };
        LoadRun {
            id,
            name: "evening".to_owned(),
            seed: 7,
            state: state.to_owned(),
            began_us: 1_700_000_000_000_000,
            figures: figures.map(Json),
            ..LoadRun::default()
        }
    }

    pub fn drawn<'a>(run: &'a LoadRun, traces: &[TraceRow]) -> Drawn<'a> {
        let first_us = traces.iter().map(|trace| trace.intended_us).min();
        let last_us = traces.iter().map(|trace| trace.done_us).max();
        let extent = first_us.zip(last_us).map(|(first_us, last_us)| TraceExtent {
            requests: traces.len() as u64,
            first_us,
            last_us,
        });
        let mut drawing = Drawing::new(run, extent, Beside::default());
        traces.iter().for_each(|trace| drawing.hear(trace.clone()));
        drawing.drawn()
    }

    #[test]
    fn the_latest_runs_are_drawn() {
        let loads = Loads { runs: (1..=25).map(|id| run(id, None)).collect(), ..Loads::default() };
        let drawn: Vec<i64> = loads.drawn().map(|run| run.id).collect();
        assert_eq!((drawn.len(), drawn[0], drawn[19]), (20, 25, 6));
    }

    #[test]
    fn figures_are_those_that_the_run_said_or_else_counted() {
        let told = run(1, Some(figures::tests::told()));
        let told = drawn(&told, &traces(40));
        assert_eq!((&told.basis, told.figures.unwrap().counted.intended), (&Basis::Told, 4));
        assert_eq!(told.course.parts.len(), 2);
        let killed = run(2, None);
        let killed = drawn(&killed, &traces(40));
        let counted = killed.figures.unwrap().counted;
        assert_eq!((&killed.basis, counted.intended, counted.failed()), (&Basis::Counted, 40, 4));
        let foreign = run(3, Some(serde_json::json!({})));
        let foreign = drawn(&foreign, &traces(40));
        assert_eq!(foreign.basis, Basis::NotRead("missing field `planned_s`".to_owned()));
        assert_eq!(foreign.figures.unwrap().counted.intended, 40);
        let new = run(4, None);
        let new = drawn(&new, &[]);
        assert_eq!((new.figures, new.course), (None, Course::default()));
    }

    #[test]
    fn what_ended_after_the_extent_was_looked_at_is_left_out() {
        let run = run(1, None);
        let extent = TraceExtent { requests: 1, first_us: 0, last_us: 10_000 };
        let mut drawing = Drawing::new(&run, Some(extent), Beside::default());
        drawing.hear(trace(0, 10, "answered"));
        drawing.hear(trace(5, 10, "answered"));
        let drawn = drawing.drawn();
        assert_eq!((drawn.figures.unwrap().counted.intended, drawn.course.parts[0].intended), (1, 1));
    }
}
