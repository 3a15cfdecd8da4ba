use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Headers, user metadata and tags: they travel with an object, so that programs know at every node what it is.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Attributes {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_language: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_disposition: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<String>,
    /// `x-amz-meta-*`, by the name behind it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

impl Attributes {
    /// The tags as the header of a request has them: a query, percent-encoded.
    pub fn tagging(&self) -> Option<String> {
        let pairs: Vec<String> =
            self.tags.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        (!pairs.is_empty()).then(|| pairs.join("&"))
    }

    /// The other way round. What is no percent-encoded UTF-8 is left out.
    pub fn tags_in(tagging: &str) -> BTreeMap<String, String> {
        let pairs = tagging.split('&').filter(|pair| !pair.is_empty());
        pairs
            .filter_map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                Some((decoded(name)?, decoded(value)?))
            })
            .collect()
    }
}

/// All but the unreserved characters of RFC 3986.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            b'+' => b' ',
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_survive_their_header() {
        let tags = BTreeMap::from([("a b".to_owned(), "1+1=2&%".to_owned()), ("ü".to_owned(), String::new())]);
        let attributes = Attributes { tags: tags.clone(), ..Attributes::default() };
        let tagging = attributes.tagging().unwrap();
        assert_eq!(tagging, "a%20b=1%2B1%3D2%26%25&%C3%BC=");
        assert_eq!(Attributes::tags_in(&tagging), tags);
        assert_eq!(Attributes::default().tagging(), None);
        assert_eq!(Attributes::tags_in("a=%zz&b&c=%4"), BTreeMap::from([("b".to_owned(), String::new())]));
    }
}
