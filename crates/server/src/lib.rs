//! The `tidewater` server: it composes the libraries and holds none of their logic.
//!
//! In reading order: what can be configured ([`config`], [`logging`]), how requests come in ([`http`]), what they are
//! answered with ([`api`]), how it is watched ([`operations`]), and the command line ([`cli`]).
//!
//! It never decides what a message means (`pipeline`), where it is kept (`journal`, `store`) or who may speak
//! (`registry`).

pub mod config;
pub mod logging;
pub mod units;

pub mod api;
pub mod http;

pub mod operations;

pub mod cli;
