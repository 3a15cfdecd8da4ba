//! `[physics]` and `[generate]`.

use super::settings::{Generate, Goals, Line, Links, Physics, Rules, Transfer};
use super::{existing, fragment};
use crate::config::fragment::Quantity;
use crate::config::problem::{Invalid, Problems};
use crate::config::quantity;
use crate::config::settings::AgentSettings;
use crate::domain::ids::NodeId;
use crate::domain::units::Percent;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long a job tries to read what cannot be reached, when the scenario does not say.
const JOB_FAILURE: Duration = Duration::from_secs(5);

pub fn validate(written: &fragment::Physics, ids: &BTreeSet<NodeId>, problems: &mut Problems) -> Option<Physics> {
    let response_time = line("physics.response_time", &written.response_time, problems);
    let execution_time = line("physics.execution_time", &written.execution_time, problems);
    let bytes = problems.check("physics.bytes", quantity::positive_size(&written.bytes));
    let poll = problems.check("physics.poll", quantity::duration(&written.poll));
    let rules = problems.check("physics.rules", rules(written.rules.as_deref()));
    let job_failure = written.job_failure.as_ref().map_or(Ok(JOB_FAILURE), quantity::duration);
    let job_failure = problems.check("physics.job_failure", job_failure);
    let failures = written.transfer_failures.as_ref().map_or(Ok(0.0), share);
    let transfer_failures = problems.check("physics.transfer_failures", failures);
    let lost = written.replies_lost.as_ref().map_or(Ok(0.0), share);
    let replies_lost = problems.check("physics.replies_lost", lost);
    let links = problems.check("physics.links", links(written.links.as_deref()));
    let transfer = transfer(written, ids, problems);
    Some(Physics {
        response_time: response_time?,
        execution_time: execution_time?,
        bytes: bytes?,
        poll: poll?,
        rules: rules?,
        job_failure: job_failure?,
        transfer: transfer?,
        transfer_failures: transfer_failures?,
        replies_lost: replies_lost?,
        links: links?,
    })
}

fn links(written: Option<&str>) -> Result<Links, Invalid> {
    match written {
        Some("injected") | None => Ok(Links::Injected),
        Some("measured") => Ok(Links::Measured),
        Some(other) => Err(Invalid::new(format!("links cannot be `{other}`"), "use \"injected\" or \"measured\"")),
    }
}

fn rules(written: Option<&str>) -> Result<Rules, Invalid> {
    match written {
        Some("agents") | None => Ok(Rules::Agents),
        Some("published") => Ok(Rules::Published),
        Some(other) => Err(Invalid::new(format!("there are no rules `{other}`"), "use \"agents\" or \"published\"")),
    }
}

fn line(place: &str, written: &fragment::Line, problems: &mut Problems) -> Option<Line> {
    let base = problems.check(format!("{place}.base"), quantity::duration(&written.base));
    let deviation = problems.check(format!("{place}.deviation"), quantity::duration(&written.deviation));
    let slope = match written.per_second_of_latency {
        slope if slope >= 0.0 && slope.is_finite() => Ok(slope),
        other => Err(Invalid::new(format!("{other} is out of range"), "seconds for each second of latency, 0 or more")),
    };
    let slope = problems.check(format!("{place}.per_second_of_latency"), slope);
    Some(Line { base: base?, slope: slope?, deviation: deviation? })
}

fn share(written: &Quantity) -> Result<f64, Invalid> {
    quantity::percent(written).map(|percent| percent.value() / 100.0)
}

/// Either a time, or rates.
fn transfer(written: &fragment::Physics, ids: &BTreeSet<NodeId>, problems: &mut Problems) -> Option<Transfer> {
    match (&written.transfer, &written.link_rate, &written.store_rate) {
        (Some(takes), None, None) if written.rate.is_empty() => {
            problems.check("physics.transfer", quantity::duration(takes)).map(Transfer::Takes)
        }
        (None, Some(link), Some(store)) => {
            let link = problems.check("physics.link_rate", quantity::bytes_per_second(link));
            let store = problems.check("physics.store_rate", quantity::bytes_per_second(store));
            let (mut of_links, mut of_stores) = (BTreeMap::new(), BTreeMap::new());
            for (index, written) in written.rate.iter().enumerate() {
                let place = format!("physics.rate {}", index + 1);
                let found = problems
                    .check(&place, rated(written, ids))
                    .zip(problems.check(&place, quantity::bytes_per_second(&written.rate)));
                match found {
                    Some((Rated::Store(node), rate)) => _ = of_stores.insert(node, rate),
                    Some((Rated::Link(a, b), rate)) => of_links.extend([((a, b), rate), ((b, a), rate)]),
                    None => {}
                }
            }
            Some(Transfer::Rates { link: link?, store: store?, of_links, of_stores })
        }
        _ => {
            let help = "write `transfer = \"30 s\"`, or `link_rate` and `store_rate` like `\"10 MB/s\"`";
            problems.add("physics", Invalid::new("does not say what a transfer takes", help));
            None
        }
    }
}

enum Rated {
    Store(NodeId),
    Link(NodeId, NodeId),
}

fn rated(written: &fragment::Rate, ids: &BTreeSet<NodeId>) -> Result<Rated, Invalid> {
    match (written.node, written.between.as_deref()) {
        (Some(node), None) => existing(node, ids).map(Rated::Store),
        (None, Some([a, b])) => Ok(Rated::Link(existing(*a, ids)?, existing(*b, ids)?)),
        _ => Err(Invalid::new("does not say whose rate it is", "write `node = 2`, or `between = [1, 2]`")),
    }
}

pub fn generate(written: &fragment::Generate, template: &AgentSettings, problems: &mut Problems) -> Option<Generate> {
    let nodes: Option<u32> = problems.check("generate.nodes", quantity::whole(written.nodes, 2..=10_000));
    let most = written.nodes.max(1);
    let replicas: Option<u32> = problems.check("generate.replicas", quantity::whole(written.replicas, 1..=most));
    let placed = problems.check("generate.placed", quantity::whole(written.placed, 1..=written.replicas.max(1)));
    let seed = problems.check("generate.seed", quantity::whole(written.seed, 0..=i64::MAX));
    let milliseconds = |written: &Quantity| quantity::duration(written).map(|long| long.as_nanos() as f64 / 1e6);
    let nearest = problems.check("generate.nearest", milliseconds(&written.nearest));
    let farthest = problems.check("generate.farthest", milliseconds(&written.farthest));
    let jitter = problems.check("generate.jitter", milliseconds(&written.jitter));
    let availability = problems.check("generate.availability", range(&written.availability));
    let capacity =
        problems.check("generate.capacity", written.capacity.as_ref().map(quantity::positive_size).transpose());
    let satisfiable = problems.check("generate.satisfiable", share(&written.satisfiable));
    let thrifty = problems.check("generate.thrifty", share(&written.thrifty));
    let goals = match written.goals.as_deref() {
        None | Some("shared") => Some(Goals::Shared),
        Some("own") => Some(Goals::Own),
        Some(other) => {
            problems.add("generate.goals", Invalid::new(format!("`{other}` is not known"), "write `shared` or `own`"));
            None
        }
    };
    let trained = problems.check("generate.trained", quantity::whole(written.trained, 1..=10_000));
    Some(Generate {
        nodes: nodes?,
        seed: seed?,
        nearest_ms: nearest?,
        farthest_ms: farthest?,
        jitter_ms: jitter?,
        availability: availability?,
        capacity_bytes: capacity?,
        replicas: replicas?,
        placed: placed?,
        satisfiable: satisfiable?,
        thrifty: thrifty?,
        trained: trained?,
        goals: goals?,
        template: template.clone(),
    })
}

fn range(written: &[Quantity]) -> Result<(Percent, Percent), Invalid> {
    match written {
        [low, high] => match (quantity::percent(low)?, quantity::percent(high)?) {
            (low, high) if low <= high => Ok((low, high)),
            (low, high) => Err(Invalid::new(format!("{low} is more than {high}"), "the lower one comes first")),
        },
        _ => Err(Invalid::new("is no range", "write it like `[\"80 %\", \"99 %\"]`")),
    }
}
