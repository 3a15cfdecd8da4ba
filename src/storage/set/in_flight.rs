//! Work on many objects: several at once, and never more bytes of them than fit.

use futures::stream::{self, StreamExt as _};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;

/// Objects that are worked on at the same time (I-7): each takes a connection to a store or two.
const OBJECTS_AT_ONCE: usize = 32;
/// Bytes of objects in memory at the same time (I-7).
const BYTES_AT_ONCE: u64 = 64 << 20;
/// The most that one object has in memory: two parts of an upload.
const BYTES_OF_ONE: u64 = 16 << 20;
/// In such units the room for bytes is given out.
const UNIT: u64 = 64 << 10;

/// A piece of work, and how many bytes its object has.
pub(in crate::storage) struct Work<F> {
    pub bytes: u64,
    pub work: F,
}

/// Does so many pieces of work, several at once; what came of each, in their order. The first failure ends the rest.
pub(in crate::storage) async fn each<T, E, F>(
    pieces: usize,
    work: impl Fn(usize) -> Work<F> + Send + 'static,
) -> Result<Vec<T>, E>
where
    T: Send + 'static,
    E: Send + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
{
    let room = Arc::new(Semaphore::new((BYTES_AT_ONCE / UNIT) as usize));
    let works = (0..pieces).map(move |index| {
        let (room, Work { bytes, work }) = (room.clone(), work(index));
        async move {
            let units = bytes.min(BYTES_OF_ONE) / UNIT + 1;
            // It is never closed.
            let _place = room.acquire_many_owned(units as u32).await;
            (index, outcome(AbortOnDropHandle::new(tokio::spawn(work))).await)
        }
    });
    let mut running = stream::iter(works).buffer_unordered(OBJECTS_AT_ONCE);
    let mut done = Vec::new();
    while let Some((index, outcome)) = running.next().await {
        done.push((index, outcome?));
    }
    done.sort_unstable_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, outcome)| outcome).collect())
}

async fn outcome<T>(task: AbortOnDropHandle<T>) -> T {
    match task.await {
        Ok(outcome) => outcome,
        // A panic is the same fault here as it was there.
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // Only threads that end cancel such a task, and then nobody waits for the outcome any more.
        Err(_) => std::future::pending().await,
    }
}

/// How much of a work on many objects is done.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Amount {
    pub objects: u64,
    pub bytes: u64,
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} objects, {:.1} MB", self.objects, self.bytes as f64 / 1e6)
    }
}

/// Counts what is done, and tells it every few seconds. Clones count together.
#[derive(Clone)]
pub struct Meter(Arc<Counts>);

struct Counts {
    objects: AtomicU64,
    bytes: AtomicU64,
    told_at: Mutex<Instant>,
    tell: Box<dyn Fn(Amount) + Send + Sync>,
}

impl Meter {
    /// What takes less is not worth a word.
    const EVERY: Duration = Duration::from_secs(2);

    pub fn new(tell: impl Fn(Amount) + Send + Sync + 'static) -> Self {
        let told_at = Mutex::new(Instant::now());
        Self(Arc::new(Counts { objects: AtomicU64::new(0), bytes: AtomicU64::new(0), told_at, tell: Box::new(tell) }))
    }

    /// Nobody hears of it.
    pub fn silent() -> Self {
        Self::new(|_| ())
    }

    pub fn amount(&self) -> Amount {
        let Counts { objects, bytes, .. } = &*self.0;
        Amount { objects: objects.load(Ordering::Relaxed), bytes: bytes.load(Ordering::Relaxed) }
    }

    /// An object is done; its bytes were counted.
    pub(in crate::storage) fn object(&self) {
        self.0.objects.fetch_add(1, Ordering::Relaxed);
        self.tell();
    }

    pub(in crate::storage) fn bytes(&self, bytes: u64) {
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.tell();
    }

    fn tell(&self) {
        // Whoever comes while another one tells has nothing to add.
        let Ok(mut told_at) = self.0.told_at.try_lock() else { return };
        if told_at.elapsed() >= Self::EVERY {
            *told_at = Instant::now();
            drop(told_at);
            (self.0.tell)(self.amount());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    /// How many pieces of so many bytes were at work at once, at most.
    async fn at_once(pieces: usize, bytes: u64) -> usize {
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counted, highest) = (now.clone(), most.clone());
        let work = move |index| {
            let (now, most) = (counted.clone(), highest.clone());
            let work = async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
                now.fetch_sub(1, Ordering::SeqCst);
                Ok::<_, ()>(index)
            };
            Work { bytes, work }
        };
        assert_eq!(each(pieces, work).await.unwrap(), (0..pieces).collect::<Vec<_>>());
        most.load(Ordering::SeqCst)
    }

    #[tokio::test]
    async fn small_objects_are_bounded_by_their_number_and_large_ones_by_their_bytes() {
        assert_eq!(at_once(200, 10_000).await, OBJECTS_AT_ONCE);
        assert_eq!(at_once(20, 5 << 30).await, 3);
    }

    #[tokio::test]
    async fn the_first_failure_ends_the_rest() {
        let begun = Arc::new(AtomicUsize::new(0));
        let counted = begun.clone();
        let work = move |index| {
            let begun = counted.clone();
            let work = async move {
                begun.fetch_add(1, Ordering::SeqCst);
                if index == 3 { Err("it broke") } else { Ok(()) }
            };
            Work { bytes: 0, work }
        };
        assert_eq!(each(1000, work).await, Err("it broke"));
        assert!(begun.load(Ordering::SeqCst) <= 4 + OBJECTS_AT_ONCE);
    }
}
