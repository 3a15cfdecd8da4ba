//! Who misses its goal proposes an action, and does it if most peers agree.
//!
//! Source: DREAMS (Dinh-Tuan, Nguyen, Pandey, *Decentralized resource allocation and service management across the compute
//! continuum using service affinity*, arXiv 2509.07497) and its authors' code: a domain proposes the migration that improves its
//! own quality of service most, if by more than a threshold; every other domain predicts what that would do to its own, and
//! votes for it unless it would lose more than a threshold; more than half of the others decide. One proposal is open at a time.
//!
//! * **Improvement and loss** are changes of the predicted level: the share of jobs that meet the goal ([`Foresight`]). What
//!   an agent does costs it [`PRICE`] for each unit of cost.
//! * What concerns nobody else is done without a vote: a change of reference, and a move of the own work.
//! * A **vote** is a forecast. Who is not heard of is not asked; who does not answer in time has not voted.
//! * What was **refused** is not proposed again on the same placement for [`REFUSED_FOR`]; the next best is proposed instead.
//! * Where anything was begun or given up meanwhile the vote is void, and another one is held: the claim, too, is made on the
//!   placement that was voted on.

use super::candidates::candidates;
use super::foresight::Foresight;
use super::{
    Decider, Decision, Deliberation, Intent, Message, Opinion, Parameters, Policy, Reason, Rng, Scored, Scoring,
    Situation, Verdict, View, decide,
};
use crate::domain::action::Action;
use crate::domain::ask::{Ask, Question, Reply};
use crate::domain::ids::{AgentId, NodeId};
use crate::domain::metric::Metrics;
use crate::domain::time::Timestamp;
use crate::mape::monitor::Repair;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// By how much a proposal must raise the own level, net of its cost.
pub const IMPROVEMENT: f64 = 0.05;
/// What a peer gives up for somebody else's sake.
pub const TOLERANCE: f64 = 0.05;
/// What a cost of 1 takes away from a level.
pub const PRICE: f64 = 0.01;
/// How long a refusal counts.
pub const REFUSED_FOR: Duration = Duration::from_secs(300);
/// Proposals after one missed goal (I-7).
const PROPOSALS_MAX: u32 = 4;

pub struct Vote;

impl Policy for Vote {
    fn name(&self) -> &'static str {
        "vote"
    }

    fn decider(&self, _: &Arc<Parameters>, life: &str) -> Box<dyn Decider> {
        Box::new(Voter { life: life.to_owned(), asked: 0, refused: BTreeMap::new(), wish: None })
    }

    fn looks(&self) -> bool {
        true
    }
}

/// What an agent remembers.
#[derive(Debug)]
struct Voter {
    /// Makes keys of questions unique across restarts.
    life: String,
    asked: u64,
    refused: BTreeMap<Action, Refusal>,
    /// The job that missed its goal, until that is repaired or given up.
    wish: Option<Wish>,
}

#[derive(Clone, Copy, Debug)]
struct Refusal {
    generation: i64,
    at: Timestamp,
}

#[derive(Clone, Debug)]
struct Wish {
    measured: Metrics,
    reads: NodeId,
    since: Timestamp,
    proposed: u32,
    open: Option<Proposal>,
}

/// What is being voted on.
#[derive(Clone, Debug)]
struct Proposal {
    decision: Decision,
    generation: i64,
    asked_at: Timestamp,
}

impl Decider for Voter {
    /// What to propose is found with the next look, which shows what others propose.
    fn missed(&mut self, situation: &Situation, _: &mut Rng) -> Vec<Intent> {
        self.wish = Some(Wish {
            measured: *situation.measured,
            reads: situation.reference.node,
            since: situation.snapshot.at,
            proposed: 0,
            open: None,
        });
        vec![Intent::Look { after: Duration::ZERO }]
    }

    fn looked(&mut self, view: &View, rng: &mut Rng) -> Vec<Intent> {
        let mut intents: Vec<Intent> = view.asked_by_others().filter_map(|ask| vote(view, ask)).collect();
        if let Some(mut wish) = self.wish.take() {
            intents.extend(match wish.open.take() {
                Some(proposal) => self.count(wish, proposal, view, rng),
                None => self.propose(wish, view, rng),
            });
        }
        intents
    }
}

impl Voter {
    fn propose(&mut self, mut wish: Wish, view: &View, rng: &mut Rng) -> Vec<Intent> {
        let (snapshot, me) = (view.snapshot, view.parameters.agent);
        let Some(reference) = snapshot.placement.reference(me).filter(|replica| replica.node == wish.reads) else {
            return vec![Intent::Over(Repair::Lost)];
        };
        let others = view.asked_by_others().filter(|ask| ask.action.is_some());
        let until = (wish.since + view.open_for())
            .min(others.map(|ask| ask.posted_at + view.open_for()).max().unwrap_or(wish.since));
        if view.now() < until {
            return self.wait(wish, None, until.since(view.now()));
        }
        self.refused.retain(|_, refusal| {
            refusal.generation == snapshot.generation && snapshot.at.since(refusal.at) < REFUSED_FOR
        });
        let situation = Situation::new(view.parameters, view.experience, &wish.measured, reference, snapshot);
        let decision = decide(self, &situation, rng);
        let action = decision.chosen.action;
        let Some(node) = concerned(action) else {
            return vec![Intent::Act(decision)];
        };
        let proposal = Proposal { decision, generation: snapshot.generation, asked_at: view.now() };
        if peers(view).is_empty() {
            return vec![Intent::Act(agreed(proposal, &BTreeMap::new(), view))];
        }
        if wish.proposed == PROPOSALS_MAX {
            return vec![Intent::Over(Repair::Nothing)];
        }
        wish.proposed += 1;
        self.asked += 1;
        let question = Question {
            key: format!("{}-v{}", self.life, self.asked),
            agent: me,
            data_set: snapshot.data_set.name.clone(),
            generation: snapshot.generation,
            nodes: [node].into(),
            action: Some(action),
            afresh: true,
            level: Foresight::between_jobs(view).level_at(wish.reads),
        };
        let mut intents = vec![Intent::Say(Message::Ask(question))];
        intents.extend(self.wait(wish, Some(proposal), view.parameters.patience));
        intents
    }

    /// The next look may come before: when something has changed.
    fn wait(&mut self, wish: Wish, open: Option<Proposal>, after: Duration) -> Vec<Intent> {
        self.wish = Some(Wish { open, ..wish });
        vec![Intent::Look { after }]
    }

    /// Decides when everybody has voted, or nobody is waited for any longer.
    fn count(&mut self, wish: Wish, proposal: Proposal, view: &View, rng: &mut Rng) -> Vec<Intent> {
        let (me, action) = (view.parameters.agent, proposal.decision.chosen.action);
        let is_it = |ask: &&Arc<Ask>| {
            (ask.agent, ask.generation, ask.action) == (me, proposal.generation, Some(action)) && !ask.closed
        };
        let ask = view.conversation.iter().rev().find(is_it);
        let votes: BTreeMap<AgentId, f64> = ask.map(|ask| votes(ask, me)).unwrap_or_default();
        let is_complete = peers(view).iter().all(|peer| votes.contains_key(peer));
        let is_void = view.snapshot.generation != proposal.generation;
        let until = proposal.asked_at + view.parameters.patience;
        if !is_complete && !is_void && view.now() < until {
            return self.wait(wish, Some(proposal), until.since(view.now()));
        }
        let mut intents: Vec<Intent> = ask.map(|ask| Intent::Say(Message::Close(ask.id))).into_iter().collect();
        if is_void {
            intents.extend(self.propose(wish, view, rng));
            return intents;
        }
        if is_accepted(&votes) {
            intents.push(Intent::Act(agreed(proposal, &votes, view)));
        } else if votes.is_empty() {
            // Nobody is there, or the question was lost.
            intents.push(Intent::Over(Repair::Nothing));
        } else {
            self.refused.insert(action, Refusal { generation: proposal.generation, at: view.now() });
            intents.extend(self.propose(wish, view, rng));
        }
        intents
    }
}

impl Scoring for Voter {
    fn name(&self) -> &'static str {
        Vote.name()
    }

    fn candidates(&self, situation: &Situation) -> Vec<Action> {
        let mut all = candidates(situation.snapshot, situation.parameters, situation.reference);
        all.retain(|action| *action != Action::Nothing);
        all
    }

    fn score(&self, situation: &Situation, action: Action) -> Scored {
        let (foresight, reads) = (Foresight::of(situation), situation.reference.node);
        let infeasible = |why: String| Scored { action, verdict: Verdict::Infeasible { why } };
        if self.refused.contains_key(&action) {
            return infeasible("most peers refused it".to_owned());
        }
        let value = foresight.level_after(action, reads) - PRICE * situation.parameters.outlay(action);
        let improvement = value - foresight.level_at(reads);
        if improvement < IMPROVEMENT {
            return infeasible(format!("it improves the own level by {improvement:+.2}, its cost deducted"));
        }
        Scored { action, verdict: Verdict::Valued { value, trials: 0, score: improvement } }
    }

    fn exploration(&self, _: &Parameters) -> f64 {
        0.0
    }
}

/// The node that a vote on an action is about; `None` where nobody else is concerned.
fn concerned(action: Action) -> Option<NodeId> {
    match action {
        Action::Move { to, .. } | Action::Copy { to, .. } => Some(to),
        Action::Evict { node } => Some(node),
        Action::ChangeReference { .. } | Action::Restore { .. } | Action::MoveWork { .. } | Action::Nothing => None,
    }
}

/// What this agent has to say to an open proposal of somebody else.
fn vote(view: &View, ask: &Ask) -> Option<Intent> {
    let (me, snapshot) = (view.parameters.agent, view.snapshot);
    let is_asked = ask.generation == snapshot.generation && !ask.is_answered_by(me);
    let action = ask.action.filter(|_| is_asked)?;
    let (foresight, node) = (Foresight::between_jobs(view), concerned(action)?);
    let reads = snapshot.placement.reference(me).map(|replica| replica.node);
    let level = reads.map_or(0.0, |reads| foresight.level_at(reads));
    let change = reads.map_or(0.0, |reads| foresight.level_after_others(action, reads) - level);
    let replicas = u32::try_from(foresight.replicas_after(action)).ok();
    let forecasts = if change == 0.0 { BTreeMap::new() } else { [((node, replicas), change)].into() };
    let said = forecasts.len() as u32;
    let reply = Reply { level, nodes: ask.nodes.clone(), forecasts, said, named: BTreeSet::new() };
    Some(Intent::Say(Message::Reply { ask: ask.id, reply }))
}

/// Who is asked: everybody else who is heard of.
fn peers(view: &View) -> BTreeSet<AgentId> {
    let others = view.snapshot.agents.keys().filter(|agent| **agent != view.parameters.agent);
    others.filter(|agent| view.snapshot.is_alive(**agent, view.parameters.silence)).copied().collect()
}

/// What those who answered forecast for themselves.
fn votes(ask: &Ask, proposer: AgentId) -> BTreeMap<AgentId, f64> {
    let others = ask.replies.iter().filter(|(agent, _)| **agent != proposer);
    others.map(|(agent, reply)| (*agent, reply.forecasts.values().copied().fold(0.0, f64::min))).collect()
}

fn is_for(forecast: f64) -> bool {
    forecast >= -TOLERANCE
}

fn is_accepted(votes: &BTreeMap<AgentId, f64>) -> bool {
    2 * votes.values().filter(|forecast| is_for(**forecast)).count() > votes.len()
}

/// The decision that a vote has made of a proposal: void on another placement than the one that was voted on.
fn agreed(proposal: Proposal, votes: &BTreeMap<AgentId, f64>, view: &View) -> Decision {
    let Proposal { mut decision, generation, .. } = proposal;
    let action = decision.chosen.action;
    let reads = action.to_node().unwrap_or(decision.reference_node);
    let mut plan = view.snapshot.placement.nodes();
    if matches!(action, Action::Move { .. } | Action::Evict { .. }) {
        action.from_node().map(|from| plan.remove(&from));
    }
    plan.extend(action.to_node());
    decision.chosen.reason =
        Reason::Agreed { yes: votes.values().filter(|forecast| is_for(**forecast)).count(), votes: votes.len() };
    decision.deliberation = Some(Deliberation {
        generation,
        level: Foresight::between_jobs(view).level_at(decision.reference_node),
        plan,
        responses: [(view.parameters.agent, reads)].into(),
        peers: votes
            .iter()
            .map(|(peer, forecast)| (*peer, Opinion { forecast: Some(*forecast), weight: 1.0 }))
            .collect(),
    });
    decision
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::AskId;
    use crate::domain::snapshot::Snapshot;
    use crate::mape::planner::Experience;
    use crate::mape::scene::{self, NOW};

    /// Agent 1 reads at node 3 and would be content at node 1 alone.
    const GOAL: &str = "response_time <= 35 s";

    struct Stage {
        parameters: Parameters,
        experience: Experience,
        snapshot: Snapshot,
        conversation: Vec<Arc<Ask>>,
        decider: Box<dyn Decider>,
    }

    impl Stage {
        fn new(nodes: &[u32], agents: u32) -> Self {
            let reads: Vec<(u32, i64)> = (1..=agents).map(|agent| (agent, 1)).collect();
            let parameters = scene::parameters(GOAL);
            Self {
                decider: Vote.decider(&Arc::new(parameters.clone()), "life"),
                parameters,
                experience: Experience { predictor: scene::predictor(), ..Experience::default() },
                snapshot: scene::inhabited(scene::snapshot(nodes, &reads), agents),
                conversation: Vec::new(),
            }
        }

        /// What it proposes after a missed goal, as posted.
        fn propose(&mut self) -> String {
            let measured = scene::slow();
            let reference = self.snapshot.placement.reference(AgentId(1)).unwrap();
            let situation = Situation::new(&self.parameters, &self.experience, &measured, reference, &self.snapshot);
            let intents = self.decider.missed(&situation, &mut scene::rng());
            assert_eq!(intents, [Intent::Look { after: Duration::ZERO }]);
            self.look()
        }

        /// What it does when it is shown the table; a question is posted.
        fn look(&mut self) -> String {
            let Self { parameters, experience, snapshot, conversation, decider } = self;
            let view = View { parameters, experience, snapshot, conversation };
            let intents = decider.looked(&view, &mut scene::rng());
            let shown: Vec<String> = intents.into_iter().filter_map(|intent| self.show(intent)).collect();
            shown.join(", ")
        }

        fn show(&mut self, intent: Intent) -> Option<String> {
            match intent {
                Intent::Act(decision) => Some(format!("{} {:?}", decision.chosen.action, decision.chosen.reason)),
                Intent::Over(repair) => Some(format!("{repair:?}")),
                Intent::Look { .. } | Intent::Adapted(_) => None,
                Intent::Say(Message::Reply { reply, .. }) => Some(format!("votes {:?}", reply.forecasts)),
                Intent::Say(Message::Close(ask)) => Some(format!("closes {ask}")),
                Intent::Say(Message::Ask(question)) => {
                    let action = question.action.unwrap();
                    self.posted(1, question.action, question.generation);
                    Some(format!("asks {action}"))
                }
            }
        }

        fn posted(&mut self, agent: u32, action: Option<Action>, generation: i64) {
            let id = AskId(self.conversation.len() as i64 + 1);
            let (posted_at, nodes) = (self.snapshot.at, [NodeId(1)].into());
            let (agent, replies) = (AgentId(agent), BTreeMap::new());
            let ask = Ask {
                id,
                agent,
                generation,
                nodes,
                action,
                afresh: true,
                level: 0.0,
                posted_at,
                closed: false,
                replies,
            };
            self.conversation.push(Arc::new(ask));
        }

        /// These peers vote on the last question: what they forecast for themselves.
        fn vote(&mut self, votes: &[(u32, f64)]) {
            let ask = Arc::make_mut(self.conversation.last_mut().unwrap());
            for (agent, change) in votes {
                let forecasts = [((NodeId(1), Some(1)), *change)].into();
                ask.replies.insert(AgentId(*agent), Reply { forecasts, ..Reply::default() });
            }
        }

        fn pass(&mut self, seconds: u64) {
            self.snapshot.at = self.snapshot.at + Duration::from_secs(seconds);
        }
    }

    /// Of an agent with so many peers.
    fn check(votes: &[(u32, f64)], expected: &str) {
        let mut stage = Stage::new(&[3], 1 + votes.len() as u32);
        assert_eq!(stage.propose(), "asks M3_1");
        stage.vote(votes);
        assert_eq!(stage.look(), expected, "{votes:?}");
    }

    #[test]
    fn more_than_half_of_the_others_decide_and_a_small_loss_is_no_objection() {
        check(&[(2, 0.0)], "closes 1, M3_1 Agreed { yes: 1, votes: 1 }");
        check(&[(2, -0.05)], "closes 1, M3_1 Agreed { yes: 1, votes: 1 }");
        check(&[(2, 0.0), (3, 1.0), (4, -1.0)], "closes 1, M3_1 Agreed { yes: 2, votes: 3 }");
        check(&[(2, -0.06)], "closes 1, asks C3_1");
        check(&[(2, 0.0), (3, -1.0)], "closes 1, asks C3_1");
    }

    #[test]
    fn what_was_refused_is_not_proposed_again_for_a_while_unless_the_placement_is_another_one() {
        let mut stage = Stage::new(&[3], 2);
        stage.propose();
        stage.vote(&[(2, -1.0)]);
        stage.look();
        stage.vote(&[(2, -1.0)]);
        assert_eq!(stage.look(), "closes 2, NA NothingFeasible");
        assert_eq!(stage.propose(), "NA NothingFeasible");
        stage.snapshot.generation += 1;
        assert_eq!(stage.propose(), "asks M3_1");
        stage.vote(&[(2, -1.0)]);
        assert_eq!(stage.look(), "closes 3, asks C3_1");
        stage.pass(300);
        stage.snapshot = scene::inhabited(stage.snapshot.clone(), 2);
        stage.vote(&[(2, -1.0)]);
        assert_eq!(stage.look(), "closes 4, asks M3_1");
    }

    #[test]
    fn missing_votes_are_waited_for_so_long_and_then_left_out() {
        let mut stage = Stage::new(&[3], 4);
        stage.propose();
        stage.vote(&[(2, 0.0), (3, 0.0)]);
        stage.pass(1);
        assert_eq!(stage.look(), "");
        stage.pass(1);
        assert_eq!(stage.look(), "closes 1, M3_1 Agreed { yes: 2, votes: 2 }");
    }

    #[test]
    fn without_any_vote_nothing_is_done_and_nothing_is_refused() {
        let mut stage = Stage::new(&[3], 2);
        stage.propose();
        stage.pass(2);
        assert_eq!(stage.look(), "closes 1, Nothing");
        assert_eq!(stage.propose(), "asks M3_1");
        // The question itself was lost.
        stage.conversation.clear();
        assert_eq!(stage.look(), "");
        stage.pass(2);
        assert_eq!(stage.look(), "Nothing");
    }

    #[test]
    fn who_is_not_heard_of_is_not_asked() {
        let mut stage = Stage::new(&[3], 3);
        stage.pass(31);
        assert_eq!(stage.propose(), "M3_1 Agreed { yes: 0, votes: 0 }");
        let mut alone = Stage::new(&[3], 1);
        assert_eq!(alone.propose(), "M3_1 Agreed { yes: 0, votes: 0 }");
    }

    #[test]
    fn a_vote_on_another_placement_is_void() {
        let mut stage = Stage::new(&[3], 2);
        stage.propose();
        stage.vote(&[(2, 0.0)]);
        stage.snapshot.generation += 1;
        assert_eq!(stage.look(), "closes 1, asks M3_1");
        // It reads elsewhere by now.
        let moved = scene::inhabited(scene::snapshot(&[1], &[(1, 1), (2, 1)]), 2);
        stage.snapshot = moved;
        stage.snapshot.generation = 2;
        assert_eq!(stage.look(), "closes 2, Lost");
    }

    #[test]
    fn a_proposal_of_somebody_else_is_waited_for_but_not_for_ever() {
        let mut stage = Stage::new(&[3], 2);
        stage.posted(2, Some("C3_2".parse().unwrap()), 0);
        stage.conversation.iter_mut().for_each(|ask| {
            let reply = Reply { nodes: ask.nodes.clone(), ..Reply::default() };
            Arc::make_mut(ask).replies.insert(AgentId(1), reply);
        });
        assert_eq!(stage.propose(), "");
        stage.pass(3);
        assert_eq!(stage.look(), "");
        stage.pass(1);
        assert_eq!(stage.look(), "asks M3_1");
    }

    #[test]
    fn reading_another_replica_needs_no_vote() {
        let mut stage = Stage::new(&[3, 1], 2);
        assert!(stage.propose().starts_with("CR1 HighestScore"));
    }

    /// What agent 1, reading at the first of these nodes, says to a proposal of agent 2.
    fn answer(nodes: &[u32], action: &str, generation: i64) -> String {
        let mut stage = Stage::new(nodes, 2);
        stage.posted(2, Some(action.parse().unwrap()), generation);
        stage.look()
    }

    #[test]
    fn peers_say_what_they_would_lose() {
        // Almost all of 1, but how close it comes to its goal.
        let lost = answer(&[1], "M1_3", 0);
        assert!(lost.starts_with("votes {(NodeId(3), Some(1)): -0.9"), "{lost}");
        assert_eq!(answer(&[1], "C1_3", 0), "votes {}");
        assert_eq!(answer(&[1, 2], "M2_3", 0), "votes {}");
        assert!(answer(&[3], "M3_1", 0).starts_with("votes {(NodeId(1), Some(1)): 0.9"));
    }

    #[test]
    fn only_what_waits_for_a_vote_on_this_placement_gets_one() {
        assert_eq!(answer(&[1], "M1_3", 7), "");
        let mut stage = Stage::new(&[1], 2);
        stage.posted(2, Some("M1_3".parse().unwrap()), 0);
        stage.pass(4);
        assert_eq!(stage.look(), "", "too late");
        stage.posted(2, Some("M1_3".parse().unwrap()), 0);
        stage.posted(2, None, 0);
        stage.posted(1, Some("M1_3".parse().unwrap()), 0);
        assert!(stage.look().starts_with("votes") && !stage.look().contains(", votes"));
        stage.conversation.iter_mut().for_each(|ask| Arc::make_mut(ask).closed = true);
        assert_eq!(stage.look(), "");
        assert_eq!(stage.snapshot.at, NOW + Duration::from_secs(4));
    }
}
