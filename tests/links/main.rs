//! The emulator, its clients, and what links do to traffic.

mod api;
mod bulk;
mod client;
mod fuzz_emulator;
mod predictions;
mod support;
mod traffic;
