//! The seven figures of a case.

use super::{Case, NetworkRound, NetworkRun, bytes, mean, success, yardstick};
use crate::report::chart::against::{Line, Point, against};
use crate::report::chart::figure;
use crate::report::curve::Curve;
use crate::report::number::Unit;
use crate::report::palette;
use crate::report::statistics::Bootstrap;
use maud::{Markup, html};

/// All of them. `rounds`: those of each of [`Case::drawn`].
pub(super) fn all(case: &Case, rounds: &[Vec<NetworkRound>], bootstrap: &mut Bootstrap) -> Markup {
    let name = case.name();
    html! {
        div.figures {
            (rounds_against_nodes(&name, case, bootstrap))
            (messages_against_interval(&name, case, bootstrap))
            (bytes_of_a_node(&name, case, bootstrap))
            (ages(&name, case, rounds))
            (storage(&name, case, rounds))
            (query_success(&name, case, bootstrap))
            (query_messages(&name, case, bootstrap))
        }
    }
}

/// What the lines of a figure are of: its name, and a run's.
type Key = (&'static str, fn(&NetworkRun) -> u32);
const FAN_OUT: Key = ("fan-out", |run| run.fan_out);
const NODES: Key = ("nodes", |run| run.nodes);

/// A line for each key of the case through the means of `runs` at each value of `x`.
fn lines(
    (case, runs): (&Case, &[&NetworkRun]),
    (what, key): Key,
    x: impl Fn(&NetworkRun) -> f64,
    y: impl Fn(&NetworkRun) -> Option<f64>,
    bootstrap: &mut Bootstrap,
) -> Vec<Line> {
    let line = |(index, wanted): (usize, &u32)| {
        let mut of_key: Vec<&NetworkRun> = runs.iter().copied().filter(|run| key(run) == *wanted).collect();
        of_key.sort_by(|a, b| x(a).total_cmp(&x(b)));
        let groups = of_key.chunk_by(|one, next| x(one) == x(next));
        let points = groups.filter_map(|group| Some(Point::of(x(group.first()?), mean(bootstrap, group, &y)?)));
        Line {
            name: format!("{what} {wanted}"),
            class: palette::agent(index),
            points: points.collect(),
            is_yardstick: false,
        }
    };
    case.distinct(key).iter().enumerate().map(line).collect()
}

/// What others published of the fan-outs that are there, in their colours, where there is a network of that size.
fn beside(case: &Case, what: &str, value: impl Fn(u32, u32) -> Option<f64>) -> Vec<Line> {
    let has_nodes = case.runs.iter().any(|run| run.nodes == yardstick::NODES);
    let fan_outs = case.distinct(|run| run.fan_out);
    let line = |(index, fan_out): (usize, &u32)| {
        let y = value(yardstick::NODES, *fan_out).filter(|_| has_nodes)?;
        Some(Line {
            name: format!("{fan_out}, {what}"),
            class: palette::agent(index),
            points: vec![Point::at(f64::from(yardstick::NODES), y)],
            is_yardstick: true,
        })
    };
    fan_outs.iter().enumerate().filter_map(line).collect()
}

fn rounds_against_nodes(name: &str, case: &Case, bootstrap: &mut Bootstrap) -> Markup {
    let runs = case.shortest(case.undisturbed());
    let mut lines = lines((case, &runs), FAN_OUT, |run| f64::from(run.nodes), |run| run.converged_round, bootstrap);
    lines.extend(beside(case, "published", yardstick::published));
    lines.extend(beside(case, "ideal", yardstick::ideal));
    let (nodes, rounds) = yardstick::SMALLEST;
    if case.runs.iter().any(|run| run.nodes == nodes) {
        let points = vec![Point::at(f64::from(nodes), rounds)];
        lines.push(Line { name: format!("{nodes}, published"), class: "nobody", points, is_yardstick: true });
    }
    figure(
        "Rounds until everybody knows everybody",
        &html! { "Against the number of nodes. Hollow: published, and ideal synchronous push-pull." },
        &against(&format!("Rounds against nodes, {name}"), &lines, Unit::Things, Unit::Things),
    )
}

fn messages_against_interval(name: &str, case: &Case, bootstrap: &mut Bootstrap) -> Markup {
    let mut runs = case.undisturbed();
    runs.retain(|run| run.nodes == case.largest());
    let for_a_minute = |run: &NetworkRun| Some(super::messages(run)? * 60.0 / run.interval_s);
    let lines = lines((case, &runs), FAN_OUT, |run| run.interval_s, for_a_minute, bootstrap);
    figure(
        "Messages of a node in a minute",
        &html! { "Against the interval, of " (case.largest()) " nodes." },
        &against(&format!("Messages against the interval, {name}"), &lines, Unit::Seconds, Unit::Things),
    )
}

fn bytes_of_a_node(name: &str, case: &Case, bootstrap: &mut Bootstrap) -> Markup {
    let runs = case.shortest(case.undisturbed());
    let mut lines = lines((case, &runs), FAN_OUT, |run| f64::from(run.nodes), bytes, bootstrap);
    let published =
        |nodes, fan_out| yardstick::published(nodes, fan_out).map(|_| f64::from(fan_out) * yardstick::EXCHANGE_BYTES);
    lines.extend(beside(case, "published", published));
    figure(
        "Bytes that a node sends in a round",
        &html! { "Against the number of nodes, mean of all rounds. Hollow: published, where each exchange carries everything." },
        &against(&format!("Bytes of a node in a round against nodes, {name}"), &lines, Unit::Things, Unit::Bytes),
    )
}

fn ages(name: &str, case: &Case, rounds: &[Vec<NetworkRound>]) -> Markup {
    let runs = case.drawn();
    let line = |(index, fan_out): (usize, &u32)| {
        let of_fan_out = runs.iter().zip(rounds).filter(|(run, _)| run.fan_out == *fan_out);
        let samples = of_fan_out.map(|(_, rounds)| over_rounds(rounds, |round| round.age_p95_s));
        course(format!("fan-out {fan_out}"), palette::agent(index), samples)
    };
    let lines: Vec<Line> = case.distinct(|run| run.fan_out).iter().enumerate().map(line).collect();
    figure(
        "Age of what is known",
        &html! { "Over the rounds, of " (case.largest()) " nodes: 95 % of all that nodes know of others is younger." },
        &against(&format!("Age of information over rounds, {name}"), &lines, Unit::Things, Unit::Seconds),
    )
}

fn storage(name: &str, case: &Case, rounds: &[Vec<NetworkRound>]) -> Markup {
    let nodes = f64::from(case.largest());
    let line = |name: &str, index, of: fn(&NetworkRound) -> Option<u64>| {
        let samples = rounds.iter().map(|rounds| over_rounds(rounds, |round| Some(of(round)? as f64 / nodes)));
        course(name.to_owned(), palette::agent(index), samples)
    };
    let lines = [
        line("never pushed", 0, |round| Some(round.heard_bytes)),
        line("pushed", 1, |round| round.kept_bytes),
        line("newest only", 2, |round| Some(round.state_bytes)),
    ];
    let lines: Vec<Line> = lines.into_iter().filter(|line| !line.points.is_empty()).collect();
    figure(
        "What a node keeps",
        &html! {
            "Over the rounds, of " (case.largest()) " nodes: all that it heard, the same when it pushes that to the database "
            "now and then and drops it, and the newest record of everybody."
        },
        &against(&format!("Storage of a node over rounds, {name}"), &lines, Unit::Things, Unit::Bytes),
    )
}

fn over_rounds(rounds: &[NetworkRound], of: impl Fn(&NetworkRound) -> Option<f64>) -> Vec<(f64, f64)> {
    rounds.iter().filter_map(|round| Some((f64::from(round.round), of(round)?))).collect()
}

fn course(name: String, class: &'static str, samples: impl Iterator<Item = Vec<(f64, f64)>>) -> Line {
    let curve = Curve::of(&samples.collect::<Vec<_>>());
    let points = curve.points.iter().map(|point| Point::at(point.at_s, point.mean)).collect();
    Line { name, class, points, is_yardstick: false }
}

fn query_success(name: &str, case: &Case, bootstrap: &mut Bootstrap) -> Markup {
    let runs = case.shortest(case.runs.clone());
    let lines = lines((case, &runs), NODES, |run| run.failures, success, bootstrap);
    figure(
        "Questions that are answered",
        &html! { "Quorum reads about nodes that run, against the share of nodes that was stopped before." },
        &against(&format!("Query success against failure share, {name}"), &lines, Unit::Share, Unit::Share),
    )
}

fn query_messages(name: &str, case: &Case, bootstrap: &mut Bootstrap) -> Markup {
    let runs = case.shortest(case.runs.clone());
    let lines = lines((case, &runs), NODES, |run| run.failures, |run| run.query_messages, bootstrap);
    figure(
        "Messages of a question",
        &html! { "Over all tries, there and back, against the share of nodes that was stopped before." },
        &against(&format!("Query messages against failure share, {name}"), &lines, Unit::Share, Unit::Things),
    )
}

#[cfg(test)]
mod tests {
    use super::super::cases;
    use super::super::tests::networks;
    use super::*;

    #[test]
    fn published_figures_stand_beside_networks_of_that_size_only() {
        let rounds = |nodes: &[u32], fan_outs: &[u32]| {
            let all = networks(nodes, fan_outs, &[0.0], &[0.0]);
            let cases = cases(&all);
            rounds_against_nodes("here", &cases[0], &mut Bootstrap::default()).into_string()
        };
        let svg = rounds(&[50, 300], &[2, 3, 5]);
        for name in ["fan-out 2", "fan-out 5", "2, published", "3, published", "2, ideal", "50, published"] {
            assert!(svg.contains(&format!(">{name}</text>")), "{name}: {svg}");
        }
        assert!(!svg.contains("5, ideal") && svg.contains("<title>3, published: 21</title>"), "{svg}");
        assert!(!rounds(&[100], &[3]).contains("published</text>"));
    }

    #[test]
    fn what_is_pushed_is_drawn_where_it_was_kept() {
        let all = networks(&[50], &[3], &[0.0], &[0.0]);
        let cases = cases(&all);
        let round = |kept_bytes| NetworkRound { round: 1, heard_bytes: 1_000, kept_bytes, ..NetworkRound::default() };
        let drawn = |kept: Option<u64>| storage("here", &cases[0], &[vec![round(kept)]]).into_string();
        assert!(drawn(Some(500)).contains(">pushed</text>") && drawn(Some(500)).contains("never pushed: 20"));
        assert!(!drawn(None).contains(">pushed</text>"));
    }
}
