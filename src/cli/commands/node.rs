//! `agent node`: tells an aggregator what this machine does.

use crate::app::Failure;
use crate::cli::monitor_arguments::Emit;
use crate::cli::place::services;
use crate::cli::{print, signals};
use agent_aggregator::mdsmp::Metric;
use agent_aggregator::{Emission, Emitter, HostName, SocketError};
use anyhow::Context as _;
use std::process::ExitCode;

pub(super) fn node(arguments: &Emit) -> anyhow::Result<ExitCode> {
    let host = arguments.host.clone().or_else(HostName::of_this_machine);
    let host = host.context("this machine has no name that can be sent; give it one with -H")?;
    let mut metrics: Vec<Metric> = arguments.metrics.iter().map(|measured| Metric::from(*measured)).collect();
    metrics.sort_unstable();
    metrics.dedup();
    let shown = print::list(&metrics, ", ");
    let told = format!(
        "{shown} of {host} to UDP port {} every {} s; Ctrl-C ends it",
        arguments.port,
        arguments.frequency.as_secs_f64()
    );
    let emission = Emission {
        metrics,
        host,
        disk: arguments.disk.clone(),
        interface: arguments.interface.clone(),
        port: arguments.port,
        ttl: arguments.ttl.into(),
        delay: arguments.delay,
        frequency: arguments.frequency,
    };
    services()?.block_on(async {
        let emitter = Emitter::open(emission).map_err(rejected)?;
        print::lines([told])?;
        tokio::select! {
            () = signals::stop() => Ok(ExitCode::SUCCESS),
            () = emitter.run() => anyhow::bail!("this machine cannot be measured any more"),
        }
    })
}

/// An interface that is not there is a wrong argument; a port in use is not.
pub(super) fn rejected(error: SocketError) -> anyhow::Error {
    match error {
        SocketError::Interface(wrong) => Failure::Configuration(wrong.to_string()).into(),
        SocketError::Port { .. }
        | SocketError::NoDefaultInterface { .. }
        | SocketError::Refused { .. }
        | SocketError::NoSocket(_) => error.into(),
    }
}
