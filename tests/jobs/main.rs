//! Jobs on data as it is and as it should not be.

mod aggregate;
mod aggregate_changes;
mod aggregate_files;
mod command;
mod doubles;
mod examples;
mod fuzz_aggregate;
mod spark;
mod spark_answers;
