//! `agent aggregator`: takes in what nodes measure, and answers readers.

use super::node::rejected;
use crate::cli::monitor_arguments::Aggregator;
use crate::cli::place::services;
use crate::cli::{print, signals};
use crate::http_server::{Bounds, HttpServer, Listener};
use agent_aggregator::udsmp::Dialect;
use agent_aggregator::{AggregatorService, Policy, Settings};
use anyhow::Context as _;
use hyper_util::service::TowerToHyperService;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;
use tokio::runtime::Handle;

const BOUNDS: Bounds = Bounds { connections: 64, head_within: Duration::from_secs(10), head_at_most: 16 << 10 };

pub(super) fn aggregator(arguments: &Aggregator) -> anyhow::Result<ExitCode> {
    let dialect = if arguments.compatible { Dialect::Compatible } else { Dialect::Specified };
    let settings = Settings {
        interface: arguments.interface.clone(),
        metrics_port: arguments.metrics_port,
        server: SocketAddr::from((Ipv4Addr::UNSPECIFIED, arguments.server_port)),
        policy: Policy { dialect, expire_after: arguments.expire },
    };
    services()?.block_on(async {
        let service = AggregatorService::start(&settings).map_err(rejected)?;
        let http = arguments.http.map(|listen| serve(&service, listen)).transpose()?;
        let also = http.as_ref().map_or_else(String::new, |http| format!(", HTTP on http://{}", http.address()));
        print::lines([format!(
            "measurements on UDP port {}, readers on UDP port {}{also}; Ctrl-C ends it",
            service.metrics_port(),
            service.server().port(),
        )])?;
        signals::stop().await;
        if let Some(http) = http {
            http.shutdown().await;
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn serve(service: &AggregatorService, listen: SocketAddr) -> anyhow::Result<HttpServer> {
    let listener = Listener::bind(listen).with_context(|| {
        format!("HTTP cannot be served on {listen}; stop who listens there, or choose another address (--http)")
    })?;
    let routes = TowerToHyperService::new(service.routes());
    Ok(listener.serve("aggregator", routes, None, BOUNDS, &Handle::current())?)
}
