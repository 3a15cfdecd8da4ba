//! How long a placement takes: N tasks that wait, on N workers that are partly busy, by each strategy.
//!
//! `cargo bench -p agent-batch --bench scheduling`; docs/performance.md has the figures. `cargo test` runs it for a moment.

use agent_batch::cores::Cores;
use agent_batch::job::{JobId, RunnerKind};
use agent_batch::placement::strategy::Strategy;
use agent_batch::placement::{Gang, Need, Place, Problem, Running, Size, Worker, solve};
use agent_core::domain::ids::NodeId;
use agent_core::domain::time::Timestamp;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const STRATEGIES: [&str; 6] = [
    "arrival+best-fit+greedy",
    "arrival+first-fit+greedy",
    "arrival+best-fit-decreasing+greedy",
    "arrival+first-fit-decreasing+greedy",
    "priority+best-fit-decreasing+backfill",
    "deadline+first-fit+in-order",
];
const RUNS: usize = 5;
const GANG: usize = 4;

/// Workers of 4 to 16 cores, a third of which are busy; tasks of 1 to 4 cores in jobs of four.
fn problem(size: usize) -> Problem {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut problem = Problem::default();
    for index in 0..size {
        let cores: Cores = (0..rng.random_range(4..=16)).collect();
        let busy = cores.first(cores.len() / 3);
        let mut free = cores.clone();
        free.remove(&busy);
        let memory = 1 << rng.random_range(32..36);
        problem.workers.push(Worker {
            node: NodeId(u32::try_from(index).expect("it is small") + 1),
            cores,
            memory,
            free_cores: free,
            free_memory: memory - memory / 4,
            labels: Default::default(),
            runners: BTreeSet::from([RunnerKind::Process]),
        });
        let ends = Some(Timestamp(rng.random_range(1..1_000_000)));
        problem.running.push(Running { job: JobId(0), worker: index, cores: busy, memory: memory / 4, ends });
    }
    for job in 0..size / GANG {
        let mut need = || Need {
            size: Size { cores: rng.random_range(1..=4), memory: 1 << rng.random_range(24..31) },
            place: Place::Anywhere,
            labels: None,
            runner: RunnerKind::Process,
        };
        let tasks = (0..GANG).map(|_| need()).collect();
        problem.waiting.push(Gang {
            job: JobId(i64::try_from(job).expect("it is small") + 1),
            priority: rng.random_range(0..3),
            deadline: Some(Timestamp(rng.random_range(1..1_000_000))),
            limit: Some(Duration::from_secs(rng.random_range(1..1_000))),
            tasks,
        });
    }
    problem
}

/// The fastest of some runs, and how many jobs were placed.
fn measure(problem: &Problem, strategy: Strategy) -> (Duration, usize) {
    let run = |_| {
        let began = Instant::now();
        let placed = solve(problem, strategy).placed.len();
        (began.elapsed(), placed)
    };
    (0..RUNS).map(run).min().expect("there are some")
}

fn main() {
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let sizes: &[usize] = if is_bench { &[1_000, 10_000, 100_000] } else { &[1_000] };
    println!("{:<40} {:>9} {:>12} {:>9} {:>12}", "strategy", "tasks", "placement", "placed", "each task");
    for size in sizes {
        let problem = problem(*size);
        for name in STRATEGIES {
            let (took, placed) = measure(&problem, name.parse().expect("it is one"));
            let each = took / u32::try_from(*size).expect("it is small");
            println!("{name:<40} {size:>9} {took:>12.2?} {placed:>9} {each:>12.2?}");
            assert_eq!(placed, size / GANG, "there is room for all");
        }
    }
}
