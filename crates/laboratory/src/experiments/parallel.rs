//! Many simulations at once, and one thread that hears of each.

use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

/// Works on the tasks, so many at a time. `note` hears of each that has ended, on the caller's thread. When noting fails, and as
/// soon as `goes_on` says no, no further task begins, and those under way are ended and noted first.
pub fn in_parallel<T, R, E>(
    threads: usize,
    tasks: impl Iterator<Item = T> + Send,
    goes_on: impl Fn() -> bool + Sync,
    work: impl Fn(T) -> R + Sync,
    note: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E>
where
    R: Send,
{
    let tasks = Mutex::new(tasks);
    let next = || tasks.lock().unwrap_or_else(PoisonError::into_inner).next();
    // Who notes slowly holds the work up, instead of keeping all that has ended in memory (I-7).
    let (send, ended) = mpsc::sync_channel(threads);
    let work_on = |ended: mpsc::SyncSender<R>| {
        while goes_on() {
            // Nobody listens any more: noting has failed.
            if next().is_none_or(|task| ended.send(work(task)).is_err()) {
                return;
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            let ended = send.clone();
            scope.spawn(|| work_on(ended));
        }
        drop(send);
        ended.into_iter().try_for_each(note)
    })
}
