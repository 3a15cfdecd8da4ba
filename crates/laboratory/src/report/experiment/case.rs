//! One scenario: its figures, the timeline of a run, its table.

use super::comparison::{Baseline, Case, Contender};
use super::measures::MEASURES;
use super::overview::is_unfinished;
use super::page::{case_id, case_name};
use super::{Shown, tables, wanted};
use crate::report::chart::curves::{self, Common, Line};
use crate::report::chart::distribution::{Sample, distribution};
use crate::report::chart::intervals::{Row, Size, intervals};
use crate::report::chart::scale::Origin;
use crate::report::chart::{figure, timeline};
use crate::report::curve::Curve;
use crate::report::number::{Unit, count};
use crate::report::palette;
use crate::report::statistics::Estimate;
use crate::report::table::in_words;
use maud::{Markup, html};

/// Longer lists of changes are left to the CSV file.
const CHANGES_LISTED: usize = 100;

pub(super) fn section(index: usize, case: &Case, curves: &[Curve], shown: &[&Shown]) -> Markup {
    let name = case_name(case);
    html! {
        section.case id=(case_id(index)) {
            h2 { (name) }
            p.lead { (verdict(case)) }
            @if is_unfinished(case) { p.warning { (unfinished(case)) } }
            div.figures {
                (violated(&name, case))
                (regret(&name, case))
                (spread(&name, case))
                @if curves.iter().any(|curve| !curve.points.is_empty()) { (over_time(&name, case, curves)) }
            }
            h3 { "What it took" }
            div.figures.small { @for (place, measure) in MEASURES.iter().enumerate() {
                @if let Some((origin, note)) = measure.figure {
                    (figure(measure.title, &html! { (note) }, &intervals(
                        &format!("{} in {name}", measure.title),
                        &rows(case, |contender| contender.measures[place]),
                        measure.unit,
                        origin,
                        Size::Small,
                    )))
                }
            } }
            @for shown in shown { (placement(shown, case)) }
            details {
                summary { "All figures of " (name) " as a table" }
                (tables::case(case, format!("{name}: mean of a run, in brackets its 95 % interval")).html())
            }
        }
    }
}

/// Who won, and how certain that is.
fn verdict(case: &Case) -> Markup {
    let (Some(verdict), Some(winner)) = (&case.verdict, case.winner()) else {
        return html! { "Only yardsticks were run here." };
    };
    let next = verdict.next.and_then(|next| case.contenders.get(next));
    let regret = winner.regret.filter(|_| case.baseline == Baseline::Oracle);
    html! {
        b { (winner.policy) } " had the fewest violated jobs: " (words(winner.violated)) " in a run, the mean of "
        (count(winner.runs.len() as u64)) @if winner.runs.len() == 1 { " seed. " } @else { " seeds. " }
        @if let Some(next) = next {
            "Next is " b { (next.policy) } " with " (words(next.violated)) "; "
            @if verdict.is_apart() { "the intervals are apart. " }
            @else { "the intervals overlap" (level(case, &verdict.level)) ". " }
        } @else { "It had no rival. " }
        @if let Some(regret) = regret { "Its regret against the oracle is " (words(regret)) "." }
    }
}

/// Those that are not worse for certain, with what their actions cost, when that is known.
fn level(case: &Case, level: &[usize]) -> String {
    let cost = MEASURES.iter().position(|measure| measure.key == "action_cost");
    let with_cost = |contender: &Contender| {
        let cost = cost.and_then(|place| contender.measures[place]);
        cost.map_or(contender.policy.to_owned(), |cost| {
            format!("{} (actions cost {})", contender.policy, Unit::Things.show(cost.mean))
        })
    };
    let others: Vec<String> = level.iter().map(|index| with_cost(&case.contenders[*index])).collect();
    let own = case.winner().map(with_cost).unwrap_or_default();
    format!(": {own} is level with {}", others.join(", "))
}

fn words(estimate: Estimate) -> String {
    in_words(estimate, Unit::Things)
}

fn unfinished(case: &Case) -> String {
    let fewer = case.contenders.iter().filter(|contender| contender.runs.len() < case.seeds);
    let fewer: Vec<String> = fewer.map(|one| format!("{} {}", one.policy, one.runs.len())).collect();
    format!("Unfinished: of {} seeds were run {}.", case.seeds, fewer.join(", "))
}

fn rows<'a>(case: &'a Case, estimate: impl Fn(&Contender) -> Option<Estimate>) -> Vec<Row<'a>> {
    let winner = case.winner().map(|winner| winner.policy);
    let row = |contender: &'a Contender| Row {
        name: contender.policy,
        class: palette::policy(contender.policy),
        estimate: estimate(contender),
        is_winner: winner == Some(contender.policy),
        is_yardstick: contender.is_yardstick,
    };
    case.contenders.iter().map(row).collect()
}

fn violated(name: &str, case: &Case) -> Markup {
    let rows = rows(case, |contender| Some(contender.violated));
    figure(
        "Violated jobs",
        &html! { "Mean of a run and its 95 % interval. Hollow: knows the future." },
        &intervals(&format!("Violated jobs in {name}"), &rows, Unit::Things, Origin::Zero, Size::Full),
    )
}

fn regret(name: &str, case: &Case) -> Markup {
    let rows = rows(case, |contender| contender.regret);
    let note = match case.baseline {
        Baseline::Oracle => {
            html! { "Violated jobs more than the oracle\u{2019}s with the same seed; mean and 95 % interval." }
        }
        Baseline::Best(policy) => html! {
            "No oracle was run here: violated jobs more than those of " (policy) ", the best policy, with the same seed."
        },
    };
    figure("Regret", &note, &intervals(&format!("Regret in {name}"), &rows, Unit::Things, Origin::Zero, Size::Full))
}

fn spread(name: &str, case: &Case) -> Markup {
    let sample = |contender: &Contender| contender.runs.iter().map(|run| run.violated as f64).collect::<Vec<f64>>();
    let samples: Vec<Sample> = case
        .contenders
        .iter()
        .map(|one| Sample { name: one.policy, class: palette::policy(one.policy), values: sample(one) })
        .collect();
    figure(
        "Every run",
        &html! { "Violated jobs: a point for each seed; below, the median, the middle half, and 5 % to 95 %." },
        &distribution(&format!("Violated jobs of each run in {name}"), &samples, Unit::Things),
    )
}

fn over_time(name: &str, case: &Case, curves: &[Curve]) -> Markup {
    let of_case = case.contenders.iter().zip(curves).filter(|(_, curve)| !curve.points.is_empty());
    let lines: Vec<Line> =
        of_case.map(|(one, curve)| Line { name: one.policy, class: palette::policy(one.policy), curve }).collect();
    let winner = case.winner().and_then(|winner| lines.iter().find(|line| line.name == winner.policy)).copied();
    let common = Common::of(&lines, winner);
    let label = format!("Violated jobs over time in {name}");
    html! {
        (figure("Over time", &html! { "Violated jobs since the start, mean of all seeds." }, &curves::means(&label, &lines, Unit::Things)))
        figure.wide {
            figcaption {
                strong { "Over time, one by one" } " "
                span.note {
                    "The mean in the band in which the middle 80 % of the seeds lie"
                    @if let Some(winner) = winner { "; dashed, to compare, " (winner.name) }
                    "."
                }
            }
            div.multiples { @for line in &lines { (curves::band(&label, *line, common, Unit::Things)) } }
        }
    }
}

/// Of very many changes only the first ones are in the database.
fn not_kept(Shown { run, history, .. }: &Shown) -> String {
    let kept = history.changes.iter().filter(|change| change.agent.is_some()).count() as u64;
    match run.changes > history.changes.len() as u64 {
        true => format!("Kept were the first {} of {} changes.", count(kept), count(run.changes)),
        false => String::new(),
    }
}

fn placement(shown: &Shown, case: &Case) -> Markup {
    let Shown { run, history, is_wanted } = shown;
    let title = format!("Placement: {}", wanted::name(run));
    let note = html! {
        "Run " (run.id) ": " (count(run.violated)) " of " (count(run.jobs)) " jobs violated"
        @if !is_wanted && case.winner().is_some() { "; a typical run of the policy that won (the median)" }
        ". " (timeline::how_to_read(history)) " " (not_kept(shown))
    };
    let listed = history.changes.len() <= CHANGES_LISTED;
    html! {
        div.timeline { (figure(&title, &note, &html! {
            div.scroll role="region" aria-label=(title) tabindex="0" { (timeline::timeline(&title, history, &[])) }
        })) }
        @if listed {
            details {
                summary { "Changes of this placement as a table" }
                (history.table(format!("Changes of the placement, {}", wanted::name(run))).html())
            }
        }
    }
}
