//! A manifest as text, written and read. What is read may come from anybody: nothing of it is believed that does not fit together.

use super::selection::Selection;
use super::{Digest, Entry, Manifest, NoSet, OBJECTS_MAX};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;

/// The format that this program reads and writes.
const FORMAT: u32 = 1;
/// The longest line \[bytes\]: the longest key with each of its characters escaped, and all patterns.
pub const LINE_MAX: usize = 256 * 1024;
/// Objects in a piece of the text.
const PIECE: usize = 1000;
/// Longer ones are nothing that a store could mean \[bytes\].
const ETAG_MAX: usize = 256;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head<'t> {
    manifest: u32,
    version: u64,
    #[serde(borrow)]
    include: Cow<'t, [String]>,
    #[serde(borrow)]
    exclude: Cow<'t, [String]>,
    objects: usize,
    bytes: u64,
    /// Absent in the canonical form.
    #[serde(default, skip_serializing_if = "Option::is_none", borrow)]
    sha256: Option<Cow<'t, str>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'t> {
    #[serde(borrow)]
    key: Cow<'t, str>,
    bytes: u64,
    #[serde(borrow)]
    sha256: Cow<'t, str>,
    /// Absent in the canonical form.
    #[serde(default, skip_serializing_if = "Option::is_none", borrow)]
    etag: Option<Cow<'t, str>>,
}

/// Why a text is no manifest.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line} of the manifest: {reason}")]
pub struct BadManifest {
    pub line: usize,
    pub reason: String,
}

impl Manifest {
    /// Of the canonical form: what the table knows the set by.
    pub fn sha256(&self) -> Digest {
        let mut sha256 = Sha256::new();
        sha256.update(self.head(None));
        self.objects.iter().for_each(|object| sha256.update(line(object, None)));
        Digest(sha256.finalize().into())
    }

    /// The text in pieces, the first line being one; `None` behind the last.
    pub fn piece(&self, index: usize) -> Option<Vec<u8>> {
        let Some(before) = index.checked_sub(1) else {
            return Some(self.head(Some(Cow::Owned(self.sha256().to_string()))));
        };
        let objects = self.objects.chunks(PIECE).nth(before)?;
        Some(objects.iter().flat_map(|object| line(object, object.etag.as_deref().map(Cow::Borrowed))).collect())
    }

    fn head(&self, sha256: Option<Cow<'_, str>>) -> Vec<u8> {
        let Selection { include, exclude } = &self.selection;
        let head = Head {
            manifest: FORMAT,
            version: self.version,
            include: Cow::Borrowed(include),
            exclude: Cow::Borrowed(exclude),
            objects: self.objects.len(),
            bytes: self.bytes,
            sha256,
        };
        written(&head)
    }
}

fn line(object: &Entry, etag: Option<Cow<'_, str>>) -> Vec<u8> {
    let sha256 = Cow::Owned(object.sha256.to_string());
    written(&Line { key: Cow::Borrowed(&object.key), bytes: object.bytes, sha256, etag })
}

fn written(line: &impl Serialize) -> Vec<u8> {
    let mut text = Vec::with_capacity(256);
    // Texts and numbers, into memory: neither can fail.
    serde_json::to_writer(&mut text, line).unwrap_or_default();
    text.push(b'\n');
    text
}

/// Reads a manifest as its bytes come, holding no more of the text than a line.
#[derive(Default)]
pub struct Reader {
    head: Option<Owned>,
    objects: Vec<Entry>,
    unfinished: Vec<u8>,
    lines: usize,
}

/// What the first line says.
struct Owned {
    version: u64,
    selection: Selection,
    objects: usize,
    bytes: u64,
    sha256: Digest,
}

impl Reader {
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), BadManifest> {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (rest, next) = bytes.split_at(end);
            bytes = &next[1..];
            if self.unfinished.is_empty() {
                self.read(rest)?;
            } else {
                let mut line = std::mem::take(&mut self.unfinished);
                line.extend_from_slice(rest);
                self.read(&line)?;
            }
        }
        if self.unfinished.len() + bytes.len() > LINE_MAX {
            self.lines += 1;
            return Err(self.bad(format!("it is longer than {LINE_MAX} bytes")));
        }
        self.unfinished.extend_from_slice(bytes);
        Ok(())
    }

    /// The text has ended.
    pub fn finish(mut self) -> Result<Manifest, BadManifest> {
        if !self.unfinished.is_empty() {
            self.lines += 1;
            return Err(self.bad("the text ends within it".to_owned()));
        }
        let Some(head) = self.head.take() else { return Err(self.bad("there is none".to_owned())) };
        if self.objects.len() != head.objects {
            return Err(self.bad(format!("{} of {} objects are named", self.objects.len(), head.objects)));
        }
        let manifest = match Manifest::new(head.version, head.selection, std::mem::take(&mut self.objects)) {
            Ok(manifest) => manifest,
            Err(error @ (NoSet::Key { .. } | NoSet::Twice(_) | NoSet::TooMany | NoSet::TooLarge)) => {
                return Err(self.bad(error.to_string()));
            }
        };
        self.lines = 1;
        if manifest.bytes() != head.bytes {
            return Err(self.bad(format!("it says {} bytes, the objects have {}", head.bytes, manifest.bytes())));
        }
        let sha256 = manifest.sha256();
        if sha256 != head.sha256 {
            return Err(self.bad(format!("it says SHA-256 {}, the text has {sha256}", head.sha256)));
        }
        Ok(manifest)
    }

    fn read(&mut self, line: &[u8]) -> Result<(), BadManifest> {
        self.lines += 1;
        let read = match self.head {
            None => self.read_head(line),
            Some(_) => self.read_object(line),
        };
        read.map_err(|reason| self.bad(reason))
    }

    fn read_head(&mut self, line: &[u8]) -> Result<(), String> {
        let head: Head<'_> = serde_json::from_slice(line).map_err(|error| format!("it is no head: {error}"))?;
        if head.manifest != FORMAT {
            return Err(format!("format {} is not known; use a program that is as new as its writer", head.manifest));
        }
        if head.version == 0 || head.objects > OBJECTS_MAX {
            return Err(format!("version {} with {} objects is none", head.version, head.objects));
        }
        self.head = Some(Owned {
            version: head.version,
            selection: Selection { include: head.include.into_owned(), exclude: head.exclude.into_owned() },
            objects: head.objects,
            bytes: head.bytes,
            sha256: digest(head.sha256.as_deref().unwrap_or_default())?,
        });
        Ok(())
    }

    fn read_object(&mut self, line: &[u8]) -> Result<(), String> {
        let line: Line<'_> = serde_json::from_slice(line).map_err(|error| format!("it is no object: {error}"))?;
        if self.head.as_ref().is_none_or(|head| self.objects.len() >= head.objects) {
            return Err("more objects are named than the first line says".to_owned());
        }
        if self.objects.last().is_some_and(|before| *before.key >= *line.key) {
            return Err(format!("`{}` is not in the order of keys", line.key.escape_debug()));
        }
        if line.etag.as_ref().is_some_and(|etag| etag.len() > ETAG_MAX || etag.contains(char::is_control)) {
            return Err("its ETag is none".to_owned());
        }
        self.objects.push(Entry {
            key: line.key.as_ref().into(),
            bytes: line.bytes,
            sha256: digest(&line.sha256)?,
            etag: line.etag.as_deref().map(Into::into),
        });
        Ok(())
    }

    fn bad(&self, reason: String) -> BadManifest {
        BadManifest { line: self.lines.max(1), reason }
    }
}

fn digest(text: &str) -> Result<Digest, String> {
    Digest::parse(text).ok_or_else(|| "its SHA-256 is none: 64 digits of lower-case hexadecimal".to_owned())
}
