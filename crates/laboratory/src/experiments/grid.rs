//! Which runs an experiment consists of, and by what a run is known again when it was stored.

use crate::results::Factors;
use agent_core::config::experiment::{Experiment, Subject};
use sha2::{Digest as _, Sha256};

/// Raised whenever the figures of a run mean something else than before, or the simulator comes to others: what was stored before
/// is then made again.
pub const FIGURES: u32 = 2;

/// What a run is of. There is one run of each.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place {
    pub scenario: String,
    pub policy: String,
    pub factors: Factors,
    pub seed: u64,
}

/// A run of the grid.
#[derive(Clone, PartialEq, Debug)]
pub struct Cell {
    pub place: Place,
    /// Position in [`Experiment::subjects`].
    pub subject: usize,
    /// Everything that the run's figures follow from: another one, other figures.
    pub identity: String,
}

/// The whole grid: first one seed of everything, so that whatever is interrupted can be compared already.
pub fn cells(experiment: &Experiment) -> Vec<Cell> {
    let editions: Vec<String> = experiment.subjects.iter().map(|subject| edition(subject, experiment.hours)).collect();
    let mut cells = Vec::with_capacity(experiment.seeds.len() * editions.len() * experiment.policies.len());
    for seed in experiment.seeds.iter().copied() {
        for (subject, edition) in editions.iter().enumerate() {
            for policy in &experiment.policies {
                let Subject { scenario, factors, .. } = &experiment.subjects[subject];
                let (scenario, factors) = (scenario.name.clone(), factors.clone());
                let place = Place { scenario, policy: policy.clone(), factors, seed };
                cells.push(Cell { place, subject, identity: format!("{edition}{policy} {seed}") });
            }
        }
    }
    cells
}

/// What the identities of all runs of a subject begin with: the figures' version, the scenario's text, how long it goes on.
pub fn edition(subject: &Subject, hours: f64) -> String {
    let text = hex::encode(Sha256::digest(&subject.text));
    format!("v{FIGURES} {} {hours} h ", &text[..16])
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_core::config::{Vocabulary, experiment};
    use agent_core::sim::ALL_POLICIES;
    use std::collections::BTreeSet;
    use std::path::Path;

    const VOCABULARY: Vocabulary = Vocabulary { policies: &ALL_POLICIES, expression: |_| Ok(()) };

    fn smoke() -> Experiment {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/experiments/smoke.toml");
        experiment::load(&file, &VOCABULARY).unwrap_or_else(|error| panic!("error: {error}"))
    }

    #[test]
    fn every_combination_is_there_once_and_one_seed_of_all_comes_first() {
        let cells = cells(&smoke());
        assert_eq!(cells.len(), 2 * 2 * 2 * 5);
        assert_eq!(cells.iter().map(|cell| &cell.place).collect::<BTreeSet<_>>().len(), cells.len());
        assert_eq!(cells.iter().map(|cell| &cell.identity).collect::<BTreeSet<_>>().len(), cells.len());
        assert!(cells[..8].iter().all(|cell| cell.place.seed == 1) && cells[8].place.seed == 2);
        let (first, third) = (&cells[0].place, &cells[2].place);
        let noise = |variant: &str| Factors::from([("noise".to_owned(), variant.to_owned())]);
        assert_eq!((first.scenario.as_str(), first.policy.as_str()), ("published", "reference"));
        assert_eq!((&first.factors, &third.factors), (&noise("x1"), &noise("x3")));
    }

    #[test]
    fn an_identity_changes_with_all_that_the_figures_follow_from() {
        let before = smoke();
        let first = |experiment: &Experiment| cells(experiment)[0].identity.clone();
        assert_eq!(first(&before), first(&smoke()));
        let changed = |change: fn(&mut Experiment)| {
            let mut after = before.clone();
            change(&mut after);
            assert_ne!(first(&after), first(&before));
        };
        changed(|experiment| experiment.hours = 0.5);
        changed(|experiment| experiment.seeds[0] = 9);
        changed(|experiment| experiment.policies.reverse());
        changed(|experiment| experiment.subjects[0].text.push(' '));
        let mut told = before.clone();
        told.about = "Something else.".to_owned();
        assert_eq!(first(&told), first(&before), "what people are told changes no figure");
    }

    #[test]
    fn the_runs_of_a_subject_begin_with_its_edition() {
        let experiment = smoke();
        for cell in cells(&experiment) {
            assert!(cell.identity.starts_with(&edition(&experiment.subjects[cell.subject], experiment.hours)));
        }
    }
}
