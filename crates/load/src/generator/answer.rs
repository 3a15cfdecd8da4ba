//! The form of an answer (RFC 9112): where it ends, and whether its connection may be used again. Reads what it is given
//! in pieces of any size; bodies are counted, not kept.

use std::mem::MaybeUninit;

/// What came is no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Garbage;

/// A whole answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    pub status: u16,
    /// Of its body, without the framing of chunks.
    pub bytes: u64,
    /// Whether another request may follow on its connection.
    pub reusable: bool,
}

/// More header than this is no answer to a request of load.
const HEAD_MAX: usize = 64 << 10;
const HEADERS_MAX: usize = 128;

/// An answer as far as it was read.
#[derive(Debug)]
pub struct Reading {
    to_head: bool,
    /// The beginning of a head that is not whole yet; most come whole, and then it stays empty.
    head: Vec<u8>,
    answer: Answer,
    body: Option<Body>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Body {
    /// So many bytes are still to come.
    Length(u64),
    Chunked(Chunk),
    UntilClosed,
}

/// What comes next of a chunked body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Chunk {
    /// The digits of a size; `begun`: there was one.
    Size {
        size: u64,
        begun: bool,
    },
    /// What follows a size up to the end of its line.
    Extension {
        size: u64,
    },
    SizeEnd {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataReturn,
    DataEnd,
    /// A line of trailers; `empty`: nothing of it came so far.
    Trailer {
        empty: bool,
    },
    TrailerEnd {
        empty: bool,
    },
}

const CHUNK: Chunk = Chunk::Size { size: 0, begun: false };

impl Reading {
    /// `to_head`: the request was HEAD, whose answer has no body.
    pub fn new(to_head: bool) -> Self {
        let answer = Answer { status: 0, bytes: 0, reusable: false };
        Self { to_head, head: Vec::new(), answer, body: None }
    }

    /// What came next; an answer once it is whole.
    pub fn take(&mut self, mut bytes: &[u8]) -> Result<Option<Answer>, Garbage> {
        while self.body.is_none() {
            let Some(read) = self.take_head(bytes)? else { return Ok(None) };
            bytes = &bytes[read..];
        }
        self.take_body(bytes)
    }

    /// The connection was closed; an answer if that is its end.
    pub fn closed(&self) -> Option<Answer> {
        (self.body == Some(Body::UntilClosed)).then_some(self.answer)
    }

    /// How much of `bytes` belongs to the head; `None`: all, and more is to come. A 1xx is passed over.
    fn take_head(&mut self, bytes: &[u8]) -> Result<Option<usize>, Garbage> {
        let before = self.head.len();
        let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut []);
        let whole = if before == 0 {
            bytes
        } else {
            self.head.extend_from_slice(bytes);
            self.head.as_slice()
        };
        let parsed =
            httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut response, whole, &mut headers);
        let length = match parsed.map_err(|_| Garbage)? {
            httparse::Status::Complete(length) => length,
            httparse::Status::Partial if whole.len() > HEAD_MAX => return Err(Garbage),
            httparse::Status::Partial => {
                if before == 0 {
                    self.head.extend_from_slice(bytes);
                }
                return Ok(None);
            }
        };
        let status = response.code.ok_or(Garbage)?;
        match status {
            // Nobody asked for another protocol.
            101 => return Err(Garbage),
            100..200 => {}
            _ => {
                let framing = Framing::of(&response)?;
                let (body, reusable) = framing.body(status, self.to_head);
                self.answer = Answer { status, bytes: 0, reusable };
                self.body = Some(body);
            }
        }
        self.head.clear();
        // What was kept from before is all head: it was not whole then.
        Ok(Some(length - before))
    }

    fn take_body(&mut self, bytes: &[u8]) -> Result<Option<Answer>, Garbage> {
        let unread = match &mut self.body {
            None => return Ok(None),
            Some(Body::UntilClosed) => {
                self.answer.bytes += bytes.len() as u64;
                return Ok(None);
            }
            Some(Body::Length(left)) => {
                let (taken, unread) = split(bytes, *left);
                self.answer.bytes += taken;
                *left -= taken;
                (*left == 0).then_some(unread)
            }
            Some(Body::Chunked(chunk)) => chunk.take(bytes, &mut self.answer.bytes)?,
        };
        // What follows an answer that is whole was not asked for.
        Ok(unread.map(|unread| Answer { reusable: self.answer.reusable && unread.is_empty(), ..self.answer }))
    }
}

/// At most `left` bytes of these, as their number, and what is behind them.
fn split(bytes: &[u8], left: u64) -> (u64, &[u8]) {
    let taken = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
    (taken as u64, &bytes[taken..])
}

/// What the headers say about where the answer ends.
#[derive(Default)]
struct Framing {
    persistent: bool,
    length: Option<u64>,
    /// There is a `Transfer-Encoding`; whether its last is `chunked`.
    chunked: Option<bool>,
}

impl Framing {
    fn of(response: &httparse::Response<'_, '_>) -> Result<Self, Garbage> {
        let mut framing = Self { persistent: response.version == Some(1), ..Self::default() };
        for header in response.headers.iter() {
            if header.name.eq_ignore_ascii_case("content-length") {
                let length = number(header.value).ok_or(Garbage)?;
                if framing.length.replace(length).is_some_and(|before| before != length) {
                    return Err(Garbage);
                }
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                let last = list(header.value).last().unwrap_or_default();
                framing.chunked = Some(last.eq_ignore_ascii_case(b"chunked"));
            } else if header.name.eq_ignore_ascii_case("connection") {
                for option in list(header.value) {
                    if option.eq_ignore_ascii_case(b"close") {
                        framing.persistent = false;
                    } else if option.eq_ignore_ascii_case(b"keep-alive") {
                        framing.persistent = true;
                    }
                }
            }
        }
        Ok(framing)
    }

    /// RFC 9112, section 6.3: the body, and whether the connection may be used behind it.
    fn body(&self, status: u16, to_head: bool) -> (Body, bool) {
        if to_head || status == 204 || status == 304 {
            return (Body::Length(0), self.persistent);
        }
        match (self.chunked, self.length) {
            // With both, somebody between may have understood the other one: it is not to be relied on any more.
            (Some(true), length) => (Body::Chunked(CHUNK), self.persistent && length.is_none()),
            (None, Some(length)) => (Body::Length(length), self.persistent),
            (Some(false), _) | (None, None) => (Body::UntilClosed, false),
        }
    }
}

fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// Digits alone: a sign, which parsing a number would take, is no length.
fn number(value: &[u8]) -> Option<u64> {
    let digits = value.iter().all(u8::is_ascii_digit);
    digits.then(|| std::str::from_utf8(value).ok()?.parse().ok()).flatten()
}

impl Chunk {
    /// Reads on; what is behind the body once it is whole.
    fn take<'a>(&mut self, mut bytes: &'a [u8], counted: &mut u64) -> Result<Option<&'a [u8]>, Garbage> {
        while let Some((byte, rest)) = bytes.split_first() {
            if let Chunk::Data { left } = self {
                let (taken, behind) = split(bytes, *left);
                *counted += taken;
                *left -= taken;
                bytes = behind;
                if *left == 0 {
                    *self = Chunk::DataReturn;
                }
                continue;
            }
            bytes = rest;
            match self.after(*byte).ok_or(Garbage)? {
                Some(next) => *self = next,
                None => return Ok(Some(bytes)),
            }
        }
        Ok(None)
    }

    /// What comes after this byte, which is none of the data; `Some(None)`: nothing, the body is whole. `None`: the byte
    /// may not stand here.
    fn after(self, byte: u8) -> Option<Option<Chunk>> {
        let next = match (self, byte) {
            (Chunk::Size { size, begun: true }, b'\r') => Chunk::SizeEnd { size },
            (Chunk::Size { size, begun: true }, b';' | b' ' | b'\t') => Chunk::Extension { size },
            (Chunk::Size { size, .. }, digit) => {
                let digit = char::from(digit).to_digit(16)?;
                Chunk::Size { size: size.checked_mul(16)? + u64::from(digit), begun: true }
            }
            (Chunk::Extension { size }, b'\r') => Chunk::SizeEnd { size },
            (Chunk::Extension { size }, byte) => (byte != b'\n').then_some(Chunk::Extension { size })?,
            (Chunk::SizeEnd { size: 0 }, b'\n') => Chunk::Trailer { empty: true },
            (Chunk::SizeEnd { size }, b'\n') => Chunk::Data { left: size },
            (Chunk::DataReturn, b'\r') => Chunk::DataEnd,
            (Chunk::DataEnd, b'\n') => CHUNK,
            (Chunk::Trailer { empty }, b'\r') => Chunk::TrailerEnd { empty },
            (Chunk::Trailer { .. }, byte) => (byte != b'\n').then_some(Chunk::Trailer { empty: false })?,
            (Chunk::TrailerEnd { empty: true }, b'\n') => return Some(None),
            (Chunk::TrailerEnd { empty: false }, b'\n') => Chunk::Trailer { empty: true },
            (
                Chunk::SizeEnd { .. }
                | Chunk::DataReturn
                | Chunk::DataEnd
                | Chunk::TrailerEnd { .. }
                | Chunk::Data { .. },
                _,
            ) => return None,
        };
        Some(Some(next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `text` is, read in pieces of each size: whole, byte by byte and between. `None`: not whole.
    fn read(text: &str, to_head: bool) -> Result<Option<Answer>, Garbage> {
        let in_pieces = |size: usize| {
            let mut reading = Reading::new(to_head);
            let mut answer = None;
            for piece in text.as_bytes().chunks(size) {
                assert_eq!(answer, None, "it was whole before its end");
                answer = reading.take(piece)?;
            }
            Ok(answer.or_else(|| reading.closed()))
        };
        let whole = in_pieces(text.len());
        for size in 1..text.len() {
            assert_eq!(in_pieces(size), whole, "in pieces of {size}");
        }
        whole
    }

    fn check(text: &str, status: u16, bytes: u64, reusable: bool) {
        assert_eq!(read(text, false), Ok(Some(Answer { status, bytes, reusable })), "{text}");
    }

    #[test]
    fn a_length_says_where_an_answer_ends() {
        check("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, 5, true);
        check("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", 404, 0, true);
        check("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", 200, 1, true);
        assert_eq!(read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", false), Ok(None));
    }

    #[test]
    fn chunks_are_counted_without_their_framing() {
        check(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
            200,
            15,
            true,
        );
        check("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n0\r\nA: b\r\nC: d\r\n\r\n", 200, 0, true);
        let both = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n1\r\na\r\n0\r\n\r\n";
        check(both, 200, 1, false);
        for wrong in
            ["\r\n", "x\r\n", "1\na\r\n", "1\r\nab\r\n", "1\r\na\n", "0\r\nA: b\n", "-1\r\n", "fffffffffffffffff\r\n"]
        {
            let text = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{wrong}");
            assert_eq!(read(&text, false), Err(Garbage), "{wrong:?}");
        }
    }

    #[test]
    fn without_a_length_an_answer_ends_with_its_connection() {
        check("HTTP/1.1 200 OK\r\n\r\nhello", 200, 5, false);
        check("HTTP/1.0 200 OK\r\n\r\n", 200, 0, false);
        check("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 1\r\n\r\nhello", 200, 5, false);
    }

    #[test]
    fn some_answers_have_no_body_whatever_they_say() {
        check("HTTP/1.1 204 No Content\r\n\r\n", 204, 0, true);
        check("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, 0, true);
        let to_head = read("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", true);
        assert_eq!(to_head, Ok(Some(Answer { status: 200, bytes: 0, reusable: true })));
    }

    #[test]
    fn what_comes_before_the_answer_is_passed_over() {
        let continued = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n";
        check(&format!("{continued}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"), 200, 2, true);
        assert_eq!(read("HTTP/1.1 101 Switching Protocols\r\n\r\n", false), Err(Garbage));
    }

    #[test]
    fn the_server_says_whether_its_connection_stays() {
        check("HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 0\r\n\r\n", 200, 0, false);
        check("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", 200, 0, true);
        check("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", 200, 0, false);
        let mut reading = Reading::new(false);
        let answer = reading.take(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nmore").unwrap().unwrap();
        assert!(!answer.reusable, "what follows unasked is not the next answer");
    }

    #[test]
    fn what_is_no_answer_is_garbage() {
        for wrong in [
            "SSH-2.0-OpenSSH\r\n",
            "HTTP/1.1 abc\r\n\r\n",
            "HTTP/2 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na",
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na",
        ] {
            assert_eq!(read(wrong, false), Err(Garbage), "{wrong:?}");
        }
        let mut endless = Reading::new(false);
        let _ = endless.take(b"HTTP/1.1 200 OK\r\n");
        let more = [b'a'; 1000];
        assert!((0..=HEAD_MAX / 1000).any(|_| endless.take(&more) == Err(Garbage)), "a head has an end");
    }

    proptest::proptest! {
        #[test]
        fn whatever_comes_is_read_without_a_panic(bytes in proptest::collection::vec(0u8.., 0..300), tail in "[\r\n0-9a-f]{0,40}") {
            let _ = Reading::new(false).take(&bytes);
            let mut chunked = Reading::new(false);
            let _ = chunked.take(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            let _ = chunked.take(tail.as_bytes());
        }
    }
}
