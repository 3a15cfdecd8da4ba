//! Listings: a page of a data set's objects, by prefix and delimiter. What is not shown is not looked at.

use super::objects::Objects;
use agent_core::domain::manifest::Entry;

/// What S3 shows at most at a time.
pub const PAGE: usize = 1000;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub prefix: &'a str,
    /// Absent: no keys are shown as one.
    pub delimiter: Option<&'a str>,
    /// What was shown last, or is to be begun behind.
    pub after: Option<&'a str>,
    pub at_most: usize,
}

/// What is shown: keys, and what several keys begin with, each in order.
#[derive(PartialEq, Eq, Debug, Default)]
pub struct Page<'o> {
    pub objects: Vec<(String, &'o Entry)>,
    pub prefixes: Vec<String>,
    /// The last of both; absent: there is no more to be shown.
    pub next: Option<String>,
}

pub fn page<'o>(objects: &'o Objects<'_>, asked: Asked<'_>) -> Page<'o> {
    let mut page = Page::default();
    let mut last = None;
    let mut at = objects.past(0, |key| key < asked.prefix || asked.after.is_some_and(|after| key <= after));
    if let Some(group) = asked.after.filter(|after| asked.group(after).as_deref() == Some(*after)) {
        // It was shown as one: so is all of it.
        at = objects.past(at, |key| key.starts_with(group));
    }
    while let Some(entry) = objects.get(at).filter(|_| asked.at_most > 0) {
        let key = objects.key(entry);
        if !key.starts_with(asked.prefix) {
            break;
        }
        if page.objects.len() + page.prefixes.len() == asked.at_most {
            page.next = last;
            break;
        }
        match asked.group(&key) {
            Some(group) => {
                at = objects.past(at, |key| key.starts_with(&group));
                last = Some(group.clone());
                page.prefixes.push(group);
            }
            None => {
                at += 1;
                last = Some(key.clone());
                page.objects.push((key, entry));
            }
        }
    }
    page
}

impl Asked<'_> {
    /// What a key is shown as a part of: all up to the first delimiter behind the prefix.
    fn group(&self, key: &str) -> Option<String> {
        let delimiter = self.delimiter.filter(|delimiter| !delimiter.is_empty())?;
        let rest = key.strip_prefix(self.prefix)?;
        let end = rest.find(delimiter)? + delimiter.len();
        key.get(..self.prefix.len() + end).map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_core::domain::manifest::{Digest, Manifest, Selection};
    use agent_core::domain::placement::DataSet;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const PREFIX: &str = "days/";

    fn manifest(keys: &BTreeSet<String>) -> Manifest {
        let entry = |key: &String| Entry { key: key.as_str().into(), bytes: 1, sha256: Digest([0; 32]), etag: None };
        Manifest::new(1, Selection::default(), keys.iter().map(entry).collect()).unwrap()
    }

    fn data_set() -> DataSet {
        DataSet {
            name: "days".into(),
            object_key: "days.manifest.ndjson".to_owned(),
            bytes: 1,
            records: 1,
            sha256: String::new(),
            versions: Default::default(),
            guard: Default::default(),
        }
    }

    /// All pages of so many, objects and groups in the order in which they came.
    fn all(keys: &BTreeSet<String>, prefix: &str, delimiter: Option<&str>, at_most: usize) -> Vec<String> {
        let (manifest, data_set) = (manifest(keys), data_set());
        let objects = Objects::many(&data_set, &manifest).unwrap();
        let (mut shown, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = page(&objects, Asked { prefix, delimiter, after: after.as_deref(), at_most });
            let keys = page.objects.into_iter().map(|(key, _)| key);
            let mut of_page: Vec<String> = keys.chain(page.prefixes).collect();
            assert!(of_page.len() <= at_most);
            of_page.sort();
            shown.extend(of_page);
            after = page.next;
            if after.is_none() {
                return shown;
            }
        }
    }

    /// What S3 says is shown.
    fn expected(keys: &BTreeSet<String>, prefix: &str, delimiter: Option<&str>) -> Vec<String> {
        let keys: Vec<String> = keys.iter().map(|key| format!("{PREFIX}{key}")).collect();
        let matching = keys.iter().filter_map(|key| Some((key, key.strip_prefix(prefix)?)));
        let shown = matching.map(|(key, rest)| match delimiter.and_then(|delimiter| rest.split_once(delimiter)) {
            Some((before, _)) => format!("{prefix}{before}{}", delimiter.unwrap()),
            None => key.clone(),
        });
        shown.collect::<BTreeSet<_>>().into_iter().collect()
    }

    #[test]
    fn keys_come_in_order_and_groups_as_one() {
        let keys = ["01/a", "01/b", "02-x", "02/c/d", "e"].map(str::to_owned).into();
        assert_eq!(all(&keys, "", None, 2), ["days/01/a", "days/01/b", "days/02-x", "days/02/c/d", "days/e"]);
        assert_eq!(all(&keys, "days/", Some("/"), 1), ["days/01/", "days/02-x", "days/02/", "days/e"]);
        assert_eq!(all(&keys, "", Some("/"), 1000), ["days/"]);
        assert_eq!(all(&keys, "days/03", None, 1), Vec::<String>::new());
        let (manifest, data_set) = (manifest(&keys), data_set());
        let objects = Objects::many(&data_set, &manifest).unwrap();
        let asked = Asked { prefix: "days/", delimiter: None, after: Some("days/02/"), at_most: 10 };
        assert_eq!(page(&objects, asked).objects.len(), 2, "begun behind what is no key");
        assert_eq!(page(&objects, Asked { at_most: 0, ..asked }), Page::default());
    }

    proptest! {
        #[test]
        fn every_object_is_shown_once_however_pages_fall(
            names in prop::collection::btree_set("[ab-]{1,2}(/[ab.]{1,2}){0,2}", 0..12),
            prefix in "(days/)?[ab-]{0,2}/?[ab]?",
            delimiter in prop::option::of("[/b]"),
            at_most in 1..5_usize,
        ) {
            let is_plain = |key: &&String| key.split('/').all(|part| part != "." && part != "..");
            let keys: BTreeSet<String> = names.iter().filter(is_plain).cloned().collect();
            let delimiter = delimiter.as_deref();
            prop_assert_eq!(all(&keys, &prefix, delimiter, at_most), expected(&keys, &prefix, delimiter));
        }
    }
}
