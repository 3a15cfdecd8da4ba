//! Connections that are kept alive between requests.

use super::outcome::Outcome;
use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::Arc;
use tokio::net::TcpStream;

/// Those that nobody uses at the moment, by their host. There are as many as were ever in flight at once: a bound on
/// what is in flight is one on them.
#[derive(Default)]
pub struct Connections(HashMap<Arc<str>, Vec<TcpStream>>);

impl Connections {
    /// The one that was given back last and is still open: it is the least likely to be closed under its next request.
    pub fn take(&mut self, host: &str) -> Option<TcpStream> {
        let kept = self.0.get_mut(host)?;
        while let Some(connection) = kept.pop() {
            if is_open(&connection) {
                return Some(connection);
            }
        }
        None
    }

    pub fn give_back(&mut self, host: &Arc<str>, connection: TcpStream) {
        match self.0.get_mut(host) {
            Some(kept) => kept.push(connection),
            None => {
                self.0.insert(Arc::clone(host), Vec::from([connection]));
            }
        }
    }
}

/// Nothing was asked, so there is nothing to read: an end, an error or an answer to nothing make it useless. Costs no
/// system call unless something did come.
fn is_open(connection: &TcpStream) -> bool {
    connection.try_read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

/// A new connection; the host's name is looked up each time, so that a change of it is followed.
pub async fn connect(host: &str) -> Result<TcpStream, Outcome> {
    let connection = TcpStream::connect(host).await.map_err(|error| match error.kind() {
        ErrorKind::ConnectionRefused => Outcome::Refused,
        // The kinds of the system's errors are an open list.
        _ => Outcome::Unreachable,
    })?;
    // A request is one small write, which must not wait for the one before it to be acknowledged.
    connection.set_nodelay(true).map_err(|_| Outcome::Closed)?;
    Ok(connection)
}
