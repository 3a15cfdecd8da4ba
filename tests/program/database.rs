//! The shared table in a MariaDB server, as users meet it: `agent db`, and every other command on such a table.

use crate::network::mariadb::{self, MariaDb, PASSWORD, USER};
use crate::network::process::{Finished, Running};
use crate::network::{PATIENCE, Place, text, wait_until};
use serde_json::Value;

/// A schema, and command lines in whose environment it stands.
struct Bench {
    server: &'static MariaDb,
    schema: String,
    place: Place,
}

impl Bench {
    fn new() -> Result<Self, String> {
        let server = mariadb::shared()?;
        Ok(Self { server, schema: server.schema(), place: Place::new() })
    }

    fn prepared() -> Result<Self, String> {
        let bench = Self::new()?;
        bench.succeed(&["db", "init"]);
        Ok(bench)
    }

    /// Without the password.
    fn address(&self) -> String {
        format!("mysql://{USER}@127.0.0.1:{}/{}", self.server.port(), self.schema)
    }

    fn start(&self, arguments: &[&str]) -> Running {
        let address = self.address();
        let environment = [("AGENT_KNOWLEDGE", address.as_str()), ("AGENT_DATABASE_PASSWORD", PASSWORD)];
        let (data, training) = (self.place.data(), self.place.training());
        let mut line = [arguments, &["--data", text(&data)]].concat();
        if ["run", "demo"].contains(&arguments[0]) {
            line.extend(["--training", text(&training)]);
        }
        Running::start_with(&environment, self.place.path(), arguments[0], &line)
    }

    fn run(&self, arguments: &[&str]) -> Finished {
        let mut running = self.start(arguments);
        let code = running.ends_within(PATIENCE);
        let finished = Finished { code, out: running.output(), err: running.errors() };
        assert!(!format!("{finished:?}").contains(PASSWORD), "{finished:?}");
        finished
    }

    fn succeed(&self, arguments: &[&str]) -> String {
        let finished = self.run(arguments);
        assert_eq!(finished.code, Some(0), "{arguments:?}: {finished:?}");
        finished.out
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.succeed(arguments)).expect("JSON")
    }

    /// As a person with an SQL client.
    fn execute(&self, sql: &str) -> Vec<String> {
        self.server.execute(&format!("use {}; {sql}", self.schema))
    }
}

macro_rules! bench {
    ($bench:expr) => {
        match $bench {
            Ok(bench) => bench,
            Err(why) => return println!("SKIPPED: {why}"),
        }
    };
}

#[test]
fn a_server_is_brought_back_with_what_it_stored() {
    let mut server = bench!(MariaDb::start(&[]));
    let schema = server.schema();
    server.execute(&format!("create table {schema}.kept (id int); insert into {schema}.kept values (7)"));
    server.restart();
    assert_eq!(server.execute(&format!("select id from {schema}.kept")), ["7"]);
    let directory = server.directory().to_owned();
    drop(server);
    assert!(!directory.exists());
}

#[test]
fn a_database_is_made_migrated_and_checked() {
    let bench = bench!(Bench::new());
    let address = bench.address();
    let refused = bench.run(&["run", "--id", "3"]);
    assert_eq!(refused.code, Some(1));
    assert_eq!(refused.err, format!("error: {address}: the schema is empty; `agent db init` makes the tables\n"));
    assert_eq!(bench.succeed(&["db", "init"]), format!("{address}: the tables are made, version 23\n"));
    let nothing = format!("{address}: nothing to do, the tables are of version 23\n");
    assert_eq!(bench.succeed(&["db", "init", &bench.server.url(&bench.schema)]), nothing);
    assert_eq!(bench.succeed(&["db", "migrate"]), nothing);

    bench.execute("set global innodb_flush_log_at_trx_commit = 1");
    let checked = bench.succeed(&["db", "check"]);
    assert!(checked.starts_with(&format!("{address}\nok       server      10.")), "{checked}");
    assert!(checked.contains("\nok       isolation   read-committed\n"), "{checked}");
    // A row that nobody's agents wrote.
    bench.execute(
        "insert into data_sets (name, object_key, bytes, records, sha256, revision)
            values ('lost', 'lost', 1, 1, sha2('', 256), 1)",
    );
    let checked = bench.run(&["db", "check"]);
    bench.execute("set global innodb_flush_log_at_trx_commit = 2");
    assert_eq!(checked.code, Some(1));
    assert!(checked.out.ends_with("\nBROKEN: data set lost has no present replica\n"), "{}", checked.out);
}

#[test]
fn wrong_addresses_are_refused_before_anything_is_asked() {
    let place = Place::new();
    let check = |arguments: &[&str], expected: &str| {
        let finished = crate::network::process::run(place.path(), arguments);
        assert_eq!((finished.code, finished.err.as_str()), (Some(2), expected), "{arguments:?}");
    };
    check(
        &["db", "init", "mysql://agent:secret@db"],
        "error: URL: the database's URL names no schema\n  help: write it like \
         `mysql://agent@db.example.org:3306/agent?tls=true`, special letters of a user or password as `%` and two \
         hexadecimal digits\n",
    );
    check(
        &["db", "check"],
        "error: sqlite:network.db: needs no preparation, `agent run` makes the file; `agent db` is for \
         mysql://USER@HOST:PORT/SCHEMA\n",
    );
}

/// Every command is tried on what a demo leaves behind, whether it had the time to converge or not.
#[test]
fn a_demo_runs_on_a_server_and_every_command_finds_it() {
    let bench = bench!(Bench::prepared());
    let demo = bench.run(&["demo", "--limit", "6min"]);
    assert!([Some(0), Some(3)].contains(&demo.code), "{demo:?}");
    assert!(demo.out.contains("agent 3  job"), "{demo:?}");
    let status = bench.json(&["status", "--json"]);
    assert_eq!(status["broken"], Value::Array(Vec::new()));
    let events = bench.json(&["events", "--json"]);
    let first = events[0]["id"].to_string();
    assert_eq!(bench.json(&["explain", &first, "--json"])[0]["id"].to_string(), first);
    bench.succeed(&["set", "availability", "2", "75"]);
    bench.succeed(&["set", "latency", "1", "2", "200 ms"]);
    assert_eq!(bench.execute("select availability_percent from nodes where id = 2"), ["75"]);
    assert_eq!(bench.execute("select count(*) from links where latency_ms = 200"), ["2"]);
    let again = bench.run(&["demo"]);
    let refused = format!(
        "error: {}: this table holds a network already; for a demo name a schema of its own, and make its tables with \
         `agent db init`\n",
        bench.address()
    );
    assert_eq!((again.code, again.err), (Some(1), refused));
    assert_eq!(bench.execute("select availability_percent from nodes where id = 2"), ["75"]);
}

#[test]
fn an_agent_runs_on_a_server_and_signs_off_in_order() {
    let bench = bench!(Bench::prepared());
    let mut agent = bench.start(&["run", "--id", "3"]);
    let jobs = "select count(*) >= 2 from measurements";
    wait_until("two jobs are recorded", PATIENCE, || {
        assert_eq!(agent.ended(), None, "{}\n{}", agent.output(), agent.errors());
        bench.execute(jobs) == ["1"]
    });
    agent.signal(rustix::process::Signal::TERM);
    assert_eq!(agent.ends_within(PATIENCE), Some(0), "{}", agent.errors());
    assert_eq!(bench.execute("select state, heartbeat_at from agents where id = 3"), ["stopped\tNULL"]);
    assert!(!(agent.output() + &agent.errors()).contains(PASSWORD));
}

/// As whoever manages the server may do it at any time.
#[test]
fn an_agent_whose_account_is_changed_says_so_and_goes_on_trying() {
    let bench = bench!(Bench::prepared());
    let user = format!("user_{}", bench.schema);
    let alter = |how: &str| bench.server.execute(&format!("alter user '{user}'@'%' identified {how}"));
    bench.server.execute(&format!(
        "create user '{user}'@'%' identified by '{PASSWORD}'; grant all on `{}`.* to '{user}'@'%'",
        bench.schema
    ));
    let address = format!("mysql://{user}@127.0.0.1:{}/{}", bench.server.port(), bench.schema);
    let environment = [("AGENT_KNOWLEDGE", address.as_str()), ("AGENT_DATABASE_PASSWORD", PASSWORD)];
    let (data, training) = (bench.place.data(), bench.place.training());
    let line = ["run", "--id", "3", "--data", text(&data), "--training", text(&training)];
    let mut agent = Running::start_with(&environment, bench.place.path(), "run", &line);
    let mut runs_until = |what: &str, has_come: &dyn Fn(&Running) -> bool| {
        wait_until(what, PATIENCE, || {
            assert_eq!(agent.ended(), None, "{}\n{}", agent.output(), agent.errors());
            has_come(&agent)
        });
    };
    let jobs = || bench.execute("select count(*) from measurements").concat().parse::<u64>().expect("a number");
    runs_until("a job is recorded", &|_| jobs() > 0);
    alter("by 'another'");
    bench.server.execute(&format!("kill user '{user}'"));
    let refusal = format!("{address}: Access denied for user '{user}'@'127.0.0.1'");
    runs_until("it is said", &|agent| agent.output().contains(&refusal));
    let known = jobs();
    alter(&format!("by '{PASSWORD}'"));
    runs_until("a job is recorded again", &|_| jobs() > known);
    agent.signal(rustix::process::Signal::TERM);
    assert_eq!(agent.ends_within(PATIENCE), Some(0), "{}", agent.errors());
    assert!(!(agent.output() + &agent.errors()).contains(PASSWORD));
}
