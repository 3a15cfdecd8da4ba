//! Connections to a store: TLS, and the detour through a link.
//!
//! Through a link only the connection goes elsewhere. The request is signed for the store and names it in `Host`, and the
//! certificate has to be the store's own: neither the store nor its signature sees the link.

use super::S3Settings;
use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents, SharedHttpClient};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, ServerName, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Shorter than what servers grant an idle connection, so that none is closed in the moment it is used again.
const IDLE_CONNECTION: Duration = Duration::from_secs(20);
/// Kept for further requests: as many as may be under way at once for those who read through an agent's endpoint. Whoever finds none
/// waits for the handshake first, which over a slow link is another round trip.
const IDLE_AT_MOST: usize = 128;

/// The pool of connections to one store.
pub(super) fn pool(settings: &S3Settings) -> SharedHttpClient {
    let builder = Builder::new().pool_idle_timeout(IDLE_CONNECTION).pool_max_idle_per_host(IDLE_AT_MOST);
    if !settings.endpoint.starts_with("https://") {
        // Without TLS there is no need to read the machine's certificates.
        return builder.build_http();
    }
    let builder = builder.tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(tls(settings));
    match &settings.link {
        None => builder.build_https(),
        Some(link) => builder.build_with_resolver(AtLink { host: host(link).to_owned() }),
    }
}

fn tls(settings: &S3Settings) -> TlsContext {
    let trusted = settings.trust.store();
    // Who trusts nobody needs no names either.
    let names = match (&trusted, through_link_by_address(settings)) {
        (Some(_), Some(name)) => vec![name],
        _ => Vec::new(),
    };
    let context = TlsContext::builder()
        .with_trust_store(trusted.unwrap_or_else(TrustStore::empty))
        .with_additional_server_names(names);
    context.build().unwrap_or_default()
}

/// A store that is named by its IP address is connected to under the link's own name, which its certificate does not hold.
fn through_link_by_address(settings: &S3Settings) -> Option<ServerName> {
    settings.link.as_ref()?;
    let address = ip_address(authority(&settings.endpoint))?;
    ServerName::try_from(address.to_string()).ok()
}

/// Sends requests that were signed for the store to the agent's end of the link.
#[derive(Debug)]
pub(super) struct Detour {
    /// `host:port`
    link: String,
}

impl Detour {
    pub fn of(settings: &S3Settings) -> Option<Self> {
        settings.link.clone().map(|link| Self { link })
    }
}

impl Intercept for Detour {
    fn name(&self) -> &'static str {
        "detour through the link"
    }

    /// Otherwise the connector would name the link.
    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        let host = without_default_port(request.uri()).to_owned();
        request.headers_mut().insert("host", host);
        Ok(())
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        let detour = detour(request.uri(), &self.link);
        Ok(request.set_uri(detour)?)
    }
}

/// The URI that leads to the link. The store's name stays in it where TLS needs it: [`AtLink`] knows where that is.
fn detour(uri: &str, link: &str) -> String {
    let (scheme, rest) = uri.split_once("://").unwrap_or(("http", uri));
    let authority = authority(uri);
    let path = &rest[authority.len()..];
    match scheme == "https" && ip_address(authority).is_none() {
        true => format!("https://{}:{}{path}", host(authority), port(link)),
        false => format!("{scheme}://{link}{path}"),
    }
}

/// Whatever name is asked for is where the link is.
#[derive(Clone, Debug)]
struct AtLink {
    host: String,
}

impl ResolveDns for AtLink {
    fn resolve_dns<'a>(&'a self, _: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(async move {
            let host = self.host.trim_start_matches('[').trim_end_matches(']');
            let found = tokio::net::lookup_host((host, 0)).await.map_err(ResolveDnsError::new)?;
            Ok(found.map(|address: SocketAddr| address.ip()).collect())
        })
    }
}

/// `host:port` of a URI.
fn authority(uri: &str) -> &str {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or(rest)
}

fn without_default_port(uri: &str) -> &str {
    let default = if uri.starts_with("https://") { ":443" } else { ":80" };
    let authority = authority(uri);
    authority.strip_suffix(default).unwrap_or(authority)
}

fn host(authority: &str) -> &str {
    authority.strip_suffix(&format!(":{}", port(authority))).unwrap_or(authority)
}

/// Empty when there is none.
fn port(authority: &str) -> &str {
    let behind_host = authority.rsplit(']').next().unwrap_or(authority);
    behind_host.rsplit_once(':').map_or("", |(_, port)| port)
}

fn ip_address(authority: &str) -> Option<IpAddr> {
    host(authority).trim_start_matches('[').trim_end_matches(']').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detour_keeps_the_name_that_the_certificate_is_for() {
        let check = |uri: &str, to: &str| assert_eq!(detour(uri, "127.0.0.1:4711"), to);
        check("http://store:9000/b/k?partNumber=1", "http://127.0.0.1:4711/b/k?partNumber=1");
        check("https://s3.example.org/b/k", "https://s3.example.org:4711/b/k");
        check("https://b.s3.example.org:8443/k%20a", "https://b.s3.example.org:4711/k%20a");
        check("https://10.0.0.4:9000/b", "https://127.0.0.1:4711/b");
        check("https://[fd00::1]/b?x", "https://127.0.0.1:4711/b?x");
        assert_eq!(detour("https://s3.example.org?x=1", "[::1]:80"), "https://s3.example.org:80?x=1");
    }

    #[test]
    fn a_store_hears_its_own_name() {
        let check = |uri: &str, host: &str| assert_eq!(without_default_port(uri), host);
        check("https://s3.example.org/b/k", "s3.example.org");
        check("https://s3.example.org:443/b/k", "s3.example.org");
        check("http://store:9000/b", "store:9000");
        check("http://[::1]:80?x", "[::1]");
    }
}
