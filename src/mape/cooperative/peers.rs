//! What an agent knows of the others: what they said last, whether it came true, and how much their word counts for that.

use super::said::{Said, State};
use super::trust::{Budget, Cause, NOTABLE, Trust};
use super::{Answer, Planned, Reader};
use crate::domain::ask::{Ask, Reply};
use crate::domain::ids::{AgentId, AskId, NodeId};
use crate::domain::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// A forecast that nobody could check for so long is not checked any more.
const CHECKED_WITHIN: Duration = Duration::from_secs(600);

#[derive(Debug, Default)]
pub struct Peers {
    known: BTreeMap<AgentId, Peer>,
    /// How much of each question has been read.
    read: BTreeMap<AskId, Read>,
}

#[derive(Debug, Default)]
struct Read {
    /// Of the asker its level, and of each reply so many nodes.
    by: BTreeMap<AgentId, usize>,
    /// It was closed then, and so nothing can follow.
    is_over: bool,
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
    /// Reads what was said since the last time, about the planned placement as it is.
    pub fn listen(&mut self, me: AgentId, conversation: &[Arc<Ask>], planned: &Planned, now: Timestamp) {
        let mut read = BTreeMap::new();
        for ask in conversation {
            let mut so_far = self.read.remove(&ask.id).unwrap_or_default();
            if so_far.is_over {
                read.insert(ask.id, so_far);
                continue;
            }
            so_far.is_over = ask.closed;
            if ask.agent != me && so_far.by.insert(ask.agent, 0).is_none() {
                self.level_shown(ask.agent, ask.level, ask.posted_at, planned);
            }
            for (agent, reply) in ask.replies.iter().filter(|(agent, _)| **agent != me) {
                if so_far.by.insert(*agent, reply.nodes.len()) == Some(reply.nodes.len()) {
                    continue;
                }
                self.level_shown(*agent, reply.level, ask.posted_at, planned);
                let state = planned.reads.get(agent).filter(|_| ask.generation == planned.generation);
                if let Some(node) = state {
                    let from = (*node, planned.replicas());
                    self.peer(*agent, now).hear(from, reply);
                }
            }
            read.insert(ask.id, so_far);
        }
        self.read = read;
    }

    /// The planned placement has become another one. `acted`: who changed it.
    pub fn executed(&mut self, before: &Planned, after: &Planned, acted: &BTreeSet<AgentId>, now: Timestamp) {
        for (agent, peer) in &mut self.known {
            peer.check = peer.check.filter(|check| now.since(check.since) < CHECKED_WITHIN);
            if acted.contains(agent) {
                peer.budget = Budget::full(now);
                peer.check = None;
                continue;
            }
            let state = |planned: &Planned| planned.reads.get(agent).map(|node| (*node, planned.replicas()));
            let (Some(from), Some(to)) = (state(before), state(after)) else { continue };
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
    pub fn reader(&self, agent: AgentId, reads: NodeId, replicas: u32, ask: &Ask, now: Timestamp) -> Reader {
        let known = self.known.get(&agent);
        let trust = known.map_or_else(Trust::default, |peer| peer.trust);
        Reader {
            agent,
            reads,
            answer: self.answer(agent, (reads, replicas), ask),
            count_weight: trust.weight(Cause::Count, now),
            place_weight: trust.weight(Cause::Place, now),
            budget: known.map_or(1.0, |peer| peer.budget.left(now)),
        }
    }

    /// Whether something was missed of what these agents said: they are to say it again.
    pub fn have_missed(&self, agents: impl Iterator<Item = AgentId>) -> bool {
        agents.into_iter().any(|agent| self.known.get(&agent).is_some_and(|peer| peer.was_missed))
    }

    /// What it says, now or earlier, seen from where it stands; else silence.
    fn answer(&self, agent: AgentId, state: State, ask: &Ask) -> Answer {
        let Some(peer) = self.known.get(&agent).filter(|peer| !peer.was_missed) else { return Answer::Silent };
        let Some(known) = peer.said.seen_from(state) else { return Answer::Silent };
        // What it never spoke about may be as bad as anything.
        let nodes = ask.all_nodes();
        let unknown = nodes.difference(peer.said.nodes()).map(|node| ((*node, None), -1.0));
        Answer::Said(known.into_iter().chain(unknown).collect())
    }

    fn level_shown(&mut self, agent: AgentId, level: f64, posted_at: Timestamp, planned: &Planned) {
        let Some(peer) = self.known.get_mut(&agent) else { return };
        let state = planned.reads.get(&agent).map(|node| (*node, planned.replicas()));
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
