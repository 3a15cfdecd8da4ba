//! Where a node's store is, as the shared table holds it: `http(s)://HOST[:PORT]/BUCKET[?region=R][&path_style=false]`.

use std::fmt;
use std::str::FromStr;

/// The bucket of a URL without a path, and of every embedded store.
pub const BUCKET: &str = "agent";
/// The region of a URL that names none: what servers without regions expect.
pub const REGION: &str = "us-east-1";
/// Longer ones are no URLs of stores.
const BYTES_AT_MOST: usize = 1000;

/// Everything but credentials and certificates that is needed to reach a store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoreUrl {
    /// `http://HOST:PORT`: a scheme and an authority, nothing else.
    endpoint: String,
    bucket: String,
    region: String,
    path_style: bool,
}

/// Why a text is no URL of a store. What it says instead is repeated only where it cannot hold a password.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}; a store is written like `http://10.0.0.4:9000/BUCKET?region=us-east-1`")]
pub struct StoreUrlError(String);

impl StoreUrl {
    /// `endpoint` is `http://HOST:PORT` or `https://HOST[:PORT]`.
    pub fn new(endpoint: &str, bucket: &str, region: &str) -> Result<Self, StoreUrlError> {
        if !is_endpoint(endpoint) {
            return Err(StoreUrlError("the store's URL does not begin with a scheme, a host and a port".to_owned()));
        }
        if !is_bucket(bucket) {
            return Err(StoreUrlError(format!("`{}` is no name of a bucket", bucket.escape_debug())));
        }
        if !is_region(region) {
            return Err(StoreUrlError(format!("`{}` is no name of a region", region.escape_debug())));
        }
        let (bucket, region) = (bucket.to_owned(), region.to_owned());
        Ok(Self { endpoint: endpoint.to_owned(), bucket, region, path_style: true })
    }

    /// Whether the bucket stands in the path (`http://HOST/BUCKET/KEY`) or before the host (`http://BUCKET.HOST/KEY`).
    #[must_use]
    pub fn with_path_style(self, path_style: bool) -> Self {
        Self { path_style, ..self }
    }

    /// `http://HOST:PORT`, as it was written.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    pub fn region(&self) -> &str {
        &self.region
    }

    pub fn path_style(&self) -> bool {
        self.path_style
    }

    pub fn is_https(&self) -> bool {
        self.endpoint.starts_with("https://")
    }

    /// `HOST:PORT`, where a connection is opened to; the scheme's port when the URL names none.
    pub fn address(&self) -> String {
        let authority = self.endpoint.split_once("://").map_or("", |(_, authority)| authority);
        let names_port = authority.rsplit(']').next().is_some_and(|end| end.contains(':'));
        match (names_port, self.is_https()) {
            (true, _) => authority.to_owned(),
            (false, true) => format!("{authority}:443"),
            (false, false) => format!("{authority}:80"),
        }
    }
}

impl FromStr for StoreUrl {
    type Err = StoreUrlError;

    fn from_str(text: &str) -> Result<Self, StoreUrlError> {
        let text = text.trim();
        if text.len() > BYTES_AT_MOST {
            return Err(StoreUrlError(format!("the store's URL has more than {BYTES_AT_MOST} bytes")));
        }
        let (place, query) = text.split_once('?').unwrap_or((text, ""));
        let host_at = place.find("://").map_or(0, |at| at + 3);
        let (endpoint, path) = match place[host_at..].split_once('/') {
            Some((authority, path)) => (&place[..host_at + authority.len()], path.trim_end_matches('/')),
            None => (place, ""),
        };
        let mut region = REGION;
        let mut path_style = true;
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some(("region", value)) => region = value,
                Some(("path_style", "true")) => path_style = true,
                Some(("path_style", "false")) => path_style = false,
                _ => {
                    let name = parameter.split('=').next().unwrap_or_default().escape_debug().to_string();
                    return Err(StoreUrlError(format!("the store's URL has an unknown parameter `{name}`")));
                }
            }
        }
        let bucket = if path.is_empty() { BUCKET } else { path };
        Ok(Self::new(endpoint, bucket, region)?.with_path_style(path_style))
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.endpoint, self.bucket)?;
        if self.region != REGION {
            write!(f, "?region={}", self.region)?;
        }
        match (self.path_style, self.region == REGION) {
            (true, _) => Ok(()),
            (false, true) => f.write_str("?path_style=false"),
            (false, false) => f.write_str("&path_style=false"),
        }
    }
}

/// `http://HOST:PORT` or `https://HOST[:PORT]`, and nothing behind it.
pub fn is_endpoint(text: &str) -> bool {
    let authority = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    authority.is_some_and(is_authority)
}

/// `host`, `host:port`, `[::1]:port`; no user and no password.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_name = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    let is_ipv6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).is_some_and(looks_like_ipv6);
    let is_port = port.is_none_or(|port| {
        port.bytes().all(|digit| digit.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    (is_name || is_ipv6) && is_port
}

/// Whether it really is one is found out by connecting to it.
fn looks_like_ipv6(text: &str) -> bool {
    text.matches(':').count() >= 2 && text.chars().all(|c| c.is_ascii_hexdigit() || matches!(c, ':' | '.'))
}

/// What servers accept differs; what can be part of a path and of a host name is accepted here.
fn is_bucket(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    (1..=255).contains(&text.len()) && !text.starts_with('.') && text.chars().all(plain)
}

fn is_region(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> StoreUrl {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn a_url_says_all_that_is_needed() {
        let url = parsed("https://s3.example.org/placement?region=eu-central-1&path_style=false");
        assert_eq!((url.endpoint(), url.bucket()), ("https://s3.example.org", "placement"));
        assert_eq!((url.region(), url.path_style(), url.is_https()), ("eu-central-1", false, true));
        let bare = parsed("http://10.0.0.4:9000");
        assert_eq!((bare.bucket(), bare.region(), bare.path_style()), ("agent", "us-east-1", true));
    }

    #[test]
    fn it_is_written_as_it_is_read() {
        for text in [
            "http://agent1:9000/agent",
            "http://[fd00::10]:9000/plant?region=garage",
            "https://s3.example.org/office?path_style=false",
            "https://s3.example.org/office?region=eu-central-1&path_style=false",
        ] {
            assert_eq!(parsed(text).to_string(), text);
        }
        assert_eq!(parsed(" http://a:1/b/?region=us-east-1 ").to_string(), "http://a:1/b");
    }

    #[test]
    fn a_connection_is_opened_to_the_port_of_the_url_or_of_its_scheme() {
        let check = |text: &str, address: &str| assert_eq!(parsed(text).address(), address);
        check("http://127.0.0.1:9001", "127.0.0.1:9001");
        check("http://store", "store:80");
        check("https://s3.example.org/b", "s3.example.org:443");
        check("http://[::1]/b", "[::1]:80");
        check("http://[::1]:9001/", "[::1]:9001");
    }

    #[test]
    fn what_is_no_url_of_a_store_is_refused() {
        let long = format!("http://a/{}", "b".repeat(2000));
        for text in [
            "",
            "a",
            "ftp://a/b",
            "http:///b",
            "http://a:0/b",
            "http://a/b/c",
            "http://a/../b",
            "http://a/b%20c",
            "http://a b",
        ] {
            assert!(text.parse::<StoreUrl>().is_err(), "{text}");
        }
        for text in ["http://a/b?region=", "http://a/b?region=x/y", "http://a/b?path_style=1", "http://a/b#c", &long] {
            assert!(text.parse::<StoreUrl>().is_err(), "{text}");
        }
        let unknown = "http://a/b?reigon=x".parse::<StoreUrl>().unwrap_err().to_string();
        assert!(unknown.starts_with("the store's URL has an unknown parameter `reigon`; "), "{unknown}");
    }

    #[test]
    fn a_password_in_a_url_is_not_repeated() {
        let refused = "http://user:hush@host:9000/b".parse::<StoreUrl>().unwrap_err().to_string();
        assert!(!refused.contains("hush"), "{refused}");
    }
}
