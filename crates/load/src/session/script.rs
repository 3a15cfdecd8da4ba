//! Verbs one after another.

use super::answer::Answer;
use super::refused::Refused;
use super::verbs::Session;
use crate::steering::{Line, Script, Verb};
use agent_core::config::Invalid;
use std::fs;
use std::ops::ControlFlow;
use std::pin::Pin;

/// So deep may files `source` each other: one that sources itself ends here.
pub const NESTED_MAX: usize = 16;

/// Who hears of each verb, as it was done.
type Tell<'a> = &'a mut (dyn FnMut(Answer) + Send);

impl Session {
    /// Does a verb. `tell` hears the answer; those to the verbs of a file that is sourced one after another, as they come.
    /// `Break`: there was an `exit`.
    ///
    /// # Errors
    /// Why it was not done. Of a file what stood before the line that is named was done.
    pub async fn perform(&mut self, verb: &Verb, tell: Tell<'_>) -> Result<ControlFlow<()>, Refused> {
        self.nested(verb, tell, 0).await
    }

    /// Does what a script says, up to its first `exit`; `file` is what its lines are said to be in.
    ///
    /// # Errors
    /// The first line that was refused; those before it were done.
    pub async fn run(&mut self, file: &str, script: &Script, tell: Tell<'_>) -> Result<ControlFlow<()>, Refused> {
        self.lines(file, script, tell, 0).await
    }

    /// Does a verb and answers; what a sourced file's verbs answer is together in one.
    ///
    /// # Errors
    /// Why it was not done. Of a file what stood before the line that is named was done.
    pub async fn execute(&mut self, verb: &Verb) -> Result<Answer, Refused> {
        match verb {
            Verb::Source(file) => {
                let mut answers = Vec::new();
                // Whether there was an `exit` its answer says.
                let (ControlFlow::Continue(()) | ControlFlow::Break(())) =
                    self.perform(verb, &mut |answer| answers.push(answer)).await?;
                Ok(Answer::Sourced { file: file.clone(), answers })
            }
            verb => self.answer(verb).await,
        }
    }

    /// In memory of its own: files may source files.
    fn nested<'a>(
        &'a mut self,
        verb: &'a Verb,
        tell: Tell<'a>,
        depth: usize,
    ) -> Pin<Box<dyn Future<Output = Result<ControlFlow<()>, Refused>> + Send + 'a>> {
        Box::pin(async move {
            let Verb::Source(file) = verb else {
                let answer = self.answer(verb).await?;
                let flow = if answer.leaves() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
                tell(answer);
                return Ok(flow);
            };
            let script = read(file, depth)?;
            self.lines(file, &script, tell, depth + 1).await
        })
    }

    async fn lines(
        &mut self,
        file: &str,
        script: &Script,
        tell: Tell<'_>,
        depth: usize,
    ) -> Result<ControlFlow<()>, Refused> {
        for Line { number, verb } in &script.lines {
            let done = self.nested(verb, &mut *tell, depth).await;
            let refused =
                |refused| Refused::Line { file: file.to_owned(), number: *number, refused: Box::new(refused) };
            if done.map_err(refused)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

fn read(file: &str, depth: usize) -> Result<Script, Refused> {
    let shown = file.escape_debug();
    if depth == NESTED_MAX {
        let problem = format!("source: `{shown}` is sourced in {NESTED_MAX} files that source each other");
        return Err(Invalid::new(problem, "a file that sources itself has no end; repeat its lines instead").into());
    }
    let text = fs::read_to_string(file).map_err(|error| {
        let help = "name a file of verbs, one in each line, from the folder in which this was started";
        Invalid::new(format!("source: `{shown}` cannot be read: {error}"), help)
    })?;
    Script::read(file, &text).map_err(Refused::Script)
}
