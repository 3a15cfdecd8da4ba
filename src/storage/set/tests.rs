use super::*;
use crate::storage::PageToken;
use crate::storage::contract::{put, read};
use crate::storage::memory::{Fault, Faulty, MemoryStore};
use crate::storage::transfer::{Side, Verified, transfer_set};
use agent_core::domain::manifest::Selection;
use std::collections::BTreeMap;

type Stores = (Arc<Faulty<MemoryStore>>, SetAt);

fn at(name: &str, prefix: &str) -> Stores {
    let store = Arc::new(Faulty::new(MemoryStore::new(name), []));
    let set = SetAt::new(store.clone(), SetKeys::below(prefix));
    (store, set)
}

/// So many objects below the prefix, the manifest of which is written.
async fn source(objects: usize) -> (Stores, Arc<Manifest>) {
    let (store, set) = at("source", "blood/");
    for index in 0..objects {
        put(store.inner(), &set.keys.object(&format!("{:02}/{index}.json", index % 7)), index.to_string().as_bytes())
            .await;
    }
    let manifest = make(&set, Selection::default(), 1, None, &Meter::silent()).await.unwrap();
    set.write_manifest(&manifest).await.unwrap();
    ((store, set), manifest)
}

async fn bring(from: &SetAt, to: &SetAt, manifest: &Manifest) -> Verified {
    transfer_set(from, to, &manifest.sha256().to_string(), &[], &Meter::silent()).await.unwrap()
}

async fn keys(store: &MemoryStore) -> Vec<String> {
    store.list("").await.unwrap().into_iter().map(|object| object.key).collect()
}

async fn content(store: &MemoryStore, set: &SetAt) -> BTreeMap<String, Vec<u8>> {
    let mut content = BTreeMap::new();
    for object in store.list(&set.keys.prefix()).await.unwrap() {
        let below = set.keys.below_prefix(&object.key).unwrap().to_owned();
        content.insert(below, read(store, &object.key, 0..object.bytes).await.unwrap());
    }
    content
}

#[tokio::test]
async fn what_lies_below_a_prefix_becomes_a_manifest() {
    let (store, set) = at("store", "blood/");
    for (key, content) in [("blood/b", "22"), ("blood/a/1", "1"), ("blood/tmp/x", ""), ("bloody", "")] {
        put(store.inner(), key, content.as_bytes()).await;
    }
    // As consoles make a folder.
    put(store.inner(), "blood/a/", b"").await;
    let selection = Selection { include: Vec::new(), exclude: vec!["tmp/**".to_owned()] };
    let meter = Meter::silent();
    let manifest = make(&set, selection.clone(), 1, None, &meter).await.unwrap();
    let named: Vec<_> = manifest.objects().iter().map(|object| (&*object.key, object.bytes)).collect();
    assert_eq!(named, [("a/1", 1), ("b", 2)]);
    assert_eq!(meter.amount(), Amount { objects: 2, bytes: 3 });
    assert_eq!((manifest.selection(), manifest.bytes()), (&selection, 3));
    let validators = set.write_manifest(&manifest).await.unwrap();
    let held = set.manifest_of(&manifest.sha256().to_string()).await.unwrap();
    assert_eq!((&held.manifest, &held.validators), (&manifest, &validators));
    assert_eq!(strangers(&set, &held).await.unwrap(), Some((2, "blood/a/".to_owned())));
}

#[tokio::test]
async fn what_cannot_become_a_manifest_is_told() {
    let (store, set) = at("store", "blood/");
    let said =
        async |set: &SetAt, selection| make(set, selection, 1, None, &Meter::silent()).await.unwrap_err().to_string();
    let all = Selection::default;
    assert_eq!(said(&set, all()).await, "store: there is no object below `blood/`");
    put(store.inner(), "blood/x", b"1").await;
    let none = Selection { include: vec!["*.json".to_owned()], exclude: Vec::new() };
    assert_eq!(said(&set, none).await, "store: there is no object below `blood/` that `include` and `exclude` leave");
    let long = "k".repeat(950);
    let odd = [
        ("blood/../x", "has a part `.` or `..`"),
        ("blood//x", "has an empty part"),
        ("blood/\u{7}", "has a control character"),
        (&format!("blood/{long}"), "is too long for the keys of its copies"),
    ];
    for (key, why) in odd {
        put(store.inner(), key, b"1").await;
        let said = said(&set, all()).await;
        let expected = format!("store: the object `{}` {why}: no data set can have it; ", key.escape_debug());
        assert!(said.starts_with(&expected), "{said}");
        store.inner().delete(key).await.unwrap();
    }
    let bad = Selection { include: Vec::new(), exclude: vec!["a[".to_owned()] };
    assert!(said(&set, bad).await.starts_with("pattern `a[`: "));
}

#[tokio::test]
async fn a_set_arrives_whole_and_its_manifest_last() {
    let ((from, source), manifest) = source(50).await;
    let (to, destination) = at("destination", "copy/blood/");
    let verified = bring(&source, &destination, &manifest).await;
    assert_eq!((verified.bytes(), verified.sha256()), (manifest.bytes(), manifest.sha256().to_string().as_str()));
    assert_eq!(content(to.inner(), &destination).await, content(from.inner(), &source).await);
    assert_eq!(keys(to.inner()).await.len(), 51, "nothing but the objects and the manifest");
    let held = destination.manifest_of(verified.sha256()).await.unwrap();
    assert_eq!(&held.validators, verified.validators());
    assert_eq!(inspect(&destination, verified.sha256(), false).await.unwrap(), Seen::Intact(held.validators));
    assert_ne!(*held.manifest, *manifest, "ETags are the store's own");
}

#[tokio::test]
async fn only_what_is_missing_or_wrong_travels_again() {
    let ((from, source), manifest) = source(50).await;
    let (to, destination) = at("destination", "copy/blood/");
    // A transfer that was killed: half of it is there, one is not what it should be, one is somebody's.
    destination.write_unfinished(&manifest).await.unwrap();
    for object in &manifest.objects()[..25] {
        let (key, all) = (source.keys.object(&object.key), 0..object.bytes);
        put(to.inner(), &destination.keys.object(&object.key), &read(from.inner(), &key, all).await.unwrap()).await;
    }
    put(to.inner(), &destination.keys.object(&manifest.objects()[3].key), b"?").await;
    put(to.inner(), "copy/blood/stranger", b"mine").await;
    let before = etags(to.inner()).await;
    let _verified = bring(&source, &destination, &manifest).await;
    let after = etags(to.inner()).await;
    let rewritten: Vec<_> =
        before.iter().filter(|(key, etag)| after.get(*key).is_some_and(|now| now != *etag)).collect();
    assert_eq!(rewritten.len(), 1, "{rewritten:?}");
    let mut expected = content(from.inner(), &source).await;
    expected.insert("stranger".to_owned(), b"mine".to_vec());
    assert_eq!(content(to.inner(), &destination).await, expected);
    // Once more, as if the commit had been lost: nothing is written but the manifest.
    let _verified = bring(&source, &destination, &manifest).await;
    let again = etags(to.inner()).await;
    let rewritten: Vec<_> =
        after.iter().filter(|(key, etag)| again.get(*key) != Some(*etag)).map(|(key, _)| key).collect();
    assert_eq!(rewritten, ["copy/blood.manifest.ndjson"]);
}

async fn etags(store: &MemoryStore) -> BTreeMap<String, Option<String>> {
    store.list("").await.unwrap().into_iter().map(|object| (object.key, object.validators.etag)).collect()
}

#[tokio::test]
async fn a_failed_transfer_names_its_side_and_keeps_what_has_arrived() {
    let ((from, source), manifest) = source(20).await;
    let (to, destination) = at("destination", "copy/blood/");
    let sha256 = manifest.sha256().to_string();
    let failed = async || transfer_set(&source, &destination, &sha256, &[], &Meter::silent()).await.unwrap_err();
    to.set([Fault::CorruptWrites]);
    let error = failed().await;
    assert_eq!(error.side, Side::Destination);
    to.set([]);
    put(from.inner(), &source.keys.object(&manifest.objects()[7].key), b"another").await;
    let error = failed().await;
    assert_eq!(error.side, Side::Source);
    assert!(error.to_string().contains("is another object by now"), "{error}");
    assert!(destination.unfinished().await.unwrap().is_some());
    assert_eq!(destination.manifest().await.unwrap(), None);
    discard(&destination).await.unwrap();
    assert_eq!(keys(to.inner()).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_manifest_that_lies_or_is_missing_is_the_sources_fault() {
    let ((from, source), manifest) = source(3).await;
    let (_, destination) = at("destination", "copy/blood/");
    let sha256 = manifest.sha256().to_string();
    let said = async |sha256: &str| {
        let error = transfer_set(&source, &destination, sha256, &[], &Meter::silent()).await.unwrap_err();
        assert_eq!(error.side, Side::Source);
        error.to_string()
    };
    let other = "0".repeat(64);
    let expected =
        format!("source: source: `blood.manifest.ndjson` is damaged: it is the manifest {sha256}, expected {other}");
    assert_eq!(said(&other).await, expected);
    put(from.inner(), "blood.manifest.ndjson", b"{}\n").await;
    assert!(said(&sha256).await.contains("line 1 of the manifest: it is no head"), "{}", said(&sha256).await);
    put(from.inner(), "blood.manifest.ndjson", b"").await;
    assert!(said(&sha256).await.ends_with("a manifest has no 0 bytes"));
    assert!(matches!(inspect(&source, &sha256, false).await.unwrap(), Seen::Differs(_)));
    from.inner().delete("blood.manifest.ndjson").await.unwrap();
    assert_eq!(said(&sha256).await, "source: source: no object `blood.manifest.ndjson`");
    assert_eq!(inspect(&source, &sha256, false).await.unwrap(), Seen::Gone("its manifest is gone".to_owned()));
    assert_eq!(keys(from.inner()).await.len(), 3, "and nothing is lost");
}

#[tokio::test]
async fn what_was_changed_is_seen_in_a_listing_and_what_rots_by_reading() {
    let ((store, set), manifest) = source(10).await;
    let sha256 = manifest.sha256().to_string();
    let key = |index: usize| set.keys.object(&manifest.objects()[index].key);
    let seen = async |read| inspect(&set, &sha256, read).await.unwrap();
    assert!(matches!(seen(true).await, Seen::Intact(_)));
    // Put back as it was: another ETag, the same bytes.
    let same = read(store.inner(), &key(2), 0..manifest.objects()[2].bytes).await.unwrap();
    put(store.inner(), &key(2), &same).await;
    assert!(matches!(seen(false).await, Seen::Intact(_)));
    put(store.inner(), &key(2), b"X").await;
    store.inner().delete(&key(5)).await.unwrap();
    let Seen::Differs(why) = seen(false).await else { panic!("it is not seen") };
    let (other, gone) = (&manifest.objects()[2].key, &manifest.objects()[5].key);
    assert!(why.starts_with(&format!("1 of 10 objects are other ones (`{other}`: its SHA-256 is ")), "{why}");
    assert!(why.ends_with(&format!(", 1 of 10 objects are gone (`{gone}`)")), "{why}");
    for index in 0..10 {
        store.inner().delete(&key(index)).await.unwrap();
    }
    assert!(matches!(seen(false).await, Seen::Gone(why) if why.starts_with("10 of 10 objects are gone")));
    let ((store, set), _) = source(10).await;
    store.set([Fault::CorruptReads]);
    let error = set.manifest().await.unwrap_err();
    assert!(matches!(error, StorageError::Damaged { .. }), "{error}");
}

#[tokio::test]
async fn removal_deletes_what_the_manifest_names_and_goes_on_where_it_was_killed() {
    let ((store, set), manifest) = source(30).await;
    let key = |index: usize| set.keys.object(&manifest.objects()[index].key);
    put(store.inner(), "blood/stranger", b"mine").await;
    put(store.inner(), "blood.json", b"mine, too").await;
    put(store.inner(), &key(4), b"replaced since").await;
    // Somebody began and was killed.
    store.inner().delete(&key(0)).await.unwrap();
    store.set([Fault::RefuseDeletes]);
    assert!(remove(&set).await.is_err());
    assert!(set.manifest().await.unwrap().is_some(), "the manifest stays until everything else is gone");
    store.set([]);
    let left = remove(&set).await.unwrap().unwrap();
    assert_eq!((left.objects, left.key.as_str()), (2, key(4).as_str()));
    assert_eq!(keys(store.inner()).await, ["blood.json", key(4).as_str(), "blood/stranger"]);
    // And once more is no error.
    assert_eq!(remove(&set).await.unwrap().map(|left| left.objects), Some(2));
}

#[tokio::test]
async fn without_a_manifest_nothing_is_deleted() {
    let ((store, set), _) = source(3).await;
    put(store.inner(), "blood.manifest.ndjson", b"no manifest").await;
    let left = remove(&set).await.unwrap().unwrap();
    assert_eq!(left.objects, 3);
    assert!(left.why.starts_with("its manifest is damaged: line 1"), "{}", left.why);
    store.inner().delete("blood.manifest.ndjson").await.unwrap();
    assert_eq!(remove(&set).await.unwrap().map(|left| left.objects), Some(3));
    assert_eq!(keys(store.inner()).await.len(), 3);
}

#[tokio::test]
async fn listings_of_many_objects_come_in_pages() {
    let ((store, set), manifest) = source(2300).await;
    let first = store.list_page("blood/", None).await.unwrap();
    assert_eq!(
        (first.objects.len(), first.next.clone().map(|PageToken(last)| last)),
        (1000, first.objects.last().map(|o| o.key.clone()))
    );
    let (to, destination) = at("destination", "copy/blood/");
    let _verified = bring(&set, &destination, &manifest).await;
    assert_eq!(content(to.inner(), &destination).await.len(), 2300);
}

#[tokio::test]
async fn of_the_next_version_only_what_differs_travels() {
    let ((from, source), first) = source(20).await;
    let (to, former) = at("destination", "replicas/1/");
    let brought = bring(&source, &former, &first).await;
    assert_eq!(former.manifest().await.unwrap().map(|held| held.validators), Some(brought.validators().clone()));
    put(from.inner(), &source.keys.object("03/3.json"), b"another content").await;
    put(from.inner(), &source.keys.object("09/new.json"), b"new").await;
    let second = make(&source, Selection::default(), 2, None, &Meter::silent()).await.unwrap();
    source.write_manifest(&second).await.unwrap();
    // What did not change cannot come from the source any more, but for one that has rotted in the former version.
    let rotten = "00/0.json";
    put(to.inner(), &former.keys.object(rotten), b"?").await;
    for object in second.objects().iter().filter(|object| first.get(&object.key).is_some()) {
        if !["03/3.json", rotten].contains(&&*object.key) {
            from.inner().delete(&source.keys.object(&object.key)).await.unwrap();
        }
    }
    let next = SetAt::new(to.clone(), SetKeys::below("replicas/2/"));
    let sha256 = second.sha256().to_string();
    let arrived = transfer_set(&source, &next, &sha256, std::slice::from_ref(&former), &Meter::silent()).await;
    arrived.map(|_| ()).unwrap();
    let held = next.manifest_of(&sha256).await.unwrap();
    assert_eq!(held.manifest.objects().len(), 21);
    assert!(matches!(inspect(&next, &sha256, true).await.unwrap(), Seen::Intact(_)));
    assert!(former.manifest_of(&first.sha256().to_string()).await.is_ok(), "the former version is left as it is");
}
