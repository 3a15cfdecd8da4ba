//! Configuration files that hold secrets, and who else can read them.

use std::path::Path;
use toml::Value;

/// Keys whose values are secrets, in whatever table they stand.
const SECRET_KEYS: [&str; 3] = ["password", "secret_access_key", "session_token"];

/// Bits of a file's mode that let others than its owner do something with it.
const OTHERS: u32 = 0o077;

/// Warns when a file holds a secret and somebody else than its owner can get at it. A file that is no TOML is none of this
/// function's business.
pub fn warn_of_readers(file: &Path, text: &str) {
    if let Some(mode) = mode(file).filter(|mode| mode & OTHERS != 0)
        && holds_secrets(text)
    {
        let file = file.display();
        tracing::warn!(
            "{file}: holds a password or key, and others may read it (mode {mode:03o}); run `chmod 600 {file}`"
        );
    }
}

/// `None`: it is gone again, which whoever reads it has noticed.
fn mode(file: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    Some(std::fs::metadata(file).ok()?.permissions().mode() & 0o777)
}

fn holds_secrets(text: &str) -> bool {
    text.parse::<toml::Table>().is_ok_and(|table| table.iter().any(|(key, value)| is_secret(key, value)))
}

fn is_secret(key: &str, value: &Value) -> bool {
    match value {
        Value::String(text) => !text.is_empty() && (SECRET_KEYS.contains(&key) || has_password(text)),
        Value::Array(values) => values.iter().any(|value| is_secret(key, value)),
        Value::Table(table) => table.iter().any(|(key, value)| is_secret(key, value)),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => SECRET_KEYS.contains(&key),
    }
}

/// `scheme://user:password@host`
fn has_password(text: &str) -> bool {
    let authority = text.split_once("://").and_then(|(_, rest)| rest.split(['/', '?']).next());
    let user = authority.and_then(|authority| authority.rsplit_once('@')).map(|(user, _)| user);
    user.and_then(|user| user.split_once(':')).is_some_and(|(_, password)| !password.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_and_keys_are_secrets_wherever_they_stand() {
        for text in [
            "password = \"hush\"",
            "[[node]]\n[node.store]\nsecret_access_key = \"hush\"",
            "node = [{ store = { session_token = \"hush\" } }]",
            "knowledge = \"mysql://root:hush@host:3306/agent\"",
            "emulator = \"http://u:p@host:8474/\"",
        ] {
            assert!(holds_secrets(text), "{text}");
        }
    }

    #[test]
    fn names_and_addresses_are_none() {
        for text in [
            "access_key_id = \"AKID\"",
            "password = \"\"",
            "knowledge = \"mysql://root@host:3306/agent\"",
            "endpoint = \"http://[::1]:9000\"\ngoal = \"a:b@c\"",
            "knowledge = \"http://host/path@odd:1\"",
            "secret_access_key = ",
        ] {
            assert!(!holds_secrets(text), "{text}");
        }
        assert!(!holds_secrets(include_str!("../../../../agents/network.toml")));
    }
}
