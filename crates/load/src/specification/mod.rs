//! The file that says a load: which services there are, and who sends what to them when.
//!
//! ```toml
//! name = "evening"
//! seed = 7                            # of all chance; 1 unless it is written
//! duration = "60 s"                   # needed where a client has no end of its own
//!
//! [[service]]
//! name = "shop"
//! hosts = ["127.0.0.1:8080", { address = "127.0.0.1:8081", weight = 4 }]
//! balancer = "weighted-round-robin"   # the default
//!
//! [[client]]
//! service = "shop"
//! count = 2                           # alike, each with times of its own; 1 unless it is written
//! rate = 100                          # requests/s of each; or `profile = { .. }`, or `gaps = { .. }`
//! within_ticks = "exponential"        # of a rate or profile; `constant` unless it is written
//! in_flight = 1000
//! late_after = "10 ms"
//! timeout = "10 s"
//! [client.request]
//! method = "GET"
//! path = "/items/{n}"
//! headers = { Accept = "text/plain" }
//! body = ""
//! # or an object, read by S3: s3 = { bucket = "blood_tests", key = "blood_tests.json" }
//! ```
//!
//! `hosts = "table"` leaves it to the record of the service in the table of a network, and follows that while load runs.
//!
//! A profile and gaps are written as [`agent_arrivals`] reads them; gaps may also be those of a file, `{ replay = "gaps.csv" }`,
//! with `column` and `kind = "times"`. Everything is checked before anything is sent, and all that is wrong is said at once.

mod arrivals;
mod check;
mod design;
mod load;
mod loopback;
mod profile;
mod share;
mod targets;
pub(crate) mod within_ticks;
mod written;

pub use arrivals::Arrivals;
pub use check::{CLIENTS_MAX, IN_FLIGHT_MAX};
pub use design::{Design, Drawn, DrawnCurve, SEED_MAX};
pub use load::{Balancing, Client, Hosts, Listed, Reads, Replicas, Request, S3Object, Service, Specification};
pub use loopback::{RefusedTarget, may_be_sent_to, not_allowed, refused_targets};

pub(crate) use loopback::elsewhere;
pub use profile::load_profile;
pub use share::Share;
