//! From what Spark says about an application's jobs and stages to what an agent wants to know of it. Without I/O.

use std::time::Duration;

/// What Spark did for one application. Times are milliseconds since the Unix epoch, on the driver's clock.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Application {
    /// `local-1795885090894`
    pub id: String,
    pub jobs: Vec<SparkJobRun>,
    pub stages: Vec<StageRun>,
}

/// A job in Spark's sense: what one action (`collect`, `count`, ...) has set off.
#[derive(Clone, PartialEq, Debug)]
pub struct SparkJobRun {
    pub id: u64,
    pub submitted_ms: u64,
    pub end: JobEnd,
    /// By id.
    pub stages: Vec<u64>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum JobEnd {
    Succeeded {
        at_ms: u64,
    },
    /// With what Spark says about the job itself, where it does.
    Failed(Option<String>),
    /// The log ends before it.
    Missing,
}

/// One attempt of a stage.
#[derive(Clone, PartialEq, Debug)]
pub struct StageRun {
    pub id: u64,
    /// From its submission to its completion; absent where it was skipped, because its result was there already.
    pub ran_ms: Option<(u64, u64)>,
    pub failure: Option<String>,
    /// What its tasks read through Spark's own readers: 0 where they read by other means.
    pub input_records: u64,
    pub input_bytes: u64,
}

/// What an application comes to.
#[derive(Clone, PartialEq, Debug)]
pub struct Measured {
    /// From the first submission of a job to the last completion of one.
    pub response_time: Duration,
    /// The same of the stages that ran.
    pub execution_time: Duration,
    /// As Spark counted.
    pub input_records: u64,
    pub input_bytes: u64,
}

/// Why an application that ended has no measurement.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unmeasured {
    #[error("ran no Spark job, so Spark has measured nothing; a program without Spark is a job of kind \"command\"")]
    NoJob,
    #[error("ended well, but its Spark job {job} failed: {reason}")]
    Failed { job: u64, reason: String },
    #[error("ended well, but its Spark job {job} has no end in the event log")]
    Unfinished { job: u64 },
}

/// Whether an application succeeded is told by its jobs alone: Spark calls it completed, with exit code 0, in any case.
pub fn measure(application: &Application) -> Result<Measured, Unmeasured> {
    let ends = application.jobs.iter().map(|job| match &job.end {
        JobEnd::Succeeded { at_ms } => Ok(*at_ms),
        JobEnd::Failed(said) => Err(Unmeasured::Failed { job: job.id, reason: reason(application, job, said) }),
        JobEnd::Missing => Err(Unmeasured::Unfinished { job: job.id }),
    });
    let ends: Vec<u64> = ends.collect::<Result<_, _>>()?;
    let submitted = application.jobs.iter().map(|job| job.submitted_ms);
    let response_time = span(submitted, ends.into_iter()).ok_or(Unmeasured::NoJob)?;
    let ran = || application.stages.iter().filter_map(|stage| stage.ran_ms);
    let execution_time = span(ran().map(|(from, _)| from), ran().map(|(_, to)| to)).unwrap_or_default();
    Ok(Measured {
        response_time,
        execution_time,
        input_records: application.stages.iter().map(|stage| stage.input_records).sum(),
        input_bytes: application.stages.iter().map(|stage| stage.input_bytes).sum(),
    })
}

/// From the earliest beginning to the latest end.
fn span(from: impl Iterator<Item = u64>, to: impl Iterator<Item = u64>) -> Option<Duration> {
    Some(Duration::from_millis(to.max()?.saturating_sub(from.min()?)))
}

/// Why a job failed: what its last failed stage says, which names the exception, before what is said of the job.
fn reason(application: &Application, job: &SparkJobRun, said: &Option<String>) -> String {
    let own = application.stages.iter().filter(|stage| job.stages.contains(&stage.id));
    let failure = own.filter(|stage| stage.failure.is_some()).max_by_key(|stage| stage.id);
    let text = failure.and_then(|stage| stage.failure.as_ref()).or(said.as_ref());
    text.map_or_else(|| "Spark gives no reason".to_owned(), |text| gist(text))
}

/// An exception without its stack: the lines that are not indented, in one.
fn gist(text: &str) -> String {
    let is_said = |line: &&str| !line.starts_with(char::is_whitespace) && !line.trim().is_empty();
    let first = text.lines().next().unwrap_or_default();
    let rest = text.lines().skip(1).filter(is_said).filter(|line| *line != "Driver stacktrace:");
    [first].into_iter().chain(rest).map(str::trim).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(id: u64, submitted_ms: u64, end: JobEnd, stages: &[u64]) -> SparkJobRun {
        SparkJobRun { id, submitted_ms, end, stages: stages.to_vec() }
    }

    fn succeeded(id: u64, from: u64, at_ms: u64, stages: &[u64]) -> SparkJobRun {
        job(id, from, JobEnd::Succeeded { at_ms }, stages)
    }

    fn stage(id: u64, ran_ms: Option<(u64, u64)>) -> StageRun {
        StageRun { id, ran_ms, failure: None, input_records: 0, input_bytes: 0 }
    }

    fn failed(id: u64, why: &str) -> StageRun {
        StageRun { failure: Some(why.to_owned()), ..stage(id, Some((0, 1))) }
    }

    fn of(jobs: &[SparkJobRun], stages: &[StageRun]) -> Result<Measured, Unmeasured> {
        measure(&Application { id: "local-1".to_owned(), jobs: jobs.to_vec(), stages: stages.to_vec() })
    }

    #[test]
    fn times_reach_from_the_first_beginning_to_the_last_end() {
        // Jobs may overlap, and come in any order; a skipped stage has no times.
        let jobs = [succeeded(1, 2_000, 2_600, &[2, 3]), succeeded(0, 1_000, 2_500, &[0, 1])];
        let read = StageRun { input_records: 100, input_bytes: 438, ..stage(0, Some((1_050, 1_900))) };
        let stages = [stage(3, Some((2_100, 2_550))), stage(2, None), stage(1, Some((1_900, 2_450))), read];
        let expected = Measured {
            response_time: Duration::from_millis(1_600),
            execution_time: Duration::from_millis(1_500),
            input_records: 100,
            input_bytes: 438,
        };
        assert_eq!(of(&jobs, &stages), Ok(expected));
    }

    #[test]
    fn a_stage_that_was_tried_again_is_no_failure() {
        let stages = [failed(0, "executor lost"), stage(0, Some((10, 20)))];
        assert_eq!(of(&[succeeded(0, 0, 30, &[0])], &stages).unwrap().execution_time, Duration::from_millis(20));
    }

    #[test]
    fn a_failed_job_is_told_with_the_exception_of_its_stage() {
        let stages = [
            failed(0, "of another job"),
            failed(1, "Lost task\n  File \"a.py\", line 5\n\tat x.y\nZeroDivisionError: zero\n\nDriver stacktrace:"),
        ];
        let jobs = [succeeded(0, 0, 1, &[0]), job(1, 0, JobEnd::Failed(Some("aborted".to_owned())), &[1])];
        let reason = "Lost task ZeroDivisionError: zero".to_owned();
        assert_eq!(of(&jobs, &stages), Err(Unmeasured::Failed { job: 1, reason }));
        let cancelled = job(0, 0, JobEnd::Failed(Some("cancelled".to_owned())), &[7]);
        assert_eq!(of(&[cancelled], &[]), Err(Unmeasured::Failed { job: 0, reason: "cancelled".to_owned() }));
        let silent = of(&[job(0, 0, JobEnd::Failed(None), &[])], &[]).unwrap_err().to_string();
        assert_eq!(silent, "ended well, but its Spark job 0 failed: Spark gives no reason");
    }

    #[test]
    fn without_an_end_or_a_job_there_is_no_measurement() {
        assert_eq!(of(&[], &[]), Err(Unmeasured::NoJob));
        assert_eq!(of(&[job(3, 0, JobEnd::Missing, &[])], &[]), Err(Unmeasured::Unfinished { job: 3 }));
    }
}
