//! Connections that break or fall silent at the worst moment, servers that go and come back, and TLS.

use super::*;
use crate::knowledge::{Claimed, KnowledgeError};
use agent_core::domain::ids::NodeId;
use agent_core::knowledge::contract::{LEASE, WINDOW, clock, data_set};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// What a wire does with a commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Commits {
    Pass,
    /// The client's connection breaks before the server hears of it.
    CutBefore,
    /// The server carries it out; the connection breaks before its answer arrives.
    CutAfter,
}

/// A wire to the server that breaks, or falls silent, when it is told to.
pub(super) struct Wire {
    pub port: u16,
    state: Arc<WireState>,
}

struct WireState {
    commits: Mutex<Commits>,
    /// Nothing arrives any more, and nobody is told.
    is_silent: AtomicBool,
    /// The next answer is one to a commit, and is not to arrive.
    is_cut: AtomicBool,
}

impl Wire {
    pub(super) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let state = WireState {
            commits: Mutex::new(Commits::Pass),
            is_silent: AtomicBool::new(false),
            is_cut: AtomicBool::new(false),
        };
        let wire = Self { port: own, state: Arc::new(state) };
        let state = wire.state.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, port, state.clone()));
            }
        });
        wire
    }

    /// From now on.
    pub(super) fn be_silent(&self) {
        self.state.is_silent.store(true, Ordering::SeqCst);
    }

    pub(super) fn commits(&self, what: Commits) {
        *self.state.commits.lock().unwrap() = what;
        // What was to be cut has been: a new connection begins with an answer, the server's greeting.
        self.state.is_cut.store(false, Ordering::SeqCst);
    }
}

async fn carry(client: TcpStream, port: u16, state: Arc<WireState>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // When one way ends, both do.
    tokio::select! {
        () = questions(from_client, to_server, &state) => {}
        () = answers(from_server, to_client, &state) => {}
    }
}

async fn questions(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, state: &WireState) {
    let mut bytes = vec![0; 65_536];
    loop {
        let Ok(length @ 1..) = from.read(&mut bytes).await else { return };
        let asked = &bytes[..length];
        let is_commit = asked.ends_with(b"\x03commit");
        let commits = *state.commits.lock().unwrap();
        if state.is_silent.load(Ordering::SeqCst) {
            continue;
        }
        if is_commit && commits == Commits::CutBefore {
            return;
        }
        state.is_cut.store(is_commit && commits == Commits::CutAfter, Ordering::SeqCst);
        if to.write_all(asked).await.is_err() {
            return;
        }
    }
}

async fn answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, state: &WireState) {
    let mut bytes = vec![0; 65_536];
    loop {
        let Ok(length @ 1..) = from.read(&mut bytes).await else { return };
        if state.is_cut.load(Ordering::SeqCst) {
            return;
        }
        if state.is_silent.load(Ordering::SeqCst) {
            continue;
        }
        if to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}

/// A table behind a wire, and the same one at the server itself.
struct Wired {
    wire: Wire,
    table: Table,
    direct: Table,
}

impl Wired {
    async fn new() -> std::result::Result<Self, String> {
        let bench = Bench::new().await?;
        let wire = Wire::to(bench.server.port()).await;
        let settings =
            MysqlSettings { hosts: local([wire.port]), patience: Duration::from_secs(1), ..bench.settings() };
        let clock = clock();
        let table = Table::new(open(&settings, &clock).await.unwrap(), clock, ()).three_agents().await;
        Ok(Self { wire, table, direct: bench.table().await })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_uncertain_and_read_back_by_its_key() {
    let Wired { wire, table, direct } = bench!(Wired::new().await);
    let plan = table.plan(1, "M3_1").await;
    wire.commits(Commits::CutAfter);
    let error = table.knowledge.claim(&plan, LEASE, WINDOW).await.unwrap_err();
    assert!(matches!(error, KnowledgeError::Uncertain { operation: "claim", .. }), "{error}");
    // It did happen.
    let event = direct.knowledge.event_by_key(&plan.key).await.unwrap().expect("it was carried out");
    wire.commits(Commits::Pass);
    let granted = table.try_claim(&plan).await.unwrap();
    assert_eq!(granted.event, event.id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_never_arrived_is_uncertain_too_and_asked_again() {
    let Wired { wire, table, direct } = bench!(Wired::new().await);
    let plan = table.plan(1, "M3_1").await;
    wire.commits(Commits::CutBefore);
    let error = table.knowledge.claim(&plan, LEASE, WINDOW).await.unwrap_err();
    assert!(matches!(error, KnowledgeError::Uncertain { operation: "claim", .. }), "{error}");
    assert_eq!(direct.knowledge.event_by_key(&plan.key).await.unwrap(), None);
    wire.commits(Commits::Pass);
    let granted = table.knowledge.claim(&plan, LEASE, WINDOW).await.unwrap();
    assert!(matches!(granted, Claimed::Granted(_)), "{granted:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_is_an_error_within_its_time_and_is_survived() {
    let Wired { wire, table, .. } = bench!(Wired::new().await);
    let before = table.snapshot().await;
    wire.be_silent();
    let began = std::time::Instant::now();
    let error = table.knowledge.snapshot(&data_set()).await.unwrap_err();
    assert!(matches!(error, KnowledgeError::NotExecuted { operation: "snapshot", .. }), "{error}");
    assert!(error.to_string().ends_with("no answer within 1 s; is the server up, and the network between?"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    // More silent operations than there are connections: none of them is lost to the pool.
    let ask = async || table.knowledge.snapshot(&data_set()).await;
    let all = futures::future::join_all((0..12).map(|_| ask())).await;
    assert!(all.iter().all(|answer| answer.is_err()));
    wire.state.is_silent.store(false, Ordering::SeqCst);
    assert_eq!(table.snapshot().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_went_is_an_error_and_one_that_came_back_is_used() {
    let mut server = bench!(MariaDb::start(&[]));
    let settings = settings(&server, &server.schema());
    init(&settings).await.unwrap();
    let clock = clock();
    let table = Table::new(open(&settings, &clock).await.unwrap(), clock, ()).three_agents().await;
    let event = table.act(1, "M3_1").await;
    let before = table.snapshot().await;
    server.kill();
    let error = table.knowledge.snapshot(&data_set()).await.unwrap_err();
    let expected = format!("snapshot: not carried out: {settings}: ");
    assert!(error.to_string().starts_with(&expected) && error.to_string().contains("refused"), "{error}");
    server.restart();
    assert_eq!(table.snapshot().await, before);
    assert_eq!(table.event(event).await.action.to_string(), "M3_1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_is_held_is_waited_for() {
    let bench = bench!(Bench::new().await);
    bench.table().await.three_agents().await;
    let settings = MysqlSettings { patience: Duration::from_secs(4), ..bench.settings() };
    let clock = clock();
    let table = Table::new(open(&settings, &clock).await.unwrap(), clock, ());
    // Somebody with an SQL client holds the row, longer than a session waits for it, shorter than an operation may take.
    let holder = {
        let (server, schema) = (bench.server, bench.schema.clone());
        std::thread::spawn(move || {
            server.execute(&format!("use {schema}; begin; update data_sets set revision = 99; do sleep(1.5); commit"))
        })
    };
    let is_held = "select count(*) from information_schema.innodb_trx where trx_rows_modified > 0";
    while !holder.is_finished() && bench.server.execute(is_held) == ["0"] {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let claim = table.claim(1, "M3_1").await;
    holder.join().unwrap();
    table.commit(claim.event).await;
    assert_eq!(table.reads(1).await, Some(NodeId(1)));
}

/// An authority, and what a server needs that it vouches for.
fn authority(name: &str) -> (String, String, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    (issuer.pem(), server.pem(), key.serialize_pem())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_used_with_the_right_authority_and_name_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (ca, certificate, key) = authority("ours");
    let (ca, certificate, key) = (file("ca.pem", &ca), file("server.pem", &certificate), file("key.pem", &key));
    let other = file("other.pem", &authority("theirs").0);
    let option = |name: &str, path: &std::path::Path| format!("--ssl-{name}={}", path.display());
    let options = [option("cert", &certificate), option("key", &key)];
    let server = bench!(MariaDb::start(&[&options[0], &options[1]]));
    let secure = |host: &str, authority: Option<&std::path::PathBuf>| MysqlSettings {
        hosts: vec![Host { name: host.to_owned(), port: server.port() }],
        tls: Tls::On { authority: authority.cloned() },
        ..settings(&server, "secure")
    };
    init(&secure("localhost", Some(&ca))).await.unwrap();
    let findings = check(&secure("localhost", Some(&ca))).await.unwrap();
    assert!(findings[1].what == "tls" && findings[1].detail.starts_with("TLS_"), "{:?}", findings[1]);

    let refused = async |settings: MysqlSettings, expected: &str| {
        let error = open(&settings, &clock()).await.err().expect("it is refused");
        assert!(matches!(error, KnowledgeError::Unusable { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    };
    refused(secure("localhost", Some(&other)), "TLS: invalid peer certificate: UnknownIssuer").await;
    refused(secure("localhost", None), "TLS: invalid peer certificate: UnknownIssuer").await;
    refused(secure("127.0.0.1", Some(&ca)), "TLS: invalid peer certificate: certificate not valid for name").await;
    // A server without TLS is not spoken to in the clear.
    let plain = mariadb::shared().unwrap();
    let without = MysqlSettings { tls: Tls::On { authority: None }, ..settings(plain, "any") };
    refused(without, "the server has no TLS; set it up there").await;
}
