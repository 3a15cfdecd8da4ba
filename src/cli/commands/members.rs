//! `agent members` and `agent query`: who is in the network, and how a node is, asked of the members themselves.

use super::follow::until_stopped;
use crate::app::members::{self, Knowing};
use crate::app::{self, Failure, Purpose};
use crate::cli::display;
use crate::cli::member_arguments::{Members, Metric, Query};
use crate::cli::place::{Place, services};
use crate::cli::print;
use crate::membership::asking::{Around, Asked};
use agent_core::clock::WallTime;
use agent_core::config::settings::Settings;
use agent_core::domain::ids::NodeId;
use agent_core::domain::units::{show_bytes, show_duration};
use agent_membership::{Answered, Holder, Intent, Listed, Own, QueryFailed};
use anyhow::{anyhow, bail};
use serde::Serialize;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

/// The table is asked for no longer than this: members know without it.
const TABLE_WITHIN: Duration = Duration::from_secs(2);

/// A member, for machines.
#[derive(Serialize)]
struct MemberDocument<'a> {
    node: u32,
    name: &'a str,
    standing: &'static str,
    address: SocketAddr,
    incarnation: u64,
    version: u64,
    age_s: f64,
}

impl Place {
    pub(super) fn members(&self, arguments: &Members) -> anyhow::Result<ExitCode> {
        if let Some(node) = arguments.forget {
            return self.forget_key(node, arguments.json);
        }
        let settings = self.settings()?;
        services()?.block_on(async {
            let around = self.around(&settings, arguments.at.as_deref()).await?;
            let show = async || {
                let (by, listed) = around.list(arguments.deadline).await?;
                match (arguments.json, arguments.watch) {
                    (true, true) => print::json_line(&documents(&listed)),
                    (true, false) => print::json(&documents(&listed)),
                    (false, _) => print::lines(member_lines(by, &listed)),
                }
            };
            repeat(arguments.watch, arguments.json, show).await
        })?;
        Ok(ExitCode::SUCCESS)
    }

    pub(super) fn query(&self, arguments: &Query) -> anyhow::Result<ExitCode> {
        let settings = self.settings()?;
        let asked = Asked {
            node: agent_membership::NodeId(arguments.node.0),
            quorum: arguments.quorum.into(),
            within: arguments.within,
            deadline: arguments.deadline,
        };
        services()?.block_on(async {
            let around = self.around(&settings, arguments.at.as_deref()).await?;
            let show = async || {
                let answered = around.query(&asked).await?.map_err(|failed| anyhow!(what_was_seen(&failed)))?;
                match (arguments.json, arguments.watch) {
                    (true, true) => print::json_line(&answer_document(&answered)),
                    (true, false) => print::json(&answer_document(&answered)),
                    (false, _) => print::lines(answer_lines(&answered, arguments.metric)),
                }
            };
            repeat(arguments.watch, arguments.json, show).await
        })?;
        Ok(ExitCode::SUCCESS)
    }

    fn forget_key(&self, node: NodeId, json: bool) -> anyhow::Result<ExitCode> {
        self.changing(async |_, knowledge| {
            knowledge.forget_key(node).await?;
            match json {
                true => print::json(&serde_json::json!({ "forgotten": node.0 })),
                false => print::lines([format!(
                    "node {node} may come with another key; the first that it is started with is its key"
                )]),
            }
        })
    }

    /// Where members are, with or without the table.
    async fn around(&self, settings: &Settings, at: Option<&str>) -> anyhow::Result<Around> {
        let network = &settings.network;
        let at = match at {
            Some(address) => resolved(address).await?,
            None => Vec::new(),
        };
        let data = app::existing_directory(network, self.data.as_deref()).ok();
        let runtime = tokio::runtime::Handle::current();
        let opening = app::existing_knowledge(network, self.data.as_deref(), Purpose::Look, &runtime);
        let opened = tokio::time::timeout(TABLE_WITHIN, opening).await;
        let existing = opened.map_err(|_| anyhow!("it does not answer")).and_then(|opened| opened);
        let is_told = at.is_empty();
        let knowing = Knowing { network, data: data.as_ref(), at };
        let table = existing.as_ref().ok().map(|existing| existing.knowledge.as_ref());
        let (around, why) = members::around(knowing, table).await;
        let why = existing.err().map(|error| format!("{error:#}")).or(why).filter(|_| is_told);
        if let Some(why) = why {
            display::note(&format!("# without the table: {why}"));
        }
        Ok(around)
    }
}

async fn resolved(address: &str) -> anyhow::Result<Vec<SocketAddr>> {
    let wrong =
        || Failure::Configuration(format!("--at {address}: write it like `10.0.0.4:7946`, and see that it resolves"));
    let found: Vec<SocketAddr> = tokio::net::lookup_host(address).await.map_err(|_| wrong())?.collect();
    if found.is_empty() {
        bail!(wrong());
    }
    Ok(found)
}

/// Once, or until Ctrl-C; what fails then is shown, and tried again.
async fn repeat(watch: bool, json: bool, show: impl AsyncFn() -> anyhow::Result<()>) -> anyhow::Result<()> {
    if !watch {
        return show().await;
    }
    until_stopped(async || {
        if !json {
            print::clear_screen()?;
            print::lines([WallTime::now().to_string()])?;
        }
        if let Err(error) = show().await {
            display::note(&format!("{error:#}"));
        }
        Ok(())
    })
    .await
}

fn documents(listed: &[Listed]) -> Vec<MemberDocument<'_>> {
    listed
        .iter()
        .map(|listed| MemberDocument {
            node: listed.node.0,
            name: &listed.name,
            standing: listed.standing.name(),
            address: listed.address,
            incarnation: listed.incarnation,
            version: listed.version,
            age_s: Duration::from_millis(listed.age_ms).as_secs_f64(),
        })
        .collect()
}

fn member_lines(by: SocketAddr, listed: &[Listed]) -> Vec<String> {
    let mut lines =
        vec![format!("as {by} sees them"), "node  name         standing  heard of     start  address".to_owned()];
    lines.extend(listed.iter().map(|listed| {
        let Listed { node, name, address, incarnation, age_ms, .. } = listed;
        let (standing, heard) =
            (listed.standing.name(), format!("{} ago", show_duration(Duration::from_millis(*age_ms))));
        format!("{:<5} {name:<12} {standing:<9} {heard:<12} {incarnation:<6} {address}", node.0)
    }));
    lines
}

/// A node's record as a document.
#[derive(Serialize)]
struct AnswerDocument<'a> {
    node: u32,
    incarnation: u64,
    version: u64,
    age_s: f64,
    address: SocketAddr,
    public_key: String,
    #[serde(flatten)]
    own: &'a Own,
    /// Who holds it, none older than was asked for.
    agreed: Vec<String>,
    messages_sent: u64,
    messages_received: u64,
    took_s: f64,
}

fn answer_document(answered: &Answered) -> AnswerDocument<'_> {
    let record = answered.record.record();
    AnswerDocument {
        node: record.node.0,
        incarnation: record.incarnation,
        version: record.version,
        age_s: answered.age.as_secs_f64(),
        address: record.address,
        public_key: record.key.to_string(),
        own: &record.own,
        agreed: answered.agreed.iter().map(who).collect(),
        messages_sent: answered.sent,
        messages_received: answered.received,
        took_s: answered.took.as_secs_f64(),
    }
}

fn who(holder: &Holder) -> String {
    match holder.node {
        Some(node) => format!("node {node}"),
        None => holder.address.to_string(),
    }
}

fn answer_lines(answered: &Answered, metric: Option<Metric>) -> Vec<String> {
    let record = answered.record.record();
    let own = &record.own;
    if let Some(metric) = metric {
        return vec![value(own, metric)];
    }
    let intent = match own.intent {
        Intent::Running => "running",
        Intent::Draining => "draining",
        Intent::Left => "left",
    };
    let mut lines = vec![
        format!(
            "node {} ({}), {intent}, {} ago; start {}, version {}",
            record.node,
            own.name,
            show_duration(answered.age),
            record.incarnation,
            record.version
        ),
        format!(
            "agreed by  {}; {} messages sent, {} received",
            answered.agreed.iter().map(who).collect::<Vec<_>>().join(", "),
            answered.sent,
            answered.received
        ),
        format!("address    {}", record.address),
    ];
    lines.extend(own.store_url.iter().map(|url| format!("store      {url}")));
    lines.push(format!(
        "machine    {} cores, cpu {}, load {}, memory {} of {} free, disk {} free, network {}/s",
        own.cores,
        value(own, Metric::Cpu),
        value(own, Metric::Load),
        show_bytes(own.memory_free),
        show_bytes(own.memory_total),
        show_bytes(own.disk_free),
        show_bytes(own.network_bytes_per_s),
    ));
    lines.extend(own.replicas.iter().map(|replica| match replica.version {
        0 => format!("data set   {}: none here; placement {}", replica.data_set, replica.generation),
        version => format!("data set   {}: version {version}; placement {}", replica.data_set, replica.generation),
    }));
    lines.extend(own.labels.iter().map(|label| format!("label      {} = {}", label.key, label.value)));
    lines.extend(own.links.iter().map(|link| {
        let rate = link.bytes_per_s.map(|rate| format!(", {}/s", show_bytes(rate))).unwrap_or_default();
        let (ms, lost) = (f64::from(link.round_trip_us) / 1e3, f64::from(link.loss_permille) / 10.0);
        format!("link       to node {}: {ms:.2} ms, {lost:.1} % lost{rate}", link.peer)
    }));
    lines
}

/// A number and its unit, as in the list of metrics.
fn value(own: &Own, metric: Metric) -> String {
    match metric {
        Metric::Cpu => format!("{:.1} %", f64::from(own.cpu_permille) / 10.0),
        Metric::Memory => format!("{}", own.memory_free),
        Metric::Disk => format!("{}", own.disk_free),
        Metric::Load => format!("{:.2}", f64::from(own.load_percent) / 100.0),
        Metric::Network => format!("{}", own.network_bytes_per_s),
        Metric::Cores => format!("{}", own.cores),
    }
}

fn what_was_seen(failed: &QueryFailed) -> String {
    const SHOWN: usize = 10;
    let seen = failed.seen.iter().take(SHOWN).map(|holder| {
        let who = who(holder);
        match &holder.record {
            Some(record) => format!(
                "\n  {who} holds version {} of start {}, {} old",
                record.record().version,
                record.record().incarnation,
                show_duration(holder.age)
            ),
            None => format!("\n  {who} knows nothing of it"),
        }
    });
    let more = failed.seen.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
    format!(
        "{failed}; {} messages were sent{}{more}\n  help: ask with a smaller --quorum, a longer --within or a longer --deadline",
        failed.sent,
        seen.collect::<String>()
    )
}
