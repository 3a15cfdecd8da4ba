//! The whole page.

use super::{Basis, Counted, Drawn, Figures, LoadRun, Loads, outcomes, pictures, tables};
use crate::report::number::{Unit, count, digits};
use crate::report::page::{Choice, Page};
use maud::{Markup, html};

/// All that a page is made from.
#[derive(Clone, Copy, Debug)]
pub struct Content<'a> {
    pub loads: &'a Loads,
    /// Each of [`Loads::drawn`], in that order.
    pub drawn: &'a [Drawn<'a>],
}

/// The page as HTML, complete.
pub fn page(content: &Content) -> String {
    let choice = |drawn: &Drawn| Choice {
        id: id(drawn.run),
        name: format!("Run {}: {}", drawn.run.id, drawn.run.name),
        hint: drawn.run.state.clone(),
    };
    let page = Page {
        title: format!("{}: load", content.loads.head.name),
        header: header(content.loads),
        what: "Runs",
        choices: content.drawn.iter().map(choice).collect(),
        summary: summary(content),
        sections: html! { @for drawn in content.drawn { (section(drawn)) } },
    };
    page.html()
}

fn id(run: &LoadRun) -> String {
    format!("case-{}", run.id)
}

fn header(loads: &Loads) -> Markup {
    let head = &loads.head;
    let runs = loads.runs.len();
    html! {
        header {
            p.kind { "Load" }
            h1 { (head.name) }
            @if !head.about.is_empty() { p.about { (head.about) } }
            ul.facts {
                li { b { (count(runs as u64)) } " " @if runs == 1 { "run" } @else { "runs" } }
                @if !head.written_by.is_empty() { li { "run by " (head.written_by) } }
            }
        }
    }
}

fn summary(content: &Content) -> Markup {
    let falls_short = |drawn: &&Drawn| drawn.figures.as_ref().is_some_and(|figures| figures.counted.falls_short());
    let short: Vec<&Drawn> = content.drawn.iter().filter(falls_short).collect();
    html! {
        section #summary {
            h2 { "Summary" }
            @if !short.is_empty() { p.warning {
                "The load was not as intended in " @for (index, drawn) in short.iter().enumerate() {
                    @if index > 0 { ", " } a href={ "#" (id(drawn.run)) } { "run " (drawn.run.id) }
                } "."
            } }
            @if content.loads.runs.is_empty() { p.lead { "Nothing has been run yet." } }
            @else { (tables::runs(content.loads, content.drawn).html()) }
            @if content.drawn.len() < content.loads.runs.len() {
                p.note { "The latest " (content.drawn.len()) " runs are drawn; of the others the table tells what they said at their end." }
            }
            p.note {
                "Response time is counted from when a request was meant to start, however late it was sent; service time from when it "
                "was sent. Both are of answers of any status and of what was given up, which took at least so long. Late: sent later "
                "after its time than it should. Dropped: never sent, because too many were in flight. Without a trace: writing was too "
                "slow for them."
            }
        }
    }
}

fn section(drawn: &Drawn) -> Markup {
    let name = format!("run {}", drawn.run.id);
    html! {
        section.case id=(id(drawn.run)) {
            h2 { "Run " (drawn.run.id) ": " (drawn.run.name) }
            @for warning in warnings(drawn) { p.warning { (warning) } }
            p.lead { (lead(drawn.run, drawn.figures.as_ref())) }
            @if drawn.figures.is_some() { (percentiles(drawn)) }
            (pictures::all(&name, drawn))
            @if let Some(errors) = drawn.figures.as_ref().and_then(tables::errors) { (errors.html()) }
            @if !drawn.beside.hosts.is_empty() { (of_one(tables::hosts(std::slice::from_ref(drawn)))) }
            @if !drawn.beside.happened().is_empty() {
                details {
                    summary { "What happened during " (name) " as a table" }
                    (of_one(tables::happened(std::slice::from_ref(drawn))))
                }
            }
            @if !drawn.course.parts.is_empty() {
                details {
                    summary { "The course of " (name) " as a table" }
                    (of_one(tables::course(std::slice::from_ref(drawn))))
                }
            }
        }
    }
}

/// What to know before everything else: that the load was another one than was intended, and what of it is not known.
fn warnings(drawn: &Drawn) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(counted) =
        drawn.figures.as_ref().map(|figures| &figures.counted).filter(|counted| counted.falls_short())
    {
        let Counted { intended, late, dropped, .. } = counted;
        let (intended, dropped) = (count(*intended), count(*dropped));
        let late = late.map_or_else(|| "an unknown number".to_owned(), count);
        warnings
            .push(format!("The load was not as intended: of {intended} requests {dropped} dropped, {late} sent late."));
    }
    if drawn.run.state == LoadRun::RUNNING {
        warnings.push("The run has not ended: it was killed, or still runs.".to_owned());
    }
    let counted = "are counted from the requests that were written; how many were sent late is not among them";
    match &drawn.basis {
        Basis::Told => {}
        Basis::Counted => warnings.push(format!("Its figures {counted}.")),
        Basis::NotRead(problem) => {
            warnings.push(format!(
                "What it said at its end was written by another version of agent ({problem}): its figures {counted}."
            ));
        }
    }
    if drawn.run.traces_missed > 0 {
        warnings.push(format!(
            "Of {} requests there is no trace, because writing was too slow for them: what is counted from traces, and drawn over \
             time, lacks them.",
            count(drawn.run.traces_missed)
        ));
    }
    warnings
}

fn lead(run: &LoadRun, figures: Option<&Figures>) -> Markup {
    html! {
        b { (run.name) } ", seed " (run.seed) ", " (run.state)
        @if let Some(began) = tables::began(run) { ", began " (began) }
        ": "
        @match figures {
            None => "no request has ended.",
            Some(figures) => (came_to(figures)),
        }
    }
}

fn came_to(figures: &Figures) -> Markup {
    let counted = &figures.counted;
    let rate = |rate: f64| (rate > 0.0).then(|| format!(" ({} in a second)", digits(rate)));
    let errors = outcomes::in_order(counted.errors.keys().map(String::as_str)).into_iter();
    let errors: Vec<String> =
        errors.map(|kind| format!("{} {}", count(counted.errors[kind]), outcomes::in_words(kind))).collect();
    html! {
        (count(counted.intended)) " requests were meant to start within " (Unit::Seconds.show(figures.planned_s))
        @if let Some(rate) = rate(figures.rate_intended) { (rate) }
        ", and " (count(counted.answered())) " were answered below 400 within " (Unit::Seconds.show(figures.lasted_s))
        @if let Some(rate) = rate(figures.rate_achieved) { (rate) }
        @if errors.is_empty() { "." } @else { "; not so " (errors.join(", ")) "." }
        @if let Some(times) = figures.response_ms {
            " Half of them took no longer than " (Unit::Milliseconds.show(times.p50)) ", 99 % no longer than "
            (Unit::Milliseconds.show(times.p99)) ", the longest " (Unit::Milliseconds.show(times.max)) "."
        }
    }
}

fn percentiles(drawn: &Drawn) -> Markup {
    let precision = match drawn.basis {
        Basis::Told => "The run counted them itself, to three digits.",
        Basis::Counted | Basis::NotRead(_) => "Of the exact times of all traces.",
    };
    html! {
        (of_one(tables::percentiles(std::slice::from_ref(drawn))))
        p.note { (precision) " Where there are fewer requests than a percentile needs, it is the longest time." }
    }
}

/// Of a table that is about one run anyway.
fn of_one(mut table: crate::report::table::Table) -> Markup {
    table.remove("run");
    table.html()
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::told;
    use super::super::tests::{drawn, run, traces};
    use super::*;

    fn of(runs: Vec<LoadRun>) -> String {
        let mut loads = Loads { runs, ..Loads::default() };
        loads.head.about = "Lots & <lots>.".to_owned();
        let all: Vec<Drawn> = loads.drawn().map(|run| drawn(run, &traces(100))).collect();
        page(&Content { loads: &loads, drawn: &all })
    }

    #[test]
    fn a_page_has_a_section_for_each_run_the_latest_first() {
        let page = of(vec![run(1, Some(told())), run(2, None)]);
        assert!(page.contains("Lots &amp; &lt;lots&gt;."), "{page}");
        assert_eq!((page.matches("<svg").count(), page.matches("<section class=\"case\"").count()), (6, 2));
        let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}: {page}"));
        assert!(place("id=\"case-2\"") < place("id=\"case-1\""));
    }

    #[test]
    fn what_was_not_as_intended_is_said_first() {
        let page = of(vec![LoadRun { traces_missed: 3, ..run(1, Some(told())) }]);
        assert!(page.contains("not as intended in <a href=\"#case-1\">run 1</a>."), "{page}");
        let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}: {page}"));
        let warning = place("The load was not as intended: of 4 requests 1 dropped, 1 sent late.");
        let lead = place(
            "4 requests were meant to start within 2\u{a0}s (2 in a second), and 2 were answered below 400 within 2.5\u{a0}s \
             (0.8 in a second); not so 1 timed out, 1 dropped.",
        );
        assert!(warning < place("Of 3 requests there is no trace") && warning < lead);
    }

    #[test]
    fn a_run_that_was_killed_is_counted_from_its_traces() {
        let page = of(vec![run(1, None)]);
        for text in [
            "it was killed, or still runs.",
            "Its figures are counted from the requests that were written",
            "100 requests were meant to start within 0.99\u{a0}s (101 in a second), and 90 were answered below 400",
            "; not so 10 refused.",
            "Half of them took no longer than 10\u{a0}ms, 99 % no longer than 10\u{a0}ms",
        ] {
            assert!(page.contains(text), "{text}: {page}");
        }
        assert!(!page.contains("not as intended"), "{page}");
    }

    #[test]
    fn figures_of_another_version_are_not_trusted() {
        let page = of(vec![run(1, Some(serde_json::json!({ "intended": 9 })))]);
        assert!(
            page.contains("another version of agent (missing field `planned_s`): its figures are counted"),
            "{page}"
        );
    }

    #[test]
    fn nothing_is_a_page_too() {
        let loads = Loads { runs: vec![run(1, None)], ..Loads::default() };
        let all: Vec<Drawn> = loads.drawn().map(|run| drawn(run, &[])).collect();
        let page_of = |loads: &Loads, drawn: &[Drawn]| page(&Content { loads, drawn });
        assert!(page_of(&loads, &all).contains(", began 2023-11-14T22:13:20Z: no request has ended."));
        assert!(page_of(&Loads::default(), &[]).contains("Nothing has been run yet."));
    }
}
