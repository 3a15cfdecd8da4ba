//! A service: nothing is run. What its users ask for through the agent's endpoint is measured, a window of time after the other.
//!
//! While nobody serves (in a training), the job is its own user: it asks for a few answers, one after the other.

use super::{DataSource, FailedFor, Job, JobError, JobReport};
use crate::storage::Content;
use crate::storage::set::SetAt;
use agent_core::domain::manifest::Extent;
use agent_core::domain::silence::fell_silent;
use async_trait::async_trait;
use futures::TryStreamExt as _;
use hdrhistogram::Histogram;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Times are kept to so many digits.
const DIGITS: u8 = 3;
/// What took longer counts as that \[us\]: an hour. With so many digits that is 200 kB.
const LONGEST_US: u64 = 3_600_000_000;
/// Requests of a training's window.
const TRAINED: u32 = 20;

/// The requests to one service, noted by whoever answers them. Times are real.
#[derive(Debug)]
pub struct Requests {
    is_served: AtomicBool,
    /// That have come and not ended.
    under_way: AtomicUsize,
    window: Mutex<Window>,
}

/// Since somebody began to look.
#[derive(Debug)]
struct Window {
    began: Instant,
    /// From a request to the end of its answer \[us\].
    times: Histogram<u64>,
    failed: u64,
    /// When the latest one ended.
    latest: Option<Instant>,
}

/// What the requests of a window came to. Times are real.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Answered {
    pub answered: u64,
    /// Not answered, or not to the end.
    pub failed: u64,
    /// How long the window was.
    pub within: Duration,
    pub mean: Duration,
    /// What 95 and 99 of 100 answers did not exceed.
    pub p95: Duration,
    pub p99: Duration,
    /// At the window's end nobody asked any more.
    pub fell_silent: bool,
}

impl Default for Requests {
    fn default() -> Self {
        Self { is_served: AtomicBool::new(false), under_way: AtomicUsize::new(0), window: Mutex::new(Window::new()) }
    }
}

impl Requests {
    /// From now on somebody answers, and notes each request.
    pub fn serve(&self) {
        self.is_served.store(true, Ordering::Relaxed);
    }

    /// One has come.
    pub fn begun(&self) {
        self.under_way.fetch_add(1, Ordering::Relaxed);
    }

    /// It is under way no more, whether it counts or not.
    pub fn over(&self) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }

    /// One has ended, and counts.
    pub fn note(&self, took: Duration, is_answered: bool) {
        self.window().note(took, is_answered);
    }

    /// A window begins.
    fn begin(&self) {
        *self.window() = Window::new();
    }

    fn answered(&self) -> Answered {
        let answered = self.window().answered();
        // Who waits for an answer is awake.
        let nobody_waits = self.under_way.load(Ordering::Relaxed) == 0;
        Answered { fell_silent: answered.fell_silent && nobody_waits, ..answered }
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    fn new() -> Self {
        let times = Histogram::new_with_max(LONGEST_US, DIGITS).expect("there are histograms of so many digits");
        Self { began: Instant::now(), times, failed: 0, latest: None }
    }

    fn note(&mut self, took: Duration, is_answered: bool) {
        self.latest = Some(Instant::now());
        if is_answered {
            self.times.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        } else {
            self.failed += 1;
        }
    }

    fn answered(&self) -> Answered {
        let of = |quantile| Duration::from_micros(self.times.value_at_quantile(quantile));
        let (asked, within) = (self.times.len() + self.failed, self.began.elapsed());
        let silence = self.latest.map_or(within, |latest| latest.elapsed());
        Answered {
            answered: self.times.len(),
            failed: self.failed,
            within,
            fell_silent: fell_silent(asked, silence, within),
            mean: Duration::try_from_secs_f64(self.times.mean() / 1e6).unwrap_or_default(),
            p95: of(0.95),
            p99: of(0.99),
        }
    }
}

impl Answered {
    /// In each second.
    pub fn per_s(&self) -> Option<f64> {
        super::throughput(self.answered, self.within)
    }

    /// Of all requests \[%\].
    pub fn error_percent(&self) -> f64 {
        let asked = self.answered + self.failed;
        if asked == 0 { 0.0 } else { self.failed as f64 / asked as f64 * 100.0 }
    }
}

/// The job of an agent whose application is a service.
pub struct ServiceJob {
    /// For people.
    pub description: String,
    pub requests: Arc<Requests>,
    /// How long a window is, real time.
    pub window: Duration,
    /// What the training asks for at once.
    pub request_bytes: NonZeroU64,
}

impl ServiceJob {
    /// Asks for answers itself, as its users would.
    async fn ask(&self, source: &DataSource) -> Result<Answered, JobError> {
        let (objects, mut window) = (self.objects(source).await?, Window::new());
        for (key, content) in objects.iter().cycle().take(TRAINED as usize) {
            let asked = Instant::now();
            let range = 0..self.request_bytes.get().min(content.bytes);
            let mut answer = source.store.read_range(key, range, content).await?.bytes;
            while answer.try_next().await?.is_some() {}
            window.note(asked.elapsed(), true);
        }
        Ok(window.answered())
    }

    /// What can be asked for: the object, or those of a set that are not empty, as many as are asked for.
    async fn objects(&self, source: &DataSource) -> Result<Vec<(String, Content)>, JobError> {
        let Extent::Set(keys) = Extent::of(&source.object_key) else {
            let content = Content { bytes: source.bytes, etag: source.etag.clone() };
            return Ok(vec![(source.object_key.clone(), content)]);
        };
        let at = SetAt::new(source.store.clone(), keys);
        let held = at.manifest_of(&source.sha256).await?;
        let filled = held.manifest.objects().iter().filter(|object| object.bytes > 0).take(TRAINED as usize);
        let content = |bytes, etag: &Option<_>| Content { bytes, etag: etag.as_deref().map(str::to_owned) };
        Ok(filled.map(|object| (at.keys.object(&object.key), content(object.bytes, &object.etag))).collect())
    }
}

#[async_trait]
impl Job for ServiceJob {
    fn describe(&self) -> String {
        self.description.clone()
    }

    async fn run_over(&self, sources: &[DataSource]) -> Result<JobReport, FailedFor> {
        let answered = match sources.first().filter(|_| !self.requests.is_served.load(Ordering::Relaxed)) {
            Some(source) => self.ask(source).await?,
            None => {
                self.requests.begin();
                tokio::time::sleep(self.window).await;
                self.requests.answered()
            }
        };
        if answered.answered == 0 && answered.failed > 0 {
            return Err(JobError::Unanswered { requests: answered.failed }.into());
        }
        Ok(JobReport {
            result: format!("{} requests answered, {} failed", answered.answered, answered.failed),
            records: answered.answered,
            skipped_records: 0,
            execution_time: answered.mean,
            response_time: answered.mean,
            parts: Vec::new(),
            requests: Some(answered),
            remark: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::doubles;

    fn job() -> ServiceJob {
        let requests = Arc::new(Requests::default());
        requests.serve();
        let (window, request_bytes) = (Duration::from_millis(1), NonZeroU64::MIN);
        ServiceJob { description: "requests".to_owned(), requests, window, request_bytes }
    }

    /// What a window says during which these requests end, and which begins after others have.
    async fn window(ended: &[(u64, bool)]) -> Result<JobReport, JobError> {
        let job = job();
        job.requests.note(Duration::from_secs(100), true);
        // The window has begun when the second of these is looked at first.
        let (source, noting) = (doubles::source(), async {
            ended.iter().for_each(|(ms, is_answered)| job.requests.note(Duration::from_millis(*ms), *is_answered));
        });
        tokio::join!(job.run(&source), noting).0
    }

    #[tokio::test]
    async fn a_window_has_the_requests_that_ended_in_it() {
        let ended: Vec<(u64, bool)> = (1..=100).map(|ms| (ms * 10, true)).chain([(5, false); 25]).collect();
        let report = window(&ended).await.unwrap();
        let answered = report.requests.unwrap();
        assert_eq!((answered.answered, answered.failed, answered.error_percent()), (100, 25, 20.0));
        let close =
            |found: Duration, ms: f64| assert!((found.as_secs_f64() * 1e3 / ms - 1.0).abs() < 2e-3, "{found:?}");
        close(answered.mean, 505.0);
        close(answered.p95, 950.0);
        close(answered.p99, 990.0);
        assert_eq!(report.response_time, answered.mean);
        assert_eq!(report.result, "100 requests answered, 25 failed");
    }

    #[tokio::test]
    async fn a_window_without_requests_says_so_and_one_without_answers_fails() {
        assert_eq!(window(&[]).await.unwrap().requests.unwrap().answered, 0);
        let failed = window(&[(5, false), (7, false)]).await.unwrap_err();
        assert_eq!(failed.to_string(), "none of the 2 requests that ended in a window was answered");
        assert_eq!(failed.kind(), agent_core::domain::failure::FailureKind::Store);
    }
}
