use super::*;
use crate::storage::contract::{pattern, put, read};
use crate::storage::memory::{Fault, Faulty, MemoryStore};
use std::sync::atomic::{AtomicU64, Ordering};

fn expected(content: &[u8]) -> Expected {
    Expected { bytes: content.len() as u64, sha256: hex::encode(Sha256::digest(content)) }
}

/// A source that holds `abc...` and an empty destination, faulty as told.
async fn stores(at_source: &[Fault], at_destination: &[Fault]) -> (Faulty<MemoryStore>, Faulty<MemoryStore>, Expected) {
    let content = pattern(200_000);
    let source = Faulty::new(MemoryStore::new("source store"), at_source.iter().copied());
    put(source.inner(), "a", &content).await;
    let destination = Faulty::new(MemoryStore::new("destination store"), at_destination.iter().copied());
    (source, destination, expected(&content))
}

#[tokio::test]
async fn a_copy_is_verified_and_progress_is_told() {
    let (source, destination, expected) = stores(&[], &[]).await;
    let read_bytes = Arc::new(AtomicU64::new(0));
    let told = read_bytes.clone();
    let progress = move |bytes| told.store(bytes, Ordering::SeqCst);
    let verified = transfer(&source, "a", None, &destination, "b", &expected, progress).await.unwrap();
    assert_eq!((verified.bytes(), verified.sha256()), (200_000, expected.sha256.as_str()));
    assert_eq!(read_bytes.load(Ordering::SeqCst), 200_000);
    assert!(read(&destination, "b", 0..200_000).await.unwrap() == pattern(200_000));
    assert!(source.info("a").await.unwrap().is_some());
}

async fn check(at_source: &[Fault], at_destination: &[Fault], message: &str) {
    let (source, destination, expected) = stores(at_source, at_destination).await;
    let error = transfer(&source, "a", None, &destination, "b", &expected, |_| ()).await.unwrap_err();
    assert_eq!(error.to_string(), message);
    assert!(source.info("a").await.unwrap().is_some(), "the source is untouched");
    if error.left_behind.is_none() {
        assert_eq!(destination.info("b").await.unwrap(), None, "nothing lies at the destination");
    }
}

#[tokio::test]
async fn each_failure_names_its_side() {
    let (content, flipped) = (pattern(200_000), {
        let mut content = pattern(200_000);
        content[0] ^= 1;
        content
    });
    let (right, wrong) = (expected(&content).sha256, expected(&flipped).sha256);
    let damaged = format!("its SHA-256 is {wrong}, expected {right}");
    let cut = [Fault::TruncateReads(70_000)];
    check(&cut, &[], "source: source store: `a` is damaged: 70000 of 200000 bytes came").await;
    check(&[Fault::CorruptReads], &[], &format!("source: source store: `a` is damaged: {damaged}")).await;
    let broken = [Fault::BreakReads(70_000)];
    check(&broken, &[], "source: source store: reading `a`: the connection broke").await;
    let full = [Fault::FillOnWrites];
    check(&[], &full, "destination: destination store: no room for `b`: the disk is full").await;
    let corrupted = format!("destination: destination store: `b` is damaged: {damaged}");
    check(&[], &[Fault::CorruptWrites], &corrupted).await;
    check(&[], &[Fault::CorruptReads], &corrupted).await;
    check(&[], &[Fault::BreakReads(9)], "destination: destination store: reading `b`: the connection broke").await;
    let left = format!(
        "{corrupted}; what was written could not be deleted: destination store: deleting `b`: the store is away"
    );
    check(&[], &[Fault::CorruptWrites, Fault::RefuseDeletes], &left).await;
}

#[tokio::test]
async fn a_source_that_is_not_there_or_of_another_length_is_the_sources_fault() {
    let (source, destination, right) = stores(&[], &[]).await;
    let error = transfer(&source, "absent", None, &destination, "b", &right, |_| ()).await.unwrap_err();
    assert_eq!(error.to_string(), "source: source store: no object `absent`");
    let longer = Expected { bytes: 200_001, ..right };
    let error = transfer(&source, "a", None, &destination, "b", &longer, |_| ()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "source: source store: `a` is another object by now: it has 200000 bytes, expected 200001"
    );
    assert_eq!(destination.info("b").await.unwrap(), None);
}

#[tokio::test]
async fn verifying_sees_every_difference() {
    let store = MemoryStore::new("store");
    put(&store, "a", b"abc").await;
    let right = expected(b"abc");
    assert_eq!(verify(&store, "a", &right).await.unwrap().bytes(), 3);
    let upper = Expected { sha256: right.sha256.to_uppercase(), ..right.clone() };
    assert_eq!(verify(&store, "a", &upper).await.unwrap().bytes(), 3);
    let says = async |key: &str, expected: Expected| verify(&store, key, &expected).await.unwrap_err().to_string();
    assert_eq!(says("b", right.clone()).await, "store: no object `b`");
    assert_eq!(says("a", expected(b"abcd")).await, "store: `a` is damaged: it has 3 bytes, expected 4");
    let other = expected(b"abd");
    let message = format!("store: `a` is damaged: its SHA-256 is {}, expected {}", right.sha256, other.sha256);
    assert_eq!(says("a", other).await, message);
}

#[tokio::test]
async fn an_object_is_not_transferred_onto_itself() {
    let (source, _, expected) = stores(&[], &[]).await;
    let error = transfer(&source, "a", None, &source, "a", &expected, |_| ()).await.unwrap_err();
    assert_eq!(error.to_string(), "destination: source store: `a` is damaged: it is the source itself");
    assert!(source.info("a").await.unwrap().is_some());
}

#[tokio::test]
async fn a_transfer_that_hangs_can_be_dropped() {
    let (source, destination, expected) = stores(&[Fault::HangReads], &[]).await;
    let hanging = transfer(&source, "a", None, &destination, "b", &expected, |_| ());
    assert!(futures::FutureExt::now_or_never(hanging).is_none());
    assert_eq!(destination.info("b").await.unwrap(), None);
}
