//! `agent proxy`: the emulator by itself.

use crate::cli::arguments::Proxy;
use crate::cli::place::services;
use crate::cli::{print, signals};
use agent_emulator::{Carriers, Emulator, Metrics};
use anyhow::Context as _;
use std::process::ExitCode;

pub(super) fn proxy(proxy: &Proxy) -> anyhow::Result<ExitCode> {
    services()?.block_on(async {
        let metrics = if proxy.metrics { Metrics::On } else { Metrics::Off };
        let carriers = Carriers::one_for_each_core().context("the threads cannot be started")?;
        let emulator = Emulator::start_on(carriers, proxy.listen, metrics).await?;
        print::lines([format!("toxiproxy's API on http://{}; Ctrl-C ends it", emulator.address())])?;
        signals::stop().await;
        emulator.shutdown().await;
        Ok(ExitCode::SUCCESS)
    })
}
