//! The files as written. These types only say which keys there are and whether they hold text, numbers or tables; what the
//! values mean is read from them in `network` and `agent` (I-9: configuration types are not domain types).

use super::problem::Invalid;
use crate::domain::goal::nearest;
use crate::domain::secret::Secret;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{DeserializeOwned, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// `network.toml`
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Network {
    pub knowledge: Option<String>,
    pub time_scale: Option<i64>,
    pub emulator: Option<String>,
    pub budget: Option<Quantity>,
    /// `[data_set]` where there is one, `[[data_set]]` where there are several.
    #[serde(deserialize_with = "tables")]
    pub data_set: Vec<DataSet>,
    #[serde(default)]
    pub node: Vec<Node>,
    #[serde(default)]
    pub link: Vec<Link>,
    #[serde(default, deserialize_with = "table")]
    pub feedback: Feedback,
    #[serde(default, deserialize_with = "table")]
    pub learning: Learning,
    #[serde(default, deserialize_with = "table")]
    pub rhythm: Rhythm,
    #[serde(default, deserialize_with = "table")]
    pub membership: Membership,
}

/// A file of `agent add-node --from`.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Addition {
    #[serde(default)]
    pub node: Vec<Node>,
    #[serde(default)]
    pub link: Vec<Link>,
}

/// `[data_set]` or `[[data_set]]`
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct DataSet {
    pub name: String,
    /// Either this, or `prefix`.
    pub object_key: Option<String>,
    pub prefix: Option<String>,
    pub include: Option<Vec<String>>,
    pub exclude: Option<Vec<String>>,
    pub generate_records: Option<i64>,
    pub first_node: i64,
    pub origin: Option<String>,
    #[serde(default, deserialize_with = "optional_table")]
    pub constraints: Option<Constraints>,
}

/// `[data_set.constraints]`
#[derive(Clone, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Constraints {
    pub must_not: Option<MustNot>,
    pub must: Option<Vec<i64>>,
    pub never_delete_at: Option<Vec<i64>>,
    pub min_replicas: Option<i64>,
    pub max_replicas: Option<i64>,
    pub transfers: Option<Transfers>,
    pub origin: Option<i64>,
}

/// `must_not = { labels = "region!=eu" }`
#[derive(Clone, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct MustNot {
    pub labels: String,
}

/// `transfers = { between = "22:00-06:00", rate = "50 MB/s" }`
#[derive(Clone, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Transfers {
    pub between: Option<String>,
    pub rate: Option<Quantity>,
}

/// `[[node]]`
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Node {
    pub id: i64,
    pub name: Option<String>,
    pub availability: Option<Quantity>,
    pub capacity: Option<Quantity>,
    pub labels: Option<BTreeMap<String, String>>,
    pub storage_price: Option<Quantity>,
    #[serde(default, deserialize_with = "table")]
    pub store: Store,
}

/// `[node.store]`; which keys belong together depends on `kind`.
#[derive(Deserialize, Debug, Default)]
#[serde(deny_unknown_fields)]
pub struct Store {
    pub kind: Option<String>,
    pub listen: Option<String>,
    pub advertise: Option<String>,
    pub endpoint: Option<String>,
    pub region: Option<String>,
    pub bucket: Option<String>,
    pub path_style: Option<bool>,
    #[serde(default, deserialize_with = "optional_table")]
    pub credentials: Option<Credentials>,
    pub ca: Option<String>,
    pub encryption: Option<String>,
    pub kms_key: Option<String>,
    pub delete_versions: Option<bool>,
}

/// `[node.store.credentials]`: either `profile`, or the others.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    pub profile: Option<String>,
    pub access_key_id: Option<String>,
    pub secret_access_key: Option<Secret>,
    pub session_token: Option<Secret>,
}

/// `[[link]]`: either `between`, or `from` and `to`.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Link {
    pub between: Option<Vec<i64>>,
    pub from: Option<i64>,
    pub to: Option<i64>,
    /// Without it the link is measured, where no emulator needs to know it.
    pub latency: Option<Quantity>,
    pub jitter: Option<Quantity>,
    pub egress_price: Option<Quantity>,
}

/// `[feedback]`
#[derive(Deserialize, Default, Debug)]
#[serde(deny_unknown_fields)]
pub struct Feedback {
    pub window: Option<Quantity>,
    pub threshold: Option<f64>,
    pub grace: Option<Quantity>,
}

/// `[learning]`
#[derive(Deserialize, Default, Debug)]
#[serde(deny_unknown_fields)]
pub struct Learning {
    pub learning_rate: Option<f64>,
    pub exploration: Option<f64>,
    pub penalty: Option<f64>,
    pub max_copies: Option<i64>,
}

/// `[membership]`
#[derive(Deserialize, Debug, Default)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    pub network: Option<String>,
    pub listen: Option<String>,
    pub advertise: Option<String>,
    pub interval: Option<Quantity>,
    pub fan_out: Option<i64>,
    pub adapt: Option<bool>,
    pub join: Option<Vec<String>>,
    pub window: Option<Quantity>,
    pub mdsmp: Option<bool>,
    pub aggregator: Option<String>,
}

/// `[rhythm]`
#[derive(Deserialize, Default, Debug)]
#[serde(deny_unknown_fields)]
pub struct Rhythm {
    pub job_gap: Option<JobGap>,
    pub job_gap_deviation: Option<Quantity>,
    pub heartbeat: Option<Quantity>,
    pub lease: Option<Quantity>,
    pub drain: Option<Quantity>,
    pub probes: Option<i64>,
    pub watch: Option<Quantity>,
    pub scrub: Option<Quantity>,
    pub scrub_rate: Option<Quantity>,
}

/// `N.toml`
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    pub goal: String,
    pub policy: Option<String>,
    pub node: Option<i64>,
    pub may_run_on: Option<Vec<i64>>,
    pub data_set: Option<String>,
    pub data_sets: Option<Vec<String>>,
    pub listen: Option<String>,
    pub budget: Option<Quantity>,
    #[serde(default, deserialize_with = "optional_table")]
    pub s3: Option<S3>,
    #[serde(default, deserialize_with = "optional_table")]
    pub worker: Option<Worker>,
    #[serde(deserialize_with = "table")]
    pub job: Job,
    #[serde(default, deserialize_with = "table")]
    pub rho: Rho,
    #[serde(default, deserialize_with = "table")]
    pub cost: Cost,
}

/// `[s3]`: the endpoint for applications.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct S3 {
    pub listen: String,
    #[serde(default)]
    pub writes: bool,
}

/// `[worker]`: what of the machine there is for tasks of batch jobs.
#[derive(Deserialize, Default, Debug)]
#[serde(deny_unknown_fields)]
pub struct Worker {
    pub cores: Option<Vec<u32>>,
    pub memory: Option<Quantity>,
    pub runners: Option<Vec<String>>,
    pub pull: Option<String>,
}

/// `[job]`; which keys belong together depends on `kind`.
#[derive(Deserialize, Default, Debug)]
#[serde(deny_unknown_fields)]
pub struct Job {
    pub kind: String,
    pub request_size: Option<Quantity>,
    pub expression: Option<String>,
    pub path: Option<String>,
    pub program: Option<String>,
    pub arguments: Option<Vec<String>>,
    pub time_limit: Option<Quantity>,
    pub count_traffic: Option<bool>,
    pub application: Option<String>,
    pub main_class: Option<String>,
    pub master: Option<String>,
    #[serde(default, deserialize_with = "optional_table")]
    pub conf: Option<toml::Table>,
    pub history_server: Option<String>,
    pub history_wait: Option<Quantity>,
    pub event_log_dir: Option<String>,
    pub window: Option<Quantity>,
}

/// `[rho]`: one for each metric.
#[derive(Deserialize, Clone, Default, Debug)]
#[serde(deny_unknown_fields)]
pub struct Rho {
    pub response_time: Option<Quantity>,
    pub execution_time: Option<Quantity>,
    pub throughput: Option<Quantity>,
    pub network_latency: Option<Quantity>,
    pub availability: Option<Quantity>,
    pub data_consistency: Option<f64>,
    pub staleness: Option<Quantity>,
    pub response_time_p95: Option<Quantity>,
    pub response_time_p99: Option<Quantity>,
    pub error_rate: Option<Quantity>,
}

/// `[cost]`: one for each kind of action but doing nothing.
#[derive(Deserialize, Clone, Default, Debug)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    #[serde(rename = "move")]
    pub moving: Option<f64>,
    pub copy: Option<f64>,
    pub change_reference: Option<f64>,
    pub evict: Option<f64>,
    pub move_work: Option<f64>,
}

/// A table, and nothing else: left to itself, serde also takes a list of the values in the order of the keys.
pub(super) fn table<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Table<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Table<T> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a table")
        }
        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }
    deserializer.deserialize_map(Table(PhantomData))
}

/// One table, or a list of tables.
pub(super) fn tables<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    struct Tables<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Tables<T> {
        type Value = Vec<T>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a table, or a list of tables")
        }
        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Vec<T>, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map)).map(|only| vec![only])
        }
        fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Vec<T>, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(list))
        }
    }
    deserializer.deserialize_any(Tables(PhantomData))
}

/// The same for one that may be left out.
fn optional_table<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    table(deserializer).map(Some)
}

/// A number and its unit, in quotes. A bare number is refused with a message that says so.
#[derive(Clone, Default, Debug)]
pub struct Quantity(pub String);

impl AsRef<str> for Quantity {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

const A_QUANTITY: &str = "a quantity with its unit in quotes";

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Quantity;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(A_QUANTITY)
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Quantity, E> {
                Ok(Quantity(text.to_owned()))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// A [`Quantity`], or a profile of jobs per second.
#[derive(Clone, Debug)]
pub enum JobGap {
    Mean(Quantity),
    Profile(toml::Table),
}

impl<'de> Deserialize<'de> for JobGap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = JobGap;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(A_QUANTITY)
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<JobGap, E> {
                Ok(JobGap::Mean(Quantity(text.to_owned())))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<JobGap, A::Error> {
                Deserialize::deserialize(MapAccessDeserializer::new(map)).map(JobGap::Profile)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// How a key is written, for the help of a missing or mistyped one.
const EXAMPLES: &[(&str, &str)] = &[
    ("knowledge", r#"knowledge = "sqlite:network.db""#),
    ("time_scale", "time_scale = 50"),
    ("emulator", r#"emulator = "embedded""#),
    ("data_set", "[data_set]"),
    ("data_sets", r#"data_sets = ["blood_tests", "patients"]"#),
    ("feedback", "[feedback]"),
    ("learning", "[learning]"),
    ("rhythm", "[rhythm]"),
    ("membership", "[membership]"),
    ("network", r#"network = "plant-7""#),
    ("interval", r#"interval = "1 s""#),
    ("fan_out", "fan_out = 3"),
    ("adapt", "adapt = true"),
    ("join", r#"join = ["10.0.0.4:7946"]"#),
    ("mdsmp", "mdsmp = true"),
    ("aggregator", r#"aggregator = "127.0.0.1:6343""#),
    ("name", r#"name = "cloud""#),
    ("object_key", r#"object_key = "blood_tests.json""#),
    ("generate_records", "generate_records = 553_729"),
    ("first_node", "first_node = 3"),
    ("id", "id = 4"),
    ("availability", r#"availability = "97 %""#),
    ("watch", r#"watch = "1 min""#),
    ("scrub", r#"scrub = "7 d""#),
    ("scrub_rate", r#"scrub_rate = "20 MB/s""#),
    ("constraints", "constraints = { min_replicas = 2 }"),
    ("must_not", r#"must_not = { labels = "region!=eu" }"#),
    ("must", "must = [1]"),
    ("never_delete_at", "never_delete_at = [1]"),
    ("min_replicas", "min_replicas = 2"),
    ("max_replicas", "max_replicas = 3"),
    ("transfers", r#"transfers = { between = "22:00-06:00" }"#),
    ("origin", r#"origin = "fixed""#),
    ("budget", r#"budget = "5 EUR/day""#),
    ("storage_price", r#"storage_price = "0.021 EUR/GB/month""#),
    ("egress_price", r#"egress_price = "0.09 EUR/GB""#),
    ("labels", r#"labels = { region = "eu" }"#),
    ("capacity", r#"capacity = "10 GB""#),
    ("store", r#"store = { kind = "embedded" }"#),
    ("endpoint", r#"endpoint = "http://10.0.0.4:9000""#),
    ("bucket", r#"bucket = "placement""#),
    ("listen", r#"listen = "127.0.0.1:9001""#),
    ("advertise", r#"advertise = "http://agent1:9000""#),
    ("path_style", "path_style = false"),
    ("credentials", r#"credentials = { profile = "plant" }"#),
    ("profile", r#"profile = "plant""#),
    ("access_key_id", r#"access_key_id = "AKIA...""#),
    ("secret_access_key", r#"secret_access_key = "...""#),
    ("session_token", r#"session_token = "...""#),
    ("ca", r#"ca = "/etc/agent/ca.pem""#),
    ("encryption", r#"encryption = "AES256""#),
    ("kms_key", r#"kms_key = "alias/placement""#),
    ("delete_versions", "delete_versions = true"),
    ("between", "between = [1, 2]"),
    ("from", "from = 1"),
    ("to", "to = 2"),
    ("latency", r#"latency = "1000 ms""#),
    ("jitter", r#"jitter = "7 ms""#),
    ("window", r#"window = "210 s""#),
    ("threshold", "threshold = 0.3"),
    ("grace", r#"grace = "60 s""#),
    ("learning_rate", "learning_rate = 0.5"),
    ("exploration", "exploration = 0.1"),
    ("penalty", "penalty = 0.33"),
    ("max_copies", "max_copies = 2"),
    ("job_gap", r#"job_gap = "15 s""#),
    ("job_gap_deviation", r#"job_gap_deviation = "2 s""#),
    ("heartbeat", r#"heartbeat = "10 s""#),
    ("lease", r#"lease = "300 s""#),
    ("drain", r#"drain = "60 s""#),
    ("probes", "probes = 5"),
    ("goal", r#"goal = "response_time <= 35 s and availability >= 95 %""#),
    ("s3", "[s3]"),
    ("worker", "[worker]"),
    ("cores", "cores = [0, 1]"),
    ("memory", r#"memory = "2 GB""#),
    ("runners", r#"runners = ["process", "docker"]"#),
    ("pull", r#"pull = "missing""#),
    ("job", "[job]"),
    ("kind", r#"kind = "aggregate""#),
    ("request_size", r#"request_size = "9 MB""#),
    ("expression", r#"expression = "avg(cholesterol)""#),
    ("path", r#"path = "$.data""#),
    ("program", r#"program = "python3""#),
    ("arguments", r#"arguments = ["average.py", "--verbose"]"#),
    ("time_limit", r#"time_limit = "10 min""#),
    ("count_traffic", "count_traffic = true"),
    ("application", r#"application = "average.py""#),
    ("main_class", r#"main_class = "org.example.Average""#),
    ("master", r#"master = "spark://10.0.0.4:7077""#),
    ("conf", r#"conf = { "spark.executor.memory" = "2g" }"#),
    ("history_server", r#"history_server = "http://10.0.0.4:18080""#),
    ("history_wait", r#"history_wait = "30 s""#),
    ("event_log_dir", r#"event_log_dir = "file:/var/log/spark""#),
    ("rho", "[rho]"),
    ("response_time", r#"response_time = "40 s""#),
    ("execution_time", r#"execution_time = "15 s""#),
    ("throughput", r#"throughput = "3000 records/s""#),
    ("network_latency", r#"network_latency = "2000 ms""#),
    ("data_consistency", "data_consistency = 0.5"),
    ("staleness", r#"staleness = "60 s""#),
    ("cost", "[cost]"),
    ("move", "move = 1.5"),
    ("copy", "copy = 1.8"),
    ("change_reference", "change_reference = 1.0"),
    ("evict", "evict = 0.5"),
];

/// What tells a file's user how to write its keys.
#[derive(Clone, Copy, Debug)]
pub struct Guide {
    /// By key.
    pub examples: &'static [(&'static str, &'static str)],
    pub document: &'static str,
}

const GUIDE: Guide = Guide { examples: EXAMPLES, document: "docs/configuration.md" };

/// ``write it like `id = 4`; docs/configuration.md explains it``
pub fn how_to_write(key: &str) -> String {
    GUIDE.how_to_write(key)
}

impl Guide {
    fn how_to_write(&self, key: &str) -> String {
        let document = self.document;
        match self.examples.iter().find(|(known, _)| *known == key) {
            Some((_, example)) => format!("write it like `{example}`; {document} explains it"),
            None => format!("{document} explains every key"),
        }
    }
}

/// Why a text is no file of the right shape.
#[derive(Debug)]
pub struct Misread {
    /// From 1; absent when a key is missing everywhere.
    pub position: Option<(usize, usize)>,
    /// The line that it is about, trimmed.
    pub source: String,
    pub invalid: Invalid,
}

/// Reads a file's text; an error comes with its place, `line 3, column 1`. TOML gives up at the first error of a file.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, (String, Invalid)> {
    parse_by(text, &GUIDE)
}

/// The same for a file that another document explains.
pub fn parse_by<T: DeserializeOwned>(text: &str, guide: &Guide) -> Result<T, (String, Invalid)> {
    read(text, guide).map_err(|misread| {
        let place = misread.position.map(|(line, column)| format!("line {line}, column {column}"));
        (place.unwrap_or_default(), misread.invalid)
    })
}

/// The same for a text that was put together: its lines are in no file.
pub fn parse_joined<T: DeserializeOwned>(text: &str) -> Result<T, (String, Invalid)> {
    read(text, &GUIDE).map_err(|misread| {
        let place = misread.position.map(|_| format!("`{}`", misread.source));
        (place.unwrap_or_default(), misread.invalid)
    })
}

fn read<T: DeserializeOwned>(text: &str, guide: &Guide) -> Result<T, Misread> {
    toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let before = text.get(..start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        let column = before[line_start..].chars().count() + 1;
        let source = text[line_start..].lines().next().unwrap_or_default();
        // A key missing at the top is missing everywhere, not on line 1.
        let is_everywhere = start == 0 && error.message().starts_with(MISSING);
        Misread {
            position: (!is_everywhere).then_some((line, column)),
            source: source.trim().to_owned(),
            invalid: translate(error.message(), source, guide),
        }
    })
}

const MISSING: &str = "missing field ";
const UNKNOWN: &str = "unknown field ";
const MISTYPED: &str = "invalid type: ";

/// The deserializer's message in the words of the file's user.
fn translate(message: &str, source: &str, guide: &Guide) -> Invalid {
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match names.split_first() {
        Some((key, known)) if message.starts_with(UNKNOWN) => unknown(key, known),
        Some((key, [])) if message.starts_with(MISSING) => {
            Invalid::new(format!("`{key}` is missing"), guide.how_to_write(key))
        }
        _ => match message.strip_prefix(MISTYPED).and_then(|rest| rest.split_once(", expected ")) {
            Some((found, expected)) => mistyped(found, expected, source, guide),
            None => Invalid::new(
                message.lines().collect::<Vec<_>>().join(", "),
                format!("the file is TOML: `key = value` lines below `[table]` lines; {} has examples", guide.document),
            ),
        },
    }
}

fn unknown(key: &str, known: &[&str]) -> Invalid {
    let keys = format!("keys here are {}", known.join(", "));
    Invalid::new(
        format!("unknown key `{key}`"),
        match nearest(key, known) {
            Some(near) => format!("did you mean `{near}`? {keys}"),
            None => keys,
        },
    )
}

fn mistyped(found: &str, expected: &str, source: &str, guide: &Guide) -> Invalid {
    let found = match found {
        "map" => "a table",
        "sequence" => "a list",
        // Where tables are, secrets may be, so it is not repeated.
        text if text.starts_with("string ") && expected == "a table" => "text",
        other => other.trim_end_matches(" as i128"),
    };
    let expected = match expected {
        "i64" => "a whole number",
        "f64" => "a number",
        "a string" => "text in quotes",
        "a sequence" => "a list",
        other if other.starts_with("struct ") => "a table",
        other => other,
    };
    let key = source.split('=').next().unwrap_or_default().trim_matches([' ', '\t', '[', ']']);
    Invalid::new(format!("found {found} instead of {expected}"), guide.how_to_write(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys of a table, as its own error message lists them.
    fn keys<T: DeserializeOwned + fmt::Debug>() -> Vec<String> {
        let (_, invalid) = parse::<T>("no_key_is_called_like_this = 1").unwrap_err();
        let keys = invalid.help.strip_prefix("keys here are ").expect("an unknown key lists the known ones");
        keys.split(", ").map(str::to_owned).collect()
    }

    fn all_keys() -> Vec<(&'static str, Vec<String>)> {
        vec![
            ("network.toml", keys::<Network>()),
            ("[data_set]", keys::<DataSet>()),
            ("[data_set.constraints]", keys::<Constraints>()),
            ("[[node]]", keys::<Node>()),
            ("[node.store]", keys::<Store>()),
            ("[node.store.credentials]", keys::<Credentials>()),
            ("[[link]]", keys::<Link>()),
            ("[feedback]", keys::<Feedback>()),
            ("[learning]", keys::<Learning>()),
            ("[rhythm]", keys::<Rhythm>()),
            ("[membership]", keys::<Membership>()),
            ("N.toml", keys::<Agent>()),
            ("[s3]", keys::<S3>()),
            ("[worker]", keys::<Worker>()),
            ("[job]", keys::<Job>()),
            ("[rho]", keys::<Rho>()),
            ("[cost]", keys::<Cost>()),
        ]
    }

    /// The document's section for a table: from its heading to the next one.
    fn section<'a>(document: &'a str, table: &str) -> &'a str {
        let heading = format!("## `{table}`");
        let start = document.find(&heading).unwrap_or_else(|| panic!("docs/configuration.md has no section {heading}"));
        let rest = &document[start + heading.len()..];
        &rest[..rest.find("\n## ").unwrap_or(rest.len())]
    }

    #[test]
    fn every_key_is_documented_in_the_section_of_its_table() {
        let document = include_str!("../../../../docs/configuration.md");
        for (table, keys) in all_keys() {
            for key in keys {
                let row = format!("\n| `{key}` |");
                assert!(
                    section(document, table).contains(&row),
                    "{table}: `{key}` has no row in docs/configuration.md"
                );
            }
        }
    }

    #[test]
    fn every_example_is_of_a_key_and_is_toml() {
        let known: Vec<String> = all_keys().into_iter().flat_map(|(_, keys)| keys).collect();
        for (key, example) in EXAMPLES {
            assert!(known.iter().any(|known| known == key), "{key} is no key");
            let table: toml::Table = toml::from_str(example).expect("an example is TOML");
            assert_eq!(table.keys().collect::<Vec<_>>(), vec![key]);
        }
    }

    #[test]
    fn an_error_is_placed_by_line_and_column() {
        let check = |text: &str, expected: &str, problem: &str| {
            let (place, invalid) = parse::<Feedback>(text).unwrap_err();
            assert_eq!((place.as_str(), invalid.problem.as_str()), (expected, problem), "{text}");
        };
        check("window = 210", "line 1, column 10", "found integer `210` instead of a quantity with its unit in quotes");
        check("window = \"1 s\"\nthreshold = \"x\"", "line 2, column 13", "found string \"x\" instead of a number");
        check(
            "window = \"1 s\"\nü = 1",
            "line 2, column 1",
            "invalid unquoted key, expected letters, numbers, `-`, `_`",
        );
        check("window = \"1 s\"\n  windw = 1", "line 2, column 3", "unknown key `windw`");
        let (place, invalid) = parse::<S3>("").unwrap_err();
        assert_eq!((place.as_str(), invalid.problem.as_str()), ("", "`listen` is missing"));
    }
}
