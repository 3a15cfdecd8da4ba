//! Commands that messages advise: to be typed as they stand, about the same network as the one that failed.

use std::path::{Path, PathBuf};

/// Where a network is, as somebody named it on the command line.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Invocation {
    pub config: Option<PathBuf>,
    pub data: Option<PathBuf>,
    pub training: Option<PathBuf>,
}

impl Invocation {
    /// `agent events --data my-data`
    pub fn command(&self, words: &str) -> String {
        let own = Self { training: None, ..self.clone() };
        own.training_command(words)
    }

    /// The same of a command that reads or writes training files.
    pub fn training_command(&self, words: &str) -> String {
        let options = [("--config", &self.config), ("--data", &self.data), ("--training", &self.training)];
        let named = options.into_iter().filter_map(|(option, path)| Some((option, path.as_deref()?)));
        named.fold(format!("agent {words}"), |line, (option, path)| format!("{line} {option} {}", quoted(path)))
    }
}

/// As a shell reads it back.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |letter: char| letter.is_alphanumeric() || "/._-+,:@=".contains(letter);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_names_what_was_named() {
        let path = |text: &str| Some(PathBuf::from(text));
        let all = Invocation { config: path("my agents"), data: path("/d"), training: path("it's") };
        assert_eq!(Invocation::default().training_command("train --id 1"), "agent train --id 1");
        assert_eq!(all.command("events"), "agent events --config 'my agents' --data /d");
        assert_eq!(
            all.training_command("train --id 1"),
            r"agent train --id 1 --config 'my agents' --data /d --training 'it'\''s'"
        );
    }
}
