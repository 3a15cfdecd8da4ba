//! What has to be known for a new network, one question after the other: without a terminal, and without its flags.

use super::super::vocabulary::VOCABULARY;
use agent_core::config::settings::KnowledgeSettings;
use agent_core::config::{self, Invalid, NewDataSet, NewJob, NewNetwork, NewNode, quantity};
use agent_core::domain::goal::{Goal, GoalError};
use agent_core::domain::ids::NodeId;
use agent_core::domain::store_url::StoreUrl;
use agent_core::domain::units::Percent;
use std::collections::BTreeMap;
use std::fmt;

/// More nodes are listed by a program, not by hand.
pub const NODES_MAX: u32 = 1000;

/// For a store that the node's own agent starts.
const EMBEDDED: &str = "embedded";
/// For credentials that are not in a profile.
const ENVIRONMENT: &str = "environment";
/// For a data set that is there.
const NONE: &str = "none";

/// What is known so far.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Answers {
    pub nodes: Option<u32>,
    pub names: BTreeMap<NodeId, String>,
    pub availability: BTreeMap<NodeId, Percent>,
    pub stores: BTreeMap<NodeId, Store>,
    pub credentials: BTreeMap<NodeId, Credentials>,
    /// In both directions \[ms\]; nobody is asked: they are measured.
    pub latencies: BTreeMap<(NodeId, NodeId), f64>,
    pub knowledge: Option<String>,
    /// The key of its object, or with a `/` at its end what the keys of its objects begin with.
    pub objects: Option<String>,
    pub data_set: Option<String>,
    pub first_node: Option<NodeId>,
    pub records: Option<Records>,
    pub kind: Option<JobKind>,
    pub job: Option<NewJob>,
    /// Of the agents that have none of their own.
    pub goal: Option<String>,
    pub goals: BTreeMap<NodeId, String>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Store {
    Embedded,
    S3(StoreUrl),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Credentials {
    Environment,
    Profile(String),
}

/// Whether there is data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Records {
    There,
    Generated(u64),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JobKind {
    Aggregate,
    Command,
    Spark,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Question {
    Nodes,
    Name(NodeId),
    Store(NodeId),
    Credentials(NodeId),
    Availability(NodeId),
    Knowledge,
    Objects,
    DataSet,
    FirstNode,
    Records,
    Kind,
    Expression,
    Program,
    Application,
    Goal(NodeId),
}

impl Question {
    /// How it is answered on the command line, where it has no default that suits most.
    pub fn required(self) -> Option<&'static str> {
        match self {
            Question::Nodes => Some("--nodes"),
            Question::Objects => Some("--object-key (or --prefix)"),
            Question::Kind => Some("--expression (or --program, or --application)"),
            Question::Goal(_) => Some("--goal"),
            Question::Name(_)
            | Question::Store(_)
            | Question::Credentials(_)
            | Question::Availability(_)
            | Question::Knowledge
            | Question::DataSet
            | Question::FirstNode
            | Question::Records
            | Question::Expression
            | Question::Program
            | Question::Application => None,
        }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Question::Nodes => f.write_str("How many nodes are there?"),
            Question::Name(node) => write!(f, "What is node {node} called?"),
            Question::Store(node) => {
                write!(
                    f,
                    "Node {node}'s store: `{EMBEDDED}`, or an S3 server's http(s)://HOST:PORT/BUCKET[?region=REGION]"
                )
            }
            Question::Credentials(node) => {
                write!(
                    f,
                    "Credentials of node {node}'s store: `{ENVIRONMENT}`, or the name of a profile in ~/.aws/credentials"
                )
            }
            Question::Availability(node) => write!(f, "Which share of the time is node {node} up?"),
            Question::Knowledge => f.write_str(
                "The shared table: `sqlite:FILE` for agents on one machine, `mysql://USER@HOST/SCHEMA` for several",
            ),
            Question::Objects => {
                f.write_str("The data: an object's key, or with `/` at its end what the keys of many begin with")
            }
            Question::DataSet => f.write_str("What is the data set called?"),
            Question::FirstNode => f.write_str("On which node does it lie?"),
            Question::Records => {
                write!(f, "How many records of an example are made if it is not there? `{NONE}`: it is")
            }
            Question::Kind => f.write_str("The job: `aggregate` of a field, `command`, or `spark`"),
            Question::Expression => {
                f.write_str("What does it compute? avg, count, max, min, quantile or sum, like `avg(amount)`")
            }
            Question::Program => f.write_str("Which program does it run, with its arguments?"),
            Question::Application => f.write_str("Which application does it submit, with its arguments?"),
            Question::Goal(node) => write!(f, "What does agent {node}'s user want?"),
        }
    }
}

impl Answers {
    /// What is to be asked next; `None`: all is known.
    pub fn open(&self) -> Option<Question> {
        let Some(nodes) = self.nodes else { return Some(Question::Nodes) };
        let ids = || (1..=nodes).map(NodeId);
        ids().find_map(|node| self.open_of(node)).or_else(|| self.open_of_all()).or_else(|| {
            let has_goal = |node: &NodeId| self.goals.contains_key(node) || self.goal.is_some();
            ids().find(|node| !has_goal(node)).map(Question::Goal)
        })
    }

    fn open_of(&self, node: NodeId) -> Option<Question> {
        match () {
            () if !self.names.contains_key(&node) => Some(Question::Name(node)),
            () if !self.stores.contains_key(&node) => Some(Question::Store(node)),
            () if self.is_foreign(node) && !self.credentials.contains_key(&node) => Some(Question::Credentials(node)),
            () if !self.availability.contains_key(&node) => Some(Question::Availability(node)),
            () => None,
        }
    }

    fn open_of_all(&self) -> Option<Question> {
        match () {
            () if self.knowledge.is_none() => Some(Question::Knowledge),
            () if self.objects.is_none() => Some(Question::Objects),
            () if self.data_set.is_none() => Some(Question::DataSet),
            () if self.first_node.is_none() => Some(Question::FirstNode),
            () if self.records.is_none() && self.may_be_missing() => Some(Question::Records),
            () if self.job.is_some() => None,
            () => Some(match self.kind {
                None => Question::Kind,
                Some(JobKind::Aggregate) => Question::Expression,
                Some(JobKind::Command) => Question::Program,
                Some(JobKind::Spark) => Question::Application,
            }),
        }
    }

    /// Whether its store is a server of somebody else's.
    fn is_foreign(&self, node: NodeId) -> bool {
        matches!(self.stores.get(&node), Some(Store::S3(_)))
    }

    /// Whether the data is one object in a store that nobody can have put it into.
    fn may_be_missing(&self) -> bool {
        let is_set = self.objects.as_ref().is_some_and(|objects| objects.ends_with('/'));
        !is_set && self.first_node.is_some_and(|node| !self.is_foreign(node))
    }

    /// What an empty answer means.
    pub fn suggestion(&self, question: Question) -> String {
        match question {
            Question::Nodes => "2".to_owned(),
            Question::Name(node) => format!("node-{node}"),
            Question::Store(_) => EMBEDDED.to_owned(),
            Question::Credentials(_) => ENVIRONMENT.to_owned(),
            Question::Availability(_) => "100 %".to_owned(),
            Question::Knowledge => "sqlite:network.db".to_owned(),
            Question::Objects => "data.json".to_owned(),
            Question::DataSet => name_of(self.objects.as_deref().unwrap_or_default()),
            Question::FirstNode => "1".to_owned(),
            Question::Records => NONE.to_owned(),
            Question::Kind => "aggregate".to_owned(),
            Question::Expression => "count(*)".to_owned(),
            Question::Program => "python3 job.py".to_owned(),
            Question::Application => "job.py".to_owned(),
            Question::Goal(_) => {
                self.goals.values().next_back().cloned().unwrap_or_else(|| "response_time <= 10 s".to_owned())
            }
        }
    }

    /// Takes an answer, or says why it is none.
    pub fn answer(&mut self, question: Question, text: &str) -> Result<(), Invalid> {
        let text = text.trim();
        match question {
            Question::Nodes => self.nodes = Some(count(text)?),
            Question::Name(node) => {
                let name = quantity::name(text)?;
                if let Some((other, _)) = self.names.iter().find(|(_, known)| **known == name) {
                    return Err(Invalid::new(format!("node {other} is called `{name}`"), "choose another name"));
                }
                self.names.insert(node, name);
            }
            Question::Store(node) => {
                let store = store(text)?;
                if let Some((other, _)) =
                    self.stores.iter().find(|(_, known)| **known == store && store != Store::Embedded)
                {
                    let help = "give each node an endpoint or a bucket of its own: a move deletes the source's object";
                    return Err(Invalid::new(format!("is also the store of node {other}"), help));
                }
                self.stores.insert(node, store);
            }
            Question::Credentials(node) => _ = self.credentials.insert(node, credentials(text)?),
            Question::Availability(node) => _ = self.availability.insert(node, quantity::percent(text)?),
            Question::Knowledge => self.knowledge = Some(knowledge(text)?),
            Question::Objects => self.objects = Some(objects(text)?),
            Question::DataSet => self.data_set = Some(quantity::name(text)?),
            Question::FirstNode => self.first_node = Some(self.existing(text)?),
            Question::Records => self.records = Some(records(text)?),
            Question::Kind => self.kind = Some(kind(text)?),
            Question::Expression => self.job = Some(NewJob::Aggregate { expression: expression(text)? }),
            Question::Program => {
                let (program, arguments) = words(text)?;
                self.job = Some(NewJob::Command { program, arguments });
            }
            Question::Application => {
                let (application, arguments) = words(text)?;
                self.job = Some(NewJob::Spark { application, arguments });
            }
            Question::Goal(node) => _ = self.goals.insert(node, goal(text)?),
        }
        Ok(())
    }

    fn existing(&self, text: &str) -> Result<NodeId, Invalid> {
        let known = 1..=self.nodes.unwrap_or(1);
        let node = text.parse().ok().filter(|node: &NodeId| known.contains(&node.0));
        let help = || format!("nodes are 1 to {}", known.end());
        node.ok_or_else(|| Invalid::new(format!("there is no node `{}`", text.escape_debug()), help()))
    }

    /// The network; `None` as long as a question is open.
    pub fn network(&self) -> Option<NewNetwork> {
        let node = |id: NodeId| {
            let store = match self.stores.get(&id)? {
                Store::Embedded => None,
                Store::S3(url) => Some(url.clone()),
            };
            let profile = match self.credentials.get(&id) {
                Some(Credentials::Profile(profile)) => Some(profile.clone()),
                Some(Credentials::Environment) | None => None,
            };
            let goal = self.goals.get(&id).or(self.goal.as_ref())?.clone();
            let (name, availability) = (self.names.get(&id)?.clone(), *self.availability.get(&id)?);
            Some((id, NewNode { name, availability, store, profile, goal }))
        };
        let data_set = NewDataSet {
            name: self.data_set.clone()?,
            objects: self.objects.clone()?,
            first_node: self.first_node?,
            generate_records: match self.records {
                Some(Records::Generated(records)) => Some(records),
                Some(Records::There) | None => None,
            },
        };
        Some(NewNetwork {
            knowledge: self.knowledge.clone()?,
            nodes: (1..=self.nodes?).map(NodeId).map(node).collect::<Option<_>>()?,
            latencies: self.latencies.clone(),
            data_set,
            job: self.job.clone()?,
        })
    }

    /// Something that is said of nodes that are not there, or of what they do not have.
    pub fn contradiction(&self) -> Option<Invalid> {
        let nodes = self.nodes?;
        let ends = self.latencies.keys().flat_map(|(one, other)| [(one, "--link"), (other, "--link")]);
        let named = (self.names.keys().map(|node| (node, "--name")))
            .chain(self.availability.keys().map(|node| (node, "--availability")))
            .chain(self.stores.keys().map(|node| (node, "--store")))
            .chain(self.credentials.keys().map(|node| (node, "--profile")))
            .chain(self.goals.keys().map(|node| (node, "--goal")))
            .chain(self.first_node.iter().map(|node| (node, "--first-node")))
            .chain(ends);
        for (node, flag) in named {
            if node.0 == 0 || node.0 > nodes {
                return Some(Invalid::new(
                    format!("{flag}: there is no node {node}"),
                    format!("nodes are 1 to {nodes}"),
                ));
            }
        }
        let embedded = self.credentials.keys().find(|node| self.stores.contains_key(node) && !self.is_foreign(**node));
        embedded.map(|node| {
            let problem = format!("--profile: the store of node {node} is embedded, and makes its own credentials");
            Invalid::new(problem, format!("name its server with --store {node}=URL, or leave the profile out"))
        })
    }
}

/// A data set's name, from what its objects are called: `blood` for `tests/blood.json.gz`.
fn name_of(objects: &str) -> String {
    let last = objects.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let stem = last.split('.').find(|part| !part.is_empty()).unwrap_or("data");
    let letter = |c: char| if c.is_alphanumeric() || c == '-' { c } else { '_' };
    let name: String = stem.chars().map(letter).collect();
    quantity::name(&name).unwrap_or_else(|_| "data".to_owned())
}

pub fn count(text: &str) -> Result<u32, Invalid> {
    text.parse()
        .map_err(|_| format!("`{}` is not a whole number", text.escape_debug()))
        .and_then(|count: u32| match (1..=NODES_MAX).contains(&count) {
            true => Ok(count),
            false => Err(format!("{count} is out of range")),
        })
        .map_err(|problem| Invalid::new(problem, format!("it lies between 1 and {NODES_MAX}")))
}

pub fn store(text: &str) -> Result<Store, Invalid> {
    match text {
        EMBEDDED => Ok(Store::Embedded),
        url => url.parse().map(Store::S3).map_err(|error| {
            Invalid::new(format!("{error}"), format!("or write `{EMBEDDED}` for one that its agent starts"))
        }),
    }
}

fn credentials(text: &str) -> Result<Credentials, Invalid> {
    match text {
        ENVIRONMENT => Ok(Credentials::Environment),
        profile => quantity::filled(profile).map(Credentials::Profile),
    }
}

/// A password would lie in a file that others read.
pub fn knowledge(text: &str) -> Result<String, Invalid> {
    match config::knowledge(text)? {
        KnowledgeSettings::Mysql(url) if url.password.is_some() => Err(Invalid::new(
            "the database's URL has a password, which everybody could read who may read the file",
            "leave it out: agents read it from AGENT_DATABASE_PASSWORD",
        )),
        KnowledgeSettings::Mysql(_) | KnowledgeSettings::Sqlite(_) => Ok(text.to_owned()),
    }
}

fn objects(text: &str) -> Result<String, Invalid> {
    match text.ends_with('/') {
        true => config::prefix(text).map(|_| text.to_owned()),
        false => config::own_key(text),
    }
}

fn records(text: &str) -> Result<Records, Invalid> {
    match text {
        NONE => Ok(Records::There),
        count => {
            let records = count.replace('_', "").parse().ok().filter(|records| *records > 0).map(Records::Generated);
            let problem = || format!("`{}` is not a whole number from 1", count.escape_debug());
            records.ok_or_else(|| Invalid::new(problem(), format!("write `{NONE}` if the data is there")))
        }
    }
}

fn kind(text: &str) -> Result<JobKind, Invalid> {
    match text {
        "aggregate" => Ok(JobKind::Aggregate),
        "command" => Ok(JobKind::Command),
        "spark" => Ok(JobKind::Spark),
        other => {
            let problem = format!("`{}` is not a kind of job", other.escape_debug());
            Err(Invalid::new(problem, "use `aggregate`, `command` or `spark`"))
        }
    }
}

pub fn expression(text: &str) -> Result<String, Invalid> {
    (VOCABULARY.expression)(text).map(|()| text.to_owned())
}

/// As a shell takes them apart.
fn words(text: &str) -> Result<(String, Vec<String>), Invalid> {
    let mut words = shlex::split(text)
        .ok_or_else(|| Invalid::new("a quotation mark has no other end", "close it, or write a backslash before it"))?;
    match words.is_empty() {
        true => Err(Invalid::new("is empty", "write what is started")),
        false => Ok((words.remove(0), words)),
    }
}

pub fn goal(text: &str) -> Result<String, Invalid> {
    let read: Result<Goal, GoalError> = text.parse();
    read.map(|_| text.to_owned()).map_err(|error| Invalid::new(error.to_string(), error.help))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is asked, with what is suggested, while these are the answers; then nothing more.
    fn asked(answers: &mut Answers, script: &[&str]) -> Vec<String> {
        let mut script = script.iter();
        let mut asked = Vec::new();
        while let Some(question) = answers.open() {
            let suggestion = answers.suggestion(question);
            let text = *script.next().expect("an answer");
            let text = if text.is_empty() { &suggestion } else { text };
            let wrong = answers.answer(question, text).err().map(|invalid| format!(" - {}", invalid.problem));
            asked.push(format!("{question:?} [{suggestion}]{}", wrong.unwrap_or_default()));
        }
        assert_eq!(script.next(), None, "{asked:?}");
        asked
    }

    #[test]
    fn a_network_of_ones_own_is_asked_for() {
        let mut answers = Answers::default();
        let asked = asked(
            &mut answers,
            &[
                "two",
                "2",
                "cloud",
                "https://s3.example.org/data",
                "plant",
                "97 %",
                "cloud",
                "",
                "",
                "",
                "",
                "orders/2026/",
                "",
                "3",
                "1",
                "command",
                "python3 'my job.py' --fast",
                "response_time <= 35",
                "response_time <= 35 s",
                "",
            ],
        );
        let expected = "\
Nodes [2] - `two` is not a whole number
Nodes [2]
Name(NodeId(1)) [node-1]
Store(NodeId(1)) [embedded]
Credentials(NodeId(1)) [environment]
Availability(NodeId(1)) [100 %]
Name(NodeId(2)) [node-2] - node 1 is called `cloud`
Name(NodeId(2)) [node-2]
Store(NodeId(2)) [embedded]
Availability(NodeId(2)) [100 %]
Knowledge [sqlite:network.db]
Objects [data.json]
DataSet [2026]
FirstNode [1] - there is no node `3`
FirstNode [1]
Kind [aggregate]
Program [python3 job.py]
Goal(NodeId(1)) [response_time <= 10 s] - response_time has no unit at column 18
Goal(NodeId(1)) [response_time <= 10 s]
Goal(NodeId(2)) [response_time <= 35 s]";
        assert_eq!(asked.join("\n"), expected);
        let network = answers.network().unwrap();
        assert_eq!(network.nodes[&NodeId(1)].profile.as_deref(), Some("plant"));
        assert_eq!(network.nodes[&NodeId(2)].store, None);
        let arguments = ["my job.py", "--fast"].map(str::to_owned).to_vec();
        assert_eq!(network.job, NewJob::Command { program: "python3".to_owned(), arguments });
    }

    #[test]
    fn what_was_said_is_not_asked() {
        let mut answers = Answers {
            nodes: Some(1),
            objects: Some("tests/blood.json.gz".to_owned()),
            job: Some(NewJob::Aggregate { expression: "count(*)".to_owned() }),
            goal: Some("throughput >= 10 records/s".to_owned()),
            ..Answers::default()
        };
        let asked = asked(&mut answers, &["", "", "", "", "", "", "553_729"]);
        assert_eq!(asked[5..], ["FirstNode [1]", "Records [none]"]);
        assert_eq!(asked[4..5], ["DataSet [blood]"]);
        assert_eq!(answers.network().unwrap().data_set.generate_records, Some(553_729));
        assert!(answers.open().is_none());
    }

    #[test]
    fn every_suggestion_is_an_answer() {
        let mut answers = Answers::default();
        for kind in ["aggregate", "command", "spark"] {
            answers = Answers { kind: Some(self::kind(kind).unwrap()), ..Answers::default() };
            while let Some(question) = answers.open() {
                answers.answer(question, &answers.suggestion(question)).unwrap();
            }
            let outline = answers.network().unwrap().outline(std::path::Path::new("agents"), &VOCABULARY);
            assert_eq!(outline.unwrap().files.len(), 3);
        }
        assert_eq!(answers.open(), None);
    }

    #[test]
    fn wrong_answers_are_refused_with_a_reason() {
        let refused = |question, text: &str| {
            let mut answers = Answers { nodes: Some(2), ..Answers::default() };
            let invalid = answers.answer(question, text).unwrap_err();
            assert_eq!(answers, Answers { nodes: Some(2), ..Answers::default() });
            assert!(!invalid.help.is_empty());
            invalid.problem
        };
        let one = NodeId(1);
        assert_eq!(refused(Question::Nodes, "0"), "0 is out of range");
        assert_eq!(refused(Question::Name(one), "a b"), "`a b` is not a name");
        assert!(refused(Question::Store(one), "https://u:p@host/b").starts_with("the store's URL does not begin with"));
        let mut taken = Answers::default();
        taken.answer(Question::Store(one), "http://a:1/b").unwrap();
        let twice = taken.answer(Question::Store(NodeId(2)), "http://a:1/b").unwrap_err();
        assert_eq!(twice.problem, "is also the store of node 1");
        assert_eq!(refused(Question::Credentials(one), " "), "is empty");
        assert_eq!(refused(Question::Availability(one), "120 %"), "120 % is out of range");
        assert!(refused(Question::Knowledge, "mysql://u:hush@h/s").contains("has a password"));
        assert_eq!(refused(Question::Knowledge, "postgres://u@h/s"), "`postgres` is not a supported database");
        assert_eq!(refused(Question::Objects, "a//b"), "`a//b` is not an object's key");
        assert_eq!(refused(Question::Objects, "a//"), "`a//` is no prefix");
        assert_eq!(refused(Question::DataSet, ".x"), "`.x` is not a name");
        assert_eq!(refused(Question::FirstNode, "0"), "there is no node `0`");
        assert_eq!(refused(Question::Records, "0"), "`0` is not a whole number from 1");
        assert_eq!(refused(Question::Kind, "sql"), "`sql` is not a kind of job");
        assert!(refused(Question::Expression, "mean(x)").contains("unknown function `mean`"));
        assert_eq!(refused(Question::Program, "a 'b"), "a quotation mark has no other end");
        assert!(refused(Question::Goal(one), "happiness > 3").starts_with("unknown metric `happiness`"));
    }

    #[test]
    fn what_is_said_of_nodes_that_are_not_there_is_refused() {
        let profile = BTreeMap::from([(NodeId(1), Credentials::Profile("plant".to_owned()))]);
        let mut answers = Answers { nodes: Some(2), credentials: profile, ..Answers::default() };
        assert_eq!(answers.contradiction(), None);
        answers.stores.insert(NodeId(1), Store::Embedded);
        assert!(answers.contradiction().unwrap().problem.starts_with("--profile: the store of node 1 is embedded"));
        answers.latencies.insert((NodeId(1), NodeId(3)), 20.0);
        assert_eq!(answers.contradiction().unwrap().problem, "--link: there is no node 3");
    }

    #[test]
    fn a_data_set_is_called_like_its_objects() {
        let check = |objects: &str, name: &str| assert_eq!(name_of(objects), name);
        check("tests/blood tests.json.gz", "blood_tests");
        check("scans/2026/", "2026");
        check(".hidden", "hidden");
        check("...", "data");
    }
}
