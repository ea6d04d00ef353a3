//! Reason codes (MQTT 5.0 section 2.4) and what of them MQTT 3.1.1 can say (table 3.1).

use std::fmt;

/// A reason code. Below 0x80 it is a success, from there on a failure.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Reason(pub u8);

macro_rules! reasons {
    ($($constant:ident = $code:literal $text:literal),* $(,)?) => {
        impl Reason {
            $(pub const $constant: Self = Self($code);)*

            /// The specification's name for the code; `unknown reason` for one that it does not define.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$constant => $text,)*
                    _ => "unknown reason",
                }
            }
        }
    };
}

reasons! {
    SUCCESS = 0x00 "success",
    GRANTED_QOS_1 = 0x01 "granted QoS 1",
    GRANTED_QOS_2 = 0x02 "granted QoS 2",
    DISCONNECT_WITH_WILL = 0x04 "disconnect with will message",
    NO_MATCHING_SUBSCRIBERS = 0x10 "no matching subscribers",
    NO_SUBSCRIPTION_EXISTED = 0x11 "no subscription existed",
    UNSPECIFIED_ERROR = 0x80 "unspecified error",
    MALFORMED_PACKET = 0x81 "malformed packet",
    PROTOCOL_ERROR = 0x82 "protocol error",
    IMPLEMENTATION_SPECIFIC_ERROR = 0x83 "implementation specific error",
    UNSUPPORTED_PROTOCOL_VERSION = 0x84 "unsupported protocol version",
    CLIENT_IDENTIFIER_NOT_VALID = 0x85 "client identifier not valid",
    BAD_USER_NAME_OR_PASSWORD = 0x86 "bad user name or password",
    NOT_AUTHORIZED = 0x87 "not authorized",
    SERVER_UNAVAILABLE = 0x88 "server unavailable",
    SERVER_BUSY = 0x89 "server busy",
    BANNED = 0x8A "banned",
    SERVER_SHUTTING_DOWN = 0x8B "server shutting down",
    BAD_AUTHENTICATION_METHOD = 0x8C "bad authentication method",
    KEEP_ALIVE_TIMEOUT = 0x8D "keep alive timeout",
    SESSION_TAKEN_OVER = 0x8E "session taken over",
    TOPIC_FILTER_INVALID = 0x8F "topic filter invalid",
    TOPIC_NAME_INVALID = 0x90 "topic name invalid",
    PACKET_IDENTIFIER_IN_USE = 0x91 "packet identifier in use",
    PACKET_IDENTIFIER_NOT_FOUND = 0x92 "packet identifier not found",
    RECEIVE_MAXIMUM_EXCEEDED = 0x93 "receive maximum exceeded",
    TOPIC_ALIAS_INVALID = 0x94 "topic alias invalid",
    PACKET_TOO_LARGE = 0x95 "packet too large",
    MESSAGE_RATE_TOO_HIGH = 0x96 "message rate too high",
    QUOTA_EXCEEDED = 0x97 "quota exceeded",
    ADMINISTRATIVE_ACTION = 0x98 "administrative action",
    PAYLOAD_FORMAT_INVALID = 0x99 "payload format invalid",
    RETAIN_NOT_SUPPORTED = 0x9A "retain not supported",
    QOS_NOT_SUPPORTED = 0x9B "QoS not supported",
    USE_ANOTHER_SERVER = 0x9C "use another server",
    SERVER_MOVED = 0x9D "server moved",
    SHARED_SUBSCRIPTIONS_NOT_SUPPORTED = 0x9E "shared subscriptions not supported",
    CONNECTION_RATE_EXCEEDED = 0x9F "connection rate exceeded",
    MAXIMUM_CONNECT_TIME = 0xA0 "maximum connect time",
    SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED = 0xA1 "subscription identifiers not supported",
    WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED = 0xA2 "wildcard subscriptions not supported",
}

impl Reason {
    /// Whether the code says that something failed.
    pub const fn is_failure(self) -> bool {
        self.0 >= 0x80
    }

    /// The nearest return code of a 3.1.1 CONNACK; agrees with [`model::ErrorKind::meaning`].
    pub const fn connect_return_code(self) -> u8 {
        match self {
            Self::SUCCESS => 0,
            Self::UNSUPPORTED_PROTOCOL_VERSION => 1,
            Self::CLIENT_IDENTIFIER_NOT_VALID => 2,
            Self::UNSPECIFIED_ERROR
            | Self::SERVER_UNAVAILABLE
            | Self::SERVER_BUSY
            | Self::SERVER_SHUTTING_DOWN
            | Self::QUOTA_EXCEEDED
            | Self::CONNECTION_RATE_EXCEEDED => 3,
            Self::BAD_USER_NAME_OR_PASSWORD => 4,
            _ => 5,
        }
    }

    /// Whether a PUBACK or PUBREC may carry the code (tables 3-4 and 3-5).
    pub const fn fits_publish_ack(self) -> bool {
        matches!(self.0, 0x00 | 0x10 | 0x80 | 0x83 | 0x87 | 0x90 | 0x91 | 0x97 | 0x99)
    }

    /// Whether a PUBREL or PUBCOMP may carry the code (tables 3-6 and 3-7).
    pub const fn fits_release(self) -> bool {
        matches!(self.0, 0x00 | 0x92)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (0x{:02X})", self.text(), self.0)
    }
}
