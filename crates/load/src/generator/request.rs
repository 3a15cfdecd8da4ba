//! The request that a client sends again and again.

use super::variables::{KNOWN, Text, Values, Wrong};
use std::io::Write as _;

/// A request, read once and rendered for each sending; [variables](Template::new) may stand in its path, the values of
/// its headers and its body.
#[derive(Clone, PartialEq, Debug)]
pub struct Template {
    is_head: bool,
    /// Up to where the host stands.
    before_host: Text,
    /// `false`: the headers name a host of their own.
    names_target: bool,
    after_host: Text,
    /// Whether `Content-Length` is said.
    tells_length: bool,
    body: Text,
}

/// A request that cannot be sent, and why.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{place}: {problem}\n  help: {help}")]
pub struct TemplateError {
    /// `method`, `path`, `header NAME` or `body`.
    pub place: String,
    pub problem: String,
    pub help: String,
}

impl TemplateError {
    fn new(place: impl Into<String>, problem: impl Into<String>, help: impl Into<String>) -> Self {
        Self { place: place.into(), problem: problem.into(), help: help.into() }
    }
}

/// What is sent with a length even when it is 0: servers wait for the body of these.
const WITH_BODY: [&str; 3] = ["POST", "PUT", "PATCH"];
/// How an answer is framed and whether a connection lives on is the generator's to say.
const OURS: [&str; 4] = ["connection", "content-length", "expect", "transfer-encoding"];

impl Template {
    /// `{n}` is the request's number of its client, from 1; `{client}` the client; `{tick}` the tick of its profile;
    /// `{random LOW..HIGH}` a whole number, both ends included; `{{` is a brace.
    ///
    /// # Errors
    /// What cannot be sent, or names a variable that there is not.
    pub fn new<'a>(
        method: &str,
        path: &str,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        body: &str,
    ) -> Result<Self, TemplateError> {
        if !is_token(method) || method.eq_ignore_ascii_case("CONNECT") {
            let problem = format!("`{}` is no method that can be measured", method.escape_debug());
            return Err(TemplateError::new("method", problem, "write GET, HEAD, POST, PUT, PATCH or DELETE"));
        }
        let mut before_host = Text::fixed(&format!("{method} "));
        before_host.append(path_of(path)?);
        before_host.append(Text::fixed(" HTTP/1.1\r\nHost: "));
        let mut own_host = None;
        let mut after_host = Text::fixed("\r\n");
        for (name, value) in headers {
            let value = header_value(name, value)?;
            if name.eq_ignore_ascii_case("host") {
                own_host = Some(value);
                continue;
            }
            after_host.append(Text::fixed(&format!("{name}: ")));
            after_host.append(value);
            after_host.append(Text::fixed("\r\n"));
        }
        let body = text("body", body)?;
        let tells_length = !body.is_empty() || WITH_BODY.contains(&method);
        after_host.append(Text::fixed(if tells_length { "Content-Length: " } else { "\r\n" }));
        let names_target = own_host.is_none();
        before_host.append(own_host.unwrap_or_default());
        Ok(Self { is_head: method == "HEAD", before_host, names_target, after_host, tells_length, body })
    }

    /// Whether its answer has no body, whatever its length is said to be.
    pub(super) fn is_head(&self) -> bool {
        self.is_head
    }

    /// The whole request, in place of what `into` held. Allocates nothing once `into` is as large as a request.
    pub(super) fn render(&self, values: &Values, host: &str, into: &mut Vec<u8>) {
        into.clear();
        // The length stands before what it measures. When it varies, the body is rendered first and then turned behind
        // the head.
        let fixed_length = self.body.fixed_length();
        if fixed_length.is_none() {
            self.body.render(values, into);
        }
        let turned = into.len();
        self.before_host.render(values, into);
        if self.names_target {
            into.extend_from_slice(host.as_bytes());
        }
        self.after_host.render(values, into);
        if self.tells_length {
            write!(into, "{}\r\n\r\n", fixed_length.unwrap_or(turned)).expect("memory takes all that is written");
        }
        match fixed_length {
            Some(_) => self.body.render(values, into),
            None => into.rotate_left(turned),
        }
    }
}

fn text(place: &str, text: &str) -> Result<Text, TemplateError> {
    Text::parse(text).map_err(|wrong| {
        let problem = match wrong {
            Wrong::Unknown(name) => format!("there is no variable `{{{}}}`", name.escape_debug()),
            Wrong::Range(range) => format!("`{}` is no range of whole numbers", range.escape_debug()),
            Wrong::Open => "a brace is not closed".to_owned(),
        };
        TemplateError::new(place, problem, KNOWN)
    })
}

fn path_of(path: &str) -> Result<Text, TemplateError> {
    let parsed = text("path", path)?;
    // Spaces are allowed in a variable only: `{random 1..6}`.
    let outside: String = path.split('{').map(|part| part.rsplit('}').next().unwrap_or(part)).collect();
    if !path.starts_with('/') || !outside.bytes().all(|byte| byte.is_ascii_graphic()) {
        let problem = format!("`{}` is no path", path.escape_debug());
        return Err(TemplateError::new("path", problem, "begin it with / and write %20 for a space"));
    }
    Ok(parsed)
}

fn header_value(name: &str, value: &str) -> Result<Text, TemplateError> {
    let place = format!("header {}", name.escape_debug());
    if !is_token(name) {
        return Err(TemplateError::new(place, "this is no name of a header", "write letters, digits and hyphens"));
    }
    if OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours)) {
        return Err(TemplateError::new(place, "the generator says it itself", "leave it out"));
    }
    if value.chars().any(|char| char.is_control() && char != '\t') {
        return Err(TemplateError::new(place, "its value has a control character", "write it on one line"));
    }
    text(&place, value)
}

/// RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
        let template = Template::new(method, path, headers.iter().copied(), body).unwrap();
        let mut bytes = b"what was there before".to_vec();
        template.render(&Values { number: 12, client: 1, tick: 0, seed: 1 }, "a:80", &mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    fn refusal(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
        Template::new(method, path, headers.iter().copied(), body).unwrap_err().to_string()
    }

    #[test]
    fn a_request_names_its_host_and_the_length_of_its_body() {
        assert_eq!(rendered("GET", "/a?b=c", &[], ""), "GET /a?b=c HTTP/1.1\r\nHost: a:80\r\n\r\n");
        assert_eq!(
            rendered("POST", "/", &[("X-Tick", "{tick}")], "abc"),
            "POST / HTTP/1.1\r\nHost: a:80\r\nX-Tick: 0\r\nContent-Length: 3\r\n\r\nabc"
        );
        assert_eq!(rendered("PUT", "/", &[], ""), "PUT / HTTP/1.1\r\nHost: a:80\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(rendered("GET", "/", &[("host", "b")], ""), "GET / HTTP/1.1\r\nHost: b\r\n\r\n");
    }

    #[test]
    fn the_length_is_that_of_the_body_with_its_variables() {
        assert_eq!(
            rendered("POST", "/{n}", &[], r#"{{"id": {n}}"#),
            "POST /12 HTTP/1.1\r\nHost: a:80\r\nContent-Length: 10\r\n\r\n{\"id\": 12}"
        );
    }

    #[test]
    fn rendering_into_the_same_memory_allocates_nothing() {
        let template = Template::new("GET", "/{n}", [], "").unwrap();
        let mut bytes = Vec::with_capacity(200);
        let memory = (bytes.as_ptr(), bytes.capacity());
        template.render(&Values { number: 1, client: 1, tick: 0, seed: 1 }, "a:80", &mut bytes);
        assert_eq!((bytes.as_ptr(), bytes.capacity()), memory);
    }

    #[test]
    fn what_cannot_be_sent_is_refused_with_a_help() {
        assert_eq!(
            refusal("GET", "/{number}", &[], ""),
            "path: there is no variable `{number}`\n  help: variables are {n}, {client}, {tick} and {random LOW..HIGH} \
             (both included); write {{ for a brace"
        );
        for (method, path, headers, body, begins) in [
            ("", "/", &[][..], "", "method: "),
            ("GET /", "/", &[], "", "method: "),
            ("CONNECT", "/", &[], "", "method: "),
            ("GET", "", &[], "", "path: `` is no path"),
            ("GET", "a", &[], "", "path: `a` is no path"),
            ("GET", "/a b", &[], "", "path: "),
            ("GET", "/\r\nX: y", &[], "", "path: "),
            ("GET", "/", &[("a b", "c")], "", "header a b: "),
            ("GET", "/", &[("a", "b\r\nc: d")], "", "header a: its value"),
            ("GET", "/", &[("Content-Length", "5")], "", "header Content-Length: the generator"),
            ("GET", "/", &[("a", "{x}")], "", "header a: there is no variable"),
            ("GET", "/", &[], "{", "body: a brace is not closed"),
        ] {
            let refusal = refusal(method, path, headers, body);
            assert!(refusal.starts_with(begins) && refusal.contains("help: "), "{refusal}");
        }
        assert_eq!(
            rendered("GET", "/{random 5..5}/x", &[], ""),
            "GET /5/x HTTP/1.1\r\nHost: a:80\r\n\r\n",
            "a space in a variable is none in the path"
        );
    }
}
