//! `agent serve`: the API and the page of a network, without an application; and `agent token`.

use crate::actors::Notice;
use crate::api::access::{self, Right};
use crate::api::server::{self, Of};
use crate::app;
use crate::cli::api_arguments::{anywhere, url};
use crate::cli::arguments::{Serve, Token};
use crate::cli::place::{Place, services};
use crate::cli::{display, print};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

impl Place {
    pub(super) fn serve(&self, arguments: &Serve) -> anyhow::Result<ExitCode> {
        let services = services()?;
        let log = self.log;
        let notify = Arc::new(move |notice: Notice| display::line(log, &notice));
        let surroundings = self.existing_surroundings(&services, notify)?;
        let options = arguments.api.options(arguments.listen.unwrap_or_else(anywhere));
        let configuration = self.configuration().map(PathBuf::from);
        let server = server::start(Of { surroundings, agents: Vec::new(), configuration, pace: None }, &options)?;
        let token = self.invocation().command("token");
        print::lines([format!(
            "{}  (`{token}` prints the token for changes; Ctrl-C ends it)",
            url(&server, &options)
        )])?;
        services.block_on(async {
            display::stop().await;
            server.shutdown().await;
        });
        Ok(ExitCode::SUCCESS)
    }

    pub(super) fn token(&self, arguments: &Token) -> anyhow::Result<ExitCode> {
        let data = app::existing_directory(&self.settings()?.network, self.data.as_deref())?;
        let right = if arguments.read { Right::Read } else { Right::Write };
        let token = access::token(&data, right)?;
        print::lines([token.expose().to_owned()])?;
        Ok(ExitCode::SUCCESS)
    }
}
