//! Load hosts that are steered while they run, this process's and those that joined by the table: what a shell, a script or a call
//! asks for is done here.
//!
//! | file | holds |
//! |---|---|
//! | `verbs` | the session, and what each verb does |
//! | `script` | verbs one after another, from a file |
//! | `errand` | what one host is asked, and what it did |
//! | `local` | the host of this process |
//! | `fleet` | hosts that joined by the table: asking them, and waiting for what they say |
//! | `routing_table` | where requests go: `routes` are records of its own, `shared` those of a table that others share, with its experiments |
//! | `group` | the clients of one service, and the rate that they share |
//! | `experiment` | what is marked in time |
//! | `completion` | how a line that is being typed may go on |
//! | `answer`, `refused` | what a verb came to, for people and for machines; why it was not done |

mod answer;
mod completion;
mod errand;
mod experiment;
pub mod fleet;
mod group;
mod local;
mod refused;
mod routes;
mod routing_table;
mod script;
mod shared;
mod verbs;

pub use answer::{Answer, ClientAnswer, Form, HostAnswer, Info};
pub use completion::{Completion, complete};
pub use errand::{Did, Errand};
pub use experiment::{Mark, Marker, Moment};
pub use local::LocalHost;
pub use refused::Refused;
pub use routes::SERVICES_MAX;
pub use routing_table::RoutingTable;
pub use script::NESTED_MAX;
pub use shared::{OnTable, SharedTable};
pub use verbs::{HERE, HearsVerbs, MARKERS_MAX, Session, Settings};
