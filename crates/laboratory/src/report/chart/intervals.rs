//! Means with their intervals, a row for each policy.

use super::scale::{Origin, Scale};
use super::{LINE, picture};
use crate::report::number::{At, Unit};
use crate::report::statistics::Estimate;
use crate::report::table::{in_words, interval};
use agent_core::domain::text::shortened;
use maud::{Markup, html};

/// One row.
#[derive(Clone, PartialEq, Debug)]
pub struct Row<'a> {
    pub name: &'a str,
    /// The class of its colour.
    pub class: &'static str,
    /// `None`: no run has such a value.
    pub estimate: Option<Estimate>,
    pub is_winner: bool,
    /// It knows the future: shown hollow.
    pub is_yardstick: bool,
}

/// How much room there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Size {
    /// With the intervals in figures beside the marks.
    Full,
    /// With the means only.
    Small,
}

/// Longer names are cut \[characters\].
const NAME: usize = 14;
const ROW: f64 = 19.0;
const TOP: f64 = 6.0;

/// `label` is what the picture shows, in words.
pub fn intervals(label: &str, rows: &[Row], unit: Unit, origin: Origin, size: Size) -> Markup {
    let (width, left, right) = match size {
        Size::Full => (400.0, 82.0, 128.0),
        Size::Small => (300.0, 82.0, 56.0),
    };
    let bottom = TOP + rows.len() as f64 * ROW;
    let height = bottom + LINE + 6.0;
    let ends = rows.iter().filter_map(|row| row.estimate).flat_map(|estimate| [estimate.low(), estimate.high()]);
    let scale = Scale::of(ends, origin, left + 4.0, width - right - 8.0);
    let ticks = scale.ticks_across(5, unit);
    let content = html! {
        (winner(rows, width))
        @for (tick, text) in &ticks {
            line.grid.zero[*tick == 0.0] x1=(At(scale.at(*tick))) x2=(At(scale.at(*tick))) y1=(At(TOP)) y2=(At(bottom)) {}
            text.tick x=(At(scale.at(*tick))) y=(At(bottom + LINE)) { (text) }
        }
        @for (index, row) in rows.iter().enumerate() {
            (one(row, TOP + (index as f64 + 0.5) * ROW, scale, (width, right), unit, size))
        }
    };
    picture(width, height, &format!("{label}. {}", heard(rows, unit)), &content)
}

fn winner(rows: &[Row], width: f64) -> Markup {
    let at = rows.iter().position(|row| row.is_winner);
    html! { @if let Some(index) = at {
        rect.won x="0" y=(At(TOP + index as f64 * ROW)) width=(At(width)) height=(At(ROW)) rx="4" {}
    } }
}

fn one(row: &Row, y: f64, scale: Scale, (width, right): (f64, f64), unit: Unit, size: Size) -> Markup {
    let value = row.estimate.map_or_else(|| "\u{2013}".to_owned(), |estimate| unit.show(estimate.mean));
    html! {
        g class=(row.class) {
            text.name.won[row.is_winner].yardstick[row.is_yardstick] x="4" y=(At(y + 4.0)) { (shortened(row.name, NAME)) }
            @if let Some(estimate) = row.estimate {
                title { (row.name) ": " (in_words(estimate, unit)) ", " (estimate.values) " runs" }
                line.span x1=(At(scale.at(estimate.low()))) x2=(At(scale.at(estimate.high()))) y1=(At(y)) y2=(At(y)) {}
                circle class=[row.is_yardstick.then_some("hollow")] cx=(At(scale.at(estimate.mean))) cy=(At(y)) r="4" {}
            }
            text.value x=(At(width - right + 4.0)) y=(At(y + 4.0)) {
                (value)
                @if size == Size::Full && let Some(ends) = row.estimate.and_then(|estimate| interval(estimate, unit)) {
                    tspan.ends dx="4" { (ends) }
                }
            }
        }
    }
}

/// The rows for those who do not see them.
fn heard(rows: &[Row], unit: Unit) -> String {
    let row = |row: &Row| match row.estimate {
        Some(estimate) => format!("{} {}", row.name, in_words(estimate, unit)),
        None => format!("{} has none", row.name),
    };
    rows.iter().map(row).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::statistics::Interval;

    #[test]
    fn each_row_has_its_mark_between_its_ends() {
        let row = |name, mean, interval| Row {
            name,
            class: "k0",
            estimate: Some(Estimate { values: 3, mean, interval }),
            is_winner: mean == 1.0,
            is_yardstick: false,
        };
        let rows = [
            row("one", 1.0, Some(Interval { low: 0.5, high: 1.5 })),
            row("four", 4.0, None),
            Row { estimate: None, ..row("idle <b>", 0.0, None) },
        ];
        let svg = intervals("Violated jobs", &rows, Unit::Things, Origin::Zero, Size::Full).into_string();
        // 0 to 4 lie between 86 and 264.
        assert!(svg.contains(r#"<line class="span" x1="108.3" x2="152.8" y1="15.5" y2="15.5">"#), "{svg}");
        assert!(svg.contains(r#"<circle cx="130.5" cy="15.5" r="4">"#), "{svg}");
        assert!(svg.contains(r#"<circle cx="264" cy="34.5" r="4">"#), "{svg}");
        assert!(
            svg.contains("aria-label=\"Violated jobs. one 1 [0.5, 1.5]; four 4; idle &lt;b&gt; has none\""),
            "{svg}"
        );
        assert_eq!(svg.matches("<circle").count(), 2);
    }
}
