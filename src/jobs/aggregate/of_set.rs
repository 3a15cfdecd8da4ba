//! All objects of a set, as its manifest names them: several are read at once, and what they come to is merged in the order of their
//! keys, so that the result does not depend on which of them came first.

use super::AggregateJob;
use super::parse::Totals;
use crate::jobs::{DataSource, JobError};
use crate::storage::set::SetAt;
use agent_core::domain::manifest::{Entry, SetKeys};
use futures::stream::{FuturesOrdered, StreamExt as _};

/// Objects that are read at the same time (I-7), as programs do that have as many tasks.
const OBJECTS_AT_ONCE: usize = 8;

impl AggregateJob {
    pub(super) async fn totals_of_set(&self, source: &DataSource, keys: SetKeys) -> Result<Totals, JobError> {
        let at = SetAt::new(source.store.clone(), keys);
        let held = at.manifest_of(&source.sha256).await?;
        // Empty ones are markers: that a writer has finished, for one.
        let mut objects = held.manifest.objects().iter().filter(|object| object.bytes > 0);
        let (mut all, mut reading) = (Totals::new(self.expression.function()), FuturesOrdered::new());
        loop {
            let wanted = OBJECTS_AT_ONCE - reading.len();
            objects
                .by_ref()
                .take(wanted)
                .for_each(|object| reading.push_back(self.totals_of_one(source, &at.keys, object)));
            match reading.next().await {
                Some(totals) => all.merge(totals?),
                None => return Ok(all),
            }
        }
    }

    async fn totals_of_one(&self, source: &DataSource, keys: &SetKeys, object: &Entry) -> Result<Totals, JobError> {
        self.totals(&of_one(source, keys, object)).await
    }
}

fn of_one(source: &DataSource, keys: &SetKeys, object: &Entry) -> DataSource {
    DataSource {
        object_key: keys.object(&object.key),
        etag: object.etag.as_deref().map(str::to_owned),
        sha256: object.sha256.to_string(),
        bytes: object.bytes,
        ..source.clone()
    }
}
