//! What a thread is told while it runs, by whoever steers it.

use super::load::Client;
use super::pacer::Due;
use super::tally::Tally;
use agent_arrivals::Arrival;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Intended times, since the thread's start.
pub type Plan = Box<dyn Iterator<Item = Arrival> + Send>;

/// Sources are called by their place among all that the thread ever had.
pub enum Order {
    /// A further source, in the next place; its service is called by its place in the recording.
    Add { service: usize, client: Client, tally: Arc<Tally> },
    /// From this time on these sources go on by other plans; what was meant to start until then is begun, however late it is.
    Replan { since: Duration, plans: Vec<(usize, Plan)> },
    /// So many requests at this moment, which is over, beside what is planned.
    Ask { due: Due, count: u32 },
    /// Nothing comes of these sources after this time; told when nothing of theirs is in flight, which has the grace to end.
    Close { since: Duration, sources: BTreeSet<usize>, landed: oneshot::Sender<()> },
    /// Told at once.
    Answer(oneshot::Sender<()>),
}
