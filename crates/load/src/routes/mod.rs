//! Where the requests of a service go while it may change.
//!
//! | file | holds |
//! |---|---|
//! | `routed` | a service that has a record at the moment, or has none |
//! | `followed` | services that follow their records in the shared table: what is done about what is seen there |
//! | `follow` | looking there |

mod follow;
mod followed;
mod routed;

pub use follow::{LOOKS_EVERY, Shared, follow, lock};
pub use followed::{Followed, Misses, News};
pub use routed::Routed;
