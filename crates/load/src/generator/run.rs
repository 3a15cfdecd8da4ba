//! A run: its threads, and what they recorded.

use super::figures::Figures;
use super::lane::{Departure, drive};
use super::load::{Client, Load};
use super::pacer::Stop;
use super::progress::Progress;
use super::recorded::Recorded;
use super::recording::Recording;
use super::traces::Traces;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{mpsc, oneshot, watch};

/// Between the decision to start and the moment from which plans count: threads have to be there by then, or the first
/// requests are late.
const LEAD: Duration = Duration::from_millis(20);

/// Who hears of a run while it runs.
#[derive(Clone, Default)]
pub struct Observer {
    pub progress: Arc<Progress>,
    /// `None`: no traces are made.
    pub traces: Option<Traces>,
}

/// Why a run could not be.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No request was sent by the thread; those that had started were stopped.
    #[error(
        "a thread of the load generator could not be started\n  help: ask for fewer threads, or allow more (`ulimit -u`, `ulimit -n`)"
    )]
    Start(#[source] io::Error),
    /// What it had recorded is lost.
    #[error(
        "a thread of the load generator ended before its clients did; its figures are lost\n  help: this is a fault of the program"
    )]
    Lost,
}

/// Sends what the clients plan, and says what came of it. Ends when no client has anything left to send and nothing is in
/// flight, or soon after `stop`: what is in flight then has its grace to end, and counts as
/// unfinished if it does not. A run that is not awaited any more stops.
///
/// # Errors
/// When the system gives no thread for it. What happens to requests is no error but a figure.
pub async fn run(load: Load, observer: Observer, stop: impl Future<Output = ()>) -> Result<Figures, RunError> {
    record(load, observer, stop).await.map(|recorded| recorded.figures())
}

/// The same, and says all that was recorded, so that it can be put together with what others recorded.
///
/// # Errors
/// As [`run`].
pub async fn record(load: Load, observer: Observer, stop: impl Future<Output = ()>) -> Result<Recorded, RunError> {
    let services = services(&load.clients);
    let (stopper, receiver) = watch::channel(false);
    let mut lanes = Vec::new();
    let (start, clock) = (Instant::now() + LEAD, SystemTime::now() + LEAD);
    for clients in deal(load.clients, &services, load.threads) {
        let departure = Departure {
            start,
            clock,
            grace: load.grace,
            clients,
            services: services.len(),
            // Nobody steers it.
            orders: mpsc::channel(1).1,
            progress: Arc::clone(&observer.progress),
            traces: observer.traces.clone(),
        };
        lanes.push(self::start(departure, Stop::new(receiver.clone())).map_err(RunError::Start)?);
    }
    let recorded = merged(lanes, services.len());
    tokio::pin!(recorded);
    let recording = tokio::select! {
        recording = &mut recorded => recording,
        () = stop => {
            stopper.send_replace(true);
            recorded.await
        }
    }?;
    let traces_missed = observer.traces.as_ref().map_or(0, Traces::missed);
    Ok(Recorded { services, recording, traces_missed })
}

/// Starts a thread; what it recorded comes when it is done.
pub(super) fn start(departure: Departure, stop: Stop) -> io::Result<oneshot::Receiver<Recording>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let (sender, receiver) = oneshot::channel();
    thread::Builder::new().name("load".to_owned()).spawn(move || {
        let recording = runtime.block_on(drive(departure, stop));
        // Who asked for the run may have gone.
        let (Ok(()) | Err(_)) = sender.send(recording);
    })?;
    Ok(receiver)
}

/// What all threads recorded of so many services, when the last of them is done.
pub(super) async fn merged(
    lanes: impl IntoIterator<Item = oneshot::Receiver<Recording>>,
    services: usize,
) -> Result<Recording, RunError> {
    let mut all = Recording::new(services);
    for lane in lanes {
        all.merge(lane.await.map_err(|_| RunError::Lost)?);
    }
    Ok(all)
}

/// Their names, each once, in the order of their first clients.
fn services(clients: &[Client]) -> Vec<Arc<str>> {
    let mut services: Vec<Arc<str>> = Vec::new();
    for client in clients {
        if !services.contains(&client.service) {
            services.push(Arc::clone(&client.service));
        }
    }
    services
}

/// One client to each thread in turn, with the place of its service.
fn deal(clients: Vec<Client>, services: &[Arc<str>], threads: usize) -> Vec<Vec<(usize, Client)>> {
    let threads = threads.min(clients.len()).max(1);
    let mut hands: Vec<Vec<_>> = (0..threads).map(|_| Vec::new()).collect();
    for (index, client) in clients.into_iter().enumerate() {
        let service = services.iter().position(|service| *service == client.service);
        // Each client's service was named.
        hands[index % threads].push((service.unwrap_or_default(), client));
    }
    hands
}
