//! `N.toml`: from the fragment to [`AgentSettings`], with everything that is wrong with it.

use super::load::Vocabulary;
use super::network::node_id;
use super::problem::{Invalid, Problems};
use super::settings::{AgentSettings, EndpointSettings, JobSettings};
use super::{defaults, fragment, job, prices, quantity, worker};
use crate::domain::action::ActionType;
use crate::domain::goal::{Goal, GoalError, nearest};
use crate::domain::ids::{AgentId, DataSetName, NodeId};
use crate::domain::impact::Rho;
use crate::domain::metric::Metric;
use crate::domain::placement::Overrides;
use std::collections::{BTreeMap, BTreeSet};

/// What an agent's file is held against.
pub struct Context<'a> {
    pub vocabulary: &'a Vocabulary,
    /// Absent when its file cannot be read.
    pub network: Option<&'a fragment::Network>,
}

/// `None` after noting at least one problem.
pub fn validate(
    id: AgentId,
    agent: &fragment::Agent,
    context: &Context<'_>,
    problems: &mut Problems,
) -> Option<AgentSettings> {
    let goal = problems.check("goal", parsed_goal(&agent.goal));
    let policy = problems.text(("", "policy"), agent.policy.as_ref(), defaults::POLICY);
    let policy = problems.check("policy", known_policy(policy, context.vocabulary.policies));
    let node = node(id, agent.node, problems);
    let data_sets = data_sets(agent, context, problems);
    let may_run_on = may_run_on(agent, problems);
    let listen = agent.listen.as_deref().unwrap_or(defaults::LISTEN);
    let listen = listen.parse().map_err(|_| {
        Invalid::new(format!("`{listen}` is not an IP address"), format!("write it like `{}`", defaults::LISTEN))
    });
    let listen = problems.check("listen", listen);
    let s3 = problems.check("s3.listen", agent.s3.as_ref().map(endpoint).transpose());
    let worker = agent.worker.as_ref().map(|written| worker::validate(written, problems));
    let job = job::validate(&agent.job, context, problems);
    let requests = requests(agent, goal.as_ref(), problems);
    let rho = rho(&agent.rho, goal.as_ref(), problems);
    let costs = costs(agent, problems);
    let budget = prices::budget(agent.budget.as_ref(), context.network.and_then(prices::currency));
    let budget = problems.check("budget", budget);
    Some(AgentSettings {
        id,
        node: node?,
        may_run_on: may_run_on?,
        data_sets: data_sets?,
        goal: goal?,
        goal_text: agent.goal.clone(),
        policy: policy?,
        job: job.filter(|_| requests)?,
        rho: rho?,
        costs: costs?,
        budget: budget?,
        listen: listen?,
        s3: s3?,
        worker: worker.map_or(Some(None), |worker| worker.map(Some))?,
    })
}

/// What an application is to do of which something else is asked than its file says. What follows from its goal follows from the new
/// one.
pub fn overridden(settings: &AgentSettings, asked: &Overrides, policies: &[&str]) -> Result<AgentSettings, Invalid> {
    let mut settings = settings.clone();
    if let Some(policy) = &asked.policy {
        settings.policy = known_policy(policy, policies)?;
    }
    if let Some(text) = &asked.goal {
        let goal = parsed_goal(text)?;
        if let Some(metric) =
            only_of_services(&goal).next().filter(|_| !matches!(settings.job, JobSettings::Service(_)))
        {
            return Err(unmeasured(metric));
        }
        for metric in Metric::ALL {
            let followed = settings.rho.get(metric).is_none_or(|rho| rho == defaults::rho(metric, &settings.goal));
            if followed && (!metric.is_on_demand() || goal.mentions(metric)) {
                settings.rho.set(metric, defaults::rho(metric, &goal));
            }
        }
        (settings.goal, settings.goal_text) = (goal, text.clone());
    }
    Ok(settings)
}

/// What a goal speaks of that only the requests to a service show.
fn only_of_services(goal: &Goal) -> impl Iterator<Item = Metric> {
    Metric::ALL.into_iter().filter(|metric| metric.is_of_requests() && goal.mentions(*metric))
}

fn unmeasured(metric: Metric) -> Invalid {
    let problem = format!("speaks of {metric}, which only the requests to a service show");
    Invalid::new(problem, "set `kind = \"service\"` in `[job]`, or leave it out of the goal")
}

pub fn parsed_goal(text: &str) -> Result<Goal, Invalid> {
    text.parse().map_err(|error: GoalError| Invalid::new(error.to_string(), error.help))
}

/// Whether what the application says of requests can be measured: they come to a service, through its agent's endpoint, and each is
/// for one data set.
fn requests(agent: &fragment::Agent, goal: Option<&Goal>, problems: &mut Problems) -> bool {
    if agent.job.kind != job::SERVICE {
        let spoken_of: Vec<Metric> = goal.into_iter().flat_map(only_of_services).collect();
        spoken_of.iter().for_each(|metric| problems.add("goal", unmeasured(*metric)));
        return spoken_of.is_empty();
    }
    let mut is_sound = true;
    let mut require = |holds: bool, place: &str, problem: String, help: &str| {
        is_sound &= holds;
        if !holds {
            problems.add(place, Invalid::new(problem, help));
        }
    };
    let help = "add `[s3]` with `listen = \"127.0.0.1:9100\"`: its users read through that";
    require(agent.s3.is_some(), "s3", "is missing: a service is asked through its agent's endpoint".to_owned(), help);
    let reads = agent.data_sets.as_ref().map_or(1, Vec::len);
    let help = "name one; let an application of its own serve each of the others";
    require(reads <= 1, "data_sets", "names several for a service, whose requests are each for one".to_owned(), help);
    let is_here = agent.may_run_on.as_ref().is_none_or(Vec::is_empty);
    let help = "leave it out: its users come to the agent's endpoint";
    require(is_here, "may_run_on", "is stated for a service, which has no work to be moved".to_owned(), help);
    is_sound
}

/// Whether somebody else listens there is seen when the agent starts: its file may be meant for another machine.
fn endpoint(written: &fragment::S3) -> Result<EndpointSettings, Invalid> {
    let fragment::S3 { listen, writes } = written;
    let listen = listen.parse().map_err(|_| {
        let help = "write it like `127.0.0.1:9100`; port 0 is any that is free";
        Invalid::new(format!("`{listen}` is not an IP address and port"), help)
    });
    Ok(EndpointSettings { listen: listen?, writes: *writes })
}

pub fn known_policy(policy: &str, known: &[&str]) -> Result<String, Invalid> {
    if known.contains(&policy) {
        return Ok(policy.to_owned());
    }
    let policies = format!("policies are {}", known.join(", "));
    let help = match nearest(policy, known) {
        Some(near) => format!("did you mean `{near}`? {policies}"),
        None => policies,
    };
    Err(Invalid::new(format!("unknown policy `{policy}`"), help))
}

/// Agent N lives on node N unless its file says otherwise. Nodes are added while agents run: whether there is one with this
/// number is the table's to say, when the agent starts.
fn node(id: AgentId, written: Option<i64>, problems: &mut Problems) -> Option<NodeId> {
    problems.check("node", node_id(written.unwrap_or(i64::from(id.home().0))))
}

/// Where else its jobs may run. Whether there are such nodes, and whether anybody takes jobs there, is the table's to say.
fn may_run_on(agent: &fragment::Agent, problems: &mut Problems) -> Option<BTreeSet<NodeId>> {
    let written = agent.may_run_on.as_deref().unwrap_or_default();
    if !written.is_empty() && agent.data_sets.as_ref().is_some_and(|read| read.len() > 1) {
        let help =
            "leave it out, or let an application of its own read each data set: work moves with one data set only";
        problems.add("may_run_on", Invalid::new("is stated for a job over several data sets", help));
        return None;
    }
    let nodes = written.iter().enumerate();
    nodes.map(|(at, node)| problems.check(format!("may_run_on[{at}]"), node_id(*node))).collect()
}

/// What it reads, in the order in which it is written.
fn data_sets(agent: &fragment::Agent, context: &Context<'_>, problems: &mut Problems) -> Option<Vec<DataSetName>> {
    let place = "data_sets";
    let Some(written) = &agent.data_sets else {
        return Some(vec![problems.check("data_set", data_set(agent.data_set.as_deref(), context))?]);
    };
    if agent.data_set.is_some() {
        let help = "keep `data_sets`, which may have one, too";
        problems.add(place, Invalid::new("is stated besides `data_set`", help));
        return None;
    }
    if written.is_empty() {
        problems.add(place, Invalid::new("is empty: a job reads something", "name one data set at least"));
        return None;
    }
    let mut read = Vec::new();
    for (at, name) in written.iter().enumerate() {
        let place = format!("{place}[{at}]");
        let known = problems.check(&place, data_set(Some(name), context))?;
        if read.contains(&known) {
            let help = "a job reads each data set once: leave it out here";
            problems.add(place, Invalid::new(format!("`{known}` is there already"), help));
            return None;
        }
        read.push(known);
    }
    Some(read)
}

/// One that it reads: where there is one data set, that need not be said.
fn data_set(written: Option<&str>, context: &Context<'_>) -> Result<DataSetName, Invalid> {
    let Some(network) = context.network else { return Ok(written.unwrap_or_default().into()) };
    let mut names: Vec<&str> = network.data_set.iter().map(|data_set| data_set.name.as_str()).collect();
    names.dedup();
    let listed = || format!("the network's are `{}`", names.join("`, `"));
    match (written, names.as_slice()) {
        (Some(written), _) if names.contains(&written) => Ok(written.into()),
        (None, [only]) => Ok((*only).into()),
        // Said of the network.
        (_, []) => Ok(written.unwrap_or_default().into()),
        (Some(written), [only]) => Err(Invalid::new(
            format!("there is no data set `{written}`"),
            format!("the network's is `{only}`; name that, or leave `data_set` out"),
        )),
        (Some(written), _) => {
            Err(Invalid::new(format!("there is no data set `{written}`"), format!("{}; name one of them", listed())))
        }
        (None, _) => Err(Invalid::new("is missing: there are several data sets", format!("{}; name one", listed()))),
    }
}

/// What is not stated follows from the goal; of staleness and the like only where that speaks of it. `None` after noting a problem, here or with
/// the goal.
fn rho(written: &fragment::Rho, goal: Option<&Goal>, problems: &mut Problems) -> Option<Rho> {
    let mut rho = Rho::default();
    for metric in Metric::ALL {
        let read = |written: &Option<fragment::Quantity>| written.as_ref().map(|it| quantity::rho(metric, it));
        let stated = match metric {
            Metric::ResponseTime => read(&written.response_time),
            Metric::ExecutionTime => read(&written.execution_time),
            Metric::Throughput => read(&written.throughput),
            Metric::NetworkLatency => read(&written.network_latency),
            Metric::Availability => read(&written.availability),
            Metric::DataConsistency => written.data_consistency.map(quantity::positive),
            Metric::Staleness => read(&written.staleness),
            Metric::ResponseTimeP95 => read(&written.response_time_p95),
            Metric::ResponseTimeP99 => read(&written.response_time_p99),
            Metric::ErrorRate => read(&written.error_rate),
        };
        let value = match (stated, goal) {
            (Some(stated), _) => problems.check(format!("rho.{metric}"), stated),
            (None, Some(goal)) if !metric.is_on_demand() || goal.mentions(metric) => {
                let value = defaults::rho(metric, goal);
                problems.left_out("rho", metric.name(), quantity::written(metric, value));
                Some(value)
            }
            (None, _) => None,
        };
        value.into_iter().for_each(|value| rho.set(metric, value));
    }
    // Where one is missing, it was told.
    let needed = Metric::ALL.into_iter().filter(|metric| !metric.is_on_demand());
    needed.into_iter().all(|metric| rho.get(metric).is_some()).then_some(rho)
}

fn costs(agent: &fragment::Agent, problems: &mut Problems) -> Option<BTreeMap<ActionType, f64>> {
    let written = &agent.cost;
    // What it costs to move work matters to nobody whose work stays.
    let move_work = written.move_work.or(agent.may_run_on.is_none().then(|| defaults::cost(ActionType::MoveWork)));
    let mut costs = BTreeMap::from([(ActionType::Nothing, defaults::cost(ActionType::Nothing))]);
    let stated = [
        (ActionType::Move, written.moving),
        (ActionType::Copy, written.copy),
        (ActionType::ChangeReference, written.change_reference),
        (ActionType::Evict, written.evict),
        (ActionType::MoveWork, move_work),
    ];
    for (kind, stated) in stated {
        let cost = problems.number(("cost", kind.name()), stated, defaults::cost(kind));
        costs.extend(problems.check(format!("cost.{kind}"), quantity::positive(cost)).map(|cost| (kind, cost)));
    }
    // One that mends costs what it takes to copy.
    costs.extend(costs.get(&ActionType::Copy).map(|copy| (ActionType::Restore, *copy)));
    (costs.len() == ActionType::ALL.len()).then_some(costs)
}
