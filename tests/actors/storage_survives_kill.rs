//! An embedded store that is killed in the middle of its work shows whole objects only, and leaves nothing behind.
//!
//! The process that is killed is this test binary, started again with the directory in its environment.

use agent::storage::ObjectStore;
use agent::storage::embedded::{EmbeddedSettings, EmbeddedStore};
use agent::storage::s3::{S3Settings, S3Store};
use agent::storage::transfer::{Expected, verify};
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use sha2::{Digest, Sha256};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tokio::runtime::Handle;

const DIRECTORY: &str = "STORAGE_TO_KILL";
const KILLS: usize = 12;

/// Two objects that replace each other: one is written at once, the other in two parts.
fn contents() -> [Bytes; 2] {
    [Bytes::from(vec![1; 300_000]), Bytes::from(vec![2; 9 * 1024 * 1024])]
}

fn open(directory: &Path) -> (EmbeddedStore, S3Store) {
    let server = EmbeddedStore::start(EmbeddedSettings::new(directory, "data"), &Handle::current()).unwrap();
    let store = S3Store::new(S3Settings::new(server.endpoint(), "data", server.credentials().clone()));
    (server, store)
}

async fn write(store: &S3Store, content: Bytes) {
    let bytes = content.len() as u64;
    let halves = content.len() / 2;
    let pieces = [Ok(content.slice(..halves)), Ok(content.slice(halves..))];
    store.write("object", bytes, stream::iter(pieces).boxed()).await.unwrap();
}

/// Writes for ever, one line for each object that was written.
#[tokio::test]
async fn writer_to_be_killed() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    let (_server, store) = open(Path::new(&directory));
    for content in contents().iter().cycle() {
        write(&store, content.clone()).await;
        println!("written");
    }
}

fn start_writer(directory: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "storage_survives_kill::writer_to_be_killed", "--nocapture"]).env(DIRECTORY, directory);
    command.stdout(Stdio::piped()).spawn().unwrap()
}

#[tokio::test]
async fn only_whole_objects_survive() {
    let directory = tempfile::tempdir().unwrap();
    for kill in 0..KILLS {
        let mut writer = start_writer(directory.path());
        let lines = BufReader::new(writer.stdout.take().unwrap()).lines().map_while(|line| line.ok());
        let written = lines.filter(|line| line.ends_with("written")).take(1 + kill % 4).count();
        assert_eq!(written, 1 + kill % 4, "the writer ended by itself");
        // It is in the middle of the next one.
        writer.kill().unwrap();
        writer.wait().unwrap();

        let (server, store) = open(directory.path());
        let found = store.info("object").await.unwrap().expect("it was written before");
        let content = contents().into_iter().find(|content| content.len() as u64 == found.bytes);
        let content = content.unwrap_or_else(|| panic!("{} bytes are half an object", found.bytes));
        let expected = Expected { bytes: found.bytes, sha256: hex::encode(Sha256::digest(&content)) };
        assert_eq!(verify(&store, "object", &expected).await.unwrap().bytes(), found.bytes);
        assert_eq!(std::fs::read_dir(directory.path().join("incoming")).unwrap().count(), 0);
        assert_eq!(store.list("").await.unwrap().len(), 1);
        server.shutdown().await;
    }
}
