//! An embedded store at the end of an emulated link, as jobs see a node, and a second one to transfer to.

use agent::data::blood_tests::BloodTests;
use agent::jobs::{DataSource, S3Access};
use agent::links::Links as _;
use agent::links::toxiproxy::Toxiproxy;
use agent::storage::ObjectStore as _;
use agent::storage::embedded::{EmbeddedSettings, EmbeddedStore};
use agent::storage::s3::{S3Settings, S3Store};
use agent_core::domain::ids::{AgentId, NodeId};
use agent_emulator::{Emulator, Metrics};
use futures::StreamExt as _;
use std::sync::Arc;
use std::time::Duration;

pub const KEY: &str = "blood_tests.json";

pub struct LinkedStores {
    pub source: DataSource,
    #[allow(dead_code, reason = "not every bench transfers")]
    pub other: S3Store,
    stores: [EmbeddedStore; 2],
    emulator: Emulator,
    _directory: tempfile::TempDir,
}

impl LinkedStores {
    /// With so many records in its store, and this latency of both links.
    pub async fn start(records: u64, latency: Duration) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let runtime = tokio::runtime::Handle::current();
        let stores = ["from", "to"].map(|name| {
            let settings = EmbeddedSettings::new(directory.path().join(name), "agent");
            EmbeddedStore::start(settings, &runtime).expect("the store starts")
        });
        let emulator = Emulator::start(([127, 0, 0, 1], 0).into(), Metrics::Off).await.expect("the emulator starts");
        let links = Toxiproxy::new(&emulator.url()).expect("the client starts");
        let mut clients = Vec::new();
        for (node, store) in (1..).map(NodeId).zip(&stores) {
            let link = links.open(AgentId(1), node, &store.address().to_string()).await.expect("the link opens");
            links.set_latency(AgentId(1), node, latency).await.expect("the link is set");
            let settings = S3Settings::new(format!("http://{link}"), "agent", store.credentials().clone());
            clients.push(S3Store::new(settings));
        }
        let (other, store) = (clients.pop().expect("two clients"), clients.pop().expect("two clients"));
        let data = BloodTests::new(records);
        let body = futures::stream::iter(data.pieces(0..data.bytes()).map(Ok)).boxed();
        store.write(KEY, data.bytes(), body).await.expect("the upload succeeds");
        let access = S3Access {
            endpoint: store.address().to_owned(),
            region: "us-east-1".to_owned(),
            bucket: "agent".to_owned(),
            access_key_id: String::new(),
            secret_access_key: String::new(),
            ..Default::default()
        };
        let source = DataSource {
            store: Arc::new(store),
            access,
            data_set: "blood_tests".to_owned(),
            object_key: KEY.to_owned(),
            etag: None,
            sha256: String::new(),
            bytes: data.bytes(),
            records,
        };
        Self { source, other, stores, emulator, _directory: directory }
    }

    pub async fn stop(self) {
        self.emulator.shutdown().await;
        for store in self.stores {
            store.shutdown().await;
        }
    }
}
