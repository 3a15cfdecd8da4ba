//! What a reader is given of a data set at a moment: the version that the agent's reference holds, and where that lies.

use super::delivery::Source;
use agent_core::domain::ids::{AgentId, NodeId};
use agent_core::domain::placement::Replica;
use agent_core::domain::snapshot::Snapshot;
use agent_core::domain::time::Timestamp;
use std::time::Duration;

/// A data set as the table had it.
#[derive(Clone, Debug)]
pub struct View {
    pub snapshot: Snapshot,
    pub version: Version,
    /// All replicas that can be read, of whichever version: the reference, then the others, the nearest first.
    sources: Vec<Source>,
}

/// One content of a data set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Version {
    /// Of its object, or of the manifest of its objects; lower-case hexadecimal.
    pub sha256: String,
    /// Of the data set's, from 1 on.
    pub number: u64,
    /// Of all objects.
    pub bytes: u64,
    /// When it came to be, in the scenario: the same whichever replica is read.
    pub since: Timestamp,
}

impl View {
    /// What this agent, which lives there, gives to its readers.
    pub fn new(snapshot: Snapshot, agent: AgentId, home: NodeId) -> Self {
        let reference = snapshot.placement.reference(agent);
        let version = version(&snapshot, reference);
        let sources = sources(&snapshot, reference, home);
        Self { snapshot, version, sources }
    }

    pub fn has(&self, source: &Source) -> bool {
        self.sources.contains(source)
    }

    /// Where this version of the data set lies.
    pub fn holders(&self, version: &str) -> Vec<Source> {
        self.sources.iter().filter(|source| source.version == version).cloned().collect()
    }

    /// The same, and behind them all others: where objects are many, most are the same in the next version.
    pub fn holders_first(&self, version: &str) -> Vec<Source> {
        let (mut holders, others): (Vec<Source>, Vec<Source>) =
            self.sources.iter().cloned().partition(|source| source.version == version);
        holders.extend(others);
        holders
    }
}

/// The reference's. Where it is not what the table says, it is to be made anew: that of the newest replicas.
fn version(snapshot: &Snapshot, reference: Option<&Replica>) -> Version {
    let newest = &snapshot.data_set;
    let versions = newest.versions;
    let registered = versions.registered_at.unwrap_or_default();
    match reference.and_then(|replica| replica.former.as_ref()) {
        // When it was announced nobody noted; it was before the one that followed, and after the first.
        Some(former) => {
            let before = Timestamp(former.since.0.saturating_sub(1000)).max(registered);
            let since = if former.version <= 1 { registered } else { before };
            Version { sha256: former.sha256.clone(), number: former.version, bytes: former.bytes, since }
        }
        None => Version {
            sha256: newest.sha256.clone(),
            number: versions.version,
            bytes: newest.bytes,
            since: versions.written_at.unwrap_or(registered),
        },
    }
}

fn sources(snapshot: &Snapshot, reference: Option<&Replica>, home: NodeId) -> Vec<Source> {
    let distance = |row: &Replica| {
        let latency_ms = snapshot.link(home, row.node).map_or(f64::INFINITY, |link| link.latency_ms);
        let is_other = reference.is_none_or(|reference| reference.id != row.id);
        // Kept by the table as a number that is not negative.
        (is_other, Duration::try_from_secs_f64(latency_ms / 1e3).unwrap_or(Duration::MAX), row.id)
    };
    let mut readable: Vec<&Replica> = snapshot.placement.present().collect();
    readable.sort_by_key(|row| distance(row));
    readable.into_iter().map(|row| source(snapshot, row)).collect()
}

/// A replica as something that can be read.
pub fn source(snapshot: &Snapshot, row: &Replica) -> Source {
    Source {
        replica: row.id,
        node: row.node,
        object_key: row.object_key.clone(),
        version: row.content(&snapshot.data_set).sha256.to_owned(),
        etag: row.validators.etag.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_core::domain::placement::ReplicaState;
    use agent_core::domain::versions::{Former, Versions};
    use agent_core::mape::scene;
    use std::sync::Arc;

    const NEW: &str = "aa";
    const OLD: &str = "bb";

    /// Replicas 1, 2 and 3 on nodes 1, 2 and 3; agent 1 lives on node 1 and reads this one.
    fn snapshot(reads: i64) -> Snapshot {
        let mut snapshot = scene::snapshot(&[1, 2, 3], &[(1, reads)]);
        snapshot.links = Arc::new(scene::links());
        snapshot.data_set.sha256 = NEW.to_owned();
        snapshot.data_set.versions =
            Versions::registered(Timestamp(5_000)).followed(1, Timestamp(50_000)).followed(1, Timestamp(90_000));
        snapshot
    }

    fn outdated(snapshot: &mut Snapshot, replica: i64, version: u64) {
        let since = Timestamp(90_000);
        let former = Former { version, bytes: 7, records: 1, sha256: OLD.to_owned(), written_bytes: 0, since };
        let row = snapshot.placement.replicas.values_mut().find(|row| row.id.0 == replica);
        row.expect("a replica").former = Some(former);
    }

    fn view(snapshot: Snapshot) -> View {
        View::new(snapshot, AgentId(1), NodeId(1))
    }

    fn ids(sources: &[Source]) -> Vec<i64> {
        sources.iter().map(|source| source.replica.0).collect()
    }

    #[test]
    fn the_reference_is_read_first_then_what_is_near() {
        let seen = view(snapshot(3));
        assert_eq!(ids(&seen.holders(NEW)), [3, 1, 2]);
        assert_eq!(seen.version, Version { sha256: NEW.to_owned(), number: 3, bytes: 10, since: Timestamp(90_000) });
    }

    #[test]
    fn readers_are_given_the_version_of_the_reference() {
        let mut both = snapshot(2);
        outdated(&mut both, 2, 2);
        outdated(&mut both, 3, 2);
        let seen = view(both);
        assert_eq!(seen.version, Version { sha256: OLD.to_owned(), number: 2, bytes: 7, since: Timestamp(89_000) });
        assert_eq!((ids(&seen.holders(OLD)), ids(&seen.holders(NEW))), (vec![2, 3], vec![1]));
        assert_eq!(ids(&seen.holders_first(NEW)), [1, 2, 3]);
        let mut first = snapshot(2);
        outdated(&mut first, 2, 1);
        assert_eq!(view(first).version.since, Timestamp(5_000), "the first one is as old as the data set");
    }

    #[test]
    fn only_what_is_present_is_read() {
        let mut snapshot = snapshot(1);
        let states = [ReplicaState::Damaged, ReplicaState::Copying, ReplicaState::Present];
        for (row, state) in snapshot.placement.replicas.values_mut().zip(states) {
            row.state = state;
        }
        assert_eq!(ids(&view(snapshot).holders(NEW)), [3]);
    }
}
