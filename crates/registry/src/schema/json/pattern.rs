//! Regular expressions of schemas: ECMA 262 as JSON Schema means it, as far as they can be matched in linear time.

use model::limits::SCHEMA_PATTERN_BYTES_MAX;
use regex::{Regex, RegexBuilder};

/// A compiled expression's memory, at most: `\w{1,64}` needs a tenth of it, `(a{100}){100}` far more.
pub const COMPILED_BYTES_MAX: usize = 256 << 10;

/// The expression in the syntax of the `regex` crate, or the end of a sentence that says why it is refused.
pub fn translate(pattern: &str) -> Result<String, String> {
    if pattern.len() > SCHEMA_PATTERN_BYTES_MAX {
        return Err(format!("is longer than {SCHEMA_PATTERN_BYTES_MAX} bytes; use a shorter one"));
    }
    let translated = jsonschema_regex::to_rust_regex(pattern).map_err(|()| {
        "is not a regular expression that can be matched in linear time: look-around and back-references are refused, and so is \
         what ECMA 262 does not define; write it without them"
            .to_owned()
    })?;
    compile(&translated)?;
    Ok(translated.into_owned())
}

/// Of a translated expression.
pub fn compile(translated: &str) -> Result<Regex, String> {
    RegexBuilder::new(translated).size_limit(COMPILED_BYTES_MAX).dfa_size_limit(4 * COMPILED_BYTES_MAX).build().map_err(
        |error| match error {
            regex::Error::CompiledTooBig(_) => format!(
                "takes more than {} KiB when compiled; make its counted repetitions smaller",
                COMPILED_BYTES_MAX >> 10
            ),
            error => {
                // The crate's own text is a drawing of several lines; the last says what is wrong.
                let text = error.to_string();
                format!("cannot be compiled: {}", text.lines().last().unwrap_or_default().trim_start_matches("error: "))
            }
        },
    )
}
