//! A Galera cluster of the tests' own: three servers of `mariadb.rs` on ports of their own that hold the same. Included beside
//! that file.

#![allow(dead_code, reason = "each test file uses its part")]

use super::mariadb::{Data, MariaDb, free_ports, program};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

pub const SERVERS: usize = 3;

const LIBRARIES: [&str; 3] =
    ["/usr/lib/galera/libgalera_smm.so", "/usr/lib64/galera-4/libgalera_smm.so", "/usr/lib/libgalera_smm.so"];
/// One brings another its data, on a busy machine.
const JOIN_LIMIT: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(50);

static SHARED: OnceLock<Result<Cluster, String>> = OnceLock::new();

/// The one cluster of this test binary, of which no server is ended; what to print after `SKIPPED:` where there can be none.
pub fn shared() -> Result<&'static Cluster, String> {
    SHARED.get_or_init(Cluster::start).as_ref().map_err(Clone::clone)
}

pub struct Cluster {
    pub servers: Vec<MariaDb>,
}

impl Cluster {
    pub fn start() -> Result<Self, String> {
        program("mariadbd").ok_or("mariadbd is not installed")?;
        let library =
            LIBRARIES.into_iter().find(|file| Path::new(file).is_file()).ok_or("galera-4 is not installed")?;
        program("rsync").ok_or("rsync is not installed, with which servers of a cluster give each other their data")?;
        let account = account()?;
        // Of each server: for the others, for their data, and for what they missed.
        let ports = free_ports::<{ SERVERS * 3 }>();
        let (peers, rest) = ports.split_at(SERVERS);
        let addresses: Vec<_> = peers.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        let mut servers = Vec::new();
        for (at, transfer) in rest.chunks(2).enumerate() {
            let options = [
                "--wsrep-on=ON".to_owned(),
                format!("--wsrep-provider={library}"),
                "--wsrep-cluster-name=agent".to_owned(),
                format!("--wsrep-cluster-address=gcomm://{}", addresses.join(",")),
                "--wsrep-node-address=127.0.0.1".to_owned(),
                format!("--wsrep-node-name=server-{at}"),
                "--binlog-format=ROW".to_owned(),
                "--innodb-autoinc-lock-mode=2".to_owned(),
                "--wsrep-sst-method=rsync".to_owned(),
                format!("--wsrep-sst-receive-address=127.0.0.1:{}", transfer[0]),
                format!(
                    "--wsrep-provider-options=base_port={port};gmcast.listen_addr=tcp://{address};\
                     ist.recv_addr=127.0.0.1:{};gcache.size=32M",
                    transfer[1],
                    port = peers[at],
                    address = addresses[at],
                ),
            ];
            let options: Vec<&str> = options.iter().map(String::as_str).collect();
            let is_first = servers.is_empty();
            let (at_first, data): (&[&str], _) =
                if is_first { (&["--wsrep-new-cluster"], Data::Own) } else { (&[], Data::Given) };
            servers.push(MariaDb::start_as(account, &options, at_first, data)?);
        }
        let cluster = Self { servers };
        cluster.wait_until_whole();
        Ok(cluster)
    }

    pub fn ports(&self) -> Vec<u16> {
        self.servers.iter().map(MariaDb::port).collect()
    }

    /// All ports, with this one as the first.
    pub fn ports_from(&self, first: usize) -> Vec<u16> {
        let mut ports = self.ports();
        ports.rotate_left(first % SERVERS);
        ports
    }

    /// Until every server takes questions, and knows of the others.
    pub fn wait_until_whole(&self) {
        let began = Instant::now();
        let sql =
            "show status where variable_name in ('wsrep_cluster_size', 'wsrep_ready', 'wsrep_local_state_comment')";
        let whole = format!("wsrep_cluster_size\t{SERVERS}\nwsrep_local_state_comment\tSynced\nwsrep_ready\tON\n");
        let is_whole = |server: &MariaDb| {
            let said = String::from_utf8_lossy(&server.try_execute(sql).stdout).into_owned();
            let mut lines: Vec<_> = said.lines().map(|line| format!("{line}\n")).collect();
            lines.sort();
            lines.concat() == whole
        };
        while !self.servers.iter().all(is_whole) {
            assert!(began.elapsed() < JOIN_LIMIT, "the cluster does not come together within {JOIN_LIMIT:?}");
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

/// Their transfer of data cannot be root's.
fn account() -> Result<Option<&'static str>, String> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let known = Command::new("id").args(["-u", "mysql"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    match known.is_ok_and(|status| status.success()) {
        true => Ok(Some("mysql")),
        false => Err("there is no account `mysql` for the servers of a cluster".to_owned()),
    }
}
