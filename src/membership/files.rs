//! What a member keeps in the data directory: its key, how often it was started, and whom it saw.

use crate::private_file;
use agent_membership::{Availabilities, Identity, NodeId};
use anyhow::{Context as _, anyhow};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// So many peers are remembered (I-7).
const PEERS_MAX: usize = 1_000;

/// Of one node. Whoever writes holds the lock of the node's agent.
#[derive(Clone, Debug)]
pub struct Files {
    folder: PathBuf,
    node: NodeId,
}

/// Whom a member saw: where its next life looks first, and what commands look for without the shared table.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Where the node itself listened.
    pub address: Option<SocketAddr>,
    pub peers: Vec<Peer>,
    /// How available each was within the window.
    pub availabilities: Option<Availabilities>,
}

/// Where another node listened last, and by which key it is known.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Peer {
    pub node: u32,
    pub address: SocketAddr,
    /// Lower-case hexadecimal.
    pub public_key: String,
}

impl Files {
    /// `data`: the data directory.
    pub fn new(data: &Path, node: NodeId) -> anyhow::Result<Self> {
        let folder = folder(data);
        fs::create_dir_all(&folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
        Ok(Self { folder, node })
    }

    /// Who the node is in this start: its key, made when there is none, and an incarnation above all earlier ones, which is on the
    /// disk before anybody hears of it.
    pub fn identity(&self) -> anyhow::Result<Identity> {
        let path = self.path("key");
        let key = match private_file::read(&path)? {
            Some(text) => {
                hex::decode(text.trim()).map_err(|error| anyhow!("{}: is no key: {error}", path.display()))?
            }
            None => {
                let key = Identity::new_key()?;
                let written = private_file::write(&path, &format!("{}\n", hex::encode(&key)));
                written.with_context(|| format!("{}: cannot be written", path.display()))?;
                key
            }
        };
        let incarnation = self.incarnation()?.saturating_add(1);
        self.keep_incarnation(incarnation)?;
        Identity::new(self.node, incarnation, &key).with_context(|| path.display().to_string())
    }

    /// Of the latest start; 0 before the first.
    fn incarnation(&self) -> anyhow::Result<u64> {
        let path = self.path("incarnation");
        match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().map_err(|_| {
                anyhow!(
                    "{}: is no number; write the latest incarnation there, which `agent members` shows",
                    path.display()
                )
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    pub fn keep_incarnation(&self, incarnation: u64) -> anyhow::Result<()> {
        self.replace("incarnation", format!("{incarnation}\n").as_bytes())
    }

    /// What was kept last; nothing where that cannot be read: it is only convenient.
    pub fn seen(&self) -> Seen {
        read_seen(&self.path("seen"))
    }

    pub fn keep_seen(&self, mut seen: Seen) -> anyhow::Result<()> {
        seen.peers.truncate(PEERS_MAX);
        self.replace("seen", &serde_json::to_vec(&seen)?)
    }

    /// Never there with half of its content.
    fn replace(&self, what: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let (path, unfinished) = (self.path(what), self.path(&format!("{what}.unfinished")));
        let write = || {
            let mut file = File::create(&unfinished)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&unfinished, &path)
        };
        write().with_context(|| format!("{}: cannot be written", path.display()))
    }

    fn path(&self, what: &str) -> PathBuf {
        self.folder.join(format!("node-{}.{what}", self.node))
    }
}

fn folder(data: &Path) -> PathBuf {
    data.join("members")
}

fn read_seen(path: &Path) -> Seen {
    fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// What members in a data directory kept, in the order of their names.
pub fn all_seen(data: &Path) -> Vec<Seen> {
    let Ok(entries) = fs::read_dir(folder(data)) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "seen"));
    paths.sort();
    paths.iter().map(|path| read_seen(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_node_is_the_same_in_every_start_and_each_start_is_later() {
        let place = tempfile::tempdir().unwrap();
        let start = || Files::new(place.path(), NodeId(3)).unwrap().identity();
        let (first, second) = (start().unwrap(), start().unwrap());
        assert_eq!(first.public_key(), second.public_key());
        assert_eq!((first.incarnation, second.incarnation), (1, 2));
        let files = Files::new(place.path(), NodeId(3)).unwrap();
        files.keep_incarnation(9).unwrap();
        assert_eq!(start().unwrap().incarnation, 10);
        let other = Files::new(place.path(), NodeId(4)).unwrap().identity().unwrap();
        assert_ne!(other.public_key(), first.public_key());
        let key = place.path().join("members/node-3.key");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        let refused = start().unwrap_err().to_string();
        assert!(refused.contains("others may read") && refused.contains("chmod 600"), "{refused}");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(place.path().join("members/node-3.incarnation"), "many").unwrap();
        assert!(start().unwrap_err().to_string().contains("is no number"));
    }

    #[test]
    fn whom_it_saw_is_remembered() {
        let place = tempfile::tempdir().unwrap();
        let files = Files::new(place.path(), NodeId(3)).unwrap();
        assert_eq!((files.seen(), all_seen(place.path())), (Seen::default(), vec![]));
        let peer = |node| Peer { node, address: ([10, 0, 0, 1], 7946).into(), public_key: "0a".repeat(32) };
        let seen = |nodes: &[u32]| Seen { peers: nodes.iter().map(|node| peer(*node)).collect(), ..Seen::default() };
        files.keep_seen(seen(&[2, 1])).unwrap();
        Files::new(place.path(), NodeId(4)).unwrap().keep_seen(seen(&[1])).unwrap();
        assert_eq!(files.seen(), seen(&[2, 1]));
        assert_eq!(all_seen(place.path()), [seen(&[2, 1]), seen(&[1])]);
        fs::write(place.path().join("members/node-3.seen"), "{").unwrap();
        assert_eq!(files.seen(), Seen::default());
    }
}
