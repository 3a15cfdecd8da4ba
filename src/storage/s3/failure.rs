//! From the SDK's errors to ours: what it means, and one sentence that says why and what to do.

use super::super::StorageError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use std::error::Error;

/// What was tried, where, and with which object.
pub(super) struct Failed<'a> {
    pub address: &'a str,
    pub bucket: &'a str,
    /// That the request was signed for.
    pub region: &'a str,
    pub operation: &'static str,
    pub key: &'a str,
}

impl Failed<'_> {
    pub fn because<E>(self, error: SdkError<E>) -> StorageError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        match &error {
            _ if makes_no_sense(&error) => self.no_store(&causes(&error)),
            SdkError::ServiceError(answer) => self.answered(answer.raw(), answer.err().code(), answer.err().message()),
            SdkError::ResponseError(answer) => self.answered(answer.raw(), None, None),
            SdkError::ConstructionFailure(_) => self.refusal(causes(&error)),
            // The SDK may add kinds; of those, too, it is not known that the store did anything.
            _ => self.unavailable(advised(causes(&error))),
        }
    }

    fn answered(self, response: &HttpResponse, code: Option<&str>, message: Option<&str>) -> StorageError {
        let status = response.status().as_u16();
        let said = [code, message].into_iter().flatten();
        let reason = said.fold(status.to_string(), |reason, said| format!("{reason} {said}"));
        let (address, key) = (self.address.to_owned(), self.key.to_owned());
        if let Some(region) = other_region(response, code, self.region) {
            return self.refusal(format!("{reason}; {region}"));
        }
        match (status, code.unwrap_or_default()) {
            // Some stores say with 403 that the quota is used up, so the code counts before the status.
            (507, _) | (_, "QuotaExceeded" | "XMinioStorageFull" | "InsufficientStorage") => {
                StorageError::Full { address, key, reason }
            }
            (401 | 403, _) | (400, "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired") => {
                StorageError::Denied { address, key, reason: format!("{reason}{}", clock(response)) }
            }
            (404, "NoSuchBucket") => {
                let reason = no_bucket(self.bucket);
                self.unavailable(reason)
            }
            (404, _) => StorageError::NotFound { address, key },
            (412, _) => StorageError::Changed { address, key, reason },
            (416, _)
            | (_, "BadDigest" | "IncompleteBody" | "XAmzContentSHA256Mismatch" | "XAmzContentChecksumMismatch") => {
                self.damaged(reason)
            }
            (400, _) if said_to(response, "HTTP request to an HTTPS server") => {
                self.refusal(format!("{reason}; it speaks TLS there: write the endpoint with `https://`"))
            }
            // A conflict, or the sender's own slowness: the next attempt may find it otherwise.
            (408 | 409 | 429, _) | (_, "RequestTimeout") => self.unavailable(reason),
            // It will say the same the next time.
            (300..=499 | 501, _) => self.refusal(reason),
            _ => self.unavailable(reason),
        }
    }

    /// Something answers there, in words that no S3 server uses.
    pub fn no_store(self, what: &str) -> StorageError {
        self.refusal(format!("it answers, but not as an S3 server does: {what}; correct `endpoint`"))
    }

    pub fn refusal(self, reason: String) -> StorageError {
        let Self { address, operation, key, .. } = self;
        StorageError::Refused { address: address.into(), operation, key: key.into(), reason }
    }

    fn unavailable(self, reason: String) -> StorageError {
        let Self { address, operation, key, .. } = self;
        StorageError::Unavailable { address: address.into(), operation, key: key.into(), reason }
    }

    fn damaged(self, reason: String) -> StorageError {
        StorageError::Damaged { address: self.address.into(), key: self.key.into(), reason }
    }
}

/// Whether the store says that all is well, in words that are not understood.
pub(super) fn makes_no_sense<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    error.raw_response().is_some_and(|response| response.status().is_success()) && error.code().is_none()
}

/// What an element holds in an answer that was not understood: some servers name the root element wrongly.
pub(super) fn element<E: ProvideErrorMetadata>(error: &SdkError<E>, name: &str) -> Option<String> {
    let body = error.raw_response().filter(|_| makes_no_sense(error))?.body().bytes()?;
    let (_, behind) = std::str::from_utf8(body).ok()?.split_once(&format!("<{name}>"))?;
    let text = behind.split_once(&format!("</{name}>"))?.0;
    // What would have to be unescaped is not guessed at.
    (!text.is_empty() && !text.contains(['&', '<'])).then(|| text.to_owned())
}

/// Whether it may have been the checksum that an old store did not understand. It may have been something else, too.
pub(super) fn may_refuse_checksums<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    const BLAMED: [&str; 5] =
        ["InvalidArgument", "InvalidRequest", "MalformedXML", "NotImplemented", "XNotImplemented"];
    match error.raw_response().map(|response| response.status().as_u16()) {
        Some(501) => true,
        Some(400) => error.code().is_none_or(|code| BLAMED.contains(&code)),
        _ => false,
    }
}

pub(super) fn no_bucket(bucket: &str) -> String {
    format!("the bucket `{bucket}` does not exist; create it or correct its name")
}

/// What to do when the request was signed for another region than the store's. Every other answer to it is a refusal, too,
/// whatever its code: stores name their region in all of their errors.
fn other_region(response: &HttpResponse, code: Option<&str>, ours: &str) -> Option<String> {
    let status = response.status().as_u16();
    if !matches!(status, 301 | 307 | 400 | 403) {
        return None;
    }
    match named_region(response).filter(|region| region != ours) {
        Some(region) => {
            Some(format!("its region is `{region}`, not `{ours}`: write `region = \"{region}\"` in its [node.store]"))
        }
        None if status < 400 || code == Some("AuthorizationHeaderMalformed") => {
            Some(format!("`{ours}` may be the wrong region: write the bucket's as `region` in its [node.store]"))
        }
        None => None,
    }
}

/// The region that the store says it is in.
fn named_region(response: &HttpResponse) -> Option<String> {
    let in_body = || {
        let body = std::str::from_utf8(response.body().bytes()?).ok()?;
        body.split_once("<Region>")?.1.split_once("</Region>").map(|(region, _)| region)
    };
    let region = response.headers().get("x-amz-bucket-region").or_else(in_body)?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    ((1..=64).contains(&region.len()) && region.chars().all(is_name)).then(|| region.to_owned())
}

fn said_to(response: &HttpResponse, text: &str) -> bool {
    let body = response.body().bytes().unwrap_or_default();
    body.windows(text.len()).any(|part| part == text.as_bytes())
}

/// What to say when this machine's time and the store's are too far apart for signatures.
fn clock(response: &HttpResponse) -> String {
    match super::settings::ahead(response) {
        Some(ahead) => {
            let (minutes, way) = (ahead.unsigned_abs().div_ceil(60), if ahead > 0 { "ahead of" } else { "behind" });
            format!("; the store's clock is {minutes} min {way} this machine's: set the one that is wrong")
        }
        None => String::new(),
    }
}

/// What to do about certificates and plain ports, by what the TLS library says.
fn advised(reason: String) -> String {
    const ADVICE: [(&str, &str); 8] = [
        (
            "CaUsedAsEndEntity",
            "the server shows an authority's certificate as its own: let the authority sign one for the server \
             (basicConstraints CA:FALSE), and name the authority's in `ca`",
        ),
        (
            "UnsupportedCertVersion",
            "the server's certificate is not of version 3: make one that is, with a subjectAltName",
        ),
        ("UnknownIssuer", "if the authority that signed it is right, name its certificate in `ca` or AWS_CA_BUNDLE"),
        ("certificate expired", "renew the server's certificate"),
        ("certificate not valid yet", "set the clock of this machine, or of the one that made it"),
        (
            "certificate not valid for name",
            "write the endpoint with a name that the certificate has, or make one for this name",
        ),
        (
            "InvalidContentType",
            "no TLS is spoken at this port: write the endpoint with `http://`, or name its TLS port",
        ),
        ("corrupt message", "no TLS is spoken at this port: write the endpoint with `http://`, or name its TLS port"),
    ];
    match ADVICE.iter().find(|(said, _)| reason.contains(said)) {
        Some((_, advice)) => format!("{reason}; {advice}"),
        None => reason,
    }
}

/// An error and what is behind it. The outermost layers only say that something went wrong; a layer that repeats the
/// next one is left out.
pub(super) fn causes(error: &dyn Error) -> String {
    let mut layers: Vec<String> = Vec::new();
    let mut next = error.source().or(Some(error));
    while let Some(layer) = next {
        let text = layer.to_string();
        match layers.last_mut() {
            Some(last) if text.contains(last.as_str()) => *last = text,
            Some(last) if last.contains(&text) => {}
            _ => layers.push(text),
        }
        next = layer.source();
    }
    layers.join(": ")
}
