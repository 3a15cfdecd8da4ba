//! Who says and does what when: judge one's own situation, ask the peers, plan with what they answer, take one's own step.
//!
//! ```text
//!            not content, a node would suit       all have answered, or 2 s
//!   judging ------------------------------> asking -----------------------> acting (own step) --> judging
//!      ^  content, hopeless, pausing: wait     |  refused: pause              |
//!      '--------- something changes -----------'------------------------------'
//! ```
//!
//! Asking locks nothing: of two that ask at once both are answered, and the slower claim fails on the generation of the planned
//! placement. Whatever an agent does itself, it answers others.

use super::arms::{Arm, Arms};
use super::course::Seen as SeenFrom;
use super::jobs::{Conditions, Jobs};
use super::patience::{Ground, Left, Pause};
use super::peers::{Executed, Peers};
use super::prospects::{Avoided, Prospects};
use super::said::Said;
use super::{Answer, MARGIN, PER_COST, PER_EXCUSED_RETURN, Planned, Reader, ReplicaSet, Valuation, plan};
use crate::domain::action::{Action, ActionType};
use crate::domain::ask::{Ask, Question};
use crate::domain::event::{Event, Outcome};
use crate::domain::goal::Goal;
use crate::domain::ids::{AgentId, EventId, NodeId};
use crate::domain::measurement::Measurement;
use crate::domain::metric::{Metric, Metrics};
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Timestamp;
use crate::mape::monitor::Repair;
use crate::mape::planner::{
    Choice, Decider, Decision, Deliberation, Intent, LISTED, LOOK_EVERY, Message, Opinion, Reason, Rng, Scored,
    Situation, Verdict, View,
};
use crate::mape::prediction::Rest;
use rand::RngExt as _;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// A new replica that promises so much more than a present one is asked for.
const MUCH_MORE: f64 = 0.1;
/// A replica that nobody reads is dropped after this, and so many times later for each time that it came back within the last
/// hour; while a question is open, looked at again after this.
const IDLE_FOR: Duration = Duration::from_secs(20);
const IDLE_LONGER: u32 = 10;
const IDLE_AGAIN: Duration = Duration::from_secs(5);
/// A node that could not be read is left alone for so long.
const UNREADABLE_FOR: Duration = Duration::from_secs(30);
/// A transfer that failed is tried again after this, doubled each time, up to the longest; after so many failures in a row
/// another node is looked for.
const RETRY_AFTER: Duration = Duration::from_secs(5);
const RETRY_LONGEST: Duration = Duration::from_secs(300);
const RETRIES: u32 = 4;
/// A level that has changed by this makes another question of what was refused; by so much, another world of what was left.
const NOTABLE: f64 = 0.01;
const ANOTHER_WORLD: f64 = 0.25;
/// Where links are measured and not stated, the table does not tell that one has changed.
const JUDGE_EVERY: Duration = Duration::from_secs(10);

/// The name of the policy.
pub const NAME: &str = "cooperative";

/// One agent's part of the conversation.
#[derive(Default)]
pub struct Protocol {
    /// Unique for each start of an agent.
    life: String,
    /// The goal depends on how many replicas there are.
    counts_replicas: bool,
    asked: u64,
    jobs: Jobs,
    last: Option<Measurement>,
    peers: Peers,
    /// What this agent has said of itself.
    said: Said,
    pause: Pause,
    left: Left<ReplicaSet>,
    /// Nodes that this agent has gone away from.
    left_nodes: Left<NodeId>,
    /// Nodes that its work has gone away from.
    left_seats: Left<NodeId>,
    /// Nodes whose replica was dropped.
    dropped: Left<NodeId>,
    /// How nodes have moved, and how often that has changed a level notably; and the levels then, of those that have, by where jobs
    /// run and where they read.
    courses: SeenFrom,
    epoch: u64,
    believed: BTreeMap<(NodeId, NodeId), f64>,
    /// Where this agent's other data sets were read at the last look, and what their nodes declared.
    company: Vec<(NodeId, f64)>,
    /// The planned placement, and the latest event, as last seen.
    seen: Option<Seen>,
    /// Nodes that could not be read since the last look, and those that are left alone for a while.
    failed: Vec<NodeId>,
    unreadable: BTreeMap<NodeId, Timestamp>,
    /// Whether a transfer there went well since the last look; and how often in a row it did not, with when to try again.
    transferred: Vec<(NodeId, bool)>,
    retries: BTreeMap<NodeId, (u32, Timestamp)>,
    idle_since: BTreeMap<NodeId, Timestamp>,
    asking: Option<Asking>,
    acting: Option<Action>,
    /// The next job waits for a repair.
    is_awaited: bool,
    /// Nobody else was heard of at the last look; and until when all count as there all the same.
    was_alone: bool,
    all_live_until: Timestamp,
    /// What was judged last: as long as it is the same, there is nothing new to judge.
    judged: Option<Judged>,
    /// Which ways were taken since somebody counted them.
    arms: Arms,
}

/// What was seen at the last look.
struct Seen {
    table: Snapshot,
    planned: Arc<Planned>,
    /// The latest event.
    latest: EventId,
}

/// The own question.
#[derive(Clone, Debug)]
struct Asking {
    at: Timestamp,
    generation: i64,
    /// The nodes that would suit this agent.
    own: BTreeSet<NodeId>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
struct Judged {
    generation: i64,
    changed_at: Option<Timestamp>,
    epoch: u64,
    /// When something may begin that is held now.
    opens_at: Option<Timestamp>,
}

/// What one look is about.
struct Scene<'a> {
    view: &'a View<'a>,
    planned: &'a Planned,
    prospects: &'a Prospects<'a>,
    me: AgentId,
    /// Where this agent reads, or will.
    here: NodeId,
    /// How content it is there.
    level: f64,
    epoch: u64,
}

/// What follows from a look.
// One at a time: a box would save nothing.
#[allow(clippy::large_enum_variant)]
enum Next {
    /// Nothing to do until something changes.
    Rest,
    /// Look again then, whatever happens; the next job goes on waiting.
    Wait(Timestamp),
    Act(Decision),
    Ask(BTreeSet<NodeId>),
}

impl Protocol {
    pub fn new(life: &str, goal: &Goal) -> Self {
        let counts_replicas = goal.mentions(Metric::DataConsistency);
        Self { life: life.to_owned(), counts_replicas, ..Self::default() }
    }

    /// Takes note of all that has changed since the last look.
    fn note(&mut self, view: &View, planned: &Arc<Planned>) {
        let now = view.now();
        self.note_failures(now);
        self.note_silence(view, planned);
        self.jobs.forget_before(now);
        self.note_placement(view, planned);
        self.peers.note(view.conversation, planned, now);
        self.idle_since.retain(|node, _| planned.idle.contains(node));
        planned.idle.iter().for_each(|node| _ = self.idle_since.entry(*node).or_insert(now));
    }

    /// Where nobody else is heard of any more, it was mostly the table that was away, and all of them are there: as long as it takes to
    /// hear of them again nothing is done without them.
    fn note_silence(&mut self, view: &View, planned: &Planned) {
        let (me, silence) = (view.parameters.agent, view.parameters.silence);
        let mut others = planned.reads.keys().filter(|agent| **agent != me).peekable();
        let is_alone = others.peek().is_some() && !others.any(|agent| view.snapshot.is_alive(*agent, silence));
        if is_alone && !self.was_alone {
            self.all_live_until = view.now() + silence;
        }
        self.was_alone = is_alone;
    }

    /// Who of the readers of a data set is heard of, and so is asked.
    fn living<'a>(&self, view: &View<'a>, planned: &'a Planned) -> impl Iterator<Item = (AgentId, NodeId)> + use<'a> {
        let (snapshot, silence) = (view.snapshot, view.parameters.silence);
        let all_live = view.now() < self.all_live_until;
        let alive = planned.reads.iter().filter(move |(agent, _)| all_live || snapshot.is_alive(**agent, silence));
        alive.map(|(agent, node)| (*agent, *node))
    }

    fn note_failures(&mut self, now: Timestamp) {
        for node in self.failed.drain(..) {
            self.jobs.failed(node, now);
            self.unreadable.insert(node, now + UNREADABLE_FOR);
            self.judged = None;
        }
        for (node, went_well) in self.transferred.drain(..) {
            self.judged = None;
            if went_well {
                self.retries.remove(&node);
                continue;
            }
            let (times, at) = self.retries.entry(node).or_insert((0, now));
            *at = now + (RETRY_AFTER * (1 << (*times).min(8))).min(RETRY_LONGEST);
            *times += 1;
        }
        let before = self.unreadable.len();
        self.unreadable.retain(|_, until| *until > now);
        if self.unreadable.len() < before {
            self.judged = None;
        }
    }

    /// Nodes that are left alone now.
    fn avoided(&self, now: Timestamp) -> Avoided {
        let unwritable = self.retries.iter().filter(|(_, (times, at))| *times >= RETRIES && *at > now);
        Avoided {
            unreadable: self.unreadable.keys().copied().collect(),
            unwritable: unwritable.map(|(node, _)| *node).collect(),
        }
    }

    /// Until when a transfer that has failed is not to be tried again; what went wrong is the store or link, not the plan.
    fn retries_at(&self, now: Timestamp) -> Option<Timestamp> {
        let waiting = self.retries.values().filter(|(times, at)| *times < RETRIES && *at > now);
        waiting.map(|(_, at)| *at).min()
    }

    /// Takes note of how nodes have moved: only what changes a level by something is a change.
    fn note_environment(&mut self, view: &View, planned: &Planned, avoided: &Avoided) {
        let replicas = planned.replicas();
        let seats =
            || [view.parameters.seat(view.snapshot)].into_iter().chain(view.parameters.other_seats(view.snapshot));
        let mut changed = Vec::new();
        for seat in seats() {
            let noted = self.courses.entry(seat.node).or_default().note(view, seat);
            changed.extend(noted.into_iter().map(|(node, before)| (seat, node, before)));
        }
        for (seat, node, before) in changed {
            self.jobs.forget(node);
            let prospects = Prospects::new(view, &self.jobs, &self.courses, avoided);
            let was = before.map_or(0.0, |before| prospects.level_in(&before, replicas));
            let now = prospects.level_now(seat, node, replicas);
            let known = self.believed.entry((seat.node, node)).or_insert(was);
            if (now - *known).abs() >= NOTABLE {
                *known = now;
                self.epoch += 1;
            }
            if (now - was).abs() >= ANOTHER_WORLD {
                let concerns_all = planned.set.contains(&node);
                self.left.excuse(|set| concerns_all || set.contains(&node));
                self.left_nodes.excuse(|left| concerns_all || *left == node);
                self.left_seats.excuse(|_| true);
            }
        }
    }

    /// Takes note of how this agent's other data sets have moved: what jobs showed beside these elsewhere is no guide any more.
    fn note_company(&mut self, view: &View) {
        let company: Vec<_> = view.experience.predictor.rest().into_iter().flat_map(Rest::nodes).collect();
        if self.company != company {
            self.company = company;
            self.jobs.forget_all();
            self.epoch += 1;
            self.judged = None;
        }
    }

    fn note_placement(&mut self, view: &View, planned: &Arc<Planned>) {
        let now = view.now();
        let events = &view.snapshot.open_events;
        let latest = events.last().map_or(EventId(0), |event| event.id);
        if self.seen.as_ref().is_some_and(|seen| seen.table.has_content_of(view.snapshot)) {
            return;
        }
        let mut now_seen = Seen { table: view.snapshot.clone(), planned: planned.clone(), latest };
        if let Some(Seen { planned: before, latest: seen, .. }) = self.seen.take() {
            // What came to nothing has left nothing: the placement is as it was.
            let undone = |event: &&Arc<Event>| matches!(event.outcome, Outcome::Failed | Outcome::Aborted);
            events.iter().filter(undone).for_each(|event| self.left.retract(event.id));
            let new: Vec<&Arc<Event>> = events.iter().filter(|event| event.id > seen && !undone(event)).collect();
            if let (true, Some(last)) = (before.set != planned.set, new.last()) {
                self.left.note(before.set.clone(), Some(last.id), now);
                before.set.difference(&planned.set).for_each(|node| self.dropped.note(*node, Some(last.id), now));
            }
            let came_to_nothing =
                new.is_empty() && before.set != planned.set || before.generation == planned.generation;
            let acted = (!came_to_nothing).then(|| new.iter().map(|event| event.agent).collect());
            if before != *planned {
                self.peers.executed(Executed { planned: planned.clone(), acted, at: now });
            }
            now_seen.latest = latest.max(seen);
        } else {
            self.peers.begin(planned);
        }
        self.seen = Some(now_seen);
    }

    /// Answers every open question about the planned placement as it is.
    fn answers(&mut self, scene: &Scene) -> Vec<Intent> {
        let asked = scene.view.asked_by_others().filter(|ask| ask.generation == scene.planned.generation);
        let (own, arms) = (&mut self.said, &mut self.arms);
        let reply = |ask: &Arc<Ask>| {
            let said = ask.replies.get(&scene.me).map(|reply| &reply.nodes);
            let all: BTreeSet<NodeId> = ask.all_nodes().union(&scene.planned.set).copied().collect();
            if said.is_some_and(|said| all.is_subset(said)) {
                return None;
            }
            let is_afresh = ask.afresh && said.is_none();
            if is_afresh {
                *own = Said::default();
            }
            arms.note(match said {
                Some(_) => Arm::AnswersMore,
                None if is_afresh => Arm::AnswersAfresh,
                None => Arm::Answers,
            });
            let reply = scene.prospects.reply(scene.planned, scene.here, all, own);
            Some(Intent::Say(Message::Reply { ask: ask.id, reply }))
        };
        asked.filter_map(reply).collect()
    }

    /// What there is to do for an agent that neither asks nor acts.
    fn judge(&mut self, scene: &Scene) -> Next {
        let Scene { view, planned, prospects, here, level, .. } = *scene;
        let now = view.now();
        // Nothing could be gained that a change of reference would not cost.
        if 1.0 - level < 0.5 * PER_COST + MARGIN {
            return self.came_to(Arm::Content, Next::Rest);
        }
        // Whoever ends the pause is heard of; until then nothing can be begun.
        if view.snapshot.data_set.guard.is_paused(now) {
            return self.came_to(Arm::Held, Next::Rest);
        }
        let judged = scene.judged();
        let ground = scene.ground();
        let paused = self.pause.until(&ground, level, now);
        if self.judged == Some(judged) && paused.is_none_or(|_| !self.is_awaited) {
            return self.came_to(Arm::NothingNew, Next::Rest);
        }
        // Whoever went away for the good of all does not come back for a little good of its own.
        let left = self.left_nodes.prices(now, 0.0);
        let returns = |node: &NodeId| left.get(node).copied().unwrap_or(0.0);
        let gain = |node: &NodeId| prospects.level(*node, planned.replicas()) - level - returns(node);
        let elsewhere = || planned.set.iter().filter(|node| **node != here).map(|node| (*node, gain(node)));
        let best = |a: (NodeId, f64), b: (NodeId, f64)| if b.1 > a.1 { b } else { a };
        let enough = prospects.cost(ActionType::ChangeReference) + MARGIN;
        let present = elsewhere().filter(|(node, _)| planned.ready.contains(node)).reduce(best);
        let present = present.filter(|(_, gain)| *gain >= enough);
        // Work that moves touches nobody either, and may be worth more than another replica.
        let work = self.work(scene);
        let is_less = |gain: f64| work.is_some_and(|(_, of_work)| gain - enough + MARGIN < of_work);
        let present = present.filter(|(_, gain)| !is_less(*gain));
        let arriving = elsewhere().filter(|(node, _)| !planned.ready.contains(node)).map(|(_, gain)| gain);
        let arriving = arriving.fold(f64::NEG_INFINITY, f64::max);
        let (worth, best_new) = prospects.worth_asking(planned, here, level);
        self.judged = Some(judged);
        if let Some(better) = present.filter(|(_, gain)| worth.is_empty() || best_new < gain + MUCH_MORE) {
            return self.go(scene, better);
        }
        if worth.is_empty() {
            return self.move_work(scene, work, (Arm::Hopeless, Next::Rest));
        }
        if arriving >= enough && best_new < arriving + MUCH_MORE {
            return self.came_to(Arm::HelpArrives, Next::Rest);
        }
        // What cannot be read cannot be brought anywhere: its readers look again when that may be over.
        if !view.snapshot.placement.nodes().iter().any(|node| prospects.is_readable(node)) {
            self.arms.note(Arm::NothingReadable);
            return present.map_or(Next::Rest, |better| self.go(scene, better));
        }
        if let Some(until) = paused.max(self.retries_at(now)) {
            return match present {
                Some(better) => self.go(scene, better),
                None => {
                    self.judged = None;
                    let next = if self.is_awaited { Next::Rest } else { Next::Wait(until) };
                    self.move_work(scene, work, (Arm::Pauses, next))
                }
            };
        }
        if let Some(first) = view.asked_by_others().map(|ask| ask.posted_at).min() {
            self.judged = None;
            return self.came_to(Arm::WaitsForQuestion, Next::Wait(first + view.open_for()));
        }
        self.came_to(Arm::Asks, Next::Ask(worth))
    }

    fn came_to(&mut self, arm: Arm, next: Next) -> Next {
        self.arms.note(arm);
        next
    }

    /// Where this agent's jobs would better run, as things stand, and by how much, if what they read can be relied on.
    fn work(&mut self, scene: &Scene) -> Option<(NodeId, f64)> {
        let Scene { view, planned, prospects, here, level, me, .. } = *scene;
        // Whoever went away does not come back for a little.
        let left = self.left_seats.prices(view.now(), PER_EXCUSED_RETURN);
        let gain = |(node, then): (NodeId, f64)| (node, then - level - left.get(&node).copied().unwrap_or(0.0));
        let best = |a: (NodeId, f64), b: (NodeId, f64)| if b.1 > a.1 { b } else { a };
        let work = prospects.work(here, planned.replicas()).map(gain).reduce(best);
        let work = work.filter(|(_, gain)| *gain >= MARGIN);
        work.filter(|(to, _)| scene.feasible(Action::MoveWork { agent: me, to: *to }).is_some())
    }

    /// Runs jobs elsewhere, where that is worth it; else what there is to do otherwise.
    fn move_work(&mut self, scene: &Scene, work: Option<(NodeId, f64)>, (arm, next): (Arm, Next)) -> Next {
        let Some((to, gain)) = work else { return self.came_to(arm, next) };
        self.arms.note(Arm::MovesWork);
        Next::Act(scene.decision(Action::MoveWork { agent: scene.me, to }, Reason::Better { gain }, self, None))
    }

    /// Reads a present replica instead, which concerns nobody else.
    fn go(&mut self, scene: &Scene, (to, gain): (NodeId, f64)) -> Next {
        self.arms.note(Arm::Elsewhere);
        Next::Act(scene.decision(Action::ChangeReference { to }, Reason::Better { gain }, self, None))
    }

    /// What there is to do for an agent that has asked.
    fn listen(&mut self, scene: &Scene, asking: Asking, rng: &mut Rng) -> (Vec<Intent>, Next) {
        let (view, now) = (scene.view, scene.view.now());
        let own = view.conversation.iter().rev().find(|ask| ask.agent == scene.me && !ask.closed);
        let own = own.filter(|ask| ask.posted_at >= asking.at && ask.generation == asking.generation);
        let deadline = asking.at + view.parameters.patience;
        let Some(ask) = own else {
            // It is not in the table yet, or could not be written.
            if now < deadline {
                self.asking = Some(asking);
                return (Vec::new(), self.came_to(Arm::NotPosted, Next::Wait(deadline)));
            }
            self.arms.note(Arm::NeverPosted);
            return (Vec::new(), self.judge_again(scene));
        };
        let close = || vec![Intent::Say(Message::Close(ask.id))];
        if ask.generation != scene.planned.generation {
            self.judged = None;
            let again = Next::Wait(now + LOOK_EVERY.mul_f64(rng.random()));
            return (close(), self.came_to(Arm::Overtaken, again));
        }
        let all_answered =
            self.living(view, scene.planned).all(|(agent, _)| agent == scene.me || ask.is_answered_by(agent));
        if !all_answered && now < deadline {
            self.asking = Some(asking);
            return (Vec::new(), self.came_to(Arm::WaitsForAnswers, Next::Wait(deadline)));
        }
        self.arms.note(if all_answered { Arm::AllAnswered } else { Arm::SomeSilent });
        self.peers.catch_up(scene.me, view.conversation);
        // Who has missed something asks for all of it, once.
        let missed = self.peers.have_missed(self.living(view, scene.planned).map(|(agent, _)| agent));
        let next = match missed && !ask.afresh {
            true => self.came_to(Arm::Missed, Next::Ask(asking.own)),
            false => self.decide(scene, ask, &asking.own),
        };
        (close(), next)
    }

    fn judge_again(&mut self, scene: &Scene) -> Next {
        self.judged = None;
        self.judge(scene)
    }

    /// Plans for everybody, and takes the own step of that.
    fn decide(&mut self, scene: &Scene, ask: &Ask, own: &BTreeSet<NodeId>) -> Next {
        let Scene { view, planned, prospects, me, here, level, .. } = *scene;
        let now = view.now();
        let asked: BTreeSet<NodeId> = ask
            .all_nodes()
            .into_iter()
            .filter(|node| planned.set.contains(node) || prospects.is_open_at(*node))
            .collect();
        let all: BTreeSet<NodeId> = asked.union(&planned.set).copied().collect();
        let replicas = planned.replicas();
        let peers = self.living(view, planned).filter(|(agent, _)| *agent != me);
        let mut readers: Vec<Reader> =
            peers.map(|(agent, reads)| self.peers.reader(agent, (reads, replicas), &all, now)).collect();
        readers.push(Reader {
            agent: me,
            reads: here,
            answer: Answer::Said(prospects.changes(planned, here, &all).into_iter().collect()),
            count_weight: 1.0,
            place_weight: 1.0,
            budget: 1.0,
        });
        let valuation = Valuation {
            actor: me,
            present: &planned.set,
            readers: &readers,
            costs: prospects.prices(),
            per_replica: prospects.per_replica(),
        };
        let ground = scene.ground();
        let enough = MARGIN + self.pause.hurdle(&ground);
        let constraints = &view.snapshot.data_set.guard.constraints;
        let accepted = plan(&valuation, &asked, own, &self.left.prices(now, PER_EXCUSED_RETURN), constraints)
            .filter(|accepted| accepted.gain >= enough);
        let Some(accepted) = accepted else {
            self.arms.note(Arm::Refused);
            self.pause.refused(ground, level, now);
            return self.judge_again(scene);
        };
        self.judged = Some(scene.judged());
        let step = accepted.step.and_then(|step| scene.feasible(step));
        let Some(step) = step else {
            // Those whom it serves will take it up, or nobody: it is not asked for after every job.
            self.pause.refused(ground, level, now);
            let arm = if accepted.step.is_some() { Arm::NotYet } else { Arm::NoStep };
            let work = self.work(scene);
            return self.move_work(scene, work, (arm, Next::Rest));
        };
        self.arms.note(Arm::Step);
        // Whoever is refused after that is refused for the first time, also where it was before.
        self.pause = Pause::default();
        let deliberation = deliberation(scene, &accepted.plan.set, &accepted.plan.responses, &readers, ask);
        Next::Act(scene.decision(step, Reason::Planned { gain: accepted.gain }, self, Some(deliberation)))
    }

    /// Drops a replica that nobody has read for a while, if that is for this agent to do.
    fn drop_idle(&mut self, scene: &Scene) -> Option<Next> {
        let (view, now) = (scene.view, scene.view.now());
        let may_go = |node: NodeId| view.snapshot.forbids(scene.me, Action::Evict { node }).is_none();
        let mine = self.idle_since.iter().filter(|(node, _)| scene.is_keeper_of(**node) && may_go(**node));
        let (node, since) = mine.min_by_key(|(_, since)| **since).map(|(node, since)| (*node, *since))?;
        if scene.planned.set.len() < 2 {
            return None;
        }
        let came_back = self.dropped.times(node, now);
        let due = since + held_idle(came_back);
        if now < due {
            return Some(self.came_to(Arm::IdleHeld, Next::Wait(due)));
        }
        if view.conversation.iter().any(|ask| view.is_open(ask)) {
            return Some(self.came_to(Arm::IdleWaits, Next::Wait(now + IDLE_AGAIN)));
        }
        self.peers.catch_up(scene.me, view.conversation);
        match self.one_less_hurts_nobody(scene) {
            Some(true) => {
                self.arms.note(Arm::IdleDropped);
                Some(Next::Act(scene.decision(Action::Evict { node }, Reason::Idle, self, None)))
            }
            Some(false) => {
                self.arms.note(Arm::IdleNeeded);
                None
            }
            // Somebody may need it for the number of replicas: it is asked about, once.
            None if self.pause.until(&scene.ground(), scene.level, now).is_none() => {
                Some(self.came_to(Arm::IdleAsked, Next::Ask([node].into())))
            }
            None => None,
        }
    }

    /// Whether all are as well off without a replica that nobody reads; `None`: somebody has not said.
    fn one_less_hurts_nobody(&self, scene: &Scene) -> Option<bool> {
        let Scene { view, planned, prospects, me, here, level, .. } = *scene;
        let (now, replicas) = (view.now(), planned.replicas());
        let mut loss = (level - prospects.standing(here, replicas - 1)).max(0.0);
        for (agent, reads) in self.living(view, planned).filter(|(agent, _)| *agent != me) {
            loss += self.peers.loss_of_one_less(agent, (reads, replicas), now)?;
        }
        Some(loss < prospects.per_replica())
    }

    fn ask(&mut self, scene: &Scene, nodes: BTreeSet<NodeId>) -> Intent {
        self.asked += 1;
        let generation = scene.planned.generation;
        self.asking = Some(Asking { at: scene.view.now(), generation, own: nodes.clone() });
        Intent::Say(Message::Ask(Question {
            key: format!("{}-q{}", self.life, self.asked),
            agent: scene.me,
            data_set: scene.view.snapshot.data_set.name.clone(),
            generation,
            nodes,
            action: None,
            afresh: self.peers.have_missed(self.living(scene.view, scene.planned).map(|(agent, _)| agent)),
            level: scene.level,
        }))
    }
}

impl Decider for Protocol {
    fn missed(&mut self, _: &Situation, _: &mut Rng) -> Vec<Intent> {
        self.is_awaited = true;
        self.judged = None;
        vec![Intent::Look { after: Duration::ZERO }]
    }

    fn measured(&mut self, measurement: &Measurement, satisfied: bool) {
        let conditions = Conditions {
            ran_at: measurement.ran_at,
            node: measurement.node,
            availability_percent: measurement.metrics.get(Metric::Availability).unwrap_or(0.0),
            data_consistency: measurement.metrics.get(Metric::DataConsistency).filter(|_| self.counts_replicas),
        };
        self.jobs.ended(conditions, satisfied, measurement.at);
        // It can be read again, which may be the moment to leave it.
        if self.unreadable.remove(&measurement.node).is_some() {
            self.judged = None;
        }
        self.last = Some(measurement.clone());
    }

    fn failed(&mut self, node: NodeId) {
        self.failed.push(node);
    }

    fn looked(&mut self, view: &View, rng: &mut Rng) -> Vec<Intent> {
        let planned = view.snapshot.planned();
        self.note(view, planned);
        let me = view.parameters.agent;
        let Some(here) = planned.reads.get(&me).copied() else {
            self.is_awaited = false;
            return vec![Intent::Over(Repair::Lost)];
        };
        let avoided = self.avoided(view.now());
        self.note_company(view);
        self.note_environment(view, planned, &avoided);
        let (jobs, courses) = (std::mem::take(&mut self.jobs), std::mem::take(&mut self.courses));
        let prospects = Prospects::new(view, &jobs, &courses, &avoided).hoping(here, planned.replicas());
        let level = prospects.standing(here, planned.replicas());
        let scene = Scene { view, planned, prospects: &prospects, me, here, level, epoch: self.epoch };
        let intents = self.decided(&scene, rng);
        (self.jobs, self.courses) = (jobs, courses);
        intents
    }

    fn ended(&mut self, repair: Repair, rng: &mut Rng) -> Vec<Intent> {
        let acted = self.acting.take();
        self.judged = None;
        self.arms.note(match repair {
            Repair::Acted => Arm::Acted,
            Repair::Lost => Arm::Lost,
            Repair::Nothing => Arm::CameToNothing,
            Repair::NotNow => Arm::NotNow,
        });
        let transferred = acted
            .and_then(Action::to_node)
            .filter(|_| matches!(acted, Some(Action::Move { .. } | Action::Copy { .. })));
        match repair {
            // Somebody was faster: judge what there is now, a moment later than others would.
            Repair::Lost => return vec![Intent::Look { after: LOOK_EVERY.mul_f64(rng.random()) }],
            Repair::Nothing => self.transferred.extend(transferred.map(|node| (node, false))),
            Repair::Acted => self.transferred.extend(transferred.map(|node| (node, true))),
            // No node is to blame for what was not begun.
            Repair::NotNow => {}
        }
        self.is_awaited = false;
        vec![Intent::Over(repair), Intent::Look { after: LOOK_EVERY }]
    }

    fn holds_back(&self, now: Timestamp) -> bool {
        self.pause.lasts(now)
    }

    fn take_arms(&mut self) -> Vec<&'static str> {
        self.arms.take()
    }
}

impl Protocol {
    /// Answers, and what there is to do.
    fn decided(&mut self, scene: &Scene, rng: &mut Rng) -> Vec<Intent> {
        let mut intents = self.answers(scene);
        if self.acting.is_some() {
            return intents;
        }
        let next = match self.asking.take() {
            Some(asking) => {
                let (said, next) = self.listen(scene, asking, rng);
                intents.extend(said);
                next
            }
            None => self.judge(scene),
        };
        let next = match next {
            Next::Rest => self.drop_idle(scene).unwrap_or(Next::Rest),
            next @ (Next::Wait(_) | Next::Act(_) | Next::Ask(_)) => next,
        };
        self.carry_out(scene, next, &mut intents);
        intents
    }

    fn carry_out(&mut self, scene: &Scene, next: Next, intents: &mut Vec<Intent>) {
        let now = scene.view.now();
        let look_at = |at: Timestamp| Intent::Look { after: at.since(now).max(Duration::from_millis(1)) };
        match next {
            Next::Act(decision) => {
                self.acting = Some(decision.chosen.action);
                if let Action::ChangeReference { .. } = decision.chosen.action {
                    self.left_nodes.note(scene.here, None, now);
                }
                if let Action::MoveWork { .. } = decision.chosen.action {
                    self.left_seats.note(scene.prospects.seat.node, None, now);
                }
                intents.push(Intent::Act(decision));
                return;
            }
            Next::Ask(nodes) => {
                intents.push(self.ask(scene, nodes));
                intents.push(look_at(now + scene.view.parameters.patience));
                return;
            }
            Next::Wait(at) => intents.push(look_at(at)),
            Next::Rest => {}
        }
        let waits_for_peers = self.asking.is_some() || matches!(next, Next::Wait(_)) && self.waits_for_question(scene);
        if self.is_awaited && !waits_for_peers {
            self.is_awaited = false;
            intents.push(Intent::Over(Repair::Nothing));
        }
        let opens_at = scene.view.snapshot.opens_at();
        if let Some(until) = self.unreadable.values().min().copied().into_iter().chain(opens_at).min() {
            intents.push(look_at(until));
        }
        if scene.view.experience.predictor.needs_probes() {
            self.judged = None;
            intents.push(look_at(now + JUDGE_EVERY));
        }
    }

    /// Whether somebody else's question is what holds this agent up.
    fn waits_for_question(&self, scene: &Scene) -> bool {
        self.judged.is_none() && scene.view.asked_by_others().next().is_some()
    }
}

impl Scene<'_> {
    fn judged(&self) -> Judged {
        let snapshot = self.view.snapshot;
        Judged {
            generation: self.planned.generation,
            changed_at: snapshot.changed_at,
            epoch: self.epoch,
            opens_at: snapshot.opens_at(),
        }
    }

    fn ground(&self) -> Ground {
        Ground { set: self.planned.set.clone(), reads: self.here, epoch: self.epoch }
    }

    /// The step as it can be taken now; `None`: what it needs is still under way, and its end will be seen.
    fn feasible(&self, step: Action) -> Option<Action> {
        let step = self.possible(step)?;
        self.view.snapshot.forbids(self.me, step).is_none().then_some(step)
    }

    fn possible(&self, step: Action) -> Option<Action> {
        let is_ready = |node: &NodeId| self.planned.ready.contains(node) && self.prospects.is_readable(node);
        match step {
            Action::Move { from, .. } => is_ready(&from).then_some(step),
            Action::ChangeReference { to } => is_ready(&to).then_some(step),
            Action::Evict { node } => is_ready(&node).then_some(step),
            Action::MoveWork { .. } => is_ready(&self.here).then_some(step),
            Action::Copy { from, to } => {
                let placement = &self.view.snapshot.placement;
                let mut present = placement.nodes();
                present.retain(|node| self.prospects.is_readable(node));
                let read = placement.reference(self.me).map(|replica| replica.node);
                let from = [Some(from), read, present.first().copied()];
                let from = from.into_iter().flatten().find(|node| present.contains(node))?;
                Some(Action::Copy { from, to })
            }
            Action::Restore { .. } | Action::Nothing => None,
        }
    }

    /// Whether it is for this agent to drop what nobody reads at a node: for the one that lives there, else for the first.
    fn is_keeper_of(&self, node: NodeId) -> bool {
        self.view.snapshot.is_kept_by(self.me, node, self.view.parameters.silence)
    }

    fn decision(
        &self,
        action: Action,
        reason: Reason,
        protocol: &Protocol,
        deliberation: Option<Deliberation>,
    ) -> Decision {
        let bare = || Deliberation {
            generation: self.planned.generation,
            level: self.level,
            plan: ReplicaSet::clone(&self.planned.set),
            responses: BTreeMap::new(),
            peers: BTreeMap::new(),
        };
        let measured = protocol.last.as_ref().map_or_else(Metrics::default, |last| last.metrics);
        let choice = Choice { action, reason };
        let decision =
            Decision::deliberate(NAME, self.view, self.here, measured, choice, deliberation.unwrap_or_else(bare));
        Decision { scored: self.weighed(), ..decision }
    }

    /// What this agent could do for itself, by its work and by its data, for people; nothing where its work stays.
    fn weighed(&self) -> Vec<Scored> {
        let Scene { view, planned, prospects, here, level, .. } = *self;
        let replicas = planned.replicas();
        let valued = |action: Action, value: f64| Scored {
            action,
            verdict: Verdict::Valued { value, trials: 0, score: value - level },
        };
        let agent = self.me;
        let moved = prospects.work(here, replicas).map(|(to, value)| valued(Action::MoveWork { agent, to }, value));
        let mut weighed: Vec<Scored> = moved.collect();
        if weighed.is_empty() {
            return weighed;
        }
        let worth = |to: NodeId, kind: ActionType| prospects.level(to, replicas) - prospects.cost(kind);
        let open = view.snapshot.nodes.values().filter(|node| prospects.is_open(node));
        let brought =
            open.map(|node| valued(Action::Move { from: here, to: node.id }, worth(node.id, ActionType::Move)));
        let others = planned.set.iter().filter(|node| **node != here);
        let changed =
            others.map(|to| valued(Action::ChangeReference { to: *to }, worth(*to, ActionType::ChangeReference)));
        weighed.extend(brought.chain(changed));
        weighed.sort_by(|a, b| b.global().total_cmp(&a.global()));
        weighed.truncate(LISTED);
        weighed
    }
}

/// How long a replica stays that nobody reads, and that came back so often lately.
fn held_idle(came_back: u32) -> Duration {
    IDLE_FOR * IDLE_LONGER.pow(came_back.min(2))
}

/// What everybody said of a plan.
fn deliberation(
    scene: &Scene,
    set: &ReplicaSet,
    responses: &BTreeMap<AgentId, NodeId>,
    readers: &[Reader],
    ask: &Ask,
) -> Deliberation {
    let peers = readers.iter().filter(|reader| reader.agent != scene.me);
    let opinion = |reader: &Reader| {
        let node = responses.get(&reader.agent).copied().unwrap_or(reader.reads);
        let forecast = match &reader.answer {
            Answer::Said(_) => Some(reader.forecast(node, set.len(), scene.planned.set.len())),
            Answer::Silent => None,
        };
        let weight = if node == reader.reads { reader.count_weight } else { reader.place_weight };
        (reader.agent, Opinion { forecast, weight })
    };
    Deliberation {
        generation: ask.generation,
        level: scene.level,
        plan: set.clone(),
        responses: responses.clone(),
        peers: peers.map(opinion).collect(),
    }
}

#[cfg(test)]
mod tests;
