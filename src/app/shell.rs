//! `agent shell`: a load host in this process, and what it is told.

use super::batch::new_key;
use super::load::experiments::who;
use super::load::{Keeping, Network, SteeredRun};
use super::open_files;
use agent_load::generator::Figures;
use agent_load::session::{Marker, Session, Settings, SharedTable};
use agent_load::steering::Script;
use anyhow::{Context as _, anyhow};
use serde::Serialize;
use std::env;
use std::io::Read as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// What a session came to.
#[derive(Serialize)]
pub struct Outcome {
    /// What was marked, in its order.
    pub markers: Vec<Marker>,
    /// Why the file does not hold every request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_recorded: Option<String>,
    #[serde(flatten)]
    pub figures: Figures,
}

/// A session, and where it is kept.
pub struct Shell {
    pub session: Session,
    kept: Option<SteeredRun>,
}

impl Shell {
    /// A host named `here`, without clients. Load goes to this machine alone and to the hosts that are allowed. With a network its
    /// table's routing records and experiments are used. `output`: a file that every request is kept in. Within a runtime.
    pub async fn begin(
        allowed: &[String],
        threads: NonZeroUsize,
        network: Option<Network>,
        output: Option<&Path>,
    ) -> anyhow::Result<Self> {
        open_files::allow_all()?;
        let settings = Settings { allowed: allowed.to_vec(), threads, ..Settings::default() };
        let kept = match output {
            Some(output) => {
                let keeping = Keeping::of_network(output.to_owned(), network.clone());
                Some(SteeredRun::begin(keeping, "shell", &settings.name, &settings.labels).await?)
            }
            None => None,
        };
        let (traces, hears) = (kept.as_ref().map(SteeredRun::traces), kept.as_ref().map(SteeredRun::hears_verbs));
        let settings = Settings { traces, hears, ..settings };
        let session = match network {
            Some(network) => Session::on_table(settings, SharedTable { table: network.load, by: who(), new_key })?,
            None => Session::new(settings)?,
        };
        Ok(Self { session, kept })
    }

    /// Ends all clients.
    pub async fn end(self) -> anyhow::Result<Outcome> {
        let markers = self.session.markers().to_vec();
        let figures = self.session.end().await?;
        let not_recorded = match self.kept {
            Some(kept) => kept.end(&figures).await.err(),
            None => None,
        };
        Ok(Outcome { markers, not_recorded: not_recorded.map(|error| format!("{error:#}")), figures })
    }
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
