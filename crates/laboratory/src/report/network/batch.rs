//! Batch jobs: how long they waited and ran, and how busy the workers' cores were.

use crate::report::chart::against::{Line, Point, against};
use crate::report::chart::distribution::{Sample, distribution};
use crate::report::chart::figure;
use crate::report::chart::heat::{Row, heat};
use crate::report::number::{Unit, count};
use crate::report::palette;
use crate::report::statistics::nearest_rank;
use crate::report::table::{Cell, Column, Table};
use maud::{Markup, html};

/// All of a session. Seconds of the scenario, from the first submission on.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Batch {
    /// In the order of submission.
    pub jobs: Vec<BatchJob>,
    pub workers: Vec<BatchWorker>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct BatchJob {
    pub id: i64,
    pub name: String,
    pub state: &'static str,
    pub submitted_s: f64,
    /// Absent: it never ran, or has not ended.
    pub times: Option<BatchTimes>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BatchTimes {
    pub waiting_s: f64,
    pub execution_s: f64,
    pub total_s: f64,
}

/// What of a worker was in use, at the moments when it said so.
#[derive(Clone, PartialEq, Debug)]
pub struct BatchWorker {
    pub node: u32,
    pub cores: Vec<u32>,
    pub samples: Vec<(f64, Vec<u32>)>,
}

const PERCENTILES: [usize; 4] = [50, 90, 95, 100];
/// Parts of the time in the picture of cores.
const PARTS: usize = 60;
/// Of more cores the first are drawn.
const DRAWN_CORES: usize = 64;

type Part = (&'static str, fn(&BatchTimes) -> f64);
const TIMES: [Part; 3] =
    [("waiting", |times| times.waiting_s), ("execution", |times| times.execution_s), ("total", |times| times.total_s)];

impl Batch {
    fn lasts_s(&self) -> f64 {
        let ends = self.jobs.iter().map(|job| job.submitted_s + job.times.map_or(0.0, |times| times.total_s));
        let samples = self.workers.iter().flat_map(|worker| worker.samples.iter().map(|(at, _)| *at));
        ends.chain(samples).fold(1.0, f64::max)
    }

    fn times(&self, time: fn(&BatchTimes) -> f64) -> Vec<f64> {
        self.jobs.iter().filter_map(|job| job.times.as_ref().map(time)).collect()
    }
}

/// The part of the page about them; nothing where there were none.
pub fn section(batch: &Batch) -> Markup {
    if batch.jobs.is_empty() {
        return html! {};
    }
    let ran = batch.jobs.iter().filter(|job| job.times.is_some()).count();
    html! {
        section.case #batch {
            h2 { "Batch jobs" }
            p.lead { (count(batch.jobs.len() as u64)) " jobs were submitted, of which " (count(ran as u64)) " ran to their end." }
            (percentiles(batch).html())
            (figure("Times over the session", &html! { "Each job at the moment of its submission." }, &against(
                "Waiting, execution and total time of each job against its submission", &lines(batch), Unit::Seconds, Unit::Seconds,
            )))
            (figure("Distribution", &html! { "Every job a point, the middle half a box." }, &distribution(
                "How the times of all jobs lie", &samples(batch), Unit::Seconds,
            )))
            @if !batch.workers.is_empty() {
                (figure("Cores in use", &html! { "A row for each core of each worker; the darker, the longer it was busy." }, &heat(
                    "How busy each core was over time", &rows(batch), batch.lasts_s(),
                )))
            }
        }
    }
}

fn lines(batch: &Batch) -> Vec<Line> {
    let line = |(index, (name, time)): (usize, Part)| Line {
        name: name.to_owned(),
        class: palette::agent(index),
        points: batch.jobs.iter().filter_map(|job| Some(Point::at(job.submitted_s, time(&job.times?)))).collect(),
        is_yardstick: false,
    };
    TIMES.into_iter().enumerate().map(line).collect()
}

fn samples(batch: &Batch) -> Vec<Sample<'static>> {
    let sample =
        |(index, (name, time)): (usize, Part)| Sample { name, class: palette::agent(index), values: batch.times(time) };
    TIMES.into_iter().enumerate().map(sample).collect()
}

fn rows(batch: &Batch) -> Vec<Row> {
    let lasts = batch.lasts_s();
    let row = |(worker, core): (&BatchWorker, u32)| {
        let mut seen = vec![(0_u32, 0_u32); PARTS];
        for (at, busy) in &worker.samples {
            // In range: no sample is later than the last.
            let part = ((at / lasts * PARTS as f64) as usize).min(PARTS - 1);
            seen[part].0 += 1;
            seen[part].1 += u32::from(busy.contains(&core));
        }
        let share = |(all, busy): (u32, u32)| (all > 0).then(|| f64::from(busy) / f64::from(all));
        Row { name: format!("node {}, core {core}", worker.node), shares: seen.into_iter().map(share).collect() }
    };
    let cores = batch.workers.iter().flat_map(|worker| worker.cores.iter().map(move |core| (worker, *core)));
    cores.take(DRAWN_CORES).map(row).collect()
}

/// Of the nearest rank.
fn percentiles(batch: &Batch) -> Table {
    let row = |(name, time): Part| {
        let mut all = batch.times(time);
        all.sort_by(f64::total_cmp);
        let cells = PERCENTILES.iter().map(|percent| Cell::number(nearest_rank(&all, percent * 100)));
        std::iter::once(Cell::text(name)).chain(cells).collect()
    };
    let columns =
        PERCENTILES.map(|percent| Column::number(&format!("p{percent}_s"), &format!("{percent} %"), Unit::Seconds));
    Table {
        name: "batch_percentiles",
        caption: "So many percent of the jobs took no longer".to_owned(),
        columns: std::iter::once(Column::text("time", "time")).chain(columns).collect(),
        rows: TIMES.into_iter().map(row).collect(),
    }
}

/// Every job, for programs.
pub fn jobs(batch: &Batch) -> Table {
    let seconds = |key: &str, title: &str| Column::number(key, title, Unit::Seconds);
    let row = |job: &BatchJob| {
        let time = |time: fn(&BatchTimes) -> f64| Cell::number(job.times.as_ref().map(time));
        vec![
            Cell::Count(u64::try_from(job.id).unwrap_or_default()),
            Cell::text(&job.name),
            Cell::text(job.state),
            Cell::number(Some(job.submitted_s)),
            time(|times| times.waiting_s),
            time(|times| times.execution_s),
            time(|times| times.total_s),
        ]
    };
    Table {
        name: "batch_jobs",
        caption: "Batch jobs".to_owned(),
        columns: vec![
            Column::count("job", "job"),
            Column::text("name", "name"),
            Column::text("state", "state"),
            seconds("submitted_s", "submitted"),
            seconds("waiting_s", "waiting"),
            seconds("execution_s", "execution"),
            seconds("total_s", "total"),
        ],
        rows: batch.jobs.iter().map(row).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> Batch {
        let job = |id: i64, waiting_s: f64| BatchJob {
            id,
            name: "a".to_owned(),
            state: "done",
            submitted_s: id as f64,
            times: Some(BatchTimes { waiting_s, execution_s: 2.0, total_s: waiting_s + 2.0 }),
        };
        let samples = vec![(0.0, vec![0]), (0.5, vec![]), (59.0, vec![0, 1])];
        let jobs = (1..=20).map(|id| job(id, id as f64)).collect();
        Batch { jobs, workers: vec![BatchWorker { node: 7, cores: vec![0, 1], samples }] }
    }

    #[test]
    fn percentiles_and_cores_are_those_of_the_jobs() {
        let number = |cell: &Cell| if let Cell::Number(value) = cell { *value } else { f64::NAN };
        let table = percentiles(&batch());
        assert_eq!(table.rows[0][1..].iter().map(number).collect::<Vec<_>>(), [10.0, 18.0, 19.0, 20.0]);
        let rows = rows(&batch());
        assert_eq!(rows[0].name, "node 7, core 0");
        assert_eq!((rows[0].shares[0], rows[0].shares[1], rows[0].shares[59]), (Some(0.5), None, Some(1.0)));
        assert!(section(&batch()).into_string().contains("20 jobs were submitted, of which 20 ran to their end"));
        assert_eq!(section(&Batch::default()).into_string(), "");
    }
}
