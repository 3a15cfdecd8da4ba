//! A wire to a server that breaks at random: anywhere, and more often where a transaction commits, before the server hears of it
//! or before its answer arrives.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// How many commits of all lose their connection.
const AT_COMMIT: f64 = 0.15;
/// And how many other packets.
const ANYWHERE: f64 = 0.003;
const COMMIT: &[u8] = b"\x03commit";
const CHUNK_BYTES: usize = 65_536;

pub struct Wire {
    pub port: u16,
    cut: Arc<AtomicU64>,
}

impl Wire {
    /// As long as the test's runtime lives.
    pub async fn to(server: u16, seed: u64) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let cut = Arc::new(AtomicU64::new(0));
        let counter = cut.clone();
        tokio::spawn(async move {
            let mut connections = 0;
            while let Ok((client, _)) = listener.accept().await {
                connections += 1;
                let chance = ChaCha8Rng::seed_from_u64(seed ^ (connections << 32));
                let counter = counter.clone();
                tokio::spawn(async move {
                    if carry(client, server, chance).await.is_some() {
                        counter.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        Self { port, cut }
    }

    /// How many connections it has cut.
    pub fn cut(&self) -> u64 {
        self.cut.load(Ordering::SeqCst)
    }
}

/// The connection was cut; `None`: it ended by itself.
async fn carry(mut client: TcpStream, server: u16, mut chance: ChaCha8Rng) -> Option<()> {
    let mut server = TcpStream::connect(("127.0.0.1", server)).await.ok()?;
    let (mut asked, mut answered) = (vec![0; CHUNK_BYTES], vec![0; CHUNK_BYTES]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let question = &asked[..read.ok().filter(|length| *length > 0)?];
                let cuts = chance.random_bool(if question.ends_with(COMMIT) { AT_COMMIT } else { ANYWHERE });
                if cuts && chance.random_bool(0.5) {
                    return Some(());
                }
                server.write_all(question).await.ok()?;
                if cuts {
                    return Some(());
                }
            }
            read = server.read(&mut answered) => {
                let answer = &answered[..read.ok().filter(|length| *length > 0)?];
                client.write_all(answer).await.ok()?;
            }
        }
    }
}
