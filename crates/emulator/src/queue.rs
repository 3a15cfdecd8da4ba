//! Bytes in flight: what was read and when, in order, with a bound.

use bytes::Bytes;
use std::collections::VecDeque;
use std::time::Instant;

/// How a direction of a connection ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The sender has no more to say: pass that on, leave the other direction open.
    Finished,
    /// Close the connection.
    Close,
    /// Close the connection with a TCP reset.
    Reset,
}

/// What travels through a chain of toxics.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    Data(Bytes),
    End(End),
}

/// A piece of the stream and when it came here: from the socket, or out of the toxic before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    pub at: Instant,
    pub content: Content,
}

/// Bytes that one item is counted with besides its data: its entry here and its share of the block it was read into.
const ITEM_BYTES: usize = 64;

/// Items in order. It takes whatever it is given; who gives asks first whether there is room.
#[derive(Debug)]
pub struct Queue {
    items: VecDeque<Item>,
    /// Data and bookkeeping of all items.
    bytes: usize,
    capacity: usize,
}

impl Queue {
    /// A queue that has room until it holds `capacity` bytes, so that it never holds more than that and one item.
    pub fn new(capacity: usize) -> Self {
        Self { items: VecDeque::new(), bytes: 0, capacity }
    }

    pub fn has_room(&self) -> bool {
        self.bytes < self.capacity
    }

    pub fn front(&self) -> Option<&Item> {
        self.items.front()
    }

    pub fn push(&mut self, item: Item) {
        self.bytes += weight(&item);
        self.items.push_back(item);
    }

    pub fn pop(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        self.bytes -= weight(&item);
        Some(item)
    }

    /// At most the first `limit` bytes (at least 1) of the item in front, the rest staying in front; an end as it is.
    pub fn pop_up_to(&mut self, limit: usize) -> Option<Item> {
        match self.items.front_mut() {
            Some(Item { at, content: Content::Data(data) }) if data.len() > limit.max(1) => {
                let piece = data.split_to(limit.max(1));
                self.bytes -= piece.len();
                Some(Item { at: *at, content: Content::Data(piece) })
            }
            _ => self.pop(),
        }
    }

    /// Drops the first `count` bytes of the item in front, which has more than that.
    pub fn advance_front(&mut self, count: usize) {
        self.pop_up_to(count);
    }

    /// Appends all of `other`'s items.
    pub fn take_all(&mut self, mut other: Queue) {
        while let Some(item) = other.pop() {
            self.push(item);
        }
    }
}

fn weight(item: &Item) -> usize {
    let data = match &item.content {
        Content::Data(data) => data.len(),
        Content::End(_) => 0,
    };
    ITEM_BYTES + data
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(text: &'static str) -> Item {
        Item { at: Instant::now(), content: Content::Data(Bytes::from_static(text.as_bytes())) }
    }

    #[test]
    fn room_ends_at_the_capacity_and_returns() {
        let mut queue = Queue::new(ITEM_BYTES + 6);
        queue.push(data("hello"));
        assert!(queue.has_room());
        queue.push(data("world"));
        assert!(!queue.has_room());
        queue.pop();
        queue.pop();
        assert_eq!(queue.bytes, 0);
    }

    #[test]
    fn an_item_is_taken_in_pieces() {
        let mut queue = Queue::new(1000);
        queue.push(data("hello"));
        let pieces: Vec<_> = std::iter::from_fn(|| queue.pop_up_to(2)).map(|item| item.content).collect();
        assert_eq!(pieces, ["he", "ll", "o"].map(|text| Content::Data(Bytes::from_static(text.as_bytes()))));
        assert_eq!(queue.bytes, 0);
    }
}
