//! Batch jobs: several tasks that start together or not at all, on the nodes of a network.
//!
//! Nobody is in charge. The queue lies in the table that all agents share; every agent may place what waits, and a placement is
//! a conditional change of that table. In reading order:
//!
//! * [`job`]: what a job is, and what becomes of it; [`specification`]: as people write it;
//! * [`placement`]: which worker a task is given, and why another has to wait. Pure;
//! * [`queue`]: every change that can be made to what all know, as rules on loaded rows; [`table`]: where those are kept;
//! * [`placer`] and [`worker`]: what an agent does about it, without I/O;
//! * [`figures`]: what waiting and running came to.

pub mod cores;
pub mod figures;
pub mod job;
pub mod placement;
pub mod placer;
pub mod queue;
pub mod specification;
pub mod table;
pub mod worker;
