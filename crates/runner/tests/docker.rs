//! Containers, where an engine answers: in an image made of a static busybox, so that no registry is asked.

use agent_runner::contract::{self, Subject};
use agent_runner::docker::{DockerRunner, Pull};
use agent_runner::{Launch, Runner as _, RunnerError};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

const IMAGE: &str = "agent-runner-test:latest";

/// The image, or why there is none.
fn image() -> Result<String, String> {
    let said = |command: &mut Command| command.stdin(Stdio::null()).output().map_err(|error| error.to_string());
    let engine = said(Command::new("docker").args(["version", "--format", "{{.Server.Version}}"]))?;
    succeeded("docker", &engine)?;
    let applets = said(Command::new("/bin/busybox").arg("--list")).map_err(|error| format!("busybox: {error}"))?;
    if !is_static(Path::new("/bin/busybox")) {
        return Err("busybox-static is not installed".to_owned());
    }
    let files = tempfile::tempdir().map_err(|error| error.to_string())?;
    let programs = files.path().join("bin");
    fs::create_dir(&programs)
        .and_then(|()| fs::copy("/bin/busybox", programs.join("busybox")))
        .map_err(|e| e.to_string())?;
    for applet in String::from_utf8_lossy(&applets.stdout).lines().filter(|applet| *applet != "busybox") {
        symlink("busybox", programs.join(applet)).map_err(|error| error.to_string())?;
    }
    let mut tar = Command::new("tar");
    let mut tar =
        tar.arg("-c").arg("-C").arg(files.path()).arg(".").stdout(Stdio::piped()).spawn().map_err(|e| e.to_string())?;
    let import = Command::new("docker").args(["import", "-", IMAGE]).stdin(tar.stdout.take().unwrap()).output();
    tar.wait().map_err(|error| error.to_string())?;
    succeeded("docker import", &import.map_err(|error| error.to_string())?)?;
    Ok(IMAGE.to_owned())
}

fn succeeded(what: &str, output: &Output) -> Result<(), String> {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    output.status.success().then_some(()).ok_or_else(|| format!("{what}: {}", said.trim()))
}

/// Whether it names no interpreter that would load libraries.
fn is_static(program: &Path) -> bool {
    fs::read(program).is_ok_and(|bytes| !bytes.windows(7).any(|window| window == b"/ld-lin"))
}

#[tokio::test]
async fn containers_keep_the_contract() {
    let image = match image() {
        Ok(image) => image,
        Err(why) => return println!("SKIPPED: no containers: {why}"),
    };
    let directory = tempfile::tempdir().unwrap();
    let runner = Arc::new(DockerRunner::find(Pull::Never).unwrap());
    contract::check(&Subject::new(runner, Some(image), directory.path())).await;
}

#[tokio::test]
async fn without_an_engine_it_says_where_it_looked() {
    let runner = DockerRunner::at("/no/such/docker.sock".into(), Pull::Never);
    let error = runner.examine().await.unwrap_err();
    assert!(matches!(error, RunnerError::EngineAway { .. }), "{error}");
    assert!(error.to_string().contains("at /no/such/docker.sock"), "{error}");
    let launch = Launch { image: Some(IMAGE.to_owned()), ..Launch::example("no-engine") };
    assert!(matches!(runner.start(&launch).await.err(), Some(RunnerError::EngineAway { .. })));
}
