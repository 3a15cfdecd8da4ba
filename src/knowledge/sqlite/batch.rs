//! Batch jobs, within one transaction. What may be done with them is `agent_batch::queue`'s to say.

use super::connect::Failure;
use super::rows;
use super::{SqliteKnowledge, Tables};
use agent_batch::job::{Change, Job, JobId, Task};
use agent_batch::queue::{Changed, Queue, Scope, Utilisation, Which};
use agent_batch::table::rows::{self as documents, LIVE, OCCUPYING, reason};
use agent_batch::table::{BatchTable, Listing, UTILISATION_KEPT, Work};
use agent_core::domain::time::Timestamp;
use agent_core::knowledge;
use agent_core::knowledge::requests::document;
use async_trait::async_trait;
use rusqlite::{OptionalExtension as _, params, params_from_iter};
use std::fmt::Display;

type Result<T> = std::result::Result<T, Failure>;

#[async_trait]
impl BatchTable for SqliteKnowledge {
    async fn transact(&self, operation: &'static str, scope: Scope, work: Work) -> knowledge::Result<()> {
        self.write(operation, move |tables| {
            let mut queue = tables.queue(&scope)?;
            work(&mut queue)?;
            let changed = queue.take_changed();
            tables.keep_queue(&queue, &changed)
        })
        .await
    }

    async fn look(&self, scope: Scope) -> knowledge::Result<Queue> {
        self.read("batch queue", move |tables| tables.queue(&scope)).await
    }

    async fn revision(&self) -> knowledge::Result<i64> {
        self.read("batch revision", |tables| {
            let mut statement = tables.transaction.prepare_cached("select revision from batch_settings")?;
            Ok(statement.query_row([], |row| row.get(0)).optional()?.unwrap_or_default())
        })
        .await
    }

    async fn jobs(&self, asked: &Listing) -> knowledge::Result<Vec<(Job, Vec<Task>)>> {
        let asked = asked.clone();
        self.read("batch jobs", move |tables| tables.batch_jobs(&asked)).await
    }

    async fn history(&self, job: JobId) -> knowledge::Result<Vec<Change>> {
        self.read("batch history", move |tables| tables.batch_history(job)).await
    }

    async fn utilisation(&self, since: Timestamp) -> knowledge::Result<Vec<Utilisation>> {
        self.read("batch utilisation", move |tables| tables.batch_utilisation(since)).await
    }
}

impl Tables<'_> {
    fn queue(&mut self, scope: &Scope) -> Result<Queue> {
        let (transaction, quarantine) = (self.transaction, &mut *self.quarantine);
        let sql = "select id, revision, document from batch_settings";
        let settings = rows::read(transaction, quarantine, documents::SETTINGS, sql, [], documents::settings)?;
        let mut queue = Queue::new(self.now, settings.into_iter().next().unwrap_or_default());

        let nodes = list(&scope.nodes);
        let of_nodes = if nodes.is_some() { "node in (select value from json_each(?))" } else { "true" };
        let sql = format!("select node, document from batch_workers where {of_nodes}");
        let workers = params_from_iter(&nodes);
        let workers = rows::read(transaction, quarantine, documents::WORKERS, &sql, workers, documents::worker)?;
        queue.workers = workers.into_iter().map(|worker| (worker.node, worker)).collect();

        let jobs = list(&scope.jobs);
        let of_jobs = match jobs {
            Some(_) => "id in (select value from json_each(?))".to_owned(),
            None => format!("state in {LIVE}"),
        };
        let meant = format!(
            "id in (select job from batch_tasks where state in {OCCUPYING} and {of_nodes}) or {of_jobs} or request_key = ?"
        );
        let values = || params_from_iter(nodes.iter().chain(&jobs).map(Some).chain([scope.key.as_ref()]));
        let sql = format!("select id, request_key, state, document from batch_jobs where {meant}");
        for (job, key) in rows::read(transaction, quarantine, documents::JOBS, &sql, values(), documents::job)? {
            queue.add_job(job, key);
        }
        let sql = format!(
            "select job, task, state, document from batch_tasks where job in (select id from batch_jobs where {meant})"
        );
        let tasks = rows::read(transaction, quarantine, documents::TASKS, &sql, values(), documents::task)?;
        queue.tasks = tasks.into_iter().map(|task| (task.id, task)).collect();
        Ok(queue)
    }

    fn keep_queue(&mut self, queue: &Queue, changed: &Changed) -> Result<()> {
        if changed.is_news {
            let sql = "insert into batch_settings (id, revision, document) values (1, ?, ?)
                on conflict (id) do update set revision = excluded.revision, document = excluded.document";
            self.execute(sql, params![queue.settings.revision, document(&queue.settings)])?;
        }
        for worker in changed.workers.iter().filter_map(|node| queue.workers.get(node)) {
            let sql = "insert into batch_workers (node, document) values (?, ?)
                on conflict (node) do update set document = excluded.document";
            self.execute(sql, params![worker.node.0, document(worker)])?;
        }
        for (key, job) in queue.keys.iter().filter_map(|(key, id)| Some((key, queue.jobs.get(id)?))) {
            if changed.jobs.contains(&job.id) {
                let sql = "insert into batch_jobs (id, request_key, state, document) values (?, ?, ?, ?)
                    on conflict (id) do update set state = excluded.state, document = excluded.document";
                self.execute(sql, params![job.id.0, key, job.state.name(), document(job)])?;
            }
        }
        for task in changed.tasks.iter().filter_map(|id| queue.tasks.get(id)) {
            let index = i64::try_from(task.id.index).unwrap_or(i64::MAX);
            let node = task.seat.as_ref().map(|seat| seat.node.0);
            let sql = "insert into batch_tasks (job, task, state, node, document) values (?, ?, ?, ?, ?)
                on conflict (job, task) do update set state = excluded.state, node = excluded.node,
                document = excluded.document";
            self.execute(sql, params![task.id.job.0, index, task.state.name(), node, document(task)])?;
        }
        for change in &changed.history {
            let task = change.task.and_then(|task| i64::try_from(task).ok());
            let sql = "insert into batch_changes (job, task, at_ms, state, reason) values (?, ?, ?, ?, ?)";
            self.execute(sql, params![change.job.0, task, change.at.0, change.state.name(), reason(&change.reason)])?;
        }
        for sample in &changed.utilisation {
            let sql = "insert into batch_utilisation (node, at_ms, document) values (?, ?, ?) on conflict do nothing";
            self.execute(sql, params![sample.node.0, sample.at.0, document(sample)])?;
            let kept = i64::try_from(UTILISATION_KEPT.as_millis()).unwrap_or(i64::MAX);
            self.execute("delete from batch_utilisation where at_ms < ?", [self.now.0 - kept])?;
        }
        Ok(())
    }

    fn batch_jobs(&mut self, asked: &Listing) -> Result<Vec<(Job, Vec<Task>)>> {
        let (transaction, quarantine) = (self.transaction, &mut *self.quarantine);
        let limit = i64::try_from(asked.limit).unwrap_or(i64::MAX);
        let meant = format!("{} order by id desc limit {limit}", asked.condition());
        let sql = format!("select id, request_key, state, document from batch_jobs where {meant}");
        let jobs = rows::read(transaction, quarantine, documents::JOBS, &sql, [], documents::job)?;
        let sql = format!(
            "select job, task, state, document from batch_tasks where job in (select id from batch_jobs where {meant})"
        );
        let tasks = rows::read(transaction, quarantine, documents::TASKS, &sql, [], documents::task)?;
        Ok(documents::with_tasks(jobs, tasks))
    }

    fn batch_history(&mut self, job: JobId) -> Result<Vec<Change>> {
        let sql = "select id, job, task, at_ms, state, reason from batch_changes where job = ? order by id";
        Ok(rows::read(self.transaction, self.quarantine, documents::CHANGES, sql, [job.0], documents::change)?)
    }

    fn batch_utilisation(&mut self, since: Timestamp) -> Result<Vec<Utilisation>> {
        let sql = "select node, at_ms, document from batch_utilisation where at_ms >= ? order by at_ms, node";
        let read = documents::utilisation;
        Ok(rows::read(self.transaction, self.quarantine, documents::UTILISATION, sql, [since.0], read)?)
    }
}

/// As a JSON list, for `json_each`; `None`: all.
fn list<T: Display>(which: &Which<T>) -> Option<String> {
    match which {
        Which::All => None,
        Which::These(these) => Some(format!("[{}]", these.iter().map(T::to_string).collect::<Vec<_>>().join(","))),
    }
}
