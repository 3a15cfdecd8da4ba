//! The top of the page: what was run, who won, and every policy in every scenario at a glance.

use super::comparison::{Baseline, Case, Comparison};
use super::page::{Content, case_id, case_name};
use super::tables;
use crate::report::number::{Unit, count};
use crate::report::statistics::RESAMPLES;
use crate::report::table::Table;
use maud::{Markup, html};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn header(content: &Content) -> Markup {
    let experiment = content.experiment;
    let comparison = content.comparison;
    let head = &experiment.head;
    let seeds: BTreeSet<u64> = experiment.runs.iter().map(|run| run.seed).collect();
    let scenarios: BTreeSet<&str> = comparison.cases.iter().map(|case| case.scenario).collect();
    let hours: BTreeSet<String> = comparison.cases.iter().map(|case| Unit::Seconds.show(case.hours * 3600.0)).collect();
    let hours: Vec<String> = hours.into_iter().collect();
    let facts = [
        (comparison.policies.len(), "policy", "policies"),
        (scenarios.len(), "scenario", "scenarios"),
        (seeds.len(), "seed", "seeds"),
        (experiment.runs.len(), "run", "runs"),
    ];
    html! {
        header {
            p.kind { "Experiment" }
            h1 { (head.name) }
            @if !head.about.is_empty() { p.about { (head.about) } }
            ul.facts {
                @for (number, one, many) in facts {
                    li { b { (count(number as u64)) } " " @if number == 1 { (one) } @else { (many) } }
                }
                @if !hours.is_empty() { li { b { (hours.join(", ")) } " each" } }
                @if !head.written_by.is_empty() { li { "run by " (head.written_by) } }
            }
        }
    }
}

pub(super) fn summary(comparison: &Comparison) -> Markup {
    html! {
        section #summary {
            h2 { "Summary" }
            @for sentence in sentences(comparison) { p.lead { (sentence) } }
            (verdicts(comparison).html())
            p.note {
                "Won: fewest violated jobs in the mean; policies that know the future (oracle, oracle-late, oracle-ahead) are yardsticks and do not "
                "take part. In brackets 95 % intervals of the mean (bootstrap, " (count(RESAMPLES as u64)) " resamples). Apart: no rival\u{2019}s "
                "interval touches the winner\u{2019}s. The difference is taken seed by seed, so it can be certain where intervals overlap. "
                "Regret: violated jobs more than the oracle\u{2019}s with the same seed."
            }
            (matrix(comparison))
        }
    }
}

/// Without what is the same everywhere.
fn verdicts(comparison: &Comparison) -> Table {
    let mut table = tables::verdicts(comparison);
    if comparison.cases.iter().all(|case| case.baseline == Baseline::Oracle) {
        table.remove("regret_against");
    }
    table
}

/// Who won how often, in words.
fn sentences(comparison: &Comparison) -> Vec<Markup> {
    let mut won: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for case in &comparison.cases {
        if let (Some(winner), Some(verdict)) = (case.winner(), &case.verdict) {
            let (all, apart) = won.entry(winner.policy).or_default();
            *all += 1;
            *apart += usize::from(verdict.is_apart());
        }
    }
    let mut won: Vec<(&str, (usize, usize))> = won.into_iter().collect();
    won.sort_by_key(|(policy, (all, apart))| (std::cmp::Reverse((*all, *apart)), *policy));
    let cases = comparison.cases.len();
    let what = if comparison.cases.iter().any(|case| !case.factors.is_empty()) { "cases" } else { "scenarios" };
    let first = won.first().map(|(policy, (all, apart))| {
        html! {
            b { (policy) } " won "
            @if cases == 1 { "the only one of the " (what) } @else { (all) " of " (cases) " " (what) }
            @if *apart == *all { ", with its interval apart from every rival\u{2019}s." }
            @else if *apart == 0 { ", in none of them with its interval apart from every rival\u{2019}s." }
            @else { ", in " (apart) " of them with its interval apart from every rival\u{2019}s." }
        }
    });
    let others = (won.len() > 1).then(|| {
        let one = |(policy, (all, apart)): &(&str, (usize, usize))| format!("{policy} {all} ({apart} apart)");
        let others: Vec<String> = won[1..].iter().map(one).collect();
        html! { "The others: " (others.join(", ")) "." }
    });
    let unfinished = comparison.cases.iter().filter(|case| is_unfinished(case)).count();
    let warning = (unfinished > 0).then(|| {
        html! { "Not all runs are there: in " (unfinished) " of " (cases) " " (what) " some policies were run with fewer seeds than others." }
    });
    first.into_iter().chain(others).chain(warning).collect()
}

pub(super) fn is_unfinished(case: &Case) -> bool {
    case.contenders.iter().any(|contender| contender.runs.len() < case.seeds)
}

/// So many shades, from the best on.
const SHADES: [&str; 6] = ["s0", "s1", "s2", "s3", "s4", "s5"];

/// Mean violated jobs, scenarios down, policies across.
fn matrix(comparison: &Comparison) -> Markup {
    let caption = "Violated jobs of a run, mean; the stronger the shade, the nearer to the best policy of the scenario";
    html! {
        div.scroll role="region" aria-label=(caption) tabindex="0" {
            table.matrix {
                caption { (caption) }
                thead { tr {
                    th scope="col" { "Scenario" }
                    @for policy in &comparison.policies { th.number scope="col" { (policy) } }
                } }
                tbody { @for (index, case) in comparison.cases.iter().enumerate() { tr {
                    th scope="row" { a href={ "#" (case_id(index)) } { (case_name(case)) } }
                    @for policy in &comparison.policies { (shaded(case, policy)) }
                } } }
            }
        }
    }
}

fn shaded(case: &Case, policy: &str) -> Markup {
    let Some(contender) = case.contender(policy) else {
        return html! { td.number { span.none title="not run" { "\u{2013}" } } };
    };
    let best = case.winner().map_or(0.0, |winner| winner.violated.mean);
    // Twice as many violated jobs are a shade less; half a job is as good as none.
    let shades = ((contender.violated.mean + 0.5) / (best + 0.5)).log2().max(0.0).round() as usize;
    let is_winner = case.winner().is_some_and(|winner| winner.policy == policy);
    html! {
        td class={ "number " (SHADES.get(shades).unwrap_or(&"")) @if is_winner { " won" } } {
            @if is_winner { span.mark title="won" { "\u{25b8}" } }
            (Unit::Things.show(contender.violated.mean))
        }
    }
}
