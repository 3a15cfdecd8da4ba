use super::*;
use crate::storage::contract::{self, pattern};
use crate::storage::s3::{S3Settings, S3Store};
use crate::storage::{Content, ObjectStore, StorageError};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Busy machines sync slowly, and no test here loses power.
fn settings(directory: &tempfile::TempDir) -> EmbeddedSettings {
    EmbeddedSettings { durability: Durability::Kill, ..EmbeddedSettings::new(directory.path(), "data") }
}

fn start(directory: &tempfile::TempDir) -> Result<EmbeddedStore, EmbeddedError> {
    EmbeddedStore::start(settings(directory), &Handle::current())
}

fn client(server: &EmbeddedStore) -> S3Store {
    S3Store::new(S3Settings::new(server.endpoint(), "data", server.credentials().clone()))
}

fn said(started: Result<EmbeddedStore, EmbeddedError>) -> String {
    started.map(|store| store.endpoint()).unwrap_err().to_string()
}

#[tokio::test]
async fn objects_and_credentials_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let first = start(&directory).unwrap();
    let credentials = first.credentials().clone();
    contract::put(&client(&first), "kept", b"what was written").await;
    first.shutdown().await;
    let second = start(&directory).unwrap();
    assert_eq!(second.credentials(), &credentials);
    assert_eq!(contract::read(&client(&second), "kept", 0..16).await.unwrap(), b"what was written");
    second.shutdown().await;
}

#[tokio::test]
async fn credentials_are_for_this_user_alone() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(&directory).unwrap();
    let path = directory.path().join("credentials.json");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(server.credentials().secret_access_key.len(), 64);
    server.shutdown().await;

    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let path_text = path.display();
    let expected = format!("{path_text}: others may read these credentials (mode 644); run `chmod 600 {path_text}`");
    assert_eq!(said(start(&directory)), expected);

    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&path, "{").unwrap();
    assert!(
        said(start(&directory)).contains("these are no credentials: line 1, column 1;"),
        "{}",
        said(start(&directory))
    );
}

#[tokio::test]
async fn credentials_that_are_given_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(EmbeddedStore::credentials_of(directory.path()).unwrap(), None);
    start(&directory).unwrap().shutdown().await;
    let given = Credentials::new("AGENT", "given");
    let with_given = EmbeddedSettings { credentials: Some(given.clone()), ..settings(&directory) };
    let server = EmbeddedStore::start(with_given, &Handle::current()).unwrap();
    let store = S3Store::new(S3Settings::new(server.endpoint(), "data", given.clone()));
    contract::put(&store, "a", b"content").await;
    assert_eq!(EmbeddedStore::credentials_of(directory.path()).unwrap(), Some(given.clone()));
    server.shutdown().await;
    let again = start(&directory).unwrap();
    assert_eq!(again.credentials(), &given);
    again.shutdown().await;
}

/// The status line of the answer to a request as it stands.
async fn status_of(server: &EmbeddedStore, request: &str) -> String {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn without_a_signature_everything_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(&directory).unwrap();
    contract::put(&client(&server), "secret", b"content").await;
    for target in [
        "GET /",
        "GET /data",
        "GET /data/secret",
        "HEAD /data/secret",
        "PUT /data/new",
        "DELETE /data/secret",
        "GET /data?uploads",
        "POST /data/secret?uploads",
    ] {
        let request = format!("{target} HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        assert_eq!(status_of(&server, &request).await, "HTTP/1.1 403 Forbidden", "{target}");
    }
    server.shutdown().await;
}

#[tokio::test]
async fn wrong_credentials_are_refused_with_a_hint() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(&directory).unwrap();
    let mut wrong_secret = server.credentials().clone();
    wrong_secret.secret_access_key = "wrong".into();
    for (credentials, code) in
        [(wrong_secret, "SignatureDoesNotMatch"), (Credentials::new("nobody", "wrong"), "NotSignedUp")]
    {
        let store = S3Store::new(S3Settings::new(server.endpoint(), "data", credentials));
        let error = contract::read_of(&store, "a", 0..1, &Content { bytes: 1, etag: None }).await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, StorageError::Denied { .. }), "{text}");
        assert!(text.contains(code) && text.ends_with("check the credentials of this store"), "{text}");
        let error = store.info("a").await.unwrap_err();
        assert!(matches!(error, StorageError::Denied { .. }), "{error}");
    }
    server.shutdown().await;
}

#[tokio::test]
async fn what_is_in_use_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    let server = start(&directory).unwrap();
    let root = directory.path().display();
    let expected = format!("{root}: another process keeps its objects there; stop it or choose another directory");
    assert_eq!(said(start(&directory)), expected);

    let listen = server.address();
    let settings = EmbeddedSettings { listen, ..EmbeddedSettings::new(other.path(), "data") };
    let expected = format!(
        "cannot listen on {listen}: Address already in use (os error 98); stop who does or choose another address"
    );
    assert_eq!(said(EmbeddedStore::start(settings, &Handle::current())), expected);
    server.shutdown().await;
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let settings = EmbeddedSettings::new(directory.path(), "Data/..");
    assert!(said(EmbeddedStore::start(settings, &Handle::current())).starts_with("`Data/..` is no name for a bucket"));

    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let settings = EmbeddedSettings::new(file.join("store"), "data");
    let expected = format!(
        "{}: creating it: Not a directory (os error 20); the embedded store needs a directory it can write to",
        file.join("store").display()
    );
    assert_eq!(said(EmbeddedStore::start(settings, &Handle::current())), expected);
}

#[tokio::test]
async fn an_object_is_one_file_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(&directory).unwrap();
    let store = client(&server);
    let content = pattern(9 * 1024 * 1024);
    contract::put(&store, "small", b"content").await;
    contract::put(&store, "large", &content).await;
    let bucket = directory.path().join("objects/data");
    assert_eq!(fs::read(bucket.join("small")).unwrap(), b"content");
    assert!(fs::read(bucket.join("large")).unwrap() == content);
    store.delete("small").await.unwrap();
    store.delete("large").await.unwrap();
    assert_eq!(fs::read_dir(&bucket).unwrap().count(), 0);
    let beside: Vec<_> =
        fs::read_dir(directory.path().join("objects")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(beside, ["data"]);
    assert_eq!(fs::read_dir(directory.path().join("incoming")).unwrap().count(), 0);
    server.shutdown().await;
}

#[tokio::test]
async fn keys_that_are_no_files_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(&directory).unwrap();
    let store = client(&server);
    contract::put(&store, "file", b"1").await;
    for key in ["../outside", "a//b", "folder/", "file/below"] {
        let error = store.write(key, 1, contract::body(b"1", 1)).await.unwrap_err();
        assert!(error.to_string().contains("400 InvalidArgument"), "{key}: {error}");
    }
    assert_eq!(store.info("file/below").await.unwrap(), None);
    assert!(!directory.path().join("objects/outside").exists());
    server.shutdown().await;
}

#[tokio::test]
async fn a_missing_bucket_is_not_a_missing_object() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(&directory).unwrap();
    let settings = S3Settings::new(server.endpoint(), "absent", server.credentials().clone());
    let store = S3Store::new(settings);
    let hint = "the bucket `absent` does not exist; create it or correct its name";
    let failures = [
        store.info("a").await.unwrap_err(),
        contract::read(&store, "a", 0..1).await.unwrap_err(),
        store.write("a", 0, contract::body(b"", 1)).await.unwrap_err(),
        store.delete("a").await.unwrap_err(),
        store.list("").await.unwrap_err(),
    ];
    for failure in failures {
        assert!(failure.to_string().ends_with(hint), "{failure}");
    }
    store.ensure_bucket().await.unwrap();
    assert_eq!(store.info("a").await.unwrap(), None);
    server.shutdown().await;
}

#[tokio::test]
async fn a_full_disk_is_told_apart() {
    // Every write to it fails with "no space left".
    let error = io::Error::from(io::ErrorKind::StorageFull);
    let refused = service::failed("writing", std::path::Path::new("/data/a"), error);
    assert_eq!(refused.status_code(), Some(hyper::StatusCode::INSUFFICIENT_STORAGE));
    assert_eq!(refused.message(), Some("writing /data/a: no storage space"));
}

#[tokio::test]
async fn a_shutdown_waits_for_the_request_that_runs() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(&directory).unwrap();
    let store = client(&server);
    let content = pattern(5_000_000);
    contract::put(&store, "a", &content).await;
    let body = store.read_range("a", 0..5_000_000, &Content { bytes: 5_000_000, etag: None }).await.unwrap().bytes;
    let reading = tokio::spawn(async move {
        let chunks: Vec<bytes::Bytes> = futures::TryStreamExt::try_collect(body).await.unwrap();
        chunks.concat()
    });
    let address = server.address();
    server.shutdown().await;
    assert!(reading.await.unwrap() == content);
    assert!(TcpStream::connect(address).await.is_err());
}
