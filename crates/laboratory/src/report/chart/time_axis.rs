//! An axis of time that leaves out long whiles in which nothing happens, where that gives the rest room.

use super::scale::time_ticks;
use crate::report::number::{Unit, digits, joined};

/// A part of the axis.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Piece {
    from_s: f64,
    to_s: f64,
    left: f64,
    right: f64,
    is_cut: bool,
}

/// Time from the start, left to right.
#[derive(Clone, PartialEq, Debug)]
pub struct TimeAxis {
    pieces: Vec<Piece>,
}

/// What is left out.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Cut {
    pub lasts_s: f64,
    pub left: f64,
    pub right: f64,
}

/// Width of what is left out.
const CUT: f64 = 64.0;
/// A while is long from this share of the whole time on.
const LONG: f64 = 1.0 / 6.0;
/// What happens is crowded when most of it follows within this share of the whole time.
const CROWDED: f64 = 1.0 / 60.0;

impl TimeAxis {
    /// `moments`: when something happens, ascending, from 0 to `lasts_s`.
    pub fn new(lasts_s: f64, moments: &[f64], left: f64, right: f64) -> Self {
        let lasts_s = lasts_s.max(1.0);
        let spans = spans(lasts_s, moments);
        let cuts = spans.iter().filter(|span| span.2).count() as f64;
        let shown: f64 = spans.iter().filter(|span| !span.2).map(|span| span.1 - span.0).sum();
        let per_second = (right - left - cuts * CUT) / shown;
        let mut at = left;
        let pieces = spans.into_iter().map(|(from_s, to_s, is_cut)| {
            let begins = at;
            at += if is_cut { CUT } else { (to_s - from_s) * per_second };
            Piece { from_s, to_s, left: begins, right: at, is_cut }
        });
        Self { pieces: pieces.collect() }
    }

    /// The last moment that is on it.
    pub fn end_s(&self) -> f64 {
        self.pieces.last().map_or(0.0, |piece| piece.to_s)
    }

    /// Where a moment is.
    pub fn at(&self, moment_s: f64) -> f64 {
        let piece = self.pieces.iter().find(|piece| moment_s <= piece.to_s).or(self.pieces.last());
        piece.map_or(0.0, |piece| {
            let share = (moment_s - piece.from_s) / (piece.to_s - piece.from_s);
            piece.left + share.clamp(0.0, 1.0) * (piece.right - piece.left)
        })
    }

    pub fn cuts(&self) -> impl Iterator<Item = Cut> + '_ {
        let cuts = self.pieces.iter().filter(|piece| piece.is_cut);
        cuts.map(|piece| Cut { lasts_s: piece.to_s - piece.from_s, left: piece.left, right: piece.right })
    }

    /// Places and what stands there, about `apart` from each other.
    pub fn ticks(&self, apart: f64) -> Vec<(f64, String)> {
        let shown = self.pieces.iter().filter(|piece| !piece.is_cut);
        let ticks = shown.flat_map(|piece| {
            let about = ((piece.right - piece.left) / apart).floor().max(1.0) as usize;
            time_ticks(piece.from_s, piece.to_s, about)
        });
        let mut kept: Vec<(f64, String)> = Vec::new();
        for tick in ticks {
            let x = self.at(tick);
            // Next to what is left out, ticks of both sides may meet.
            if kept.last().is_none_or(|last| x - last.0 >= apart * 0.6) {
                kept.push((x, moment(tick)));
            }
        }
        kept
    }
}

/// From, until, and whether it is left out.
fn spans(lasts_s: f64, moments: &[f64]) -> Vec<(f64, f64, bool)> {
    let inner: Vec<f64> = moments.iter().copied().filter(|moment| (0.0..=lasts_s).contains(moment)).collect();
    let ends: Vec<f64> = [0.0].into_iter().chain(inner.iter().copied()).chain([lasts_s]).collect();
    let gaps: Vec<(f64, f64)> = ends.windows(2).map(|pair| (pair[0], pair[1])).collect();
    let is_long = |gap: &&(f64, f64)| gap.1 - gap.0 > lasts_s * LONG;
    let mut sizes: Vec<f64> = inner.windows(2).map(|pair| pair[1] - pair[0]).filter(|gap| *gap > 0.0).collect();
    sizes.sort_by(f64::total_cmp);
    let is_crowded = sizes.get(sizes.len() / 2).is_some_and(|middle| *middle < lasts_s * CROWDED);
    let long: Vec<(f64, f64)> = gaps.iter().filter(is_long).copied().collect();
    if !is_crowded || long.is_empty() {
        return vec![(0.0, lasts_s, false)];
    }
    // What lies around the rest of the time, so that the last thing before a cut can be seen to stay.
    let rest = lasts_s - long.iter().map(|gap| gap.1 - gap.0).sum::<f64>();
    let margin = (rest * 0.08).max(lasts_s * 0.002);
    let mut spans = Vec::new();
    let mut from = 0.0;
    for (begins, ends) in long {
        let begins = if begins > 0.0 { begins + margin } else { 0.0 };
        let ends = if ends < lasts_s { ends - margin } else { lasts_s };
        if begins > from {
            spans.push((from, begins, false));
        }
        spans.push((begins, ends, true));
        from = ends;
    }
    if lasts_s > from {
        spans.push((from, lasts_s, false));
    }
    spans
}

/// `0`, `45 s`, `12 min`, `2:30 h`, `2:00:45 h`.
pub fn moment(at_s: f64) -> String {
    let seconds = at_s.round();
    match seconds {
        _ if seconds == 0.0 => "0".to_owned(),
        _ if at_s < 120.0 => Unit::Seconds.show(at_s),
        _ if seconds % 3600.0 == 0.0 => joined(&digits(seconds / 3600.0), "h"),
        _ if seconds < 7200.0 && seconds % 60.0 == 0.0 => joined(&digits(seconds / 60.0), "min"),
        _ if seconds < 7200.0 => joined(&format!("{:.0}:{:02.0}", (seconds / 60.0).floor(), seconds % 60.0), "min"),
        _ => {
            let (hours, minutes) = ((seconds / 3600.0).floor(), (seconds % 3600.0 / 60.0).floor());
            let rest = if seconds % 60.0 == 0.0 { String::new() } else { format!(":{:02.0}", seconds % 60.0) };
            joined(&format!("{hours:.0}:{minutes:02.0}{rest}"), "h")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evenly_spread_changes_need_no_cut() {
        let axis = TimeAxis::new(100.0, &[20.0, 50.0, 80.0], 0.0, 1000.0);
        assert_eq!((axis.at(0.0), axis.at(50.0), axis.at(100.0)), (0.0, 500.0, 1000.0));
        assert_eq!(axis.cuts().count(), 0);
        assert_eq!(TimeAxis::new(100.0, &[], 0.0, 1000.0).at(10.0), 100.0);
    }

    #[test]
    fn long_whiles_without_a_change_are_left_out() {
        let axis = TimeAxis::new(14_400.0, &[0.0, 40.0, 60.0, 90.0, 7200.0, 7260.0], 0.0, 1000.0);
        let cuts: Vec<Cut> = axis.cuts().collect();
        assert_eq!(cuts.len(), 2);
        assert!(axis.at(90.0) < cuts[0].left && cuts[0].right < axis.at(7200.0));
        assert!(axis.at(60.0) - axis.at(40.0) > 40.0, "room for what happens");
        assert_eq!((cuts[1].right, axis.at(14_400.0)), (1000.0, 1000.0));
        assert!(cuts[0].lasts_s > 7000.0 && cuts[0].lasts_s < 7110.0, "{cuts:?}");
        let ticks = axis.ticks(80.0);
        assert_eq!(ticks[0], (0.0, "0".to_owned()));
        assert!(ticks.iter().any(|tick| tick.1 == "2\u{a0}h"), "{ticks:?}");
    }

    #[test]
    fn moments_are_short() {
        let check = |at: f64, text: &str| assert_eq!(moment(at).replace('\u{a0}', " "), text);
        check(0.0, "0");
        check(45.0, "45 s");
        check(63.4, "63.4 s");
        check(720.0, "12 min");
        check(437.0, "7:17 min");
        check(7200.0, "2 h");
        check(9000.0, "2:30 h");
        check(7245.0, "2:00:45 h");
    }
}
