//! What a task is told about the data sets that it reads: the same as an agent's own command is told, of the replica that is
//! nearest to this node.

use crate::actors::{Reached, World, chain};
use crate::jobs;
use agent_core::domain::ids::{DataSetName, ReplicaId};
use std::collections::BTreeMap;

/// Variables, and the ways to the stores, which have to be held as long as it reads.
pub struct Inputs {
    pub variables: BTreeMap<String, String>,
    pub ways: Vec<Reached>,
}

/// `replica`: that one, instead of the nearest.
pub async fn inputs(
    world: &World,
    data_sets: impl Iterator<Item = DataSetName>,
    replica: Option<ReplicaId>,
) -> Result<Inputs, String> {
    let (mut sources, mut ways) = (Vec::new(), Vec::new());
    for name in data_sets {
        let snapshot = world.knowledge.snapshot(&name).await.map_err(|error| chain(&error))?;
        let snapshot =
            snapshot.ok_or_else(|| format!("there is no data set `{name}`; `agent data list` shows them"))?;
        let named = replica.and_then(|id| snapshot.placement.replicas.get(&id));
        let replica = named.or_else(|| snapshot.nearest(world.home));
        let replica = replica.ok_or_else(|| format!("data set `{name}` has no replica to read"))?;
        let (reached, source) = world.source(&snapshot, replica).await.map_err(|error| chain(&error))?;
        ways.push(reached);
        sources.push(source);
    }
    Ok(Inputs { variables: jobs::environment(&sources), ways })
}
