//! Who asks an aggregator.

use crate::udsmp::{LIST_MAX_DATAGRAMS, Reply, Request};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// A datagram that is not there by then does not come.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// The longest datagram that UDP carries \[bytes\].
const REPLY_MAX_BYTES: usize = 65_507;

/// What an aggregator answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// Names of emitters, or values such as `cpu: 30.00`.
    pub entries: Vec<String>,
    /// Whether nothing is missing, as far as the protocol lets one see.
    pub complete: bool,
}

/// Why there is no answer; each is no reason not to ask again.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    #[error("no response from {0} within {within} s; is the aggregator there, and the address right (-H, -p)?", within = ANSWER_WITHIN.as_secs())]
    NoResponse(SocketAddr),
    #[error("no response: nobody listens on {0}; start an aggregator there, or name another address (-H, -p)")]
    NobodyListens(SocketAddr),
    #[error("{0} did not understand the request: it answered ERROR {1}")]
    Misunderstood(SocketAddr, u32),
    #[error("{0} answered something else than UDSMP; is it an aggregator?")]
    Unreadable(SocketAddr),
    #[error("{0} cannot be asked")]
    Failed(SocketAddr, #[source] io::Error),
}

/// What is to be done after a datagram.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Progress {
    /// There is another.
    More,
    Done(Answer),
    /// `ERROR` and a number.
    Error(u32),
    Unreadable,
}

/// Puts an answer together from its datagrams, at most [`LIST_MAX_DATAGRAMS`].
#[derive(Debug, Default)]
pub struct Collector {
    entries: Vec<String>,
    datagrams: usize,
}

impl Collector {
    pub fn take(&mut self, datagram: &[u8]) -> Progress {
        match Reply::parse(datagram) {
            None => Progress::Unreadable,
            Some(Reply::Error(code)) => Progress::Error(code),
            Some(Reply::List { entries, more }) => {
                self.entries.extend(entries);
                self.datagrams += 1;
                if more && self.datagrams < LIST_MAX_DATAGRAMS {
                    Progress::More
                } else {
                    Progress::Done(Answer { entries: std::mem::take(&mut self.entries), complete: !more })
                }
            }
        }
    }

    /// What has come, when no more does: `None` if nothing has.
    pub fn given_up(self) -> Option<Answer> {
        (self.datagrams > 0).then_some(Answer { entries: self.entries, complete: false })
    }
}

/// Asks one aggregator.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    aggregator: SocketAddr,
}

impl Reader {
    pub fn new(aggregator: SocketAddr) -> Self {
        Self { aggregator }
    }

    /// Waits for the answer, [`ANSWER_WITHIN`] for each datagram.
    pub fn ask(&self, request: &Request<'_>) -> Result<Answer, Unanswered> {
        let failed = |error: io::Error| match error.kind() {
            ErrorKind::ConnectionRefused => Unanswered::NobodyListens(self.aggregator),
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Unanswered::NoResponse(self.aggregator),
            _ => Unanswered::Failed(self.aggregator, error),
        };
        // A socket for each request: what comes late belongs to an earlier one. Connected, so that nobody else can answer.
        let any: SocketAddr = match self.aggregator {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any).map_err(failed)?;
        socket.connect(self.aggregator).map_err(failed)?;
        socket.send(request.to_string().as_bytes()).map_err(failed)?;
        tracing::debug!(aggregator = %self.aggregator, %request, "asked");
        let mut buffer = vec![0; REPLY_MAX_BYTES];
        let mut collector = Collector::default();
        loop {
            let length = match receive(&socket, &mut buffer) {
                Ok(length) => length,
                Err(error) => return collector.given_up().ok_or_else(|| failed(error)),
            };
            tracing::debug!(length, answer = ?String::from_utf8_lossy(&buffer[..length]), "answered");
            match collector.take(&buffer[..length]) {
                Progress::More => {}
                Progress::Done(answer) => return Ok(answer),
                Progress::Error(code) => return Err(Unanswered::Misunderstood(self.aggregator, code)),
                Progress::Unreadable => return Err(Unanswered::Unreadable(self.aggregator)),
            }
        }
    }
}

/// A signal that the program survives does not begin the wait anew.
fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<usize> {
    let deadline = Instant::now() + ANSWER_WITHIN;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        socket.set_read_timeout(Some(left))?;
        match socket.recv(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            received => return received,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(entries: &[&str], complete: bool) -> Answer {
        Answer { entries: entries.iter().map(|entry| (*entry).to_owned()).collect(), complete }
    }

    #[test]
    fn an_answer_is_put_together_from_its_datagrams() {
        let mut collector = Collector::default();
        assert_eq!(collector.take(b"[a, b, ...]"), Progress::More);
        assert_eq!(collector.take(b"[c, ...]"), Progress::More);
        assert_eq!(collector.take(b"[d]"), Progress::Done(answer(&["a", "b", "c", "d"], true)));
        assert_eq!(Collector::default().take(b"[]"), Progress::Done(answer(&[], true)));
        assert_eq!(Collector::default().take(b"ERROR 1"), Progress::Error(1));
        assert_eq!(Collector::default().take(b"GET_EMITTERS"), Progress::Unreadable);
    }

    #[test]
    fn a_list_without_an_end_is_left() {
        let mut collector = Collector::default();
        for _ in 1..LIST_MAX_DATAGRAMS {
            assert_eq!(collector.take(b"[a, ...]"), Progress::More);
        }
        let Progress::Done(answer) = collector.take(b"[a, ...]") else { panic!("it goes on") };
        assert_eq!((answer.entries.len(), answer.complete), (LIST_MAX_DATAGRAMS, false));
    }

    #[test]
    fn what_came_before_no_more_did_is_an_answer() {
        let mut collector = Collector::default();
        assert_eq!(collector.take(b"[a, ...]"), Progress::More);
        assert_eq!(collector.given_up(), Some(answer(&["a"], false)));
        assert_eq!(Collector::default().given_up(), None);
    }

    #[test]
    fn nobody_there_is_said() {
        let silent = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let address = silent.local_addr().expect("bound");
        let ask = || Reader::new(address).ask(&Request::Emitters).expect_err("nobody answers").to_string();
        let expected =
            format!("no response from {address} within 1 s; is the aggregator there, and the address right (-H, -p)?");
        assert_eq!(ask(), expected);
        drop(silent);
        let expected = format!(
            "no response: nobody listens on {address}; start an aggregator there, or name another address (-H, -p)"
        );
        assert_eq!(ask(), expected);
    }
}
