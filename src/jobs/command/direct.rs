//! The store is reached directly, whatever proxy the environment names: it is this agent's end of a link, or a machine that
//! the agent itself reaches without one.

use std::net::IpAddr;

/// Both are read, by some clients only the one, and by some only the other.
const NAMES: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// `no_proxy` and `NO_PROXY` with the endpoints' hosts beside the hosts that the agent's own environment names in either.
pub(super) fn no_proxy<'e>(endpoints: impl IntoIterator<Item = &'e str>) -> Option<[(&'static str, String); 2]> {
    let inherited = NAMES.map(|name| std::env::var(name).unwrap_or_default()).to_vec();
    let hosts = endpoints.into_iter().filter_map(host);
    let value = hosts
        .fold(None, |known: Option<Vec<String>>, host| Some(vec![with(known.as_ref().unwrap_or(&inherited), host)]));
    let value = value?.concat();
    Some(NAMES.map(|name| (name, value.clone())))
}

/// Of `http://host:port/...`; of an address of version 6 without its brackets.
fn host(endpoint: &str) -> Option<&str> {
    let (_, rest) = endpoint.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next(),
        None => authority.split(':').next(),
    }
    .filter(|host| !host.is_empty())
}

/// Whether it is an address of this machine's own, that nobody elsewhere can mean.
pub(super) fn is_here(endpoint: &str) -> bool {
    host(endpoint).is_some_and(|host| host == "localhost" || host.parse().is_ok_and(|host: IpAddr| host.is_loopback()))
}

fn with(inherited: &[String], host: &str) -> String {
    let written = inherited.iter().flat_map(|list| list.split(',')).map(str::trim).filter(|entry| !entry.is_empty());
    let mut entries: Vec<String> = Vec::new();
    // Clients disagree on whether such an address stands in brackets.
    let own = [host.to_owned(), format!("[{host}]")];
    let own = &own[..if host.contains(':') { 2 } else { 1 }];
    for entry in written.map(str::to_owned).chain(own.iter().cloned()) {
        // Only alone does it mean every host.
        if entry == "*" {
            return entry;
        }
        if !entries.contains(&entry) {
            entries.push(entry);
        }
    }
    entries.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_an_endpoint_is_found() {
        assert_eq!(host("http://127.0.0.1:9000"), Some("127.0.0.1"));
        assert_eq!(host("https://store.example.org/bucket"), Some("store.example.org"));
        assert_eq!(host("http://[::1]:9000"), Some("::1"));
        assert_eq!(host("nonsense"), None);
    }

    #[test]
    fn loopback_is_here_and_names_may_be_anywhere() {
        for here in ["http://127.0.0.1:9000", "http://[::1]:9000/path", "http://localhost"] {
            assert!(is_here(here), "{here}");
        }
        for elsewhere in ["http://10.0.0.3:9000", "http://store:9000", "https://localhost.example.org", "nonsense"] {
            assert!(!is_here(elsewhere), "{elsewhere}");
        }
    }

    #[test]
    fn it_joins_the_hosts_that_are_named_already() {
        let check = |inherited: [&str; 2], host: &str, expected: &str| {
            assert_eq!(with(&inherited.map(str::to_owned), host), expected);
        };
        check(["", ""], "127.0.0.1", "127.0.0.1");
        check(["a.example, .b", "a.example,c"], "127.0.0.1", "a.example,.b,c,127.0.0.1");
        check(["127.0.0.1", ""], "127.0.0.1", "127.0.0.1");
        check(["a", "*"], "127.0.0.1", "*");
        check(["", ""], "::1", "::1,[::1]");
    }
}
