//! A `mariadbd` of the tests' own: private directory, socket and port, gone with the process that started it.
//!
//! Spoken to with the server's own command line client, so that a test can look at the tables, and edit them, without any code
//! of ours in between. Tests in `src` include this file by its path.

#![allow(dead_code, reason = "each test file uses its part")]

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Who may do everything on the server, over TCP too. Administrators' names are longer in life.
pub const USER: &str = "agent";
pub const PASSWORD: &str = "pa:ss/w@rd";

const START_LIMIT: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Somebody may take a free port between its choice and the server's start.
const PORTS_TRIED: u32 = 5;
/// Below those that systems give to whoever asks for any, and to each connection: a server that is away for a while, or comes
/// last of several, finds its own still free.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// Small and quick: what was committed outlives the server, though not the machine.
const OPTIONS: [&str; 14] = [
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--skip-log-bin",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-doublewrite=0",
    "--innodb-use-native-aio=0",
    "--innodb-buffer-pool-size=16M",
    "--innodb-log-file-size=8M",
    "--innodb-log-buffer-size=1M",
    "--innodb-file-per-table=0",
    "--innodb-fast-shutdown=2",
    "--key-buffer-size=1M",
    "--aria-pagecache-buffer-size=1M",
    "--performance-schema=off",
];

/// Runs the server until its input ends, which happens also when the tests are killed; then ends it, and removes what it left
/// unless the last line says to keep it.
const GUARD: &str = r#"
directory=$1; shift
"$@" >>"$directory/server.log" 2>&1 </dev/null &
read -r word
kill -9 $!
wait $! 2>/dev/null
[ "$word" = keep ] || rm -rf "$directory"
"#;

static SHARED: OnceLock<Result<MariaDb, String>> = OnceLock::new();
static SCHEMAS: AtomicU32 = AtomicU32::new(0);

/// The one server of this test binary; what to print after `SKIPPED:` where it is not installed.
pub fn shared() -> Result<&'static MariaDb, String> {
    SHARED.get_or_init(|| MariaDb::start(&[])).as_ref().map_err(Clone::clone)
}

/// A server that runs.
pub struct MariaDb {
    directory: PathBuf,
    /// The account that it runs as, where the tests may choose one.
    account: Option<&'static str>,
    options: Vec<String>,
    port: u16,
    guard: Option<Child>,
}

/// What a server has in the beginning.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Data {
    /// The tables that every server needs, and `USER`.
    Own,
    /// Nothing: it is given by another member of a cluster.
    Given,
}

impl MariaDb {
    /// A server of one's own, for tests that end it or need options of their own.
    pub fn start(options: &[&str]) -> Result<Self, String> {
        Self::start_as(as_root(), options, &[], Data::Own)
    }

    /// The same as another account; `at_first` are options of its first start alone.
    pub fn start_as(
        account: Option<&'static str>,
        options: &[&str],
        at_first: &[&str],
        data: Data,
    ) -> Result<Self, String> {
        let directory =
            tempfile::Builder::new().prefix("agent-mariadb-").tempdir().map_err(|error| error.to_string())?;
        match data {
            Data::Own => install(directory.path(), as_root())?,
            Data::Given => fs::create_dir(directory.path().join("data")).map_err(|error| error.to_string())?,
        }
        if let Some(account) = account {
            let given = Command::new("chown").arg("-R").arg(account).arg(directory.path()).status();
            given.ok().filter(|status| status.success()).ok_or(format!("no directory can be given to {account}"))?;
        }
        let options: Vec<String> = options.iter().map(ToString::to_string).collect();
        let with_first = options.iter().cloned().chain(at_first.iter().map(ToString::to_string)).collect();
        let mut server = Self { directory: directory.keep(), account, options: with_first, port: 0, guard: None };
        server.listen_anywhere();
        server.options = options;
        if data == Data::Own {
            server.execute(&format!(
                "create user '{USER}'@'%' identified by '{PASSWORD}'; grant all on *.* to '{USER}'@'%' with grant option"
            ));
        }
        Ok(server)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Its address with all rights, like `mysql://USER:PASSWORD@127.0.0.1:PORT/SCHEMA`.
    pub fn url(&self, schema: &str) -> String {
        self.url_as(USER, PASSWORD, schema)
    }

    pub fn url_as(&self, user: &str, password: &str, schema: &str) -> String {
        let quoted: String = password.bytes().map(|byte| format!("%{byte:02x}")).collect();
        format!("mysql://{user}:{quoted}@127.0.0.1:{}/{schema}", self.port)
    }

    /// Makes an empty schema; its name.
    pub fn schema(&self) -> String {
        let name = format!("test_{}", SCHEMAS.fetch_add(1, Ordering::Relaxed));
        self.execute(&format!("create database {name} character set utf8mb4"));
        name
    }

    /// Carries out statements as an administrator; the rows of their answers, columns joined by tabs.
    pub fn execute(&self, sql: &str) -> Vec<String> {
        let output = self.try_execute(sql);
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
    }

    /// Ends it at once, as a power cut would; `restart` brings it back on the same port.
    pub fn kill(&mut self) {
        let Some(mut guard) = self.guard.take() else { return };
        if let Some(mut input) = guard.stdin.take() {
            input.write_all(b"keep\n").expect("the guard listens");
        }
        guard.wait().expect("the guard ends");
    }

    /// Has it stand still, or go on.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let written = fs::read_to_string(self.directory.join("data/pid")).expect("it has written its number");
        let number = written.trim().parse().ok().and_then(rustix::process::Pid::from_raw).expect("a number");
        rustix::process::kill_process(number, signal).expect("it runs");
    }

    /// Starts it again on what it had stored.
    pub fn restart(&mut self) {
        self.kill();
        assert!(self.listen(), "the server does not start again: {}", self.log());
    }

    /// The same where it may be refused.
    pub fn try_execute(&self, sql: &str) -> Output {
        let mut client = Command::new("mariadb");
        client.args([
            "--no-defaults",
            "--user=root",
            "--batch",
            "--skip-column-names",
            "--default-character-set=utf8mb4",
        ]);
        client.arg(format!("--socket={}", self.socket().display())).arg(format!("--execute={sql}"));
        client.stdin(Stdio::null()).output().expect("mariadb, the client, is installed with the server")
    }

    fn listen_anywhere(&mut self) {
        for _ in 0..PORTS_TRIED {
            [self.port] = free_ports();
            if self.listen() {
                return;
            }
            self.kill();
        }
        panic!("mariadbd does not start: {}", self.log());
    }

    /// Whether it answers now. Not when its port was taken.
    fn listen(&mut self) -> bool {
        let (log, data) = (self.directory.join("server.log"), self.directory.join("data"));
        fs::write(&log, "").expect("the log can be emptied");
        let mut guard = Command::new("sh");
        guard.args(["-c", GUARD, "guard"]).arg(&self.directory).arg(program("mariadbd").expect("it was there before"));
        guard.arg("--no-defaults").args(self.account.map(user)).args(OPTIONS).args(&self.options);
        guard.arg(format!("--datadir={}", data.display())).arg(format!("--socket={}", self.socket().display()));
        guard.arg(format!("--tmpdir={}", self.directory.display()));
        guard.arg(format!("--port={}", self.port)).arg(format!("--pid-file={}", data.join("pid").display()));
        // A process group of its own: Ctrl-C must not end the guard before its server.
        let guard = guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        self.guard = Some(guard.spawn().expect("sh can be started"));
        let began = Instant::now();
        while began.elapsed() < START_LIMIT {
            if self.log().contains("Aborting") {
                return false;
            }
            if self.log().contains("ready for connections") && TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return true;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        false
    }

    fn socket(&self) -> PathBuf {
        self.directory.join("socket")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.join("server.log")).unwrap_or_default()
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        match self.guard.take() {
            Some(mut guard) => {
                drop(guard.stdin.take());
                guard.wait().expect("the guard ends");
            }
            None => fs::remove_dir_all(&self.directory).expect("its directory can be removed"),
        }
    }
}

/// Ports that nobody listens at, and that were not given before.
pub fn free_ports<const N: usize>() -> [u16; N] {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let count = PORTS.end - PORTS.start;
    // Each of the test programs that run at the same time begins somewhere else.
    let first = u16::try_from(std::process::id() % u32::from(count)).unwrap_or(0);
    let next = || PORTS.start + (first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % count);
    let bound = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let mut free = (0..count).map(|_| next()).filter(bound);
    [(); N].map(|()| free.next().expect("a free port"))
}

/// Makes the tables that every server needs.
fn install(directory: &Path, account: Option<&str>) -> Result<(), String> {
    program("mariadbd").ok_or("mariadbd is not installed")?;
    let install = program("mariadb-install-db").ok_or("mariadb-install-db is not installed")?;
    let mut command = Command::new(install);
    command.arg("--no-defaults").args(account.map(user)).arg(format!("--datadir={}", directory.join("data").display()));
    // A server that starts removes the temporary tables of all others from a directory that they share.
    command.arg(format!("--tmpdir={}", directory.display()));
    command.args(["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]);
    let output = command.args(OPTIONS).stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    panic!("mariadb-install-db: {}", String::from_utf8_lossy(&said));
}

/// Where a program lies; servers' are often not on an ordinary user's path.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders =
        std::env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin", "/usr/libexec"].map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// The server runs as root only when it is told to.
fn as_root() -> Option<&'static str> {
    rustix::process::geteuid().is_root().then_some("root")
}

fn user(account: &str) -> String {
    format!("--user={account}")
}
