//! The directory a store lives in:
//!
//! ```text
//! credentials.json          for this user alone
//! lock                      held by the store that runs
//! objects/BUCKET/KEY        complete objects only; a key's slashes are folders
//! described/BUCKET/...      what they are besides their bytes, where there is anything to say
//! incoming/                 what is still arriving; emptied at every start
//! ```

use super::{Durability, EmbeddedError};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

const ONLY_THIS_USER: u32 = 0o700;

/// A directory that this store alone uses while the value lives.
#[derive(Debug)]
pub(super) struct Directory {
    root: PathBuf,
    next_arrival: AtomicU64,
    durability: Durability,
    /// Unlocked when closed, by whatever end of the process.
    _lock: File,
}

impl Directory {
    /// Makes what is missing and removes what a life that was cut short left unfinished.
    pub fn open(root: &Path, bucket: &str, durability: Durability) -> Result<Self, EmbeddedError> {
        let failed = |path: &Path, doing| {
            let path = path.to_owned();
            move |error| EmbeddedError::Directory { path, doing, error }
        };
        create(root).map_err(failed(root, "creating it"))?;
        let lock_path = root.join("lock");
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(&lock_path);
        let lock = lock.map_err(failed(&lock_path, "creating the lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(EmbeddedError::InUse { path: root.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(failed(&lock_path, "locking it")(error)),
        }
        let directory = Self { root: root.to_owned(), next_arrival: AtomicU64::new(0), durability, _lock: lock };
        let incoming = directory.incoming();
        match fs::remove_dir_all(&incoming) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed(&incoming, "removing what never arrived")(error));
            }
            Ok(()) | Err(_) => {}
        }
        for needed in [incoming, directory.bucket(bucket)] {
            create(&needed).map_err(failed(&needed, "creating it"))?;
        }
        Ok(directory)
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn objects(&self) -> PathBuf {
        self.root.join("objects")
    }

    /// Bucket names were checked when the request was parsed: they are no paths.
    pub fn bucket(&self, bucket: &str) -> PathBuf {
        self.objects().join(bucket)
    }

    /// Where it says what objects of a bucket are besides their bytes.
    pub fn described(&self, bucket: &str) -> PathBuf {
        self.root.join("described").join(bucket)
    }

    /// Where an object lies; `None` for keys that no file can have or that would lead out of the bucket.
    pub fn object(&self, bucket: &str, key: &str) -> Option<PathBuf> {
        let plain = !key.is_empty() && !key.contains('\0') && key.split('/').all(|part| !part.is_empty());
        let inside = Path::new(key).components().all(|part| matches!(part, Component::Normal(_)));
        // `a/./b` has only normal components, so it would be another name for `a/b`.
        let one_name = key.split('/').all(|part| part != ".");
        (plain && inside && one_name).then(|| self.bucket(bucket).join(key))
    }

    /// A name that nothing else that arrives has.
    pub fn arrival(&self) -> PathBuf {
        self.incoming().join(self.next_arrival.fetch_add(1, Ordering::Relaxed).to_string())
    }

    /// Where the parts of an upload wait.
    pub fn upload(&self, id: &str) -> PathBuf {
        self.incoming().join(id)
    }

    /// Makes a complete file an object, in one step. If it must survive the machine, its bytes reach the disk before its
    /// name does.
    pub fn commit(&self, arrived: &Path, object: &Path) -> io::Result<()> {
        let folder = object.parent().ok_or(io::ErrorKind::InvalidInput)?;
        fs::create_dir_all(folder)?;
        match self.durability {
            Durability::Kill => fs::rename(arrived, object),
            Durability::PowerLoss => {
                File::open(arrived)?.sync_data()?;
                fs::rename(arrived, object)?;
                File::open(folder)?.sync_all()
            }
        }
    }

    fn incoming(&self) -> PathBuf {
        self.root.join("incoming")
    }
}

fn create(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(ONLY_THIS_USER).create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(root: &Path) -> Result<Directory, EmbeddedError> {
        Directory::open(root, "data", Durability::Kill)
    }

    #[test]
    fn keys_stay_inside_their_bucket() {
        let root = tempfile::tempdir().unwrap();
        let directory = open(root.path()).unwrap();
        for key in ["", "/", "/etc/passwd", "..", "../other", "a/../b", "a/./b", ".", "a//b", "a/", "a\0b"] {
            assert_eq!(directory.object("data", key), None, "{key:?}");
        }
        for key in ["a", "a/b.json", "..a", "a..", "...", ".hidden", "with space/ü"] {
            assert_eq!(directory.object("data", key), Some(root.path().join("objects/data").join(key)), "{key:?}");
        }
    }

    #[test]
    fn a_directory_has_one_user_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let first = open(root.path()).unwrap();
        let error = open(root.path()).unwrap_err();
        assert!(matches!(&error, EmbeddedError::InUse { path } if path == root.path()), "{error}");
        drop(first);
        open(root.path()).unwrap();
    }

    #[test]
    fn what_never_arrived_is_removed_at_the_start() {
        let root = tempfile::tempdir().unwrap();
        let directory = open(root.path()).unwrap();
        fs::write(directory.arrival(), "half an obj").unwrap();
        fs::create_dir(directory.upload("abc")).unwrap();
        fs::write(directory.upload("abc").join("1"), "a part").unwrap();
        fs::write(directory.object("data", "kept").unwrap(), "an object").unwrap();
        drop(directory);
        let directory = open(root.path()).unwrap();
        assert_eq!(fs::read_dir(root.path().join("incoming")).unwrap().count(), 0);
        assert_eq!(fs::read_to_string(directory.object("data", "kept").unwrap()).unwrap(), "an object");
    }
}
