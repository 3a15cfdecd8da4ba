//! Programs, by what this machine has.

use agent_runner::contract::{self, Subject};
use agent_runner::process::{KeeperProgram, ProcessRunner};
use std::sync::Arc;

fn keeper() -> KeeperProgram {
    KeeperProgram { path: env!("CARGO_BIN_EXE_agent-keeper").into(), arguments: Vec::new() }
}

#[tokio::test]
async fn programs_keep_the_contract() {
    let directory = tempfile::tempdir().unwrap();
    let runner = Arc::new(ProcessRunner::prepare(keeper()).await);
    contract::check(&Subject { runner, image: None, directory: directory.path().to_owned() }).await;
}
