//! A line into a verb. Words are quoted as in a shell; `#` begins a comment.

use super::forms::{FORMS, Form, LABEL, WITHIN_TICKS, form_of, forms_of};
use super::routing::{Change, Routing};
use super::selection::{Pattern, Selection, label};
use super::verb::{Experiment, Verb};
use crate::balancer::{Address, Host, Record};
use crate::specification::within_ticks;
use agent_arrivals::{RATE_MAX, Within};
use agent_core::config::{Invalid, quantity};
use agent_core::domain::goal::nearest;
use agent_core::domain::labels::Labels;
use std::str::FromStr;
use std::time::Duration;

/// So many clients are spawned at once at most.
pub const CLIENTS_MAX: u32 = 10_000;
/// So many requests are asked for at once at most.
pub const REQUESTS_MAX: u32 = 1_000_000;
/// The longest pause \[s\]: a year.
const SLEEP_MAX_S: f64 = 365.0 * 86_400.0;

/// Reads a line; `None` when there is no verb in it.
///
/// # Errors
/// What is wrong, and the verb's form.
pub fn parse(line: &str) -> Result<Option<Verb>, Invalid> {
    if let Some(character) = line.chars().find(|character| character.is_control() && *character != '\t') {
        let problem = format!("there is a control character, `{}`", character.escape_unicode());
        return Err(Invalid::new(problem, "a verb is one line of plain text; remove it"));
    }
    let words = shlex::split(line).ok_or_else(|| {
        let help = "close it; a `\\` stands in front of a character that it quotes";
        Invalid::new("a quotation mark has no other end, or a `\\` nothing behind it", help)
    })?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Some(first) = words.first() else { return Ok(None) };
    let form = form_of(words.iter().copied()).ok_or_else(|| unknown(first, words.get(1).copied()))?;
    let behind = &words[form.name.split(' ').count()..];
    verb(form, behind).map(Some).map_err(|Invalid { problem, help }| {
        let separator = if help.is_empty() { "" } else { "; " };
        Invalid::new(format!("{}: {problem}", form.name), format!("{help}{separator}the form is `{form}`"))
    })
}

impl FromStr for Verb {
    type Err = Invalid;

    fn from_str(line: &str) -> Result<Self, Invalid> {
        parse(line)?.ok_or_else(|| Invalid::new("there is no verb", "`help` lists them"))
    }
}

fn unknown(first: &str, second: Option<&str>) -> Invalid {
    let forms: Vec<String> = forms_of(first).map(|form| format!("`{form}`")).collect();
    if !forms.is_empty() {
        let problem = match second {
            Some(second) => format!("`{first}` has no `{}`", second.escape_debug()),
            None => format!("`{first}` needs a second word"),
        };
        return Invalid::new(problem, format!("forms are {}", forms.join(", ")));
    }
    let names: Vec<&str> = FORMS.iter().filter_map(|form| form.name.split(' ').next()).collect();
    let near = nearest(first, &names).map_or(String::new(), |near| format!("did you mean `{near}`? "));
    Invalid::new(format!("`{}` is no verb", first.escape_debug()), format!("{near}`help` lists all verbs"))
}

fn verb(form: &Form, words: &[&str]) -> Result<Verb, Invalid> {
    let Arguments { words, labels, within_ticks } = Arguments::read(form, words)?;
    let on = |text: &str| text.parse().map(|pattern| Selection { pattern, labels: labels.clone() });
    let experiment = |experiment: Experiment| Ok(Verb::Experiment(experiment));
    let anywhere = || Selection { pattern: Pattern::any(), labels: labels.clone() };
    if let Some(what) = form.name.strip_prefix("rtbl ") {
        return routing(what, &words).map(Verb::Routing);
    }
    match (form.name, words.as_slice()) {
        ("hosts", []) => Ok(Verb::Hosts(anywhere())),
        ("hosts", [pattern]) => on(pattern).map(Verb::Hosts),
        ("clients", []) => Ok(Verb::Clients(anywhere())),
        ("clients", [pattern]) => on(pattern).map(Verb::Clients),
        ("info", []) => Ok(Verb::Info),
        ("ping", []) => Ok(Verb::Ping),
        ("spawn", [pattern, service, clients @ ..]) if clients.len() <= 1 => {
            let clients = clients.first().map_or(Ok(1), |text| count("N", text, CLIENTS_MAX))?;
            Ok(Verb::Spawn { on: on(pattern)?, service: quantity::name(service)?, clients, within_ticks })
        }
        ("rps", [pattern, service, rate]) => {
            let rate = number("RATE", rate, RATE_MAX, "requests/s")?;
            Ok(Verb::Rps { on: on(pattern)?, service: quantity::name(service)?, rate })
        }
        ("close", [pattern, service]) => Ok(Verb::Close { on: on(pattern)?, service: quantity::name(service)? }),
        ("request", [pattern, service, requests]) => {
            let count = count("N", requests, REQUESTS_MAX)?;
            Ok(Verb::Request { on: on(pattern)?, service: quantity::name(service)?, count })
        }
        ("pause", [pattern, service]) => Ok(Verb::Pause { on: on(pattern)?, service: quantity::name(service)? }),
        ("traces", [pattern, "on"]) => Ok(Verb::Traces { on: on(pattern)?, are_kept: true }),
        ("traces", [pattern, "off"]) => Ok(Verb::Traces { on: on(pattern)?, are_kept: false }),
        ("sleep", [seconds]) => {
            let seconds = number("SECONDS", seconds, SLEEP_MAX_S, "s")?;
            // In range; to the microsecond, so that what is printed is read back as the same.
            Ok(Verb::Sleep(Duration::from_micros((seconds * 1e6).round() as u64)))
        }
        ("source", [file]) => quantity::filled(file).map(Verb::Source),
        ("date", []) => Ok(Verb::Date),
        ("echo", text) => Ok(Verb::Echo(text.join(" "))),
        ("exp start", [name]) => experiment(Experiment::Start { name: quantity::name(name)? }),
        ("exp stop", []) => experiment(Experiment::Stop),
        ("exp event", [name]) => experiment(Experiment::Event { name: quantity::filled(name)?, value: None }),
        ("exp event", [name, value]) => {
            experiment(Experiment::Event { name: quantity::filled(name)?, value: Some((*value).to_owned()) })
        }
        ("exp queue", [file]) => experiment(Experiment::Queue { file: quantity::filled(file)? }),
        ("exp list", []) => experiment(Experiment::List),
        ("exp cancel", [id]) => experiment(Experiment::Cancel { id: quantity::name(id)? }),
        ("help", []) => Ok(Verb::Help(None)),
        ("help", [word]) if forms_of(word).next().is_some() => Ok(Verb::Help(Some((*word).to_owned()))),
        ("help", words) => match form_of(words.iter().copied()) {
            Some(form) => Ok(Verb::Help(Some(form.name.to_owned()))),
            None => Err(unknown(words[0], words.get(1).copied())),
        },
        ("exit", []) => Ok(Verb::Exit),
        (_, words) => Err(unfit(words)),
    }
}

/// What stands behind `rtbl`: `what`, and its words.
///
/// # Errors
/// What is wrong with them.
pub fn routing(what: &str, words: &[&str]) -> Result<Routing, Invalid> {
    let change =
        |service: &str, change: Change| quantity::name(service).map(|service| Routing::Change { service, change });
    match (what, words) {
        ("set", [service, listed, weights]) => {
            let listed = hosts(listed, weights)?;
            // The record that would come of it is checked here, where its line is known.
            Record::new(*service, listed.clone(), 0).map_err(|wrong| in_place(&wrong.place, wrong.invalid))?;
            change(service, Change::Set(listed))
        }
        ("append", [service, listed, weights]) => change(service, Change::Append(hosts(listed, weights)?)),
        ("remove", [service, addresses]) => {
            let address = |text: &str| Address::parse(text).map(|_| text.to_owned());
            change(service, Change::Remove(addresses.split(',').map(address).collect::<Result<_, _>>()?))
        }
        ("unset", [service]) => change(service, Change::Unset),
        ("info", [service]) => Ok(Routing::Info { service: quantity::name(service)? }),
        ("list", []) => Ok(Routing::List),
        ("flush", []) => Ok(Routing::Flush),
        (_, words) => Err(unfit(words)),
    }
}

fn unfit(words: &[&str]) -> Invalid {
    let problem = match words.len() {
        0 => "nothing stands behind it".to_owned(),
        1 => "one word behind it does not fit".to_owned(),
        many => format!("{many} words behind it do not fit"),
    };
    Invalid::new(problem, "")
}

/// What stands behind a verb.
struct Arguments<'a> {
    words: Vec<&'a str>,
    labels: Labels,
    within_ticks: Within,
}

impl<'a> Arguments<'a> {
    /// Takes the options out; behind `--` there are none. In a verb without options every word is what it is.
    fn read(form: &Form, words: &[&'a str]) -> Result<Self, Invalid> {
        let mut read = Self { words: Vec::new(), labels: Labels::new(), within_ticks: Within::default() };
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            if form.options.is_empty() || !word.starts_with("--") {
                read.words.push(word);
            } else if word == "--" {
                read.words.extend(words.by_ref());
            } else {
                let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
                let option = form.options.iter().find(|option| option.name == name).ok_or_else(|| {
                    Invalid::new(
                        format!("`{}` is no option of it", name.escape_debug()),
                        "words that begin with `--` stand behind `--`",
                    )
                })?;
                let value = value.or_else(|| words.next());
                let value = value.ok_or_else(|| Invalid::new(format!("{name}: there is no {}", option.value), ""))?;
                read.take(name, value).map_err(|invalid| in_place(name, invalid))?;
            }
        }
        Ok(read)
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), Invalid> {
        if name == WITHIN_TICKS.name {
            self.within_ticks = within_ticks::read(value)?;
            return Ok(());
        }
        debug_assert_eq!(name, LABEL.name, "every option of the table is read");
        let (key, value) = label(value)?;
        match self.labels.insert(key.clone(), value) {
            None => Ok(()),
            Some(_) => Err(Invalid::new(
                format!("`{key}` is there twice"),
                "a host has one value of each label; leave one out",
            )),
        }
    }
}

fn in_place(place: &str, Invalid { problem, help }: Invalid) -> Invalid {
    Invalid::new(format!("{place}: {problem}"), help)
}

fn count(what: &str, text: &str, most: u32) -> Result<u32, Invalid> {
    text.parse().ok().filter(|count| (1..=most).contains(count)).ok_or_else(|| {
        Invalid::new(
            format!("{what}: `{}` is no count", text.escape_debug()),
            format!("it is a whole number from 1 to {most}"),
        )
    })
}

fn number(what: &str, text: &str, most: f64, unit: &str) -> Result<f64, Invalid> {
    text.parse().ok().filter(|number| (0.0..=most).contains(number)).ok_or_else(|| {
        Invalid::new(
            format!("{what}: `{}` is no number of {unit}", text.escape_debug()),
            format!("it is from 0 to {most}"),
        )
    })
}

/// `a:80,b:80` and `1,4`.
fn hosts(addresses: &str, weights: &str) -> Result<Vec<Host>, Invalid> {
    let (addresses, weights): (Vec<&str>, Vec<&str>) = (addresses.split(',').collect(), weights.split(',').collect());
    if addresses.len() != weights.len() {
        let problem = format!("{} weights are not one for each of {} hosts", weights.len(), addresses.len());
        return Err(Invalid::new(problem, "separate them with commas, without spaces"));
    }
    let host = |(address, weight): (&str, &str)| {
        let not_a_number =
            || Invalid::new(format!("WEIGHTS: `{}` is no number", weight.escape_debug()), "write them like `1,4`");
        let host = Host::new(address, weight.parse().map_err(|_| not_a_number())?);
        host.check().map_err(|(key, invalid)| in_place(key, invalid)).map(|()| host)
    };
    addresses.into_iter().zip(weights).map(host).collect()
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
