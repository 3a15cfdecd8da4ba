//! `agent explore`: random worlds on all cores until the time is over, and a scenario for each that fails.

use super::output;
use agent_core::config::scenario::write;
use agent_core::sim::explore::{Coverage, Failure, RandomWorld, judge, make, shrink};
use agent_laboratory::experiments::in_parallel;
use anyhow::Context as _;
use serde::Serialize;
use std::cell::RefCell;
use std::ops::Range;
use std::panic;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// After so many failures there is enough to do (I-7).
const MOST_FOUND: usize = 50;

#[derive(Clone, PartialEq, Debug)]
pub struct ExploreOptions {
    pub seed: u64,
    /// Their numbers.
    pub worlds: Range<u64>,
    /// No world begins after this.
    pub lasts: Option<Duration>,
    pub threads: usize,
    /// The folder of scenarios that fail.
    pub output: PathBuf,
}

/// What people are told while it goes on.
#[derive(Debug)]
pub enum Progress<'a> {
    Ran { worlds: u64, failures: usize, elapsed: Duration },
    Found(&'a Found),
}

/// The document that `agent explore --json` prints.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Report {
    pub seed: u64,
    /// How many worlds were run.
    pub worlds: u64,
    pub real_seconds: f64,
    /// By the number of the world.
    pub found: Vec<Found>,
    /// How often each thing was seen.
    pub coverage: Coverage,
    /// What was never seen of what is known by name.
    pub missing: Vec<String>,
}

/// A world that fails, as small as it was made.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Found {
    pub world: u64,
    /// What `agent simulate --seed` needs.
    pub seed: u64,
    pub failure: Failure,
    pub file: PathBuf,
}

struct Ended {
    number: u64,
    coverage: Coverage,
    failed: Option<(RandomWorld, Failure)>,
}

/// Runs worlds until it is told to stop, the time or the worlds are at an end, or enough was found.
pub fn run(options: &ExploreOptions, stop: &AtomicBool, mut watch: impl FnMut(Progress<'_>)) -> anyhow::Result<Report> {
    let began = Instant::now();
    let (mut worlds, mut coverage, mut found) = (0, Coverage::default(), Vec::new());
    let quiet = Quiet::begin();
    let goes_on = || !stop.load(Ordering::Relaxed) && options.lasts.is_none_or(|lasts| began.elapsed() < lasts);
    let work = |number| explored(options.seed, number, stop);
    let noting = in_parallel(options.threads, options.worlds.clone(), goes_on, work, |ended| {
        worlds += 1;
        coverage.add(&ended.coverage);
        if let Some((world, failure)) = ended.failed {
            let one = save(options, ended.number, world, failure)?;
            watch(Progress::Found(&one));
            found.push(one);
            if found.len() >= MOST_FOUND {
                stop.store(true, Ordering::Relaxed);
            }
        }
        watch(Progress::Ran { worlds, failures: found.len(), elapsed: began.elapsed() });
        Ok::<(), anyhow::Error>(())
    });
    drop(quiet);
    noting?;
    found.sort_by_key(|found| found.world);
    let missing = coverage.missing();
    Ok(Report { seed: options.seed, worlds, real_seconds: began.elapsed().as_secs_f64(), found, coverage, missing })
}

fn explored(seed: u64, number: u64, stop: &AtomicBool) -> Ended {
    let (world, mut coverage) = (make(seed, number), Coverage::default());
    let failed = judge(&world, &mut coverage).map(|failure| {
        let (world, mut failure) = shrink(world, failure, &|| !stop.load(Ordering::Relaxed));
        // Run once more, for the place of the panic: the last world that was tried may have been another.
        if failure.sign == "panic" {
            judge(&world, &mut Coverage::default());
            failure.what = Quiet::last().unwrap_or(failure.what);
        }
        (world, failure)
    });
    Ended { number, coverage, failed }
}

fn save(options: &ExploreOptions, number: u64, mut world: RandomWorld, failure: Failure) -> anyhow::Result<Found> {
    let sign = failure.sign.to_lowercase().replace('-', "_");
    let name = format!("{sign}_world_{}_{number}_seed_{}", options.seed, world.seed);
    let file = options.output.join(format!("{name}.toml"));
    world.scenario.name = name;
    let remark = format!(
        "Found by `agent explore`: {}\nShown again by: agent simulate --scenario {} --seed {}",
        failure.what,
        file.display(),
        world.seed
    );
    std::fs::create_dir_all(&options.output)
        .with_context(|| format!("{}: cannot be made", options.output.display()))?;
    output::write(&file, write(&remark, &world.scenario).as_bytes(), "--output")?;
    Ok(Found { world: number, seed: world.seed, failure, file })
}

thread_local! {
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// What a panic's hook does.
type Hook = Box<dyn Fn(&panic::PanicHookInfo<'_>) + Sync + Send>;

/// While it lives, panics are remembered instead of printed: they are what is looked for.
struct Quiet(Option<Hook>);

impl Quiet {
    fn begin() -> Self {
        let before = panic::take_hook();
        panic::set_hook(Box::new(|panic| {
            let words = panic.to_string().replace('\n', " ");
            LAST.with(|last| *last.borrow_mut() = Some(words));
        }));
        Self(Some(before))
    }

    /// What the last panic of this thread said, and where.
    fn last() -> Option<String> {
        LAST.with(|last| last.borrow_mut().take())
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(panic::set_hook);
    }
}
