//! Quantities over time: the means of all in one picture, and each with its band in a small one.

use super::scale::{Origin, Scale};
use super::{LINE, Path, picture, spread_out};
use crate::report::curve::Curve;
use crate::report::number::{At, Unit};
use agent_core::domain::text::shortened;
use maud::{Markup, html};

/// One line.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Line<'a> {
    pub name: &'a str,
    /// The class of its colour.
    pub class: &'static str,
    pub curve: &'a Curve,
}

const LEFT: f64 = 34.0;
const TOP: f64 = 8.0;
/// Longer names are cut \[characters\].
const NAME: usize = 14;

/// The means, each line with its name at its end. `label` is what the picture shows, in words.
pub fn means(label: &str, lines: &[Line], unit: Unit) -> Markup {
    const WIDTH: f64 = 400.0;
    const RIGHT: f64 = 90.0;
    const GAP: f64 = 13.0;
    let bottom = TOP + 270.0_f64.max(lines.len() as f64 * GAP);
    let time = Scale::linear(0.0, longest(lines), LEFT, WIDTH - RIGHT);
    // By their ends: on its way there every line is small.
    let values = lines.iter().filter_map(|line| Some(line.curve.last()?.mean));
    let scale = Scale::of(values.chain([0.0]), Origin::Zero, bottom, TOP);
    let ends: Vec<(&Line, f64)> =
        lines.iter().filter_map(|line| Some((line, scale.at(line.curve.last()?.mean)))).collect();
    let wanted: Vec<f64> = ends.iter().map(|(_, y)| *y).collect();
    let places = spread_out(&wanted, GAP, TOP + 4.0, bottom);
    let content = html! {
        (axes(time, scale, bottom, unit, (6, 6)))
        @for line in lines { g class=(line.class) { path.line d=(trace(line.curve, time, scale)) {} } }
        @for ((line, y), place) in ends.into_iter().zip(places) {
            g class=(line.class) {
                path.leader d={ "M" (At(WIDTH - RIGHT + 1.0)) " " (At(y)) "L" (At(WIDTH - RIGHT + 9.0)) " " (At(place)) } {}
                text.end x=(At(WIDTH - RIGHT + 11.0)) y=(At(place + 4.0)) { (shortened(line.name, NAME)) }
            }
        }
    };
    picture(WIDTH, bottom + LINE + 4.0, &format!("{label}. At the end: {}", heard(lines, unit)), &content)
}

/// What small pictures beside each other have in common.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Common<'a> {
    time_s: f64,
    scale: Scale,
    /// Drawn into every one, to compare with.
    beside: Option<Line<'a>>,
}

impl<'a> Common<'a> {
    pub fn of(lines: &[Line<'a>], beside: Option<Line<'a>>) -> Self {
        let values = lines.iter().filter_map(|line| Some(line.curve.last()?.high));
        Self { time_s: longest(lines), scale: Scale::of(values.chain([0.0]), Origin::Zero, 0.0, 1.0), beside }
    }
}

/// One mean within its band. `label` is what the picture shows, in words.
pub fn band(label: &str, line: Line, common: Common, unit: Unit) -> Markup {
    const WIDTH: f64 = 190.0;
    const BOTTOM: f64 = 116.0;
    let top = TOP + LINE;
    let time = Scale::linear(0.0, common.time_s, LEFT, WIDTH - 8.0);
    let scale = common.scale.between(BOTTOM, top);
    let content = html! {
        (axes(time, scale, BOTTOM, unit, (3, 3)))
        @if let Some(beside) = common.beside.filter(|beside| beside.name != line.name) {
            path.beside d=(trace(beside.curve, time, scale)) {}
        }
        g class=(line.class) {
            path.band d=(outline(line.curve, time, scale)) {}
            path.line d=(trace(line.curve, time, scale)) {}
            text.end x=(At(LEFT)) y=(At(TOP + 5.0)) { (shortened(line.name, NAME)) }
        }
    };
    let end = line.curve.last().map_or_else(
        || "no samples".to_owned(),
        |end| format!("{} at the end, {} to {}", unit.show(end.mean), unit.show(end.low), unit.show(end.high)),
    );
    picture(WIDTH, BOTTOM + LINE + 4.0, &format!("{label}, {}: {end}", line.name), &content)
}

fn axes(time: Scale, scale: Scale, bottom: f64, unit: Unit, (times, values): (usize, usize)) -> Markup {
    let moments = time.ticks(times, Unit::Seconds);
    let ticks = scale.ticks(values, unit);
    let (left, right) = (time.at(f64::NEG_INFINITY), time.at(f64::INFINITY));
    html! {
        @for (tick, text) in &ticks {
            line.grid.zero[*tick == 0.0] x1=(At(left)) x2=(At(right)) y1=(At(scale.at(*tick))) y2=(At(scale.at(*tick))) {}
            text.tick.side x=(At(left - 5.0)) y=(At(scale.at(*tick) + 4.0)) { (text) }
        }
        @for (moment, text) in &moments {
            text.tick x=(At(time.at(*moment))) y=(At(bottom + LINE)) { (text) }
        }
    }
}

fn longest(lines: &[Line]) -> f64 {
    let ends = lines.iter().filter_map(|line| Some(line.curve.last()?.at_s));
    ends.fold(0.0, f64::max).max(1.0)
}

/// Means as counted at each moment; in between a straight line, for a mean of many runs rises evenly.
fn trace(curve: &Curve, time: Scale, scale: Scale) -> String {
    let mut path = Path::default();
    for (index, point) in curve.points.iter().enumerate() {
        let (x, y) = (time.at(point.at_s), scale.at(point.mean));
        if index == 0 { path.start(x, y) } else { path.line(x, y) }
    }
    path.end()
}

fn outline(curve: &Curve, time: Scale, scale: Scale) -> String {
    let mut path = Path::default();
    for (index, point) in curve.points.iter().enumerate() {
        let (x, y) = (time.at(point.at_s), scale.at(point.high));
        if index == 0 { path.start(x, y) } else { path.line(x, y) }
    }
    for point in curve.points.iter().rev() {
        path.line(time.at(point.at_s), scale.at(point.low));
    }
    if curve.points.is_empty() {
        return String::new();
    }
    path.close();
    path.end()
}

fn heard(lines: &[Line], unit: Unit) -> String {
    let end = |line: &Line| Some(format!("{} {}", line.name, unit.show(line.curve.last()?.mean)));
    lines.iter().filter_map(end).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(slope: f64) -> Curve {
        let run = |factor: f64| (0..=120).map(|i| (f64::from(i) * 60.0, f64::from(i) * slope * factor)).collect();
        Curve::of(&[run(0.5), run(1.0), run(1.5)])
    }

    #[test]
    fn straight_lines_are_short_and_named_at_their_ends() {
        let (slow, fast) = (curve(0.1), curve(0.1));
        let lines = [
            Line { name: "cooperative", class: "k0", curve: &slow },
            Line { name: "<fixed>", class: "k3", curve: &fast },
        ];
        let svg = means("Violated jobs", &lines, Unit::Things).into_string();
        // Two hours and 12 jobs; both end at the top right, their names below each other.
        assert_eq!(svg.matches(r#"<path class="line" d="M34 278l276-270">"#).count(), 2, "{svg}");
        assert!(
            svg.contains(r#"y="16">cooperative</text>"#) && svg.contains(r#"y="29">&lt;fixed&gt;</text>"#),
            "{svg}"
        );
        assert!(svg.contains("At the end: cooperative 12; &lt;fixed&gt; 12"), "{svg}");
    }

    #[test]
    fn a_band_goes_there_and_back() {
        let curve = curve(0.1);
        let line = Line { name: "fixed", class: "k3", curve: &curve };
        let svg = band("Violated jobs", line, Common::of(&[line], Some(line)), Unit::Things).into_string();
        assert!(svg.contains("fixed: 12 at the end, 7.2 to 16.8"), "{svg}");
        assert_eq!((svg.matches("z\"").count(), svg.matches("beside").count()), (1, 0), "{svg}");
    }
}
