//! `[[change]]` and `[[fault]]`.

use super::settings::{Calm, Change, Fault, FaultKind, Lie, Links, Moment, When};
use super::{existing, fragment};
use crate::config::network;
use crate::config::problem::{Invalid, Problems};
use crate::config::quantity;
use crate::domain::ids::{AgentId, NodeId};
use crate::domain::placement::Link;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// So often a change may come again (I-7).
const MOST_TIMES: u32 = 10_000;

/// In order of time.
pub fn changes(written: &[fragment::Change], ids: &BTreeSet<NodeId>, problems: &mut Problems) -> Vec<Change> {
    let mut changes = Vec::new();
    for (index, written) in written.iter().enumerate() {
        let place = format!("change {}", index + 1);
        let once = change(&place, written, ids, problems);
        let again = problems.check(&place, again(written));
        if let Some((once, (every, times))) = once.zip(again) {
            changes.extend((0..times).map(|time| Change { at: once.at + every * time, ..once.clone() }));
        }
    }
    changes.sort_by_key(|change| change.at);
    changes
}

/// After which time a change comes again, and how often it comes in all.
fn again(written: &fragment::Change) -> Result<(Duration, u32), Invalid> {
    match (&written.every, written.times) {
        (None, None) => Ok((Duration::ZERO, 1)),
        (Some(every), Some(times @ 1..=MOST_TIMES)) => Ok((quantity::positive_duration(every)?, times)),
        _ => {
            let help = format!("write both `every = \"4 min\"` and `times = 60`, at most {MOST_TIMES}");
            Err(Invalid::new("does not say how often it comes again", help))
        }
    }
}

fn change(place: &str, written: &fragment::Change, ids: &BTreeSet<NodeId>, problems: &mut Problems) -> Option<Change> {
    let at = problems.check(format!("{place}: at"), quantity::duration(&written.at));
    let mut links = Vec::new();
    for link in &written.link {
        let values = network::latency_and_jitter(link, place, Links::Injected, problems);
        let ends = problems.check(place, network::ends(link, ids));
        if let Some(((latency_ms, jitter_ms), ends)) = values.zip(ends) {
            links.extend(ends.into_iter().map(|(from, to)| Link { from, to, latency_ms, jitter_ms }));
        }
    }
    let nodes = written.node.iter().filter_map(|node| {
        let id = problems.check(place, existing(node.id, ids));
        id.zip(
            problems.check(format!("{place}: node {}: availability", node.id), quantity::percent(&node.availability)),
        )
    });
    let availability = nodes.collect();
    let join = written.join.iter().filter_map(|node| problems.check(format!("{place}: join"), existing(*node, ids)));
    let join = join.collect();
    Some(Change { at: at?, links, availability, join })
}

/// What changes must be there, and joins once.
pub fn check_joins(changes: &[Change], first_nodes: &BTreeSet<NodeId>, problems: &mut Problems) {
    let mut awaited: BTreeSet<NodeId> = changes.iter().flat_map(|change| change.join.iter().copied()).collect();
    let mut joined = BTreeSet::new();
    for first_node in first_nodes.intersection(&awaited) {
        let at = changes.iter().find(|change| change.join.contains(first_node)).map_or(0.0, |at| at.at.as_secs_f64());
        let problem = format!("the data set lies on node {first_node} from the start");
        let help = "let another node join, or name another `data_set.first_node`";
        problems.add(format!("change at {at} s"), Invalid::new(problem, help));
    }
    for change in changes {
        let place = format!("change at {} s", change.at.as_secs_f64());
        let ends = change.links.iter().flat_map(|link| [link.from, link.to]);
        let changed: BTreeSet<NodeId> = ends.chain(change.availability.iter().map(|(node, _)| *node)).collect();
        for node in changed.intersection(&awaited) {
            let help = "change it after it has joined, or write the value where the node or link is described";
            problems.add(&place, Invalid::new(format!("node {node} has not joined yet"), help));
        }
        for node in &change.join {
            awaited.remove(node);
            if !joined.insert(*node) {
                problems.add(&place, Invalid::new(format!("node {node} joins a second time"), "let it join once"));
            }
        }
    }
}

/// `changes`: in order of time.
pub fn calm(written: &fragment::Calm, changes: &[Change], problems: &mut Problems) -> Option<Calm> {
    let from = problems.check("calm.from", quantity::duration(&written.from))?;
    let healed_by = problems.check("calm.healed_by", quantity::duration(&written.healed_by))?;
    if let Some(last) = changes.last().filter(|last| last.at > from) {
        let problem = format!("a change comes later, at {} s", last.at.as_secs_f64());
        problems.add("calm.from", Invalid::new(problem, "from then on nothing changes: make it later"));
    }
    if healed_by <= from {
        problems.add("calm.healed_by", Invalid::new("leaves no time to heal", "make it later than `calm.from`"));
    }
    Some(Calm { from, healed_by })
}

pub fn faults(
    written: &[fragment::Fault],
    ids: &BTreeSet<NodeId>,
    agents: &BTreeSet<AgentId>,
    problems: &mut Problems,
) -> Vec<Fault> {
    let all = written.iter().enumerate();
    all.filter_map(|(index, written)| fault(&format!("fault {}", index + 1), written, ids, agents, problems)).collect()
}

fn fault(
    place: &str,
    written: &fragment::Fault,
    ids: &BTreeSet<NodeId>,
    agents: &BTreeSet<AgentId>,
    problems: &mut Problems,
) -> Option<Fault> {
    let when = match (&written.at, &written.every, &written.upon) {
        (Some(at), None, None) => problems.check(place, quantity::duration(at)).map(When::At),
        (Some(at), Some(every), None) => {
            let at = problems.check(place, quantity::duration(at));
            let every = problems.check(place, quantity::positive_duration(every));
            at.zip(every).map(|(at, every)| When::Regularly(at, every))
        }
        (None, Some(every), None) => problems.check(place, quantity::positive_duration(every)).map(When::Every),
        (None, None, Some(upon)) => problems.check(format!("{place}: upon"), moment(upon)).map(When::Upon),
        _ => {
            let help = "write `at = \"1 h\"` for once, `every = \"6 h\"` for again and again, both for regularly, or \
                        `upon = \"transfer\"`";
            problems.add(place, Invalid::new("does not say when", help));
            None
        }
    };
    let lasts = problems.check(format!("{place}: lasts"), quantity::positive_duration(&written.lasts));
    if let (Some(When::Regularly(_, every)), Some(lasts)) = (when, lasts)
        && every <= lasts
    {
        problems.add(place, Invalid::new("comes again before it is over", "make `every` longer than `lasts`"));
    }
    // What is generated is not known here: its nodes are drawn.
    let node = problems.check(place, written.node.map(|node| existing(node, ids)).transpose());
    let agent = problems.check(place, written.agent.map(|agent| known_agent(agent, agents)).transpose());
    let kind = match written.kind.as_str() {
        "node_down" => FaultKind::NodeDown(node?),
        "agent_down" => FaultKind::AgentDown(agent?),
        "store_down" => FaultKind::StoreDown(node?),
        "store_slow" => {
            FaultKind::StoreSlow(node?, problems.check(format!("{place}: factor"), factor(written.factor))?)
        }
        "partition" => FaultKind::Partition(problems.check(format!("{place}: sets"), sets(written, ids))?),
        "database_away" => FaultKind::DatabaseAway,
        other => {
            let help = "kinds are node_down, agent_down, store_down, store_slow, partition and database_away";
            problems.add(format!("{place}: kind"), Invalid::new(format!("`{other}` is not a kind of fault"), help));
            return None;
        }
    };
    if matches!(when, Some(When::Upon(_))) && !matches!(kind, FaultKind::AgentDown(_)) {
        let help = "write `kind = \"agent_down\"`, or `at` or `every` instead of `upon`";
        problems.add(place, Invalid::new("only an agent goes down upon what it does", help));
    }
    Some(Fault { kind, when: when?, lasts: lasts? })
}

fn moment(written: &str) -> Result<Moment, Invalid> {
    match written {
        "question" => Ok(Moment::Question),
        "transfer" => Ok(Moment::Transfer),
        other => Err(Invalid::new(format!("`{other}` is no moment of an agent"), "write `question` or `transfer`")),
    }
}

pub fn dishonest(
    written: &[fragment::Dishonest],
    agents: &BTreeSet<AgentId>,
    problems: &mut Problems,
) -> BTreeMap<AgentId, Lie> {
    let mut all = BTreeMap::new();
    for (index, one) in written.iter().enumerate() {
        let place = format!("dishonest {}", index + 1);
        let lie = match one.says.as_str() {
            "worst" => Ok(Lie::Worst),
            "cunning" => Ok(Lie::Cunning),
            other => Err(Invalid::new(format!("`{other}` is no lie"), "write `worst` or `cunning`")),
        };
        let lie = problems.check(format!("{place}: says"), lie);
        let agent = problems.check(&place, known_agent(one.id, agents));
        all.extend(agent.zip(lie));
    }
    all
}

fn known_agent(written: i64, agents: &BTreeSet<AgentId>) -> Result<AgentId, Invalid> {
    let id = u32::try_from(written).ok().map(AgentId).filter(|id| agents.contains(id));
    id.ok_or_else(|| Invalid::new(format!("there is no agent {written}"), "name the `id` of an `[[agent]]`"))
}

fn factor(written: Option<f64>) -> Result<f64, Invalid> {
    let factor = written.filter(|factor| *factor >= 1.0 && factor.is_finite());
    factor.ok_or_else(|| Invalid::new("is missing or below 1", "how many times as long it takes, like `factor = 5.0`"))
}

fn sets(written: &fragment::Fault, ids: &BTreeSet<NodeId>) -> Result<Vec<BTreeSet<NodeId>>, Invalid> {
    let sets = written.sets.as_deref().unwrap_or_default();
    if sets.len() < 2 {
        return Err(Invalid::new("does not name two sets", "write it like `sets = [[1], [2, 3]]`"));
    }
    sets.iter().map(|set| set.iter().map(|node| existing(*node, ids)).collect()).collect()
}
