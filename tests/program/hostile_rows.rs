//! Rows that make no sense, written one after the other into the table of three running agents, as any SQL client could: the
//! agents go on with their jobs, each says once what it reads such a row as, and when the rows are gone all is as before.
//!
//! What is made of which value, table by table: `crates/core/src/knowledge/quarantine/tests.rs`.

use crate::network::audit::Audit;
use crate::network::process::{Running, run};
use crate::network::{PATIENCE, Place, edits, text, wait_until};
use rustix::process::Signal;
use std::time::Duration;

/// Short jobs on a small data set.
const QUICK: [edits::Edit; 5] = [
    ("network.toml", "generate_records = 553_729", "generate_records = 20_000"),
    ("network.toml", "latency = \"1000 ms\"", "latency = \"50 ms\""),
    ("network.toml", "latency = \"1500 ms\"", "latency = \"60 ms\""),
    ("network.toml", "latency = \"1200 ms\"", "latency = \"70 ms\""),
    ("network.toml", "job_gap = \"15 s\"", "job_gap = \"3 s\""),
];

/// What somebody does to a table, what every agent says about it, and how it is undone. `NOW` stands for the table's time,
/// `LATER` for a time when the test has ended.
struct Edit {
    sql: &'static str,
    said: &'static str,
    undo: &'static str,
}

const fn edit(sql: &'static str, said: &'static str, undo: &'static str) -> Edit {
    Edit { sql, said, undo }
}

const EDITS: [Edit; 30] = [
    edit(
        "update nodes set availability_percent = 250 where id = 1",
        "2.5e2 is out of range; 100 is used table=\"nodes\" row=\"1\" column=\"availability_percent\"",
        "update nodes set availability_percent = 97 where id = 1",
    ),
    edit(
        "update nodes set capacity_bytes = -1 where id = 2",
        "-1 is negative; 0 is used table=\"nodes\" row=\"2\" column=\"capacity_bytes\"",
        "update nodes set capacity_bytes = null where id = 2",
    ),
    edit(
        "update nodes set name = replace(hex(zeroblob(5000000)), '0', 'x') where id = 2",
        "its 10000000 bytes are cut to 64 table=\"nodes\" row=\"2\" column=\"name\"",
        "update nodes set name = 'fog' where id = 2",
    ),
    edit(
        "insert into nodes (id, name, availability_percent, state) values (-7, 'below', 50, 'flying')",
        "-7 is no id; the row is left out table=\"nodes\"",
        "delete from nodes where id = -7",
    ),
    edit(
        "update links set latency_ms = -10 where from_node = 1 and to_node = 3",
        "-1e1 is out of range; 0 is used table=\"links\" row=\"1 3\" column=\"latency_ms\"",
        "update links set latency_ms = 60 where from_node = 1 and to_node = 3",
    ),
    edit(
        "update links set jitter_ms = 9e999 where from_node = 1 and to_node = 2",
        "inf is out of range; 31536000000 is used table=\"links\" row=\"1 2\" column=\"jitter_ms\"",
        "update links set jitter_ms = 7 where from_node = 1 and to_node = 2",
    ),
    edit(
        "insert into links values (1, 88, 5, 0)",
        "node 88 is not registered; the row is left out table=\"links\" row=\"1 88\"",
        "delete from links where to_node = 88",
    ),
    edit(
        "insert into agents (id, node, goal, policy, state, converged) values (77, 88, 'world peace', '', 'dancing', 0)",
        "node 88 is not registered; the row is left out table=\"agents\" row=\"77\"",
        "delete from agents where id = 77",
    ),
    edit(
        "insert into agents (id, node, goal, policy, state, heartbeat_at, converged)
            values (78, 1, 'live for ever', '', 'running', 253402300799000, 0)",
        "it lies in the future and is taken as absent; was the time scale changed? table=\"agents\" row=\"78\"",
        "delete from agents where id = 78",
    ),
    edit(
        "insert into replicas (id, data_set, node, object_key, state, generation)
            values (900, 'blood_tests', 2, 'k', 'flying', 1)",
        "`flying` is none of copying, present, removing, changed, damaged; the row is left out table=\"replicas\" row=\"900\"",
        "delete from replicas where id = 900",
    ),
    edit(
        "insert into replicas (id, data_set, node, object_key, state, generation)
            values (901, 'blood_tests', 99, 'k', 'present', 1)",
        "node 99 is not registered; the row is left out table=\"replicas\" row=\"901\"",
        "delete from replicas where id = 901",
    ),
    edit(
        "insert into replicas (id, data_set, node, object_key, state, generation)
            values (902, 'blood_tests', 2, 'k', 'present', 9223372036854775807)",
        "9223372036854775807 is out of range; the row is left out table=\"replicas\" row=\"902\" column=\"generation\"",
        "delete from replicas where id = 902",
    ),
    edit(
        "update replicas set lease_holder = 1, lease_until = 9223372036854775807 where state = 'present'",
        "no lease holds for so long; nobody holds it table=\"replicas\"",
        "update replicas set lease_holder = null, lease_until = null",
    ),
    edit(
        "update reference_replicas set replica = 555, generation = -1 where agent = 2;
         insert into reference_replicas values (79, 'blood_tests', 556, 1)",
        "there is no replica 556 of this data set; the row is left out table=\"reference_replicas\" row=\"79\"",
        "delete from reference_replicas where agent = 79",
    ),
    edit(
        "insert into counters values ('blood_tests', 'M1_99\u{1b}[2J', 3, 0)",
        "`M1_99\\u{1b}[2J` is not an action; actions are written M1_2, C1_2, CR2, E2, R1_2, T1_2 and NA; the row is left out",
        "delete from counters where value = 3; delete from audit_counters",
    ),
    edit(
        "EVENT 1, 'XYZ', NOW, LATER, 'open', 'done', 0",
        "`XYZ` is not an action; actions are written M1_2, C1_2, CR2, E2, R1_2, T1_2 and NA; the row is left out table=\"events\"",
        "delete from events where agent = 1",
    ),
    edit(
        "EVENT 77, 'M1_2', NOW, LATER, 'open', 'done', 1e300",
        "agent 77 is not registered; the row is left out table=\"events\"",
        "delete from events where agent = 77",
    ),
    edit(
        "EVENT 1, 'M1_99', NOW, LATER, 'open', 'done', 0",
        "node 99 is not registered; the row is left out table=\"events\"",
        "delete from events where agent = 1",
    ),
    edit(
        "EVENT 1, 'M1_2', 253402300799000, 253402300799000, 'open', 'done', 0",
        "it lies in the future; was the time scale changed?; the row is left out table=\"events\"",
        "delete from events where agent = 1",
    ),
    edit(
        "EVENT 2, 'C1_2', NOW, LATER, 'open', 'running', 0",
        "it is running and nothing was claimed for it; the row is left out table=\"events\"",
        "delete from events where agent = 2",
    ),
    edit(
        "ASK 'M1_99x', 0.5, NOW, 0)",
        "`M1_99x` is not an action; actions are written M1_2, C1_2, CR2, E2, R1_2, T1_2 and NA; the row is left out table=\"asks\"",
        "delete from asks where id = 500",
    ),
    edit(
        "ASK 'E2', 1e300, NOW, 0)",
        "1e300 is out of range; the row is left out table=\"asks\" row=\"500\" column=\"level\"",
        "delete from asks where id = 500",
    ),
    edit(
        "ASK null, 0.5, 253402300799000, 0)",
        "it lies in the future; was the time scale changed?; the row is left out table=\"asks\" row=\"500\"",
        "delete from asks where id = 500",
    ),
    edit(
        "ASK null, 0.5, NOW, 1); insert into ask_nodes values (500, -3)",
        "-3 is no id; the row is left out table=\"ask_nodes\" row=\"500 -3\" column=\"node\"",
        "delete from asks where id = 500; delete from ask_nodes where ask = 500",
    ),
    edit(
        "ASK null, 0.5, NOW, 1); insert into replies values (500, 3, 0.5, 1, 'all of them')",
        "it is no list of nodes, like `1 2 5`; the row is left out table=\"replies\" row=\"500 3\" column=\"nodes\"",
        "delete from asks where id = 500; delete from replies where ask = 500",
    ),
    edit(
        "ASK null, 0.5, NOW, 1); insert into replies values (500, 1, 0.5, -9223372036854775808, '1')",
        "-9223372036854775808 is negative; 0 is used table=\"replies\" row=\"500 1\" column=\"said\"",
        "delete from asks where id = 500; delete from replies where ask = 500",
    ),
    edit(
        "ASK null, 0.5, NOW, 1); insert into named_nodes values (500, 3, 4294967296)",
        "4294967296 is no id; the row is left out table=\"named_nodes\" row=\"500 3 4294967296\" column=\"node\"",
        "delete from asks where id = 500; delete from named_nodes where ask = 500",
    ),
    edit(
        "ASK null, 0.5, NOW, 1); insert into forecasts values (500, 3, 1, -2, 0.5)",
        "-2 is no number of replicas; the row is left out table=\"forecasts\" row=\"500 3 1 -2\" column=\"replicas\"",
        "delete from asks where id = 500; delete from forecasts where ask = 500",
    ),
    edit(
        "ASK null, 0.5, NOW, 1); insert into forecasts values (500, 3, 1, 2, -9e999)",
        "-inf is out of range; the row is left out table=\"forecasts\" row=\"500 3 1 2\" column=\"level_change\"",
        "delete from asks where id = 500; delete from forecasts where ask = 500",
    ),
    edit(
        "update data_sets set generation = generation + 9007199254740992",
        "is out of range; the row is left out table=\"data_sets\" row=\"blood_tests\" column=\"generation\"",
        "update data_sets set generation = generation - 9007199254740992",
    ),
];

const EVENT: &str =
    "insert into events (idempotency_key, data_set, replica, action_type, explored, ended_at_ms, detail,
    agent, action, posted_at_ms, closes_at_ms, state, outcome, feedback_sum)
    values (hex(randomblob(8)), 'blood_tests', 1, 'move', 0, 253402300799000, 'garbage',";

/// Agents read what is said when somebody has said something.
const ASK: &str = "update data_sets set said = said + 1;
    insert into asks (id, idempotency_key, data_set, agent, generation, afresh, action, level, posted_at_ms, closed)
    values (500, 'hostile', 'blood_tests', 2, -1, 7,";

fn sql(edit: &Edit, now: i64) -> String {
    let statement = match (edit.sql.strip_prefix("EVENT"), edit.sql.strip_prefix("ASK")) {
        (Some(values), _) => format!("{EVENT} {values})"),
        (_, Some(values)) => format!("{ASK} {values}"),
        (None, None) => edit.sql.to_owned(),
    };
    statement.replace("NOW", &now.to_string()).replace("LATER", &(now + 100_000_000).to_string())
}

struct Network {
    place: Place,
    agents: [Running; 3],
    audit: Audit,
}

impl Network {
    fn start() -> Self {
        let place = Place::new();
        // Nothing changes unless somebody edits it.
        let config = place.configuration("agents", &[&QUICK[..], &edits::CALM].concat());
        let (data, training) = (place.data(), place.training());
        let agents = [1, 2, 3].map(|agent: u32| {
            let id = agent.to_string();
            let arguments = ["run", "--id", &id, "--config", text(&config), "--data", text(&data)];
            let arguments = [&arguments[..], &["--training", text(&training)]].concat();
            Running::start(place.path(), &format!("agent-{agent}"), &arguments)
        });
        let audit = Audit::of_new(&data);
        let network = Self { place, agents, audit };
        wait_until("every agent runs jobs", PATIENCE, || network.agents.iter().all(|agent| jobs(agent) > 0));
        network
    }

    /// All of it at once: an agent that saw that something was said before the rows of it were there would not look again.
    fn change(&self, sql: &str) {
        let all = format!("begin immediate; {sql}; commit");
        self.audit.table.execute_batch(&all).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    fn now(&self) -> i64 {
        self.audit.count("select max(heartbeat_at) from agents where id <= 3")
    }

    /// Every agent ends some more jobs: those that began after this was called are among them.
    fn all_go_on(&mut self) {
        let before = self.agents.each_ref().map(jobs);
        wait_until("the agents go on", PATIENCE, || {
            for agent in &mut self.agents {
                assert_eq!(agent.ended(), None, "{}\n{}", agent.output(), agent.errors());
            }
            self.agents.iter().zip(before).all(|(agent, before)| jobs(agent) >= before + 3)
        });
    }
}

/// How many jobs ended well, as the agent itself says.
fn jobs(agent: &Running) -> usize {
    agent.output().matches("  job       ok").count()
}

#[test]
fn agents_go_on_and_report_each_row_once() {
    let mut network = Network::start();
    let before = (network.audit.replicas(), network.audit.references());
    for edit in &EDITS {
        network.change(&sql(edit, network.now()));
        let all_say_so = || network.agents.iter().all(|agent| agent.errors().contains(edit.said));
        wait_until(edit.said, PATIENCE, all_say_so);
        network.all_go_on();
        for agent in &network.agents {
            let errors = agent.errors();
            assert_eq!(errors.matches(edit.said).count(), 1, "{}\n{}\n{errors}", edit.sql, edit.said);
        }
        network.change(edit.undo);
    }
    network.all_go_on();
    assert_eq!((network.audit.replicas(), network.audit.references()), before);
    assert_eq!(network.audit.broken(), Vec::<String>::new());
    assert_eq!(network.audit.count("select count(*) from events"), 0, "nobody was moved to act");
    // Looked at before the first is stopped: the others say, and rightly, that its store does not answer any more.
    for agent in &network.agents {
        // The reports, and nothing else.
        let others = agent.errors();
        let others: Vec<&str> =
            others.lines().filter(|line| !EDITS.iter().any(|edit| line.contains(edit.said))).collect();
        // The second things that are wrong in these rows.
        let second = ["there is no replica 555 of this data set", "1e300 is out of range"];
        let known = |line: &&str| second.iter().any(|said| line.contains(said));
        assert!(others.iter().all(known), "{others:#?}");
    }
    for agent in &mut network.agents {
        agent.signal(Signal::TERM);
        assert_eq!(agent.ends_within(PATIENCE), Some(0), "{}", agent.errors());
    }
}

#[test]
fn data_that_cannot_be_read_is_said_once_and_waited_for() {
    let mut network = Network::start();
    let count = |agent: &Running, what: &str| agent.output().matches(what).count();

    // Without a checksum nothing could be verified: jobs go on as the data was known, and nothing is decided.
    network.change("update data_sets set sha256 = 'beef'");
    network.all_go_on();
    let unknown = "data set blood_tests is not in the catalogue, or its row makes no sense";
    for agent in &network.agents {
        assert_eq!(count(agent, unknown), 1, "{}", agent.output());
        assert_eq!(agent.errors().matches("it is no SHA-256").count(), 1, "{}", agent.errors());
    }
    network.change(&format!("update data_sets set sha256 = '{}'", "0".repeat(64)));
    network.all_go_on();

    // No replica: there is nothing to read, which is no reason to end.
    network.change("update replicas set state = 'flying'");
    let nothing = "this agent reads no replica of data set blood_tests that is present; it asks for one";
    wait_until("all say so", PATIENCE, || network.agents.iter().all(|agent| count(agent, nothing) == 1));
    let heard = [1, 2, 3].map(|agent| network.audit.heard_of(agent));
    wait_until("all live on", PATIENCE, || {
        [1, 2, 3].iter().zip(heard).all(|(agent, before)| network.audit.heard_of(*agent) > before)
    });
    assert_eq!(network.audit.count("select count(*) from events"), 0, "nobody acts");
    network.change("update replicas set state = 'present'");
    network.all_go_on();
    for agent in &network.agents {
        assert_eq!(count(agent, nothing), 1, "{}", agent.output());
        assert!(!agent.errors().contains("panicked"), "{}", agent.errors());
    }
}

#[test]
fn what_is_shown_of_hostile_rows_is_legible() {
    let mut network = Network::start();
    network.change(
        "update nodes set name = char(27) || '[2J' || char(10) || 'node 9' || char(8238) where id = 2;
         update agents set goal = replace(hex(zeroblob(1000)), '0', 'x') || char(155) || '31m' where id = 1;
         insert into measurements (id, agent, data_set, replica, node, at_ms, response_time_s, satisfied, job)
            values (9007199254740993, 1, 'blood_tests', 1, 1, 0, 1, 1, 'beyond'),
                (100000, 77, 'blood_tests', 1, 1, -9223372036854775808, 9e999, 1, 'never');
         insert into feedback values (1, 1, 1e300, 0)",
    );
    network.change(&format!("{EVENT} 1, 'M1_2', 0, 0, 'closed', 'done', -5)"));
    network.all_go_on();
    let data = network.place.data();
    for command in [&["status"][..], &["status", "--json"], &["events"], &["events", "--json"]] {
        let finished = run(network.place.path(), &[command, &["--data", text(&data)]].concat());
        // What was written into the table may be nothing that is well.
        assert!(matches!(finished.code, Some(0 | 4)), "{command:?}: {finished:?}");
        let steers = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!(finished.out.clone() + &finished.err).contains(steers), "{command:?}: {finished:?}");
        assert!(finished.out.lines().all(|line| line.len() < 8000), "{command:?}: {}", finished.out);
    }
    let status = run(network.place.path(), &["status", "--data", text(&data)]);
    assert!(status.out.contains("\\u{1b}[2J\\u{a}node 9\\u{202e}"), "{}", status.out);
    for agent in &mut network.agents {
        agent.signal(Signal::TERM);
        assert_eq!(agent.ends_within(Duration::from_secs(10)), Some(0), "{}", agent.errors());
    }
}
