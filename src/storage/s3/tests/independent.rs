//! The contract on a server that is not ours: moto's, plain and behind TLS, directly and through a link.

use super::super::*;
use crate::storage::contract;
use crate::storage::credentials::Credentials;
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

/// An authority's certificate, and one that it signed. Moto takes what is before the first dot of a host for a bucket.
struct Certificates(TempDir);

impl Certificates {
    fn make() -> Self {
        let directory = Self(tempfile::tempdir().unwrap());
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = ["store", "data.store", "127.0.0.1"].map(str::to_owned);
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
async fn a_certificate_that_is_not_trusted_is_refused() {
    let certificates = Certificates::make();
    let Some(moto) = Moto::behind_tls(&certificates) else { return };
    let by_address = settings(format!("https://{}", moto.address));
    let another = Certificates::make().trust();
    for trust in [another, Trust::System] {
        let refused = S3Store::new(S3Settings { trust, ..by_address.clone() }).bucket_exists().await.unwrap_err();
        assert!(refused.to_string().contains("TLS handshake failed: invalid peer certificate: "), "{refused}");
    }
    // Nobody answers by this name, so it is reached by a link; its certificate is for another one.
    let link = Some(moto.address.to_string());
    let other_name = S3Settings { link, trust: certificates.trust(), ..settings("https://another:9000".to_owned()) };
    let refused = S3Store::new(other_name).bucket_exists().await.unwrap_err().to_string();
    assert!(refused.contains("invalid peer certificate: certificate not valid for name \"another\""), "{refused}");
}

/// The name leads nowhere, so every byte must have come through the link.
#[tokio::test]
async fn behind_tls_and_a_link_it_keeps_the_contract_too() {
    let certificates = Certificates::make();
    let Some(moto) = Moto::behind_tls(&certificates) else { return };
    let client = S3Store::new(S3Settings {
        trust: certificates.trust(),
        link: Some(link_to(moto.address).await),
        ..settings("https://store:9000".to_owned())
    });
    assert_eq!(client.address(), "https://store:9000/data");
    client.ensure_bucket().await.unwrap();
    contract::check(&client).await;
}

/// Writes an object and reads it back.
async fn is_usable(settings: S3Settings) {
    let client = S3Store::new(settings);
    client.ensure_bucket().await.unwrap();
    contract::put(&client, "a b", b"content").await;
    assert_eq!(contract::read(&client, "a b", 0..7).await.unwrap(), b"content");
    client.delete("a b").await.unwrap();
}

#[tokio::test]
async fn a_store_is_reached_by_name_and_by_address_directly_and_through_links() {
    let certificates = Certificates::make();
    let (Some(plain), Some(tls)) = (Moto::start(&[]), Moto::behind_tls(&certificates)) else { return };
    let (to_plain, to_tls) = (link_to(plain.address).await, link_to(tls.address).await);
    let through = |link: &String, endpoint: &str| S3Settings {
        trust: certificates.trust(),
        link: Some(link.clone()),
        ..settings(endpoint.to_owned())
    };
    is_usable(S3Settings { link: None, ..through(&to_tls, &format!("https://{}", tls.address)) }).await;
    // The certificate is for the address that the store is asked for; the link's own would do as well.
    is_usable(through(&to_tls, &format!("https://{}", tls.address))).await;
    is_usable(through(&to_plain, "http://store")).await;
    is_usable(S3Settings { path_style: false, ..through(&to_plain, "http://store:9000") }).await;
    is_usable(S3Settings { path_style: false, ..through(&to_tls, "https://store") }).await;
}

#[tokio::test]
async fn what_a_killed_process_left_of_uploads_is_found_and_given_up() {
    let Some(moto) = Moto::start(&[]) else { return };
    let client = S3Store::new(settings(format!("http://{}", moto.address)));
    client.ensure_bucket().await.unwrap();
    for key in ["ours/1", "ours/2", "theirs"] {
        client.control.create_multipart_upload().bucket("data").key(key).send().await.unwrap();
    }
    let left = client.unfinished_uploads("ours/").await.unwrap();
    assert_eq!(left.iter().map(|upload| upload.key.as_str()).collect::<Vec<_>>(), ["ours/1", "ours/2"]);
    assert!(left.iter().all(|upload| upload.begun.is_some()), "{left:?}");
    for upload in &left {
        client.abort_upload(upload).await.unwrap();
        client.abort_upload(upload).await.unwrap();
    }
    assert_eq!(client.unfinished_uploads("ours/").await.unwrap(), []);
    assert_eq!(client.unfinished_uploads("").await.unwrap().len(), 1);
}
