//! A prompt at which verbs of load are typed: with what was typed before, and with completion.

use agent_load::session::complete;
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};
use std::fs;
use std::path::PathBuf;

/// So many lines are kept.
const HISTORY: usize = 1_000;

/// What somebody typed.
pub(super) enum Typed {
    Line(String),
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-D.
    End,
}

pub(super) struct LineEditor {
    editor: Editor<Names, DefaultHistory>,
    /// `None`: what is typed is forgotten.
    history: Option<PathBuf>,
}

/// What a line may go on with besides verbs.
pub(super) struct Names {
    pub hosts: Vec<String>,
    pub services: Vec<String>,
}

impl LineEditor {
    pub(super) fn new(names: Names, history: Option<PathBuf>) -> Result<Self, ReadlineError> {
        let config = Config::builder().max_history_size(HISTORY)?.completion_type(CompletionType::List).build();
        let mut editor = Editor::with_config(config)?;
        editor.set_helper(Some(names));
        let history = history.filter(|file| {
            let folder = file.parent().map_or(Ok(()), fs::create_dir_all);
            folder.inspect_err(|error| tracing::debug!(%error, "lines are not kept: there is no folder")).is_ok()
        });
        if let Some(file) = &history
            && let Err(error) = editor.load_history(file)
        {
            tracing::debug!(%error, "there are no lines of an earlier time");
        }
        Ok(Self { editor, history })
    }

    pub(super) fn ask(&mut self, prompt: &str) -> Result<Typed, ReadlineError> {
        match self.editor.readline(prompt) {
            Ok(line) => {
                self.keep(&line);
                Ok(Typed::Line(line))
            }
            Err(ReadlineError::Interrupted) => Ok(Typed::Interrupt),
            Err(ReadlineError::Eof) => Ok(Typed::End),
            Err(error) => Err(error),
        }
    }

    pub(super) fn completes(&mut self, names: Names) {
        self.editor.set_helper(Some(names));
    }

    /// At once, so that it is there when the process is killed.
    fn keep(&mut self, line: &str) {
        let added = self.editor.add_history_entry(line);
        let kept = added.and_then(|_| self.history.as_ref().map_or(Ok(()), |file| self.editor.append_history(file)));
        if let Err(error) = kept {
            tracing::debug!(%error, "the line is not kept");
        }
    }
}

impl Completer for Names {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> Result<(usize, Vec<Pair>), ReadlineError> {
        let completion = complete(&line[..at], &self.hosts, &self.services);
        // Once a word is whole, the next one may follow.
        let pair = |word: String| Pair { replacement: format!("{word} "), display: word };
        Ok((completion.start, completion.words.into_iter().map(pair).collect()))
    }
}

impl Hinter for Names {
    type Hint = String;
}

impl Highlighter for Names {}
impl Validator for Names {}
impl Helper for Names {}
