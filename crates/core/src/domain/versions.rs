//! Data that its owner changes: the versions of a data set, and replicas that still hold a former one.

use super::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What has become of a data set since it was registered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Versions {
    /// The newest one, from 1.
    pub version: u64,
    /// When the first one was registered, and the newest announced; absent: nobody noted it.
    #[serde(rename = "registered_at_scenario_ms", skip_serializing_if = "Option::is_none")]
    pub registered_at: Option<Timestamp>,
    #[serde(rename = "written_at_scenario_ms", skip_serializing_if = "Option::is_none")]
    pub written_at: Option<Timestamp>,
    /// Of all versions together, the bytes in which each differs from the one before: what a replica had to fetch to follow.
    pub written_bytes: u64,
}

impl Default for Versions {
    fn default() -> Self {
        Self { version: 1, registered_at: None, written_at: None, written_bytes: 0 }
    }
}

impl Versions {
    /// The first one.
    pub fn registered(at: Timestamp) -> Self {
        Self { registered_at: Some(at), ..Self::default() }
    }

    /// One more, which differs from the newest in so many bytes.
    #[must_use]
    pub fn followed(self, written_bytes: u64, at: Timestamp) -> Self {
        Self {
            version: self.version.saturating_add(1),
            written_at: Some(at),
            written_bytes: self.written_bytes.saturating_add(written_bytes),
            ..self
        }
    }

    /// Bytes that a replica fetches in this time to follow the owner, by what was written until now; 0 where nothing was yet.
    pub fn expected_bytes(&self, within: Duration, now: Timestamp) -> f64 {
        let Some(registered_at) = self.registered_at.filter(|_| self.written_at.is_some()) else { return 0.0 };
        let known_for = now.since(registered_at).as_secs_f64();
        if known_for > 0.0 { self.written_bytes as f64 * within.as_secs_f64() / known_for } else { 0.0 }
    }

    /// How often a version came, and how many bytes of it were new, in the mean; `None` where none did, or nobody noted when.
    pub fn rhythm(&self) -> Option<(Duration, u64)> {
        let followed = self.version.checked_sub(1).filter(|followed| *followed > 0)?;
        let lasted = self.written_at?.since(self.registered_at?);
        let every = lasted.div_f64(followed as f64);
        (!every.is_zero()).then_some((every, self.written_bytes / followed))
    }
}

/// The version that a replica holds which was not refreshed yet.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Former {
    /// Its number.
    pub version: u64,
    pub bytes: u64,
    pub records: u64,
    /// Lower-case hexadecimal.
    pub sha256: String,
    /// [`Versions::written_bytes`] then.
    pub written_bytes: u64,
    /// When the first version was announced that the replica lacks.
    #[serde(rename = "outdated_since_scenario_ms")]
    pub since: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_replica_has_to_fetch_follows_from_what_was_written() {
        let hour = Duration::from_secs(3600);
        let first = Versions::registered(Timestamp(0));
        let now = Timestamp(7_200_000);
        assert_eq!(first.expected_bytes(hour, now), 0.0);
        let third = first.followed(100, Timestamp(1_000)).followed(300, Timestamp(2_000));
        assert_eq!((third.version, third.written_at), (3, Some(Timestamp(2_000))));
        assert_eq!(third.expected_bytes(hour, now), 200.0);
        assert_eq!(third.rhythm(), Some((Duration::from_secs(1), 200)));
        assert_eq!(first.rhythm(), None);
        assert_eq!(Versions::default().followed(100, now).expected_bytes(hour, now), 0.0, "nobody knows for how long");
    }
}
