//! A pipe of the kernel's, through which data goes from socket to socket without being copied into this process.

use bytes::Bytes;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::task::{Context, Poll, ready};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// How much it shall hold. Where the kernel grants its user no more pipes of this size, it holds less.
const CAPACITY_BYTES: usize = 256 << 10;

/// It is filled when it is empty, so that whatever stops a filling is the source, and what it holds came in one piece.
pub struct KernelPipe {
    entrance: OwnedFd,
    exit: OwnedFd,
    held: usize,
}

impl KernelPipe {
    /// Fails when the process has no file descriptors left.
    pub fn new() -> io::Result<Self> {
        let (exit, entrance) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)?;
        if let Err(error) = fcntl_setpipe_size(&entrance, CAPACITY_BYTES) {
            tracing::debug!(%error, "a pipe stays small");
        }
        Ok(Self { entrance, exit, held: 0 })
    }

    pub fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Takes what `source` has, up to the capacity; 0 is its end. Call it only while the pipe is empty.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>, source: &TcpStream) -> Poll<io::Result<usize>> {
        loop {
            ready!(source.poll_read_ready(cx))?;
            match source.try_io(Interest::READABLE, || carry(source, &self.entrance, CAPACITY_BYTES)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(count) => {
                    self.held = count;
                    return Poll::Ready(Ok(count));
                }
            }
        }
    }

    /// Gives `sink` what it takes. Call it only while the pipe is not empty.
    pub fn poll_drain(&mut self, cx: &mut Context<'_>, sink: &TcpStream) -> Poll<io::Result<usize>> {
        loop {
            ready!(sink.poll_write_ready(cx))?;
            match sink.try_io(Interest::WRITABLE, || carry(&self.exit, sink, self.held)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Err(error) => return Poll::Ready(Err(error)),
                Ok(count) => {
                    self.held -= count;
                    return Poll::Ready(Ok(count));
                }
            }
        }
    }

    /// Reads what it holds, which leaves it empty.
    pub fn take_back(&mut self) -> io::Result<Bytes> {
        let mut data = vec![0; self.held];
        let mut taken = 0;
        while taken < data.len() {
            match rustix::io::read(&self.exit, &mut data[taken..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => taken += count,
            }
        }
        self.held = 0;
        Ok(data.into())
    }
}

fn carry(from: impl AsFd, to: impl AsFd, most: usize) -> io::Result<usize> {
    Ok(splice(from, None, to, None, most, SpliceFlags::MOVE | SpliceFlags::NONBLOCK)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    async fn connected() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
        (near.unwrap(), far.unwrap().0)
    }

    #[tokio::test]
    async fn what_it_holds_goes_on_or_is_taken_back() {
        let ((mut sender, source), (sink, mut receiver)) = (connected().await, connected().await);
        let mut pipe = KernelPipe::new().unwrap();
        sender.write_all(b"hello").await.unwrap();
        assert_eq!(poll_fn(|cx| pipe.poll_fill(cx, &source)).await.unwrap(), 5);
        assert_eq!(poll_fn(|cx| pipe.poll_drain(cx, &sink)).await.unwrap(), 5);
        assert!(pipe.is_empty());
        let mut received = [0; 5];
        receiver.read_exact(&mut received).await.unwrap();
        assert_eq!(&received, b"hello");

        sender.write_all(b"back").await.unwrap();
        poll_fn(|cx| pipe.poll_fill(cx, &source)).await.unwrap();
        assert_eq!(pipe.take_back().unwrap(), "back");
        assert!(pipe.is_empty());
        drop(sender);
        assert_eq!(poll_fn(|cx| pipe.poll_fill(cx, &source)).await.unwrap(), 0);
    }
}
