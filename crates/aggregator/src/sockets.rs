//! UDP sockets that send to multicast groups, and receive what is sent there.

use crate::interface::{Interface, InterfaceError, Usable};
use crate::mdsmp::Metric;
use rustix::net::sockopt::set_ip_multicast_if_with_ifindex;
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};

/// What may wait to be read: a burst of some thousand emitters. The kernel gives as much of it as it allows.
const RECEIVE_BUFFER_BYTES: usize = 1 << 20;

/// Why a socket cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    #[error("UDP port {port} cannot be used; stop who uses it, or choose another with {option}")]
    Port { port: u16, option: &'static str, source: io::Error },
    #[error("this machine has no default way for multicast; name one of {there} with -i")]
    NoDefaultInterface { there: Usable, source: io::Error },
    #[error("the network interface `{name}` refuses to multicast; name one of {there} with -i")]
    Refused { name: String, there: Usable, source: io::Error },
    #[error("a UDP socket cannot be made; see the limits of this process (ulimit -n)")]
    NoSocket(#[source] io::Error),
}

/// Receives what is sent to the groups of all metrics, on this interface or the kernel's choice; others on this machine may do
/// the same. Port 0: any that is free.
pub fn receiver(interface: Option<&Interface>, port: u16) -> Result<UdpSocket, SocketError> {
    let socket = udp().map_err(SocketError::NoSocket)?;
    let bound = || {
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
        // Only what comes by this interface, not by those that others on this machine have joined.
        socket.set_multicast_all_v4(false)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())
    };
    bound().map_err(|source| SocketError::Port { port, option: "-O", source })?;
    let by = match interface {
        Some(interface) => InterfaceIndexOrAddress::Index(interface.index),
        None => InterfaceIndexOrAddress::Address(Ipv4Addr::UNSPECIFIED),
    };
    for metric in Metric::ALL {
        socket.join_multicast_v4_n(&metric.group(), &by).map_err(|source| refused(interface, source))?;
    }
    Ok(socket.into())
}

/// Sends to groups by this interface or the kernel's choice, `ttl` hops far; who listens on this machine hears it too.
pub fn sender(interface: Option<&Interface>, ttl: u32) -> Result<UdpSocket, SocketError> {
    let socket = udp().map_err(SocketError::NoSocket)?;
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    socket.bind(&any.into()).map_err(SocketError::NoSocket)?;
    let prepared = || {
        socket.set_multicast_ttl_v4(ttl)?;
        socket.set_multicast_loop_v4(true)?;
        let Some(interface) = interface else { return Ok(()) };
        let unspecified = Ipv4Addr::UNSPECIFIED;
        set_ip_multicast_if_with_ifindex(&socket, &unspecified, &unspecified, interface.index)?;
        Ok(())
    };
    prepared().map_err(|source| refused(interface, source))?;
    if interface.is_none() {
        has_way(Metric::Cpu.group())?;
    }
    Ok(socket.into())
}

/// Whether the kernel knows where to send to a group: a socket that is only connected sends nothing.
fn has_way(group: Ipv4Addr) -> Result<(), SocketError> {
    let probe = udp().map_err(SocketError::NoSocket)?;
    let to = SocketAddrV4::new(group, crate::mdsmp::PORT);
    probe.connect(&to.into()).map_err(|source| refused(None, source))
}

/// Answers readers.
pub fn server(listen: SocketAddr) -> Result<UdpSocket, SocketError> {
    let bound = || {
        let socket = UdpSocket::bind(listen)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    };
    bound().map_err(|source| SocketError::Port { port: listen.port(), option: "-p", source })
}

/// For use with tokio.
fn udp() -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn refused(interface: Option<&Interface>, source: io::Error) -> SocketError {
    let there = Interface::usable();
    match interface {
        Some(interface) => SocketError::Refused { name: interface.name.clone(), there, source },
        None => SocketError::NoDefaultInterface { there, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_says_what_to_do() {
        let first = server(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let taken = first.local_addr().expect("bound");
        let error = server(taken).expect_err("taken").to_string();
        let expected = format!("UDP port {} cannot be used; stop who uses it, or choose another with -p", taken.port());
        assert_eq!(error, expected);
    }

    #[test]
    fn an_interface_that_has_gone_is_refused_and_others_are_named() {
        let gone = Interface { name: "gone0".to_owned(), index: 987_654 };
        for error in [receiver(Some(&gone), 0).expect_err("gone"), sender(Some(&gone), 1).expect_err("gone")] {
            let text = error.to_string();
            assert!(text.starts_with("the network interface `gone0` refuses to multicast; name one of "), "{text}");
        }
    }
}
