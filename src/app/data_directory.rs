//! Where an agent keeps what outlives it: `network.db`, `nodes/<id>/` with the embedded stores, what a
//! running Spark job needs, and the locks.

use crate::jobs::command::left_behind;
use agent_core::clock::TimeScale;
use agent_core::domain::ids::{AgentId, Life, NodeId};
use anyhow::{Context as _, bail};
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What `agent run` uses unless `--data` says otherwise.
pub const DEFAULT_RUN: &str = "agent-data/run";
/// What `agent demo` uses unless `--data` says otherwise.
pub const DEFAULT_DEMO: &str = "agent-data/demo";
/// The table's file, unless `network.toml` names another.
pub const DATABASE: &str = "network.db";

/// Holds the time scale of what runs here, for those who look at it.
const TIME_SCALE: &str = "time-scale";
const TASKS: &str = "tasks";

/// How often it is looked whether a directory is still there, on the wall.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Marks a directory as a demo's, so that only such a one is ever emptied.
const DEMO_MARK: &str = "this-is-a-demo";

/// Lives that began and may not have reached the table are few; of more, the oldest are forgotten (I-7).
const LIVES_NOTED: usize = 16;

/// An existing directory for one network's data on this machine.
#[derive(Clone, Debug)]
pub struct DataDirectory {
    path: PathBuf,
}

/// Held as long as its file is open; the kernel releases it even after a kill -9.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl DataDirectory {
    /// Opens a directory, making it when it is missing.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(path).with_context(|| {
            format!("{}: the data directory cannot be made; choose another with --data", path.display())
        })?;
        Ok(Self { path: path.to_owned() })
    }

    /// The directory of a network that runs or ran: as named, else whichever of the defaults was used last.
    pub fn existing(named: Option<&Path>) -> anyhow::Result<Self> {
        if let Some(path) = named {
            if !path.is_dir() {
                bail!(
                    "{}: there is no such data directory; name the one of `agent run` or `agent demo`",
                    path.display()
                );
            }
            return Ok(Self { path: path.to_owned() });
        }
        let used_at = |path: &&str| {
            let newest = ["network.db-wal", DATABASE].map(|file| fs::metadata(Path::new(path).join(file)));
            newest.into_iter().flatten().filter_map(|file| file.modified().ok()).max()
        };
        let candidates = [DEFAULT_RUN, DEFAULT_DEMO].into_iter().filter(|path| used_at(path).is_some());
        match candidates.max_by_key(used_at) {
            Some(path) => Ok(Self { path: PathBuf::from(path) }),
            None => bail!(
                "neither {DEFAULT_RUN} nor {DEFAULT_DEMO} holds a network; start `agent demo` or `agent run`, or name a \
                 directory with --data"
            ),
        }
    }

    /// An empty directory for a demo. What an earlier demo left there goes; anything else is left alone.
    pub fn for_demo(path: &Path) -> anyhow::Result<(Self, Lock)> {
        let directory = Self::create(path)?;
        let mark = path.join(DEMO_MARK);
        let is_empty = fs::read_dir(path)?.next().is_none();
        if !is_empty && !mark.exists() {
            bail!("{}: this directory holds something else than a demo; choose another with --data", path.display());
        }
        fs::write(&mark, "agent demo empties this directory when it starts\n")
            .with_context(|| format!("{}: cannot be written to; choose another with --data", path.display()))?;
        let lock = directory.lock("demo", "a demo")?;
        directory.end_what_is_left()?;
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let keep = [DEMO_MARK.to_owned(), "demo.lock".to_owned()]
                .contains(&entry.file_name().to_string_lossy().into_owned());
            if keep {
                continue;
            }
            match entry.file_type()?.is_dir() {
                true => fs::remove_dir_all(entry.path())?,
                false => fs::remove_file(entry.path())?,
            }
        }
        Ok((directory, lock))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Notes at which scale agents run here.
    pub fn note_time_scale(&self, scale: TimeScale) -> anyhow::Result<()> {
        let path = self.path.join(TIME_SCALE);
        let written = fs::write(&path, format!("{}\n", scale.factor()));
        written.with_context(|| format!("{}: cannot be written; choose another directory with --data", path.display()))
    }

    /// At which scale agents run or ran here; `None` when nobody has said so.
    pub fn time_scale(&self) -> Option<TimeScale> {
        let text = fs::read_to_string(self.path.join(TIME_SCALE)).ok()?;
        TimeScale::new(text.trim().parse().ok()?)
    }

    /// Completes when what is at this path is not what was there when this was called, or `file` in it is not. Nothing that
    /// this process does there has any effect on others then.
    pub async fn removed(&self, file: Option<&Path>) {
        let paths = [Some(self.path.clone()), file.map(|file| self.path.join(file))];
        let look = || {
            let paths = paths.iter().flatten();
            paths.map(|path| fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))).collect::<Vec<_>>()
        };
        let first = look();
        while look() == first {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Where a node's embedded store keeps its objects.
    pub fn store(&self, node: NodeId) -> PathBuf {
        self.path.join("nodes").join(node.to_string())
    }

    /// Where a Spark job of an agent keeps what it needs while it runs.
    pub fn spark(&self, agent: AgentId) -> PathBuf {
        self.path.join("spark").join(format!("agent-{agent}"))
    }

    /// Where tasks of batch jobs work that an agent's node was given.
    pub fn tasks(&self, agent: AgentId) -> PathBuf {
        self.path.join(TASKS).join(format!("agent-{agent}"))
    }

    /// What applications sign with that read through an agent's S3 endpoint.
    pub fn s3_credentials(&self, agent: AgentId) -> PathBuf {
        self.path.join(format!("agent-{agent}.s3-credentials"))
    }

    /// Where what applications write through an agent's S3 endpoint lies until it is at its origin.
    pub fn staging(&self, agent: AgentId) -> PathBuf {
        self.path.join(format!("agent-{agent}.arriving"))
    }

    /// One process for each agent.
    pub fn lock_agent(&self, agent: AgentId) -> anyhow::Result<Lock> {
        self.lock(&format!("agent-{agent}"), &format!("agent {agent}"))
    }

    /// The lives of an agent that ran here and may be what the table knows of it: they have ended, for this process holds the
    /// agent's lock.
    pub fn ended_lives(&self, agent: AgentId, _lock: &Lock) -> Vec<Life> {
        // A file that cannot be read only costs a wait.
        let text = fs::read_to_string(self.lives(agent)).unwrap_or_default();
        text.lines().map(|line| Life(line.to_owned())).collect()
    }

    /// Notes the lives that the next process may say have ended; the newest last.
    pub fn note_lives(&self, agent: AgentId, lives: &[Life]) -> anyhow::Result<()> {
        let latest = &lives[lives.len().saturating_sub(LIVES_NOTED)..];
        let text: String = latest.iter().map(|life| format!("{life}\n")).collect();
        let (path, new) = (self.lives(agent), self.path.join(format!("agent-{agent}.life.new")));
        let written = fs::write(&new, text).and_then(|()| fs::rename(&new, &path));
        written.with_context(|| format!("{}: cannot be written; choose another directory with --data", path.display()))
    }

    /// Ends what jobs of agents left running that have ended here.
    fn end_what_is_left(&self) -> anyhow::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let agent = name.strip_prefix("agent-").and_then(|name| name.strip_suffix(".life"));
            let Some(agent) = agent.and_then(|id| id.parse().ok()).map(AgentId) else { continue };
            // An agent that holds its lock has not ended.
            if let Ok(lock) = self.lock_agent(agent) {
                left_behind::end(&self.ended_lives(agent, &lock));
            }
        }
        Ok(())
    }

    fn lives(&self, agent: AgentId) -> PathBuf {
        self.path.join(format!("agent-{agent}.life"))
    }

    fn lock(&self, name: &str, what: &str) -> anyhow::Result<Lock> {
        let path = self.path.join(format!("{name}.lock"));
        let mut file =
            File::options().create(true).truncate(false).read(true).write(true).open(&path).with_context(|| {
                format!("{}: the lock cannot be opened; choose another directory with --data", path.display())
            })?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut holder = String::new();
            file.read_to_string(&mut holder)?;
            bail!("{}: {what} already runs here (process {}); stop it first", path.display(), holder.trim());
        }
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Lock { _file: file })
    }
}

/// [`DataDirectory::tasks`] of every agent that has any in this directory.
pub fn task_folders(data: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(data.join(TASKS)) else { return Vec::new() };
    entries.flatten().map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_once_and_says_by_whom() {
        let place = tempfile::tempdir().unwrap();
        let data = DataDirectory::create(place.path()).unwrap();
        let held = data.lock_agent(AgentId(1)).unwrap();
        let message = data.lock_agent(AgentId(1)).unwrap_err().to_string();
        assert!(message.contains("agent 1 already runs here"), "{message}");
        assert!(message.contains(&std::process::id().to_string()), "{message}");
        drop(held);
        data.lock_agent(AgentId(1)).unwrap();
    }

    #[test]
    fn the_lives_that_ended_here_are_known_to_whoever_holds_the_lock() {
        let place = tempfile::tempdir().unwrap();
        let data = DataDirectory::create(place.path()).unwrap();
        let lock = data.lock_agent(AgentId(1)).unwrap();
        assert_eq!(data.ended_lives(AgentId(1), &lock), []);
        let lives: Vec<Life> = (0..20).map(|n| Life(format!("a1-{n}"))).collect();
        data.note_lives(AgentId(1), &lives).unwrap();
        assert_eq!(data.ended_lives(AgentId(1), &lock), lives[4..]);
        data.note_lives(AgentId(1), &lives[..1]).unwrap();
        assert_eq!(data.ended_lives(AgentId(1), &lock), lives[..1]);
        assert_eq!(data.ended_lives(AgentId(2), &lock), []);
    }

    #[tokio::test]
    async fn a_directory_that_is_removed_or_replaced_is_noticed() {
        let place = tempfile::tempdir().unwrap();
        let data = DataDirectory::create(&place.path().join("data")).unwrap();
        fs::write(data.path().join(DATABASE), "rows").unwrap();
        let mut removed = Box::pin(data.removed(Some(Path::new(DATABASE))));
        assert!(futures::poll!(&mut removed).is_pending());
        fs::write(data.path().join(DATABASE), "more rows").unwrap();
        assert!(futures::poll!(&mut removed).is_pending());
        fs::remove_dir_all(data.path()).unwrap();
        fs::create_dir(data.path()).unwrap();
        removed.await;
    }

    #[test]
    fn only_a_demo_is_ever_emptied() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("thesis.tex"), "precious").unwrap();
        let refused = DataDirectory::for_demo(place.path()).unwrap_err().to_string();
        assert!(refused.contains("holds something else than a demo"), "{refused}");
        assert_eq!(fs::read_to_string(place.path().join("thesis.tex")).unwrap(), "precious");
    }

    #[test]
    fn an_earlier_demo_is_emptied() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("demo");
        drop(DataDirectory::for_demo(&path).unwrap());
        fs::create_dir(path.join("nodes")).unwrap();
        drop(DataDirectory::for_demo(&path).unwrap());
        assert!(!path.join("nodes").exists());
    }
}
