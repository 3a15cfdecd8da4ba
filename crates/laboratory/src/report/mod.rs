//! Pages about what was measured: an experiment's comparison of policies, how networks came to know each other, how many failures a
//! threshold bears, what requests took, or what happened in a real network.
//!
//! From data to text, without I/O: [`experiment`], [`membership`], [`offloading`], [`load`] and [`network`] hold what a page is about and write it; all are made of
//! [`table`]s (HTML and CSV alike) and of [`chart`]s (SVG). A page needs nothing but itself: its style and its little script are
//! in it, and without the script it says the same. All text is escaped by `maud`; what it takes as it is was made here.

pub mod chart;
pub mod curve;
pub mod experiment;
pub mod load;
pub mod membership;
pub mod network;
pub mod number;
pub mod offloading;
mod page;
mod palette;
pub mod placement;
pub mod statistics;
pub mod table;
