//! Bodies: what is read is checked for its length and for standing still, what is written is cut into parts.

use super::super::{ByteStream, Result, StorageError};
use super::failure::causes;
use aws_sdk_s3::primitives::ByteStream as SdkStream;
use bytes::{Bytes, BytesMut};
use futures::stream::{self, StreamExt};
use std::error::Error;
use std::io;
use std::time::Duration;

/// A body that is being read, and what is known about it.
struct Reading {
    body: SdkStream,
    bytes: u64,
    received: u64,
    address: String,
    key: String,
    stall: Duration,
}

/// Passes on exactly `bytes` bytes; fewer or more end it as damaged, no byte for `stall` as unavailable.
pub(super) fn checked(body: SdkStream, bytes: u64, address: &str, key: &str, stall: Duration) -> ByteStream {
    let reading = Reading { body, bytes, received: 0, address: address.into(), key: key.into(), stall };
    stream::try_unfold(reading, |mut reading| async move {
        let chunk = reading.next().await?;
        Ok(chunk.map(|chunk| (chunk, reading)))
    })
    .boxed()
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        let Ok(chunk) = tokio::time::timeout(self.stall, self.body.next()).await else {
            return Err(self.unavailable(format!("no byte for {:?}", self.stall)));
        };
        match chunk {
            Some(Ok(chunk)) => {
                self.received += chunk.len() as u64;
                if self.received > self.bytes {
                    return Err(self.damaged(format!("the store sends more than the {} bytes asked for", self.bytes)));
                }
                Ok(Some(chunk))
            }
            None if self.received == self.bytes => Ok(None),
            None => Err(self.truncated()),
            Some(Err(error)) if ended_early(&error) => Err(self.truncated()),
            Some(Err(error)) => Err(self.unavailable(causes(&error))),
        }
    }

    fn truncated(&self) -> StorageError {
        self.damaged(format!("the store ended after {} of {} bytes", self.received, self.bytes))
    }

    fn damaged(&self, reason: String) -> StorageError {
        StorageError::Damaged { address: self.address.clone(), key: self.key.clone(), reason }
    }

    fn unavailable(&self, reason: String) -> StorageError {
        let (address, key) = (self.address.clone(), self.key.clone());
        StorageError::Unavailable { address, operation: "reading", key, reason }
    }
}

/// Whether the store closed the connection in good order before it had sent what it had announced.
fn ended_early(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |&layer| layer.source())
        .filter_map(|layer| layer.downcast_ref::<io::Error>())
        .any(|layer| layer.kind() == io::ErrorKind::UnexpectedEof)
        || causes(error).contains("end of file before message length reached")
}

/// Cuts a body of known length into parts; anything but that length is an error.
pub(super) struct Parts<'a> {
    body: &'a mut ByteStream,
    bytes: u64,
    left: u64,
    part_bytes: u64,
    /// What of the last chunk belongs to the next part.
    rest: Bytes,
    address: &'a str,
    key: &'a str,
}

impl<'a> Parts<'a> {
    pub fn new(body: &'a mut ByteStream, bytes: u64, part_bytes: u64, address: &'a str, key: &'a str) -> Self {
        Self { body, bytes, left: bytes, part_bytes, rest: Bytes::new(), address, key }
    }

    /// The next part: `part_bytes` long, the last one shorter. `None` once the body ended where it should.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        if self.left == 0 {
            self.end().await?;
            return Ok(None);
        }
        let wanted = self.left.min(self.part_bytes);
        let wanted = usize::try_from(wanted).map_err(|_| self.damaged(format!("a part of it has {wanted} bytes")))?;
        let mut part = BytesMut::with_capacity(wanted);
        while part.len() < wanted {
            if self.rest.is_empty() {
                let missing = self.left - part.len() as u64;
                self.rest = match self.body.next().await {
                    Some(chunk) => chunk?,
                    None => return Err(self.ended_after(self.bytes - missing)),
                };
            }
            let taken = self.rest.len().min(wanted - part.len());
            part.extend_from_slice(&self.rest.split_to(taken));
        }
        self.left -= wanted as u64;
        Ok(Some(part.freeze()))
    }

    /// Makes sure that nothing follows.
    pub async fn end(&mut self) -> Result<()> {
        while self.rest.is_empty() {
            match self.body.next().await {
                Some(chunk) => self.rest = chunk?,
                None => return Ok(()),
            }
        }
        Err(self.damaged(format!("the body to write is longer than {} bytes; nothing was written", self.bytes)))
    }

    fn ended_after(&self, received: u64) -> StorageError {
        self.damaged(format!("the body to write ended after {received} of {} bytes; nothing was written", self.bytes))
    }

    fn damaged(&self, reason: String) -> StorageError {
        StorageError::Damaged { address: self.address.into(), key: self.key.into(), reason }
    }
}
