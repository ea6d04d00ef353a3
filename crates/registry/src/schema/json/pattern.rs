//! Regular expressions of schemas: ECMA 262 as JSON Schema means it, as far as they can be matched in linear time.

use model::limits::{SCHEMA_PATTERN_BYTES_MAX, SCHEMA_PATTERN_COMPILED_BYTES_MAX, SCHEMA_PATTERN_DFA_BYTES_MAX};
use regex_automata::meta::Regex;

/// The expression in the syntax of the `regex` crate, and compiled, or the end of a sentence that says why it is refused.
pub fn translate(pattern: &str) -> Result<(String, Regex), String> {
    if pattern.len() > SCHEMA_PATTERN_BYTES_MAX {
        return Err(format!("is longer than {SCHEMA_PATTERN_BYTES_MAX} bytes; use a shorter one"));
    }
    let translated = jsonschema_regex::to_rust_regex(pattern).map_err(|()| {
        "is not a regular expression that can be matched in linear time: look-around and back-references are refused, and so is \
         what ECMA 262 does not define; write it without them"
            .to_owned()
    })?;
    let compiled = compile(&translated)?;
    Ok((translated.into_owned(), compiled))
}

/// As the `regex` crate compiles it; this interface of it tells what the result takes.
fn compile(translated: &str) -> Result<Regex, String> {
    let config = Regex::config()
        .nfa_size_limit(Some(SCHEMA_PATTERN_COMPILED_BYTES_MAX))
        .hybrid_cache_capacity(SCHEMA_PATTERN_DFA_BYTES_MAX);
    Regex::builder().configure(config).build(translated).map_err(|error| match error.size_limit() {
        Some(_) => format!(
            "takes more than {} KiB when compiled; make its counted repetitions smaller",
            SCHEMA_PATTERN_COMPILED_BYTES_MAX >> 10
        ),
        None => {
            // The crate's own text is a drawing of several lines; the last says what is wrong.
            let text = error.syntax_error().map_or_else(|| error.to_string(), ToString::to_string);
            format!("cannot be compiled: {}", text.lines().last().unwrap_or_default().trim_start_matches("error: "))
        }
    })
}
