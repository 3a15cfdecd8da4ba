//! Applications that join while others run: `agent add-agent`.

use super::Failure;
use super::catalogue::Catalogue;
use super::vocabulary::VOCABULARY;
use crate::knowledge::{Knowledge, Registered};
use agent_core::config::settings::{AgentSettings, NetworkSettings, Settings};
use agent_core::config::{self, Draft, NewAgent};
use agent_core::domain::flat_map::FlatMap;
use agent_core::domain::ids::{AgentId, DataSetName, Life, NodeId};
use agent_core::domain::placement::{Identity, Node, NodeState, Registration};
use anyhow::{Context as _, bail};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

/// Whether an application can live on a node; the error says what to do.
pub fn check_home(nodes: &FlatMap<NodeId, Node>, agent: AgentId, node: NodeId) -> Result<(), Failure> {
    match nodes.get(&node).map(|row| row.state) {
        Some(NodeState::Leaving) => Err(Failure::Configuration(format!(
            "agent {agent} is to live on node {node}, which is leaving; name another `node` in {agent}.toml"
        ))),
        Some(NodeState::Declared | NodeState::Running | NodeState::Stopped) => Ok(()),
        None => Err(Failure::Configuration(format!(
            "agent {agent} is to live on node {node}, which the network does not have; add it (`agent add-node --id {node}`) \
             or name another `node` in {agent}.toml"
        ))),
    }
}

/// Registers an application that nobody runs yet.
async fn register(knowledge: &dyn Knowledge, network: &NetworkSettings, agent: &AgentSettings) -> anyhow::Result<()> {
    let registration = Registration {
        agent: agent.id,
        node: agent.node,
        goal: agent.goal.to_string(),
        policy: agent.policy.clone(),
        // Its agent says so when it runs, if it can hand jobs over.
        may_run_on: Default::default(),
    };
    let life = Life(format!("a{}-added-{:08x}", agent.id, rand::random::<u32>()));
    let identity = Identity { life, ended: Vec::new(), silence: network.silence() };
    if let Registered::Taken { .. } = knowledge.register_agent(&registration, &agent.data_sets, &identity).await? {
        bail!("agent {} runs already; choose another --id", agent.id);
    }
    knowledge.sign_off(agent.id, &identity.life).await?;
    Ok(())
}

/// Adds an application: its configuration in a folder of one, and its registration. Refused, and nothing is written, where it
/// could not run.
pub async fn add(
    knowledge: &dyn Knowledge,
    settings: &Settings,
    directory: &Path,
    new: &NewAgent,
) -> anyhow::Result<Draft> {
    let drafted = config::draft(directory, new, &VOCABULARY)?;
    check_addition(knowledge, &drafted.settings).await?;
    write_new(&drafted)?;
    let registered = register(knowledge, &settings.network, &drafted.settings).await;
    if registered.is_err() {
        std::fs::remove_file(&drafted.path).with_context(|| drafted.path.display().to_string())?;
    }
    registered.map(|()| drafted)
}

/// Writes a file that must not be there yet.
fn write_new(drafted: &Draft) -> anyhow::Result<()> {
    let failed = || format!("{}: cannot be written", drafted.path.display());
    let mut file = File::options().write(true).create_new(true).open(&drafted.path).with_context(failed)?;
    file.write_all(drafted.text.as_bytes()).with_context(failed)
}

/// Whether an application of this number can be added.
async fn check_addition(knowledge: &dyn Knowledge, agent: &AgentSettings) -> anyhow::Result<()> {
    let catalogue = Catalogue::load(knowledge).await?;
    let is_known = |name: &DataSetName| catalogue.names().any(|known| known == name);
    if let Some(name) = agent.data_sets.iter().find(|name| !is_known(name)) {
        bail!("data set {name} is not in the catalogue yet; start the agent of its first node");
    }
    check_home(&knowledge.nodes().await?, agent.id, agent.node)?;
    match catalogue.peers().get(&agent.id) {
        Some(peer) => {
            bail!("there is an agent {} already, on node {}; choose another --id", agent.id, peer.registration.node)
        }
        None => Ok(()),
    }
}
