//! A wake-up at a moment, within tens of microseconds. The runtime's own timers are rounded up to whole milliseconds, which
//! at a time scale of 50 would be 50 ms of the scenario.

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use std::io;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// One kernel timer (a timerfd), armed for one moment at a time.
pub struct Timer {
    fd: AsyncFd<OwnedFd>,
    armed: Option<Instant>,
}

impl Timer {
    /// Fails when the process has no file descriptors left.
    pub fn new() -> io::Result<Self> {
        let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        // SAFETY: an `OwnedFd` is one open descriptor for as long as it lives, and the `AsyncFd` owns it.
        let fd = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }?;
        Ok(Self { fd, armed: None })
    }

    /// Ready when `due` has passed.
    pub fn poll_until(&mut self, cx: &mut Context<'_>, due: Instant) -> Poll<io::Result<()>> {
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Poll::Ready(Ok(()));
            }
            if self.armed != Some(due) {
                arm(&self.fd, left)?;
                self.armed = Some(due);
            }
            // An expiry is never read: arming anew resets the count, and the next expiry is a new edge all the same.
            ready!(self.fd.poll_read_ready(cx))?.clear_ready();
            // It may have been left by an earlier moment: look at the clock again, and arm again if it is not yet time.
            self.armed = None;
        }
    }
}

fn arm(fd: &AsyncFd<OwnedFd>, left: Duration) -> io::Result<()> {
    // Longer than the kernel can express is as good as never.
    let it_value = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: i64::MAX, tv_nsec: 0 });
    let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
    timerfd_settime(fd.get_ref(), TimerfdTimerFlags::empty(), &once)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[tokio::test]
    async fn it_never_wakes_early_and_can_be_moved() {
        let mut timer = Timer::new().unwrap();
        let start = Instant::now();
        let far = start + Duration::from_secs(3600);
        let near = start + Duration::from_micros(1500);
        poll_fn(|cx| {
            assert!(timer.poll_until(cx, far).is_pending());
            Poll::Ready(())
        })
        .await;
        poll_fn(|cx| timer.poll_until(cx, near)).await.unwrap();
        assert!(start.elapsed() >= Duration::from_micros(1500));
        poll_fn(|cx| timer.poll_until(cx, start)).await.unwrap();
    }
}
