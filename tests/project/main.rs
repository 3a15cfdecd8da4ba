//! What holds of the project itself: its layers, its documents, its containers.

mod architecture;
mod benches;
mod compose_files;
mod documents;
