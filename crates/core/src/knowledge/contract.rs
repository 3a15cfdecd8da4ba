//! What every technology promises: one function for each rule of [`super::Knowledge`], run on a fresh table.
//!
//! A technology runs all of them with one line in its tests, `agent_core::contract!(factory)`, where
//! `async fn factory(clock: Arc<VirtualClock>) -> Result<Table, String>` opens a fresh, empty table, or says why it cannot
//! here (a service is missing).

pub mod accounts;
pub mod asks;
pub mod data_sets;
pub mod edits;
pub mod feedback;
pub mod guards;
pub mod leaving;
pub mod records;
pub mod registration;
pub mod saga;
pub mod soundness;
pub mod unfinished;
pub mod work;

use super::{Claimed, ClosingRule, Committed, Knowledge, KnowledgeError, Registered, Snapshot};
use crate::clock::{Clock, VirtualClock};
use crate::domain::action::Action;
use crate::domain::event::Event;
use crate::domain::ids::{AgentId, DataSetName, EventId, Life, NodeId, ReplicaId};
use crate::domain::placement::{Claim, DataSet, Health, Identity, Link, Node, NodeState, Plan, Registration, Replica};
use crate::domain::saga::Lost;
use crate::domain::time::Timestamp;
use crate::domain::units::Percent;
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// When every test begins.
pub const START: Timestamp = Timestamp(1_000_000);
pub const LEASE: Duration = Duration::from_secs(60);
pub const WINDOW: Duration = Duration::from_secs(210);
/// What a move leaves behind may be removed at once.
pub const DRAIN: Duration = Duration::ZERO;
/// So long that everybody counts as alive, except where a rule is about it.
pub const SILENCE: Duration = Duration::from_secs(86_400);
/// Of an agent that has nothing to mend.
pub const CONVERGED: Health = Health { converged: true, unexpected: 0 };
pub const RULE: ClosingRule = ClosingRule { threshold: 0.3, grace: Duration::from_secs(30), silence: SILENCE };

/// A technology's table under test, its time, and what must live as long (a folder, a server).
pub struct Table {
    pub knowledge: Arc<dyn Knowledge>,
    pub clock: Arc<VirtualClock>,
    keys: AtomicU32,
    _keep: Box<dyn Any + Send + Sync>,
}

#[doc(hidden)]
#[macro_export]
macro_rules! contract {
    ($factory:path) => {
        $crate::contract! { $factory,
            registration: [
                the_network_is_added_and_edits_stay,
                a_network_that_makes_no_sense_is_rejected_whole,
                a_store_is_where_it_says_it_is,
                a_data_set_is_registered_once,
                an_agent_is_given_the_replica_at_home_or_the_first,
                an_agent_keeps_a_reference_that_is_present,
                agents_need_a_data_set_and_a_node,
                heartbeats_tell_who_is_alive,
                an_agent_belongs_to_one_life,
                a_life_that_ended_is_succeeded_at_once,
                a_life_that_is_silent_is_succeeded,
                nodes_are_added_with_their_links,
                what_is_added_is_new_and_linked_with_all,
                only_known_data_sets_have_a_snapshot,
                availability_and_latency_can_be_set,
                what_is_asked_of_an_application_stays_until_it_is_taken_back,
                what_nodes_and_links_were_is_kept,
                what_is_measured_counts_where_nothing_is_declared,
                a_node_is_known_by_one_key,
                stored_bytes_count_every_replica_of_every_data_set,
            ],
            data_sets: [
                applications_that_read_something_else_are_no_peers,
                an_agent_that_reads_something_else_from_now_on_reads_that_alone,
                an_agent_may_read_several,
                answers_are_about_one_data_set,
                who_reads_something_else_is_no_part_of_the_mean,
                a_claim_reserves_the_room_that_it_takes,
                of_claims_at_once_on_one_node_no_more_than_fit_are_granted,
                a_data_set_that_nobody_reads_is_forgotten_and_its_objects_stay,
                a_data_set_stays_as_long_as_it_is_needed,
                a_data_set_that_comes_again_begins_afresh,
            ],
            guards: [
                constraints_and_labels_are_kept,
                nodes_and_data_sets_come_with_theirs,
                what_constraints_forbid_is_not_granted,
                of_what_is_dropped_at_once_enough_stays,
                what_is_demanded_is_made_though_nobody_reads_it,
                a_node_does_not_leave_with_what_must_stay,
                while_it_is_paused_nothing_begins,
            ],
            accounts: [
                prices_are_added_and_edits_stay,
                a_network_has_one_currency,
                what_has_no_price_is_not_billed,
                reads_are_billed_once_for_each_bill,
                what_is_held_is_billed_once_however_many_bill_at_once,
                what_is_held_is_billed_where_it_lay,
                an_action_is_billed_by_its_commit_and_once,
                a_budget_bears_what_is_left_of_it,
                what_is_under_way_counts_as_spent_until_it_is_given_up,
                of_claims_at_once_a_budget_bears_no_more_than_it_can,
                what_drops_a_replica_needs_no_budget,
                a_new_day_has_a_new_budget,
            ],
            leaving: [
                a_node_leaves_with_all_that_it_holds,
                readers_of_a_leaving_node_are_given_the_nearest_replica,
                a_node_stays_as_long_as_it_is_needed,
                to_a_leaving_node_nothing_comes,
                a_node_is_removed_when_nothing_is_left,
                a_removed_node_comes_back_only_when_it_is_added,
            ],
            saga: [
                a_claim_takes_the_lease_and_makes_the_destination,
                the_same_key_is_granted_the_same,
                a_key_belongs_to_one_request,
                claims_are_lost_in_every_way,
                what_a_node_holds_already_is_joined_and_not_sent_again,
                claims_that_make_no_sense_are_rejected,
                a_lease_holds_until_its_last_millisecond,
                of_many_claims_at_once_one_is_granted,
                copies_share_their_source_with_each_other_and_a_move,
                a_lease_can_be_renewed_until_it_is_taken,
                a_move_takes_its_readers_along,
                a_copy_is_read_by_its_maker_alone,
                a_change_of_reference_concerns_its_agent_alone,
                an_eviction_gives_its_readers_the_nearest_replica,
                the_last_replica_is_never_evicted,
                a_commit_can_be_repeated,
                a_commit_needs_its_leases,
                nothing_is_recorded_as_an_event,
                copies_made_counts_what_was_not_given_up,
            ],
            work: [
                work_that_moves_takes_nothing_along,
                work_goes_only_where_its_user_lets_it,
                work_that_was_not_moved_is_where_it_was,
                of_two_that_move_the_same_work_one_is_granted,
                an_agent_that_starts_again_runs_where_it_ran_as_long_as_it_may,
                a_node_that_leaves_sends_work_home,
                readers_are_given_what_is_near_to_where_they_run,
                an_agent_that_falls_silent_takes_no_work,
            ],
            unfinished: [
                an_abort_gives_everything_back,
                an_abort_without_a_transfer_leaves_nothing,
                what_was_committed_cannot_be_aborted,
                an_abort_of_a_lost_claim_touches_nobody_elses,
                only_rows_that_are_removing_are_removed,
                its_own_claims_are_unfinished_at_once_and_others_after_their_lease,
                objects_are_removed_when_they_are_drained,
            ],
            soundness: [
                what_arrived_is_known_by_its_validators,
                what_is_not_what_it_was_is_read_no_more,
                without_an_intact_one_readers_stay,
                an_old_look_says_nothing,
                what_drains_is_taken_back_when_nothing_else_is_intact,
                a_damaged_replica_is_made_anew,
                a_person_accepts_what_was_changed,
                what_the_owner_has_written_reaches_every_replica,
                a_store_that_cannot_delete_is_no_destination,
                uploads_are_remembered_until_they_are_forgotten,
            ],
            feedback: [
                blame_falls_over_the_window,
                blame_is_left_once_on_open_events_of_others,
                blame_ends_with_the_window,
                blame_of_agents_at_once_all_counts,
                a_window_closes_once_and_moves_the_counter,
                the_mean_is_over_all_who_live_or_answered,
                others_close_after_the_grace,
                two_agents_that_close_at_once_move_the_counter_once,
                what_did_not_happen_moves_no_counter,
                a_running_event_waits_for_its_end,
                only_events_about_the_data_set_are_open_in_its_snapshot,
            ],
            asks: [
                a_question_is_posted_once_and_read_with_its_replies,
                what_an_agent_says_later_is_joined,
                of_replies_at_once_all_are_joined,
                a_closed_question_takes_no_reply,
                only_what_was_asked_lately_about_the_data_set_is_read,
                what_was_asked_more_than_a_day_ago_is_forgotten,
                questions_and_replies_that_make_no_sense_are_rejected,
                what_begins_or_gives_up_an_action_makes_a_new_generation,
                who_comes_and_what_leaves_makes_a_new_generation,
                a_plan_for_a_whole_placement_is_lost_when_another_action_began,
                a_pulse_changes_with_what_matters_and_with_nothing_else,
            ],
            records: [
                a_job_is_recorded_once,
                a_failure_is_recorded_with_its_reason,
                measurements_are_read_page_by_page,
                an_agents_latest_measurements_are_found,
                values_that_are_no_numbers_are_rejected,
                what_was_learned_replaces_what_was_known,
                events_are_read_page_by_page_and_by_key,
                records_are_selected_by_agent_data_set_and_time,
            ],
        }
    };
    ($factory:path, $($module:ident: [$($rule:ident),* $(,)?]),* $(,)?) => {
        $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() {
                match $factory($crate::knowledge::contract::clock()).await {
                    Ok(table) => $crate::knowledge::contract::$module::$rule(table).await,
                    Err(why) => println!("SKIPPED: {why}"),
                }
            }
        )*)*
    };
}
pub fn clock() -> Arc<VirtualClock> {
    Arc::new(VirtualClock::at(START))
}

pub fn data_set() -> DataSetName {
    "blood".into()
}

pub fn node(id: u32, availability: f64) -> Node {
    Node {
        id: NodeId(id),
        name: format!("node-{id}"),
        store_url: None,
        availability: Percent::new(availability).unwrap().into(),
        capacity_bytes: None,
        state: NodeState::Declared,
        heartbeat_at: None,
        labels: Default::default(),
        store: Default::default(),
        contact: Default::default(),
    }
}

pub fn link(from: u32, to: u32, latency_ms: f64) -> Link {
    Link { from: NodeId(from), to: NodeId(to), latency_ms, jitter_ms: 7.0 }
}

pub fn blood() -> DataSet {
    DataSet {
        name: data_set(),
        object_key: "blood.json".to_owned(),
        bytes: 100,
        records: 10,
        sha256: "14ba3e00".repeat(8),
        versions: Default::default(),
        guard: Default::default(),
    }
}

pub fn registration(agent: u32) -> Registration {
    Registration {
        agent: AgentId(agent),
        node: NodeId(agent),
        goal: "availability >= 95 %".to_owned(),
        policy: "reference".to_owned(),
        may_run_on: Default::default(),
    }
}

/// How every agent's first process asks to be it.
pub fn identity() -> Identity {
    lives("first")
}

/// How a process asks that knows nothing of others.
pub fn lives(life: &str) -> Identity {
    Identity { life: Life(life.to_owned()), ended: Vec::new(), silence: SILENCE }
}

/// The reason of a rejection; anything else fails.
pub fn rejected<T: std::fmt::Debug>(result: super::Result<T>) -> String {
    match result {
        Err(KnowledgeError::Rejected { reason, .. }) => reason,
        other => panic!("not rejected: {other:?}"),
    }
}

impl Table {
    pub fn new(knowledge: impl Knowledge + 'static, clock: Arc<VirtualClock>, keep: impl Any + Send + Sync) -> Self {
        Self { knowledge: Arc::new(knowledge), clock, keys: AtomicU32::new(0), _keep: Box::new(keep) }
    }

    /// Nodes 1, 2, 3 with their links and an agent on each; one replica (id 1), on node 3, that all agents read.
    pub async fn three_agents(self) -> Self {
        let nodes = [node(1, 97.0), node(2, 80.0), node(3, 85.0)];
        let pairs = [(1, 2, 1000.0), (1, 3, 1500.0), (2, 3, 1200.0)];
        let links: Vec<_> = pairs.iter().flat_map(|(a, b, ms)| [link(*a, *b, *ms), link(*b, *a, *ms)]).collect();
        self.knowledge.register_network(&nodes, &links).await.unwrap();
        assert!(
            self.knowledge.register_data_set(&blood(), NodeId(3), "blood.json", &Default::default()).await.unwrap()
        );
        for agent in 1..=3 {
            self.register(&registration(agent)).await;
        }
        self
    }

    /// For the agent's first life.
    pub async fn register(&self, registration: &Registration) {
        let registered = self.knowledge.register_agent(registration, &[data_set()], &identity()).await.unwrap();
        assert_eq!(registered, Registered::Done);
    }

    pub async fn snapshot(&self) -> Snapshot {
        self.knowledge.snapshot(&data_set()).await.unwrap().unwrap()
    }

    pub async fn replica(&self, id: i64) -> Option<Replica> {
        self.snapshot().await.placement.replicas.remove(&ReplicaId(id))
    }

    /// Where an agent reads.
    pub async fn reads(&self, agent: u32) -> Option<NodeId> {
        self.snapshot().await.placement.reference(AgentId(agent)).map(|replica| replica.node)
    }

    /// A plan made on the table as it is, with a key of its own.
    pub async fn plan(&self, agent: u32, label: &str) -> Plan {
        let placement = self.snapshot().await.placement.clone();
        let action: Action = label.parse().unwrap();
        let reference = placement.references[&AgentId(agent)];
        let subject = crate::domain::saga::subject(&placement, action);
        Plan {
            key: format!("key-{}", self.keys.fetch_add(1, Ordering::SeqCst)),
            agent: AgentId(agent),
            data_set: data_set(),
            reference,
            action,
            explored: false,
            expected: subject.map(|replica| (replica.id, replica.generation)).into_iter().collect(),
            generation: None,
            detail: "{}".to_owned(),
        }
    }

    pub async fn try_claim(&self, plan: &Plan) -> Result<Claim, Lost> {
        match self.knowledge.claim(plan, LEASE, WINDOW).await.unwrap() {
            Claimed::Granted(claim) => Ok(claim),
            Claimed::Lost(lost) => Err(lost),
        }
    }

    pub async fn claim(&self, agent: u32, label: &str) -> Claim {
        self.try_claim(&self.plan(agent, label).await).await.unwrap()
    }

    pub async fn commit(&self, event: EventId) -> Option<Replica> {
        match self.knowledge.commit(event, &Default::default(), DRAIN).await.unwrap() {
            Committed::Done { leftover } => leftover,
            Committed::Refused(refused) => panic!("{refused}"),
        }
    }

    /// All steps of an action.
    pub async fn act(&self, agent: u32, label: &str) -> EventId {
        let event = self.claim(agent, label).await.event;
        if let Some(leftover) = self.commit(event).await {
            self.knowledge.removed(leftover.id).await.unwrap();
        }
        event
    }

    pub async fn event(&self, id: EventId) -> Event {
        self.knowledge.event(id).await.unwrap().unwrap()
    }

    /// The counters' values by label.
    pub async fn counters(&self) -> BTreeMap<String, u32> {
        let counters = self.knowledge.counters(&data_set()).await.unwrap();
        counters.into_iter().map(|(action, counter)| (action.to_string(), counter.value)).collect()
    }

    pub fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
