//! What is drawn of a run over its time.

use super::{Course, Part, Times, outcomes};
use crate::report::chart::against::{Line, Point, apart, in_proportion, over_time};
use crate::report::chart::figure;
use crate::report::number::Unit;
use crate::report::palette;
use maud::{Markup, html};

type Percentile = (&'static str, fn(&Times) -> f64);
const PERCENTILES: [Percentile; 3] =
    [("50 %", |times| times.p50), ("95 %", |times| times.p95), ("99 %", |times| times.p99)];

/// All of them; nothing where there are no traces.
pub(super) fn all(name: &str, course: &Course) -> Markup {
    if course.parts.is_empty() {
        return html! {};
    }
    let has_errors = course.parts.iter().any(|part| !part.errors.is_empty());
    html! {
        div.figures {
            (latency(name, course))
            (throughput(name, course))
            @if has_errors { (errors(name, course)) }
        }
    }
}

/// Through the parts of which there is a value.
fn line(course: &Course, name: &str, class: &'static str, of: impl Fn(&Part) -> Option<f64>) -> Line {
    let points = course.parts.iter().enumerate();
    let points = points.filter_map(|(index, part)| Some(Point::at(course.middle_s(index), of(part)?)));
    Line { name: name.to_owned(), class, points: points.collect(), is_yardstick: false }
}

fn latency(name: &str, course: &Course) -> Markup {
    let percentile = |(index, (name, of)): (usize, Percentile)| {
        line(course, name, palette::agent(index), |part| part.response_ms.as_ref().map(of))
    };
    let lines: Vec<Line> = PERCENTILES.into_iter().enumerate().map(percentile).collect();
    figure(
        "Response time",
        &html! {
            "From when a request was meant to start until it ended: so many percent took no longer. At the time at which they were "
            "meant to start, in parts of " (Unit::Seconds.show(course.part_s)) "."
        },
        &over_time(&format!("Response time over {name}"), &lines, apart(&lines), Unit::Milliseconds),
    )
}

fn throughput(name: &str, course: &Course) -> Markup {
    let meant = Line {
        is_yardstick: true,
        ..line(course, "meant", palette::agent(1), |part| Some(course.rate(part.intended)))
    };
    // The dashed line last, so that it is seen where both are the same.
    let lines = [line(course, "answered", palette::agent(0), |part| Some(course.rate(part.answered))), meant];
    figure(
        "Requests in a second",
        &html! { "Meant to start (dashed), and answered below 400 when the answer was there." },
        &over_time(&format!("Throughput over {name}"), &lines, in_proportion(&lines), Unit::Things),
    )
}

fn errors(name: &str, course: &Course) -> Markup {
    let of_kind = |(index, kind): (usize, &str)| {
        line(course, &outcomes::in_words(kind), palette::agent(index), |part| {
            Some(course.rate(part.errors.get(kind).copied().unwrap_or(0)))
        })
    };
    let lines: Vec<Line> = course.kinds().into_iter().enumerate().map(of_kind).collect();
    figure(
        "Errors in a second",
        &html! { "Everything that was not answered below 400, by how it ended and when it did." },
        &over_time(&format!("Errors over {name}"), &lines, in_proportion(&lines), Unit::Things),
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::{drawn, run, trace, traces};
    use super::*;

    #[test]
    fn errors_are_drawn_where_there_are_any() {
        let run = run(1, None);
        let svg = all("run 1", &drawn(&run, &traces(100)).course).into_string();
        assert_eq!(svg.matches("<svg").count(), 3);
        // Five parts of 200 ms: 20 were meant to start in each, and 18 answered; three refusals came in the last one, two of
        // them at its ends.
        assert!(svg.contains("Response time over run 1. 50 % 10\u{a0}ms at 0.9\u{a0}s; 95 % 10\u{a0}ms"), "{svg}");
        assert!(svg.contains("Throughput over run 1. answered 90 at 0.9\u{a0}s; meant 100 at"), "{svg}");
        assert!(svg.contains("Errors over run 1. refused 15 at 0.9\u{a0}s"), "{svg}");
        let svg = all("run 1", &drawn(&run, &[trace(0, 10, "answered")]).course).into_string();
        assert_eq!((svg.matches("<svg").count(), svg.contains("Errors")), (2, false));
        assert_eq!(all("run 1", &Course::default()).into_string(), "");
    }
}
