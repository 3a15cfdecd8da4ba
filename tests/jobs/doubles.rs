//! Stores that hold one object and count what they are asked.

use agent::data::blood_tests::BloodTests;
use agent::jobs::{DataSource, S3Access};
use agent::storage::attributes::Attributes;
use agent::storage::{ByteStream, Content, ObjectInfo, ObjectStore, Page, PageToken, RangeBody, Result, StorageError};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// The key of the only object.
pub const KEY: &str = "blood_tests.json";

/// What an object consists of.
pub enum Object {
    Bytes(Bytes),
    Generated(BloodTests),
}

/// A store in memory, read only.
pub struct OneObject {
    object: Object,
    /// The longest piece that a stream hands out.
    piece_bytes: usize,
    requests: Mutex<Vec<Range<u64>>>,
    /// Bytes of a range that are kept back at its end.
    withheld: AtomicU64,
}

impl OneObject {
    pub fn new(object: Object, piece_bytes: usize) -> Arc<Self> {
        Arc::new(Self { object, piece_bytes, requests: Mutex::default(), withheld: AtomicU64::new(0) })
    }

    pub fn bytes(&self) -> u64 {
        match &self.object {
            Object::Bytes(bytes) => bytes.len() as u64,
            Object::Generated(data) => data.bytes(),
        }
    }

    /// The ranges that were asked for, in order.
    pub fn requests(&self) -> Vec<Range<u64>> {
        self.requests.lock().unwrap().clone()
    }

    /// From now on the last bytes of each range do not come.
    pub fn withhold(&self, bytes: u64) {
        self.withheld.store(bytes, Ordering::SeqCst);
    }

    /// A job's source that reads here.
    pub fn source(self: &Arc<Self>, records: u64) -> DataSource {
        let access = S3Access {
            endpoint: self.address().to_owned(),
            region: "us-east-1".to_owned(),
            bucket: "data".to_owned(),
            access_key_id: "id".to_owned(),
            secret_access_key: "secret".to_owned(),
            ..Default::default()
        };
        DataSource {
            store: self.clone(),
            access,
            data_set: "blood_tests".to_owned(),
            object_key: KEY.to_owned(),
            etag: None,
            sha256: String::new(),
            bytes: self.bytes(),
            records,
        }
    }
}

#[async_trait]
impl ObjectStore for OneObject {
    fn address(&self) -> &str {
        "http://in-memory"
    }

    async fn info(&self, key: &str) -> Result<Option<ObjectInfo>> {
        Ok((key == KEY).then(|| ObjectInfo {
            key: key.to_owned(),
            bytes: self.bytes(),
            validators: Default::default(),
        }))
    }

    async fn attributes(&self, _key: &str) -> Result<Attributes> {
        unreachable!("jobs only read")
    }

    async fn read_range(&self, key: &str, range: Range<u64>, _of: &Content) -> Result<RangeBody> {
        if key != KEY {
            return Err(StorageError::NotFound { address: self.address().to_owned(), key: key.to_owned() });
        }
        self.requests.lock().unwrap().push(range.clone());
        let range = range.start..range.end - self.withheld.load(Ordering::SeqCst);
        let whole: Box<dyn Iterator<Item = Bytes> + Send> = match &self.object {
            Object::Bytes(bytes) => Box::new(std::iter::once(bytes.slice(range.start as usize..range.end as usize))),
            Object::Generated(data) => Box::new(data.pieces(range)),
        };
        let piece_bytes = self.piece_bytes;
        let pieces = whole.flat_map(move |mut rest| {
            std::iter::from_fn(move || (!rest.is_empty()).then(|| Ok(rest.split_to(rest.len().min(piece_bytes)))))
        });
        Ok(RangeBody { etag: None, bytes: stream::iter(pieces).boxed() })
    }

    async fn write_with(&self, _key: &str, _bytes: u64, _attributes: &Attributes, _body: ByteStream) -> Result<()> {
        unreachable!("jobs only read")
    }

    async fn delete(&self, _key: &str) -> Result<()> {
        unreachable!("jobs only read")
    }

    async fn delete_if(&self, _key: &str, _content: &Content) -> Result<()> {
        unreachable!("jobs only read")
    }

    async fn list_page(&self, _prefix: &str, _after: Option<PageToken>) -> Result<Page> {
        unreachable!("jobs only read")
    }
}
