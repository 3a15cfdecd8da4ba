//! A store as a job uses it: counts what is asked of it and what comes, at the job's own end of the link.

use super::attributes::Attributes;
use super::{ByteStream, Content, ObjectInfo, ObjectStore, Page, PageToken, RangeBody, Result};
use agent_core::domain::traffic::Traffic;
use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Any store, counted from when it was made.
pub struct Counted {
    store: Arc<dyn ObjectStore>,
    counts: Counts,
}

/// Shared with the answers that are still coming.
#[derive(Clone, Default)]
struct Counts(Arc<Mutex<Numbers>>);

#[derive(Default)]
struct Numbers {
    requests: u64,
    /// Of these, whose answers have not begun; and the most that these ever were.
    unanswered: u64,
    parallel: u64,
    bytes: u64,
    /// Answers whose next bytes somebody waits for, since when there is one, and how long there was one before.
    awaited: u64,
    since: Option<Instant>,
    stalled: Duration,
}

impl Counted {
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self { store, counts: Counts::default() }
    }

    /// So far, of a job that read so many records; `None` where nothing was read.
    pub fn traffic(&self, records: u64) -> Option<Traffic> {
        let Numbers { requests, parallel, bytes, stalled, .. } = *self.counts.numbers();
        let traffic = Traffic { requests, parallel, bytes, stalled_s: stalled.as_secs_f64(), records };
        traffic.makes_sense().then_some(traffic)
    }
}

impl Counts {
    fn numbers(&self) -> MutexGuard<'_, Numbers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request is asked; until what is returned is dropped it has no answer.
    fn asked(&self) -> Unanswered {
        let mut numbers = self.numbers();
        numbers.requests += 1;
        numbers.unanswered += 1;
        numbers.parallel = numbers.parallel.max(numbers.unanswered);
        Unanswered(self.clone())
    }
}

impl Numbers {
    fn awaits(&mut self) {
        self.awaited += 1;
        self.since.get_or_insert_with(Instant::now);
    }

    fn awaits_no_more(&mut self) {
        self.awaited -= 1;
        if self.awaited == 0 {
            self.stalled += self.since.take().map_or(Duration::ZERO, |since| since.elapsed());
        }
    }
}

struct Unanswered(Counts);

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.0.numbers().unanswered -= 1;
    }
}

/// The bytes of one answer.
struct Body {
    bytes: ByteStream,
    counts: Counts,
    is_awaited: bool,
}

impl Body {
    fn set_awaited(&mut self, is_awaited: bool) {
        match (self.is_awaited, is_awaited) {
            (false, true) => self.counts.numbers().awaits(),
            (true, false) => self.counts.numbers().awaits_no_more(),
            (false, false) | (true, true) => {}
        }
        self.is_awaited = is_awaited;
    }
}

impl Stream for Body {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.bytes.as_mut().poll_next(context);
        self.set_awaited(next.is_pending());
        if let Poll::Ready(Some(Ok(piece))) = &next {
            self.counts.numbers().bytes += piece.len() as u64;
        }
        next
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.set_awaited(false);
    }
}

#[async_trait]
impl ObjectStore for Counted {
    fn address(&self) -> &str {
        self.store.address()
    }

    async fn info(&self, key: &str) -> Result<Option<ObjectInfo>> {
        self.store.info(key).await
    }

    async fn attributes(&self, key: &str) -> Result<Attributes> {
        self.store.attributes(key).await
    }

    async fn read_range(&self, key: &str, range: Range<u64>, of: &Content) -> Result<RangeBody> {
        let unanswered = self.counts.asked();
        let RangeBody { etag, bytes } = self.store.read_range(key, range, of).await?;
        drop(unanswered);
        let body = Body { bytes, counts: self.counts.clone(), is_awaited: false };
        Ok(RangeBody { etag, bytes: Box::pin(body) })
    }

    async fn write_with(&self, key: &str, bytes: u64, attributes: &Attributes, body: ByteStream) -> Result<()> {
        self.store.write_with(key, bytes, attributes, body).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.store.delete(key).await
    }

    async fn delete_if(&self, key: &str, content: &Content) -> Result<()> {
        self.store.delete_if(key, content).await
    }

    async fn list_page(&self, prefix: &str, after: Option<PageToken>) -> Result<Page> {
        self.store.list_page(prefix, after).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::MemoryStore;
    use super::*;
    use futures::{StreamExt as _, stream};

    const KEY: &str = "object";

    /// A store with an object of 200 kB, counted.
    async fn counted() -> (Counted, Content) {
        let store = MemoryStore::new("memory");
        let body = stream::iter([Ok(Bytes::from(vec![7; 200_000]))]).boxed();
        store.write(KEY, 200_000, body).await.unwrap();
        (Counted::new(Arc::new(store)), Content { bytes: 200_000, etag: None })
    }

    #[tokio::test]
    async fn requests_and_bytes_are_those_that_were_read() {
        let (store, content) = counted().await;
        assert_eq!(store.traffic(10), None);
        for range in [0..100_000, 100_000..150_000] {
            let body = store.read_range(KEY, range, &content).await.unwrap().bytes;
            assert!(body.all(async |piece| piece.is_ok()).await);
        }
        let traffic = store.traffic(10).unwrap();
        assert_eq!((traffic.requests, traffic.parallel, traffic.bytes, traffic.records), (2, 1, 150_000, 10));
        assert_eq!(traffic.stalled_s, 0.0, "what is there needs no waiting");
        assert_eq!(store.traffic(0), None);
    }

    #[test]
    fn what_waits_at_the_same_time_is_parallel() {
        let counts = Counts::default();
        let (first, second) = (counts.asked(), counts.asked());
        drop(first);
        let third = counts.asked();
        drop((second, third));
        let numbers = counts.numbers();
        assert_eq!((numbers.requests, numbers.parallel, numbers.unanswered), (3, 2, 0));
    }

    #[tokio::test]
    async fn time_counts_once_however_many_answers_are_awaited() {
        let counts = Counts::default();
        let silent = || Body { bytes: stream::pending().boxed(), counts: counts.clone(), is_awaited: false };
        let (mut one, mut other) = (silent(), silent());
        let began = Instant::now();
        assert!(futures::poll!(one.next()).is_pending() && futures::poll!(other.next()).is_pending());
        assert_eq!(counts.numbers().awaited, 2);
        drop(one);
        assert_eq!(counts.numbers().stalled, Duration::ZERO, "one is awaited still");
        drop(other);
        let stalled = counts.numbers().stalled;
        assert!(stalled > Duration::ZERO && stalled <= began.elapsed(), "{stalled:?}");
        assert_eq!(counts.numbers().awaited, 0);
    }
}
