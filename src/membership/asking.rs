//! Asking members from outside: for commands, which are none. A socket of its own, and the machines of the package.

use agent_membership::udp::Pace;
use agent_membership::{
    Answered, Envelope, Listed, Listing, MAX_DATAGRAM_BYTES, NetworkId, NodeId, PublicKey, Query, QueryEffect,
    QueryFailed, QuerySettings, Rng,
};
use anyhow::{Context as _, bail};
use rand::SeedableRng as _;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::net::UdpSocket;

/// Of a query's time, so much at most is for finding out who lives.
const FINDING: u32 = 4;

/// The members that somebody outside knows of.
#[derive(Clone, Debug)]
pub struct Around {
    network: NetworkId,
    pace: Pace,
    /// Those on this machine, who are asked first.
    pub local: Vec<SocketAddr>,
    pub others: Vec<SocketAddr>,
    /// By which nodes are known, as far as anybody has said.
    pub keys: BTreeMap<NodeId, PublicKey>,
}

/// A node's record, asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub node: NodeId,
    pub quorum: usize,
    pub within: Duration,
    pub deadline: Duration,
}

impl Around {
    /// `network`: its name, as in the configuration.
    pub fn new(network: &str) -> Self {
        let (network, pace) = (NetworkId::named(network), Pace::from_now(1.0));
        Self { network, pace, local: Vec::new(), others: Vec::new(), keys: BTreeMap::new() }
    }

    fn candidates(&self) -> Vec<SocketAddr> {
        let mut seen = BTreeSet::new();
        self.local.iter().chain(&self.others).copied().filter(|address| seen.insert(*address)).collect()
    }

    /// All members as the first that answers sees them, in the order of their numbers, and who that was.
    pub async fn list(&self, deadline: Duration) -> anyhow::Result<(SocketAddr, Vec<Listed>)> {
        let candidates = self.candidates();
        let socket = self.socket().await?;
        let mut rng = Rng::seed_from_u64(rand::random());
        let mut listing = Listing::new(self.network, candidates.clone(), deadline, self.pace.now(), &mut rng);
        let mut answered = None;
        let mut buffer = buffer();
        while !listing.is_over(self.pace.now()) {
            if let Some((to, envelope)) = listing.tick(self.pace.now()) {
                send(&socket, self.network, to, &envelope).await;
            }
            let wake_at = self.pace.until(listing.wake_at());
            let Some((from, bytes)) = receive(&socket, &mut buffer, wake_at).await else { continue };
            let before = listing.members().len();
            if let Some((to, envelope)) = listing.datagram(from, bytes, self.pace.now()) {
                send(&socket, self.network, to, &envelope).await;
            }
            if listing.members().len() > before {
                answered = Some(from);
            }
        }
        match answered {
            Some(from) if listing.is_whole => Ok((from, listing.members().to_vec())),
            Some(from) => bail!("{from} told of {} members and then no more; try again", listing.members().len()),
            None => {
                bail!("none of {} members answers ({}); does an agent run there?", candidates.len(), some(&candidates))
            }
        }
    }

    /// A node's record, as enough others hold it; else what was seen.
    pub async fn query(&self, asked: &Asked) -> anyhow::Result<Result<Answered, QueryFailed>> {
        let began = self.pace.now();
        let (alive, others) = match self.list(asked.deadline / FINDING).await {
            Ok((_, listed)) => {
                let (alive, others): (Vec<Listed>, Vec<Listed>) =
                    listed.into_iter().partition(|listed| listed.standing.lives());
                let addresses = |listed: Vec<Listed>| listed.into_iter().map(|listed| listed.address);
                (addresses(alive).collect(), addresses(others).chain(self.candidates()).collect())
            }
            // Nobody on this machine may run; others are asked all the same.
            Err(_) => (self.candidates(), Vec::new()),
        };
        let now = self.pace.now();
        let settings = QuerySettings {
            network: self.network,
            node: asked.node,
            quorum: asked.quorum,
            within: asked.within,
            deadline: asked.deadline.saturating_sub(now.since(began)),
            key: self.keys.get(&asked.node).copied(),
        };
        let query = Query::new(settings, alive, others, now, &mut Rng::seed_from_u64(rand::random()));
        let socket = self.socket().await?;
        Ok(ask(&socket, self.network, query, &self.pace).await)
    }

    /// Which reaches members of either kind of address.
    async fn socket(&self) -> anyhow::Result<UdpSocket> {
        let candidates = self.candidates();
        if candidates.is_empty() {
            bail!(
                "no member of the network is known here; start an agent, or say where one listens with --at HOST:PORT"
            );
        }
        let any = match candidates.iter().any(SocketAddr::is_ipv6) {
            true => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
            false => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        };
        UdpSocket::bind(any).await.context("no socket to ask with")
    }
}

/// Puts a question over a socket of its own. Ends at the question's deadline at the latest.
pub async fn ask(
    socket: &UdpSocket,
    network: NetworkId,
    mut query: Query,
    pace: &Pace,
) -> Result<Answered, QueryFailed> {
    let mut buffer = buffer();
    let mut effects = query.tick(pace.now());
    loop {
        for effect in effects {
            match effect {
                QueryEffect::Send { to, envelope } => send(socket, network, to, &envelope).await,
                QueryEffect::Done(done) => return *done,
            }
        }
        effects = match receive(socket, &mut buffer, pace.until(query.wake_at())).await {
            Some((from, bytes)) => query.datagram(from, bytes, pace.now()),
            None => query.tick(pace.now()),
        };
    }
}

/// For a datagram, and more than any has.
fn buffer() -> [u8; MAX_DATAGRAM_BYTES + 1] {
    [0; MAX_DATAGRAM_BYTES + 1]
}

/// What cannot be sent is as good as lost: somebody else is asked.
async fn send(socket: &UdpSocket, network: NetworkId, to: SocketAddr, envelope: &Envelope) {
    if let Err(error) = socket.send_to(&envelope.encode(network), to).await {
        tracing::debug!(%to, %error, "not asked");
    }
}

/// `None`: it is time.
async fn receive<'a>(socket: &UdpSocket, buffer: &'a mut [u8], wait: Duration) -> Option<(SocketAddr, &'a [u8])> {
    match tokio::time::timeout(wait, socket.recv_from(buffer)).await {
        Ok(Ok((length, from))) => Some((from, &buffer[..length])),
        // Of one that is not there the system says so with the next datagram.
        Ok(Err(_)) | Err(_) => None,
    }
}

/// The first few of many.
fn some(addresses: &[SocketAddr]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<String> = addresses.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = addresses.len().saturating_sub(SHOWN);
    match more {
        0 => shown.join(", "),
        more => format!("{}, and {more} more", shown.join(", ")),
    }
}
