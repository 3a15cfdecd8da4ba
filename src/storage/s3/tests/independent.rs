//! The contract on a server that is not ours: moto's, plain and behind TLS, directly and through a link.

use super::super::*;
use crate::storage::contract;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};

/// Moto's server, ended with the test.
struct Moto {
    process: Child,
    address: SocketAddr,
}

impl Drop for Moto {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Moto {
    /// `None`, and said so, when it is not installed. It says on its standard error where it listens.
    fn start(arguments: &[&str]) -> Option<Self> {
        let mut command = Command::new("moto_server");
        command.args(["--host", "127.0.0.1", "--port", "0"]).args(arguments);
        command.env("S3_IGNORE_SUBDOMAIN_BUCKETNAME", "true");
        let Ok(mut process) = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn() else {
            println!("SKIPPED: moto_server is not installed");
            return None;
        };
        let mut said = BufReader::new(process.stderr.take().unwrap()).lines().map_while(|line| line.ok());
        let url = said.find_map(|line| Some(line.split_once("Running on ")?.1.trim().to_owned()));
        // Read on, or it would wait for somebody to do so.
        std::thread::spawn(move || said.for_each(drop));
        let url = url.expect("moto_server ended before it listened");
        let address = url.split_once("://").unwrap().1.parse().unwrap();
        Some(Self { process, address })
    }

    fn behind_tls(certificates: &Certificates) -> Option<Self> {
        let [certificate, key] =
            ["server.pem", "server.key"].map(|file| certificates.path(file).to_str().unwrap().to_owned());
        Self::start(&["-s", "-c", &certificate, "-k", &key])
    }
}

/// An authority's certificate, and one that it signed for `store.test` and `127.0.0.1`.
struct Certificates(TempDir);

impl Certificates {
    fn make() -> Self {
        let directory = Self(tempfile::tempdir().unwrap());
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = ["store.test", "data.store.test", "127.0.0.1"].map(str::to_owned);
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
        fs::write(directory.path("ca.pem"), authority.pem()).unwrap();
        fs::write(directory.path("server.pem"), certificate.pem()).unwrap();
        fs::write(directory.path("server.key"), key.serialize_pem()).unwrap();
        directory
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn trust(&self) -> Trust {
        Trust::in_file(&self.path("ca.pem")).unwrap()
    }
}

fn settings(endpoint: String) -> S3Settings {
    S3Settings::new(endpoint, "data", Credentials::new("any", "thing"))
}

/// A link without toxics: what comes in goes to `upstream`. Returns where it listens.
async fn link_to(upstream: SocketAddr) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut here, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut there = TcpStream::connect(upstream).await.unwrap();
                // Either end may hang up at any time.
                tokio::io::copy_bidirectional(&mut here, &mut there).await.ok()
            });
        }
    });
    address
}

#[tokio::test]
async fn another_implementation_keeps_the_contract() {
    let Some(moto) = Moto::start(&[]) else { return };
    let client = S3Store::new(settings(format!("http://{}", moto.address)));
    assert!(!client.bucket_exists().await.unwrap());
    client.ensure_bucket().await.unwrap();
    client.ensure_bucket().await.unwrap();
    contract::check(&client).await;
}

#[tokio::test]
async fn behind_tls_it_keeps_the_contract_too() {
    let certificates = Certificates::make();
    let Some(moto) = Moto::behind_tls(&certificates) else { return };
    let settings = S3Settings { trust: certificates.trust(), ..settings(format!("https://{}", moto.address)) };
    let client = S3Store::new(settings);
    client.ensure_bucket().await.unwrap();
    contract::check(&client).await;
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_refused() {
    let certificates = Certificates::make();
    let Some(moto) = Moto::behind_tls(&certificates) else { return };
    let by_address = settings(format!("https://{}", moto.address));
    let another = Certificates::make().trust();
    for trust in [another, Trust::System] {
        let refused = S3Store::new(S3Settings { trust, ..by_address.clone() }).bucket_exists().await.unwrap_err();
        assert!(refused.to_string().ends_with("invalid peer certificate: UnknownIssuer"), "{refused}");
    }
    // Nobody answers by this name, so it is reached by a link; its certificate is for another one.
    let link = Some(moto.address.to_string());
    let other_name =
        S3Settings { link, trust: certificates.trust(), ..settings("https://another.test:9000".to_owned()) };
    let refused = S3Store::new(other_name).bucket_exists().await.unwrap_err().to_string();
    assert!(refused.contains("invalid peer certificate: certificate not valid for name \"another.test\""), "{refused}");
}

/// The name leads nowhere, so that every byte must have come through the link.
#[tokio::test]
async fn through_a_link_the_store_is_still_asked_for_by_its_own_name() {
    let certificates = Certificates::make();
    let Some(moto) = Moto::behind_tls(&certificates) else { return };
    let link = link_to(moto.address).await;
    let through = |endpoint: &str, path_style| S3Settings {
        trust: certificates.trust(),
        link: Some(link.clone()),
        path_style,
        ..settings(endpoint.to_owned())
    };
    let client = S3Store::new(through("https://store.test:9000", true));
    assert_eq!(client.address(), "https://store.test:9000/data");
    client.ensure_bucket().await.unwrap();
    contract::check(&client).await;
    let by_address = S3Store::new(through("https://10.255.255.1:9000", true));
    let refused = by_address.bucket_exists().await;
    // Its certificate is for the link's address, too, which is what a store named by address is asked for.
    assert!(refused.unwrap(), "the link's own address is accepted beside the store's");
}

/// Through a link, or without TLS, requests are signed for the store and name it.
#[tokio::test]
async fn the_signature_is_for_the_store_and_not_for_the_link() {
    let Some(moto) = Moto::start(&[]) else { return };
    let link = link_to(moto.address).await;
    let client = S3Store::new(S3Settings { link: Some(link), ..settings("http://store.test".to_owned()) });
    client.ensure_bucket().await.unwrap();
    contract::check(&client).await;
}
