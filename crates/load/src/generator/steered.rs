//! Threads whose clients come, change and go while they run: a run that somebody steers.

use super::figures::Figures;
use super::lane::Departure;
use super::load::Client;
use super::order::{Order, Plan};
use super::pacer::{Due, Stop};
use super::progress::Progress;
use super::recording::Recording;
use super::run::{self, RunError};
use super::tally::Tally;
use super::traces::Traces;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{mpsc, oneshot, watch};

/// Orders that a thread has not taken yet; whoever gives more waits.
const ORDERS: usize = 64;

/// A run without an end of its own. When it is dropped, its threads stop.
pub struct Steered {
    start: Instant,
    lanes: Vec<Lane>,
    /// In the order of the recordings.
    services: Vec<Arc<str>>,
    progress: Arc<Progress>,
    traces: Option<Traces>,
    stopper: watch::Sender<bool>,
}

struct Lane {
    orders: mpsc::Sender<Order>,
    recording: oneshot::Receiver<Recording>,
    /// Clients that it has.
    clients: usize,
    /// Clients that it ever had.
    places: usize,
}

/// A client that was added, until it is closed.
pub struct Steering {
    lane: usize,
    place: usize,
    pub tally: Arc<Tally>,
}

/// Clients that are being closed.
pub struct Landing(Vec<oneshot::Receiver<()>>);

impl Landing {
    /// Completes when nothing of theirs is in flight.
    pub async fn landed(self) -> Result<(), RunError> {
        for told in self.0 {
            told.await.map_err(|_| RunError::Lost)?;
        }
        Ok(())
    }
}

impl Steered {
    /// `grace`: so long has what is in flight to end, when its client is closed or the run ends. `traces`: where each request goes as
    /// it ended.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn begin(threads: NonZeroUsize, grace: Duration, traces: Option<Traces>) -> Result<Self, RunError> {
        let (start, clock) = (Instant::now(), SystemTime::now());
        let (stopper, receiver) = watch::channel(false);
        let progress = Arc::<Progress>::default();
        let mut lanes = Vec::new();
        for _ in 0..threads.get() {
            let (sender, orders) = mpsc::channel(ORDERS);
            let departure = Departure {
                start,
                clock,
                grace,
                clients: Vec::new(),
                services: 0,
                orders,
                progress: Arc::clone(&progress),
                traces: traces.clone(),
            };
            let recording = run::start(departure, Stop::new(receiver.clone())).map_err(RunError::Start)?;
            lanes.push(Lane { orders: sender, recording, clients: 0, places: 0 });
        }
        Ok(Self { start, lanes, services: Vec::new(), progress, traces, stopper })
    }

    /// Since it began.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// A further client, on the thread that has the fewest; its plan is in times since the run began.
    pub async fn add(&mut self, client: Client) -> Result<Steering, RunError> {
        let service = self.place_of(&client.service);
        // There is at least one.
        let index = (0..self.lanes.len()).min_by_key(|lane| self.lanes[*lane].clients).ok_or(RunError::Lost)?;
        let lane = &mut self.lanes[index];
        let tally = Arc::<Tally>::default();
        lane.give(Order::Add { service, client, tally: Arc::clone(&tally) }).await?;
        (lane.clients, lane.places) = (lane.clients + 1, lane.places + 1);
        Ok(Steering { lane: index, place: lane.places - 1, tally })
    }

    /// From `since` on, which is not to come, these clients send what is planned here; both in times since the run began. When
    /// it returns, nothing of what they had planned before is left.
    pub async fn replan(&self, since: Duration, plans: Vec<(&Steering, Plan)>) -> Result<(), RunError> {
        let mut by_lane = BTreeMap::<usize, Vec<_>>::new();
        for (client, plan) in plans {
            by_lane.entry(client.lane).or_default().push((client.place, plan));
        }
        let mut replanned = Vec::new();
        for (lane, plans) in by_lane {
            self.lanes[lane].give(Order::Replan { since, plans }).await?;
            replanned.push(&self.lanes[lane]);
        }
        for lane in replanned {
            lane.answer().await?;
        }
        Ok(())
    }

    /// So many requests of this client that are meant to start `at` this time since the run began, which is not to come.
    pub async fn ask(&self, client: &Steering, at: Duration, tick: u32, count: u32) -> Result<(), RunError> {
        let due = Due { at, source: client.place, tick };
        self.lanes[client.lane].give(Order::Ask { due, count }).await
    }

    /// Nothing comes of these clients any more; what they have in flight has the grace to end.
    pub async fn close(&mut self, clients: &[&Steering]) -> Result<Landing, RunError> {
        let since = self.elapsed();
        let mut by_lane = BTreeMap::<usize, BTreeSet<usize>>::new();
        for client in clients {
            by_lane.entry(client.lane).or_default().insert(client.place);
        }
        let mut landing = Vec::new();
        for (lane, sources) in by_lane {
            let (landed, told) = oneshot::channel();
            self.lanes[lane].give(Order::Close { since, sources, landed }).await?;
            landing.push(told);
        }
        clients.iter().for_each(|client| self.lanes[client.lane].clients -= 1);
        Ok(Landing(landing))
    }

    /// How long all threads take to answer, one after another.
    pub async fn ping(&self) -> Result<Duration, RunError> {
        let began = Instant::now();
        for lane in &self.lanes {
            lane.answer().await?;
        }
        Ok(began.elapsed())
    }

    /// Begins what was asked for and planned until now, and nothing more; says what was recorded when all has landed, or the
    /// grace is over.
    pub async fn end(self) -> Result<Figures, RunError> {
        let since = self.elapsed();
        for lane in &self.lanes {
            // No plan changes, but what was due before that is begun.
            lane.give(Order::Replan { since, plans: Vec::new() }).await?;
            lane.answer().await?;
        }
        self.stopper.send_replace(true);
        let recordings = self.lanes.into_iter().map(|lane| lane.recording);
        let all = run::merged(recordings, self.services.len()).await?;
        let traces_missed = self.traces.as_ref().map_or(0, Traces::missed);
        Ok(Figures::of(&all, &self.services, traces_missed))
    }

    /// Of a service in the recordings.
    fn place_of(&mut self, service: &Arc<str>) -> usize {
        self.services.iter().position(|known| known == service).unwrap_or_else(|| {
            self.services.push(Arc::clone(service));
            self.services.len() - 1
        })
    }
}

impl Lane {
    async fn give(&self, order: Order) -> Result<(), RunError> {
        self.orders.send(order).await.map_err(|_| RunError::Lost)
    }

    /// Completes when it has obeyed all that it was given before.
    async fn answer(&self) -> Result<(), RunError> {
        let (asked, answer) = oneshot::channel();
        self.give(Order::Answer(asked)).await?;
        answer.await.map_err(|_| RunError::Lost)
    }
}
