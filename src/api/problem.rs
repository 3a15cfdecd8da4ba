//! What went wrong, as a problem document (RFC 9457): what, where, and what to do.

use crate::app::Failure;
use crate::knowledge::KnowledgeError;
use agent_core::config::{self, ConfigError};
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Every kind of answer that is none of what was asked for. Status and name follow from it, and nothing else does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorCode {
    /// The request cannot be read.
    Malformed,
    /// No token, or one that is not known.
    Unauthorized,
    /// Known, or not needed, and yet not allowed.
    Forbidden,
    NotFound,
    MethodNotAllowed,
    /// It was read, and the network as it is does not allow it. Nothing was changed.
    Refused,
    /// `If-Match` names another state than the present one. Nothing was changed.
    Changed,
    TooLarge,
    NotJson,
    /// It can be read and makes no sense. Nothing was changed.
    Invalid,
    TooMany,
    Internal,
    /// The shared table, or what else is needed, does not answer. Nothing was changed.
    Unavailable,
    /// It may have been carried out: look before it is asked for again.
    Uncertain,
}

impl ErrorCode {
    pub fn status(self) -> StatusCode {
        match self {
            ErrorCode::Malformed => StatusCode::BAD_REQUEST,
            ErrorCode::Unauthorized => StatusCode::UNAUTHORIZED,
            ErrorCode::Forbidden => StatusCode::FORBIDDEN,
            ErrorCode::NotFound => StatusCode::NOT_FOUND,
            ErrorCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            ErrorCode::Refused => StatusCode::CONFLICT,
            ErrorCode::Changed => StatusCode::PRECONDITION_FAILED,
            ErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ErrorCode::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorCode::TooMany => StatusCode::TOO_MANY_REQUESTS,
            ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            ErrorCode::Unavailable | ErrorCode::Uncertain => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn name(self) -> &'static str {
        match self {
            ErrorCode::Malformed => "malformed",
            ErrorCode::Unauthorized => "unauthorized",
            ErrorCode::Forbidden => "forbidden",
            ErrorCode::NotFound => "not-found",
            ErrorCode::MethodNotAllowed => "method-not-allowed",
            ErrorCode::Refused => "refused",
            ErrorCode::Changed => "changed",
            ErrorCode::TooLarge => "too-large",
            ErrorCode::NotJson => "not-json",
            ErrorCode::Invalid => "invalid",
            ErrorCode::TooMany => "too-many",
            ErrorCode::Internal => "internal",
            ErrorCode::Unavailable => "unavailable",
            ErrorCode::Uncertain => "uncertain",
        }
    }

    fn title(self) -> &'static str {
        match self {
            ErrorCode::Malformed => "the request cannot be read",
            ErrorCode::Unauthorized => "a token is needed",
            ErrorCode::Forbidden => "not allowed",
            ErrorCode::NotFound => "there is no such thing",
            ErrorCode::MethodNotAllowed => "not with this method",
            ErrorCode::Refused => "refused; nothing was changed",
            ErrorCode::Changed => "it has changed meanwhile; nothing was changed by this request",
            ErrorCode::TooLarge => "the request is too large",
            ErrorCode::NotJson => "the body has to be JSON",
            ErrorCode::Invalid => "the request makes no sense; nothing was changed",
            ErrorCode::TooMany => "too many requests",
            ErrorCode::Internal => "this should not have happened",
            ErrorCode::Unavailable => "not available now; nothing was changed",
            ErrorCode::Uncertain => "it may have been carried out",
        }
    }
}

pub const CONTENT_TYPE: &str = "application/problem+json";

/// Why there is no other answer.
#[derive(Clone, Debug)]
pub struct Problem {
    code: ErrorCode,
    detail: String,
    help: Option<String>,
    current: Option<Box<Value>>,
    faults: Vec<Fault>,
}

/// One thing that is wrong with a file.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Fault {
    /// The key, the item or the line and column; empty when it is the file as a whole.
    pub place: String,
    pub problem: String,
    /// What to do.
    pub help: String,
}

impl Fault {
    /// All that is wrong, in the order of the file.
    pub fn of(error: &ConfigError) -> Vec<Self> {
        let fault = |problem: &config::Problem| {
            let config::Problem { file: _, place, problem, help } = problem.clone();
            Self { place, problem, help }
        };
        error.problems().iter().map(fault).collect()
    }
}

/// The same as it is sent.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument {
    /// Which kind: `urn:agent:` and its name.
    #[serde(rename = "type")]
    kind: String,
    title: String,
    status: u16,
    /// What is wrong, and where.
    detail: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
    /// What it is now, where it has changed meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<Value>,
    /// Of a file: all that is wrong with it, each with its place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faults: Vec<Fault>,
}

impl From<Problem> for ProblemDocument {
    fn from(problem: Problem) -> Self {
        let Problem { code, detail, help, current, faults } = problem;
        Self {
            kind: format!("urn:agent:{}", code.name()),
            title: code.title().to_owned(),
            status: code.status().as_u16(),
            detail,
            help,
            current: current.map(|current| *current),
            faults,
        }
    }
}

impl Problem {
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), help: None, current: None, faults: Vec::new() }
    }

    pub fn detail(&self) -> &str {
        &self.detail
    }

    #[must_use]
    pub fn with_help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    #[must_use]
    pub fn with_current(self, current: Value) -> Self {
        Self { current: Some(Box::new(current)), ..self }
    }

    /// The same where it stands in a body: what is asked for exists, what it is about does not.
    #[must_use]
    pub fn into_invalid(self) -> Self {
        Self { help: self.help, ..Self::new(ErrorCode::Invalid, self.detail) }
    }

    /// Something of this kind with this name does not exist; `known` are those that do.
    pub fn unknown<K: ToString>(kind: &str, name: impl std::fmt::Display, known: impl IntoIterator<Item = K>) -> Self {
        const SHOWN: usize = 20;
        let mut known: Vec<String> = known.into_iter().map(|name| name.to_string()).collect();
        let more = known.len().saturating_sub(SHOWN);
        known.truncate(SHOWN);
        let problem = Self::new(ErrorCode::NotFound, format!("there is no {kind} {name}"));
        match (known.is_empty(), more) {
            (true, _) => problem.with_help(format!("there is no {kind} at all")),
            (false, 0) => problem.with_help(format!("there are {}", known.join(", "))),
            (false, more) => problem.with_help(format!("there are {} and {more} more", known.join(", "))),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let code = self.code;
        if code == ErrorCode::Internal {
            tracing::error!(detail = self.detail, "a request failed");
        }
        let body = serde_json::to_vec(&ProblemDocument::from(self)).unwrap_or_default();
        let mut response = (code.status(), body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        match code {
            ErrorCode::Unauthorized => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            ErrorCode::TooMany | ErrorCode::Unavailable => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            ErrorCode::Malformed
            | ErrorCode::Forbidden
            | ErrorCode::NotFound
            | ErrorCode::MethodNotAllowed
            | ErrorCode::Refused
            | ErrorCode::Changed
            | ErrorCode::TooLarge
            | ErrorCode::NotJson
            | ErrorCode::Invalid
            | ErrorCode::Internal
            | ErrorCode::Uncertain => {}
        }
        response
    }
}

impl From<KnowledgeError> for Problem {
    fn from(error: KnowledgeError) -> Self {
        let code = match &error {
            KnowledgeError::Rejected { .. } => ErrorCode::Refused,
            KnowledgeError::NotExecuted { .. } | KnowledgeError::Unusable { .. } | KnowledgeError::Newer { .. } => {
                ErrorCode::Unavailable
            }
            KnowledgeError::Uncertain { .. } => ErrorCode::Uncertain,
        };
        Self::new(code, error.to_string())
    }
}

/// What commands refuse, they refuse in words.
impl From<anyhow::Error> for Problem {
    fn from(error: anyhow::Error) -> Self {
        let detail = format!("{error:#}");
        let cause = |error: &(dyn std::error::Error + 'static)| match error.downcast_ref::<KnowledgeError>() {
            Some(
                KnowledgeError::NotExecuted { .. } | KnowledgeError::Unusable { .. } | KnowledgeError::Newer { .. },
            ) => Some(ErrorCode::Unavailable),
            Some(KnowledgeError::Uncertain { .. }) => Some(ErrorCode::Uncertain),
            Some(KnowledgeError::Rejected { .. }) => Some(ErrorCode::Refused),
            None if error.is::<Failure>() || error.is::<ConfigError>() => Some(ErrorCode::Invalid),
            None => None,
        };
        let code = error.chain().find_map(cause).unwrap_or(ErrorCode::Refused);
        let faults = error.chain().find_map(|error| error.downcast_ref::<ConfigError>().map(Fault::of));
        Self { faults: faults.unwrap_or_default(), ..Self::new(code, detail) }
    }
}

impl From<ConfigError> for Problem {
    fn from(error: ConfigError) -> Self {
        Self { faults: Fault::of(&error), ..Self::new(ErrorCode::Invalid, error.to_string()) }
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(ErrorCode::Malformed, rejection.body_text())
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::new(ErrorCode::NotFound, rejection.body_text())
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        let detail = rejection.body_text();
        let code = match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::TooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => ErrorCode::NotJson,
            StatusCode::UNPROCESSABLE_ENTITY => ErrorCode::Invalid,
            _ => ErrorCode::Malformed,
        };
        Self::new(code, detail)
    }
}
