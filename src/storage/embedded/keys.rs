//! The store's credentials: given or made once, kept in a file that only this user can read.

use super::EmbeddedError;
use crate::storage::credentials::Credentials;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

const FILE: &str = "credentials.json";
const ONLY_THIS_USER: u32 = 0o600;
const OTHERS: u32 = 0o077;

/// The caller holds the directory's lock, so nobody else makes the file at the same time.
pub(super) fn load_or_generate(directory: &Path) -> Result<Credentials, EmbeddedError> {
    let path = directory.join(FILE);
    match File::open(&path) {
        Ok(file) => load(&path, file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => generate(directory, &path),
        Err(error) => Err(EmbeddedError::Directory { path, doing: "reading the store's credentials", error }),
    }
}

/// The credentials of a store that was started before.
pub(super) fn read(directory: &Path) -> Result<Option<Credentials>, EmbeddedError> {
    let path = directory.join(FILE);
    match File::open(&path) {
        Ok(file) => load(&path, file).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(EmbeddedError::Directory { path, doing: "reading the store's credentials", error }),
    }
}

/// Takes given credentials in the place of those that are there, for the others on this machine to find.
pub(super) fn keep(directory: &Path, given: Credentials) -> Result<Credentials, EmbeddedError> {
    let path = directory.join(FILE);
    write(directory, &path, &given).map_err(|error| unwritable(&path, error))?;
    Ok(given)
}

fn unwritable(path: &Path, error: io::Error) -> EmbeddedError {
    EmbeddedError::Directory { path: path.into(), doing: "writing the store's credentials", error }
}

fn load(path: &Path, file: File) -> Result<Credentials, EmbeddedError> {
    let failed =
        |error| EmbeddedError::Directory { path: path.into(), doing: "reading the store's credentials", error };
    let mode = file.metadata().map_err(failed)?.mode() & 0o777;
    if mode & OTHERS != 0 {
        return Err(EmbeddedError::OpenCredentials { path: path.into(), mode });
    }
    let text = io::read_to_string(file).map_err(failed)?;
    // Only where: what is wrong there may be the secret.
    let place = |error: serde_json::Error| format!("line {}, column {}", error.line(), error.column());
    let unreadable = |reason| EmbeddedError::UnreadableCredentials { path: path.into(), reason };
    let found: Credentials = serde_json::from_str(&text).map_err(|error| unreadable(place(error)))?;
    let names = ["access_key_id", "secret_access_key", "session_token"].map(str::to_owned);
    found.checked(names).map_err(|error| unreadable(error.to_string()))
}

fn generate(directory: &Path, path: &Path) -> Result<Credentials, EmbeddedError> {
    let credentials = Credentials::new(
        format!("AGENT{}", hex::encode_upper(rand::random::<[u8; 8]>())),
        hex::encode(rand::random::<[u8; 32]>()),
    );
    write(directory, path, &credentials).map_err(|error| unwritable(path, error))?;
    Ok(credentials)
}

/// Under another name first: the file is never there with half of its content or for others to read.
fn write(directory: &Path, path: &Path, credentials: &Credentials) -> io::Result<()> {
    let unfinished = path.with_extension("unfinished");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(ONLY_THIS_USER).open(&unfinished)?;
    file.write_all(serde_json::to_string_pretty(credentials)?.as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    File::open(directory)?.sync_all()
}
