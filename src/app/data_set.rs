//! The first replica: generated (or found), verified, and only then in the catalogue.

use crate::actors::FIRST_VERSION;
use crate::data::blood_tests::BloodTests;
use crate::knowledge::Knowledge;
use crate::storage::ObjectStore;
use crate::storage::set::{Meter, SetAt, make};
use crate::storage::transfer::{Expected, checksum, verify};
use agent_core::clock::TimeScale;
use agent_core::config::settings::DataSetSettings;
use agent_core::domain::constraints::Guard;
use agent_core::domain::ids::DataSetName;
use agent_core::domain::manifest::{Extent, Manifest, overlap};
use agent_core::domain::placement::DataSet;
use agent_core::domain::saga::object_key_for;
use agent_core::domain::validators::Validators;
use anyhow::{Context as _, bail};
use futures::StreamExt as _;
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
        versions: Default::default(),
        guard: Default::default(),
    })
}

/// The user's own, as it lies in the store. How many records it has is not known: jobs report what they read.
async fn found(
    settings: &DataSetSettings,
    store: &Arc<dyn ObjectStore>,
    meter: &Meter,
) -> anyhow::Result<(DataSet, Validators)> {
    match Extent::of(&settings.object_key) {
        Extent::Object(_) => found_object(settings, store.as_ref()).await,
        Extent::Set(keys) => found_set(settings, &SetAt::new(store.clone(), keys), meter).await,
    }
}

/// All objects below the prefix: their manifest is written beside it, unless it lies there already.
async fn found_set(settings: &DataSetSettings, at: &SetAt, meter: &Meter) -> anyhow::Result<(DataSet, Validators)> {
    let selection = settings.selection.clone().unwrap_or_default();
    let made = make(at, selection, FIRST_VERSION, None, meter).await;
    let manifest = made.with_context(|| format!("data set {} cannot be taken into the catalogue", settings.name))?;
    let written = at.manifest().await.ok().flatten().filter(|held| held.manifest == manifest);
    let validators = match written {
        Some(held) => held.validators,
        None => at.write_manifest(&manifest).await?,
    };
    Ok((of_manifest(settings.name.clone(), at, &manifest), validators))
}

/// What the catalogue says of a set.
pub fn of_manifest(name: DataSetName, at: &SetAt, manifest: &Manifest) -> DataSet {
    DataSet {
        name,
        object_key: at.keys.manifest(),
        bytes: manifest.bytes(),
        records: 0,
        sha256: manifest.sha256().to_string(),
        versions: Default::default(),
        guard: Default::default(),
    }
}

async fn found_object(settings: &DataSetSettings, store: &dyn ObjectStore) -> anyhow::Result<(DataSet, Validators)> {
    let key = &settings.object_key;
    let Some(object) = store.info(key).await? else {
        bail!(
            "{}: there is no object `{key}`; upload data set {} there, or set generate_records in network.toml",
            store.address(),
            settings.name
        );
    };
    let sha256 = checksum(store, &object).await?;
    let (name, object_key) = (settings.name.clone(), key.clone());
    let data_set = DataSet {
        name,
        object_key,
        bytes: object.bytes,
        records: 0,
        sha256,
        versions: Default::default(),
        guard: Default::default(),
    };
    Ok((data_set, object.validators))
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

/// Puts the first replica where the settings say and into the catalogue. Does nothing when the catalogue has the data set. `meter`
/// counts what is read of the user's own objects.
pub async fn establish(
    settings: &DataSetSettings,
    scale: TimeScale,
    store: &Arc<dyn ObjectStore>,
    knowledge: &Arc<dyn Knowledge>,
    meter: &Meter,
) -> anyhow::Result<()> {
    if knowledge.snapshot(&settings.name).await?.is_some() {
        return Ok(());
    }
    refuse_overlaps(settings, knowledge.as_ref()).await?;
    let (data_set, key, validators) = match settings.generate_records {
        Some(records) => {
            let data_set = generated(settings, scale.shrink(records)).await?;
            // Under a key of its own, as every replica: deleting this one can never delete a later one on the same node.
            let key = object_key_for(&data_set.object_key, "first");
            let validators = upload(store.as_ref(), &key, &data_set).await?;
            (data_set, key, validators)
        }
        None => {
            let (data_set, validators) = found(settings, store, meter).await?;
            let key = data_set.object_key.clone();
            (data_set, key, validators)
        }
    };
    let guard = Guard { constraints: settings.constraints.clone(), paused_until: None };
    let data_set = DataSet { guard, ..data_set };
    knowledge.register_data_set(&data_set, settings.first_node, &key, &validators).await?;
    Ok(())
}

/// An object of two data sets would be moved away from one of them with the other.
async fn refuse_overlaps(settings: &DataSetSettings, knowledge: &dyn Knowledge) -> anyhow::Result<()> {
    for name in knowledge.data_sets().await? {
        let Some(snapshot) = knowledge.snapshot(&name).await? else { continue };
        let other = &snapshot.data_set.object_key;
        if overlap(&settings.object_key, other) {
            bail!(
                "the key `{}` overlaps with `{other}` of data set {name}: copies of a data set lie below its key; choose another \
                 one",
                settings.object_key
            );
        }
    }
    Ok(())
}
