//! `[job]` of `N.toml`: what an application does, by its kind.

use super::agent::Context;
use super::network::{links_are, refuse, time_scale};
use super::problem::{Invalid, Problems};
use super::scenario::Links;
use super::settings::{HistorySettings, JobSettings, ProgramSettings, ServiceSettings, SparkSettings};
use super::{defaults, fragment, quantity};
use crate::clock::TimeScale;
use crate::domain::records_path::{PathError, RecordsPath};
use std::collections::BTreeMap;

/// Spark properties that have a key of their own, or are none of the user's business.
const OWN_PROPERTIES: [(&str, &str); 5] = [
    ("spark.master", "use `master`"),
    ("spark.agent.run", "leave it out: runs are told apart by it"),
    ("spark.eventLog.enabled", "leave it out: there is always an event log"),
    ("spark.eventLog.dir", "use `event_log_dir` beside `history_server`, or leave it out"),
    ("spark.eventLog.overwrite", "leave it out: every run has a log of its own"),
];

/// The kind whose users make requests.
pub(super) const SERVICE: &str = "service";

/// `None` after noting at least one problem.
pub(super) fn validate(written: &fragment::Job, context: &Context<'_>, problems: &mut Problems) -> Option<JobSettings> {
    let request_size = problems.text(("job", "request_size"), written.request_size.as_ref(), defaults::REQUEST_SIZE);
    let request_bytes = problems.check("job.request_size", self::request_size(request_size, context));
    match written.kind.as_str() {
        "aggregate" => {
            refuse(&of_service(written), &["service"], "job", problems);
            refuse(&of_spark(written), &["spark"], "job", problems);
            refuse(&of_programs(written), &["command", "spark"], "job", problems);
            let check = |text: &String| (context.vocabulary.expression)(text).map(|()| text.clone());
            let expression = problems.require("job.expression", written.expression.as_ref(), check);
            let path = written.path.as_deref().and_then(|path| problems.check("job.path", records_path(path)));
            Some(JobSettings::Aggregate { expression: expression?, path, request_bytes: request_bytes? })
        }
        "command" => {
            refuse(&of_service(written), &["service"], "job", problems);
            refuse(&of_aggregate(written), &["aggregate"], "job", problems);
            refuse(&of_spark(written), &["spark"], "job", problems);
            let program = problems.require("job.program", written.program.as_ref(), |text| quantity::filled(text));
            let program = program_settings(written, program, request_bytes, context, problems);
            program.map(JobSettings::Command)
        }
        "spark" => {
            refuse(&of_service(written), &["service"], "job", problems);
            refuse(&of_aggregate(written), &["aggregate"], "job", problems);
            spark(written, request_bytes, context, problems).map(JobSettings::Spark)
        }
        SERVICE => {
            refuse(&of_aggregate(written), &["aggregate"], "job", problems);
            refuse(&of_programs(written), &["command", "spark"], "job", problems);
            refuse(&of_spark(written), &["spark"], "job", problems);
            let window = problems.text(("job", "window"), written.window.as_ref(), defaults::SERVICE_WINDOW);
            let window = problems.check("job.window", quantity::positive_duration(window));
            Some(JobSettings::Service(ServiceSettings { window: window?, request_bytes: request_bytes? }))
        }
        other => {
            let problem = format!("`{other}` is not a kind of job");
            problems.add("job.kind", Invalid::new(problem, r#"use "aggregate", "command", "spark" or "service""#));
            None
        }
    }
}

fn of_aggregate(written: &fragment::Job) -> [(&'static str, bool); 2] {
    [("expression", written.expression.is_some()), ("path", written.path.is_some())]
}

fn of_service(written: &fragment::Job) -> [(&'static str, bool); 1] {
    [("window", written.window.is_some())]
}

fn of_programs(written: &fragment::Job) -> [(&'static str, bool); 4] {
    [
        ("program", written.program.is_some()),
        ("arguments", written.arguments.is_some()),
        ("time_limit", written.time_limit.is_some()),
        ("count_traffic", written.count_traffic.is_some()),
    ]
}

fn of_spark(written: &fragment::Job) -> [(&'static str, bool); 7] {
    [
        ("application", written.application.is_some()),
        ("main_class", written.main_class.is_some()),
        ("master", written.master.is_some()),
        ("conf", written.conf.is_some()),
        ("history_server", written.history_server.is_some()),
        ("history_wait", written.history_wait.is_some()),
        ("event_log_dir", written.event_log_dir.is_some()),
    ]
}

/// What every job has that starts a program.
fn program_settings(
    written: &fragment::Job,
    program: Option<String>,
    request_bytes: Option<u64>,
    context: &Context<'_>,
    problems: &mut Problems,
) -> Option<ProgramSettings> {
    if let Some(node) = beyond_programs(context) {
        let problem = format!("a program cannot read the store of node {node}, behind HTTPS, through an emulated link");
        let help = "give the store an `http://` endpoint, set `emulator = \"none\"`, or use kind \"aggregate\"";
        problems.add("job.kind", Invalid::new(problem, help));
    }
    let time_limit = problems.text(("job", "time_limit"), written.time_limit.as_ref(), defaults::TIME_LIMIT);
    let time_limit = problems.check("job.time_limit", quantity::positive_duration(time_limit));
    Some(ProgramSettings {
        program: program?,
        arguments: written.arguments.clone().unwrap_or_default(),
        time_limit: time_limit?,
        request_bytes: request_bytes?,
        count_traffic: written.count_traffic,
    })
}

fn spark(
    written: &fragment::Job,
    request_bytes: Option<u64>,
    context: &Context<'_>,
    problems: &mut Problems,
) -> Option<SparkSettings> {
    let or = |written: &Option<String>, default: &str| written.clone().unwrap_or_else(|| default.to_owned());
    let program = or(&written.program, defaults::SPARK_SUBMIT);
    let program = problems.check("job.program", quantity::filled(&program));
    let submit = program_settings(written, program, request_bytes, context, problems);
    let application = problems.require("job.application", written.application.as_ref(), |text| no_option(text));
    let main_class = written.main_class.as_ref().map(|class| problems.check("job.main_class", no_option(class)));
    let master = problems.check("job.master", no_option(&or(&written.master, defaults::SPARK_MASTER)));
    let mut conf = BTreeMap::new();
    properties("", written.conf.as_ref().unwrap_or(&toml::Table::new()), &mut conf, problems);
    let history = history(written, problems);
    Some(SparkSettings {
        submit: submit?,
        application: application?,
        main_class: main_class.map_or(Some(None), |checked| checked.map(Some))?,
        master: master?,
        conf,
        history: history?,
    })
}

/// An argument that `spark-submit` takes for no option of its own.
fn no_option(text: &str) -> Result<String, Invalid> {
    match text.starts_with('-') {
        true => Err(Invalid::new(format!("`{text}` begins with `-`"), "options of Spark are properties in `conf`")),
        false => quantity::filled(text),
    }
}

/// Spark properties, by name. `spark.executor.memory = "2g"` in TOML is a table `spark` with a table `executor` in it.
fn properties(prefix: &str, table: &toml::Table, found: &mut BTreeMap<String, String>, problems: &mut Problems) {
    for (key, value) in table {
        let name = format!("{prefix}{key}");
        let text = match value {
            toml::Value::Table(inner) => {
                properties(&format!("{name}."), inner, found, problems);
                continue;
            }
            toml::Value::String(text) => Ok(text.clone()),
            toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_) => Ok(value.to_string()),
            toml::Value::Array(_) | toml::Value::Datetime(_) => Err(Invalid::new(
                format!("found {} instead of text, a number or a boolean", value.type_str()),
                r#"write it like `"spark.executor.memory" = "2g"`"#,
            )),
        };
        let checked = text.and_then(|text| property(&name).map(|()| text));
        if let Some(text) = problems.check(format!("job.conf: {name}"), checked) {
            found.insert(name, text);
        }
    }
}

fn property(name: &str) -> Result<(), Invalid> {
    match OWN_PROPERTIES.iter().find(|(own, _)| *own == name) {
        Some((_, help)) => Err(Invalid::new("is for the agent to set", *help)),
        None if !name.starts_with("spark.") => {
            Err(Invalid::new("is no Spark property", "their names begin with `spark.`, Hadoop's with `spark.hadoop.`"))
        }
        None => Ok(()),
    }
}

/// `Some(None)`: there is no History Server.
fn history(written: &fragment::Job, problems: &mut Problems) -> Option<Option<HistorySettings>> {
    let Some(server) = &written.history_server else {
        let alone =
            [("history_wait", written.history_wait.is_some()), ("event_log_dir", written.event_log_dir.is_some())];
        for (key, _) in alone.into_iter().filter(|(_, is_written)| *is_written) {
            let help = "name one, or remove it: without one, the agent makes an event log of its own and reads that";
            problems.add(format!("job.{key}"), Invalid::new("is only for a `history_server`", help));
        }
        return Some(None);
    };
    let server = problems.check("job.history_server", plain_url(server));
    let wait = match &written.history_wait {
        Some(wait) => quantity::positive_duration(wait),
        None => quantity::positive_duration(defaults::HISTORY_WAIT),
    };
    let wait = problems.check("job.history_wait", wait);
    let event_log_dir = written.event_log_dir.as_ref();
    let event_log_dir = event_log_dir.map(|written| problems.check("job.event_log_dir", quantity::filled(written)));
    Some(Some(HistorySettings {
        server: server?,
        wait: wait?,
        event_log_dir: event_log_dir.map_or(Some(None), |checked| checked.map(Some))?,
    }))
}

/// An address without TLS.
fn plain_url(text: &str) -> Result<String, Invalid> {
    const EXAMPLE: &str = "http://10.0.0.4:18080";
    let url = quantity::url(text, EXAMPLE)?;
    match url.starts_with("http://") {
        true => Ok(url),
        false => Err(Invalid::new("a History Server is asked over http alone", format!("write it like `{EXAMPLE}`"))),
    }
}

fn records_path(text: &str) -> Result<RecordsPath, Invalid> {
    text.parse().map_err(|error: PathError| Invalid::new(error.to_string(), PathError::HELP))
}

/// A node whose store programs cannot reach: its certificate is not for the link that they are told.
fn beyond_programs(context: &Context<'_>) -> Option<i64> {
    let network = context.network.filter(|network| links_are(network) == Links::Injected)?;
    let is_https = |node: &&fragment::Node| node.store.endpoint.as_ref().is_some_and(|at| at.starts_with("https://"));
    network.node.iter().find(is_https).map(|node| node.id)
}

/// At least a byte, at the time scale too.
fn request_size(written: &str, context: &Context<'_>) -> Result<u64, Invalid> {
    let bytes = quantity::positive_size(written)?;
    let scale = context.network.and_then(|network| time_scale(network).ok()).unwrap_or(TimeScale::REAL);
    match scale.shrink(bytes) {
        0 => Err(Invalid::new(
            format!("{} is less than a byte at time_scale = {}", written.trim(), scale.factor()),
            "data shrinks as time does: ask for more, or lower `time_scale` in network.toml",
        )),
        _ => Ok(bytes),
    }
}
