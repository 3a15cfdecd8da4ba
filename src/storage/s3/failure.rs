//! From the SDK's errors to ours: what it means, and one sentence that says why.

use super::super::StorageError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use std::error::Error;

/// What was tried, where, and with which object.
pub(super) struct Failed<'a> {
    pub address: &'a str,
    pub bucket: &'a str,
    pub operation: &'static str,
    pub key: &'a str,
}

impl Failed<'_> {
    pub fn because<E>(self, error: SdkError<E>) -> StorageError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        match &error {
            _ if makes_no_sense(&error) => self.damaged(format!("the answer makes no sense: {}", causes(&error))),
            SdkError::ServiceError(answer) => self.answered(answer.raw(), answer.err().code(), answer.err().message()),
            SdkError::ResponseError(answer) => self.answered(answer.raw(), None, None),
            SdkError::ConstructionFailure(_) | SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) => {
                self.unavailable(causes(&error))
            }
            // The SDK may add kinds; of those, too, it is not known that the store did anything.
            _ => self.unavailable(causes(&error)),
        }
    }

    fn answered(self, response: &HttpResponse, code: Option<&str>, message: Option<&str>) -> StorageError {
        let status = response.status().as_u16();
        let said = [code, message].into_iter().flatten();
        let reason = said.fold(status.to_string(), |reason, said| format!("{reason} {said}"));
        let (address, key) = (self.address.to_owned(), self.key.to_owned());
        match (status, code.unwrap_or_default()) {
            // Some stores say with 403 that the quota is used up, so the code counts before the status.
            (507, _) | (_, "QuotaExceeded" | "XMinioStorageFull" | "InsufficientStorage") => {
                StorageError::Full { address, key, reason }
            }
            (401 | 403, _) => StorageError::Denied { address, key, reason },
            (404, "NoSuchBucket") => {
                let reason = no_bucket(self.bucket);
                self.unavailable(reason)
            }
            (404, _) => StorageError::NotFound { address, key },
            (412, _) => StorageError::Changed { address, key, reason },
            (301, _) => self.unavailable(format!("{reason}; the bucket lies in another region: correct `region`")),
            (416, _)
            | (_, "BadDigest" | "IncompleteBody" | "XAmzContentSHA256Mismatch" | "XAmzContentChecksumMismatch") => {
                self.damaged(reason)
            }
            _ => self.unavailable(reason),
        }
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
