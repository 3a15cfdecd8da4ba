//! Experiments: the runs of a grid on all cores, what each came to, and where that is kept.
//!
//! Reading order: `grid` (which runs there are), `resume` (which of them are left to do), `observer` (what is seen of one), `figures`
//! (what it came to) with `fairness`, `laboratory` (many at once), `database` and `export` (where they are stored).

pub mod database;
pub mod export;
mod fairness;
mod figures;
pub mod grid;
mod laboratory;
mod observer;
pub mod resume;

pub use database::{Database, DatabaseError};
pub use figures::{AgentFigures, Figures, Placed, Run, Sample, simulate};
pub use grid::{Cell, Place, cells};
pub use laboratory::perform;
