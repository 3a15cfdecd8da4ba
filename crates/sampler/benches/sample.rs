//! What a sample costs: an agent takes one with each round.
//!
//! ```text
//! cargo bench -p agent-sampler --bench sample
//! ```

#[path = "../../../benches/asked/mod.rs"]
mod asked;

use agent_sampler::Sampler;
use asked::{Asked, asked};
use std::time::Instant;

fn main() {
    let samples = match asked("sample") {
        Asked::Everything => 10_000,
        Asked::AMoment => 10,
        Asked::Nothing => return,
    };
    let mut sampler = Sampler::new("/");
    let start = Instant::now();
    for _ in 0..samples {
        let sample = sampler.sample(Instant::now());
        assert!(sample.memory.is_some() && sample.disk.is_some(), "{sample:?}");
    }
    println!("{samples} samples, {} µs each", (start.elapsed() / samples).as_micros());
}
