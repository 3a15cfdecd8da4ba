//! From files as written to settings as meant: `fragment` (wire types) -> `network`, `agent`, `job` (validation) -> [`settings`].
//!
//! [`load`] is the only way to get [`Settings`](settings::Settings); it reports every problem it finds, not only the first.
//! What each field means is in `docs/configuration.md`.

mod addition;
mod agent;
mod constraints;
mod defaults;
mod description;
pub mod environment;
pub mod experiment;
mod fragment;
mod job;
mod knowledge;
mod load;
mod membership;
mod network;
mod new_agent;
mod new_network;
mod objects;
mod prices;
mod problem;
pub mod quantity;
pub mod scenario;
mod secrecy;
pub mod settings;
mod worker;

pub use addition::{Addition, read_addition};
pub use agent::{known_policy, overridden, parsed_goal};
pub use description::{Description, describe};
pub use fragment::{Guide, parse_by};
pub use knowledge::knowledge;
pub use load::{Vocabulary, load, load_all};
pub use new_agent::{Draft, NewAgent, draft};
pub use new_network::{NewDataSet, NewJob, NewNetwork, NewNode, Outline};
pub use objects::{own_key, prefix};
pub use problem::{ConfigError, Invalid, Problem, Problems, Unwritten};
