//! From a file as written to a load as meant, with every problem that it has.

use super::arrivals::arrivals;
use super::load::{Client, Specification};
use super::targets::{request, service};
use super::written::{GUIDE, Written, WrittenClient, WrittenService};
use crate::register::experiment::Files;
use agent_core::config::{ConfigError, Invalid, Problems, parse_by, quantity};
use agent_core::domain::goal::nearest;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use std::{fs, io};

/// So many sources of requests are alike at most.
pub const CLIENTS_MAX: i64 = 10_000;
/// So many requests of a source are under way at most.
pub const IN_FLIGHT_MAX: i64 = 100_000;

const IN_FLIGHT: i64 = 1_000;
const LATE_AFTER: &str = "10 ms";
const TIMEOUT: &str = "10 s";

impl Specification {
    /// Reads a file, and the recordings that it names, which are looked for in its folder.
    ///
    /// # Errors
    /// It cannot be read, or all that is wrong with it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = text_of(path, "a load")?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::read(&path.display().to_string(), &text, |recording| fs::read_to_string(folder.join(recording)))
    }

    /// The same with every text that it is made of: what the file is called among them, and all of them by name.
    ///
    /// # Errors
    /// It cannot be read, or all that is wrong with it.
    pub fn load_with_files(path: &Path) -> Result<(Self, String, Files), ConfigError> {
        let text = text_of(path, "a load")?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let files = RefCell::new(Files::new());
        let specification = Self::read(&path.display().to_string(), &text, |recording| {
            let text = fs::read_to_string(folder.join(recording))?;
            files.borrow_mut().insert(recording.display().to_string(), text.clone());
            Ok(text)
        })?;
        let name = path.file_name().unwrap_or_default().display().to_string();
        let mut files = files.into_inner();
        files.insert(name.clone(), text);
        Ok((specification, name, files))
    }

    /// Reads what [`Self::load_with_files`] has read, wherever that was.
    ///
    /// # Errors
    /// All that is wrong with it, as a program of another version may see it.
    pub fn of_files(file: &str, files: &Files) -> Result<Self, ConfigError> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "it is not among what was queued");
        let text = files.get(file).map_or("", String::as_str);
        Self::read(file, text, |recording| files.get(&recording.display().to_string()).cloned().ok_or_else(missing))
    }

    /// The same of a text; `file` is what its problems are said to be in, `open` reads a recording by its name as it is
    /// written.
    ///
    /// # Errors
    /// All that is wrong with it; of what is no TOML, or has unknown keys, the first.
    pub fn read(file: &str, text: &str, open: impl Fn(&Path) -> io::Result<String>) -> Result<Self, ConfigError> {
        let mut problems = Problems::default();
        problems.enter(file);
        let written = parse_by(text, &GUIDE).map_err(|(place, invalid)| problems.add(place, invalid)).ok();
        let meant = written.and_then(|written| meant(text, &written, &open, &mut problems));
        problems.settle(meant)
    }
}

/// `None` after noting at least one problem.
fn meant(
    text: &str,
    written: &Written,
    open: &impl Fn(&Path) -> io::Result<String>,
    problems: &mut Problems,
) -> Option<Specification> {
    let name = problems.check("name", quantity::name(&written.name));
    let duration = written.duration.as_ref().map(quantity::positive_duration).transpose();
    let duration = problems.check("duration", duration);
    let mut services = Vec::new();
    let mut known = BTreeMap::new();
    for (index, written) in written.service.iter().enumerate() {
        let mut own = problems.within(format!("service {}{}", index + 1, called(&written.name)));
        if known.insert(written.name.as_str(), written).is_some() {
            own.add("name", Invalid::new("another service is called so", "give each a name of its own"));
        }
        services.extend(service(written, &mut own));
        problems.absorb(own);
    }
    let mut clients = Vec::new();
    for (index, written) in written.client.iter().enumerate() {
        let mut own = problems.within(format!("client {}", index + 1));
        let client = client(written, &known, open, &mut own);
        if client.as_ref().is_some_and(|client| !client.arrivals.has_end()) && duration == Some(None) {
            let help = "write a `duration = \"60 s\"` above the services, or let the profile end";
            own.add("duration", Invalid::new("is missing, and this client sends without end", help));
        }
        clients.extend(client);
        problems.absorb(own);
    }
    if written.service.is_empty() {
        problems.add("service", Invalid::new("there is none", "a load has at least one `[[service]]`"));
    }
    if written.client.is_empty() {
        problems.add("client", Invalid::new("there is none", "a load has at least one `[[client]]`"));
    }
    let (text, seed) = (text.to_owned(), written.seed.unwrap_or(1));
    Some(Specification { name: name?, text, seed, duration: duration?, services, clients })
}

/// Of a file that says `what`.
pub(super) fn text_of(path: &Path, what: &str) -> Result<String, ConfigError> {
    fs::read_to_string(path).or_else(|error| {
        let mut problems = Problems::default();
        problems.enter(&path.display().to_string());
        let help = format!("name a file that says {what}; docs/load.md has examples");
        problems.add("", Invalid::new(format!("cannot be read: {error}"), help));
        problems.settle(None)
    })
}

fn called(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!(" `{}`", name.escape_debug()) }
}

/// `None` after noting at least one problem.
fn client(
    written: &WrittenClient,
    services: &BTreeMap<&str, &WrittenService>,
    open: &impl Fn(&Path) -> io::Result<String>,
    problems: &mut Problems,
) -> Option<Client> {
    let service = services.get(written.service.as_str());
    if service.is_none() {
        problems.add("service", unknown_service(&written.service, services.keys().copied().collect()));
    }
    let count = problems.check("count", quantity::whole(written.count.unwrap_or(1), 1..=CLIENTS_MAX));
    let arrivals = arrivals(written, open, problems);
    let in_flight = quantity::whole(written.in_flight.unwrap_or(IN_FLIGHT), 1..=IN_FLIGHT_MAX);
    let in_flight = problems.check("in_flight", in_flight);
    let mut duration = |key: &str, written: Option<&String>, default: &str| -> Option<Duration> {
        problems.check(key, quantity::positive_duration(written.map_or(default, String::as_str)))
    };
    let late_after = duration("late_after", written.late_after.as_ref(), LATE_AFTER);
    let timeout = duration("timeout", written.timeout.as_ref(), TIMEOUT);
    let of_data_set = service.and_then(|service| service.data_set.as_deref());
    let request = request(&written.request, of_data_set, problems);
    Some(Client {
        service: written.service.clone(),
        count: count?,
        arrivals: arrivals?,
        in_flight: in_flight?,
        late_after: late_after?,
        timeout: timeout?,
        request: request?,
    })
}

fn unknown_service(name: &str, services: Vec<&str>) -> Invalid {
    let near = nearest(name, &services).map_or(String::new(), |near| format!("did you mean `{near}`? "));
    let known = if services.is_empty() {
        "there is no `[[service]]`".to_owned()
    } else {
        format!("services are {}", services.join(", "))
    };
    Invalid::new(format!("`{}` is no service of this file", name.escape_debug()), format!("{near}{known}"))
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
