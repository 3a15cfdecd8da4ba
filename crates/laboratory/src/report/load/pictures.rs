//! What is drawn of a run over its time.

use super::{Course, Drawn, Part, Times, outcomes};
use crate::report::chart::against::{Line, Point, Seconds, apart, in_proportion, over_time};
use crate::report::chart::figure;
use crate::report::chart::moments::moments;
use crate::report::chart::scale::Scale;
use crate::report::number::Unit;
use crate::report::palette;
use crate::results::TelemetryRow;
use maud::{Markup, html};

type Percentile = (&'static str, fn(&Times) -> f64);
const PERCENTILES: [Percentile; 3] =
    [("50 %", |times| times.p50), ("95 %", |times| times.p95), ("99 %", |times| times.p99)];

/// Of more turns these are marked in every picture: more would hide the lines.
const TURNS: usize = 40;

/// All of them; nothing where nothing is stored but the run itself.
pub(super) fn all(name: &str, drawn: &Drawn) -> Markup {
    let (course, beside) = (&drawn.course, &drawn.beside);
    let lanes = beside.lanes(|at_us| drawn.second(at_us));
    if course.parts.is_empty() && beside.telemetry.is_empty() && lanes.is_empty() {
        return html! {};
    }
    let has_errors = course.parts.iter().any(|part| !part.errors.is_empty());
    let seconds = seconds(drawn);
    html! {
        div.figures {
            @if !course.parts.is_empty() {
                (latency(name, course, &seconds))
                (throughput(name, course, &seconds))
            }
            @if has_errors { (errors(name, course, &seconds)) }
            @for measure in &MACHINES { (machines(name, drawn, &seconds, measure)) }
            @if !lanes.is_empty() {
                (figure(
                    "What happened meanwhile",
                    &html! {
                        "Routes that changed, what was marked or asked, and what agents did: a point each. Beneath an agent its jobs: a "
                        "short mark where its goal was met, a tall one where it was missed. Dotted in every picture: a route that "
                        "changed, or an act of an agent."
                    },
                    &moments(&format!("What happened during {name}"), &lanes, &seconds),
                ))
            }
        }
    }
}

/// Those of all pictures of a run.
fn seconds(drawn: &Drawn) -> Seconds {
    let course = &drawn.course;
    let beside = &drawn.beside;
    let ends = [drawn.run.ended_us, beside.telemetry.iter().map(|row| row.at_us).max()];
    let ends = ends.into_iter().flatten().map(|at_us| drawn.second(at_us));
    let last = ends.fold(course.begins_s(course.parts.len()), f64::max);
    let marked: Vec<f64> = beside.turns_us().into_iter().map(|at_us| drawn.second(at_us)).collect();
    Seconds { last, marked: if marked.len() > TURNS { Vec::new() } else { marked } }
}

/// What is drawn of the machines that sent requests.
struct Measure {
    title: &'static str,
    note: &'static str,
    unit: Unit,
    of: fn(&TelemetryRow) -> Option<f64>,
}

const MACHINES: [Measure; 3] = [
    Measure {
        title: "Processors",
        note: "How busy all cores of a machine that sent requests were, whoever used them.",
        unit: Unit::Percent,
        of: |row| row.cpu_percent,
    },
    Measure {
        title: "Memory",
        note: "What programs held on these machines.",
        unit: Unit::Bytes,
        of: |row| row.memory_used_bytes.map(|bytes| bytes as f64),
    },
    Measure {
        title: "Network",
        note: "What these machines received and sent in a second, together and without the loopback.",
        unit: Unit::Bytes,
        of: |row| Some(row.received_bytes_per_s? + row.sent_bytes_per_s?),
    },
];

/// A line for each machine; nothing where nothing was measured.
fn machines(name: &str, drawn: &Drawn, seconds: &Seconds, measure: &Measure) -> Markup {
    let mut lines: Vec<Line> = Vec::new();
    for row in &drawn.beside.telemetry {
        let Some(value) = (measure.of)(row) else { continue };
        let point = Point::at(drawn.second(row.at_us), value);
        match lines.iter_mut().find(|line| line.name == row.host) {
            Some(line) => line.points.push(point),
            None => {
                let class = palette::agent(lines.len());
                lines.push(Line { name: row.host.clone(), class, points: vec![point], is_yardstick: false });
            }
        }
    }
    if lines.is_empty() {
        return html! {};
    }
    let up = match measure.unit {
        Unit::Percent => Scale::linear(0.0, 100.0, 0.0, 1.0),
        _ => in_proportion(&lines),
    };
    let label = format!("{} of the machines over {name}", measure.title);
    figure(measure.title, &html! { (measure.note) }, &over_time(&label, &lines, seconds, up, measure.unit))
}

/// Through the parts of which there is a value.
fn line(course: &Course, name: &str, class: &'static str, of: impl Fn(&Part) -> Option<f64>) -> Line {
    let points = course.parts.iter().enumerate();
    let points = points.filter_map(|(index, part)| Some(Point::at(course.middle_s(index), of(part)?)));
    Line { name: name.to_owned(), class, points: points.collect(), is_yardstick: false }
}

fn latency(name: &str, course: &Course, seconds: &Seconds) -> Markup {
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
        &over_time(&format!("Response time over {name}"), &lines, seconds, apart(&lines), Unit::Milliseconds),
    )
}

fn throughput(name: &str, course: &Course, seconds: &Seconds) -> Markup {
    let meant = Line {
        is_yardstick: true,
        ..line(course, "meant", palette::agent(1), |part| Some(course.rate(part.intended)))
    };
    // The dashed line last, so that it is seen where both are the same.
    let lines = [line(course, "answered", palette::agent(0), |part| Some(course.rate(part.answered))), meant];
    figure(
        "Requests in a second",
        &html! { "Meant to start (dashed), and answered below 400 when the answer was there." },
        &over_time(&format!("Throughput over {name}"), &lines, seconds, in_proportion(&lines), Unit::Things),
    )
}

fn errors(name: &str, course: &Course, seconds: &Seconds) -> Markup {
    let of_kind = |(index, kind): (usize, &str)| {
        line(course, &outcomes::in_words(kind), palette::agent(index), |part| {
            Some(course.rate(part.errors.get(kind).copied().unwrap_or(0)))
        })
    };
    let lines: Vec<Line> = course.kinds().into_iter().enumerate().map(of_kind).collect();
    figure(
        "Errors in a second",
        &html! { "Everything that was not answered below 400, by how it ended and when it did." },
        &over_time(&format!("Errors over {name}"), &lines, seconds, in_proportion(&lines), Unit::Things),
    )
}

#[cfg(test)]
mod tests {
    use super::super::beside::tests::beside;
    use super::super::tests::{drawn, run, trace, traces};
    use super::*;

    #[test]
    fn errors_are_drawn_where_there_are_any() {
        let run = run(1, None);
        let svg = all("run 1", &drawn(&run, &traces(100))).into_string();
        assert_eq!(svg.matches("<svg").count(), 3);
        // Five parts of 200 ms: 20 were meant to start in each, and 18 answered; three refusals came in the last one, two of
        // them at its ends.
        assert!(svg.contains("Response time over run 1. 50 % 10\u{a0}ms at 0.9\u{a0}s; 95 % 10\u{a0}ms"), "{svg}");
        assert!(svg.contains("Throughput over run 1. answered 90 at 0.9\u{a0}s; meant 100 at"), "{svg}");
        assert!(svg.contains("Errors over run 1. refused 15 at 0.9\u{a0}s"), "{svg}");
        let svg = all("run 1", &drawn(&run, &[trace(0, 10, "answered")])).into_string();
        assert_eq!((svg.matches("<svg").count(), svg.contains("Errors")), (2, false));
        assert_eq!(all("run 1", &drawn(&run, &[])).into_string(), "");
    }

    #[test]
    fn machines_and_what_happened_are_drawn_over_the_same_seconds_also_without_requests() {
        let run = run(1, None);
        let beside = beside(run.began_us);
        let svg = all("run 1", &Drawn { beside, ..drawn(&run, &[]) }).into_string();
        // Nobody measured the network.
        assert_eq!((svg.matches("<svg").count(), svg.contains("Response time")), (3, false), "{svg}");
        assert!(svg.contains("Processors of the machines over run 1. pico1 80\u{a0}% at 2\u{a0}s"), "{svg}");
        assert!(svg.contains("What happened during run 1. route 1; agent 2 1"), "{svg}");
        // At 1 s and at 2 s of 2, in each picture.
        assert_eq!(svg.matches("<line class=\"moment\" x1=\"176\"").count(), 3, "{svg}");
        assert_eq!(svg.matches("<line class=\"moment\" x1=\"304\"").count(), 3, "{svg}");
    }
}
