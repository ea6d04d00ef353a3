//! The store against a naive model, under crashes and damage, and its files read by another reader.

#![allow(clippy::unwrap_used, clippy::type_complexity, reason = "a test says where it fails, and compares tuples")]

#[path = "store/fixture.rs"]
mod fixture;
#[path = "store/model.rs"]
mod model_of_store;

#[path = "store/damage.rs"]
mod damage;
#[path = "store/files.rs"]
mod files;
#[path = "store/lifecycle.rs"]
mod lifecycle;
#[path = "store/property.rs"]
mod property;
#[path = "store/queries.rs"]
mod queries;
#[path = "store/recovery.rs"]
mod recovery;
#[path = "store/summaries.rs"]
mod summaries;
