//! The certificate that the API shows, given by the user.

use anyhow::{Context as _, bail};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// Two PEM files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certificate {
    /// The server's own first, then those that lead to an authority.
    pub chain: PathBuf,
    pub key: PathBuf,
}

impl Certificate {
    /// Refused when a file cannot be read, or the key is not the certificate's.
    pub fn acceptor(&self) -> anyhow::Result<TlsAcceptor> {
        let chain = certificates(&self.chain)?;
        let key = PrivateKeyDer::from_pem_file(&self.key).with_context(|| {
            format!(
                "{}: no private key can be read there; it has to be PEM (-----BEGIN PRIVATE KEY-----)",
                self.key.display()
            )
        })?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let config = config.with_no_client_auth().with_single_cert(chain, key).with_context(|| {
            format!(
                "{} and {} do not fit each other; name the certificate that was made for this key",
                self.chain.display(),
                self.key.display()
            )
        })?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let unreadable = || {
        format!("{}: no certificate can be read there; it has to be PEM (-----BEGIN CERTIFICATE-----)", path.display())
    };
    let all = CertificateDer::pem_file_iter(path).with_context(unreadable)?;
    let all: Vec<_> = all.collect::<Result<_, _>>().with_context(unreadable)?;
    if all.is_empty() {
        bail!(unreadable());
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_certificate_that_cannot_be_used_is_refused_in_words() {
        let place = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = place.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let made = || rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let (one, another) = (made(), made());
        let chain = write("chain.pem", &one.cert.pem());
        let key = write("key.pem", &one.signing_key.serialize_pem());
        let other_key = write("other.pem", &another.signing_key.serialize_pem());
        let empty = write("empty.pem", "");
        assert!(Certificate { chain: chain.clone(), key: key.clone() }.acceptor().is_ok());
        let check = |chain: &PathBuf, key: &PathBuf, expected: &str| {
            let refused = Certificate { chain: chain.clone(), key: key.clone() }.acceptor().err().unwrap();
            let refused = format!("{refused:#}");
            assert!(refused.contains(expected), "{refused}");
        };
        check(&chain, &other_key, "do not fit each other");
        check(&empty, &key, "empty.pem: no certificate can be read there");
        check(&chain, &empty, "empty.pem: no private key can be read there");
        check(&place.path().join("missing.pem"), &key, "missing.pem: no certificate can be read there");
    }
}
