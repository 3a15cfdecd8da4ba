//! The order in which requests of many clients are due, and waiting for it.
//!
//! A moment is the run's start plus the time in the plan, never "now" plus a gap: what one request is late by is not
//! handed on to the next.

use agent_arrivals::Arrival;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The last part of waiting is spent awake: a thread that sleeps is woken some fraction of this late.
const SPIN: Duration = Duration::from_millis(1);
/// The timer's own step; it rounds up.
const TIMER_STEP: Duration = Duration::from_millis(1);

/// A request that is due; ordered by time, then by source.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Due {
    /// Since the run's start.
    pub at: Duration,
    pub source: usize,
    pub tick: u32,
}

/// The plans of several sources in one order.
pub struct Pacer<P> {
    /// `None`: the source has been closed.
    plans: Vec<Option<P>>,
    next: BinaryHeap<Reverse<Due>>,
    /// Asked for beside the plans, and how many times: they come first, for they were due when they were asked for.
    asked: VecDeque<(Due, u32)>,
}

impl<P: Iterator<Item = Arrival>> Pacer<P> {
    pub fn new(plans: Vec<P>) -> Self {
        let next = BinaryHeap::with_capacity(plans.len());
        let mut pacer = Self { plans: Vec::with_capacity(plans.len()), next, asked: VecDeque::new() };
        plans.into_iter().for_each(|plan| pacer.add(plan));
        pacer
    }

    /// A further source, after those that there are.
    pub fn add(&mut self, plan: P) {
        self.plans.push(Some(plan));
        self.draw(self.plans.len() - 1);
    }

    /// These sources go on by other plans; what the old ones had left is forgotten. Each stands there once, and none that was
    /// closed.
    pub fn replace(&mut self, plans: Vec<(usize, P)>) {
        let replaced: BTreeSet<usize> = plans.iter().map(|(source, _)| *source).collect();
        self.next.retain(|Reverse(due)| !replaced.contains(&due.source));
        for (source, plan) in plans {
            self.plans[source] = Some(plan);
            self.draw(source);
        }
    }

    /// So many requests at one moment, beside what is planned.
    pub fn ask(&mut self, due: Due, count: u32) {
        self.asked.extend((count > 0).then_some((due, count)));
    }

    /// Nothing comes of these sources any more.
    pub fn close(&mut self, sources: &BTreeSet<usize>) {
        self.next.retain(|Reverse(due)| !sources.contains(&due.source));
        self.asked.retain(|(due, _)| !sources.contains(&due.source));
        sources.iter().for_each(|source| self.plans[*source] = None);
    }

    /// When the next request is due; `None`: there are no more.
    pub fn next_at(&self) -> Option<Duration> {
        let planned = || self.next.peek().map(|Reverse(due)| due.at);
        self.asked.front().map(|(due, _)| due.at).or_else(planned)
    }

    /// The next request, if it is due by then.
    pub fn due(&mut self, by: Duration) -> Option<Due> {
        if self.next_at()? > by {
            return None;
        }
        if let Some((due, left)) = self.asked.front_mut() {
            let due = *due;
            *left -= 1;
            if *left == 0 {
                self.asked.pop_front();
            }
            return Some(due);
        }
        let Reverse(due) = self.next.pop()?;
        self.draw(due.source);
        Some(due)
    }

    fn draw(&mut self, source: usize) {
        if let Some(Arrival { at, tick }) = self.plans[source].as_mut().and_then(Iterator::next) {
            self.next.push(Reverse(Due { at, source, tick }));
        }
    }
}

/// The end of the run, as a thread sees it.
#[derive(Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Stopped by what is sent there, and by its end.
    pub fn new(receiver: watch::Receiver<bool>) -> Self {
        Self(receiver)
    }

    /// Nobody is left who could stop the run: that stops it too.
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    pub async fn stopped(&mut self) {
        // An error says the same as above.
        let (Ok(_) | Err(_)) = self.0.wait_for(|is_stopped| *is_stopped).await;
    }
}

/// Waits for this moment; `false` when the run was stopped before. Gives way to the thread's connections at least once,
/// and all through the part that it is awake.
pub async fn wait_until(moment: Instant, stop: &mut Stop) -> bool {
    if let Some(until) = moment.checked_sub(SPIN + TIMER_STEP)
        && until > Instant::now()
    {
        tokio::select! {
            () = tokio::time::sleep_until(until.into()) => {}
            () = stop.stopped() => return false,
        }
    }
    loop {
        tokio::task::yield_now().await;
        if stop.is_stopped() {
            return false;
        }
        if Instant::now() >= moment {
            return true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(at: &[u64]) -> std::vec::IntoIter<Arrival> {
        let arrivals: Vec<_> = at.iter().map(|ms| Arrival { at: Duration::from_millis(*ms), tick: 0 }).collect();
        arrivals.into_iter()
    }

    #[test]
    fn the_plans_of_all_clients_are_one_order() {
        let mut pacer = Pacer::new(vec![plan(&[0, 10, 20]), plan(&[]), plan(&[5, 10])]);
        let mut due = |by| {
            let all = std::iter::from_fn(|| pacer.due(Duration::from_millis(by)));
            all.map(|due| (due.at.as_millis(), due.source)).collect::<Vec<_>>()
        };
        assert_eq!(due(9), [(0, 0), (5, 2)]);
        assert_eq!(due(9), []);
        assert_eq!(due(100), [(10, 0), (10, 2), (20, 0)]);
        assert_eq!(pacer.next_at(), None);
    }

    #[test]
    fn times_are_the_plans_however_late_they_are_asked_for() {
        let mut pacer = Pacer::new(vec![plan(&[0, 10, 20])]);
        let mut at = |by| pacer.due(Duration::from_millis(by)).map(|due| due.at.as_millis());
        assert_eq!([at(9), at(500), at(501)], [Some(0), Some(10), Some(20)]);
    }

    #[test]
    fn a_replaced_plan_is_forgotten_and_what_is_asked_for_comes_first() {
        let mut pacer = Pacer::new(vec![plan(&[0, 10, 20]), plan(&[15])]);
        let due = |pacer: &mut Pacer<_>, by| {
            let all = std::iter::from_fn(|| pacer.due(Duration::from_millis(by)));
            all.map(|due| (due.at.as_millis(), due.source)).collect::<Vec<_>>()
        };
        assert_eq!(due(&mut pacer, 5), [(0, 0)]);
        pacer.replace(vec![(0, plan(&[12, 30]))]);
        pacer.add(plan(&[13]));
        let at_once = |source| Due { at: Duration::from_millis(6), source, tick: 0 };
        pacer.ask(at_once(1), 2);
        pacer.ask(at_once(0), 0);
        assert_eq!(pacer.next_at(), Some(Duration::from_millis(6)));
        assert_eq!(due(&mut pacer, 20), [(6, 1), (6, 1), (12, 0), (13, 2), (15, 1)]);
        pacer.replace(vec![(0, plan(&[])), (2, plan(&[40, 50]))]);
        assert_eq!(due(&mut pacer, 45), [(40, 2)]);
        pacer.ask(at_once(2), 9);
        pacer.close(&[2].into());
        assert_eq!(pacer.next_at(), None);
    }

    #[tokio::test]
    async fn waiting_ends_at_its_moment_or_with_the_run() {
        let (sender, receiver) = watch::channel(false);
        let mut stop = Stop::new(receiver);
        let moment = Instant::now() + Duration::from_millis(5);
        assert!(wait_until(moment, &mut stop).await);
        assert!(Instant::now() >= moment);
        let far = moment + Duration::from_secs(1_000);
        let (waited, sent) = tokio::join!(wait_until(far, &mut stop), async { sender.send(true) });
        assert_eq!((waited, sent), (false, Ok(())));
        assert!(Instant::now() < far);
    }
}
