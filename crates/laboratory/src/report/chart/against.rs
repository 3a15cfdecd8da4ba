//! A quantity against another one: a line for each of several, with its points and their intervals.

use super::scale::{Origin, Scale};
use super::{LINE, Path, picture, spread_out};
use crate::report::number::{At, Unit};
use crate::report::statistics::Estimate;
use agent_core::domain::text::shortened;
use maud::{Markup, html};

/// One line.
#[derive(Clone, PartialEq, Debug)]
pub struct Line {
    pub name: String,
    /// The class of its colour.
    pub class: &'static str,
    /// From left to right.
    pub points: Vec<Point>,
    /// Somebody else's, to compare with: shown hollow and dashed.
    pub is_yardstick: bool,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Point {
    pub x: f64,
    pub y: f64,
    /// The ends of its interval; both `y` where there is none.
    pub low: f64,
    pub high: f64,
}

impl Point {
    /// Without an interval.
    pub fn at(x: f64, y: f64) -> Self {
        Self { x, y, low: y, high: y }
    }

    pub fn of(x: f64, estimate: Estimate) -> Self {
        Self { x, y: estimate.mean, low: estimate.low(), high: estimate.high() }
    }
}

pub(super) const WIDTH: f64 = 400.0;
const LEFT: f64 = 48.0;
pub(super) const RIGHT: f64 = 96.0;
const TOP: f64 = 8.0;
/// Between two names.
const GAP: f64 = 13.0;
/// A line that ends further from the names has its name at its end.
const FAR: f64 = 60.0;
/// Longer names are cut \[characters\].
pub(super) const NAME: usize = 15;
/// Lines with more points show none of them.
const MARKED: usize = 12;

/// How the intervals of a line's points are shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Intervals {
    /// Each by itself.
    Whiskers,
    /// As what the line lies in.
    Band,
}

/// The axis to the right.
struct Across<'a> {
    scale: Scale,
    unit: Unit,
    /// Places on it that are marked.
    marked: &'a [f64],
}

/// `label` is what the picture shows, in words; `across` and `up` are the units of the axes.
pub fn against(label: &str, lines: &[Line], across: Unit, up: Unit) -> Markup {
    let points = lines.iter().flat_map(|line| &line.points);
    let x = Scale::of(points.map(|point| point.x).chain([0.0]), Origin::Zero, LEFT, WIDTH - RIGHT);
    on_axes(label, lines, Intervals::Whiskers, Across { scale: x, unit: across, marked: &[] }, (apart(lines), up))
}

/// The same in proportion on both axes, with the intervals as bands.
pub fn banded(label: &str, lines: &[Line], across: Unit, up: Unit) -> Markup {
    let last = lines.iter().flat_map(|line| &line.points).map(|point| point.x).fold(0.0, f64::max);
    let x = Scale::linear(0.0, last, LEFT, WIDTH - RIGHT);
    on_axes(label, lines, Intervals::Band, Across { scale: x, unit: across, marked: &[] }, (in_proportion(lines), up))
}

/// The seconds that several pictures have in common; they lie as far apart as they passed, however many there are.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Seconds {
    pub last: f64,
    /// Moments that are to be found again in every picture.
    pub marked: Vec<f64>,
}

impl Seconds {
    pub(super) fn axis(&self) -> Scale {
        Scale::linear(0.0, self.last, LEFT, WIDTH - RIGHT)
    }
}

/// The same over seconds. `y` is the axis upwards, wherever it is.
pub fn over_time(label: &str, lines: &[Line], seconds: &Seconds, y: Scale, up: Unit) -> Markup {
    let across = Across { scale: seconds.axis(), unit: Unit::Seconds, marked: &seconds.marked };
    on_axes(label, lines, Intervals::Whiskers, across, (y, up))
}

/// Lines at these moments.
pub(super) fn marked(x: Scale, moments: &[f64], top: f64, bottom: f64) -> Markup {
    html! {
        @for at in moments { line.moment x1=(At(x.at(*at))) x2=(At(x.at(*at))) y1=(At(top)) y2=(At(bottom)) {} }
    }
}

/// An axis upwards on which all values can be told apart.
pub fn apart(lines: &[Line]) -> Scale {
    let points = lines.iter().flat_map(|line| &line.points);
    Scale::of(points.flat_map(|point| [point.low, point.high]).chain([0.0]), Origin::Zero, 0.0, 1.0)
}

/// An axis upwards on which twice as much is twice as high.
pub fn in_proportion(lines: &[Line]) -> Scale {
    let highest = lines.iter().flat_map(|line| &line.points).map(|point| point.high).fold(0.0, f64::max);
    Scale::linear(0.0, if highest > 0.0 { highest } else { 1.0 }, 0.0, 1.0)
}

fn on_axes(label: &str, lines: &[Line], intervals: Intervals, across: Across, (y, up): (Scale, Unit)) -> Markup {
    let Across { scale: x, unit: across, marked: moments } = across;
    let bottom = TOP + 230.0_f64.max(lines.len() as f64 * GAP);
    let y = y.between(bottom, TOP);
    let ends: Vec<(&Line, &Point)> = lines.iter().filter_map(|line| Some((line, line.points.last()?))).collect();
    // Names stand in a column at the right; where a line ends far from it, its name stands there.
    let (near, far): (Vec<_>, Vec<_>) = ends.into_iter().partition(|(_, last)| x.at(last.x) > WIDTH - RIGHT - FAR);
    let wanted: Vec<f64> = near.iter().map(|(_, last)| y.at(last.y)).collect();
    let places = spread_out(&wanted, GAP, TOP + 4.0, bottom);
    let content = html! {
        (axes(x, y, bottom, across, up))
        (marked(x, moments, TOP, bottom))
        @for line in lines { (drawn(line, intervals, x, y, up)) }
        @for ((line, last), place) in near.into_iter().zip(places) { g class=(line.class) {
            path.leader d={ "M" (At(x.at(last.x) + 5.0)) " " (At(y.at(last.y))) "L" (At(WIDTH - RIGHT + 9.0)) " " (At(place)) } {}
            (named(line, WIDTH - RIGHT + 11.0, place))
        } }
        @for (line, last) in far { g class=(line.class) { (named(line, x.at(last.x) + 7.0, y.at(last.y))) } }
    };
    picture(WIDTH, bottom + LINE + 4.0, &format!("{label}. {}", heard(lines, across, up)), &content)
}

fn named(line: &Line, x: f64, y: f64) -> Markup {
    html! { text.end.yardstick[line.is_yardstick] x=(At(x)) y=(At(y + 4.0)) { (shortened(&line.name, NAME)) } }
}

fn axes(x: Scale, y: Scale, bottom: f64, across: Unit, up: Unit) -> Markup {
    html! {
        @for (tick, text) in &y.ticks(5, up) {
            line.grid.zero[*tick == 0.0] x1=(At(LEFT)) x2=(At(WIDTH - RIGHT)) y1=(At(y.at(*tick))) y2=(At(y.at(*tick))) {}
            text.tick.side x=(At(LEFT - 5.0)) y=(At(y.at(*tick) + 4.0)) { (text) }
        }
        @for (tick, text) in &x.ticks_across(6, across) {
            text.tick x=(At(x.at(*tick))) y=(At(bottom + LINE)) { (text) }
        }
    }
}

fn drawn(line: &Line, intervals: Intervals, x: Scale, y: Scale, up: Unit) -> Markup {
    // A single point has no band.
    let is_banded = intervals == Intervals::Band && line.points.len() > 1;
    let mut path = Path::default();
    for (index, point) in line.points.iter().enumerate() {
        let (x, y) = (x.at(point.x), y.at(point.y));
        if index == 0 { path.start(x, y) } else { path.line(x, y) }
    }
    let marked = if line.points.len() <= MARKED { line.points.as_slice() } else { &[] };
    html! {
        g class=(line.class) {
            @if is_banded { path.band d=(outline(&line.points, x, y)) {} }
            @if line.points.len() > 1 { path class=(if line.is_yardstick { "beside" } else { "line" }) d=(path.end()) {} }
            @for point in marked {
                @if point.low < point.high && !is_banded {
                    line.whisker x1=(At(x.at(point.x))) x2=(At(x.at(point.x))) y1=(At(y.at(point.low))) y2=(At(y.at(point.high))) {}
                }
                circle class=[line.is_yardstick.then_some("hollow")] cx=(At(x.at(point.x))) cy=(At(y.at(point.y))) r="3.2" {
                    title { (line.name) ": " (up.show(point.y)) }
                }
            }
        }
    }
}

/// Along the upper ends of the intervals and back along the lower ones.
fn outline(points: &[Point], x: Scale, y: Scale) -> String {
    let mut path = Path::default();
    for (index, point) in points.iter().enumerate() {
        let (x, y) = (x.at(point.x), y.at(point.high));
        if index == 0 { path.start(x, y) } else { path.line(x, y) }
    }
    for point in points.iter().rev() {
        path.line(x.at(point.x), y.at(point.low));
    }
    path.close();
    path.end()
}

/// The ends of the lines for those who do not see them.
fn heard(lines: &[Line], across: Unit, up: Unit) -> String {
    let line = |line: &Line| {
        let last = line.points.last()?;
        Some(format!("{} {} at {}", line.name, up.show(last.y), across.show(last.x)))
    };
    lines.iter().filter_map(line).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_lie_where_their_values_say_and_lines_are_named() {
        let lines = [
            Line {
                name: "fan-out <3>".to_owned(),
                class: "k0",
                points: vec![Point { x: 50.0, y: 2.0, low: 1.0, high: 3.0 }, Point::at(100.0, 4.0)],
                is_yardstick: false,
            },
            Line { name: "published".to_owned(), class: "k0", points: vec![Point::at(100.0, 8.0)], is_yardstick: true },
        ];
        let svg = against("Rounds", &lines, Unit::Things, Unit::Things).into_string();
        // 0 to 100 lie between 48 and 304, 0 to 8 between 238 and 8.
        assert!(svg.contains(r#"<path class="line" d="M176 180.5l128-57.5">"#), "{svg}");
        assert!(svg.contains(r#"<line class="whisker" x1="176" x2="176" y1="209.3" y2="151.8">"#), "{svg}");
        assert!(svg.contains(r#"<circle class="hollow" cx="304" cy="8" r="3.2">"#), "{svg}");
        assert!(svg.contains("aria-label=\"Rounds. fan-out &lt;3&gt; 4 at 100; published 8 at 100\""), "{svg}");
        assert_eq!((svg.matches("<circle").count(), svg.matches("<path class=\"line\"").count()), (3, 1));
    }

    #[test]
    fn time_passes_evenly_and_nothing_is_bent_in_proportion() {
        let points = [0.5, 1.0, 60.0].map(|at| Point::at(at, at * 2.0)).to_vec();
        let lines = [Line { name: "meant".to_owned(), class: "k0", points, is_yardstick: false }];
        let seconds = Seconds { last: 60.0, marked: vec![30.0] };
        let svg = over_time("Rates", &lines, &seconds, in_proportion(&lines), Unit::Things).into_string();
        // 0 to 60 s lie between 48 and 304, 0 to 120 between 238 and 8: one straight line.
        assert!(svg.contains(r#"<path class="line" d="M50.1 236.1l253.9-228.1">"#), "{svg}");
        assert!(svg.contains("aria-label=\"Rates. meant 120 at 60\u{a0}s\""), "{svg}");
        assert!(svg.contains(r#"<line class="moment" x1="176" x2="176" y1="8" y2="238">"#), "{svg}");
    }

    #[test]
    fn a_band_goes_along_the_intervals_and_back() {
        let point = |x, y, by| Point { x, y, low: y - by, high: y + by };
        let line = |points| Line { name: "below".to_owned(), class: "k0", points, is_yardstick: false };
        let svg =
            banded("Served", &[line(vec![point(0.0, 1.0, 0.0), point(1.0, 0.5, 0.25)])], Unit::Share, Unit::Share);
        // 0 to 1 lie between 48 and 304 across, and between 238 and 8 upwards.
        let svg = svg.into_string();
        assert!(svg.contains(r#"<path class="band" d="M48 8l256 57.5v115l-256-172.5z">"#), "{svg}");
        assert_eq!((svg.matches("<circle").count(), svg.contains("whisker")), (2, false), "{svg}");
        let svg = banded("Served", &[line(vec![point(0.5, 0.5, 0.25)])], Unit::Share, Unit::Share).into_string();
        assert!(svg.contains("whisker") && !svg.contains("class=\"band\""), "{svg}");
    }

    #[test]
    fn nothing_is_an_empty_picture() {
        let svg = against("Rounds", &[], Unit::Things, Unit::Things).into_string();
        assert_eq!((svg.matches("<circle").count(), svg.matches("<svg").count()), (0, 1));
    }
}
