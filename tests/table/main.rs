//! The shared table on every technology.

mod carried;
mod feedback_vectors;
mod fuzz_rows;
#[path = "../network/galera.rs"]
mod galera;
mod history;
#[path = "../network/mariadb.rs"]
mod mariadb;
mod rounds;
mod servers;
