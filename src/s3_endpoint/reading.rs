//! One answer's bytes: what the machine of `delivery` wants done, done.

use super::catalogue::Catalogue;
use super::delivery::{Delivery, Failure, GivenUp, Source, Step};
use super::reads::{Measured, Reads};
use super::version::View;
use super::ways::Ways;
use crate::actors::{World, chain};
use crate::storage::{ByteStream, Content, StorageError};
use agent_core::domain::ids::{DataSetName, NodeId};
use agent_core::domain::manifest::SetKeys;
use bytes::Bytes;
use futures::StreamExt as _;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// What all answers need.
pub struct Shared {
    pub world: Arc<World>,
    pub catalogue: Catalogue,
    pub ways: Ways,
}

/// An object as it is to be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Object {
    pub data_set: DataSetName,
    /// Of the data set that it is or is of, by its SHA-256.
    pub version: String,
    /// Its key below the prefix of a set; absent where the data set is one object.
    pub below: Option<String>,
    pub bytes: u64,
    /// Its own; lower-case hexadecimal.
    pub sha256: String,
}

/// An answer under way.
pub struct Reading {
    shared: Arc<Shared>,
    object: Object,
    view: Arc<View>,
    delivery: Delivery,
    body: Option<Body>,
    measured: Measured<Arc<Reads>>,
    /// The last of what was in the way.
    why: Option<String>,
}

/// What comes from one replica.
struct Body {
    from: Source,
    bytes: ByteStream,
    bill: Bill,
}

/// Reading may cost something, wherever the answer ends.
struct Bill {
    world: Arc<World>,
    view: Arc<View>,
    node: NodeId,
    bytes: u64,
}

impl Drop for Bill {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.world.has_read(&self.view.snapshot, self.node, self.bytes);
        }
    }
}

impl Object {
    /// What may hold it, the best first.
    fn sources(&self, view: &View, ways: &Ways) -> Vec<Source> {
        ways.best_first(match self.below {
            Some(_) => view.holders_first(&self.version),
            None => view.holders(&self.version),
        })
    }
}

/// Why a replica was not read.
struct NotRead {
    how: Failure,
    why: String,
}

impl From<StorageError> for NotRead {
    fn from(error: StorageError) -> Self {
        let how = match &error {
            StorageError::NotFound { .. } | StorageError::Changed { .. } => Failure::Lasting,
            // A body that ends too early is damaged: a store that was killed sends such.
            StorageError::Damaged { .. }
            | StorageError::Denied { .. }
            | StorageError::Unavailable { .. }
            | StorageError::Refused { .. }
            | StorageError::Full { .. } => Failure::Passing,
        };
        Self { how, why: error.to_string() }
    }
}

impl Reading {
    pub fn new(
        shared: Arc<Shared>,
        view: Arc<View>,
        object: Object,
        range: Range<u64>,
        measured: Measured<Arc<Reads>>,
    ) -> Self {
        let delivery = Delivery::new(range, object.sources(&view, &shared.ways));
        Self { shared, object, view, delivery, body: None, measured, why: None }
    }

    /// Until its first bytes are on their way: before that, it can still become another answer.
    pub async fn begin(&mut self) -> Result<(), GivenUp> {
        self.advance().await?;
        self.measured.answered();
        Ok(())
    }

    /// What was in the way, for people.
    pub fn why(&self) -> &str {
        self.why.as_deref().unwrap_or("it has no replica at present")
    }

    /// It was given up before anything was answered: the reader is told so.
    pub fn fail(mut self) {
        self.measured.failed();
    }

    /// It was given up before anything was answered, for another one.
    pub fn dismiss(mut self) {
        self.measured.dismiss();
    }

    /// The next bytes; `None` behind the last ones. An error ends the connection: the reader sees that the answer is not whole.
    pub async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let Some(body) = &mut self.body else {
                match self.advance().await {
                    Ok(true) => {
                        self.measured.resumed();
                        continue;
                    }
                    Ok(false) => return Ok(None),
                    Err(given_up) => return Err(self.broken(given_up)),
                }
            };
            match body.bytes.next().await {
                Some(Ok(bytes)) => {
                    let sent = bytes.len() as u64;
                    body.bill.bytes += sent;
                    self.delivery.sent(sent);
                    self.measured.sent(sent);
                    return Ok(Some(bytes));
                }
                None if self.delivery.next() == Step::Done => return Ok(None),
                None => self.lost(Failure::Passing, "the answer of a store ended too early".to_owned()),
                Some(Err(error)) => {
                    let NotRead { how, why } = error.into();
                    self.lost(how, why);
                }
            }
        }
    }

    /// The replica that is read does not go on.
    fn lost(&mut self, how: Failure, why: String) {
        if let Some(Body { from, .. }) = self.body.take() {
            self.pass_over(&from, NotRead { how, why });
        }
    }

    fn pass_over(&mut self, from: &Source, NotRead { how, why }: NotRead) {
        tracing::debug!(data_set = %self.object.data_set, node = %from.node, why, "read from another replica, if there is one");
        if how == Failure::Passing {
            self.shared.ways.forget(from.node);
        }
        self.delivery.failed(from, how);
        self.why = Some(why);
    }

    /// Until there are bytes to be sent; `false`: there are none any more.
    async fn advance(&mut self) -> Result<bool, GivenUp> {
        loop {
            match self.delivery.next() {
                Step::Done => return Ok(false),
                Step::GiveUp(why) => return Err(why),
                Step::Read { from, range } => match read(&self.shared, &self.view, &self.object, &from, range).await {
                    Ok(bytes) => {
                        let (world, view) = (self.shared.world.clone(), self.view.clone());
                        let bill = Bill { world, view, node: from.node, bytes: 0 };
                        self.body = Some(Body { from, bytes, bill });
                        return Ok(true);
                    }
                    Err(failed) => self.pass_over(&from, failed),
                },
                Step::Look { after } => {
                    tokio::time::sleep(after).await;
                    if let Some(view) = self.shared.catalogue.look(&self.object.data_set, Some(&self.view)).await {
                        self.view = view;
                    }
                    let is_current = self.view.version.sha256 == self.object.version;
                    self.delivery.looked(self.object.sources(&self.view, &self.shared.ways), is_current);
                }
            }
        }
    }

    fn broken(&mut self, given_up: GivenUp) -> io::Error {
        self.measured.failed();
        let why = match given_up {
            GivenUp::Superseded => "its owner has written another version, and no replica holds this one any more",
            GivenUp::Unreadable => self.why(),
        };
        let Object { data_set, below, .. } = &self.object;
        tracing::warn!(%data_set, object = below, why, "an answer ends before its object does");
        io::Error::other(why.to_owned())
    }
}

/// From this replica, if it has the object.
async fn read(
    shared: &Shared,
    view: &View,
    object: &Object,
    from: &Source,
    range: Range<u64>,
) -> Result<ByteStream, NotRead> {
    let passing = |why| NotRead { how: Failure::Passing, why };
    let store = shared.ways.to(view, from.node).await.map_err(|error| passing(chain(&error)))?;
    let Object { data_set, below, bytes, sha256, .. } = object;
    let (key, etag) = match below {
        None => (from.object_key.clone(), from.etag.clone()),
        Some(below) => {
            let manifest = shared.catalogue.manifest(data_set, from, store.clone()).await?;
            let entry = manifest.get(below).filter(|entry| entry.sha256.to_string() == *sha256);
            let Some(entry) = entry else {
                let why = format!("the replica on node {} has another `{below}`", from.node);
                return Err(NotRead { how: Failure::Lasting, why });
            };
            (replica_key(from, below), entry.etag.as_deref().map(str::to_owned))
        }
    };
    Ok(store.read_range(&key, range, &Content { bytes: *bytes, etag }).await?.bytes)
}

/// Where an object of a set lies in a replica.
fn replica_key(from: &Source, below: &str) -> String {
    match SetKeys::by_manifest(&from.object_key) {
        Some(keys) => keys.object(below),
        None => below.to_owned(),
    }
}
