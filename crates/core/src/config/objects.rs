//! Of what objects a data set consists: one, or those below a prefix.

use super::fragment;
use super::problem::{Invalid, Problems};
use super::quantity;
use super::settings::DataSetSettings;
use crate::domain::ids::DataSetName;
use crate::domain::manifest::{Extent, Selection, SetKeys, overlap};
use std::collections::BTreeMap;

/// The longest prefix \[bytes\]: the keys of copies hold it, its last part once more, and the key of an action.
const PREFIX_MAX: usize = 300;

/// As the table will name them.
pub struct Objects {
    pub object_key: String,
    /// Absent: one object.
    pub selection: Option<Selection>,
}

/// `place`: where the data set is written.
pub fn objects(written: &fragment::DataSet, place: &str, problems: &mut Problems) -> Option<Objects> {
    match (&written.object_key, &written.prefix) {
        (Some(key), None) => one_object(key, written, place, problems),
        (None, Some(prefix)) => all_below(prefix, written, place, problems),
        (Some(_), Some(_)) => {
            let help = "a data set is one object or a prefix: leave one of them out";
            problems.add(place, Invalid::new("it has both `object_key` and `prefix`", help));
            None
        }
        (None, None) => {
            let help = "add `object_key = \"blood.json\"` for one object, or `prefix = \"blood/\"` for all below it";
            problems.add(place, Invalid::new("neither `object_key` nor `prefix` is there", help));
            None
        }
    }
}

fn one_object(key: &str, written: &fragment::DataSet, place: &str, problems: &mut Problems) -> Option<Objects> {
    for (name, patterns) in [("include", &written.include), ("exclude", &written.exclude)] {
        if patterns.is_some() {
            let help = "leave it out, or write `prefix` in the place of `object_key`";
            problems.add(format!("{place}.{name}"), Invalid::new("it selects of a prefix, and there is none", help));
        }
    }
    let object_key = problems.check(format!("{place}.object_key"), own_key(key))?;
    Some(Objects { object_key, selection: None })
}

fn all_below(prefix: &str, written: &fragment::DataSet, place: &str, problems: &mut Problems) -> Option<Objects> {
    if written.generate_records.is_some() {
        let help = "leave it out and put your objects below the prefix, or write `object_key` in its place";
        problems.add(format!("{place}.generate_records"), Invalid::new("what is generated is one object", help));
    }
    let keys = problems.check(format!("{place}.prefix"), self::prefix(prefix));
    let patterns = |written: &Option<Vec<String>>| written.clone().unwrap_or_default();
    let selection = Selection { include: patterns(&written.include), exclude: patterns(&written.exclude) };
    let selection = problems.check(place, patterned(selection));
    Some(Objects { object_key: keys?.manifest(), selection: Some(selection?) })
}

/// The key of one object that is a data set by itself.
pub fn own_key(written: &str) -> Result<String, Invalid> {
    let key = quantity::object_key(written)?;
    match Extent::of(&key) {
        Extent::Object(key) => Ok(key),
        Extent::Set(keys) => Err(Invalid::new(
            format!("`{written}` is the key of a manifest"),
            format!("write `prefix = \"{}\"` for the objects that it names", keys.prefix()),
        )),
    }
}

/// The keys of all objects below a prefix.
pub fn prefix(written: &str) -> Result<SetKeys, Invalid> {
    let help = "write it like `blood/2026/`: at least one part, none empty, `.` or `..`, and a `/` at its end";
    let invalid = |why: &str| Err(Invalid::new(format!("`{}` {why}", written.escape_debug()), help));
    if written.is_empty() {
        return invalid("would be the whole bucket, with what agents keep in it");
    }
    let Some(stem) = written.strip_suffix('/') else { return invalid("does not end with `/`") };
    if stem.len() > PREFIX_MAX {
        return invalid(&format!("is longer than {PREFIX_MAX} bytes"));
    }
    match quantity::object_key(stem) {
        Ok(_) => Ok(SetKeys::below(written)),
        Err(_) => invalid("is no prefix"),
    }
}

fn patterned(selection: Selection) -> Result<Selection, Invalid> {
    let help = "patterns are like `**/*.json`: `*` stays within a part of the key, `**` does not";
    match selection.patterns() {
        Ok(_) => Ok(selection),
        Err(bad) => Err(Invalid::new(format!("the pattern {bad}"), help)),
    }
}

/// An object of two data sets would be moved away from one of them with the other.
pub fn refuse_overlaps(data_sets: &BTreeMap<DataSetName, DataSetSettings>, problems: &mut Problems) {
    for (index, one) in data_sets.values().enumerate() {
        for other in data_sets.values().take(index) {
            if overlap(&one.object_key, &other.object_key) {
                let problem = format!("data sets {} and {} can have objects in common", other.name, one.name);
                let help = "give one of them another prefix or key, or make one data set of both";
                problems.add(format!("data_set {}", one.name), Invalid::new(problem, help));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::NodeId;

    /// What is wrong, each in a line.
    fn told(problems: Problems) -> String {
        problems.settle(Some(())).map_or_else(|error| error.to_string(), |()| String::new())
    }

    /// The settings, or what is wrong with them.
    fn read(text: &str) -> Result<(String, Option<Selection>), String> {
        let written = toml::from_str(&format!("name = \"blood\"\nfirst_node = 3\n{text}")).unwrap();
        let mut problems = Problems::default();
        let objects =
            objects(&written, "data_set", &mut problems).map(|objects| (objects.object_key, objects.selection));
        match told(problems) {
            said if said.is_empty() => Ok(objects.unwrap()),
            said => Err(said),
        }
    }

    #[track_caller]
    fn refused(text: &str, expected: &str) {
        let said = read(text).unwrap_err();
        assert!(said.contains(expected), "{text}: {said}");
    }

    #[test]
    fn a_data_set_is_an_object_or_a_prefix() {
        assert_eq!(read("object_key = \"a.json\""), Ok(("a.json".to_owned(), None)));
        let selection = Selection { include: vec!["**/*.json".to_owned()], exclude: Vec::new() };
        let read = read("prefix = \"blood/2026/\"\ninclude = [\"**/*.json\"]");
        assert_eq!(read, Ok(("blood/2026.manifest.ndjson".to_owned(), Some(selection))));
    }

    #[test]
    fn what_is_neither_is_told() {
        refused("", "neither `object_key` nor `prefix` is there");
        refused("object_key = \"a\"\nprefix = \"a/\"", "it has both");
        refused("prefix = \"\"", "would be the whole bucket");
        refused("prefix = \"/\"", "is no prefix");
        refused("prefix = \"a\"", "does not end with `/`");
        refused("prefix = \"../a/\"", "is no prefix");
        refused("prefix = \"a//b/\"", "is no prefix");
        refused("prefix = \"a\\u0007/\"", "is no prefix");
        refused(&format!("prefix = \"{}/\"", "a".repeat(301)), "is longer than 300 bytes");
        refused("object_key = \"a.manifest.ndjson\"", "write `prefix = \"a/\"`");
        refused("object_key = \"a\"\ninclude = []", "it selects of a prefix");
        refused("prefix = \"a/\"\ngenerate_records = 5", "what is generated is one object");
        refused("prefix = \"a/\"\nexclude = [\"a[\"]", "the pattern `a[`");
    }

    #[test]
    fn data_sets_with_objects_in_common_are_told() {
        let data_set = |name: &str, object_key: &str| DataSetSettings {
            name: name.into(),
            object_key: object_key.to_owned(),
            selection: None,
            generate_records: None,
            first_node: NodeId(1),
            constraints: Default::default(),
        };
        let told = |sets: &[DataSetSettings]| {
            let mut problems = Problems::default();
            refuse_overlaps(&sets.iter().map(|one| (one.name.clone(), one.clone())).collect(), &mut problems);
            told(problems)
        };
        let (one, other) = (data_set("one", "a.manifest.ndjson"), data_set("other", "a/b.manifest.ndjson"));
        let third = data_set("third", "b.json");
        assert!(
            told(&[one.clone(), other, third.clone()]).contains("data sets one and other can have objects in common")
        );
        assert_eq!(told(&[one, third]), "");
    }
}
