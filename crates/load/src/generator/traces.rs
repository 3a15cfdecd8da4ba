//! Each request as it ended, for whoever keeps them.

use super::outcome::Outcome;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;
use tokio::sync::mpsc;

/// One request. Its moments are the clock's at the start of the run and what has passed since: a clock that is set
/// meanwhile bends no latency.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trace {
    pub client: u32,
    pub service: Arc<str>,
    /// `None`: none was chosen.
    pub host: Option<Arc<str>>,
    pub intended: SystemTime,
    /// `None`: nothing was sent.
    pub sent: Option<SystemTime>,
    pub done: SystemTime,
    /// With the status and the bytes of an answer.
    pub outcome: Outcome,
}

/// Where traces go. A receiver that is slower than the requests misses some, which are counted: waiting for it would
/// make the requests wait.
#[derive(Clone, Debug)]
pub struct Traces {
    sender: mpsc::Sender<Trace>,
    missed: Arc<AtomicU64>,
}

impl Traces {
    /// Holds so many (at least one) that the receiver has not taken yet.
    pub fn bounded(capacity: usize) -> (Self, mpsc::Receiver<Trace>) {
        let (sender, receiver) = mpsc::channel(capacity.max(1));
        (Self { sender, missed: Arc::default() }, receiver)
    }

    /// How many the receiver did not get.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    pub(super) fn offer(&self, trace: impl FnOnce() -> Trace) {
        match self.sender.try_reserve() {
            Ok(place) => place.send(trace()),
            Err(_) => {
                self.missed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_receiver_has_no_room_for_is_missed_and_counted() {
        let trace = |client| Trace {
            client,
            service: "s".into(),
            host: None,
            intended: SystemTime::UNIX_EPOCH,
            sent: None,
            done: SystemTime::UNIX_EPOCH,
            outcome: Outcome::Dropped,
        };
        let (traces, mut receiver) = Traces::bounded(2);
        (0..5).for_each(|client| traces.offer(|| trace(client)));
        assert_eq!(traces.missed(), 3);
        assert_eq!(receiver.try_recv().unwrap().client, 0);
        traces.offer(|| trace(9));
        drop(receiver);
        traces.offer(|| trace(10));
        assert_eq!(traces.missed(), 4, "nobody receives any more");
    }
}
