//! Agents that do what they may do at random, all at once, and write down what they asked and what they were told.

use super::check::WINDOW;
use super::record::{Asking, History, Recorder, Times, object_of, place_of, view};
use super::reference::{Asked, Call, Granted, Key, LEASE, Plan as Planned, source};
use super::search::Timed;
use agent_core::domain::action::Action;
use agent_core::domain::event::Outcome;
use agent_core::domain::ids::{AgentId, DataSetName, EventId, NodeId};
use agent_core::domain::placement::{Placement, Plan, Replica};
use agent_core::knowledge::{Claimed, ClosingRule, Committed, Knowledge, KnowledgeError, Result};
use rand::RngExt as _;
use rand::seq::IndexedRandom as _;
use rand_chacha::ChaCha8Rng;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

pub const DRAIN: Duration = Duration::from_secs(5);
/// A claim whose answer is unknown is asked for again, so often: longer than bad luck lasts.
const TRIES: u32 = 100;

/// What an agent has claimed and not ended.
#[derive(Clone)]
struct Doing {
    data_set: DataSetName,
    key: Key,
    event: EventId,
}

/// What an agent remembers.
#[derive(Default)]
pub struct Memory {
    doing: Option<Doing>,
    /// Events whose windows were open when it looked.
    open: Vec<EventId>,
    claims: u32,
}

pub struct Agent {
    pub id: AgentId,
    pub table: Arc<dyn Knowledge>,
    pub recorder: Arc<Recorder>,
    pub chance: ChaCha8Rng,
    /// How often a question, or an answer, gets lost on its way. Of a table behind a wire, the wire loses them.
    pub loss: f64,
    pub data_sets: Vec<DataSetName>,
    pub nodes: u32,
    pub rule: ClosingRule,
    pub memory: Memory,
}

/// What an agent learns of a call.
enum Answer<T> {
    Is(T),
    Unknown,
    /// It certainly did not take place.
    Never,
}

impl Agent {
    /// A few steps, one after the other.
    pub async fn turn(&mut self, steps: usize) {
        for _ in 0..steps {
            match (self.memory.doing.clone(), self.chance.random_range(0..100)) {
                (None, 0..60) => self.begin().await,
                (None, 60..70) => self.clean_up().await,
                (None, 70..85) | (Some(_), 75..80) => self.blame().await,
                (None, 85..) | (Some(_), 80..85) => self.close().await,
                (Some(doing), 0..15) => self.renew(&doing).await,
                (Some(doing), 15..60) => self.commit(&doing).await,
                (Some(doing), 60..75) => self.give_up(&doing).await,
                // So long that its lease may run out.
                (Some(_), 85..) => {}
                (_, i32::MIN..0) => unreachable!("drawn from 0 to 99"),
            }
        }
    }

    /// Everything that is under way ends, and all windows close once their time is over.
    pub async fn finish(&mut self) {
        self.loss = 0.0;
        if let Some(doing) = self.memory.doing.clone() {
            self.give_up(&doing).await;
        }
        self.clean_up().await;
    }

    async fn ask<T>(&mut self, call: impl Future<Output = Result<T>>) -> (Times, Answer<T>) {
        let invoked = self.recorder.tick();
        let is_lost = self.chance.random_bool(self.loss);
        let answer = match is_lost {
            // On its way there.
            true if self.chance.random_bool(0.5) => Answer::Unknown,
            _ => match call.await {
                Ok(_) if is_lost => Answer::Unknown,
                Ok(answer) => Answer::Is(answer),
                Err(KnowledgeError::Uncertain { .. }) => Answer::Unknown,
                Err(KnowledgeError::NotExecuted { .. }) => Answer::Never,
                Err(other) => panic!("agent {}: {other}", self.id),
            },
        };
        let answered = self.recorder.tick();
        (Times { invoked, answered: matches!(answer, Answer::Is(_)).then_some(answered) }, answer)
    }

    /// Writes a call about a data set down.
    fn note(&self, data_set: &DataSetName, times: Times, asked: Asked) {
        let mut history = self.recorder.history();
        let call = Call { number: history.next_number(), by: self.id, at: self.recorder.now(), asked };
        let Times { invoked, answered } = times;
        history.data_sets.entry(data_set.clone()).or_default().push(Timed { call, invoked, answered });
    }

    fn asking<A>(&self, history: &History, times: Times, answer: Option<A>) -> Asking<A> {
        let Times { invoked, answered } = times;
        Asking { number: history.next_number(), by: self.id, at: self.recorder.now(), invoked, answered, answer }
    }

    async fn look(&mut self, data_set: &DataSetName) -> Option<Placement> {
        let table = self.table.clone();
        let (times, answer) = self.ask(table.snapshot(data_set)).await;
        let Answer::Is(snapshot) = answer else { return None };
        let snapshot = snapshot.expect("it is in the catalogue");
        self.note(data_set, times, Asked::Look { saw: view(&snapshot) });
        self.memory.open.extend(snapshot.open_events.iter().map(|event| event.id));
        Some(snapshot.placement.clone())
    }

    async fn begin(&mut self) {
        let data_set = self.data_sets.choose(&mut self.chance).expect("there are some").clone();
        let Some(placement) = self.look(&data_set).await else { return };
        self.memory.claims += 1;
        let key = self.id.0 * 10_000 + self.memory.claims;
        let action = self.choose(&placement);
        let reference = placement.references[&self.id];
        let about = placement.present().find(|replica| replica.node == source(action)).expect("it was chosen");
        let seen = [about, &placement.replicas[&reference]];
        let plan = Plan {
            key: key.to_string(),
            agent: self.id,
            data_set,
            reference,
            action,
            explored: false,
            expected: seen.iter().map(|replica| (replica.id, replica.generation)).collect(),
            generation: None,
            detail: String::new(),
        };
        let seen = seen.iter().map(|replica| (replica.node, (object_of(replica), replica.generation))).collect();
        self.claim(&plan, Planned { key, agent: self.id, action, seen }).await;
    }

    fn choose(&mut self, placement: &Placement) -> Action {
        let present: Vec<&Replica> = placement.present().collect();
        let from = present.choose(&mut self.chance).expect("there always is one").node;
        let to = NodeId((from.0 + self.chance.random_range(0..self.nodes - 1)) % self.nodes + 1);
        match self.chance.random_range(0..10) {
            0..4 => Action::Move { from, to },
            4..7 => Action::Copy { from, to },
            7 => Action::ChangeReference { to: from },
            _ => Action::Evict { node: from },
        }
    }

    async fn claim(&mut self, plan: &Plan, planned: Planned) {
        for _ in 0..TRIES {
            let table = self.table.clone();
            let (times, answer) = self.ask(table.claim(plan, LEASE, WINDOW)).await;
            let told = match &answer {
                Answer::Never => continue,
                Answer::Unknown => None,
                Answer::Is(Claimed::Lost(lost)) => Some(Err(lost.to_string())),
                Answer::Is(Claimed::Granted(claim)) => {
                    Some(Ok(Granted { brings_to: claim.destination.as_ref().map(|row| row.node) }))
                }
            };
            self.note(&plan.data_set, times, Asked::Claim { plan: planned.clone(), answer: told });
            match answer {
                Answer::Is(Claimed::Granted(claim)) => {
                    let (data_set, key, event) = (plan.data_set.clone(), planned.key, claim.event);
                    let mut history = self.recorder.history();
                    let number = history.next_number() - 1;
                    history.grants.push((number, key, event));
                    self.memory.doing = Some(Doing { data_set, key, event });
                    return;
                }
                Answer::Is(Claimed::Lost(_)) => return,
                Answer::Unknown | Answer::Never => {}
            }
        }
        panic!("agent {}: no answer to claim {} in {TRIES} tries", self.id, plan.key);
    }

    async fn renew(&mut self, doing: &Doing) {
        let table = self.table.clone();
        let (times, answer) = self.ask(table.renew(doing.event, LEASE)).await;
        self.note_known(&doing.data_set, times, answer, |answer| Asked::Renew { key: doing.key, answer });
    }

    /// Writes down what may have taken place.
    fn note_known<T>(&self, on: &DataSetName, times: Times, answer: Answer<T>, asked: impl Fn(Option<T>) -> Asked) {
        match answer {
            Answer::Is(answer) => self.note(on, times, asked(Some(answer))),
            Answer::Unknown => self.note(on, times, asked(None)),
            Answer::Never => {}
        }
    }

    async fn commit(&mut self, doing: &Doing) {
        let table = self.table.clone();
        let (times, answer) = self.ask(table.commit(doing.event, &Default::default(), DRAIN)).await;
        let answer = match answer {
            Answer::Is(Committed::Done { leftover }) => {
                self.memory.doing = None;
                Answer::Is(Ok(leftover.as_ref().map(place_of)))
            }
            Answer::Is(Committed::Refused(refused)) => Answer::Is(Err(refused.to_string())),
            Answer::Unknown => Answer::Unknown,
            Answer::Never => Answer::Never,
        };
        let is_refused = matches!(answer, Answer::Is(Err(_)));
        self.note_known(&doing.data_set, times, answer, |answer| Asked::Commit { key: doing.key, answer });
        if is_refused {
            self.give_up(doing).await;
        }
    }

    async fn give_up(&mut self, doing: &Doing) {
        if self.abort(doing).await {
            self.memory.doing = None;
        }
    }

    async fn abort(&mut self, doing: &Doing) -> bool {
        let table = self.table.clone();
        let (times, answer) = self.ask(table.abort(doing.event, Outcome::Aborted, "given up")).await;
        let is_answered = matches!(answer, Answer::Is(_));
        let asked = |left: Option<Option<Replica>>| Asked::Abort {
            key: doing.key,
            answer: left.map(|left| left.as_ref().map(place_of)),
        };
        self.note_known(&doing.data_set, times, answer, asked);
        is_answered
    }

    /// Undoes what others left, and deletes what has drained.
    async fn clean_up(&mut self) {
        let Ok(unfinished) = self.table.clone().unfinished(self.id, false).await else { return };
        for claim in unfinished.claims {
            let known = self.recorder.history().key_of(claim.event);
            // Whoever made it knows nothing of it yet, and asks again.
            let Some(key) = known else { continue };
            self.abort(&Doing { data_set: claim.data_set, key, event: claim.event }).await;
        }
        for row in unfinished.removing {
            let table = self.table.clone();
            let (times, answer) = self.ask(table.removed(row.id)).await;
            let (node, object) = place_of(&row);
            self.note_known(&row.data_set, times, answer, |answer| Asked::Removed { node, object, answer });
        }
    }

    /// Of everything that it saw, as an agent whose goal is missed.
    async fn blame(&mut self) {
        let events = std::mem::take(&mut self.memory.open);
        let table = self.table.clone();
        let (times, answer) = self.ask(table.leave_feedback(self.id, &events, WINDOW)).await;
        let answer = match answer {
            Answer::Is(left) => Some(left),
            Answer::Unknown => None,
            Answer::Never => return,
        };
        let mut history = self.recorder.history();
        let call = self.asking(&history, times, answer);
        history.blames.push(call);
    }

    pub async fn close(&mut self) {
        let table = self.table.clone();
        let (times, answer) = self.ask(table.close_due(self.id, self.rule)).await;
        let answer = match answer {
            Answer::Is(closed) => Some(closed),
            Answer::Unknown => None,
            Answer::Never => return,
        };
        let mut history = self.recorder.history();
        let call = self.asking(&history, times, answer);
        history.closings.push(call);
    }

    /// A last look at everything.
    pub async fn look_at_all(&mut self) {
        for data_set in self.data_sets.clone() {
            self.look(&data_set).await.expect("nothing is in the way any more");
        }
    }
}
