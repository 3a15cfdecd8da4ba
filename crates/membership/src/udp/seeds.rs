//! Seeds' names, resolved again and again.

use super::{Command, Told};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::mpsc;

/// Names that resolved are asked again after this; an address may move.
const RESOLVED: Duration = Duration::from_secs(60);
/// While one does not resolve.
const UNRESOLVED: Duration = Duration::from_secs(5);
/// Addresses of one name.
const MAX_ADDRESSES: usize = 64;

/// Tells the member where its seeds are, until it ends.
pub(super) fn watch(seeds: Vec<String>, inputs: mpsc::WeakSender<Command>, told: mpsc::Sender<Told>) {
    if seeds.is_empty() {
        return;
    }
    tokio::spawn(async move {
        let are_addresses = seeds.iter().all(|seed| seed.parse::<SocketAddr>().is_ok());
        let mut unresolved = BTreeSet::new();
        let mut known = BTreeSet::new();
        loop {
            let found = resolve(&seeds, &mut unresolved, &told).await;
            let Some(inputs) = inputs.upgrade() else { return };
            if found != known {
                let addresses = found.iter().copied().collect();
                if inputs.send(Command::Resolved(addresses)).await.is_err() || are_addresses {
                    return;
                }
                known = found;
            }
            drop(inputs);
            tokio::time::sleep(if unresolved.is_empty() { RESOLVED } else { UNRESOLVED }).await;
        }
    });
}

async fn resolve(
    seeds: &[String],
    unresolved: &mut BTreeSet<String>,
    told: &mpsc::Sender<Told>,
) -> BTreeSet<SocketAddr> {
    let mut found = BTreeSet::new();
    for seed in seeds {
        // Addresses are their own answer, without a question to anybody.
        if let Ok(address) = seed.parse::<SocketAddr>() {
            found.insert(address);
            continue;
        }
        match tokio::net::lookup_host(seed.as_str()).await {
            Ok(addresses) => {
                found.extend(addresses.take(MAX_ADDRESSES));
                unresolved.remove(seed);
            }
            Err(error) => {
                if unresolved.insert(seed.clone()) {
                    let problem = error.to_string();
                    if let Err(error) = told.try_send(Told::Unresolved { seed: seed.clone(), problem }) {
                        tracing::debug!(%error, seed, "a seed does not resolve");
                    }
                }
            }
        }
    }
    found
}
