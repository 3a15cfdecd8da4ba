//! The keys of a set: of its objects, of its manifest, and of what says that it is not whole yet. They follow from one another, so
//! a row of the table that names the manifest names all of them.

use crate::domain::saga::replica_prefixes;

/// What S3 allows of a key \[bytes\].
pub const KEY_MAX: usize = 1024;

/// What the key of a manifest ends with; no object that is a data set by itself has such a key.
const MANIFEST: &str = ".manifest.ndjson";
/// What is added to the key of a manifest as long as its objects are on their way.
const UNFINISHED: &str = ".unfinished";

/// What a replica consists of, by the key that the table names it by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Extent {
    /// One object.
    Object(String),
    /// A manifest, and the objects that it names.
    Set(SetKeys),
}

impl Extent {
    pub fn of(object_key: &str) -> Self {
        match object_key.strip_suffix(MANIFEST).filter(|stem| !stem.is_empty() && !stem.ends_with('/')) {
            Some(stem) => Extent::Set(SetKeys { stem: stem.to_owned() }),
            None => Extent::Object(object_key.to_owned()),
        }
    }

    /// What people call it by: a key, or a prefix without its last `/`.
    pub fn name(&self) -> &str {
        match self {
            Extent::Object(key) => key,
            Extent::Set(keys) => &keys.stem,
        }
    }

    /// Whether an object with this key is of it.
    pub fn covers(&self, key: &str) -> bool {
        match self {
            Extent::Object(own) => own == key,
            Extent::Set(keys) => keys.covers(key),
        }
    }
}

/// The keys of a set: `blood/2026.manifest.ndjson` is the manifest of what lies below `blood/2026/`. Beside and not below: what is
/// listed below the prefix is the user's alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SetKeys {
    /// The prefix without its last `/`.
    stem: String,
}

impl SetKeys {
    /// `prefix` ends with `/`, or is taken as if it did.
    pub fn below(prefix: &str) -> Self {
        Self { stem: prefix.trim_end_matches('/').to_owned() }
    }

    /// What the table names the set by.
    pub fn manifest(&self) -> String {
        format!("{}{MANIFEST}", self.stem)
    }

    /// The manifest of what is to arrive: it is there before the first object, and until the manifest is.
    pub fn unfinished(&self) -> String {
        format!("{}{UNFINISHED}", self.manifest())
    }

    /// What the keys of the objects begin with, `/` included.
    pub fn prefix(&self) -> String {
        format!("{}/", self.stem)
    }

    /// Of one object.
    pub fn object(&self, below: &str) -> String {
        format!("{}/{below}", self.stem)
    }

    /// What of an object's key is below the prefix; `None`: nothing.
    pub fn below_prefix<'k>(&self, key: &'k str) -> Option<&'k str> {
        key.strip_prefix(&self.stem)?.strip_prefix('/')
    }

    /// Whether an object with this key is of the set, or would be.
    pub fn covers(&self, key: &str) -> bool {
        match key.strip_prefix(&self.stem) {
            Some(rest) => {
                let of_manifest = rest.strip_prefix(MANIFEST).is_some_and(|end| end.is_empty() || end == UNFINISHED);
                of_manifest || rest.starts_with('/')
            }
            None => false,
        }
    }

    /// By a key of either manifest; `None`: it is none.
    pub fn by_manifest(key: &str) -> Option<Self> {
        match Extent::of(key.strip_suffix(UNFINISHED).unwrap_or(key)) {
            Extent::Set(keys) => Some(keys),
            Extent::Object(_) => None,
        }
    }
}

/// Why a key cannot be of a set. Every store can hold what is left, a directory included.
pub fn check_key(key: &str) -> Result<(), &'static str> {
    if key.len() > KEY_MAX {
        return Err("is longer than a key may be");
    }
    if key.contains(char::is_control) {
        return Err("has a control character");
    }
    match key.split('/').find(|part| matches!(*part, "" | "." | "..")) {
        None => Ok(()),
        Some("") if key.is_empty() => Err("is empty"),
        Some("") => Err("has an empty part"),
        Some(_) => Err("has a part `.` or `..`"),
    }
}

/// Whether two data sets could have an object in common, by their keys in the table: one of their own, or one where the other's
/// replicas lie.
pub fn overlap(one: &str, other: &str) -> bool {
    let covers = |of: &str, key: &str| {
        let in_replicas = replica_prefixes(of).iter().any(|prefix| key.starts_with(prefix.as_str()));
        in_replicas || Extent::of(of).covers(key)
    };
    let reaches = |one: &str, other: &str| match Extent::of(other) {
        Extent::Object(key) => covers(one, &key),
        Extent::Set(keys) => covers(one, &keys.manifest()) || covers(one, &keys.prefix()),
    };
    reaches(one, other) || reaches(other, one)
}
