//! How requests end, as traces and figures call it.

/// With an answer below 400.
pub const ANSWERED: &str = "answered";

/// In every other way, in the order in which they are listed: answers of 400 to 499 and of 500 and more, then those that
/// brought none.
pub const ERRORS: [&str; 9] = [
    "client_error",
    "server_error",
    "refused",
    "timed_out",
    "closed",
    "garbage",
    "unreachable",
    "dropped",
    "unfinished",
];

/// Never sent, because too many were in flight.
pub const DROPPED: &str = "dropped";

/// With an answer, of any status.
pub fn is_answer(outcome: &str) -> bool {
    matches!(outcome, ANSWERED | "client_error" | "server_error")
}

/// Whether its time says how long an answer takes: that of an answer does, and so does that of a request which was given up,
/// which took at least so long.
pub fn has_response_time(outcome: &str) -> bool {
    is_answer(outcome) || matches!(outcome, "timed_out" | "unfinished")
}

/// `timed out`.
pub fn in_words(outcome: &str) -> String {
    outcome.replace('_', " ")
}

/// Which of them come first in a list; those that are not known come last, by name.
pub fn in_order<'a>(outcomes: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let place = |outcome: &str| ERRORS.iter().position(|known| *known == outcome).unwrap_or(ERRORS.len());
    let mut all: Vec<&str> = outcomes.into_iter().collect();
    all.sort_by_key(|outcome| (place(outcome), *outcome));
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_listed_once_and_unknown_ones_last() {
        let all = ["odd", "dropped", "bent", "timed_out", "dropped", "client_error"];
        assert_eq!(in_order(all), ["client_error", "timed_out", "dropped", "bent", "odd"]);
        assert_eq!(in_order(ERRORS), ERRORS);
    }

    #[test]
    fn what_was_answered_or_given_up_has_a_response_time() {
        let timed: Vec<&str> = ERRORS.into_iter().filter(|outcome| has_response_time(outcome)).collect();
        assert_eq!(timed, ["client_error", "server_error", "timed_out", "unfinished"]);
        assert!(has_response_time(ANSWERED) && is_answer(ANSWERED) && !is_answer("timed_out"));
    }
}
