//! The toxics of one pipe, one after another, each with a bounded queue before it and one behind the last.

use super::queue::{Content, End, Item, Queue};
use super::toxics::{Memory, Step, Stream, Toxic, pass};
use std::sync::Arc;
use std::time::Instant;

/// What may wait for the receiver: about as much as one read brings.
const OUTBOX_BYTES: usize = 64 << 10;

/// Without toxics it is a queue, which a pipe need not use; with them, items go from stage to stage as their toxics and the
/// room behind them allow.
pub struct Chain {
    stages: Vec<Stage>,
    pub outbox: Queue,
}

struct Stage {
    toxic: Arc<Toxic>,
    /// Drawn once for each connection and toxic; below the toxicity, the toxic acts.
    draw: f64,
    inbox: Queue,
    memory: Memory,
    /// It passed an end on: nothing follows.
    ended: bool,
}

impl Chain {
    pub fn new() -> Self {
        Self { stages: Vec::new(), outbox: Queue::new(OUTBOX_BYTES) }
    }

    /// Whether it does nothing and holds nothing: what comes then may go to the receiver at once, beside it.
    pub fn is_open(&self) -> bool {
        self.outbox.front().is_none() && self.stages.iter().all(Stage::is_open)
    }

    /// Whether the pipe may read more.
    pub fn has_room(&self) -> bool {
        self.stages.first().map_or(&self.outbox, |first| &first.inbox).has_room()
    }

    pub fn push(&mut self, content: Content) {
        let item = Item { at: Instant::now(), content };
        self.stages.first_mut().map_or(&mut self.outbox, |first| &mut first.inbox).push(item);
    }

    /// Lets everything go on that may; says when to look again.
    pub fn advance(&mut self) -> Option<Instant> {
        if self.stages.is_empty() {
            return None;
        }
        let now = Instant::now();
        loop {
            let (moved, wake) = self.sweep(now);
            if !moved {
                return wake;
            }
        }
    }

    /// Asks every stage once, first to last.
    fn sweep(&mut self, now: Instant) -> (bool, Option<Instant>) {
        let (mut moved, mut wake) = (false, None);
        for index in 0..self.stages.len() {
            let (before, after) = self.stages.split_at_mut(index + 1);
            let next = after.first_mut().map_or(&mut self.outbox, |stage| &mut stage.inbox);
            let Some(stage) = before.last_mut() else { continue };
            while next.has_room() {
                match stage.step(now) {
                    Step::Pass(item) => {
                        next.push(item);
                        moved = true;
                    }
                    Step::Wait(due) => {
                        wake = Some(wake.map_or(due, |earlier: Instant| earlier.min(due)));
                        break;
                    }
                    Step::Idle => break,
                }
            }
        }
        (moved, wake)
    }

    /// Makes the stages those of `toxics` in the direction `stream`. What waited for a toxic that is gone goes on at once.
    pub fn adopt(&mut self, toxics: &[Arc<Toxic>], stream: Stream) {
        self.remove_all_but(toxics);
        for toxic in toxics.iter().filter(|toxic| toxic.stream == stream) {
            match self.stages.iter_mut().find(|stage| stage.toxic.id == toxic.id) {
                Some(stage) => stage.adopt(toxic),
                None => self.stages.push(Stage::new(toxic)),
            }
        }
    }

    fn remove_all_but(&mut self, toxics: &[Arc<Toxic>]) {
        // From the last to the first, so that what is released lines up behind what is further on its way.
        for index in (0..self.stages.len()).rev() {
            if toxics.iter().any(|toxic| toxic.id == self.stages[index].toxic.id) {
                continue;
            }
            let gone = self.stages.remove(index);
            let next = self.stages.get_mut(index).map_or(&mut self.outbox, |stage| &mut stage.inbox);
            if gone.ended {
                continue;
            }
            let end = gone.toxic.kind.when_removed().filter(|_| gone.acts());
            next.take_all(gone.inbox);
            if let Some(end) = end {
                next.push(Item { at: Instant::now(), content: Content::End(end) });
            }
        }
    }
}

impl Stage {
    fn new(toxic: &Arc<Toxic>) -> Self {
        Self {
            draw: rand::random(),
            inbox: Queue::new(toxic.kind.capacity()),
            toxic: Arc::clone(toxic),
            memory: Memory::default(),
            ended: false,
        }
    }

    fn adopt(&mut self, toxic: &Arc<Toxic>) {
        if !Arc::ptr_eq(&self.toxic, toxic) {
            self.toxic = Arc::clone(toxic);
            self.memory.reconsider();
        }
    }

    fn acts(&self) -> bool {
        self.draw < f64::from(self.toxic.toxicity) && !self.toxic.kind.is_harmless()
    }

    fn is_open(&self) -> bool {
        !self.acts() && !self.ended && self.inbox.front().is_none()
    }

    fn step(&mut self, now: Instant) -> Step {
        if self.ended {
            return Step::Idle;
        }
        let step = if self.acts() {
            self.toxic.kind.step(&mut self.memory, &mut self.inbox, now)
        } else {
            pass(&mut self.inbox)
        };
        self.ended = matches!(&step, Step::Pass(Item { content: Content::End(_), .. }));
        step
    }
}

impl Chain {
    /// The end of the pipe, when everything before it has been sent.
    pub fn end(&self) -> Option<End> {
        match self.outbox.front()?.content {
            Content::End(end) => Some(end),
            Content::Data(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::toxics::{Kind, testing};
    use super::*;
    use serde_json::{Value, json};

    fn toxic(id: u64, type_name: &str, attributes: Value) -> Arc<Toxic> {
        let kind = testing::with(&Kind::named(type_name).unwrap(), &attributes).unwrap();
        Arc::new(Toxic { id, name: id.to_string(), stream: Stream::Downstream, toxicity: 1.0, kind })
    }

    fn data(text: &'static str) -> Content {
        Content::Data(text.as_bytes().into())
    }

    fn outbox(chain: &mut Chain) -> Vec<Content> {
        chain.advance();
        std::iter::from_fn(|| chain.outbox.pop()).map(|item| item.content).collect()
    }

    #[test]
    fn toxics_act_one_after_another() {
        let toxics = [toxic(1, "slicer", json!({"average_size": 2})), toxic(2, "limit_data", json!({"bytes": 3}))];
        let mut chain = Chain::new();
        chain.adopt(&toxics, Stream::Downstream);
        chain.push(data("abcdef"));
        assert_eq!(outbox(&mut chain), [data("ab"), data("c"), Content::End(End::Close)]);
        chain.push(data("g"));
        assert_eq!(outbox(&mut chain), []);
    }

    #[test]
    fn toxics_of_the_other_direction_do_nothing() {
        let mut chain = Chain::new();
        chain.adopt(&[toxic(1, "latency", json!({"latency": 1000}))], Stream::Upstream);
        chain.push(data("a"));
        assert_eq!(outbox(&mut chain), [data("a")]);
    }

    #[test]
    fn removing_toxics_releases_what_they_held_in_order() {
        let slow = json!({"latency": 1_000_000});
        let (first, second) = (toxic(1, "latency", slow.clone()), toxic(2, "latency", slow));
        let mut chain = Chain::new();
        chain.adopt(std::slice::from_ref(&second), Stream::Downstream);
        chain.push(data("a"));
        chain.adopt(&[second, first], Stream::Downstream);
        chain.push(data("b"));
        assert_eq!(outbox(&mut chain), []);
        chain.adopt(&[], Stream::Downstream);
        chain.push(data("c"));
        assert_eq!(outbox(&mut chain), [data("a"), data("b"), data("c")]);
    }

    #[test]
    fn a_connection_cannot_go_on_without_its_timeout_toxic() {
        let mut chain = Chain::new();
        chain.adopt(&[toxic(1, "timeout", json!({}))], Stream::Downstream);
        chain.push(data("swallowed"));
        assert_eq!(outbox(&mut chain), []);
        chain.adopt(&[], Stream::Downstream);
        assert_eq!(outbox(&mut chain), [Content::End(End::Close)]);
    }

    #[test]
    fn at_toxicity_zero_nothing_happens() {
        let mut harmless = Toxic::clone(&toxic(1, "timeout", json!({})));
        harmless.toxicity = 0.0;
        let mut chain = Chain::new();
        chain.adopt(&[Arc::new(harmless)], Stream::Downstream);
        chain.push(data("a"));
        assert_eq!(outbox(&mut chain), [data("a")]);
        chain.adopt(&[], Stream::Downstream);
        assert_eq!(outbox(&mut chain), []);
    }

    #[test]
    fn a_full_stage_stops_the_one_before() {
        let toxics = [toxic(1, "slow_close", json!({})), toxic(2, "bandwidth", json!({"rate": 0}))];
        let mut chain = Chain::new();
        chain.adopt(&toxics, Stream::Downstream);
        let block = vec![0; 48 << 10];
        let mut pushed = 0;
        while chain.has_room() {
            chain.push(Content::Data(block.clone().into()));
            chain.advance();
            pushed += 1;
        }
        assert_eq!(pushed, 4, "two blocks for each of the two queues of 64 KiB");
    }
}
