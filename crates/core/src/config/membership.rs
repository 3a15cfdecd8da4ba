//! `[membership]`: how the nodes of a network find each other and say how they are.

use super::problem::{Invalid, Problems};
use super::settings::MembershipSettings;
use super::{defaults, fragment, quantity};
use std::net::SocketAddr;

/// Peers that a node can talk to in one interval.
const FAN_OUT: std::ops::RangeInclusive<i64> = 1..=16;
/// Addresses that `join` can list.
const JOIN_MAX: usize = 100;
/// What stands for the number and the name of the node in an address.
const NODE: &str = "{node}";
const NAME: &str = "{name}";

/// What can be made of the table.
pub fn membership(written: &fragment::Membership, problems: &mut Problems) -> Option<MembershipSettings> {
    let network = quantity::name(written.network.as_deref().unwrap_or(defaults::NETWORK));
    let network = problems.check("membership.network", network);
    let listen = match problems.text(("membership", "listen"), written.listen.as_ref(), defaults::GOSSIP_LISTEN) {
        "off" => Ok(None),
        address => address.parse::<SocketAddr>().map(Some).map_err(|_| {
            let help = format!("write it like `{}` (port 0: a free one), or `off`", defaults::GOSSIP_LISTEN);
            Invalid::new(format!("`{}` is not an IP address and port", address.escape_debug()), help)
        }),
    };
    let listen = problems.check("membership.listen", listen);
    let advertise = written.advertise.as_deref().map(advertised).transpose();
    let advertise = problems.check("membership.advertise", advertise);
    let interval = problems.text(("membership", "interval"), written.interval.as_ref(), defaults::GOSSIP_INTERVAL);
    let interval = problems.check("membership.interval", quantity::positive_duration(interval));
    let fan_out = problems.number(("membership", "fan_out"), written.fan_out, defaults::FAN_OUT);
    let fan_out = problems.check("membership.fan_out", quantity::whole(fan_out, FAN_OUT));
    let window = problems.text(("membership", "window"), written.window.as_ref(), defaults::AVAILABILITY_WINDOW);
    let window = problems.check("membership.window", quantity::positive_duration(window));
    let join = problems.check("membership.join", join(written.join.as_deref().unwrap_or_default()));
    let aggregator = written.aggregator.as_deref().map(|text| address(text).map(|()| text.to_owned())).transpose();
    let aggregator = problems.check("membership.aggregator", aggregator);
    Some(MembershipSettings {
        network: network?,
        listen: listen?,
        advertise: advertise?,
        interval: interval?,
        fan_out: fan_out?,
        adapt: written.adapt.unwrap_or(false),
        join: join?,
        window: window?,
        mdsmp: written.mdsmp.unwrap_or(false),
        aggregator: aggregator?,
    })
}

/// The address that others are told, of any node: as it would be of node 1.
fn advertised(written: &str) -> Result<String, Invalid> {
    address(&written.replace(NODE, "1").replace(NAME, "node-1")).map_err(|invalid| {
        let help = format!("{}; `{NODE}` and `{NAME}` stand for the number and the name of the node", invalid.help);
        Invalid::new(format!("`{}`: {}", written.escape_debug(), invalid.problem), help)
    })?;
    Ok(written.to_owned())
}

fn join(written: &[String]) -> Result<Vec<String>, Invalid> {
    if written.len() > JOIN_MAX {
        let problem = format!("lists {} addresses", written.len());
        return Err(Invalid::new(problem, format!("{JOIN_MAX} are enough: who is found tells of all others")));
    }
    let each = |text: &String| {
        let named =
            |invalid: Invalid| Invalid::new(format!("`{}`: {}", text.escape_debug(), invalid.problem), invalid.help);
        address(text).map(|()| text.clone()).map_err(named)
    };
    written.iter().map(each).collect()
}

/// `HOST:PORT`; whether the host has an address shows when it is asked for.
pub fn address(text: &str) -> Result<(), Invalid> {
    let wrong = || Invalid::new("is no address of a node", "write it like `10.0.0.4:7946` or `node-4.example:7946`");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port: u16 = port.parse().map_err(|_| wrong())?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match bare {
        Some(numbers) => numbers.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')),
    };
    if port == 0 || !is_host || text.len() > 255 { Err(wrong()) } else { Ok(()) }
}

impl MembershipSettings {
    /// The address that others are told of a node, where one is stated.
    pub fn advertised(&self, node: crate::domain::ids::NodeId, name: &str) -> Option<String> {
        self.advertise.as_ref().map(|text| text.replace(NODE, &node.to_string()).replace(NAME, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::NodeId;
    use std::time::Duration;

    fn read(text: &str) -> Result<MembershipSettings, String> {
        let written: fragment::Membership =
            fragment::parse(text).map_err(|(place, invalid)| format!("{place}: {}", invalid.problem))?;
        let mut problems = Problems::default();
        let settings = membership(&written, &mut problems);
        problems.settle(settings).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_need_be_said() {
        let settings = read("").unwrap();
        assert_eq!(settings.listen.unwrap().to_string(), "127.0.0.1:0");
        assert_eq!((settings.interval, settings.fan_out), (Duration::from_secs(1), 3));
        assert_eq!((settings.adapt, settings.window), (false, Duration::from_secs(86_400)));
        assert_eq!(settings.advertised(NodeId(4), "plant"), None);
    }

    #[test]
    fn each_node_has_an_address_of_its_own() {
        let settings = read("advertise = \"{name}.{node}.example:7946\"").unwrap();
        assert_eq!(settings.advertised(NodeId(4), "plant").unwrap(), "plant.4.example:7946");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let check = |text: &str, expected: &str| {
            let message = read(text).unwrap_err();
            assert!(message.contains(expected), "{text}: {message}");
        };
        check("listen = \"here\"", "membership.listen: `here` is not an IP address and port");
        check("join = [\"10.0.0.4\"]", "membership.join: `10.0.0.4`: is no address of a node");
        check("join = [\"a b:7\"]", "is no address of a node");
        check("join = [\"[::1:7\"]", "is no address of a node");
        check("advertise = \"{node}:0\"", "membership.advertise: `{node}:0`: is no address of a node");
        check("fan_out = 0", "membership.fan_out");
        check("interval = \"0 s\"", "membership.interval");
        assert_eq!(read("join = [\"[::1]:7946\"]\nlisten = \"off\"").unwrap().listen, None);
    }
}
