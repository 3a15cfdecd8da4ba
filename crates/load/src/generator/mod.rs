//! An open loop: every request has its intended time, and is measured from it.
//!
//! Latency counts from when a request was *meant* to start, not from when it did. A loop that waits for an answer before
//! it sends the next request asks least while the server is slowest, and so measures what no user would see.
//!
//! | file | holds |
//! |---|---|
//! | `load` | what a run is given: clients, bounds, threads |
//! | `variables`, `request` | the request that a client sends, and what varies in it |
//! | `route` | how a host is chosen |
//! | `pacer` | the order of what is due, and waiting until then |
//! | `connections`, `exchange`, `answer` | HTTP/1.1: kept-alive connections, one request on one of them, the answer's form |
//! | `flight`, `lane` | one request from its intended time until it is recorded; the thread that many share |
//! | `outcome`, `recording`, `figures` | how a request ended, what is kept of it, what a run says |
//! | `recorded` | what is kept of a whole run, to be sent and put together with what other machines recorded |
//! | `traces`, `progress` | what is told while it runs |
//! | `run` | the threads of a run |
//! | `order`, `steered`, `tally` | what threads are told while they run, whoever tells them, what one client came to |
//!
//! Plain HTTP/1.1 without TLS. The client is our own on `httparse`: it knows whether anything was sent, which decides
//! whether a request may be repeated, and when; and of a core it takes 8 us for each request where one on hyper takes
//! 11 us, most of both in the system.

mod answer;
mod connections;
mod exchange;
mod figures;
mod flight;
mod lane;
mod load;
mod order;
mod outcome;
mod pacer;
mod progress;
mod recorded;
mod recording;
mod request;
mod route;
mod run;
mod steered;
mod tally;
mod traces;
mod variables;

pub use figures::{Counted, Figures, HostFigures, ServiceFigures, TickFigures, Times};
pub use load::{Bounds, Client, Load, Numbers};
pub(crate) use order::Plan;
pub use outcome::{Kind, Outcome};
pub use progress::Progress;
pub use recorded::Recorded;
pub use request::{Template, TemplateError};
pub use route::{Route, Target};
pub use run::{Observer, RunError, record, run};
pub(crate) use steered::{Steered, Steering};
pub use traces::{Switch, Trace, Traces};
