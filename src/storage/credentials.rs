//! What a client shows to a store. The secret parts never reach a log: `Debug` hides them.

pub mod kept;
pub mod profile;

use agent_core::domain::secret::{NotPresentable, presentable};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// The environment variables that hold credentials.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Variables {
    pub access_key_id: &'static str,
    pub secret_access_key: &'static str,
    pub session_token: Option<&'static str>,
}

impl Variables {
    /// The standard names, as every S3 client knows them.
    pub const AWS: Self = Self {
        access_key_id: "AWS_ACCESS_KEY_ID",
        secret_access_key: "AWS_SECRET_ACCESS_KEY",
        session_token: Some("AWS_SESSION_TOKEN"),
    };
}

/// An access key and its secret, with a session token where the store hands those out.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    pub access_key_id: String,
    pub secret_access_key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_token: Option<String>,
}

/// Why credentials cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    #[error("{present} is set but {missing} is not; set both or neither")]
    Incomplete { present: &'static str, missing: &'static str },
    /// No store could be shown them.
    #[error("{name} {reason}; write it again, without quotes or anything else around it")]
    Malformed { name: String, reason: NotPresentable },
}

impl Credentials {
    pub fn new(access_key_id: impl Into<String>, secret_access_key: impl Into<String>) -> Self {
        Self { access_key_id: access_key_id.into(), secret_access_key: secret_access_key.into(), session_token: None }
    }

    /// From these variables, as `read` tells them; `None` when neither key nor secret is set. An empty variable counts as not
    /// set.
    pub fn from_variables(
        names: Variables,
        read: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, CredentialsError> {
        let variable = |name| read(name).filter(|value| !value.is_empty());
        let Variables { access_key_id: key, secret_access_key: secret, session_token } = names;
        match (variable(key), variable(secret)) {
            (None, None) => Ok(None),
            (Some(access_key_id), Some(secret_access_key)) => {
                let token = session_token.unwrap_or_default();
                let session_token = session_token.and_then(variable);
                let found = Self { access_key_id, secret_access_key, session_token };
                found.checked([key, secret, token].map(str::to_owned)).map(Some)
            }
            (Some(_), None) => Err(CredentialsError::Incomplete { present: key, missing: secret }),
            (None, Some(_)) => Err(CredentialsError::Incomplete { present: secret, missing: key }),
        }
    }

    /// As they can be shown to a store. `names` says where key, secret and token come from.
    pub fn checked(self, names: [String; 3]) -> Result<Self, CredentialsError> {
        let [key, secret, token] = names;
        Ok(Self {
            access_key_id: shown(&self.access_key_id, key)?,
            secret_access_key: shown(&self.secret_access_key, secret)?,
            session_token: self.session_token.map(|text| shown(&text, token)).transpose()?,
        })
    }
}

/// The text without what files of secrets have at their end, of which is said once that it is left out.
fn shown(text: &str, name: String) -> Result<String, CredentialsError> {
    let kept = match presentable(text) {
        Ok(kept) => kept,
        Err(reason) => return Err(CredentialsError::Malformed { name, reason }),
    };
    if kept.len() < text.len() {
        // They are read for every job. Of a set nothing is half done.
        static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
        if TOLD.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone()) {
            tracing::warn!("{name} ends with a blank or a line end, which is left out");
        }
    }
    Ok(kept.to_owned())
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(variables: &[(&str, &str)], expected: Result<Option<Credentials>, CredentialsError>) {
        let read = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_string());
        assert_eq!(Credentials::from_variables(Variables::AWS, read), expected);
    }

    const ACCESS_KEY_ID: &str = Variables::AWS.access_key_id;
    const SECRET_ACCESS_KEY: &str = Variables::AWS.secret_access_key;

    #[test]
    fn the_standard_variables_are_read() {
        let key = (ACCESS_KEY_ID, "AKID");
        let secret = (SECRET_ACCESS_KEY, "hush");
        let plain = Credentials::new("AKID", "hush");
        check(&[], Ok(None));
        check(&[key, secret], Ok(Some(plain.clone())));
        let token = Credentials { session_token: Some("token".into()), ..plain };
        check(&[key, secret, ("AWS_SESSION_TOKEN", "token")], Ok(Some(token)));
        check(
            &[key, (SECRET_ACCESS_KEY, "")],
            Err(CredentialsError::Incomplete { present: ACCESS_KEY_ID, missing: SECRET_ACCESS_KEY }),
        );
        check(&[secret], Err(CredentialsError::Incomplete { present: SECRET_ACCESS_KEY, missing: ACCESS_KEY_ID }));
    }

    #[test]
    fn what_no_store_could_be_shown_is_an_error_that_names_the_variable() {
        let (key, secret) = ((ACCESS_KEY_ID, "AKID"), (SECRET_ACCESS_KEY, "hush"));
        check(
            &[(ACCESS_KEY_ID, "AKID\n"), (SECRET_ACCESS_KEY, "hush \r\n")],
            Ok(Some(Credentials::new("AKID", "hush"))),
        );
        let malformed = |name: &str, reason| Err(CredentialsError::Malformed { name: name.to_owned(), reason });
        check(&[(ACCESS_KEY_ID, "AK ID"), secret], malformed(ACCESS_KEY_ID, NotPresentable::Blank(3)));
        check(&[key, (SECRET_ACCESS_KEY, "hu\u{1}sh")], malformed(SECRET_ACCESS_KEY, NotPresentable::Odd(3)));
        check(&[key, secret, ("AWS_SESSION_TOKEN", "a\nb")], malformed("AWS_SESSION_TOKEN", NotPresentable::Blank(2)));
    }

    #[test]
    fn debug_shows_no_secret() {
        let mut credentials = Credentials::new("AKID", "hush");
        credentials.session_token = Some("token".into());
        assert_eq!(format!("{credentials:?}"), r#"Credentials { access_key_id: "AKID", .. }"#);
    }
}
