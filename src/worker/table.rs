//! What a worker says to the shared table, in order, and what it hears from it.

use crate::actors::{World, chain};
use agent_batch::job::Attempt;
use agent_batch::queue::report::{Report, What};
use agent_batch::queue::worker::Beat;
use agent_batch::table::{BatchTable, carry_out};
use agent_batch::worker::Input;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

/// How often it is looked whether there is news, on the wall.
pub const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A worker says that it is there so often in a lease.
const BEATS: u32 = 4;
/// How often what is in use is kept, of the scenario.
const SAMPLES_EVERY: Duration = Duration::from_secs(60);
/// Before what could not be said is said again.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

#[derive(Clone)]
pub struct Talk {
    pub world: Arc<World>,
    pub table: Arc<dyn BatchTable>,
    pub lease: Duration,
}

/// Something about an attempt.
pub struct Said {
    pub attempt: Attempt,
    pub what: What,
}

impl Talk {
    /// Says one thing after the other, each until it is heard. `room`: a task has ended, so that others may have room.
    pub async fn report(
        self,
        mut said: mpsc::UnboundedReceiver<Said>,
        inputs: mpsc::UnboundedSender<Input>,
        room: Arc<Notify>,
    ) {
        let mut troubled = Trouble::default();
        while let Some(Said { attempt, what }) = said.recv().await {
            let makes_room = matches!(what, What::Ended { .. } | What::Resized(_));
            let is_heard = loop {
                let report = Report {
                    node: self.world.home,
                    life: self.world.identity.life.clone(),
                    task: attempt.task,
                    attempt: attempt.number,
                    what: what.clone(),
                };
                match carry_out(self.table.as_ref(), report).await {
                    Ok(is_heard) => break is_heard,
                    Err(error) => troubled.tell(&self.world, &format!("task {}: {}", attempt.task, chain(&error))),
                }
                tokio::time::sleep(AGAIN_AFTER).await;
            };
            troubled = Trouble::default();
            if !is_heard {
                // Whoever would hear it has ended with this task.
                let _ended = inputs.send(Input::Late { attempt });
            }
            if makes_room {
                room.notify_one();
            }
        }
    }

    /// Hears what this worker holds, whenever there is news; and says that it is there.
    pub async fn listen(self, inputs: mpsc::UnboundedSender<Input>, news: watch::Sender<i64>) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let beat_every = self.world.clock.apply(self.lease) / BEATS;
        let (mut revision, mut beaten, mut sampled) = (None, None::<Instant>, None);
        let mut troubled = Trouble::default();
        loop {
            looks.tick().await;
            let seen = match self.table.revision().await {
                Ok(seen) => seen,
                Err(error) => {
                    troubled.tell(&self.world, &chain(&error));
                    continue;
                }
            };
            news.send_if_modified(|known| std::mem::replace(known, seen) != seen);
            if Some(seen) == revision && beaten.is_some_and(|at| at.elapsed() < beat_every) {
                continue;
            }
            // From before it is asked: what is counted from later might be too long.
            let (asked_at, now) = (Instant::now(), self.world.clock.now());
            let samples = sampled.is_none_or(|at| now.since(at) >= SAMPLES_EVERY);
            let (node, life) = (self.world.home, self.world.identity.life.clone());
            let input = match carry_out(self.table.as_ref(), Beat { node, life, lease: self.lease, samples }).await {
                Ok(Some(assignments)) => Input::Held { assignments, until: now + self.lease },
                Ok(None) => Input::Disowned,
                Err(error) => {
                    troubled.tell(&self.world, &chain(&error));
                    continue;
                }
            };
            (revision, beaten, troubled) = (Some(seen), Some(asked_at), Trouble::default());
            if samples {
                sampled = Some(now);
            }
            if inputs.send(input).is_err() {
                return;
            }
        }
    }
}

/// Told once as long as it lasts.
#[derive(Default)]
pub struct Trouble {
    is_told: bool,
}

impl Trouble {
    pub fn tell(&mut self, world: &World, what: &str) {
        if !std::mem::replace(&mut self.is_told, true) {
            world.trouble(format!("batch: {what}; tried again"));
        }
    }
}
