//! A client of the History Server's REST API, which tells of applications whose event logs it has found.

use super::measurement::{Application, JobEnd, SparkJobRun, StageRun};
use super::submission::MARK;
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::{Instant, sleep_until, timeout_at};

/// How often it is asked whether an application is listed by now. It looks for new logs every 10 s, unless told otherwise.
const ASK_EVERY: Duration = Duration::from_millis(500);

/// Who takes longer than this to accept a connection is as good as away.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The longest answer that is read \[bytes\]: a thousand stages have a few megabytes.
const ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// How many applications that ended since the run began are looked at: the latest ones.
const LISTED: usize = 100;

/// The History Server of a network's user.
#[derive(Clone, Debug)]
pub struct HistoryServer {
    url: Url,
    http: reqwest::Client,
    wait: Duration,
}

/// A History Server that does not tell of an application.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error("the History Server at {url} does not answer: {reason}; is it running?")]
    Away { url: Url, reason: String },
    #[error("the History Server at {url} does not answer as one: {reason}; is `history_server` its address?")]
    Nonsense { url: Url, reason: String },
    #[error(
        "the History Server at {url} did not list this run's application within {wait:?} ({others} others); does it read \
         the directory that the application's event log is written to?"
    )]
    NotListed { url: Url, wait: Duration, others: usize },
}

type Result<T> = std::result::Result<T, HistoryError>;

impl HistoryServer {
    /// A client of the one at `http://host:port`, which may take so long to list an application. Nothing is sent yet.
    pub fn new(url: &str, wait: Duration) -> std::result::Result<Self, String> {
        let url = Url::parse(url).map_err(|error| format!("`{url}` is no address: {error}"))?;
        // It is reached directly, like everything of a network.
        let http = reqwest::Client::builder().no_proxy().connect_timeout(CONNECT_TIMEOUT).build();
        Ok(Self { url, http: http.map_err(|error| format!("there is no HTTP client: {error}"))?, wait })
    }

    /// The application that carries this mark and ended after `began`, as soon as it is listed.
    pub async fn find(&self, mark: &str, began: SystemTime) -> Result<Application> {
        let deadline = Instant::now() + self.wait;
        let mut others = BTreeSet::new();
        loop {
            let next = Instant::now() + ASK_EVERY;
            match timeout_at(deadline, self.look(mark, began, &mut others)).await {
                Ok(Ok(Some(application))) => return Ok(application),
                Ok(Ok(None)) if next < deadline => sleep_until(next).await,
                Ok(Err(error)) => return Err(error),
                Ok(Ok(None)) | Err(_) => {
                    return Err(HistoryError::NotListed {
                        url: self.url.clone(),
                        wait: self.wait,
                        others: others.len(),
                    });
                }
            }
        }
    }

    /// Looks at those that are listed and are not known to be `others`.
    async fn look(&self, mark: &str, began: SystemTime, others: &mut BTreeSet<Place>) -> Result<Option<Application>> {
        let limit = LISTED.to_string();
        let query = [("status", "completed"), ("minDate", &min_date(began)), ("limit", &limit)];
        let listed: Vec<Listed> = self.get(&[], &query).await?.unwrap_or_default();
        for place in
            listed.into_iter().flat_map(Listed::places).filter(|place| !others.contains(place)).collect::<Vec<_>>()
        {
            // It may be gone again, or not be there yet.
            let Some(environment) = self.get::<Environment>(&place.path("environment"), &[]).await? else { continue };
            if !environment.carries(mark) {
                others.insert(place);
                continue;
            }
            let jobs: Option<Vec<JobData>> = self.get(&place.path("jobs"), &[]).await?;
            let stages: Option<Vec<StageData>> = self.get(&place.path("stages"), &[]).await?;
            return Ok(jobs.zip(stages).map(|(jobs, stages)| Application {
                id: place.id,
                jobs: jobs.into_iter().map(SparkJobRun::from).collect(),
                stages: stages.into_iter().map(StageRun::from).collect(),
            }));
        }
        Ok(None)
    }

    /// What is said of applications, or of a part of one; `None`: it is not known.
    async fn get<T: DeserializeOwned>(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Option<T>> {
        let mut url = self.url.clone();
        let nonsense = |reason: String| HistoryError::Nonsense { url: self.url.clone(), reason };
        let mut segments = url.path_segments_mut().map_err(|()| nonsense("there is no path in it".to_owned()))?;
        segments.extend(["api", "v1", "applications"].iter().chain(path));
        drop(segments);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let away = |error: reqwest::Error| HistoryError::Away { url: self.url.clone(), reason: cause(&error) };
        let mut answer = self.http.get(url).send().await.map_err(away)?;
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(away)? {
            body.extend_from_slice(&piece);
            if body.len() > ANSWER_BYTES {
                return Err(nonsense(format!("an answer has more than {ANSWER_BYTES} bytes")));
            }
        }
        match answer.status() {
            StatusCode::NOT_FOUND if !path.is_empty() => Ok(None),
            StatusCode::OK => match serde_json::from_slice(&body) {
                Ok(answer) => Ok(Some(answer)),
                Err(error) => Err(nonsense(error.to_string())),
            },
            status => Err(nonsense(format!("it says {status}"))),
        }
    }
}

/// The innermost cause, which says most.
fn cause(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).last().map(ToString::to_string).unwrap_or_default()
}

/// As the API reads it to the second: with another zone or without milliseconds it takes the day alone.
fn min_date(began: SystemTime) -> String {
    let at = OffsetDateTime::from(began);
    let (date, time) = (at.date(), at.time());
    format!("{date}T{:02}:{:02}:{:02}.000GMT", time.hour(), time.minute(), time.second())
}

/// `2026-11-28T16:58:20.715GMT`, in milliseconds since the Unix epoch.
fn milliseconds(text: &str) -> Option<u64> {
    let at = OffsetDateTime::parse(&format!("{}Z", text.strip_suffix("GMT")?), &Rfc3339).ok()?;
    u64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok()
}

fn time_of<'de, D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<u64>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| milliseconds(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no time"))))
        .transpose()
}

/// An attempt of an application. On a single machine and a standalone cluster, attempts have no id, and no place in a path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Place {
    id: String,
    attempt: Option<String>,
}

impl Place {
    fn path<'a>(&'a self, part: &'a str) -> Vec<&'a str> {
        [self.id.as_str()].into_iter().chain(self.attempt.as_deref()).chain([part]).collect()
    }
}

#[derive(Deserialize)]
struct Listed {
    id: String,
    attempts: Vec<Attempt>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attempt {
    attempt_id: Option<String>,
    completed: bool,
}

impl Listed {
    fn places(self) -> impl Iterator<Item = Place> {
        let completed = self.attempts.into_iter().filter(|attempt| attempt.completed);
        completed.map(move |attempt| Place { id: self.id.clone(), attempt: attempt.attempt_id })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Environment {
    spark_properties: Vec<(String, String)>,
}

impl Environment {
    fn carries(&self, mark: &str) -> bool {
        self.spark_properties.iter().any(|(name, value)| name == MARK && value == mark)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JobData {
    job_id: u64,
    #[serde(default, deserialize_with = "time_of")]
    submission_time: Option<u64>,
    #[serde(default, deserialize_with = "time_of")]
    completion_time: Option<u64>,
    stage_ids: Vec<u64>,
    status: String,
}

impl From<JobData> for SparkJobRun {
    fn from(job: JobData) -> Self {
        let end = match (job.status.as_str(), job.completion_time) {
            ("SUCCEEDED", Some(at_ms)) => JobEnd::Succeeded { at_ms },
            ("FAILED", _) => JobEnd::Failed(None),
            _ => JobEnd::Missing,
        };
        let submitted_ms = job.submission_time.or(job.completion_time).unwrap_or_default();
        SparkJobRun { id: job.job_id, submitted_ms, end, stages: job.stage_ids }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StageData {
    stage_id: u64,
    #[serde(default, deserialize_with = "time_of")]
    submission_time: Option<u64>,
    #[serde(default, deserialize_with = "time_of")]
    completion_time: Option<u64>,
    failure_reason: Option<String>,
    input_records: u64,
    input_bytes: u64,
}

impl From<StageData> for StageRun {
    fn from(stage: StageData) -> Self {
        StageRun {
            id: stage.stage_id,
            ran_ms: stage.submission_time.zip(stage.completion_time),
            failure: stage.failure_reason,
            input_records: stage.input_records,
            input_bytes: stage.input_bytes,
        }
    }
}
