//! What was read through the endpoint, measured: of each data set how many requests, bytes and errors, and how long readers waited.

use crate::jobs::Requests;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Bounds of the classes in which latencies are counted; the last class has what is above \[ms\].
pub const BOUNDS_MS: [u64; 14] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000];
const CLASSES: usize = BOUNDS_MS.len() + 1;

/// Of one data set, counted from the start on. Times are real: whoever reads them converts with `Clock::record`.
#[derive(Default, Debug)]
pub struct Reads {
    requests: AtomicU64,
    errors: AtomicU64,
    resumed: AtomicU64,
    bytes: AtomicU64,
    latency_us: AtomicU64,
    duration_us: AtomicU64,
    latencies: [AtomicU64; CLASSES],
    /// Who else wants to know of each request.
    each: Option<Arc<Requests>>,
}

/// The same at one moment. Metrics are differences of two.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counted {
    /// Of objects that were to be read, answered or not; without those that ended with what the client asked wrongly.
    pub requests: u64,
    /// Of these, those that no replica could answer, or not to the end.
    pub errors: u64,
    /// How often an answer was continued from another replica.
    pub resumed: u64,
    /// Sent, of answers that were not read to their end too.
    pub bytes: u64,
    /// From requests to the first bytes of their answers, added up.
    pub latency: Duration,
    /// From requests to the ends of their answers, added up.
    pub duration: Duration,
    /// How many latencies were up to each of [`BOUNDS_MS`] and above the one before.
    pub latencies: [u64; CLASSES],
}

impl Reads {
    /// Whose requests are noted one by one, too.
    pub fn noting(requests: Arc<Requests>) -> Self {
        requests.serve();
        Self { each: Some(requests), ..Self::default() }
    }

    pub fn so_far(&self) -> Counted {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counted {
            requests: of(&self.requests),
            errors: of(&self.errors),
            resumed: of(&self.resumed),
            bytes: of(&self.bytes),
            latency: Duration::from_micros(of(&self.latency_us)),
            duration: Duration::from_micros(of(&self.duration_us)),
            latencies: std::array::from_fn(|class| of(&self.latencies[class])),
        }
    }
}

/// One read while it lasts; counted when it is dropped, however it ended.
#[derive(Debug)]
pub struct Measured<R: AsRef<Reads>> {
    reads: R,
    began: Instant,
    first: Option<Duration>,
    bytes: u64,
    end: End,
}

/// How it is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Read,
    Failed,
    /// Not at all.
    Dismissed,
}

impl<R: AsRef<Reads>> Measured<R> {
    /// Of a request that came then.
    pub fn since(began: Instant, reads: R) -> Self {
        reads.as_ref().each.iter().for_each(|requests| requests.begun());
        Self { reads, began, first: None, bytes: 0, end: End::Read }
    }

    /// The answer begins.
    pub fn answered(&mut self) {
        self.first.get_or_insert_with(|| self.began.elapsed());
    }

    pub fn sent(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    pub fn resumed(&self) {
        self.reads.as_ref().resumed.fetch_add(1, Ordering::Relaxed);
    }

    pub fn failed(&mut self) {
        self.end = End::Failed;
    }

    /// It becomes another one.
    pub fn dismiss(&mut self) {
        self.end = End::Dismissed;
    }
}

impl<R: AsRef<Reads>> Drop for Measured<R> {
    fn drop(&mut self) {
        self.reads.as_ref().each.iter().for_each(|requests| requests.over());
        let is_error = match self.end {
            End::Dismissed => return,
            End::Failed => true,
            End::Read => false,
        };
        let reads = self.reads.as_ref();
        let add = |counter: &AtomicU64, amount: u64| {
            counter.fetch_add(amount, Ordering::Relaxed);
        };
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        add(&reads.requests, 1);
        add(&reads.errors, u64::from(is_error));
        add(&reads.bytes, self.bytes);
        let took = self.began.elapsed();
        add(&reads.duration_us, micros(took));
        reads.each.iter().for_each(|requests| requests.note(took, !is_error));
        if let Some(first) = self.first {
            let class = BOUNDS_MS.partition_point(|bound| first > Duration::from_millis(*bound));
            add(&reads.latencies[class], 1);
            add(&reads.latency_us, micros(first));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_read_is_counted_once_however_it_ends() {
        let reads = Arc::new(Reads::default());
        let mut whole = Measured::since(Instant::now(), reads.clone());
        whole.answered();
        whole.sent(10);
        whole.resumed();
        whole.sent(5);
        drop(whole);
        let mut failed = Measured::since(Instant::now(), reads.clone());
        failed.failed();
        drop(failed);
        let mut other = Measured::since(Instant::now(), reads.clone());
        other.dismiss();
        drop(other);
        let counted = reads.so_far();
        assert_eq!((counted.requests, counted.errors, counted.resumed, counted.bytes), (2, 1, 1, 15));
        assert_eq!(counted.latencies.iter().sum::<u64>(), 1, "what was not answered has no latency");
        assert!(counted.latency <= counted.duration);
    }
}
