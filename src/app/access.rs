//! What this process needs to use the nodes' stores beside their URLs: credentials, and whom to trust.

use super::data_directory::DataDirectory;
use crate::actors::{ReachError, chain};
use crate::jobs::S3Access;
use crate::storage::credentials::profile::{self, ProfileError};
use crate::storage::credentials::{Credentials, CredentialsError, Variables};
use crate::storage::embedded::{EmbeddedError, EmbeddedStore};
use crate::storage::s3::{Encryption, S3Settings, Trust, TrustError};
use agent_core::config::environment;
use agent_core::config::settings::{
    CredentialsSettings, EncryptionSettings, NetworkSettings, S3StoreSettings, StoreSettings,
};
use agent_core::domain::ids::NodeId;
use agent_core::domain::store_url::{BUCKET, StoreUrl, StoreUrlError};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Those of the embedded stores.
const STORE_VARIABLES: Variables = Variables {
    access_key_id: environment::AGENT_STORE_ACCESS_KEY_ID,
    secret_access_key: environment::AGENT_STORE_SECRET_ACCESS_KEY,
    session_token: None,
};

/// Why a store cannot be used from here.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    #[error(transparent)]
    Url(#[from] StoreUrlError),
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    #[error(transparent)]
    Profile(#[from] ProfileError),
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error("there are no credentials for its store: set {} and {}{or}", variables.access_key_id, variables.secret_access_key)]
    Missing { variables: Variables, or: &'static str },
}

/// Credentials and certificates by node.
#[derive(Clone)]
pub struct Access {
    stores: Arc<BTreeMap<NodeId, StoreSettings>>,
    /// Where embedded stores on this machine keep their keys; absent: none is used.
    data: Option<DataDirectory>,
    variable: fn(&str) -> Option<String>,
}

impl Access {
    pub fn new(network: &NetworkSettings, data: DataDirectory) -> Self {
        let stores = network.nodes.values().map(|node| (node.id, node.store.clone())).collect();
        Self { stores: Arc::new(stores), data: Some(data), variable: environment_variable }
    }

    /// For the stores of others' servers alone.
    pub fn to_others(network: &NetworkSettings) -> Self {
        let stores = network.nodes.values().map(|node| (node.id, node.store.clone())).collect();
        Self { stores: Arc::new(stores), data: None, variable: environment_variable }
    }

    /// How the store of a node at a URL is used. Looked up each time: keys in files and in a running network change.
    pub async fn settings(&self, node: NodeId, url: &str) -> Result<S3Settings, ReachError> {
        let found = self.find(node, url).await;
        found.map_err(|error| ReachError::Unusable { node, reason: chain(&error) })
    }

    async fn find(&self, node: NodeId, url: &str) -> Result<S3Settings, AccessError> {
        let url: StoreUrl = url.parse()?;
        let credentials = self.credentials(node, &url).await?;
        let trust = if url.is_https() { self.trust(node)? } else { Trust::System };
        let (encryption, delete_versions) = match self.stores.get(&node) {
            Some(StoreSettings::S3(store)) => (store.encryption.as_ref().map(encryption), store.delete_versions),
            Some(StoreSettings::Embedded { .. }) | None => (None, false),
        };
        Ok(S3Settings { trust, encryption, delete_versions, ..S3Settings::at(&url, credentials) })
    }

    /// Of the node's entry if it names some, else the embedded store's own if it is on this machine, else of the environment.
    async fn credentials(&self, node: NodeId, url: &StoreUrl) -> Result<Credentials, AccessError> {
        match self.stores.get(&node) {
            Some(StoreSettings::S3(S3StoreSettings { credentials, .. })) => self.configured(credentials).await,
            Some(StoreSettings::Embedded { .. }) => {
                let missing = AccessError::Missing { variables: STORE_VARIABLES, or: " as its agent has them" };
                self.of_embedded(node)?.ok_or(missing)
            }
            // Of a node that only the table knows, the bucket tells what kind of store it is likely to be.
            None if url.bucket() == BUCKET => match self.of_embedded(node)? {
                Some(credentials) => Ok(credentials),
                None => self.of_environment().await,
            },
            None => self.of_environment().await,
        }
    }

    async fn configured(&self, settings: &CredentialsSettings) -> Result<Credentials, AccessError> {
        match settings {
            CredentialsSettings::Environment => self.of_environment().await,
            CredentialsSettings::Profile(profile) => Ok(profile::named(profile).await?),
            CredentialsSettings::Keys { access_key_id, secret_access_key, session_token } => {
                let found = Credentials {
                    session_token: session_token.as_ref().map(|token| token.expose().to_owned()),
                    ..Credentials::new(access_key_id, secret_access_key.expose())
                };
                let names = ["access_key_id", "secret_access_key", "session_token"];
                Ok(found.checked(names.map(|name| format!("{name} in network.toml")))?)
            }
        }
    }

    fn of_embedded(&self, node: NodeId) -> Result<Option<Credentials>, AccessError> {
        let own = self.data.as_ref().map(|data| EmbeddedStore::credentials_of(&data.store(node)));
        match own.transpose()?.flatten() {
            Some(own) => Ok(Some(own)),
            None => self.given(),
        }
    }

    /// Those that the embedded stores of a network on several machines share.
    pub fn given(&self) -> Result<Option<Credentials>, AccessError> {
        Ok(Credentials::from_variables(STORE_VARIABLES, self.variable)?)
    }

    async fn of_environment(&self) -> Result<Credentials, AccessError> {
        let keys = Credentials::from_variables(Variables::AWS, self.variable)?;
        let found = match keys {
            Some(keys) => Some(keys),
            None => profile::of_environment().await?,
        };
        found.ok_or(AccessError::Missing { variables: Variables::AWS, or: ", or AWS_PROFILE" })
    }

    fn trust(&self, node: NodeId) -> Result<Trust, AccessError> {
        let configured = match self.stores.get(&node) {
            Some(StoreSettings::S3(S3StoreSettings { ca, .. })) => ca.clone(),
            Some(StoreSettings::Embedded { .. }) | None => None,
        };
        let bundle = || (self.variable)(environment::AWS_CA_BUNDLE).filter(|file| !file.is_empty()).map(PathBuf::from);
        match configured.or_else(bundle) {
            Some(file) => Ok(Trust::in_file(&file)?),
            None => Ok(Trust::System),
        }
    }
}

/// One that is no Unicode is there, and malformed.
fn environment_variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

fn encryption(settings: &EncryptionSettings) -> Encryption {
    match settings {
        EncryptionSettings::Aes256 => Encryption::Aes256,
        EncryptionSettings::Kms { key } => Encryption::Kms { key: key.clone() },
    }
}

/// What can be said of a network's credentials without its stores: whatever variables and profiles hold could be shown to
/// one. What is not there may be there where the agents run.
pub async fn check_credentials(network: &NetworkSettings) -> Result<(), AccessError> {
    Credentials::from_variables(STORE_VARIABLES, environment_variable)?;
    let keys = Credentials::from_variables(Variables::AWS, environment_variable)?;
    for node in network.nodes.values() {
        let StoreSettings::S3(store) = &node.store else { continue };
        let found = match &store.credentials {
            CredentialsSettings::Environment if keys.is_none() => profile::of_environment().await.map(drop),
            CredentialsSettings::Profile(profile) => profile::named(profile).await.map(drop),
            CredentialsSettings::Environment | CredentialsSettings::Keys { .. } => Ok(()),
        };
        if let Err(ProfileError::Malformed(error)) = found {
            return Err(error.into());
        }
    }
    Ok(())
}

/// The same for programs. Through a link they take the store's own address for plain http, where only the port differs.
pub fn for_programs(settings: &S3Settings) -> S3Access {
    let is_https = settings.endpoint.starts_with("https://");
    let (endpoint, link) = match &settings.link {
        Some(link) if !is_https => (format!("http://{link}"), None),
        link => (settings.endpoint.clone(), link.clone()),
    };
    let Credentials { access_key_id, secret_access_key, session_token } = settings.credentials.clone();
    S3Access {
        endpoint,
        region: settings.region.clone(),
        bucket: settings.bucket.clone(),
        access_key_id,
        secret_access_key,
        session_token,
        ca: settings.trust.file().map(PathBuf::from),
        link,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::embedded::EmbeddedSettings;
    use agent_core::domain::secret::Secret;

    const IN_TABLE_ALONE: NodeId = NodeId(9);
    const EMBEDDED: NodeId = NodeId(1);
    const WITH_KEYS: NodeId = NodeId(2);
    const FOREIGN: NodeId = NodeId(3);

    fn everything_set(name: &str) -> Option<String> {
        let set = [
            ("AWS_ACCESS_KEY_ID", "aws"),
            ("AWS_SECRET_ACCESS_KEY", "hush"),
            ("AGENT_STORE_ACCESS_KEY_ID", "store"),
            ("AGENT_STORE_SECRET_ACCESS_KEY", "hush"),
        ];
        set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    fn access(data: &tempfile::TempDir, variable: fn(&str) -> Option<String>) -> Access {
        let s3 = |credentials| {
            let url = "http://s3:9000/data".parse().unwrap();
            StoreSettings::S3(S3StoreSettings { url, credentials, ca: None, encryption: None, delete_versions: false })
        };
        let keys = CredentialsSettings::Keys {
            access_key_id: "configured".to_owned(),
            secret_access_key: Secret::new("hush"),
            session_token: Some(Secret::new("token")),
        };
        let stores = BTreeMap::from([
            (EMBEDDED, StoreSettings::default()),
            (WITH_KEYS, s3(keys)),
            (FOREIGN, s3(CredentialsSettings::Environment)),
        ]);
        Access { stores: Arc::new(stores), data: Some(DataDirectory::create(data.path()).unwrap()), variable }
    }

    async fn key(access: &Access, node: NodeId, url: &str) -> Result<String, String> {
        let settings = access.settings(node, url).await;
        settings.map(|settings| settings.credentials.access_key_id).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn credentials_are_looked_for_where_they_are_nearest() {
        let data = tempfile::tempdir().unwrap();
        let access = access(&data, everything_set);
        let check = async |node, url, expected: &str| {
            assert_eq!(key(&access, node, url).await, Ok(expected.to_owned()), "{url}");
        };
        check(WITH_KEYS, "http://s3:9000/data", "configured").await;
        check(FOREIGN, "http://s3:9000/data", "aws").await;
        check(EMBEDDED, "http://agent1:9000/agent", "store").await;
        check(IN_TABLE_ALONE, "http://agent9:9000/agent", "store").await;
        check(IN_TABLE_ALONE, "https://s3.example.org/office?region=eu", "aws").await;

        let own = EmbeddedSettings::new(access.data.as_ref().unwrap().store(EMBEDDED), "agent");
        let store = EmbeddedStore::start(own, &tokio::runtime::Handle::current()).unwrap();
        check(EMBEDDED, &store.endpoint(), &store.credentials().access_key_id).await;
        store.shutdown().await;
    }

    #[tokio::test]
    async fn what_is_missing_is_named() {
        let data = tempfile::tempdir().unwrap();
        let half = |name: &str| (name == "AGENT_STORE_ACCESS_KEY_ID").then(|| "store".to_owned());
        let says = async |access: &Access, url| key(access, EMBEDDED, url).await.unwrap_err();
        let without = access(&data, |_| None);
        let missing = "node 1: there are no credentials for its store: set AGENT_STORE_ACCESS_KEY_ID and \
                       AGENT_STORE_SECRET_ACCESS_KEY as its agent has them";
        assert_eq!(says(&without, "http://agent1:9000").await, missing);
        let incomplete =
            "node 1: AGENT_STORE_ACCESS_KEY_ID is set but AGENT_STORE_SECRET_ACCESS_KEY is not; set both or neither";
        assert_eq!(says(&access(&data, half), "http://agent1:9000").await, incomplete);
        let url = says(&without, "agent1:9000").await;
        assert!(url.starts_with("node 1: the store's URL does not begin with a scheme, a host and a port; "), "{url}");
    }

    #[test]
    fn programs_get_a_link_only_where_they_can_take_it() {
        let settings = |endpoint: &str, link: Option<&str>| S3Settings {
            link: link.map(str::to_owned),
            ..S3Settings::new(endpoint, "data", Credentials::new("key", "hush"))
        };
        let check = |settings: &S3Settings, endpoint: &str, link: Option<&str>| {
            let access = for_programs(settings);
            assert_eq!((access.endpoint.as_str(), access.link.as_deref()), (endpoint, link));
        };
        let link = Some("127.0.0.1:4711");
        check(&settings("http://store:9000", None), "http://store:9000", None);
        check(&settings("http://store:9000", link), "http://127.0.0.1:4711", None);
        check(&settings("https://store", None), "https://store", None);
        check(&settings("https://store", link), "https://store", link);
    }
}
