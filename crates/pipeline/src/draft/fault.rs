//! Why a message, or a whole payload, is rejected.

use model::Reason;

/// What is wrong with one message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    pub reason: Reason,
    /// JSON pointer within the message.
    pub path: String,
    pub detail: String,
}

/// What is wrong with a whole payload: nothing of it is accepted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    pub reason: Reason,
    /// Where, in bytes from the payload's start.
    pub offset: usize,
    pub what: String,
}

impl Failure {
    #[cold]
    pub fn not_well_formed(offset: usize, what: impl Into<String>) -> Self {
        Self { reason: Reason::NotWellFormed, offset, what: what.into() }
    }

    pub fn too_deep(offset: usize) -> Self {
        let what = format!("nested deeper than {} levels", model::limits::PAYLOAD_DEPTH_MAX);
        Self { reason: Reason::TooDeep, offset, what }
    }

    pub fn too_many_messages(offset: usize) -> Self {
        let what = format!("more than {} messages", model::limits::MESSAGES_PER_PAYLOAD_MAX);
        Self { reason: Reason::TooManyMessages, offset, what }
    }

    pub fn not_a_message(offset: usize, found: &str) -> Self {
        Self { reason: Reason::NotAMessage, offset, what: format!("found {found}") }
    }
}

/// Characters of one part that a path shows: what a device invents does not fill the lists of dead letters.
const PART_CHARS_MAX: usize = 128;

/// A JSON pointer (RFC 6901) of these parts; overlong ones are cut.
pub fn pointer(parts: &[&[u8]]) -> String {
    let mut path = String::new();
    for part in parts {
        path.push('/');
        let text = String::from_utf8_lossy(part);
        let mut rest = text.chars();
        path.push_str(&rest.by_ref().take(PART_CHARS_MAX).collect::<String>().replace('~', "~0").replace('/', "~1"));
        if rest.next().is_some() {
            path.push('…');
        }
    }
    path
}
