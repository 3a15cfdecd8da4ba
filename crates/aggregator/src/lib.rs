//! Two small text protocols over UDP, for a network of machines that only want their CPU, memory and disk seen.
//!
//! * **MDSMP**: a node sends `cpu{value=30.00, host=Node_1}` to its metric's multicast group, and waits for nothing
//!   ([`mdsmp`], [`Emitter`]).
//! * **UDSMP**: a reader asks an aggregator `GET_EMITTERS` or `GET_EMITTER Node_1` ([`udsmp`], [`Reader`], [`menu`]).
//!
//! The [`Aggregator`] is a machine without sockets and without a clock; [`AggregatorService`] is its shell. What it holds is
//! also a [`View`]: for HTTP (JSON and Prometheus' text), and as labels. `docs/monitoring-protocols.md` has both protocols to
//! the byte.

mod aggregator;
mod emitter;
mod exposition;
mod host_name;
mod http;
mod interface;
pub mod mdsmp;
pub mod menu;
mod reader;
mod service;
mod sockets;
pub mod udsmp;
mod value;
mod view;

pub use aggregator::{Aggregator, EMITTERS_MAX, EXPIRE_AFTER, EXTRA_DATAGRAMS_PER_S, HISTORY_MAX, Policy};
pub use emitter::{Emission, Emitter};
pub use host_name::{HOST_MAX_BYTES, HostName, NotAHostName};
pub use interface::{Interface, InterfaceError};
pub use reader::{ANSWER_WITHIN, Answer, Collector, Progress, Reader, Unanswered};
pub use service::{AggregatorService, Settings};
pub use sockets::SocketError;
pub use value::{NotAValue, Value};
pub use view::{Counts, EmitterView, Measured, View};
