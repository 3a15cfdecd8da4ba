use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn entry(key: &str, bytes: u64) -> Entry {
    Entry { key: key.into(), bytes, sha256: Digest([bytes as u8; 32]), etag: Some(format!("e{bytes}").into()) }
}

fn manifest(objects: &[(&str, u64)]) -> Manifest {
    let objects = objects.iter().map(|(key, bytes)| entry(key, *bytes)).collect();
    Manifest::new(1, Selection::default(), objects).unwrap()
}

fn text(manifest: &Manifest) -> String {
    String::from_utf8((0..).map_while(|index| manifest.piece(index)).flatten().collect()).unwrap()
}

fn read(text: &str, piece_bytes: usize) -> Result<Manifest, BadManifest> {
    let mut reader = Reader::default();
    for piece in text.as_bytes().chunks(piece_bytes) {
        reader.push(piece)?;
    }
    reader.finish()
}

#[test]
fn the_text_is_what_is_documented() {
    let manifest = manifest(&[("b", 2), ("a/x", 1)]);
    let digests = [[1; 32], [2; 32]].map(|bytes| Digest(bytes).to_string());
    let expected = format!(
        "{{\"manifest\":1,\"version\":1,\"include\":[],\"exclude\":[],\"objects\":2,\"bytes\":3,\"sha256\":\"{}\"}}\n\
         {{\"key\":\"a/x\",\"bytes\":1,\"sha256\":\"{}\",\"etag\":\"e1\"}}\n\
         {{\"key\":\"b\",\"bytes\":2,\"sha256\":\"{}\",\"etag\":\"e2\"}}\n",
        manifest.sha256(),
        digests[0],
        digests[1]
    );
    assert_eq!(text(&manifest), expected);
    assert_eq!(manifest.get("b").map(|object| object.bytes), Some(2));
    assert_eq!(manifest.get("a"), None);
}

#[test]
fn the_hash_is_of_the_content_and_of_no_store() {
    let one = manifest(&[("a", 1), ("b", 2)]);
    let elsewhere = one.with_etags([None, Some("other".into())]);
    assert_eq!(one.sha256(), elsewhere.sha256());
    assert_ne!(text(&one), text(&elsewhere));
    assert_eq!(read(&text(&elsewhere), 7).unwrap(), elsewhere);
    let next = Manifest::new(2, Selection::default(), one.objects().to_vec()).unwrap();
    assert_ne!(next.sha256(), one.sha256());
    assert!(next.since(&one).is_none());
    // Recomputed by hand: the lines without what is a store's own.
    use sha2::Digest as _;
    let canonical: String = text(&one)
        .lines()
        .map(|line| {
            let mut line: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
            let is_head = line.contains_key("manifest");
            line.remove(if is_head { "sha256" } else { "etag" });
            let order: &[&str] = match is_head {
                true => &["manifest", "version", "include", "exclude", "objects", "bytes"],
                false => &["key", "bytes", "sha256"],
            };
            let members: Vec<String> = order.iter().map(|name| format!("\"{name}\":{}", line[*name])).collect();
            format!("{{{}}}\n", members.join(","))
        })
        .collect();
    assert_eq!(one.sha256().to_string(), hex::encode(sha2::Sha256::digest(canonical)));
}

#[track_caller]
fn lies(from: &str, to: &str, expected: &str) {
    let text = text(&manifest(&[("a", 1), ("b", 2), ("c", 3)]));
    assert!(text.contains(from), "{text}");
    let error = read(&text.replacen(from, to, 1), 1000).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn a_manifest_that_lies_is_refused() {
    lies("\"objects\":3", "\"objects\":2", "line 4 of the manifest: more objects are named than the first line says");
    lies("\"objects\":3", "\"objects\":4", "3 of 4 objects are named");
    lies("\"bytes\":6", "\"bytes\":7", "line 1 of the manifest: it says 7 bytes, the objects have 6");
    lies("\"key\":\"b\"", "\"key\":\"bb\"", "line 1 of the manifest: it says SHA-256 ");
    lies("\"key\":\"b\"", "\"key\":\"../b\"", "`../b` is not in the order of keys");
    lies("\"key\":\"a\"", "\"key\":\"../a\"", "`../a` has a part `.` or `..`");
    lies("\"key\":\"a\"", "\"key\":\"\"", "`` is empty");
    lies("\"key\":\"b\"", "\"key\":\"b//\"", "has an empty part");
    lies("\"key\":\"b\"", "\"key\":\"b\\u0007\"", "has a control character");
    lies("\"key\":\"b\"", "\"key\":\"a\"", "is not in the order of keys");
    lies("\"etag\":\"e1\"", "\"etag\":\"\\n\"", "line 2 of the manifest: its ETag is none");
    lies("\"etag\":\"e1\"", "\"tag\":\"e1\"", "line 2 of the manifest: it is no object: unknown field `tag`");
    lies("\"manifest\":1", "\"manifest\":2", "format 2 is not known");
    lies("\"version\":1", "\"version\":0", "version 0 with 3 objects is none");
    lies("{\"manifest\"", "{\"other\"", "line 1 of the manifest: it is no head: unknown field `other`");
    lies("\"bytes\":2", "\"bytes\":-2", "line 3 of the manifest: it is no object");
    let long = format!("\"key\":\"{}\"", "b".repeat(KEY_MAX + 1));
    lies("\"key\":\"b\"", &long, "is longer than a key may be");
}

#[test]
fn a_text_that_is_cut_short_is_no_manifest() {
    let text = text(&manifest(&[("a", 1), ("b", 2)]));
    for end in 0..text.len() {
        assert!(read(&text[..end], 50).is_err(), "{end}");
    }
    let mut reader = Reader::default();
    let endless = std::iter::repeat_n(&[b'x'; 1024][..], 1024);
    let refused = endless.map(|piece| reader.push(piece)).find_map(Result::err);
    assert_eq!(refused.unwrap().to_string(), "line 1 of the manifest: it is longer than 262144 bytes");
}

#[test]
fn objects_that_are_no_set_are_refused() {
    let new = |objects: &[(&str, u64)]| {
        Manifest::new(1, Selection::default(), objects.iter().map(|(key, bytes)| entry(key, *bytes)).collect())
    };
    assert_eq!(new(&[("a", 1), ("b", 1), ("a", 2)]), Err(NoSet::Twice("a".to_owned())));
    assert_eq!(new(&[("a", u64::MAX), ("b", 1)]), Err(NoSet::TooLarge));
    assert!(matches!(new(&[("a/../b", 1)]), Err(NoSet::Key { .. })));
    assert_eq!(new(&[]).unwrap().bytes(), 0);
}

#[test]
fn what_differs_is_told() {
    let old = manifest(&[("a", 1), ("b", 2), ("d", 4)]);
    let new = manifest(&[("b", 7), ("c", 3), ("d", 4)]);
    let difference = new.since(&old);
    assert_eq!(difference.to_string(), "1 new (`c`), 1 changed (`b`), 1 gone (`a`)");
    assert_eq!(old.since(&old).to_string(), "");
}

#[test]
fn keys_follow_from_one_another() {
    let keys = SetKeys::below("blood/2026/");
    assert_eq!(keys.manifest(), "blood/2026.manifest.ndjson");
    assert_eq!(keys.unfinished(), "blood/2026.manifest.ndjson.unfinished");
    assert_eq!((keys.prefix().as_str(), keys.object("a/b").as_str()), ("blood/2026/", "blood/2026/a/b"));
    assert_eq!(Extent::of(&keys.manifest()), Extent::Set(keys.clone()));
    assert_eq!(SetKeys::by_manifest(&keys.unfinished()), Some(keys.clone()));
    assert_eq!(SetKeys::by_manifest("blood/2026/a"), None);
    assert_eq!(keys.below_prefix("blood/2026/a/b"), Some("a/b"));
    assert_eq!(keys.below_prefix("blood/20267"), None);
    for of_it in ["blood/2026/", "blood/2026/x", "blood/2026.manifest.ndjson", "blood/2026.manifest.ndjson.unfinished"]
    {
        assert!(keys.covers(of_it), "{of_it}");
    }
    for other in ["blood/2026", "blood/2026.json", "blood/2026.manifest.ndjson.replicas/1/2026/x", "blood/", "x"] {
        assert!(!keys.covers(other), "{other}");
    }
    for object in ["blood.json", ".manifest.ndjson", "blood/.manifest.ndjson", "a.manifest.ndjson/b"] {
        assert_eq!(Extent::of(object), Extent::Object(object.to_owned()));
    }
}

#[test]
fn a_replicas_keys_are_told_as_the_originals_are() {
    let original = SetKeys::below("blood/2026/").manifest();
    let copy = crate::domain::saga::object_key_for(&original, "plan");
    let Extent::Set(keys) = Extent::of(&copy) else { panic!("{copy} is of no set") };
    assert_eq!(keys.prefix(), "blood/2026.manifest.ndjson.replicas/plan/2026/");
    assert!(!SetKeys::below("blood/2026/").covers(&keys.object("a")));
}

#[test]
fn data_sets_that_could_share_an_object_overlap() {
    let set = |prefix| SetKeys::below(prefix).manifest();
    let check = |one: &str, other: &str, expected| {
        assert_eq!((overlap(one, other), overlap(other, one)), (expected, expected), "{one} {other}");
    };
    check(&set("a/"), &set("a/b/"), true);
    check(&set("a/"), &set("a/"), true);
    check(&set("a/"), "a/b.json", true);
    check("a.json", "a.json", true);
    check(&set("a/"), &set("b/"), false);
    check(&set("a/"), &set("ab/"), false);
    check(&set("a/"), "a.json", false);
    check("a.json", "b.json", false);
}

#[test]
fn patterns_select() {
    let check = |include: &[&str], exclude: &[&str], key: &str, expected: bool| {
        let owned = |patterns: &[&str]| patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        let selection = Selection { include: owned(include), exclude: owned(exclude) };
        assert_eq!(selection.patterns().unwrap().take(key), expected, "{include:?} {exclude:?} {key}");
    };
    check(&[], &[], "a/b.json", true);
    check(&["*.json"], &[], "b.json", true);
    check(&["*.json"], &[], "a/b.json", false);
    check(&["**/*.json"], &[], "a/b.json", true);
    check(&["**/*.json"], &[], "b.json", true);
    check(&["**/*.{json,gz}"], &["tmp/**"], "tmp/b.json", false);
    check(&[], &["**/_*"], "a/_SUCCESS", false);
    let bad = |pattern: &str| {
        let selection = Selection { include: vec![pattern.to_owned()], ..Selection::default() };
        selection.patterns().unwrap_err().to_string()
    };
    assert!(bad("a[").starts_with("`a[`: "), "{}", bad("a["));
    assert_eq!(bad(""), "``: a pattern has 1 to 1000 bytes");
}

fn keys() -> impl Strategy<Value = String> {
    prop::collection::vec("[a-c ü\"\\\\.]{1,3}", 1..3).prop_map(|parts| parts.join("/"))
}

fn sets() -> impl Strategy<Value = BTreeMap<String, u64>> {
    let keys = keys().prop_filter("of a set", |key| check_key(key).is_ok());
    prop::collection::btree_map(keys, 0..5_u64, 0..12)
}

fn of(set: &BTreeMap<String, u64>) -> Manifest {
    Manifest::new(3, Selection::default(), set.iter().map(|(key, bytes)| entry(key, *bytes)).collect()).unwrap()
}

proptest! {
    /// However the text is cut, what was written is read.
    #[test]
    fn what_is_written_is_read(set in sets(), piece_bytes in 1..300_usize) {
        let manifest = of(&set);
        prop_assert_eq!(read(&text(&manifest), piece_bytes), Ok(manifest));
    }

    /// A text of which one character was changed is refused, or differs in an ETag alone.
    #[test]
    fn no_other_text_is_taken_for_it(set in sets(), at in any::<prop::sample::Index>(), to in "[ -~]") {
        let manifest = of(&set);
        let mut changed: Vec<char> = text(&manifest).chars().collect();
        let at = at.index(changed.len());
        changed[at] = to.chars().next().unwrap();
        let changed: String = changed.into_iter().collect();
        if let Ok(read) = read(&changed, 1000) {
            prop_assert_eq!(read.sha256(), manifest.sha256());
            prop_assert_eq!(read.with_etags(std::iter::repeat(None)), manifest.with_etags(std::iter::repeat(None)));
        }
    }

    /// Anything at all is read or refused, and never believed beyond its bounds.
    #[test]
    fn any_text_is_survived(text in "\\PC{0,200}\n{0,3}") {
        let _ = read(&text, 16);
    }

    /// Taking away what is gone, and putting in what is new or changed, makes one of the other.
    #[test]
    fn a_difference_leads_from_one_to_the_other(old in sets(), new in sets()) {
        let (before, after) = (of(&old), of(&new));
        let difference = after.since(&before);
        let mut made = old.clone();
        difference.removed.iter().for_each(|object| { made.remove(&*object.key); });
        for object in difference.added.iter().chain(&difference.changed) {
            made.insert(object.key.to_string(), object.bytes);
        }
        prop_assert_eq!(&made, &new);
        let keys = |objects: &[&Entry]| -> BTreeSet<String> { objects.iter().map(|object| object.key.to_string()).collect() };
        prop_assert!(keys(&difference.added).iter().all(|key| !old.contains_key(key)));
        prop_assert!(keys(&difference.changed).iter().all(|key| old.get(key) != new.get(key)));
        prop_assert_eq!(difference.is_none(), old == new);
    }
}
