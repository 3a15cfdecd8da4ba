//! From arguments to what `app` does, and its result to the screen: one file for each command.

mod act;
mod add_agent;
mod add_data_set;
mod add_node;
mod aggregator;
mod batch;
mod calibrate;
mod check;
mod compare;
mod data;
mod db;
mod demo;
mod events;
mod experiment;
mod explain;
pub(super) mod explore;
mod follow;
mod fsck;
mod init;
mod interactive;
mod interactive_commands;
mod load;
mod load_host;
mod load_queue;
mod load_route;
mod manual;
mod members;
mod node;
mod pause;
mod plan;
mod proxy;
mod reader;
mod remove_data_set;
mod remove_node;
pub(super) mod report;
mod run;
mod serve;
mod set;
mod shell;
mod simulate;
mod status;
mod store;
mod train;
mod worker;

use super::arguments::{Arguments, Command, Data};
use super::place::Place;
use agent_runner::keeper;
use std::process::ExitCode;

pub fn dispatch(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { config, data, log, command } = arguments;
    let place = Place { config, data, log };
    match command {
        Command::Demo(demo) => place.demo(&demo),
        Command::Init(arguments) => place.init(arguments),
        Command::Simulate(arguments) => place.simulate(&arguments),
        Command::Experiment(arguments) => experiment::experiment(&arguments),
        Command::Explore(arguments) => explore::explore(&arguments),
        Command::Calibrate(arguments) => place.calibrate(&arguments),
        Command::Compare(arguments) => compare::compare(&arguments),
        Command::Run(run) => place.run(run),
        Command::Load(load) => place.load_command(&load),
        Command::Shell(arguments) => place.shell(&arguments),
        Command::Train(train) => place.train(&train),
        Command::Status(arguments) => place.status(&arguments),
        Command::Members(arguments) => place.members(&arguments),
        Command::Query(arguments) => place.query(&arguments),
        Command::Events(arguments) => place.events(&arguments),
        Command::Explain(arguments) => place.explain(&arguments),
        Command::Report(arguments) => place.report(&arguments),
        Command::Set(set) => place.set(set),
        Command::AddNode(arguments) => place.add_node(&arguments),
        Command::RemoveNode(arguments) => place.remove_node(&arguments),
        Command::AddAgent(arguments) => place.add_agent(arguments),
        Command::AddDataSet(arguments) => place.add_data_set(&arguments),
        Command::RemoveDataSet(arguments) => place.remove_data_set(&arguments),
        Command::Serve(arguments) => place.serve(&arguments),
        Command::Token(arguments) => place.token(&arguments),
        Command::Store(arguments) => place.store(&arguments),
        Command::Check(arguments) => place.check(&arguments),
        Command::Batch(arguments) => place.batch(arguments),
        Command::Worker(arguments) => place.worker(arguments),
        Command::Data(Data::Generate { records, output }) => data::generate(records, &output),
        Command::Data(Data::List { json }) => place.list_data_sets(json),
        Command::Data(Data::Commit { name, json }) => place.commit(&name, json),
        Command::Data(Data::Scrub { name, rate, json }) => place.scrub(name.as_deref(), rate, json),
        Command::Data(Data::Accept(arguments)) => place.accept(&arguments),
        Command::Data(Data::Restore(arguments)) => place.restore(&arguments),
        Command::Fsck(arguments) => place.fsck(&arguments),
        Command::Plan(arguments) => place.plan(&arguments),
        Command::Pause(arguments) => place.pause(&arguments),
        Command::Resume(arguments) => place.resume(&arguments),
        Command::Act(arguments) => place.act(&arguments),
        Command::Db(db) => place.db(&db),
        Command::Proxy(proxy) => proxy::proxy(&proxy),
        Command::Aggregator(arguments) => aggregator::aggregator(&arguments),
        Command::Node(arguments) => node::node(&arguments),
        Command::Reader(arguments) => reader::reader(&arguments),
        Command::Completion(arguments) => manual::completion(&arguments),
        Command::Man(arguments) => manual::man(&arguments),
        Command::Keep => {
            keeper::keep()?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
