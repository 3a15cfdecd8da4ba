//! An emulator, its API as plain requests, and sockets around it.
#![allow(dead_code, reason = "each test file uses a part of it")]

use agent_emulator::{Carriers, Emulator, Metrics};
use reqwest::Method;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};

/// Longer than anything takes on a loaded machine; only a hang reaches it.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Api {
    pub emulator: Emulator,
    http: reqwest::Client,
}

impl Api {
    pub async fn start() -> Self {
        Self::listening_on("127.0.0.1:0").await
    }

    pub async fn listening_on(address: &str) -> Self {
        Self::started(address, Metrics::Off).await
    }

    pub async fn started(address: &str, metrics: Metrics) -> Self {
        Self::carried_by(Carriers::here(), address, metrics).await
    }

    pub async fn carried_by(carriers: Carriers, address: &str, metrics: Metrics) -> Self {
        let emulator = Emulator::start_on(carriers, address.parse().unwrap(), metrics).await.unwrap();
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        Self { emulator, http }
    }

    /// Status and body of the answer; `null` if it has none.
    pub async fn send_text(&self, method: &str, path: &str, body: Option<String>) -> (u16, Value) {
        let mut request = self.http.request(Method::from_bytes(method.as_bytes()).unwrap(), self.emulator.url() + path);
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() })
    }

    pub async fn send(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        self.send_text(method, path, Some(body.to_string())).await
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.send_text("GET", path, None).await
    }

    /// Creates the proxy `link` and returns where it listens.
    pub async fn link_to(&self, upstream: SocketAddr) -> SocketAddr {
        let proxy = json!({"name": "link", "listen": "127.0.0.1:0", "upstream": upstream.to_string()});
        let (status, created) = self.send("POST", "/proxies", proxy).await;
        assert_eq!(status, 201);
        created["listen"].as_str().unwrap().parse().unwrap()
    }

    /// Adds a toxic to `link`.
    pub async fn toxic(&self, type_name: &str, stream: &str, attributes: Value) {
        let toxic = json!({"type": type_name, "stream": stream, "attributes": attributes});
        let (status, answer) = self.send("POST", "/proxies/link/toxics", toxic).await;
        assert_eq!(status, 200, "{answer}");
    }

    /// Changes the attributes of a toxic of `link`.
    pub async fn adjust(&self, toxic: &str, attributes: Value) {
        let (status, answer) =
            self.send("POST", &format!("/proxies/link/toxics/{toxic}"), json!({ "attributes": attributes })).await;
        assert_eq!(status, 200, "{answer}");
    }

    pub async fn remove(&self, toxic: &str) {
        assert_eq!(self.send_text("DELETE", &format!("/proxies/link/toxics/{toxic}"), None).await.0, 204);
    }
}

/// A server that sends back what it gets and closes when its client has finished.
pub async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut source, mut sink) = socket.split();
                if tokio::io::copy(&mut source, &mut sink).await.is_ok() {
                    sink.shutdown().await.unwrap_or_default();
                }
            });
        }
    });
    address
}

pub async fn connect(address: impl ToSocketAddrs) -> TcpStream {
    let socket = patiently(TcpStream::connect(address)).await.unwrap();
    socket.set_nodelay(true).unwrap();
    socket
}

/// Fails the test instead of hanging.
pub async fn patiently<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("this should have happened long ago")
}

/// Sends `text` and reads as much again.
pub async fn exchange(socket: &mut TcpStream, text: &str) -> String {
    socket.write_all(text.as_bytes()).await.unwrap();
    read_exactly(socket, text.len()).await
}

pub async fn read_exactly(socket: &mut TcpStream, count: usize) -> String {
    let mut answer = vec![0; count];
    patiently(socket.read_exact(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap()
}

/// What comes until the end: the data, and the error if that was the end.
pub async fn read_to_end(socket: &mut TcpStream) -> (String, Option<std::io::ErrorKind>) {
    let mut answer = Vec::new();
    let end = patiently(socket.read_to_end(&mut answer)).await.err().map(|error| error.kind());
    (String::from_utf8(answer).unwrap(), end)
}
