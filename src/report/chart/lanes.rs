//! The jobs of each agent along an axis of time: a short mark where the goal was met, a tall one where it was violated.

use super::time_axis::TimeAxis;
use crate::report::number::{At, count, push};
use maud::{Markup, html};

/// The jobs of one agent.
#[derive(Clone, PartialEq, Debug)]
pub struct Lane {
    pub name: String,
    /// When each job ended, ascending, and whether it violated the goal.
    pub jobs: Vec<(f64, bool)>,
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
            @let violated = lane.jobs.iter().filter(|job| job.1).count();
            text.name.side x=(At(left - 8.0)) y=(At(base)) { (lane.name) }
            line.grid x1=(At(left)) x2=(At(right)) y1=(At(base)) y2=(At(base)) {}
            path.met d=(marks(lane, axis, base).0) {}
            path.violated d=(marks(lane, axis, base).1) {}
            text.value x=(At(right + 6.0)) y=(At(base)) { (count(violated as u64)) " of " (count(lane.jobs.len() as u64)) }
        }
    }
}

/// Of those that met the goal, and of those that violated it: as tall as their share.
fn marks(lane: &Lane, axis: &TimeAxis, base: f64) -> (String, String) {
    let mut places: Vec<(f64, f64, f64)> = Vec::new();
    for &(at_s, violated) in &lane.jobs {
        let exact = axis.at(at_s);
        let x = if lane.jobs.len() > SINGLE { (exact / PLACE).floor() * PLACE + PLACE / 2.0 } else { exact };
        let of = f64::from(violated);
        match places.last_mut().filter(|last| last.0 == x && lane.jobs.len() > SINGLE) {
            Some(last) => (last.1, last.2) = (last.1 + 1.0, last.2 + of),
            None => places.push((x, 1.0, of)),
        }
    }
    let (mut met, mut violated) = (String::new(), String::new());
    for (x, jobs, of) in places {
        if of == 0.0 {
            mark(&mut met, x, base, 4.0);
        } else {
            mark(&mut violated, x, base, 6.0 + 8.0 * of / jobs);
        }
    }
    (met, violated)
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

    #[test]
    fn a_job_that_violated_stands_out() {
        let lane = Lane { name: "agent 1".to_owned(), jobs: vec![(0.0, true), (50.0, false), (100.0, false)] };
        let axis = TimeAxis::new(100.0, &[], 0.0, 1000.0);
        assert_eq!(marks(&lane, &axis, 16.0), ("M500 16v-4M1000 16v-4".to_owned(), "M0 16v-14".to_owned()));
        let svg = lanes(&[lane], &axis, 0.0, 80.0, 1000.0).into_string();
        assert!(svg.contains(">1 of 3</text>"), "{svg}");
    }

    #[test]
    fn many_jobs_share_marks() {
        let jobs = (0..30_000).map(|index| (f64::from(index) / 300.0, index % 3 == 0)).collect();
        let lane = Lane { name: "agent 1".to_owned(), jobs };
        let (met, violated) = marks(&lane, &TimeAxis::new(100.0, &[], 0.0, 999.0), 16.0);
        assert_eq!((met.matches('M').count(), violated.matches('M').count()), (0, 333));
        assert!(violated.starts_with("M1.5 16v-8.7"), "{violated}");
    }
}
