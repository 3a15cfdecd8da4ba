//! A thread of a run: some of its clients, their pacer and their connections.

use super::exchange::Wire;
use super::flight::Flight;
use super::load::{Bounds, Client};
use super::pacer::{Pacer, Stop, wait_until};
use super::progress::Progress;
use super::recording::Recording;
use super::request::Template;
use super::route::Route;
use super::traces::Traces;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::Notify;
use tokio::task::LocalSet;

/// At most so many requests are begun before the connections have their turn again.
const BURST: usize = 32;

/// What all requests of a thread share.
pub struct Lane {
    pub start: Instant,
    /// What the clock said at the start.
    pub clock: SystemTime,
    pub grace: Duration,
    pub sources: Vec<Source>,
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
    pub flying: Cell<usize>,
    /// Of its last request.
    pub number: Cell<u64>,
}

/// What a thread is started with.
pub struct Departure {
    pub start: Instant,
    pub clock: SystemTime,
    pub grace: Duration,
    /// Each with the place of its service in the recording.
    pub clients: Vec<(usize, Client)>,
    pub services: usize,
    pub progress: Arc<Progress>,
    pub traces: Option<Traces>,
}

/// Sends what its clients plan until they have no more or the run is stopped; returns when nothing is in flight any more.
pub async fn drive(departure: Departure, mut stop: Stop) -> Recording {
    let (mut plans, mut sources) = (Vec::new(), Vec::new());
    for (service_index, client) in departure.clients {
        plans.push(client.plan);
        sources.push(Source {
            client: client.id,
            service: client.service,
            service_index,
            template: client.template,
            route: client.route,
            bounds: client.bounds,
            seed: client.seed,
            flying: Cell::new(0),
            number: Cell::new(0),
        });
    }
    let lane = Rc::new(Lane {
        start: departure.start,
        clock: departure.clock,
        grace: departure.grace,
        sources,
        wire: Wire::default(),
        recording: RefCell::new(Recording::new(departure.services)),
        progress: departure.progress,
        traces: departure.traces,
        flying: Cell::new(0),
        landed: Notify::new(),
    });
    let flights = LocalSet::new();
    flights
        .run_until(async {
            pace(&lane, Pacer::new(plans), &mut stop).await;
            land(&lane, &mut stop).await;
        })
        .await;
    // What still flies is recorded as it is dropped.
    drop(flights);
    lane.recording.replace(Recording::new(0))
}

async fn pace(lane: &Rc<Lane>, mut pacer: Pacer<impl Iterator<Item = agent_arrivals::Arrival>>, stop: &mut Stop) {
    while let Some(next) = pacer.next_at() {
        // Later than the clock can say is never.
        let Some(moment) = lane.start.checked_add(next) else { return };
        if !wait_until(moment, stop).await {
            return;
        }
        let now = lane.start.elapsed();
        for _ in 0..BURST {
            let Some(due) = pacer.due(now) else { break };
            if let Some(flight) = Flight::begin(lane, due) {
                tokio::task::spawn_local(flight.fly());
            }
        }
    }
}

/// Each request ends by its timeout at the latest; once the run is stopped, all have the same short time.
async fn land(lane: &Lane, stop: &mut Stop) {
    let all_landed = async {
        while lane.flying.get() > 0 {
            lane.landed.notified().await;
        }
    };
    let given_up = async {
        stop.stopped().await;
        tokio::time::sleep(lane.grace).await;
    };
    tokio::select! {
        () = all_landed => {}
        () = given_up => {}
    }
}
