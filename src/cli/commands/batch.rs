//! `agent batch`: jobs of several tasks.

use super::follow::until_stopped;
use crate::app::batch::{self, JobHistory, JobView};
use crate::app::{Existing, Failure, Purpose};
use crate::cli::batch_arguments::{
    Batch, Cancel, Checkpoint, List, Load, Logs, Migrate, OfJob, Resize, Submit, UseStrategy, Watch,
};
use crate::cli::place::Place;
use crate::cli::{display, print, signals};
use crate::knowledge::SharedTable;
use agent_arrivals::profile::{Shape, due};
use agent_arrivals::{Arrival, Plan, Within};
use agent_batch::figures::{Figures, PERCENTILES};
use agent_batch::job::{Change, JobId, Limit, Limits, State, Task, TaskId, Then};
use agent_batch::placement::strategy::Strategy;
use agent_batch::specification::{Written, WrittenTask};
use agent_core::domain::text::{MESSAGE_MAX, legible};
use agent_core::domain::time::Timestamp;
use agent_core::domain::units::show_duration;
use agent_load::specification::load_profile;
use futures::FutureExt as _;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::Instant;

/// How often a job that is followed is looked at, on the wall.
const FOLLOW_EVERY: Duration = Duration::from_millis(100);

/// Between two lines that say how far a load is.
const TOLD_EVERY: Duration = Duration::from_secs(2);

/// How many jobs are watched.
const WATCHED: usize = 20;

impl Place {
    pub(super) fn batch(&self, arguments: Batch) -> anyhow::Result<ExitCode> {
        match arguments {
            Batch::Submit(submit) => self.submit(&submit),
            Batch::List(list) => self.list_jobs(&list),
            Batch::Show(of) => self.show_job(&of),
            Batch::Why(of) => self.why_job(&of),
            Batch::Logs(logs) => self.logs(&logs),
            Batch::Cancel(cancel) => self.cancel(&cancel),
            Batch::Resize(resize) => self.resize(&resize),
            Batch::Checkpoint(checkpoint) => self.checkpoint(&checkpoint),
            Batch::Migrate(migrate) => self.migrate(&migrate),
            Batch::Use(strategy) => self.use_strategy(&strategy),
            Batch::Watch(watch) => self.watch_jobs(&watch),
            Batch::Load(load) => self.load(&load),
        }
    }

    fn submit(&self, arguments: &Submit) -> anyhow::Result<ExitCode> {
        let written = batch::read(&arguments.file)?;
        let key = arguments.key.clone().unwrap_or_else(batch::new_key);
        let file = arguments.file.display().to_string();
        let mut code = ExitCode::SUCCESS;
        self.with_knowledge(Purpose::Change, async |_, existing| {
            let clock = existing.clock.as_ref();
            let id = batch::submit(&table(existing), clock, &file, &written, &key, arguments.wait).await?;
            let view = batch::job(existing.batch.as_ref(), id).await?;
            if !arguments.follow {
                return match arguments.json {
                    true => print::json(&view),
                    false => print::lines([format!("job {id} `{}`: {}", written.name, progress(&view))]),
                };
            }
            let ended = follow(existing, id, arguments.json).await?;
            if ended != Some(State::Done) {
                code = ExitCode::FAILURE;
            }
            Ok(())
        })?;
        Ok(code)
    }

    fn list_jobs(&self, arguments: &List) -> anyhow::Result<ExitCode> {
        self.with_knowledge(Purpose::Look, async |_, existing| {
            let jobs = batch::list(existing.batch.as_ref(), &arguments.state, arguments.limit.get()).await?;
            if arguments.json { print::json(&jobs) } else { print::lines(job_lines(&jobs, existing.clock.now())) }
        })
    }

    fn show_job(&self, OfJob { job, json }: &OfJob) -> anyhow::Result<ExitCode> {
        self.with_knowledge(Purpose::Look, async |_, existing| {
            let shown = batch::show(existing.batch.as_ref(), *job).await?;
            if *json { print::json(&shown) } else { print::lines(shown_lines(&shown, existing.clock.now())) }
        })
    }

    fn why_job(&self, OfJob { job, json }: &OfJob) -> anyhow::Result<ExitCode> {
        self.with_knowledge(Purpose::Look, async |_, existing| {
            let table = existing.batch.as_ref();
            let why = batch::why(table, &batch::job(table, *job).await?).await?;
            if *json { print::json(&why) } else { print::lines([format!("job {job}: {}", why.says)]) }
        })
    }

    fn logs(&self, Logs { target, json }: &Logs) -> anyhow::Result<ExitCode> {
        self.with_knowledge(Purpose::Look, async |_, existing| {
            let view = batch::job(existing.batch.as_ref(), target.job).await?;
            let meant: Vec<&Task> =
                view.tasks.iter().filter(|task| target.task.is_none_or(|index| task.id.index == index)).collect();
            let data = self.data.as_deref().unwrap_or(std::path::Path::new(&existing.place));
            let said: Vec<(TaskId, String)> =
                meant.into_iter().map(|task| (task.id, crate::app::batch::said(data, task))).collect();
            match (json, target.task) {
                (true, _) => print::json(
                    &said
                        .iter()
                        .map(|(task, said)| serde_json::json!({ "task": task.to_string(), "output": said }))
                        .collect::<Vec<_>>(),
                ),
                (false, Some(_)) => print::text(&said.iter().map(|(_, said)| said.as_str()).collect::<String>()),
                (false, None) => print::lines(said.iter().flat_map(|(task, said)| {
                    said.lines().map(move |line| format!("{task}  {line}")).collect::<Vec<_>>()
                })),
            }
        })
    }

    fn cancel(&self, Cancel { jobs, json }: &Cancel) -> anyhow::Result<ExitCode> {
        self.with_knowledge(Purpose::Change, async |_, existing| {
            let mut cancelled = Vec::new();
            for job in jobs {
                cancelled.push((*job, batch::cancel(existing.batch.as_ref(), *job, "cancelled by hand").await?));
            }
            let document = |(job, state): &(JobId, State)| serde_json::json!({ "job": job, "state": state });
            let line = |(job, state): &(JobId, State)| match state {
                State::Cancelled => format!("job {job} is cancelled"),
                State::Done | State::Failed => format!("job {job} was over before: {state}"),
                State::Queued | State::Placed | State::Running => format!("job {job} is being stopped"),
            };
            match json {
                true => print::json(&cancelled.iter().map(document).collect::<Vec<_>>()),
                false => print::lines(cancelled.iter().map(line)),
            }
        })
    }

    fn resize(&self, arguments: &Resize) -> anyhow::Result<ExitCode> {
        let Resize { targets, cores, memory, json } = arguments;
        self.on_tasks(*json, "is being resized", async |existing| {
            batch::resize(existing.batch.as_ref(), targets, cores.map(usize::from), *memory).await
        })
    }

    fn checkpoint(&self, Checkpoint { targets, json }: &Checkpoint) -> anyhow::Result<ExitCode> {
        self.on_tasks(*json, "is asked for its state", async |existing| {
            batch::checkpoint(existing.batch.as_ref(), targets, Then::GoOn).await
        })
    }

    fn migrate(&self, Migrate { targets, to, json }: &Migrate) -> anyhow::Result<ExitCode> {
        self.on_tasks(*json, "is asked for its state, and goes on elsewhere", async |existing| {
            batch::checkpoint(existing.batch.as_ref(), targets, Then::Migrate(*to)).await
        })
    }

    fn on_tasks(
        &self,
        json: bool,
        what: &str,
        work: impl AsyncFnOnce(&Existing) -> anyhow::Result<Vec<TaskId>>,
    ) -> anyhow::Result<ExitCode> {
        self.with_knowledge(Purpose::Change, async |_, existing| {
            let tasks = work(existing).await?;
            match json {
                true => print::json(&tasks.iter().map(ToString::to_string).collect::<Vec<_>>()),
                false => print::lines(tasks.iter().map(|task| format!("task {task} {what}"))),
            }
        })
    }

    fn use_strategy(&self, UseStrategy { strategy, json }: &UseStrategy) -> anyhow::Result<ExitCode> {
        let Some(strategy) = strategy else { return self.show_strategy(*json) };
        self.with_knowledge(Purpose::Change, async |_, existing| {
            let before = batch::use_strategy(existing.batch.as_ref(), *strategy).await?;
            match json {
                true => print::json(&serde_json::json!({ "strategy": strategy, "before": before })),
                false => print::lines([format!("jobs are placed by {strategy} from now on; it was {before}")]),
            }
        })
    }

    fn show_strategy(&self, json: bool) -> anyhow::Result<ExitCode> {
        self.with_knowledge(Purpose::Look, async |_, existing| {
            let strategy = batch::all(existing.batch.as_ref()).await?.settings.strategy;
            if json {
                return print::json(&serde_json::json!({ "strategy": strategy }));
            }
            let parts = Strategy::parts().map(|(part, meaning)| format!("  {part:<22} {meaning}"));
            print::lines([format!("jobs are placed by {strategy}; the parts are")].into_iter().chain(parts))
        })
    }

    fn watch_jobs(&self, Watch { json }: &Watch) -> anyhow::Result<ExitCode> {
        self.with_knowledge(Purpose::Look, async |_, existing| {
            until_stopped(async || {
                let table = existing.batch.as_ref();
                let (jobs, workers) = (batch::list(table, &[], WATCHED).await?, batch::workers(table).await?);
                if *json {
                    return print::json_line(&serde_json::json!({ "workers": workers, "jobs": jobs }));
                }
                print::clear_screen()?;
                print::lines(super::worker::worker_lines(&workers))?;
                print::lines([String::new()])?;
                print::lines(job_lines(&jobs, existing.clock.now()))
            })
            .await
        })
    }

    fn load(&self, arguments: &Load) -> anyhow::Result<ExitCode> {
        let arrivals = arrivals(arguments)?;
        let (file, written) = match &arguments.job {
            Some(file) => (file.display().to_string(), batch::read(file)?),
            None => ("the default job".to_owned(), default_load()),
        };
        self.with_knowledge(Purpose::Change, async |_, existing| {
            // One signal ends all of it, whatever it is at.
            let stop = signals::stop().shared();
            let submitted = submit_load(existing, arrivals, (&file, &written), !arguments.json, stop.clone()).await?;
            let ended = wait_for_all(existing, &submitted, !arguments.json, stop).await?;
            let figures = Figures::of(ended.iter().map(|view| &view.job));
            if arguments.json { print::json(&figures) } else { print::lines(figure_lines(&figures)) }
        })
    }
}

fn table(existing: &Existing) -> SharedTable {
    let Existing { knowledge, batch, load, .. } = existing;
    SharedTable { knowledge: knowledge.clone(), batch: batch.clone(), load: load.clone() }
}

/// Tells what becomes of a job until it is over; `None`: it was not waited for.
async fn follow(existing: &Existing, id: JobId, json: bool) -> anyhow::Result<Option<State>> {
    let stop = signals::stop();
    tokio::pin!(stop);
    let mut told = 0;
    loop {
        let JobHistory { view, history } = batch::show(existing.batch.as_ref(), id).await?;
        for change in &history[told..] {
            if json { print::json_line(change)? } else { print::lines([change_line(change, view.job.submitted_at)])? }
        }
        told = history.len();
        if view.job.state.is_over() {
            return Ok(Some(view.job.state));
        }
        tokio::select! {
            () = tokio::time::sleep(FOLLOW_EVERY) => {}
            () = &mut stop => {
                display::note(&format!("job {id} goes on; `agent batch cancel {id}` calls it off"));
                return Ok(None);
            }
        }
    }
}

/// When jobs come, since the start, and how many at once.
type Arrivals = Box<dyn Iterator<Item = (Duration, u64)>>;

fn arrivals(arguments: &Load) -> anyhow::Result<Arrivals> {
    if let Some(file) = &arguments.profile {
        let plan = Plan::of_profile(&load_profile(file)?, Within::Constant, arguments.seed);
        return Ok(Box::new(plan.map(|Arrival { at, .. }| (at, 1))));
    }
    let shape: Shape = arguments.shape().map_err(|error| Failure::Configuration(error.to_string()))?;
    let (mut rng, interval) = (ChaCha8Rng::seed_from_u64(arguments.seed), arguments.interval);
    let ticks = (0..arguments.ticks.unwrap_or(u32::MAX)).map(move |tick| due(interval, tick));
    Ok(Box::new(ticks.map(move |due| (due, shape.count(due, &mut rng)))))
}

/// At their intended times, until there are no more or a signal comes.
async fn submit_load(
    existing: &Existing,
    arrivals: Arrivals,
    (file, written): (&str, &Written),
    tells: bool,
    mut stop: impl Future<Output = ()> + Unpin,
) -> anyhow::Result<BTreeSet<JobId>> {
    let (began, mut submitted) = (Instant::now(), BTreeSet::new());
    let mut told = began;
    for (due, jobs) in arrivals {
        tokio::select! {
            () = tokio::time::sleep_until(began + due) => {}
            () = &mut stop => break,
        }
        for _ in 0..jobs {
            let key = batch::new_key();
            let clock = existing.clock.as_ref();
            submitted.insert(batch::submit(&table(existing), clock, file, written, &key, true).await?);
        }
        if tells && told.elapsed() >= TOLD_EVERY {
            display::note(&format!("{} s: {} jobs submitted", due.as_secs(), submitted.len()));
            told = Instant::now();
        }
    }
    Ok(submitted)
}

async fn wait_for_all(
    existing: &Existing,
    submitted: &BTreeSet<JobId>,
    tells: bool,
    mut stop: impl Future<Output = ()> + Unpin,
) -> anyhow::Result<Vec<JobView>> {
    let mut told = Instant::now();
    let submitted_in = async |states: &[State]| {
        let mut jobs = batch::list(existing.batch.as_ref(), states, usize::MAX).await?;
        jobs.retain(|view| submitted.contains(&view.job.id));
        anyhow::Ok(jobs)
    };
    let live: Vec<State> = State::ALL.into_iter().filter(|state| !state.is_over()).collect();
    loop {
        let left = submitted_in(&live).await?.len();
        if left == 0 {
            return submitted_in(&[]).await;
        }
        if tells && told.elapsed() >= TOLD_EVERY {
            display::note(&format!("{left} of {} jobs have not ended yet", submitted.len()));
            told = Instant::now();
        }
        tokio::select! {
            () = tokio::time::sleep(FOLLOW_EVERY) => {}
            () = &mut stop => {
                display::note(&format!("{left} jobs go on; the figures are of those that have ended"));
                return submitted_in(&[]).await;
            }
        }
    }
}

fn default_load() -> Written {
    let task = WrittenTask {
        count: Some(4),
        command: vec!["sleep".to_owned(), "1".to_owned()],
        cores: Some(2),
        memory: Some("50 MB".to_owned()),
        ..WrittenTask::default()
    };
    Written { name: "load".to_owned(), task: vec![task], ..Written::default() }
}

/// `2 of 4 tasks run`.
fn progress(view: &JobView) -> String {
    let count = |state: State| view.tasks.iter().filter(|task| task.state == state).count();
    let told: Vec<String> = State::ALL
        .into_iter()
        .map(|state| (state, count(state)))
        .filter(|(_, count)| *count > 0)
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    let tasks = if view.tasks.len() == 1 { "1 task".to_owned() } else { format!("{} tasks", view.tasks.len()) };
    format!("{tasks}: {}", told.join(", "))
}

pub(super) fn job_lines(jobs: &[JobView], now: Timestamp) -> Vec<String> {
    if jobs.is_empty() {
        return vec!["there are no batch jobs; `agent batch submit job.toml` queues one".to_owned()];
    }
    let mut lines = vec!["job    state                  waited     ran        where         name".to_owned()];
    lines.extend(jobs.iter().map(|view| {
        let JobView { job, tasks, .. } = view;
        let waited = job.started_at.unwrap_or(job.ended_at.unwrap_or(now)).since(job.submitted_at);
        let ran = job.started_at.map(|started| show_duration(job.ended_at.unwrap_or(now).since(started)));
        let mut nodes: Vec<String> =
            tasks.iter().filter_map(|task| Some(task.seat.as_ref()?.node.to_string())).collect();
        nodes.sort();
        nodes.dedup();
        let nodes = if nodes.is_empty() { "-".to_owned() } else { format!("node {}", nodes.join(" ")) };
        let name = legible(&job.specification.name, MESSAGE_MAX);
        format!(
            "{:<6} {:<22} {:<10} {:<10} {nodes:<13} {name}",
            job.id.to_string(),
            view.state(),
            show_duration(waited),
            ran.unwrap_or_else(|| "-".to_owned()),
        )
    }));
    lines
}

fn shown_lines(shown: &JobHistory, now: Timestamp) -> Vec<String> {
    let JobView { job, tasks, .. } = &shown.view;
    let name = legible(&job.specification.name, MESSAGE_MAX);
    let mut lines = vec![format!("job {} `{name}` is {}; {}", job.id, shown.view.state(), progress(&shown.view))];
    lines.extend(job.verdict.iter().map(|verdict| legible(&verdict.reason, MESSAGE_MAX).into_owned()));
    lines.extend(job.specification.deadline.map(|deadline| match deadline.0 - now.0 {
        left if left > 0 => format!("its deadline is in {}", show_duration(deadline.since(now))),
        _ => format!("its deadline was {} ago", show_duration(now.since(deadline))),
    }));
    lines.push("task    state      try  where                 ended".to_owned());
    lines.extend(tasks.iter().map(|task| {
        let seat = task.seat.as_ref();
        let at = seat.map_or("-".to_owned(), |seat| format!("node {}, cores {}", seat.node, seat.cores));
        let ending = task.ending.as_ref().map(ToString::to_string).unwrap_or_default();
        let line =
            format!("{:<7} {:<10} {:<4} {at:<21} {}", task.id, task.state, task.attempt, legible(&ending, MESSAGE_MAX));
        line.trim_end().to_owned()
    }));
    lines.extend(tasks.iter().filter_map(|task| Some(limits_line(task.id, task.limits.as_ref()?))));
    lines.push("what happened, from the submission on".to_owned());
    lines.extend(shown.history.iter().map(|change| change_line(change, job.submitted_at)));
    lines
}

fn limits_line(task: TaskId, limits: &Limits) -> String {
    let limit = |limit: &Limit| match limit {
        Limit::Holds(value) => value.clone(),
        Limit::Unlimited { reason } => format!("unlimited ({})", legible(reason, MESSAGE_MAX)),
    };
    format!("task {task} is limited by {}: cores {}, memory {}", limits.by, limit(&limits.cores), limit(&limits.memory))
}

fn change_line(change: &Change, from: Timestamp) -> String {
    let after = format!("{:.1} s", change.at.since(from).as_secs_f64());
    let who = change.task.map_or(format!("job {}", change.job), |task| format!("task {}.{task}", change.job));
    let reason = if change.reason.is_empty() { String::new() } else { format!(": {}", change.reason) };
    format!("{after:>10}  {who} {}{}", change.state, legible(&reason, MESSAGE_MAX))
}

fn figure_lines(figures: &Figures) -> Vec<String> {
    let Figures { jobs, done, failed, cancelled, waiting, execution, total } = figures;
    let mut lines = vec![format!("{jobs} jobs: {done} done, {failed} failed, {cancelled} cancelled")];
    if !waiting.is_empty() {
        let names = PERCENTILES.map(|percent| format!("{:>10}", format!("{percent} %")));
        lines.push(format!("           {}", names.concat()));
        let row = |(name, at): (&str, &Vec<Duration>)| {
            let at: Vec<String> = at.iter().map(|time| format!("{:>10}", show_duration(*time))).collect();
            format!("{name:<11}{}", at.concat())
        };
        lines.extend([("waiting", waiting), ("execution", execution), ("total", total)].map(row));
    }
    lines
}
