//! Who speaks: a node's number, its key, and the network it belongs to.

use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// Bytes of an ed25519 public key.
pub const PUBLIC_KEY_BYTES: usize = 32;
/// Bytes of an ed25519 signature.
pub const SIGNATURE_BYTES: usize = 64;

/// A node's number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub u32);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The network that a datagram is for: others' are dropped unread.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NetworkId(pub [u8; 8]);

impl NetworkId {
    /// The first eight bytes of the SHA-256 of its name.
    pub fn named(name: &str) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, name.as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&digest.as_ref()[..8]);
        Self(first)
    }
}

/// An ed25519 public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PublicKey(pub [u8; PUBLIC_KEY_BYTES]);

impl PublicKey {
    /// Whether `signature` over `message` was made with this key.
    pub fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, signature).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for PublicKey {
    /// In hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why there is no identity. Nothing was changed.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// The bytes are not a private key.
    #[error(
        "these {bytes} bytes are no ed25519 key in PKCS#8; restore the key file, or delete it to get a new key, \
         which the network must be told"
    )]
    NotAKey {
        /// How many there were.
        bytes: usize,
    },
    /// The system has no randomness to give.
    #[error("the system gave no random bytes for a new key")]
    NoRandomness,
}

/// A node's private key, and which start of the node this is.
#[derive(Clone)]
pub struct Identity {
    /// Whose.
    pub node: NodeId,
    /// Rises with every start. The caller keeps it on disk, and stores it before it hands it in.
    pub incarnation: u64,
    key: Arc<Ed25519KeyPair>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {} in incarnation {} with key {}", self.node, self.incarnation, self.public_key())
    }
}

impl Identity {
    /// A new private key in PKCS#8, to be written to a file that nobody else can read.
    pub fn new_key() -> Result<Vec<u8>, IdentityError> {
        Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
            .map(|document| document.as_ref().to_vec())
            .map_err(|_| IdentityError::NoRandomness)
    }

    /// With a key that [`Identity::new_key`] made.
    pub fn new(node: NodeId, incarnation: u64, pkcs8: &[u8]) -> Result<Self, IdentityError> {
        let key = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|_| IdentityError::NotAKey { bytes: pkcs8.len() })?;
        Ok(Self { node, incarnation, key: Arc::new(key) })
    }

    /// For worlds that must be the same again from a seed: the key follows from it, and is no secret.
    pub fn from_seed(node: NodeId, incarnation: u64, seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        bytes[8..12].copy_from_slice(&node.0.to_le_bytes());
        let key = Ed25519KeyPair::from_seed_unchecked(&bytes).expect("any 32 bytes are a seed");
        Self { node, incarnation, key: Arc::new(key) }
    }

    /// What others verify with.
    pub fn public_key(&self) -> PublicKey {
        let mut bytes = [0; PUBLIC_KEY_BYTES];
        bytes.copy_from_slice(self.key.public_key().as_ref());
        PublicKey(bytes)
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_BYTES] {
        let mut bytes = [0; SIGNATURE_BYTES];
        bytes.copy_from_slice(self.key.sign(message).as_ref());
        bytes
    }
}
