//! Whose certificates a store behind HTTPS may show.

use aws_smithy_http_client::tls::TrustStore;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Who has to have signed the certificate of a store.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub enum Trust {
    /// The authorities that this machine trusts.
    #[default]
    System,
    /// These, and no others.
    Authorities(Authorities),
}

/// Certificates that have been read: at least one.
#[derive(Clone, PartialEq, Eq)]
pub struct Authorities {
    file: PathBuf,
    pem: Vec<u8>,
}

/// Why a file of certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error("{path}: the certificates cannot be read: {error}", path = path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{path}: {reason}; it has to hold the authority's certificate in PEM form (-----BEGIN CERTIFICATE-----)",
        path = path.display())]
    Unusable { path: PathBuf, reason: String },
}

impl Trust {
    /// The certificates in a PEM file.
    pub fn in_file(path: &Path) -> Result<Self, TrustError> {
        let pem = fs::read(path).map_err(|error| TrustError::Unreadable { path: path.into(), error })?;
        let unusable = |reason: String| TrustError::Unusable { path: path.into(), reason };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|error| unusable(format!("it is not PEM: {error}")))?;
            roots.add(certificate).map_err(|error| unusable(format!("it holds no usable certificate: {error}")))?;
        }
        if roots.is_empty() {
            return Err(unusable("it holds no certificate".to_owned()));
        }
        Ok(Self::Authorities(Authorities { file: path.into(), pem }))
    }

    /// The file, for programs that want to read it themselves.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::System => None,
            Self::Authorities(authorities) => Some(&authorities.file),
        }
    }

    /// In the connector's words; `None` when nobody is trusted. The connector panics over what it cannot read, so nothing
    /// reaches it that was not read here.
    pub(super) fn store(&self) -> Option<TrustStore> {
        match self {
            Self::System => system_has_authorities().then(TrustStore::default),
            Self::Authorities(authorities) => {
                Some(TrustStore::empty().with_pem_certificate(authorities.pem.as_slice()))
            }
        }
    }
}

/// A machine without any trusts no store; there, every connection fails and says so.
fn system_has_authorities() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let certificates = rustls_native_certs::load_native_certs().certs;
        let (usable, _) = RootCertStore::empty().add_parsable_certificates(certificates);
        if usable == 0 {
            tracing::warn!(
                "this machine has no trusted certificates; install `ca-certificates` or name a file with `ca`"
            );
        }
        usable > 0
    })
}

impl std::fmt::Debug for Authorities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.file.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(content: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        fs::write(&path, content).unwrap();
        let error = Trust::in_file(&path).unwrap_err().to_string();
        error.strip_prefix(&format!("{}: ", path.display())).unwrap().split("; ").next().unwrap().to_owned()
    }

    #[test]
    fn a_file_without_a_certificate_is_refused() {
        assert_eq!(says(""), "it holds no certificate");
        assert_eq!(says("certificate"), "it holds no certificate");
        let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(says(nonsense).starts_with("it holds no usable certificate: "), "{}", says(nonsense));
        let cut = "-----BEGIN CERTIFICATE-----\nAAAA\n";
        assert!(says(cut).starts_with("it is not PEM: "), "{}", says(cut));
        let absent = Trust::in_file(Path::new("/does/not/exist.pem")).unwrap_err().to_string();
        assert!(absent.starts_with("/does/not/exist.pem: the certificates cannot be read: "), "{absent}");
    }
}
