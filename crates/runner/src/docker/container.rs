//! A task in an engine's words, and back.

use crate::limits::{Asked, cores_of};
use crate::{Ended, Launch, Limit, Limits, Mechanism, Port, Protocol, RunnerError, Volume, cores_text};
use bollard::models::{ContainerCreateBody, ContainerState, ContainerUpdateBody, HostConfig, HostConfigLogConfig};
use bollard::models::{Mount, MountType, PortBinding, PortMap, SystemInfo};
use std::collections::HashMap;

/// Names a task to those who look for what was left.
pub(super) const LABEL: &str = "agent.task";

/// Where a container has its directory.
const DIRECTORY: &str = "/work";

pub(super) const NO_CORES: &str = "the engine cannot pin containers to cores here";
pub(super) const NO_MEMORY: &str = "the engine cannot limit containers' memory here";
pub(super) const NO_PIDS: &str = "the engine cannot limit containers' processes here";

/// An exit code above it is by convention of a program that was killed by a signal: the engine says no more.
const SIGNALLED: i64 = 128;
const LAST_SIGNAL: i64 = 64;

pub(super) fn check(launch: &Launch) -> Result<(), RunnerError> {
    match launch.volumes.iter().find(|volume| !volume.target.starts_with('/') || volume.source.is_empty()) {
        Some(Volume { source, target, .. }) => {
            Err(launch
                .refused(format!("volume `{source}` at `{target}`: it has a source, and its target begins with /")))
        }
        None => Ok(()),
    }
}

pub(super) fn body(launch: &Launch, image: &str) -> ContainerCreateBody {
    let command = launch.command.clone();
    let directory = Volume { source: path(&launch.directory), target: DIRECTORY.to_owned(), read_only: false };
    let mounts = [&directory].into_iter().chain(&launch.volumes).map(mount).collect();
    let (exposed_ports, port_bindings) = ports(&launch.ports);
    let host_config = HostConfig {
        cpuset_cpus: (!launch.cores.is_empty()).then(|| cores_text(&launch.cores)),
        memory: launch.memory_bytes.map(signed),
        // As much of both together: none of it in swap.
        memory_swap: launch.memory_bytes.map(signed),
        pids_limit: launch.pids.map(i64::from),
        mounts: Some(mounts),
        port_bindings: Some(port_bindings),
        network_mode: launch.network.clone(),
        // The output is followed from the start; kept by the engine, too, it would grow without end.
        log_config: Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
        ..HostConfig::default()
    };
    ContainerCreateBody {
        image: Some(image.to_owned()),
        cmd: (!command.is_empty()).then_some(command),
        env: Some(launch.environment.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        labels: Some(HashMap::from([(LABEL.to_owned(), launch.name.clone())])),
        working_dir: Some(DIRECTORY.to_owned()),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        exposed_ports: Some(exposed_ports),
        host_config: Some(host_config),
        ..ContainerCreateBody::default()
    }
}

pub(super) fn update(cores: &[u32], memory_bytes: Option<u64>) -> ContainerUpdateBody {
    ContainerUpdateBody {
        cpuset_cpus: (!cores.is_empty()).then(|| cores_text(cores)),
        memory: memory_bytes.map(signed),
        memory_swap: memory_bytes.map(signed),
        ..ContainerUpdateBody::default()
    }
}

/// What an engine says of a container: in general, when it made it, and now.
pub(super) fn limits(asked: &Asked, info: &SystemInfo, warnings: &[String], says: &HostConfig) -> Limits {
    let set = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok()).filter(|number| *number > 0);
    // An engine may keep what it was asked for and yet not do it.
    let able = |is_able: Option<bool>, word| is_able != Some(false) && !warnings.iter().any(|text| ignores(text, word));
    let cores = says.cpuset_cpus.as_deref().and_then(cores_of).filter(|cores| !cores.is_empty());
    let pids = set(says.pids_limit).and_then(|pids| u32::try_from(pids).ok());
    Limits {
        cores: Limit::judged_cores(&asked.cores, cores.filter(|_| able(info.cpu_set, "cpuset")), NO_CORES),
        memory_bytes: Limit::judged(
            asked.memory_bytes,
            set(says.memory).filter(|_| able(info.memory_limit, "memory limit")),
            NO_MEMORY,
        ),
        pids: Limit::judged(asked.pids, pids.filter(|_| able(info.pids_limit, "pids")), NO_PIDS),
        by: Mechanism::Docker,
    }
}

/// Whether a warning says that this is not done: Docker discards one, Podman without root may ignore all.
fn ignores(warning: &str, limit: &str) -> bool {
    let warning = warning.to_ascii_lowercase();
    (warning.contains(limit) && warning.contains("discarded")) || warning.contains("resource limits are not supported")
}

pub(super) fn ended(state: &ContainerState) -> Ended {
    let ended = match state.exit_code {
        Some(code) if code > SIGNALLED && code <= SIGNALLED + LAST_SIGNAL => {
            i32::try_from(code - SIGNALLED).ok().map(|signal| Ended::Killed { signal })
        }
        Some(code) => i32::try_from(code).ok().map(Ended::Exited),
        None => None,
    };
    let ended = ended.unwrap_or_else(|| Ended::Vanished { reason: "the engine says no exit code".to_owned() });
    ended.judged(state.oom_killed == Some(true))
}

/// Those of the host that were bound, with those that the engine chose.
pub(super) fn bound_ports(asked: &[Port], bound: &PortMap) -> Vec<Port> {
    let host = |port: &Port| {
        let bindings = bound.get(&port_name(port))?.as_ref()?;
        bindings.iter().find_map(|binding| binding.host_port.as_ref()?.parse().ok())
    };
    asked.iter().map(|port| Port { host: host(port), ..port.clone() }).collect()
}

fn ports(ports: &[Port]) -> (Vec<String>, PortMap) {
    let binding = |port: &Port| PortBinding { host_ip: None, host_port: port.host.map(|host| host.to_string()) };
    let bindings = ports.iter().map(|port| (port_name(port), Some(vec![binding(port)])));
    (ports.iter().map(port_name).collect(), bindings.collect())
}

fn port_name(port: &Port) -> String {
    let protocol = match port.protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    };
    format!("{}/{protocol}", port.container)
}

fn mount(volume: &Volume) -> Mount {
    let is_path = volume.source.starts_with('/');
    Mount {
        typ: Some(if is_path { MountType::BIND } else { MountType::VOLUME }),
        source: Some(volume.source.clone()),
        target: Some(volume.target.clone()),
        read_only: Some(volume.read_only),
        ..Mount::default()
    }
}

fn path(path: &std::path::Path) -> String {
    path.display().to_string()
}

/// No machine has more.
fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: fn() -> Asked = || Asked { cores: vec![1], memory_bytes: Some(4096), pids: Some(7) };

    fn says() -> HostConfig {
        let (cores, memory, pids) = (Some("1".to_owned()), Some(4096), Some(7));
        HostConfig { cpuset_cpus: cores, memory, pids_limit: pids, ..HostConfig::default() }
    }

    #[test]
    fn what_the_engine_says_holds() {
        let found = limits(&ASKED(), &SystemInfo::default(), &[], &says());
        assert_eq!(found.cores, Limit::Holds(vec![1]));
        assert_eq!((found.memory_bytes, found.pids), (Limit::Holds(4096), Limit::Holds(7)));
    }

    #[test]
    fn what_it_leaves_out_or_cannot_do_is_unlimited() {
        let left_out = HostConfig { cpuset_cpus: Some(String::new()), memory: Some(0), ..HostConfig::default() };
        let able = SystemInfo::default();
        let unable = SystemInfo {
            cpu_set: Some(false),
            memory_limit: Some(false),
            pids_limit: Some(false),
            ..SystemInfo::default()
        };
        let rootless = ["Resource limits are not supported and ignored on cgroups V1 rootless systems".to_owned()];
        let discarded = [
            "Your kernel does not support cpuset or the cgroup is not mounted. Cpuset discarded.",
            "Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded.",
            "Your kernel does not support PIDs limit capabilities or the cgroup is not mounted. PIDs limit discarded.",
        ];
        for found in [
            limits(&ASKED(), &able, &[], &left_out),
            limits(&ASKED(), &unable, &[], &says()),
            limits(&ASKED(), &able, &rootless, &says()),
            limits(&ASKED(), &able, &discarded.map(str::to_owned), &says()),
        ] {
            assert_eq!(found.cores, Limit::Unlimited { reason: NO_CORES.to_owned() });
            assert_eq!(found.memory_bytes, Limit::Unlimited { reason: NO_MEMORY.to_owned() });
            assert_eq!(found.pids, Limit::Unlimited { reason: NO_PIDS.to_owned() });
        }
        let no_swap = ["Your kernel does not support swap limit capabilities. Memory limited without swap.".to_owned()];
        assert_eq!(limits(&ASKED(), &able, &no_swap, &says()).memory_bytes, Limit::Holds(4096));
    }

    #[test]
    fn how_it_ended_is_read_from_its_code() {
        let check = |exit_code, oom_killed, expected| {
            let state = ContainerState { exit_code, oom_killed: Some(oom_killed), ..ContainerState::default() };
            assert_eq!(ended(&state), expected);
        };
        check(Some(0), false, Ended::Exited(0));
        check(Some(128), false, Ended::Exited(128));
        check(Some(137), false, Ended::Killed { signal: 9 });
        check(Some(255), false, Ended::Exited(255));
        check(Some(137), true, Ended::OutOfMemory);
        check(Some(0), true, Ended::Exited(0));
    }

    #[test]
    fn ports_that_the_engine_chose_are_read_back() {
        let asked = [Port { container: 80, host: None, protocol: Protocol::Tcp }];
        let bound = |port: &str| PortBinding { host_ip: None, host_port: Some(port.to_owned()) };
        let says = PortMap::from([("80/tcp".to_owned(), Some(vec![bound("49153")]))]);
        assert_eq!(bound_ports(&asked, &says)[0].host, Some(49153));
        assert_eq!(ports(&asked).0, ["80/tcp"]);
    }
}
