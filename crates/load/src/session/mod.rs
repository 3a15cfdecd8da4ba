//! One load host in this process, steered while it runs: what a shell, a script or a call asks for is done here.
//!
//! | file | holds |
//! |---|---|
//! | `verbs` | the session, and what each verb does |
//! | `script` | verbs one after another, from a file |
//! | `routes` | the routing records that are its own, and what follows them |
//! | `shared` | the records and experiments of a table that others share |
//! | `group` | the clients of one service, and the rate that they share |
//! | `experiment` | what is marked in time |
//! | `completion` | how a line that is being typed may go on |
//! | `answer`, `refused` | what a verb came to, for people and for machines; why it was not done |
//!
//! Every client is on this one host.

mod answer;
mod completion;
mod experiment;
mod group;
mod refused;
mod routes;
mod script;
mod shared;
mod verbs;

pub use answer::{Answer, ClientAnswer, Form, HostAnswer, Info};
pub use completion::{Completion, complete};
pub use experiment::{MARKERS_MAX, Marker, Moment};
pub use refused::Refused;
pub use routes::SERVICES_MAX;
pub use script::NESTED_MAX;
pub use shared::SharedTable;
pub use verbs::{Session, Settings};
