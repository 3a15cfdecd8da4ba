//! One request and its answer on one connection.

use super::answer::{Answer, Reading};
use super::connections::{Connections, connect};
use super::outcome::Outcome;
use super::request::Template;
use super::variables::Values;
use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Instant;
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::net::TcpStream;

/// As much as is read of an answer at once.
const READ: usize = 64 << 10;

/// What all the exchanges of a thread use: connections, and memory that none of them holds while it waits.
pub struct Wire {
    connections: RefCell<Connections>,
    outgoing: RefCell<Vec<u8>>,
    incoming: RefCell<Box<[u8]>>,
}

impl Default for Wire {
    fn default() -> Self {
        let incoming = RefCell::new(vec![0; READ].into_boxed_slice());
        Self { connections: RefCell::default(), outgoing: RefCell::default(), incoming }
    }
}

impl Wire {
    /// Sends a request and reads its answer; `sent` is set to the moment before its first byte was given to the system.
    pub async fn exchange(
        &self,
        host: &Arc<str>,
        template: &Template,
        values: &Values,
        sent: &Cell<Option<Instant>>,
    ) -> Outcome {
        match self.attempt(host, template, values, sent).await {
            Ok((answer, connection)) => {
                if answer.reusable {
                    self.connections.borrow_mut().give_back(host, connection);
                }
                Outcome::Answered { status: answer.status, bytes: answer.bytes }
            }
            Err(outcome) => outcome,
        }
    }

    async fn attempt(
        &self,
        host: &Arc<str>,
        template: &Template,
        values: &Values,
        sent: &Cell<Option<Instant>>,
    ) -> Result<(Answer, TcpStream), Outcome> {
        let (mut connection, unsent) = self.send(host, template, values, sent).await?;
        write(&connection, &unsent).await.map_err(|_| Outcome::Closed)?;
        let answer = self.read(&mut connection, template.is_head()).await?;
        Ok((answer, connection))
    }

    /// Begins on a kept connection; on a new one if there is none, or the server closed that one unseen. Once anything
    /// was sent a request is not repeated: the server may have acted on it, and its time would be of two requests.
    async fn send(
        &self,
        host: &Arc<str>,
        template: &Template,
        values: &Values,
        sent: &Cell<Option<Instant>>,
    ) -> Result<(TcpStream, Vec<u8>), Outcome> {
        let kept = self.connections.borrow_mut().take(host);
        if let Some(connection) = kept
            && let Ok(unsent) = self.begin(&connection, host, template, values, sent)
        {
            return Ok((connection, unsent));
        }
        let connection = connect(host).await?;
        let unsent = self.begin(&connection, host, template, values, sent).map_err(|_| Outcome::Closed)?;
        Ok((connection, unsent))
    }

    /// Gives the system as much as it takes at once, which is nearly always all; returns the rest.
    fn begin(
        &self,
        connection: &TcpStream,
        host: &str,
        template: &Template,
        values: &Values,
        sent: &Cell<Option<Instant>>,
    ) -> io::Result<Vec<u8>> {
        let mut outgoing = self.outgoing.borrow_mut();
        template.render(values, host, &mut outgoing);
        let now = Instant::now();
        let written = match connection.try_write(&outgoing) {
            Ok(written) => written,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        sent.set(Some(now));
        Ok(outgoing[written..].to_vec())
    }

    async fn read(&self, connection: &mut TcpStream, to_head: bool) -> Result<Answer, Outcome> {
        let mut reading = Reading::new(to_head);
        std::future::poll_fn(|context| {
            let mut incoming = self.incoming.borrow_mut();
            loop {
                let mut buffer = ReadBuf::new(&mut incoming);
                if ready!(Pin::new(&mut *connection).poll_read(context, &mut buffer)).is_err() {
                    return Poll::Ready(Err(Outcome::Closed));
                }
                if buffer.filled().is_empty() {
                    return Poll::Ready(reading.closed().ok_or(Outcome::Closed));
                }
                match reading.take(buffer.filled()) {
                    Ok(None) => {}
                    Ok(Some(answer)) => return Poll::Ready(Ok(answer)),
                    Err(_) => return Poll::Ready(Err(Outcome::Garbage)),
                }
            }
        })
        .await
    }
}

async fn write(connection: &TcpStream, mut unsent: &[u8]) -> io::Result<()> {
    while !unsent.is_empty() {
        connection.writable().await?;
        match connection.try_write(unsent) {
            Ok(written) => unsent = &unsent[written..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
