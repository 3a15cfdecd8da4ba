//! The checksums that come with an upload, as headers or behind the body, and whether the body has them.

use hyper::HeaderMap;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::Checksum;
use s3s::{S3Error, S3Result, TrailingHeaders, s3_error};

const CRC32: &str = "x-amz-checksum-crc32";
const CRC32C: &str = "x-amz-checksum-crc32c";
const SHA1: &str = "x-amz-checksum-sha1";
const SHA256: &str = "x-amz-checksum-sha256";
const CRC64NVME: &str = "x-amz-checksum-crc64nvme";

/// Of one upload.
pub(super) struct Checksums {
    expected: Checksum,
    md5: Option<String>,
    hasher: ChecksumHasher,
    md5_hasher: Option<Md5>,
    trailers: Option<TrailingHeaders>,
}

impl Checksums {
    /// `expected` are those in the head, which also names the one that follows behind the body, if any.
    pub fn new(expected: Checksum, md5: Option<String>, head: &HeaderMap, trailers: Option<TrailingHeaders>) -> Self {
        let announced = |name: &str| head.get_all("x-amz-trailer").iter().any(|trailer| trailer == name);
        let mut hasher = ChecksumHasher::default();
        if expected.checksum_crc32.is_some() || announced(CRC32) {
            hasher.crc32 = Some(Default::default());
        }
        if expected.checksum_crc32c.is_some() || announced(CRC32C) {
            hasher.crc32c = Some(Default::default());
        }
        if expected.checksum_sha1.is_some() || announced(SHA1) {
            hasher.sha1 = Some(Default::default());
        }
        if expected.checksum_sha256.is_some() || announced(SHA256) {
            hasher.sha256 = Some(Default::default());
        }
        if expected.checksum_crc64nvme.is_some() || announced(CRC64NVME) {
            hasher.crc64nvme = Some(Default::default());
        }
        let md5_hasher = md5.is_some().then(Md5::new);
        Self { expected, md5, hasher, md5_hasher, trailers }
    }

    pub fn update(&mut self, chunk: &[u8]) {
        self.hasher.update(chunk);
        if let Some(md5) = &mut self.md5_hasher {
            md5.update(chunk);
        }
    }

    /// After the whole body: what was computed, if it is what was announced.
    pub fn check(self) -> S3Result<Checksum> {
        let mut expected = self.expected;
        if let Some(trailers) = self.trailers.and_then(|trailers| trailers.take()) {
            take_trailers(&mut expected, &trailers)?;
        }
        let found = self.hasher.finalize();
        let pairs = [
            (CRC32, &expected.checksum_crc32, &found.checksum_crc32),
            (CRC32C, &expected.checksum_crc32c, &found.checksum_crc32c),
            (SHA1, &expected.checksum_sha1, &found.checksum_sha1),
            (SHA256, &expected.checksum_sha256, &found.checksum_sha256),
            (CRC64NVME, &expected.checksum_crc64nvme, &found.checksum_crc64nvme),
        ];
        for (name, expected, found) in pairs {
            if expected.is_some() && expected != found {
                return Err(mismatch(name, expected.as_deref(), found.as_deref()));
            }
        }
        let md5 = self.md5_hasher.map(|md5| aws_smithy_types::base64::encode(md5.finalize()));
        if md5 != self.md5 {
            return Err(mismatch("content-md5", self.md5.as_deref(), md5.as_deref()));
        }
        Ok(found)
    }
}

fn mismatch(name: &str, expected: Option<&str>, found: Option<&str>) -> S3Error {
    let (expected, found) = (expected.unwrap_or("none"), found.unwrap_or("none"));
    s3_error!(BadDigest, "the {} of what arrived is {}, expected {}", name, found, expected)
}

fn take_trailers(expected: &mut Checksum, trailers: &HeaderMap) -> S3Result<()> {
    let text = |name: &str| -> S3Result<Option<String>> {
        let value = trailers.get(name).map(|value| value.to_str().map(str::to_owned)).transpose();
        value.map_err(|_| s3_error!(InvalidArgument, "the trailer {} is no text", name))
    };
    let fields = [
        (CRC32, &mut expected.checksum_crc32),
        (CRC32C, &mut expected.checksum_crc32c),
        (SHA1, &mut expected.checksum_sha1),
        (SHA256, &mut expected.checksum_sha256),
        (CRC64NVME, &mut expected.checksum_crc64nvme),
    ];
    for (name, field) in fields {
        if let Some(value) = text(name)? {
            *field = Some(value);
        }
    }
    Ok(())
}
