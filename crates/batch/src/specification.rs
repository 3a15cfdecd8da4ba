//! A job as people write it, in TOML or JSON: [`Written`] to [`Specification`], with every problem that it has.

use crate::cores::Cores;
use crate::job::{Checkpoint, Container, Restart, RunnerKind, Specification, TaskSpecification};
use crate::placement::{Place, Size};
use agent_core::config::{ConfigError, Guide, Invalid, Problems, parse_by, quantity};
use agent_core::domain::ids::NodeId;
use agent_core::domain::labels::Selector;
use agent_core::domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// More tasks than this are several jobs.
pub const TASKS_MAX: usize = 1_000;
const NAME_MAX: usize = 63;

/// `job.toml`, or the body of a submission.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    pub name: String,
    #[serde(default)]
    pub priority: i32,
    /// After the submission: `2 h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
    #[serde(default)]
    pub keep_going: bool,
    pub task: Vec<WrittenTask>,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenTask {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// So many alike.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<usize>,
    #[serde(default)]
    pub command: Vec<String>,
    /// A container of it runs the command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    #[serde(default)]
    pub ports: Vec<String>,
    #[serde(default)]
    pub volumes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cores: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// On this node alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<u32>,
    /// On these cores of that node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub core_ids: Option<Vec<u32>>,
    /// On nodes that are called so: `region=eu`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<String>,
    #[serde(default)]
    pub data_sets: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_limit: Option<String>,
    /// `on-failure` or `never`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tries: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<WrittenCheckpoint>,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenCheckpoint {
    pub signal: String,
    pub path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
}

const GUIDE: Guide = Guide {
    examples: &[
        ("name", r#"name = "training""#),
        ("task", "[[task]]"),
        ("count", "count = 4"),
        ("command", r#"command = ["python3", "train.py"]"#),
        ("image", r#"image = "debian:bookworm-slim""#),
        ("cores", "cores = 2"),
        ("memory", r#"memory = "50 MB""#),
        ("node", "node = 2"),
        ("core_ids", "core_ids = [0, 1]"),
        ("labels", r#"labels = "region=eu""#),
        ("time_limit", r#"time_limit = "10 min""#),
        ("deadline", r#"deadline = "2 h""#),
        ("tries", "tries = 3"),
        ("checkpoint", r#"checkpoint = { signal = "SIGUSR1", path = "state" }"#),
        ("signal", r#"signal = "SIGUSR1""#),
        ("path", r#"path = "state""#),
    ],
    document: "docs/batch.md",
};

/// Signals that a checkpoint may be asked for with: those that programs are free to use.
const SIGNALS: [&str; 3] = ["SIGUSR1", "SIGUSR2", "SIGHUP"];

/// Reads a job's file.
pub fn parse(file: &str, text: &str) -> Result<Written, ConfigError> {
    let mut problems = Problems::default();
    problems.enter(file);
    let written = parse_by(text, &GUIDE).map_err(|(place, invalid)| problems.add(place, invalid)).ok();
    problems.settle(written)
}

/// What a written job means, submitted at `now`; `file` is what its problems are said to be in.
pub fn validate(file: &str, written: &Written, now: Timestamp) -> Result<Specification, ConfigError> {
    let mut problems = Problems::default();
    problems.enter(file);
    let name = problems.check("name", filled(&written.name));
    let deadline =
        written.deadline.as_ref().and_then(|text| problems.check("deadline", quantity::positive_duration(text)));
    let mut tasks = Vec::new();
    for (index, task) in written.task.iter().enumerate() {
        let called = task.name.as_ref().map_or_else(String::new, |name| format!(" `{}`", name.escape_debug()));
        let mut own = problems.within(format!("task {}{called}", index + 1));
        let count = own.check("count", within(task.count.unwrap_or(1), 1, TASKS_MAX));
        let meant = self::task(task, index, &mut own);
        problems.absorb(own);
        if let (Some(meant), Some(count)) = (meant, count) {
            tasks.extend(std::iter::repeat_n(meant, count));
        }
    }
    if written.task.is_empty() {
        problems.add("task", Invalid::new("there is none", "a job has at least one `[[task]]`"));
    } else if tasks.len() > TASKS_MAX {
        let help = format!("a job has at most {TASKS_MAX}; make several jobs of it");
        problems.add("task", Invalid::new(format!("there are {}", tasks.len()), help));
    }
    let meant = name.map(|name| Specification {
        name,
        priority: written.priority,
        deadline: deadline.map(|after| now + after),
        keep_going: written.keep_going,
        tasks,
    });
    problems.settle(meant)
}

/// `None` after noting at least one problem.
fn task(written: &WrittenTask, index: usize, problems: &mut Problems) -> Option<TaskSpecification> {
    let name = match &written.name {
        Some(name) => problems.check("name", filled(name)),
        None => Some(format!("task{}", index + 1)),
    };
    let container = container(written, problems);
    let runner = if written.image.is_some() { RunnerKind::Docker } else { RunnerKind::Process };
    if runner == RunnerKind::Process && written.command.first().is_none_or(|program| program.trim().is_empty()) {
        problems.add("command", Invalid::new("is missing", r#"write it like `command = ["python3", "train.py"]`"#));
    }
    for key in written.environment.keys().filter(|key| !is_variable(key)) {
        let help = "a name is letters, digits and `_`, no digit first; names with AGENT_ in front are the agent's";
        problems.add(format!("environment.{}", key.escape_debug()), Invalid::new("cannot be set", help));
    }
    let place = place(written, problems);
    let pinned = written.core_ids.as_ref().map(Vec::len);
    let cores = problems.check("cores", self::cores(written.cores, pinned));
    let memory = written.memory.as_deref().unwrap_or("50 MB");
    let memory = problems.check("memory", quantity::positive_size(memory));
    let labels = written.labels.as_ref().map(|text| {
        let meant = text.parse::<Selector>();
        problems.check("labels", meant.map_err(|error| Invalid::new(error.to_string(), "write it like `region=eu`")))
    });
    let time_limit = optional(written.time_limit.as_ref(), "time_limit", problems);
    let grace = optional(Some(written.grace.as_ref().map_or("10 s", String::as_str)), "grace", problems);
    Some(TaskSpecification {
        name: name?,
        runner,
        command: written.command.clone(),
        container,
        environment: written.environment.clone(),
        size: Size { cores: cores?, memory: memory? },
        place: place?,
        labels: labels.map_or(Some(None), |meant| meant.map(Some))?,
        data_sets: written.data_sets.clone(),
        replica: None,
        time_limit_ms: time_limit,
        restart: restart(written, problems)?,
        checkpoint: checkpoint(written.checkpoint.as_ref(), problems),
        grace_ms: grace?,
    })
}

fn container(written: &WrittenTask, problems: &mut Problems) -> Option<Container> {
    let Some(image) = &written.image else {
        let of_containers = [
            ("ports", !written.ports.is_empty()),
            ("volumes", !written.volumes.is_empty()),
            ("network", written.network.is_some()),
        ];
        for (key, _) in of_containers.into_iter().filter(|(_, is_written)| *is_written) {
            problems.add(key, Invalid::new("is of containers alone", "name an `image`, or leave it out"));
        }
        return None;
    };
    let image = problems.check("image", filled(image))?;
    for port in written.ports.iter().filter(|port| !is_pair(port, |part| part.parse::<u16>().is_ok_and(|it| it > 0))) {
        let problem = format!("`{}` is no port", port.escape_debug());
        problems
            .add("ports", Invalid::new(problem, "write it like `\"8080:80\"`: the machine's, then the container's"));
    }
    for volume in written.volumes.iter().filter(|volume| !is_volume(volume)) {
        let problem = format!("`{}` is no volume", volume.escape_debug());
        let help =
            "write it like `\"/data:/data\"` or `\"/data:/data:ro\"`: the machine's folder, then the container's";
        problems.add("volumes", Invalid::new(problem, help));
    }
    Some(Container {
        image,
        ports: written.ports.clone(),
        volumes: written.volumes.clone(),
        network: written.network.clone(),
    })
}

fn place(written: &WrittenTask, problems: &mut Problems) -> Option<Place> {
    match (written.node, &written.core_ids) {
        (None, None) => Some(Place::Anywhere),
        (Some(node), None) => Some(Place::Node(NodeId(node))),
        (Some(node), Some(ids)) => {
            let cores = Cores::listed(ids.iter().copied());
            let cores = cores.map_err(|error| Invalid::new(error.to_string(), "write it like `core_ids = [0, 1]`"));
            problems.check("core_ids", cores).map(|cores| Place::Cores(NodeId(node), cores))
        }
        (None, Some(_)) => {
            let help = "add `node = 2`: every node has a core 0";
            problems.add("core_ids", Invalid::new("name cores of no node", help));
            None
        }
    }
}

fn cores(written: Option<usize>, pinned: Option<usize>) -> Result<usize, Invalid> {
    match (written, pinned) {
        (Some(cores), Some(pinned)) if cores != pinned => {
            let problem = format!("{cores} is not how many `core_ids` there are, {pinned}");
            Err(Invalid::new(problem, "leave it out"))
        }
        (_, Some(pinned)) => within(pinned, 1, crate::cores::HIGHEST as usize),
        (written, None) => within(written.unwrap_or(1), 1, crate::cores::HIGHEST as usize),
    }
}

fn restart(written: &WrittenTask, problems: &mut Problems) -> Option<Restart> {
    let default = Restart::default();
    match written.restart.as_deref().unwrap_or("on-failure") {
        "never" => {
            let others = [("tries", written.tries.is_some()), ("pause", written.pause.is_some())];
            for (key, _) in others.into_iter().filter(|(_, is_written)| *is_written) {
                problems.add(key, Invalid::new("is of restarts", "leave it out, or let it restart `on-failure`"));
            }
            Some(Restart::NEVER)
        }
        "on-failure" => {
            let tries = within(written.tries.unwrap_or(default.tries), 1, 1_000);
            let tries = problems.check("tries", tries);
            let pause = optional(written.pause.as_ref(), "pause", problems);
            Some(Restart { tries: tries?, pause_ms: pause.unwrap_or(default.pause_ms) })
        }
        other => {
            let problem = format!("`{}` is no rule", other.escape_debug());
            problems.add("restart", Invalid::new(problem, "use \"on-failure\" or \"never\""));
            None
        }
    }
}

fn checkpoint(written: Option<&WrittenCheckpoint>, problems: &mut Problems) -> Option<Checkpoint> {
    let written = written?;
    let signal = SIGNALS.iter().find(|known| **known == written.signal).copied();
    if signal.is_none() {
        let problem = format!("`{}` is no signal for this", written.signal.escape_debug());
        problems.add("checkpoint.signal", Invalid::new(problem, format!("use {}", SIGNALS.join(", "))));
    }
    let path = std::path::Path::new(&written.path);
    let is_inside = path.components().all(|part| matches!(part, std::path::Component::Normal(_)));
    if !is_inside || written.path.is_empty() {
        let problem = format!("`{}` is no folder in the task's own", written.path.escape_debug());
        problems.add("checkpoint.path", Invalid::new(problem, "write it like `path = \"state\"`"));
    }
    let within = written.within.as_ref().map_or("30 s", String::as_str);
    let within = problems.check("checkpoint.within", quantity::positive_duration(within));
    Some(Checkpoint {
        signal: signal?.to_owned(),
        path: written.path.trim_end_matches('/').to_owned(),
        within_ms: milliseconds(within?),
    })
}

fn optional<T: AsRef<str> + ?Sized>(written: Option<&T>, key: &str, problems: &mut Problems) -> Option<u64> {
    let duration = problems.check(key, quantity::positive_duration(written?))?;
    Some(milliseconds(duration))
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn within<T: PartialOrd + std::fmt::Display>(value: T, least: T, most: T) -> Result<T, Invalid> {
    match value >= least && value <= most {
        true => Ok(value),
        false => Err(Invalid::new(format!("{value} is out of range"), format!("it is from {least} to {most}"))),
    }
}

fn filled(text: &str) -> Result<String, Invalid> {
    let is_fine = !text.trim().is_empty() && text.len() <= NAME_MAX * 4 && !text.chars().any(char::is_control);
    match is_fine {
        true => Ok(text.to_owned()),
        false => {
            let problem = format!("`{}` is no name", text.escape_debug());
            Err(Invalid::new(problem, "use some letters, and no control characters"))
        }
    }
}

fn is_variable(name: &str) -> bool {
    let mut bytes = name.bytes();
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    bytes.next().is_some_and(is_letter)
        && bytes.all(|byte| is_letter(byte) || byte.is_ascii_digit())
        && !name.starts_with("AGENT_")
}

fn is_pair(text: &str, is_part: impl Fn(&str) -> bool) -> bool {
    text.split_once(':').is_some_and(|(first, second)| is_part(first) && is_part(second))
}

fn is_volume(text: &str) -> bool {
    let text = text.strip_suffix(":ro").unwrap_or(text);
    is_pair(text, |part| part.starts_with('/') && !part.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a job, line by line.
    fn said(text: &str) -> String {
        let meant = parse("job.toml", text).and_then(|written| validate("job.toml", &written, Timestamp(1_000)));
        meant.map_or_else(|error| error.to_string(), |meant| serde_json::to_string(&meant).unwrap())
    }

    #[test]
    fn the_shortest_job_has_sensible_defaults() {
        let written = parse("job.toml", "name = \"a\"\n[[task]]\ncommand = [\"true\"]\n").unwrap();
        let meant = validate("job.toml", &written, Timestamp(0)).unwrap();
        let [task] = meant.tasks.as_slice() else { panic!("one task") };
        assert_eq!(task.size, Size { cores: 1, memory: 50_000_000 });
        assert_eq!((task.name.as_str(), task.restart, task.grace_ms), ("task1", Restart::default(), 10_000));
    }

    #[test]
    fn everything_can_be_said() {
        let text = r#"
            name = "all"
            priority = 3
            deadline = "1 h"
            keep_going = true
            [[task]]
            count = 2
            image = "debian"
            ports = ["8080:80"]
            volumes = ["/data:/data:ro"]
            command = ["sleep", "1"]
            environment = { A = "1" }
            node = 2
            core_ids = [0, 2]
            memory = "1 GB"
            labels = "region=eu"
            data_sets = ["patients"]
            time_limit = "1 min"
            tries = 5
            pause = "2 s"
            grace = "1 s"
            checkpoint = { signal = "SIGUSR1", path = "state/", within = "5 s" }
        "#;
        let written = parse("job.toml", text).unwrap();
        let meant = validate("job.toml", &written, Timestamp(1_000)).unwrap();
        assert_eq!(meant.deadline, Some(Timestamp(3_601_000)));
        assert_eq!(meant.tasks.len(), 2);
        let task = &meant.tasks[1];
        assert_eq!(task.runner, RunnerKind::Docker);
        assert_eq!(task.place, Place::Cores(NodeId(2), "0,2".parse().unwrap()));
        assert_eq!(task.size, Size { cores: 2, memory: 1_000_000_000 });
        let expected = Checkpoint { signal: "SIGUSR1".to_owned(), path: "state".to_owned(), within_ms: 5_000 };
        assert_eq!(task.checkpoint, Some(expected));
        let kept: Specification = serde_json::from_str(&serde_json::to_string(&meant).unwrap()).unwrap();
        assert_eq!(kept, meant);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place_and_remedy() {
        let check = |body: &str, expected: &str| {
            let said = said(&format!("name = \"a\"\n[[task]]\n{body}"));
            assert_eq!(said, format!("job.toml: {expected}"), "{body}");
        };
        let ok = "command = [\"true\"]\n";
        check("", "task 1: command: is missing\n  help: write it like `command = [\"python3\", \"train.py\"]`");
        check(
            &format!("{ok}core_ids = [1, 1]\nnode = 1"),
            "task 1: core_ids: core 1 is listed twice; name each core once\n  help: write it like `core_ids = [0, 1]`",
        );
        check(
            &format!("{ok}core_ids = [1]"),
            "task 1: core_ids: name cores of no node\n  help: add `node = 2`: every node has a core 0",
        );
        check(
            &format!("{ok}ports = [\"1:2\"]"),
            "task 1: ports: is of containers alone\n  help: name an `image`, or leave it out",
        );
        check(
            &format!("{ok}checkpoint = {{ signal = \"SIGKILL\", path = \"s\" }}"),
            "task 1: checkpoint.signal: `SIGKILL` is no signal for this\n  help: use SIGUSR1, SIGUSR2, SIGHUP",
        );
        check(
            &format!("{ok}checkpoint = {{ signal = \"SIGHUP\", path = \"../s\" }}"),
            "task 1: checkpoint.path: `../s` is no folder in the task's own\n  help: write it like `path = \"state\"`",
        );
        check(
            &format!("{ok}environment = {{ AGENT_TASK = \"1\" }}"),
            "task 1: environment.AGENT_TASK: cannot be set\n  help: a name is letters, digits and `_`, no digit first; \
             names with AGENT_ in front are the agent's",
        );
        check(&format!("{ok}cores = 0"), "task 1: cores: 0 is out of range\n  help: it is from 1 to 8191");
        assert!(said("name = \"a\"\nmemory = 1\n").contains("unknown key `memory`"));
        assert!(said("name = \"a\"\ntask = []").contains("a job has at least one `[[task]]`"));
    }
}
