//! What kinds of failure there are, and the one table that says what each means to the outside.

/// The kind of a failure. Every library's error has `kind()`; nothing else decides a status, a retry or a log level.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ErrorKind {
    /// The request or the data is wrong; sending it again will not help.
    Invalid,
    /// What was named does not exist.
    NotFound,
    /// The credential is missing, wrong, or has not the right.
    Denied,
    /// It contradicts what is already there.
    Conflict,
    /// A limit was reached; later it may pass.
    Limited,
    /// A part that is needed is away; later it may pass.
    Unavailable,
    /// Stored bytes are not what was written.
    Corrupt,
    /// A defect of ours.
    Internal,
}

/// How loudly a failure is logged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogLevel {
    Debug,
    Warn,
    Error,
}

/// What a kind means to the outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Meaning {
    /// HTTP status code.
    pub http_status: u16,
    /// MQTT 5 reason code (CONNACK, PUBACK, DISCONNECT).
    pub mqtt_reason: u8,
    /// MQTT 3.1.1 CONNACK return code; other packets have none, so the connection is closed.
    pub mqtt3_connack: u8,
    /// Whether the same request may succeed later.
    pub retry: bool,
    pub log: LogLevel,
}

impl ErrorKind {
    /// The table. Reason codes: MQTT 5.0 section 2.4; return codes: MQTT 3.1.1 table 3.1.
    pub const fn meaning(self) -> Meaning {
        use LogLevel::{Debug, Error, Warn};
        let (http_status, mqtt_reason, mqtt3_connack, retry, log) = match self {
            Self::Invalid => (400, 0x83, 5, false, Debug),
            Self::NotFound => (404, 0x87, 5, false, Debug),
            Self::Denied => (401, 0x87, 5, false, Debug),
            Self::Conflict => (409, 0x83, 5, false, Debug),
            Self::Limited => (429, 0x97, 3, true, Debug),
            Self::Unavailable => (503, 0x88, 3, true, Warn),
            Self::Corrupt => (500, 0x80, 3, false, Error),
            Self::Internal => (500, 0x80, 3, false, Error),
        };
        Meaning { http_status, mqtt_reason, mqtt3_connack, retry, log }
    }
}
