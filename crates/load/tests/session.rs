//! A session against servers on this machine.

#[allow(dead_code, reason = "this file needs a part of it")]
mod support;

use agent_arrivals::{Profile, Within};
use agent_core::clock::VirtualClock;
use agent_core::domain::time::Timestamp;
use agent_load::generator::Figures;
use agent_load::register::experiment::State;
use agent_load::session::{Answer, ClientAnswer, Info, Moment, NESTED_MAX, Session, Settings, SharedTable};
use agent_load::steering::{Script, Verb, Workload, translate};
use agent_load::table::LoadTable;
use agent_load::table::memory::MemoryLoadTable;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use support::{Habit, OK, Server};
use tokio::runtime::Runtime;

/// More than anything here takes on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

/// A session and what it runs on.
struct Shell {
    session: Session,
    runtime: Runtime,
}

impl Shell {
    fn new(settings: Settings) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        Self { session: Session::new(settings).unwrap(), runtime }
    }

    /// One of several that share a table.
    fn on_table(table: &Arc<dyn LoadTable>) -> Self {
        static KEYS: AtomicU32 = AtomicU32::new(0);
        let new_key = || KEYS.fetch_add(1, Ordering::Relaxed).to_string();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let on = SharedTable { table: Arc::clone(table), by: "ada".to_owned(), new_key };
        let session = runtime.block_on(async { Session::on_table(Settings::default(), on) }).unwrap();
        Self { session, runtime }
    }

    /// With a service `shop` on this server, and so many clients.
    fn with_clients(server: &Server, clients: u32) -> Self {
        let mut shell = Self::new(Settings::default());
        shell.route(server);
        shell.does(&format!("spawn here shop {clients}"));
        shell
    }

    fn route(&mut self, server: &Server) {
        self.does(&format!("rtbl set shop {} 1", server.address));
    }

    #[track_caller]
    fn does(&mut self, line: &str) -> Answer {
        let verb: Verb = line.parse().unwrap();
        self.runtime.block_on(self.session.execute(&verb)).unwrap_or_else(|refused| panic!("{line}: {refused}"))
    }

    #[track_caller]
    fn refuses(&mut self, line: &str) -> String {
        let verb: Verb = line.parse().unwrap();
        self.runtime.block_on(self.session.execute(&verb)).unwrap_err().to_string()
    }

    fn info(&mut self) -> Info {
        let Answer::Info(info) = self.does("info") else { panic!("`info` answers with it") };
        info
    }

    fn clients(&mut self) -> Vec<ClientAnswer> {
        let Answer::Clients(clients) = self.does("clients") else { panic!("`clients` answers with them") };
        clients
    }

    /// Waits until all whose time came have ended, and are so many at least.
    #[track_caller]
    fn until_ended(&mut self, count: u64) {
        let end = Instant::now() + PATIENCE;
        loop {
            let info = self.info();
            if info.ended >= count && info.ended == info.intended {
                return;
            }
            assert!(Instant::now() < end, "{info:?}");
            std::thread::yield_now();
        }
    }

    fn end(self) -> Figures {
        self.runtime.block_on(self.session.end()).unwrap()
    }
}

#[track_caller]
fn until(mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "it does not come");
        std::thread::yield_now();
    }
}

/// Requests that were meant to start, by tick.
fn by_tick(figures: &Figures) -> Vec<(u32, u64)> {
    figures.services[0].ticks.iter().map(|tick| (tick.tick, tick.counted.intended)).collect()
}

#[test]
fn a_rate_that_is_changed_is_followed_from_that_moment_on() {
    let server = Server::start(Habit::Answers(OK));
    let mut shell = Shell::with_clients(&server, 3);
    let mut lasted = Vec::new();
    for rate in [100, 400] {
        let began = Instant::now();
        shell.does(&format!("rps here shop {rate}"));
        shell.does("sleep 0.2");
        shell.does("pause here shop");
        lasted.push(began.elapsed());
    }
    shell.until_ended(1);
    let requests = server.requests();
    shell.does("sleep 0.1");
    assert_eq!(server.requests(), requests, "a pause sends nothing");
    let figures = shell.end();
    // Each pause is a rate too: ticks 1 and 3 have nothing.
    let [(0, slow), (2, fast)] = by_tick(&figures)[..] else { panic!("{:?}", by_tick(&figures)) };
    for (count, rate, lasted) in [(slow, 100.0, lasted[0]), (fast, 400.0, lasted[1])] {
        let (least, most) = (0.2 * rate, lasted.as_secs_f64() * rate + 1.0);
        assert!((least..=most).contains(&(count as f64)), "{count} at {rate}/s in {lasted:?}");
    }
    assert_eq!((figures.counted.done, figures.counted.errors.len()), (slow + fast, 0));
    assert_eq!(server.requests() as u64, slow + fast);
}

#[test]
fn a_change_does_not_wait_for_the_request_before_it() {
    let server = Server::start(Habit::Answers(OK));
    let mut shell = Shell::with_clients(&server, 1);
    shell.does("rps here shop 0.0001");
    shell.until_ended(1);
    shell.does("rps here shop 1000");
    until(|| server.requests() >= 20);
}

#[test]
fn a_changed_rate_keeps_connections_and_what_was_recorded() {
    let server = Server::start(Habit::Answers(OK));
    let mut shell = Shell::with_clients(&server, 1);
    for number in 1..=5 {
        shell.does(&format!("rps here shop {}", 4 + number));
        shell.until_ended(number);
    }
    shell.does("pause here shop");
    let [client] = &shell.clients()[..] else { panic!("one client") };
    assert!(client.sent >= 5 && client.errors == 0, "{client:?}");
    assert!(client.p50_ms.is_some() && client.p50_ms <= client.p99_ms, "{client:?}");
    let figures = shell.end();
    assert_eq!(by_tick(&figures).iter().map(|(_, count)| count).sum::<u64>(), figures.counted.done);
    assert_eq!(server.requests() as u64, figures.counted.done);
    // A second one is made where an answer takes longer than the next request is away.
    assert!(server.accepted() < server.requests(), "{} connections", server.accepted());
}

#[test]
fn requests_are_sent_at_once_without_a_rate() {
    let server = Server::start(Habit::Answers(OK));
    let mut shell = Shell::new(Settings { threads: NonZeroUsize::new(2).unwrap(), ..Settings::default() });
    shell.route(&server);
    shell.does("spawn here shop 3");
    shell.does("request here shop 5");
    shell.until_ended(5);
    assert_eq!(server.requests(), 5);
    assert_eq!(shell.clients().iter().map(|client| client.sent).collect::<Vec<_>>(), [2, 2, 1]);
    assert_eq!((shell.end().counted.done, server.requests()), (5, 5));
}

#[test]
fn what_was_asked_for_is_sent_before_the_session_ends() {
    let server = Server::start(Habit::Answers(OK));
    let mut shell = Shell::with_clients(&server, 1);
    shell.does("request here shop 200");
    let figures = shell.end();
    assert_eq!((figures.counted.intended, figures.counted.dropped), (200, 0));
    assert_eq!(figures.counted.sent, server.requests() as u64);
}

#[test]
fn after_a_change_of_hosts_no_request_begins_at_the_old_one() {
    let (old, new) = (Server::start(Habit::Answers(OK)), Server::start(Habit::Answers(OK)));
    let mut shell = Shell::with_clients(&old, 2);
    shell.does("rps here shop 500");
    until(|| old.requests() >= 20);
    shell.route(&new);
    let begun_before = shell.info().intended;
    until(|| shell.info().ended >= begun_before + 20 && new.requests() >= 20);
    let at_the_old = old.requests();
    until(|| new.requests() >= 60);
    // Unset and set again, a record is newer than the one that clients follow.
    shell.does("pause here shop");
    shell.until_ended(1);
    shell.does("rtbl unset shop");
    shell.route(&new);
    let at_the_new = new.requests();
    shell.does("rps here shop 500");
    until(|| new.requests() >= at_the_new + 10);
    let figures = shell.end();
    assert_eq!((old.requests(), figures.counted.errors.len()), (at_the_old, 0));
    assert_eq!(figures.counted.done, (old.requests() + new.requests()) as u64);
}

#[test]
fn a_service_that_is_routed_nowhere_is_unreachable_until_it_is_again() {
    let server = Server::start(Habit::Answers(OK));
    let mut shell = Shell::with_clients(&server, 1);
    shell.does("rtbl unset shop");
    shell.does("request here shop 2");
    shell.until_ended(2);
    shell.route(&server);
    shell.does("request here shop 3");
    shell.until_ended(5);
    let figures = shell.end();
    assert_eq!((figures.counted.done, &figures.counted.errors), (3, &[("unreachable", 2)].into()));
}

#[test]
fn closed_clients_wait_for_what_is_in_flight_but_not_for_ever() {
    let (server, silent) = (Server::start(Habit::Answers(OK)), Server::start(Habit::Hangs));
    let mut shell = Shell::with_clients(&server, 2);
    shell.does("rps here shop 200");
    until(|| server.requests() >= 10);
    assert_eq!(shell.does("close here shop"), Answer::Closed { service: "shop".to_owned(), clients: 2 });
    let info = shell.info();
    assert_eq!((info.clients, info.ended, info.errors), (0, info.intended, 0));
    let requests = server.requests();
    assert_eq!(info.intended as usize, requests);

    shell.route(&silent);
    shell.does("spawn here shop");
    shell.does("request here shop 3");
    until(|| silent.requests() == 3);
    let began = Instant::now();
    shell.does("close here shop");
    assert!(began.elapsed() >= Duration::from_millis(900), "they had time to end");
    assert_eq!((shell.info().ended, shell.info().errors), (info.ended + 3, 3));
    assert!(shell.refuses("rps here shop 1").starts_with("service `shop` has no clients"));
    let figures = shell.end();
    assert_eq!((figures.counted.errors["unfinished"], server.requests()), (3, requests));
}

#[test]
fn an_experiment_is_a_script_of_the_same_verbs() {
    let server = Server::start(Habit::Answers(OK));
    let mut shell = Shell::new(Settings::default());
    let interval = Duration::from_millis(100);
    let profile = Profile::of_ticks(interval, vec![20.0, 60.0]).unwrap();
    let workload = Workload { service: "shop", clients: 2, profile: &profile, within_ticks: Within::Constant };
    let verbs = translate(&[workload], &["here"], None).unwrap();
    let mut text = format!("rtbl set shop {} 1\nexp start evening\n", server.address);
    for verb in &verbs {
        text.push_str(&format!("{verb}\n"));
    }
    text.push_str("exp event peak 6\nexp stop\n");
    let script = Script::read("evening.load", &text).unwrap();
    let mut told = Vec::new();
    let mut tell = |answer: Answer| told.extend(answer.lines());
    let flow = shell.runtime.block_on(shell.session.run("evening.load", &script, &mut tell)).unwrap();
    assert_eq!(flow, ControlFlow::Continue(()));
    let moments: Vec<&Moment> = shell.session.markers().iter().map(|marker| &marker.moment).collect();
    let peak = Moment::Event { name: "peak".to_owned(), value: Some("6".to_owned()) };
    assert_eq!(moments, [&Moment::Start, &peak, &Moment::Stop]);
    let told: Vec<&str> = told.iter().map(String::as_str).filter(|line| line.starts_with("shop: ")).skip(1).collect();
    assert_eq!(
        told,
        [
            "shop: 2 clients more, 2 in all; `rps` lets them send",
            "shop: 20 requests/s by 2 clients",
            "shop: 60 requests/s by 2 clients",
            "shop: 0 requests/s by 2 clients",
            "shop: 2 clients closed",
        ]
    );
    let figures = shell.end();
    let [(0, _), (1, _)] = by_tick(&figures)[..] else { panic!("{figures:?}") };
    // 2 and 6, and what came while sleeping took longer than it was meant to.
    assert!(figures.counted.intended >= 8, "{figures:?}");
    assert_eq!((figures.counted.done, figures.counted.errors.len()), (figures.counted.intended, 0));
}

#[test]
fn what_cannot_be_done_is_said_with_a_help_and_the_session_goes_on() {
    let server = Server::start(Habit::Answers(OK));
    let mut shell = Shell::new(Settings::default());
    let mut check = |line: &str, expected: &str| assert_eq!(shell.refuses(line), expected, "{line}");
    let unrouted = "service `shop` has no hosts\n  help: route it first: `rtbl set shop 127.0.0.1:8080 1`";
    check("spawn here shop", unrouted);
    check("rtbl info shop", unrouted);
    check("rtbl unset shop", unrouted);
    check("rtbl remove shop a:1", unrouted);
    let elsewhere = "no load host matches `pico.*`\n  help: the only one is `here`: this process";
    check("spawn pico.* shop", elsewhere);
    check("rps pico.* shop 1", elsewhere);
    check(
        "close .* shop --label zone=A",
        "no load host matches `.*` with zone=A\n  help: the only one is `here`: this process",
    );
    for line in ["rps here shop 1", "pause here shop", "request here shop 1", "close here shop"] {
        check(line, "service `shop` has no clients\n  help: `spawn .* shop` makes one");
    }
    check("exp event peak", "no experiment goes on\n  help: begin one: `exp start NAME`");
    for line in ["exp queue evening.toml", "exp list", "exp cancel 7"] {
        check(
            line,
            "experiments are queued in the table of a network, and this session has none\n  help: `agent shell --table` \
             begins one with it; `agent load run FILE` runs one now",
        );
    }
    check(
        "rtbl set shop example.org:80 1",
        "`example.org:80` is another machine\n  help: load goes to this machine alone unless its host is allowed by name; \
         allow it only if it is yours, and bears the load",
    );
    assert!(shell.refuses("source nowhere.load").starts_with("source: `nowhere.load` cannot be read: "));

    shell.route(&server);
    shell.does("spawn here shop 10000");
    assert!(shell.refuses("spawn here shop").starts_with("there would be more than 10000 clients\n  help: "));
    shell.does("request here shop 10");
    shell.until_ended(10);
    assert_eq!(server.requests(), 10);
}

#[test]
fn a_host_that_was_allowed_may_be_sent_to() {
    let mut shell = Shell::new(Settings { allowed: vec!["example.org".to_owned()], ..Settings::default() });
    shell.does("rtbl set shop example.org:80,127.0.0.1:80 1,0.5");
    assert!(shell.refuses("rtbl append shop example.com:80 1").starts_with("`example.com:80` is another machine"));
    assert_eq!(
        shell.does("rtbl list").lines(),
        ["shop: example.org:80, 127.0.0.1:80 (weight 0.5); revision 1"],
        "what was refused changed nothing"
    );
    assert_eq!(shell.does("rtbl flush").lines(), ["shop is routed nowhere"]);
    assert_eq!(shell.does("rtbl list").lines(), ["no service is routed"]);
}

#[test]
fn hosts_are_chosen_by_name_and_label() {
    let labels = [("zone".to_owned(), "A".to_owned())].into();
    let mut shell = Shell::new(Settings { name: "pico7".to_owned(), labels, ..Settings::default() });
    let here = ["pico7 (zone=A): 0 clients, 0.000 requests/s"];
    assert_eq!(shell.does("hosts").lines(), here);
    assert_eq!(shell.does("hosts 'pico[0-9]' --label zone=A").lines(), here);
    for elsewhere in ["hosts pico", "hosts --label zone=B", "hosts --label tier=edge"] {
        assert_eq!(shell.does(elsewhere).lines(), ["no load host matches"], "{elsewhere}");
    }
    assert!(shell.does("ping").lines()[0].starts_with("pico7 answers after "));
    assert_eq!(shell.does("echo 'now  the peak'").lines(), ["now  the peak"]);
    assert_eq!(shell.does("date").lines()[0].len(), "2026-03-01T12:00:00.250Z".len());
}

#[test]
fn every_verb_is_helped_with() {
    let mut shell = Shell::new(Settings::default());
    assert_eq!(
        shell.does("help rtbl set").lines(),
        [
            "rtbl set SERVICE HOSTS WEIGHTS",
            "  routes a service to these hosts alone",
            "  for example: rtbl set shop a:80,b:80 1,4"
        ]
    );
    let Answer::Help(exp) = shell.does("help exp") else { panic!("`help` answers with it") };
    assert_eq!(exp.len(), 6);
    let Answer::Help(all) = shell.does("help") else { panic!("`help` answers with it") };
    assert_eq!(all.len(), agent_load::steering::forms::FORMS.len());
}

#[test]
fn files_of_verbs_are_done_line_by_line_until_one_is_refused_or_exits() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let mut shell = Shell::new(Settings::default());
    let inner = write("inner.load", "echo inner\nexit\necho never\n");
    let outer = write("outer.load", &format!("echo outer\nsource '{inner}'\necho never\n"));
    let answer = shell.does(&format!("source '{outer}'"));
    assert_eq!((answer.lines(), answer.leaves()), (vec!["outer".to_owned(), "inner".to_owned()], true));

    let refused = write("refused.load", "echo done\nspawn here shop\necho never\n");
    assert_eq!(
        shell.refuses(&format!("source '{refused}'")),
        format!(
            "{refused}: line 2: service `shop` has no hosts\n  help: route it first: `rtbl set shop 127.0.0.1:8080 1`"
        )
    );
    let wrong = write("wrong.load", "echo never\nspwan here shop\n");
    assert_eq!(
        shell.refuses(&format!("source '{wrong}'")),
        format!("{wrong}: line 2: `spwan` is no verb\n  help: did you mean `spawn`? `help` lists all verbs")
    );
    let endless = folder.path().join("endless.load").display().to_string();
    write("endless.load", &format!("source '{endless}'\n"));
    let said = shell.refuses(&format!("source '{endless}'"));
    assert_eq!(said.matches("line 1: ").count(), NESTED_MAX, "{said}");
    assert!(said.contains("a file that sources itself has no end"), "{said}");
}

#[test]
fn an_interrupted_sleep_leaves_the_session_as_it_was() {
    let server = Server::start(Habit::Answers(OK));
    let mut shell = Shell::with_clients(&server, 1);
    shell.does("rps here shop 500");
    let sleep: Verb = "sleep 1000".parse().unwrap();
    let Shell { session, runtime } = &mut shell;
    runtime.block_on(async {
        tokio::select! {
            _ = session.execute(&sleep) => panic!("it is much longer"),
            () = async { while server.requests() < 10 { tokio::task::yield_now().await } } => {}
        }
    });
    assert_eq!(shell.clients().len(), 1);
    assert!(shell.end().counted.done >= 10);
}

#[test]
fn a_session_that_is_dropped_stops_sending() {
    let server = Server::start(Habit::Answers(OK));
    let mut shell = Shell::with_clients(&server, 1);
    shell.does("rps here shop 500");
    until(|| server.requests() >= 5);
    drop(shell);
    // What it had begun may still arrive; then nothing does.
    let quiet_for = |length: Duration| {
        let (requests, began) = (server.requests(), Instant::now());
        while began.elapsed() < length {
            std::thread::yield_now();
        }
        server.requests() == requests
    };
    until(|| quiet_for(Duration::from_millis(100)));
}

fn shared_table() -> Arc<dyn LoadTable> {
    Arc::new(MemoryLoadTable::new(Arc::new(VirtualClock::at(Timestamp(0)))))
}

#[test]
fn sessions_on_one_table_follow_each_others_routes() {
    let (table, first, second) = (shared_table(), Server::start(Habit::Answers(OK)), Server::start(Habit::Answers(OK)));
    let (mut one, mut other) = (Shell::on_table(&table), Shell::on_table(&table));
    let said = one.refuses("spawn here shop");
    assert!(said.starts_with("service `shop` has no hosts in the table"), "{said}");
    one.route(&first);
    one.does("spawn here shop");
    one.does("rps here shop 200");
    let Answer::Routed(records) = other.does("rtbl list") else { panic!("it lists them") };
    assert_eq!((records.len(), records[0].hosts()[0].address.as_str()), (1, &*first.address.to_string()));
    let began = Instant::now();
    let waits = |one: &mut Shell| {
        one.does("sleep 0.02");
        began.elapsed() < PATIENCE
    };
    while first.requests() < 10 && waits(&mut one) {}
    assert_eq!(second.requests(), 0);
    other.route(&second);
    while second.requests() < 50 && waits(&mut one) {}
    let before = first.requests();
    while second.requests() < 100 && waits(&mut one) {}
    assert_eq!(first.requests(), before, "no request goes there any more");
    let news: Vec<String> = one.session.news().iter().map(ToString::to_string).collect();
    assert_eq!(news, [format!("service `shop` goes to {} from now on, revision 2", second.address)]);
    let figures = one.runtime.block_on(one.session.end()).unwrap();
    assert_eq!(figures.counted.errors, Default::default());
    assert!(matches!(other.does("rtbl flush"), Answer::Unrouted(services) if services == ["shop"]));
}

#[test]
fn experiments_are_queued_and_called_off_in_the_table() {
    let table = shared_table();
    let (mut one, mut other) = (Shell::on_table(&table), Shell::on_table(&table));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("evening.toml");
    let write = |host: &str| {
        let service = format!("[[service]]\nname = \"shop\"\nhosts = [\"{host}\"]\n");
        let client = "[[client]]\nservice = \"shop\"\nprofile = { ticks = [1], interval = \"1 s\" }\n";
        std::fs::write(&file, format!("name = \"evening\"\n{service}{client}")).unwrap();
    };
    let queue = format!("exp queue {}", file.display());
    write("example.org:80");
    let said = one.refuses(&queue);
    assert!(said.contains("service `shop`: `example.org:80` is another machine"), "{said}");
    write("127.0.0.1:80");
    one.does(&queue);
    let listed = other.does("exp list");
    assert_eq!(listed.lines(), ["experiment 1 `evening` is queued"]);
    let Answer::Cancelled { state: State::Cancelled, .. } = other.does("exp cancel 1") else {
        panic!("it is called off")
    };
    assert_eq!(one.does("exp list").lines(), ["experiment 1 `evening` is cancelled"]);
    let said = one.refuses("exp cancel x");
    assert!(said.starts_with("`x` is no experiment; write its number, like `7`"), "{said}");
    let said = one.refuses("exp cancel 9");
    assert_eq!(said, "cancel: there is no experiment 9; `agent load list` shows them");
}
