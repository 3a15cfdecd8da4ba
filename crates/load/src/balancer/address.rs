//! `HOST:PORT`, as a record and a file name a host.

use agent_core::config::Invalid;
use std::net::{IpAddr, Ipv6Addr};

/// The longest name of a host \[bytes\], by RFC 1035.
const NAME_MAX: usize = 253;

/// An address taken apart. Whether the host can be found shows when it is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Address<'a> {
    /// A name or an IP address; of version 6 without its brackets.
    pub host: &'a str,
    /// From 1.
    pub port: u16,
}

impl<'a> Address<'a> {
    pub fn parse(text: &'a str) -> Result<Self, Invalid> {
        let parts = text.rsplit_once(':').and_then(|(host, port)| {
            let bare = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
                Some(bare) => bare.parse::<Ipv6Addr>().is_ok().then_some(bare),
                None => is_name(host).then_some(host),
            };
            // `parse` alone would also take `+80`.
            let port = port.parse().ok().filter(|number| *number > 0 && port.bytes().all(|byte| byte.is_ascii_digit()));
            bare.zip(port)
        });
        let (host, port) = parts.ok_or_else(|| {
            let help = "write it like `127.0.0.1:8080`, `[::1]:8080` or `shop.example.org:80`";
            Invalid::new(format!("`{}` is no address of a host", text.escape_debug()), help)
        })?;
        Ok(Self { host, port })
    }

    /// Whether requests to it stay on this machine: `127.0.0.0/8`, `::1`, `localhost`. Any other name may mean another machine,
    /// whatever it looks like, so it does not count.
    pub fn is_loopback(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
    }
}

fn is_name(host: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    (1..=NAME_MAX).contains(&host.len()) && host.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_and_a_port() {
        let check = |text: &str, host, port| assert_eq!(Address::parse(text), Ok(Address { host, port }));
        check("127.0.0.1:8080", "127.0.0.1", 8080);
        check("[::1]:80", "::1", 80);
        check("node-1.example_org:65535", "node-1.example_org", 65535);
        for wrong in
            ["", "a", ":80", "a:", "a:0", "a:+80", "a:65536", "::1:80", "[::1]", "[a]:80", "a b:80", "é:80", "u@h:80"]
        {
            let invalid = Address::parse(wrong).unwrap_err();
            assert_eq!(invalid.problem, format!("`{wrong}` is no address of a host"));
        }
    }

    #[test]
    fn only_what_cannot_leave_the_machine_is_loopback() {
        let is_loopback = |text| Address::parse(text).unwrap().is_loopback();
        for inside in ["127.0.0.1:1", "127.255.0.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "localhost:1", "LocalHost:1"]
        {
            assert!(is_loopback(inside), "{inside}");
        }
        for outside in [
            "127.0.0.1.example.org:1",
            "localhost.example.org:1",
            "127.1:1",
            "0.0.0.0:1",
            "128.0.0.1:1",
            "10.0.0.1:1",
            "[::]:1",
            "[::ffff:10.0.0.1]:1",
            "node-1:1",
        ] {
            assert!(!is_loopback(outside), "{outside}");
        }
    }
}
