//! What whoever holds something does about its lease, without I/O: it looks whether it is to go on, says in time that it is there, and
//! ends what it does before others count it as gone. Times count from before it had the lease, on the holder's own clock: the table's
//! may jump.

use super::hosts;
use super::queue::Standing;
use std::fmt;
use std::time::Duration;

/// How a lease is held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Terms {
    /// Whoever cannot say for so long that it is there ends what it does: a second is left for requests in flight, and some for clocks
    /// that run at different speeds, before others count it as gone.
    hopes_for: Duration,
    /// It says so that often.
    renewed_every: Duration,
}

impl Terms {
    /// Of an experiment, which another begins anew when its holder is lost: its lease is [`LEASE`].
    pub const EXPERIMENT: Self = Self { hopes_for: Duration::from_secs(10), renewed_every: Duration::from_secs(3) };
    /// Of a load host, whose share is missing when it is lost: its lease is [`hosts::LEASE`].
    pub const LOAD_HOST: Self = Self { hopes_for: Duration::from_secs(7), renewed_every: hosts::HEARTBEAT };
}

/// Whoever runs an experiment and is not heard of for so long has lost it.
pub const LEASE: Duration = Duration::from_secs(15);
/// A cancel is seen after this long, and what a look takes.
pub const LOOKS_EVERY: Duration = Duration::from_millis(400);

/// Why an experiment is not to go on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Word {
    Cancelled,
    /// Another has it, or nobody.
    Lost,
    /// The table was away for too long, and why: another may claim it soon.
    Away(String),
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("it was called off"),
            Self::Lost => f.write_str("the table counts another process, or none"),
            Self::Away(why) => write!(f, "the table is away: {why}"),
        }
    }
}

/// What to ask the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Question {
    /// Whether it is to go on.
    Look,
    /// The same, and that somebody is there.
    Renew,
}

/// A lease that is held.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tenure {
    terms: Terms,
    /// When the table was asked last to renew it, and did.
    renewed: Duration,
    /// Since then the last answer was none, because of this.
    trouble: Option<String>,
}

impl Tenure {
    pub fn new(terms: Terms) -> Self {
        Self { terms, renewed: Duration::ZERO, trouble: None }
    }

    /// `None`: no answer would be of use any more.
    pub fn asks(&self, now: Duration) -> Option<Question> {
        match now.saturating_sub(self.renewed) {
            silent if silent >= self.terms.hopes_for => None,
            silent if silent >= self.terms.renewed_every => Some(Question::Renew),
            _ => Some(Question::Look),
        }
    }

    /// An answer is of use until then.
    pub fn hopes_until(&self) -> Duration {
        self.renewed + self.terms.hopes_for
    }

    /// What the table answered to what it was asked at this time; `Err`: why it did not.
    pub fn hears(&mut self, question: Question, asked: Duration, answer: Result<Standing, String>) -> Option<Word> {
        match answer {
            Ok(Standing::Cancelled) => return Some(Word::Cancelled),
            Ok(Standing::Lost) => return Some(Word::Lost),
            Ok(Standing::GoesOn) => {
                self.trouble = None;
                match question {
                    Question::Renew => self.renewed = asked,
                    Question::Look => {}
                }
            }
            Err(why) => self.trouble = Some(why),
        }
        None
    }

    /// There was no answer until it was of no use any more.
    pub fn gives_up(self) -> Word {
        Word::Away(self.trouble.unwrap_or_else(|| "it does not answer".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn it_is_renewed_long_before_the_lease_is_over() {
        let mut tenure = Tenure::new(Terms::EXPERIMENT);
        let mut now = Duration::ZERO;
        let mut renewed = Duration::ZERO;
        for _ in 0..1_000 {
            let question = tenure.asks(now).unwrap();
            if question == Question::Renew {
                assert!(now - renewed < LEASE / 3, "{now:?}");
                renewed = now;
            }
            assert_eq!(tenure.hears(question, now, Ok(Standing::GoesOn)), None);
            assert_eq!(tenure.hopes_until(), renewed + Terms::EXPERIMENT.hopes_for, "a look renews nothing");
            now += LOOKS_EVERY;
        }
        assert!(renewed > seconds(390));
    }

    #[test]
    fn a_word_of_the_table_ends_it() {
        let said = |standing| Tenure::new(Terms::EXPERIMENT).hears(Question::Look, seconds(1), Ok(standing));
        assert_eq!(said(Standing::GoesOn), None);
        assert_eq!(said(Standing::Cancelled), Some(Word::Cancelled));
        assert_eq!(said(Standing::Lost), Some(Word::Lost));
    }

    #[test]
    fn whoever_cannot_reach_the_table_ends_before_another_begins() {
        let mut tenure = Tenure::new(Terms::EXPERIMENT);
        assert_eq!(tenure.hears(Question::Renew, seconds(3), Ok(Standing::GoesOn)), None);
        for at in 4..13 {
            let question = tenure.asks(seconds(at)).unwrap();
            assert_eq!(tenure.hears(question, seconds(at), Err("no route".to_owned())), None);
        }
        assert_eq!((tenure.hopes_until(), tenure.asks(seconds(13))), (seconds(13), None));
        // Requests in flight have a second to end.
        assert!(tenure.hopes_until() + seconds(1) < seconds(3) + LEASE);
        assert_eq!(tenure.gives_up(), Word::Away("no route".to_owned()));
        assert_eq!(Tenure::new(Terms::EXPERIMENT).gives_up(), Word::Away("it does not answer".to_owned()));
    }

    #[test]
    fn trouble_that_is_over_is_forgotten() {
        let mut tenure = Tenure::new(Terms::EXPERIMENT);
        assert_eq!(tenure.hears(Question::Look, seconds(1), Err("no route".to_owned())), None);
        assert_eq!(tenure.hears(Question::Renew, seconds(5), Ok(Standing::GoesOn)), None);
        assert_eq!(tenure, Tenure { terms: Terms::EXPERIMENT, renewed: seconds(5), trouble: None });
    }
}
