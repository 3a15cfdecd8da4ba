//! Batch jobs, and the nodes that run them.

use super::request_key;
use crate::api::extract::{Json, Path, Query};
use crate::api::listing::{Latest, Page};
use crate::api::problem::{ErrorCode, Problem};
use crate::api::wire::{
    BatchCancel, BatchChange, BatchCheckpoint, BatchJob, BatchResize, BatchStrategy, BatchSubmission, BatchTasks,
    BatchWhy, Worker, WorkerChange,
};
use crate::api::{Api, Shared};
use crate::app::batch::{self, JobView, Target};
use crate::app::surroundings::Surroundings;
use crate::knowledge::SharedTable;
use agent_batch::job::{Job, JobId, State as JobState, Task};
use agent_batch::specification::Written;
use agent_batch::table::{BatchTable, Listing, find};
use agent_core::domain::ids::NodeId;
use axum::extract::State;
use axum::http::StatusCode;

/// Batch jobs, the latest first.
#[utoipa::path(get, path = "/batch/jobs", operation_id = "list_batch_jobs", tag = "batch", params(Latest),
    responses((status = OK, body = Page<BatchJob>)))]
pub async fn list(State(api): Shared, Query(asked): Query<Latest>) -> Result<axum::Json<Page<BatchJob>>, Problem> {
    let (limit, before, state) = asked.read::<JobState>()?;
    let listing = Listing { states: state.into_iter().collect(), before: before.map(JobId), limit: limit + 1 };
    let found = api.batch().jobs(&listing).await?;
    let item = |found: (Job, Vec<Task>)| (found.0.id.0, BatchJob::new(&JobView::new(found), api.scale));
    Ok(axum::Json(Page::cut(found.into_iter().map(item).collect(), limit)))
}

/// Queues a job, and places it where there is room.
#[utoipa::path(post, path = "/batch/jobs", operation_id = "submit_batch_job", tag = "batch",
    request_body = BatchSubmission, responses((status = CREATED, body = BatchJob)))]
pub async fn submit(
    State(api): Shared,
    Json(wanted): Json<BatchSubmission>,
) -> Result<(StatusCode, axum::Json<BatchJob>), Problem> {
    let BatchSubmission { job, wait, key } = wanted;
    let written: Written =
        serde_json::from_value(job).map_err(|error| Problem::new(ErrorCode::Invalid, format!("job: {error}")))?;
    let key = request_key(key)?;
    let clock = api.surroundings.clock.as_ref();
    let id = batch::submit(&api.table(), clock, "job", &written, &key, wait).await?;
    let view = api.batch_job(id.0).await?;
    Ok((StatusCode::CREATED, axum::Json(BatchJob::new(&view, api.scale))))
}

/// A job and its tasks.
#[utoipa::path(get, path = "/batch/jobs/{job}", operation_id = "show_batch_job", tag = "batch",
    params(("job" = i64, Path)), responses((status = OK, body = BatchJob)))]
pub async fn show(State(api): Shared, Path(job): Path<i64>) -> Result<axum::Json<BatchJob>, Problem> {
    Ok(axum::Json(BatchJob::new(&api.batch_job(job).await?, api.scale)))
}

/// What happened to a job and its tasks, oldest first.
#[utoipa::path(get, path = "/batch/jobs/{job}/history", operation_id = "list_batch_changes", tag = "batch",
    params(("job" = i64, Path)), responses((status = OK, body = [BatchChange])))]
pub async fn history(State(api): Shared, Path(job): Path<i64>) -> Result<axum::Json<Vec<BatchChange>>, Problem> {
    api.batch_job(job).await?;
    let history = api.batch().history(JobId(job)).await?;
    Ok(axum::Json(history.iter().map(|change| BatchChange::new(change, api.scale)).collect()))
}

/// What a job waits for.
#[utoipa::path(get, path = "/batch/jobs/{job}/why", operation_id = "explain_batch_job", tag = "batch",
    params(("job" = i64, Path)), responses((status = OK, body = BatchWhy)))]
pub async fn why(State(api): Shared, Path(job): Path<i64>) -> Result<axum::Json<BatchWhy>, Problem> {
    let view = api.batch_job(job).await?;
    Ok(axum::Json(batch::why(api.batch(), &view).await?.into()))
}

/// Calls a job off: what waits never starts, what runs is stopped.
#[utoipa::path(post, path = "/batch/jobs/{job}/cancel", operation_id = "cancel_batch_job", tag = "batch",
    params(("job" = i64, Path)), request_body = BatchCancel, responses((status = OK, body = BatchJob)))]
pub async fn cancel(
    State(api): Shared,
    Path(job): Path<i64>,
    Json(wanted): Json<BatchCancel>,
) -> Result<axum::Json<BatchJob>, Problem> {
    api.batch_job(job).await?;
    let reason = wanted.reason.unwrap_or_else(|| "cancelled by the API".to_owned());
    batch::cancel(api.batch(), JobId(job), &reason).await?;
    Ok(axum::Json(BatchJob::new(&api.batch_job(job).await?, api.scale)))
}

/// Other limits for tasks that run, where they are: all of them, or none.
#[utoipa::path(post, path = "/batch/resize", operation_id = "resize_batch_tasks", tag = "batch",
    request_body = BatchResize, responses((status = OK, body = BatchTasks)))]
pub async fn resize(State(api): Shared, Json(wanted): Json<BatchResize>) -> Result<axum::Json<BatchTasks>, Problem> {
    let invalid = |what: &str| Problem::new(ErrorCode::Invalid, what);
    match (wanted.cores, wanted.memory_bytes) {
        (None, None) => return Err(invalid("cores, memory_bytes: name at least one")),
        (Some(0), _) | (_, Some(0)) => return Err(invalid("cores, memory_bytes: nothing runs with 0")),
        (_, _) => {}
    }
    let targets = targets(&wanted.targets)?;
    Ok(axum::Json(batch::resize(api.batch(), &targets, wanted.cores, wanted.memory_bytes).await?.into()))
}

/// Tasks write down what they have come to, and go on, here or elsewhere: all of them, or none.
#[utoipa::path(post, path = "/batch/checkpoint", operation_id = "checkpoint_batch_tasks", tag = "batch",
    request_body = BatchCheckpoint, responses((status = OK, body = BatchTasks)))]
pub async fn checkpoint(
    State(api): Shared,
    Json(wanted): Json<BatchCheckpoint>,
) -> Result<axum::Json<BatchTasks>, Problem> {
    let targets = targets(&wanted.targets)?;
    Ok(axum::Json(batch::checkpoint(api.batch(), &targets, wanted.then()).await?.into()))
}

/// By which strategy jobs are placed.
#[utoipa::path(get, path = "/batch/strategy", operation_id = "show_batch_strategy", tag = "batch",
    responses((status = OK, body = BatchStrategy)))]
pub async fn strategy(State(api): Shared) -> Result<axum::Json<BatchStrategy>, Problem> {
    let strategy = batch::all(api.batch()).await?.settings.strategy.to_string();
    Ok(axum::Json(BatchStrategy { strategy }))
}

/// The next placement is made by this one; nothing that is queued or runs is touched.
#[utoipa::path(put, path = "/batch/strategy", operation_id = "set_batch_strategy", tag = "batch",
    request_body = BatchStrategy, responses((status = OK, body = BatchStrategy)))]
pub async fn use_strategy(
    State(api): Shared,
    Json(wanted): Json<BatchStrategy>,
) -> Result<axum::Json<BatchStrategy>, Problem> {
    let strategy: agent_batch::placement::strategy::Strategy =
        wanted.strategy.parse().map_err(|error| Problem::new(ErrorCode::Invalid, format!("strategy: {error}")))?;
    batch::use_strategy(api.batch(), strategy).await?;
    Ok(axum::Json(BatchStrategy { strategy: strategy.to_string() }))
}

/// Nodes that take tasks.
#[utoipa::path(get, path = "/workers", operation_id = "list_workers", tag = "batch",
    responses((status = OK, body = [Worker])))]
pub async fn workers(State(api): Shared) -> Result<axum::Json<Vec<Worker>>, Problem> {
    Ok(axum::Json(batch::workers(api.batch()).await?.iter().map(Worker::from).collect()))
}

/// Lets a worker take no new tasks, or take them again.
#[utoipa::path(patch, path = "/workers/{node}", operation_id = "change_worker", tag = "batch",
    params(("node" = u32, Path)), request_body = WorkerChange, responses((status = OK, body = Worker)))]
pub async fn change_worker(
    State(api): Shared,
    Path(node): Path<u32>,
    Json(wanted): Json<WorkerChange>,
) -> Result<axum::Json<Worker>, Problem> {
    let known = batch::workers(api.batch()).await?;
    if !known.iter().any(|view| view.worker.node.0 == node) {
        return Err(Problem::unknown("worker", node, known.iter().map(|view| view.worker.node)));
    }
    batch::drain(api.batch(), NodeId(node), wanted.draining).await?;
    let changed = batch::workers(api.batch()).await?;
    let changed = changed.iter().find(|view| view.worker.node.0 == node).map(Worker::from);
    changed.map(axum::Json).ok_or_else(|| Problem::new(ErrorCode::NotFound, format!("there is no worker {node}")))
}

fn targets(written: &[String]) -> Result<Vec<Target>, Problem> {
    if written.is_empty() {
        return Err(Problem::new(ErrorCode::Invalid, "targets: name at least one job or task"));
    }
    let read = written.iter().map(|text| text.parse::<Target>()).collect::<Result<_, _>>();
    read.map_err(|error| Problem::new(ErrorCode::Invalid, format!("targets: {error}")))
}

impl Api {
    fn batch(&self) -> &dyn BatchTable {
        self.surroundings.batch.as_ref()
    }

    fn table(&self) -> SharedTable {
        let Surroundings { knowledge, batch, load, .. } = &self.surroundings;
        SharedTable { knowledge: knowledge.clone(), batch: batch.clone(), load: load.clone() }
    }

    async fn batch_job(&self, id: i64) -> Result<JobView, Problem> {
        let found = find(self.batch(), JobId(id)).await?;
        let missing = || {
            let help = "GET /api/v1/batch/jobs lists them";
            Problem::new(ErrorCode::NotFound, format!("there is no batch job {id}")).with_help(help)
        };
        found.map(JobView::new).ok_or_else(missing)
    }
}
