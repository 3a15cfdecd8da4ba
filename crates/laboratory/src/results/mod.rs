//! An experiment's file: its tables, and who writes and reads them.
//!
//! Reading order: `columns` (how a struct is a row), `tables`, `membership_tables`, `offloading_tables` and `load_tables` (the structs), `writer` (stores runs), `reader` (gives them back, also
//! while they are written), `export` (the same as Parquet files). A column is a field in `tables`, and nothing else names it. All
//! of them are explained in docs/experiments.md.

mod columns;
mod export;
mod load_tables;
mod membership_tables;
mod offloading_tables;
mod reader;
mod tables;
mod writer;

pub use columns::{Column, Json, Kind};
pub use export::{ExportError, export};
pub use load_tables::{
    AgentEvent, AgentMeasurement, HostInfo, LoadRun, MarkerRow, OfLoad, TelemetryRow, TraceExtent, TraceRow,
};
pub use membership_tables::{NetworkNode, NetworkQuery, NetworkResults, NetworkRound, NetworkRun};
pub use offloading_tables::OffloadingRun;
pub use reader::{Contents, ExperimentFile, ReadError, contents};
pub use tables::{AgentFigures, Factors, FileKind, Head, Placed, Results, Run, Sample, Table};
pub use writer::{Database, DatabaseError};
