//! Files that only this user may read: what is secret and has to outlive the process.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

const ONLY_THIS_USER: u32 = 0o600;
const OTHERS: u32 = 0o077;

/// Why a secret is not read.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
    #[error("{path}: {error}", path = path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{path}: others may read what is secret there (mode {mode:o}); run `chmod 600 {path}`", path = path.display())]
    Open { path: PathBuf, mode: u32 },
}

/// `None`: there is no such file.
pub fn read(path: &Path) -> Result<Option<String>, PrivateFileError> {
    let unreadable = |error| PrivateFileError::Unreadable { path: path.to_owned(), error };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    let mode = file.metadata().map_err(unreadable)?.mode() & 0o777;
    if mode & OTHERS != 0 {
        return Err(PrivateFileError::Open { path: path.to_owned(), mode });
    }
    io::read_to_string(file).map(Some).map_err(unreadable)
}

/// Under another name first: the file is never there with half of its content, or for others to read. Of two processes that
/// write, one wins.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    let unfinished = path.with_extension(format!("unfinished-{}", std::process::id()));
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(ONLY_THIS_USER).open(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_is_secret_is_read_by_this_user_alone() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("token");
        assert_eq!(read(&path).unwrap(), None);
        write(&path, "secret").unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some("secret"));
        write(&path, "another").unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some("another"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let refused = read(&path).unwrap_err().to_string();
        assert!(refused.contains("mode 640") && refused.contains("chmod 600"), "{refused}");
    }
}
