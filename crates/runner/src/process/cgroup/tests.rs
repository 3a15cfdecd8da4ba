//! On a directory that looks like a hierarchy, and on the kernel's own where there is one.

use super::*;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A hierarchy with this process in the group `/service`, as the kernel would show it.
fn hierarchy(controllers: &str, inside: &str) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let own = root.path().join("service");
    fs::create_dir(&own).unwrap();
    fs::write(own.join("cgroup.controllers"), controllers).unwrap();
    fs::write(own.join("cgroup.procs"), inside).unwrap();
    fs::write(own.join("cgroup.subtree_control"), "").unwrap();
    fs::write(own.join("cpuset.cpus.effective"), "0-3\n").unwrap();
    root
}

fn prepare(root: &TempDir) -> Result<Subtree, String> {
    Subtree::prepare(root.path(), "0::/service\n", false)
}

fn this() -> String {
    format!("{}\n", process::id())
}

fn read(root: &TempDir, file: &str) -> String {
    fs::read_to_string(root.path().join("service").join(file)).unwrap()
}

fn refused(controllers: &str, inside: &str, expected: &str) {
    let root = hierarchy(controllers, inside);
    let reason = prepare(&root).unwrap_err();
    let reason = reason.replace(root.path().to_str().unwrap(), "");
    assert_eq!(reason, format!("{expected}: {REMEDY}"));
    assert_eq!(read(&root, "cgroup.subtree_control"), "", "something was changed");
}

#[test]
fn the_agent_goes_into_a_leaf_and_gives_controllers_on() {
    let root = hierarchy("cpuset cpu io memory pids", &this());
    let subtree = Subtree::prepare(root.path(), "1:name=systemd:/x\n0::/service\n", false).unwrap();
    assert_eq!(read(&root, "agent/cgroup.procs"), process::id().to_string());
    assert_eq!(read(&root, "cgroup.subtree_control"), "+cpuset +memory +pids");
    assert_eq!(subtree.cores(), Some(vec![0, 1, 2, 3]));

    // What a second one of the same process finds.
    fs::write(root.path().join("service/cgroup.procs"), "").unwrap();
    assert_eq!(Subtree::prepare(root.path(), "0::/service/agent\n", false).unwrap(), subtree);
}

#[test]
fn what_is_not_delegated_is_not_touched() {
    refused("cpu io", &this(), "/service is not given the controller of memory");
    refused("cpuset memory pids", &format!("{}1\n", this()), "process 1 is in /service, too");
    let root = hierarchy("cpuset memory pids", &this());
    let systemds = Subtree::prepare(root.path(), "0::/service\n", true).unwrap_err();
    assert!(systemds.contains("/service is systemd's own"), "{systemds}");
    assert_eq!(read(&root, "cgroup.subtree_control"), "", "something was changed");
    let version_one = Subtree::prepare(Path::new("/x"), "4:memory:/a\n", false);
    assert_eq!(version_one.unwrap_err(), "this process is in no control group of version 2");
}

#[tokio::test]
async fn a_task_has_a_group_with_its_limits() {
    let root = hierarchy("memory pids", &this());
    let subtree = prepare(&root).unwrap();
    let launch = Launch { cores: vec![1], memory_bytes: Some(4096), pids: Some(7), ..Launch::example("a1-j1-t0-a1") };
    subtree.create(&launch).await.unwrap();
    assert_eq!(read(&root, "a1-j1-t0-a1/memory.max"), "4096");
    assert_eq!(read(&root, "a1-j1-t0-a1/pids.max"), "7");
    assert!(!root.path().join("service/a1-j1-t0-a1/cpuset.cpus").exists(), "the controller is not there");
    let taken = subtree.create(&launch).await.unwrap_err().to_string();
    assert!(taken.contains("File exists"), "{taken}");
    let named = |prefix: &str| subtree.groups(prefix).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(named("a1-"), ["a1-j1-t0-a1"]);
    assert_eq!(named("a"), ["a1-j1-t0-a1"], "the agent itself is no task");
    assert_eq!(named("b"), [""; 0]);
}

fn group(files: &[(&str, &str)]) -> (TempDir, Group) {
    let directory = tempfile::tempdir().unwrap();
    for (file, text) in files {
        fs::write(directory.path().join(file), text).unwrap();
    }
    let group = Group { path: directory.path().to_owned() };
    (directory, group)
}

#[test]
fn what_the_kernel_says_of_a_group_is_read() {
    let (_directory, of) = group(&[
        ("cpuset.cpus.effective", "1-2\n"),
        ("memory.max", "8192\n"),
        ("memory.current", "4096\n"),
        ("pids.max", "max\n"),
        ("cpu.stat", "usage_usec 1500\nuser_usec 1000\n"),
        ("memory.events", "low 0\nhigh 0\nmax 12\noom 1\noom_kill 0\n"),
    ]);
    assert_eq!((of.cores(), of.memory_limit(), of.pids_limit()), (Some(vec![1, 2]), Some(8192), None));
    assert_eq!((of.memory_bytes(), of.processor_time()), (Some(4096), Some(Duration::from_micros(1500))));
    assert!(!of.is_out_of_memory(), "the limit was met, and nobody killed");
    let (_directory, of) = group(&[("memory.events", "oom 1\noom_kill 2\noom_group_kill 0\n")]);
    assert!(of.is_out_of_memory());
}

#[test]
fn a_limit_below_what_is_in_use_is_refused() {
    let (directory, group) = group(&[("memory.current", "4096\n"), ("memory.max", "8192\n")]);
    let read = |file: &str| fs::read_to_string(directory.path().join(file)).unwrap();
    assert_eq!(group.limit_memory(4096).unwrap(), Err(4096));
    assert_eq!((read("memory.max").as_str(), read("memory.high").as_str()), ("8192\n", "max"));
    assert_eq!(group.limit_memory(4097).unwrap(), Ok(()));
    assert_eq!((read("memory.max").as_str(), read("memory.high").as_str()), ("4097", "max"));
}

#[test]
fn the_mount_is_found() {
    let mountinfo = "30 23 0:26 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n\
                     42 23 0:39 / /sys/fs/cgroup/unified rw shared:1 - cgroup2 cgroup2 rw\n";
    assert_eq!(root(mountinfo), Some("/sys/fs/cgroup/unified".into()));
    assert_eq!(root(""), None);
}

#[tokio::test]
async fn the_kernel_kills_and_removes_a_group_with_what_is_in_it() {
    let own = |file: &str| fs::read_to_string(format!("/proc/self/{file}")).unwrap();
    let Some(root) = root(&own("mountinfo")) else { return println!("SKIPPED: no control groups of version 2") };
    let parent = path_of(&root, &own("cgroup")).unwrap();
    let group = Group { path: parent.join(format!("agent-runner-test-{}", process::id())) };
    if let Err(error) = fs::create_dir_all(group.path().join("inner")) {
        return println!("SKIPPED: no control group can be made in {}: {error}", parent.display());
    }
    let mut sleeper = Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().unwrap();
    let entered = fs::write(group.path().join("inner/cgroup.procs"), sleeper.id().to_string());
    if let Err(error) = entered {
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
        group.end().await.unwrap();
        return println!("SKIPPED: nobody may be moved into {}: {error}", group.path().display());
    }
    let waited = tokio::task::spawn_blocking(move || sleeper.wait().unwrap());
    group.end().await.unwrap();
    assert_eq!(waited.await.unwrap().to_string(), "signal: 9 (SIGKILL)");
    assert!(!group.path().exists());
    group.end().await.expect("once more is no error");
}
