//! Which ways the conversation has taken: for figures of what was covered, not for deciding.

/// What an agent's turn came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arm {
    // Judging.
    Held,
    Content,
    NothingNew,
    Elsewhere,
    MovesWork,
    Hopeless,
    HelpArrives,
    NothingReadable,
    Pauses,
    WaitsForQuestion,
    Asks,
    // Answering.
    Answers,
    AnswersMore,
    AnswersAfresh,
    // Listening to the answers.
    NotPosted,
    NeverPosted,
    Overtaken,
    WaitsForAnswers,
    AllAnswered,
    SomeSilent,
    Missed,
    // Deciding.
    Refused,
    Step,
    NoStep,
    NotYet,
    // Dropping what nobody reads.
    IdleHeld,
    IdleWaits,
    IdleDropped,
    IdleNeeded,
    IdleAsked,
    // The end of an action.
    Acted,
    Lost,
    CameToNothing,
    NotNow,
}

/// By their places in [`Arm`].
const NAMES: [&str; 34] = [
    "judges: paused",
    "judges: content",
    "judges: nothing new",
    "judges: reads elsewhere",
    "judges: works elsewhere",
    "judges: hopeless",
    "judges: help arrives",
    "judges: nothing can be read",
    "judges: pauses",
    "judges: waits for a question",
    "judges: asks",
    "answers",
    "answers for more nodes",
    "answers afresh",
    "listens: not posted yet",
    "listens: never posted",
    "listens: overtaken",
    "listens: waits for answers",
    "listens: all have answered",
    "listens: somebody is silent",
    "listens: missed something",
    "decides: refused",
    "decides: takes its step",
    "decides: leaves it to others",
    "decides: its step has to wait",
    "idle: held for a while",
    "idle: a question is open",
    "idle: dropped",
    "idle: somebody needs it",
    "idle: asked about",
    "ended: acted",
    "ended: lost",
    "ended: came to nothing",
    "ended: not now",
];

/// Those since somebody looked last, each once.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Arms(u64);

impl Arms {
    pub const NAMES: [&'static str; NAMES.len()] = NAMES;

    pub fn note(&mut self, arm: Arm) {
        self.0 |= 1 << arm as u32;
    }

    /// Their names; from now on others are noted.
    pub fn take(&mut self) -> Vec<&'static str> {
        let Self(noted) = std::mem::take(self);
        (0..).zip(NAMES).filter(|(place, _)| noted & (1 << place) != 0).map(|(_, name)| name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_called_by_its_name_once() {
        let mut arms = Arms::default();
        [Arm::NotNow, Arm::Content, Arm::Refused, Arm::Content].into_iter().for_each(|arm| arms.note(arm));
        assert_eq!(arms.take(), ["judges: content", "decides: refused", "ended: not now"]);
        assert_eq!(arms.take(), [""; 0]);
    }
}
