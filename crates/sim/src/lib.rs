//! The world around the server: a fleet of simulated devices, the load generator, and the acked-set checker.
//!
//! - [`fleet`] plays devices with believable signals ([`device`], [`signal`]) for `demo` and `simulate`.
//! - [`load`] is the generator of `bench`: one loop that saturates a server and measures what it acknowledges; [`null`]
//!   is the server that only decodes, acknowledges and discards, so that a figure can be read as a share of what the
//!   machine can do; [`bench`] runs both.
//! - [`acked`] logs what was sent and what was acknowledged; [`check`] compares it with what a server kept, and
//!   [`verify`] reads that back.
//! - [`fault`] breaks things around a server and lets that checker judge.
//! - [`power_cut`] runs the line step by step on a disk that crashes, and compares what is left with a model.
//!
//! It never is a dependency of a library, never decides what the server does, and reads what the server keeps only from
//! outside: over the API, or from the journal's dump.

pub mod acked;
pub mod api;
pub mod bench;
pub mod check;
pub mod device;
pub mod fault;
pub mod fleet;
pub mod load;
pub mod null;
pub mod packet;
pub mod power_cut;
pub mod process;
pub mod scratch;
pub mod seeded;
pub mod signal;
pub mod socket;
pub mod stop;
pub mod verify;

pub use stop::Stop;
