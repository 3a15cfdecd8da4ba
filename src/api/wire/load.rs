//! Experiments of load, what a load would send, and where services are routed.

use super::{object, objects};
use crate::api::problem::Fault;
use crate::app::load::drafts::{ClientForecast, Draft, Forecast, Ticks};
use agent_core::clock::TimeScale;
use agent_core::config::Invalid;
use agent_core::domain::time::Timestamp;
use agent_load::balancer::Host;
use agent_load::register::experiment::{Experiment, Files};
use agent_load::register::routing::Entry;
use agent_load::specification::{Design, Drawn, DrawnCurve, SEED_MAX, Specification};
use agent_load::steering::{Selection, label};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A load that waits, runs or is over. Times are RFC 3339.
#[derive(Serialize, ToSchema)]
pub struct LoadExperiment {
    pub id: i64,
    /// As its file says.
    pub name: String,
    /// What its file is called.
    pub file: String,
    /// `queued`, `running`, `finished`, `failed` or `cancelled`.
    pub state: String,
    /// Why it failed or was cancelled; before that, why it is begun anew.
    pub reason: Option<String>,
    pub queued_by: String,
    pub queued_at: String,
    /// When it was begun last.
    pub started_at: Option<String>,
    pub ended_at: Option<String>,
    /// The daemon that runs it, or ran it last.
    pub holder: Option<String>,
    /// The load hosts that send it, each its share; absent: whichever daemon runs it sends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on: Option<LoadHostSelection>,
    /// Who wants it to end.
    pub cancelled_by: Option<String>,
    /// How often it was begun.
    pub begun: u32,
    /// How often its daemon was not heard of any more.
    pub lost: u32,
    /// What it came to: the figures of `agent load run --json` without those of hosts and ticks.
    pub summary: Option<Value>,
}

impl LoadExperiment {
    pub fn new(experiment: Experiment, scale: TimeScale) -> Self {
        let at = |at: Timestamp| super::instant(scale, at);
        Self {
            id: experiment.id.0,
            name: experiment.name,
            file: experiment.file,
            state: experiment.state.to_string(),
            reason: experiment.reason,
            queued_by: experiment.queued_by,
            queued_at: at(experiment.queued_at),
            started_at: experiment.started_at.map(at),
            ended_at: experiment.ended_at.map(at),
            holder: experiment.claim.map(|claim| claim.holder.0),
            on: experiment.on.map(LoadHostSelection::from),
            cancelled_by: experiment.cancelled_by,
            begun: experiment.begun,
            lost: experiment.lost,
            summary: experiment.summary,
        }
    }
}

/// An experiment with what it was queued with.
#[derive(Serialize, ToSchema)]
pub struct LoadExperimentDetail {
    #[serde(flatten)]
    pub experiment: LoadExperiment,
    /// Its file.
    pub text: String,
    /// The texts that this names, by name.
    pub recordings: BTreeMap<String, String>,
}

impl LoadExperimentDetail {
    pub fn new(experiment: Experiment, mut files: Files, scale: TimeScale) -> Self {
        let text = files.remove(&experiment.file).unwrap_or_default();
        Self { experiment: LoadExperiment::new(experiment, scale), text, recordings: files }
    }
}

/// Load hosts, by name and labels.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoadHostSelection {
    /// A regular expression that a host's whole name matches, like `pico[0-9]`.
    #[schema(min_length = 1, max_length = 1000)]
    pub pattern: String,
    /// Each of them has to be the host's.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

impl From<Selection> for LoadHostSelection {
    fn from(selection: Selection) -> Self {
        Self { pattern: selection.pattern.into(), labels: selection.labels }
    }
}

impl LoadHostSelection {
    pub fn read(self) -> Result<Selection, Invalid> {
        let labels = self.labels.iter().map(|(key, value)| label(&format!("{key}={value}")));
        Ok(Selection { pattern: self.pattern.parse()?, labels: labels.collect::<Result<_, _>>()? })
    }
}

/// A load to be queued.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoadSubmission {
    /// What the file is called.
    #[serde(default = "load_toml")]
    #[schema(default = "load.toml", min_length = 1, max_length = 255)]
    pub file: String,
    /// Its text, as `agent load run` takes it (docs/load.md).
    pub text: String,
    /// The recordings that it names, by name: their texts.
    #[serde(default)]
    pub recordings: BTreeMap<String, String>,
    /// Hosts other than this machine that may be sent to. The daemon that runs it has its own say.
    #[serde(default)]
    pub allow: Vec<String>,
    /// The load hosts that are to send it, each its share; absent: whichever daemon runs it sends it.
    #[serde(default, deserialize_with = "object")]
    pub on: Option<LoadHostSelection>,
    /// Queued again with the same key, it is the same experiment.
    #[schema(min_length = 1, max_length = 255)]
    pub key: Option<String>,
}

/// A load to be looked at: its file, or a design of which one is made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoadDraft {
    #[serde(default = "load_toml")]
    #[schema(default = "load.toml")]
    pub file: String,
    /// Either this or `design`.
    pub text: Option<String>,
    #[serde(default, deserialize_with = "object")]
    pub design: Option<LoadDesign>,
    /// The recordings that it names, by name: their texts.
    #[serde(default)]
    pub recordings: BTreeMap<String, String>,
    /// Hosts other than this machine that may be sent to.
    #[serde(default)]
    pub allow: Vec<String>,
}

fn load_toml() -> String {
    "load.toml".to_owned()
}

/// One service, and clients that are alike and whose rate follows a curve.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoadDesign {
    pub name: String,
    #[serde(deserialize_with = "seed")]
    #[schema(maximum = 9_007_199_254_740_992_u64)]
    pub seed: u64,
    pub service: String,
    /// `HOST:PORT`; `null`: those of the service's route.
    pub hosts: Option<Vec<String>>,
    pub method: String,
    pub path: String,
    /// So many clients are alike.
    pub clients: u32,
    /// `constant` or `exponential`.
    pub within_ticks: String,
    /// `linear`, `step`, `catmull-rom` or `basis`.
    pub kind: String,
    /// Requests per second of each client, at the height of 1.
    pub max_per_s: f64,
    /// Pairs of x, each greater than the one before, and y, from 0 to 1.
    pub points: Vec<[f64; 2]>,
    /// How long a tick is, like `1 s`.
    pub interval: String,
    /// How long the whole takes, like `1 min`.
    pub over: String,
}

/// Up to [`SEED_MAX`]: no file holds a much larger one.
fn seed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let seed = u64::deserialize(deserializer)?;
    match seed <= SEED_MAX {
        true => Ok(seed),
        false => Err(D::Error::custom(format_args!("a seed is at most {SEED_MAX}, and this one is {seed}"))),
    }
}

impl From<Design> for LoadDesign {
    fn from(design: Design) -> Self {
        let Design { name, seed, service, hosts, method, path, clients, within_ticks, profile } = design;
        let Drawn { curve: DrawnCurve { kind, max, points }, interval, over } = profile;
        let max_per_s = max;
        Self {
            name,
            seed,
            service,
            hosts,
            method,
            path,
            clients,
            within_ticks,
            kind,
            max_per_s,
            points,
            interval,
            over,
        }
    }
}

impl From<LoadDesign> for Design {
    fn from(design: LoadDesign) -> Self {
        let LoadDesign { name, seed, service, hosts, method, path, clients, within_ticks, .. } = design;
        let curve = DrawnCurve { kind: design.kind, max: design.max_per_s, points: design.points };
        let profile = Drawn { curve, interval: design.interval, over: design.over };
        Self { name, seed, service, hosts, method, path, clients, within_ticks, profile }
    }
}

/// What a load would send. Nothing is queued.
#[derive(Serialize, ToSchema)]
pub struct LoadCheck {
    /// Its file.
    pub text: String,
    /// All that is wrong with it; empty: it can be queued.
    pub faults: Vec<Fault>,
    /// What can be drawn of it; `null`: its file says more than a design does.
    pub design: Option<LoadDesign>,
    /// `null`: something is wrong with it.
    pub forecast: Option<LoadForecast>,
}

impl LoadCheck {
    /// Takes a while where there is much to count.
    pub fn of(draft: Draft, allowed: &[String]) -> Self {
        match draft.read(allowed) {
            Ok(specification) => Self {
                text: draft.text,
                faults: Vec::new(),
                design: Design::of(&specification).map(LoadDesign::from),
                forecast: Some(LoadForecast::of(&specification)),
            },
            Err(error) => Self { text: draft.text, faults: Fault::of(&error), design: None, forecast: None },
        }
    }
}

#[derive(Serialize, ToSchema)]
pub struct LoadForecast {
    pub name: String,
    pub seed: u64,
    /// In all; `null`: more than can be counted in a moment.
    pub requests: Option<u64>,
    pub services: Vec<LoadServiceForecast>,
    pub clients: Vec<LoadClientForecast>,
}

#[derive(Serialize, ToSchema)]
pub struct LoadServiceForecast {
    pub service: String,
    pub requests: Option<u64>,
}

/// Of a client of the file.
#[derive(Serialize, ToSchema)]
pub struct LoadClientForecast {
    pub service: String,
    /// So many are alike.
    pub sources: u32,
    /// How long a tick is; `null`: there are none, but gaps.
    pub interval_s: Option<f64>,
    pub ticks: Option<u32>,
    /// Of each source, tick by tick; of all clients together the first 10,000 are told.
    pub rates_per_s: Vec<f64>,
    /// Of all sources together.
    pub requests: Option<u64>,
    /// When the last request that was counted is meant to start, since the beginning.
    pub until_s: f64,
}

impl LoadForecast {
    fn of(specification: &Specification) -> Self {
        let Forecast { services, clients, requests } = Forecast::of(specification);
        let service = |it: crate::app::load::drafts::ServiceForecast| LoadServiceForecast {
            service: it.service,
            requests: it.requests,
        };
        Self {
            name: specification.name.clone(),
            seed: specification.seed,
            requests,
            services: services.into_iter().map(service).collect(),
            clients: clients.into_iter().map(LoadClientForecast::from).collect(),
        }
    }
}

impl From<ClientForecast> for LoadClientForecast {
    fn from(forecast: ClientForecast) -> Self {
        let ClientForecast { service, sources, ticks, requests, until } = forecast;
        let (interval_s, ticks, rates_per_s) = match ticks {
            Some(Ticks { interval, count, rates }) => (Some(interval.as_secs_f64()), Some(count), rates),
            None => (None, None, Vec::new()),
        };
        Self { service, sources, interval_s, ticks, rates_per_s, requests, until_s: until.as_secs_f64() }
    }
}

/// Where the requests of a service go.
#[derive(Serialize, ToSchema)]
pub struct LoadRoute {
    pub service: String,
    /// Goes up by one with each change.
    pub revision: u64,
    pub hosts: Vec<LoadHost>,
    pub balancer: String,
    pub changed_by: String,
    pub changed_at: String,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoadHost {
    /// `HOST:PORT`.
    pub address: String,
    /// Relative to those of the others; with 0 it gets no requests.
    #[serde(default = "one")]
    #[schema(default = 1.0, minimum = 0.0, maximum = 1e9)]
    pub weight: f64,
}

fn one() -> f64 {
    1.0
}

impl From<LoadHost> for Host {
    fn from(LoadHost { address, weight }: LoadHost) -> Self {
        Self { address, weight }
    }
}

impl LoadRoute {
    pub fn new(entry: Entry, scale: TimeScale) -> Self {
        let host = |Host { address, weight }: Host| LoadHost { address, weight };
        Self {
            service: entry.service,
            revision: entry.revision,
            hosts: entry.hosts.into_iter().map(host).collect(),
            balancer: entry.balancer.to_string(),
            changed_by: entry.changed_by,
            changed_at: super::instant(scale, entry.changed_at),
        }
    }
}

/// To these hosts alone.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoadRouteChange {
    #[serde(deserialize_with = "objects")]
    #[schema(min_items = 1, max_items = 1000)]
    pub hosts: Vec<LoadHost>,
    /// `weighted-random`, `weighted-round-robin`, `least-outstanding` or `nearest-below`; absent: as before.
    pub balancer: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_design_is_the_same_after_the_wire() {
        let design = json!({"name": "evening", "seed": 7, "service": "shop", "hosts": null, "method": "GET", "path": "/",
            "clients": 2, "within_ticks": "constant", "kind": "step", "max_per_s": 5.0, "points": [[0.0, 0.5], [1.0, 1.0]],
            "interval": "1 s", "over": "3 s"});
        let read: LoadDesign = serde_json::from_value(design.clone()).unwrap();
        assert_eq!(serde_json::to_value(LoadDesign::from(Design::from(read))).unwrap(), design);
        let with = |seed: u64| {
            let mut design = design.clone();
            design["seed"] = seed.into();
            serde_json::from_value::<LoadDesign>(design).map(|design| design.seed)
        };
        assert_eq!(with(SEED_MAX).unwrap(), 9_007_199_254_740_992);
        let refused = with(9_223_372_036_854_775_808).err().unwrap().to_string();
        assert!(refused.contains("a seed is at most 9007199254740992"), "{refused}");
    }

    #[test]
    fn load_hosts_are_meant_by_name_and_labels_or_refused() {
        let read = |on: Value| serde_json::from_value::<LoadHostSelection>(on).unwrap().read();
        let meant = read(json!({"pattern": "pico[0-9]", "labels": {"zone": "A"}})).unwrap();
        assert!(meant.matches("pico1", &[("zone".to_owned(), "A".to_owned())].into()));
        assert!(read(json!({"pattern": "pico["})).unwrap_err().problem.contains("is no pattern"));
        assert!(read(json!({"pattern": ".*", "labels": {"zo ne": "A"}})).unwrap_err().problem.contains("is no label"));
    }

    #[test]
    fn a_check_says_what_would_be_sent_or_what_is_wrong() {
        let design = json!({"design": {"name": "evening", "seed": 7, "service": "shop", "hosts": null, "method": "GET",
            "path": "/", "clients": 2, "within_ticks": "constant", "kind": "linear", "max_per_s": 4.0,
            "points": [[0.0, 0.0], [1.0, 1.0]], "interval": "1 s", "over": "3 s"}});
        let LoadDraft { file, design, recordings, .. } = serde_json::from_value(design).unwrap();
        let text = Design::from(design.unwrap()).text();
        let check = |text: &str| {
            let draft = Draft { file: file.clone(), text: text.to_owned(), recordings: recordings.clone() };
            serde_json::to_value(LoadCheck::of(draft, &[])).unwrap()
        };
        let fine = check(&text);
        assert_eq!(fine["faults"], json!([]));
        let client = &fine["forecast"]["clients"][0];
        assert_eq!((&client["rates_per_s"], &client["interval_s"]), (&json!([0.0, 2.0, 4.0]), &json!(1.0)));
        assert_eq!((&fine["forecast"]["requests"], &fine["design"]["max_per_s"]), (&json!(12), &json!(4.0)));
        let wrong = check(&text.replace("max = 4", "max = -4").replace("count = 2", "count = 0"));
        let places: Vec<_> = wrong["faults"].as_array().unwrap().iter().map(|fault| &fault["place"]).collect();
        assert_eq!(places, [&json!("client 1: count"), &json!("client 1: profile")]);
        assert_eq!((&wrong["forecast"], &wrong["design"]), (&Value::Null, &Value::Null));
        assert_eq!(check("name = 5")["faults"][0]["place"], "line 1, column 8");
    }

    #[test]
    fn lists_stand_for_no_objects() {
        let change = |hosts: Value| serde_json::from_value::<LoadRouteChange>(json!({ "hosts": hosts })).is_ok();
        assert!(change(json!([{"address": "a:1"}])));
        assert!(!change(json!([["a:1", 1.0]])));
        assert!(serde_json::from_value::<LoadDraft>(json!({"design": ["a", 1]})).is_err());
    }
}
