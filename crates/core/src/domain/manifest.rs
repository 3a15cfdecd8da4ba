//! The objects of a data set that is a prefix, at one version: what a transfer brings, what a removal deletes, and what a look at
//! a replica is held against.
//!
//! As a text it is a JSON document in each line: first what it is about, then an object in each, in the order of their keys.
//!
//! ```text
//! {"manifest":1,"version":1,"include":[],"exclude":["**/*.tmp"],"objects":2,"bytes":30,"sha256":"9f..."}
//! {"key":"01/a.json","bytes":10,"sha256":"ba...","etag":"d4..."}
//! {"key":"02/b.json","bytes":20,"sha256":"7c..."}
//! ```
//!
//! The canonical form, of which `sha256` in the first line is, is the same text without that and without the ETags. They
//! are of the store that it lies in: every replica's own, by which a changed object is seen without reading it.

mod keys;
mod selection;
mod text;

pub use keys::{Extent, KEY_MAX, SetKeys, check_key, overlap};
pub use selection::{BadPattern, Patterns, Selection};
pub use text::{BadManifest, LINE_MAX, Reader};

use std::cmp::Ordering;
use std::fmt;

/// More objects than this are several data sets (I-7): each takes about 150 bytes of memory while a replica is worked on.
pub const OBJECTS_MAX: usize = 1_000_000;

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Of 64 digits of lower-case hexadecimal.
    pub fn parse(text: &str) -> Option<Self> {
        let mut digest = [0; 32];
        let is_lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        (is_lower && hex::decode_to_slice(text, &mut digest).is_ok()).then_some(Self(digest))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One object of a set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Below the set's prefix.
    pub key: Box<str>,
    pub bytes: u64,
    pub sha256: Digest,
    /// In the store that the manifest lies in; absent where that has none.
    pub etag: Option<Box<str>>,
}

impl Entry {
    /// Whether the content is the same.
    pub fn is_same(&self, other: &Self) -> bool {
        (self.bytes, self.sha256) == (other.bytes, other.sha256)
    }
}

/// The objects of a set, each once and in the order of their keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Manifest {
    version: u64,
    selection: Selection,
    objects: Vec<Entry>,
    bytes: u64,
}

/// Why objects are no set.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoSet {
    #[error("`{}` {reason}", key.escape_debug())]
    Key { key: String, reason: &'static str },
    #[error("`{}` is there twice", .0.escape_debug())]
    Twice(String),
    #[error("they are more than {OBJECTS_MAX}; make several data sets of them")]
    TooMany,
    #[error("all together they have more bytes than can be counted")]
    TooLarge,
}

impl Manifest {
    /// Of these objects, in whatever order.
    pub fn new(version: u64, selection: Selection, mut objects: Vec<Entry>) -> Result<Self, NoSet> {
        if objects.len() > OBJECTS_MAX {
            return Err(NoSet::TooMany);
        }
        objects.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        if let Some(pair) = objects.windows(2).find(|pair| pair[0].key == pair[1].key) {
            return Err(NoSet::Twice(pair[0].key.to_string()));
        }
        for object in &objects {
            check_key(&object.key).map_err(|reason| NoSet::Key { key: object.key.to_string(), reason })?;
        }
        let bytes = objects.iter().try_fold(0_u64, |sum, object| sum.checked_add(object.bytes));
        // What the tables can hold.
        let bytes = bytes.filter(|bytes| i64::try_from(*bytes).is_ok()).ok_or(NoSet::TooLarge)?;
        Ok(Self { version, selection, objects, bytes })
    }

    /// The first one is 1.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// What of the prefix belongs to the set.
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    pub fn objects(&self) -> &[Entry] {
        &self.objects
    }

    pub fn get(&self, key: &str) -> Option<&Entry> {
        let at = self.objects.binary_search_by(|object| object.key.as_ref().cmp(key)).ok()?;
        self.objects.get(at)
    }

    /// Of all objects.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The same objects as they lie in another store; `etags` in the order of the objects.
    #[must_use]
    pub fn with_etags(&self, etags: impl IntoIterator<Item = Option<Box<str>>>) -> Self {
        let objects = self.objects.iter().zip(etags);
        let objects = objects.map(|(object, etag)| Entry { etag, ..object.clone() }).collect();
        Self { selection: self.selection.clone(), objects, ..*self }
    }

    /// What became of the objects of an earlier one.
    pub fn since<'m>(&'m self, earlier: &'m Self) -> Difference<'m> {
        let mut difference = Difference::default();
        let (mut old, mut new) = (earlier.objects.iter().peekable(), self.objects.iter().peekable());
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => return difference,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) => old.key.cmp(&new.key),
            };
            match order {
                Ordering::Less => difference.removed.extend(old.next()),
                Ordering::Greater => difference.added.extend(new.next()),
                Ordering::Equal => {
                    let changed = old.next().zip(new.next()).filter(|(old, new)| !old.is_same(new));
                    difference.changed.extend(changed.map(|(_, new)| new));
                }
            }
        }
    }
}

/// What of one manifest is not as in an earlier one, each in the order of their keys.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Difference<'m> {
    pub added: Vec<&'m Entry>,
    /// As they are now.
    pub changed: Vec<&'m Entry>,
    /// As they were.
    pub removed: Vec<&'m Entry>,
}

impl Difference<'_> {
    /// Of what is new or another one, as it is now.
    pub fn bytes(&self) -> u64 {
        self.added.iter().chain(&self.changed).fold(0, |sum, object| sum.saturating_add(object.bytes))
    }

    pub fn is_none(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

impl fmt::Display for Difference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [("new", &self.added), ("changed", &self.changed), ("gone", &self.removed)];
        let said: Vec<String> = kinds
            .iter()
            .filter_map(|(how, objects)| {
                let first = objects.first()?;
                Some(format!("{} {how} (`{}`)", objects.len(), first.key))
            })
            .collect();
        f.write_str(&said.join(", "))
    }
}

#[cfg(test)]
mod tests;
