use super::super::arrivals::Arrivals;
use super::super::load::{Hosts, Reads};
use super::*;
use crate::balancer::{BalancerKind, Host};
use agent_arrivals::{Profile, Within};
use agent_core::domain::ids::AgentId;

/// A recording is what its file is called, with a line for each `+`.
fn read(text: &str) -> Result<Specification, ConfigError> {
    Specification::read("load.toml", text, |path| {
        let name = path.to_string_lossy();
        match name.strip_prefix("missing") {
            Some(_) => Err(io::ErrorKind::NotFound.into()),
            None => Ok(name.replace('+', "\n")),
        }
    })
}

const SERVICE: &str = "[[service]]\nname = \"shop\"\nhosts = [\"127.0.0.1:8080\"]\n";

/// A load of one service and one client.
fn with_client(client: &str) -> String {
    format!("name = \"evening\"\n{SERVICE}[[client]]\nservice = \"shop\"\n{client}")
}

#[test]
fn the_shortest_load_has_sensible_defaults() {
    let load = read(&with_client("profile = { ticks = [2, 6], interval = \"10 s\" }")).unwrap();
    assert_eq!((load.name.as_str(), load.seed, load.duration), ("evening", 1, None));
    let [service] = load.services.as_slice() else { panic!("one service") };
    let listed = service.listed().unwrap();
    assert_eq!(
        (service.name.as_str(), listed.balancing.kind, listed.balancing.cpu_threshold),
        ("shop", BalancerKind::WeightedRoundRobin, 0.8)
    );
    assert_eq!(listed.record.hosts(), [Host::new("127.0.0.1:8080", 1.0)]);
    let [client] = load.clients.as_slice() else { panic!("one client") };
    assert_eq!((client.count, client.in_flight), (1, 1_000));
    assert_eq!((client.late_after, client.timeout), (Duration::from_millis(10), Duration::from_secs(10)));
    let profile = Profile::of_ticks(Duration::from_secs(10), vec![2.0, 6.0]).unwrap();
    let Arrivals::Profile { profile: found, within_ticks } = &client.arrivals else { panic!("a profile") };
    assert!(found.ticks().eq(profile.ticks()) && *within_ticks == Within::Constant);
    assert_eq!((client.request.method.as_str(), client.request.path.as_str()), ("GET", "/"));
}

#[test]
fn everything_can_be_said() {
    let text = r#"
        name = "evening"
        seed = 7
        duration = "60 s"
        [[service]]
        name = "shop"
        hosts = ["127.0.0.1:8080", { address = "127.0.0.1:8081", weight = 4 }]
        balancer = "nearest-below"
        cpu_threshold = 0.5
        [[client]]
        service = "shop"
        count = 2
        rate = 100
        within_ticks = "exponential"
        in_flight = 50
        late_after = "5 ms"
        timeout = "1 s"
        [client.request]
        method = "POST"
        path = "/items/{n}"
        headers = { Accept = "text/plain" }
        body = "x"
        [[client]]
        service = "shop"
        gaps = { distribution = "gamma", shape = 2.0, scale = 0.5 }
    "#;
    let load = read(text).unwrap();
    assert_eq!((load.seed, load.duration), (7, Some(Duration::from_secs(60))));
    let listed = load.services[0].listed().unwrap();
    assert_eq!(listed.record.hosts()[1], Host::new("127.0.0.1:8081", 4.0));
    assert_eq!((listed.balancing.kind, listed.balancing.cpu_threshold), (BalancerKind::NearestBelow, 0.5));
    assert_eq!(load.routed_by_the_table().count(), 0);
    let client = &load.clients[0];
    assert_eq!((client.count, client.in_flight), (2, 50));
    assert!(matches!(client.arrivals, Arrivals::Profile { within_ticks: Within::Exponential, .. }));
    assert_eq!(client.request.headers, [("Accept".to_owned(), "text/plain".to_owned())]);
    assert!(matches!(load.clients[1].arrivals, Arrivals::Gaps(_)));
}

#[test]
fn every_source_has_times_of_its_own_that_its_seed_repeats() {
    let text = |seed, count| {
        with_client(&format!("count = {count}\nrate = 50\nwithin_ticks = \"exponential\""))
            .replace("name = \"evening\"", &format!("name = \"evening\"\nseed = {seed}\nduration = \"2 s\""))
    };
    let times = |seed, count| -> Vec<Vec<Duration>> {
        let load = read(&text(seed, count)).unwrap();
        load.plans().flat_map(|(_, plans)| plans).map(|plan| plan.map(|arrival| arrival.at).collect()).collect()
    };
    let two = times(1, 2);
    assert_eq!(two.len(), 2);
    assert_ne!(two[0], two[1]);
    assert_eq!(times(1, 3)[..2], two, "more clients change nothing for those that were there");
    assert_ne!(times(2, 2)[0], two[0]);
    assert!(two.iter().flatten().all(|at| *at < Duration::from_secs(2)));
}

#[test]
fn a_recording_is_read_from_its_file_and_ends_by_itself() {
    let times = |gaps: &str| -> Vec<Duration> {
        let load = read(&with_client(&format!("gaps = {{ {gaps} }}"))).unwrap();
        load.plans().flat_map(|(_, plans)| plans.flatten()).map(|arrival| arrival.at).collect()
    };
    let seconds = |seconds: &[u64]| seconds.iter().copied().map(Duration::from_secs).collect::<Vec<_>>();
    assert_eq!(times("replay = \"1+2+3\""), seconds(&[1, 3, 6]));
    assert_eq!(times("replay = \"1+2+3\", kind = \"times\""), seconds(&[1, 2, 3]));
    assert_eq!(times("replay = \"a,b+1,2+3,4\", column = \"b\""), seconds(&[2, 6]));
}

#[test]
fn recordings_are_looked_for_beside_their_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("load.toml");
    fs::write(&file, with_client("gaps = { replay = \"gaps.csv\" }")).unwrap();
    fs::write(folder.path().join("gaps.csv"), "0.5\n0.5\n").unwrap();
    let load = Specification::load(&file).unwrap();
    assert_eq!(load.plans().flat_map(|(_, plans)| plans.flatten()).count(), 2);
    let missing = Specification::load(&folder.path().join("none.toml")).unwrap_err();
    assert!(missing.problems()[0].problem.starts_with("cannot be read: "), "{missing}");
}

#[test]
fn what_is_wrong_with_a_client_is_said_with_its_place_and_remedy() {
    let check = |client: &str, expected: &str| {
        let said = read(&with_client(client)).map_or_else(|error| error.to_string(), |_| "fine".to_owned());
        assert_eq!(said, format!("load.toml: client 1: {expected}"), "{client}");
    };
    let ticks = "profile = { ticks = [1], interval = 1 }\n";
    check(
        "rate = 100",
        "duration: is missing, and this client sends without end\n  help: write a `duration = \"60 s\"` above the services, or let the profile end",
    );
    check(&format!("{ticks}count = 0"), "count: 0 is out of range\n  help: it is a whole number between 1 and 10000");
    check(
        &format!("{ticks}rate = 1"),
        "rate: stands beside `profile`\n  help: write only one of `rate`, `profile` and `gaps`",
    );
    check(
        "",
        "rate: nothing says when requests are sent\n  help: write one of `rate = 100`, `profile = { ticks = [2, 6], \
         interval = \"10 s\" }` and `gaps = { distribution = \"exponential\", mean = 0.01 }`",
    );
    check(
        &format!("{ticks}within_ticks = \"poisson\""),
        "within_ticks: `poisson` is no way to lie in a tick\n  \
         help: it is `constant` (evenly) or `exponential` (by chance, a Poisson process)",
    );
    check(
        "within_ticks = \"constant\"\ngaps = { replay = \"1\" }",
        "within_ticks: is of a rate or a profile\n  help: leave it out: the gaps say how far apart requests are",
    );
    check(
        "gaps = { replay = \"missing.csv\" }",
        "gaps: `missing.csv` cannot be read: entity not found\n  help: name a file of numbers, from this file's folder",
    );
    check(&format!("{ticks}late_after = \"5\""), "late_after: `5` has no unit\n  help: write it like `35 s`");
    check(&format!("{ticks}timeout = \"0 s\""), "timeout: 0 s is out of range\n  help: it has to be longer than 0 s");
}

#[test]
fn what_arrivals_refuse_has_the_place_of_its_client() {
    let problem = |client: &str| {
        let error = read(&with_client(client)).unwrap_err();
        let [problem] = error.problems() else { panic!("{error}") };
        (problem.place.clone(), problem.problem.clone())
    };
    let check = |client: &str, place: &str, needle: &str| {
        let (found, said) = problem(client);
        assert!(found == place && said.contains(needle), "{client}: {found}: {said}");
    };
    check("profile = { ticks = [2, -6], interval = \"10 s\" }", "client 1: profile", "ticks[1]");
    check("profile = { tics = [2] }", "client 1: profile", "tics");
    check("profile = { ticks = [2], interval = \"0 s\" }", "client 1: profile", "interval");
    check("profile = { ticks = [2], interval = \"soon\" }", "client 1: profile.interval", "`soon` has no number");
    check("rate = -1", "client 1: rate", "-1 is out of range");
    check("rate = nan", "client 1: rate", "NaN is out of range");
    check("gaps = { distribution = \"gama\" }", "client 1: gaps", "did you mean `gamma`?");
    check("gaps = { distribution = \"gamma\", shape = 2 }", "client 1: gaps", "`scale` is missing");
    check("gaps = { replay = \"1+x\" }", "client 1: gaps", "`1+x`: ");
    check("gaps = { replay = \"1\", colum = \"a\" }", "client 1: gaps", "colum");
    check("rate = 1\nrequest = { path = \"/{nn}\" }", "client 1: request.path", "`{nn}`");
    let object = "s3 = { bucket = \"b\", key = \"k\" }";
    check(&format!("rate = 1\nrequest = {{ path = \"/\", {object} }}"), "client 1: request.path", "stands beside `s3`");
    let host = format!("rate = 1\nrequest = {{ headers = {{ host = \"a\" }}, {object} }}");
    check(&host, "client 1: request.headers", "stands beside `s3`");
    check(
        "rate = 1\nrequest = { s3 = { bucket = \"a/b\", key = \"k\" } }",
        "client 1: request.s3.bucket",
        "`a/b` is none",
    );
    check("rate = 1\nrequest = { s3 = { bucket = \"b\", key = \"\" } }", "client 1: request.s3.key", "`` is none");
}

#[test]
fn what_is_wrong_with_a_service_is_said_with_its_place_and_remedy() {
    let check = |service: &str, expected: &str| {
        let text = format!(
            "name = \"a\"\n[[service]]\n{service}\n[[client]]\nservice = \"shop\"\nprofile = {{ ticks = [1], interval = 1 }}"
        );
        let said = read(&text).map_or_else(|error| error.to_string(), |_| "fine".to_owned());
        assert_eq!(said, format!("load.toml: service 1 `shop`: {expected}"), "{service}");
    };
    let shop = "name = \"shop\"\n";
    check(&format!("{shop}hosts = []"), "hosts: there are none\n  help: name at least one, like `127.0.0.1:8080`");
    check(
        &format!("{shop}hosts = [\"a:80\", {{ address = \"b:80\", weight = nan }}]"),
        "host 2: weight: NaN is no weight\n  help: a weight is a number from 0 (no requests) to 1000000000",
    );
    let ok = format!("{shop}hosts = [\"a:80\"]\n");
    check(
        &format!("{ok}balancer = \"least-outstandng\""),
        "balancer: `least-outstandng` is no balancer\n  help: did you mean `least-outstanding`? balancers are weighted-random, \
         weighted-round-robin, least-outstanding, nearest-below",
    );
    check(
        &format!("{ok}cpu_threshold = 0.5"),
        "cpu_threshold: is of another balancer\n  help: leave it out, or use `balancer = \"nearest-below\"`",
    );
    check(
        &format!("{ok}balancer = \"nearest-below\"\ncpu_threshold = 1.5"),
        "cpu_threshold: 1.5 is out of range\n  help: it lies between 0 and 1",
    );
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let text = format!(
        "name = \"\"\nduration = \"soon\"\n{SERVICE}{SERVICE}[[client]]\nservice = \"shp\"\ncount = -1\nrate = 1"
    );
    let error = read(&text).unwrap_err();
    let places: Vec<&str> = error.problems().iter().map(|problem| problem.place.as_str()).collect();
    assert_eq!(places, ["name", "duration", "service 2 `shop`: name", "client 1: service", "client 1: count"]);
    assert_eq!(error.problems()[3].help, "did you mean `shop`? services are shop");
    let empty = read("name = \"a\"\nservice = []\nclient = []").unwrap_err();
    assert_eq!(empty.problems().len(), 2, "{empty}");
}

#[test]
fn keys_that_there_are_not_are_refused_with_their_line() {
    let check = |text: &str, place: &str, problem: &str| {
        let error = read(text).unwrap_err();
        let found = &error.problems()[0];
        assert_eq!((found.place.as_str(), found.problem.as_str()), (place, problem), "{text}");
    };
    check(&with_client("rat = 1"), "line 7, column 1", "unknown key `rat`");
    check("name = \"a\"\nclient = []", "", "`service` is missing");
    check(&with_client("rate = 1\n[client.request]\npth = \"/\""), "line 9, column 1", "unknown key `pth`");
    check("seed = -1", "line 1, column 8", "invalid value: integer `-1`, expected u64");
    let host = "name = \"a\"\nclient = []\n[[service]]\nname = \"s\"\nhosts = [7]";
    check(
        host,
        "line 5, column 10",
        "found integer `7` instead of an address in quotes, or a table of an address and a weight",
    );
}

#[test]
fn the_example_of_every_key_is_one_that_can_be_written() {
    for (key, example) in GUIDE.examples {
        let line = example.parse::<toml::Table>().unwrap_or_else(|error| panic!("{example}: {error}"));
        assert!(line.contains_key(*key) || example.contains(&format!("{key} = ")), "{example} does not show `{key}`");
    }
}

#[test]
fn a_service_may_be_routed_by_the_table() {
    let load = |service: &str| {
        let text = format!("name = \"a\"\n[[service]]\nname = \"shop\"\n{service}\n[[client]]\nservice = \"shop\"\n");
        read(&format!("{text}profile = {{ ticks = [1], interval = \"1 s\" }}"))
    };
    let routed = load("hosts = \"table\"").unwrap();
    assert_eq!(routed.services[0].hosts, Hosts::Table);
    assert_eq!(routed.routed_by_the_table().collect::<Vec<_>>(), ["shop"]);
    let said = |service: &str| load(service).unwrap_err().to_string();
    assert_eq!(
        said("hosts = \"table\"\nbalancer = \"weighted-random\"\ncpu_threshold = 0.5"),
        "load.toml: service 1 `shop`: balancer: is the record's to say, which is in the table\n  \
         help: leave it out; `agent load route set --balancer` says how the record is balanced\n\
         error: load.toml: service 1 `shop`: cpu_threshold: is the record's to say, which is in the table\n  \
         help: leave it out; `agent load route set --balancer` says how the record is balanced"
    );
    assert_eq!(
        said("hosts = \"127.0.0.1:80\""),
        "load.toml: service 1 `shop`: hosts: `127.0.0.1:80` is no list of hosts\n  \
         help: write a list, like `[\"127.0.0.1:8080\"]`, or `\"table\"`: those of the service's record in the network's table"
    );
}

#[test]
fn a_service_may_be_a_data_set() {
    let load = |service: &str, request: &str| {
        let text = format!("name = \"a\"\n[[service]]\nname = \"blood\"\n{service}\n[[client]]\nservice = \"blood\"\n");
        read(&format!("{text}profile = {{ ticks = [1], interval = \"1 s\" }}\nrequest = {{ {request} }}"))
    };
    let meant = load("data_set = \"blood_tests\"\nagent = 3\nbalancer = \"least-outstanding\"", "").unwrap();
    let Hosts::Replicas(replicas) = &meant.services[0].hosts else { panic!("replicas") };
    assert_eq!((&*replicas.data_set.0, replicas.of), ("blood_tests", Some(AgentId(3))));
    assert_eq!(replicas.balancing.kind, BalancerKind::LeastOutstanding);
    assert!(meant.asks_the_table() && meant.routed_by_the_table().next().is_none());
    let request = &meant.clients[0].request;
    assert_eq!((request.path.as_str(), request.reads.clone()), ("/blood_tests", Some(Reads::Replica(None))));
    let one = load("data_set = \"scans\"", "object = \"a/1.json\", headers = { Range = \"bytes=0-9\" }").unwrap();
    assert_eq!(one.clients[0].request.reads, Some(Reads::Replica(Some("a/1.json".to_owned()))));

    let check = |service: &str, request: &str, expected: &str| {
        let said = load(service, request).map_or_else(|error| error.to_string(), |_| "fine".to_owned());
        let first = said.lines().next().unwrap();
        assert_eq!(first, format!("load.toml: {expected}"), "{service} {request}");
    };
    check("", "", "service 1 `blood`: hosts: are missing");
    check("data_set = \"x\"\nhosts = \"table\"", "", "service 1 `blood`: hosts: stand beside `data_set`");
    check("data_set = \"a b\"", "", "service 1 `blood`: data_set: `a b` is not a name");
    check("data_set = \"x\"\nagent = 0", "", "service 1 `blood`: agent: 0 is out of range");
    check("hosts = \"table\"\nagent = 1", "", "service 1 `blood`: agent: says whose replica of a data set is read");
    check("hosts = \"table\"", "object = \"a\"", "client 1: request.object: is of a data set, and the service is none");
    check("data_set = \"x\"", "object = \"\"", "client 1: request.object: `` is none");
    let object = "s3 = { bucket = \"b\", key = \"k\" }";
    check("data_set = \"x\"", object, "client 1: request.s3: the service says what is read: a data set");
    check("data_set = \"x\"", "path = \"/\"", "client 1: request.path: is said by the service, which is a data set");
}

#[test]
fn a_load_is_read_again_from_the_texts_that_it_is_made_of() {
    let folder = tempfile::tempdir().unwrap();
    let text = with_client("gaps = { replay = \"recorded/gaps.csv\" }");
    std::fs::create_dir(folder.path().join("recorded")).unwrap();
    std::fs::write(folder.path().join("evening.toml"), &text).unwrap();
    std::fs::write(folder.path().join("recorded/gaps.csv"), "0.1\n0.2\n").unwrap();
    let (load, file, files) = Specification::load_with_files(&folder.path().join("evening.toml")).unwrap();
    assert_eq!(file, "evening.toml");
    let gaps = ("recorded/gaps.csv".to_owned(), "0.1\n0.2\n".to_owned());
    assert_eq!(files, Files::from([("evening.toml".to_owned(), text), gaps]));
    assert_eq!(Specification::of_files(&file, &files).unwrap(), load);
    let without = Files::from([(file.clone(), files[&file].clone())]);
    let said = Specification::of_files(&file, &without).unwrap_err().to_string();
    assert!(said.contains("`recorded/gaps.csv` cannot be read: it is not among what was queued"), "{said}");
}
