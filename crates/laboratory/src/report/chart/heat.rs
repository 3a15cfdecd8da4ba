//! How busy each of many things was over time: a row for each, a cell for each part of the time, the darker the busier.

use super::{LINE, picture};
use crate::report::number::{At, Unit};
use agent_core::domain::text::shortened;
use maud::{Markup, html};

/// One thing.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    pub name: String,
    /// The shares of each part of the time in which it was busy, from 0 to 1; `None`: nobody knows.
    pub shares: Vec<Option<f64>>,
}

const WIDTH: f64 = 800.0;
const LEFT: f64 = 96.0;
const RIGHT: f64 = 8.0;
const TOP: f64 = 4.0;
const HEIGHT: f64 = 12.0;

/// `label` is what the picture shows, in words; the time is from 0 to `lasts_s`.
pub fn heat(label: &str, rows: &[Row], lasts_s: f64) -> Markup {
    let bottom = TOP + rows.len() as f64 * HEIGHT;
    let parts = rows.iter().map(|row| row.shares.len()).max().unwrap_or(0).max(1);
    let wide = (WIDTH - LEFT - RIGHT) / parts as f64;
    let content = html! {
        @for (index, row) in rows.iter().enumerate() {
            @let top = TOP + index as f64 * HEIGHT;
            text.name x="4" y=(At(top + HEIGHT - 2.0)) { (shortened(&row.name, 15)) }
            @for (part, share) in row.shares.iter().enumerate() {
                @if let Some(share) = share.filter(|share| *share > 0.0) {
                    rect.heat x=(At(LEFT + part as f64 * wide)) y=(At(top)) width=(At(wide)) height=(At(HEIGHT - 1.0))
                        fill-opacity=(format!("{share:.2}")) { title { (row.name) ": " (Unit::Share.show(share)) } }
                }
            }
        }
        text.tick x=(At(LEFT)) y=(At(bottom + LINE)) { "0" }
        text.tick x=(At(WIDTH - RIGHT)) y=(At(bottom + LINE)) text-anchor="end" { (Unit::Seconds.show(lasts_s)) }
    };
    picture(WIDTH, bottom + LINE + 4.0, &format!("{label}. {}", heard(rows)), &content)
}

fn heard(rows: &[Row]) -> String {
    let mean = |row: &Row| {
        let known: Vec<f64> = row.shares.iter().flatten().copied().collect();
        let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
        format!("{}: {}", row.name, Unit::Share.show(mean))
    };
    rows.iter().map(mean).collect::<Vec<_>>().join(", ")
}
