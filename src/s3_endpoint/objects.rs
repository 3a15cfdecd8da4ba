//! The objects of a data set as its readers see them: under the keys that its owner has given them, wherever replicas lie.

use agent_core::domain::ids::DataSetName;
use agent_core::domain::manifest::{Digest, Entry, Extent, Manifest};
use agent_core::domain::placement::DataSet;
use std::borrow::Cow;

/// The data set that a bucket's name means. Clients that know no `_` in such names write `-`, where that means only one.
pub fn of_bucket<'n>(bucket: &str, known: &'n [DataSetName]) -> Option<&'n DataSetName> {
    let exact = known.iter().find(|name| &*name.0 == bucket);
    let mut alike = known.iter().filter(|name| bucket_name(name) == bucket);
    exact.or_else(|| alike.next().filter(|_| alike.next().is_none()))
}

/// As all clients take it.
fn bucket_name(name: &DataSetName) -> String {
    name.0.to_lowercase().replace('_', "-")
}

/// Which object of a data set a key means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Named<'k> {
    /// The one that the data set is.
    Only,
    /// One of a set, by its key below the prefix.
    Below(&'k str),
}

/// `None`: it is no key of this data set.
pub fn named<'k>(data_set: &DataSet, key: &'k str) -> Option<Named<'k>> {
    match Extent::of(&data_set.object_key) {
        Extent::Object(own) => (own == key).then_some(Named::Only),
        Extent::Set(keys) => keys.below_prefix(key).filter(|below| !below.is_empty()).map(Named::Below),
    }
}

/// All of them, in the order of their keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Objects<'m> {
    /// What all keys begin with.
    prefix: String,
    entries: Cow<'m, [Entry]>,
}

impl<'m> Objects<'m> {
    /// Of a data set of one object. `None`: what the table says of it is no content.
    pub fn one(data_set: &DataSet, bytes: u64, sha256: &str) -> Option<Self> {
        let sha256 = Digest::parse(&sha256.to_ascii_lowercase())?;
        let entry = Entry { key: data_set.object_key.as_str().into(), bytes, sha256, etag: None };
        Some(Self { prefix: String::new(), entries: Cow::Owned(vec![entry]) })
    }

    /// Of a set; `None`: it is none.
    pub fn many(data_set: &DataSet, manifest: &'m Manifest) -> Option<Self> {
        match Extent::of(&data_set.object_key) {
            Extent::Set(keys) => Some(Self { prefix: keys.prefix(), entries: Cow::Borrowed(manifest.objects()) }),
            Extent::Object(_) => None,
        }
    }

    pub fn get(&self, index: usize) -> Option<&Entry> {
        self.entries.get(index)
    }

    pub fn key(&self, entry: &Entry) -> String {
        format!("{}{}", self.prefix, entry.key)
    }

    /// Of the first one from `start` on that does not fulfil this; those that do stand in front of those that do not.
    pub fn past(&self, start: usize, fulfils: impl Fn(&str) -> bool) -> usize {
        let rest = self.entries.get(start..).unwrap_or_default();
        start + rest.partition_point(|entry| fulfils(&self.key(entry)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data_set(object_key: &str) -> DataSet {
        DataSet {
            name: "blood_tests".into(),
            object_key: object_key.to_owned(),
            bytes: 4,
            records: 1,
            sha256: "ab".repeat(32),
            versions: Default::default(),
            guard: Default::default(),
        }
    }

    #[test]
    fn keys_are_those_of_the_owner() {
        let one = data_set("blood/tests.json");
        assert_eq!(named(&one, "blood/tests.json"), Some(Named::Only));
        assert_eq!(named(&one, "blood/tests.json.replicas/1/blood/tests.json"), None);
        let set = data_set("blood/2026.manifest.ndjson");
        assert_eq!(named(&set, "blood/2026/01/a.json"), Some(Named::Below("01/a.json")));
        for key in ["blood/2026", "blood/2026/", "blood/2026.manifest.ndjson", "blood/2027/a.json"] {
            assert_eq!(named(&set, key), None, "{key}");
        }
    }

    #[test]
    fn a_bucket_is_a_data_set_with_or_without_underscores() {
        let check = |known: &[&str], bucket: &str, expected: Option<&str>| {
            let known: Vec<DataSetName> = known.iter().map(|name| (*name).into()).collect();
            assert_eq!(of_bucket(bucket, &known).map(|name| &*name.0), expected, "{bucket}");
        };
        check(&["blood_tests", "more"], "blood_tests", Some("blood_tests"));
        check(&["blood_tests", "more"], "blood-tests", Some("blood_tests"));
        check(&["Blood_Tests"], "blood-tests", Some("Blood_Tests"));
        check(&["blood_tests"], "blood", None);
        check(&["a_b", "a-b"], "a-b", Some("a-b"));
        check(&["a_b-c", "a-b_c"], "a-b-c", None);
    }
}
