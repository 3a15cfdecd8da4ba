//! Who may. On loopback everybody reads and who has the token writes; elsewhere every request needs a token.
//!
//! A browser on the user's machine is not trusted to keep pages of others away: what is addressed to another name than this
//! machine's is refused, so that a name that is made to point here (DNS rebinding) opens nothing; and what writes must carry a
//! token that no other page has, there being no cookies.

use super::Shared;
use super::problem::{ErrorCode, Problem};
use super::server::{DOCUMENT, DOCUMENTATION};
use crate::app::data_directory::DataDirectory;
use crate::private_file::{self, PrivateFileError};
use agent_core::domain::secret::Secret;
use anyhow::Context as _;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use std::net::SocketAddr;
use std::path::PathBuf;
use subtle::ConstantTimeEq as _;

/// What those need who drive the API of agents in a data directory.
pub struct Tokens {
    pub read: Secret,
    pub write: Secret,
}

/// What a token is good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Right {
    Read,
    Write,
}

impl Right {
    fn file(self) -> &'static str {
        match self {
            Right::Read => "api-read.token",
            Right::Write => "api.token",
        }
    }
}

/// The file of a token.
pub fn token_file(data: &DataDirectory, right: Right) -> PathBuf {
    data.path().join(right.file())
}

/// The token for this; made when there is none yet.
pub fn token(data: &DataDirectory, right: Right) -> anyhow::Result<Secret> {
    let path = token_file(data, right);
    if let Some(known) = read_token(&path)? {
        return Ok(known);
    }
    private_file::write(&path, &format!("{}\n", hex::encode(rand::random::<[u8; 32]>())))
        .with_context(|| format!("{}: the API's token cannot be kept there", path.display()))?;
    // Of two processes that make one, the later one wins: what is there counts.
    read_token(&path)?.with_context(|| format!("{}: the API's token is gone again", path.display()))
}

fn read_token(path: &std::path::Path) -> anyhow::Result<Option<Secret>> {
    const SHORTEST: usize = 32;
    let Some(text) = private_file::read(path).map_err(|error: PrivateFileError| anyhow::anyhow!(error))? else {
        return Ok(None);
    };
    let text = text.trim_ascii();
    anyhow::ensure!(
        text.len() >= SHORTEST && text.bytes().all(|c| c.is_ascii_graphic()),
        "{}: this is no token: {SHORTEST} or more visible ASCII characters; delete the file and a new one is made",
        path.display()
    );
    Ok(Some(Secret::new(text)))
}

impl Tokens {
    pub fn load(data: &DataDirectory) -> anyhow::Result<Self> {
        Ok(Self { read: token(data, Right::Read)?, write: token(data, Right::Write)? })
    }

    /// What a request may that shows this.
    fn right_of(&self, shown: &str) -> Option<Right> {
        let is = |secret: &Secret| bool::from(secret.expose().as_bytes().ct_eq(shown.as_bytes()));
        // Both are compared, whichever it is.
        match (is(&self.write), is(&self.read)) {
            (true, _) => Some(Right::Write),
            (false, true) => Some(Right::Read),
            (false, false) => None,
        }
    }
}

/// From where requests come.
pub struct Doors {
    pub tokens: Tokens,
    /// Only from this machine.
    pub is_loopback: bool,
}

impl Doors {
    pub fn new(tokens: Tokens, listen: SocketAddr) -> Self {
        Self { tokens, is_loopback: listen.ip().is_loopback() }
    }

    /// Whether a request may pass.
    fn check(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        refuse_other_pages(self.is_loopback, method, uri, headers)?;
        let needed = if method.is_safe() { Right::Read } else { Right::Write };
        let shown = bearer(headers)?;
        let has =
            match shown {
                Some(shown) => {
                    let right = self.tokens.right_of(shown);
                    Some(right.ok_or_else(|| {
                        Problem::new(ErrorCode::Unauthorized, "the token is not known").with_help(HELP)
                    })?)
                }
                None => None,
            };
        match (needed, has) {
            (Right::Read, Some(_)) | (Right::Write, Some(Right::Write)) => Ok(()),
            (Right::Read, None) if self.is_loopback || is_open(uri.path()) => Ok(()),
            (Right::Write, Some(Right::Read)) => {
                Err(Problem::new(ErrorCode::Forbidden, "this token is for reading").with_help(HELP))
            }
            (Right::Read | Right::Write, None) => {
                Err(Problem::new(ErrorCode::Unauthorized, "no token was shown").with_help(HELP))
            }
        }
    }
}

/// Refuses what a page of another site makes a browser send; `is_loopback`: only this machine is listened to.
pub fn refuse_other_pages(is_loopback: bool, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    let host = host(uri, headers)?;
    if is_loopback && !is_this_machine(host) {
        let refused =
            Problem::new(ErrorCode::Forbidden, format!("Host: `{}` is not this machine", host.escape_debug()));
        return Err(refused.with_help("address it as 127.0.0.1, [::1] or localhost"));
    }
    if method.is_safe() { Ok(()) } else { refuse_other_sites(host, headers) }
}

const HELP: &str = "send `Authorization: Bearer TOKEN`; `agent token` prints it, `agent token --read` one for reading";

/// What says nothing of the network: whether the process lives, and the page before it has a token.
fn is_open(path: &str) -> bool {
    matches!(path, "/" | "/load" | "/healthz" | "/readyz" | DOCUMENT)
        || path.starts_with("/assets/")
        || is_documentation(path)
}

/// The pages that show what the API is.
pub fn is_documentation(path: &str) -> bool {
    path.strip_prefix(DOCUMENTATION).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Result<&'a str, Problem> {
    let malformed = || Problem::new(ErrorCode::Malformed, "the request does not say whom it is addressed to (`Host`)");
    // A request in absolute form says it itself.
    if let Some(authority) = uri.authority() {
        return Ok(authority.as_str());
    }
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().map_err(|_| malformed()),
        (None, _) | (Some(_), Some(_)) => Err(malformed()),
    }
}

fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(address, _)| address),
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    let is_loopback = |address: std::net::IpAddr| address.is_loopback();
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(is_loopback)
}

/// A page of another site that writes here is refused, even with a token.
fn refuse_other_sites(host: &str, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let own = [format!("http://{host}"), format!("https://{host}")];
    if own.iter().any(|own| origin.as_bytes().eq_ignore_ascii_case(own.as_bytes())) {
        return Ok(());
    }
    Err(Problem::new(ErrorCode::Forbidden, "a page of another site must not change anything here (`Origin`)"))
}

fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let scheme = |text: &'_ str| text.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("Bearer "));
    match value.to_str() {
        Ok(text) if scheme(text) => Ok(Some(text[7..].trim_ascii())),
        Ok(_) | Err(_) => {
            Err(Problem::new(ErrorCode::Unauthorized, "Authorization is no bearer token").with_help(HELP))
        }
    }
}

/// Lets through who may.
pub async fn guard(State(api): Shared, request: Request, next: Next) -> Response {
    match api.doors.check(request.method(), request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn doors(listen: &str) -> Doors {
        let tokens = Tokens { read: Secret::new("r".repeat(40)), write: Secret::new("w".repeat(40)) };
        Doors::new(tokens, listen.parse().unwrap())
    }

    /// The status of a request, or 200.
    fn status(doors: &Doors, method: Method, path: &str, headers: &[(HeaderName, &str)]) -> u16 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, HeaderValue::from_str(value).unwrap());
        }
        let checked = doors.check(&method, &path.parse().unwrap(), &map);
        checked.map_or_else(|problem| problem.into_response().status().as_u16(), |()| 200)
    }

    #[test]
    fn on_loopback_everybody_reads_and_who_has_the_token_writes() {
        let doors = doors("127.0.0.1:1");
        let host = (header::HOST, "127.0.0.1:1");
        let with = |token: &str| format!("Bearer {}", token.repeat(40));
        let check = |method: Method, authorization: Option<&str>, expected: u16| {
            let mut headers = vec![host.clone()];
            headers.extend(authorization.map(|value| (header::AUTHORIZATION, value)));
            assert_eq!(
                status(&doors, method.clone(), "/api/v1/nodes", &headers),
                expected,
                "{method} {authorization:?}"
            );
        };
        check(Method::GET, None, 200);
        check(Method::GET, Some(&with("r")), 200);
        check(Method::GET, Some(&with("w")), 200);
        check(Method::GET, Some(&with("x")), 401);
        check(Method::GET, Some("Basic YTpi"), 401);
        check(Method::PATCH, None, 401);
        check(Method::PATCH, Some(&with("x")), 401);
        check(Method::PATCH, Some("Bearer "), 401);
        check(Method::PATCH, Some(&with("r")), 403);
        check(Method::PATCH, Some(&with("w")), 200);
        check(Method::DELETE, Some(&with("w").to_lowercase()), 200);
    }

    #[test]
    fn elsewhere_every_request_needs_a_token_but_those_about_the_process_alone() {
        let doors = doors("0.0.0.0:1");
        let token = format!("Bearer {}", "r".repeat(40));
        let check = |path: &str, headers: &[(HeaderName, &str)], expected: u16| {
            let headers = [&[(header::HOST, "agents.example.org")], headers].concat();
            assert_eq!(status(&doors, Method::GET, path, &headers), expected, "{path}");
        };
        check("/api/v1/nodes", &[], 401);
        check("/metrics", &[], 401);
        check("/api/v1/nodes", &[(header::AUTHORIZATION, &token)], 200);
        for open in ["/healthz", "/readyz", "/", "/assets/page.css"] {
            check(open, &[], 200);
        }
    }

    #[test]
    fn names_that_are_made_to_point_here_open_nothing() {
        let doors = doors("127.0.0.1:1");
        let of = |host: &str| status(&doors, Method::GET, "/api/v1/nodes", &[(header::HOST, host)]);
        for own in ["127.0.0.1", "127.0.0.1:8080", "localhost", "LocalHost:1", "[::1]:1", "[::1]", "127.1.2.3:5"] {
            assert_eq!(of(own), 200, "{own}");
        }
        for other in ["evil.example", "localhost.evil.example:1", "127.0.0.1.evil.example", "[::2]:1", "10.0.0.1", ""] {
            assert_eq!(of(other), 403, "{other}");
        }
        assert_eq!(status(&doors, Method::GET, "/", &[]), 400);
        let twice = [(header::HOST, "localhost"), (header::HOST, "evil.example")];
        assert_eq!(status(&doors, Method::GET, "/", &twice), 400);
        assert_eq!(status(&doors, Method::GET, "http://evil.example/", &[(header::HOST, "localhost")]), 403);
    }

    #[test]
    fn pages_of_other_sites_write_nothing() {
        let doors = doors("127.0.0.1:1");
        let token = format!("Bearer {}", "w".repeat(40));
        let of = |origin: &str| {
            let headers =
                [(header::HOST, "localhost:1"), (header::ORIGIN, origin), (header::AUTHORIZATION, token.as_str())];
            status(&doors, Method::POST, "/api/v1/pause", &headers)
        };
        assert_eq!(of("http://localhost:1"), 200);
        assert_eq!(of("https://localhost:1"), 200);
        for other in ["http://evil.example", "null", "http://localhost:2", "http://localhost:1.evil.example"] {
            assert_eq!(of(other), 403, "{other}");
        }
    }
}
