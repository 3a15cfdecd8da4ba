//! What is marked in time: the beginning and the end of experiments, and what happened in them.

use agent_core::clock::WallTime;
use agent_core::config::Invalid;
use serde::Serialize;

/// More are no marks any more.
pub const MARKERS_MAX: usize = 100_000;

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

/// Those of a session, in their order.
#[derive(Default)]
pub struct Markers {
    /// The experiment that goes on.
    running: Option<String>,
    all: Vec<Marker>,
}

impl Markers {
    pub fn running(&self) -> Option<&str> {
        self.running.as_deref()
    }

    pub fn all(&self) -> &[Marker] {
        &self.all
    }

    pub fn start(&mut self, name: &str) -> Result<Marker, Invalid> {
        if let Some(running) = &self.running {
            let problem = format!("experiment `{running}` goes on");
            return Err(Invalid::new(problem, "`exp stop` ends it; one at a time is measured"));
        }
        let marker = self.mark(name.to_owned(), Moment::Start)?;
        self.running = Some(name.to_owned());
        Ok(marker)
    }

    pub fn stop(&mut self) -> Result<Marker, Invalid> {
        let marker = self.mark(self.name()?, Moment::Stop)?;
        self.running = None;
        Ok(marker)
    }

    pub fn event(&mut self, name: &str, value: Option<&str>) -> Result<Marker, Invalid> {
        let moment = Moment::Event { name: name.to_owned(), value: value.map(str::to_owned) };
        self.mark(self.name()?, moment)
    }

    fn name(&self) -> Result<String, Invalid> {
        let none = || Invalid::new("no experiment goes on", "begin one: `exp start NAME`");
        self.running.clone().ok_or_else(none)
    }

    fn mark(&mut self, experiment: String, moment: Moment) -> Result<Marker, Invalid> {
        if self.all.len() == MARKERS_MAX {
            let problem = format!("there are {MARKERS_MAX} markers already");
            return Err(Invalid::new(problem, "begin another session; this one keeps all of them"));
        }
        let marker = Marker { experiment, moment, at: WallTime::now() };
        self.all.push(marker.clone());
        Ok(marker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_those_of_the_experiment_that_goes_on() {
        let mut markers = Markers::default();
        assert_eq!(markers.event("peak", None).unwrap_err().problem, "no experiment goes on");
        assert_eq!(markers.stop().unwrap_err().help, "begin one: `exp start NAME`");
        markers.start("evening").unwrap();
        assert_eq!(markers.start("night").unwrap_err().problem, "experiment `evening` goes on");
        markers.event("peak", Some("100")).unwrap();
        markers.stop().unwrap();
        markers.start("night").unwrap();
        let all: Vec<String> = markers.all().iter().map(|it| format!("{} {:?}", it.experiment, it.moment)).collect();
        assert_eq!(
            all,
            ["evening Start", "evening Event { name: \"peak\", value: Some(\"100\") }", "evening Stop", "night Start"]
        );
        assert_eq!(markers.running(), Some("night"));
    }
}
