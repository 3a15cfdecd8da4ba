//! Events as they come, for everybody who listens: the table is read once for all of them, and only while there is somebody.

use super::wire;
use crate::knowledge::{Knowledge, Order, Selection};
use agent_core::clock::{TimeScale, WallTime};
use agent_core::domain::event::{Outcome, Window};
use agent_core::domain::ids::EventId;
use axum::body::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Notify, broadcast};

/// How often it is looked what is new, on the wall.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Of so many looks, one is at events that may still change.
const LOOKS_FOR_CHANGES: u32 = 3;
/// A sign of life for those who listen comes with each so manieth look.
const LOOKS_FOR_HEARTBEAT: u32 = 50;
/// Who is so many messages behind is too slow.
const BEHIND_AT_MOST: usize = 512;
/// Listeners at the same time.
pub const LISTENERS_AT_MOST: usize = 1500;
/// So many events are read at a time, and so many are looked at again.
const PAGE: usize = 500;

/// A message as it stands in a stream of server-sent events.
pub type Message = Bytes;

/// Tells everybody what is new.
pub struct Hub {
    knowledge: Arc<dyn Knowledge>,
    scale: TimeScale,
    messages: broadcast::Sender<Message>,
    heard: Mutex<Heard>,
    somebody: Notify,
}

/// What was told already.
#[derive(Default)]
struct Heard {
    /// Somebody listens, and is told what comes after this event.
    up_to: Option<i64>,
    /// Those that may still change, as they were told.
    open: BTreeMap<i64, wire::Event>,
}

/// One who listens.
pub struct Listening {
    pub messages: broadcast::Receiver<Message>,
    /// What comes after this event is among the messages; what came before has to be read.
    pub up_to: i64,
}

impl Hub {
    pub fn new(knowledge: Arc<dyn Knowledge>, scale: TimeScale) -> Self {
        let (messages, _) = broadcast::channel(BEHIND_AT_MOST);
        Self { knowledge, scale, messages, heard: Mutex::default(), somebody: Notify::new() }
    }

    pub fn listeners(&self) -> usize {
        self.messages.receiver_count()
    }

    /// `None`: too many listen already.
    pub async fn listen(&self) -> crate::knowledge::Result<Option<Listening>> {
        let mut heard = self.heard.lock().await;
        if self.listeners() >= LISTENERS_AT_MOST {
            return Ok(None);
        }
        let up_to = match heard.up_to {
            Some(up_to) => up_to,
            None => {
                let latest =
                    Selection { order: Order::NewestFirst, limit: 1, explained: false, ..Selection::default() };
                let latest = self.knowledge.select_events(&latest).await?.first().map_or(0, |event| event.id.0);
                *heard = Heard { up_to: Some(latest), open: self.open_until(latest).await? };
                latest
            }
        };
        let messages = self.messages.subscribe();
        self.somebody.notify_one();
        Ok(Some(Listening { messages, up_to }))
    }

    /// Events after one, up to another one, as messages; with the id of the last.
    pub async fn missed(&self, after: i64, up_to: i64) -> crate::knowledge::Result<Vec<(i64, Message)>> {
        let asked =
            Selection { after, before: up_to.saturating_add(1), limit: PAGE, explained: false, ..Selection::default() };
        let events = self.knowledge.select_events(&asked).await?;
        Ok(events.iter().map(|event| (event.id.0, self.posted(&wire::Event::new(event, self.scale)))).collect())
    }

    /// Looks and tells, for as long as it is polled.
    pub async fn run(&self) {
        let mut looks: u32 = 0;
        loop {
            if self.is_alone().await {
                self.somebody.notified().await;
                continue;
            }
            tokio::time::sleep(LOOK_EVERY).await;
            looks = looks.wrapping_add(1);
            if let Err(error) = self.look(looks).await {
                tracing::debug!(%error, "the table cannot be read for those who listen");
            }
            if looks.is_multiple_of(LOOKS_FOR_HEARTBEAT) {
                let now = serde_json::json!({"now": WallTime::now().to_string()});
                self.tell(Bytes::from(format!("event: heartbeat\ndata: {now}\n\n")));
            }
        }
    }

    /// Whether nobody listens; the next one who does begins anew.
    async fn is_alone(&self) -> bool {
        // Whoever comes holds this lock, too.
        let mut heard = self.heard.lock().await;
        let is_alone = self.listeners() == 0;
        if is_alone {
            heard.up_to = None;
        }
        is_alone
    }

    async fn look(&self, looks: u32) -> crate::knowledge::Result<()> {
        let mut heard = self.heard.lock().await;
        let Some(up_to) = heard.up_to else { return Ok(()) };
        let new = self.knowledge.events(EventId(up_to), PAGE).await?;
        for event in new {
            let told = wire::Event::new(&event, self.scale);
            heard.up_to = Some(event.id.0);
            self.tell(self.posted(&told));
            if event.window == Window::Open || event.outcome == Outcome::Running {
                heard.open.insert(told.id, told);
            }
        }
        if looks.is_multiple_of(LOOKS_FOR_CHANGES) && !heard.open.is_empty() {
            self.look_for_changes(&mut heard).await?;
        }
        Ok(())
    }

    async fn look_for_changes(&self, heard: &mut Heard) -> crate::knowledge::Result<()> {
        let before = heard.up_to.unwrap_or_default();
        let now = self.open_until(before).await?;
        let ended: Vec<i64> = heard.open.keys().filter(|id| !now.contains_key(id)).copied().collect();
        for id in ended {
            heard.open.remove(&id);
            if let Some(event) = self.knowledge.event(EventId(id)).await? {
                self.tell(self.changed(&wire::Event::new(&event, self.scale)));
            }
        }
        for (id, event) in now {
            if heard.open.get(&id) != Some(&event) {
                self.tell(self.changed(&event));
                heard.open.insert(id, event);
            }
        }
        Ok(())
    }

    /// The latest events that may still change.
    async fn open_until(&self, last: i64) -> crate::knowledge::Result<BTreeMap<i64, wire::Event>> {
        let before = last.saturating_add(1);
        let latest =
            Selection { before, order: Order::NewestFirst, limit: PAGE, explained: false, ..Selection::default() };
        let events = self.knowledge.select_events(&latest).await?;
        let open = events.iter().filter(|event| event.window == Window::Open || event.outcome == Outcome::Running);
        Ok(open.map(|event| (event.id.0, wire::Event::new(event, self.scale))).collect())
    }

    fn posted(&self, event: &wire::Event) -> Message {
        Bytes::from(format!("id: {}\nevent: posted\ndata: {}\n\n", event.id, json(event)))
    }

    /// Without an id: who comes back goes on after the last that was posted.
    fn changed(&self, event: &wire::Event) -> Message {
        Bytes::from(format!("event: changed\ndata: {}\n\n", json(event)))
    }

    fn tell(&self, message: Message) {
        // Nobody may be left to hear it.
        drop(self.messages.send(message));
    }
}

/// On one line.
fn json(event: &wire::Event) -> String {
    serde_json::to_string(event).unwrap_or_default()
}
