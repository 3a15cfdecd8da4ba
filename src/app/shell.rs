//! `agent shell`: a load host in this process, and what it is told.

use super::batch::new_key;
use super::load::experiments::who;
use super::open_files;
use agent_load::generator::Figures;
use agent_load::session::{Marker, Session, Settings, SharedTable};
use agent_load::steering::Script;
use agent_load::table::LoadTable;
use anyhow::{Context as _, anyhow};
use serde::Serialize;
use std::env;
use std::io::Read as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a session came to.
#[derive(Serialize)]
pub struct Outcome {
    /// What was marked, in its order.
    pub markers: Vec<Marker>,
    #[serde(flatten)]
    pub figures: Figures,
}

/// A host named `here`, without clients. Load goes to this machine alone and to the hosts that are allowed. With a table its routing
/// records and experiments are used; that has to be begun within a runtime.
pub fn begin(allowed: &[String], threads: NonZeroUsize, table: Option<Arc<dyn LoadTable>>) -> anyhow::Result<Session> {
    open_files::allow_all()?;
    let settings = Settings { allowed: allowed.to_vec(), threads, ..Settings::default() };
    Ok(match table {
        Some(table) => Session::on_table(settings, SharedTable { table, by: who(), new_key })?,
        None => Session::new(settings)?,
    })
}

/// Ends all clients.
pub async fn end(session: Session) -> anyhow::Result<Outcome> {
    let markers = session.markers().to_vec();
    Ok(Outcome { markers, figures: session.end().await? })
}

/// What a script is called, and what it says.
pub fn script(file: Option<&Path>) -> anyhow::Result<(String, Script)> {
    let (name, text) = match file {
        Some(file) => {
            let name = file.display().to_string();
            let text = std::fs::read_to_string(file).with_context(|| format!("{name}: cannot be read"))?;
            (name, text)
        }
        None => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("standard input cannot be read")?;
            ("standard input".to_owned(), text)
        }
    };
    // An error of the script, like those that show when it runs, and none of the command line.
    let script = Script::read(&name, &text).map_err(|wrong| anyhow!("{wrong}"))?;
    Ok((name, script))
}

/// Where lines that were typed are kept for the next time, by the XDG Base Directory Specification. `None`: there is no home.
pub fn history() -> Option<PathBuf> {
    let named = |variable| env::var_os(variable).map(PathBuf::from).filter(|folder| folder.is_absolute());
    let state = named("XDG_STATE_HOME").or_else(|| Some(named("HOME")?.join(".local/state")))?;
    Some(state.join("agent/shell-history"))
}
