//! The registry from outside. [`conformance`] is written once and run on every backend; the rest concerns what all
//! backends share (cache, walls, secrets) and runs on the embedded one.

#![allow(clippy::unwrap_used, reason = "a test that unwraps has failed")]

mod cache;
mod conformance;
mod hostile;
mod import;
mod secrets;
mod walls;
mod world;
