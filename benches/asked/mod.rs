//! What cargo wants of a bench: `cargo bench` says `--bench`. `cargo test` does not; it runs those that are declared with
//! `test = true`, and may name what it wants of all that it runs.

/// How much to measure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asked {
    Everything,
    /// As little as shows that something is measured.
    AMoment,
    Nothing,
}

/// What is asked of the bench of that name.
pub fn asked(bench: &str) -> Asked {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| words.iter().any(|word| word == flag);
    let mut names = words.iter().filter(|word| !word.starts_with('-')).peekable();
    let is_named = names.peek().is_none() || names.any(|name| bench.contains(name.as_str()));
    match (has("--bench"), is_named && !has("--list")) {
        (true, _) => Asked::Everything,
        (false, true) => Asked::AMoment,
        (false, false) => Asked::Nothing,
    }
}
