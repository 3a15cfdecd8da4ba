//! [`Links`] over toxiproxy's HTTP API: the original, the embedded `emulator`, or any other server that speaks it.
//!
//! A link is a proxy `agent<N>-node<M>`; its latency is the toxic `latency_downstream`, in milliseconds. The original knows
//! whole milliseconds only; the embedded one takes fractions from who asks for them ([`FRACTIONS_HEADER`]), which matter when
//! a second of the scenario passes in a fiftieth. So fractions are offered once: a server that refuses one gets rounded values
//! from then on.
//!
//! An emulator that was restarted has forgotten its links: `set_latency` and `latency` then say `Refused` with status 404,
//! and the caller calls `open`, which makes the link again and returns where it listens now.
//!
//! Whoever steers the emulator besides the agents keeps what they set: a link's port, its other toxics, and that it is
//! switched off. Only what a link cannot do without is corrected: where it leads to, and that its agent can get to it.

use super::{LinkError, Links, Result};
use agent_core::domain::ids::{AgentId, NodeId};
use agent_emulator::FRACTIONS_HEADER;
use async_trait::async_trait;
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The emulator is on this machine or near it: whoever takes longer than this to answer is as good as away.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest part of an answer that an error repeats.
const EXCERPT_CHARS: usize = 200;

const LATENCY_TOXIC: &str = "latency_downstream";

/// A client of one emulator.
pub struct Toxiproxy {
    base_url: String,
    /// The emulator's host, as a URL has it: an IPv6 address in brackets.
    host: String,
    /// Where the links listen if that is where their agent can get to; each gets a free port.
    listen: IpAddr,
    http: reqwest::Client,
    takes_fractions: AtomicBool,
}

#[derive(Deserialize)]
struct Proxy {
    listen: String,
    upstream: String,
    enabled: bool,
    #[serde(default)]
    toxics: Vec<Toxic>,
}

#[derive(Deserialize)]
struct Toxic {
    name: String,
    attributes: Value,
}

#[derive(Deserialize)]
struct ErrorBody {
    error: String,
}

/// An answer with its status, read to its end.
struct Answer {
    status: StatusCode,
    body: String,
}

impl Toxiproxy {
    /// A client of the API at `base_url` (`http://127.0.0.1:8474`). Nothing is sent yet.
    ///
    /// If that is on loopback, so are the links; links of an emulator on another machine listen on all of its addresses.
    pub fn new(base_url: &str) -> Result<Self> {
        let base_url = base_url.trim_end_matches('/').to_owned();
        let url = reqwest::Url::parse(&base_url).map_err(|error| unavailable(&base_url, "read its address", &error))?;
        let host = url.host_str().unwrap_or_default().to_owned();
        // An emulator is reached directly: a proxy from the environment is meant for the world outside.
        let http = reqwest::Client::builder()
            .no_proxy()
            .tcp_nodelay(true)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .build();
        let http = http.map_err(|error| unavailable(&base_url, "start the HTTP client", &error))?;
        let listen = Ipv4Addr::LOCALHOST.into();
        Ok(Self { base_url, host, listen, http, takes_fractions: AtomicBool::new(true) })
    }

    /// Lets the links listen on another address of the emulator's machine. On loopback they do so only if that is the
    /// agent's machine, too.
    pub fn listening_on(mut self, listen: IpAddr) -> Self {
        self.listen = listen;
        self
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        let operation = format!("{method} {path}");
        let failed = |error: reqwest::Error| unavailable(&self.base_url, &operation, &error);
        let request = self.http.request(method, format!("{}{path}", self.base_url));
        let mut request = request.header(FRACTIONS_HEADER, "yes");
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        Ok(Answer { status, body: response.text().await.map_err(failed)? })
    }

    fn refused(&self, operation: &str, answer: &Answer) -> LinkError {
        let reason = match serde_json::from_str(&answer.body) {
            Ok(ErrorBody { error }) => error,
            Err(_) => format!("the answer is not toxiproxy's: {}", excerpt(&answer.body)),
        };
        LinkError::Refused {
            address: self.base_url.clone(),
            operation: operation.to_owned(),
            status: answer.status.as_u16(),
            reason,
        }
    }

    /// The proxy that a successful answer describes.
    fn proxy(&self, operation: &str, answer: &Answer) -> Result<Proxy> {
        if !answer.status.is_success() {
            return Err(self.refused(operation, answer));
        }
        serde_json::from_str(&answer.body).map_err(|_| self.refused(operation, answer))
    }

    /// `None` if there is no such link.
    async fn find(&self, link: &str) -> Result<Option<Proxy>> {
        let answer = self.send(Method::GET, &format!("/proxies/{link}"), None).await?;
        if answer.status == StatusCode::NOT_FOUND && serde_json::from_str::<ErrorBody>(&answer.body).is_ok() {
            return Ok(None);
        }
        self.proxy(&format!("show {link}"), &answer).map(Some)
    }

    /// `None` if somebody else created it meanwhile.
    async fn create(&self, link: &str, upstream: &str) -> Result<Option<Proxy>> {
        let body = json!({ "name": link, "listen": self.any_port(), "upstream": upstream, "enabled": true });
        let answer = self.send(Method::POST, "/proxies", Some(&body)).await?;
        if answer.status == StatusCode::CONFLICT {
            return Ok(None);
        }
        self.proxy(&format!("create {link}"), &answer).map(Some)
    }

    /// The link, made if it is not there.
    async fn find_or_create(&self, link: &str, upstream: &str) -> Result<Proxy> {
        if let Some(proxy) = self.find(link).await? {
            return Ok(proxy);
        }
        if let Some(proxy) = self.create(link, upstream).await? {
            return Ok(proxy);
        }
        let answer = self.send(Method::GET, &format!("/proxies/{link}"), None).await?;
        self.proxy(&format!("show {link}"), &answer)
    }

    /// Makes the link lead to `upstream` and listen where its agent can get to, and says where that is. What is right stays
    /// as it is.
    async fn correct(&self, link: &str, proxy: &Proxy, upstream: &str) -> Result<String> {
        let mut change = json!({ "upstream": upstream });
        match self.reached(link, proxy)? {
            Some(address) if proxy.upstream == upstream => return Ok(address),
            Some(_) => {}
            None => change["listen"] = self.any_port().into(),
        }
        let operation = format!("update {link}");
        let answer = self.send(Method::POST, &format!("/proxies/{link}"), Some(&change)).await?;
        let proxy = self.proxy(&operation, &answer)?;
        self.reached(link, &proxy)?.ok_or_else(|| self.refused(&operation, &answer))
    }

    /// Where the agent gets to a proxy: at the emulator's host if it listens on every address there. `None`: it listens on
    /// the loopback of another machine.
    fn reached(&self, link: &str, proxy: &Proxy) -> Result<Option<String>> {
        let listen: SocketAddr = proxy.listen.parse().map_err(|_| LinkError::Refused {
            address: self.base_url.clone(),
            operation: format!("open {link}"),
            status: StatusCode::OK.as_u16(),
            reason: format!("it says to listen on {:?}, not an address", excerpt(&proxy.listen)),
        })?;
        Ok(match listen.ip() {
            ip if ip.is_unspecified() => Some(format!("{}:{}", self.host, listen.port())),
            ip if ip.is_loopback() && !self.is_here() => None,
            _ => Some(listen.to_string()),
        })
    }

    /// Where a new link listens.
    fn any_port(&self) -> String {
        let ip = match self.listen.is_loopback() && !self.is_here() {
            false => self.listen,
            true if self.host.starts_with('[') => Ipv6Addr::UNSPECIFIED.into(),
            true => Ipv4Addr::UNSPECIFIED.into(),
        };
        SocketAddr::new(ip, 0).to_string()
    }

    /// Whether the emulator's host can only be the agent's own machine.
    fn is_here(&self) -> bool {
        let ip: Option<IpAddr> = self.host.trim_matches(['[', ']']).parse().ok();
        ip.map_or(self.host == "localhost", |ip| ip.is_loopback())
    }

    /// Updates the toxic; creates it if it is not there yet.
    async fn put_latency(&self, link: &str, milliseconds: &Value) -> Result<Answer> {
        let toxics = format!("/proxies/{link}/toxics");
        let toxic = format!("{toxics}/{LATENCY_TOXIC}");
        let change = json!({ "attributes": { "latency": milliseconds, "jitter": 0 } });
        let updated = self.send(Method::POST, &toxic, Some(&change)).await?;
        if updated.status != StatusCode::NOT_FOUND {
            return Ok(updated);
        }
        let mut creation = change.clone();
        creation["name"] = LATENCY_TOXIC.into();
        creation["type"] = "latency".into();
        creation["stream"] = "downstream".into();
        let created = self.send(Method::POST, &toxics, Some(&creation)).await?;
        if created.status != StatusCode::CONFLICT {
            return Ok(created);
        }
        self.send(Method::POST, &toxic, Some(&change)).await
    }
}

#[async_trait]
impl Links for Toxiproxy {
    async fn open(&self, agent: AgentId, node: NodeId, upstream: &str) -> Result<String> {
        let link = name(agent, node);
        let proxy = self.find_or_create(&link, upstream).await?;
        if !proxy.enabled {
            return Err(LinkError::SwitchedOff { address: self.base_url.clone(), link });
        }
        self.correct(&link, &proxy, upstream).await
    }

    async fn set_latency(&self, agent: AgentId, node: NodeId, latency: Duration) -> Result<()> {
        let link = name(agent, node);
        let milliseconds = Milliseconds::from(latency);
        let exact = self.takes_fractions.load(Ordering::Relaxed);
        let mut answer = self.put_latency(&link, &milliseconds.json(exact)).await?;
        if answer.status == StatusCode::BAD_REQUEST && exact && milliseconds.is_fraction() {
            answer = self.put_latency(&link, &milliseconds.json(false)).await?;
            if answer.status.is_success() {
                tracing::info!(
                    emulator = self.base_url,
                    "the emulator takes whole milliseconds only: latencies are rounded"
                );
                self.takes_fractions.store(false, Ordering::Relaxed);
            }
        }
        if !answer.status.is_success() {
            return Err(self.refused(&format!("set the latency of {link}"), &answer));
        }
        Ok(())
    }

    async fn latency(&self, agent: AgentId, node: NodeId) -> Result<Duration> {
        let link = name(agent, node);
        let operation = format!("read the latency of {link}");
        let answer = self.send(Method::GET, &format!("/proxies/{link}"), None).await?;
        let proxy = self.proxy(&operation, &answer)?;
        let Some(toxic) = proxy.toxics.iter().find(|toxic| toxic.name == LATENCY_TOXIC) else {
            return Ok(Duration::ZERO);
        };
        let stated = toxic.attributes.get("latency").and_then(Value::as_f64);
        stated
            .and_then(|milliseconds| Duration::try_from_secs_f64(milliseconds / 1000.0).ok())
            .ok_or_else(|| self.refused(&operation, &answer))
    }

    async fn has(&self, agent: AgentId, node: NodeId) -> Result<bool> {
        Ok(self.find(&name(agent, node)).await?.is_some())
    }

    async fn close(&self, agent: AgentId, node: NodeId) -> Result<()> {
        let link = name(agent, node);
        let answer = self.send(Method::DELETE, &format!("/proxies/{link}"), None).await?;
        if answer.status.is_success() || answer.status == StatusCode::NOT_FOUND {
            return Ok(());
        }
        Err(self.refused(&format!("close {link}"), &answer))
    }
}

/// A latency as the API takes it, to the microsecond.
#[derive(Clone, Copy, Serialize)]
struct Milliseconds {
    microseconds: u64,
}

impl From<Duration> for Milliseconds {
    fn from(latency: Duration) -> Self {
        let rounded = latency.saturating_add(Duration::from_nanos(500));
        Self { microseconds: u64::try_from(rounded.as_micros()).unwrap_or(u64::MAX) }
    }
}

impl Milliseconds {
    fn is_fraction(self) -> bool {
        !self.microseconds.is_multiple_of(1000)
    }

    /// A whole number if it is one, or if it must be one.
    fn json(self, exact: bool) -> Value {
        if exact && self.is_fraction() {
            // Below 2^53 microseconds, 285 years, this is exact.
            json!(self.microseconds as f64 / 1000.0)
        } else {
            json!(self.microseconds.saturating_add(500) / 1000)
        }
    }
}

fn name(agent: AgentId, node: NodeId) -> String {
    format!("agent{agent}-node{node}")
}

fn excerpt(text: &str) -> String {
    if text.trim().is_empty() {
        return "it is empty".to_owned();
    }
    text.chars().take(EXCERPT_CHARS).collect()
}

/// With the innermost cause, which is the one that says what happened.
fn unavailable(address: &str, operation: &str, error: &(dyn std::error::Error + 'static)) -> LinkError {
    let innermost = std::iter::successors(Some(error), |error| error.source()).last().unwrap_or(error);
    LinkError::Unavailable {
        address: address.to_owned(),
        operation: operation.to_owned(),
        reason: innermost.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_whole_milliseconds_where_they_can_or_must_be() {
        for (microseconds, exact, rounded) in [
            (0, json!(0), json!(0)),
            (20_000, json!(20), json!(20)),
            (20_140, json!(20.14), json!(20)),
            (499, json!(0.499), json!(0)),
            (500, json!(0.5), json!(1)),
        ] {
            let milliseconds = Milliseconds::from(Duration::from_micros(microseconds));
            assert_eq!(milliseconds.json(true), exact);
            assert_eq!(milliseconds.json(false), rounded);
        }
    }
}
