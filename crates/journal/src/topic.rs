//! The topics, a closed set.

use std::fmt;
use std::str::FromStr;

/// A stream of batches with a meaning of its own. The name is also its directory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Topic {
    /// What devices sent: synced before it is durable.
    Raw = 1,
    /// Accepted messages, derived from `raw`.
    Normalized = 2,
    /// Rejected messages with their reasons, derived from `raw`.
    DeadLetter = 3,
    /// Commands to devices: synced before they are durable.
    Commands = 4,
}

impl Topic {
    pub const ALL: [Self; 4] = [Self::Raw, Self::Normalized, Self::DeadLetter, Self::Commands];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Normalized => "normalized",
            Self::DeadLetter => "dead-letter",
            Self::Commands => "commands",
        }
    }

    /// Whether the topic can be derived from `raw` again. Such a topic is written without waiting for the disk, is
    /// visible when written, and is synced by [`crate::Log::sync`] only.
    pub const fn derived(self) -> bool {
        matches!(self, Self::Normalized | Self::DeadLetter)
    }

    pub(crate) fn from_tag(tag: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| *topic as u8 == tag)
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Topic {
    type Err = UnknownTopic;
    fn from_str(text: &str) -> Result<Self, UnknownTopic> {
        Self::ALL.into_iter().find(|topic| topic.name() == text).ok_or_else(|| UnknownTopic(text.to_owned()))
    }
}

/// Text that names no topic.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a topic: expected raw, normalized, dead-letter or commands")]
pub struct UnknownTopic(String);
