//! A man in the middle of the agents and a node's store, who lets everything pass until his mood changes.
//!
//! He knows of HTTP what his moods need: where the head of a message ends.

use super::schedule::Mood;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

const CHUNK_BYTES: usize = 16 * 1024;
/// A truncated body ends here, a corrupted one is wrong here.
const SPARED_BYTES: usize = 100;
/// What a slow link makes of each chunk: two seconds of the scenario at the shipped scale.
const SLOW: Duration = Duration::from_millis(40);
/// Who waits longer for a peer that says nothing has given up.
const PATIENCE: Duration = Duration::from_secs(60);
const REFUSAL: &[u8] = b"HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\nContent-Length: 41\r\n\r\n\
    <Error><Code>InternalError</Code></Error>";

pub struct Middleman {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    store: SocketAddr,
    mood: Mutex<Mood>,
    /// Connections to be cut when he goes away.
    open: Mutex<Vec<Weak<TcpStream>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    ToStore,
    FromStore,
}

impl Middleman {
    /// Listens on a free port of loopback for as long as the test runs.
    pub fn before(store: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared { store, mood: Mutex::new(Mood::Honest), open: Mutex::default() });
        let serving = shared.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let shared = serving.clone();
                // Whoever goes away in the middle is what this is about.
                std::thread::spawn(move || _ = shared.serve(client));
            }
        });
        Self { address, shared }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn set(&self, mood: Mood) {
        *locked(&self.shared.mood) = mood;
        if mood == Mood::Away {
            let open = locked(&self.shared.open);
            // One that its peer has closed is what it shall be.
            open.iter().filter_map(Weak::upgrade).for_each(|stream| _ = stream.shutdown(Shutdown::Both));
        }
    }
}

fn locked<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn mood(&self) -> Mood {
        *locked(&self.mood)
    }

    fn serve(self: &Arc<Self>, client: TcpStream) -> std::io::Result<()> {
        if self.mood() == Mood::Away {
            return Ok(());
        }
        let (client, store) = (Arc::new(client), Arc::new(TcpStream::connect(self.store)?));
        let mut open = locked(&self.open);
        open.retain(|stream| stream.strong_count() > 0);
        for stream in [&client, &store] {
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            open.push(Arc::downgrade(stream));
        }
        drop(open);
        let (from, to, shared) = (store.clone(), client.clone(), self.clone());
        std::thread::spawn(move || shared.pass(&from, &to, Way::FromStore));
        self.pass(&client, &store, Way::ToStore);
        Ok(())
    }

    /// Until one side ends or fails, which ends both.
    fn pass(&self, mut from: &TcpStream, mut to: &TcpStream, way: Way) {
        let mut buffer = [0; CHUNK_BYTES];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            let chunk = &mut buffer[..read];
            let body = body_in(chunk);
            let passes = match (self.mood(), way) {
                (Mood::Away, _) => break,
                (Mood::Slow, _) => {
                    std::thread::sleep(SLOW);
                    to.write_all(chunk)
                }
                (Mood::Failing, Way::ToStore) => {
                    _ = from.write_all(REFUSAL);
                    break;
                }
                (Mood::Truncating, Way::FromStore) if read > body + SPARED_BYTES => {
                    _ = to.write_all(&chunk[..body + SPARED_BYTES]);
                    break;
                }
                (Mood::CorruptingReads, Way::FromStore) | (Mood::CorruptingWrites, Way::ToStore) => {
                    corrupt(&mut chunk[body..]);
                    to.write_all(chunk)
                }
                (_, _) => to.write_all(chunk),
            };
            if passes.is_err() {
                break;
            }
        }
        for stream in [from, to] {
            _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Where in a piece of a message its body begins.
fn body_in(chunk: &[u8]) -> usize {
    let begins = |word: &[u8]| chunk.starts_with(word);
    let has_head = begins(b"HTTP/") || begins(b"GET ") || begins(b"PUT ") || begins(b"HEAD ") || begins(b"DELETE ");
    if !has_head {
        return 0;
    }
    chunk.windows(4).position(|four| four == b"\r\n\r\n").map_or(chunk.len(), |end| end + 4)
}

/// Other digits: what is read still looks like the data it was.
fn corrupt(body: &mut [u8]) {
    body.iter_mut().skip(SPARED_BYTES).filter(|byte| **byte == b'1').for_each(|byte| *byte = b'2');
}
