//! `agent load`: requests at their intended times.

use crate::app::Purpose;
use crate::app::load::daemon::{self, Daemon, Output};
use crate::app::load::experiments;
use crate::app::load::in_mysql::{self, Copied};
use crate::app::load::{self, Keeping, Network, Options, Outcome, Preview, PreviewedHosts, PreviewedService, Router};
use crate::cli::load_arguments::{Check, Export, Load, Run};
use crate::cli::place::{Place, services};
use crate::cli::{display, load_figures, print, signals};
use agent_core::domain::labels::Labels;
use agent_core::domain::text::{MESSAGE_MAX, legible, legible_lines};
use agent_load::balancer::Host;
use agent_load::generator::{Counted, Progress};
use agent_load::routes::News;
use agent_load::specification::Specification;
use agent_load::steering::Selection;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};

/// Between two lines that say how far it is.
const TOLD_EVERY: Duration = Duration::from_secs(2);

impl Place {
    pub(super) fn load_command(&self, arguments: &Load) -> anyhow::Result<ExitCode> {
        match arguments {
            Load::Run(arguments) => self.run_load(arguments),
            Load::Check(arguments) => check(arguments),
            Load::Queue(arguments) => self.queue_experiment(arguments),
            Load::List(arguments) => self.list_experiments(arguments),
            Load::Show(arguments) => self.show_experiment(arguments),
            Load::Cancel(arguments) => self.cancel_experiments(arguments),
            Load::Daemon(arguments) => self.load_daemon(arguments),
            Load::Host(arguments) => self.load_host(arguments),
            Load::Hosts(arguments) => self.list_load_hosts(arguments),
            Load::Route(arguments) => self.route(arguments),
            Load::Export(arguments) => export(arguments),
        }
    }
}

/// What is changed in the table while load runs is told beside the figures.
pub(super) fn hears_of_routes() -> Arc<dyn Fn(News) + Send + Sync> {
    Arc::new(|news| display::note(&format!("# {}", legible_lines(&news.to_string(), MESSAGE_MAX))))
}

impl Place {
    fn run_load(&self, arguments: &Run) -> anyhow::Result<ExitCode> {
        if let Some(on) = arguments.on.selection() {
            return self.run_on_hosts(arguments, on);
        }
        let specification = load::read(&arguments.file, &arguments.allow)?;
        if !specification.asks_the_table() && !arguments.agents {
            let outcome = services()?.block_on(make(arguments, &specification, None))?;
            return say(arguments, &outcome);
        }
        let mut code = ExitCode::SUCCESS;
        self.with_knowledge(Purpose::Look, async |settings, existing| {
            let network = Network::of(&settings.network, self.data.as_deref(), existing);
            code = say(arguments, &make(arguments, &specification, Some(network)).await?)?;
            Ok(())
        })?;
        Ok(code)
    }
}

impl Place {
    /// The load hosts that joined the table send it, each its share; this process puts together what they recorded.
    fn run_on_hosts(&self, arguments: &Run, on: Selection) -> anyhow::Result<ExitCode> {
        let experiment = experiments::read(&arguments.file, &arguments.allow, None, Some(on))?;
        // Before it is queued.
        arguments.output.as_deref().map_or(Ok(()), load::require_file)?;
        let mysql = arguments.mysql.as_deref().map(in_mysql::schema).transpose()?;
        let mut code = ExitCode::SUCCESS;
        let output = arguments.output.clone();
        let output = output.map(|output| Output::File { output, parquet: arguments.parquet.clone(), mysql });
        self.with_knowledge(Purpose::Change, async |settings, existing| {
            let experiment = experiments::queue(existing.load.as_ref(), experiment).await?;
            let daemon = Daemon {
                network: Network::of(&settings.network, self.data.as_deref(), existing),
                allowed: arguments.allow.clone(),
                threads: arguments.threads,
                output,
                hears_of_routes: hears_of_routes(),
            };
            let mut told = Ok(());
            let mut hears = |news: daemon::News| match news {
                daemon::News::Ended { outcome, .. } => match say(arguments, &outcome) {
                    Ok(said) => code = said,
                    Err(error) => told = Err(error),
                },
                daemon::News::Failed { reason, .. } => told = Err(anyhow::anyhow!(reason)),
                other => display::note(&format!("# {}", legible_lines(&other.to_string(), MESSAGE_MAX))),
            };
            daemon::run_one(&daemon, experiment.id, display::stop(), &mut hears).await?;
            told
        })?;
        Ok(code)
    }
}

/// `network`: whose table routes services, and whose agents' deeds are kept.
async fn make(arguments: &Run, specification: &Specification, network: Option<Network>) -> anyhow::Result<Outcome> {
    let Run { threads, allow, output, parquet, mysql, .. } = arguments;
    let router = network.as_ref().map(|network| Router {
        table: network.load.clone(),
        allowed: allow.clone(),
        tell: hears_of_routes(),
    });
    let mysql = mysql.as_deref().map(in_mysql::schema).transpose()?;
    let keeping = output.clone().map(|output| Keeping {
        parquet: parquet.clone(),
        mysql,
        ..Keeping::of_network(output, network.clone())
    });
    let options =
        Options { threads: *threads, name: experiments::machine(), labels: Labels::new(), keeping, router, network };
    let progress = Arc::new(Progress::default());
    let running = load::run(specification, &options, progress.clone(), display::stop());
    tokio::select! {
        outcome = running => outcome,
        never = tell(&progress, !arguments.json) => never,
    }
}

fn say(arguments: &Run, outcome: &Outcome) -> anyhow::Result<ExitCode> {
    if arguments.json {
        print::json(outcome)?
    } else {
        print::lines(lines(outcome))?
    }
    Ok(match (outcome.is_stopped, &outcome.not_recorded, outcome.is_short()) {
        (_, Some(_), _) => ExitCode::FAILURE,
        (true, None, _) => ExitCode::from(signals::INTERRUPTED),
        (false, None, true) if arguments.strict => ExitCode::FAILURE,
        (false, None, true | false) => ExitCode::SUCCESS,
    })
}

/// Says now and then how far it is.
async fn tell<T>(progress: &Progress, tells: bool) -> T {
    let began = Instant::now();
    let mut ticks = tokio::time::interval_at(began + TOLD_EVERY, TOLD_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if tells {
            display::note(&format!(
                "# {} s: {} requests, {} have ended, {} errors, {} late, {} dropped",
                began.elapsed().as_secs(),
                progress.intended(),
                progress.ended(),
                progress.errors(),
                progress.late(),
                progress.dropped(),
            ));
        }
    }
}

/// Copies what a file keeps to where else it is wanted.
fn export(arguments: &Export) -> anyhow::Result<ExitCode> {
    let Export { file, parquet, mysql, json } = arguments;
    let mysql = mysql.as_deref().map(in_mysql::schema).transpose()?;
    let exported = services()?.block_on(load::export(file, parquet.as_deref(), mysql.as_ref()))?;
    if *json {
        print::json(&exported)?;
        return Ok(ExitCode::SUCCESS);
    }
    let written = exported.parquet.iter().map(|file| format!("written {}", file.display()));
    let copied = exported.mysql.zip(mysql.as_ref()).map(|(Copied { runs, rows }, url)| {
        let runs = if runs == 1 { "1 run".to_owned() } else { format!("{runs} runs") };
        format!("{runs}, {rows} rows in all, are in {url}")
    });
    print::lines(written.chain(copied))?;
    Ok(ExitCode::SUCCESS)
}

fn check(arguments: &Check) -> anyhow::Result<ExitCode> {
    let preview = load::preview(&load::read(&arguments.file, &arguments.allow)?);
    if arguments.json {
        print::json(&preview)?
    } else {
        print::lines(preview_lines(&preview))?
    }
    Ok(ExitCode::SUCCESS)
}

fn preview_lines(preview: &Preview) -> Vec<String> {
    let Preview { name, seed, services, clients } = preview;
    let mut lines = vec![format!("{name}, seed {seed}")];
    for service in services {
        let host = |(address, weight): (&String, &f64)| Host::new(address, *weight).to_string();
        lines.push(match &service.listed {
            Some(PreviewedHosts { balancer, hosts }) => {
                let hosts: Vec<String> = hosts.iter().map(host).collect();
                format!("service {}: {}; {balancer}", service.name, hosts.join(", "))
            }
            None => format!("service {}: {}", service.name, where_the_table_says(service)),
        });
    }
    for client in clients {
        let requests = client.requests.map_or_else(|| "more than can be counted".to_owned(), |count| count.to_string());
        lines.push(format!(
            "client of {}: {} x {}; {requests} requests, the last one counted at {:.3} s",
            client.service, client.sources, client.request, client.until_s
        ));
    }
    lines
}

fn where_the_table_says(service: &PreviewedService) -> String {
    match (&service.data_set, service.agent) {
        (Some(data_set), Some(agent)) => format!("the replica of {data_set} that agent {agent} refers to"),
        (Some(data_set), None) => format!("the replicas of {data_set}, as the network's catalogue says"),
        (None, _) => "where the network's table routes it".to_owned(),
    }
}

pub(super) fn lines(outcome: &Outcome) -> Vec<String> {
    let Outcome { name, seed, is_stopped, not_recorded, passed_over, load_hosts, figures } = outcome;
    let mut also = Vec::new();
    also.extend(outcome.shortfall());
    also.extend(not_recorded.as_ref().map(|why| format!("NOT ALL RECORDED: {why}")));
    if figures.traces_missed > 0 {
        also.push(format!("{} requests are not in the file: writing was too slow for them", figures.traces_missed));
    }
    if *passed_over > 0 {
        also.push(format!("{passed_over} times a nearer host was passed over, because it was busy"));
    }
    also.extend(load_hosts.iter().filter_map(|host| {
        let Counted { intended, sent, late, dropped, .. } = host.counted.as_ref()?;
        let name = legible(&host.load_host, MESSAGE_MAX);
        Some(format!(
            "load host {name}: {intended} requests meant, {sent} sent, {late} of them late; {dropped} dropped"
        ))
    }));
    let stopped = if *is_stopped { ", stopped before its end" } else { "" };
    load_figures::lines(&format!("{name}, seed {seed}{stopped}"), also, figures)
}
