//! A member on real sockets: datagrams over UDP, first contact over TCP on the same port.
//!
//! Each member is one task. It performs what the machine wants, hands in what happens, and never waits for anybody: a
//! datagram that the system does not take is lost like any other.

mod seeds;
mod streams;

use crate::identity::{Identity, NodeId};
use crate::member::{Availabilities, Effect, Event, Input, Member, View};
use crate::message::{Envelope, MAX_DATAGRAM_BYTES};
use crate::record::Own;
use crate::settings::Settings;
use crate::time::Time;
use rand::SeedableRng as _;
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use streams::{Stream, Streams};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// Inputs that wait for the member's task.
const WAITING_INPUTS: usize = 256;
/// Events that wait for the owner; later ones are dropped.
const WAITING_EVENTS: usize = 1_024;
/// Asked of the system for datagrams that arrive together; it may give less.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
/// Datagrams that are taken in before anything else has its turn.
const MAX_AT_ONCE: usize = 64;
/// Ports that are tried when any will do and streams find the first taken.
const PORT_TRIES: u32 = 16;

/// How time passes for a member.
#[derive(Clone)]
pub struct Pace {
    now: Arc<dyn Fn() -> Time + Send + Sync>,
    speed: f64,
}

impl std::fmt::Debug for Pace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} times the wall's pace", self.speed)
    }
}

impl Pace {
    /// The wall's time when this is called, and from then on `speed` seconds in each real one, by a clock that never
    /// jumps.
    pub fn from_now(speed: f64) -> Self {
        let (began, start) = (Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
        let now = move || Time::default() + start + began.elapsed().mul_f64(speed);
        Self { now: Arc::new(now), speed }
    }

    /// By a clock of the caller's, of which `speed` seconds pass in each real one. It must never go back.
    pub fn by(now: Arc<dyn Fn() -> Time + Send + Sync>, speed: f64) -> Self {
        Self { now, speed }
    }

    /// Now.
    pub fn now(&self) -> Time {
        (self.now)()
    }

    /// Seconds that pass for the member in each real one.
    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// How long on the wall until then; an hour at most.
    pub fn until(&self, at: Time) -> Duration {
        at.since(self.now()).div_f64(self.speed.max(f64::MIN_POSITIVE)).min(Duration::from_secs(3600))
    }
}

/// What a member on real sockets needs.
#[derive(Debug)]
pub struct Start {
    /// How it behaves. Port 0 in the address stands for the one that it listens on.
    pub settings: Settings,
    /// Who it is.
    pub identity: Identity,
    /// What its first record says.
    pub own: Own,
    /// Where it listens. Port 0: any that is free.
    pub listen: SocketAddr,
    /// `HOST:PORT` of others, beside those that [`Input::Seeds`] tells. Names are resolved again and again.
    pub seeds: Vec<String>,
    /// How time passes.
    pub pace: Pace,
    /// What was saved of nodes' availability.
    pub saved: Option<Availabilities>,
    /// All chance comes from it: another for each start.
    pub seed: u64,
}

/// Why a member did not start. Nothing was left behind.
#[derive(Debug, Error)]
pub enum StartError {
    /// Another program, or another agent, listens there.
    #[error("{address} is in use already, by another agent or program; choose another port")]
    InUse {
        /// Where.
        address: SocketAddr,
    },
    /// The address is none of this machine's, or may not be used.
    #[error("cannot listen on {address}: is it an address of this machine, and may this user listen there?")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// What the owner is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    /// By the member.
    Event(Event),
    /// A seed's name does not resolve. It is tried again; told again only after it did.
    Unresolved {
        /// As it was given.
        seed: String,
        /// What the system said.
        problem: String,
    },
    /// Datagrams of this size do not pass, or no way leads there. Told once for each kind of problem.
    NotSent {
        /// Where to.
        to: SocketAddr,
        /// How long.
        bytes: usize,
        /// What the system said.
        problem: io::ErrorKind,
    },
}

/// A member that runs. It stops when this is dropped.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// Which node it is.
    pub node: NodeId,
    inputs: mpsc::Sender<Command>,
    view: watch::Receiver<Arc<View>>,
    events: Option<mpsc::Receiver<Told>>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
enum Command {
    Input(Input),
    /// Where the seeds are that were named at the start.
    Resolved(Vec<SocketAddr>),
    Save(oneshot::Sender<Option<Availabilities>>),
    Stop,
}

impl Running {
    /// Tells the member something. False if it does not run any more, or takes nothing in for now: then it was not
    /// told.
    pub fn tell(&self, input: Input) -> bool {
        self.inputs.try_send(Command::Input(input)).is_ok()
    }

    /// What it sees, at the latest interval.
    pub fn view(&self) -> watch::Receiver<Arc<View>> {
        self.view.clone()
    }

    /// What it tells, from the start on; once.
    pub fn events(&mut self) -> Option<mpsc::Receiver<Told>> {
        self.events.take()
    }

    /// What to save of nodes' availability.
    pub async fn availabilities(&self) -> Option<Availabilities> {
        let (answer, answered) = oneshot::channel();
        self.inputs.send(Command::Save(answer)).await.ok()?;
        answered.await.ok().flatten()
    }

    /// Leaves the network, so that nobody takes the silence for a failure, and ends after `grace`.
    pub async fn leave(self, grace: Duration) {
        if self.inputs.send(Command::Input(Input::Leave)).await.is_ok() {
            tokio::time::sleep(grace).await;
        }
        self.stop().await;
    }

    /// Ends without a word.
    pub async fn stop(mut self) {
        // If nobody takes it, the task has ended.
        if self.inputs.send(Command::Stop).await.is_ok()
            && let Err(error) = (&mut self.task).await
        {
            tracing::error!(%error, node = self.node.0, "the member's task failed");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts a member. Within a tokio runtime.
pub fn start(start: Start) -> Result<Running, StartError> {
    let (socket, listener, address) = listen(start.listen)?;
    let mut settings = start.settings;
    if settings.address.port() == 0 {
        settings.address.set_port(address.port());
    }
    let (inputs, commands) = mpsc::channel(WAITING_INPUTS);
    let (told, events) = mpsc::channel(WAITING_EVENTS);
    let mut rng = crate::Rng::seed_from_u64(start.seed);
    let now = start.pace.now();
    let (interval, node, network) = (settings.interval, start.identity.node, settings.network);
    let mut member = Member::new(settings, start.identity, start.own, now, &mut rng);
    if let Some(saved) = start.saved {
        member.restore(saved, now);
    }
    let (shown, view) = watch::channel(Arc::new(member.view(now)));
    seeds::watch(start.seeds, inputs.downgrade(), told.clone());
    let shell = Shell {
        member,
        rng,
        pace: start.pace,
        socket,
        listener,
        streams: Streams::new(network),
        open: BTreeMap::new(),
        told,
        shown,
        show_each: interval,
        next_show: now,
        not_sent: Vec::new(),
        resolved: Vec::new(),
        seeds: Arc::from([]),
    };
    let task = tokio::spawn(shell.run(commands));
    Ok(Running { address, node, inputs, view, events: Some(events), task })
}

fn listen(wanted: SocketAddr) -> Result<(UdpSocket, TcpListener, SocketAddr), StartError> {
    let mut tries = if wanted.port() == 0 { PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        match listen_once(wanted) {
            Err(StartError::InUse { .. }) if tries > 0 => {}
            result => return result,
        }
    }
}

fn listen_once(wanted: SocketAddr) -> Result<(UdpSocket, TcpListener, SocketAddr), StartError> {
    let at = |address: SocketAddr| {
        move |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => StartError::InUse { address },
            _ => StartError::Listen { address, source },
        }
    };
    let datagrams = || -> io::Result<UdpSocket> {
        let socket = Socket::new(Domain::for_address(wanted), Type::DGRAM, Some(Protocol::UDP))?;
        // More room is better, and less is no reason not to start.
        if let Err(error) = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES) {
            tracing::debug!(%error, "a small receive buffer");
        }
        socket.set_nonblocking(true)?;
        socket.bind(&wanted.into())?;
        UdpSocket::from_std(socket.into())
    };
    let socket = datagrams().map_err(at(wanted))?;
    let address = socket.local_addr().map_err(at(wanted))?;
    let streams = || -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // So that an agent that was ended can start again at once.
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(64)?;
        TcpListener::from_std(socket.into())
    };
    let listener = streams().map_err(at(address))?;
    Ok((socket, listener, address))
}

/// The member's task.
struct Shell {
    member: Member,
    rng: crate::Rng,
    pace: Pace,
    socket: UdpSocket,
    listener: TcpListener,
    streams: Streams,
    /// Streams that wait for an answer of the member.
    open: BTreeMap<u64, TcpStream>,
    told: mpsc::Sender<Told>,
    shown: watch::Sender<Arc<View>>,
    show_each: Duration,
    next_show: Time,
    not_sent: Vec<io::ErrorKind>,
    /// Of the seeds that were named at the start.
    resolved: Vec<SocketAddr>,
    /// Those that the owner tells.
    seeds: Arc<[SocketAddr]>,
}

impl Shell {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut buffer = vec![0; MAX_DATAGRAM_BYTES + 1];
        loop {
            let wait = self.pace.until(self.member.wake_at().min(self.next_show));
            tokio::select! {
                received = self.socket.readable() => match received {
                    Ok(()) => self.datagrams(&mut buffer),
                    Err(error) => tracing::debug!(%error, "datagrams"),
                },
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => self.streams.accepted(stream),
                    // Too many open files, for example: others are served when there are less.
                    Err(error) => {
                        tracing::warn!(%error, "streams are not accepted");
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                },
                Some(stream) = self.streams.next() => self.stream(stream),
                command = commands.recv() => match command {
                    Some(Command::Input(Input::Seeds(seeds))) => {
                        self.seeds = seeds;
                        self.all_seeds();
                    }
                    Some(Command::Input(input)) => self.handle(input),
                    Some(Command::Resolved(addresses)) => {
                        self.resolved = addresses;
                        self.all_seeds();
                    }
                    Some(Command::Save(answer)) => {
                        let now = self.pace.now();
                        // Who asked may be gone.
                        answer.send(self.member.availabilities(now)).unwrap_or_default();
                    }
                    Some(Command::Stop) | None => return,
                },
                () = tokio::time::sleep(wait) => {}
            }
            let now = self.pace.now();
            if now >= self.member.wake_at() {
                self.handle(Input::Tick);
            }
            if now >= self.next_show {
                self.next_show = now + self.show_each;
                self.shown.send_replace(Arc::new(self.member.view(now)));
            }
        }
    }

    fn all_seeds(&mut self) {
        let seeds: Vec<SocketAddr> = self.resolved.iter().chain(self.seeds.iter()).copied().collect();
        self.handle(Input::Seeds(seeds.into()));
    }

    fn datagrams(&mut self, buffer: &mut [u8]) {
        for _ in 0..MAX_AT_ONCE {
            match self.socket.try_recv_from(buffer) {
                Ok((bytes, from)) => self.handle(Input::Datagram { from, bytes: buffer[..bytes].to_vec() }),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // Of an earlier datagram of ours that nobody received.
                Err(error) => tracing::debug!(%error, "a datagram was not received"),
            }
        }
    }

    fn stream(&mut self, stream: Stream) {
        match stream {
            Stream::Opened { number, stream, envelope } => {
                self.open.insert(number, stream);
                self.handle(Input::StreamOpened { stream: number, envelope });
                self.open.remove(&number);
            }
            Stream::Answered { from, envelope } => self.handle(Input::Received { from, envelope }),
        }
    }

    fn handle(&mut self, input: Input) {
        let effects = self.member.handle(input, self.pace.now(), &mut self.rng);
        for effect in effects {
            match effect {
                Effect::Send { to, envelope } => self.send(to, &envelope),
                Effect::Stream { to, envelope } => self.streams.open(to, &envelope),
                Effect::Reply { stream, envelopes } => {
                    if let Some(stream) = self.open.remove(&stream) {
                        self.streams.answer(stream, &envelopes);
                    }
                }
                Effect::Tell(event) => self.tell(Told::Event(event)),
            }
        }
    }

    fn send(&mut self, to: SocketAddr, envelope: &Envelope) {
        let bytes = envelope.encode(self.streams.network());
        match self.socket.try_send_to(&bytes, to) {
            Ok(_) => {}
            // Lost, as others are on their way.
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionRefused) => {}
            Err(error) => {
                let problem = error.kind();
                if !self.not_sent.contains(&problem) {
                    self.not_sent.push(problem);
                    self.tell(Told::NotSent { to, bytes: bytes.len(), problem });
                }
            }
        }
    }

    fn tell(&self, told: Told) {
        if let Err(mpsc::error::TrySendError::Full(told)) = self.told.try_send(told) {
            tracing::debug!(?told, "nobody takes what the member tells");
        }
    }
}
