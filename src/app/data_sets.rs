//! Data sets that come and go while agents run: `agent add-data-set`, `agent remove-data-set`, `agent data list`.

use super::Failure;
use super::catalogue::Catalogue;
use super::surroundings::Surroundings;
use crate::knowledge::Knowledge;
use agent_core::config::settings::{DataSetSettings, NetworkSettings};
use agent_core::config::{Invalid, own_key, prefix, quantity};
use agent_core::domain::constraints::Constraints;
use agent_core::domain::ids::{AgentId, DataSetName, NodeId};
use agent_core::domain::manifest::Selection;
use agent_core::domain::placement::{DataSet, Replica};
use agent_core::domain::snapshot::Snapshot;
use anyhow::{Context as _, anyhow, bail};
use serde::Serialize;

/// A data set as somebody names it.
#[derive(Clone, PartialEq, Debug)]
pub struct Named {
    pub name: String,
    /// This or a prefix; neither: as it is configured.
    pub object_key: Option<String>,
    pub prefix: Option<String>,
    pub first_node: Option<NodeId>,
}

/// One in the catalogue.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Listed {
    #[serde(flatten)]
    pub data_set: DataSet,
    /// Nodes with a present replica.
    pub replicas: Vec<NodeId>,
    pub readers: Vec<AgentId>,
}

impl Listed {
    fn new(snapshot: &Snapshot) -> Self {
        Self {
            data_set: snapshot.data_set.clone(),
            replicas: snapshot.placement.nodes().into_iter().collect(),
            readers: snapshot.agents.keys().copied().collect(),
        }
    }
}

pub async fn list(knowledge: &dyn Knowledge) -> crate::knowledge::Result<Vec<Listed>> {
    Ok(Catalogue::load(knowledge).await?.snapshots.iter().map(Listed::new).collect())
}

/// What is to be added: what the configuration says of that name, or what was named here.
pub fn settings(network: &NetworkSettings, named: &Named) -> Result<DataSetSettings, Failure> {
    let refuse = |what: &str, Invalid { problem, help }| Failure::Configuration(format!("{what}: {problem}; {help}"));
    let name: DataSetName = quantity::name(&named.name).map_err(|invalid| refuse("NAME", invalid))?.into();
    let configured = network.data_sets.get(&name);
    let Named { object_key, prefix, first_node, .. } = named;
    if let Some(configured) = configured {
        return match (object_key, prefix, first_node) {
            (None, None, None) => Ok(configured.clone()),
            _ => Err(Failure::Configuration(format!(
                "network.toml describes data set {name} already; leave the flags out, or correct it there"
            ))),
        };
    }
    let (object_key, selection) = match (object_key, prefix) {
        (Some(key), None) => (own_key(key).map_err(|invalid| refuse("--object-key", invalid))?, None),
        (None, Some(below)) => {
            let keys = self::prefix(below).map_err(|invalid| refuse("--prefix", invalid))?;
            (keys.manifest(), Some(Selection::default()))
        }
        // The arguments refuse both.
        (Some(_), Some(_)) | (None, None) => {
            return Err(Failure::Configuration(format!(
                "network.toml does not describe a data set {name}; say with --object-key or --prefix, and --first-node, where it lies"
            )));
        }
    };
    let Some(first_node) = *first_node else {
        return Err(Failure::Configuration("--first-node is missing: in whose store does it lie?".to_owned()));
    };
    let constraints = Constraints::default();
    Ok(DataSetSettings { name, object_key, selection, generate_records: None, first_node, constraints })
}

/// Verifies what lies on its first node, and puts it into the catalogue.
pub async fn add(surroundings: &Surroundings, settings: &DataSetSettings) -> anyhow::Result<Listed> {
    let (name, knowledge) = (&settings.name, &surroundings.knowledge);
    if knowledge.data_sets().await?.contains(name) {
        bail!("data set {name} is in the catalogue already");
    }
    surroundings.establish_data_set(settings, AgentId::OPERATOR).await?;
    let snapshot = knowledge.snapshot(name).await?;
    Ok(Listed::new(&snapshot.with_context(|| format!("data set {name} was removed again meanwhile"))?))
}

/// Forgets a data set that nobody reads any more. Returns the rows that there were: their objects stay.
pub async fn remove(
    knowledge: &dyn Knowledge,
    network: &NetworkSettings,
    name: &DataSetName,
) -> anyhow::Result<Vec<Replica>> {
    require(knowledge, name).await?;
    Ok(knowledge.remove_data_set(name, network.silence()).await?)
}

/// An error that names those that there are, when the catalogue holds none of this name.
pub async fn require(knowledge: &dyn Knowledge, name: &DataSetName) -> anyhow::Result<()> {
    let known = knowledge.data_sets().await?;
    if known.contains(name) { Ok(()) } else { Err(unknown(name, &known)) }
}

/// What is said of a name that none of those in the catalogue has.
pub fn unknown(name: &DataSetName, known: &[DataSetName]) -> anyhow::Error {
    let known: Vec<String> = known.iter().map(ToString::to_string).collect();
    anyhow!("data set {name} is not in the catalogue; it holds {}", known.join(", "))
}
