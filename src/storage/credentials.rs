//! What a client shows to a store. The secret parts never reach a log: `Debug` hides them.

pub mod profile;

use serde::{Deserialize, Serialize};
use std::fmt;

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

/// The environment names a key without a secret, or the other way round.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{present} is set but {missing} is not; set both or neither")]
pub struct IncompleteCredentials {
    pub present: &'static str,
    pub missing: &'static str,
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
    ) -> Result<Option<Self>, IncompleteCredentials> {
        let variable = |name| read(name).filter(|value| !value.is_empty());
        let Variables { access_key_id: key, secret_access_key: secret, session_token } = names;
        match (variable(key), variable(secret)) {
            (None, None) => Ok(None),
            (Some(access_key_id), Some(secret_access_key)) => {
                let session_token = session_token.and_then(variable);
                Ok(Some(Self { access_key_id, secret_access_key, session_token }))
            }
            (Some(_), None) => Err(IncompleteCredentials { present: key, missing: secret }),
            (None, Some(_)) => Err(IncompleteCredentials { present: secret, missing: key }),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(variables: &[(&str, &str)], expected: Result<Option<Credentials>, IncompleteCredentials>) {
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
            Err(IncompleteCredentials { present: ACCESS_KEY_ID, missing: SECRET_ACCESS_KEY }),
        );
        check(&[secret], Err(IncompleteCredentials { present: SECRET_ACCESS_KEY, missing: ACCESS_KEY_ID }));
    }

    #[test]
    fn debug_shows_no_secret() {
        let mut credentials = Credentials::new("AKID", "hush");
        credentials.session_token = Some("token".into());
        assert_eq!(format!("{credentials:?}"), r#"Credentials { access_key_id: "AKID", .. }"#);
    }
}
