//! One direction of one connection: reads, lets the toxics act, writes.
//!
//! A message costs one read and one write, whether there are toxics or not. (`splice` would carry a stream without toxics a
//! fifth faster still, but as a second way beside this one, with data in a kernel pipe when a toxic comes.)

use super::chain::Chain;
use super::queue::{Content, End};
use super::timer::Timer;
use super::toxics::{Stream, Toxic};
use super::traffic::Traffic;
use bytes::BytesMut;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tokio::io::AsyncWrite;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio_util::io::poll_read_buf;

/// Data is read into blocks of this size, and handed on as slices of them, uncopied. (A stream gains a quarter over 64 KiB;
/// small messages touch the beginning of their block only, because it is used again as soon as its slices are gone.)
const BLOCK_BYTES: usize = 256 << 10;
/// A block with less room than this is left to the slices that share it, and a new one begun.
const LEAST_READ_BYTES: usize = 16 << 10;

/// The toxics of a proxy as published to its connections.
pub type Toxics = watch::Receiver<Vec<Arc<Toxic>>>;

/// Why a pipe, and with it the connection, is over before both sides have finished.
#[derive(Debug)]
pub enum Broken {
    Closed,
    Reset,
    Failed(io::Error),
}

pub struct Pipe<'a> {
    source: ReadHalf<'a>,
    sink: WriteHalf<'a>,
    stream: Stream,
    toxics: Toxics,
    /// Where what it carries is counted, if anybody wants to know.
    traffic: Option<Arc<Traffic>>,
    chain: Chain,
    block: BytesMut,
    /// Made when a toxic first asks for one.
    timer: Option<Timer>,
    source_ended: bool,
    finished: bool,
}

impl<'a> Pipe<'a> {
    pub fn new(
        source: ReadHalf<'a>,
        sink: WriteHalf<'a>,
        stream: Stream,
        mut toxics: Toxics,
        traffic: Option<Arc<Traffic>>,
    ) -> Self {
        toxics.mark_changed();
        let (chain, block) = (Chain::new(), BytesMut::new());
        Self { source, sink, stream, toxics, traffic, chain, block, timer: None, source_ended: false, finished: false }
    }

    /// Carries on as far as it goes; ready when the end has been passed on. Wakes for sockets and toxics, not for changes of
    /// the toxics: whoever polls it does so when they have changed.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        if self.finished {
            return Poll::Ready(Ok(()));
        }
        loop {
            self.adopt_changes();
            let wake = self.chain.advance();
            let sent = self.send(cx).map_err(Broken::Failed)?;
            match self.chain.end() {
                Some(End::Finished) => return self.finish(cx),
                Some(End::Close) => return Poll::Ready(Err(Broken::Closed)),
                Some(End::Reset) => return Poll::Ready(Err(Broken::Reset)),
                None => {}
            }
            let received = self.receive(cx);
            if !sent && !received && self.wait(cx, wake).map_err(Broken::Failed)?.is_pending() {
                return Poll::Pending;
            }
        }
    }

    fn adopt_changes(&mut self) {
        if self.toxics.has_changed().unwrap_or(false) {
            let toxics = self.toxics.borrow_and_update().clone();
            self.chain.adopt(&toxics, self.stream);
        }
    }

    /// Writes what is due, as far as the receiver takes it; whether there was anything it took.
    fn send(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut sent = false;
        while let Some(Content::Data(data)) = self.chain.outbox.front().map(|item| &item.content) {
            let count = match Pin::new(&mut self.sink).poll_write(cx, data)? {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(count) => count,
                Poll::Pending => return Ok(sent),
            };
            match count < data.len() {
                true => self.chain.outbox.advance_front(count),
                false => drop(self.chain.outbox.pop()),
            }
            self.traffic.iter().for_each(|traffic| traffic.of(self.stream).sent(count));
            sent = true;
        }
        Ok(sent)
    }

    /// Reads once, if there is room; whether anything came. A reading error ends the stream, as with the original.
    fn receive(&mut self, cx: &mut Context<'_>) -> bool {
        if self.source_ended || !self.chain.has_room() {
            return false;
        }
        if !self.block.try_reclaim(BLOCK_BYTES) && self.block.capacity() < LEAST_READ_BYTES {
            self.block.reserve(BLOCK_BYTES);
        }
        let content = match poll_read_buf(Pin::new(&mut self.source), cx, &mut self.block) {
            Poll::Pending => return false,
            Poll::Ready(Ok(count @ 1..)) => {
                self.traffic.iter().for_each(|traffic| traffic.of(self.stream).received(count));
                Content::Data(self.block.split().freeze())
            }
            Poll::Ready(Ok(0) | Err(_)) => {
                self.source_ended = true;
                Content::End(End::Finished)
            }
        };
        // Changes that were published before this was sent were published before it was read.
        self.adopt_changes();
        self.chain.push(content);
        true
    }

    fn wait(&mut self, cx: &mut Context<'_>, wake: Option<Instant>) -> Poll<io::Result<()>> {
        let Some(due) = wake else { return Poll::Pending };
        let timer = match &mut self.timer {
            Some(timer) => timer,
            none => none.insert(Timer::new()?),
        };
        timer.poll_until(cx, due)
    }

    fn finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        let shut = ready!(Pin::new(&mut self.sink).poll_shutdown(cx));
        self.finished = true;
        Poll::Ready(shut.map_err(Broken::Failed))
    }
}
