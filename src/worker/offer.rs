//! What of a machine there is for tasks: as configured, or all of it.

use super::Runners;
use agent_batch::cores::Cores;
use agent_core::config::settings::{Share, WorkerSettings};
use agent_runner::RunnerError;

/// Of the machine's memory, what is left to its system and the agent where nobody says how much there is for tasks \[parts\].
const KEPT_BACK: u64 = 8;

#[derive(Clone, PartialEq, Debug)]
pub struct Offer {
    pub cores: Cores,
    pub memory: u64,
    /// What a user should know of it.
    pub remarks: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum OfferError {
    #[error("`[worker] cores` names cores {missing}, which this machine does not have for tasks; it has {present}")]
    NoSuchCores { missing: Cores, present: Cores },
    #[error("`[worker] memory` is {wanted} bytes, and this machine has {present}")]
    NoSuchMemory { wanted: u64, present: u64 },
    #[error("no runner can start anything here")]
    NoRunner,
}

/// What these settings offer of this machine. Runners that can start nothing here are left out of `runners`, with a remark.
pub async fn offer(settings: &WorkerSettings, runners: &mut Runners) -> Result<Offer, OfferError> {
    let (mut remarks, mut found) = (Vec::new(), Vec::new());
    let mut unable = Vec::new();
    for (kind, runner) in runners.iter() {
        match runner.examine().await {
            Ok(abilities) => {
                remarks.extend(abilities.remarks.iter().map(|remark| format!("runner `{kind}`: {remark}")));
                found.push(abilities);
            }
            Err(error) => {
                unable.push(*kind);
                remarks.push(without(*kind, &error));
            }
        }
    }
    unable.iter().for_each(|kind| _ = runners.remove(kind));
    let first = found.first().ok_or(OfferError::NoRunner)?;
    let present: Cores = first.cores.iter().copied().collect();
    let memory = first.memory_bytes;
    let cores = match &settings.cores {
        Some(cores) => cores.iter().copied().collect::<Cores>(),
        None => share(&present, settings.share),
    };
    if !cores.is_subset(&present) {
        let mut missing = cores;
        missing.remove(&present);
        return Err(OfferError::NoSuchCores { missing, present });
    }
    match settings.memory_bytes {
        Some(wanted) if wanted > memory => Err(OfferError::NoSuchMemory { wanted, present: memory }),
        Some(wanted) => Ok(Offer { cores, memory: wanted, remarks }),
        None => {
            let parts = u64::try_from(settings.share.of).unwrap_or(1).max(1);
            Ok(Offer { cores, memory: (memory - memory / KEPT_BACK) / parts, remarks })
        }
    }
}

/// Every so-manieth core; all of them where there are fewer than agents, who have to share them then.
fn share(present: &Cores, Share { index, of }: Share) -> Cores {
    let own: Cores = present.iter().enumerate().filter(|(at, _)| at % of == index).map(|(_, core)| core).collect();
    if present.len() < of { present.clone() } else { own }
}

fn without(kind: agent_batch::job::RunnerKind, error: &RunnerError) -> String {
    format!("runner `{kind}`: {error}; tasks that need it go to other nodes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_of_one_process_share_the_cores() {
        let present: Cores = "0-4".parse().unwrap();
        let shares =
            |of: usize| (0..of).map(|index| share(&present, Share { index, of }).to_string()).collect::<Vec<_>>();
        assert_eq!(shares(1), ["0-4"]);
        assert_eq!(shares(3), ["0,3", "1,4", "2"]);
        assert_eq!(shares(6), ["0-4"; 6], "there are too few");
    }
}
