//! Names of policies on the command line.

use agent_core::mape::planner::POLICIES;
use agent_core::sim::{ALL_POLICIES, ORACLES};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

/// Those that real agents can have. The simulator's own are known, so that they are refused with the reason.
pub fn of_agents() -> impl TypedValueParser<Value = String> {
    let simulated = ORACLES.map(|name| PossibleValue::new(name).hide(true));
    let known = POLICIES.map(PossibleValue::new).into_iter().chain(simulated);
    PossibleValuesParser::new(known).try_map(|name| match ORACLES.contains(&name.as_str()) {
        true => Err(format!(
            "`{name}` is a policy of the simulator alone: it knows what no agent can know. Use `agent simulate --policy {name}`, \
             or a policy of agents: {}",
            POLICIES.join(", ")
        )),
        false => Ok(name),
    })
}

/// Those of simulations.
pub fn of_simulations() -> impl TypedValueParser<Value = String> {
    PossibleValuesParser::new(ALL_POLICIES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Arg, Command};

    fn parse(parser: impl TypedValueParser<Value = String>, name: &str) -> Result<String, String> {
        let command = Command::new("agent").arg(Arg::new("policy").long("policy").value_parser(parser));
        let parsed = command.try_get_matches_from(["agent", "--policy", name]);
        parsed.map(|found| found.get_one::<String>("policy").cloned().unwrap_or_default()).map_err(|e| e.to_string())
    }

    #[test]
    fn the_simulators_policies_are_refused_with_the_reason() {
        for name in ORACLES {
            let refused = parse(of_agents(), name).unwrap_err();
            assert!(refused.contains(&format!("`{name}` is a policy of the simulator alone")), "{refused}");
            assert_eq!(parse(of_simulations(), name), Ok(name.to_owned()));
        }
        let unknown = parse(of_agents(), "orakel").unwrap_err();
        assert!(unknown.contains("fixed") && !unknown.contains("oracle-late"), "{unknown}");
    }

    #[test]
    fn agents_policies_are_simulated_too() {
        for name in POLICIES {
            assert_eq!(parse(of_agents(), name), Ok(name.to_owned()));
            assert_eq!(parse(of_simulations(), name), Ok(name.to_owned()));
        }
    }
}
