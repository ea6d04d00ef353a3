//! The journal from outside: one contract that every backend keeps, and what must hold when the disk does not.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]
#![allow(clippy::single_range_in_vec_init, reason = "a list of gaps that has one gap")]

mod conformance;
mod crash;
mod damage;
mod faults;
mod manual;
mod model_based;
mod power;
mod support;
