//! Each request as it ended, for whoever keeps them.

use super::outcome::Outcome;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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

/// Whether requests are kept at all; clones are one switch. On unless somebody says otherwise.
#[derive(Clone, Debug)]
pub struct Switch(Arc<AtomicBool>);

impl Default for Switch {
    fn default() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }
}

impl Switch {
    /// For requests that end from now on.
    pub fn turn(&self, is_on: bool) {
        self.0.store(is_on, Ordering::Relaxed);
    }

    fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Where traces go. A receiver that is slower than the requests misses some, which are counted: waiting for it would
/// make the requests wait.
#[derive(Clone, Debug)]
pub struct Traces {
    sender: mpsc::Sender<Trace>,
    missed: Arc<AtomicU64>,
    switch: Switch,
}

impl Traces {
    /// Holds so many (at least one) that the receiver has not taken yet.
    pub fn bounded(capacity: usize) -> (Self, mpsc::Receiver<Trace>) {
        let (sender, receiver) = mpsc::channel(capacity.max(1));
        (Self { sender, missed: Arc::default(), switch: Switch::default() }, receiver)
    }

    /// The same, which takes none while this one is off.
    #[must_use]
    pub fn switched_by(self, switch: Switch) -> Self {
        Self { switch, ..self }
    }

    pub fn switch(&self) -> &Switch {
        &self.switch
    }

    /// How many the receiver did not get.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    pub(super) fn offer(&self, trace: impl FnOnce() -> Trace) {
        if !self.switch.is_on() {
            return;
        }
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

    fn trace(client: u32) -> Trace {
        Trace {
            client,
            service: "s".into(),
            host: None,
            intended: SystemTime::UNIX_EPOCH,
            sent: None,
            done: SystemTime::UNIX_EPOCH,
            outcome: Outcome::Dropped,
        }
    }

    #[test]
    fn what_the_receiver_has_no_room_for_is_missed_and_counted() {
        let (traces, mut receiver) = Traces::bounded(2);
        (0..5).for_each(|client| traces.offer(|| trace(client)));
        assert_eq!(traces.missed(), 3);
        assert_eq!(receiver.try_recv().unwrap().client, 0);
        traces.offer(|| trace(9));
        drop(receiver);
        traces.offer(|| trace(10));
        assert_eq!(traces.missed(), 4, "nobody receives any more");
    }

    #[test]
    fn while_it_is_off_nothing_is_kept_and_nothing_is_missed() {
        let (traces, mut receiver) = Traces::bounded(1);
        traces.switch().turn(false);
        (0..3).for_each(|_| traces.offer(|| trace(1)));
        assert_eq!((receiver.try_recv().is_err(), traces.missed()), (true, 0));
        traces.switch().turn(true);
        traces.offer(|| trace(1));
        assert!(receiver.try_recv().is_ok());
    }
}
