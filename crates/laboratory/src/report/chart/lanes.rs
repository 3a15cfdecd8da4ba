//! The jobs of each agent along an axis of time: a short mark where the goal was met, a tall one where it was violated, a cross
//! where a job failed, on a band that lasts until one succeeded again.

use super::time_axis::{TimeAxis, moment};
use crate::report::number::{At, count, push};
use agent_core::domain::measurement::{JobOutcome, JobTally};
use maud::{Markup, html};

/// The jobs of one agent.
#[derive(Clone, PartialEq, Debug)]
pub struct Lane {
    pub name: String,
    /// When each job ended, ascending, and what it came to.
    pub jobs: Vec<(f64, JobOutcome)>,
}

/// Height of a lane.
pub const LANE: f64 = 20.0;
/// Of more jobs than that, those that would lie on each other are shown as one mark.
const SINGLE: usize = 300;
/// Width of such a mark's place.
const PLACE: f64 = 3.0;

/// Lanes below each other from `top` on; names stand left of `left`, counts right of `right`.
pub fn lanes(all: &[Lane], axis: &TimeAxis, top: f64, left: f64, right: f64) -> Markup {
    html! {
        @for (index, lane) in all.iter().enumerate() {
            @let base = top + (index as f64 + 1.0) * LANE - 4.0;
            @let tally = lane.jobs.iter().map(|job| job.1).collect::<JobTally>();
            @let marks = marks(lane, axis, base);
            text.name.side x=(At(left - 8.0)) y=(At(base)) { (lane.name) }
            line.grid x1=(At(left)) x2=(At(right)) y1=(At(base)) y2=(At(base)) {}
            @for (from_s, until_s, failed) in outages(lane, axis.end_s()) {
                @let (from, until) = (axis.at(from_s), axis.at(until_s));
                rect.outage x=(At(from)) y=(At(base - LANE + 6.0)) width=(At((until - from).max(0.8))) height=(At(LANE - 6.0)) {
                    title { (count(failed)) " failed from " (moment(from_s)) " to " (moment(until_s)) }
                }
            }
            path.met d=(marks.met) {}
            path.violated d=(marks.violated) {}
            path.failed d=(marks.failed) {}
            text.value x=(At(right + 6.0)) y=(At(base)) {
                (count(tally.violated)) " of " (count(tally.jobs)) @if tally.failed > 0 { " + " (count(tally.failed)) }
            }
        }
    }
}

/// From the first of some jobs that failed in a row until one succeeded, and how many they are.
fn outages(lane: &Lane, lasts_s: f64) -> Vec<(f64, f64, u64)> {
    let mut outages: Vec<(f64, f64, u64)> = Vec::new();
    let mut is_out = false;
    for &(at_s, outcome) in &lane.jobs {
        match (outcome, outages.last_mut().filter(|_| is_out)) {
            (JobOutcome::Failed, None) => outages.push((at_s, lasts_s, 1)),
            (JobOutcome::Failed, Some(outage)) => outage.2 += 1,
            (JobOutcome::Met | JobOutcome::Missed, Some(outage)) => outage.1 = at_s,
            (JobOutcome::Met | JobOutcome::Missed, None) => {}
        }
        is_out = outcome == JobOutcome::Failed;
    }
    outages
}

/// Paths.
#[derive(PartialEq, Debug, Default)]
struct Marks {
    met: String,
    /// As tall as their share.
    violated: String,
    failed: String,
}

fn marks(lane: &Lane, axis: &TimeAxis, base: f64) -> Marks {
    let mut marks = Marks::default();
    let mut places: Vec<(f64, f64, f64)> = Vec::new();
    for &(at_s, outcome) in &lane.jobs {
        let exact = axis.at(at_s);
        let x = if lane.jobs.len() > SINGLE { (exact / PLACE).floor() * PLACE + PLACE / 2.0 } else { exact };
        let of = match outcome {
            JobOutcome::Met => 0.0,
            JobOutcome::Missed => 1.0,
            JobOutcome::Failed => {
                cross(&mut marks.failed, x, base);
                continue;
            }
        };
        match places.last_mut().filter(|last| last.0 == x && lane.jobs.len() > SINGLE) {
            Some(last) => (last.1, last.2) = (last.1 + 1.0, last.2 + of),
            None => places.push((x, 1.0, of)),
        }
    }
    for (x, jobs, of) in places {
        if of == 0.0 {
            mark(&mut marks.met, x, base, 4.0);
        } else {
            mark(&mut marks.violated, x, base, 6.0 + 8.0 * of / jobs);
        }
    }
    marks
}

/// Those that lie on each other are one.
fn cross(text: &mut String, x: f64, base: f64) {
    let mut cross = String::from("M");
    push(&mut cross, x - 2.5);
    cross.push(' ');
    push(&mut cross, base - 10.0);
    cross.push_str("l5 5m0-5l-5 5");
    if !text.ends_with(&cross) {
        text.push_str(&cross);
    }
}

fn mark(text: &mut String, x: f64, base: f64, height: f64) {
    text.push('M');
    push(text, x);
    text.push(' ');
    push(text, base);
    text.push_str("v-");
    push(text, height);
}

#[cfg(test)]
mod tests {
    use super::*;
    use JobOutcome::{Failed, Met, Missed};

    #[test]
    fn a_job_that_violated_stands_out() {
        let lane = Lane { name: "agent 1".to_owned(), jobs: vec![(0.0, Missed), (50.0, Met), (100.0, Met)] };
        let axis = TimeAxis::new(100.0, &[], 0.0, 1000.0);
        let expected =
            Marks { met: "M500 16v-4M1000 16v-4".to_owned(), violated: "M0 16v-14".to_owned(), failed: String::new() };
        assert_eq!(marks(&lane, &axis, 16.0), expected);
        let svg = lanes(&[lane], &axis, 0.0, 80.0, 1000.0).into_string();
        assert!(svg.contains(">1 of 3</text>"), "{svg}");
    }

    #[test]
    fn jobs_that_failed_stand_on_a_band_until_one_succeeded() {
        let jobs = vec![(10.0, Failed), (20.0, Failed), (30.0, Missed), (40.0, Met), (50.0, Failed)];
        let lane = Lane { name: "agent 1".to_owned(), jobs };
        assert_eq!(outages(&lane, 60.0), [(10.0, 30.0, 2), (50.0, 60.0, 1)]);
        let axis = TimeAxis::new(100.0, &[], 0.0, 1000.0);
        let failed = marks(&lane, &axis, 16.0).failed;
        assert_eq!(failed, "M97.5 6l5 5m0-5l-5 5M197.5 6l5 5m0-5l-5 5M497.5 6l5 5m0-5l-5 5");
        assert!(lanes(&[lane], &axis, 0.0, 80.0, 1000.0).into_string().contains(">1 of 2 + 3</text>"));
    }

    #[test]
    fn many_jobs_share_marks() {
        let jobs =
            (0..30_000).map(|index| (f64::from(index) / 300.0, if index % 3 == 0 { Missed } else { Met })).collect();
        let lane = Lane { name: "agent 1".to_owned(), jobs };
        let Marks { met, violated, .. } = marks(&lane, &TimeAxis::new(100.0, &[], 0.0, 999.0), 16.0);
        assert_eq!((met.matches('M').count(), violated.matches('M').count()), (0, 333));
        assert!(violated.starts_with("M1.5 16v-8.7"), "{violated}");
    }
}
