//! How long one agent's jobs took, one point each, and where they read.

use super::scale::{Origin, Scale};
use super::{LINE, picture};
use crate::report::number::{At, Unit, count, push};
use agent_core::domain::measurement::JobOutcome;
use maud::{Markup, html};

/// One job.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Job {
    pub at_s: f64,
    /// Of one that failed 0.
    pub response_s: f64,
    pub node: u32,
    pub outcome: JobOutcome,
}

const WIDTH: f64 = 400.0;
const LEFT: f64 = 40.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 22.0;
const BOTTOM: f64 = 170.0;
/// Of more jobs only so many that met the goal are shown, evenly chosen, and as many that violated it, or failed.
const MOST: usize = 1500;
/// Around a point.
const CROSS: &str = "m-3-3l6 6m0-6l-6 6";

/// `jobs` in the order of time.
pub fn jobs(label: &str, jobs: &[Job], lasts_s: f64) -> Markup {
    let time = Scale::linear(0.0, lasts_s.max(1.0), LEFT, WIDTH - RIGHT);
    let scale = Scale::of(jobs.iter().map(|job| job.response_s), Origin::Zero, BOTTOM, TOP + 6.0);
    let (ticks, moments) = (scale.ticks(4, Unit::Seconds), time.ticks(5, Unit::Seconds));
    let all = |outcome| jobs.iter().filter(move |job| job.outcome == outcome);
    let of = |outcome| thinned(all(outcome).copied().collect());
    let (met, violated, failed) = (of(JobOutcome::Met), of(JobOutcome::Missed), of(JobOutcome::Failed));
    let content = html! {
        @for (number, span) in spans(jobs, lasts_s).into_iter().enumerate() { (background(number, span, time)) }
        @for (tick, text) in &ticks {
            line.grid x1=(At(LEFT)) x2=(At(WIDTH - RIGHT)) y1=(At(scale.at(*tick))) y2=(At(scale.at(*tick))) {}
            text.tick.side x=(At(LEFT - 5.0)) y=(At(scale.at(*tick) + 4.0)) { (text) }
        }
        @for (moment, text) in &moments {
            text.tick x=(At(time.at(*moment))) y=(At(BOTTOM + LINE)) { (text) }
        }
        path.dots d=(marks(&met, time, scale, "h0")) {}
        path.crosses d=(marks(&violated, time, scale, CROSS)) {}
        path.failed d=(marks(&failed, time, scale, CROSS)) {}
    };
    let number = |outcome| count(all(outcome).count() as u64);
    let heard = format!(
        "{label}: {} jobs, {} of them violated, {} failed",
        count(jobs.len() as u64),
        number(JobOutcome::Missed),
        number(JobOutcome::Failed)
    );
    picture(WIDTH, BOTTOM + LINE + 4.0, &heard, &content)
}

/// From when until when the jobs read which node.
fn spans(jobs: &[Job], lasts_s: f64) -> Vec<(f64, f64, u32)> {
    let mut spans: Vec<(f64, f64, u32)> = Vec::new();
    for job in jobs {
        match spans.last_mut() {
            Some(last) if last.2 == job.node => last.1 = job.at_s,
            _ => {
                let begins = spans.last().map_or(0.0, |last| last.1);
                spans.push((begins, job.at_s, job.node));
            }
        }
    }
    if let Some(last) = spans.last_mut() {
        last.1 = lasts_s;
    }
    spans
}

fn background(number: usize, (from_s, until_s, node): (f64, f64, u32), time: Scale) -> Markup {
    let (left, right) = (time.at(from_s), time.at(until_s));
    let name = format!("node {node}");
    let fits = right - left > name.len() as f64 * 6.2 + 4.0;
    let number_fits = right - left > 9.0;
    html! {
        rect.read.odd[number % 2 == 1] x=(At(left)) y=(At(TOP - 16.0)) width=(At(right - left)) height=(At(BOTTOM - TOP + 16.0)) {
            title { "reads " (name) }
        }
        @if fits { text.where x=(At((left + right) / 2.0)) y=(At(TOP - 5.0)) { (name) } }
        @else if number_fits { text.where x=(At((left + right) / 2.0)) y=(At(TOP - 5.0)) { (node) } }
    }
}

fn thinned(jobs: Vec<Job>) -> Vec<Job> {
    let shown = jobs.len().min(MOST);
    (0..shown).map(|index| jobs[index * jobs.len() / shown]).collect()
}

fn marks(jobs: &[Job], time: Scale, scale: Scale, shape: &str) -> String {
    let mut text = String::with_capacity(jobs.len() * (12 + shape.len()));
    for job in jobs {
        text.push('M');
        push(&mut text, time.at(job.at_s));
        text.push(' ');
        push(&mut text, scale.at(job.response_s));
        text.push_str(shape);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use JobOutcome::{Failed, Met, Missed};

    #[test]
    fn jobs_are_points_on_the_node_that_they_read() {
        let job = |at_s, response_s, node, outcome| Job { at_s, response_s, node, outcome };
        let all = [
            job(100.0, 50.0, 3, Missed),
            job(200.0, 25.0, 1, Met),
            job(300.0, 25.0, 1, Met),
            job(350.0, 0.0, 1, Failed),
        ];
        assert_eq!(spans(&all, 350.0), [(0.0, 100.0, 3), (100.0, 350.0, 1)]);
        let svg = jobs("Agent 1", &all, 350.0).into_string();
        assert!(svg.contains("aria-label=\"Agent 1: 4 jobs, 1 of them violated, 1 failed\""), "{svg}");
        assert!(svg.contains("M140 28m-3-3l6 6m0-6l-6 6"), "{svg}");
        assert!(svg.contains("M240 99h0M340 99h0"), "{svg}");
        assert!(svg.contains("class=\"failed\" d=\"M390 170m-3"), "{svg}");
        assert!(svg.contains(">node 3</text>") && svg.contains(">node 1</text>"), "{svg}");
    }
}
