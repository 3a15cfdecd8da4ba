//! Edits of the shipped configuration that several tests make: a file, what stands in it, and what shall stand there.

pub type Edit = (&'static str, &'static str, &'static str);

/// Links so slow that most of the time is transfers, on a small data set that jobs read in one request.
pub const SLOW_LINKS: [Edit; 13] = [
    ("network.toml", "generate_records = 553_729", "generate_records = 100_000"),
    ("network.toml", "latency = \"1000 ms\"", "latency = \"6 s\""),
    ("network.toml", "latency = \"1500 ms\"", "latency = \"8 s\""),
    ("network.toml", "latency = \"1200 ms\"", "latency = \"10 s\""),
    ("network.toml", "window = \"210 s\"", "window = \"120 s\""),
    ("network.toml", "grace = \"60 s\"", "grace = \"20 s\""),
    ("network.toml", "job_gap = \"15 s\"", "job_gap = \"5 s\""),
    ("network.toml", "lease = \"300 s\"", "lease = \"60 s\""),
    ("network.toml", "drain = \"60 s\"", "drain = \"20 s\""),
    ("network.toml", "probes = 5", "probes = 1"),
    ("1.toml", "request_size = \"9 MB\"", "request_size = \"400 MB\""),
    ("2.toml", "request_size = \"9 MB\"", "request_size = \"400 MB\""),
    ("3.toml", "request_size = \"9 MB\"", "request_size = \"400 MB\""),
];

/// What is done about a missed goal is chosen at random.
pub const EXPLORE: Edit = ("network.toml", "exploration = 0.1", "exploration = 1");

/// Goals that cannot hold together, so that agents never stop acting: agents 1 and 2 want the data close by, agent 3 wants the
/// only copy. Whoever is hurt by another's action says so, so that counters move.
pub const RESTLESS: [Edit; 3] = goals([
    "network_latency <= 1000 ms",
    "network_latency <= 1000 ms",
    "data_consistency >= 0.9 and network_latency <= 1000 ms",
]);

/// Every job is good enough, so that nobody acts.
pub const CALM: [Edit; 3] = goals(["availability >= 0 %"; 3]);

/// These goals instead of the shipped ones, of agents 1, 2 and 3.
pub const fn goals(goals: [&'static str; 3]) -> [Edit; 3] {
    [
        ("1.toml", "response_time <= 35 s and availability >= 95 %", goals[0]),
        ("2.toml", "throughput >= 30000 records/s and availability >= 80 %", goals[1]),
        ("3.toml", "data_consistency >= 0.7 or network_latency <= 1300 ms", goals[2]),
    ]
}
