//! The contract on servers that are not ours: moto's, plain and behind TLS, directly and through a link; rclone's and SeaweedFS'.

use super::super::*;
use super::servers::Server;
use crate::storage::contract::{self, Lack};
use crate::storage::credentials::Credentials;
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};

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

fn moto_behind_tls(certificates: &Certificates) -> Option<Server> {
    let [certificate, key] =
        ["server.pem", "server.key"].map(|file| certificates.path(file).to_str().unwrap().to_owned());
    Server::moto(&["-s", "-c", &certificate, "-k", &key])
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
    let Some(moto) = Server::moto(&[]) else { return };
    let client = S3Store::new(settings(format!("http://{}", moto.address)));
    assert!(!client.bucket_exists().await.unwrap());
    client.ensure_bucket().await.unwrap();
    client.ensure_bucket().await.unwrap();
    contract::check(&client).await;
}

#[tokio::test]
async fn rclone_keeps_the_contract_but_for_tags() {
    let Some(rclone) = Server::rclone() else { return };
    let client = S3Store::new(settings(format!("http://{}", rclone.address)));
    client.ensure_bucket().await.unwrap();
    contract::check_but(&client, &[Lack::Tags]).await;
    assert_eq!(client.examine("agent-probe/a1").await.deletes, Some(true));
}

/// SeaweedFS' server says that it listens before it does, and takes no objects before its parts have found each other.
async fn ready(client: &S3Store) {
    const TRIES: u32 = 100;
    for _ in 0..TRIES {
        let written = match client.ensure_bucket().await {
            Ok(()) => client.write("ready", 5, contract::body(b"ready", 5)).await,
            Err(error) => Err(error),
        };
        match written {
            Ok(()) => return client.delete("ready").await.unwrap(),
            Err(error) => println!("not yet: {error}"),
        }
    }
    panic!("it never took an object");
}

#[tokio::test]
async fn seaweedfs_keeps_the_contract() {
    let Some(weed) = Server::seaweedfs() else { return };
    let client = S3Store::new(settings(format!("http://{}", weed.address)));
    ready(&client).await;
    contract::check(&client).await;
    assert_eq!(client.examine("agent-probe/a1").await.deletes, Some(true));
}

/// SeaweedFS' server knows users who may do some things and not others.
#[tokio::test]
async fn a_user_who_may_not_delete_is_found_out_by_the_examination() {
    let Some(weed) = Server::seaweedfs() else { return };
    let owner = settings(format!("http://{}", weed.address));
    ready(&S3Store::new(owner.clone())).await;
    let reader = S3Store::new(S3Settings { credentials: Credentials::new("reader", "thing"), ..owner });
    let found = reader.examine("agent-probe/a1").await;
    assert_eq!(found.deletes, Some(false), "{found:?}");
    assert!(matches!(found.failure(), Some(StorageError::Denied { .. })), "{found:?}");
}

#[tokio::test]
async fn what_is_deleted_in_a_versioned_bucket_goes_for_good_only_where_that_is_wanted() {
    let Some(moto) = Server::moto(&[]) else { return };
    let keeping = settings(format!("http://{}", moto.address));
    let deleting = S3Store::new(S3Settings { delete_versions: true, ..keeping.clone() });
    let keeping = S3Store::new(keeping);
    keeping.ensure_bucket().await.unwrap();
    let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    keeping.control.put_bucket_versioning().bucket("data").versioning_configuration(enabled).send().await.unwrap();
    let left = async || keeping.versions("a").await.unwrap().len();

    let found = keeping.examine("agent-probe/a1").await;
    assert_eq!((found.deletes, found.remarks.len()), (Some(true), 1), "{found:?}");
    contract::put(&keeping, "a", b"first").await;
    let first = keeping.info("a").await.unwrap().unwrap().content();
    keeping.delete_if("a", &first).await.unwrap();
    assert_eq!((keeping.info("a").await.unwrap(), left().await), (None, 2), "the version and its delete marker");
    deleting.delete("a").await.unwrap();
    assert_eq!(left().await, 0);

    contract::put(&keeping, "a", b"first").await;
    deleting.delete_if("a", &first).await.unwrap();
    assert_eq!((keeping.info("a").await.unwrap(), left().await), (None, 0));

    // An older version must not become the object again.
    contract::put(&keeping, "a", b"theirs").await;
    contract::put(&keeping, "a", b"first").await;
    deleting.delete_if("a", &first).await.unwrap();
    assert_eq!((keeping.info("a").await.unwrap(), left().await), (None, 3));
}

#[tokio::test]
async fn an_authority_that_shows_itself_as_the_server_is_told_how_to_do_it() {
    let certificates = Certificates::make();
    let mut own = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let own = CertifiedIssuer::self_signed(own, key).unwrap();
    fs::write(certificates.path("server.pem"), own.pem()).unwrap();
    fs::write(certificates.path("server.key"), own.key().serialize_pem()).unwrap();
    fs::write(certificates.path("ca.pem"), own.pem()).unwrap();
    let Some(moto) = moto_behind_tls(&certificates) else { return };
    let by_address = settings(format!("https://{}", moto.address));
    let said =
        S3Store::new(S3Settings { trust: certificates.trust(), ..by_address }).bucket_exists().await.unwrap_err();
    let said = said.to_string();
    assert!(said.contains("CaUsedAsEndEntity"), "{said}");
    assert!(said.contains("; the server shows an authority's certificate as its own: "), "{said}");
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_refused() {
    let certificates = Certificates::make();
    let Some(moto) = moto_behind_tls(&certificates) else { return };
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
    let Some(moto) = moto_behind_tls(&certificates) else { return };
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
    let (Some(plain), Some(tls)) = (Server::moto(&[]), moto_behind_tls(&certificates)) else { return };
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
    let Some(moto) = Server::moto(&[]) else { return };
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
