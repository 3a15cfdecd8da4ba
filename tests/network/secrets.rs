//! Looking for secrets where none may be. After a run:
//!
//! ```ignore
//! let secrets = Secrets::new(["what-was-in-the-environment"]).and_of_stores(&place.data());
//! assert_eq!(secrets.seen_under(place.path()), Vec::<String>::new());
//! assert_eq!(running.seen(&secrets), Vec::<String>::new()); // while it runs: its arguments too
//! ```

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Values that nobody may see.
#[derive(Clone, Debug, Default)]
pub struct Secrets(Vec<String>);

impl Secrets {
    pub fn new<const N: usize>(values: [&str; N]) -> Self {
        Self(values.map(str::to_owned).to_vec())
    }

    /// And the secrets of the embedded stores below a data directory.
    pub fn and_of_stores(mut self, data: &Path) -> Self {
        for entry in fs::read_dir(data.join("nodes")).into_iter().flatten().flatten() {
            let Ok(text) = fs::read_to_string(entry.path().join(CREDENTIALS)) else { continue };
            let credentials: serde_json::Value = serde_json::from_str(&text).expect("credentials are JSON");
            let secret = credentials["secret_access_key"].as_str().expect("a store's credentials have a secret");
            self.0.push(secret.to_owned());
        }
        self
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Where `bytes` hold a secret; the secret itself is not repeated.
    pub fn seen_in(&self, what: &str, bytes: &[u8]) -> Vec<String> {
        let mut seen = Vec::new();
        for (number, secret) in self.0.iter().enumerate() {
            let found = |form: &str| bytes.windows(form.len()).position(|window| window == form.as_bytes());
            if let Some(at) = [secret.clone(), percent_encoded(secret)].iter().find_map(|form| found(form)) {
                let before = String::from_utf8_lossy(&bytes[at.saturating_sub(60)..at]).into_owned();
                seen.push(format!("{what}: secret {number} after `{before}`"));
            }
        }
        seen
    }

    /// The same in every file below a directory, besides the files whose purpose it is to keep the secret, as long as nobody
    /// else can read them.
    pub fn seen_under(&self, directory: &Path) -> Vec<String> {
        let mut seen = Vec::new();
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                seen.extend(self.seen_under(&path));
            } else if !is_for_its_owner_alone(&path) {
                // A file that is gone again holds nothing.
                let bytes = fs::read(&path).unwrap_or_default();
                seen.extend(self.seen_in(&path.display().to_string(), &bytes));
            }
        }
        seen
    }
}

const CREDENTIALS: &str = "credentials.json";

fn is_for_its_owner_alone(file: &Path) -> bool {
    let mode = fs::metadata(file).map_or(0, |file| file.permissions().mode());
    file.file_name().is_some_and(|name| name == CREDENTIALS) && mode & 0o077 == 0
}

fn percent_encoded(text: &str) -> String {
    let one = |byte: u8| match byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}
