//! Multipart uploads. They live as long as the process: the parts of an earlier life are removed at the start.

use super::directory::Directory;
use super::service::{e_tag, failed};
use crate::storage::attributes::Attributes;
use s3s::dto::{CompletedPart, MultipartUpload};
use s3s::{S3Result, s3_error};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// Beyond this, a client begins uploads and never ends them.
const UPLOADS_AT_MOST: usize = 1000;
/// What S3 asks of every part but the last.
const PART_BYTES_AT_LEAST: u64 = 5 * 1024 * 1024;

pub(super) struct Uploads {
    directory: Arc<Directory>,
    open: Mutex<BTreeMap<String, Target>>,
}

struct Target {
    bucket: String,
    key: String,
    begun: SystemTime,
    attributes: Attributes,
}

impl Uploads {
    pub fn new(directory: Arc<Directory>) -> Self {
        Self { directory, open: Mutex::default() }
    }

    pub fn begin(&self, bucket: &str, key: &str, attributes: Attributes) -> S3Result<String> {
        let mut open = self.open();
        if open.len() >= UPLOADS_AT_MOST {
            return Err(s3_error!(SlowDown, "{} uploads are open; complete or abort some", open.len()));
        }
        let id = hex::encode(rand::random::<[u8; 16]>());
        let folder = self.directory.upload(&id);
        fs::create_dir(&folder).map_err(|error| failed("beginning an upload", &folder, error))?;
        let begun = SystemTime::now();
        open.insert(id.clone(), Target { bucket: bucket.into(), key: key.into(), begun, attributes });
        Ok(id)
    }

    /// What its object will be besides its bytes.
    pub fn attributes(&self, id: &str) -> Attributes {
        self.open().get(id).map(|target| target.attributes.clone()).unwrap_or_default()
    }

    /// Where a part is to lie.
    pub fn part(&self, id: &str, bucket: &str, key: &str, number: i32) -> S3Result<PathBuf> {
        self.check(id, bucket, key)?;
        match number {
            1..=10_000 => Ok(self.directory.upload(id).join(number.to_string())),
            _ => Err(s3_error!(InvalidArgument, "parts are numbered from 1 to 10000, not {}", number)),
        }
    }

    /// The parts of the object, in order, if they are those that were uploaded.
    pub fn parts(&self, id: &str, bucket: &str, key: &str, listed: &[CompletedPart]) -> S3Result<Vec<PathBuf>> {
        self.check(id, bucket, key)?;
        if listed.is_empty() {
            return Err(s3_error!(MalformedXML, "no part is listed"));
        }
        if !listed.is_sorted_by(|earlier, later| earlier.part_number < later.part_number) {
            return Err(s3_error!(InvalidPartOrder));
        }
        let mut parts = Vec::with_capacity(listed.len());
        for (index, part) in listed.iter().enumerate() {
            let path = self.part(id, bucket, key, part.part_number.unwrap_or_default())?;
            let found = fs::metadata(&path).map_err(|_| s3_error!(InvalidPart))?;
            if part.e_tag.as_ref().is_none_or(|listed| !listed.weak_cmp(&e_tag(&found))) {
                return Err(s3_error!(InvalidPart, "part {:?} is another one", part.part_number));
            }
            if index + 1 < listed.len() && found.len() < PART_BYTES_AT_LEAST {
                return Err(s3_error!(EntityTooSmall));
            }
            parts.push(path);
        }
        Ok(parts)
    }

    pub fn check(&self, id: &str, bucket: &str, key: &str) -> S3Result<()> {
        let is_it = |target: &Target| target.bucket == bucket && target.key == key;
        self.open().get(id).is_some_and(is_it).then_some(()).ok_or_else(|| s3_error!(NoSuchUpload))
    }

    /// Forgets an upload and its parts.
    pub fn end(&self, id: &str) -> S3Result<()> {
        if self.open().remove(id).is_none() {
            return Err(s3_error!(NoSuchUpload));
        }
        let folder = self.directory.upload(id);
        fs::remove_dir_all(&folder).map_err(|error| failed("removing the parts of an upload", &folder, error))
    }

    pub fn list(&self, bucket: &str, prefix: &str) -> Vec<MultipartUpload> {
        let open = self.open();
        let matching = open.iter().filter(|(_, target)| target.bucket == bucket && target.key.starts_with(prefix));
        let listed = matching.map(|(id, target)| MultipartUpload {
            key: Some(target.key.clone()),
            upload_id: Some(id.clone()),
            initiated: Some(target.begun.into()),
            ..Default::default()
        });
        listed.collect()
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<String, Target>> {
        // Each critical section makes one change, so a panic elsewhere cannot have left it half made.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
