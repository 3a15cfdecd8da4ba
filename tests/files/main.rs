//! What is read of files that people write, and of files that agents wrote.

mod bad_configuration;
mod fuzz_files;
mod prediction;
