//! When things come.
