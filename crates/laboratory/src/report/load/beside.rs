//! What else went on while requests were sent: the machines that sent them, what happened to routes, and what agents did.

use crate::report::chart::moments::{Lane, Moment};
use crate::report::palette;
use crate::results::{AgentEvent, AgentMeasurement, HostInfo, MarkerRow, TelemetryRow};
use agent_core::domain::action::Action;
use std::collections::BTreeMap;

/// Of more agents these are drawn, by their numbers.
const AGENTS: usize = 20;

/// All that a run recorded beside its requests, each in the order of time.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Beside {
    pub hosts: Vec<HostInfo>,
    pub telemetry: Vec<TelemetryRow>,
    pub markers: Vec<MarkerRow>,
    pub events: Vec<AgentEvent>,
    pub measurements: Vec<AgentMeasurement>,
}

/// A moment of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Happened {
    pub at_us: i64,
    /// Whom it was about: an agent, or a kind of markers.
    pub who: String,
    pub what: String,
}

impl Beside {
    /// What somebody did, in the order of time. Decisions to do nothing are none.
    pub fn happened(&self) -> Vec<Happened> {
        let marker =
            |marker: &MarkerRow| Happened { at_us: marker.at_us, who: marker.kind.clone(), what: marked(marker) };
        let event = |event: &AgentEvent| Happened { at_us: event.at_us, who: agent(event.agent), what: decided(event) };
        let mut all: Vec<Happened> = self.markers.iter().map(marker).chain(self.acts().map(event)).collect();
        all.sort_by_key(|happened| happened.at_us);
        all
    }

    fn acts(&self) -> impl Iterator<Item = &AgentEvent> {
        let nothing = Action::Nothing.to_string();
        self.events.iter().filter(move |event| event.action != nothing)
    }

    /// When a route changed or an agent acted: what requests may be seen to follow \[microseconds since 1970\].
    pub fn turns_us(&self) -> Vec<i64> {
        let routes = self.markers.iter().filter(|marker| marker.kind == MarkerRow::ROUTE).map(|marker| marker.at_us);
        let mut turns: Vec<i64> = routes.chain(self.acts().map(|event| event.at_us)).collect();
        turns.sort_unstable();
        turns.dedup();
        turns
    }

    /// A lane for each kind of markers, and for each agent, whose jobs lie beneath its acts. `second`: of a run.
    pub(super) fn lanes(&self, second: impl Fn(i64) -> f64) -> Vec<Lane> {
        let moment = |at_us, what| Moment { at_s: second(at_us), what };
        let mut kinds: BTreeMap<&str, Vec<Moment>> = BTreeMap::new();
        for marker in &self.markers {
            kinds.entry(&marker.kind).or_default().push(moment(marker.at_us, marked(marker)));
        }
        let mut acts: BTreeMap<u32, Vec<Moment>> = BTreeMap::new();
        // Also of those that did nothing.
        acts.extend(self.events.iter().map(|event| (event.agent, Vec::new())));
        for event in self.acts() {
            acts.entry(event.agent).or_default().push(moment(event.at_us, decided(event)));
        }
        let mut jobs: BTreeMap<u32, Vec<(f64, bool)>> = BTreeMap::new();
        for row in &self.measurements {
            acts.entry(row.agent).or_default();
            jobs.entry(row.agent).or_default().push((second(row.at_us), row.outcome == AgentMeasurement::MET));
        }
        let of_kind = |(kind, moments): (&str, Vec<Moment>)| Lane {
            name: kind.to_owned(),
            class: "nobody",
            moments,
            beneath: Vec::new(),
        };
        let of_agent = |(index, (number, moments)): (usize, (u32, Vec<Moment>))| Lane {
            name: agent(number),
            class: palette::agent(index),
            moments,
            beneath: jobs.remove(&number).unwrap_or_default(),
        };
        kinds.into_iter().map(of_kind).chain(acts.into_iter().take(AGENTS).enumerate().map(of_agent)).collect()
    }
}

fn marked(marker: &MarkerRow) -> String {
    match &marker.value {
        Some(value) => format!("{}: {value}", marker.name),
        None => marker.name.clone(),
    }
}

fn decided(event: &AgentEvent) -> String {
    format!("{} of {}, {}", event.action, event.data_set, event.outcome)
}

fn agent(number: u32) -> String {
    format!("agent {number}")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Of a run that began at `began_us`: a machine, a route that changes after a second, and an agent that acts a second later.
    pub fn beside(began_us: i64) -> Beside {
        let at = |second: i64| began_us + second * 1_000_000;
        let sampled = |second, cpu_percent| TelemetryRow {
            host: "pico1".to_owned(),
            at_us: at(second),
            cpu_percent,
            memory_used_bytes: Some(2_000_000),
            ..TelemetryRow::default()
        };
        let event = |id, second, action: &str| AgentEvent {
            id,
            at_us: at(second),
            agent: 2,
            data_set: "blood".to_owned(),
            action: action.to_owned(),
            outcome: "done".to_owned(),
            ended_us: None,
        };
        let measured = |id, second, outcome: &str| AgentMeasurement {
            id,
            at_us: at(second),
            agent: 2,
            data_set: "blood".to_owned(),
            node: 1,
            outcome: outcome.to_owned(),
            ..AgentMeasurement::default()
        };
        Beside {
            hosts: vec![HostInfo { host: "pico1".to_owned(), cores: Some(2), ..HostInfo::default() }],
            telemetry: vec![sampled(0, None), sampled(1, Some(40.0)), sampled(2, Some(80.0))],
            markers: vec![MarkerRow {
                sequence: 0,
                at_us: at(1),
                kind: MarkerRow::ROUTE.to_owned(),
                name: "shop".to_owned(),
                value: Some("127.0.0.1:2".to_owned()),
            }],
            events: vec![event(7, 1, &Action::Nothing.to_string()), event(8, 2, "M1_2")],
            measurements: vec![measured(3, 1, AgentMeasurement::MISSED), measured(4, 2, AgentMeasurement::MET)],
        }
    }

    #[test]
    fn what_happened_is_told_in_the_order_of_time_and_nothing_is_nothing() {
        let beside = beside(0);
        let happened: Vec<String> =
            beside.happened().iter().map(|it| format!("{} {}: {}", it.at_us, it.who, it.what)).collect();
        assert_eq!(happened, ["1000000 route: shop: 127.0.0.1:2", "2000000 agent 2: M1_2 of blood, done"]);
        assert_eq!(beside.turns_us(), [1_000_000, 2_000_000]);
    }

    #[test]
    fn an_agents_jobs_lie_beneath_its_acts() {
        let lanes = beside(0).lanes(|at_us| at_us as f64 / 1e6);
        let names: Vec<&str> = lanes.iter().map(|lane| lane.name.as_str()).collect();
        assert_eq!(names, ["route", "agent 2"]);
        assert_eq!((lanes[1].moments.len(), lanes[1].beneath.as_slice()), (1, [(1.0, false), (2.0, true)].as_slice()));
    }

    #[test]
    fn of_very_many_agents_the_first_are_drawn() {
        let mut beside = Beside::default();
        for agent in 1..=30 {
            beside.events.push(AgentEvent {
                agent,
                id: agent.into(),
                action: "M1_2".to_owned(),
                ..AgentEvent::default()
            });
        }
        let lanes = beside.lanes(|_| 0.0);
        assert_eq!((lanes.len(), lanes[19].name.as_str()), (20, "agent 20"));
    }
}
