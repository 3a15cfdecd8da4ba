//! How many files and connections a process may have open.

use anyhow::Context as _;
use rustix::process::{Resource, getrlimit, setrlimit};

/// Allows as many as the system does, and says how many; `None`: as many as there are. The usual limit is lower than what a load
/// or a network of many nodes has open.
pub fn allow_all() -> anyhow::Result<Option<u64>> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("the limit of open files cannot be raised")?;
    Ok(limit.maximum)
}
