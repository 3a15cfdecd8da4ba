//! A network of three agents in virtual time, run by a program of one's own: `cargo run -p agent-core --example embed`.

use agent_core::config::{Vocabulary, scenario};
use agent_core::domain::ids::NodeId;
use agent_core::domain::time::Timestamp;
use agent_core::domain::units::Percent;
use agent_core::mape::planner::POLICIES;
use agent_core::sim::{Edit, Figures, Simulation, Start, Told, Until, expand};
use std::error::Error;
use std::path::PathBuf;

const HOUR: Timestamp = Timestamp(3_600_000);

fn main() -> Result<(), Box<dyn Error>> {
    let published = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/scenarios/published.toml");
    let file = std::env::args_os().nth(1).map_or(PathBuf::from(published), PathBuf::from);
    // The simulator runs no jobs, so it need not understand their expressions.
    let vocabulary = Vocabulary { policies: &POLICIES, expression: |_| Ok(()) };
    let scenario = expand(scenario::load(&file, &vocabulary)?);

    let mut network = Simulation::new(&scenario, Start { policy: Some("cooperative"), seed: 7, state: None })?;
    network.listen(Some(Box::new(|at, told| {
        if let Told::Notice(notice) = told {
            println!("{:>9.3} s  {notice}", at.0 as f64 / 1e3);
        }
    })));
    match network.run_until(Until::Converged, HOUR, |_| {})? {
        true => println!("converged after {} s", network.now().0 / 1000),
        false => println!("not converged within an hour"),
    }

    // Two futures of this network: as it is, and with node 3 up half of the time.
    let (mut as_it_is, mut worse) = (network.branch()?, network.branch()?);
    worse.edit(Edit::Availability { node: NodeId(3), availability: Percent::new(50.0).ok_or("no percentage")? })?;
    for (name, branch) in [("as it is", &mut as_it_is), ("worse", &mut worse)] {
        branch.run(HOUR, |_| {})?;
        let figures = Figures::new(branch.scenario(), &branch.outcome());
        let Figures { jobs, violated, actions, replicas, .. } = figures;
        println!("{name:<9} {violated} of {jobs} jobs violated, {actions} actions, replicas on nodes {replicas:?}");
    }
    Ok(())
}
