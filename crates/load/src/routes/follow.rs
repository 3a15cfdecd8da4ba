//! Looking at the records in the shared table, again and again while load runs.

use super::followed::{Followed, News};
use crate::register::Scope;
use crate::table::LoadTable;
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A change is acted on after this long, and what a look takes.
pub const LOOKS_EVERY: Duration = Duration::from_millis(250);

/// What is followed, by whoever looks at the table and by whoever begins to follow a service.
pub type Shared = Mutex<Followed>;

pub fn lock(followed: &Shared) -> MutexGuard<'_, Followed> {
    // Nothing that is done with it panics half way.
    followed.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Follows the records of all services, until it is dropped.
pub async fn follow(table: &dyn LoadTable, followed: &Shared, tell: impl Fn(News)) -> Infallible {
    loop {
        tokio::time::sleep(LOOKS_EVERY).await;
        let scope = Scope::of_services(lock(followed).services());
        match table.look(scope).await {
            Ok(seen) => lock(followed).hear(&seen.entries).into_iter().for_each(&tell),
            Err(error) => lock(followed).misses(error.to_string()).into_iter().for_each(&tell),
        }
    }
}
