//! Lists, page by page: a cursor says after which one to go on, whatever came or went meanwhile.

use super::problem::{ErrorCode, Problem};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use utoipa::{IntoParams, ToSchema};

/// So many are on a page unless another number is asked for, and at most.
pub const DEFAULT_LIMIT: usize = 100;
pub const LIMIT_AT_MOST: usize = 1000;

/// A part of a list.
#[derive(Serialize, ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Send it as `cursor` for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// The first of what is left of a list, each with what its cursor says; at least one more tells that another page follows.
    pub fn cut<K: Serialize>(mut rest: Vec<(K, T)>, limit: usize) -> Self {
        let is_last = rest.len() <= limit;
        rest.truncate(limit);
        let next = rest.last().filter(|_| !is_last).map(|(key, _)| encode(key));
        Self { items: rest.into_iter().map(|(_, item)| item).collect(), next }
    }
}

/// In which direction of their ids, names or times.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    #[default]
    Ascending,
    Descending,
}

/// Which part of a list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    /// Items on a page.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub limit: Option<usize>,
    /// `next` of the page before.
    pub cursor: Option<String>,
    pub sort: Option<Sort>,
}

/// Which part of a list of what comes, runs and ends; the latest come first.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Latest {
    /// Items on a page.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub limit: Option<usize>,
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// Only in this state. What is none is refused, and the answer says which there are.
    pub state: Option<String>,
}

impl Latest {
    /// How many are asked for, which number comes before them, and in which state they are.
    pub fn read<State: FromStr<Err: fmt::Display>>(&self) -> Result<(usize, Option<i64>, Option<State>), Problem> {
        let limit = limit(self.limit)?;
        let before = self.cursor.as_deref().map(decode).transpose()?;
        let state = self.state.as_deref().map(str::parse).transpose();
        let state = state.map_err(|error| Problem::new(ErrorCode::Invalid, format!("state: {error}")))?;
        Ok((limit, before, state))
    }
}

/// How many are asked for.
pub fn limit(asked: Option<usize>) -> Result<usize, Problem> {
    match asked {
        None => Ok(DEFAULT_LIMIT),
        Some(limit @ 1..=LIMIT_AT_MOST) => Ok(limit),
        Some(limit) => {
            Err(Problem::new(ErrorCode::Malformed, format!("limit: {limit} is not within 1 and {LIMIT_AT_MOST}")))
        }
    }
}

/// What stands in a cursor; a client is not to look into it.
pub fn encode<K: Serialize>(key: &K) -> String {
    hex::encode(serde_json::to_vec(key).unwrap_or_default())
}

pub fn decode<K: DeserializeOwned>(cursor: &str) -> Result<K, Problem> {
    let read = hex::decode(cursor).ok().and_then(|text| serde_json::from_slice(&text).ok());
    read.ok_or_else(|| {
        Problem::new(ErrorCode::Invalid, "cursor: this is none; send `next` of the page before as it is")
    })
}

impl Listing {
    /// The part that is asked for of all there are.
    pub fn of<K: Ord + Serialize + DeserializeOwned, T>(&self, all: BTreeMap<K, T>) -> Result<Page<T>, Problem> {
        let limit = limit(self.limit)?;
        let after: Option<K> = self.cursor.as_deref().map(decode).transpose()?;
        let rest: Vec<(K, T)> = match self.sort.unwrap_or_default() {
            Sort::Ascending => {
                all.into_iter().filter(|(key, _)| after.as_ref().is_none_or(|after| key > after)).collect()
            }
            Sort::Descending => {
                all.into_iter().rev().filter(|(key, _)| after.as_ref().is_none_or(|after| key < after)).collect()
            }
        };
        Ok(Page::cut(rest, limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_whatever_comes_and_goes() {
        let all = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), (*name).to_owned())).collect();
        let first = Listing { limit: Some(2), ..Listing::default() };
        let page = first.of(all(&["a", "b", "c", "d"])).ok().unwrap();
        assert_eq!(page.items, ["a", "b"]);
        let second = Listing { cursor: page.next, ..first };
        // The last one of the page before is gone, and one came.
        let page = second.of(all(&["a", "bb", "c"])).ok().unwrap();
        assert_eq!((page.items, page.next.is_some()), (vec!["bb".to_owned(), "c".to_owned()], false));
        let backwards = Listing { sort: Some(Sort::Descending), limit: Some(2), ..Listing::default() };
        let page = backwards.of(all(&["a", "b", "c"])).ok().unwrap();
        assert_eq!(page.items, ["c", "b"]);
        let page = Listing { cursor: page.next, ..backwards }.of(all(&["a", "b", "c"])).ok().unwrap();
        assert_eq!((page.items, page.next), (vec!["a".to_owned()], None));
    }

    #[test]
    fn what_is_no_cursor_and_no_number_of_items_is_refused() {
        let all = || BTreeMap::from([(1u32, "one")]);
        for listing in [
            Listing { cursor: Some("zz".to_owned()), ..Listing::default() },
            Listing { cursor: Some(encode(&"text")), ..Listing::default() },
            Listing { limit: Some(0), ..Listing::default() },
            Listing { limit: Some(1001), ..Listing::default() },
        ] {
            assert!(listing.of(all()).is_err(), "{listing:?}");
        }
    }
}
