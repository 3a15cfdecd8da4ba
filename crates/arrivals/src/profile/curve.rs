//! A curve through or along some points, and the rates it stands for.

use crate::RATE_MAX;
use crate::invalid::{Invalid, within};
use serde::{Deserialize, Serialize};

/// More points than this are a list of ticks.
pub const POINTS_MAX: usize = 10_000;

/// How a curve runs between its points.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Straight from each point to the next.
    Linear,
    /// As high as the point that is nearest in x; halfway between two it is the later one.
    Step,
    /// Smoothly through every point: the spline of Catmull and Rom (A class of local interpolating splines, 1974) with
    /// the x of the points as its knots (Barry and Goldman, A recursive evaluation algorithm for a class of Catmull-Rom
    /// splines, 1988), so that it is a function of x however the points are spaced. Before the first point and after the
    /// last it is thought to go on straight.
    CatmullRom,
    /// Smoothly along the points: the uniform cubic B-spline (de Boor, A Practical Guide to Splines, 1978) whose control
    /// points they are, the first and the last three times. It begins and ends in these and is pulled by the others.
    Basis,
}

/// Points, a kind, and the rate at the height of 1.
///
/// ```toml
/// curve = { kind = "catmull-rom", points = [[0, 0], [0.5, 1], [1, 0]], max = 100 }
/// ```
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Curve(Written);

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    kind: Kind,
    /// Pairs of x, each greater than the one before, and y, from 0 to 1.
    points: Vec<[f64; 2]>,
    /// Per second.
    max: f64,
}

impl TryFrom<Written> for Curve {
    type Error = Invalid;

    fn try_from(written: Written) -> Result<Self, Invalid> {
        let count = written.points.len();
        if !(2..=POINTS_MAX).contains(&count) {
            let help = format!("a curve has from 2 to {POINTS_MAX}");
            return Err(Invalid::new("curve.points", format!("there are {count}"), help));
        }
        for (index, [x, y]) in written.points.iter().enumerate() {
            // Differences of what is larger could be infinite.
            within(format!("curve.points[{index}][0]"), *x, -1e12..=1e12, "x is a number")?;
            within(format!("curve.points[{index}][1]"), *y, 0.0..=1.0, "y is a share of `max`")?;
        }
        if let Some(index) = written.points.windows(2).position(|pair| pair[0][0] >= pair[1][0]) {
            let (before, x) = (written.points[index][0], written.points[index + 1][0]);
            let problem = format!("x is {x}, after {before}");
            return Err(Invalid::new(
                format!("curve.points[{}]", index + 1),
                problem,
                "each x is greater than the last",
            ));
        }
        within("curve.max", written.max, 0.0..=RATE_MAX, "a rate per second")?;
        Ok(Self(written))
    }
}

impl From<Curve> for Written {
    fn from(curve: Curve) -> Self {
        curve.0
    }
}

impl Curve {
    /// # Errors
    /// There are fewer than 2 or more than [`POINTS_MAX`] points, an x is not greater than the one before, a y is no
    /// share from 0 to 1, or `max` is no rate.
    pub fn new(kind: Kind, points: Vec<[f64; 2]>, max: f64) -> Result<Self, Invalid> {
        Written { kind, points, max }.try_into()
    }

    /// The height at `x`, from 0 to 1: what a smooth curve goes beyond is cut. Outside its points it is as high as at
    /// its end.
    pub fn y(&self, x: f64) -> f64 {
        let points = self.points();
        let x = x.clamp(self.first_x(), self.last_x());
        // The last stretch between two points that begins at or before `x`.
        let begun = points.partition_point(|point| point[0] <= x);
        let stretch = begun.saturating_sub(1).min(points.len() - 2);
        let ([x0, y0], [x1, y1]) = (points[stretch], points[stretch + 1]);
        let share = (x - x0) / (x1 - x0);
        let y = match self.0.kind {
            Kind::Linear => y0 + (y1 - y0) * share,
            Kind::Step if share < 0.5 => y0,
            Kind::Step => y1,
            Kind::CatmullRom => {
                let (from, to) = (self.tangent(stretch), self.tangent(stretch + 1));
                hermite(share, [y0, y1], [from * (x1 - x0), to * (x1 - x0)])
            }
            Kind::Basis => self.basis_at(x),
        };
        y.clamp(0.0, 1.0)
    }

    /// The rate of tick i of n is `ceil(max * y(x_i))`. The x_i lie evenly from the first point to the last, with both:
    /// `x_i = first + (last - first) * i / (n - 1)`, and a single tick is at the first. What is above a whole number by
    /// no more than a billionth is that number: 0.3 of 10 is 3, though not in binary.
    pub fn rates(&self, ticks: u32) -> impl Iterator<Item = f64> {
        super::evenly(self.first_x(), self.last_x(), ticks).map(|x| (self.0.max * self.y(x) - 1e-9).max(0.0).ceil())
    }

    fn points(&self) -> &[[f64; 2]] {
        &self.0.points
    }

    fn first_x(&self) -> f64 {
        self.points()[0][0]
    }

    fn last_x(&self) -> f64 {
        self.points()[self.points().len() - 1][0]
    }

    /// Of the parabola through a point and its neighbours; at the ends of the stretch beside it.
    fn tangent(&self, point: usize) -> f64 {
        let points = self.points();
        let width = |stretch: usize| points[stretch + 1][0] - points[stretch][0];
        let slope = |stretch: usize| (points[stretch + 1][1] - points[stretch][1]) / width(stretch);
        if point == 0 {
            return slope(0);
        }
        if point == points.len() - 1 {
            return slope(point - 1);
        }
        let (before, after) = (width(point - 1), width(point));
        (slope(point - 1) * after + slope(point) * before) / (before + after)
    }

    /// Finds where the spline has this x. It has each once: the x of its control points increase, hence its own do.
    fn basis_at(&self, x: f64) -> f64 {
        let (mut low, mut high) = (0.0, (self.points().len() + 1) as f64);
        // 2^-50 of the whole: what is left does not show.
        for _ in 0..50 {
            let middle = (low + high) / 2.0;
            match self.basis(middle, 0) <= x {
                true => low = middle,
                false => high = middle,
            }
        }
        self.basis((low + high) / 2.0, 1)
    }

    /// The coordinate of the spline at `along`, from 0 to the number of its pieces, one more than points.
    fn basis(&self, along: f64, coordinate: usize) -> f64 {
        let points = self.points();
        // Not negative, and small: nothing is lost.
        let piece = (along as usize).min(points.len());
        let t = along - piece as f64;
        let control = |index: usize| points[(piece + index).saturating_sub(2).min(points.len() - 1)][coordinate];
        let (one_less, square, cube) = (1.0 - t, t * t, t * t * t);
        let weights = [
            one_less * one_less * one_less,
            3.0 * cube - 6.0 * square + 4.0,
            -3.0 * cube + 3.0 * square + 3.0 * t + 1.0,
            cube,
        ];
        weights.iter().enumerate().map(|(index, weight)| weight * control(index)).sum::<f64>() / 6.0
    }
}

/// The cubic from one height to another with these slopes at its ends, over a width of 1.
fn hermite(t: f64, [from, to]: [f64; 2], [slope_from, slope_to]: [f64; 2]) -> f64 {
    let (square, cube) = (t * t, t * t * t);
    from * (2.0 * cube - 3.0 * square + 1.0)
        + slope_from * (cube - 2.0 * square + t)
        + to * (3.0 * square - 2.0 * cube)
        + slope_to * (cube - square)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KINDS: [Kind; 4] = [Kind::Linear, Kind::Step, Kind::CatmullRom, Kind::Basis];

    fn curve(kind: Kind, points: &[[f64; 2]]) -> Curve {
        Curve::new(kind, points.to_vec(), 100.0).unwrap()
    }

    #[test]
    fn each_kind_has_its_heights() {
        let check = |kind, x: f64, y: f64| {
            let found = curve(kind, &[[0.0, 0.0], [1.0, 1.0], [2.0, 0.0]]).y(x);
            assert!((found - y).abs() < 1e-9, "{kind:?} at {x}: {found}, not {y}");
        };
        check(Kind::Linear, 0.25, 0.25);
        check(Kind::Linear, 1.5, 0.5);
        check(Kind::Step, 0.49, 0.0);
        check(Kind::Step, 0.5, 1.0);
        check(Kind::Step, 1.49, 1.0);
        check(Kind::Step, 2.0, 0.0);
        // Between heights 0 and 1 with slopes 1 and 0.
        check(Kind::CatmullRom, 0.5, 0.625);
        check(Kind::CatmullRom, 1.0, 1.0);
        // A point counts for four sixths, its neighbours for one each.
        check(Kind::Basis, 0.0, 0.0);
        check(Kind::Basis, 1.0, 4.0 / 6.0);
        check(Kind::Basis, 2.0, 0.0);
        // Where the first piece ends: a sixth of the way to the second point.
        check(Kind::Basis, 1.0 / 6.0, 1.0 / 6.0);
    }

    #[test]
    fn outside_its_points_a_curve_is_as_high_as_at_its_end() {
        for kind in KINDS {
            let curve = curve(kind, &[[1.0, 0.25], [2.0, 0.75]]);
            let (before, after) = (curve.y(-5.0), curve.y(9.0));
            assert!((before - 0.25).abs() < 1e-9 && (after - 0.75).abs() < 1e-9, "{kind:?}: {before}, {after}");
        }
    }

    #[test]
    fn a_parabola_through_uneven_points_is_kept_between_its_inner_points() {
        let parabola = |x: f64| [x, x * x / 16.0];
        let curve = curve(Kind::CatmullRom, &[0.0, 1.0, 3.0, 4.0].map(parabola));
        for x in [1.0, 1.5, 2.0, 2.75, 3.0] {
            assert!((curve.y(x) - parabola(x)[1]).abs() < 1e-12, "{x}: {}", curve.y(x));
        }
    }

    #[test]
    fn points_that_are_far_apart_make_no_loops() {
        let curve = curve(Kind::CatmullRom, &[[0.0, 0.0], [1.0, 0.5], [100.0, 0.5], [101.0, 1.0]]);
        assert_eq!((curve.y(1.0), curve.y(100.0)), (0.5, 0.5));
        // It swings above and below between these; that is cut at the height of the whole.
        assert!((0..=101).all(|x| (0.0..=1.0).contains(&curve.y(f64::from(x)))));
    }

    #[test]
    fn ticks_lie_evenly_from_the_first_point_to_the_last() {
        let rates = |points: &[[f64; 2]], max: f64, ticks| -> Vec<f64> {
            Curve::new(Kind::Linear, points.to_vec(), max).unwrap().rates(ticks).collect()
        };
        let up = [[10.0, 0.0], [20.0, 1.0]];
        assert_eq!(rates(&up, 100.0, 5), [0.0, 25.0, 50.0, 75.0, 100.0]);
        assert_eq!(
            rates(&up, 10.0, 11),
            [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0],
            "nearly whole is whole"
        );
        assert_eq!(rates(&up, 1.0, 4), [0.0, 1.0, 1.0, 1.0], "rounded up");
        assert_eq!(rates(&[[0.0, 0.5], [1.0, 1.0]], 7.0, 1), [4.0], "a single tick is at the first");
    }

    #[test]
    fn points_that_make_no_curve_are_refused() {
        let check = |points: &[[f64; 2]], max: f64, message: &str| {
            let refused = Curve::new(Kind::Linear, points.to_vec(), max).unwrap_err();
            assert_eq!(refused.to_string(), message);
        };
        check(&[], 1.0, "curve.points: there are 0; a curve has from 2 to 10000");
        check(&[[0.0, 1.0]], 1.0, "curve.points: there are 1; a curve has from 2 to 10000");
        let message = "curve.points[1][1]: 1.5 is out of range; y is a share of `max`, from 0 to 1";
        check(&[[0.0, 1.0], [1.0, 1.5]], 1.0, message);
        check(&[[1.0, 1.0], [1.0, 0.0]], 1.0, "curve.points[1]: x is 1, after 1; each x is greater than the last");
        check(
            &[[f64::NAN, 1.0], [1.0, 0.0]],
            1.0,
            "curve.points[0][0]: NaN is out of range; x is a number, from -1000000000000 to 1000000000000",
        );
        check(&[[0.0, 1.0], [1.0, 0.0]], -1.0, "curve.max: -1 is out of range; a rate per second, from 0 to 10000000");
    }

    proptest! {
        #[test]
        fn a_line_is_a_line_in_every_smooth_kind(
            mut xs in prop::collection::btree_set(0_u32..1_000, 2..12),
            at in 0.0..=1.0_f64,
        ) {
            let last = xs.pop_last().unwrap();
            let first = *xs.first().unwrap();
            xs.insert(last);
            let line = |x: f64| (x - f64::from(first)) / f64::from(last - first);
            let points: Vec<[f64; 2]> = xs.iter().map(|x| [f64::from(*x), line(f64::from(*x))]).collect();
            let x = f64::from(first) + at * f64::from(last - first);
            for kind in [Kind::Linear, Kind::CatmullRom, Kind::Basis] {
                let y = curve(kind, &points).y(x);
                prop_assert!((y - line(x)).abs() < 1e-6, "{kind:?} at {x}: {y}");
            }
        }

        #[test]
        fn no_curve_leaves_its_range(
            ys in prop::collection::vec(0.0..=1.0_f64, 2..9),
            x in -1.0..10.0_f64,
        ) {
            let points: Vec<[f64; 2]> = ys.iter().enumerate().map(|(x, y)| [x as f64, *y]).collect();
            for kind in KINDS {
                prop_assert!((0.0..=1.0).contains(&curve(kind, &points).y(x)));
            }
        }
    }
}
