//! An agent is one process, wherever it is started: a second one, on another machine as far as it can tell, is refused and has
//! changed nothing.

use crate::network::audit::Audit;
use crate::network::process::Running;
use crate::network::{PATIENCE, Place, text, wait_until};

#[test]
fn a_second_process_elsewhere_is_refused_and_changes_nothing() {
    let place = Place::new();
    let table = place.data().join("network.db");
    let knowledge = format!("knowledge = \"sqlite:{}\"", table.display());
    let config = place.configuration("agents", &[("network.toml", "knowledge = \"sqlite:network.db\"", &knowledge)]);
    let start = |agent: u32, data: &str| {
        let (id, training, data) = (agent.to_string(), place.training(), place.path().join(data));
        let arguments = ["run", "--id", &id, "--config", text(&config), "--training", text(&training)];
        let arguments = [&arguments[..], &["--data", text(&data)]].concat();
        Running::start(place.path(), &format!("agent-{agent}"), &arguments)
    };
    let _agents = [1, 2, 3].map(|agent| start(agent, "data"));
    let audit = Audit::of_new(&place.data());
    wait_until("every agent runs", PATIENCE, || audit.count("select count(*) from agents") == 3);
    let stores = || audit.rows("select store_url from nodes order by id", |row| row.get::<_, String>(0));
    let known = stores();

    let mut second = start(1, "another-machine");
    let code = second.ends_within(PATIENCE);
    assert_eq!(code, Some(1), "{}", second.output());
    assert!(second.errors().contains("agent 1 runs in another process"), "{}", second.errors());
    assert_eq!(stores(), known, "where the stores are is not the second one's to say");
}
