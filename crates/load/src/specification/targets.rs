//! What requests go to, and what they are.

use super::load::{Hosts, Listed, Request, S3Object, Service};
use super::written::{WrittenHost, WrittenHosts, WrittenRequest, WrittenService};
use crate::balancer::{BalancerKind, CPU_THRESHOLD, Host, Record, UnknownBalancer};
use crate::generator::Template;
use agent_core::config::{Invalid, Problems, quantity};

/// What stands for the record in the table of a network.
const TABLE: &str = "table";

/// `None` after noting at least one problem.
pub(super) fn service(written: &WrittenService, problems: &mut Problems) -> Option<Service> {
    let name = problems.check("name", quantity::name(&written.name));
    let hosts = match &written.hosts {
        WrittenHosts::Listed(hosts) => listed(written, hosts, problems).map(Hosts::Listed),
        WrittenHosts::Word(word) if word == TABLE => by_the_table(written, problems),
        WrittenHosts::Word(word) => {
            let help = "write a list, like `[\"127.0.0.1:8080\"]`, or `\"table\"`: those of the service's record in the network's table";
            problems.add("hosts", Invalid::new(format!("`{}` is no list of hosts", word.escape_debug()), help));
            None
        }
    };
    Some(Service { name: name?, hosts: hosts? })
}

fn by_the_table(written: &WrittenService, problems: &mut Problems) -> Option<Hosts> {
    let twice = [("balancer", written.balancer.is_some()), ("cpu_threshold", written.cpu_threshold.is_some())];
    for (key, _) in twice.iter().filter(|(_, is_written)| *is_written) {
        let help = "leave it out; `agent load route set --balancer` says how the record is balanced";
        problems.add(*key, Invalid::new("is the record's to say, which is in the table", help));
    }
    twice.iter().all(|(_, is_written)| !is_written).then_some(Hosts::Table)
}

fn listed(written: &WrittenService, hosts: &[WrittenHost], problems: &mut Problems) -> Option<Listed> {
    let hosts = hosts.iter().map(|host| Host::new(host.address.clone(), host.weight)).collect();
    let record = Record::new(written.name.clone(), hosts, 1);
    let record = record.map_err(|wrong| problems.add(wrong.place, wrong.invalid)).ok();
    let balancer = written.balancer.as_deref().map_or(Ok(BalancerKind::default()), str::parse);
    let balancer = balancer.map_err(|unknown: UnknownBalancer| {
        Invalid::new(format!("`{}` is no balancer", unknown.0.escape_debug()), unknown.help())
    });
    let balancer = problems.check("balancer", balancer);
    let is_used = balancer.is_none_or(|kind| kind == BalancerKind::NearestBelow);
    let cpu_threshold = match written.cpu_threshold {
        None => Ok(CPU_THRESHOLD),
        Some(_) if !is_used => {
            let help = format!("leave it out, or use `balancer = \"{}\"`", BalancerKind::NearestBelow);
            Err(Invalid::new("is of another balancer", help))
        }
        Some(threshold) => quantity::positive(threshold).and_then(quantity::ratio),
    };
    let cpu_threshold = problems.check("cpu_threshold", cpu_threshold);
    Some(Listed { record: record?, balancer: balancer?, cpu_threshold: cpu_threshold? })
}

/// `None` after noting its problem.
pub(super) fn request(written: &WrittenRequest, problems: &mut Problems) -> Option<Request> {
    if let Some(object) = &written.s3 {
        return reading(object, written, problems);
    }
    let method = written.method.as_deref().unwrap_or("GET");
    let path = written.path.as_deref().unwrap_or("/");
    let headers = written.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let template = Template::new(method, path, headers, &written.body);
    let template = template
        .map_err(|error| problems.add(format!("request.{}", error.place), Invalid::new(error.problem, error.help)));
    Some(Request {
        method: method.to_owned(),
        path: path.to_owned(),
        headers: written.headers.clone().into_iter().collect(),
        body: written.body.clone(),
        template: template.ok()?,
        s3: None,
    })
}

/// Of an object by S3. `None` after noting its problems.
fn reading(object: &S3Object, written: &WrittenRequest, problems: &mut Problems) -> Option<Request> {
    let beside = [
        ("method", written.method.is_some()),
        ("path", written.path.is_some()),
        ("body", !written.body.is_empty()),
        ("headers", written.headers.keys().any(|name| name.eq_ignore_ascii_case("host"))),
    ];
    let mut is_well = true;
    for (key, _) in beside.iter().filter(|(_, is_written)| *is_written) {
        is_well = false;
        let help = "leave it out: an object is read with GET, and what it is signed for cannot be changed";
        problems.add(format!("request.{key}"), Invalid::new("stands beside `s3`", help));
    }
    for (key, text) in [("bucket", &object.bucket), ("key", &object.key)] {
        if text.is_empty() || (key == "bucket" && text.contains('/')) {
            is_well = false;
            let help = "name a data set of the endpoint and an object of it: `s3 = { bucket = \"blood_tests\", key = \"blood_tests.json\" }`";
            problems.add(format!("request.s3.{key}"), Invalid::new(format!("`{}` is none", text.escape_debug()), help));
        }
    }
    let headers = written.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let template = Template::new("GET", "/", headers, "");
    let template = template
        .map_err(|error| problems.add(format!("request.{}", error.place), Invalid::new(error.problem, error.help)));
    let template = template.ok().filter(|_| is_well)?;
    Some(Request {
        method: "GET".to_owned(),
        path: format!("/{}/{}", object.bucket, object.key),
        headers: written.headers.clone().into_iter().collect(),
        body: String::new(),
        template,
        s3: Some(object.clone()),
    })
}
