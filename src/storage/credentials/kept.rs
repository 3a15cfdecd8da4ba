//! Credentials that this program makes for a server of its own: once, kept in a file that only this user can read.

use super::Credentials;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const ONLY_THIS_USER: u32 = 0o600;
const OTHERS: u32 = 0o077;

/// How the file is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    Json,
    /// As S3 clients read it, with the variable `AWS_SHARED_CREDENTIALS_FILE`.
    Profile,
}

/// Where they are kept. Whoever makes the file holds a lock: nobody else makes it at the same time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    pub path: PathBuf,
    pub form: Form,
}

/// Why they cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    #[error("{path}: {doing}: {error}; choose a directory that can be written to", path = path.display())]
    File { path: PathBuf, doing: &'static str, error: io::Error },
    #[error("{path}: others may read these credentials (mode {mode:o}); run `chmod 600 {path}`", path = path.display())]
    Open { path: PathBuf, mode: u32 },
    #[error("{path}: these are no credentials: {reason}; delete the file and new ones are made", path = path.display())]
    Unreadable { path: PathBuf, reason: String },
}

impl Kept {
    pub fn load_or_generate(&self) -> Result<Credentials, KeptError> {
        match self.load()? {
            Some(found) => Ok(found),
            None => self.keep(Credentials::new(
                format!("AGENT{}", hex::encode_upper(rand::random::<[u8; 8]>())),
                hex::encode(rand::random::<[u8; 32]>()),
            )),
        }
    }

    /// `None`: none were made yet.
    pub fn load(&self) -> Result<Option<Credentials>, KeptError> {
        let failed = |error| self.failed("reading the credentials", error);
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let mode = file.metadata().map_err(failed)?.mode() & 0o777;
        if mode & OTHERS != 0 {
            return Err(KeptError::Open { path: self.path.clone(), mode });
        }
        let text = io::read_to_string(file).map_err(failed)?;
        let unreadable = |reason| KeptError::Unreadable { path: self.path.clone(), reason };
        let found = self.form.read(&text).map_err(unreadable)?;
        let names = ["access_key_id", "secret_access_key", "session_token"].map(str::to_owned);
        found.checked(names).map(Some).map_err(|error| unreadable(error.to_string()))
    }

    /// Takes given ones in the place of those that are there, for the others on this machine to find.
    pub fn keep(&self, given: Credentials) -> Result<Credentials, KeptError> {
        let written = self.form.written(&given).and_then(|text| write(&self.path, &text));
        written.map_err(|error| self.failed("writing the credentials", error))?;
        Ok(given)
    }

    fn failed(&self, doing: &'static str, error: io::Error) -> KeptError {
        KeptError::File { path: self.path.clone(), doing, error }
    }
}

/// What a profile calls them.
const KEY: &str = "aws_access_key_id";
const SECRET: &str = "aws_secret_access_key";
const TOKEN: &str = "aws_session_token";

impl Form {
    /// An error says only where: what is wrong there may be the secret.
    fn read(self, text: &str) -> Result<Credentials, String> {
        match self {
            Form::Json => {
                serde_json::from_str(text).map_err(|error| format!("line {}, column {}", error.line(), error.column()))
            }
            Form::Profile => {
                let value = |name: &str| {
                    let pairs = text.lines().filter_map(|line| line.split_once('='));
                    pairs.filter(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned()).next()
                };
                let needed = |name: &str| value(name).ok_or_else(|| format!("`{name}` is missing"));
                Ok(Credentials { session_token: value(TOKEN), ..Credentials::new(needed(KEY)?, needed(SECRET)?) })
            }
        }
    }

    fn written(self, credentials: &Credentials) -> io::Result<String> {
        let Credentials { access_key_id, secret_access_key, session_token } = credentials;
        Ok(match self {
            Form::Json => serde_json::to_string_pretty(credentials)?,
            Form::Profile => {
                let token = session_token.as_ref().map(|token| format!("{TOKEN} = {token}\n")).unwrap_or_default();
                format!("[default]\n{KEY} = {access_key_id}\n{SECRET} = {secret_access_key}\n{token}")
            }
        })
    }
}

/// Under another name first: the file is never there with half of its content or for others to read.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let unfinished = path.with_extension("unfinished");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(ONLY_THIS_USER).open(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn they_are_made_once_and_for_this_user_alone() {
        for form in [Form::Json, Form::Profile] {
            let place = tempfile::tempdir().unwrap();
            let kept = Kept { path: place.path().join("keys"), form };
            assert_eq!(kept.load().unwrap(), None);
            let made = kept.load_or_generate().unwrap();
            assert_eq!(fs::metadata(&kept.path).unwrap().mode() & 0o777, ONLY_THIS_USER);
            assert_eq!(kept.load_or_generate().unwrap(), made);
            let mut given = Credentials::new("KEY", "a=b/c");
            given.session_token = Some("token".to_owned());
            kept.keep(given.clone()).unwrap();
            assert_eq!(kept.load().unwrap(), Some(given));
            fs::set_permissions(&kept.path, fs::Permissions::from_mode(0o640)).unwrap();
            assert!(kept.load().unwrap_err().to_string().contains("others may read these credentials (mode 640)"));
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_secret() {
        let place = tempfile::tempdir().unwrap();
        let kept = Kept { path: place.path().join("keys"), form: Form::Profile };
        write(&kept.path, "[default]\naws_secret_access_key = hush\n").unwrap();
        let path = kept.path.display();
        let expected = format!(
            "{path}: these are no credentials: `aws_access_key_id` is missing; delete the file and new ones are made"
        );
        assert_eq!(kept.load().unwrap_err().to_string(), expected);
    }
}
