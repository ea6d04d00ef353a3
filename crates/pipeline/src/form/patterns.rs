//! Patterns of schemas, compiled once however many fields, schemas and classes have them.
//!
//! What a schema's patterns take compiled is bounded where it is registered; what matching adds to it is bounded here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use model::limits::{SCHEMA_PATTERN_COMPILED_BYTES_MAX, SCHEMA_PATTERN_DFA_BYTES_MAX};
use regex::bytes::{Regex, RegexBuilder};

/// The patterns that forms have in use. The lock is taken while a form is compiled, never for a message.
#[derive(Clone, Debug, Default)]
pub struct Patterns {
    known: Arc<Mutex<HashMap<Box<str>, Weak<Regex>>>>,
}

impl Patterns {
    /// Fails, with a sentence, where a pattern cannot be compiled.
    pub fn compiled(&self, pattern: &str) -> Result<Arc<Regex>, String> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(compiled) = known.get(pattern).and_then(Weak::upgrade) {
            return Ok(compiled);
        }
        let built = RegexBuilder::new(pattern)
            .size_limit(SCHEMA_PATTERN_COMPILED_BYTES_MAX)
            .dfa_size_limit(SCHEMA_PATTERN_DFA_BYTES_MAX)
            .build();
        let compiled = Arc::new(built.map_err(|error| format!("the pattern `{pattern}` cannot be used: {error}"))?);
        known.retain(|_, compiled| compiled.strong_count() > 0);
        known.insert(pattern.into(), Arc::downgrade(&compiled));
        Ok(compiled)
    }
}
