//! Steering load while it is made: what people type, what a file says and what an experiment means are the same verbs.
//!
//! ```text
//! forms        how each verb is written, for `help` and for errors    pack         hosts for new clients
//! verb         the verbs, and how they are printed                    selection    hosts by name and labels
//! parse        a line into a verb                                     routing      changes of a routing record
//! script       a text of verbs                                        translation  an experiment into verbs
//! ```
//!
//! Nothing here performs a verb.

pub mod forms;
mod pack;
mod parse;
mod routing;
mod script;
mod selection;
mod translation;
mod verb;

pub use pack::pack;
pub use parse::{CLIENTS_MAX, REQUESTS_MAX, parse, routing as parse_routing};
pub use routing::{Change, Routing};
pub use script::{LINES_MAX, Line, Script};
pub use selection::{Pattern, Selection, label};
pub use translation::{VERBS_MAX, Workload, translate};
pub use verb::{Experiment, Verb};
