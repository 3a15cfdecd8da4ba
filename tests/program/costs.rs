//! What things cost, as a user states it: agents that run bill what they read, a budget refuses whoever wants what it does not bear, and
//! what is spent and would be spent can be read.

use super::constraints::Network;
use crate::network::process::json;
use crate::network::{PATIENCE, Place, edits, text, wait_until};

/// A replica costs 0.02 EUR or more to bring, and a whole month nothing may be spent.
const PRICED: [edits::Edit; 4] = [
    ("network.toml", "generate_records = 553_729", "generate_records = 20_000"),
    ("network.toml", "job_gap = \"15 s\"", "job_gap = \"3 s\""),
    ("network.toml", "\ntime_scale = 50", "\nbudget = \"0 EUR/month\"\ntime_scale = 50"),
    ("network.toml", "latency = \"1500 ms\"", "latency = \"1500 ms\"\negress_price = \"1000 EUR/GB\""),
];

const STORED: edits::Edit =
    ("network.toml", "name = \"edge\"", "name = \"edge\"\nstorage_price = \"1000 EUR/GB/hour\"");

impl Network {
    fn amount(&self, kind: &str) -> i64 {
        self.audit.count(&format!("select coalesce(sum(amount), 0) from charges where kind = '{kind}'"))
    }
}

#[test]
fn what_agents_do_is_billed_and_no_budget_is_exceeded() {
    let mut network = Network::start(&[&PRICED[..], &[STORED], &edits::CALM].concat(), "none");
    wait_until("reads and what is held are billed", PATIENCE, || {
        network.amount("read") > 0 && network.amount("held") > 0
    });
    let bytes = network.audit.count("select bytes from data_sets");
    // A byte costs a thousand parts; only agent 1 reads over a link that has a price.
    let wrong = "select count(*) from charges where kind = 'read' and (agent <> 1 or amount <> bytes * 1000)";
    assert_eq!(network.audit.count(wrong), 0);
    assert_eq!(network.audit.count("select count(*) from charges where kind = 'held' and agent <> 0"), 0);

    network.refuses(&["act", "C3_1", "--agent", "1"], "EUR of 0.00 EUR/month of the network are left");
    let why = network.does(&["explain", "--not", "C3_1"]);
    assert!(why.contains("infeasible  budget: it costs "), "{why}");
    let planned = network.tries(&["plan", "--policy", "fixed"]);
    assert_eq!(planned.code, Some(0), "{planned:?}");

    assert_eq!(
        network.does(&["set", "budget", "1000 EUR/month"]),
        "budget of the network: 1000.00 EUR/month, from now on\n"
    );
    network.does(&["act", "C3_1", "--agent", "1"]);
    assert_eq!(network.amount("copy"), bytes * 1000, "once, with its commit");
    let events = json(network.place.path(), &network.line(&["events", "--json"], &network.place.data()));
    let event = events.as_array().expect("a list").iter().find(|it| it["action"] == "C3_1").expect("the copy")["id"]
        .to_string();
    let explained = network.does(&["explain", &event]);
    assert!(explained.contains("  price     "), "{explained}");

    let status = network.does(&["status"]);
    assert!(status.contains("spent today  ") && status.contains("budget       the network: "), "{status}");
    let status = json(network.place.path(), &network.line(&["status", "--json"], &network.place.data()));
    let costs = &status["costs"];
    assert_eq!(costs["currency"], "EUR", "{costs:#}");
    assert!(costs["today"]["copy"].is_string() && costs["budgets"][0]["budget"] == "1000.00 EUR/month", "{costs:#}");

    // Dropping costs nothing, whatever was spent.
    network.does(&["set", "budget", "0 EUR/month"]);
    network.does(&["act", "E1", "--agent", "3"]);
    network.ends_well();
}

#[test]
fn prices_that_make_no_sense_start_nothing() {
    let place = Place::new();
    let dollars = ("network.toml", "latency = \"1200 ms\"", "latency = \"1200 ms\"\negress_price = \"1 USD/GB\"");
    let config = place.configuration("agents", &[&PRICED[..], &[dollars]].concat());
    let checked = crate::network::process::run(place.path(), &["check", "--config", text(&config)]);
    assert_eq!(checked.code, Some(2));
    let expected =
        "network.toml: link 2-3: egress_price: is in USD, and others are in EUR\n  help: state all in one currency";
    assert!(checked.err.contains(expected), "{}", checked.err);
}
