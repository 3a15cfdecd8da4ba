//! Figures, as SVG within the page. Colours come from classes, so that they follow light and dark; sizes are those of a narrow
//! window, and wider ones show more figures beside each other.

pub mod against;
pub mod curves;
pub mod distribution;
pub mod heat;
pub mod intervals;
pub mod jobs;
mod lanes;
pub mod moments;
pub mod scale;
mod time_axis;
pub mod timeline;

use super::number::{At, push};
use maud::{Markup, html};

/// Room for a line of text \[units of a figure; a letter is about 6 wide\].
const LINE: f64 = 14.0;

/// A figure with its caption. `note` says how to read it.
pub fn figure(title: &str, note: &Markup, picture: &Markup) -> Markup {
    html! {
        figure {
            figcaption { strong { (title) } " " span.note { (note) } }
            (picture)
        }
    }
}

/// A picture that a reader who does not see it hears as `label`.
fn picture(width: f64, height: f64, label: &str, content: &Markup) -> Markup {
    html! {
        svg viewBox={ "0 0 " (At(width)) " " (At(height)) } width=(At(width)) height=(At(height)) role="img" aria-label=(label) {
            (content)
        }
    }
}

/// A line through points, short enough for thousands of them: relative steps, and no point that lies on the way of its
/// neighbours.
#[derive(Default)]
struct Path {
    text: String,
    /// The last point written, in tenths: steps are between what was written, so that rounding does not add up.
    at: (i64, i64),
    /// Points since then that lie on one straight line; the last of them is written when the line bends there.
    held: Vec<(i64, i64)>,
}

impl Path {
    fn start(&mut self, x: f64, y: f64) {
        self.release();
        self.at = tenths(x, y);
        self.text.push('M');
        push(&mut self.text, self.at.0 as f64 / 10.0);
        self.text.push(' ');
        push(&mut self.text, self.at.1 as f64 / 10.0);
    }

    fn line(&mut self, x: f64, y: f64) {
        let next = tenths(x, y);
        if self.held.len() == HELD_MAX || !self.held.iter().all(|point| lies_between(self.at, *point, next)) {
            self.release();
        }
        self.held.push(next);
    }

    /// To the right, then up or down: a value that stays until it changes.
    fn step(&mut self, x: f64, y: f64) {
        let level = self.held.last().unwrap_or(&self.at).1;
        self.line(x, level as f64 / 10.0);
        self.line(x, y);
    }

    fn release(&mut self) {
        let Some((x, y)) = self.held.pop() else { return };
        self.held.clear();
        match (x - self.at.0, y - self.at.1) {
            (0, 0) => {}
            (dx, 0) => self.command('h', &[dx]),
            (0, dy) => self.command('v', &[dy]),
            (dx, dy) => self.command('l', &[dx, dy]),
        }
        self.at = (x, y);
    }

    fn command(&mut self, letter: char, steps: &[i64]) {
        self.text.push(letter);
        for (index, step) in steps.iter().enumerate() {
            if index > 0 && *step >= 0 {
                self.text.push(' ');
            }
            push(&mut self.text, *step as f64 / 10.0);
        }
    }

    fn close(&mut self) {
        self.release();
        self.text.push('z');
    }

    fn end(mut self) -> String {
        self.release();
        self.text
    }
}

/// So many points are looked at again for each that follows.
const HELD_MAX: usize = 200;

/// Whether a point is at most a tenth off the straight way, and not beyond its ends.
fn lies_between(from: (i64, i64), point: (i64, i64), to: (i64, i64)) -> bool {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let (px, py) = (point.0 - from.0, point.1 - from.1);
    let (across, along, square) = (dx * py - dy * px, dx * px + dy * py, dx * dx + dy * dy);
    across * across <= square && (0..=square).contains(&along)
}

fn tenths(x: f64, y: f64) -> (i64, i64) {
    // Coordinates of a figure are some thousands at most.
    ((x * 10.0).round() as i64, (y * 10.0).round() as i64)
}

/// Places for labels that want to be at these heights, none nearer than `gap` to another, all between the ends; in the order
/// given.
fn spread_out(wanted: &[f64], gap: f64, top: f64, bottom: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|a, b| wanted[*a].total_cmp(&wanted[*b]).then(a.cmp(b)));
    let mut places = vec![0.0; wanted.len()];
    let mut above = f64::NEG_INFINITY;
    for &index in &order {
        above = (above + gap).max(wanted[index]).max(top);
        places[index] = above;
    }
    let mut below = f64::INFINITY;
    for &index in order.iter().rev() {
        below = (below - gap).min(places[index]).min(bottom);
        places[index] = below;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_takes_no_point_too_many() {
        let mut path = Path::default();
        path.start(0.0, 10.0);
        for x in 1..100 {
            path.step(f64::from(x), if x < 50 { 10.0 } else { 4.0 });
        }
        path.line(120.5, 3.5);
        assert_eq!(path.end(), "M0 10h50v-6h49l21.5-0.5");
    }

    #[test]
    fn a_path_that_turns_back_is_kept() {
        let mut path = Path::default();
        path.start(0.0, 0.0);
        path.line(5.0, 0.0);
        path.line(2.0, 0.0);
        path.close();
        assert_eq!(path.end(), "M0 0h5h-3z");
    }

    #[test]
    fn labels_do_not_cover_each_other() {
        let check = |wanted: &[f64], places: &[f64]| assert_eq!(spread_out(wanted, 10.0, 0.0, 100.0), places);
        check(&[50.0, 20.0], &[50.0, 20.0]);
        check(&[50.0, 52.0, 51.0], &[50.0, 70.0, 60.0]);
        check(&[99.0, 98.0, 100.0], &[90.0, 80.0, 100.0]);
        check(&[-5.0], &[0.0]);
    }
}
