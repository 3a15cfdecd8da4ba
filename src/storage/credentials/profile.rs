//! Credentials in the files that AWS' tools share: `~/.aws/credentials` and `~/.aws/config`, or where
//! `AWS_SHARED_CREDENTIALS_FILE` and `AWS_CONFIG_FILE` say. Only keys are read: roles, SSO and programs that print
//! credentials are not.

use super::{Credentials, CredentialsError};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_runtime::env_config::section::{EnvConfigSections, Profile};
use aws_runtime::env_config::source;
use aws_types::os_shim_internal::{Env, Fs};
use std::error::Error;

const PROFILE: &str = "AWS_PROFILE";
const DEFAULT: &str = "default";

/// Why a profile gives no credentials.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    #[error("the files with AWS profiles cannot be read")]
    Files(#[source] Box<dyn Error + Send + Sync>),
    #[error("there is no AWS profile `{profile}`; profiles are {known}")]
    Unknown { profile: String, known: String },
    #[error(
        "the AWS profile `{profile}` has no aws_access_key_id and aws_secret_access_key; roles, SSO and credential_process \
         are not followed: put keys into a profile or into the environment"
    )]
    NoKeys { profile: String },
    #[error(transparent)]
    Malformed(#[from] CredentialsError),
}

/// The keys of a profile.
pub async fn named(profile: &str) -> Result<Credentials, ProfileError> {
    keys(&read(&Env::real(), &Fs::real()).await?, profile)
}

/// The keys of the profile that `AWS_PROFILE` names; without it those of `default`, or `None` when it has none.
pub async fn of_environment() -> Result<Option<Credentials>, ProfileError> {
    of(&Env::real(), &Fs::real()).await
}

async fn of(environment: &Env, files: &Fs) -> Result<Option<Credentials>, ProfileError> {
    let sections = read(environment, files).await?;
    match environment.get(PROFILE).ok().filter(|profile| !profile.is_empty()) {
        Some(profile) => keys(&sections, &profile).map(Some),
        None => match keys(&sections, DEFAULT) {
            Ok(found) => Ok(Some(found)),
            Err(error @ ProfileError::Malformed(_)) => Err(error),
            Err(_) => Ok(None),
        },
    }
}

async fn read(environment: &Env, files: &Fs) -> Result<EnvConfigSections, ProfileError> {
    let read = source::load(environment, files, &EnvConfigFiles::default()).await;
    let read = read.map_err(|error| ProfileError::Files(error.into()))?;
    EnvConfigSections::parse(read).map_err(|error| ProfileError::Files(error.into()))
}

fn keys(sections: &EnvConfigSections, profile: &str) -> Result<Credentials, ProfileError> {
    let Some(found) = sections.get_profile(profile) else {
        let mut known: Vec<&str> = sections.profiles().collect();
        known.sort_unstable();
        let known = if known.is_empty() { "not there yet".to_owned() } else { known.join(", ") };
        return Err(ProfileError::Unknown { profile: profile.to_owned(), known });
    };
    let (Some(id), Some(secret)) = (value(found, "aws_access_key_id"), value(found, "aws_secret_access_key")) else {
        return Err(ProfileError::NoKeys { profile: profile.to_owned() });
    };
    let found = Credentials { session_token: value(found, "aws_session_token"), ..Credentials::new(id, secret) };
    let names = ["aws_access_key_id", "aws_secret_access_key", "aws_session_token"];
    Ok(found.checked(names.map(|name| format!("{name} of the AWS profile `{profile}`")))?)
}

fn value(profile: &Profile, key: &str) -> Option<String> {
    profile.get(key).filter(|value| !value.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: [(&str, &str); 2] = [
        (
            "/home/me/.aws/credentials",
            "# ours\n[default]\naws_access_key_id = AKID\naws_secret_access_key = hush\n\n\
             [plant]\naws_access_key_id=PLANT\naws_secret_access_key=hush/plant+=\naws_session_token = token\n",
        ),
        ("/home/me/.aws/config", "[profile role]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = default\n"),
    ];

    async fn check(variables: &[(&str, &str)], expected: Result<Option<Credentials>, &str>) {
        let variables = [&[("HOME", "/home/me")], variables].concat();
        let found = of(&Env::from_slice(&variables), &Fs::from_slice(&FILES)).await;
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{error}"),
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    }

    #[tokio::test]
    async fn the_profile_of_the_environment_is_read() {
        let plant = Credentials { session_token: Some("token".into()), ..Credentials::new("PLANT", "hush/plant+=") };
        check(&[], Ok(Some(Credentials::new("AKID", "hush")))).await;
        check(&[(PROFILE, "plant")], Ok(Some(plant))).await;
        check(&[("AWS_SHARED_CREDENTIALS_FILE", "/home/me/.aws/none")], Ok(None)).await;
        check(&[(PROFILE, "plnt")], Err("no AWS profile `plnt`; profiles are default, plant, role")).await;
        check(&[(PROFILE, "role")], Err("the AWS profile `role` has no aws_access_key_id")).await;
    }

    #[tokio::test]
    async fn keys_that_no_store_could_be_shown_are_refused() {
        let files = "[default]\naws_access_key_id = AK ID\naws_secret_access_key = hush\n";
        let files = Fs::from_slice(&[("/home/me/.aws/credentials", files)]);
        let error = of(&Env::from_slice(&[("HOME", "/home/me")]), &files).await.unwrap_err().to_string();
        assert!(error.starts_with("aws_access_key_id of the AWS profile `default` has a blank"), "{error}");
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_file_is_said_without_its_secrets() {
        let files = Fs::from_slice(&[("/home/me/.aws/credentials", "[default]\naws_secret_access_key hush\n")]);
        let error = of(&Env::from_slice(&[("HOME", "/home/me")]), &files).await.unwrap_err();
        let said = format!("{error}: {}", error.source().unwrap());
        assert!(said.contains("/home/me/.aws/credentials on line 2"), "{said}");
        assert!(!said.contains("hush"), "{said}");
    }
}
