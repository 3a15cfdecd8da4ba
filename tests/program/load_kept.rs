//! What is kept of a load beside its requests, and drawn with them.

use super::load::{Server, kept};
use super::load_table::{load, network};
use crate::network::process::{Running, run, succeed};
use crate::network::{PATIENCE, Place, text, wait_until};
use rusqlite::{Connection, Row};
use std::path::{Path, PathBuf};

fn rows<T>(file: &Path, sql: &str, read: impl FnMut(&Row) -> rusqlite::Result<T>) -> Vec<T> {
    let database = Connection::open(file).expect("it is a database");
    let mut statement = database.prepare(sql).expect("it makes sense");
    let rows = statement.query_map([], read).expect("it is read");
    rows.collect::<rusqlite::Result<_>>().expect("each is what it should be")
}

fn one<T: rusqlite::types::FromSql>(file: &Path, sql: &str) -> T {
    rows(file, sql, |row| row.get(0)).pop().unwrap_or_else(|| panic!("{sql}: no row"))
}

fn report(place: &Place, file: &Path) -> String {
    let page = place.path().join("report.html");
    succeed(place.path(), &["report", text(file), "--output", text(&page)]);
    std::fs::read_to_string(page).expect("a page")
}

fn evening(place: &Place, hosts: &str, client: &str) -> PathBuf {
    let path = place.path().join("evening.toml");
    let service = format!("name = \"evening\"\n[[service]]\nname = \"shop\"\nhosts = {hosts}\n");
    std::fs::write(&path, format!("{service}[[client]]\nservice = \"shop\"\n{client}\n")).expect("it is written");
    path
}

#[test]
fn agents_are_kept_beside_a_load_in_the_time_that_passed_here() {
    let (place, server) = (Place::new(), Server::start(true));
    place.configuration("agents", &[]);
    let _agents = Running::start(place.path(), "demo", &["demo", "--stay", "--data", "data"]);
    let is_measured = || {
        let seen = run(place.path(), &["--data", "data", "status", "--json"]);
        seen.code == Some(0) && seen.out.contains("\"jobs\"")
    };
    wait_until("the network runs", PATIENCE, is_measured);
    let file = evening(&place, &format!("[\"{}\"]", server.address), "profile = { ticks = [20], interval = \"6 s\" }");
    let without = run(place.path(), &["load", "run", text(&file), "--agents"]);
    assert_eq!(without.code, Some(2), "nothing is kept: {without:?}");
    let (output, tables) = (place.path().join("evening.db"), place.path().join("tables"));
    let arguments = ["run", text(&file), "--output", text(&output), "--parquet", text(&tables), "--agents"];
    succeed(place.path(), &load(&arguments));
    let (began, ended): (i64, i64) =
        rows(&output, "select began_us, ended_us from load_runs", |row| Ok((row.get(0)?, row.get(1)?)))[0];
    // A job takes half a minute of the demo's time, of which 50 s pass in a second here.
    let at: Vec<i64> = rows(&output, "select at_us from agent_measurements", |row| row.get(0));
    assert!(
        at.len() > 2 && at.iter().all(|at| (began - 500_000..ended + 10_000_000).contains(at)),
        "{began}, {ended}: {at:?}"
    );
    let measured = "select count(*) from agent_measurements where outcome in ('met', 'missed') and \
                    json_extract(metrics, '$.response_time') > 0 and node between 1 and 3";
    assert!(one::<i64>(&output, measured) > 0, "as {measured}");
    let page = report(&place, &output);
    assert!(page.contains("What happened during run 1") && page.contains("agent 1"), "{page}");
    let busy: Vec<(i64, Option<f64>)> =
        rows(&output, "select at_us - began_us, cpu_percent from telemetry, load_runs order by 1", |row| {
            Ok((row.get(0)?, row.get(1)?))
        });
    assert!(busy.len() >= 2 && busy.iter().any(|(_, cpu)| cpu.is_some_and(|cpu| cpu > 0.0)), "{busy:?}");
    assert!(page.contains("Processors of the machines over run 1"), "{page}");
    for table in ["host_info", "telemetry", "markers", "agent_events", "agent_measurements"] {
        assert!(tables.join(format!("{table}.parquet")).is_file(), "{table}");
    }
}

#[test]
fn a_change_of_route_is_marked_where_it_came() {
    let (place, first, second) = (network(), Server::start(true), Server::start(true));
    let route =
        |server: &Server| succeed(place.path(), &load(&["route", "set", "shop", &server.address.to_string(), "1"]));
    route(&first);
    let file = evening(&place, "\"table\"", "rate = 50\n");
    let toml = std::fs::read_to_string(&file).expect("it is there");
    std::fs::write(&file, format!("duration = \"1 h\"\n{toml}")).expect("it is written");
    let output = place.path().join("evening.db");
    let mut sending = Running::start(place.path(), "run", &load(&["run", text(&file), "--output", text(&output)]));
    wait_until("requests come", PATIENCE, || first.times().len() > 10);
    route(&second);
    wait_until("they go to the other one", PATIENCE, || second.times().len() > 10);
    sending.signal(rustix::process::Signal::INT);
    assert_eq!(sending.ends_within(PATIENCE), Some(130), "{}", sending.errors());
    let marked = rows(&output, "select kind, name, value, at_us from markers", |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?, row.get::<_, i64>(3)?))
    });
    let [(kind, name, value, at)] = marked.as_slice() else { panic!("one change: {marked:?}") };
    assert_eq!(
        (kind.as_str(), name.as_str(), value.clone()),
        ("route", "shop", format!("{}, revision 2", second.address))
    );
    let first_there: i64 = one(&output, &format!("select min(sent_us) from traces where host = '{}'", second.address));
    let last_before: i64 = one(&output, &format!("select max(sent_us) from traces where host = '{}'", first.address));
    // It is marked when it is in force, as soon as the machine lets it be.
    assert!((last_before - 2_000_000..first_there + 10_000_000).contains(at), "{last_before}, {at}, {first_there}");
    assert_eq!(one::<String>(&output, "select state from load_runs"), "cancelled");
}

#[test]
fn what_is_steered_by_hand_is_kept_with_its_verbs() {
    let (place, server) = (Place::new(), Server::start(true));
    let script = place.path().join("evening.load");
    let verbs = format!(
        "rtbl set shop {} 1\nspawn here shop 2\nexp start evening\nrps here shop 100\nsleep 1.2\nexp event peak 6\nclients\n\
         request here shop 5\nclose here shop\nexp stop\n",
        server.address
    );
    std::fs::write(&script, verbs).expect("it is written");
    let output = place.path().join("shell.db");
    let kept_in = |output: &Path| run(place.path(), &["shell", "--source", text(&script), "--output", text(output)]);
    let done = kept_in(&output);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(kept(&output, "answered"), i64::try_from(server.times().len()).expect("it is small"));
    let marked: Vec<String> = rows(&output, "select kind, name, value from markers order by sequence", |row| {
        let value = row.get::<_, Option<String>>(2)?.map(|value| format!(" = {value}"));
        Ok(format!("{}: {}{}", row.get::<_, String>(0)?, row.get::<_, String>(1)?, value.unwrap_or_default()))
    });
    let expected = [
        format!("route: rtbl set shop {} 1", server.address),
        "verb: spawn here shop 2".to_owned(),
        "experiment: evening = begins".to_owned(),
        "verb: rps here shop 100".to_owned(),
        "event: peak = 6".to_owned(),
        "verb: request here shop 5".to_owned(),
        "verb: close here shop".to_owned(),
        "experiment: evening = ends".to_owned(),
    ];
    assert_eq!(marked, expected);
    assert_eq!(one::<String>(&output, "select state from load_runs"), "finished");
    assert_eq!(one::<String>(&output, "select host from host_info"), "here");
    assert!(one::<i64>(&output, "select count(*) from telemetry") >= 2);
    let page = report(&place, &output);
    assert!(page.contains("rps here shop 100") && page.contains("Response time over run 1"), "{page}");
    // What cannot be kept is said before anything is sent.
    let before = server.times().len();
    let nowhere = kept_in(place.path());
    assert_eq!((nowhere.code, server.times().len()), (Some(2), before), "{nowhere:?}");
    assert!(nowhere.err.contains("requests are kept in a file; name one, like load.db"), "{}", nowhere.err);
}
