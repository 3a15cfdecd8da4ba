//! Batch jobs. What may be done with them is `agent_batch::queue`'s to say.

use super::MysqlKnowledge;
use super::select::{Answer, Part, Question};
use super::tables::{Result, Tables, is_meant, is_one_of, text, values};
use agent_batch::job::{Change, Job, JobId, Task};
use agent_batch::queue::{Changed, Queue, Scope, Utilisation};
use agent_batch::table::rows::{self as documents, LIVE, OCCUPYING, reason};
use agent_batch::table::{BatchTable, LISTED_AT_ONCE, Listing, UTILISATION_KEPT, Work};
use agent_core::domain::time::Timestamp;
use agent_core::knowledge;
use agent_core::knowledge::requests::document;
use async_trait::async_trait;
use mysql_async::Value;

const SETTINGS: Part = Part {
    name: "batch_settings",
    table: documents::SETTINGS,
    columns: &["id", "revision", "document"],
    from: "from batch_settings",
};
const WORKERS: Part = Part {
    name: "batch_workers",
    table: documents::WORKERS,
    columns: &["node", "document"],
    from: "from batch_workers",
};
const JOBS: Part = Part {
    name: "batch_jobs",
    table: documents::JOBS,
    columns: &["id", "request_key", "state", "document"],
    from: "from batch_jobs",
};
const TASKS: Part = Part {
    name: "batch_tasks",
    table: documents::TASKS,
    columns: &["job", "task", "state", "document"],
    from: "from batch_tasks",
};
const CHANGES: Part = Part {
    name: "batch_changes",
    table: documents::CHANGES,
    columns: &["id", "job", "task", "at_ms", "state", "reason"],
    from: "from batch_changes",
};
const UTILISATION: Part = Part {
    name: "batch_utilisation",
    table: documents::UTILISATION,
    columns: &["node", "at_ms", "document"],
    from: "from batch_utilisation",
};

#[async_trait]
impl BatchTable for MysqlKnowledge {
    async fn transact(&self, operation: &'static str, scope: Scope, work: Work) -> knowledge::Result<()> {
        self.run(operation, (scope, work), |tables, (scope, work)| Box::pin(tables.transact(scope, work))).await
    }

    async fn look(&self, scope: Scope) -> knowledge::Result<Queue> {
        self.run("batch queue", scope, |tables, scope| Box::pin(tables.queue(scope))).await
    }

    async fn revision(&self) -> knowledge::Result<i64> {
        self.run("batch revision", (), |tables, ()| Box::pin(tables.batch_revision())).await
    }

    async fn jobs(&self, asked: &Listing) -> knowledge::Result<Vec<(Job, Vec<Task>)>> {
        self.run("batch jobs", asked.clone(), |tables, asked| Box::pin(tables.batch_jobs(asked))).await
    }

    async fn history(&self, job: JobId) -> knowledge::Result<Vec<Change>> {
        self.run("batch history", job, |tables, job| Box::pin(tables.batch_history(*job))).await
    }

    async fn utilisation(&self, since: Timestamp) -> knowledge::Result<Vec<Utilisation>> {
        self.run("batch utilisation", since, |tables, since| Box::pin(tables.batch_utilisation(*since))).await
    }
}

impl Tables {
    async fn transact(&mut self, scope: &Scope, work: &Work) -> Result<()> {
        self.begin().await?;
        // Whoever comes second waits here, and on another server of a cluster finds that it was overtaken.
        self.execute("update batch_settings set writes = writes + 1 where id = 1", Vec::new()).await?;
        let mut queue = self.queue(scope).await?;
        work(&mut queue)?;
        let changed = queue.take_changed();
        self.keep_queue(&queue, &changed).await?;
        self.commit().await
    }

    async fn queue(&mut self, scope: &Scope) -> Result<Queue> {
        let nodes = values(&scope.nodes, |node| node.0.into());
        let jobs = values(&scope.jobs, |job| job.0.into());
        let of_nodes = is_meant("node", &nodes, "true");
        let of_jobs = is_meant("id", &jobs, &format!("state in {LIVE}"));
        let meant = format!(
            "id in (select job from batch_tasks where state in {OCCUPYING} and {of_nodes}) or {of_jobs} or request_key = ?"
        );
        let nodes = nodes.unwrap_or_default();
        let key = text(scope.key.as_deref().unwrap_or_default());
        let values = || nodes.iter().chain(jobs.iter().flatten()).chain([&key]).cloned();
        let of_tasks = format!("where job in (select id from batch_jobs where {meant})");
        let question = Question::new()
            .and(&SETTINGS, "where id = 1", [])
            .and_each(&WORKERS, &format!("where {of_nodes}"), nodes.iter().cloned())
            .and_each(&JOBS, &format!("where {meant}"), values())
            .and_each(&TASKS, &of_tasks, values());
        let answer = self.ask(question).await?;
        let settings = answer.read(&SETTINGS, documents::settings).pop().unwrap_or_default();
        let mut queue = Queue::new(answer.now, settings);
        queue.workers = answer.read(&WORKERS, documents::worker).into_iter().map(|it| (it.node, it)).collect();
        for (job, key) in answer.read(&JOBS, documents::job) {
            queue.add_job(job, key);
        }
        queue.tasks = answer.read(&TASKS, documents::task).into_iter().map(|task| (task.id, task)).collect();
        Ok(queue)
    }

    async fn keep_queue(&mut self, queue: &Queue, changed: &Changed) -> Result<()> {
        if changed.is_news {
            let sql = "update batch_settings set revision = ?, document = ? where id = 1";
            self.execute(sql, vec![queue.settings.revision.into(), document(&queue.settings).into()]).await?;
        }
        let workers = changed.workers.iter().filter_map(|node| queue.workers.get(node));
        let workers = workers.map(|worker| [worker.node.0.into(), document(worker).into()]);
        self.put("batch_workers", ["node", "document"], workers.collect()).await?;
        let jobs = queue.keys.iter().filter_map(|(key, id)| Some((key, queue.jobs.get(id)?)));
        let jobs = jobs.filter(|(_, job)| changed.jobs.contains(&job.id));
        let jobs = jobs.map(|(key, job)| [job.id.0.into(), key.into(), job.state.name().into(), document(job).into()]);
        self.put("batch_jobs", ["id", "request_key", "state", "document"], jobs.collect()).await?;
        let tasks = changed.tasks.iter().filter_map(|id| queue.tasks.get(id));
        let tasks = tasks.map(|task| {
            let node = task.seat.as_ref().map(|seat| seat.node.0);
            let (job, index) = (task.id.job.0, whole(task.id.index));
            [job.into(), index.into(), task.state.name().into(), node.into(), document(task).into()]
        });
        self.put("batch_tasks", ["job", "task", "state", "node", "document"], tasks.collect()).await?;
        let history = changed.history.iter().map(|change| {
            let task = change.task.map(whole);
            [
                change.job.0.into(),
                task.into(),
                change.at.0.into(),
                change.state.name().into(),
                reason(&change.reason).into(),
            ]
        });
        self.put("batch_changes", ["job", "task", "at_ms", "state", "reason"], history.collect()).await?;
        let samples = changed.utilisation.iter();
        let samples = samples.map(|sample| [sample.node.0.into(), sample.at.0.into(), document(sample).into()]);
        self.put("batch_utilisation", ["node", "at_ms", "document"], samples.collect()).await?;
        if !changed.utilisation.is_empty() {
            let kept = i64::try_from(UTILISATION_KEPT.as_millis()).unwrap_or(i64::MAX);
            let sql = "delete from batch_utilisation where at_ms < ? limit 1000";
            self.execute(sql, vec![(self.now.0 - kept).into()]).await?;
        }
        Ok(())
    }

    async fn batch_revision(&mut self) -> Result<i64> {
        let answer = self.ask(Question::new().and(&SETTINGS, "where id = 1", [])).await?;
        Ok(answer.numbers(&SETTINGS, "revision").next().unwrap_or_default())
    }

    async fn batch_jobs(&mut self, asked: &Listing) -> Result<Vec<(Job, Vec<Task>)>> {
        // Not in one question: a limit within `in (...)` is refused.
        let meant = format!("where {} order by id desc limit {}", asked.condition(), asked.limit.min(LISTED_AT_ONCE));
        let jobs = self.ask(Question::new().and(&JOBS, &meant, [])).await?.read(&JOBS, documents::job);
        let ids: Vec<Value> = jobs.iter().map(|(job, _)| job.id.0.into()).collect();
        let of_jobs = format!("where {}", is_one_of("job", &ids));
        let answer: Answer = self.ask(Question::new().and_each(&TASKS, &of_jobs, ids)).await?;
        Ok(documents::with_tasks(jobs, answer.read(&TASKS, documents::task)))
    }

    async fn batch_history(&mut self, job: JobId) -> Result<Vec<Change>> {
        let answer = self.ask(Question::new().and(&CHANGES, "where job = ? order by id", [job.0.into()])).await?;
        Ok(answer.read(&CHANGES, documents::change))
    }

    async fn batch_utilisation(&mut self, since: Timestamp) -> Result<Vec<Utilisation>> {
        let rest = "where at_ms >= ? order by at_ms, node";
        let answer = self.ask(Question::new().and(&UTILISATION, rest, [since.0.into()])).await?;
        Ok(answer.read(&UTILISATION, documents::utilisation))
    }
}

fn whole(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
