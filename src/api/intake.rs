//! What comes in, within bounds: a body of a bounded size in a bounded time, writes at a bounded rate, and each `Idempotency-Key`
//! once.
//!
//! Answers to keys are remembered by this process for an hour; one that is started anew knows none of them.

use super::Shared;
use super::problem::{ErrorCode, Problem};
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What a request may carry \[bytes\].
pub const BODY_AT_MOST: usize = 1 << 20;
/// In which it has to arrive.
const BODY_WITHIN: Duration = Duration::from_secs(10);
/// A person or a program that changes things does not need more.
const WRITES_A_SECOND: u32 = 200;
/// Answers that are remembered, each for an hour and of so many bytes at most. What is longer is said again: only what changes
/// nothing answers so much.
const REMEMBERED: usize = 1024;
const REMEMBERED_FOR: Duration = Duration::from_secs(3600);
const ANSWER_AT_MOST: usize = 64 << 10;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Set in an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// What is remembered of those who write.
#[derive(Default)]
pub struct Intake {
    rate: Mutex<Option<(Instant, u32)>>,
    answers: Mutex<BTreeMap<String, Remembered>>,
}

struct Remembered {
    at: Instant,
    /// Of the request: the same key with another one is refused.
    fingerprint: [u8; 32],
    /// `None`: it is being worked on.
    answer: Option<Answer>,
}

#[derive(Clone)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// What a key says of a request.
enum Known {
    New,
    Answered(Answer),
}

impl Intake {
    fn count(&self, now: Instant) -> Result<(), Problem> {
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        let (began, count) = rate.filter(|(began, _)| now - *began < Duration::from_secs(1)).unwrap_or((now, 0));
        *rate = Some((began, count + 1));
        match count < WRITES_A_SECOND {
            true => Ok(()),
            false => Err(Problem::new(ErrorCode::TooMany, format!("more than {WRITES_A_SECOND} writes in a second"))),
        }
    }

    fn begin(&self, key: &str, fingerprint: [u8; 32], now: Instant) -> Result<Known, Problem> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.retain(|_, known| now - known.at < REMEMBERED_FOR);
        if let Some(known) = answers.get(key) {
            if known.fingerprint != fingerprint {
                let what = "Idempotency-Key: this key came with another request before";
                return Err(Problem::new(ErrorCode::Invalid, what).with_help("take a new key for a new request"));
            }
            return match &known.answer {
                Some(answer) => Ok(Known::Answered(answer.clone())),
                None => Err(Problem::new(ErrorCode::Refused, "Idempotency-Key: this request is being worked on")),
            };
        }
        if answers.len() >= REMEMBERED {
            let oldest = answers.iter().min_by_key(|(_, known)| known.at).map(|(key, _)| key.clone());
            oldest.and_then(|key| answers.remove(&key));
        }
        answers.insert(key.to_owned(), Remembered { at: now, fingerprint, answer: None });
        Ok(Known::New)
    }

    /// `None`: nothing was carried out, and the same may be asked again.
    fn end(&self, key: &str, answer: Option<Answer>) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            None => drop(answers.remove(key)),
            Some(answer) => {
                if let Some(known) = answers.get_mut(key) {
                    known.answer = Some(answer);
                }
            }
        }
    }
}

/// Forgets the key of a request that was given up before it was answered.
struct Begun<'a> {
    intake: &'a Intake,
    key: &'a str,
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        let answers = self.intake.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let is_open = answers.get(self.key).is_some_and(|known| known.answer.is_none());
        drop(answers);
        if is_open {
            self.intake.end(self.key, None);
        }
    }
}

/// Takes a request in and answers it.
pub async fn take_in(State(api): Shared, request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    match write(&api.intake, request, next).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn write(intake: &Intake, request: Request, next: Next) -> Result<Response, Problem> {
    intake.count(Instant::now())?;
    let (parts, body) = request.into_parts();
    let body = tokio::time::timeout(BODY_WITHIN, to_bytes(body, BODY_AT_MOST)).await;
    let Ok(body) = body else {
        let late = format!("the body did not arrive within {} s", BODY_WITHIN.as_secs());
        return Err(Problem::new(ErrorCode::Malformed, late));
    };
    let body = body.map_err(|_| {
        Problem::new(ErrorCode::TooLarge, format!("a body holds {BODY_AT_MOST} bytes at most, and arrives whole"))
    })?;
    let key = match parts.headers.get(&KEY).map(HeaderValue::to_str) {
        None => None,
        Some(Ok(key)) if (1..=255).contains(&key.len()) => Some(key.to_owned()),
        Some(_) => return Err(Problem::new(ErrorCode::Malformed, "Idempotency-Key: 1 to 255 visible characters")),
    };
    let Some(key) = key else { return Ok(next.run(Request::from_parts(parts, Body::from(body))).await) };
    let named = format!("{} {}\n", parts.method, parts.uri);
    let fingerprint = Sha256::new().chain_update(named).chain_update(&body).finalize().into();
    match intake.begin(&key, fingerprint, Instant::now())? {
        Known::Answered(Answer { status, mut headers, body }) => {
            headers.insert(REPLAYED, HeaderValue::from_static("true"));
            Ok((status, headers, body).into_response())
        }
        Known::New => {
            let begun = Begun { intake, key: &key };
            let response = next.run(Request::from_parts(parts, Body::from(body))).await;
            let response = remember(intake, &key, response).await;
            drop(begun);
            response
        }
    }
}

/// What was carried out, or refused for good, is answered alike when it is asked again.
async fn remember(intake: &Intake, key: &str, response: Response) -> Result<Response, Problem> {
    let (parts, body) = response.into_parts();
    // What is answered to a write is in memory already.
    let body = to_bytes(body, usize::MAX).await;
    let body = body.map_err(|error| Problem::new(ErrorCode::Internal, format!("an answer was lost: {error}")))?;
    let is_final = parts.status.is_success() || parts.status == StatusCode::CONFLICT;
    let is_kept = is_final && body.len() <= ANSWER_AT_MOST;
    let mut headers = HeaderMap::new();
    for name in [header::CONTENT_TYPE, header::ETAG] {
        headers.extend(parts.headers.get(&name).map(|value| (name, value.clone())));
    }
    let answer = Answer { status: parts.status, headers, body: body.clone() };
    intake.end(key, is_kept.then_some(answer));
    Ok(Response::from_parts(parts, Body::from(body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Answer {
        Answer { status: StatusCode::OK, headers: HeaderMap::new(), body: Bytes::from_static(b"done") }
    }

    #[test]
    fn a_key_is_carried_out_once_and_remembered_for_an_hour() {
        let (intake, now) = (Intake::default(), Instant::now());
        assert!(matches!(intake.begin("a", [1; 32], now), Ok(Known::New)));
        let status =
            |known: Result<Known, Problem>| known.err().map(|problem| problem.into_response().status().as_u16());
        assert_eq!(status(intake.begin("a", [1; 32], now)), Some(409));
        intake.end("a", Some(answer()));
        assert!(matches!(intake.begin("a", [1; 32], now), Ok(Known::Answered(answer)) if answer.body == "done"));
        assert_eq!(status(intake.begin("a", [2; 32], now)), Some(422));
        assert!(matches!(intake.begin("a", [2; 32], now + REMEMBERED_FOR), Ok(Known::New)));
        intake.end("a", None);
        assert!(matches!(intake.begin("a", [3; 32], now + REMEMBERED_FOR), Ok(Known::New)));
    }

    #[test]
    fn a_request_that_was_given_up_leaves_no_key() {
        let (intake, now) = (Intake::default(), Instant::now());
        assert!(matches!(intake.begin("a", [1; 32], now), Ok(Known::New)));
        drop(Begun { intake: &intake, key: "a" });
        assert!(matches!(intake.begin("a", [1; 32], now), Ok(Known::New)));
    }

    #[tokio::test]
    async fn a_long_answer_is_given_and_not_remembered() {
        let (intake, now) = (Intake::default(), Instant::now());
        for (length, is_new) in [(ANSWER_AT_MOST, false), (ANSWER_AT_MOST + 1, true)] {
            let key = length.to_string();
            assert!(matches!(intake.begin(&key, [1; 32], now), Ok(Known::New)));
            let response = remember(&intake, &key, "x".repeat(length).into_response()).await.ok().unwrap();
            assert_eq!(to_bytes(response.into_body(), usize::MAX).await.unwrap().len(), length);
            assert_eq!(matches!(intake.begin(&key, [1; 32], now), Ok(Known::New)), is_new);
        }
    }

    #[test]
    fn no_more_answers_are_remembered_than_there_is_room_for() {
        let (intake, now) = (Intake::default(), Instant::now());
        for n in 0..REMEMBERED + 5 {
            let at = now + Duration::from_millis(u64::try_from(n).unwrap());
            assert!(matches!(intake.begin(&format!("key {n}"), [1; 32], at), Ok(Known::New)));
        }
        assert_eq!(intake.answers.lock().unwrap().len(), REMEMBERED);
        assert!(matches!(intake.begin("key 0", [9; 32], now + Duration::from_secs(9)), Ok(Known::New)));
    }

    #[test]
    fn writes_have_a_rate() {
        let (intake, now) = (Intake::default(), Instant::now());
        let refused = (0..WRITES_A_SECOND + 10).filter(|_| intake.count(now).is_err()).count();
        assert_eq!(refused, 10);
        assert!(intake.count(now + Duration::from_secs(1)).is_ok());
    }
}
