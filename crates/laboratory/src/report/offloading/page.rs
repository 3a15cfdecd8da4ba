//! The whole page.

use super::{Offloading, OffloadingRun, Point, figures, findings, points, sentences, tables};
use crate::report::number::{Unit, count};
use crate::report::page::Page;
use crate::report::statistics::{Bootstrap, RESAMPLES};
use maud::{Markup, html};
use std::collections::BTreeSet;

/// The page as HTML, complete.
pub fn page(offloading: &Offloading) -> String {
    let mut bootstrap = Bootstrap::default();
    let points = points(&offloading.runs);
    let page = Page {
        title: format!("{}: experiment", offloading.head.name),
        header: header(offloading),
        what: "Offloading",
        choices: Vec::new(),
        summary: summary(&points, &mut bootstrap),
        sections: section(&points, &mut bootstrap),
    };
    page.html()
}

fn header(offloading: &Offloading) -> Markup {
    let head = &offloading.head;
    let distinct = |of: fn(&OffloadingRun) -> u64| offloading.runs.iter().map(of).collect::<BTreeSet<_>>().len();
    let facts = [
        (distinct(|run| run.cpu_threshold.to_bits()), "threshold", "thresholds"),
        (distinct(|run| run.failures.to_bits()), "share of failures", "shares of failures"),
        (distinct(|run| run.seed), "seed", "seeds"),
        (offloading.runs.len(), "run", "runs"),
    ];
    html! {
        header {
            p.kind { "Experiment of offloading" }
            h1 { (head.name) }
            @if !head.about.is_empty() { p.about { (head.about) } }
            @if let Some(run) = offloading.runs.first() { p.about { (plane(run)) } }
            ul.facts {
                @for (number, one, many) in facts {
                    li { b { (count(number as u64)) } " " @if number == 1 { (one) } @else { (many) } }
                }
                @if !head.written_by.is_empty() { li { "run by " (head.written_by) } }
            }
        }
    }
}

/// The same in all runs of a file: those of another plane are outdated, and go.
fn plane(run: &OffloadingRun) -> Markup {
    let [users, servers, users_per_server] = [run.users, run.servers, run.users_per_server].map(u64::from).map(count);
    html! {
        (users) " users come one after another to " (servers) " servers, each of whose CPUs " (users_per_server)
        " of them take as a whole, all somewhere in a square of " (run.side_km) " km by " (run.side_km) " km; a kilometre is "
        (Unit::Milliseconds.show(run.ms_per_km)) " of latency."
    }
}

fn summary(points: &[Point], bootstrap: &mut Bootstrap) -> Markup {
    let findings = findings(points, bootstrap);
    html! {
        section #summary {
            h2 { "Summary" }
            @if findings.is_empty() { p.lead { "Nothing has been run yet." } }
            @for sentence in sentences(&findings) { p.lead { (sentence) } }
            @if !findings.is_empty() { (tables::summary(&findings).html()) }
            p.note {
                "Each user takes the nearest server whose CPU is below the threshold, and stays; the choice is that of the balancer "
                code { "nearest-below" } ". A user for whom no server is below it is not served. Servers fail before anybody comes. "
                "Of the same seed, places and the order in which servers fail are the same with every threshold. In brackets 95 % "
                "intervals of the mean over the seeds (bootstrap, " (count(RESAMPLES as u64)) " resamples)."
            }
        }
    }
}

fn section(points: &[Point], bootstrap: &mut Bootstrap) -> Markup {
    html! { @if !points.is_empty() {
        section.case #failures {
            h2 { "While servers fail" }
            p.note { "A line for each threshold: the mean over the seeds, in the band between the 10th and the 90th percentile." }
            (figures::all(points))
            (tables::points(points, bootstrap).html())
        }
    } }
}

#[cfg(test)]
mod tests {
    use super::super::tests::runs;
    use super::*;

    #[test]
    fn a_page_has_three_figures_and_says_what_was_found() {
        let mut offloading = Offloading { runs: runs(&[0.5, 1.0], &[0.0, 0.5]), ..Offloading::default() };
        offloading.head.about = "Lots & <lots>.".to_owned();
        let page = page(&offloading);
        assert_eq!((page.matches("<svg").count(), page.matches("<table").count()), (3, 2));
        assert!(
            page.contains("Lots &amp; &lt;lots&gt;.") && page.contains("50 users come one after another"),
            "{page}"
        );
        assert!(page.contains("50\u{a0}% with a threshold of 100\u{a0}%."), "{page}");
    }

    #[test]
    fn nothing_is_a_page_too() {
        let page = page(&Offloading::default());
        assert!(page.contains("Nothing has been run yet.") && page.ends_with("</html>") && !page.contains("<svg"));
    }
}
