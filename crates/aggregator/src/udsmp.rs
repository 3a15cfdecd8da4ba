//! UDSMP, between reader and aggregator: a request in a datagram, and its reply.

use crate::value::Value;

/// Where an aggregator is asked.
pub const PORT: u16 = 6343;
/// What a reader must be able to receive: a list that is longer is split into several datagrams \[bytes\].
pub const LIST_MAX_BYTES: usize = 1024;
/// The datagrams of one list: as many of this size as a receiver's buffer holds by default on Linux.
pub const LIST_MAX_DATAGRAMS: usize = 64;
/// The last entry of a datagram whose list goes on in the next.
pub const MORE: &str = "...";
/// What is answered to anything that is no request.
pub const ERROR: &str = "ERROR 1";
/// The longest request \[bytes\].
pub const REQUEST_MAX_BYTES: usize = 1024;

const EMITTERS: &str = "GET_EMITTERS";
const EMITTER: &str = "GET_EMITTER";
/// Between the entries of a list.
const BETWEEN: &str = ", ";

/// How requests are read and values are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Dialect {
    /// As specified: verbs as they are written, `[cpu: 30.00]`.
    #[default]
    Specified,
    /// As the known implementation does: verbs in any case, `[CPU: 30.0]`.
    Compatible,
}

/// What a reader wants to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request<'a> {
    /// The names of all emitters.
    Emitters,
    /// The newest values of one. The name is everything behind the first space; it may be one that nobody has.
    Emitter(&'a str),
}

impl<'a> Request<'a> {
    /// `None`: no request. White space at its end is not part of it.
    pub fn parse(datagram: &'a [u8], dialect: Dialect) -> Option<Self> {
        if datagram.len() > REQUEST_MAX_BYTES {
            return None;
        }
        let text = std::str::from_utf8(datagram).ok()?.trim_end();
        let is = |word: &str, verb: &str| match dialect {
            Dialect::Specified => word == verb,
            Dialect::Compatible => word.eq_ignore_ascii_case(verb),
        };
        match text.split_once(' ') {
            None if is(text, EMITTERS) => Some(Self::Emitters),
            Some((verb, host)) if is(verb, EMITTER) && !host.is_empty() => Some(Self::Emitter(host)),
            None | Some(_) => None,
        }
    }
}

impl std::fmt::Display for Request<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Emitters => f.write_str(EMITTERS),
            Self::Emitter(host) => write!(f, "{EMITTER} {host}"),
        }
    }
}

/// An entry of an emitter's values.
pub fn show_value(metric: crate::mdsmp::Metric, value: Value, dialect: Dialect) -> String {
    match dialect {
        Dialect::Specified => format!("{metric}: {value}"),
        // As many decimals as it takes, at least one.
        Dialect::Compatible => format!("{}: {:?}", metric.word().to_uppercase(), value.number()),
    }
}

/// A list in as many datagrams as it takes, at most `datagrams_max` (at least one): each a whole list of whole names of at most
/// 1,024 bytes, all but the last with [`MORE`] as their last entry; also the last, where what follows is left away.
///
/// An entry must be shorter than a datagram, as host names are.
pub fn list<'a>(entries: impl Iterator<Item = &'a str> + Clone, datagrams_max: usize) -> Vec<String> {
    let whole: usize = entries.clone().map(|entry| entry.len() + BETWEEN.len()).sum();
    // The brackets take what the last entry does not have behind it.
    if whole <= LIST_MAX_BYTES {
        return vec![bracketed(&entries.collect::<Vec<_>>())];
    }
    let mut datagrams = Vec::new();
    let mut held = Vec::new();
    let mut bytes = MORE.len() + 2;
    for entry in entries {
        if bytes + entry.len() + BETWEEN.len() > LIST_MAX_BYTES {
            held.push(MORE);
            datagrams.push(bracketed(&held));
            if datagrams.len() >= datagrams_max {
                return datagrams;
            }
            held.clear();
            bytes = MORE.len() + 2;
        }
        bytes += entry.len() + BETWEEN.len();
        held.push(entry);
    }
    datagrams.push(bracketed(&held));
    datagrams
}

fn bracketed(entries: &[&str]) -> String {
    format!("[{}]", entries.join(BETWEEN))
}

/// What an aggregator says in one datagram.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    List {
        entries: Vec<String>,
        /// Whether the list goes on in another datagram.
        more: bool,
    },
    /// It did not understand the request: `ERROR` and a number.
    Error(u32),
}

impl Reply {
    /// `None`: no reply. White space at its end is not part of it; control characters are shown as `\u{fffd}`, for what is
    /// read is shown on terminals.
    pub fn parse(datagram: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(datagram).ok()?.trim_end();
        if let Some(code) = text.strip_prefix("ERROR ") {
            return code.parse().ok().map(Self::Error);
        }
        let inside = text.strip_prefix('[')?.strip_suffix(']')?;
        let legible = |entry: &str| entry.replace(char::is_control, "\u{fffd}");
        let mut entries: Vec<String> = inside.split(BETWEEN).filter(|entry| !entry.is_empty()).map(legible).collect();
        let more = entries.pop_if(|last| last == MORE).is_some();
        Some(Self::List { entries, more })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mdsmp::Metric;
    use Dialect::{Compatible, Specified};
    use proptest::prelude::*;

    #[test]
    fn requests_are_read_to_the_byte() {
        let check = |text: &str, dialect, expected: Option<Request<'_>>| {
            assert_eq!(Request::parse(text.as_bytes(), dialect), expected, "{text:?}");
        };
        for dialect in [Specified, Compatible] {
            check("GET_EMITTERS", dialect, Some(Request::Emitters));
            check("GET_EMITTERS ", dialect, Some(Request::Emitters));
            check("GET_EMITTERS\r\n", dialect, Some(Request::Emitters));
            check("GET_EMITTER Node_1", dialect, Some(Request::Emitter("Node_1")));
            check("GET_EMITTER Node_1 \n", dialect, Some(Request::Emitter("Node_1")));
            check("GET_EMITTER a b, c=d}", dialect, Some(Request::Emitter("a b, c=d}")));
            check("GET_EMITTER  a", dialect, Some(Request::Emitter(" a")));
            for text in ["", " ", "GET_EMITTER", "GET_EMITTER ", "GET_EMITTER\t a", "GET_EMITTERS a", " GET_EMITTERS"] {
                check(text, dialect, None);
            }
            assert_eq!(Request::parse(b"GET_EMITTER \xff", dialect), None);
            let longest = format!("GET_EMITTER {}", "n".repeat(REQUEST_MAX_BYTES - 12));
            check(&longest, dialect, Some(Request::Emitter(&longest[12..])));
            check(&format!("{longest}n"), dialect, None);
        }
        check("get_emitters", Specified, None);
        check("get_emitters", Compatible, Some(Request::Emitters));
        check("Get_Emitter Node_1", Specified, None);
        check("Get_Emitter Node_1", Compatible, Some(Request::Emitter("Node_1")));
    }

    #[test]
    fn requests_are_written_to_the_byte() {
        assert_eq!(Request::Emitters.to_string(), "GET_EMITTERS");
        assert_eq!(Request::Emitter("Node_1").to_string(), "GET_EMITTER Node_1");
    }

    #[test]
    fn values_are_written_in_both_dialects() {
        let check = |number: f64, specified: &str, compatible: &str| {
            let value = Value::of(number).expect("a value");
            assert_eq!(show_value(Metric::Cpu, value, Specified), specified);
            assert_eq!(show_value(Metric::Cpu, value, Compatible), compatible);
        };
        check(30.0, "cpu: 30.00", "CPU: 30.0");
        check(30.25, "cpu: 30.25", "CPU: 30.25");
        check(999_999_999_999.99, "cpu: 999999999999.99", "CPU: 999999999999.99");
    }

    #[test]
    fn short_lists_are_one_datagram() {
        assert_eq!(list(["Node_1", "Node_2"].into_iter(), 64), ["[Node_1, Node_2]"]);
        assert_eq!(list([].into_iter(), 64), ["[]"]);
        let (half, rest) = ("h".repeat(255), "r".repeat(251));
        let exactly = [half.as_str(), &half, &half, &rest];
        assert_eq!(list(exactly.into_iter(), 64).iter().map(String::len).collect::<Vec<_>>(), [1024]);
        let one_more = [half.as_str(), &half, &half, &rest, "x"];
        assert_eq!(list(one_more.into_iter(), 64), [format!("[{half}, {half}, {half}, ...]"), format!("[{rest}, x]")]);
        assert_eq!(list(one_more.into_iter(), 1), [format!("[{half}, {half}, {half}, ...]")]);
    }

    #[test]
    fn replies_are_read() {
        let check = |text: &str, expected: Option<(&[&str], bool)>| {
            let owned = |entries: &[&str]| entries.iter().map(|entry| (*entry).to_owned()).collect();
            let expected = expected.map(|(entries, more)| Reply::List { entries: owned(entries), more });
            assert_eq!(Reply::parse(text.as_bytes()), expected, "{text:?}");
        };
        check("[Node_1, Node_2]", Some((&["Node_1", "Node_2"], false)));
        check("[Node_1, ...]\n", Some((&["Node_1"], true)));
        check("[]", Some((&[], false)));
        check("[cpu: 30.00, ram: 10000.00]", Some((&["cpu: 30.00", "ram: 10000.00"], false)));
        check("[a\u{1b}[2J]", Some((&["a\u{fffd}[2J"], false)));
        for text in ["", "[", "]", "Node_1", "[Node_1", "ERROR", "ERROR x", "ERROR 99999999999"] {
            check(text, None);
        }
        assert_eq!(Reply::parse(b"ERROR 1\r\n"), Some(Reply::Error(1)));
        assert_eq!(Reply::parse(b"[\xff]"), None);
    }

    proptest! {
        /// Nothing is lost, doubled or torn, and every datagram is short enough.
        #[test]
        fn lists_come_back_whole(names in prop::collection::vec("[a-zA-Z0-9_-]{1,255}", 0..200)) {
            let datagrams = list(names.iter().map(String::as_str), usize::MAX);
            let mut read = Vec::new();
            for (index, datagram) in datagrams.iter().enumerate() {
                prop_assert!(datagram.len() <= LIST_MAX_BYTES);
                let Some(Reply::List { entries, more }) = Reply::parse(datagram.as_bytes()) else {
                    return Err(TestCaseError::fail("no list"));
                };
                prop_assert_eq!(more, index + 1 < datagrams.len());
                read.extend(entries);
            }
            prop_assert_eq!(read, names);
        }
    }
}
