//! What happened when: a lane for each of several, over the same seconds as the lines of [`over_time`](super::against::over_time).

use super::against::{NAME, RIGHT, Seconds, WIDTH, marked};
use super::{LINE, Path, picture};
use crate::report::number::{At, Unit, count};
use agent_core::domain::text::shortened;
use maud::{Markup, html};

/// What happened to one.
#[derive(Clone, PartialEq, Debug)]
pub struct Lane {
    pub name: String,
    /// The class of its colour.
    pub class: &'static str,
    pub moments: Vec<Moment>,
    /// Moments of less weight, below these: when, and whether all was well.
    pub beneath: Vec<(f64, bool)>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Moment {
    pub at_s: f64,
    pub what: String,
}

const TOP: f64 = 8.0;
/// Height of a lane.
const LANE: f64 = 30.0;
/// Of more moments those that would lie on each other are one.
const APART: f64 = 1.0;

/// `label` is what the picture shows, in words.
pub fn moments(label: &str, lanes: &[Lane], seconds: &Seconds) -> Markup {
    let x = seconds.axis();
    let bottom = TOP + lanes.len() as f64 * LANE;
    let (left, right) = (x.at(f64::NEG_INFINITY), WIDTH - RIGHT);
    let content = html! {
        (marked(x, &seconds.marked, TOP, bottom))
        @for (index, lane) in lanes.iter().enumerate() {
            @let base = TOP + (index as f64 + 1.0) * LANE - 8.0;
            line.grid x1=(At(left)) x2=(At(right)) y1=(At(base)) y2=(At(base)) {}
            path.met d=(ticks(lane, true, seconds, base, 4.0)) {}
            path.violated d=(ticks(lane, false, seconds, base, 7.0)) {}
            g class=(lane.class) {
                @for moment in apart(lane, seconds) {
                    circle cx=(At(x.at(moment.at_s))) cy=(At(base - 10.0)) r="3.2" {
                        title { (Unit::Seconds.show(moment.at_s)) ": " (moment.what) }
                    }
                }
                text.end x=(At(right + 11.0)) y=(At(base)) { (shortened(&lane.name, NAME)) }
            }
        }
        @for (tick, text) in &x.ticks_across(6, Unit::Seconds) {
            text.tick x=(At(x.at(*tick))) y=(At(bottom + LINE)) { (text) }
        }
    };
    let heard: Vec<String> =
        lanes.iter().map(|lane| format!("{} {}", lane.name, count(lane.moments.len() as u64))).collect();
    picture(WIDTH, bottom + LINE + 4.0, &format!("{label}. {}", heard.join("; ")), &content)
}

/// The moments of a lane, without those that lie on the one before.
fn apart<'a>(lane: &'a Lane, seconds: &Seconds) -> Vec<&'a Moment> {
    let x = seconds.axis();
    let mut kept: Vec<&Moment> = Vec::new();
    for moment in &lane.moments {
        if kept.last().is_none_or(|last| x.at(moment.at_s) - x.at(last.at_s) >= APART) {
            kept.push(moment);
        }
    }
    kept
}

fn ticks(lane: &Lane, is_well: bool, seconds: &Seconds, base: f64, height: f64) -> String {
    let x = seconds.axis();
    let (mut path, mut last) = (Path::default(), f64::NEG_INFINITY);
    for (at_s, _) in lane.beneath.iter().filter(|(_, well)| *well == is_well) {
        let at = x.at(*at_s);
        if at - last >= APART {
            path.start(at, base);
            path.line(at, base - height);
            last = at;
        }
    }
    path.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_lies_where_it_did_and_what_lies_on_it_is_left_out() {
        let moment = |at_s, what: &str| Moment { at_s, what: what.to_owned() };
        let lane = |name: &str, moments, beneath| Lane { name: name.to_owned(), class: "k0", moments, beneath };
        let lanes = [
            lane("routes", vec![moment(50.0, "to <b>"), moment(50.1, "to c"), moment(100.0, "to d")], Vec::new()),
            lane("agent 2", vec![moment(0.0, "M1_2")], vec![(25.0, true), (75.0, false)]),
        ];
        let seconds = Seconds { last: 100.0, marked: vec![50.0] };
        let svg = moments("What happened", &lanes, &seconds).into_string();
        // 0 to 100 s lie between 48 and 304.
        assert!(svg.contains("<circle cx=\"176\" cy=\"20\" r=\"3.2\"><title>50\u{a0}s: to &lt;b&gt;</title>"), "{svg}");
        assert!(svg.contains("<circle cx=\"48\" cy=\"50\" r=\"3.2\"><title>0\u{a0}s: M1_2</title>"), "{svg}");
        assert_eq!(svg.matches("<circle").count(), 3);
        assert!(
            svg.contains("class=\"met\" d=\"M112 60v-4\"") && svg.contains("class=\"violated\" d=\"M240 60v-7\""),
            "{svg}"
        );
        assert!(svg.contains("<line class=\"moment\" x1=\"176\" x2=\"176\" y1=\"8\" y2=\"68\">"), "{svg}");
        assert!(svg.contains("aria-label=\"What happened. routes 3; agent 2 1\""), "{svg}");
    }
}
