//! What every store must do, whatever the technology: one suite, run on each of them.

use super::attributes::Attributes;
use super::{ByteStream, Content, ObjectStore, Page, Result, StorageError, pages};
use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::BTreeSet;
use std::ops::Range;

/// A part of a multipart upload is 8 MiB: three of them, the last one short.
const MANY_PARTS_BYTES: usize = 17 * 1024 * 1024 + 123;

/// A body that arrives in pieces of `piece_bytes`.
pub(crate) fn body(content: &[u8], piece_bytes: usize) -> ByteStream {
    let content = Bytes::copy_from_slice(content);
    let pieces: Vec<_> = (0..content.len())
        .step_by(piece_bytes)
        .map(|at| Ok(content.slice(at..content.len().min(at + piece_bytes))))
        .collect();
    stream::iter(pieces).boxed()
}

pub(crate) async fn put(store: &dyn ObjectStore, key: &str, content: &[u8]) {
    store.write(key, content.len() as u64, body(content, 100_000)).await.unwrap();
}

pub(crate) async fn read(store: &dyn ObjectStore, key: &str, range: Range<u64>) -> Result<Vec<u8>> {
    // Whatever lies there: of what is missing or too short, the range's own refusal is asked for.
    let content = store.info(key).await?.map_or(Content { bytes: range.end, etag: None }, |found| found.content());
    read_of(store, key, range, &content).await
}

pub(crate) async fn read_of(store: &dyn ObjectStore, key: &str, range: Range<u64>, of: &Content) -> Result<Vec<u8>> {
    let chunks: Vec<Bytes> = store.read_range(key, range, of).await?.bytes.try_collect().await?;
    Ok(chunks.concat())
}

/// Bytes whose every range differs from every other.
pub(crate) fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

/// What a server does not do. Each is checked to be so: a list that is no longer true fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lack {
    /// Objects have no tags.
    Tags,
    /// Headers and user metadata of an object in several parts are lost.
    AttributesOfParts,
}

/// Runs all of it on a store that is empty.
pub(crate) async fn check(store: &dyn ObjectStore) {
    check_but(store, &[]).await;
}

/// The same on one that lacks something.
pub(crate) async fn check_but(store: &dyn ObjectStore, lacks: &[Lack]) {
    assert_eq!(store.list("").await.unwrap(), [], "the suite wants an empty store");
    absent_objects(store).await;
    small_objects(store).await;
    ranges(store).await;
    replacing(store).await;
    one_content(store).await;
    deleting_one_content(store).await;
    attributes(store, lacks).await;
    bodies_of_another_length(store).await;
    failing_bodies(store).await;
    many_parts(store).await;
    listing(store).await;
    listing_in_pages(store).await;
}

async fn absent_objects(store: &dyn ObjectStore) {
    assert_eq!(store.info("absent").await.unwrap(), None);
    store.delete("absent").await.unwrap();
    let error = read(store, "absent", 0..1).await.unwrap_err();
    assert!(matches!(&error, StorageError::NotFound { address, key } if address == store.address() && key == "absent"));
}

async fn small_objects(store: &dyn ObjectStore) {
    for (key, content) in [("empty", &b""[..]), ("one", b"1"), ("nested/with space & ümlaut+=%.json", b"[1, 2]")] {
        put(store, key, content).await;
        let bytes = content.len() as u64;
        let info = store.info(key).await.unwrap().unwrap();
        assert_eq!((info.key.as_str(), info.bytes), (key, bytes));
        assert_eq!(read(store, key, 0..bytes).await.unwrap(), content);
        store.delete(key).await.unwrap();
        assert_eq!(store.info(key).await.unwrap(), None);
    }
}

async fn ranges(store: &dyn ObjectStore) {
    let content = pattern(1_000_000);
    put(store, "ranged", &content).await;
    for range in [0..1, 0..1_000_000, 1..2, 999_999..1_000_000, 123_456..654_321, 5..5] {
        let expected = &content[range.start as usize..range.end as usize];
        assert_eq!(read(store, "ranged", range).await.unwrap(), expected);
    }
    for beyond in [999_999..1_000_001, 1_000_000..1_000_001] {
        let error = read(store, "ranged", beyond).await.unwrap_err();
        assert!(matches!(&error, StorageError::Damaged { key, .. } if key == "ranged"), "{error}");
    }
    store.delete("ranged").await.unwrap();
}

async fn replacing(store: &dyn ObjectStore) {
    put(store, "replaced", b"first").await;
    put(store, "replaced", b"second, longer").await;
    assert_eq!(read(store, "replaced", 0..14).await.unwrap(), b"second, longer");
    assert_eq!(store.info("replaced").await.unwrap().unwrap().bytes, 14);
    store.delete("replaced").await.unwrap();
}

/// What is read, range by range, is one content: neither a longer one with the same beginning, nor another of the same length.
async fn one_content(store: &dyn ObjectStore) {
    put(store, "content", b"first").await;
    let first = store.info("content").await.unwrap().unwrap().content();
    assert_eq!(read_of(store, "content", 0..2, &first).await.unwrap(), b"fi");
    let without_etag = Content { etag: None, ..first.clone() };
    assert_eq!(read_of(store, "content", 2..5, &without_etag).await.unwrap(), b"rst");
    for other in [&b"first, and more"[..], b"other"] {
        put(store, "content", other).await;
        let error = read_of(store, "content", 0..5, &first).await.unwrap_err();
        assert!(matches!(&error, StorageError::Changed { key, .. } if key == "content"), "{error}");
    }
    store.delete("content").await.unwrap();
}

async fn deleting_one_content(store: &dyn ObjectStore) {
    put(store, "deleted", b"ours").await;
    let ours = store.info("deleted").await.unwrap().unwrap().content();
    for other in [&b"somebody else's"[..], b"his!"] {
        put(store, "deleted", other).await;
        let error = store.delete_if("deleted", &ours).await.unwrap_err();
        assert!(matches!(&error, StorageError::Changed { key, .. } if key == "deleted"), "{error}");
        assert_eq!(read(store, "deleted", 0..4).await.unwrap(), other[..4]);
    }
    let his = store.info("deleted").await.unwrap().unwrap().content();
    store.delete_if("deleted", &his).await.unwrap();
    assert_eq!(store.info("deleted").await.unwrap(), None);
    store.delete_if("deleted", &his).await.unwrap();
}

async fn attributes(store: &dyn ObjectStore, lacks: &[Lack]) {
    let text = |text: &str| Some(text.to_owned());
    let attributes = Attributes {
        content_type: text("application/json"),
        content_encoding: text("gzip"),
        content_language: text("de"),
        content_disposition: text("attachment; filename=\"orders.json\""),
        cache_control: text("max-age=60"),
        metadata: [("owner".to_owned(), "laboratory 7".to_owned())].into(),
        tags: [("retention".to_owned(), "10 years".to_owned())].into(),
    };
    for bytes in [5, MANY_PARTS_BYTES] {
        let content = pattern(bytes);
        store.write_with("described", bytes as u64, &attributes, body(&content, 300_000)).await.unwrap();
        let mut expected = attributes.clone();
        if lacks.contains(&Lack::Tags) {
            expected.tags.clear();
        }
        let found = store.attributes("described").await.unwrap();
        match bytes > 5 && lacks.contains(&Lack::AttributesOfParts) {
            false => assert_eq!(found, expected),
            true => assert_ne!(found, expected, "they are kept by now"),
        }
        store.delete("described").await.unwrap();
    }
    let error = store.attributes("described").await.unwrap_err();
    assert!(matches!(&error, StorageError::NotFound { key, .. } if key == "described"), "{error}");
    put(store, "described", b"plain").await;
    let plain = store.attributes("described").await.unwrap();
    assert_eq!((plain.content_encoding, plain.tags.len()), (None, 0), "nothing is left of the former object");
    store.delete("described").await.unwrap();
}

async fn bodies_of_another_length(store: &dyn ObjectStore) {
    for (content, bytes) in [(&b"short"[..], 6), (b"long", 3), (b"", 1), (b"1", 0)] {
        let error = store.write("length", bytes, body(content, 2)).await.unwrap_err();
        assert!(matches!(&error, StorageError::Damaged { key, .. } if key == "length"), "{error}");
        assert_eq!(store.info("length").await.unwrap(), None);
    }
}

async fn failing_bodies(store: &dyn ObjectStore) {
    put(store, "kept", b"what was there").await;
    for before in [10, MANY_PARTS_BYTES - 1] {
        let broken = StorageError::Unavailable {
            address: "elsewhere".into(),
            operation: "reading",
            key: "kept".into(),
            reason: "it broke".into(),
        };
        let failing = body(&pattern(before), 300_000).chain(stream::iter([Err(broken)])).boxed();
        let error = store.write("kept", MANY_PARTS_BYTES as u64, failing).await.unwrap_err();
        assert_eq!(error.to_string(), "elsewhere: reading `kept`: it broke");
    }
    assert_eq!(read(store, "kept", 0..14).await.unwrap(), b"what was there");
    store.delete("kept").await.unwrap();
}

async fn many_parts(store: &dyn ObjectStore) {
    let content = pattern(MANY_PARTS_BYTES);
    let bytes = content.len() as u64;
    put(store, "large", &content).await;
    assert_eq!(store.info("large").await.unwrap().unwrap().bytes, bytes);
    assert!(read(store, "large", 0..bytes).await.unwrap() == content);
    let middle = 8_388_600..8_388_620;
    assert_eq!(read(store, "large", middle).await.unwrap(), content[8_388_600..8_388_620]);
    store.delete("large").await.unwrap();
}

async fn listing(store: &dyn ObjectStore) {
    for key in ["list/b", "list/a", "list/sub/c", "listen", "other"] {
        put(store, key, key.as_bytes()).await;
    }
    let keys = async |prefix: &str| -> Vec<(String, u64)> {
        store.list(prefix).await.unwrap().into_iter().map(|info| (info.key, info.bytes)).collect()
    };
    let expected =
        |keys: &[&str]| -> Vec<(String, u64)> { keys.iter().map(|key| (key.to_string(), key.len() as u64)).collect() };
    assert_eq!(keys("list/").await, expected(&["list/a", "list/b", "list/sub/c"]));
    assert_eq!(keys("list").await, expected(&["list/a", "list/b", "list/sub/c", "listen"]));
    assert_eq!(keys("nothing").await, []);
    for info in store.list("").await.unwrap() {
        store.delete(&info.key).await.unwrap();
    }
    assert_eq!(keys("").await, []);
}

/// More objects than any page has: each comes once, with the ETag that a look at it shows, if with any. Not every server lists them
/// in the order of their keys: one that keeps folders lists `sub/1` before `sub.d/1`.
async fn listing_in_pages(store: &dyn ObjectStore) {
    const OBJECTS: usize = 1100;
    // `-` and `.` come before `/`, and `0` after it.
    let keys: BTreeSet<String> = (0..OBJECTS)
        .map(|index| match index % 4 {
            0 => format!("many/{index:04}"),
            1 => format!("many/{index:04}/below"),
            2 => format!("many/sub.d/{index}"),
            _ => format!("many/sub/{index}"),
        })
        .collect();
    let written = keys.iter().map(|key| put(store, key, b"1"));
    stream::iter(written).buffer_unordered(16).collect::<()>().await;
    let (mut pages, mut listed, mut pages_read) = (pages(store, "many/"), Vec::new(), 0);
    while let Some(page) = pages.next().await.unwrap() {
        pages_read += 1;
        listed.extend(page);
    }
    assert!(pages_read > 1, "{pages_read} pages");
    let mut listed_keys: Vec<&String> = listed.iter().map(|object| &object.key).collect();
    listed_keys.sort_unstable();
    assert!(listed_keys.into_iter().eq(&keys), "{} of {OBJECTS} are listed", listed.len());
    let some = &listed[OBJECTS / 2];
    let looked_at = store.info(&some.key).await.unwrap().unwrap();
    assert_eq!(some.bytes, 1);
    // Not every server lists them.
    if some.validators.etag.is_some() {
        assert_eq!(some.validators.etag, looked_at.validators.etag);
    }
    let deleted = keys.iter().map(|key| async { store.delete(key).await.unwrap() });
    stream::iter(deleted).buffer_unordered(16).collect::<()>().await;
    assert_eq!(store.list_page("many/", None).await.unwrap(), Page { objects: Vec::new(), next: None });
}
