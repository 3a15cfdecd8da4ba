//! The network interfaces of this machine, and which of them can multicast.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

/// Where the kernel lists them.
const LISTED: &str = "/sys/class/net";
/// Of the flags of an interface (`linux/if.h`).
const UP: u32 = 0x1;
const LOOPBACK: u32 = 0x8;
const MULTICAST: u32 = 0x1000;

/// An interface that is up and can multicast.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    pub name: String,
    pub index: u32,
}

/// Why there is no such interface, and which there are.
#[derive(Debug, thiserror::Error)]
pub enum InterfaceError {
    #[error("there is no network interface `{name}` on this machine; name one of {there} with -i")]
    Unknown { name: String, there: Usable },
    #[error("the network interface `{name}` is down; set it up, or name one of {there} with -i")]
    Down { name: String, there: Usable },
    #[error("the network interface `{name}` cannot multicast; name one of {there} with -i")]
    NoMulticast { name: String, there: Usable },
    #[error("the network interfaces of this machine cannot be listed in {LISTED}; leave -i away")]
    Unlisted(#[source] io::Error),
}

/// The names of those that can be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Usable(Vec<String>);

impl fmt::Display for Usable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.is_empty() {
            true => f.write_str("(none is up and can multicast)"),
            false => f.write_str(&self.0.join(", ")),
        }
    }
}

impl Interface {
    /// The one of this name.
    pub fn find(name: &str) -> Result<Self, InterfaceError> {
        find_in(Path::new(LISTED), name)
    }

    /// Those that could be named instead.
    pub fn usable() -> Usable {
        listed(Path::new(LISTED)).map_or_else(|_| Usable(Vec::new()), |all| usable(&all))
    }
}

struct Listed {
    name: String,
    index: u32,
    flags: u32,
}

impl Listed {
    fn is_up(&self) -> bool {
        self.flags & UP != 0
    }

    /// The loopback does not say so, and can nevertheless.
    fn can_multicast(&self) -> bool {
        self.flags & (MULTICAST | LOOPBACK) != 0
    }
}

fn find_in(folder: &Path, name: &str) -> Result<Interface, InterfaceError> {
    let all = listed(folder).map_err(InterfaceError::Unlisted)?;
    let (name, there) = (name.to_owned(), usable(&all));
    match all.iter().find(|listed| listed.name == name) {
        None => Err(InterfaceError::Unknown { name, there }),
        Some(found) if !found.can_multicast() => Err(InterfaceError::NoMulticast { name, there }),
        Some(found) if !found.is_up() => Err(InterfaceError::Down { name, there }),
        Some(found) => Ok(Interface { name, index: found.index }),
    }
}

fn usable(all: &[Listed]) -> Usable {
    let usable = all.iter().filter(|listed| listed.is_up() && listed.can_multicast());
    Usable(usable.map(|listed| listed.name.clone()).collect())
}

/// By name. What is no interface, or has gone while it was read, is not among them.
fn listed(folder: &Path) -> io::Result<Vec<Listed>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let read = |what: &str| fs::read_to_string(entry.path().join(what)).ok();
        let index = read("ifindex").and_then(|text| text.trim().parse().ok());
        let flags = read("flags").and_then(|text| u32::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok());
        if let (Ok(name), Some(index), Some(flags)) = (entry.file_name().into_string(), index, flags) {
            all.push(Listed { name, index, flags });
        }
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(interfaces: &[(&str, u32, u32)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, index, flags) in interfaces {
            let interface = folder.path().join(name);
            fs::create_dir(&interface).expect("a folder");
            fs::write(interface.join("ifindex"), format!("{index}\n")).expect("a file");
            fs::write(interface.join("flags"), format!("{flags:#x}\n")).expect("a file");
        }
        fs::write(folder.path().join("bonding_masters"), "").expect("a file");
        folder
    }

    #[test]
    fn an_interface_is_found_or_those_that_there_are_are_named() {
        let machine = machine(&[("lo", 1, 0x9), ("eth0", 4, 0x1003), ("eth1", 5, 0x1002), ("tun0", 6, 0x91)]);
        let check = |name: &str, expected: Result<u32, &str>| {
            let found = find_in(machine.path(), name).map(|interface| interface.index);
            assert_eq!(found.map_err(|error| error.to_string()), expected.map_err(str::to_owned));
        };
        check("lo", Ok(1));
        check("eth0", Ok(4));
        check("eth1", Err("the network interface `eth1` is down; set it up, or name one of eth0, lo with -i"));
        check("tun0", Err("the network interface `tun0` cannot multicast; name one of eth0, lo with -i"));
        let unknown = "there is no network interface `../lo` on this machine; name one of eth0, lo with -i";
        check("../lo", Err(unknown));
    }

    #[test]
    fn a_machine_without_a_list_says_so() {
        let error = find_in(Path::new("/not/there"), "lo").expect_err("no list").to_string();
        assert_eq!(error, "the network interfaces of this machine cannot be listed in /sys/class/net; leave -i away");
        let nothing = machine(&[]);
        let error = find_in(nothing.path(), "lo").expect_err("no interface").to_string();
        assert!(error.contains("(none is up and can multicast)"), "{error}");
    }
}
