//! The whole page.

use super::{Case, NetworkRound, Networks, figures, tables, yardstick};
use crate::report::number::{Unit, count};
use crate::report::page::{Choice, Page};
use crate::report::statistics::{Bootstrap, RESAMPLES};
use crate::report::table::in_words;
use maud::{Markup, html};
use std::collections::BTreeSet;

/// All that a page is made from.
#[derive(Clone, Copy, Debug)]
pub struct Content<'a> {
    pub networks: &'a Networks,
    pub cases: &'a [Case<'a>],
    /// For each case, the rounds of each of [`Case::drawn`].
    pub rounds: &'a [Vec<Vec<NetworkRound>>],
}

/// The page as HTML, complete.
pub fn page(content: &Content) -> String {
    let mut bootstrap = Bootstrap::default();
    let id = |index: usize| format!("case-{}", index + 1);
    let choices = content.cases.iter().enumerate();
    let choices = choices.map(|(index, case)| Choice { id: id(index), name: case.name(), hint: String::new() });
    let page = Page {
        title: format!("{}: experiment", content.networks.head.name),
        header: header(content.networks),
        what: "Networks",
        choices: choices.collect(),
        summary: summary(content.cases, &mut bootstrap),
        sections: html! { @for (index, case) in content.cases.iter().enumerate() {
            (section(&id(index), case, content.rounds.get(index).map(Vec::as_slice).unwrap_or_default(), &mut bootstrap))
        } },
    };
    page.html()
}

fn header(networks: &Networks) -> Markup {
    let head = &networks.head;
    let distinct = |of: fn(&super::NetworkRun) -> u64| networks.runs.iter().map(of).collect::<BTreeSet<_>>().len();
    let facts = [
        (distinct(|run| u64::from(run.nodes)), "size", "sizes"),
        (distinct(|run| u64::from(run.fan_out)), "fan-out", "fan-outs"),
        (distinct(|run| run.interval_s.to_bits()), "interval", "intervals"),
        (distinct(|run| run.seed), "seed", "seeds"),
        (networks.runs.len(), "run", "runs"),
    ];
    html! {
        header {
            p.kind { "Experiment of membership" }
            h1 { (head.name) }
            @if !head.about.is_empty() { p.about { (head.about) } }
            ul.facts {
                @for (number, one, many) in facts {
                    li { b { (count(number as u64)) } " " @if number == 1 { (one) } @else { (many) } }
                }
                @if !head.written_by.is_empty() { li { "run by " (head.written_by) } }
            }
        }
    }
}

fn summary(cases: &[Case], bootstrap: &mut Bootstrap) -> Markup {
    html! {
        section #summary {
            h2 { "Summary" }
            @for case in cases { p.lead { (sentence(case, bootstrap)) } }
            (tables::summary(cases, bootstrap).html())
            p.note {
                "Undisturbed networks at the shortest interval. A round is an interval. All know all: every node knows every node. "
                "In brackets 95 % intervals of the mean over the seeds (bootstrap, " (count(RESAMPLES as u64)) " resamples). Published: "
                "a gossip monitor (arXiv 2405.07806), whose " (yardstick::SMALLEST.0) " nodes took " (yardstick::SMALLEST.1)
                " rounds, and every exchange of whose " (yardstick::NODES) " nodes carries all that is known. Ideal: synchronous push-pull, in which an exchange "
                "takes no time, and all begin together; the exchanges here are spread over the interval, so that news passes through several nodes in one. "
                "Once all is known, records are still issued again, every ten intervals."
            }
        }
    }
}

/// How soon the largest network knew itself, and what else is worth knowing at once.
fn sentence(case: &Case, bootstrap: &mut Bootstrap) -> Markup {
    let drawn = case.drawn();
    let (runs, converged) = (case.runs.len(), case.runs.iter().filter(|run| run.converged_round.is_some()).count());
    let wrong: u64 = case.runs.iter().map(|run| u64::from(run.wrong)).sum();
    let deaths: u64 = case.undisturbed().iter().map(|run| run.false_deaths).sum();
    let mut fan_outs = Vec::new();
    for fan_out in case.distinct(|run| run.fan_out) {
        let of: Vec<_> = drawn.iter().copied().filter(|run| run.fan_out == fan_out).collect();
        if let Some(rounds) = super::mean(bootstrap, &of, |run| run.converged_round) {
            fan_outs.push(format!("{} rounds with a fan-out of {fan_out}", in_words(rounds, Unit::Things)));
        }
    }
    html! {
        b { (case.name()) } ": "
        @if fan_outs.is_empty() { (count(u64::from(case.largest()))) " nodes did not come to know each other. " }
        @else { (count(u64::from(case.largest()))) " nodes knew each other after " (fan_outs.join(", ")) ". " }
        @if converged < runs { "In " (count((runs - converged) as u64)) " of " (count(runs as u64)) " runs not everybody came to know everybody. " }
        @if deaths > 0 { (count(deaths)) " nodes were found dead while they ran. " }
        @if wrong > 0 { (count(wrong)) " questions got a wrong answer. " }
    }
}

fn section(id: &str, case: &Case, rounds: &[Vec<NetworkRound>], bootstrap: &mut Bootstrap) -> Markup {
    let name = case.name();
    html! {
        section.case id=(id) {
            h2 { (name) }
            (figures::all(case, rounds, bootstrap))
            details {
                summary { "All figures of " (name) " as a table" }
                (tables::points(std::slice::from_ref(case), format!("{name}: means, in brackets their 95 % intervals"), bootstrap).html())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::cases;
    use super::super::tests::networks;
    use super::*;

    #[test]
    fn a_page_has_seven_figures_for_each_loss() {
        let mut all = networks(&[50, 300], &[2, 3], &[0.0, 0.9], &[0.0, 0.2]);
        all.runs[0].converged_round = None;
        all.head.about = "Lots & <lots>.".to_owned();
        let cases = cases(&all);
        let round = |round| NetworkRound { round, age_p95_s: Some(0.5), ..NetworkRound::default() };
        let rounds: Vec<Vec<Vec<NetworkRound>>> =
            cases.iter().map(|case| vec![vec![round(1), round(2)]; case.drawn().len()]).collect();
        let page = page(&Content { networks: &all, cases: &cases, rounds: &rounds });
        assert_eq!((page.matches("<svg").count(), page.matches("<figure").count()), (14, 14));
        assert!(page.contains("Lots &amp; &lt;lots&gt;.") && page.contains("In 1 of 24 runs not everybody"), "{page}");
        assert!(
            page.contains("300 nodes knew each other after 4.31 [4.21, 4.41] rounds with a fan-out of 2"),
            "{page}"
        );
    }

    #[test]
    fn nothing_is_a_page_too() {
        let page = page(&Content { networks: &Networks::default(), cases: &[], rounds: &[] });
        assert!(page.contains("<h2>Summary</h2>") && page.ends_with("</html>"));
    }
}
