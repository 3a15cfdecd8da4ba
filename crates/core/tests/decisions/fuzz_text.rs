//! Arbitrary text where people or other agents write it: goals, action labels, quantities. Nothing panics, and what is accepted
//! reads the same after it was written.
//!
//! `PROPTEST_CASES=100000 cargo test --test fuzz_text` looks for longer.

use agent_core::domain::action::Action;
use agent_core::domain::goal::Goal;
use agent_core::domain::text::{is_deceptive, legible, legible_json, without_userinfo};
use agent_core::domain::units::{Percent, parse_bytes, parse_duration};
use proptest::prelude::*;
use proptest::sample::select;

/// The words of the language, and what is close to them.
const WORDS: [&str; 34] = [
    "response_time",
    "execution_time",
    "throughput",
    "network_latency",
    "availability",
    "data_consistency",
    "<=",
    "<",
    ">=",
    ">",
    "=",
    "and",
    "AND",
    "or",
    "(",
    ")",
    "s",
    "ms",
    "min",
    "h",
    "%",
    "records/s",
    "35",
    "0.5",
    "1e3",
    "-1",
    "+2",
    "1_000",
    "99999999999999999999999",
    ".",
    "_",
    "ä",
    "\u{202e}",
    "0",
];

/// Sentences that often make sense: bounds joined in any way.
fn sentence() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        (0u32..200).prop_map(|n| n.to_string()),
        (0.0..100.0f64).prop_map(|n| n.to_string()),
        "[0-9]{1,3}(\\.[0-9]{1,20})?",
        "[0-9]{1,40}",
    ];
    let bound = (select(vec![0, 1, 2, 3]), select(vec!["<=", "<", ">", ">="]), number, 0usize..4).prop_map(
        |(metric, comparison, number, unit)| match metric {
            0 => format!("response_time {comparison} {number} {}", ["s", "ms", "min", "h"][unit]),
            1 => format!("throughput{comparison}{number} records/s"),
            2 => format!("availability {comparison} {number} %"),
            _ => format!("data_consistency {comparison} {number}"),
        },
    );
    bound.prop_recursive(5, 24, 3, |inner| {
        (prop::collection::vec(inner, 1..4), select(vec![" and ", " or ", " OR "]), any::<bool>()).prop_map(
            |(parts, word, grouped)| match grouped {
                true => format!("({})", parts.join(word)),
                false => parts.join(word),
            },
        )
    })
}

fn words() -> impl Strategy<Value = String> {
    prop::collection::vec(select(WORDS.to_vec()), 0..20).prop_map(|words| words.join(" "))
}

/// Text of any kind, long ones among it.
fn anything() -> impl Strategy<Value = String> {
    prop_oneof!["\\PC{0,60}", any::<String>(), words(), sentence(), "[(]{0,5000}", "[0-9]{0,500}.{0,3}"]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_goal_that_is_read_is_written_so_that_it_reads_the_same(text in anything()) {
        match text.parse::<Goal>() {
            Ok(goal) => {
                let written = goal.to_string();
                // Values may be written with more digits than they were read from, a goal of the longest kind cannot.
                if written.len() <= 4096 {
                    prop_assert_eq!(written.parse::<Goal>(), Ok(goal), "{}", written);
                }
            }
            Err(error) => {
                prop_assert!(error.column >= 1 && error.column <= text.chars().count() + 1, "{error:?}");
                prop_assert!(!error.problem.is_empty() && !error.help.is_empty());
            }
        }
    }

    #[test]
    fn sentences_that_make_sense_are_goals(text in sentence()) {
        if let Err(error) = text.parse::<Goal>() {
            let known = ["can never be", "nested too deeply", "too long"];
            prop_assert!(known.iter().any(|known| error.problem.contains(known)), "{text}: {error}");
        }
    }

    #[test]
    fn labels_are_actions_only_as_they_are_written(text in prop_oneof![anything(), "(NA|M|C|CR|E)[0-9_+-]{0,14}"]) {
        if let Ok(action) = text.parse::<Action>() {
            let written = action.to_string();
            prop_assert_eq!(written.parse::<Action>(), Ok(action));
            // A leading zero is the only other way to write the same.
            prop_assert!(written.len() <= text.len());
        }
    }

    #[test]
    fn quantities_are_in_their_range(text in prop_oneof![anything(), "[-+0-9._]{0,30} ?(s|ms|h|d|MB|GiB|%|B)?"]) {
        if let Ok(percent) = text.parse::<Percent>() {
            prop_assert!((0.0..=100.0).contains(&percent.value()));
        }
        if let Ok(bytes) = parse_bytes(&text) {
            prop_assert!(bytes <= 9_000_000_000_000_000);
        }
        let _in_range = parse_duration(&text);
    }

    #[test]
    fn what_is_shown_hides_nothing_and_is_no_longer_than_allowed(text in any::<String>(), most in 3usize..100) {
        let shown = legible(&text, most);
        prop_assert!(!shown.contains(is_deceptive), "{shown}");
        // Each character is written out in at most ten.
        prop_assert!(shown.chars().count() <= 10 * most);
        let document = serde_json::to_string(&text).unwrap();
        let escaped = legible_json(&document);
        prop_assert!(!escaped.contains(is_deceptive));
        prop_assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), text);
    }

    #[test]
    fn a_password_in_an_address_is_not_shown(user in "[a-z]{0,5}", password in "[A-Z@:/?#]{4,20}", rest in "[a-z0-9.:/]{0,20}") {
        let shown = without_userinfo(&format!("mysql://{user}:{password}@{rest}")).into_owned();
        prop_assert_eq!(shown, format!("mysql://***@{rest}"));
    }
}
