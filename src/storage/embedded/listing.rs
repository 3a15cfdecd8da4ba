//! Listings: the files of a bucket in the order of their keys, page by page. A page reads the folders on its way and nothing before
//! it, and looks at no other object than those it shows.

use super::directory::Directory;
use super::service::{e_tag, failed};
use s3s::dto::{CommonPrefix, ListObjectsV2Input, ListObjectsV2Output, Object, Timestamp};
use s3s::{S3ErrorCode, S3Result, s3_error};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What S3 shows at most at a time.
const PAGE: usize = 1000;

pub(super) fn list(directory: &Directory, input: ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
    let bucket = directory.bucket(&input.bucket);
    if !bucket.is_dir() {
        return Err(S3ErrorCode::NoSuchBucket.into());
    }
    let wanted = match input.max_keys {
        None => PAGE,
        Some(wanted) => usize::try_from(wanted)
            .map_err(|_| s3_error!(InvalidArgument, "{} is no number of keys to be listed", wanted))?
            .min(PAGE),
    };
    // Where it goes on is the last key that was shown.
    let after = [&input.continuation_token, &input.start_after].into_iter().flatten().max();
    let mut page = Walk {
        prefix: input.prefix.as_deref().unwrap_or_default(),
        after: after.map(String::as_str),
        delimiter: input.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty()),
        wanted,
        objects: Vec::new(),
        prefixes: Vec::new(),
        last: None,
        is_truncated: false,
    };
    if wanted > 0 {
        page.visit(&bucket, "").map_err(|error| failed("listing", &bucket, error))?;
    }
    let Walk { objects, prefixes, last, is_truncated, .. } = page;
    let shown = objects.len() + prefixes.len();
    let common_prefixes: Vec<_> = prefixes.into_iter().map(|prefix| CommonPrefix { prefix: Some(prefix) }).collect();
    Ok(ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: input.prefix,
        delimiter: input.delimiter,
        start_after: input.start_after,
        continuation_token: input.continuation_token,
        max_keys: Some(input.max_keys.unwrap_or(PAGE as i32)),
        key_count: i32::try_from(shown).ok(),
        is_truncated: Some(is_truncated),
        next_continuation_token: last.filter(|_| is_truncated),
        contents: (!objects.is_empty()).then_some(objects),
        common_prefixes: (!common_prefixes.is_empty()).then_some(common_prefixes),
        ..Default::default()
    })
}

/// A page while it is filled.
struct Walk<'i> {
    prefix: &'i str,
    after: Option<&'i str>,
    delimiter: Option<&'i str>,
    wanted: usize,
    objects: Vec<Object>,
    prefixes: Vec<String>,
    /// The last that is shown.
    last: Option<String>,
    /// Whether there is more than was wanted.
    is_truncated: bool,
}

/// Something in a folder.
struct Found {
    /// Its key; of a folder what the keys in it begin with, `/` included.
    key: String,
    path: PathBuf,
}

impl Walk<'_> {
    /// `key`: what the keys in the folder begin with.
    fn visit(&mut self, folder: &Path, key: &str) -> io::Result<()> {
        for found in self.found(folder, key)? {
            if self.is_truncated {
                return Ok(());
            }
            match found.key.ends_with('/') {
                true => self.enter(&found)?,
                false => self.show(found)?,
            }
        }
        Ok(())
    }

    /// What of a folder may be shown, in order.
    fn found(&self, folder: &Path, key: &str) -> io::Result<Vec<Found>> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            // Somebody has deleted it meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry?;
            // What is no UTF-8 nobody can have written through this store.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let key = match entry.file_type()?.is_dir() {
                true => format!("{key}{name}/"),
                false => format!("{key}{name}"),
            };
            if self.may_show(&key) {
                found.push(Found { key, path: entry.path() });
            }
        }
        found.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        Ok(found)
    }

    /// Whether this key, or one that begins with this of a folder, may be on this page or a later one.
    fn may_show(&self, key: &str) -> bool {
        let is_folder = key.ends_with('/');
        let has_prefix = key.starts_with(self.prefix) || (is_folder && self.prefix.starts_with(key));
        has_prefix && self.after.is_none_or(|after| key > after || (is_folder && after.starts_with(key)))
    }

    fn enter(&mut self, folder: &Found) -> io::Result<()> {
        match self.group(&folder.key) {
            None => self.visit(&folder.path, &folder.key),
            // One look tells of all that is in it; folders stay behind when their objects are deleted.
            Some(group) if group.len() == folder.key.len() => {
                if has_file(&folder.path)? {
                    self.show_prefix(group);
                }
                Ok(())
            }
            Some(_) => self.visit(&folder.path, &folder.key),
        }
    }

    fn show(&mut self, Found { key, path }: Found) -> io::Result<()> {
        if let Some(group) = self.group(&key) {
            self.show_prefix(group);
            return Ok(());
        }
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        if self.has_room() {
            self.last = Some(key.clone());
            self.objects.push(Object {
                key: Some(key),
                size: i64::try_from(metadata.len()).ok(),
                e_tag: Some(e_tag(&metadata)),
                last_modified: metadata.modified().ok().map(Timestamp::from),
                ..Default::default()
            });
        }
        Ok(())
    }

    fn show_prefix(&mut self, group: String) {
        let is_shown = self.prefixes.last() == Some(&group) || self.after.is_some_and(|after| *group <= *after);
        if !is_shown && self.has_room() {
            self.last = Some(group.clone());
            self.prefixes.push(group);
        }
    }

    fn has_room(&mut self) -> bool {
        self.is_truncated = self.objects.len() + self.prefixes.len() == self.wanted;
        !self.is_truncated
    }

    /// What a key is shown as a part of: all up to the first delimiter behind the prefix.
    fn group(&self, key: &str) -> Option<String> {
        let delimiter = self.delimiter?;
        let rest = key.strip_prefix(self.prefix)?;
        let end = rest.find(delimiter)? + delimiter.len();
        Some(key[..self.prefix.len() + end].to_owned())
    }
}

fn has_file(folder: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() || has_file(&entry.path())? {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::super::Durability;
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn directory(keys: &BTreeSet<&str>) -> (tempfile::TempDir, Directory) {
        let root = tempfile::tempdir().unwrap();
        let directory = Directory::open(root.path(), "data", Durability::Kill).unwrap();
        for key in keys {
            let path = directory.object("data", key).unwrap();
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, key).unwrap();
        }
        fs::create_dir_all(directory.bucket("data").join("left/empty")).unwrap();
        (root, directory)
    }

    /// All pages of so many, objects and groups in the order in which they came.
    fn all(directory: &Directory, prefix: &str, delimiter: Option<&str>, wanted: i32) -> Vec<String> {
        let (mut shown, mut token) = (Vec::new(), None);
        loop {
            let input = ListObjectsV2Input {
                bucket: "data".to_owned(),
                prefix: Some(prefix.to_owned()),
                delimiter: delimiter.map(str::to_owned),
                max_keys: Some(wanted),
                continuation_token: token,
                ..Default::default()
            };
            let page = list(directory, input).unwrap();
            let objects = page.contents.unwrap_or_default().into_iter().filter_map(|object| object.key);
            let groups = page.common_prefixes.unwrap_or_default().into_iter().filter_map(|group| group.prefix);
            let mut of_page: Vec<String> = objects.chain(groups).collect();
            assert!(of_page.len() <= wanted as usize);
            of_page.sort();
            shown.extend(of_page);
            token = page.next_continuation_token;
            assert_eq!(page.is_truncated, Some(token.is_some()));
            if token.is_none() {
                return shown;
            }
        }
    }

    /// What S3 says is shown.
    fn expected(keys: &BTreeSet<&str>, prefix: &str, delimiter: Option<&str>) -> Vec<String> {
        let matching = keys.iter().filter_map(|key| Some((*key, key.strip_prefix(prefix)?)));
        let shown = matching.map(|(key, rest)| match delimiter.and_then(|delimiter| rest.split_once(delimiter)) {
            Some((before, _)) => format!("{prefix}{before}{}", delimiter.unwrap()),
            None => key.to_owned(),
        });
        shown.collect::<BTreeSet<_>>().into_iter().collect()
    }

    #[test]
    fn keys_come_in_the_order_of_their_bytes() {
        // A folder's `/` is greater than `-` and `.`, and less than digits and letters.
        let keys = BTreeSet::from(["a-b", "a.b", "a/b", "a/c/d", "a0", "b", "ü"]);
        let (_root, directory) = directory(&keys);
        assert_eq!(all(&directory, "", None, 2), ["a-b", "a.b", "a/b", "a/c/d", "a0", "b", "ü"]);
        assert_eq!(all(&directory, "a/", Some("/"), 1), ["a/b", "a/c/"]);
        assert_eq!(all(&directory, "", Some("/"), 1000), ["a-b", "a.b", "a/", "a0", "b", "ü"]);
        assert_eq!(all(&directory, "nothing/", None, 1), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn every_object_is_shown_once_however_pages_fall(
            names in prop::collection::btree_set("[ab-]{1,2}(/[ab.]{1,2}){0,2}", 0..12),
            prefix in "[ab-]{0,2}/?[ab]?",
            delimiter in prop::option::of("[/b]"),
            wanted in 1..5_i32,
        ) {
            // A key that is a folder of another one cannot be a file, too; nor can what would lead elsewhere.
            let is_folder = |key: &str| names.iter().any(|other| other.starts_with(&format!("{key}/")));
            let is_plain = |key: &str| key.split('/').all(|part| part != "." && part != "..");
            let keys = names.iter().map(String::as_str).filter(|key| !is_folder(key) && is_plain(key)).collect();
            let (_root, directory) = directory(&keys);
            let delimiter = delimiter.as_deref();
            prop_assert_eq!(all(&directory, &prefix, delimiter, wanted), expected(&keys, &prefix, delimiter));
        }
    }
}
