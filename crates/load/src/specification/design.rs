//! A load that can be drawn: one service, and clients that are alike and whose rate follows a curve.

use super::arrivals::Arrivals;
use super::load::{Hosts, Listed, Service, Specification};
use super::within_ticks;
use serde::Deserialize;
use std::io;
use toml::Value;

/// Larger numbers are not whole to everybody who draws.
pub const SEED_MAX: u64 = 1 << 53;

/// What is drawn, as it is written: nothing of it is checked before its file is.
#[derive(Clone, PartialEq, Debug)]
pub struct Design {
    pub name: String,
    pub seed: u64,
    pub service: String,
    /// `None`: those of the service's record in the table of a network.
    pub hosts: Option<Vec<String>>,
    pub method: String,
    pub path: String,
    /// So many are alike.
    pub clients: u32,
    pub within_ticks: String,
    pub profile: Drawn,
}

/// The profile of each client.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub struct Drawn {
    pub curve: DrawnCurve,
    /// A duration, like `1 s`.
    pub interval: String,
    /// The same: how long the whole takes.
    pub over: String,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
pub struct DrawnCurve {
    pub kind: String,
    /// Per second, at the height of 1.
    pub max: f64,
    /// Pairs of x and y.
    pub points: Vec<[f64; 2]>,
}

impl Design {
    /// What can be drawn of a load. `None`: its file says more than a design does.
    pub fn of(meant: &Specification) -> Option<Self> {
        let ([service], [client]) = (meant.services.as_slice(), meant.clients.as_slice()) else { return None };
        let Arrivals::Profile { profile, within_ticks } = &client.arrivals else { return None };
        let design = Self {
            name: meant.name.clone(),
            seed: Some(meant.seed).filter(|seed| *seed <= SEED_MAX)?,
            service: service.name.clone(),
            hosts: hosts(service),
            method: client.request.method.clone(),
            path: client.request.path.clone(),
            clients: client.count,
            within_ticks: within_ticks::name(*within_ticks).to_owned(),
            profile: toml::Table::try_from(profile).ok()?.try_into().ok()?,
        };
        design.says(meant).then_some(design)
    }

    /// Whether its file means the same.
    fn says(&self, meant: &Specification) -> bool {
        let none = |_: &std::path::Path| Err(io::ErrorKind::NotFound.into());
        let read = Specification::read("", &self.text(), none);
        read.is_ok_and(|read| Specification { text: meant.text.clone(), ..read } == *meant)
    }

    /// Its file.
    pub fn text(&self) -> String {
        let Self { name, seed, service, hosts, method, path, clients, within_ticks, profile } = self;
        let Drawn { curve: DrawnCurve { kind, max, points }, interval, over } = profile;
        let hosts = match hosts {
            Some(hosts) => list(hosts.iter().map(|host| quoted(host))),
            None => quoted("table"),
        };
        let points = list(points.iter().map(|[x, y]| format!("[{x}, {y}]")));
        let [name, service, within_ticks, method] = [name, service, within_ticks, method].map(|text| quoted(text));
        let [path, kind, interval, over] = [path, kind, interval, over].map(|text| quoted(text));
        format!(
            "name = {name}\nseed = {seed}\n\n\
             [[service]]\nname = {service}\nhosts = {hosts}\n\n\
             [[client]]\nservice = {service}\ncount = {clients}\nwithin_ticks = {within_ticks}\n\
             request = {{ method = {method}, path = {path} }}\n\n\
             [client.profile]\ncurve = {{ kind = {kind}, max = {max}, points = {points} }}\n\
             interval = {interval}\nover = {over}\n"
        )
    }
}

fn hosts(service: &Service) -> Option<Vec<String>> {
    match &service.hosts {
        Hosts::Listed(Listed { record, .. }) => Some(record.hosts().iter().map(|host| host.address.clone()).collect()),
        // Replicas it cannot say: then its file means something else.
        Hosts::Table | Hosts::Replicas(_) => None,
    }
}

fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn design() -> Design {
        let curve = DrawnCurve {
            kind: "catmull-rom".to_owned(),
            max: 100.0,
            points: vec![[0.0, 0.0], [0.5, 1.0], [1.0, 0.25]],
        };
        Design {
            name: "evening".to_owned(),
            seed: 7,
            service: "shop".to_owned(),
            hosts: Some(vec!["127.0.0.1:8080".to_owned()]),
            method: "GET".to_owned(),
            path: "/items/{n}".to_owned(),
            clients: 2,
            within_ticks: "exponential".to_owned(),
            profile: Drawn { curve, interval: "1 s".to_owned(), over: "1 min".to_owned() },
        }
    }

    fn read(text: &str) -> Specification {
        Specification::read("load.toml", text, |_| Ok("1\n2\n".to_owned())).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn a_design_is_written_as_people_would() {
        let text = r#"name = "evening"
seed = 7

[[service]]
name = "shop"
hosts = ["127.0.0.1:8080"]

[[client]]
service = "shop"
count = 2
within_ticks = "exponential"
request = { method = "GET", path = "/items/{n}" }

[client.profile]
curve = { kind = "catmull-rom", max = 100, points = [[0, 0], [0.5, 1], [1, 0.25]] }
interval = "1 s"
over = "1 min"
"#;
        assert_eq!(design().text(), text);
        assert_eq!(Design::of(&read(text)), Some(design()));
    }

    #[test]
    fn what_is_written_otherwise_is_the_same_design() {
        let text = r#"
            # In the evening.
            name = "evening"
            seed = 7
            [[service]]
            name = "shop"
            hosts = [{ address = "127.0.0.1:8080" }]
            balancer = "weighted-round-robin"
            [[client]]
            service = "shop"
            count = 2
            profile = { curve = { kind = "catmull-rom", max = 1e2, points = [[0, 0], [0.5, 1], [1, 0.25]] }, interval = 1, over = "60 s" }
            within_ticks = "exponential"
            timeout = "10 s"
            [client.request]
            path = "/items/{n}"
        "#;
        assert_eq!(Design::of(&read(text)), Some(design()));
    }

    #[test]
    fn what_a_design_does_not_say_is_none() {
        let text = design().text();
        for (from, to) in [
            ("over = \"1 min\"", "over = \"1 min\"\n[[client]]\nservice = \"shop\"\nrate = 1"),
            ("seed = 7", "seed = 7\nduration = \"1 h\""),
            ("[\"127.0.0.1:8080\"]", "[{ address = \"127.0.0.1:8080\", weight = 2 }]"),
            ("[\"127.0.0.1:8080\"]", "[\"127.0.0.1:8080\"]\nbalancer = \"weighted-random\""),
            ("count = 2", "count = 2\nin_flight = 7"),
            ("path = \"/items/{n}\"", "path = \"/\", headers = { Accept = \"text/plain\" }"),
            ("seed = 7", "seed = 9007199254740993"),
        ] {
            let other = text.replace(from, to);
            assert_ne!(other, text, "{from}");
            let other = if to.contains("[[client]]") { format!("duration = \"1 h\"\n{other}") } else { other };
            assert_eq!(Design::of(&read(&other)), None, "{other}");
        }
        let gaps = "name = \"g\"\n[[service]]\nname = \"s\"\nhosts = \"table\"\n[[client]]\nservice = \"s\"\ngaps = { replay = \"g.csv\" }";
        assert_eq!(Design::of(&read(gaps)), None);
    }

    #[test]
    fn whatever_is_written_into_it_stays_within_its_quotes() {
        let tricky = "a\"\\\n\"\"\"'''\u{7f}\u{1}é]}";
        let text = Design { path: tricky.to_owned(), hosts: None, ..design() }.text();
        let table: toml::Table = text.parse().unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(table["client"][0]["request"]["path"].as_str(), Some(tricky));
        assert_eq!(table["service"][0]["hosts"].as_str(), Some("table"));
    }

    proptest! {
        #[test]
        fn what_is_drawn_is_read_again(
            xs in prop::collection::btree_set(-1_000_i32..1_000, 2..8),
            ys in prop::collection::vec(0.0..=1.0_f64, 8),
            kind in prop::sample::select(vec!["linear", "step", "catmull-rom", "basis"]),
            (max, seed, clients) in (0.0..1e6_f64, 0..=SEED_MAX, 1..50_u32),
            is_routed_by_the_table in any::<bool>(),
        ) {
            let points = xs.iter().zip(ys).map(|(x, y)| [f64::from(*x) / 10.0, y]).collect();
            let curve = DrawnCurve { kind: kind.to_owned(), max, points };
            let profile = Drawn { curve, ..design().profile };
            let hosts = design().hosts.filter(|_| !is_routed_by_the_table);
            let design = Design { seed, clients, profile, hosts, ..design() };
            prop_assert_eq!(Design::of(&read(&design.text())), Some(design));
        }
    }
}
