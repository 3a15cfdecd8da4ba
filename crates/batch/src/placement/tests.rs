use super::explanation::{Explanation, Obstacle, ObstacleKind, explain, too_large};
use super::strategy::{Fit, Packing, Strategy};
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn worker(index: usize, cores: usize, memory: u64) -> Worker {
    let cores: Cores = (0..u32::try_from(cores).unwrap()).collect();
    Worker {
        node: NodeId(u32::try_from(index).unwrap() + 1),
        cores: cores.clone(),
        memory,
        free_cores: cores,
        free_memory: memory,
        labels: Labels::new(),
        runners: BTreeSet::from([RunnerKind::Process]),
    }
}

fn workers(cores: &[usize]) -> Vec<Worker> {
    cores.iter().enumerate().map(|(index, cores)| worker(index, *cores, 1_000)).collect()
}

fn need(cores: usize, memory: u64) -> Need {
    Need { size: Size { cores, memory }, place: Place::Anywhere, labels: None, runner: RunnerKind::Process }
}

fn gang(job: i64, cores: &[usize]) -> Gang {
    let tasks = cores.iter().map(|cores| need(*cores, 1)).collect();
    Gang { job: JobId(job), priority: 0, deadline: None, limit: None, tasks }
}

/// Where each request goes, one after the other, `-1` for nowhere: as the published tables have it. Those of a decreasing
/// strategy are tasks of one job, of which some may go without the others there.
fn packed(fit: Fit, is_decreasing: bool, requests: &[usize], free: &[usize]) -> Vec<i64> {
    let workers = workers(free);
    let mut packer = Packer::new(&workers, Packing { fit, is_decreasing: false });
    let mut order: Vec<usize> = (0..requests.len()).collect();
    if is_decreasing {
        order.sort_by_key(|task| std::cmp::Reverse(requests[*task]));
    }
    let mut answers = vec![-1; requests.len()];
    for task in order {
        if let Some(at) = packer.place_task(&need(requests[task], 0)) {
            answers[task] = i64::try_from(at.worker).unwrap();
        }
    }
    answers
}

#[test]
fn recorded_cases_are_reproduced() {
    let check = |fit, is_decreasing, requests: &[usize], free: &[usize], expected: &[i64]| {
        assert_eq!(packed(fit, is_decreasing, requests, free), expected, "{fit:?} {requests:?} on {free:?}");
    };
    let mixed = [4, 5, 3, 7, 4, 2, 1];
    check(Fit::Best, false, &mixed, &[4, 5, 3, 7, 4, 2, 1], &[0, 1, 2, 3, 4, 5, 6]);
    check(Fit::Best, false, &mixed, &[6, 8, 9, 5, 4], &[4, 3, 0, 1, 2, 0, 0]);
    check(Fit::Best, false, &mixed, &[3, 3, 3, 3], &[-1, -1, 0, -1, -1, 1, 1]);
    check(Fit::Best, false, &mixed, &[50], &[0; 7]);
    check(Fit::Best, false, &mixed, &[], &[-1; 7]);
    let sorted = [7, 5, 4, 4, 3, 2, 1];
    check(Fit::Best, true, &sorted, &[6, 8, 9, 5, 4], &[1, 3, 4, 0, 2, 0, 1]);
    check(Fit::Best, true, &sorted, &[6, 8, 9], &[1, 0, 2, 2, -1, -1, 0]);
    check(Fit::Best, true, &sorted, &[9, 8, 7, 6, 5, 4, 3, 2, 1], &[2, 4, 5, 3, 6, 3, 8]);
    check(Fit::First, false, &mixed, &[6, 8, 9, 5, 4], &[0, 1, 1, 2, 3, 0, 2]);
    check(Fit::First, false, &mixed, &[3, 3, 3, 3], &[-1, -1, 0, -1, -1, 1, 1]);
    check(Fit::First, false, &mixed, &[5, 50], &[0, 1, 1, 1, 1, 1, 0]);
    check(Fit::First, true, &sorted, &[6, 8, 9, 5, 4], &[1, 0, 2, 2, 3, 3, 0]);
    check(Fit::First, true, &sorted, &[6, 8, 9], &[1, 0, 2, 2, -1, -1, 0]);
    check(Fit::First, true, &sorted, &[9, 8, 7, 6, 5, 4, 3, 2, 1], &[0, 1, 2, 3, 1, 0, 2]);
}

/// Which job went where.
type Went = Vec<(i64, Vec<usize>)>;

/// By this strategy; and why the others wait.
fn solved(problem: &Problem, strategy: &str) -> (Went, Vec<(i64, Waits)>) {
    let solution = solve(problem, strategy.parse().unwrap());
    let placed = solution.placed.iter().map(|(job, at)| (job.0, at.iter().map(|at| at.worker).collect()));
    let waiting = solution.waiting.iter().map(|(job, why)| (job.0, *why));
    (placed.collect(), waiting.collect())
}

#[test]
fn sorted_tasks_are_answered_in_their_own_order() {
    let problem = Problem { workers: workers(&[1, 4]), waiting: vec![gang(1, &[1, 4])], ..Problem::default() };
    for strategy in ["best-fit-decreasing", "first-fit-decreasing"] {
        assert_eq!(solved(&problem, strategy).0, [(1, vec![0, 1])], "{strategy}");
    }
}

#[test]
fn a_job_is_placed_whole_or_not_at_all() {
    let waiting = vec![gang(1, &[2, 2]), gang(2, &[3])];
    let problem = Problem { workers: workers(&[3]), waiting, ..Problem::default() };
    let (placed, waiting) = solved(&problem, "greedy+first-fit");
    assert_eq!(placed, [(2, vec![0])]);
    assert_eq!(waiting, [(1, Waits::NoRoom { task: 1 })]);
}

#[test]
fn fixed_tasks_wait_for_their_cores() {
    let pinned = |cores: &str| {
        let place = Place::Cores(NodeId(1), cores.parse().unwrap());
        Gang { tasks: vec![Need { place, ..need(2, 1) }], ..gang(1, &[]) }
    };
    let mut workers = workers(&[4, 4]);
    let solve = |workers: &[Worker], cores: &str| {
        let problem = Problem { workers: workers.to_vec(), waiting: vec![pinned(cores)], ..Problem::default() };
        let placed = super::solve(&problem, Strategy::default()).placed;
        placed.first().map(|(_, at)| (at[0].worker, at[0].cores.to_string()))
    };
    assert_eq!(solve(&workers, "1-2"), Some((0, "1-2".to_owned())));
    workers[0].free_cores = "0,2-3".parse().unwrap();
    assert_eq!(solve(&workers, "1-2"), None);
    assert_eq!(solve(&workers, "2-3"), Some((0, "2-3".to_owned())));
}

#[test]
fn whose_turn_it_is_depends_on_the_order() {
    let mut waiting = vec![gang(1, &[2]), gang(2, &[2]), gang(3, &[2])];
    (waiting[1].priority, waiting[2].priority) = (5, 5);
    waiting[2].deadline = Some(Timestamp(9));
    let problem = Problem { workers: workers(&[2]), waiting, ..Problem::default() };
    for (order, first) in [("arrival", 1), ("priority", 2), ("deadline", 3)] {
        assert_eq!(solved(&problem, order).0, [(first, vec![0])], "{order}");
    }
}

/// One worker of four cores; job 9 holds three of them until `ends`, job 1 waits for all four, and job 2 for one.
fn blocked(ends: Option<i64>, limit: Option<u64>) -> Problem {
    let mut workers = workers(&[4]);
    let cores: Cores = "0-2".parse().unwrap();
    workers[0].free_cores.remove(&cores);
    workers[0].free_memory -= 1;
    let small = Gang { limit: limit.map(Duration::from_millis), ..gang(2, &[1]) };
    Problem {
        workers,
        running: vec![Running { job: JobId(9), worker: 0, cores, memory: 1, ends: ends.map(Timestamp) }],
        waiting: vec![gang(1, &[4]), small],
        ..Problem::default()
    }
}

#[test]
fn a_smaller_job_goes_first_only_if_it_delays_nobody() {
    let goes = |problem: &Problem, strategy: &str| solved(problem, strategy).0 == [(2, vec![0])];
    assert!(goes(&blocked(Some(100), Some(100)), "backfill"), "it has ended by then");
    assert!(!goes(&blocked(Some(100), Some(101)), "backfill"));
    assert!(!goes(&blocked(Some(100), None), "backfill"), "nobody knows when it ends");
    assert!(!goes(&blocked(None, Some(1)), "backfill"), "nobody knows when the first could start");
    assert!(!goes(&blocked(Some(100), Some(1)), "in-order"));
    assert!(goes(&blocked(None, None), "greedy"));
    let (_, waiting) = solved(&blocked(None, None), "backfill");
    assert_eq!(waiting, [(1, Waits::NoRoom { task: 0 }), (2, Waits::Behind { job: JobId(1) })]);
    let mut small = blocked(None, None);
    small.waiting[0] = gang(1, &[3]);
    assert!(goes(&small, "backfill"), "there is room for both");
    small.waiting[0] = gang(1, &[5]);
    assert!(goes(&small, "backfill"), "it waits for a larger worker, in whose way nobody is");
}

#[test]
fn who_waits_is_told_for_what() {
    let mut problem = blocked(Some(100), None);
    problem.workers.push(Worker { runners: BTreeSet::new(), ..worker(1, 8, 10) });
    problem.workers.push(worker(2, 2, 10));
    let of = |node, kind| Obstacle { node: NodeId(node), kind };
    let busy =
        ObstacleKind::Busy { missing: Size { cores: 3, memory: 0 }, cores: Cores::default(), held_by: vec![JobId(9)] };
    let expected = Explanation::NoRoom {
        task: 0,
        size: Size { cores: 4, memory: 1 },
        workers: vec![
            of(1, busy),
            of(2, ObstacleKind::NoRunner),
            of(3, ObstacleKind::TooSmall { cores: 2, memory: 0 }),
        ],
    };
    assert_eq!(explain(&problem, Strategy::default(), JobId(1)), Some(expected));
    assert_eq!(explain(&problem, Strategy::default(), JobId(7)), None);
    assert_eq!(too_large(&problem.workers, Strategy::default(), &problem.waiting[0]), None, "an idle one has room");
}

fn any_problem() -> impl Strategy_<Value = Problem> {
    let size = (0..6usize, 0..8u64);
    let worker_of = (0..9usize, 0..12u64);
    let place = prop_oneof![
        4 => Just(None),
        1 => (1..6u32).prop_map(|node| Some((node, None))),
        1 => (1..6u32, 0..6u32).prop_map(|(node, core)| Some((node, Some(core)))),
    ];
    let task = (size, place).prop_map(|((cores, memory), place)| {
        let place = match place {
            None => Place::Anywhere,
            Some((node, None)) => Place::Node(NodeId(node)),
            Some((node, Some(core))) => Place::Cores(NodeId(node), [core].into_iter().collect()),
        };
        let cores = if matches!(place, Place::Cores(..)) { 1 } else { cores };
        Need { place, ..need(cores, memory) }
    });
    let gang_of = (prop::collection::vec(task, 1..4), 0..3i32, prop::option::of(0..9i64), prop::option::of(1..50u64));
    let workers = prop::collection::vec(worker_of, 0..6);
    (
        workers,
        prop::collection::vec(gang_of, 0..9),
        prop::collection::vec((0..6usize, 0..9u32, prop::option::of(1..40i64)), 0..6),
    )
        .prop_map(|(workers, gangs, running)| {
            let mut problem = Problem {
                workers: workers.iter().enumerate().map(|(at, (cores, memory))| worker(at, *cores, *memory)).collect(),
                ..Problem::default()
            };
            for (index, (at, core, ends)) in running.into_iter().enumerate() {
                let Some(worker) = problem.workers.get_mut(at) else { continue };
                let cores: Cores = [core].into_iter().collect();
                if cores.is_subset(&worker.free_cores) && worker.free_memory > 0 {
                    worker.free_cores.remove(&cores);
                    worker.free_memory -= 1;
                    let job = JobId(100 + i64::try_from(index).unwrap());
                    problem.running.push(Running { job, worker: at, cores, memory: 1, ends: ends.map(Timestamp) });
                }
            }
            problem.waiting = gangs
                .into_iter()
                .zip(1..)
                .map(|((tasks, priority, deadline, limit), job)| Gang {
                    job: JobId(job),
                    priority,
                    deadline: deadline.map(Timestamp),
                    limit: limit.map(Duration::from_millis),
                    tasks,
                })
                .collect();
            problem
        })
}

fn any_strategy() -> impl Strategy_<Value = Strategy> {
    let order = prop::sample::select(vec!["arrival", "priority", "deadline"]);
    let packing = prop::sample::select(vec!["best-fit", "first-fit", "best-fit-decreasing", "first-fit-decreasing"]);
    let overtaking = prop::sample::select(vec!["greedy", "in-order", "backfill"]);
    (order, packing, overtaking)
        .prop_map(|(order, packing, overtaking)| format!("{order}+{packing}+{overtaking}").parse().unwrap())
}

use proptest::strategy::Strategy as Strategy_;

proptest! {
    #![proptest_config(ProptestConfig { cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(10_000), ..ProptestConfig::default() })]

    #[test]
    fn what_holds_of_every_solution(problem in any_problem(), strategy in any_strategy()) {
        let solution = solve(&problem, strategy);
        prop_assert_eq!(&solution, &solve(&problem, strategy), "the same problem, the same solution");
        let gangs: BTreeMap<JobId, &Gang> = problem.waiting.iter().map(|gang| (gang.job, gang)).collect();
        let mut free: Vec<(Cores, u64)> =
            problem.workers.iter().map(|worker| (worker.free_cores.clone(), worker.free_memory)).collect();
        let mut answered = BTreeSet::new();
        for (job, placed) in &solution.placed {
            prop_assert!(answered.insert(*job));
            let gang = gangs[job];
            prop_assert_eq!(placed.len(), gang.tasks.len(), "a gang is whole");
            for (at, need) in placed.iter().zip(&gang.tasks) {
                let (cores, memory) = &mut free[at.worker];
                prop_assert!(problem.workers[at.worker].admits(need));
                prop_assert_eq!(at.cores.len(), need.size.cores);
                prop_assert!(at.cores.is_subset(cores), "cores are free and disjoint");
                prop_assert!(need.size.memory <= *memory, "memory is never negative");
                cores.remove(&at.cores);
                *memory -= need.size.memory;
            }
        }
        for (job, _) in &solution.waiting {
            prop_assert!(answered.insert(*job));
        }
        prop_assert_eq!(answered.len(), problem.waiting.len());
        if strategy.overtaking == Overtaking::Greedy {
            // Who waits alone would not fit with what is left either. Of a gang nobody can say so: tasks that are given other workers
            // may all find room where there is less of it.
            let left: Vec<Worker> = problem.workers.iter().zip(&free).map(|(worker, (cores, memory))| Worker {
                free_cores: cores.clone(), free_memory: *memory, ..worker.clone()
            }).collect();
            for (job, _) in solution.waiting.iter().filter(|(job, _)| gangs[job].tasks.len() == 1) {
                prop_assert!(Packer::new(&left, strategy.packing).place(gangs[job]).is_err());
            }
        }
    }

    /// Both indexes find what a look at every worker finds.
    #[test]
    fn indexes_find_what_a_scan_finds(
        free in prop::collection::vec((0..6usize, 0..6u64), 0..12),
        size in (0..6usize, 0..6u64),
        barred in prop::collection::btree_set(0..12usize, 0..5),
    ) {
        let workers: Vec<Worker> = free.iter().enumerate().map(|(at, (cores, memory))| {
            let mut one = worker(at, *cores, *memory);
            if barred.contains(&at) { one.runners.clear(); }
            one
        }).collect();
        let need = need(size.0, size.1);
        let fits = |(_, worker): &(usize, &Worker)| worker.admits(&need) && need.size.fits_into(worker.whole());
        let first = workers.iter().enumerate().find(fits).map(|(at, _)| at);
        let best = workers.iter().enumerate().filter(fits).min_by_key(|(at, worker)| (worker.whole(), *at)).map(|(at, _)| at);
        let found = |fit| Packer::new(&workers, Packing { fit, is_decreasing: false }).place_task(&need).map(|at| at.worker);
        prop_assert_eq!(found(Fit::First), first);
        prop_assert_eq!(found(Fit::Best), best);
    }
}
