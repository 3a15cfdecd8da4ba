//! `agent store`: a node's store without an agent.

use crate::actors::Notice;
use crate::app;
use crate::app::data_directory::{DEFAULT_RUN, DataDirectory};
use crate::cli::node_arguments::Store;
use crate::cli::place::{Place, advertising, hosting, services};
use crate::cli::{display, print};
use crate::storage::embedded::Durability;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

impl Place {
    pub(super) fn store(&self, arguments: &Store) -> anyhow::Result<ExitCode> {
        let node = arguments.node;
        let settings = Arc::new(self.settings()?);
        let data = DataDirectory::create(self.data.as_deref().unwrap_or(Path::new(DEFAULT_RUN)))?;
        let services = services()?;
        let log = self.log;
        let notify = Arc::new(move |notice: Notice| display::line(log, &notice));
        let own = advertising(hosting(Durability::PowerLoss, false));
        let handle = services.handle().clone();
        services.block_on(async {
            let surroundings = app::run::surroundings(settings, data, None, handle, own, notify).await?;
            let store = app::unmanned_store::start(&surroundings, node, arguments.listen).await?;
            print::lines([format!("the store of node {node} on {}; Ctrl-C ends it", store.endpoint())])?;
            display::stop().await;
            store.shutdown().await;
            Ok(ExitCode::SUCCESS)
        })
    }
}
