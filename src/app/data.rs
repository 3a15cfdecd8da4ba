//! What a person decides and asks about objects: whether stores hold what the catalogue says, which content counts, and an action
//! of their own.

use super::catalogue::Catalogue;
use super::data_sets;
use super::live_agent::watch;
use super::surroundings::Surroundings;
use crate::actors::{Announced, Depth, World, announce, carry_out, chain, inspect, judge, judge_in, plan_for};
use crate::storage::ObjectStore;
use crate::storage::paced::{Pace, Paced};
use crate::storage::set::{self, SetAt};
use agent_core::domain::action::Labelled;
use agent_core::domain::ids::{AgentId, DataSetName, Life, NodeId};
use agent_core::domain::manifest::Extent;
use agent_core::domain::placement::{Condition, Plan, Replica};
use agent_core::domain::saga::{replica_prefixes, subject};
use agent_core::domain::snapshot::Snapshot;
use agent_core::mape::executor::End;
use agent_core::mape::planner::{Decision, Reason};
use anyhow::{Context as _, bail};
use futures::{StreamExt as _, stream};
use serde::Serialize;
use std::sync::Arc;

/// Objects that are looked at or read at the same time (I-7).
const AT_ONCE: usize = 4;

/// What a look at one object showed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Checked {
    pub data_set: DataSetName,
    pub node: NodeId,
    pub object_key: String,
    pub verdict: Verdict,
    /// For people; absent where all is well.
    pub why: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Intact,
    /// The user's own object is another one.
    Changed,
    /// It is gone, or not what was written.
    Damaged,
    /// Nobody's row names it.
    Orphan,
    /// It lies among the objects of a set, and the manifest does not name it.
    Stranger,
    /// Its store cannot be asked.
    Unknown,
}

impl Verdict {
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Intact => "intact",
            Verdict::Changed => "CHANGED",
            Verdict::Damaged => "DAMAGED",
            Verdict::Orphan => "orphan",
            Verdict::Stranger => "stranger",
            Verdict::Unknown => "UNKNOWN",
        }
    }

    /// Whether somebody has to look at it. An orphan is cleaned up by the agent of its node.
    pub fn is_trouble(self) -> bool {
        match self {
            Verdict::Changed | Verdict::Damaged | Verdict::Unknown => true,
            Verdict::Intact | Verdict::Orphan | Verdict::Stranger => false,
        }
    }
}

/// Holds the catalogue against the stores: every replica, and what lies beside them. `state`: what is found is stated in the table,
/// so that agents act on it. `tell` hears of each object when it was looked at.
pub async fn check(
    surroundings: &Surroundings,
    depth: Depth,
    state: bool,
    mut tell: impl FnMut(&Checked),
) -> anyhow::Result<Vec<Checked>> {
    let world = surroundings.operators_world()?;
    let look = Look { world: &world, depth, state, pace: None };
    let mut all = Vec::new();
    for name in surroundings.knowledge.data_sets().await? {
        let Some(snapshot) = surroundings.knowledge.snapshot(&name).await? else { continue };
        let rows = snapshot.placement.replicas.values().filter(|row| row.state.is_held());
        let looks = rows.map(|row| look.at(&snapshot, row));
        let mut looks = stream::iter(looks).buffer_unordered(AT_ONCE);
        while let Some(checked) = looks.next().await {
            tell(&checked);
            all.push(checked);
        }
        for checked in strangers(&world, &snapshot).await.into_iter().chain(orphans(&world, &snapshot).await) {
            tell(&checked);
            all.push(checked);
        }
    }
    Ok(all)
}

/// Reads every replica of a data set, or of all, one after the other and no faster than so many bytes in a second; what is found is
/// stated in the table. `tell` hears of each when it was read.
pub async fn scrub(
    surroundings: &Surroundings,
    only: Option<&DataSetName>,
    bytes_per_s: u64,
    mut tell: impl FnMut(&Checked),
) -> anyhow::Result<Vec<Checked>> {
    let world = surroundings.operators_world()?;
    let look = Look { world: &world, depth: Depth::Read, state: true, pace: Some(Pace::new(bytes_per_s)) };
    let names = match only {
        Some(name) => vec![current(surroundings, name).await?.data_set.name.clone()],
        None => surroundings.knowledge.data_sets().await?,
    };
    let mut all = Vec::new();
    for name in names {
        let Some(snapshot) = surroundings.knowledge.snapshot(&name).await? else { continue };
        for row in snapshot.placement.replicas.values().filter(|row| row.state.is_held()) {
            let checked = look.at(&snapshot, row).await;
            tell(&checked);
            all.push(checked);
        }
    }
    Ok(all)
}

/// How replicas are looked at.
struct Look<'a> {
    world: &'a World,
    depth: Depth,
    /// What is found is stated in the table.
    state: bool,
    pace: Option<Pace>,
}

impl Look<'_> {
    async fn at(&self, snapshot: &Snapshot, row: &Replica) -> Checked {
        let condition = match self.world.reach(snapshot, row.node).await {
            Ok(reached) => {
                let store: Arc<dyn ObjectStore> = match &self.pace {
                    Some(pace) => Arc::new(Paced::new(reached.store, pace.clone())),
                    None => reached.store,
                };
                match self.state {
                    true => judge_in(self.world, store, snapshot, row, self.depth).await,
                    false => inspect(&store, &snapshot.data_set, row, self.depth).await,
                }
            }
            Err(error) => Err(chain(&error)),
        };
        checked(row, condition)
    }
}

fn checked(row: &Replica, condition: Result<Condition, String>) -> Checked {
    let (verdict, why) = match condition {
        Ok(Condition::Intact(_)) => (Verdict::Intact, None),
        Ok(Condition::Changed(why)) => (Verdict::Changed, Some(why)),
        Ok(Condition::Damaged(why)) => (Verdict::Damaged, Some(why)),
        Err(why) => (Verdict::Unknown, Some(why)),
    };
    let (data_set, object_key) = (row.data_set.clone(), row.object_key.clone());
    Checked { data_set, node: row.node, object_key, verdict, why }
}

/// Objects among those of sets that no manifest names: one line for each replica that has some. Where it cannot be known, the look
/// at the replica has said so.
async fn strangers(world: &World, snapshot: &Snapshot) -> Vec<Checked> {
    let mut found = Vec::new();
    for row in snapshot.placement.replicas.values().filter(|row| row.state.is_held()) {
        let Extent::Set(keys) = Extent::of(&row.object_key) else { continue };
        let Ok(reached) = world.reach(snapshot, row.node).await else { continue };
        let at = SetAt::new(reached.store, keys);
        let Ok(Some(held)) = at.manifest().await else { continue };
        if let Ok(Some((objects, key))) = set::strangers(&at, &held).await {
            let why = format!("the manifest names none of the {objects} objects like this; they are left alone");
            let (data_set, verdict) = (row.data_set.clone(), Verdict::Stranger);
            found.push(Checked { data_set, node: row.node, object_key: key, verdict, why: Some(why) });
        }
    }
    found
}

/// Objects under the keys of replicas that no row names. A store that cannot be listed shows none: its replicas were looked at.
async fn orphans(world: &World, snapshot: &Snapshot) -> Vec<Checked> {
    let mut found = Vec::new();
    for node in snapshot.nodes.values().filter(|node| node.store_url.is_some()) {
        let Ok(reached) = world.reach(snapshot, node.id).await else { continue };
        for prefix in replica_prefixes(&snapshot.data_set.object_key) {
            let listed = reached.store.list(&prefix).await.unwrap_or_default();
            let rows = snapshot.placement.replicas.values().filter(|row| row.node == node.id);
            let extents: Vec<Extent> = rows.map(|row| Extent::of(&row.object_key)).collect();
            let is_named = |key: &str| extents.iter().any(|extent| extent.covers(key));
            found.extend(listed.into_iter().filter(|object| !is_named(&object.key)).map(|object| Checked {
                data_set: snapshot.data_set.name.clone(),
                node: node.id,
                object_key: object.key,
                verdict: Verdict::Orphan,
                why: Some(format!("no row of the catalogue names these {} bytes", object.bytes)),
            }));
        }
    }
    found
}

/// The content that counts from now on.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Accepted {
    pub data_set: DataSetName,
    pub node: NodeId,
    /// Of the data set, from 1.
    pub version: u64,
    pub bytes: u64,
    pub sha256: String,
    /// Nodes whose replicas hold a former version, and are refreshed.
    pub outdated: Vec<NodeId>,
}

/// Takes what lies on a node now for the data set's newest version.
pub async fn accept(surroundings: &Surroundings, name: &DataSetName, node: NodeId) -> anyhow::Result<Accepted> {
    let snapshot = current(surroundings, name).await?;
    let row = held(&snapshot, node)?;
    let accepted = announced(surroundings, &snapshot, row).await?;
    accepted.with_context(|| format!("the replica of data set {name} on node {node} is what the catalogue says"))
}

/// Notices what has been written at the origin, the replica under the user's own key, and takes it for the newest version: whoever
/// has written it says so. `None`: it is what the catalogue says.
pub async fn commit(surroundings: &Surroundings, name: &DataSetName) -> anyhow::Result<Option<Accepted>> {
    let snapshot = current(surroundings, name).await?;
    let own_key = &snapshot.data_set.object_key;
    let Some(origin) = snapshot.placement.origin(own_key) else {
        let nodes: Vec<String> = snapshot.placement.nodes().iter().map(ToString::to_string).collect();
        bail!(
            "no replica of data set {name} lies under your own key `{own_key}`: it was generated, or has been moved, and those on nodes {} \
             belong to agents; `origin = \"fixed\"` (`agent set constraints {name} --origin NODE`) keeps an origin where it is",
            nodes.join(", ")
        );
    };
    announced(surroundings, &snapshot, origin).await
}

/// `None`: it is what the catalogue says.
async fn announced(
    surroundings: &Surroundings,
    snapshot: &Snapshot,
    row: &Replica,
) -> anyhow::Result<Option<Accepted>> {
    let name = &snapshot.data_set.name;
    let world = surroundings.operators_world()?;
    let configured = surroundings.network().data_sets.get(name).and_then(|settings| settings.selection.as_ref());
    let (bytes, sha256) = match announce(&world, snapshot, row, configured).await {
        Ok(Announced::Nothing) => return Ok(None),
        Ok(Announced::Version { bytes, sha256 }) => (bytes, sha256),
        Ok(Announced::NotYet(why)) => bail!("node {}: {why}; run this again", row.node),
        Err(why) => bail!("node {}: {why}", row.node),
    };
    let after = current(surroundings, name).await?;
    let outdated = after.placement.replicas.values().filter(|row| row.is_unsound());
    Ok(Some(Accepted {
        data_set: name.clone(),
        node: row.node,
        version: after.data_set.versions.version,
        bytes,
        sha256,
        outdated: outdated.map(|row| row.node).collect(),
    }))
}

/// Makes a changed or damaged replica anew from an intact one. What was changed is not deleted: it may be wanted.
pub async fn restore(surroundings: &Surroundings, name: &DataSetName, node: NodeId) -> anyhow::Result<()> {
    let world = Arc::new(surroundings.operators_world()?);
    let (snapshot, row) = unsound(surroundings, &world, name, node).await?;
    let key = format!("{}-{:08x}", world.identity.life, rand::random::<u32>());
    let plan = plan_for(&snapshot, node, AgentId::OPERATOR, row.id, key, Reason::Person).with_context(|| {
        format!("there is no intact replica of data set {name} to restore it from, or it is under way already")
    })?;
    ended(carry_out(&world, watch(surroundings.network()), plan).await)
}

/// A person's own action, in the place of an agent, by the same saga as the agent's.
pub async fn act(surroundings: &Surroundings, agent: AgentId, labelled: &Labelled) -> anyhow::Result<()> {
    let catalogue = Catalogue::load(surroundings.knowledge.as_ref()).await?;
    let read: Vec<&Snapshot> = catalogue.read_by(agent).collect();
    let Some(first) = read.first() else {
        let known: Vec<String> = catalogue.peers().keys().map(ToString::to_string).collect();
        bail!("agent {agent} is not registered; agents are {}", known.join(", "));
    };
    let action = labelled.action;
    let names = read.iter().map(|it| it.data_set.name.to_string()).collect::<Vec<_>>().join(" and ");
    let snapshot = match &labelled.data_set {
        Some(named) => read.iter().find(|it| it.data_set.name == *named).with_context(|| {
            let example = &first.data_set.name;
            format!("agent {agent} reads data set {names}, not {named}; it acts on what it reads: `{example}:{action}`")
        })?,
        None if read.len() > 1 => {
            let example = &first.data_set.name;
            bail!("agent {agent} reads {names}; say which of them it is about, like `{example}:{action}`");
        }
        None => first,
    };
    let peer = &snapshot.agents[&agent];
    let reference = snapshot.placement.references.get(&agent).copied();
    let reference = reference.with_context(|| format!("agent {agent} reads no replica"))?;
    let Some(concerned) = subject(&snapshot.placement, action) else {
        let nodes: Vec<String> = snapshot.placement.nodes().iter().map(ToString::to_string).collect();
        bail!("{action}: there is no replica where it begins; replicas are on nodes {}", nodes.join(", "));
    };
    let operators = surroundings.operators_world()?;
    let world = Arc::new(World { agent, home: peer.registration.node, ..operators });
    let plan = Plan {
        key: format!("{}-{:08x}", world.identity.life, rand::random::<u32>()),
        agent,
        data_set: snapshot.data_set.name.clone(),
        reference,
        action,
        explored: false,
        expected: [(concerned.id, concerned.generation)].into(),
        generation: None,
        detail: Decision::apart(agent, snapshot, action, Reason::Person).to_json(),
    };
    ended(carry_out(&world, watch(surroundings.network()), plan).await)
}

fn ended(end: End) -> anyhow::Result<()> {
    match end {
        End::Done | End::Nothing => Ok(()),
        End::Lost(_) | End::NotNow(_) | End::Failed(_) | End::Unknown(_) => {
            bail!("{}", end.told().unwrap_or_default())
        }
    }
}

async fn current(surroundings: &Surroundings, name: &DataSetName) -> anyhow::Result<Snapshot> {
    match surroundings.knowledge.snapshot(name).await? {
        Some(snapshot) => Ok(snapshot),
        None => Err(data_sets::unknown(name, &surroundings.knowledge.data_sets().await?)),
    }
}

/// A node's replica, in whatever state; one that is not what the catalogue says before what it is made anew as.
fn held(snapshot: &Snapshot, node: NodeId) -> anyhow::Result<&Replica> {
    let (name, placement) = (&snapshot.data_set.name, &snapshot.placement);
    let row = placement.unsound_on(node).or_else(|| placement.on(node));
    row.with_context(|| {
        let nodes: Vec<String> = placement.replicas.values().map(|row| row.node.to_string()).collect();
        format!("node {node} holds no replica of data set {name}; replicas are on nodes {}", nodes.join(", "))
    })
}

/// A node's replica that is not what the catalogue says, also when nobody has noticed it yet.
async fn unsound(
    surroundings: &Surroundings,
    world: &World,
    name: &DataSetName,
    node: NodeId,
) -> anyhow::Result<(Snapshot, Replica)> {
    let snapshot = current(surroundings, name).await?;
    if let Some(row) = snapshot.placement.unsound_on(node) {
        return Ok((snapshot.clone(), row.clone()));
    }
    let row = held(&snapshot, node)?;
    match judge(world, &snapshot, row, Depth::Read).await {
        Ok(Condition::Intact(_)) => bail!("the replica of data set {name} on node {node} is what the catalogue says"),
        Ok(Condition::Changed(_) | Condition::Damaged(_)) => {}
        Err(why) => bail!("node {node}: {why}"),
    }
    let snapshot = current(surroundings, name).await?;
    let row = snapshot.placement.unsound_on(node).cloned();
    let row =
        row.with_context(|| format!("the replica on node {node} has become another one meanwhile; run this again"))?;
    Ok((snapshot, row))
}

impl Surroundings {
    /// The world of a person: no link is in the way, and no job runs.
    pub fn operators_world(&self) -> anyhow::Result<World> {
        let life = Life(format!("operator-{:x}-{:08x}", self.clock.now().0, rand::random::<u32>()));
        self.world_of(AgentId::OPERATOR, NodeId(0), life)
    }
}
