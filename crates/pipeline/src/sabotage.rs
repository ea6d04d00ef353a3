//! Panics on order, to show what becomes of a message that makes the pipeline panic: only in tests and under the feature
//! `sabotage`, never in a shipped binary.

/// In a payload: panics before anything of it is read.
pub const READING: &str = "panic-while-reading";
/// In a message: panics before the window has seen it.
pub const ACCEPTING: &str = "panic-while-accepting";
/// In a message: panics when the window has taken it in and its row lacks the facts only.
pub const WRITING: &str = "panic-while-writing";

/// Panics if this mark is in the bytes.
pub fn panic_if_marked(mark: &str, bytes: &[u8]) {
    assert!(!bytes.windows(mark.len()).any(|part| part == mark.as_bytes()), "{mark}");
}
