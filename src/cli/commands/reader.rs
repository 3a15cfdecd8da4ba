//! `agent reader`: asks an aggregator, by a menu or once.

use crate::cli::monitor_arguments;
use crate::cli::print;
use agent_aggregator::udsmp::Request;
use agent_aggregator::{Answer, Reader, menu};
use anyhow::Context as _;
use serde::Serialize;
use std::io::{stdin, stdout};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::process::ExitCode;

/// One answer for machines.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Document {
    Emitters { names: Vec<String>, complete: bool },
    Emitter { name: String, values: Vec<Value> },
}

#[derive(PartialEq, Debug, Serialize)]
struct Value {
    metric: String,
    value: f64,
}

pub(super) fn reader(arguments: &monitor_arguments::Reader) -> anyhow::Result<ExitCode> {
    let reader = Reader::new(resolved(&arguments.host, arguments.port)?);
    let request = match &arguments.emitter {
        Some(host) => Request::Emitter(host.as_str()),
        None if arguments.emitters => Request::Emitters,
        None => {
            menu::run(|request| reader.ask(request), &mut stdin().lock(), &mut stdout().lock())?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    let answer = reader.ask(&request)?;
    if arguments.json {
        print::json(&document(&request, answer)?)?;
    } else {
        let end = (!answer.complete).then(|| "... (the list goes on, and the rest did not come)".to_owned());
        print::lines(answer.entries.into_iter().chain(end))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The first address of IPv4, for an aggregator listens there; else the first.
fn resolved(host: &str, port: u16) -> anyhow::Result<SocketAddr> {
    let found = (host, port).to_socket_addrs().with_context(|| {
        format!("`{host}` cannot be resolved; name the aggregator's address or a name that this machine knows (-H)")
    })?;
    let mut found: Vec<SocketAddr> = found.collect();
    found.sort_by_key(SocketAddr::is_ipv6);
    found.first().copied().with_context(|| format!("`{host}` has no address; name another one (-H)"))
}

fn document(request: &Request<'_>, answer: Answer) -> anyhow::Result<Document> {
    Ok(match request {
        Request::Emitters => Document::Emitters { names: answer.entries, complete: answer.complete },
        Request::Emitter(name) => {
            let values = answer.entries.iter().map(|entry| {
                value(entry).with_context(|| format!("the aggregator's answer has `{entry}`, which is no value"))
            });
            Document::Emitter { name: (*name).to_owned(), values: values.collect::<anyhow::Result<_>>()? }
        }
    })
}

/// `cpu: 30.00`, and as the known implementation writes it: `CPU: 30.0`.
fn value(entry: &str) -> Option<Value> {
    let (metric, number) = entry.split_once(": ")?;
    let value = number.parse::<f64>().ok().filter(|value| value.is_finite())?;
    Some(Value { metric: metric.to_lowercase(), value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_both_dialects_are_numbers() {
        let check = |entry: &str, expected: Option<(&str, f64)>| {
            let expected = expected.map(|(metric, value)| Value { metric: metric.to_owned(), value });
            assert_eq!(value(entry), expected, "{entry}");
        };
        check("cpu: 30.00", Some(("cpu", 30.0)));
        check("CPU: 30.0", Some(("cpu", 30.0)));
        check("cpu: NaN", None);
        check("cpu", None);
    }

    #[test]
    fn addresses_are_resolved_or_said_to_be_wrong() {
        assert_eq!(resolved("127.0.0.1", 6343).expect("an address"), SocketAddr::from(([127, 0, 0, 1], 6343)));
        assert_eq!(resolved("::1", 1).expect("an address").port(), 1);
        let error = resolved("no.such.host.invalid", 1).expect_err("no address").to_string();
        assert!(error.starts_with("`no.such.host.invalid` cannot be resolved; "), "{error}");
    }
}
