//! Tables: written once, as HTML for people and as CSV for programs.

use super::number::{Unit, count, digits, joined};
use super::statistics::Estimate;
use maud::{Markup, html};
use std::fmt::Write as _;

/// Text that is never broken into lines \[characters\].
const SHORT: usize = 24;

#[derive(Clone, PartialEq, Debug)]
pub struct Table {
    /// What the CSV file is called, without `.csv`.
    pub name: &'static str,
    pub caption: String,
    pub columns: Vec<Column>,
    /// As many cells as there are columns; the first names the row.
    pub rows: Vec<Vec<Cell>>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Column {
    /// As a program calls it.
    pub key: String,
    pub title: String,
    pub kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Text,
    /// Longer text, which may be broken into lines.
    Prose,
    /// A number of things, to the last digit.
    Count,
    Number(Unit),
    /// A mean with its interval: three columns in CSV.
    Estimate(Unit),
}

#[derive(Clone, PartialEq, Debug)]
pub enum Cell {
    Text(String),
    Count(u64),
    Number(f64),
    Estimate(Estimate),
    /// There is no such value.
    Missing,
}

impl Column {
    pub fn new(key: impl Into<String>, title: impl Into<String>, kind: Kind) -> Self {
        Self { key: key.into(), title: title.into(), kind }
    }

    pub fn text(key: &str, title: &str) -> Self {
        Self::new(key, title, Kind::Text)
    }

    pub fn prose(key: &str, title: &str) -> Self {
        Self::new(key, title, Kind::Prose)
    }

    pub fn count(key: &str, title: &str) -> Self {
        Self::new(key, title, Kind::Count)
    }

    pub fn number(key: &str, title: &str, unit: Unit) -> Self {
        Self::new(key, title, Kind::Number(unit))
    }

    pub fn estimate(key: &str, title: &str, unit: Unit) -> Self {
        Self::new(key, title, Kind::Estimate(unit))
    }

    fn unit(&self) -> Unit {
        match self.kind {
            Kind::Text | Kind::Prose | Kind::Count => Unit::Things,
            Kind::Number(unit) | Kind::Estimate(unit) => unit,
        }
    }
}

impl Cell {
    pub fn text(text: impl Into<String>) -> Self {
        Cell::Text(text.into())
    }

    pub fn number(value: Option<f64>) -> Self {
        value.map_or(Cell::Missing, Cell::Number)
    }

    pub fn estimate(estimate: Option<Estimate>) -> Self {
        estimate.map_or(Cell::Missing, Cell::Estimate)
    }

    /// Only text that is long takes the width of prose, so that a column of short ones stays narrow.
    fn class(&self, kind: Kind) -> Option<&'static str> {
        match self {
            Cell::Text(text) if kind == Kind::Prose && text.chars().count() <= SHORT => None,
            Cell::Missing if kind == Kind::Prose => None,
            _ => class(kind),
        }
    }

    fn html(&self, unit: Unit) -> Markup {
        match self {
            Cell::Text(text) => html! { (text) },
            Cell::Count(number) => html! { (count(*number)) },
            Cell::Number(value) => html! { (unit.show(*value)) },
            Cell::Estimate(estimate) => with_interval(*estimate, unit),
            Cell::Missing => html! { span.none title="no such value" { "\u{2013}" } },
        }
    }
}

/// `0.42` and, smaller, `0.33 to 0.52`.
pub fn with_interval(estimate: Estimate, unit: Unit) -> Markup {
    html! {
        (unit.show(estimate.mean))
        @if let Some(text) = interval(estimate, unit) { " " small.ci { (text) } }
    }
}

/// `[0.33, 0.52]`, in the unit in which the mean is shown; `None` of a single value.
pub fn interval(estimate: Estimate, unit: Unit) -> Option<String> {
    let (size, _) = unit.scaled(estimate.mean);
    estimate.interval.map(|it| format!("[{}, {}]", digits(it.low / size), digits(it.high / size)))
}

/// `0.42 [0.33, 0.52]`, as plain text.
pub fn in_words(estimate: Estimate, unit: Unit) -> String {
    let (size, name) = unit.scaled(estimate.mean);
    let mean = joined(&digits(estimate.mean / size), name);
    interval(estimate, unit).map_or(mean.clone(), |interval| format!("{mean} {interval}"))
}

impl Table {
    /// Leaves a column out.
    pub fn remove(&mut self, key: &str) {
        if let Some(place) = self.columns.iter().position(|column| column.key == key) {
            self.columns.remove(place);
            self.rows.iter_mut().for_each(|row| _ = row.remove(place));
        }
    }

    pub fn html(&self) -> Markup {
        html! {
            div.scroll role="region" aria-label=(self.caption) tabindex="0" {
                table {
                    caption { (self.caption) }
                    thead { tr {
                        @for column in &self.columns { th scope="col" class=[class(column.kind)] { (column.title) } }
                    } }
                    tbody {
                        @for row in &self.rows { tr {
                            @for (index, (cell, column)) in row.iter().zip(&self.columns).enumerate() {
                                @if index == 0 { th scope="row" { (cell.html(column.unit())) } }
                                @else { td class=[cell.class(column.kind)] { (cell.html(column.unit())) } }
                            }
                        } }
                    }
                }
            }
        }
    }

    /// As RFC 4180 wants it, except that lines end as lines do here. What is missing is empty; shares are 0 to 1.
    pub fn csv(&self) -> String {
        let mut text = String::new();
        let headers = self.columns.iter().flat_map(|column| {
            let key = format!("{}{}", column.key, column.unit().suffix());
            match column.kind {
                Kind::Text | Kind::Prose | Kind::Count | Kind::Number(_) => vec![key],
                Kind::Estimate(_) => vec![key.clone(), format!("{key}_low"), format!("{key}_high")],
            }
        });
        line(&mut text, headers);
        for row in &self.rows {
            line(&mut text, row.iter().zip(&self.columns).flat_map(|(cell, column)| fields(cell, column.kind)));
        }
        text
    }
}

fn class(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Text => None,
        Kind::Prose => Some("prose"),
        Kind::Count | Kind::Number(_) | Kind::Estimate(_) => Some("number"),
    }
}

fn fields(cell: &Cell, kind: Kind) -> Vec<String> {
    let mut fields = match cell {
        Cell::Text(text) => vec![text.clone()],
        Cell::Count(number) => vec![number.to_string()],
        Cell::Number(value) => vec![value.to_string()],
        Cell::Estimate(estimate) => {
            let ends = estimate.interval.map(|interval| [interval.low, interval.high]);
            let ends = ends.map_or([String::new(), String::new()], |ends| ends.map(|end| end.to_string()));
            [vec![estimate.mean.to_string()], ends.to_vec()].concat()
        }
        Cell::Missing => Vec::new(),
    };
    fields.resize(if matches!(kind, Kind::Estimate(_)) { 3 } else { 1 }, String::new());
    fields
}

fn line(text: &mut String, fields: impl IntoIterator<Item = String>) {
    for (index, field) in fields.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        // Writing to a string does not fail.
        _ = match field.contains([',', '"', '\n', '\r']) {
            true => write!(text, "\"{}\"", field.replace('"', "\"\"")),
            false => write!(text, "{field}"),
        };
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::super::statistics::Interval;
    use super::*;

    fn table() -> Table {
        let estimate = Estimate { values: 200, mean: 0.4236, interval: Some(Interval { low: 0.33, high: 0.5 }) };
        Table {
            name: "policies",
            caption: "All <policies>".to_owned(),
            columns: vec![
                Column::text("policy", "Policy"),
                Column::count("runs", "Runs"),
                Column::number("last_action", "Last action", Unit::Seconds),
                Column::estimate("violated", "Violated jobs", Unit::Things),
            ],
            rows: vec![
                vec![Cell::text("a, \"b\" & <c>"), Cell::Count(1200), Cell::Number(437.5), Cell::Estimate(estimate)],
                vec![Cell::text("none"), Cell::Count(0), Cell::Missing, Cell::Missing],
            ],
        }
    }

    #[test]
    fn programs_read_every_digit() {
        let csv = "policy,runs,last_action_s,violated,violated_low,violated_high\n\
                   \"a, \"\"b\"\" & <c>\",1200,437.5,0.4236,0.33,0.5\nnone,0,,,,\n";
        assert_eq!(table().csv(), csv);
    }

    #[test]
    fn people_read_three_and_nothing_is_taken_for_markup() {
        let html = table().html().into_string();
        assert!(html.contains("<caption>All &lt;policies&gt;</caption>"), "{html}");
        assert!(html.contains("<th scope=\"row\">a, &quot;b&quot; &amp; &lt;c&gt;</th>"), "{html}");
        assert!(html.contains("<td class=\"number\">1,200</td>"), "{html}");
        assert!(html.contains("<td class=\"number\">0.42 <small class=\"ci\">[0.33, 0.5]</small></td>"), "{html}");
        assert!(html.contains("title=\"no such value\""), "{html}");
    }
}
