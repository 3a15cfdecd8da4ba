//! `agent simulate`, and explaining what it traced.

use super::explain::explained;
use super::interactive;
use crate::api::server::{self, Of};
use crate::app;
use crate::app::data_directory::DataDirectory;
use crate::app::from_table::{self, FromTable};
use crate::app::interactive::Session;
use crate::app::invocation::Invocation;
use crate::app::pace::{self, Pace};
use crate::app::simulate::Simulated;
use crate::app::vocabulary::VOCABULARY;
use crate::cli::api_arguments::url;
use crate::cli::arguments::Simulate;
use crate::cli::place::{Place, services};
use crate::cli::{display, external, print};
use crate::upisas::contract::Contract;
use crate::upisas::{self, lockstep};
use agent_core::config::scenario;
use agent_core::domain::ids::EventId;
use agent_core::domain::time::Timestamp;
use agent_core::sim::{self, Options, Simulation, Start};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where the tokens of a simulation that is served lie.
const DIRECTORY: &str = "agent-data/simulation";

impl Place {
    pub(super) fn simulate(&self, arguments: &Simulate) -> anyhow::Result<ExitCode> {
        let simulated = self.simulated(arguments)?;
        let lasts = Duration::from_secs_f64(arguments.hours * 3600.0);
        if let Some(address) = arguments.upisas {
            return in_lockstep(&simulated, arguments, address, lasts);
        }
        if let Some(address) = arguments.serve {
            return self.watched(simulated, arguments, address, lasts);
        }
        if arguments.interactive {
            let session = Session::new(&simulated, arguments.policy.as_deref(), arguments.seed)?;
            return interactive::run(session, lasts);
        }
        let options = Options {
            policy: arguments.policy.clone(),
            seed: arguments.seed,
            lasts,
            until_converged: arguments.until_converged,
        };
        let summary = app::simulate::run(&simulated, &options, arguments.trace.as_deref(), progress(lasts))?;
        let beside = print::beside(arguments.trace.as_deref());
        if arguments.json {
            beside.json(&summary)?
        } else {
            beside.lines(print::summary_lines(&summary))?
        }
        Ok(ExitCode::SUCCESS)
    }

    /// It goes on by itself, for people to watch and change, until it is stopped.
    fn watched(
        &self,
        simulated: Simulated,
        arguments: &Simulate,
        address: SocketAddr,
        lasts: Duration,
    ) -> anyhow::Result<ExitCode> {
        let Simulated { scenario, state } = &simulated;
        let start = Start { policy: arguments.policy.as_deref(), seed: arguments.seed, state: state.as_ref() };
        let mut simulation = Simulation::new(scenario, start)?;
        simulation.listen(Some(pace::noting_jobs(&simulation)));
        let pace = Arc::new(Pace::new(simulation.now() + lasts));
        let services = services()?;
        let data = DataDirectory::create(self.data.as_deref().unwrap_or(Path::new(DIRECTORY)))?;
        let surroundings = app::simulate::surroundings(scenario, &simulation, data.clone(), services.handle());
        let options = arguments.api.options(address);
        let of = Of { surroundings, agents: Vec::new(), configuration: None, pace: Some(pace.clone()) };
        let server = server::start(of, &options)?;
        let token = Invocation { data: Some(data.path().to_owned()), ..self.invocation() }.command("token");
        display::note(&format!(
            "# {}  (`{token}` prints the token for changes; Ctrl-C ends it)",
            url(&server, &options)
        ));
        let stop = pace.clone();
        services.spawn(async move {
            display::stop().await;
            stop.stop();
        });
        let driven = pace.drive(&mut simulation);
        services.block_on(server.shutdown());
        driven?;
        let summary = app::simulate::summarise(scenario, start.policy, start.seed, &simulation.outcome());
        if arguments.json {
            print::json(&summary)?
        } else {
            print::lines(print::summary_lines(&summary))?
        }
        Ok(ExitCode::SUCCESS)
    }

    /// What is to be simulated: a scenario, or a real network as its table shows it.
    fn simulated(&self, arguments: &Simulate) -> anyhow::Result<Simulated> {
        let scenario = arguments.scenario.as_deref().map(|file| scenario::load(file, &VOCABULARY)).transpose()?;
        let scenario = scenario.map(sim::expand);
        let table = match (scenario, &arguments.from_table) {
            (Some(scenario), None) => return Ok(Simulated { scenario, state: None }),
            (scenario, table) => (scenario, table.clone().flatten()),
        };
        let (scenario, table) = table;
        let (settings, runtime) = (self.settings()?, services()?);
        let FromTable { simulated, remarks } = runtime.block_on(async {
            let existing =
                from_table::open(table.as_deref(), &settings, self.data.as_deref(), runtime.handle()).await?;
            display::note(&format!("# {}, which is only read", existing.place));
            from_table::read(&existing, &settings, scenario.as_ref()).await
        })?;
        remarks.iter().for_each(|remark| display::note(&format!("# {remark}")));
        Ok(simulated)
    }
}

/// Decisions come from outside, and virtual time goes on with them; the document is that of any run.
fn in_lockstep(
    simulated: &Simulated,
    arguments: &Simulate,
    address: SocketAddr,
    lasts: Duration,
) -> anyhow::Result<ExitCode> {
    let policy = external::policy(arguments.policy.as_deref(), &simulated.scenario.agents)?;
    let mut session = Session::new(simulated, policy.as_deref(), arguments.seed)?;
    let end = session.now() + lasts;
    let (exemplar, commands, stop) = lockstep::new();
    let services = services()?;
    let listener = upisas::listen(address)?;
    external::tell(listener.address());
    let contract = Contract::new(&simulated.scenario.agents);
    let server = upisas::serve(listener, contract, Arc::new(exemplar), services.handle())?;
    services.spawn(async {
        display::stop().await;
        stop();
    });
    let driven = lockstep::drive(&mut session, &commands, end);
    // Who waits for an answer gets it, or hears that it is over.
    drop(commands);
    services.block_on(server.shutdown());
    driven?;
    let summary = session.summary();
    if arguments.json {
        print::json(&summary)?
    } else {
        print::lines(print::summary_lines(&summary))?
    }
    Ok(ExitCode::SUCCESS)
}

/// A line on standard error every two seconds.
pub(super) fn progress(lasts: Duration) -> impl FnMut(Timestamp) {
    const EVERY: Duration = Duration::from_secs(2);
    let (began, mut told) = (Instant::now(), Instant::now());
    move |at| {
        if told.elapsed() < EVERY {
            return;
        }
        told = Instant::now();
        let share = at.since(Timestamp::default()).as_secs_f64() / lasts.as_secs_f64().max(1e-9);
        let left = began.elapsed().as_secs_f64() * (1.0 / share.max(1e-9) - 1.0);
        let (simulated, of) = (at.0 as f64 / 3.6e6, lasts.as_secs_f64() / 3600.0);
        display::note(&format!("# simulated {simulated:.1} h of {of:.0} h, {left:.0} s left"));
    }
}

pub fn explain(trace: &Path, event: EventId, json: bool) -> anyhow::Result<ExitCode> {
    let traced = app::simulate::explained(trace, event)?;
    explained(&traced.event, &traced.feedback, None, None, json)?;
    Ok(ExitCode::SUCCESS)
}
