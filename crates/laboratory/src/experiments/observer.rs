//! What is seen of a run while it goes on: its course at equal distances of time, every change of its placement, and what only the
//! order of things tells.

use crate::results::Sample;
use agent_core::domain::action::{Action, Labelled};
use agent_core::domain::ids::{AgentId, DataSetName, NodeId, ReplicaId};
use agent_core::domain::oscillation::{Layout, RecentLayouts};
use agent_core::domain::placement::{Placement, ReplicaState};
use agent_core::domain::snapshot::Snapshot;
use agent_core::domain::time::Timestamp;
use agent_core::mape::notice::Notice;
use agent_core::sim::Told;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Samples of a run's course; the last one is its end.
pub const SAMPLES: u32 = 120;

/// Nodes and references in all the placements that are kept of a run, together (I-7): four thousand changes among three agents, fifty
/// among a thousand. Who wants to see more makes the run again with a trace.
const KEPT: usize = 50_000;

/// A placement that came about.
#[derive(Clone, PartialEq, Debug)]
pub struct Placed {
    pub at_s: f64,
    /// When the bytes set out whose arrival it is, where they took time.
    pub began_s: Option<f64>,
    /// Who changed it, and by what; nobody at the start, and when somebody joins.
    pub by: Option<(AgentId, Labelled)>,
    pub layout: Layout,
}

/// What was seen.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Observed {
    pub samples: Vec<Sample>,
    /// The first ones; `changes` counts all.
    pub placements: Vec<Placed>,
    pub changes: u64,
    pub first_violation: Option<Timestamp>,
    pub oscillations: u64,
    /// Bytes that arrived where there were none.
    pub bytes_moved: u64,
    /// Mean over time.
    pub replicas_mean: f64,
    pub decisions: u64,
}

/// Listens to a run.
pub struct Observer {
    lasts: Duration,
    seen: Observed,
    violated: u64,
    jobs: u64,
    failed: u64,
    /// What was last seen of each data set.
    data_sets: BTreeMap<DataSetName, DataSetSeen>,
    /// Where anything lies, and what everybody reads.
    layout: Layout,
    /// Since when the number of replicas is what it is, and replicas times milliseconds before that.
    counted_to: Timestamp,
    replica_ms: f64,
    kept: usize,
    /// What was just done; whether it changed anything is told next.
    acted: Option<(AgentId, Action)>,
}

#[derive(Default)]
struct DataSetSeen {
    /// As the table has them, to see cheaply whether they changed.
    references: BTreeMap<AgentId, ReplicaId>,
    layout: Layout,
    recent: RecentLayouts,
    /// Nodes that bytes are on their way to, and since when.
    coming: BTreeMap<NodeId, Timestamp>,
}

impl Observer {
    pub fn new(lasts: Duration) -> Self {
        Self {
            lasts,
            seen: Observed::default(),
            violated: 0,
            jobs: 0,
            failed: 0,
            data_sets: BTreeMap::new(),
            layout: Layout::default(),
            counted_to: Timestamp::default(),
            replica_ms: 0.0,
            kept: 0,
            acted: None,
        }
    }

    pub fn hear(&mut self, at: Timestamp, told: &Told) {
        self.sample_before(at);
        match told {
            Told::Notice(Notice::Job { satisfied, .. }) => {
                self.jobs += 1;
                if !satisfied {
                    self.violated += 1;
                    self.seen.first_violation.get_or_insert(at);
                }
            }
            Told::Notice(Notice::JobFailed { .. }) => self.failed += 1,
            Told::Notice(Notice::Decided { .. }) => self.seen.decisions += 1,
            Told::Notice(Notice::Acted { agent, action, .. }) => self.acted = Some((*agent, *action)),
            Told::Placed(snapshot) => {
                let by = self.acted.take();
                self.place(at, by, snapshot);
            }
            Told::Notice(
                Notice::Started { .. }
                | Notice::Pursues { .. }
                | Notice::Serves { .. }
                | Notice::Stopped { .. }
                | Notice::Adapted { .. }
                | Notice::UnderWay { .. }
                | Notice::Said { .. }
                | Notice::FeedbackLeft { .. }
                | Notice::Closed { .. }
                | Notice::Peer { .. }
                | Notice::Written { .. }
                | Notice::Recovered { .. }
                | Notice::Trouble { .. },
            )
            | Told::World(_) => {}
        }
    }

    /// The run has ended.
    pub fn finish(mut self) -> Observed {
        let end = Timestamp::default() + self.lasts;
        // The last sample counts what happened at the end.
        self.sample_before(Timestamp(end.0 + 1));
        self.count_replicas(end);
        self.seen.replicas_mean = self.replica_ms / (self.lasts.as_secs_f64() * 1e3);
        self.seen
    }

    /// Samples that are due before `at`, as it is since then.
    fn sample_before(&mut self, at: Timestamp) {
        while let Some(due) = self.next_sample().filter(|due| *due < at) {
            self.seen.samples.push(Sample {
                at_s: seconds(due),
                violated: self.violated,
                jobs: self.jobs,
                failed: self.failed,
                replicas: self.replicas() as u64,
            });
        }
    }

    fn next_sample(&self) -> Option<Timestamp> {
        let next = u32::try_from(self.seen.samples.len()).ok()? + 1;
        (next <= SAMPLES).then(|| Timestamp::default() + self.lasts * next / SAMPLES)
    }

    fn place(&mut self, at: Timestamp, by: Option<(AgentId, Action)>, snapshot: &Snapshot) {
        let (name, placement) = (&snapshot.data_set.name, &snapshot.placement);
        let known = self.data_sets.entry(name.clone()).or_default();
        let began = by.and_then(|(_, action)| known.coming.get(&action.to_node()?).copied());
        known.hear_of_transfers(at, placement);
        let replicas = placement.nodes();
        // Most of what is told changes neither: a lease, a row of bytes to come.
        if replicas == known.layout.replicas && placement.references == known.references {
            return;
        }
        self.count_replicas(at);
        let Some(known) = self.data_sets.get_mut(name) else { return };
        known.references.clone_from(&placement.references);
        let node = |agent: &AgentId| Some((*agent, placement.reference(*agent)?.node));
        let references = placement.references.keys().filter_map(node).collect();
        let before = std::mem::replace(&mut known.layout, Layout { replicas, references });
        let has_arrived = by.is_some_and(|(_, action)| has_arrived(action, &before, &known.layout));
        let returns = known.recent.returns(at, by.map(|(agent, _)| agent), before, &known.layout);
        if has_arrived {
            self.seen.bytes_moved = self.seen.bytes_moved.saturating_add(snapshot.data_set.bytes);
        }
        self.seen.oscillations += u64::from(returns);
        let layouts = self.data_sets.values().map(|known| &known.layout);
        self.layout = Layout {
            replicas: layouts.clone().flat_map(|layout| layout.replicas.iter().copied()).collect(),
            references: layouts
                .flat_map(|layout| layout.references.iter().map(|(agent, node)| (*agent, *node)))
                .collect(),
        };
        let is_one_of_several = self.data_sets.len() > 1;
        let by =
            by.map(|(agent, action)| (agent, Labelled { data_set: is_one_of_several.then(|| name.clone()), action }));
        self.keep(at, began, by);
    }

    /// Of all data sets.
    fn replicas(&self) -> usize {
        self.data_sets.values().map(|known| known.layout.replicas.len()).sum()
    }

    fn keep(&mut self, at: Timestamp, began: Option<Timestamp>, by: Option<(AgentId, Labelled)>) {
        let placed = Placed { at_s: seconds(at), began_s: began.map(seconds), by, layout: self.layout.clone() };
        // Agents that start together are one change.
        if let Some(last) = self.seen.placements.last_mut()
            && (last.at_s, &last.by) == (placed.at_s, &None)
            && placed.by.is_none()
        {
            *last = placed;
            return;
        }
        self.seen.changes += 1;
        self.kept += placed.layout.replicas.len() + placed.layout.references.len();
        if self.kept <= KEPT {
            self.seen.placements.push(placed);
        }
    }

    fn count_replicas(&mut self, to: Timestamp) {
        self.replica_ms += self.replicas() as f64 * to.since(self.counted_to).as_secs_f64() * 1e3;
        self.counted_to = to;
    }
}

impl DataSetSeen {
    fn hear_of_transfers(&mut self, at: Timestamp, placement: &Placement) {
        let rows = placement.replicas.values().filter(|row| row.state == ReplicaState::Copying);
        let coming: BTreeSet<NodeId> = rows.map(|row| row.node).collect();
        self.coming.retain(|node, _| coming.contains(node));
        coming.into_iter().for_each(|node| _ = self.coming.entry(node).or_insert(at));
    }
}

/// Whether an action's bytes are where there were none before.
fn has_arrived(action: Action, before: &Layout, after: &Layout) -> bool {
    let arrives = action.to_node().filter(|_| action.transfers());
    arrives.is_some_and(|to| !before.replicas.contains(&to) && after.replicas.contains(&to))
}

fn seconds(at: Timestamp) -> f64 {
    at.0 as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_core::domain::failure::{FailureKind, JobFailure};
    use agent_core::domain::measurement::Measurement;
    use agent_core::domain::metric::Metrics;
    use agent_core::mape::scene;

    fn observer(lasts_s: u64) -> Observer {
        Observer::new(Duration::from_secs(lasts_s))
    }

    fn at(seconds: f64) -> Timestamp {
        Timestamp((seconds * 1e3) as i64)
    }

    fn job(satisfied: bool) -> Told {
        let measurement = Measurement {
            agent: AgentId(1),
            data_set: "blood".into(),
            replica: ReplicaId(1),
            node: NodeId(1),
            at: Timestamp(0),
            metrics: Metrics::default(),
            ran_at: None,
            emulated_latency_ms: None,
            traffic: None,
            parts: Vec::new(),
            job: String::new(),
            failure: None,
            result: None,
        };
        Told::Notice(Notice::Job { measurement, satisfied, violated: Vec::new() })
    }

    fn failed() -> Told {
        let failure = JobFailure::new(FailureKind::Store, "away");
        Told::Notice(Notice::JobFailed { agent: AgentId(1), node: NodeId(1), failure })
    }

    /// Replicas on these nodes, with ids 1, 2, ...; agent N reads the given id.
    fn placed(nodes: &[u32], reads: &[(u32, i64)]) -> Told {
        Told::Placed(scene::snapshot(nodes, reads))
    }

    fn acted(agent: u32, action: &str) -> Told {
        let action = action.parse().unwrap();
        Told::Notice(Notice::Acted { agent: AgentId(agent), action, event: None, how: String::new() })
    }

    #[test]
    fn a_sample_counts_what_happened_up_to_its_time() {
        let mut observer = observer(1200);
        observer.hear(at(0.0), &placed(&[3], &[(1, 1)]));
        observer.hear(at(10.0), &job(false));
        observer.hear(at(35.0), &job(true));
        observer.hear(at(36.0), &failed());
        observer.hear(at(1200.0), &job(false));
        let seen = observer.finish();
        assert_eq!(seen.samples.len(), 120);
        let sample = |n: usize| {
            let Sample { at_s, violated, jobs, failed, replicas } = seen.samples[n - 1];
            (at_s, violated, jobs, failed, replicas)
        };
        assert_eq!([sample(1), sample(3), sample(4)], [(10.0, 1, 1, 0, 1), (30.0, 1, 1, 0, 1), (40.0, 1, 2, 1, 1)]);
        assert_eq!(sample(120), (1200.0, 2, 3, 1, 1));
        assert_eq!(seen.first_violation, Some(at(10.0)));
    }

    #[test]
    fn replicas_are_averaged_over_time() {
        let mut observer = observer(100);
        observer.hear(at(0.0), &placed(&[3], &[(1, 1)]));
        observer.hear(at(25.0), &placed(&[3, 1], &[(1, 2)]));
        observer.hear(at(75.0), &placed(&[3], &[(1, 1)]));
        assert_eq!(observer.finish().replicas_mean, 1.5);
    }

    #[test]
    fn placements_are_kept_with_who_changed_them_and_agents_that_start_together_are_one_change() {
        let mut observer = observer(100);
        observer.hear(at(0.0), &placed(&[3], &[(1, 1)]));
        observer.hear(at(0.0), &placed(&[3], &[(1, 1), (2, 1)]));
        // Claimed: nothing is different yet.
        observer.hear(at(5.0), &placed(&[3], &[(1, 1), (2, 1)]));
        observer.hear(at(6.0), &acted(2, "C3_1"));
        observer.hear(at(6.0), &placed(&[3, 1], &[(1, 1), (2, 2)]));
        // Refused: what is told next has no agent.
        observer.hear(at(7.0), &acted(1, "E3"));
        observer.hear(at(7.0), &placed(&[3, 1], &[(1, 1), (2, 2)]));
        observer.hear(at(8.0), &placed(&[3, 1], &[(1, 1), (2, 2), (4, 2)]));
        let seen = observer.finish();
        let told = seen.placements.iter().map(|placed| {
            let by = placed.by.as_ref().map(|(agent, action)| format!("{agent} {action}"));
            let references = placed.layout.references.iter().map(|(agent, node)| (agent.0, node.0)).collect::<Vec<_>>();
            (placed.at_s, by, placed.layout.replicas.len(), references)
        });
        let expected = [
            (0.0, None, 1, vec![(1, 3), (2, 3)]),
            (6.0, Some("2 C3_1".to_owned()), 2, vec![(1, 3), (2, 1)]),
            (8.0, None, 2, vec![(1, 3), (2, 1), (4, 1)]),
        ];
        assert_eq!(told.collect::<Vec<_>>(), expected);
        assert_eq!((seen.changes, seen.bytes_moved), (3, 10));
    }

    #[test]
    fn bytes_that_arrive_set_out_when_they_were_claimed() {
        let mut observer = observer(100);
        // To the last of these nodes.
        let on_their_way = |nodes: &[u32], reads: i64| {
            let mut snapshot = scene::snapshot(nodes, &[(1, reads)]);
            snapshot.placement.replicas.values_mut().last().unwrap().state = ReplicaState::Copying;
            Told::Placed(snapshot)
        };
        observer.hear(at(0.0), &placed(&[3], &[(1, 1)]));
        observer.hear(at(5.0), &on_their_way(&[3, 1], 1));
        // Its lease is renewed.
        observer.hear(at(20.0), &on_their_way(&[3, 1], 1));
        observer.hear(at(35.0), &acted(1, "C3_1"));
        observer.hear(at(35.0), &placed(&[3, 1], &[(1, 2)]));
        // This one breaks off.
        observer.hear(at(40.0), &on_their_way(&[3, 1, 2], 2));
        observer.hear(at(50.0), &placed(&[3, 1], &[(1, 2)]));
        observer.hear(at(60.0), &acted(1, "CR3"));
        observer.hear(at(60.0), &placed(&[3, 1], &[(1, 1)]));
        let began: Vec<(f64, Option<f64>)> =
            observer.finish().placements.iter().map(|placed| (placed.at_s, placed.began_s)).collect();
        assert_eq!(began, [(0.0, None), (35.0, Some(5.0)), (60.0, None)]);
    }

    /// Agent 1 moves the one replica to and fro; agent 2 reads it wherever it is.
    fn to_and_fro(seconds: &[f64]) -> u64 {
        let mut observer = observer(10_000);
        let nodes = [1, 2].into_iter().cycle();
        observer.hear(at(0.0), &placed(&[2], &[(1, 1), (2, 1)]));
        for (second, node) in seconds.iter().zip(nodes) {
            observer.hear(at(*second), &acted(1, if node == 1 { "M2_1" } else { "M1_2" }));
            observer.hear(at(*second), &placed(&[node], &[(1, 1), (2, 1)]));
        }
        observer.finish().oscillations
    }

    #[test]
    fn who_brings_back_what_was_left_less_than_210_s_ago_oscillates() {
        let check = |seconds: &[f64], expected| assert_eq!(to_and_fro(seconds), expected, "{seconds:?}");
        check(&[10.0], 0);
        check(&[10.0, 219.9], 1);
        check(&[10.0, 220.0], 0);
        check(&[10.0, 100.0, 200.0, 300.0], 3);
    }

    #[test]
    fn only_the_acting_agents_reference_has_to_come_back() {
        let mut observer = observer(10_000);
        observer.hear(at(0.0), &placed(&[1, 2], &[(1, 1), (2, 1)]));
        observer.hear(at(10.0), &acted(1, "CR2"));
        observer.hear(at(10.0), &placed(&[1, 2], &[(1, 2), (2, 1)]));
        // Another agent does something else: for agent 1 nothing came back.
        observer.hear(at(20.0), &acted(2, "CR2"));
        observer.hear(at(20.0), &placed(&[1, 2], &[(1, 2), (2, 2)]));
        observer.hear(at(30.0), &acted(1, "CR1"));
        observer.hear(at(30.0), &placed(&[1, 2], &[(1, 1), (2, 2)]));
        assert_eq!(observer.finish().oscillations, 1);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut observer = observer(100_000);
        for step in 0..20_000 {
            let node = 1 + step % 2;
            observer.hear(at(f64::from(step)), &acted(1, "CR1"));
            observer.hear(at(f64::from(step)), &placed(&[node], &[(1, 1), (2, 1), (3, 1)]));
        }
        let seen = observer.finish();
        assert_eq!((seen.placements.len(), seen.changes), (KEPT / 4, 20_000));
    }
}
