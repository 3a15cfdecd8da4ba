//! What policies decide: recorded cases, networks that the simulator runs, and the best that could be done.

mod cooperative;
mod costs;
mod data_sets;
mod explorer;
mod fuzz_text;
mod hard_worlds;
mod oracle;
mod policies;
mod predictions;
mod published;
mod reference_vectors;
mod services;
mod simulation;
mod work;
mod written;
