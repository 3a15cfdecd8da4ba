//! What is marked in time: the beginning and the end of experiments, and what happened in them.

use crate::steering::Experiment;
use agent_core::clock::WallTime;
use agent_core::config::Invalid;
use serde::{Deserialize, Serialize};

/// What is to be marked, at every load host: each knows which experiment goes on there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    Start { name: String },
    Stop,
    Event { name: String, value: Option<String> },
}

impl Mark {
    /// `None`: it is about experiments that are queued.
    pub fn of(experiment: &Experiment) -> Option<Self> {
        match experiment {
            Experiment::Start { name } => Some(Self::Start { name: name.clone() }),
            Experiment::Stop => Some(Self::Stop),
            Experiment::Event { name, value } => Some(Self::Event { name: name.clone(), value: value.clone() }),
            Experiment::Queue { .. } | Experiment::List | Experiment::Cancel { .. } => None,
        }
    }

    pub fn moment(&self) -> Moment {
        match self {
            Self::Start { .. } => Moment::Start,
            Self::Stop => Moment::Stop,
            Self::Event { name, value } => Moment::Event { name: name.clone(), value: value.clone() },
        }
    }
}

/// The experiment that goes on at a host.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Running(Option<String>);

impl Running {
    pub fn name(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// Which experiment it is a mark of.
    ///
    /// # Errors
    /// One goes on already, or none does.
    pub fn mark(&mut self, mark: &Mark) -> Result<String, Invalid> {
        match (mark, &self.0) {
            (Mark::Start { .. }, Some(running)) => {
                let problem = format!("experiment `{running}` goes on");
                Err(Invalid::new(problem, "`exp stop` ends it; one at a time is measured"))
            }
            (Mark::Start { name }, None) => Ok(self.0.insert(name.clone()).clone()),
            (Mark::Stop | Mark::Event { .. }, None) => {
                Err(Invalid::new("no experiment goes on", "begin one: `exp start NAME`"))
            }
            (Mark::Event { .. }, Some(running)) => Ok(running.clone()),
            (Mark::Stop, Some(running)) => {
                let ended = running.clone();
                self.0 = None;
                Ok(ended)
            }
        }
    }
}

/// A moment of an experiment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Marker {
    pub experiment: String,
    #[serde(flatten)]
    pub moment: Moment,
    pub at: WallTime,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "moment", rename_all = "snake_case")]
pub enum Moment {
    Start,
    Stop,
    Event { name: String, value: Option<String> },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_those_of_the_experiment_that_goes_on() {
        let mut running = Running::default();
        let start = |name: &str| Mark::Start { name: name.to_owned() };
        let peak = Mark::Event { name: "peak".to_owned(), value: Some("100".to_owned()) };
        assert_eq!(running.mark(&peak).unwrap_err().problem, "no experiment goes on");
        assert_eq!(running.mark(&Mark::Stop).unwrap_err().help, "begin one: `exp start NAME`");
        assert_eq!(running.mark(&start("evening")).unwrap(), "evening");
        assert_eq!(running.mark(&start("night")).unwrap_err().problem, "experiment `evening` goes on");
        assert_eq!(running.mark(&peak).unwrap(), "evening");
        assert_eq!(running.mark(&Mark::Stop).unwrap(), "evening");
        assert_eq!(running.name(), None);
        assert_eq!((running.mark(&start("night")).unwrap(), running.name()), ("night".to_owned(), Some("night")));
    }
}
