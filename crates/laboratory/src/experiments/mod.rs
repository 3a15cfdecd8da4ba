//! Experiments: the runs of a grid on all cores, and what each came to.
//!
//! Of policies; those of networks that come to know each other are in `membership`, those of users whom servers take in `offloading`. Reading order: `grid` (which runs there are), `resume` (which of them are left to do), `observer` (what is seen of one), `figures`
//! (what it came to), `laboratory` (many at once, in `parallel`). Where they are stored: `../results`.

mod figures;
pub mod grid;
mod laboratory;
pub mod membership;
mod observer;
pub mod offloading;
mod parallel;
pub mod resume;

pub use figures::simulate;
pub use grid::{Cell, Place, cells};
pub use laboratory::perform;
pub use parallel::in_parallel;
