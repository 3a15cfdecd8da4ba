//! What waits is given its places, by every worker's agent. Whoever made room looks at once; the others wait a moment, so that not
//! all of them do the same.

use super::table::{LOOK_EVERY, Talk, Trouble};
use crate::actors::chain;
use agent_batch::placer::placing;
use agent_batch::queue::Scope;
use agent_batch::queue::worker::Reap;
use agent_batch::table::{BatchTable, carry_out};
use agent_core::domain::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// How long somebody who made no room waits at most, for each worker that there is, and in all.
const FOR_EACH: Duration = Duration::from_millis(10);
const WAITS_AT_MOST: Duration = Duration::from_millis(500);

/// `room`: this node has made some; `news`: the queue's revision.
pub async fn place_again_and_again(talk: Talk, room: Arc<Notify>, mut news: watch::Receiver<i64>) {
    let clock = &talk.world.clock;
    let (mut next, mut workers): (Option<Timestamp>, u32) = (None, 1);
    let mut troubled = Trouble::default();
    loop {
        let due = next.map(|at| clock.apply(at.since(clock.now())).max(LOOK_EVERY));
        let made_room = tokio::select! {
            () = room.notified() => true,
            changed = news.changed() => match changed {
                Ok(()) => false,
                // Nobody listens any more.
                Err(_) => return,
            },
            () = tokio::time::sleep(due.unwrap_or_default()), if due.is_some() => false,
        };
        if !made_room {
            tokio::time::sleep(rand::random_range(Duration::ZERO..=(FOR_EACH * workers).min(WAITS_AT_MOST))).await;
        }
        match place(talk.table.as_ref()).await {
            Ok(placed) => (next, workers, troubled) = (placed.next, placed.workers, Trouble::default()),
            Err(error) => {
                troubled.tell(&talk.world, &chain(&error));
                next = Some(clock.now());
            }
        }
    }
}

/// What was found.
pub struct Placed {
    pub next: Option<Timestamp>,
    pub workers: u32,
}

/// Once.
pub async fn place(table: &dyn BatchTable) -> crate::knowledge::Result<Placed> {
    let mut queue = table.look(Scope::all()).await?;
    let mut found = placing(&queue);
    if found.reap {
        carry_out(table, Reap).await?;
        queue = table.look(Scope::all()).await?;
        found = placing(&queue);
    }
    if let Some(place) = found.place {
        carry_out(table, place).await?;
    }
    Ok(Placed { next: found.next, workers: u32::try_from(queue.workers.len()).unwrap_or(u32::MAX) })
}
