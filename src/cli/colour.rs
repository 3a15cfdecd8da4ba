//! Whether output is coloured, and with what.

use super::arguments::Log;
use crate::actors::Notice;
use agent_core::config::environment::{CLICOLOR_FORCE, NO_COLOR, TERM};
use console::Style;

/// On a terminal that knows colours, unless `NO_COLOR` is set; elsewhere where `CLICOLOR_FORCE` is.
pub fn is_wanted(is_terminal: bool) -> bool {
    wanted(is_terminal, |name| std::env::var(name).ok())
}

fn wanted(is_terminal: bool, variable: impl Fn(&str) -> Option<String>) -> bool {
    let is_set = |name| variable(name).is_some_and(|value| !value.is_empty());
    match () {
        () if is_set(NO_COLOR) => false,
        () if is_set(CLICOLOR_FORCE) && variable(CLICOLOR_FORCE).as_deref() != Some("0") => true,
        () => is_terminal && variable(TERM).is_none_or(|terminal| terminal != "dumb"),
    }
}

/// How a notice stands out; plain ones do not.
pub fn of(notice: &Notice) -> Style {
    let style = Style::new().force_styling(true);
    match notice {
        Notice::Job { satisfied: false, .. } => style.yellow(),
        Notice::JobFailed { .. } | Notice::Trouble { .. } => style.red(),
        Notice::Acted { .. } => style.green(),
        Notice::Decided { .. }
        | Notice::Started { .. }
        | Notice::Pursues { .. }
        | Notice::Serves { .. }
        | Notice::Stopped { .. } => style.bold(),
        Notice::Said { .. } | Notice::UnderWay { .. } | Notice::Adapted { .. } => style.dim(),
        Notice::Job { .. }
        | Notice::FeedbackLeft { .. }
        | Notice::Closed { .. }
        | Notice::Peer { .. }
        | Notice::Written { .. }
        | Notice::Recovered { .. } => style,
    }
}

/// A goal that is missed.
pub fn violated() -> Style {
    Style::new().force_styling(true).yellow()
}

/// Lines for machines have none.
pub fn suits(log: Log, is_terminal: bool) -> bool {
    log == Log::Text && is_wanted(is_terminal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_decides_then_the_terminal() {
        let check = |terminal: bool, set: &[(&str, &str)], expected: bool| {
            let variable = |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            assert_eq!(wanted(terminal, variable), expected, "{terminal} {set:?}");
        };
        check(true, &[], true);
        check(false, &[], false);
        check(true, &[("NO_COLOR", "1")], false);
        check(true, &[("NO_COLOR", "")], true);
        check(false, &[("CLICOLOR_FORCE", "1")], true);
        check(false, &[("CLICOLOR_FORCE", "0")], false);
        check(true, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false);
        check(true, &[("TERM", "dumb")], false);
    }
}
