//! Events as they come, as server-sent events.

use crate::api::hub::{LISTENERS_AT_MOST, Listening, Message};
use crate::api::problem::{ErrorCode, Problem};
use crate::api::{Api, Shared};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, Stream};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Every event from now on, or after `Last-Event-ID`, as it comes (`posted`), and again whenever it changes (`changed`). A
/// `heartbeat` comes every few seconds. Who is too slow is told (`lagged`), and the stream ends.
#[utoipa::path(get, path = "/events/stream", operation_id = "stream_events", tag = "events",
    params(("Last-Event-ID" = Option<i64>, Header, description = "Go on after this event")),
    responses((status = OK, content_type = "text/event-stream", body = String)))]
pub async fn stream(State(api): Shared, headers: HeaderMap) -> Result<Response, Problem> {
    let last = match headers.get(LAST_EVENT_ID).map(|value| value.to_str().map(str::trim)) {
        // A browser sends an empty one when there was none.
        None | Some(Ok("")) => None,
        Some(Ok(text)) => Some(text.parse::<i64>().map_err(|_| malformed())?),
        Some(Err(_)) => return Err(malformed()),
    };
    let listening = api.hub.listen().await?.ok_or_else(|| {
        Problem::new(ErrorCode::Unavailable, format!("{LISTENERS_AT_MOST} listen already; try again later"))
    })?;
    let body = Body::from_stream(messages(api.clone(), listening, last));
    Ok(([(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")], body).into_response())
}

fn malformed() -> Problem {
    Problem::new(ErrorCode::Malformed, "Last-Event-ID: this is no event's number")
}

/// Where a stream stands.
struct Position {
    api: Arc<Api>,
    listening: Listening,
    stopping: watch::Receiver<bool>,
    /// The event before what was missed and is still to be read; `None`: all of it was.
    missed_after: Option<i64>,
    read: VecDeque<(i64, Message)>,
    has_ended: bool,
}

fn messages(api: Arc<Api>, listening: Listening, last: Option<i64>) -> impl Stream<Item = Result<Message, Infallible>> {
    let stopping = api.stopping.clone();
    // The first line tells a client that it is connected.
    let hello = Message::from_static(b"retry: 1000\n\n");
    let position = Position {
        missed_after: last.filter(|last| *last < listening.up_to),
        api,
        listening,
        stopping,
        read: VecDeque::from([(i64::MIN, hello)]),
        has_ended: false,
    };
    stream::unfold(position, |mut position| async move {
        let message = position.next().await?;
        Some((Ok(message), position))
    })
}

impl Position {
    async fn next(&mut self) -> Option<Message> {
        if self.has_ended || *self.stopping.borrow() {
            return None;
        }
        if let Some((_, message)) = self.read.pop_front() {
            return Some(message);
        }
        while let Some(after) = self.missed_after {
            match self.api.hub.missed(after, self.listening.up_to).await {
                Ok(missed) => {
                    self.missed_after = missed.last().map(|(id, _)| *id).filter(|last| *last < self.listening.up_to);
                    self.read = missed.into();
                }
                Err(error) => return self.end("failed", &error.to_string()),
            }
            if let Some((_, message)) = self.read.pop_front() {
                return Some(message);
            }
        }
        tokio::select! {
            _ = self.stopping.changed() => None,
            message = self.listening.messages.recv() => match message {
                Ok(message) => Some(message),
                Err(RecvError::Closed) => None,
                Err(RecvError::Lagged(behind)) => self.end("lagged", &format!("{behind} messages behind; come back")),
            },
        }
    }

    /// The last message: why there is no other.
    fn end(&mut self, event: &str, why: &str) -> Option<Message> {
        self.has_ended = true;
        let why = serde_json::json!({ "why": why });
        Some(Message::from(format!("event: {event}\ndata: {why}\n\n")))
    }
}
