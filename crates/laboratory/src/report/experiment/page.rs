//! The whole page.

use super::comparison::{Case, Comparison};
use super::tables::Curves;
use super::{Experiment, Shown, case, overview, show_factors};
use crate::report::page::{Choice, Page};
use maud::html;

/// All that a page is made from.
#[derive(Clone, Copy, Debug)]
pub struct Content<'a> {
    pub experiment: &'a Experiment,
    pub comparison: &'a Comparison<'a>,
    /// For each case, a curve for each contender.
    pub curves: &'a Curves,
    pub shown: &'a [Shown<'a>],
}

/// The page as HTML, complete.
pub fn page(content: &Content) -> String {
    let comparison = content.comparison;
    let choices = comparison.cases.iter().enumerate().map(|(index, case)| Choice {
        id: case_id(index),
        name: case_name(case),
        hint: case.winner().map(|winner| winner.policy.to_owned()).unwrap_or_default(),
    });
    let section = |(index, of): (usize, &Case)| {
        let shown: Vec<&Shown> = content
            .shown
            .iter()
            .filter(|shown| shown.run.scenario == of.scenario && shown.run.factors.0 == *of.factors)
            .collect();
        let curves = content.curves.get(index).map(Vec::as_slice).unwrap_or_default();
        case::section(index, of, curves, &shown)
    };
    let page = Page {
        title: format!("{}: experiment", content.experiment.head.name),
        header: overview::header(content),
        what: "Scenarios",
        choices: choices.collect(),
        summary: overview::summary(comparison),
        sections: html! { @for of in comparison.cases.iter().enumerate() { (section(of)) } },
    };
    page.html()
}

pub(super) fn case_id(index: usize) -> String {
    format!("case-{}", index + 1)
}

pub(super) fn case_name(case: &Case) -> String {
    match case.factors.is_empty() {
        true => case.scenario.to_owned(),
        false => format!("{}, {}", case.scenario, show_factors(case.factors)),
    }
}
