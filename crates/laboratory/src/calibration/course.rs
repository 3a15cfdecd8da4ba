//! What a run took until it had converged: counted by one rule, whether it was real or simulated.

use super::Record;
use agent_core::domain::action::Action;
use agent_core::domain::convergence::RecentJobs;
use agent_core::domain::event::{Event, Outcome};
use agent_core::domain::ids::AgentId;
use agent_core::domain::time::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

/// How a run went, up to the job that showed that it had converged; up to its end, when it had not.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Course {
    pub converged: bool,
    pub jobs: u64,
    pub violated: u64,
    /// Those that were granted, whatever became of them; doing nothing is none.
    pub actions: u64,
    /// Scenario time from the begin of the first job: how long starting took is the machine's affair.
    pub seconds: f64,
}

/// `None` for a run without a job.
pub fn course(record: &Record) -> Option<Course> {
    let began = record.jobs.iter().map(|(job, _)| job.began()).min()?;
    let mut agents: BTreeMap<AgentId, RecentJobs> =
        record.snapshot.agents.keys().map(|agent| (*agent, RecentJobs::default())).collect();
    let (mut jobs, mut violated, mut now) = (0, 0, began);
    let mut converged = false;
    for (job, satisfied) in &record.jobs {
        now = job.at;
        jobs += 1;
        violated += u64::from(!satisfied);
        agents.entry(job.agent).or_default().add(job.began(), *satisfied);
        let changed_at = changed_at(&record.events, now);
        if !is_acting(&record.events, now) && agents.values().all(|recent| recent.are_content(changed_at)) {
            converged = true;
            break;
        }
    }
    let actions = actions(&record.events).filter(|event| event.posted_at <= now).count();
    Some(Course { converged, jobs, violated, actions: actions as u64, seconds: now.since(began).as_secs_f64() })
}

fn actions(events: &[Event]) -> impl Iterator<Item = &Event> {
    events.iter().filter(|event| event.action != Action::Nothing)
}

/// When an action had last changed the placement.
fn changed_at(events: &[Event], now: Timestamp) -> Option<Timestamp> {
    let done = actions(events).filter(|event| event.outcome == Outcome::Done);
    done.filter_map(|event| event.ended_at).filter(|at| *at <= now).max()
}

fn is_acting(events: &[Event], now: Timestamp) -> bool {
    actions(events).any(|event| event.posted_at <= now && event.ended_at.is_none_or(|ended| ended > now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration::record::scene;

    /// Jobs as (agent, end \[s\], satisfied), 10 s each; actions as (label, posted \[s\], ended \[s\]).
    fn check(jobs: &[(u32, i64, bool)], events: &[(&str, i64, Option<i64>)], expected: (bool, u64, u64, u64, f64)) {
        let mut record = scene::record();
        record.jobs =
            jobs.iter().map(|(agent, at, satisfied)| (scene::job(*agent, 3, *at, 10.0), *satisfied)).collect();
        record.events = events.iter().map(|(label, from, to)| scene::event(label, *from, *to)).collect();
        let found = course(&record).map(|it| (it.converged, it.jobs, it.violated, it.actions, it.seconds));
        assert_eq!(found, Some(expected), "{jobs:?} {events:?}");
    }

    /// Both agents of the scene, content at the same times.
    fn content(at: &[i64]) -> Vec<(u32, i64, bool)> {
        at.iter().flat_map(|at| [(1, *at, true), (2, *at, true)]).collect()
    }

    #[test]
    fn it_ends_with_the_job_that_shows_convergence() {
        check(&content(&[20, 40]), &[], (false, 4, 0, 0, 30.0));
        check(&content(&[20, 40, 60, 80]), &[], (true, 6, 0, 0, 50.0));
        let late = [vec![(1, 15, false)], content(&[20, 40, 60]), vec![(2, 70, false)]].concat();
        check(&late, &[], (true, 7, 1, 0, 55.0));
    }

    #[test]
    fn only_jobs_on_the_present_placement_count() {
        let jobs = content(&[20, 40, 60, 80, 100]);
        check(&jobs, &[("M3_1", 15, Some(25))], (true, 8, 0, 1, 70.0));
        check(&jobs, &[("M3_1", 15, Some(25)), ("M1_2", 95, Some(99))], (true, 8, 0, 1, 70.0));
        check(&jobs, &[("M3_1", 15, None)], (false, 10, 0, 1, 90.0));
        check(&jobs, &[("NA", 15, None)], (true, 6, 0, 0, 50.0));
    }

    #[test]
    fn what_failed_changed_nothing() {
        let mut record = scene::record();
        record.jobs = content(&[20, 40, 60]).into_iter().map(|(a, at, ok)| (scene::job(a, 3, at, 10.0), ok)).collect();
        record.events = vec![Event { outcome: Outcome::Failed, ..scene::event("M3_1", 15, Some(25)) }];
        let found = course(&record).unwrap();
        assert_eq!((found.converged, found.actions, found.seconds), (true, 1, 50.0));
    }

    #[test]
    fn a_run_without_jobs_has_no_course() {
        assert_eq!(course(&scene::record()), None);
    }
}
