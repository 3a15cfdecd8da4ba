//! One request, from its intended time until it is recorded.

use super::lane::{Lane, Source};
use super::outcome::Outcome;
use super::pacer::Due;
use super::recording::Ended;
use super::route::Target;
use super::traces::Trace;
use super::variables::Values;
use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// A request in flight. It is recorded exactly once, when it is dropped: a run that is stopped drops what still flies,
/// and that is counted like everything else.
pub struct Flight {
    lane: Rc<Lane>,
    source: Rc<Source>,
    due: Due,
    number: u64,
    begun: Instant,
    target: Option<Target>,
    sent: Cell<Option<Instant>>,
    outcome: Outcome,
    /// Whether it holds a place among those that may be in flight.
    is_flying: bool,
}

impl Flight {
    /// `None`: it was not allowed to fly, and that was recorded.
    pub fn begin(lane: &Rc<Lane>, source: &Rc<Source>, due: Due) -> Option<Self> {
        let number = source.number.get();
        source.number.set(number + source.number_step);
        lane.progress.begins();
        let mut flight = Self {
            lane: Rc::clone(lane),
            source: Rc::clone(source),
            due,
            number,
            begun: Instant::now(),
            target: None,
            sent: Cell::new(None),
            outcome: Outcome::Dropped,
            is_flying: source.flying.get() < source.bounds.in_flight,
        };
        if !flight.is_flying {
            return None;
        }
        source.flying.set(source.flying.get() + 1);
        lane.flying.set(lane.flying.get() + 1);
        flight.outcome = Outcome::Unreachable;
        flight.target = Some(source.route.choose()?);
        flight.outcome = Outcome::Unfinished;
        Some(flight)
    }

    /// Sends it and waits for its end.
    pub async fn fly(mut self) {
        let Some(target) = &self.target else { return };
        let source = &self.source;
        let values = Values { number: self.number, client: source.client, tick: self.due.tick, seed: source.seed };
        let of_host = source.route.template(target);
        let template = of_host.as_ref().unwrap_or(&source.template);
        let exchange = self.lane.wire.exchange(&target.host, template, &values, &self.sent);
        let outcome = tokio::select! {
            biased;
            outcome = tokio::time::timeout(source.bounds.timeout, exchange) => outcome.unwrap_or(Outcome::TimedOut),
            () = source.given_up() => Outcome::Unfinished,
        };
        self.outcome = outcome;
    }

    fn since_start(&self, moment: Instant) -> Duration {
        moment.saturating_duration_since(self.lane.start)
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let (lane, source, now) = (&self.lane, &self.source, Instant::now());
        let (intended, sent) = (self.due.at, self.sent.get().map(|sent| self.since_start(sent)));
        let ended = Ended {
            service: source.service_index,
            host: self.target.as_ref().map(|target| &target.host),
            tick: self.due.tick,
            intended,
            sent,
            done: self.since_start(now),
            outcome: self.outcome,
            is_late: sent.is_some_and(|sent| sent.saturating_sub(intended) > source.bounds.late_after),
        };
        lane.recording.borrow_mut().add(&ended);
        lane.progress.ends(&ended);
        if let Some(tally) = &source.tally {
            tally.add(&ended);
        }
        if let Some(traces) = &lane.traces {
            traces.offer(|| Trace {
                client: source.client,
                service: source.service.clone(),
                host: ended.host.cloned(),
                intended: lane.clock + ended.intended,
                sent: ended.sent.map(|sent| lane.clock + sent),
                done: lane.clock + ended.done,
                outcome: ended.outcome,
            });
        }
        if let Some(target) = &self.target {
            source.route.ended(target, now - self.begun);
        }
        if self.is_flying {
            source.flying.set(source.flying.get() - 1);
            lane.flying.set(lane.flying.get() - 1);
            lane.landed.notify_waiters();
        }
    }
}
