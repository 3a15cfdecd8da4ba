//! What a program prints: its end for people, its last line for the agent, the rest dropped as it comes.

use super::report::RESULT_BYTES;
use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// What a failed program is shown with.
const SHOWN_LINES: usize = 20;
const SHOWN_BYTES: usize = 8 * 1024;

/// The end of what a program printed.
#[derive(Default)]
pub(super) struct Output {
    /// Of both outputs, in the order in which they came.
    lines: VecDeque<String>,
    bytes: usize,
    /// Of the standard output.
    last_line: LastLine,
}

/// The last line that is not empty.
#[derive(Clone, Default)]
pub(in crate::jobs) struct LastLine {
    pub text: String,
    /// Whether it was longer than what is taken.
    pub is_cut: bool,
}

impl Output {
    /// Reads both outputs until nobody can write to them any more.
    pub async fn collect(
        output: &Mutex<Output>,
        stdout: impl AsyncRead + Unpin,
        stderr: impl AsyncRead + Unpin,
    ) -> io::Result<()> {
        let to_stdout = collect(stdout, |line| lock(output).add_stdout(line));
        let to_stderr = collect(stderr, |line| lock(output).add(line.text));
        futures::try_join!(to_stdout, to_stderr).map(|_| ())
    }

    pub fn last_line(output: &Mutex<Output>) -> LastLine {
        lock(output).last_line.clone()
    }

    pub fn shown(output: &Mutex<Output>) -> String {
        lock(output).to_string()
    }

    fn add_stdout(&mut self, line: LastLine) {
        if !line.text.trim().is_empty() {
            self.last_line.clone_from(&line);
        }
        self.add(line.text);
    }

    fn add(&mut self, mut line: String) {
        line.truncate(line.floor_char_boundary(SHOWN_BYTES));
        self.bytes += line.len();
        self.lines.push_back(line);
        while self.lines.len() > SHOWN_LINES || self.bytes > SHOWN_BYTES {
            self.bytes -= self.lines.pop_front().map_or(0, |line| line.len());
        }
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.lines.is_empty() {
            return f.write_str("(it printed nothing)");
        }
        for (i, line) in self.lines.iter().enumerate() {
            write!(f, "{}{line}", if i == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

/// Gives each line, cut to what is taken at most.
async fn collect(mut from: impl AsyncRead + Unpin, mut give: impl FnMut(LastLine)) -> io::Result<()> {
    let mut give = |line: Vec<u8>, is_cut| {
        give(LastLine { text: String::from_utf8_lossy(line.trim_ascii_end()).into_owned(), is_cut });
    };
    let mut buffer = vec![0; SHOWN_BYTES];
    let (mut line, mut is_cut) = (Vec::new(), false);
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            break;
        }
        for part in buffer[..length].split_inclusive(|byte| *byte == b'\n') {
            let room = RESULT_BYTES - line.len();
            is_cut |= part.trim_ascii_end().len() > room;
            line.extend_from_slice(&part[..part.len().min(room)]);
            if part.ends_with(b"\n") {
                give(std::mem::take(&mut line), std::mem::take(&mut is_cut));
            }
        }
    }
    if !line.is_empty() {
        give(line, is_cut);
    }
    Ok(())
}

/// Whole lines stand in it at any time, so a panic elsewhere leaves it usable.
fn lock(output: &Mutex<Output>) -> MutexGuard<'_, Output> {
    output.lock().unwrap_or_else(PoisonError::into_inner)
}
