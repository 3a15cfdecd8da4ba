//! Data sets that can be made anywhere, byte for byte the same.

pub mod blood_tests;
