use super::super::selection::Pattern;
use super::*;
use proptest::prelude::*;

/// What a line is read as, printed; or what is said of it.
fn said(line: &str) -> String {
    match parse(line) {
        Ok(verb) => verb.map_or_else(|| "nothing".to_owned(), |verb| verb.to_string()),
        Err(Invalid { problem, help }) => format!("{problem} | {help}"),
    }
}

#[test]
fn words_are_quoted_as_in_a_shell() {
    let check = |line: &str, expected: &str| assert_eq!(said(line), expected, "{line}");
    check("  ping ", "ping");
    check("", "nothing");
    check("# ping", "nothing");
    check("echo a   b # c", "echo 'a b'");
    check("echo 'a   b' \"c\"", "echo 'a   b c'");
    check("echo", "echo ''");
    check("source my\\ file", "source 'my file'");
    check("hosts", "hosts '.*'");
}

#[test]
fn options_stand_anywhere_and_end_at_two_dashes() {
    let check = |line: &str, expected: &str| assert_eq!(said(line), expected, "{line}");
    check("close h1 --label zone=A shop --label=tier=edge", "close --label 'tier=edge' --label 'zone=A' h1 shop");
    check("spawn h1 shop --within-ticks exponential", "spawn --within-ticks exponential h1 shop 1");
    check("spawn h1 shop 2 --within-ticks=constant", "spawn h1 shop 2");
    check("hosts -- --label", "hosts -- --label");
    check("echo --label x", "echo '--label x'");
    check(
        "close --zone A h1 shop",
        "close: `--zone` is no option of it | words that begin with `--` stand behind `--`; \
         the form is `close PATTERN SERVICE [--label KEY=VALUE]`",
    );
    check("ping h1", "ping: one word behind it does not fit | the form is `ping`");
}

#[test]
fn what_is_wrong_is_said_with_the_form_of_its_verb() {
    let check = |line: &str, problem: &str, help: &str| {
        let invalid = parse(line).unwrap_err();
        assert_eq!((invalid.problem.as_str(), invalid.help.as_str()), (problem, help), "{line}");
    };
    let rps = "the form is `rps PATTERN SERVICE RATE [--label KEY=VALUE]`";
    for rate in ["-1", "nan", "inf", "x", "10000001"] {
        let problem = format!("rps: RATE: `{rate}` is no number of requests/s");
        check(&format!("rps h1 shop {rate}"), &problem, &format!("it is from 0 to 10000000; {rps}"));
    }
    check("rps", "rps: nothing stands behind it", rps);
    check(
        "spawn h1 shop 0",
        "spawn: N: `0` is no count",
        "it is a whole number from 1 to 10000; \
         the form is `spawn PATTERN SERVICE [N] [--label KEY=VALUE] [--within-ticks constant|exponential]`",
    );
    check(
        "hosts --label zone",
        "hosts: --label: `zone` is no label: it has no `=`",
        "write it like `--label zone=A`; the form is `hosts [PATTERN] [--label KEY=VALUE]`",
    );
    check(
        "hosts --label",
        "hosts: --label: there is no KEY=VALUE",
        "the form is `hosts [PATTERN] [--label KEY=VALUE]`",
    );
    check(
        "hosts --label a=1 --label a=2",
        "hosts: --label: `a` is there twice",
        "a host has one value of each label; leave one out; the form is `hosts [PATTERN] [--label KEY=VALUE]`",
    );
    let set = "the form is `rtbl set SERVICE HOSTS WEIGHTS`";
    check(
        "rtbl set shop a:80,b:80 1",
        "rtbl set: 1 weights are not one for each of 2 hosts",
        &format!("separate them with commas, without spaces; {set}"),
    );
    check(
        "rtbl set shop a:80 -1",
        "rtbl set: weight: -1 is no weight",
        &format!("a weight is a number from 0 (no requests) to 1000000000; {set}"),
    );
    check(
        "rtbl set shop a:80,b:80 0,0",
        "rtbl set: hosts: all have weight 0",
        &format!("give one of them a weight above 0, or remove the record; {set}"),
    );
    check("rtbl sett", "`rtbl` has no `sett`", &said_forms("rtbl"));
    check("exp", "`exp` needs a second word", &said_forms("exp"));
    check("help fly", "help: `fly` is no verb", "`help` lists all verbs; the form is `help [VERB]`");
    check("pin\u{7}g", "there is a control character, `\\u{7}`", "a verb is one line of plain text; remove it");
}

fn said_forms(word: &str) -> String {
    let forms: Vec<String> = forms_of(word).map(|form| format!("`{form}`")).collect();
    format!("forms are {}", forms.join(", "))
}

/// Every verb with every argument that it may have.
fn any_verb() -> impl Strategy<Value = Verb> {
    let service = || "[a-z][a-z0-9._-]{0,8}";
    let text = || r#"[ -~äé]{1,12}"#.prop_filter("not blank", |text| !text.trim().is_empty());
    let label = ("[a-z]{1,4}", "[A-Za-z0-9/]{1,4}");
    // Any text that is a pattern once it is escaped, and some that are without.
    let pattern = prop_oneof![
        r"[ -~]{1,10}".prop_map(|name| Pattern::exactly(&name).unwrap()),
        prop::sample::select(&["pico[0-9]", "a|b", "--label", "'", ".*"][..]).prop_map(|text| text.parse().unwrap()),
    ];
    let on = move || {
        let labels = prop::collection::btree_map(label.0, label.1, 0..3);
        (pattern.clone(), labels).prop_map(|(pattern, labels)| Selection { pattern, labels })
    };
    let hosts = || {
        prop::collection::vec(0.001..1e9f64, 1..4).prop_map(|weights| {
            weights.iter().zip(1..).map(|(weight, port)| Host::new(format!("h:{port}"), *weight)).collect::<Vec<_>>()
        })
    };
    let within = prop::sample::select(&[Within::Constant, Within::Exponential][..]);
    let change = prop_oneof![
        hosts().prop_map(Change::Set),
        hosts().prop_map(Change::Append),
        hosts().prop_map(|hosts| Change::Remove(hosts.into_iter().map(|host| host.address).collect())),
        Just(Change::Unset),
    ];
    let routing = prop_oneof![
        4 => (service(), change).prop_map(|(service, change)| Routing::Change { service, change }),
        1 => service().prop_map(|service| Routing::Info { service }),
        1 => Just(Routing::List),
        1 => Just(Routing::Flush),
    ];
    let experiment = prop_oneof![
        service().prop_map(|name| Experiment::Start { name }),
        Just(Experiment::Stop),
        (text(), prop::option::of(r"[ -~]{0,8}")).prop_map(|(name, value)| Experiment::Event { name, value }),
        text().prop_map(|file| Experiment::Queue { file }),
        Just(Experiment::List),
        service().prop_map(|id| Experiment::Cancel { id }),
    ];
    prop_oneof![
        on().prop_map(Verb::Hosts),
        on().prop_map(Verb::Clients),
        prop::sample::select(&[Verb::Info, Verb::Ping, Verb::Date, Verb::Exit, Verb::Help(None)][..]),
        (on(), service(), 1..=CLIENTS_MAX, within).prop_map(|(on, service, clients, within_ticks)| Verb::Spawn {
            on,
            service,
            clients,
            within_ticks
        }),
        (on(), service(), 0.0..=RATE_MAX).prop_map(|(on, service, rate)| Verb::Rps { on, service, rate }),
        (on(), service()).prop_map(|(on, service)| Verb::Close { on, service }),
        (on(), service(), 1..=REQUESTS_MAX).prop_map(|(on, service, count)| Verb::Request { on, service, count }),
        (on(), service()).prop_map(|(on, service)| Verb::Pause { on, service }),
        (0..=31_536_000_000_000u64).prop_map(|micros| Verb::Sleep(Duration::from_micros(micros))),
        text().prop_map(Verb::Source),
        r"[ -~\t]{0,20}".prop_map(Verb::Echo),
        routing.prop_map(Verb::Routing),
        experiment.prop_map(Verb::Experiment),
        prop::sample::select(FORMS).prop_map(|form| Verb::Help(Some(form.name.to_owned()))),
    ]
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back(verb in any_verb()) {
        let printed = verb.to_string();
        prop_assert_eq!(parse(&printed), Ok(Some(verb)), "{}", printed);
    }

    #[test]
    fn no_line_is_too_odd_to_be_answered(line in r#"(hosts|spawn|rps|rtbl|rtbl set|exp event|help|sleep|)[ -~]{0,30}"#) {
        if let Ok(Some(verb)) = parse(&line) {
            prop_assert_eq!(parse(&verb.to_string()), Ok(Some(verb)));
        }
    }
}
