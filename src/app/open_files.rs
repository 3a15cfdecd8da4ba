//! How many files and connections a process may have open.

use anyhow::Context as _;
use rustix::process::{Resource, getrlimit, setrlimit};

/// Allows as many as the system does: every request in flight has a connection, and the usual limit is lower than that of
/// requests.
pub fn allow_all() -> anyhow::Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("the limit of open files cannot be raised")
}
