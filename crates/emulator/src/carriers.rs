//! Where connections are carried: on the runtime that the emulator was started on, or on threads of their own.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// More would not make the kernel's share of the work, which is nearly all of it, any faster.
const MOST_THREADS: usize = 64;

/// Takes connections in turn. A thread of its own has a runtime of its own, in which a task wakes without another thread's
/// doing: nothing moves between cores. Dropped, it lets its threads end, and with them what they still carry.
#[derive(Debug)]
pub struct Carriers {
    threads: Vec<Thread>,
    /// Used when there are no threads.
    here: Handle,
    taken: AtomicUsize,
    pub open: Connections,
}

/// How many connections are open, as long as anybody wants to know.
#[derive(Clone, Debug, Default)]
pub struct Connections(Arc<AtomicUsize>);

/// One of them; dropped, it is closed.
pub struct Open(Connections);

impl Connections {
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn open(&self) -> Open {
        self.0.fetch_add(1, Ordering::Relaxed);
        Open(self.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct Thread {
    runtime: Handle,
    /// Dropped, it tells the thread to end.
    _stop: oneshot::Sender<()>,
}

impl Carriers {
    /// The current runtime carries everything: good where the emulator is a small part of a program.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn here() -> Self {
        Self { threads: Vec::new(), here: Handle::current(), taken: AtomicUsize::new(0), open: Connections::default() }
    }

    /// One thread for each core that this process may use: good where the emulator is the program. Fails when the system
    /// refuses threads or their file descriptors.
    ///
    /// # Panics
    /// Outside of a tokio runtime, which serves the API and accepts.
    pub fn one_for_each_core() -> io::Result<Self> {
        let cores = thread::available_parallelism()?.get().min(MOST_THREADS);
        let threads = (0..cores).map(|_| Thread::start()).collect::<io::Result<_>>()?;
        Ok(Self { threads, ..Self::here() })
    }

    /// The runtime for the next connection.
    pub fn next(&self) -> &Handle {
        let index = self.taken.fetch_add(1, Ordering::Relaxed);
        match self.threads.len() {
            0 => &self.here,
            count => &self.threads[index % count].runtime,
        }
    }
}

impl Thread {
    fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        thread::Builder::new().name("emulator".to_owned()).spawn(move || {
            // Nothing is ever sent: the sender's end is what it waits for.
            runtime.block_on(stopped).unwrap_or(());
        })?;
        Ok(Self { runtime: handle, _stop: stop })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[tokio::test]
    async fn threads_take_turns() {
        let mut carriers = Carriers::here();
        let here = async || carriers.next().spawn(async { thread::current().id() }).await.unwrap();
        assert_eq!([here().await, here().await], [thread::current().id(); 2]);

        carriers.threads = vec![Thread::start().unwrap(), Thread::start().unwrap()];
        let mut ids = Vec::new();
        for _ in 0..4 {
            ids.push(format!("{:?}", carriers.next().spawn(async { thread::current().id() }).await.unwrap()));
        }
        assert_eq!([&ids[0], &ids[1]], [&ids[2], &ids[3]]);
        assert_eq!(ids.into_iter().collect::<BTreeSet<_>>().len(), 2);
    }
}
