//! Experiments of membership: networks that come to know each other, and what that takes.
//!
//! Reading order: `grid` (which runs there are, and which are left to do), `setting` (what a run begins with, of virtual networks
//! and real ones alike), `virtual_network` (one in virtual time), `figures` (what a run came to), `history` (what nodes keep of what
//! they hear). Real networks need a runtime, so the program makes them, and hands in what it [`Observed`].

mod figures;
mod grid;
mod history;
mod setting;
mod virtual_network;

pub use figures::{Observed, results};
pub use grid::{NetworkCell, cells, plan};
pub use setting::{Setting, ages_are_taken, asked};
pub use virtual_network::simulate;
