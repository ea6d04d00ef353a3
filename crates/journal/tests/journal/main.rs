//! The journal from outside: one contract that every backend keeps, and what must hold when the disk does not.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod conformance;
mod crash;
mod damage;
mod faults;
mod model_based;
mod support;
