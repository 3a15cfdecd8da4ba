//! A store that speaks just enough S3 to be read, and lies or fails when it is told to. It holds one object, under any key.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mood {
    Honest,
    /// The right length, another content.
    WrongContent,
    /// Promises all bytes and sends half of them.
    Truncated,
    /// 500.
    Failing,
    /// Takes the request and says nothing until its mood changes.
    Hanging,
}

pub struct FakeStore {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    content: Vec<u8>,
    mood: Mutex<Mood>,
    changed: Condvar,
    hanging: AtomicUsize,
}

impl FakeStore {
    /// Listens on a free port of loopback for as long as the test runs.
    pub fn start(content: Vec<u8>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            content,
            mood: Mutex::new(Mood::Honest),
            changed: Condvar::new(),
            hanging: AtomicUsize::new(0),
        });
        let serving = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = serving.clone();
                // A client that went away is no concern of the store's.
                std::thread::spawn(move || _ = shared.answer(stream));
            }
        });
        Self { address, shared }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn set(&self, mood: Mood) {
        *self.shared.mood() = mood;
        self.shared.changed.notify_all();
    }

    /// How many requests were taken that nobody will answer.
    pub fn hanging(&self) -> usize {
        self.shared.hanging.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn mood(&self) -> MutexGuard<'_, Mood> {
        self.mood.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let head: Vec<String> =
            BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
        let Some((method, path)) = head.first().and_then(|line| line.split_once(' ')) else { return Ok(()) };
        let mut mood = self.mood();
        let came_in = *mood;
        if came_in == Mood::Hanging {
            self.hanging.fetch_add(1, Ordering::SeqCst);
        }
        while *mood == Mood::Hanging {
            mood = self.changed.wait(mood).unwrap_or_else(PoisonError::into_inner);
        }
        drop(mood);
        match (came_in, method) {
            // Whoever asked has given up.
            (Mood::Hanging, _) => Ok(()),
            (Mood::Failing, _) => {
                respond(&mut stream, "500 Internal Server Error", "", b"<Error><Code>InternalError</Code></Error>")
            }
            (_, "HEAD") => {
                let head =
                    format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", self.content.len());
                stream.write_all(head.as_bytes())
            }
            (_, "GET") if path.contains("?uploads") => {
                respond(&mut stream, "200 OK", "", b"<ListMultipartUploadsResult></ListMultipartUploadsResult>")
            }
            (_, "GET") if path.contains("?list-type=2") => respond(
                &mut stream,
                "200 OK",
                "",
                b"<ListBucketResult><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>",
            ),
            // It keeps no tags, versions or locks.
            (_, "GET") if path.contains('?') && !path.contains("x-id=GetObject ") => {
                respond(&mut stream, "501 Not Implemented", "", b"<Error><Code>NotImplemented</Code></Error>")
            }
            (mood, "GET") => self.send(&mut stream, &head, mood),
            (_, _) => respond(&mut stream, "204 No Content", "", b""),
        }
    }

    fn send(&self, stream: &mut TcpStream, head: &[String], mood: Mood) -> std::io::Result<()> {
        let range = head.iter().find_map(|line| line.to_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
        let Some((first, last)) = range.as_deref().and_then(|range| range.split_once('-')) else {
            // What is no part of the one object was never written.
            return respond(stream, "404 Not Found", "", b"<Error><Code>NoSuchKey</Code></Error>");
        };
        let (first, last): (usize, usize) = (first.parse().expect("a number"), last.parse().expect("a number"));
        let mut body = self.content[first..=last].to_vec();
        let content_range = format!("Content-Range: bytes {first}-{last}/{}\r\n", self.content.len());
        match mood {
            Mood::WrongContent => body.iter_mut().filter(|byte| **byte == b'1').for_each(|byte| *byte = b'2'),
            Mood::Truncated => {
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 206 Partial Content\r\nConnection: close\r\nContent-Length: {length}\r\n{content_range}\r\n"
                );
                stream.write_all(head.as_bytes())?;
                return stream.write_all(&body[..length / 2]);
            }
            Mood::Honest | Mood::Failing | Mood::Hanging => {}
        }
        respond(stream, "206 Partial Content", &content_range, &body)
    }
}

fn respond(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)
}
