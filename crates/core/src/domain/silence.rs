//! Whether users sleep, or only happen not to ask.

use std::time::Duration;

/// Where so many should have asked and nobody did, they sleep.
const MISSED: f64 = 10.0;

/// Whether a window in which so many asked ended with a silence that is no chance, at the rate at which they had come before. When they
/// come independently of each other, so many are missing in one of 20,000 windows (`exp(-10)`).
pub fn fell_silent(asked: u64, silence: Duration, window: Duration) -> bool {
    let rate = asked as f64 / window.saturating_sub(silence).as_secs_f64();
    asked as f64 >= MISSED && rate * silence.as_secs_f64() >= MISSED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_in_which_many_should_have_come_is_no_chance() {
        let check = |asked, silence, expected| {
            let silence = Duration::from_secs(silence);
            assert_eq!(fell_silent(asked, silence, Duration::from_secs(30)), expected, "{asked}, {silence:?}");
        };
        // Two in a second.
        check(60, 0, false);
        check(52, 4, false);
        check(50, 5, true);
        check(10, 14, false);
        check(10, 15, true);
        // Of so few a long silence may be chance.
        check(9, 29, false);
        check(0, 30, false);
    }
}
