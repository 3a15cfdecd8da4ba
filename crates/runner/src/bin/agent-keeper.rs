//! A keeper by itself, for programs that have no command of their own to be one.

fn main() -> std::io::Result<()> {
    agent_runner::keeper::keep()
}
