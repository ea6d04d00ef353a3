//! Rows of a block.
use super::{Filter, Visit};
use crate::block::Block;
use crate::error::Error;
use crate::query::Meter;
use crate::store::Shared;
use std::sync::Arc;
pub fn scan(_: &Shared, _: &Arc<Block>, _: &Filter<'_>, _: &mut Meter<'_>, _: Visit<'_>) -> Result<(), Error> {
    Ok(())
}
