//! Results for people and for machines.

use crate::actors::{RESULT_SHOWN, show_metrics};
use crate::app::change::Changed;
use crate::app::costs::{BudgetStatus, Costs};
use crate::app::data_sets::Listed;
use crate::app::database::Report;
use crate::app::environment::Environment;
use crate::app::nodes::Newcomers;
use crate::app::output;
use crate::app::plan::{Plan, Step};
use crate::app::status::{AgentStatus, Behind, NetworkStatus, NodeStatus, ReplicaStatus, Status};
use crate::app::stores::CheckedStore;
use crate::app::summary::Summary;
use crate::app::why_not::WhyNot;
use crate::knowledge::Feedback;
use crate::knowledge::mysql::{Finding, Prepared};
use agent_core::clock::{TimeScale, WallTime};
use agent_core::config::settings::KnowledgeSettings;
use agent_core::domain::action::Action;
use agent_core::domain::event::{Event, Outcome, Window};
use agent_core::domain::ids::{AgentId, NodeId};
use agent_core::domain::measurement::JobTally;
use agent_core::domain::metric::Metric;
use agent_core::domain::placement::{Link, Node, Replica, ReplicaState};
use agent_core::domain::text::{LINE_MAX, legible, legible_json, shortened};
use agent_core::domain::units::{show_bytes, show_duration};
use agent_core::mape::planner::{
    Basis, Clairvoyance, Decision, Deliberation, Opinion, Prospect, Reason, Scored, Verdict,
};
use agent_core::mape::prediction::{Estimate, Forecast};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::io::{Result as IoResult, Write};
use std::path::Path;
use std::time::Duration;

/// Where results are told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Channel {
    Output,
    /// Standard output is a document that the command was asked for.
    Error,
}

/// Where to tell what a command came to that writes this.
pub fn beside(output: Option<&Path>) -> Channel {
    if output.is_some_and(output::is_standard) { Channel::Error } else { Channel::Output }
}

impl Channel {
    /// One document.
    pub fn json(self, document: &impl Serialize) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(document)?;
        self.write(|out| writeln!(out, "{}", legible_json(&text)))
    }

    /// Lines, with nothing hidden in what others wrote; fails when nobody reads them, instead of panicking.
    pub fn lines(self, all: impl IntoIterator<Item = String>) -> anyhow::Result<()> {
        self.write(|out| all.into_iter().try_for_each(|line| writeln!(out, "{}", legible(&line, LINE_MAX))))
    }

    fn write(self, write: impl FnOnce(&mut dyn Write) -> IoResult<()>) -> anyhow::Result<()> {
        Ok(match self {
            Channel::Output => write(&mut std::io::stdout().lock()),
            Channel::Error => write(&mut std::io::stderr().lock()),
        }?)
    }
}

/// One document on standard output.
pub fn json(document: &impl Serialize) -> anyhow::Result<()> {
    Channel::Output.json(document)
}

/// One document on one line.
pub fn json_line(document: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string(document)?;
    Ok(writeln!(std::io::stdout().lock(), "{}", legible_json(&text))?)
}

/// A text of several lines.
pub fn text(text: &str) -> anyhow::Result<()> {
    lines(text.lines().map(str::to_owned))
}

/// Lines on standard output.
pub fn lines(all: impl IntoIterator<Item = String>) -> anyhow::Result<()> {
    Channel::Output.lines(all)
}

pub fn list<T: Display>(items: impl IntoIterator<Item = T>, join: &str) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(join)
}

pub fn status(network: &NetworkStatus) -> anyhow::Result<()> {
    match network {
        NetworkStatus::One(status) => one_data_set(status),
        NetworkStatus::Several { converged, data_sets } => several_data_sets(*converged, data_sets),
    }
}

fn one_data_set(status: &Status) -> anyhow::Result<()> {
    let mut text = vec![format!("data set {}{}", status.data_set, version(status)), String::new()];
    text.extend(node_lines(status));
    text.push(String::new());
    text.push(format!("replicas  {}", replicas_line(&status.replicas)));
    text.extend(guard_lines(status));
    text.push(String::new());
    text.extend(status.agents.iter().map(agent_line));
    text.extend(status.costs.iter().flat_map(cost_lines));
    text.push(String::new());
    text.push(if status.converged { "converged".to_owned() } else { "not converged".to_owned() });
    text.extend(status.unhealthy.iter().map(|what| format!("UNHEALTHY: {what}")));
    text.extend(status.broken.iter().map(|broken| format!("BROKEN: {broken}")));
    lines(text)
}

/// The nodes, which all data sets share, once; then each data set with its readers.
fn several_data_sets(converged: bool, data_sets: &[Status]) -> anyhow::Result<()> {
    let mut text = Vec::new();
    text.extend(data_sets.first().into_iter().flat_map(node_lines));
    for status in data_sets {
        text.push(String::new());
        let whether = if status.converged { "" } else { "  (not converged)" };
        text.push(format!("data set {}{}{whether}", status.data_set, version(status)));
        text.push(format!("replicas  {}", replicas_line(&status.replicas)));
        text.extend(guard_lines(status));
        text.extend(status.agents.iter().map(agent_line));
    }
    text.extend(data_sets.first().and_then(|status| status.costs.as_ref()).into_iter().flat_map(cost_lines));
    text.extend(
        data_sets.iter().skip(1).flat_map(|status| &status.costs).flat_map(|costs| &costs.beyond).map(beyond_line),
    );
    text.push(String::new());
    text.push(if converged { "converged".to_owned() } else { "not converged".to_owned() });
    // What is wrong with a node is wrong for each data set.
    let unhealthy: BTreeSet<&String> = data_sets.iter().flat_map(|status| &status.unhealthy).collect();
    text.extend(unhealthy.into_iter().map(|what| format!("UNHEALTHY: {what}")));
    text.extend(data_sets.iter().flat_map(|status| &status.broken).map(|broken| format!("BROKEN: {broken}")));
    lines(text)
}

/// Behind a data set's name, where its owner has written it again.
fn version(status: &Status) -> String {
    if status.version > 1 { format!(", version {}", status.version) } else { String::new() }
}

/// What is spent, and how the budgets stand.
fn cost_lines(costs: &Costs) -> Vec<String> {
    let Costs { currency, today, spent_today, budgets, beyond } = costs;
    let kinds = list(today.iter().map(|(kind, amount)| format!("{} {amount}", kind.name())), ", ");
    let kinds = if kinds.is_empty() { String::new() } else { format!(" ({kinds})") };
    let mut text = vec![String::new(), format!("spent today  {spent_today} {currency}{kinds}")];
    text.extend(budgets.iter().map(|status| {
        let BudgetStatus { agent, budget, spent, bound, left, renewed_in_scenario_s } = status;
        let whose = agent.map_or_else(|| "the network".to_owned(), |agent| format!("agent {agent}"));
        let renewed = seconds(*renewed_in_scenario_s);
        format!("budget       {whose}: {spent} of {budget} spent, {bound} more bound, {left} left for {renewed} more")
    }));
    text.extend(beyond.iter().map(beyond_line));
    text
}

fn beyond_line(beyond: &String) -> String {
    format!("BUDGET: {beyond}")
}

/// What is forbidden, and whether everything is held.
fn guard_lines(status: &Status) -> Vec<String> {
    let constraints = status.guard.constraints.listed();
    let mut text: Vec<String> =
        (!constraints.is_empty()).then(|| format!("held to   {}", constraints.join(", "))).into_iter().collect();
    text.extend(status.paused.then(|| "PAUSED: no action is begun; `agent resume` ends that".to_owned()));
    text
}

fn node_lines(status: &Status) -> Vec<String> {
    let mut text = Vec::new();
    text.push("node  name        state     availability  stored     latency to others".to_owned());
    text.extend(status.nodes.iter().map(|node| {
        let latency = list(node.latency_ms.iter().map(|(to, ms)| latency_to(node, *to, *ms)), ", ");
        let (row, stored) = (&node.node, show_bytes(node.stored_bytes));
        let (state, availability) = (row.state.name(), row.availability.to_string());
        let silent = silence(node.silent_since);
        format!("{:<5} {:<11} {state:<9} {availability:<13} {stored:<10} {latency}{silent}", row.id, row.name)
    }));
    text
}

/// What is known now of the nodes and links that an event was about.
pub fn environment(environment: &Environment) -> anyhow::Result<()> {
    let nodes = environment.nodes.iter().map(|node| format!("  {node}"));
    let links = environment.links.iter().map(|link| format!("  {link}"));
    lines([String::new(), "what is known now".to_owned()].into_iter().chain(nodes).chain(links))
}

/// What is in force, and what was measured.
fn latency_to(node: &NodeStatus, to: NodeId, in_force_ms: f64) -> String {
    let Some(measured) = node.measured_links.iter().find(|link| link.to == to) else {
        return format!("{to}: {in_force_ms} ms");
    };
    let lost =
        if measured.loss_percent >= 0.05 { format!(", {:.1} % lost", measured.loss_percent) } else { String::new() };
    match measured.latency_ms == in_force_ms {
        true => format!("{to}: {in_force_ms:.2} ms measured{lost}"),
        false => format!("{to}: {in_force_ms} ms (measured {:.2} ms{lost})", measured.latency_ms),
    }
}

/// A line for each.
pub fn data_sets(data_sets: &[Listed]) -> anyhow::Result<()> {
    if data_sets.is_empty() {
        return lines(["there is no data set in the catalogue yet".to_owned()]);
    }
    let row = |listed: &Listed| {
        let Listed { data_set, replicas, readers } = listed;
        let or_none = |text: String| if text.is_empty() { "-".to_owned() } else { text };
        let (replicas, readers) = (or_none(list(replicas, ", ")), or_none(list(readers, ", ")));
        let records = if data_set.records == 0 { "-".to_owned() } else { data_set.records.to_string() };
        let (name, bytes) = (&data_set.name, show_bytes(data_set.bytes));
        format!("{name:<20} {bytes:<10} {records:<9} {replicas:<14} {readers:<14} {}", data_set.object_key)
    };
    let head =
        format!("{:<20} {:<10} {:<9} {:<14} {:<14} object", "data set", "size", "records", "on nodes", "read by");
    lines(std::iter::once(head).chain(data_sets.iter().map(row)))
}

pub fn prepared(table: &KnowledgeSettings, prepared: &Prepared) -> anyhow::Result<()> {
    let Prepared { from_version, to_version } = prepared;
    let what = match from_version {
        None => format!("the tables are made, version {to_version}"),
        Some(from) if from == to_version => format!("nothing to do, the tables are of version {to_version}"),
        Some(from) => format!("the tables are brought from version {from} to {to_version}"),
    };
    lines([format!("{table}: {what}")])
}

pub fn database(report: &Report) -> anyhow::Result<()> {
    let finding = |finding: &Finding| {
        let verdict = if finding.is_well { "ok" } else { "PROBLEM" };
        format!("{verdict:<8} {:<11} {}", finding.what, finding.detail)
    };
    let mut text = vec![report.address.clone()];
    text.extend(report.findings.iter().map(finding));
    text.extend(report.broken.iter().map(|broken| format!("BROKEN: {broken}")));
    lines(text)
}

/// A line for each store and step.
pub fn stores(stores: &[CheckedStore]) -> anyhow::Result<()> {
    let mut text = vec![String::new(), "store       step    outcome".to_owned()];
    if stores.is_empty() {
        text.push("(all are embedded: agents start them)".to_owned());
    }
    for store in stores {
        text.extend(store.steps.iter().map(|step| {
            let outcome = step.error.as_ref().map_or_else(|| "ok".to_owned(), |error| format!("FAILED: {error}"));
            format!("{:<10}  {:<8}{outcome}", format!("node {}", store.node), step.name)
        }));
        text.extend(
            store.remarks.iter().map(|remark| format!("{:<10}  remark  {remark}", format!("node {}", store.node))),
        );
    }
    lines(text)
}

/// `node 1 <- agents 1, 3   node 2 <- agent 2`
pub fn replicas_line(replicas: &[ReplicaStatus]) -> String {
    let one = |replica: &ReplicaStatus| {
        let state = match (replica.state, replica.behind) {
            (ReplicaState::Present, None) => String::new(),
            (ReplicaState::Present, Some(Behind { version, staleness_scenario_s })) => {
                format!(" (version {version}, {staleness_scenario_s:.0} s behind)")
            }
            (other, _) => format!(" ({})", other.name()),
        };
        let readers = match replica.readers.as_slice() {
            [] => "nobody".to_owned(),
            [one] => format!("agent {one}"),
            many => format!("agents {}", list(many, ", ")),
        };
        format!("node {}{state} <- {readers}", replica.node)
    };
    list(replicas.iter().map(one), "   ")
}

/// What is said behind a node of which nobody has heard for too long.
fn silence(since: Option<WallTime>) -> String {
    since.map_or(String::new(), |since| format!("  silent since {since}"))
}

/// `3 of 20 jobs violated, 2 more failed`
fn tally(tally: &JobTally) -> String {
    format!("{} of {} jobs violated, {} more failed", tally.violated, tally.jobs, tally.failed)
}

/// Longer goals are shown by their beginning \[characters\].
const GOAL_SHOWN: usize = 200;

pub fn agent_line(agent: &AgentStatus) -> String {
    let registration = &agent.peer.registration;
    let goal_met = match (agent.failure(), agent.goal_met) {
        (Some(failure), _) => format!("FAILED ({})", failure.kind),
        (None, None) => "no job yet".to_owned(),
        (None, Some(true)) => "goal met".to_owned(),
        (None, Some(false)) => "VIOLATED".to_owned(),
    };
    let alive = match (agent.alive, agent.silent_since) {
        (true, _) => String::new(),
        (false, None) => " (not running)".to_owned(),
        (false, Some(since)) => format!(" (silent since {since})"),
    };
    let reads = agent.reads.map_or("nothing".to_owned(), |node| format!("node {node}"));
    let runs_at = agent.peer.seat().away().map_or(String::new(), |node| format!(", jobs moved to node {node}"));
    let last = agent.last.as_ref().filter(|last| last.failure.is_none()).map_or(String::new(), |last| {
        let result = last.result.as_ref().map(|result| format!(", result {}", shortened(result, RESULT_SHOWN)));
        format!(", {}{}", show_metrics(&last.metrics), result.unwrap_or_default())
    });
    let success = match agent.last_success {
        _ if agent.failed_in_a_row == 0 => String::new(),
        None => ", no success yet".to_owned(),
        Some(success) => format!(", no success since {}", success.at),
    };
    let converged = if agent.peer.health.converged { ", converged" } else { "" };
    let unexpected = match agent.peer.health.unexpected {
        0 => String::new(),
        count => format!(", {count} unexpected inputs (a fault in this program; please report it)"),
    };
    format!(
        "agent {}{alive}  {goal_met}{converged}{unexpected}, reads {reads}{runs_at}, {}{success}{last}  [{}]",
        registration.agent,
        tally(&agent.tally),
        shortened(&registration.goal, GOAL_SHOWN)
    )
}

/// With the instant on the wall in front. `several`: there are several data sets, of which it names its own.
pub fn event_line(event: &Event, several: bool, scale: TimeScale) -> String {
    format!("{}  {}", scale.on_the_wall(event.posted_at), what_event(event, several))
}

/// With the second of the simulation in front.
pub fn simulated_event_line(event: &Event, several: bool) -> String {
    format!("{:>12.3} s  {}", event.posted_at.0 as f64 / 1e3, what_event(event, several))
}

fn what_event(event: &Event, several: bool) -> String {
    let explored = if event.explored { "  explored" } else { "" };
    let window = match event.window {
        Window::Open => "open",
        Window::Closed => "closed",
    };
    format!(
        "event {:<4} agent {}  {:<5} {:<8} window {window:<6} feedback {:.2}{explored}",
        event.id,
        event.agent,
        event.labelled(several),
        event.outcome.name(),
        event.feedback_sum
    )
}

/// `scale`: of the agents that decided; absent in a simulation, which knows no wall.
pub fn explain(
    event: &Event,
    decision: &Decision,
    feedback: &[Feedback],
    scale: Option<TimeScale>,
) -> anyhow::Result<()> {
    let because = match decision.chosen.reason {
        Reason::HighestScore { global } => format!("its score {global:+.4} is the highest"),
        Reason::Explored => "taken at random, to explore".to_owned(),
        Reason::NothingFeasible => "no candidate was feasible".to_owned(),
        Reason::Planned { .. }
        | Reason::Better { .. }
        | Reason::Idle
        | Reason::Agreed { .. }
        | Reason::Foreknown { .. }
        | Reason::Damaged
        | Reason::Outdated
        | Reason::Demanded
        | Reason::Person
        | Reason::External => decision.because(),
    };
    let who = match decision.clairvoyance {
        None => format!("agent {}", decision.agent),
        Some(_) => format!("the oracle, for agent {},", decision.agent),
    };
    let mut text = vec![
        format!("event {}: {who} chose {} ({})", event.id, event.action, meaning(event.action)),
        format!("  because   {because}"),
        posted_line(event, scale),
        format!("  policy    {}", decision.policy),
        format!("  goal      {}", decision.goal),
    ];
    match &decision.clairvoyance {
        None => text.extend([
            format!("  violated  {}", or_nothing(list(&decision.violated, ", "), "nothing yet")),
            format!("  measured  {}", or_nothing(show_metrics(&decision.measured), "nothing yet")),
        ]),
        Some(clairvoyance) => text.extend(clairvoyance_lines(clairvoyance)),
    }
    text.extend([
        format!("  read      node {}; replicas on {}", decision.reference_node, list(&decision.replica_nodes, ", ")),
        format!("  outcome   {}, {}", event.outcome.name(), window_text(event, feedback)),
    ]);
    text.extend(decision.price.iter().map(|price| format!("  price     {price}")));
    text.extend(failure(event).map(|why| format!("  because   {why}")));
    text.extend(decision.deliberation.as_ref().map(deliberation_lines).into_iter().flatten());
    if let Some(one) = decision.scored.first() {
        text.extend([String::new(), candidate_title(one).to_owned()]);
    }
    let mut scored: Vec<&Scored> = decision.scored.iter().collect();
    scored.sort_by(|a, b| b.global().total_cmp(&a.global()));
    text.extend(scored.into_iter().map(|one| candidate_line(one, event.action)));
    // Who chooses at random scores nothing.
    if decision.left_out > 0 && !decision.scored.is_empty() {
        text.push(format!("  and {} more, which scored less", decision.left_out));
    }
    text.extend(forecast_lines(decision));
    text.extend(work_lines(decision));
    lines(text)
}

fn posted_line(event: &Event, scale: Option<TimeScale>) -> String {
    match scale {
        Some(scale) => format!("  posted    {}", scale.on_the_wall(event.posted_at)),
        None => format!("  posted    at {} s of the scenario", event.posted_at.0 as f64 / 1e3),
    }
}

fn or_nothing(text: String, nothing: &str) -> String {
    if text.is_empty() { nothing.to_owned() } else { text }
}

/// What went wrong, as it was joined to the decision's report.
fn failure(event: &Event) -> Option<String> {
    let report: serde_json::Value = serde_json::from_str(&event.detail).ok()?;
    report.get("failure")?.as_str().map(str::to_owned)
}

fn window_text(event: &Event, feedback: &[Feedback]) -> String {
    let left = list(feedback.iter().map(|one| format!("agent {} left {:.2}", one.agent, one.p)), ", ");
    match (event.window, left.is_empty()) {
        (Window::Open, true) => "no feedback yet".to_owned(),
        (Window::Closed, true) => "nobody left feedback".to_owned(),
        (_, false) => left,
    }
}

/// What the decision is a part of, and what peers said of it.
fn deliberation_lines(deliberation: &Deliberation) -> Vec<String> {
    let reads = deliberation.responses.iter().map(|(agent, node)| format!("agent {agent} node {node}"));
    let mut text = vec![
        format!("  content   to {:.2}", deliberation.level),
        format!("  plan      replicas on {}; then read: {}", list(&deliberation.plan, ", "), list(reads, ", ")),
    ];
    text.extend(deliberation.peers.iter().map(|(agent, Opinion { forecast, weight })| match forecast {
        Some(forecast) => format!("  agent {agent:<3} forecasts {forecast:+.2} for itself, which counts {weight:.2}"),
        None => format!("  agent {agent:<3} has not answered: it must not lose what it reads"),
    }));
    text
}

/// What the oracle knew, and what comes of all steps and of this one.
fn clairvoyance_lines(clairvoyance: &Clairvoyance) -> Vec<String> {
    let Clairvoyance { asked_at, changes, plan, cost, share, bound, readers } = clairvoyance;
    let percent = |share: f64| format!("{:.2} %", share * 100.0);
    let prospect = |of: &Prospect| format!("{} violated as it was, {} then", percent(of.before), percent(of.after));
    let best = match bound {
        None => "no placement is better".to_owned(),
        Some(bound) => format!("no placement is below {}", percent(*bound)),
    };
    let mut text = vec![
        format!("  knew      at {} s: {}", asked_at.0 as f64 / 1e3, list(changes, "; ")),
        format!("  plan      replicas on {}, at a cost of {cost} in all", list(plan, ", ")),
        format!("  expected  of all jobs {}; {best}", prospect(share)),
    ];
    let reader = |(agent, of): (&AgentId, &Prospect)| format!("  agent {agent:<3} is to read it: {}", prospect(of));
    text.extend(readers.iter().map(reader));
    text
}

/// What predicted candidates rest on, node by node.
fn forecast_lines(decision: &Decision) -> Vec<String> {
    if decision.forecasts.is_empty() {
        return Vec::new();
    }
    let title =
        ["".to_owned(), "  predicted    mean and standard deviation, at nodes that were never tried".to_owned()];
    let line = |(node, forecast): (&NodeId, &Forecast)| format!("  node {node:<7} {}", show_forecast(forecast));
    title.into_iter().chain(decision.forecasts.iter().map(line)).collect()
}

/// The same of jobs that would run elsewhere.
fn work_lines(decision: &Decision) -> Vec<String> {
    if decision.work_forecasts.is_empty() {
        return Vec::new();
    }
    let title =
        ["".to_owned(), "  predicted    mean and standard deviation, reading the same from other nodes".to_owned()];
    let line = |(node, forecast): (&NodeId, &Forecast)| format!("  jobs on {node:<4} {}", show_forecast(forecast));
    title.into_iter().chain(decision.work_forecasts.iter().map(line)).collect()
}

/// `response_time 12.3 +- 0.4 s, availability 92.0 +- 0.0 %`.
fn show_forecast(forecast: &Forecast) -> String {
    let show = |metric: Metric| {
        let Estimate { mean, deviation } = forecast.get(metric)?;
        Some(format!("{metric} {mean:.1} +- {deviation:.1} {}", metric.unit()).trim_end().to_owned())
    };
    list(Metric::ALL.into_iter().filter_map(show), ", ")
}

/// Over the lines of candidates like this one.
fn candidate_title(scored: &Scored) -> &'static str {
    match scored.verdict {
        Verdict::Feasible { .. } | Verdict::Infeasible { .. } => {
            "  candidate    score  = internal, weakened by its counter   internal = (pursued, protected) / cost"
        }
        Verdict::Valued { .. } => "  candidate    score    content then, net of its cost",
    }
}

fn candidate_line(scored: &Scored, chosen: Action) -> String {
    let mark = if scored.action == chosen { '>' } else { ' ' };
    match &scored.verdict {
        Verdict::Infeasible { why } => format!("{mark} {:<10} not feasible: {why}", scored.action),
        Verdict::Feasible { appraisal, basis, cost, internal, counter, global, .. } => format!(
            "{mark} {:<10} {global:+8.4}  = {internal:+.2}, counter {counter:<3}   ({:+.3}, {:+.3}) / {cost}{}",
            scored.action,
            appraisal.pursued,
            appraisal.protected,
            match basis {
                Basis::Known => "",
                Basis::Predicted => "  predicted",
            }
        ),
        Verdict::Valued { value, trials: 0, score } => {
            format!("{mark} {:<10} {score:+8.4}  {value:+.2}, predicted", scored.action)
        }
        Verdict::Valued { value, trials, score } => {
            format!("{mark} {:<10} {score:+8.4}  {value:+.2}, tried {trials} times", scored.action)
        }
    }
}

fn meaning(action: Action) -> String {
    match action {
        Action::Nothing => "do nothing".to_owned(),
        Action::Move { from, to } => format!("move the data from node {from} to node {to}"),
        Action::Copy { from, to } => format!("copy the data from node {from} to node {to}"),
        Action::ChangeReference { to } => format!("read the replica on node {to}"),
        Action::Evict { node } => format!("drop the replica on node {node}"),
        Action::Restore { from, to } => format!("make the replica on node {to} anew from the one on node {from}"),
        Action::MoveWork { agent, to } => format!("run the jobs of agent {agent} on node {to}"),
    }
}

pub fn newcomers(newcomers: &Newcomers, seed: Option<u64>) -> anyhow::Result<()> {
    let mut text: Vec<String> = newcomers.nodes.iter().map(|node| newcomer_line(newcomers, node)).collect();
    text.extend(seed.map(|seed| format!("drawn with --seed {seed}")));
    text.extend(newcomers.nodes.iter().filter(|node| node.store_url.is_none()).map(|node| {
        let id = node.id;
        format!(
            "node {id} has no store yet: `agent store --node {id}`, or `agent run` of an application there, starts it"
        )
    }));
    lines(text)
}

/// `node 4 (plant): available 80 %; 2000 ms to and from 1, 500 ms to and from 3`
fn newcomer_line(newcomers: &Newcomers, node: &Node) -> String {
    let way_back = |link: &Link| newcomers.links.iter().find(|back| (back.from, back.to) == (link.to, link.from));
    let latency = |link: &Link| match way_back(link) {
        Some(back) if back.latency_ms != link.latency_ms => {
            format!("{} ms to and {} ms from {}", link.latency_ms, back.latency_ms, link.to)
        }
        _ => format!("{} ms to and from {}", link.latency_ms, link.to),
    };
    let links = newcomers.links.iter().filter(|link| link.from == node.id).map(latency);
    format!("node {} ({}): available {}; {}", node.id, node.name, node.availability, list(links, ", "))
}

/// What a leaving node still holds. It goes on leaving when nobody reads this any more.
pub fn draining(node: NodeId, held: &[Replica]) {
    let _reader_is_gone = lines([draining_line(node, held)]);
}

fn draining_line(node: NodeId, held: &[Replica]) -> String {
    let one = |row: &Replica| format!("replica {} of {} ({})", row.id, row.data_set, row.state.name());
    match held {
        [] => format!("node {node} holds nothing"),
        rows => format!("node {node} drains: {}", list(rows.iter().map(one), ", ")),
    }
}

pub fn changed(changed: &Changed) -> anyhow::Result<()> {
    lines([changed.to_string()])
}

pub fn plan(plan: &Plan) -> anyhow::Result<()> {
    let several = plan.data_sets().len() > 1;
    let step = |step: &Step| {
        let Step { agent, data_set, action, because, .. } = step;
        let label = if several { format!("{data_set}:{action}") } else { action.to_string() };
        let bytes = if step.bytes > 0 { format!(", {} travel", show_bytes(step.bytes)) } else { String::new() };
        let price = step.price.map_or_else(String::new, |quote| format!(", price {quote}"));
        [
            format!("{label}  agent {agent}: {} ({})", meaning(*action), because),
            format!(
                "    begins in {}, takes {}{bytes}, costs {}{price}",
                seconds(step.begins_scenario_s),
                seconds(step.takes_scenario_s),
                step.cost
            ),
        ]
    };
    let mut text: Vec<String> = plan.remarks.iter().map(|remark| format!("# {remark}")).collect();
    text.extend(plan.steps.iter().flat_map(step));
    text.push(match (plan.steps.is_empty(), plan.converges) {
        (true, true) => "nothing to do: every goal holds".to_owned(),
        (true, false) => {
            "nothing to do, though not every goal holds: no action would help, or none may be begun".to_owned()
        }
        (false, true) => format!("{} steps; then every goal holds", plan.steps.len()),
        (false, false) => format!("{} steps; then not every goal holds yet", plan.steps.len()),
    });
    lines(text)
}

fn seconds(seconds: f64) -> String {
    show_duration(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

pub fn why_not(why: &WhyNot) -> anyhow::Result<()> {
    let WhyNot { agent, action, infeasible, refused } = why;
    let mut text = vec![format!("{action} of agent {agent} ({})", meaning(action.action))];
    text.extend(infeasible.iter().map(|why| format!("  infeasible  {why}")));
    text.extend(refused.iter().map(|why| format!("  refused     {why}")));
    lines(text)
}

pub fn summary(summary: &Summary) -> anyhow::Result<()> {
    lines(summary_lines(summary))
}

pub fn summary_lines(summary: &Summary) -> Vec<String> {
    let converged = if summary.converged { "converged" } else { "NOT CONVERGED" };
    let scenario = show_duration(Duration::try_from_secs_f64(summary.scenario_seconds).unwrap_or_default());
    let real = match summary.real_seconds {
        0.0 => String::new(),
        seconds => format!(" ({seconds:.1} s real)"),
    };
    let mut text = vec![
        String::new(),
        format!("{converged} after {scenario} of the scenario{real}, policy {}, seed {}", summary.policy, summary.seed),
        String::new(),
    ];
    let nodes = |nodes: &[NodeId]| list(nodes.iter().map(|node| format!("node {node}")), ", ");
    match summary.data_sets.is_empty() {
        true => text.push(format!("placement   replicas on {}", nodes(&summary.replicas))),
        false => text.extend(
            summary
                .data_sets
                .iter()
                .map(|(name, holders)| format!("placement   {name}: replicas on {}", nodes(holders))),
        ),
    }
    text.extend(summary.agents.iter().map(|agent| {
        let reads = summary.references.get(&agent.id).map_or("nothing".to_owned(), ToString::to_string);
        format!("agent {:<5} reads {reads}, {}, {} actions", agent.id, tally(&agent.tally), agent.actions)
    }));
    text.push(String::new());
    text.push(format!("actions     {}", if summary.actions.is_empty() { "none" } else { "" }).trim_end().to_owned());
    text.extend(summary.actions.iter().map(|action| {
        let how = match action.outcome {
            Outcome::Done => "",
            other => other.name(),
        };
        let explored = if action.explored { "explored" } else { "" };
        let because = match action.because.is_empty() {
            true => "before a goal was missed".to_owned(),
            false => format!("to mend {}", list(&action.because, ", ")),
        };
        format!(
            "  {:>6.0} s  agent {}  {:<5} {explored}{how}  {because}; feedback {:.2}  (event {})",
            action.at_seconds,
            action.agent,
            action.action.to_string(),
            action.feedback,
            action.event
        )
    }));
    if !summary.counters.is_empty() {
        text.push(format!(
            "counters    {}",
            list(summary.counters.iter().map(|(action, value)| format!("{action}: {value}")), ", ")
        ));
    }
    text.push(format!("bytes moved {}", show_bytes(summary.bytes_moved)));
    text
}
