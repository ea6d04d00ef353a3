//! The `tidewater` server: it composes the libraries and holds none of their logic.
//!
//! In reading order: what can be configured ([`config`], [`logging`]), where everything is kept ([`data_dir`]), how the
//! parts are put together ([`run`]), how messages come in over MQTT ([`gateway`]) and what becomes of them ([`line`]),
//! where schemas come from if not from here ([`external`]);
//! how requests come in over HTTP ([`http`]), what they are answered with ([`api`], and `schema_registry` in
//! Confluent's words), how it is watched ([`operations`]),
//! and the command line ([`cli`]).
//!
//! It never decides what a message means (`pipeline`), where it is kept (`journal`, `store`) or who may speak
//! (`registry`).

pub mod config;
pub mod logging;
pub mod units;

pub mod data_dir;
pub mod run;

pub mod gateway;
pub mod line;
mod quarantine;
mod quotas;
mod retention;
#[cfg(feature = "sabotage")]
mod sabotage;

pub mod external;

pub mod api;
pub mod http;
mod schema_registry;

pub mod operations;

pub mod cli;
