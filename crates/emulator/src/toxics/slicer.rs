//! `slicer`: data comes in small pieces, with a pause after each.

use super::super::queue::Content;
use super::{Memory, Queue, Step, pass, wait_until};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// Pieces have `average_size` bytes, plus or minus up to `size_variation`, uniformly; at an average of 0 data stays in one
/// piece. `delay` is in microseconds.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Slicer {
    pub average_size: i64,
    pub size_variation: i64,
    pub delay: i64,
}

impl Slicer {
    pub fn check(&self) -> Result<(), String> {
        if self.average_size < 0 {
            return Err(format!("average_size: {} is below 0 bytes", self.average_size));
        }
        if !(0..=self.average_size).contains(&self.size_variation) {
            let (variation, average) = (self.size_variation, self.average_size);
            return Err(format!("size_variation: {variation} is not from 0 to average_size, {average}"));
        }
        Ok(())
    }

    /// `memory.last` is when the last piece left.
    pub fn step(&self, memory: &mut Memory, inbox: &mut Queue, now: Instant) -> Step {
        let Some(Content::Data(_)) = inbox.front().map(|front| &front.content) else { return pass(inbox) };
        let pause = Duration::from_micros(self.delay.max(0).unsigned_abs());
        if let Some(wait) = memory.last.and_then(|last| wait_until(last, pause, now)) {
            return wait;
        }
        memory.last = Some(now);
        inbox.pop_up_to(self.piece_bytes()).map_or(Step::Idle, Step::Pass)
    }

    fn piece_bytes(&self) -> usize {
        if self.average_size == 0 {
            return usize::MAX;
        }
        let smallest = (self.average_size - self.size_variation).max(1);
        let largest = self.average_size.saturating_add(self.size_variation);
        usize::try_from(rand::random_range(smallest..=largest)).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, ms, refusal};
    use serde_json::json;
    use std::time::Duration;

    #[test]
    fn pieces_pause() {
        let mut bench = Bench::new("slicer", json!({"average_size": 3, "delay": 1500}));
        bench.arrives("0123456").ends();
        assert_eq!(bench.step(), "012");
        assert_eq!(bench.step(), "wait: 1.5");
        assert_eq!(bench.at(Duration::from_micros(1500)).step(), "345");
        assert_eq!(bench.at(ms(3)).step(), "6");
        assert_eq!(bench.step(), "end: Finished");
    }

    #[test]
    fn without_a_size_data_stays_in_one_piece() {
        let mut bench = Bench::new("slicer", json!({}));
        bench.arrives("0123456").arrives("7").ends();
        assert_eq!((bench.step(), bench.step(), bench.step()), ("0123456".into(), "7".into(), "end: Finished".into()));
    }

    #[test]
    fn sizes_vary_within_their_bounds_and_nothing_is_lost() {
        let text = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";
        for _ in 0..50 {
            let mut bench = Bench::new("slicer", json!({"average_size": 5, "size_variation": 2}));
            bench.arrives(text);
            let pieces: Vec<String> =
                std::iter::from_fn(|| Some(bench.step()).filter(|piece| piece != "idle")).collect();
            let (_last, others) = pieces.split_last().unwrap();
            assert!(others.iter().all(|piece| (3..=7).contains(&piece.len())), "{pieces:?}");
            assert_eq!(pieces.concat(), text);
        }
    }

    #[test]
    fn sizes_that_mean_nothing_are_refused() {
        for (attributes, why) in [
            (json!({"average_size": -1}), "average_size: -1 is below 0 bytes"),
            (json!({"size_variation": 1}), "size_variation: 1 is not from 0 to average_size, 0"),
            (json!({"average_size": 5, "size_variation": 6}), "size_variation: 6 is not from 0 to average_size, 5"),
            (json!({"average_size": 5, "size_variation": -1}), "size_variation: -1 is not from 0 to average_size, 5"),
        ] {
            assert_eq!(refusal("slicer", attributes), why);
        }
    }
}
