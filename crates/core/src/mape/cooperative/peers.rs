//! What an agent knows of the others: what they said last, whether it came true, and how much their word counts for that.

use super::said::{Said, State};
use super::trust::{Budget, Cause, NOTABLE, Trust};
use super::{Answer, Planned, Reader};
use crate::domain::ask::{Ask, Reply};
use crate::domain::ids::{AgentId, AskId, NodeId};
use crate::domain::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// A forecast that nobody could check for so long is not checked any more.
const CHECKED_WITHIN: Duration = Duration::from_secs(600);

/// So much that happened is kept until it is needed (I-7); what is older is forgotten, and asked for afresh.
const KEPT: usize = 256;

/// Hearing everybody takes long where there are many, and most never need it: what happens is only noted, and heard when this
/// agent has to decide.
#[derive(Debug, Default)]
pub struct Peers {
    known: BTreeMap<AgentId, Peer>,
    /// The placement that was to be before all that has not been heard yet; absent before the first.
    planned: Option<Arc<Planned>>,
    /// Not heard yet, oldest first, and how many were before these.
    happened: VecDeque<Happened>,
    before: usize,
    /// The questions of the conversation: where they are among all that happened, until they are closed.
    noted: BTreeMap<AskId, Option<usize>>,
}

#[derive(Debug)]
enum Happened {
    Asked {
        id: AskId,
        /// As it was closed.
        ask: Option<Arc<Ask>>,
        /// It is about the placement that was planned when it was first seen.
        is_timely: bool,
        seen_at: Timestamp,
        /// Of each reply that was heard so many nodes; of the asker its level.
        heard: BTreeMap<AgentId, usize>,
    },
    Executed(Executed),
}

/// The planned placement has become another one.
#[derive(Debug)]
pub struct Executed {
    /// As it is to be from then on: shared by all who saw the same.
    pub planned: Arc<Planned>,
    /// Who changed the placement; `None`: nobody, something came to nothing.
    pub acted: Option<BTreeSet<AgentId>>,
    pub at: Timestamp,
}

#[derive(Debug)]
struct Peer {
    trust: Trust,
    budget: Budget,
    said: Said,
    /// How content it was when it spoke last.
    level: f64,
    /// It said more than was heard.
    was_missed: bool,
    check: Option<Check>,
}

/// A forecast for the state that came about.
#[derive(Clone, Copy, Debug)]
struct Check {
    cause: Cause,
    forecast: f64,
    level_before: f64,
    state: State,
    since: Timestamp,
}

impl Peers {
    /// Takes note of what is said.
    pub fn note(&mut self, conversation: &[Arc<Ask>], planned: &Planned, now: Timestamp) {
        let mut noted = BTreeMap::new();
        for ask in conversation {
            let place = match self.noted.get(&ask.id) {
                Some(place) => *place,
                None => {
                    let is_timely = ask.generation == planned.generation;
                    let heard = BTreeMap::new();
                    self.keep(Happened::Asked { id: ask.id, ask: None, is_timely, seen_at: now, heard });
                    Some(self.before + self.happened.len() - 1)
                }
            };
            let still_open = place.filter(|place| !(ask.closed && self.close(*place, ask)));
            noted.insert(ask.id, still_open);
        }
        self.noted = noted;
    }

    /// Begins with a placement.
    pub fn begin(&mut self, planned: &Arc<Planned>) {
        self.planned = Some(planned.clone());
    }

    pub fn executed(&mut self, what: Executed) {
        self.keep(Happened::Executed(what));
    }

    fn keep(&mut self, what: Happened) {
        if self.happened.len() == KEPT {
            if let Some(Happened::Executed(forgotten)) = self.happened.pop_front() {
                self.planned = Some(forgotten.planned);
            }
            self.before += 1;
        }
        self.happened.push_back(what);
    }

    fn close(&mut self, place: usize, closed: &Arc<Ask>) -> bool {
        let kept = place.checked_sub(self.before).and_then(|index| self.happened.get_mut(index));
        if let Some(Happened::Asked { ask, .. }) = kept {
            *ask = Some(closed.clone());
        }
        true
    }

    /// Hears all that was noted; of what is still being asked, what has been answered so far.
    pub fn catch_up(&mut self, me: AgentId, conversation: &[Arc<Ask>]) {
        let mut open = VecDeque::new();
        for what in std::mem::take(&mut self.happened) {
            match what {
                Happened::Executed(what) => self.judge(what),
                Happened::Asked { id, ask: Some(ask), is_timely, seen_at, mut heard } => {
                    self.hear(me, &ask, is_timely, seen_at, &mut heard);
                    self.noted.insert(id, None);
                }
                Happened::Asked { id, ask: None, is_timely, seen_at, mut heard } => {
                    if let Some(ask) = conversation.iter().find(|ask| ask.id == id) {
                        self.hear(me, ask, is_timely, seen_at, &mut heard);
                        open.push_back(Happened::Asked { id, ask: None, is_timely, seen_at, heard });
                    }
                }
            }
        }
        self.before = 0;
        self.happened = open;
        for (place, what) in self.happened.iter().enumerate() {
            if let Happened::Asked { id, .. } = what {
                self.noted.insert(*id, Some(place));
            }
        }
    }

    fn hear(
        &mut self,
        me: AgentId,
        ask: &Ask,
        is_timely: bool,
        seen_at: Timestamp,
        heard: &mut BTreeMap<AgentId, usize>,
    ) {
        if ask.agent != me && heard.insert(ask.agent, 0).is_none() {
            self.level_shown(ask.agent, ask.level, ask.posted_at);
        }
        for (agent, reply) in ask.replies.iter().filter(|(agent, _)| **agent != me) {
            let before = heard.insert(*agent, reply.nodes.len());
            if before == Some(reply.nodes.len()) {
                continue;
            }
            // It says all of it again, and counts from there on.
            if ask.afresh && before.is_none() {
                self.peer(*agent, seen_at).said = Said::default();
            }
            self.level_shown(*agent, reply.level, ask.posted_at);
            if let Some(state) = self.state(*agent).filter(|_| is_timely) {
                self.peer(*agent, seen_at).hear(state, reply);
            }
        }
    }

    /// Where an agent was to read, and how many replicas there were to be, after all that has been heard.
    fn state(&self, agent: AgentId) -> Option<State> {
        state_in(self.planned.as_deref()?, agent)
    }

    fn judge(&mut self, Executed { planned: after, acted, at: now }: Executed) {
        let before = self.planned.replace(after.clone());
        let (Some(before), Some(acted)) = (before, acted) else { return };
        for (agent, peer) in &mut self.known {
            peer.check = peer.check.filter(|check| now.since(check.since) < CHECKED_WITHIN);
            if acted.contains(agent) {
                peer.budget = Budget::full(now);
                peer.check = None;
                continue;
            }
            let (Some(from), Some(to)) = (state_in(&before, *agent), state_in(&after, *agent)) else { continue };
            let Some((forecast, level)) = peer.forecast(from, to).filter(|_| from != to) else { continue };
            let cause = if from.0 == to.0 { Cause::Count } else { Cause::Place };
            peer.trust.executed(cause, forecast, now);
            peer.budget.executed(forecast, now);
            if forecast.abs() >= NOTABLE {
                peer.check = Some(Check { cause, forecast, level_before: level, state: to, since: now });
            }
        }
    }

    /// A peer as the one who plans sees it.
    /// `asked`: all nodes that a plan may use besides those that it speaks of.
    pub fn reader(&self, agent: AgentId, (reads, replicas): State, asked: &BTreeSet<NodeId>, now: Timestamp) -> Reader {
        let known = self.known.get(&agent);
        let trust = known.map_or_else(Trust::default, |peer| peer.trust);
        Reader {
            agent,
            reads,
            answer: self.answer(agent, (reads, replicas), asked),
            count_weight: trust.weight(Cause::Count, now),
            place_weight: trust.weight(Cause::Place, now),
            budget: known.map_or(1.0, |peer| peer.budget.left(now)),
        }
    }

    /// What a peer would lose, as it said and as far as its word counts, were there one replica less than there are; `None` for
    /// one that has not spoken of that.
    pub fn loss_of_one_less(&self, agent: AgentId, (reads, replicas): State, now: Timestamp) -> Option<f64> {
        let peer = self.known.get(&agent).filter(|peer| !peer.was_missed)?;
        let change = peer.said.change((reads, replicas - 1))? - peer.said.change((reads, replicas))?;
        Some((-change).max(0.0) * peer.trust.weight(Cause::Count, now))
    }

    /// Whether something was missed of what these agents said: they are to say it again.
    pub fn have_missed(&self, agents: impl Iterator<Item = AgentId>) -> bool {
        agents.into_iter().any(|agent| self.known.get(&agent).is_some_and(|peer| peer.was_missed))
    }

    /// What it says, now or earlier, seen from where it stands; else silence.
    fn answer(&self, agent: AgentId, state: State, asked: &BTreeSet<NodeId>) -> Answer {
        let Some(peer) = self.known.get(&agent).filter(|peer| !peer.was_missed) else { return Answer::Silent };
        let Some(known) = peer.said.seen_from(state) else { return Answer::Silent };
        // What it never spoke about may be as bad as anything.
        let unknown = asked.iter().filter(|node| !peer.said.mentions(**node)).map(|node| ((*node, None), -1.0));
        Answer::Said(known.chain(unknown).collect())
    }

    fn level_shown(&mut self, agent: AgentId, level: f64, posted_at: Timestamp) {
        let state = self.state(agent);
        let Some(peer) = self.known.get_mut(&agent) else { return };
        if let Some(check) = peer.check
            && posted_at >= check.since
            && state == Some(check.state)
        {
            peer.trust.checked(check.cause, check.forecast, level - check.level_before);
            peer.check = None;
        }
    }

    fn peer(&mut self, agent: AgentId, now: Timestamp) -> &mut Peer {
        let unknown = || Peer {
            trust: Trust::default(),
            budget: Budget::full(now),
            said: Said::default(),
            level: 0.0,
            was_missed: false,
            check: None,
        };
        self.known.entry(agent).or_insert_with(unknown)
    }
}

/// Where an agent is to read, and how many replicas there are to be.
fn state_in(planned: &Planned, agent: AgentId) -> Option<State> {
    planned.reads.get(&agent).map(|node| (*node, planned.replicas()))
}

impl Peer {
    fn hear(&mut self, from: State, reply: &Reply) {
        self.said.hear(from, &reply.nodes, &reply.forecasts);
        self.level = reply.level;
        self.was_missed = self.said.count() != reply.said;
    }

    /// What it forecast for going from one state to another, and its level before.
    fn forecast(&self, from: State, to: State) -> Option<(f64, f64)> {
        let changes = self.said.change(to)? - self.said.change(from)?;
        Some((changes, self.level))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mape::scene::{self, NOW};

    const PEER: AgentId = AgentId(2);

    /// Agent 2 reads at node 3, the only replica, and has said what it would lose at node 1; then that was done to it.
    fn hurt() -> Peers {
        let mut peers = Peers::default();
        peers.begin(&reading_at(3));
        let peer = peers.peer(PEER, NOW);
        peer.said.hear((NodeId(3), 1), &[NodeId(1)].into(), &[((NodeId(1), None), -0.8)].into());
        peer.level = 0.9;
        peers.judge(by(9, NOW));
        peers
    }

    /// Agent 2, at the only replica.
    fn reading_at(node: u32) -> Arc<Planned> {
        Arc::new(Planned::of(&scene::snapshot(&[node], &[(PEER.0, 1)])))
    }

    /// Somebody has done something, and agent 2 reads at node 1.
    fn by(agent: u32, at: Timestamp) -> Executed {
        Executed { planned: reading_at(1), acted: Some([AgentId(agent)].into()), at }
    }

    /// Agent 9 has asked, and agent 2 has answered with these changes, as many as it says.
    fn answered(id: i64, afresh: bool, changes: &[(u32, f64)]) -> Arc<Ask> {
        let reply = Reply {
            nodes: changes.iter().map(|(node, _)| NodeId(*node)).collect(),
            forecasts: changes.iter().map(|(node, change)| ((NodeId(*node), None), *change)).collect(),
            said: u32::try_from(changes.len()).unwrap(),
            ..Reply::default()
        };
        Arc::new(Ask {
            id: AskId(id),
            agent: AgentId(9),
            generation: reading_at(3).generation,
            nodes: reply.nodes.clone(),
            action: None,
            afresh,
            level: 0.5,
            posted_at: NOW,
            closed: true,
            replies: [(PEER, reply)].into(),
        })
    }

    #[test]
    fn who_says_everything_again_is_heard_as_if_for_the_first_time() {
        let mut peers = Peers::default();
        peers.begin(&reading_at(3));
        let mut hear = |ask: Arc<Ask>| {
            let conversation = [ask];
            peers.note(&conversation, &reading_at(3), NOW);
            peers.catch_up(AgentId(1), &conversation);
            peers.have_missed([PEER].into_iter())
        };
        assert!(!hear(answered(1, false, &[(1, -0.8), (2, 0.3)])));
        assert!(
            hear(answered(2, false, &[(4, 0.1)])),
            "it has said one change in all: others were taken back, unheard"
        );
        assert!(!hear(answered(3, true, &[(4, 0.1)])), "now it is known what it says");
        assert!(matches!(peers.answer(PEER, (NodeId(3), 1), &[NodeId(4)].into()), Answer::Said(_)));
    }

    #[test]
    fn what_was_lost_is_used_up_until_the_agent_acts_itself() {
        let mut peers = hurt();
        let left = |peers: &Peers| peers.known[&PEER].budget.left(NOW);
        assert!((left(&peers) - 0.2).abs() < 1e-9, "{}", left(&peers));
        peers.judge(by(PEER.0, NOW));
        assert_eq!(left(&peers), 1.0);
    }

    #[test]
    fn a_forecast_is_held_against_what_is_shown_afterwards() {
        let mut peers = hurt();
        let is_checked = |peers: &Peers| peers.known[&PEER].check.is_none();
        peers.level_shown(PEER, 0.1, Timestamp(NOW.0 - 1));
        assert!(!is_checked(&peers), "that was before");
        peers.level_shown(PEER, 0.1, NOW);
        assert!(is_checked(&peers));
        assert_eq!(peers.known[&PEER].trust.weight(Cause::Place, NOW), 1.0, "it was right");
    }

    #[test]
    fn what_was_not_checked_in_time_is_checked_no_more() {
        let mut peers = hurt();
        peers.judge(by(9, NOW + (CHECKED_WITHIN - Duration::from_millis(1))));
        assert!(peers.known[&PEER].check.is_some());
        peers.judge(by(9, NOW + CHECKED_WITHIN));
        assert!(peers.known[&PEER].check.is_none());
    }
}
