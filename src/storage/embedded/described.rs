//! What objects are besides their bytes: a small file for each object of which there is anything to say, found by its key.
//!
//! It is written before the object is there and removed after it is gone: an object never lacks its own.

use super::directory::Directory;
use crate::storage::attributes::Attributes;
use s3s::dto;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

impl Directory {
    fn attributes(&self, bucket: &str, key: &str) -> PathBuf {
        // Keys are longer, and nested otherwise, than names of files may be.
        self.described(bucket).join(hex::encode(Sha256::digest(key)))
    }

    pub(super) fn describe(&self, bucket: &str, key: &str, attributes: &Attributes) -> io::Result<()> {
        if *attributes == Attributes::default() {
            return self.forget_attributes(bucket, key);
        }
        let path = self.attributes(bucket, key);
        fs::create_dir_all(self.described(bucket))?;
        let arrival = self.arrival();
        let mut file = File::create_new(&arrival)?;
        file.write_all(&serde_json::to_vec(attributes)?)?;
        drop(file);
        self.commit(&arrival, &path)
    }

    /// None is no error; what cannot be read is told, and is none.
    pub(super) fn attributes_of(&self, bucket: &str, key: &str) -> Attributes {
        let path = self.attributes(bucket, key);
        let read = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(io::Error::from),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Attributes::default(),
            Err(error) => Err(error),
        };
        read.unwrap_or_else(|error| {
            tracing::warn!(path = %path.display(), key, %error, "what the object is besides its bytes cannot be read");
            Attributes::default()
        })
    }

    pub(super) fn forget_attributes(&self, bucket: &str, key: &str) -> io::Result<()> {
        match fs::remove_file(self.attributes(bucket, key)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// What a request to write says of its object.
pub(super) struct Described {
    pub content_type: Option<String>,
    pub content_encoding: Option<String>,
    pub content_language: Option<String>,
    pub content_disposition: Option<String>,
    pub cache_control: Option<String>,
    pub metadata: Option<dto::Metadata>,
    pub tagging: Option<String>,
}

impl From<Described> for Attributes {
    fn from(described: Described) -> Self {
        Attributes {
            content_type: described.content_type,
            content_encoding: described.content_encoding,
            content_language: described.content_language,
            content_disposition: described.content_disposition,
            cache_control: described.cache_control,
            metadata: described.metadata.unwrap_or_default().into_iter().collect(),
            tags: described.tagging.as_deref().map(Attributes::tags_in).unwrap_or_default(),
        }
    }
}

/// Takes what is said of an object out of a request to write it, or to begin to.
macro_rules! described_by {
    ($input:expr) => {
        crate::storage::attributes::Attributes::from(crate::storage::embedded::described::Described {
            content_type: $input.content_type.take(),
            content_encoding: $input.content_encoding.take(),
            content_language: $input.content_language.take(),
            content_disposition: $input.content_disposition.take(),
            cache_control: $input.cache_control.take(),
            metadata: $input.metadata.take(),
            tagging: $input.tagging.take(),
        })
    };
}
pub(super) use described_by;

/// As an answer to `GetObjectTagging` has it.
pub(super) fn tag_set(attributes: Attributes) -> dto::TagSet {
    attributes.tags.into_iter().map(|(key, value)| dto::Tag { key: Some(key), value: Some(value) }).collect()
}
