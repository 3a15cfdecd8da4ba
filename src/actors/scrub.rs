//! Reading every byte of what lies on an agent's own node now and then: bytes rot under the same ETag.

use super::inspection::{Depth, judge_in};
use super::world::{World, chain};
use crate::storage::paced::{Pace, Paced};
use std::sync::Arc;
use std::time::Duration;

/// How often, in scenario time, and how fast \[bytes in a second on the wall\].
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Scrub {
    pub every: Duration,
    pub bytes_per_s: u64,
}

/// Reads each present replica on the agent's own node, whoever reads it, and states what is found.
pub(super) async fn scrub(world: &World, scrub: Scrub) -> crate::knowledge::Result<()> {
    let pace = Pace::new(scrub.bytes_per_s);
    for name in world.knowledge.data_sets().await? {
        let Some(snapshot) = world.knowledge.snapshot(&name).await? else { continue };
        let Some(row) = snapshot.placement.present().find(|row| row.node == world.home) else { continue };
        let judged = match world.reach(&snapshot, world.home).await {
            Ok(reached) => {
                let store = Arc::new(Paced::new(reached.store, pace.clone()));
                judge_in(world, store, &snapshot, row, Depth::Read).await
            }
            Err(error) => Err(chain(&error)),
        };
        match judged {
            Ok(condition) => tracing::debug!(agent = %world.agent, data_set = %name, ?condition, "scrubbed"),
            Err(why) => tracing::debug!(agent = %world.agent, data_set = %name, why, "was not scrubbed"),
        }
    }
    Ok(())
}
