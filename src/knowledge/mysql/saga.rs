//! Claims, commits and what they leave behind. What a step changes is `domain::saga`'s to say.

use super::catalogue::{STORED, lease_values};
use super::select::{Answer, Part, Question};
use super::tables::{
    AGENTS, CLAIMS, DATA_SETS, EVENTS, NODES, REPLICAS, Result, Tables, places, replica_columns, text,
};
use crate::knowledge::{Claimed, Committed, Unfinished, quarantine};
use agent_core::domain::action::Action;
use agent_core::domain::event::{Event, Outcome};
use agent_core::domain::ids::{AgentId, DataSetName, EventId, NodeId, ReplicaId};
use agent_core::domain::placement::{Claim, DataSet, Placement, Plan, Replica};
use agent_core::domain::saga::{self, Lost, Refused};
use agent_core::domain::validators::Validators;
use agent_core::knowledge::rules::{self, Rejection};
use mysql_async::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// Rows whose object is to be deleted, and whether another row names the same.
const REMOVING: Part = Part {
    name: "removing",
    table: quarantine::REPLICAS,
    columns: replica_columns!(
        "id",
        "data_set",
        "exists (select 1 from replicas other where other.node = replicas.node
            and other.object_key = replicas.object_key and other.state <> 'removing') as object_used"
    ),
    from: "from replicas where state = 'removing'",
};

/// What a row of `claims` is to its event.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Source,
    Destination,
    Leftover,
}

impl Role {
    const ALL: [Role; 3] = [Role::Source, Role::Destination, Role::Leftover];

    fn name(self) -> &'static str {
        match self {
            Role::Source => "source",
            Role::Destination => "destination",
            Role::Leftover => "leftover",
        }
    }
}

impl Tables {
    pub(super) async fn record_nothing(&mut self, plan: &Plan) -> Result<EventId> {
        if plan.action != Action::Nothing {
            return Err(Rejection::NotNothing(plan.action).into());
        }
        let answer = self.ask(Question::new().and_key(&plan.key).and_data_set(&plan.data_set)).await?;
        if let Some(known) = answer.event() {
            rules::check_same_request(&known, plan)?;
            return Ok(known.id);
        }
        require_data_set(&answer, &plan.data_set)?;
        let (sql, values) = insert_event(&plan.key, &rules::posted(EventId(0), plan, answer.now, None));
        self.execute_alone(sql, values).await?;
        Ok(EventId(self.last_id()))
    }

    pub(super) async fn claim(&mut self, plan: &Plan, lease: Duration, window: Duration) -> Result<Claimed> {
        let (key, name) = (&plan.key, &plan.data_set);
        self.begin().await?;
        self.lock_data_set(name).await?;
        let question = Question::new().and_key(key).and_data_set(name).and_placement(name);
        let of_key = "where event = (select id from events where idempotency_key = ?)";
        let question = question.and(&CLAIMS, of_key, [text(key)]).and_prices();
        let node = plan.action.to_node().or(plan.action.work_node());
        let question = match node {
            Some(node) => question.and(&NODES, "where id = ?", [node.0.into()]),
            None => question,
        };
        let answer = self.ask(question);
        let answer = answer.await?;
        if let Some(known) = answer.event() {
            rules::check_same_request(&known, plan)?;
            if let Some(claim) = answer.granted(&known) {
                return Ok(Claimed::Granted(claim));
            }
        }
        let (data_set, generation) = require_data_set(&answer, name)?;
        if let Some(lost) = self.no_seat(plan, &answer).await? {
            return Ok(Claimed::Lost(lost));
        }
        let destination = plan.action.to_node().map(|to| answer.require_node(to)).transpose()?;
        let (destination, now) = (destination.as_ref(), answer.now);
        if let Some(lost) = destination.and_then(|node| rules::no_destination(node, plan.action)) {
            return Ok(Claimed::Lost(lost));
        }
        if plan.generation.is_some_and(|planned| planned != generation) {
            return Ok(Claimed::Lost(Lost::Overtaken));
        }
        let mut placement = answer.placement(name);
        let changes = match saga::claim(&placement, plan, &data_set, destination, now, now + lease) {
            Ok(changes) => changes,
            Err(lost) => return Ok(Claimed::Lost(lost)),
        };
        if let Some(node) = destination
            && rules::takes_room(node, &placement, &changes)
            && let Some(lost) = self.no_room(node.id, data_set.bytes).await?
        {
            return Ok(Claimed::Lost(lost));
        }
        if placement.is_brought_by(plan.action)
            && let Some(over) = self.over_budget(&answer, plan, placement.bytes_brought(plan.action, &data_set)).await?
        {
            return Ok(Claimed::Lost(over.into()));
        }
        self.apply(name, &mut placement, &changes).await?;
        self.raise_generation(name).await?;
        let (sql, values) = insert_event(key, &rules::posted(EventId(0), plan, answer.now, Some(window)));
        self.execute(sql, values).await?;
        let claim = rules::granted(EventId(self.last_id()), plan, &placement);
        let source = std::iter::once((Role::Source, &claim.source));
        let rows: Vec<_> = source.chain(claim.destination.iter().map(|row| (Role::Destination, row))).collect();
        self.keep(claim.event, &rows).await?;
        self.commit().await?;
        Ok(Claimed::Granted(claim))
    }

    /// Why work cannot move as planned to the node in the answer. The node's row is written, as by whoever brings something there: a
    /// leaving is seen, or sees this.
    async fn no_seat(&mut self, plan: &Plan, answer: &Answer) -> Result<Option<Lost>> {
        let Action::MoveWork { agent, to } = plan.action else { return Ok(None) };
        let question = Question::new().and(&AGENTS, "where id = ?", [agent.0.into()]).and(&NODES, "", []);
        let known = self.ask(question).await?;
        let whose = known.agents(&known.nodes()).remove(&agent).map(|peer| peer.registration);
        let lost = rules::no_seat(plan, whose.as_ref(), answer.nodes().get(&to))?;
        if lost.is_none() {
            self.write_node_that_stays(to).await?;
        }
        Ok(lost)
    }

    /// Why so many bytes more cannot lie on a node. Whoever brings something of another data set there at the same time writes
    /// the node's row as well, and so is seen here or sees this.
    async fn no_room(&mut self, node: NodeId, bytes: u64) -> Result<Option<Lost>> {
        self.write_node_that_stays(node).await?;
        let this = || [node.0.into()];
        let question = Question::new().and(&NODES, "where id = ?", this()).and(&STORED, "where node = ?", this());
        let answer = self.ask(question).await?;
        let stored = answer.stored_bytes().get(&node).copied().unwrap_or(0);
        Ok(rules::no_room(&answer.require_node(node)?, stored, bytes))
    }

    pub(super) async fn renew(&mut self, id: EventId, lease: Duration) -> Result<bool> {
        self.begin().await?;
        self.lock_data_set_of(id).await?;
        let answer = self.ask(Question::new().and_event(id)).await?;
        let event = require_event(&answer, id)?;
        let Some(claim) = answer.granted(&event).filter(|_| event.outcome == Outcome::Running) else {
            return Ok(false);
        };
        let mut placement = answer.placement(&claim.data_set);
        let Some(changes) = rules::renewal(&placement, &claim, answer.now + lease) else {
            return Ok(false);
        };
        self.apply(&claim.data_set, &mut placement, &changes).await?;
        self.commit().await?;
        Ok(true)
    }

    /// Named by what it does, for `commit` ends a transaction.
    pub(super) async fn commit_claim(
        &mut self,
        id: EventId,
        arrived: &Validators,
        drain: Duration,
    ) -> Result<Committed> {
        self.begin().await?;
        self.lock_data_set_of(id).await?;
        let question = Question::new().and_event(id).and_links().and(&AGENTS, "", []).and(&NODES, "", []);
        let of_event = "where name = (select data_set from events where id = ?)";
        let answer = self.ask(question.and(&DATA_SETS, of_event, [id.0.into()]).and_prices()).await?;
        let event = require_event(&answer, id)?;
        let Some(claim) = answer.granted(&event) else {
            return Ok(match event.action {
                Action::Nothing => Committed::Done { leftover: None },
                // Somebody took its rows out of `claims`.
                _ => Committed::Refused(Refused::Gone(event.replica)),
            });
        };
        match event.outcome {
            Outcome::Running => {}
            Outcome::Done => return Ok(Committed::Done { leftover: answer.kept(&event).remove(&Role::Leftover) }),
            Outcome::Failed | Outcome::Aborted => {
                return Ok(Committed::Refused(Refused::LeaseLost(claim.source.id)));
            }
        }
        let (mut placement, links) = (answer.placement(&claim.data_set), answer.links_in_force(&answer.nodes()));
        let (seats, drained_at) = (answer.seats(), answer.now + drain);
        let guard = answer.read(&DATA_SETS, quarantine::guarded).pop().map(|(_, guard)| guard).unwrap_or_default();
        let changes = match saga::commit(&placement, &links, &seats, &guard.constraints, &claim, arrived, drained_at) {
            Ok(changes) => changes,
            Err(refused) => return Ok(Committed::Refused(refused)),
        };
        let bytes = answer.data_set().map_or(0, |(it, _)| placement.bytes_brought(claim.action, &it));
        self.bill_action(&answer, &claim, bytes).await?;
        self.apply(&claim.data_set, &mut placement, &changes).await?;
        let leftover = rules::left_behind(&changes, &placement);
        if let Some(leftover) = &leftover {
            self.keep(id, &[(Role::Leftover, leftover)]).await?;
        }
        let sql = "update events set outcome = 'done', ended_at_ms = ? where id = ?";
        self.execute(sql, vec![answer.now.0.into(), id.0.into()]).await?;
        self.commit().await?;
        Ok(Committed::Done { leftover })
    }

    pub(super) async fn abort(&mut self, id: EventId, outcome: Outcome, why: &str) -> Result<Option<Replica>> {
        rules::check_end(outcome)?;
        self.begin().await?;
        self.lock_data_set_of(id).await?;
        let answer = self.ask(Question::new().and_event(id)).await?;
        let event = require_event(&answer, id)?;
        let Some(claim) = answer.granted(&event).filter(|_| event.outcome != Outcome::Done) else {
            return Ok(None);
        };
        let mut placement = answer.placement(&claim.data_set);
        if event.outcome == Outcome::Running {
            let changes = saga::abort(&placement, &claim);
            self.apply(&claim.data_set, &mut placement, &changes).await?;
            self.raise_generation(&claim.data_set).await?;
            let detail = rules::with_failure(&event.detail, why);
            let sql = "update events set outcome = ?, ended_at_ms = ?, detail = ? where id = ?";
            let values = vec![outcome.name().into(), answer.now.0.into(), text(&detail), id.0.into()];
            self.execute(sql, values).await?;
            self.commit().await?;
        }
        Ok(rules::undone(&placement, &claim))
    }

    pub(super) async fn removed(&mut self, id: ReplicaId) -> Result<()> {
        let sql = "delete from replicas where id = ? and state = 'removing'";
        if self.execute_alone(sql, vec![id.0.into()]).await? > 0 {
            return Ok(());
        }
        match self.replica(id).await? {
            Some(row) => Ok(rules::check_removing(&row)?),
            None => Ok(()),
        }
    }

    pub(super) async fn unfinished(&mut self, own: Option<AgentId>) -> Result<Unfinished> {
        let question = Question::new().and_running().and(&REPLICAS, "", []).and(&REMOVING, "", []);
        let answer = self.ask(question).await?;
        // Of all data sets: ids are never the same.
        let placement = Placement { replicas: answer.replicas(), ..Placement::default() };
        let mut claims = answer.running_claims();
        claims.retain(|claim| rules::is_unfinished(claim, &placement, own, answer.now));
        let mut removing = answer.read(&REMOVING, quarantine::replica_to_remove);
        removing.retain(|row| rules::is_to_remove(row, answer.now));
        removing.sort_by_key(|row| row.id);
        Ok(Unfinished { claims, removing })
    }

    async fn lock_data_set_of(&mut self, event: EventId) -> Result<()> {
        let sql = "update data_sets set revision = revision + 1
            where name = (select data_set from events where id = ?)";
        self.execute(sql, vec![event.0.into()]).await?;
        Ok(())
    }

    async fn keep(&mut self, event: EventId, rows: &[(Role, &Replica)]) -> Result<()> {
        let values = |(role, row): &(Role, &Replica)| -> [Value; 9] {
            let [holder, until] = lease_values(row.lease);
            [
                event.0.into(),
                role.name().into(),
                row.id.0.into(),
                row.node.0.into(),
                text(&row.object_key),
                row.state.name().into(),
                row.generation.into(),
                holder,
                until,
            ]
        };
        let sql = format!(
            "insert into claims
            (event, role, replica, node, object_key, state, generation, lease_holder, lease_until) values {}",
            places(rows.len(), 9)
        );
        self.execute(&sql, rows.iter().flat_map(values).collect()).await?;
        Ok(())
    }
}

impl Question {
    /// All events that are running, and what they were granted.
    pub(super) fn and_running(self) -> Self {
        const RUNNING: &str = "where event in (select id from events where outcome = 'running')";
        self.and(&EVENTS, "where outcome = 'running'", []).and(&CLAIMS, RUNNING, [])
    }
}

impl Answer {
    pub(super) fn running_claims(&self) -> Vec<Claim> {
        self.events().iter().filter_map(|event| self.granted(event)).collect()
    }

    /// The rows of `claims` that belong to an event.
    fn kept(&self, event: &Event) -> BTreeMap<Role, Replica> {
        let rows = self.read(&CLAIMS, |row| {
            let role = row.one_of("role", Role::ALL, Role::name)?;
            Ok((row.integer("event")?, role, quarantine::claimed(row, &event.data_set)?))
        });
        rows.into_iter().filter(|(of, _, _)| *of == event.id.0).map(|(_, role, row)| (role, row)).collect()
    }

    /// What an event's claim was granted; `None` for a decision to do nothing.
    fn granted(&self, event: &Event) -> Option<Claim> {
        let mut kept = self.kept(event);
        let (source, destination) = (kept.remove(&Role::Source)?, kept.remove(&Role::Destination));
        let Event { id, agent, action, .. } = *event;
        Some(Claim { event: id, agent, data_set: event.data_set.clone(), action, source, destination })
    }
}

/// And the generation of its planned placement.
fn require_data_set(answer: &Answer, name: &DataSetName) -> Result<(DataSet, i64)> {
    answer.data_set().ok_or_else(|| Rejection::UnknownDataSet(name.clone()).into())
}

fn require_event(answer: &Answer, id: EventId) -> Result<Event> {
    answer.event().ok_or_else(|| Rejection::UnknownEvent(id).into())
}

fn insert_event(key: &str, event: &Event) -> (&'static str, Vec<Value>) {
    let sql = "insert into events (idempotency_key, agent, data_set, replica, action, action_type, from_node, to_node,
        explored, posted_at_ms, closes_at_ms, state, outcome, feedback_sum, detail)
        values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let values = vec![
        text(key),
        event.agent.0.into(),
        text(&event.data_set.0),
        event.replica.0.into(),
        text(&event.action.to_string()),
        event.action.kind().name().into(),
        event.action.from_node().map(|node| node.0).into(),
        event.action.to_node().map(|node| node.0).into(),
        event.explored.into(),
        event.posted_at.0.into(),
        event.closes_at.0.into(),
        event.window.name().into(),
        event.outcome.name().into(),
        event.feedback_sum.into(),
        text(&event.detail),
    ];
    (sql, values)
}
