mod independent;
mod refusals;
mod servers;
mod slow_down;

use super::*;
use crate::storage::contract;
use crate::storage::credentials::Credentials;
use crate::storage::embedded::{Durability, EmbeddedSettings, EmbeddedStore};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;

/// Busy machines sync slowly, and no test here loses power.
fn settings(directory: &tempfile::TempDir) -> EmbeddedSettings {
    EmbeddedSettings { durability: Durability::Kill, ..EmbeddedSettings::new(directory.path(), "data") }
}

fn embedded(directory: &tempfile::TempDir) -> (EmbeddedStore, S3Store) {
    let server = EmbeddedStore::start(settings(directory), &Handle::current()).unwrap();
    let client = S3Store::new(S3Settings::new(server.endpoint(), "data", server.credentials().clone()));
    (server, client)
}

#[tokio::test]
async fn the_embedded_store_keeps_the_contract() {
    let directory = tempfile::tempdir().unwrap();
    let (server, client) = embedded(&directory);
    contract::check(&client).await;
    server.shutdown().await;
}

/// What a store says to every request, and what it does then.
#[derive(Clone)]
struct Reply {
    text: String,
    then: Then,
}

#[derive(Clone, Copy, PartialEq)]
enum Then {
    Close,
    Hang,
    /// Closes in a way that the client hears of as an error.
    Reset,
}

fn reply(status: &str, head: &str, body: &str) -> Reply {
    let text = format!("HTTP/1.1 {status}\r\n{head}connection: close\r\n\r\n{body}");
    Reply { text, then: Then::Close }
}

fn error(status: &str, code: &str, message: &str) -> Reply {
    let body = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
    reply(status, &format!("content-length: {}\r\n", body.len()), &body)
}

/// A store that lies, and the heads of the requests it got.
struct LyingStore {
    client: S3Store,
    requests: Arc<Mutex<Vec<String>>>,
}

/// The content that most of these tests mean.
const OF_99: Content = Content { bytes: 99, etag: None };

/// For messages: no attempt but the first, or few.
const IMPATIENT: Attempts = Attempts { read: 1, control: 2 };

impl LyingStore {
    async fn start(reply: Reply) -> Self {
        Self::with_limit(reply, Timeouts::default().response).await
    }

    /// Whose client waits so long and no longer.
    async fn with_limit(reply: Reply, limit: Duration) -> Self {
        Self::answering(limit, IMPATIENT, move |_, _| reply.clone()).await
    }

    /// Replies to each request by its head and its number, from 1.
    async fn answering(
        limit: Duration,
        attempts: Attempts,
        reply: impl Fn(&str, usize) -> Reply + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        tokio::spawn(async move {
            let mut hanging = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = head(&mut stream).await;
                let Reply { text, then } = {
                    let mut seen = seen.lock().unwrap();
                    seen.push(request);
                    reply(seen.last().unwrap(), seen.len())
                };
                stream.write_all(text.as_bytes()).await.unwrap();
                match then {
                    Then::Close => drop(stream),
                    Then::Hang => hanging.push(stream),
                    Then::Reset => stream.set_zero_linger().unwrap(),
                }
            }
        });
        let mut settings = S3Settings::new(endpoint, "data", Credentials::new("key", "secret"));
        settings.timeouts.response = limit;
        settings.timeouts.stall = limit;
        settings.attempts = attempts;
        Self { client: S3Store::new(settings), requests }
    }

    fn requests(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

/// The request's first line and headers; a body is read as far as it is announced.
async fn head(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let head = loop {
        let mut byte = [0];
        if stream.read(&mut byte).await.unwrap() == 0 {
            break request.len();
        }
        request.push(byte[0]);
        if request.ends_with(b"\r\n\r\n") {
            break request.len();
        }
    };
    let text = String::from_utf8(request[..head].to_vec()).unwrap();
    let announced = text.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
    let mut body = vec![0; announced.parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    text
}

/// Reads bytes 10 to 16 of `a` from a store that replies so: what the error says after the store's address.
async fn reading_says(reply: Reply) -> (String, StorageError) {
    let store = LyingStore::start(reply).await;
    let error = contract::read_of(&store.client, "a", 10..16, &OF_99).await.unwrap_err();
    assert_eq!(store.requests(), 1, "one range is one request, whatever comes back");
    let text = error.to_string();
    let said = text.strip_prefix(&format!("{}: ", store.client.address)).unwrap().to_owned();
    (said, error)
}

#[tokio::test]
async fn an_honest_range_is_one_request_for_that_range() {
    let head = "content-length: 6\r\ncontent-range: bytes 10-15/99\r\n";
    let store = LyingStore::start(reply("206 Partial Content", head, "abcdef")).await;
    assert_eq!(contract::read_of(&store.client, "a b", 10..16, &OF_99).await.unwrap(), b"abcdef");
    let requests = store.requests.lock().unwrap();
    assert!(requests[0].starts_with("GET /data/a%20b"), "{requests:?}");
    assert!(requests[0].contains("\r\nrange: bytes=10-15\r\n"), "{requests:?}");
    assert_eq!(requests.len(), 1);
}

#[tokio::test]
async fn damaged_answers_are_seen() {
    let partial = "206 Partial Content";
    let right = "content-length: 6\r\ncontent-range: bytes 10-15/99\r\n";
    let chunked = "transfer-encoding: chunked\r\ncontent-range: bytes 10-15/99\r\n";
    let cases = [
        (reply(partial, right, "abc"), "the store ended after 3 of 6 bytes"),
        (reply(partial, chunked, "3\r\nabc\r\n0\r\n\r\n"), "the store ended after 3 of 6 bytes"),
        (reply(partial, chunked, "7\r\nabcdefg\r\n0\r\n\r\n"), "the store sends more than the 6 bytes asked for"),
        (
            reply(partial, "content-length: 6\r\ncontent-range: bytes 0-5/99\r\n", "abcdef"),
            "bytes 10-15 were asked for, the store sends `bytes 0-5/99`",
        ),
        (
            reply(partial, "content-length: 5\r\ncontent-range: bytes 10-15/99\r\n", "abcde"),
            "bytes 10-15 were asked for, the store sends 5 bytes",
        ),
        (
            reply("200 OK", "content-length: 6\r\n", "abcdef"),
            "bytes 10-15 were asked for, the store sends the whole object",
        ),
        (error("416 Range Not Satisfiable", "InvalidRange", "too far"), "416 InvalidRange too far"),
    ];
    for (reply, reason) in cases {
        let (said, error) = reading_says(reply).await;
        assert_eq!(said, format!("`a` is damaged: {reason}"));
        assert!(matches!(error, StorageError::Damaged { .. }));
    }
}

#[tokio::test]
async fn another_content_is_seen_with_and_without_conditional_reads() {
    let of = Content { etag: Some("one".to_owned()), ..OF_99 };
    let grown = "etag: \"one\"\r\ncontent-length: 6\r\ncontent-range: bytes 10-15/100\r\n";
    let other = "etag: \"two\"\r\ncontent-length: 6\r\ncontent-range: bytes 10-15/99\r\n";
    let cases = [
        (error("412 Precondition Failed", "PreconditionFailed", "no"), "412 PreconditionFailed no"),
        (reply("206 Partial Content", grown, "abcdef"), "it has 100 bytes, expected 99"),
        (reply("206 Partial Content", other, "abcdef"), "its ETag is two, expected one"),
    ];
    for (reply, reason) in cases {
        let store = LyingStore::start(reply).await;
        let error = contract::read_of(&store.client, "a", 10..16, &of).await.unwrap_err();
        let expected = format!("{}: `a` is another object by now: {reason}", store.client.address);
        assert_eq!(error.to_string(), expected);
        assert!(store.requests.lock().unwrap()[0].contains("\r\nif-match: \"one\"\r\n"));
    }
}

#[tokio::test]
async fn a_store_without_conditional_deletions_is_asked_without_a_condition() {
    let store = LyingStore::answering(Timeouts::default().response, IMPATIENT, |request, _| match request {
        head if head.starts_with("HEAD") => reply("200 OK", "etag: \"one\"\r\ncontent-length: 3\r\n", ""),
        conditional if conditional.contains("if-match") => error("501 Not Implemented", "NotImplemented", "no"),
        _ => reply("204 No Content", "", ""),
    })
    .await;
    let content = Content { bytes: 3, etag: Some("one".to_owned()) };
    for requests in [3, 5] {
        store.client.delete_if("a", &content).await.unwrap();
        assert_eq!(store.requests(), requests, "it is asked with a condition once");
    }
    let other = Content { bytes: 3, etag: Some("two".to_owned()) };
    let error = store.client.delete_if("a", &other).await.unwrap_err();
    assert!(matches!(error, StorageError::Changed { .. }), "{error}");
}

#[tokio::test]
async fn refusals_say_what_they_mean() {
    let denied = "access to `a` was refused: 403 SignatureDoesNotMatch no; check the credentials of this store";
    let cases = [
        (error("403 Forbidden", "SignatureDoesNotMatch", "no"), denied),
        (error("404 Not Found", "NoSuchKey", "gone"), "no object `a`"),
        (
            error("404 Not Found", "NoSuchBucket", "gone"),
            "reading `a`: the bucket `data` does not exist; create it or correct its name",
        ),
        (error("507 Insufficient Storage", "X", "full"), "no room for `a`: 507 X full"),
        (error("403 Forbidden", "QuotaExceeded", "full"), "no room for `a`: 403 QuotaExceeded full"),
        (error("500 Internal Server Error", "InternalError", "oh"), "reading `a`: 500 InternalError oh"),
        (error("503 Service Unavailable", "SlowDown", "busy"), "reading `a`: 503 SlowDown busy"),
        (reply("502 Bad Gateway", "content-length: 5\r\n", "proxy"), "reading `a`: 502"),
    ];
    for (reply, expected) in cases {
        assert_eq!(reading_says(reply).await.0, expected);
    }
}

#[tokio::test]
async fn stores_that_hang_are_left() {
    let limit = Duration::from_millis(300);
    let silent = LyingStore::with_limit(Reply { text: String::new(), then: Then::Hang }, limit).await;
    let failure = silent.client.info("a").await.unwrap_err();
    assert_eq!(failure.to_string(), format!("{}: looking at `a`: no answer within 300ms", silent.client.address));

    let head = "content-length: 6\r\ncontent-range: bytes 10-15/99\r\n";
    let stalled = Reply { then: Then::Hang, ..reply("206 Partial Content", head, "abc") };
    let mut client = LyingStore::start(stalled).await.client;
    client.timeouts.stall = limit;
    let failure = contract::read_of(&client, "a", 10..16, &OF_99).await.unwrap_err();
    assert_eq!(failure.to_string(), format!("{}: reading `a`: no byte for 300ms", client.address));
}

#[tokio::test]
async fn a_store_that_is_away_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let store = S3Store::new(S3Settings::new(&endpoint, "data", Credentials::new("key", "secret")));
    let error = contract::read_of(&store, "a", 0..1, &OF_99).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, StorageError::Unavailable { .. }));
    assert!(text.starts_with(&format!("{endpoint}/data: reading `a`: ")), "{text}");
    assert!(text.ends_with("tcp connect error: Connection refused (os error 111)"), "{text}");
}

#[tokio::test]
async fn a_refused_checksum_is_damage() {
    let store = LyingStore::start(error("400 Bad Request", "BadDigest", "another one")).await;
    let failure = store.client.write("a", 3, contract::body(b"abc", 3)).await.unwrap_err();
    let expected = format!("{}: `a` is damaged: 400 BadDigest another one", store.client.address);
    assert_eq!(failure.to_string(), expected);
    let requests = store.requests.lock().unwrap();
    assert!(requests[0].contains("\r\nx-amz-checksum-crc32: NSRBwg==\r\n"), "{requests:?}");
    assert!(requests[0].contains("\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD\r\n"), "{requests:?}");
}

#[tokio::test]
async fn the_embedded_store_checks_checksums_before_anything_is_visible() {
    let directory = tempfile::tempdir().unwrap();
    let (server, client) = embedded(&directory);
    let request = client.control.put_object().bucket("data").key("a").body(Bytes::from_static(b"abc").into());
    let failure = request.checksum_crc32("AAAAAA==").send().await.unwrap_err();
    assert_eq!(failure.code(), Some("BadDigest"));
    let request = client.control.put_object().bucket("data").key("a").body(Bytes::from_static(b"abc").into());
    let failure = request.content_md5("AAAAAAAAAAAAAAAAAAAAAA==").send().await.unwrap_err();
    assert_eq!(failure.code(), Some("BadDigest"));
    assert_eq!(client.info("a").await.unwrap(), None);

    let created = client.control.create_multipart_upload().bucket("data").key("a").send().await.unwrap();
    let request = client.control.upload_part().bucket("data").key("a").upload_id(created.upload_id().unwrap());
    let request = request.part_number(1).body(Bytes::from_static(b"abc").into());
    let failure = request.checksum_crc32("AAAAAA==").send().await.unwrap_err();
    assert_eq!(failure.code(), Some("BadDigest"));
    server.shutdown().await;
}

#[tokio::test]
async fn unfinished_uploads_go_with_the_key() {
    let directory = tempfile::tempdir().unwrap();
    let (server, client) = embedded(&directory);
    let incoming = directory.path().join("incoming");
    let left = || std::fs::read_dir(&incoming).unwrap().count();
    for key in ["a", "a/b"] {
        client.control.create_multipart_upload().bucket("data").key(key).send().await.unwrap();
    }
    assert_eq!(left(), 2);
    client.delete("a").await.unwrap();
    assert_eq!(left(), 1, "that of the other key is not touched");
    client.delete("a/b").await.unwrap();
    assert_eq!(left(), 0);
    server.shutdown().await;
}

#[tokio::test]
async fn a_dropped_write_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (server, client) = embedded(&directory);
    let bytes = 3 * PART_BYTES;
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Bytes>>(1);
    let body = stream::unfold(receiver, |mut chunks| async move { Some((chunks.recv().await?, chunks)) }).boxed();
    let writing = {
        let client = client.clone();
        tokio::spawn(async move { client.write("a", bytes, body).await })
    };
    // The third chunk is taken only after the first part was sent or is being sent.
    for _ in 0..3 {
        let part = Bytes::from(vec![7; usize::try_from(PART_BYTES).unwrap() - 1]);
        sender.send(Ok(part)).await.unwrap();
    }
    sender.reserve().await.unwrap();
    writing.abort();
    assert!(writing.await.unwrap_err().is_cancelled());
    // Dropping spawned the abort; it is over once the store knows of no upload.
    loop {
        let uploads = client.control.list_multipart_uploads().bucket("data").send().await.unwrap();
        if uploads.uploads().is_empty() {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(client.info("a").await.unwrap(), None);
    server.shutdown().await;
    assert_eq!(std::fs::read_dir(directory.path().join("incoming")).unwrap().count(), 0);
}

#[tokio::test]
async fn ranges_share_one_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::new(Mutex::new(0));
    let counted = connections.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            *counted.lock().unwrap() += 1;
            tokio::spawn(async move {
                let text = "HTTP/1.1 206 OK\r\ncontent-length: 1\r\ncontent-range: bytes 5-5/9\r\n\r\nx";
                while !head(&mut stream).await.is_empty() {
                    stream.write_all(text.as_bytes()).await.unwrap();
                }
            });
        }
    });
    let store = S3Store::new(S3Settings::new(endpoint, "data", Credentials::new("key", "secret")));
    for _ in 0..36 {
        assert_eq!(contract::read_of(&store, "a", 5..6, &Content { bytes: 9, etag: None }).await.unwrap(), b"x");
    }
    assert_eq!(*connections.lock().unwrap(), 1);
}

#[test]
fn debug_hides_the_secret() {
    let settings = S3Settings::new("http://127.0.0.1:1", "data", Credentials::new("key", "hush"));
    assert!(!format!("{settings:?}").contains("hush"));
    assert!(!format!("{:?}", S3Store::new(settings)).contains("hush"));
}

#[tokio::test]
async fn parts_are_cut_where_they_should_be() {
    let mut body = contract::body(b"abcdefgh", 3);
    let mut parts = Parts::new(&mut body, 8, 4, "store", "a");
    assert_eq!(parts.next().await.unwrap().unwrap(), "abcd");
    assert_eq!(parts.next().await.unwrap().unwrap(), "efgh");
    assert_eq!(parts.next().await.unwrap(), None);
}
