//! A task's output: a file that does not grow without end.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// How long the file becomes at most, but for the line that says that it was cut.
pub const OUTPUT_MAX_BYTES: u64 = 16 * 1024 * 1024;

const CHUNK_BYTES: usize = 64 * 1024;

/// The file, and how much more it takes.
pub(crate) struct Output {
    file: File,
    room: u64,
    is_cut: bool,
}

impl Output {
    /// Appends to what is there.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::with_limit(path, OUTPUT_MAX_BYTES)
    }

    fn with_limit(path: &Path, limit: u64) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let length = file.metadata()?.len();
        // What was cut has its line already.
        Ok(Self { file, room: limit.saturating_sub(length), is_cut: length > limit })
    }

    /// Reads until nobody can write any more, whatever becomes of the file: a program is not to wait for it.
    pub async fn collect(mut self, mut from: impl AsyncRead + Unpin) {
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            match from.read(&mut buffer).await {
                Ok(0) => return,
                Ok(length) => self.take(&buffer[..length]),
                Err(error) => {
                    tracing::warn!(%error, "output of a task cannot be read on");
                    return;
                }
            }
        }
    }

    /// What there is room for.
    pub fn take(&mut self, bytes: &[u8]) {
        let taken = usize::try_from(self.room).unwrap_or(usize::MAX).min(bytes.len());
        let mut written = self.file.write_all(&bytes[..taken]);
        self.room -= taken as u64;
        if taken < bytes.len() && !self.is_cut {
            self.is_cut = true;
            written =
                written.and_then(|()| self.file.write_all(b"\n[cut here: the output is longer than what is kept]\n"));
        }
        if let Err(error) = written {
            tracing::warn!(%error, "output of a task cannot be written; the rest is dropped");
            (self.room, self.is_cut) = (0, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_appended_and_cut_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("output");
        let read = || std::fs::read_to_string(&path).unwrap();
        let output = || Output::with_limit(&path, 10).unwrap();
        output().collect(b"1234567".as_slice()).await;
        assert_eq!(read(), "1234567");
        output().collect(b"890ab".as_slice()).await;
        let cut = "1234567890\n[cut here: the output is longer than what is kept]\n";
        assert_eq!(read(), cut);
        output().collect(b"more".as_slice()).await;
        assert_eq!(read(), cut);
    }

    #[tokio::test]
    async fn what_just_fits_is_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("output");
        Output::with_limit(&path, 4).unwrap().collect(b"1234".as_slice()).await;
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "1234");
    }
}
