//! The shared table on every technology.

mod feedback_vectors;
mod fuzz_rows;
mod history;
#[path = "../network/mariadb.rs"]
mod mariadb;
