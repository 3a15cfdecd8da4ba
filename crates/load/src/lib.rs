//! Makes load at its intended times.

pub mod balancer;
pub mod generator;
pub mod register;
pub mod routes;
pub mod session;
pub mod specification;
pub mod steering;
pub mod table;
