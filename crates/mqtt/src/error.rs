//! What can be wrong with bytes that a peer sent.

use model::ErrorKind;

use crate::reason::Reason;

/// Why bytes were not taken. Each carries what was wrong, for the log and for a person.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// The bytes cannot be read as the packet that they claim to be.
    #[error("malformed packet: {0}")]
    Malformed(&'static str),
    /// The packet can be read and must not be sent like this, or not now.
    #[error("protocol error: {0}")]
    Protocol(&'static str),
    /// The stream has no packet boundaries any more: nothing can be answered, only closed.
    #[error("framing lost: {0}")]
    Framing(&'static str),
    /// The packet is readable and refused for the reason given.
    #[error("{0}: {1}")]
    Refused(Reason, &'static str),
}

impl Error {
    /// The reason code that tells the peer.
    pub const fn reason(self) -> Reason {
        match self {
            Self::Malformed(_) | Self::Framing(_) => Reason::MALFORMED_PACKET,
            Self::Protocol(_) => Reason::PROTOCOL_ERROR,
            Self::Refused(reason, _) => reason,
        }
    }

    /// What was wrong, without the code.
    pub const fn what(self) -> &'static str {
        match self {
            Self::Malformed(what) | Self::Protocol(what) | Self::Framing(what) | Self::Refused(_, what) => what,
        }
    }

    /// The kind that decides the log level.
    pub const fn kind(self) -> ErrorKind {
        match self {
            Self::Malformed(_) | Self::Protocol(_) | Self::Framing(_) => ErrorKind::Invalid,
            Self::Refused(reason, _) => match reason {
                Reason::NOT_AUTHORIZED | Reason::BAD_USER_NAME_OR_PASSWORD | Reason::BAD_AUTHENTICATION_METHOD => {
                    ErrorKind::Denied
                }
                Reason::RECEIVE_MAXIMUM_EXCEEDED | Reason::PACKET_TOO_LARGE | Reason::QUOTA_EXCEEDED => {
                    ErrorKind::Limited
                }
                _ => ErrorKind::Invalid,
            },
        }
    }
}
