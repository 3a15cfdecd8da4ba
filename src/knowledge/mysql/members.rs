//! The servers that hold the table: one, or all of a cluster. Which of them is asked, and which is fit to be.
//!
//! All questions go to one member until it is away; then to the next, and they stay there. A member whose clock differs from the
//! others', or that is no part of their cluster, counts as away: times that it gives, or rows that it lacks, would have agents
//! undo each other's work.

use super::connect::{Host, MysqlSettings, PreparedStatements, Reading, Readings, log_in};
use super::failure::{Failure, Sent};
use mysql_async::{Conn, Pool};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::timeout;

/// Servers' clocks may differ by so much, beside what is not known of them. It is far below a lease or a silence.
pub(super) const CLOCKS_DIFFER: Duration = Duration::from_secs(1);

/// How often every member is looked at, whether it is asked or not.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Where several may be asked, a connection has this part of an operation's time, and what is asked over it that one: a member
/// that stands still, or whose cluster waits for one that does (Galera takes five seconds), leaves the next one time enough.
const TO_CONNECT: u32 = 5;
const TO_ANSWER: u32 = 2;

pub(super) struct Limits {
    pub to_connect: Duration,
    pub to_answer: Duration,
}

/// How long to wait for a connection, and for what is asked over it.
pub(super) fn limits(settings: &MysqlSettings) -> Limits {
    let patience = settings.patience;
    match settings.hosts.len() {
        1 => Limits { to_connect: patience, to_answer: patience },
        _ => Limits { to_connect: patience / TO_CONNECT, to_answer: patience / TO_ANSWER },
    }
}

pub(super) struct Member {
    pub host: Host,
    pub pool: Pool,
    pub prepared: PreparedStatements,
}

pub(super) struct Members {
    all: Vec<Arc<Member>>,
    asked: AtomicUsize,
    readings: Arc<Readings>,
    settings: MysqlSettings,
}

impl Members {
    pub(super) fn new(settings: &MysqlSettings) -> Self {
        let readings = Arc::new(Readings::new(settings.hosts.len()));
        let member = |(at, host): (usize, &Host)| {
            let prepared = PreparedStatements::default();
            let pool = Pool::new(settings.options(at, &prepared, &readings));
            Arc::new(Member { host: host.clone(), pool, prepared })
        };
        let all = settings.hosts.iter().enumerate().map(member).collect();
        Self { all, asked: AtomicUsize::new(0), readings, settings: settings.clone() }
    }

    pub(super) fn are_several(&self) -> bool {
        self.all.len() > 1
    }

    /// The one that is asked now, or the next that is none of `away`.
    pub(super) fn next(&self, away: &BTreeSet<usize>) -> Option<(usize, &Arc<Member>)> {
        let (first, count) = (self.asked.load(Ordering::Relaxed), self.all.len());
        let at = (0..count).map(|step| (first + step) % count).find(|at| !away.contains(at))?;
        Some((at, &self.all[at]))
    }

    /// This one has answered where others did not: it is asked from now on.
    pub(super) fn ask(&self, at: usize, away: &str) {
        if self.asked.swap(at, Ordering::Relaxed) != at {
            let host = &self.all[at].host;
            tracing::warn!(%host, away, "another server of the shared table is asked from now on");
        }
    }

    /// The next one is asked, unless another is already.
    pub(super) fn ask_after(&self, at: usize, away: &str) {
        if self.asked.load(Ordering::Relaxed) == at {
            self.ask((at + 1) % self.all.len(), away);
        }
    }

    pub(super) fn limits(&self) -> Limits {
        limits(&self.settings)
    }

    pub(super) fn require_fit(&self, at: usize) -> Result<(), Failure> {
        match verdicts(&self.readings.all()).swap_remove(at) {
            Verdict::Fit => Ok(()),
            Verdict::Unfit(why) => Err(Failure::Unfit(why)),
        }
    }

    /// Why each member that may not be asked may not.
    pub(super) fn unfit(&self) -> Vec<String> {
        let said = self.all.iter().zip(verdicts(&self.readings.all())).filter_map(|(member, verdict)| match verdict {
            Verdict::Fit => None,
            Verdict::Unfit(why) => Some(format!("{}: {why}", member.host)),
        });
        said.collect()
    }

    /// Connects to every member, which takes its reading; says who does not answer, and why.
    pub(super) async fn look_at_all(&self) -> Vec<String> {
        let to_connect = self.limits().to_connect;
        let look = async |(at, member): (usize, &Arc<Member>)| {
            let connecting = log_in(|| Conn::new(self.settings.options_to_look(at, &self.readings)));
            let failure = match timeout(to_connect, connecting).await {
                Ok(Ok(connection)) => {
                    // Whether it hears the goodbye matters to nobody.
                    let _ = timeout(to_connect, connection.disconnect()).await;
                    return None;
                }
                Ok(Err(error)) => Failure::Database(error, Sent::Revocable),
                Err(_) => Failure::Silent(to_connect, Sent::Revocable),
            };
            Some(format!("{}: {}", member.host, failure.reason()))
        };
        let looked = futures::future::join_all(self.all.iter().enumerate().map(look)).await;
        looked.into_iter().flatten().collect()
    }
}

/// The members that were away in one round through all of them.
#[derive(Default)]
pub(super) struct Away {
    pub members: BTreeSet<usize>,
    pub reasons: Vec<String>,
    is_usable: bool,
}

impl Away {
    pub(super) fn note(&mut self, at: usize, host: &Host, failure: &Failure) {
        self.members.insert(at);
        self.reasons.push(format!("{host}: {}", failure.reason()));
        self.is_usable |= !failure.is_unusable();
    }

    pub(super) fn into_failure(self) -> Failure {
        Failure::Nowhere { reasons: self.reasons, is_unusable: !self.is_usable }
    }
}

/// Whether a member may be asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    Fit,
    Unfit(String),
}

/// Of all members, by the last reading of each. More than half of those that were ever read have to agree with a member, itself
/// counted; so of two that differ neither is fit, for nobody can tell which is right.
pub(super) fn verdicts(readings: &[Option<Reading>]) -> Vec<Verdict> {
    if readings.len() == 1 {
        return vec![Verdict::Fit];
    }
    let known: Vec<&Reading> = readings.iter().flatten().collect();
    let majority = |agree: usize| agree * 2 > known.len();
    let verdict = |reading: &Reading| {
        let Some(cluster) = &reading.cluster else {
            return Verdict::Unfit(
                "it is no member of a Galera cluster; name several hosts of one cluster only".to_owned(),
            );
        };
        if !majority(known.iter().filter(|other| other.cluster.as_ref() == Some(cluster)).count()) {
            return Verdict::Unfit("it belongs to another cluster than the other hosts".to_owned());
        }
        let differs =
            known.iter().filter(|other| reading.differs_from(other)).max_by_key(|other| reading.distance(other));
        match differs {
            Some(other) if !majority(known.iter().filter(|other| !reading.differs_from(other)).count()) => {
                let side = if reading.clock > other.clock { "ahead of" } else { "behind" };
                let seconds = reading.distance(other).as_secs_f64();
                Verdict::Unfit(format!(
                    "its clock is {seconds:.1} s {side} that of {}; keep the clocks of all servers with NTP",
                    other.host
                ))
            }
            _ => Verdict::Fit,
        }
    };
    readings.iter().map(|reading| reading.as_ref().map_or(Verdict::Fit, verdict)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of members a, b, ... with these clocks in seconds.
    fn read(clocks: &[Option<f64>]) -> Vec<Option<Reading>> {
        let reading = |(name, clock): (char, &Option<f64>)| {
            let clock = Duration::from_secs_f64((*clock)?);
            let host = Host { name: name.to_string(), port: 1 };
            Some(Reading { host, clock, within: Duration::from_millis(100), cluster: Some("one".to_owned()) })
        };
        ('a'..).zip(clocks).map(reading).collect()
    }

    fn check(readings: &[Option<Reading>], expected: &[&str]) {
        let said = verdicts(readings).into_iter().map(|verdict| match verdict {
            Verdict::Fit => String::new(),
            Verdict::Unfit(why) => why,
        });
        assert_eq!(said.collect::<Vec<_>>(), expected, "{readings:?}");
    }

    #[test]
    fn a_clock_that_differs_from_most_is_not_used() {
        let ahead = "its clock is 180.0 s ahead of that of a:1; keep the clocks of all servers with NTP";
        let behind = "its clock is 180.0 s behind that of b:1; keep the clocks of all servers with NTP";
        check(&read(&[Some(1000.0), Some(1000.9), Some(1000.2)]), &["", "", ""]);
        // What is not known of each may be all that they differ by.
        check(&read(&[Some(1000.0), Some(1001.1)]), &["", ""]);
        check(&read(&[Some(1000.0), Some(1000.1), Some(1180.0)]), &["", "", ahead]);
        check(&read(&[Some(1000.0), Some(1180.0)]), &[behind, ahead]);
        check(&read(&[Some(1000.0), None, Some(1000.0)]), &["", "", ""]);
        check(&read(&[Some(1000.0), None, None]), &["", "", ""]);
        check(&read(&[Some(1000.0)]), &[""]);
    }

    #[test]
    fn a_server_of_another_cluster_or_of_none_is_not_used() {
        let mut readings = read(&[Some(1.0), Some(1.0), Some(1.0)]);
        readings[1].as_mut().unwrap().cluster = Some("two".to_owned());
        check(&readings, &["", "it belongs to another cluster than the other hosts", ""]);
        readings[1].as_mut().unwrap().cluster = None;
        check(&readings, &["", "it is no member of a Galera cluster; name several hosts of one cluster only", ""]);
        // One host may be anything.
        check(&[readings.swap_remove(1)], &[""]);
    }
}
