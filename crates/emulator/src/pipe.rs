//! One direction of one connection: reads, lets the toxics act, writes.
//!
//! Data takes one of three ways. Through the chain, when toxics act; each message costs one read and one write. Straight from
//! the read into the write, when none acts, with nothing in between. And when it comes in bulk besides, through a pipe of the
//! kernel's, which copies nothing; what that holds when a toxic appears is taken back and put into the chain.

use super::chain::Chain;
use super::kernel_pipe::KernelPipe;
use super::queue::{Content, End};
use super::timer::Timer;
use super::toxics::{Stream, Toxic};
use super::traffic::Traffic;
use bytes::{Buf as _, BytesMut};
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
/// What comes in pieces of at least this size is not copied if that can be avoided; for less, copying costs less.
const BULK_BYTES: usize = 32 << 10;

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
    /// Made when data first comes in bulk while no toxic acts. While it holds anything, the chain holds nothing.
    kernel_pipe: Option<KernelPipe>,
    /// The last piece was large.
    is_bulk: bool,
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
        Self {
            source,
            sink,
            stream,
            toxics,
            traffic,
            chain: Chain::new(),
            block: BytesMut::new(),
            kernel_pipe: None,
            is_bulk: false,
            timer: None,
            source_ended: false,
            finished: false,
        }
    }

    /// Carries on as far as it goes; ready when the end has been passed on. Wakes for sockets and toxics, not for changes of
    /// the toxics: whoever polls it does so when they have changed.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        if self.finished {
            return Poll::Ready(Ok(()));
        }
        loop {
            self.adopt_changes().map_err(Broken::Failed)?;
            let wake = self.chain.advance();
            let sent = self.send(cx).map_err(Broken::Failed)?;
            match self.chain.end() {
                Some(End::Finished) => return self.finish(cx),
                Some(End::Close) => return Poll::Ready(Err(Broken::Closed)),
                Some(End::Reset) => return Poll::Ready(Err(Broken::Reset)),
                None => {}
            }
            let received = self.receive(cx).map_err(Broken::Failed)?;
            if !sent && !received && self.wait(cx, wake).map_err(Broken::Failed)?.is_pending() {
                return Poll::Pending;
            }
        }
    }

    fn adopt_changes(&mut self) -> io::Result<()> {
        if !self.toxics.has_changed().unwrap_or(false) {
            return Ok(());
        }
        let toxics = self.toxics.borrow_and_update().clone();
        self.chain.adopt(&toxics, self.stream);
        if let Some(pipe) = self.kernel_pipe.as_mut().filter(|pipe| !pipe.is_empty())
            && !self.chain.is_open()
        {
            self.chain.push(Content::Data(pipe.take_back()?));
        }
        Ok(())
    }

    /// Writes what is due, as far as the receiver takes it; whether there was anything it took.
    fn send(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut sent = false;
        while let Some(pipe) = self.kernel_pipe.as_mut().filter(|pipe| !pipe.is_empty()) {
            let Poll::Ready(count) = pipe.poll_drain(cx, self.sink.as_ref())? else { return Ok(sent) };
            self.count_sent(count);
            sent = true;
        }
        while let Some(Content::Data(data)) = self.chain.outbox.front().map(|item| &item.content) {
            let Poll::Ready(count) = write(&mut self.sink, cx, data)? else { return Ok(sent) };
            match count < data.len() {
                true => self.chain.outbox.advance_front(count),
                false => drop(self.chain.outbox.pop()),
            }
            self.count_sent(count);
            sent = true;
        }
        Ok(sent)
    }

    /// Reads once, if there is room; whether anything came. A reading error ends the stream, as with the original.
    fn receive(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let is_loaded = self.kernel_pipe.as_ref().is_some_and(|pipe| !pipe.is_empty());
        if self.source_ended || is_loaded || !self.chain.has_room() {
            return Ok(false);
        }
        let Poll::Ready(count) = self.take(cx) else { return Ok(false) };
        let count = count.unwrap_or(0);
        self.is_bulk = count >= BULK_BYTES;
        self.source_ended = count == 0;
        self.traffic.iter().for_each(|traffic| traffic.of(self.stream).received(count));
        // Changes that were published before this was sent were published before it was read.
        self.adopt_changes()?;
        match self.source_ended {
            true => self.chain.push(Content::End(End::Finished)),
            false => self.hand_on(cx)?,
        }
        Ok(true)
    }

    /// Takes data from the source, into the kernel's pipe or into the block; how much, 0 at its end.
    fn take(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.is_bulk && self.chain.is_open() {
            if self.kernel_pipe.is_none() {
                let made = KernelPipe::new();
                self.kernel_pipe = made.inspect_err(|error| tracing::debug!(%error, "data is copied")).ok();
            }
            if let Some(pipe) = &mut self.kernel_pipe {
                return pipe.poll_fill(cx, self.source.as_ref());
            }
        }
        if !self.block.try_reclaim(BLOCK_BYTES) && self.block.capacity() < LEAST_READ_BYTES {
            self.block.reserve(BLOCK_BYTES);
        }
        poll_read_buf(Pin::new(&mut self.source), cx, &mut self.block)
    }

    /// Hands on what is in the block: to the receiver itself if nothing is in the way, and what it does not take to the chain.
    fn hand_on(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if !self.block.is_empty()
            && self.chain.is_open()
            && let Poll::Ready(count) = write(&mut self.sink, cx, &self.block)?
        {
            self.block.advance(count);
            self.count_sent(count);
        }
        if !self.block.is_empty() {
            self.chain.push(Content::Data(self.block.split().freeze()));
        }
        Ok(())
    }

    fn count_sent(&self, count: usize) {
        self.traffic.iter().for_each(|traffic| traffic.of(self.stream).sent(count));
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

fn write(sink: &mut WriteHalf<'_>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
    match ready!(Pin::new(sink).poll_write(cx, data))? {
        0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
        count => Poll::Ready(Ok(count)),
    }
}
