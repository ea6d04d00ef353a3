//! From the bytes of a batch to columns: decode, validate, deduplicate, route.
//!
//! [`Pipeline::process`] is a pure function of (state, plan, batch): it reads no clock, so deriving a batch again from
//! a [`Pipeline::snapshot`] gives the same answer. Bad telemetry is data: it becomes a dead letter with a reason.
//!
//! It never does I/O, never spawns, never returns an error for what a device sent, and never looks into other stages.

mod pipeline;
mod plan;

mod binary;
mod draft;
mod encoded;
mod form;
mod json;
mod lane;

mod cohorts;
mod devices;
mod tables;
mod tallies;
mod window;

mod output;
#[cfg(any(test, feature = "sabotage"))]
mod sabotage;
mod syntax;

pub use output::{Counts, Defect, Flagged, Output};
pub use pipeline::{Pipeline, RestoreError};
pub use plan::Plan;
pub use syntax::{SyntaxError, check, elements};
