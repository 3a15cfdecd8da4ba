//! The three figures: what becomes of the users, against the share of servers that fail.

use super::{OffloadingRun, Point, by_threshold, latency, passed_over, served};
use crate::report::chart::against::{self, Line, banded};
use crate::report::chart::figure;
use crate::report::number::Unit;
use crate::report::palette;
use crate::report::statistics::{mean, quantile};
use maud::{Markup, html};

pub(super) fn all(points: &[Point]) -> Markup {
    let picture = |title: &str, of, up| {
        banded(&format!("{title} against the share of servers that fail"), &lines(points, of), Unit::Share, up)
    };
    html! {
        div.figures {
            (figure(
                "Users who are served",
                &html! { "Their share, against the share of servers that fail." },
                &picture("Users who are served", served, Unit::Share),
            ))
            (figure(
                "Latency",
                &html! { "Mean of those who are served. Where not everybody is, those who came first are." },
                &picture("Latency", latency, Unit::Milliseconds),
            ))
            (figure(
                "Servers passed over",
                &html! { "For each user: nearer ones, or all, that run and are not below the threshold. Each is a violation of the quality of service." },
                &picture("Servers passed over", passed_over, Unit::Things),
            ))
        }
    }
}

/// A line for each threshold through the means, in the band of most of the runs.
fn lines(points: &[Point], of: fn(&OffloadingRun) -> Option<f64>) -> Vec<Line> {
    let place = |point: &Point| {
        let mut values = point.values(of);
        values.sort_by(f64::total_cmp);
        let (low, high) = (quantile(&values, 0.1), quantile(&values, 0.9));
        Some(against::Point { x: point.failures, y: mean(&values)?, low, high })
    };
    let line = |(index, points): (usize, &[Point])| {
        Some(Line {
            name: format!("below {}", Unit::Share.show(points.first()?.cpu_threshold)),
            class: palette::agent(index),
            points: points.iter().filter_map(place).collect(),
            is_yardstick: false,
        })
    };
    by_threshold(points).enumerate().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::super::points;
    use super::super::tests::runs;
    use super::*;

    #[test]
    fn a_line_for_each_threshold_lies_in_its_band() {
        let runs = runs(&[0.5, 1.0], &[0.0, 0.5, 1.0]);
        let points = points(&runs);
        let [half, whole] = &lines(&points, latency)[..] else { panic!("two thresholds") };
        assert_eq!(
            (half.name.as_str(), half.points.len()),
            ("below 50\u{a0}%", 2),
            "nobody has a latency when all fail"
        );
        let at = whole.points[1];
        let expected = [0.5, 1.7, 1.62, 1.78];
        let near = [at.x, at.y, at.low, at.high].iter().zip(expected).all(|(is, wanted)| (is - wanted).abs() < 1e-9);
        assert!(near, "{at:?}");
        let svg = all(&points).into_string();
        assert_eq!((svg.matches("<figure").count(), svg.matches("class=\"band\"").count()), (3, 6));
        assert!(
            svg.contains("Users who are served against the share of servers that fail. below 50\u{a0}% 0"),
            "{svg}"
        );
    }
}
