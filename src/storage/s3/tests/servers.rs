//! S3 servers that are not ours, each ended with its test. Where one is not installed, that is said.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A running server with a user `any`, whose secret is `thing`.
pub(super) struct Server {
    process: Child,
    pub address: SocketAddr,
    /// What it keeps its data in.
    _directory: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Server {
    /// Moto's, whatever the credentials.
    pub fn moto(arguments: &[&str]) -> Option<Self> {
        let mut command = Command::new("moto_server");
        command.args(["--host", "127.0.0.1", "--port", "0"]).args(arguments);
        Self::start(command, tempfile::tempdir().unwrap(), |line| {
            Some(line.split_once("Running on ")?.1.trim().split_once("://")?.1.to_owned())
        })
    }

    /// `rclone serve s3` on a folder.
    pub fn rclone() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new("rclone");
        command.args(["serve", "s3", "--addr", "127.0.0.1:0", "--auth-key", "any,thing", "--config", "/dev/null"]);
        command.arg(directory.path());
        Self::start(command, directory, |line| {
            let address = line.split_once("Starting s3 server on [http://")?.1;
            Some(address.split('/').next()?.to_owned())
        })
    }

    /// `weed server -s3`, which also has a user `reader` with the same secret, who may read and nothing else. It cannot be
    /// asked for any free port; another test may have been faster, so it is tried a few times.
    pub fn seaweedfs() -> Option<Self> {
        if Command::new("weed").arg("version").output().is_err() {
            println!("SKIPPED: weed is not installed");
            return None;
        }
        (0..5).find_map(|_| Self::seaweedfs_at(free_ports()))
    }

    fn seaweedfs_at(ports: [u16; 8]) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let identity = |name, actions| {
            format!(
                r#"{{"name": "{name}", "credentials": [{{"accessKey": "{name}", "secretKey": "thing"}}], "actions": {actions}}}"#
            )
        };
        let identities = [identity("any", r#"["Admin"]"#), identity("reader", r#"["Read", "List"]"#)].join(", ");
        let users = directory.path().join("users.json");
        std::fs::write(&users, format!(r#"{{"identities": [{identities}]}}"#)).unwrap();
        let mut command = Command::new("weed");
        command.args([
            "-v=0",
            "-logtostderr=true",
            "server",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-s3",
            "-volume.max=100",
        ]);
        command.arg(format!("-dir={}", directory.path().display())).arg(format!("-s3.config={}", users.display()));
        command.args(["-master.volumeSizeLimitMB=16", "-s3.port.iceberg=0", "-s3.port.lance=0"]);
        let names = [
            "s3.port",
            "s3.port.grpc",
            "master.port",
            "master.port.grpc",
            "volume.port",
            "volume.port.grpc",
            "filer.port",
            "filer.port.grpc",
        ];
        command.args(names.iter().zip(ports).map(|(name, port)| format!("-{name}={port}")));
        let address = format!("127.0.0.1:{}", ports[0]);
        Self::start(command, directory, move |line| {
            line.contains("Start Seaweed S3 API Server").then(|| address.clone())
        })
    }

    /// `None`, and said so, when it is not installed or ends. It says on its standard error where it listens.
    fn start(mut command: Command, directory: TempDir, address: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let Ok(mut process) = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn() else {
            println!("SKIPPED: {} is not installed", command.get_program().display());
            return None;
        };
        let mut said = BufReader::new(process.stderr.take().unwrap()).lines().map_while(|line| line.ok());
        let address = said.find_map(|line| address(&line));
        // Read on, or it would wait for somebody to do so.
        std::thread::spawn(move || said.for_each(drop));
        let Some(address) = address else {
            process.wait().unwrap();
            println!("SKIPPED: {} ended before it listened", command.get_program().display());
            return None;
        };
        Some(Self { process, address: address.parse().unwrap(), _directory: directory })
    }
}

/// Ports that nobody listens at, all different.
fn free_ports() -> [u16; 8] {
    let bound = [(); 8].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    bound.map(|listener| listener.local_addr().unwrap().port())
}
