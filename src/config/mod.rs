//! From files as written to settings as meant: `fragment` (wire types) -> `network`, `agent` (validation) -> [`settings`].
//!
//! [`load`] is the only way to get [`Settings`](settings::Settings); it reports every problem it finds, not only the first.
//! What each field means is in `docs/configuration.md`.

mod agent;
mod defaults;
mod description;
pub mod environment;
mod fragment;
mod knowledge;
mod load;
mod network;
mod problem;
mod quantity;
mod secrecy;
pub mod settings;

pub use description::{Description, describe};
pub use knowledge::knowledge;
pub use load::{Vocabulary, load};
pub use problem::{ConfigError, Invalid, Problem};
