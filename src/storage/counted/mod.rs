//! A store as a job uses it: counts what is asked of it and what comes, at the job's own end of the link. What a program reads by
//! itself is seen by the `link` that it reads over.

mod counts;
mod link;

pub use self::link::CountedLink;

use self::counts::Counts;
use super::attributes::Attributes;
use super::{ByteStream, Content, ObjectInfo, ObjectStore, Page, PageToken, RangeBody, Result};
use agent_core::domain::traffic::Traffic;
use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

/// Any store, counted from when it was made.
pub struct Counted {
    store: Arc<dyn ObjectStore>,
    counts: Counts,
}

impl Counted {
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self { store, counts: Counts::default() }
    }

    /// So far, of a job that read so many records; `None` where nothing was read.
    pub fn traffic(&self, records: u64) -> Option<Traffic> {
        self.counts.traffic(records)
    }

    /// A way to the same store for a program: what goes over it counts as well. `endpoint`: as the program would be told without.
    pub async fn link(&self, endpoint: &str) -> io::Result<CountedLink> {
        CountedLink::open(endpoint, self.counts.clone()).await
    }
}

/// The bytes of one answer.
struct Body {
    bytes: ByteStream,
    counts: Counts,
    /// Since when somebody waits for the next ones.
    awaited_since: Option<Instant>,
}

impl Body {
    fn is_awaited_no_more(&mut self) {
        self.awaited_since.take().into_iter().for_each(|since| self.counts.stood_still(since));
    }
}

impl Stream for Body {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.bytes.as_mut().poll_next(context);
        match &next {
            Poll::Pending => _ = self.awaited_since.get_or_insert_with(Instant::now),
            Poll::Ready(_) => self.is_awaited_no_more(),
        }
        if let Poll::Ready(Some(Ok(piece))) = &next {
            self.counts.came(piece.len());
        }
        next
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.is_awaited_no_more();
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
        let body = Body { bytes, counts: self.counts.clone(), awaited_since: None };
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

    #[tokio::test]
    async fn standing_still_for_an_answer_counts_until_nobody_waits() {
        let counts = Counts::default();
        let bytes = stream::iter([Ok(Bytes::from_static(b"bytes"))]).chain(stream::pending()).boxed();
        let mut body = Body { bytes, counts: counts.clone(), awaited_since: None };
        let began = Instant::now();
        drop(counts.asked());
        assert!(body.next().await.is_some_and(|piece| piece.is_ok()));
        assert_eq!(counts.traffic(1).unwrap().stalled_s, 0.0);
        assert!(futures::poll!(body.next()).is_pending());
        drop(body);
        let stalled = counts.traffic(1).unwrap().stalled_s;
        assert!(stalled > 0.0 && stalled <= began.elapsed().as_secs_f64(), "{stalled}");
    }
}
