//! What requests go to, and what they are.

use super::load::{Balancing, Hosts, Listed, Reads, Replicas, Request, S3Object, Service};
use super::written::{WrittenHost, WrittenHosts, WrittenRequest, WrittenService};
use crate::balancer::{BalancerKind, CPU_THRESHOLD, Host, Record, UnknownBalancer};
use crate::generator::Template;
use agent_core::config::{Invalid, Problems, quantity};
use agent_core::domain::ids::{AgentId, DataSetName};

/// What stands for the record in the table of a network.
const TABLE: &str = "table";

/// `None` after noting at least one problem.
pub(super) fn service(written: &WrittenService, problems: &mut Problems) -> Option<Service> {
    let name = problems.check("name", quantity::name(&written.name));
    if let (Some(_), None) = (written.agent, &written.data_set) {
        let help = "leave it out, or name the `data_set` whose replica it refers to";
        problems.add("agent", Invalid::new("says whose replica of a data set is read", help));
    }
    let hosts = match (&written.hosts, &written.data_set) {
        (Some(WrittenHosts::Listed(hosts)), None) => listed(written, hosts, problems).map(Hosts::Listed),
        (Some(WrittenHosts::Word(word)), None) if word == TABLE => by_the_table(written, problems),
        (Some(WrittenHosts::Word(word)), None) => {
            let help = "write a list, like `[\"127.0.0.1:8080\"]`, or `\"table\"`: those of the service's record in the network's table";
            problems.add("hosts", Invalid::new(format!("`{}` is no list of hosts", word.escape_debug()), help));
            None
        }
        (None, Some(data_set)) => replicas(written, data_set, problems).map(Hosts::Replicas),
        (Some(_), Some(_)) => {
            let help = "leave one of them out: the hosts of a data set are the stores that hold its replicas";
            problems.add("hosts", Invalid::new("stand beside `data_set`", help));
            None
        }
        (None, None) => {
            let help = "write `hosts = [\"127.0.0.1:8080\"]`, `hosts = \"table\"` or `data_set = \"blood_tests\"`";
            problems.add("hosts", Invalid::new("are missing", help));
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
    let balancing = balancing(written, problems);
    Some(Listed { record: record?, balancing: balancing? })
}

fn replicas(written: &WrittenService, data_set: &str, problems: &mut Problems) -> Option<Replicas> {
    let data_set = problems.check("data_set", quantity::name(data_set).map(|name| DataSetName(name.into())));
    let of = written.agent.map(|agent| quantity::whole(agent, 1..=i64::from(u32::MAX))).transpose();
    let of = problems.check("agent", of.map(|of: Option<u32>| of.map(AgentId)));
    let balancing = balancing(written, problems);
    Some(Replicas { data_set: data_set?, of: of?, balancing: balancing? })
}

fn balancing(written: &WrittenService, problems: &mut Problems) -> Option<Balancing> {
    let kind = written.balancer.as_deref().map_or(Ok(BalancerKind::default()), str::parse);
    let kind = kind.map_err(|unknown: UnknownBalancer| {
        Invalid::new(format!("`{}` is no balancer", unknown.0.escape_debug()), unknown.help())
    });
    let kind = problems.check("balancer", kind);
    let is_used = kind.is_none_or(|kind| kind == BalancerKind::NearestBelow);
    let cpu_threshold = match written.cpu_threshold {
        None => Ok(CPU_THRESHOLD),
        Some(_) if !is_used => {
            let help = format!("leave it out, or use `balancer = \"{}\"`", BalancerKind::NearestBelow);
            Err(Invalid::new("is of another balancer", help))
        }
        Some(threshold) => quantity::positive(threshold).and_then(quantity::ratio),
    };
    let cpu_threshold = problems.check("cpu_threshold", cpu_threshold);
    Some(Balancing { kind: kind?, cpu_threshold: cpu_threshold? })
}

/// `None` after noting its problems. `of_data_set`: that the service is, if it is one.
pub(super) fn request(written: &WrittenRequest, of_data_set: Option<&str>, problems: &mut Problems) -> Option<Request> {
    if let Some(data_set) = of_data_set {
        return reading_replica(data_set, written, problems);
    }
    if written.object.is_some() {
        let help = "leave it out, or write `s3 = { bucket = \"blood_tests\", key = \"blood_tests.json\" }`";
        problems.add("request.object", Invalid::new("is of a data set, and the service is none", help));
        return None;
    }
    if let Some(object) = &written.s3 {
        return reading_object(object, written, problems);
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
        reads: None,
    })
}

fn reading_object(object: &S3Object, written: &WrittenRequest, problems: &mut Problems) -> Option<Request> {
    let mut is_well = true;
    for (key, text) in [("bucket", &object.bucket), ("key", &object.key)] {
        if text.is_empty() || (key == "bucket" && text.contains('/')) {
            is_well = false;
            let help = "name a data set of the endpoint and an object of it: `s3 = { bucket = \"blood_tests\", key = \"blood_tests.json\" }`";
            problems.add(format!("request.s3.{key}"), Invalid::new(format!("`{}` is none", text.escape_debug()), help));
        }
    }
    let path = format!("/{}/{}", object.bucket, object.key);
    reading("stands beside `s3`", path, Reads::Object(object.clone()), written, problems).filter(|_| is_well)
}

fn reading_replica(data_set: &str, written: &WrittenRequest, problems: &mut Problems) -> Option<Request> {
    let object = &written.object;
    let mut is_well = true;
    if written.s3.is_some() {
        is_well = false;
        let help = "leave it out; `object = \"part-1.json\"` names one of many objects";
        problems.add("request.s3", Invalid::new("the service says what is read: a data set", help));
    }
    if object.as_ref().is_some_and(String::is_empty) {
        is_well = false;
        problems
            .add("request.object", Invalid::new("`` is none", "name an object, or leave it out where there is one"));
    }
    let path = format!("/{data_set}{}", object.as_ref().map_or(String::new(), |key| format!("/{key}")));
    let reads = Reads::Replica(object.clone());
    reading("is said by the service, which is a data set", path, reads, written, problems).filter(|_| is_well)
}

/// By S3. `None` after noting its problems; `fixed` is what they are said of what is written, and cannot be.
fn reading(
    fixed: &str,
    path: String,
    reads: Reads,
    written: &WrittenRequest,
    problems: &mut Problems,
) -> Option<Request> {
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
        problems.add(format!("request.{key}"), Invalid::new(fixed, help));
    }
    let headers = written.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let template = Template::new("GET", "/", headers, "");
    let template = template
        .map_err(|error| problems.add(format!("request.{}", error.place), Invalid::new(error.problem, error.help)));
    Some(Request {
        method: "GET".to_owned(),
        path,
        headers: written.headers.clone().into_iter().collect(),
        body: String::new(),
        template: template.ok().filter(|_| is_well)?,
        reads: Some(reads),
    })
}
