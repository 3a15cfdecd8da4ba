//! What people type and what they are told, side by side: the files in `cli-tests`.
//!
//! A script is prose with commands and what they print. `$ ` begins a command for `sh`, `| ` a line that it printed, `! ` one that it
//! printed on standard error; `[2]` is the exit code where it is not 0. Every script has a directory of its own with the shipped `agents`
//! and `training` and the repository's `fixtures`. What is different each time is written PLACE, PORT and TIME.
//!
//! `AGENT_SCRIPTS=accept cargo test --test program scripts` writes what is printed now into the scripts, to be read before it
//! is committed.

use crate::network::{Place, repository, text};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A command that takes longer is ended, with code 124.
const LIMIT_S: &str = "600";
const ACCEPT: &str = "AGENT_SCRIPTS";
/// Secrets and settings of whoever runs the tests are not the scripts'.
const NOT_INHERITED: [&str; 5] =
    ["AGENT_LOG", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
/// What is different each time: `0` stands for any digit, at the end for one or more.
const CHANGES: [(&str, &str); 3] =
    [("0000-00-00T00:00:00.000Z", "TIME"), ("0000-00-00T00:00:00Z", "TIME"), ("127.0.0.1:0", "127.0.0.1:PORT")];

fn scripts() -> Vec<PathBuf> {
    let entries = fs::read_dir(repository().join("cli-tests")).expect("the scripts");
    let files = entries.map(|entry| entry.expect("an entry").path());
    let mut scripts: Vec<_> = files.filter(|file| file.extension().is_some_and(|ending| ending == "script")).collect();
    scripts.sort();
    scripts
}

#[test]
fn scripts_are_printed_as_they_stand() {
    let scripts = scripts();
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let all: Vec<_> = scripts.iter().map(|script| scope.spawn(|| check(script))).collect();
        all.into_iter().filter_map(|one| one.join().expect("a script that can be run")).collect()
    });
    let accept = format!("what is right now is accepted with {ACCEPT}=accept");
    assert!(wrong.is_empty(), "{}\n{accept}", wrong.join("\n"));
}

/// What a script says and what is printed, where they differ.
fn check(script: &Path) -> Option<String> {
    let written = fs::read_to_string(script).expect("a script");
    let printed = run(&written);
    if std::env::var_os(ACCEPT).is_some_and(|what| what == "accept") {
        fs::write(script, &printed).expect("the script can be written");
        return None;
    }
    let name = script.file_name().expect("a name").display();
    first_difference(&written, &printed).map(|difference| format!("cli-tests/{name}: {difference}"))
}

fn first_difference(written: &str, printed: &str) -> Option<String> {
    let (written, printed) = (commands(written), commands(printed));
    let differs = written.iter().zip(&printed).find(|(written, printed)| written != printed);
    differs.map(|((command, expected), (_, found))| format!("{command}\nexpected:\n{expected}found:\n{found}"))
}

/// Each command of a script with what stands below it.
fn commands(script: &str) -> Vec<(String, String)> {
    let mut commands: Vec<(String, String)> = Vec::new();
    for line in script.lines() {
        if line.starts_with("$ ") {
            commands.push((line.to_owned(), String::new()));
        } else if let Some((_, said)) = commands.last_mut().filter(|_| is_said(line)) {
            said.push_str(line);
            said.push('\n');
        }
    }
    commands
}

/// The script with what its commands print now.
fn run(script: &str) -> String {
    let place = place();
    let mut printed = String::new();
    for line in script.lines().filter(|line| !is_said(line)) {
        printed.push_str(line);
        printed.push('\n');
        if let Some(command) = line.strip_prefix("$ ") {
            printed.push_str(&said(&execute(&place, command), text(place.path())));
        }
    }
    printed
}

fn place() -> Place {
    let place = Place::new();
    place.configuration("agents", &[]);
    let training = place.path().join("training");
    fs::create_dir(&training).expect("a directory");
    for entry in fs::read_dir(repository().join("training")).expect("training files") {
        let file = entry.expect("an entry").path();
        fs::copy(&file, training.join(file.file_name().expect("a name"))).expect("a copy");
    }
    symlink(repository().join("fixtures"), place.path().join("fixtures")).expect("a link");
    place
}

fn execute(place: &Place, command: &str) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_agent")).parent().expect("it lies in a directory");
    let path = format!("{}:{}", text(program), std::env::var("PATH").expect("a path"));
    let mut shell = Command::new("timeout");
    NOT_INHERITED.iter().for_each(|name| _ = shell.env_remove(name));
    shell.args([LIMIT_S, "sh", "-c", command]).current_dir(place.path()).env("PATH", path).env("HOME", place.path());
    shell.stdin(Stdio::null()).output().expect("sh and timeout are there")
}

fn said(output: &Output, place: &str) -> String {
    let marked = |mark: &str, bytes: &[u8]| -> String {
        let said = settled(&String::from_utf8_lossy(bytes).replace(place, "PLACE"));
        said.lines().map(|line| format!("{mark} {line}").trim_end().to_owned() + "\n").collect()
    };
    let code = match output.status.code() {
        Some(0) => String::new(),
        Some(code) => format!("[{code}]\n"),
        None => "[killed]\n".to_owned(),
    };
    [marked("|", &output.stdout), marked("!", &output.stderr), code].concat()
}

fn is_said(line: &str) -> bool {
    let is_code = line.strip_prefix('[').is_some_and(|rest| rest.ends_with(']'));
    is_code
        || ["|", "!"].iter().any(|mark| line == *mark || line.strip_prefix(mark).is_some_and(|l| l.starts_with(' ')))
}

/// What is different each time, replaced by its name.
fn settled(text: &str) -> String {
    let mut settled = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let change = CHANGES.iter().find_map(|(pattern, name)| Some((length(pattern, rest)?, name)));
        let (length, said) =
            change.map_or_else(|| (first.len_utf8(), &rest[..first.len_utf8()]), |(n, name)| (n, *name));
        settled.push_str(said);
        rest = &rest[length..];
    }
    settled
}

/// How many bytes of a text's beginning a pattern matches.
fn length(pattern: &str, text: &str) -> Option<usize> {
    let alike = |(a, b): (u8, u8)| a == b || (a == b'0' && b.is_ascii_digit());
    let begins = text.len() >= pattern.len() && pattern.bytes().zip(text.bytes()).all(alike);
    let more = text.bytes().skip(pattern.len()).take_while(u8::is_ascii_digit).count();
    begins.then_some(pattern.len() + if pattern.ends_with('0') { more } else { 0 })
}

#[test]
fn what_changes_has_a_name() {
    let check = |text: &str, expected: &str| assert_eq!(settled(text), expected);
    check("at 2026-01-02T03:04:05Z or 2026-01-02T03:04:05.678Z, 7 of 8", "at TIME or TIME, 7 of 8");
    check("http://127.0.0.1:40123/theirs and 127.0.0.1:x", "http://127.0.0.1:PORT/theirs and 127.0.0.1:x");
    check("größer", "größer");
}

#[test]
fn a_difference_is_told_with_its_command() {
    let script = "Prose.\n$ echo one; echo two >&2; exit 3\n| one\n! two\n[3]\n\n$ echo three\n| three\n";
    assert_eq!(run(script), script);
    let wrong = script.replace("| three", "| four");
    let told = "$ echo three\nexpected:\n| four\nfound:\n| three\n";
    assert_eq!(first_difference(&wrong, &run(&wrong)).as_deref(), Some(told));
    let silent = script.replace("[3]\n", "");
    assert!(first_difference(&silent, &run(&silent)).is_some());
}

/// What a command says of itself.
fn help(place: &Place, command: &str) -> String {
    let output = execute(place, &format!("{command} --help"));
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The names below a command, as its help lists them.
fn below(help: &str) -> Vec<&str> {
    let listed = help.split_once("Commands:\n").map_or("", |(_, rest)| rest.split("\n\n").next().unwrap_or(""));
    let names = listed.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").collect()
}

/// What scripts type, and what becomes of it: the commands without those that ask for help.
fn typed() -> (String, String) {
    let scripts: String = scripts().iter().map(|file| fs::read_to_string(file).expect("a script")).collect();
    let typed = scripts.lines().filter_map(|line| line.strip_prefix("$ ")).map(|line| format!("{line} \n"));
    let (help, other): (Vec<_>, Vec<_>) = typed.partition(|line| line.ends_with(" --help \n"));
    (help.concat(), other.concat())
}

#[test]
fn every_command_shows_an_example_and_is_in_a_script() {
    let place = place();
    let (asked_for_help, typed) = typed();
    let mut missing = Vec::new();
    let mut commands = vec!["agent".to_owned()];
    while let Some(command) = commands.pop() {
        let help = help(&place, &command);
        let below = below(&help);
        let is_there = [
            ("an example", !below.is_empty() || help.contains("Example")),
            ("its help in a script", asked_for_help.contains(&format!("{command} --help"))),
            ("its use in a script", typed.contains(&format!("{command} "))),
        ];
        missing.extend(is_there.iter().filter(|(_, is_there)| !is_there).map(|(what, _)| format!("{command}: {what}")));
        commands.extend(below.into_iter().map(|name| format!("{command} {name}")));
    }
    assert!(missing.is_empty(), "missing: {missing:#?}");
}
