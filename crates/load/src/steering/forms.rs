//! How each verb is written, in one table: `help` shows it, errors name it, and the tests read every example of it.

use std::fmt;

/// A verb as people write it.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// One word or two.
    pub name: &'static str,
    /// What stands behind it, in this order; `[..]` may be left out.
    pub arguments: &'static str,
    pub options: &'static [OptionForm],
    pub meaning: &'static str,
    pub example: &'static str,
}

/// `--name VALUE`, anywhere behind the verb.
#[derive(Clone, Copy, Debug)]
pub struct OptionForm {
    pub name: &'static str,
    pub value: &'static str,
}

pub(super) const LABEL: OptionForm = OptionForm { name: "--label", value: "KEY=VALUE" };
pub(super) const WITHIN_TICKS: OptionForm = OptionForm { name: "--within-ticks", value: "constant|exponential" };

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        if !self.arguments.is_empty() {
            write!(f, " {}", self.arguments)?;
        }
        self.options.iter().try_for_each(|option| write!(f, " [{} {}]", option.name, option.value))
    }
}

/// The form of the verb that these words begin with.
pub fn form_of<'a>(words: impl IntoIterator<Item = &'a str> + Clone) -> Option<&'static Form> {
    let begins = |form: &&Form| {
        let mut words = words.clone().into_iter();
        form.name.split(' ').all(|word| words.next() == Some(word))
    };
    FORMS.iter().find(begins)
}

/// Those that begin with this word: `rtbl` has several.
pub fn forms_of(word: &str) -> impl Iterator<Item = &'static Form> {
    FORMS.iter().filter(move |form| form.name.split(' ').next() == Some(word))
}

const fn form(name: &'static str, arguments: &'static str, meaning: &'static str, example: &'static str) -> Form {
    Form { name, arguments, options: &[], meaning, example }
}

const fn of_hosts(name: &'static str, arguments: &'static str, meaning: &'static str, example: &'static str) -> Form {
    Form { options: &[LABEL], ..form(name, arguments, meaning, example) }
}

/// Every verb, in the order of `help`.
pub const FORMS: &[Form] = &[
    of_hosts("hosts", "[PATTERN]", "lists the load hosts", "hosts 'pico[0-9]'"),
    of_hosts("clients", "[PATTERN]", "lists the clients on these hosts", "clients --label zone=A"),
    form("info", "", "says what the load hosts are", "info"),
    form("ping", "", "asks every load host whether it is there", "ping"),
    Form {
        options: &[LABEL, WITHIN_TICKS],
        ..form(
            "spawn",
            "PATTERN SERVICE [N]",
            "places N clients (1) of a service on the least loaded of these hosts; they send nothing before `rps`",
            "spawn 'pico.*' shop 5 --within-ticks exponential",
        )
    },
    of_hosts(
        "rps",
        "PATTERN SERVICE RATE",
        "lets the clients of a service on each of these hosts send RATE requests/s together; 0 pauses",
        "rps pico1 shop 2.5",
    ),
    of_hosts("close", "PATTERN SERVICE", "ends the clients of a service on these hosts", "close 'pico.*' shop"),
    of_hosts(
        "request",
        "PATTERN SERVICE N",
        "lets the clients of a service on each of these hosts send N requests now",
        "request pico1 shop 10",
    ),
    of_hosts("pause", "PATTERN SERVICE", "lets them send nothing until the next `rps`", "pause 'pico.*' shop"),
    of_hosts(
        "traces",
        "PATTERN on|off",
        "keeps a row of each request that these hosts send, where they keep any, or of none until `on`",
        "traces 'pico.*' off",
    ),
    form("sleep", "SECONDS", "waits before the next verb", "sleep 1.5"),
    form("source", "FILE", "does what a file of verbs says", "source evening.load"),
    form("date", "", "says what time it is", "date"),
    form("echo", "[TEXT]", "says the text", "echo 'now the peak'"),
    form("rtbl set", "SERVICE HOSTS WEIGHTS", "routes a service to these hosts alone", "rtbl set shop a:80,b:80 1,4"),
    form("rtbl append", "SERVICE HOSTS WEIGHTS", "routes a service to these hosts too", "rtbl append shop c:80 5"),
    form("rtbl remove", "SERVICE HOSTS", "routes a service to these hosts no more", "rtbl remove shop a:80"),
    form("rtbl unset", "SERVICE", "routes a service nowhere", "rtbl unset shop"),
    form("rtbl list", "", "lists the services that are routed", "rtbl list"),
    form("rtbl info", "SERVICE", "says where a service is routed", "rtbl info shop"),
    form("rtbl flush", "", "routes no service any more", "rtbl flush"),
    form("exp start", "NAME", "begins an experiment: what is measured from now on is its own", "exp start evening"),
    form("exp stop", "", "ends it", "exp stop"),
    form("exp event", "NAME [VALUE]", "marks this moment in it", "exp event peak 100"),
    form("exp queue", "FILE", "queues the experiment of a file", "exp queue evening.toml"),
    form("exp list", "", "lists the experiments", "exp list"),
    form("exp cancel", "ID", "cancels an experiment that is queued or runs", "exp cancel 7"),
    form("help", "[VERB]", "says how verbs are written", "help rtbl set"),
    form("exit", "", "leaves; clients that are made by this process end with it", "exit"),
];

#[cfg(test)]
mod tests {
    use super::super::parse::parse;
    use super::*;

    #[test]
    fn every_example_is_of_its_verb_and_is_read() {
        for form in FORMS {
            assert!(form.example.starts_with(form.name), "{form}");
            let verb = parse(form.example).unwrap().unwrap();
            assert!(verb.to_string().starts_with(form.name), "{} is read as {verb}", form.example);
        }
    }

    #[test]
    fn forms_are_found_by_one_word_or_two() {
        let found = |words: &str| form_of(words.split(' ')).map(ToString::to_string);
        assert_eq!(found("rtbl set shop").as_deref(), Some("rtbl set SERVICE HOSTS WEIGHTS"));
        assert_eq!(found("hosts").as_deref(), Some("hosts [PATTERN] [--label KEY=VALUE]"));
        assert_eq!((found("rtbl"), found("rtbl x"), found("")), (None, None, None));
        assert_eq!(forms_of("rtbl").count(), 7);
    }
}
