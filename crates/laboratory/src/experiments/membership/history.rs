//! What a node keeps of all that it hears, with and without pushing it to the database now and then.

use agent_core::config::experiment::membership::History;

/// Of one node; bytes.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Kept {
    /// All up to now: what it would keep without pushing.
    pub heard: u64,
    /// What is in memory at the end of the round, before it is pushed.
    pub kept: u64,
    pub pushed: u64,
    /// For want of room.
    pub dropped: u64,
}

impl Kept {
    /// A round (from 1) in which so much was heard.
    pub fn round(&mut self, round: u32, heard: u64, history: Option<History>) {
        self.heard += heard;
        let Some(History { push_every, at_most_bytes }) = history else { return };
        // After every round whose number is a multiple.
        if round > 1 && (round - 1).is_multiple_of(push_every) {
            self.pushed += self.kept;
            self.kept = 0;
        }
        let kept = self.kept + heard;
        self.kept = kept.min(at_most_bytes);
        self.dropped += kept - self.kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Heard, kept, pushed, dropped after rounds in each of which 100 bytes are heard.
    fn check(history: Option<History>, rounds: u32, expected: [u64; 4]) {
        let mut kept = Kept::default();
        (1..=rounds).for_each(|round| kept.round(round, 100, history));
        assert_eq!([kept.heard, kept.kept, kept.pushed, kept.dropped], expected);
    }

    #[test]
    fn what_is_pushed_is_kept_no_longer() {
        let history = Some(History { push_every: 3, at_most_bytes: 1_000 });
        check(history, 3, [300, 300, 0, 0]);
        check(history, 4, [400, 100, 300, 0]);
        check(history, 9, [900, 300, 600, 0]);
        check(None, 9, [900, 0, 0, 0]);
    }

    #[test]
    fn memory_is_bounded() {
        check(Some(History { push_every: 5, at_most_bytes: 250 }), 6, [600, 100, 250, 250]);
    }
}
