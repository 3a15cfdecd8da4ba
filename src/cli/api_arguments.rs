//! What can be written about the API.

use super::place::Place;
use crate::api::server::{self, Of, Options};
use crate::api::tls::Certificate;
use crate::app::Beside;
use crate::app::surroundings::Surroundings;
use crate::http_server::HttpServer;
use agent_core::domain::ids::AgentId;
use clap::Args;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

#[derive(Args, Debug)]
pub struct ApiArguments {
    /// The certificate that the API shows, with those that lead to an authority (PEM)
    #[arg(long, value_name = "FILE", requires = "api_key")]
    pub api_certificate: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "api_certificate")]
    pub api_key: Option<PathBuf>,
    /// Serve the API off this machine without TLS: something else encrypts it
    #[arg(long, conflicts_with = "api_certificate")]
    pub api_plain: bool,
}

impl ApiArguments {
    pub fn options(&self, listen: SocketAddr) -> Options {
        let both = self.api_certificate.clone().zip(self.api_key.clone());
        Options { listen, certificate: both.map(|(chain, key)| Certificate { chain, key }), plain: self.api_plain }
    }
}

/// A free port of this machine.
pub fn anywhere() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

/// Where people find it.
pub fn url(server: &HttpServer, options: &Options) -> String {
    let scheme = if options.certificate.is_some() { "https" } else { "http" };
    format!("{scheme}://{}", server.address())
}

impl Place {
    /// The API, served beside agents of this process as soon as there is a table; `tell` hears where.
    pub(super) fn api(
        &self,
        agents: Vec<AgentId>,
        options: Options,
        tell: impl FnOnce(&str) + Send + 'static,
    ) -> Beside {
        let configuration = self.configuration().map(PathBuf::from);
        Box::new(move |surroundings: Surroundings| {
            let server = server::start(Of { surroundings, agents, configuration, pace: None }, &options)?;
            tell(&url(&server, &options));
            Ok(server)
        })
    }
}
