//! `--upisas`: agents that are decided for from outside.

use super::display;
use crate::app::surroundings::Surroundings;
use crate::app::{Beside, Failure};
use crate::upisas;
use crate::upisas::contract::Contract;
use crate::upisas::live::Live;
use agent_core::config::settings::AgentSettings;
use agent_core::domain::ids::AgentId;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

const EXTERNAL: &str = "external";

/// The policy instead of each agent's own, where decisions are to come from outside: none, if at least one agent has said so itself.
pub fn policy(named: Option<&str>, agents: &BTreeMap<AgentId, AgentSettings>) -> Result<Option<String>, Failure> {
    match named {
        Some(EXTERNAL) => Ok(Some(EXTERNAL.to_owned())),
        Some(other) => Err(Failure::Configuration(format!(
            "--upisas: agents whose policy is `{other}` decide for themselves; leave --policy out, or name {EXTERNAL}"
        ))),
        None if agents.values().any(|agent| agent.policy == EXTERNAL) => Ok(None),
        None => Ok(Some(EXTERNAL.to_owned())),
    }
}

/// The interface, served beside agents of this process.
pub fn beside(address: SocketAddr) -> Beside {
    Box::new(move |surroundings: Surroundings| {
        let listener = upisas::listen(address)?;
        tell(listener.address());
        let contract = Contract::new(&surroundings.settings.agents);
        let services = surroundings.services.clone();
        upisas::serve(listener, contract, Arc::new(Live::new(surroundings)), &services)
    })
}

/// Where it is served, and who may.
pub fn tell(address: SocketAddr) {
    display::note(&format!("# UPISAS: http://{address}/network, http://{address}/agents/N"));
    if !address.ip().is_loopback() {
        display::note("# WARNING: whoever reaches this address decides for the agents: the interface knows no tokens");
    }
}
