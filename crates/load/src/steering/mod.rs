//! See the package.
