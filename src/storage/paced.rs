//! A store that is read no faster than it may be: a scrub is nobody's hurry.

use super::attributes::Attributes;
use super::{ByteStream, Content, ObjectInfo, ObjectStore, Page, PageToken, RangeBody, Result};
use async_trait::async_trait;
use futures::StreamExt as _;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// So many bytes in a second, of all that is read at that pace together. Clones are one.
#[derive(Clone)]
pub struct Pace {
    bytes_per_s: u64,
    /// When the next byte is due.
    next: Arc<Mutex<Option<Instant>>>,
}

impl Pace {
    /// At least one byte in a second.
    pub fn new(bytes_per_s: u64) -> Self {
        Self { bytes_per_s: bytes_per_s.max(1), next: Arc::default() }
    }

    /// When so many bytes that have come at this moment may be handed on.
    fn due(&self, bytes: usize, now: Instant) -> Instant {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let due = next.map_or(now, |next| next.max(now));
        *next = Some(due + Duration::from_secs_f64(bytes as f64 / self.bytes_per_s as f64));
        due
    }
}

/// The same store, read at a pace.
pub struct Paced {
    store: Arc<dyn ObjectStore>,
    pace: Pace,
}

impl Paced {
    pub fn new(store: Arc<dyn ObjectStore>, pace: Pace) -> Self {
        Self { store, pace }
    }
}

#[async_trait]
impl ObjectStore for Paced {
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
        let RangeBody { etag, bytes } = self.store.read_range(key, range, of).await?;
        let pace = self.pace.clone();
        let paced = bytes.then(move |piece| {
            let due = piece.as_ref().ok().map(|piece| pace.due(piece.len(), Instant::now()));
            async move {
                if let Some(due) = due {
                    tokio::time::sleep_until(due).await;
                }
                piece
            }
        });
        Ok(RangeBody { etag, bytes: paced.boxed() })
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
    use super::*;

    #[tokio::test]
    async fn bytes_of_all_readers_together_come_at_the_pace() {
        let pace = Pace::new(100);
        let now = Instant::now();
        let after = |bytes| pace.clone().due(bytes, now).duration_since(now);
        assert_eq!(after(100), Duration::ZERO, "nothing was read before");
        assert_eq!(after(50), Duration::from_secs(1));
        assert_eq!(after(50), Duration::from_millis(1500));
        // Who was slow need not hurry afterwards.
        let later = now + Duration::from_secs(60);
        assert_eq!(pace.due(100, later), later);
        assert_eq!(pace.due(100, later), later + Duration::from_secs(1));
    }
}
