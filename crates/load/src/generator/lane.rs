//! A thread of a run: some of its clients, their pacer and their connections.

use super::exchange::Wire;
use super::flight::Flight;
use super::load::{Bounds, Client};
use super::order::{Order, Plan};
use super::pacer::{Pacer, Stop, wait_until};
use super::progress::Progress;
use super::recording::Recording;
use super::request::Template;
use super::route::Route;
use super::tally::Tally;
use super::traces::Traces;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::LocalSet;

/// At most so many requests are begun before the connections have their turn again.
const BURST: usize = 32;

/// What all requests of a thread share.
pub struct Lane {
    pub start: Instant,
    /// What the clock said at the start.
    pub clock: SystemTime,
    pub grace: Duration,
    pub wire: Wire,
    pub recording: RefCell<Recording>,
    pub progress: Arc<Progress>,
    pub traces: Option<Traces>,
    /// Requests in flight, of all sources.
    pub flying: Cell<usize>,
    /// Told when one of them ended.
    pub landed: Notify,
}

/// A client without its plan.
pub struct Source {
    pub client: u32,
    pub service: Arc<str>,
    /// Its place in the recording.
    pub service_index: usize,
    pub template: Arc<Template>,
    pub route: Arc<dyn Route>,
    pub bounds: Bounds,
    pub seed: u64,
    pub tally: Option<Arc<Tally>>,
    pub flying: Cell<usize>,
    /// Of its next request.
    pub number: Cell<u64>,
    pub number_step: u64,
    is_given_up: Cell<bool>,
    /// Told when it is.
    giving_up: Notify,
}

/// What a thread is started with.
pub struct Departure {
    pub start: Instant,
    pub clock: SystemTime,
    pub grace: Duration,
    /// Each with the place of its service in the recording.
    pub clients: Vec<(usize, Client)>,
    pub services: usize,
    /// While somebody could send one, the thread goes on without anything to do.
    pub orders: mpsc::Receiver<Order>,
    pub progress: Arc<Progress>,
    pub traces: Option<Traces>,
}

/// Sends what its clients plan until they have no more and no order can come, or the run is stopped; returns when nothing
/// is in flight any more.
pub async fn drive(departure: Departure, mut stop: Stop) -> Recording {
    let (plans, sources) =
        departure.clients.into_iter().map(|(service, client)| Source::of(service, client, None)).unzip();
    let lane = Rc::new(Lane {
        start: departure.start,
        clock: departure.clock,
        grace: departure.grace,
        wire: Wire::default(),
        recording: RefCell::new(Recording::new(departure.services)),
        progress: departure.progress,
        traces: departure.traces,
        flying: Cell::new(0),
        landed: Notify::new(),
    });
    let mut crew = Crew { pacer: Pacer::new(plans), sources, lane: Rc::clone(&lane) };
    let flights = LocalSet::new();
    flights
        .run_until(async {
            crew.pace(departure.orders, &mut stop).await;
            land(&lane, &mut stop).await;
        })
        .await;
    // What still flies is recorded as it is dropped.
    drop(flights);
    lane.recording.replace(Recording::new(0))
}

/// The sources of a thread and what is due of them.
struct Crew {
    lane: Rc<Lane>,
    pacer: Pacer<Plan>,
    /// `None`: it was closed.
    sources: Vec<Option<Rc<Source>>>,
}

impl Crew {
    async fn pace(&mut self, mut orders: mpsc::Receiver<Order>, stop: &mut Stop) {
        loop {
            // Later than the clock can say is never.
            let next = self.pacer.next_at().and_then(|next| self.lane.start.checked_add(next));
            if next.is_none() && orders.is_closed() && orders.is_empty() {
                return;
            }
            tokio::select! {
                biased;
                Some(order) = orders.recv() => self.obey(order),
                is_due = reached(next, stop) => match is_due {
                    true => self.begin(self.lane.start.elapsed(), BURST),
                    false => return,
                }
            }
        }
    }

    /// Begins what is due by then.
    fn begin(&mut self, by: Duration, at_most: usize) {
        for _ in 0..at_most {
            let Some(due) = self.pacer.due(by) else { break };
            let Some(source) = &self.sources[due.source] else { continue };
            if let Some(flight) = Flight::begin(&self.lane, source, due) {
                tokio::task::spawn_local(flight.fly());
            }
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Add { service, client, tally } => {
                self.lane.recording.borrow_mut().reach(service + 1);
                let (plan, source) = Source::of(service, client, Some(tally));
                self.sources.push(source);
                self.pacer.add(plan);
            }
            Order::Replan { since, plans } => {
                self.begin(since, usize::MAX);
                self.pacer.replace(plans);
            }
            Order::Ask { due, count } => self.pacer.ask(due, count),
            Order::Close { since, sources, landed } => {
                self.begin(since, usize::MAX);
                self.pacer.close(&sources);
                let closed = sources.iter().filter_map(|source| self.sources[*source].take()).collect();
                tokio::task::spawn_local(close(Rc::clone(&self.lane), closed, landed));
            }
            // Who asked may have gone.
            Order::Answer(asked) => {
                let (Ok(()) | Err(())) = asked.send(());
            }
        }
    }
}

impl Source {
    /// Its plan is the pacer's. It is there until it is closed.
    fn of(service_index: usize, client: Client, tally: Option<Arc<Tally>>) -> (Plan, Option<Rc<Self>>) {
        let source = Self {
            client: client.id,
            service: client.service,
            service_index,
            template: client.template,
            route: client.route,
            bounds: client.bounds,
            seed: client.seed,
            tally,
            flying: Cell::new(0),
            number: Cell::new(client.numbers.first),
            number_step: client.numbers.step,
            is_given_up: Cell::new(false),
            giving_up: Notify::new(),
        };
        (client.plan, Some(Rc::new(source)))
    }

    /// Completes when nobody waits for its requests any more.
    pub async fn given_up(&self) {
        // Between the question and the waiting nothing else runs: all of it is on one thread.
        while !self.is_given_up.get() {
            self.giving_up.notified().await;
        }
    }

    fn give_up(&self) {
        self.is_given_up.set(true);
        self.giving_up.notify_waiters();
    }
}

/// Waits for a moment, or without one for the end of the run; `false`: the run was stopped before.
async fn reached(moment: Option<Instant>, stop: &mut Stop) -> bool {
    match moment {
        Some(moment) => wait_until(moment, stop).await,
        None => {
            stop.stopped().await;
            false
        }
    }
}

/// Each request ends by its timeout at the latest; once the run is stopped, all have the same short time.
async fn land(lane: &Lane, stop: &mut Stop) {
    let given_up = async {
        stop.stopped().await;
        tokio::time::sleep(lane.grace).await;
    };
    tokio::select! {
        () = lane.landing(|| lane.flying.get() == 0) => {}
        () = given_up => {}
    }
}

/// What these sources have in flight has the grace to end.
async fn close(lane: Rc<Lane>, sources: Vec<Rc<Source>>, landed: oneshot::Sender<()>) {
    let have_landed = || sources.iter().all(|source| source.flying.get() == 0);
    if tokio::time::timeout(lane.grace, lane.landing(have_landed)).await.is_err() {
        sources.iter().for_each(|source| source.give_up());
        lane.landing(have_landed).await;
    }
    // Who waited may have gone.
    let (Ok(()) | Err(())) = landed.send(());
}

impl Lane {
    /// Completes when so much has landed that this holds.
    async fn landing(&self, holds: impl Fn() -> bool) {
        while !holds() {
            self.landed.notified().await;
        }
    }
}
