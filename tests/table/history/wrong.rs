//! Histories written by hand: one that is right, and what is wrong in others is seen, and told with the calls that show it.

use super::check::check;
use super::record::{Asking, End, History};
use super::reference::{Asked, Call, DataSet, Granted, Held, Key, LEASE, Plan, View};
use super::search::Timed;
use agent_core::domain::action::Action;
use agent_core::domain::event::{Event, Outcome, Window};
use agent_core::domain::ids::{AgentId, DataSetName, EventId, NodeId, ReplicaId};
use agent_core::domain::time::Timestamp;
use agent_core::knowledge::{ClosedEvent, Feedback};
use std::collections::{BTreeMap, BTreeSet};

const ACTION: Action = Action::Move { from: NodeId(3), to: NodeId(1) };
const POSTED: Timestamp = Timestamp(1_000_000);
const CLOSED: Timestamp = Timestamp(1_060_000);

fn beginnings() -> BTreeMap<DataSetName, DataSet> {
    BTreeMap::from([("blood".into(), DataSet::new(NodeId(3), (1..=3).map(AgentId)))])
}

/// A history, call by call; times are ticks of the recorder.
#[derive(Default)]
struct Story(History);

impl Story {
    fn call(mut self, by: u32, (invoked, answered): (u64, Option<u64>), asked: Asked) -> Self {
        let number = self.0.next_number();
        let call = Call { number, by: AgentId(by), at: POSTED, asked };
        self.0.data_sets.entry("blood".into()).or_default().push(Timed { call, invoked, answered });
        self
    }

    fn claim(self, by: u32, key: Key, times: (u64, Option<u64>), answer: Option<Result<Granted, String>>) -> Self {
        let plan = Plan { key, agent: AgentId(by), action: ACTION, seen: BTreeMap::from([(NodeId(3), (0, 1))]) };
        self.call(by, times, Asked::Claim { plan, answer })
    }

    fn blame(mut self, by: u32, times: (u64, Option<u64>), answer: Option<Vec<Feedback>>) -> Self {
        let asking = self.asking(by, POSTED, times, answer);
        self.0.blames.push(asking);
        self
    }

    fn close(mut self, by: u32, times: (u64, Option<u64>), answer: Option<Vec<ClosedEvent>>) -> Self {
        let asking = self.asking(by, CLOSED, times, answer);
        self.0.closings.push(asking);
        self
    }

    fn asking<A>(
        &self,
        by: u32,
        at: Timestamp,
        (invoked, answered): (u64, Option<u64>),
        answer: Option<A>,
    ) -> Asking<A> {
        Asking { number: self.0.next_number(), by: AgentId(by), at, invoked, answered, answer }
    }

    fn ends(mut self, feedback: &[Feedback], counter: u32) -> Self {
        let feedback_sum = feedback.iter().map(|one| one.p).sum();
        let event = Event {
            id: EventId(1),
            agent: AgentId(1),
            data_set: "blood".into(),
            replica: ReplicaId(1),
            action: ACTION,
            explored: false,
            posted_at: POSTED,
            closes_at: CLOSED,
            window: Window::Closed,
            outcome: Outcome::Done,
            ended_at: Some(POSTED),
            feedback_sum,
            detail: String::new(),
        };
        let counters = BTreeMap::from([(("blood".into(), ACTION), counter)]);
        self.0.end = End { events: BTreeMap::from([(7, event)]), feedback: feedback.to_vec(), counters };
        self
    }

    fn is_right(&self) {
        assert_eq!(check(&self.0, &beginnings()), Ok(()));
    }

    /// Refused with a message that has all of these parts.
    fn is_refused(&self, parts: &[&str]) {
        let why = check(&self.0, &beginnings()).expect_err("it is wrong");
        for part in parts {
            assert!(why.contains(part), "`{part}` is not in:\n{why}");
        }
    }
}

const fn at(invoked: u64) -> (u64, Option<u64>) {
    (invoked, Some(invoked + 1))
}

fn granted() -> Option<Result<Granted, String>> {
    Some(Ok(Granted { brings_to: Some(NodeId(1)) }))
}

fn lost() -> Option<Result<Granted, String>> {
    Some(Err("agent 1 holds replica 1".to_owned()))
}

fn done() -> Asked {
    Asked::Commit { key: 7, answer: Some(Ok(Some((NodeId(3), 0)))) }
}

fn look(node: u32, object: Key, version: i64) -> Asked {
    let held = Held { object, has_arrived: true, version, held: None };
    let leftovers = if node == 1 { [(NodeId(3), 0)].into() } else { [].into() };
    let readers = (1..=3).map(|agent| (AgentId(agent), NodeId(node))).collect();
    Asked::Look { saw: View { nodes: BTreeMap::from([(NodeId(node), held)]), leftovers, readers } }
}

fn feedback(agent: u32) -> Feedback {
    Feedback { event: EventId(1), agent: AgentId(agent), p: 1.0, left_at: POSTED }
}

fn closed(feedback_sum: f64, counter_before: u32, counter_after: u32) -> ClosedEvent {
    let (event, agent) = (EventId(1), AgentId(1));
    ClosedEvent { event, agent, action: ACTION, feedback_sum, counter_before, counter_after }
}

/// Claimed, carried out, blamed and closed.
fn story() -> Story {
    Story::default().call(1, at(0), look(3, 0, 1)).claim(1, 7, at(2), granted()).call(1, at(4), done())
}

#[test]
fn what_is_right_is_accepted() {
    let all = [feedback(2), feedback(3)];
    let told =
        story().call(2, at(6), look(1, 7, 2)).blame(2, at(8), Some(vec![all[0]])).blame(3, at(8), Some(vec![all[1]]));
    told.close(1, at(10), Some(vec![closed(2.0, 0, 1)])).ends(&all, 1).is_right();
    // Who began earlier was answered later: the other one was faster.
    let overlapping = Story::default().claim(2, 8, (0, Some(9)), lost()).claim(1, 7, at(2), granted());
    overlapping.call(1, at(4), done()).is_right();
}

#[test]
fn a_call_without_an_answer_may_have_taken_place_or_not() {
    let claims = |key| Story::default().claim(1, 7, (0, None), None).claim(2, key, at(2), granted());
    claims(8).is_right();
    Story::default().claim(1, 7, (0, None), None).claim(2, 8, at(2), lost()).is_right();
    // Nobody heard of the blame and the closing; the table shows what they did.
    let all = [feedback(2)];
    let blamed = || story().blame(2, (5, None), None).close(1, (6, None), None);
    blamed().ends(&all, 1).is_right();
    // But not what it cannot have done.
    blamed().ends(&all, 2).is_refused(&["the counter of M3_1", "the table says 2"]);
}

#[test]
fn two_claims_at_once_are_refused() {
    let both = Story::default().claim(1, 7, at(0), granted()).claim(2, 8, at(2), granted());
    both.is_refused(&[
        "data set blood: no order of the calls explains their answers. After\n",
        "call 1 of agent 1 at 1000 s, claim 7 of M3_1 -> granted\nnone of these can be next:\n",
        "call 2 of agent 2 at 1000 s, claim 8 of M3_1 -> granted: the reference says lost: a replica is on its way to node 1",
    ]);
    let overlapping = Story::default().claim(1, 7, (0, Some(5)), granted()).claim(2, 8, (1, Some(4)), granted());
    overlapping.is_refused(&["claim 7 of M3_1 -> granted", "claim 8 of M3_1 -> granted"]);
}

#[test]
fn a_claim_lost_for_no_reason_is_refused() {
    let alone = Story::default().claim(2, 8, at(0), lost());
    alone.is_refused(&[
        "call 1 of agent 2",
        "claim 8 of M3_1 -> lost: agent 1 holds replica 1",
        "the reference says granted",
    ]);
}

#[test]
fn a_stale_look_is_refused() {
    let stale = story().call(2, at(6), look(3, 0, 1));
    stale.is_refused(&["call 4 of agent 2 at 1000 s, look -> node 3 object 0", "there was to see: node 1 object 7"]);
    // As long as the commit has no answer it may have been so: the claim alone is seen.
    let held = Some((AgentId(1), POSTED + LEASE));
    let moving = |object, has_arrived| Held { object, has_arrived, version: 1, held };
    let saw = View {
        nodes: BTreeMap::from([(NodeId(1), moving(7, false)), (NodeId(3), moving(0, true))]),
        leftovers: BTreeSet::new(),
        readers: (1..=3).map(|agent| (AgentId(agent), NodeId(3))).collect(),
    };
    let early = |answered| Story::default().claim(1, 7, at(0), granted()).call(1, (2, Some(answered)), done());
    early(9).call(2, at(4), Asked::Look { saw: saw.clone() }).is_right();
    early(3).call(2, at(4), Asked::Look { saw }).is_refused(&["call 3 of agent 2"]);
}

#[test]
fn a_commit_after_it_was_given_up_is_refused() {
    let given_up = |answer| Asked::Abort { key: 7, answer };
    let story = Story::default().claim(1, 7, at(0), granted()).call(2, at(2), given_up(Some(Some((NodeId(1), 7)))));
    story.call(1, at(4), done()).is_refused(&["call 3 of agent 1", "commit 7 -> done", "it was given up"]);
}

#[test]
fn lost_and_doubled_feedback_is_refused() {
    let all = [feedback(2), feedback(3)];
    let left = |by| Some(vec![feedback(by)]);
    let told = || story().blame(2, at(6), left(2)).blame(3, at(6), left(3));
    told()
        .close(1, at(10), Some(vec![closed(1.0, 0, 1)]))
        .ends(&all[..1], 1)
        .is_refused(&["feedback is lost: call 5 of agent 3"]);
    told()
        .close(1, at(10), Some(vec![closed(1.0, 0, 1)]))
        .ends(&all, 1)
        .is_refused(&["feedback is lost: call 6 of agent 1", "closed event 1 with 1 of feedback, the table has 2"]);
    let twice = told().blame(2, at(8), left(2)).close(1, at(10), Some(vec![closed(2.0, 0, 1)])).ends(&all, 1);
    twice.is_refused(&["newly left twice", "call 4 of agent 2", "call 6 of agent 2"]);
    let invented = story().close(1, at(10), Some(vec![closed(1.0, 0, 1)])).ends(&all[..1], 1);
    invented.is_refused(&["nobody left this feedback"]);
}

#[test]
fn a_counter_that_moved_twice_is_refused() {
    let all = [feedback(2)];
    let blamed = || story().blame(2, at(6), Some(all.to_vec()));
    let once = || blamed().close(1, at(10), Some(vec![closed(1.0, 0, 1)]));
    once().ends(&all, 1).is_right();
    once().ends(&all, 2).is_refused(&[
        "the counter of M3_1",
        "call 5 of agent 1 at 1060 s, close event 1 (Up) -> 0 to 1",
        "the table says 2",
    ]);
    let twice = once().close(1, at(12), Some(vec![closed(1.0, 1, 2)])).ends(&all, 2);
    twice.is_refused(&["call 6 of agent 1 at 1060 s, close event 1 (Up) -> 1 to 2: it has closed already"]);
    let down = blamed().close(1, at(10), Some(vec![closed(1.0, 0, 0)])).ends(&all, 0);
    down.is_refused(&["close event 1 (Up) -> 0 to 0: from 0 to 1"]);
}

#[test]
fn a_window_that_closed_too_early_is_refused() {
    // Agent 2 has to wait for agent 1, whose event it is.
    let early = story().close(2, at(10), Some(vec![closed(0.0, 0, 0)])).ends(&[], 0);
    early.is_refused(&["call 4 of agent 2 at 1060 s closed event 1 of 1000 s too early"]);
}
