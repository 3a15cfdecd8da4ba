//! The first replica: generated (or found), verified, and only then in the catalogue.

use crate::data::blood_tests::BloodTests;
use crate::knowledge::Knowledge;
use crate::storage::ObjectStore;
use crate::storage::transfer::{Expected, verify};
use agent_core::clock::TimeScale;
use agent_core::config::settings::DataSetSettings;
use agent_core::domain::placement::DataSet;
use agent_core::domain::saga::object_key_for;
use agent_core::domain::validators::Validators;
use anyhow::{Context as _, bail};
use futures::{StreamExt as _, TryStreamExt as _};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// What the settings generate at a time scale, with its size and checksum.
async fn generated(settings: &DataSetSettings, records: u64) -> anyhow::Result<DataSet> {
    let generated = tokio::task::spawn_blocking(move || BloodTests::new(records).generate(std::io::sink())).await??;
    Ok(DataSet {
        name: settings.name.clone(),
        object_key: settings.object_key.clone(),
        bytes: generated.bytes,
        records,
        sha256: generated.sha256,
    })
}

/// The user's own object, as it lies in the store. How many records it has is not known: jobs report what they read.
async fn found(settings: &DataSetSettings, store: &dyn ObjectStore) -> anyhow::Result<(DataSet, Validators)> {
    let key = &settings.object_key;
    let Some(object) = store.info(key).await? else {
        bail!(
            "{}: there is no object `{key}`; upload data set {} there, or set generate_records in network.toml",
            store.address(),
            settings.name
        );
    };
    let body = if object.bytes == 0 {
        futures::stream::empty().boxed()
    } else {
        store.read_range(key, 0..object.bytes, &object.content()).await?.bytes
    };
    let sha256 = body.try_fold(Sha256::new(), async |sum, piece| Ok(sum.chain_update(&piece))).await?;
    let (name, object_key) = (settings.name.clone(), key.clone());
    let data_set =
        DataSet { name, object_key, bytes: object.bytes, records: 0, sha256: hex::encode(sha256.finalize()) };
    Ok((data_set, object.validators))
}

/// What the settings describe at a time scale.
pub async fn describe(
    settings: &DataSetSettings,
    scale: TimeScale,
    store: &dyn ObjectStore,
) -> anyhow::Result<DataSet> {
    match settings.generate_records {
        Some(records) => generated(settings, scale.shrink(records)).await,
        None => Ok(found(settings, store).await?.0),
    }
}

/// Uploads a generated data set under a key, unless a verified copy lies there already.
async fn upload(store: &dyn ObjectStore, key: &str, data_set: &DataSet) -> anyhow::Result<Validators> {
    let expected = Expected { bytes: data_set.bytes, sha256: data_set.sha256.clone() };
    let there = store.info(key).await?.is_some_and(|object| object.bytes == data_set.bytes);
    if there && let Ok(verified) = verify(store, key, &expected).await {
        return Ok(verified.validators().clone());
    }
    let pieces = BloodTests::new(data_set.records).pieces(0..data_set.bytes);
    store.write(key, data_set.bytes, futures::stream::iter(pieces.map(Ok)).boxed()).await?;
    let verified = verify(store, key, &expected).await;
    let verified = verified.with_context(|| format!("{}: the upload of `{key}`", store.address()))?;
    Ok(verified.validators().clone())
}

/// Puts the first replica where the settings say and into the catalogue. Does nothing when the catalogue has the data set.
pub async fn establish(
    settings: &DataSetSettings,
    scale: TimeScale,
    store: &dyn ObjectStore,
    knowledge: &Arc<dyn Knowledge>,
) -> anyhow::Result<()> {
    if knowledge.snapshot(&settings.name).await?.is_some() {
        return Ok(());
    }
    let (data_set, key, validators) = match settings.generate_records {
        Some(records) => {
            let data_set = generated(settings, scale.shrink(records)).await?;
            // Under a key of its own, as every replica: deleting this one can never delete a later one on the same node.
            let key = object_key_for(&data_set.object_key, "first");
            let validators = upload(store, &key, &data_set).await?;
            (data_set, key, validators)
        }
        None => {
            let (data_set, validators) = found(settings, store).await?;
            let key = data_set.object_key.clone();
            (data_set, key, validators)
        }
    };
    knowledge.register_data_set(&data_set, settings.first_node, &key, &validators).await?;
    Ok(())
}
