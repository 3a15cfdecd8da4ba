//! What agents decide and what they know together, and the simulator that runs them in virtual time. No runtime, no database,
//! no network: whoever embeds it performs the effects.
//!
//! # One decision, from a job to its consequences
//!
//! An agent is three machines that neither wait nor look anywhere: each is given an input and returns effects, which whoever runs
//! it performs, and whose answers are its next inputs. In the program actors run them, here the simulator does
//! ([`sim::Simulation`]): three agents that read one data set, which lies on node 3 at first.
//!
//! 1. **The job.** The [monitor](mape::monitor) asks for a [snapshot](domain::snapshot::Snapshot) of the
//!    [shared table](knowledge::Knowledge) and has the job run at the replica that its agent references. What comes back is a
//!    [measurement](domain::measurement::Measurement). The [goal](domain::goal::Goal) is a tree of bounds on its metrics; where
//!    one is missed, the monitor has a violation for the planner.
//! 2. **The decision.** The [planner](mape::planner) lists what could be done ([`Action`](domain::action::Action)), and its
//!    [policy](mape::planner::Policy) chooses: `fixed` predicts what each action would make of the metrics
//!    ([prediction](mape::prediction)), leaves out what would not meet the goal, and weighs the others by their cost and by what
//!    others have answered to them so far. The whole deliberation is a [`Decision`](mape::planner::Decision).
//! 3. **The action.** The planner makes an immutable [plan](domain::placement::Plan) of it. The [executor](mape::executor)
//!    claims it (the table refuses when the placement is another one by now), moves the bytes, and commits.
//! 4. **The answer.** The [event](domain::event::Event) stays open for a while. An agent whose goal is missed because of it
//!    leaves feedback; when the window closes, a counter goes up or down that later decisions weigh.
//! 5. **The lesson.** The next job shows what the action really did: the [learner](mape::learner) corrects what is expected of it.
//!
//! ```
//! # use agent_core::config::{Vocabulary, scenario};
//! # use agent_core::domain::event::{Outcome, Window};
//! # use agent_core::domain::time::Timestamp;
//! # use agent_core::mape::notice::Notice;
//! # use agent_core::mape::planner::{Decision, POLICIES, Verdict};
//! # use agent_core::sim::{Simulation, Start, Told, Until};
//! # use std::{cell::RefCell, path::Path, rc::Rc};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/scenarios/published.toml");
//! # let vocabulary = Vocabulary { policies: &POLICIES, expression: |_| Ok(()) };
//! let hour = Timestamp(3_600_000);
//! let scenario = scenario::load(&file, &vocabulary)?;
//! let mut network = Simulation::new(&scenario, Start { policy: Some("fixed"), seed: 1, state: None })?;
//! let missed = Rc::new(RefCell::new(Vec::new()));
//! let heard = missed.clone();
//! network.listen(Some(Box::new(move |_, told| {
//!     if let Told::Notice(Notice::Job { measurement, satisfied: false, violated }) = told {
//!         heard.borrow_mut().push((measurement.agent, violated.clone()));
//!     }
//! })));
//!
//! // 1. Up to the first job that misses its goal.
//! assert!(network.run_until(Until::Missed(None), hour, |_| {})?);
//! let (agent, violated) = missed.borrow()[0].clone();
//!
//! // 2. and 3. What its agent did about it, and why.
//! while network.outcome().events.is_empty() {
//!     network.step()?;
//! }
//! let event = network.outcome().events[0].clone();
//! let decision: Decision = serde_json::from_str(&event.detail)?;
//! assert_eq!((event.agent, &decision.violated), (agent, &violated));
//! assert_eq!((event.action, event.outcome), (decision.chosen.action, Outcome::Done));
//! let feasible = decision.scored.iter().filter(|scored| matches!(scored.verdict, Verdict::Feasible { .. }));
//! assert!(feasible.map(|scored| scored.action).any(|action| action == event.action));
//!
//! // 4. Five minutes later its window has closed.
//! assert_eq!(event.window, Window::Open);
//! network.run(event.posted_at + std::time::Duration::from_secs(300), |_| {})?;
//! assert_eq!(network.outcome().events[0].window, Window::Closed);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]
// A new variant of one of our enums has to be thought of wherever there is a choice; tests pick what they look at.
#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

// Scenario time, and the only place that knows its scale.
pub mod clock;
// From files as written to settings as meant.
pub mod config;
// Nouns: ids, units, metrics, goals, placement, actions, impacts, events. Pure and total.
pub mod domain;
// The shared table: what all agents know together, its rules, and the table in memory.
pub mod knowledge;
// Verbs: monitor, planner with its policies, executor, learner. Sans-IO state machines that return effects.
pub mod mape;
// The discrete-event simulator: the machines of `mape` in virtual time.
pub mod sim;
