//! What a task has written down: one object in the store of a node, with its hash, and back into a folder elsewhere.

use crate::actors::{World, chain};
use crate::storage::Content;
use agent_batch::job::{Attempt, Saved};
use agent_core::domain::ids::NodeId;
use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use sha2::{Digest as _, Sha256};
use std::fs;
use std::io::Cursor;
use std::path::Path;

/// More than this is no state, but data \[bytes\].
const STATE_MAX: u64 = 1 << 30;

/// What former lives' tasks left in their folder.
pub fn clear(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{}: what former tasks left cannot be removed", folder.display()))
        }
        _ => fs::create_dir_all(folder).with_context(|| folder.display().to_string()),
    }
}

/// Puts a task's state into the store of this node.
pub async fn save(world: &World, attempt: Attempt, written: &Path) -> anyhow::Result<Saved> {
    ensure!(written.is_dir(), "it wrote no folder `{}`", written.display());
    let packed = pack(written).await?;
    ensure!(packed.len() as u64 <= STATE_MAX, "its state is larger than {STATE_MAX} bytes");
    let sha256 = hex::encode(Sha256::digest(&packed));
    let object_key = format!("agent-batch/{}-{}-{}.tar", attempt.task, attempt.number, &sha256[..16]);
    let bytes = packed.len() as u64;
    let store = store(world, world.home).await?;
    let body = stream::iter([Ok(packed)]).boxed();
    store.write(&object_key, bytes, body).await?;
    Ok(Saved { node: world.home, object_key, sha256, bytes, at: world.clock.now() })
}

/// Puts it into a folder, from whatever node it lies at.
pub async fn restore(world: &World, saved: &Saved, into: &Path) -> anyhow::Result<()> {
    let store = store(world, saved.node).await?;
    let info = store.info(&saved.object_key).await?.with_context(|| format!("`{}` is gone", saved.object_key))?;
    let content: Content = info.content();
    ensure!(
        info.bytes == saved.bytes && saved.bytes <= STATE_MAX,
        "`{}` is {} bytes long now",
        saved.object_key,
        info.bytes
    );
    let mut packed = Vec::new();
    let mut body = store.read_range(&saved.object_key, 0..saved.bytes, &content).await?.bytes;
    while let Some(part) = body.next().await {
        packed.extend_from_slice(&part?);
        ensure!(packed.len() as u64 <= saved.bytes, "`{}` is longer than it says", saved.object_key);
    }
    if hex::encode(Sha256::digest(&packed)) != saved.sha256 {
        bail!("`{}` is not what was written", saved.object_key);
    }
    unpack(packed, into).await
}

/// It is of no use any more.
pub async fn forget(world: &World, saved: &Saved) {
    let deleted = async { anyhow::Ok(store(world, saved.node).await?.delete(&saved.object_key).await?) };
    if let Err(error) = deleted.await {
        world.trouble(format!("the state `{}` at node {} stays: {error:#}", saved.object_key, saved.node));
    }
}

async fn store(world: &World, node: NodeId) -> anyhow::Result<std::sync::Arc<dyn crate::storage::ObjectStore>> {
    let nodes = world.knowledge.nodes().await?;
    let row = nodes.get(&node).with_context(|| format!("there is no node {node}"))?;
    let reached = world.reach.reach_beside(row, std::time::Duration::ZERO).await;
    Ok(reached.map_err(|error| anyhow::anyhow!(chain(&error)))?.store)
}

async fn pack(folder: &Path) -> anyhow::Result<Bytes> {
    let folder = folder.to_owned();
    tokio::task::spawn_blocking(move || {
        let mut archive = tar::Builder::new(Vec::new());
        // Never what a link in it leads to: that may be anybody's.
        archive.follow_symlinks(false);
        archive.append_dir_all("", &folder).with_context(|| folder.display().to_string())?;
        Ok(Bytes::from(archive.into_inner()?))
    })
    .await?
}

async fn unpack(packed: Vec<u8>, into: &Path) -> anyhow::Result<()> {
    let into = into.to_owned();
    tokio::task::spawn_blocking(move || {
        fs::create_dir_all(&into)?;
        // It refuses names that lead out of the folder.
        tar::Archive::new(Cursor::new(packed)).unpack(&into).with_context(|| into.display().to_string())
    })
    .await?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_state_comes_out_as_it_went_in() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir_all(from.join("deep")).unwrap();
        fs::write(from.join("deep/step"), "41").unwrap();
        unpack(pack(&from).await.unwrap().to_vec(), &to).await.unwrap();
        assert_eq!(fs::read_to_string(to.join("deep/step")).unwrap(), "41");
    }
}
