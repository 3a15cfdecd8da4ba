//! Experiments. Of policies: which are compared in which scenarios, with which seeds, and what is varied (here). Of membership:
//! which networks come to know each other (`membership`). Of offloading: how many failures a threshold bears (`offloading`). What each
//! key means is in `docs/experiments.md`.

mod fragment;
pub mod membership;
pub mod offloading;
mod values;

use super::agent::known_policy;
use super::load::{Vocabulary, unreadable};
use super::problem::{ConfigError, Invalid, Problems};
use super::scenario::{self, Scenario};
use super::{fragment as files, quantity};
use fragment::{Factor, GUIDE, Seeds, Variant};
use membership::MembershipExperiment;
use offloading::OffloadingExperiment;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The largest grid \[runs\].
const MAX_RUNS: usize = 1_000_000;

/// Each of these is a scenario of its own in memory.
const MAX_SUBJECTS: usize = 1000;

/// A full grid: every subject with every policy and every seed.
#[derive(Clone, PartialEq, Debug)]
pub struct Experiment {
    /// Also the name of its database's file.
    pub name: String,
    pub about: String,
    /// At least one; those of a scenario behind each other.
    pub subjects: Vec<Subject>,
    /// At least one, each once.
    pub policies: Vec<String>,
    /// At least one, each once.
    pub seeds: Vec<u64>,
    /// Of virtual time.
    pub hours: f64,
}

/// A scenario with one variant of each factor.
#[derive(Clone, PartialEq, Debug)]
pub struct Subject {
    pub scenario: Scenario,
    /// Factor to variant; empty without factors.
    pub factors: BTreeMap<String, String>,
    /// The scenario as TOML, bases and variants joined in, always written in the same way: other texts are other scenarios.
    pub text: String,
}

/// An experiment of whichever kind.
#[derive(Clone, PartialEq, Debug)]
pub enum AnyExperiment {
    /// A file without `kind`.
    Policies(Experiment),
    /// `kind = "membership"`
    Membership(MembershipExperiment),
    /// `kind = "offloading"`
    Offloading(OffloadingExperiment),
}

/// Reads and validates an experiment of whichever kind it is. All problems are reported at once, except that a file which is not
/// TOML of the right shape only tells its first.
pub fn load_any(file: &Path, vocabulary: &Vocabulary) -> Result<AnyExperiment, ConfigError> {
    let mut problems = Problems::default();
    problems.enter(&file.display().to_string());
    let text = problems.check("", text_of(file));
    let experiment = text.and_then(|text| any(&text, file, vocabulary, &mut problems));
    problems.settle(experiment)
}

/// Reads and validates an experiment of policies and its scenarios, as [`load_any`] does.
pub fn load(file: &Path, vocabulary: &Vocabulary) -> Result<Experiment, ConfigError> {
    let mut problems = Problems::default();
    problems.enter(&file.display().to_string());
    let text = problems.check("", text_of(file));
    let experiment = text.and_then(|text| of_policies(&text, file, vocabulary, &mut problems));
    problems.settle(experiment)
}

fn any(text: &str, file: &Path, vocabulary: &Vocabulary, problems: &mut Problems) -> Option<AnyExperiment> {
    let fragment::OfKind { kind } = parsed(text, &GUIDE, problems)?;
    match kind.as_deref() {
        None => of_policies(text, file, vocabulary, problems).map(AnyExperiment::Policies),
        Some("membership") => {
            let written = parsed(text, &fragment::MEMBERSHIP_GUIDE, problems)?;
            membership::validate(&written, problems).map(AnyExperiment::Membership)
        }
        Some("offloading") => {
            let written = parsed(text, &fragment::OFFLOADING_GUIDE, problems)?;
            offloading::validate(&written, problems).map(AnyExperiment::Offloading)
        }
        Some(other) => {
            let help = "kinds are `membership` and `offloading`; leave it out of an experiment that compares policies";
            problems.add("kind", Invalid::new(format!("there is no kind `{other}` of experiments"), help));
            None
        }
    }
}

fn of_policies(text: &str, file: &Path, vocabulary: &Vocabulary, problems: &mut Problems) -> Option<Experiment> {
    let written = parsed(text, &GUIDE, problems)?;
    validate(&written, file, vocabulary, problems)
}

fn parsed<T: DeserializeOwned>(text: &str, guide: &files::Guide, problems: &mut Problems) -> Option<T> {
    files::parse_by(text, guide).map_err(|(place, invalid)| problems.add(place, invalid)).ok()
}

fn text_of(file: &Path) -> Result<String, Invalid> {
    const LAYOUT: &str = "an experiment is a TOML file; docs/experiments.md explains every key and has an example";
    std::fs::read_to_string(file).map_err(|error| unreadable(&error, LAYOUT))
}

fn validate(
    written: &fragment::Experiment,
    file: &Path,
    vocabulary: &Vocabulary,
    problems: &mut Problems,
) -> Option<Experiment> {
    let name = problems.check("name", quantity::name(&written.name));
    let policies = policies(&written.policies, vocabulary, problems);
    let seeds = problems.check("seeds", seeds(&written.seeds));
    let hours = problems.check("hours", quantity::hours(written.hours));
    let combinations = combinations(&written.factor, problems);
    let subjects = subjects(&written.scenarios, combinations?, file, vocabulary, problems)?;
    let (name, seeds, hours) = (name?, seeds?, hours?);
    let runs = subjects.len().saturating_mul(policies.len()).saturating_mul(seeds.len());
    if runs > MAX_RUNS {
        let help = format!("at most {MAX_RUNS}: fewer seeds, policies or variants, or several experiments");
        problems.add("", Invalid::new(format!("comes to {runs} runs"), help));
    }
    Some(Experiment { name, about: written.about.clone(), subjects, policies, seeds, hours })
}

fn policies(written: &[String], vocabulary: &Vocabulary, problems: &mut Problems) -> Vec<String> {
    if written.is_empty() {
        let help = format!("name at least one of {}", vocabulary.policies.join(", "));
        problems.add("policies", Invalid::new("there is no policy", help));
    }
    each_once("policies", written.iter(), problems);
    let known = written.iter().map(|policy| known_policy(policy, vocabulary.policies));
    known.filter_map(|policy| problems.check("policies", policy)).collect()
}

fn each_once<'a>(place: &str, names: impl Iterator<Item = &'a String>, problems: &mut Problems) {
    let mut seen = BTreeSet::new();
    for name in names.filter(|name| !seen.insert(*name)) {
        problems.add(place, Invalid::new(format!("`{name}` is there twice"), "remove one of them"));
    }
}

/// Both ends are included.
fn seeds(written: &Seeds) -> Result<Vec<u64>, Invalid> {
    const HELP: &str = "write it like `seeds = \"1..200\"`, both ends included, or `seeds = [1, 5, 9]`";
    let seed = |number: i64| u64::try_from(number).map_err(|_| Invalid::new(format!("{number} is no seed"), HELP));
    let seeds: Vec<u64> = match written {
        Seeds::Range(text) => {
            let ends =
                text.split_once("..").and_then(|(first, last)| first.trim().parse().ok().zip(last.trim().parse().ok()));
            let (first, last) = ends.ok_or_else(|| Invalid::new(format!("`{text}` is no range"), HELP))?;
            let (first, last) = (seed(first)?, seed(last)?);
            if last.saturating_sub(first) >= MAX_RUNS as u64 {
                return Err(Invalid::new(format!("`{text}` is too long"), format!("at most {MAX_RUNS} seeds")));
            }
            (first..=last).collect()
        }
        Seeds::List(list) => list.iter().copied().map(seed).collect::<Result<_, _>>()?,
    };
    match seeds.iter().copied().collect::<BTreeSet<_>>().len() {
        0 => Err(Invalid::new("there is no seed", HELP)),
        distinct if distinct < seeds.len() => Err(Invalid::new("a seed is there twice", "remove one of them")),
        _ => Ok(seeds),
    }
}

/// One variant of each factor.
type Combination<'a> = Vec<(&'a str, &'a Variant)>;

/// The ways to take one variant of each factor, the last factor changing fastest; without factors there is one way.
fn combinations<'a>(factors: &'a [Factor], problems: &mut Problems) -> Option<Vec<Combination<'a>>> {
    let mut well = true;
    let mut name = |place: String, name: &str| well &= problems.check(place, quantity::name(name)).is_some();
    for (index, factor) in (1..).zip(factors) {
        name(format!("factor {index}: name"), &factor.name);
        factor.variant.iter().for_each(|variant| name(format!("factor {}: variant: name", factor.name), &variant.name));
    }
    each_once("factor", factors.iter().map(|factor| &factor.name), problems);
    let mut combinations = vec![Vec::new()];
    for factor in factors {
        let place = format!("factor {}", factor.name);
        each_once(&place, factor.variant.iter().map(|variant| &variant.name), problems);
        if factor.variant.is_empty() {
            let help = "add `[[factor.variant]]` with `name` and what it changes of a scenario for each";
            problems.add(&place, Invalid::new("there is no variant", help));
            well = false;
        }
        if combinations.len() * factor.variant.len() > MAX_SUBJECTS {
            let help = format!("at most {MAX_SUBJECTS} combinations: fewer variants, or several experiments");
            problems.add(&place, Invalid::new("brings too many combinations", help));
            return None;
        }
        let further = |combination: Combination<'a>| {
            factor
                .variant
                .iter()
                .map(move |variant| [combination.as_slice(), &[(factor.name.as_str(), variant)]].concat())
        };
        combinations = combinations.into_iter().flat_map(further).collect();
    }
    well.then_some(combinations)
}

fn subjects(
    written: &[String],
    combinations: Vec<Combination<'_>>,
    file: &Path,
    vocabulary: &Vocabulary,
    problems: &mut Problems,
) -> Option<Vec<Subject>> {
    let own = file.display().to_string();
    if written.is_empty() {
        let help = "name their files relative to this one, like `scenarios = [\"../scenarios/published.toml\"]`";
        problems.add("scenarios", Invalid::new("there is no scenario", help));
    }
    if written.len().saturating_mul(combinations.len()) > MAX_SUBJECTS {
        let help = format!("at most {MAX_SUBJECTS}: fewer of them, or fewer variants");
        problems.add("scenarios", Invalid::new("are too many with all the variants", help));
        return None;
    }
    let mut subjects: Vec<Subject> = Vec::new();
    let mut names = BTreeSet::new();
    let mut well = true;
    for path in written.iter().map(|path| file.with_file_name(path)) {
        problems.enter(&path.display().to_string());
        let text = scenario::read(&path, problems);
        let plain = text.and_then(|text| Some((scenario::understood(&text, vocabulary, problems)?, text)));
        problems.enter(&own);
        let Some((plain, text)) = plain else {
            well = false;
            continue;
        };
        if !names.insert(plain.name.clone()) {
            let problem = format!("two of them are called `{}`", plain.name);
            problems
                .add("scenarios", Invalid::new(problem, "runs are stored by the `name` of their scenario: change one"));
        }
        for combination in &combinations {
            match varied(&plain.name, &text, combination, vocabulary, problems) {
                Some(subject) => subjects.push(subject),
                None => well = false,
            }
        }
    }
    well.then_some(subjects)
}

fn varied(
    name: &str,
    text: &str,
    combination: &Combination<'_>,
    vocabulary: &Vocabulary,
    problems: &mut Problems,
) -> Option<Subject> {
    let said: Vec<String> =
        combination.iter().map(|(factor, variant)| format!("{factor} = {}", variant.name)).collect();
    let mut own = problems.within(format!("{name} with {}", said.join(", ")));
    let over = combination.iter().map(|(_, variant)| &variant.over);
    let varied = scenario::varied(text, over, vocabulary, &mut own);
    problems.absorb(own);
    let (text, scenario) = varied?;
    let factors = combination.iter().map(|(factor, variant)| ((*factor).to_owned(), variant.name.clone())).collect();
    Some(Subject { scenario, factors, text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::ALL_POLICIES;
    use std::time::Duration;

    const VOCABULARY: Vocabulary = Vocabulary { policies: &ALL_POLICIES, expression: |_| Ok(()) };

    const NOISE: &str = r#"
        [[factor]]
        name = "noise"
        [[factor.variant]]
        name = "x1"
        [[factor.variant]]
        name = "x3"
        physics.response_time.deviation = "1500 ms"
        agent = [{ id = 2, goal = "response_time <= 20 s" }]
    "#;

    fn written(scenarios: &str, rest: &str) -> String {
        let head = "name = \"noise\"\nabout = \"How noise hurts.\"\npolicies = [\"reference\", \"fixed\"]";
        format!("{head}\nscenarios = [{scenarios}]\n{rest}")
    }

    /// An experiment beside the scenarios that are shipped, or what is told of it.
    pub(super) fn read_any(text: &str) -> Result<AnyExperiment, String> {
        let folder = tempfile::tempdir().unwrap();
        let shipped = format!("{}/../../fixtures/scenarios", env!("CARGO_MANIFEST_DIR"));
        std::os::unix::fs::symlink(shipped, folder.path().join("scenarios")).unwrap();
        let file = folder.path().join("experiment.toml");
        std::fs::write(&file, text).unwrap();
        load_any(&file, &VOCABULARY)
            .map_err(|error| error.to_string().replace(&format!("{}/", folder.path().display()), ""))
    }

    fn read(text: &str) -> Result<Experiment, String> {
        match read_any(text)? {
            AnyExperiment::Policies(experiment) => Ok(experiment),
            other => panic!("{other:?} compares no policies"),
        }
    }

    fn check(scenarios: &str, rest: &str, expected: &[&str]) {
        told(&written(scenarios, rest), expected);
    }

    /// Exactly these problems are told of an experiment.
    pub(super) fn told(text: &str, expected: &[&str]) {
        let told = read_any(text).unwrap_err();
        for expected in expected {
            assert!(told.contains(expected), "no `{expected}` in:\n{told}");
        }
        assert_eq!(told.matches("help:").count(), expected.len(), "{told}");
    }

    #[test]
    fn a_variant_lies_over_each_scenario_as_a_scenario_over_its_base() {
        let scenarios = "\"scenarios/published.toml\", \"scenarios/hopeless.toml\"";
        let experiment = read(&written(scenarios, &format!("seeds = \"3..5\"\nhours = 0.5\n{NOISE}"))).unwrap();
        assert_eq!((experiment.seeds.as_slice(), experiment.hours), ([3, 4, 5].as_slice(), 0.5));
        let subjects = experiment.subjects.iter().map(|subject| {
            let deviation = subject.scenario.physics.response_time.deviation;
            let second = subject.scenario.agents.values().nth(1).map(|agent| agent.goal_text.clone()).unwrap();
            (subject.scenario.name.as_str(), subject.factors["noise"].as_str(), deviation, second)
        });
        let second = |file: &str| {
            let path = format!("{}/../../fixtures/scenarios/{file}.toml", env!("CARGO_MANIFEST_DIR"));
            let scenario = scenario::load(Path::new(&path), &VOCABULARY).unwrap();
            scenario.agents.values().nth(1).map(|agent| agent.goal_text.clone()).unwrap()
        };
        let (short, long) = (Duration::from_millis(500), Duration::from_millis(1500));
        let expected = [
            ("published", "x1", short, second("published")),
            ("published", "x3", long, "response_time <= 20 s".to_owned()),
            ("hopeless", "x1", short, second("hopeless")),
            ("hopeless", "x3", long, "response_time <= 20 s".to_owned()),
        ];
        assert_eq!(subjects.collect::<Vec<_>>(), expected);
        let texts: BTreeSet<&str> = experiment.subjects.iter().map(|subject| subject.text.as_str()).collect();
        assert_eq!(texts.len(), 4, "each is a scenario of its own");
    }

    #[test]
    fn factors_are_crossed() {
        let grid = "[[factor]]\nname = \"b\"\nvariant = [{ name = \"1\" }, { name = \"2\" }]\n\
                    [[factor]]\nname = \"a\"\nvariant = [{ name = \"1\" }, { name = \"2\" }]";
        let text = written("\"scenarios/published.toml\"", &format!("seeds = [7]\nhours = 4\n{grid}"));
        let experiment = read(&text).unwrap();
        let both = |subject: &Subject| subject.factors.values().cloned().collect::<String>();
        assert_eq!(experiment.subjects.iter().map(both).collect::<Vec<_>>(), ["11", "21", "12", "22"]);
        assert_eq!(experiment.seeds, [7]);
    }

    #[test]
    fn every_problem_is_named_with_its_place_and_remedy() {
        check(
            "\"scenarios/publish.toml\", \"scenarios/published.toml\", \"scenarios/published.toml\"",
            "seeds = \"200..1\"\nhours = 0",
            &[
                "experiment.toml: seeds: there is no seed",
                "experiment.toml: hours: 0 is out of range",
                "scenarios/publish.toml: does not exist",
                "experiment.toml: scenarios: two of them are called `published`",
            ],
        );
        check("", "seeds = [1, 1]\nhours = 4", &["scenarios: there is no scenario", "seeds: a seed is there twice"]);
        check(
            "\"scenarios/published.toml\"",
            "seeds = \"1..2\"\nhours = 4\nfactor = [{ name = \"a/b\" }, { name = \"c\", variant = [{ name = \"1\" }, { name = \"1\" }] }]",
            &["factor 1: name: `a/b` is not a name", "factor a/b: there is no variant", "factor c: `1` is there twice"],
        );
    }

    #[test]
    fn a_variant_that_does_not_fit_is_named_with_what_it_says() {
        let vary = |over: &str| {
            let factor = format!("[[factor]]\nname = \"noise\"\n[[factor.variant]]\nname = \"x3\"\n{over}");
            read(&written("\"scenarios/published.toml\"", &format!("seeds = [1]\nhours = 4\n{factor}"))).unwrap_err()
        };
        let begins = |told: String, expected: &str| assert!(told.starts_with(expected), "{told}");
        let place = "experiment.toml: published with noise = x3";
        begins(vary("physics.poll = \"1500\""), &format!("{place}: physics.poll: `1500` has no unit"));
        begins(
            vary("physics.poll = 1500"),
            &format!("{place}: `poll = 1500`: found integer `1500` instead of a quantity"),
        );
        begins(vary("physics.pol = \"1 s\""), &format!("{place}: `pol = \"1 s\"`: unknown key `pol`"));
    }

    #[test]
    fn what_is_missing_is_shown_with_an_example() {
        let told = read("name = \"a\"").unwrap_err();
        assert_eq!(
            told,
            "experiment.toml: `about` is missing\n  help: write it like `about = \"Whether copies help when links are noisy.\"`; \
             docs/experiments.md explains it"
        );
        let told = read(&written("\"scenarios/published.toml\"", "seeds = 7\nhours = 4")).unwrap_err();
        let expected = "experiment.toml: line 5, column 9: found integer `7` instead of a range in quotes or a list of whole numbers";
        assert!(told.starts_with(expected), "{told}");
        assert!(told.contains("write it like `seeds = \"1..200\"`; docs/experiments.md explains it"), "{told}");
    }

    #[test]
    fn policies_are_known_ones() {
        let text = written("\"scenarios/published.toml\"", "seeds = [1]\nhours = 4").replace("\"fixed\"", "\"fixt\"");
        let told = read(&text).unwrap_err();
        let known = ALL_POLICIES.join(", ");
        let expected = format!(
            "experiment.toml: policies: unknown policy `fixt`\n  help: did you mean `fixed`? policies are {known}"
        );
        assert_eq!(told, expected);
    }

    #[test]
    fn every_key_is_documented() {
        let document = include_str!("../../../../../docs/experiments.md");
        let invalid = files::parse_by::<fragment::Experiment>("no_key_is_called_like_this = 1", &GUIDE).unwrap_err().1;
        let keys = invalid.help.strip_prefix("keys here are ").unwrap();
        for key in keys.split(", ").chain(["kind", "variant"]) {
            assert!(document.contains(&format!("\n| `{key}` |")), "`{key}` has no row in docs/experiments.md");
            assert!(GUIDE.examples.iter().any(|(known, _)| *known == key), "`{key}` has no example");
        }
        let shipped = include_str!("../../../../../fixtures/experiments/smoke.toml");
        let (_comment, shipped) = shipped.split_once("\n\n").unwrap();
        assert!(document.contains(shipped), "the example is not fixtures/experiments/smoke.toml");
    }

    #[test]
    fn every_experiment_that_is_shipped_can_be_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/experiments");
        let mut names = BTreeSet::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let experiment = load_any(&path, &VOCABULARY).unwrap_or_else(|error| panic!("error: {error}"));
            let called = match experiment {
                AnyExperiment::Policies(experiment) => experiment.name,
                AnyExperiment::Membership(experiment) => experiment.name,
                AnyExperiment::Offloading(experiment) => experiment.name,
            };
            assert_eq!(called, name, "an experiment is called as its file");
            names.insert(name);
        }
        assert!(names.contains("smoke") && names.contains("membership") && names.len() >= 4, "{names:?}");
    }
}
