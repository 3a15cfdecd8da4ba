//! How the runs of each policy lie: every run a point, the middle half a box.

use super::scale::{Origin, Scale};
use super::{LINE, picture};
use crate::report::number::{At, Unit, push};
use crate::report::statistics::Spread;
use agent_core::domain::text::shortened;
use maud::{Markup, html};

/// The runs of one policy.
#[derive(Clone, PartialEq, Debug)]
pub struct Sample<'a> {
    pub name: &'a str,
    /// The class of its colour.
    pub class: &'static str,
    pub values: Vec<f64>,
}

const WIDTH: f64 = 400.0;
const LEFT: f64 = 86.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 6.0;
/// Room for points, and below them for a box.
const POINTS: f64 = 13.0;
const BOX: f64 = 7.0;
const ROW: f64 = POINTS + BOX + 6.0;
/// More runs than that are shown by so many of them, evenly chosen in order of size.
const MOST: usize = 400;

/// `label` is what the picture shows, in words.
pub fn distribution(label: &str, samples: &[Sample], unit: Unit) -> Markup {
    let bottom = TOP + samples.len() as f64 * ROW;
    let values = samples.iter().flat_map(|sample| sample.values.iter().copied());
    let scale = Scale::of(values, Origin::Zero, LEFT + 4.0, WIDTH - RIGHT);
    let ticks = scale.ticks_across(6, unit);
    let content = html! {
        @for (tick, text) in &ticks {
            line.grid.zero[*tick == 0.0] x1=(At(scale.at(*tick))) x2=(At(scale.at(*tick))) y1=(At(TOP)) y2=(At(bottom)) {}
            text.tick x=(At(scale.at(*tick))) y=(At(bottom + LINE)) { (text) }
        }
        @for (index, sample) in samples.iter().enumerate() { (row(sample, TOP + index as f64 * ROW, scale, unit)) }
    };
    picture(WIDTH, bottom + LINE + 6.0, &format!("{label}. {}", heard(samples, unit)), &content)
}

fn row(sample: &Sample, top: f64, scale: Scale, unit: Unit) -> Markup {
    let middle = top + POINTS + BOX / 2.0 + 1.0;
    let x = |value: f64| At(scale.at(value));
    html! {
        g class=(sample.class) {
            text.name x="4" y=(At(top + ROW / 2.0 + 4.0)) { (shortened(sample.name, 14)) }
            @if let Some(spread) = Spread::of(&sample.values) {
                title { (sample.name) ": " (in_words(spread, unit)) }
                path.points d=(points(&sample.values, top + 2.0, scale)) {}
                line.whisker x1=(x(spread.low)) x2=(x(spread.high)) y1=(At(middle)) y2=(At(middle)) {}
                rect.box x=(x(spread.quartile)) y=(At(middle - BOX / 2.0))
                    width=(At((scale.at(spread.upper_quartile) - scale.at(spread.quartile)).max(1.0))) height=(At(BOX)) {}
                line.median x1=(x(spread.median)) x2=(x(spread.median)) y1=(At(middle - BOX / 2.0 - 1.0)) y2=(At(middle + BOX / 2.0 + 1.0)) {}
            }
        }
    }
}

/// A point for each value, at heights that differ without chance: steps of the golden ratio.
fn points(values: &[f64], top: f64, scale: Scale) -> String {
    const GOLDEN: f64 = 0.618_033_988_749_895;
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let shown = sorted.len().min(MOST);
    let mut text = String::with_capacity(shown * 13);
    for index in 0..shown {
        let value = sorted[index * sorted.len() / shown];
        let height = (index as f64 * GOLDEN).fract() * (POINTS - 3.0);
        text.push('M');
        push(&mut text, scale.at(value));
        text.push(' ');
        push(&mut text, top + height);
        text.push_str("h0");
    }
    text
}

fn in_words(spread: Spread, unit: Unit) -> String {
    let show = |value| unit.show(value);
    format!(
        "median {}, middle half {} to {}, 5 % to 95 % {} to {}",
        show(spread.median),
        show(spread.quartile),
        show(spread.upper_quartile),
        show(spread.low),
        show(spread.high)
    )
}

fn heard(samples: &[Sample], unit: Unit) -> String {
    let one = |sample: &Sample| {
        let spread = Spread::of(&sample.values).map_or_else(|| "no run".to_owned(), |spread| in_words(spread, unit));
        format!("{}: {spread}", sample.name)
    };
    samples.iter().map(one).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_is_a_point_and_the_middle_half_a_box() {
        let values = (0..=4).map(f64::from).collect();
        let svg = distribution("Runs", &[Sample { name: "fixed", class: "k3", values }], Unit::Things).into_string();
        // 0 to 4 lie between 90 and 386.
        assert_eq!(svg.matches("h0").count(), 5);
        assert!(svg.contains("M90 8h0M164 14.2h0"), "{svg}");
        assert!(svg.contains(r#"<rect class="box" x="164" y="20" width="148" height="7">"#), "{svg}");
        assert!(svg.contains("fixed: median 2, middle half 1 to 3, 5 % to 95 % 0.2 to 3.8"), "{svg}");
    }

    #[test]
    fn of_many_runs_some_are_shown() {
        let values = (0..1000).map(f64::from).collect();
        let svg = distribution("Runs", &[Sample { name: "fixed", class: "k3", values }], Unit::Things).into_string();
        assert_eq!(svg.matches("h0").count(), MOST);
    }
}
