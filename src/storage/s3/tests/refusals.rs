//! Stores that say no: what is told of it, and what is done all the same.

use super::super::*;
use super::{IMPATIENT, LyingStore, Reply, error, reply};
use crate::storage::contract;
use crate::storage::credentials::Credentials;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

async fn answering(reply: impl Fn(&str, usize) -> Reply + Send + 'static) -> LyingStore {
    LyingStore::answering(Timeouts::default().response, IMPATIENT, reply).await
}

async fn bucket_says(reply: Reply) -> (String, StorageError) {
    let store = answering(move |_, _| reply.clone()).await;
    let error = store.client.bucket_exists().await.unwrap_err();
    let said = error.to_string();
    (said.strip_prefix(&format!("{}: ", store.client.address)).unwrap().to_owned(), error)
}

fn in_region(status: &str, code: &str, region: &str) -> Reply {
    let body = format!("<Error><Code>{code}</Code><Message>no</Message><Region>{region}</Region></Error>");
    reply(status, &format!("content-type: application/xml\r\ncontent-length: {}\r\n", body.len()), &body)
}

#[tokio::test]
async fn another_region_is_a_final_refusal_that_says_what_to_write() {
    let garage = in_region("400 Bad Request", "AuthorizationHeaderMalformed", "garage");
    let swift = in_region("403 Forbidden", "SignatureDoesNotMatch", "RegionOne");
    let moved = reply("301 Moved Permanently", "x-amz-bucket-region: eu-west-3\r\ncontent-length: 0\r\n", "");
    for (reply, region) in [(garage, "garage"), (swift, "RegionOne"), (moved, "eu-west-3")] {
        let (said, error) = bucket_says(reply).await;
        assert!(matches!(error, StorageError::Refused { .. }), "{error:?}");
        let remedy =
            format!("; its region is `{region}`, not `us-east-1`: write `region = \"{region}\"` in its [node.store]");
        assert!(said.ends_with(&remedy), "{said}");
    }
    let (said, error) = bucket_says(self::error("400 Bad Request", "AuthorizationHeaderMalformed", "no")).await;
    assert!(matches!(error, StorageError::Refused { .. }), "{error:?}");
    assert!(said.ends_with("`us-east-1` may be the wrong region: write the bucket's as `region` in its [node.store]"));
    // Garage names its region in all of its errors.
    let (_, error) = bucket_says(in_region("403 Forbidden", "AccessDenied", "us-east-1")).await;
    assert!(matches!(error, StorageError::Denied { .. }), "{error:?}");
}

#[tokio::test]
async fn what_is_no_s3_server_is_told_from_a_missing_bucket() {
    let page = "<!DOCTYPE html><html><body>hello</body></html>";
    let head = format!("content-type: text/html\r\ncontent-length: {}\r\n", page.len());
    for status in ["200 OK", "403 Forbidden", "404 Not Found", "405 Method Not Allowed", "501 Not Implemented"] {
        let (said, error) = bucket_says(reply(status, &head, page)).await;
        assert!(matches!(error, StorageError::Refused { .. }), "{status}: {error:?}");
        assert!(said.contains("it answers, but not as an S3 server does: "), "{said}");
        assert!(said.ends_with("; correct `endpoint`"), "{said}");
    }
    let missing = error("404 Not Found", "NoSuchBucket", "no");
    let store = answering(move |_, _| missing.clone()).await;
    assert!(!store.client.bucket_exists().await.unwrap());
}

#[tokio::test]
async fn objects_are_deleted_whatever_a_store_says_to_listing_uploads() {
    let xml = "<ListBucketResult></ListBucketResult>";
    let another = reply("200 OK", &format!("content-length: {}\r\n", xml.len()), xml);
    let page = reply("200 OK", "content-length: 4\r\n", "hoho");
    let refusals = [
        (error("400 Bad Request", "InvalidArgument", "no"), 1),
        (error("403 Forbidden", "AccessDenied", "no"), 1),
        (error("404 Not Found", "NoSuchKey", "no"), 1),
        (error("405 Method Not Allowed", "MethodNotAllowed", "no"), 1),
        (error("501 Not Implemented", "NotImplemented", "no"), 1),
        (reply("404 Not Found", "content-length: 0\r\n", ""), 1),
        (page, 1),
        (another, 1),
        // This is an answer: that there are none.
        (error("404 Not Found", "NoSuchUpload", "no"), 2),
        // A store that breaks over it is asked again, and deletes meanwhile.
        (error("500 Internal Server Error", "InternalError", "oh"), 2 * IMPATIENT.control as usize),
    ];
    for (refusal, asked) in refusals {
        let said = refusal.text.clone();
        let store = answering(move |request, _| match request.starts_with("DELETE") {
            true => reply("204 No Content", "", ""),
            false => refusal.clone(),
        })
        .await;
        for _ in 0..2 {
            store.client.delete("a").await.unwrap_or_else(|error| panic!("{said}: {error}"));
        }
        let requests = store.requests.lock().unwrap();
        let of = |method: &str| requests.iter().filter(|request| request.starts_with(method)).count();
        assert_eq!((of("GET"), of("DELETE")), (asked, 2), "{said}");
    }
}

/// The answer to HEAD has no body; the store's `Date` tells.
#[tokio::test]
async fn a_clock_that_is_twenty_minutes_off_signs_by_the_stores() {
    let ahead = DateTime::from_secs(DateTime::from(std::time::SystemTime::now()).secs() + 20 * 60);
    let date = ahead.fmt(aws_sdk_s3::primitives::DateTimeFormat::HttpDate).unwrap();
    let skewed = reply("403 Forbidden", &format!("date: {date}\r\ncontent-length: 0\r\n"), "");
    let well = reply("200 OK", &format!("date: {date}\r\ncontent-length: 3\r\n"), "");
    let refusal = skewed.clone();
    let store = answering(move |_, number| if number == 1 { refusal.clone() } else { well.clone() }).await;
    assert_eq!(store.client.info("a").await.unwrap().unwrap().bytes, 3);
    let signed_at = |request: &String| {
        let at = request.lines().find_map(|line| line.strip_prefix("x-amz-date: ")).unwrap().to_owned();
        // 20260131T235959Z, in minutes of the day.
        at[9..11].parse::<i64>().unwrap() * 60 + at[11..13].parse::<i64>().unwrap()
    };
    let requests = store.requests.lock().unwrap().clone();
    let later = (signed_at(&requests[1]) - signed_at(&requests[0])).rem_euclid(24 * 60);
    assert!((19..=21).contains(&later), "{requests:?}");

    let store = answering(move |_, _| skewed.clone()).await;
    let said = store.client.info("a").await.unwrap_err().to_string();
    assert!(
        said.contains("; the store's clock is 20 min ahead of this machine's: set the one that is wrong"),
        "{said}"
    );
}

#[tokio::test]
async fn a_refused_write_where_listing_is_allowed_hints_at_encryption() {
    let listing = "<ListBucketResult></ListBucketResult>";
    let refusing = |wants: &'static str| {
        move |request: &str, _| match request {
            listed if listed.starts_with("GET") => {
                reply("200 OK", &format!("content-length: {}\r\n", listing.len()), listing)
            }
            encrypted if !wants.is_empty() && encrypted.contains(wants) => reply("200 OK", "content-length: 0\r\n", ""),
            _ => error("403 Forbidden", "AccessDenied", "no"),
        }
    };
    let mut store = answering(refusing("x-amz-server-side-encryption: AES256")).await;
    let said = store.client.write("a", 3, contract::body(b"abc", 3)).await.unwrap_err().to_string();
    assert!(said.contains("takes only objects that are to be encrypted (`encryption = \"AES256\"`"), "{said}");
    store.client.encryption = Some(Encryption::Aes256);
    store.client.write("a", 3, contract::body(b"abc", 3)).await.unwrap();

    let mut store = answering(refusing("x-amz-server-side-encryption-aws-kms-key-id: ours")).await;
    store.client.encryption = Some(Encryption::Kms { key: Some("ours".to_owned()) });
    store.client.write("a", 3, contract::body(b"abc", 3)).await.unwrap();
    store.client.encryption = Some(Encryption::Aes256);
    let said = store.client.write("a", 3, contract::body(b"abc", 3)).await.unwrap_err().to_string();
    assert!(!said.contains("encrypted"), "{said}");
}

#[tokio::test]
async fn a_store_that_cannot_delete_is_known_before_anything_is_brought_there() {
    let keeps = |request: &str, _| match request {
        head if head.starts_with("HEAD") => reply("200 OK", "content-length: 55\r\n", ""),
        delete if delete.starts_with("DELETE") => error("403 Forbidden", "AccessDenied", "no"),
        _ => error("404 Not Found", "NoSuchKey", "no"),
    };
    let listing = "<ListBucketResult><Contents><Key>agent-probe/a1</Key><Size>55</Size></Contents></ListBucketResult>";
    let store = answering(move |request, number| match request {
        list if list.contains("list-type=2") => {
            reply("200 OK", &format!("content-length: {}\r\n", listing.len()), listing)
        }
        put if put.starts_with("PUT") => reply("200 OK", "content-length: 0\r\n", ""),
        get if get.starts_with("GET /data/agent-probe") => {
            reply("206 Partial Content", "content-length: 55\r\ncontent-range: bytes 0-54/55\r\n", EXAMINED)
        }
        other => keeps(other, number),
    })
    .await;
    let found = store.client.examine("agent-probe/a1").await;
    let steps: Vec<_> = found.steps.iter().map(|step| (step.name, step.outcome.is_ok())).collect();
    assert_eq!(steps, [("bucket", true), ("put", true), ("get", true), ("list", true), ("delete", false)], "{found:?}");
    assert_eq!(found.deletes, Some(false));
}

/// What an examination writes.
const EXAMINED: &str = "written and deleted to find out what this store can do\n";

#[tokio::test]
async fn an_honest_store_passes_its_examination_and_keeps_nothing_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let (server, client) = super::embedded(&directory);
    let found = client.examine("agent-probe/a1").await;
    assert_eq!((found.deletes, found.failure().is_none(), found.remarks.len()), (Some(true), true, 0), "{found:?}");
    assert_eq!(client.list("").await.unwrap(), []);
    server.shutdown().await;
    let found = client.examine("agent-probe/a1").await;
    assert_eq!((found.deletes, found.steps.len()), (None, 1), "a store that is away has said nothing: {found:?}");
}

#[tokio::test]
async fn a_plain_port_behind_https_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // Whoever hung up needs no answer.
            let _gone = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
        }
    });
    let settings = S3Settings::new(endpoint, "data", Credentials::new("key", "secret"));
    let said =
        S3Store::new(S3Settings { attempts: IMPATIENT, ..settings }).bucket_exists().await.unwrap_err().to_string();
    let remedy = "; no TLS is spoken at this port: write the endpoint with `http://`, or name its TLS port";
    assert!(said.ends_with(remedy), "{said}");
}
