//! Claims, commits and what they leave behind, within one transaction. What a step changes is `domain::saga`'s to say.

use super::Tables;
use super::connect::Failure;
use super::rows;
use crate::knowledge::{Claimed, Committed, Unfinished};
use agent_core::domain::action::Action;
use agent_core::domain::event::{Event, Outcome};
use agent_core::domain::ids::{AgentId, DataSetName, EventId, ReplicaId};
use agent_core::domain::placement::{Claim, Node, Placement, Plan, Replica};
use agent_core::domain::saga::{self, Change, Lost, Refused};
use agent_core::domain::validators::Validators;
use agent_core::knowledge::quarantine::{self, CLAIMS, Fields, REPLICAS};
use agent_core::knowledge::rules::{self, Rejection};
use rusqlite::params;
use std::time::Duration;

type Result<T> = std::result::Result<T, Failure>;

/// What a row of `claims` is to its event.
#[derive(Clone, Copy)]
enum Role {
    Source,
    Destination,
    Leftover,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Role::Source => "source",
            Role::Destination => "destination",
            Role::Leftover => "leftover",
        }
    }
}

impl Tables<'_> {
    pub(super) fn record_nothing(&mut self, plan: &Plan) -> Result<EventId> {
        if plan.action != Action::Nothing {
            return Err(Rejection::NotNothing(plan.action).into());
        }
        if let Some(known) = self.event_by_key(&plan.key)? {
            rules::check_same_request(&known, plan)?;
            return Ok(known.id);
        }
        self.require_data_set(&plan.data_set)?;
        self.post(&plan.key, &rules::posted(EventId(0), plan, self.now, None))
    }

    pub(super) fn claim(&mut self, plan: &Plan, lease: Duration, window: Duration) -> Result<Claimed> {
        if let Some(known) = self.event_by_key(&plan.key)? {
            rules::check_same_request(&known, plan)?;
            if let Some(claim) = self.granted(&known)? {
                return Ok(Claimed::Granted(claim));
            }
        }
        let (data_set, generation) = self.require_data_set(&plan.data_set)?;
        if let Action::MoveWork { agent, to } = plan.action {
            let (whose, nodes) = (self.registration(agent)?, self.nodes()?);
            if let Some(lost) = rules::no_seat(plan, whose.as_ref(), nodes.get(&to))? {
                return Ok(Claimed::Lost(lost));
            }
        }
        let destination = plan.action.to_node().map(|to| self.require_node(to)).transpose()?;
        let (destination, now) = (destination.as_ref(), self.now);
        if let Some(lost) = destination.and_then(|node| rules::no_destination(node, plan.action)) {
            return Ok(Claimed::Lost(lost));
        }
        if plan.generation.is_some_and(|planned| planned != generation) {
            return Ok(Claimed::Lost(Lost::Overtaken));
        }
        let mut placement = self.placement(&plan.data_set)?;
        let changes = match saga::claim(&placement, plan, &data_set, destination, now, now + lease) {
            Ok(changes) => changes,
            Err(lost) => return Ok(Claimed::Lost(lost)),
        };
        if let Some(node) = destination
            && let Some(lost) = self.no_room(node, &placement, &changes, data_set.bytes)?
        {
            return Ok(Claimed::Lost(lost));
        }
        if placement.is_brought_by(plan.action)
            && let Some(over) = self.over_budget(plan, placement.bytes_brought(plan.action, &data_set))?
        {
            return Ok(Claimed::Lost(over.into()));
        }
        self.apply(&plan.data_set, &mut placement, &changes)?;
        self.raise_generation(&plan.data_set)?;
        let event = self.post(&plan.key, &rules::posted(EventId(0), plan, self.now, Some(window)))?;
        let claim = rules::granted(event, plan, &placement);
        self.keep(event, Role::Source, &claim.source)?;
        if let Some(destination) = &claim.destination {
            self.keep(event, Role::Destination, destination)?;
        }
        Ok(Claimed::Granted(claim))
    }

    /// Why a claim's changes bring too much to a node.
    fn no_room(&mut self, node: &Node, placement: &Placement, changes: &[Change], bytes: u64) -> Result<Option<Lost>> {
        if !rules::takes_room(node, placement, changes) {
            return Ok(None);
        }
        let stored = self.stored_bytes()?.get(&node.id).copied().unwrap_or(0);
        Ok(rules::no_room(node, stored, bytes))
    }

    pub(super) fn renew(&mut self, id: EventId, lease: Duration) -> Result<bool> {
        let event = self.require_event(id)?;
        let Some(claim) = self.granted(&event)?.filter(|_| event.outcome == Outcome::Running) else {
            return Ok(false);
        };
        let mut placement = self.placement(&claim.data_set)?;
        let Some(changes) = rules::renewal(&placement, &claim, self.now + lease) else {
            return Ok(false);
        };
        self.apply(&claim.data_set, &mut placement, &changes)?;
        Ok(true)
    }

    pub(super) fn commit(&mut self, id: EventId, arrived: &Validators, drain: Duration) -> Result<Committed> {
        let event = self.require_event(id)?;
        let Some(claim) = self.granted(&event)? else {
            return Ok(match event.action {
                Action::Nothing => Committed::Done { leftover: None },
                // Somebody took its rows out of `claims`.
                _ => Committed::Refused(Refused::Gone(event.replica)),
            });
        };
        match event.outcome {
            Outcome::Running => {}
            Outcome::Done => {
                return Ok(Committed::Done { leftover: self.kept(id, Role::Leftover, &event.data_set)? });
            }
            Outcome::Failed | Outcome::Aborted => {
                return Ok(Committed::Refused(Refused::LeaseLost(claim.source.id)));
            }
        }
        let mut placement = self.placement(&claim.data_set)?;
        let (links, seats) = (self.all_links_in_force()?, self.seats()?);
        let (constraints, bytes) = match self.data_set(&claim.data_set)? {
            Some((data_set, _)) => {
                let bytes = placement.bytes_brought(claim.action, &data_set);
                (data_set.guard.constraints, bytes)
            }
            None => (self.guard(&claim.data_set)?.constraints, 0),
        };
        let changes = match saga::commit(&placement, &links, &seats, &constraints, &claim, arrived, self.now + drain) {
            Ok(changes) => changes,
            Err(refused) => return Ok(Committed::Refused(refused)),
        };
        self.bill_action(&claim, bytes)?;
        self.apply(&claim.data_set, &mut placement, &changes)?;
        let leftover = rules::left_behind(&changes, &placement);
        if let Some(leftover) = &leftover {
            self.keep(id, Role::Leftover, leftover)?;
        }
        self.execute("update events set outcome = 'done', ended_at_ms = ? where id = ?", [self.now.0, id.0])?;
        Ok(Committed::Done { leftover })
    }

    pub(super) fn abort(&mut self, id: EventId, outcome: Outcome, why: &str) -> Result<Option<Replica>> {
        rules::check_end(outcome)?;
        let event = self.require_event(id)?;
        let Some(claim) = self.granted(&event)?.filter(|_| event.outcome != Outcome::Done) else {
            return Ok(None);
        };
        let mut placement = self.placement(&claim.data_set)?;
        if event.outcome == Outcome::Running {
            let changes = saga::abort(&placement, &claim);
            self.apply(&claim.data_set, &mut placement, &changes)?;
            self.raise_generation(&claim.data_set)?;
            let detail = rules::with_failure(&event.detail, why);
            let sql = "update events set outcome = ?, ended_at_ms = ?, detail = ? where id = ?";
            self.execute(sql, params![outcome.name(), self.now.0, detail, id.0])?;
        }
        Ok(rules::undone(&placement, &claim))
    }

    pub(super) fn removed(&mut self, replica: ReplicaId) -> Result<()> {
        let Some(row) = self.replica(replica)? else { return Ok(()) };
        rules::check_removing(&row)?;
        self.execute("delete from replicas where id = ?", [replica.0])?;
        Ok(())
    }

    /// A replica, whatever its node.
    pub(super) fn replica(&mut self, id: ReplicaId) -> Result<Option<Replica>> {
        let sql =
            "select id, data_set, node, object_key, state, generation, lease_holder, lease_until, object_bytes, etag,
            modified_at_ms, remark, former from replicas where id = ?";
        let found = rows::read(self.transaction, self.quarantine, REPLICAS, sql, [id.0], quarantine::any_replica)?;
        Ok(found.into_iter().next())
    }

    pub(super) fn unfinished(&mut self, own: Option<AgentId>) -> Result<Unfinished> {
        let mut unfinished = Unfinished::default();
        for event in self.running_events()? {
            let placement = self.placement(&event.data_set)?;
            let claim = self.granted(&event)?;
            unfinished.claims.extend(claim.filter(|claim| rules::is_unfinished(claim, &placement, own, self.now)));
        }
        let sql =
            "select id, data_set, node, object_key, state, generation, lease_holder, lease_until, object_bytes, etag,
            modified_at_ms, remark, former, exists (select 1 from replicas other where other.node = replicas.node
                and other.object_key = replicas.object_key and other.state <> 'removing') as object_used
            from replicas where state = 'removing' order by id";
        let found = quarantine::replica_to_remove;
        let removing = rows::read(self.transaction, self.quarantine, REPLICAS, sql, [], found)?;
        unfinished.removing = removing.into_iter().filter(|row| rules::is_to_remove(row, self.now)).collect();
        Ok(unfinished)
    }

    fn post(&self, key: &str, event: &Event) -> Result<EventId> {
        let sql =
            "insert into events (idempotency_key, agent, data_set, replica, action, action_type, from_node, to_node,
            explored, posted_at_ms, closes_at_ms, state, outcome, feedback_sum, detail)
            values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let values = params![
            key,
            event.agent.0,
            event.data_set.0,
            event.replica.0,
            event.action.to_string(),
            event.action.kind().name(),
            event.action.from_node().map(|node| node.0),
            event.action.to_node().map(|node| node.0),
            event.explored,
            event.posted_at.0,
            event.closes_at.0,
            event.window.name(),
            event.outcome.name(),
            event.feedback_sum,
            event.detail
        ];
        self.execute(sql, values)?;
        Ok(EventId(self.transaction.last_insert_rowid()))
    }

    /// What an event's claim was granted; `None` for a decision to do nothing.
    pub(super) fn granted(&mut self, event: &Event) -> Result<Option<Claim>> {
        let Some(source) = self.kept(event.id, Role::Source, &event.data_set)? else {
            return Ok(None);
        };
        let destination = self.kept(event.id, Role::Destination, &event.data_set)?;
        let Event { id, agent, action, .. } = *event;
        Ok(Some(Claim { event: id, agent, data_set: event.data_set.clone(), action, source, destination }))
    }

    fn kept(&mut self, event: EventId, role: Role, data_set: &DataSetName) -> Result<Option<Replica>> {
        let sql = "select event, role, replica, node, object_key, state, generation, lease_holder, lease_until
            from claims where event = ? and role = ?";
        let values = params![event.0, role.name()];
        let claimed = |row: &mut Fields<'_>| quarantine::claimed(row, data_set);
        let found = rows::read(self.transaction, self.quarantine, CLAIMS, sql, values, claimed)?;
        Ok(found.into_iter().next())
    }

    fn keep(&self, event: EventId, role: Role, row: &Replica) -> Result<()> {
        let sql =
            "insert into claims (event, role, replica, node, object_key, state, generation, lease_holder, lease_until)
            values (?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let values = params![
            event.0,
            role.name(),
            row.id.0,
            row.node.0,
            row.object_key,
            row.state.name(),
            row.generation,
            row.lease.map(|lease| lease.holder.0),
            row.lease.map(|lease| lease.until.0)
        ];
        self.execute(sql, values)?;
        Ok(())
    }
}
