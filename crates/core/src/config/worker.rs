//! `[worker]` of `N.toml`: what of a node's machine there is for tasks of batch jobs.

use super::problem::{Invalid, Problems};
use super::settings::{Pull, Share, TaskKind, WorkerSettings};
use super::{fragment, quantity};
use std::collections::BTreeSet;

/// `None` after noting at least one problem.
pub(super) fn validate(written: &fragment::Worker, problems: &mut Problems) -> Option<WorkerSettings> {
    let cores = written.cores.as_ref().map(|cores| problems.check("worker.cores", self::cores(cores)));
    let memory = written.memory.as_ref();
    let memory = memory.map(|memory| problems.check("worker.memory", quantity::positive_size(memory)));
    let process = || vec!["process".to_owned()];
    let runners = problems.check("worker.runners", runners(&written.runners.clone().unwrap_or_else(process)));
    let pull = problems.check("worker.pull", pull(written.pull.as_deref().unwrap_or("missing")));
    Some(WorkerSettings {
        cores: cores.map_or(Some(None), |cores| cores.map(Some))?,
        memory_bytes: memory.map_or(Some(None), |memory| memory.map(Some))?,
        runners: runners?,
        pull: pull?,
        share: Share::WHOLE,
    })
}

fn cores(written: &[u32]) -> Result<Vec<u32>, Invalid> {
    let mut seen = BTreeSet::new();
    match written.iter().find(|core| !seen.insert(**core)) {
        Some(core) => Err(Invalid::new(format!("core {core} is listed twice"), "name each core once")),
        None if written.is_empty() => Err(Invalid::new("names no core", "leave it out: then all are for tasks")),
        None => Ok(written.to_vec()),
    }
}

fn runners(written: &[String]) -> Result<Vec<TaskKind>, Invalid> {
    let help = r#"use "process", "docker" or both"#;
    let kind = |name: &String| match name.as_str() {
        "process" => Ok(TaskKind::Process),
        "docker" => Ok(TaskKind::Docker),
        other => Err(Invalid::new(format!("`{}` starts nothing", other.escape_debug()), help)),
    };
    match written.iter().map(kind).collect::<Result<Vec<_>, _>>()? {
        runners if runners.is_empty() => Err(Invalid::new("is empty", help)),
        runners => Ok(runners),
    }
}

fn pull(written: &str) -> Result<Pull, Invalid> {
    match written {
        "never" => Ok(Pull::Never),
        "missing" => Ok(Pull::Missing),
        "always" => Ok(Pull::Always),
        other => {
            let problem = format!("`{}` says nothing", other.escape_debug());
            Err(Invalid::new(problem, r#"use "never", "missing" or "always""#))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fragment::Quantity;

    fn said(written: &fragment::Worker) -> Result<WorkerSettings, String> {
        let mut problems = Problems::default();
        let settings = validate(written, &mut problems);
        problems.settle(settings).map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_table_offers_everything() {
        assert_eq!(said(&fragment::Worker::default()), Ok(WorkerSettings::of_machine(Share::WHOLE)));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let worker = || fragment::Worker::default();
        let check = |written: fragment::Worker, expected: &str| {
            assert_eq!(said(&written), Err(format!(": worker.{expected}")), "{written:?}");
        };
        let cores = |cores: &[u32]| fragment::Worker { cores: Some(cores.to_vec()), ..worker() };
        check(cores(&[0, 0]), "cores: core 0 is listed twice\n  help: name each core once");
        check(cores(&[]), "cores: names no core\n  help: leave it out: then all are for tasks");
        let memory = fragment::Worker { memory: Some(Quantity("2".to_owned())), ..worker() };
        assert!(said(&memory).unwrap_err().contains("worker.memory: `2` has no unit"));
        let runners = fragment::Worker { runners: Some(vec!["podman".to_owned()]), ..worker() };
        check(runners, "runners: `podman` starts nothing\n  help: use \"process\", \"docker\" or both");
        let pull = fragment::Worker { pull: Some("often".to_owned()), ..worker() };
        check(pull, "pull: `often` says nothing\n  help: use \"never\", \"missing\" or \"always\"");
    }
}
