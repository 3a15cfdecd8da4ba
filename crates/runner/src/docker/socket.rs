//! Where the engine of this machine is.

use crate::RunnerError;
use std::path::{Path, PathBuf};

const DOCKER: &str = "/var/run/docker.sock";
const PODMAN: &str = "/run/podman/podman.sock";

/// What the environment names; else the first that is there: the system's Docker, the user's own, Podman's.
pub(super) fn find(
    variable: impl Fn(&str) -> Option<String>,
    exists: impl Fn(&Path) -> bool,
) -> Result<PathBuf, RunnerError> {
    if let Some(host) = variable("DOCKER_HOST").filter(|host| !host.is_empty()) {
        return match host.strip_prefix("unix://") {
            Some(path) => Ok(path.into()),
            None => Err(RunnerError::EngineAway {
                socket: host,
                reason: "a task runs on this machine: only sockets (unix://) are used".to_owned(),
            }),
        };
    }
    let own = variable("XDG_RUNTIME_DIR").map(PathBuf::from);
    let own = own.iter().flat_map(|folder| [folder.join("docker.sock"), folder.join("podman/podman.sock")]);
    let candidates = [PathBuf::from(DOCKER)].into_iter().chain(own).chain([PathBuf::from(PODMAN)]);
    Ok(candidates.into_iter().find(|path| exists(path)).unwrap_or_else(|| DOCKER.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: Option<&str>, there: &[&str], expected: Result<&str, &str>) {
        let variable = |name: &str| match name {
            "DOCKER_HOST" => host.map(str::to_owned),
            _ => Some("/run/user/7".to_owned()),
        };
        let found = find(variable, |path| there.iter().any(|file| Path::new(file) == path));
        match (found, expected) {
            (Ok(path), Ok(expected)) => assert_eq!(path, Path::new(expected)),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn the_environment_decides_and_then_what_is_there() {
        check(Some("unix:///run/x.sock"), &[DOCKER], Ok("/run/x.sock"));
        check(Some("tcp://10.0.0.1:2375"), &[DOCKER], Err("at tcp://10.0.0.1:2375: a task runs on this machine"));
        check(None, &[DOCKER, PODMAN], Ok(DOCKER));
        check(Some(""), &[PODMAN, "/run/user/7/podman/podman.sock"], Ok("/run/user/7/podman/podman.sock"));
        check(None, &[PODMAN], Ok(PODMAN));
        check(None, &[], Ok(DOCKER));
    }
}
