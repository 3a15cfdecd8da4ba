//! The program as its users run it.

mod api;
mod bad_input;
mod batch;
mod calibrate;
mod command_line;
mod constraints;
mod costs;
mod data_sets;
mod database;
mod demo;
mod experiment;
mod experiment_files;
mod failing_jobs;
mod hostile_rows;
mod init;
mod interactive;
mod jobs_processes;
mod kill_recovers;
mod links_processes;
mod load;
mod load_api;
mod load_hosts;
mod load_page;
mod load_table;
mod many_objects;
mod members;
mod membership_experiment;
#[path = "../network/mod.rs"]
mod network;
mod nodes;
mod offloading_experiment;
mod one_life;
mod page;
#[path = "../pages/mod.rs"]
mod pages;
mod processes;
mod report;
mod s3_endpoint;
mod scripts;
mod secrets;
mod simulate;
mod spark;
mod stopping;
mod stores;
mod upisas;
mod written;
