//! CONNECT (MQTT 5.0 section 3.1, 3.1.1 section 3.1).

use std::fmt;

use crate::error::Error;
use crate::packet::{Qos, Version};
use crate::property::{self, Properties, PropertyId};
use crate::reason::Reason;
use crate::text;
use crate::wire::Input;

/// A decoded CONNECT. `Debug` leaves the password out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Connect<'a> {
    pub version: Version,
    /// Clean Start of 5.0, Clean Session of 3.1.1: an earlier session is discarded.
    pub clean_start: bool,
    /// Seconds; 0 is none.
    pub keep_alive: u16,
    /// Empty if the server is to assign one.
    pub client_id: &'a str,
    pub will: Option<Will<'a>>,
    pub username: Option<&'a str>,
    pub password: Option<&'a [u8]>,
    /// Of MQTT 5.0; empty with 3.1.1.
    pub properties: Properties<'a>,
}

/// What the server is to publish if the connection ends without a proper DISCONNECT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Will<'a> {
    pub topic: &'a str,
    pub payload: &'a [u8],
    pub qos: Qos,
    pub retain: bool,
    /// Of MQTT 5.0; empty with 3.1.1.
    pub properties: Properties<'a>,
}

/// Why a CONNECT was not taken, and what to answer before the connection is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Refusal {
    pub error: Error,
    pub answer: Answer,
}

/// How a CONNECT that cannot be taken is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// Only closed: the peer does not speak MQTT well enough to be told.
    Nothing,
    /// A CONNACK in the form of 3.1.1 with this return code.
    V3(u8),
    /// A CONNACK in the form of 5.0 with the error's reason.
    V5,
}

impl Refusal {
    fn silent(error: Error) -> Self {
        Self { error, answer: Answer::Nothing }
    }
}

impl<'a> Connect<'a> {
    pub(crate) fn decode(flags: u8, body: &'a [u8]) -> Result<Self, Refusal> {
        if flags != 0 {
            return Err(Refusal::silent(Error::Malformed("flags in the header of CONNECT")));
        }
        let mut input = Input(body);
        let version = protocol(&mut input)?;
        let fixed = Fixed::decode(&mut input).map_err(Refusal::silent)?;
        let rest = Self::decode_rest(&mut input, version, fixed);
        rest.map_err(|refusal| match (version, refusal.answer) {
            (Version::V3, Answer::V5) => Refusal { answer: Answer::Nothing, ..refusal },
            _ => refusal,
        })
    }

    /// What follows the fixed part. Its refusals are worded for 5.0.
    fn decode_rest(input: &mut Input<'a>, version: Version, fixed: Fixed) -> Result<Self, Refusal> {
        let answered = |error| Refusal { error, answer: Answer::V5 };
        let properties = match version {
            Version::V3 => Properties::default(),
            Version::V5 => Properties::decode(input, property::CONNECT).map_err(answered)?,
        };
        let client_id = input.binary().map_err(answered)?;
        let client_id = text::check(client_id).ok_or(answered(Error::Refused(
            Reason::CLIENT_IDENTIFIER_NOT_VALID,
            "the client identifier has a character that is not allowed",
        )))?;
        let will = fixed.will(input, version).map_err(answered)?;
        let username = fixed.has_username().then(|| input.text()).transpose().map_err(Refusal::silent)?;
        let password = fixed.has_password().then(|| input.binary()).transpose().map_err(Refusal::silent)?;
        if version == Version::V3 && password.is_some() && username.is_none() {
            return Err(Refusal::silent(Error::Protocol("a password without a user name")));
        }
        input.end().map_err(answered)?;
        let (clean_start, keep_alive) = (fixed.flags & 2 != 0, fixed.keep_alive);
        Ok(Self { version, clean_start, keep_alive, client_id, will, username, password, properties })
    }

    /// Seconds that the session is to outlive the connection, as asked for.
    pub fn session_expiry(&self) -> u32 {
        match self.version {
            Version::V3 if self.clean_start => 0,
            Version::V3 => u32::MAX,
            Version::V5 => self.properties.number(PropertyId::SessionExpiry).unwrap_or(0),
        }
    }

    /// Unacknowledged deliveries that the client takes.
    pub fn receive_max(&self) -> u16 {
        self.properties.number(PropertyId::ReceiveMaximum).map_or(u16::MAX, |value| value as u16)
    }

    /// The largest packet that the client takes; `u32::MAX` is no limit.
    pub fn packet_bytes_max(&self) -> u32 {
        self.properties.number(PropertyId::MaximumPacketSize).unwrap_or(u32::MAX)
    }

    /// Topic aliases that the client takes.
    pub fn topic_alias_max(&self) -> u16 {
        self.properties.number(PropertyId::TopicAliasMaximum).map_or(0, |value| value as u16)
    }

    /// Whether reasons in words may be sent to the client.
    pub fn wants_problem_information(&self) -> bool {
        self.properties.number(PropertyId::RequestProblemInformation) != Some(0)
    }
}

impl Will<'_> {
    /// Seconds between the end of the connection and the publication.
    pub fn delay(&self) -> u32 {
        self.properties.number(PropertyId::WillDelay).unwrap_or(0)
    }
}

impl fmt::Debug for Connect<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("version", &self.version)
            .field("clean_start", &self.clean_start)
            .field("keep_alive", &self.keep_alive)
            .field("client_id", &self.client_id)
            .field("will", &self.will.map(|will| will.topic))
            .field("username", &self.username)
            .field("password", &self.password.map(|_| "…"))
            .finish_non_exhaustive()
    }
}

/// Protocol name and level.
fn protocol(input: &mut Input<'_>) -> Result<Version, Refusal> {
    let name = input.binary().map_err(Refusal::silent)?;
    let level = input.u8().map_err(Refusal::silent)?;
    let unsupported = |answer| Refusal {
        error: Error::Refused(Reason::UNSUPPORTED_PROTOCOL_VERSION, "the protocol version is neither 3.1.1 nor 5.0"),
        answer,
    };
    match (name, level) {
        (b"MQTT", 4) => Ok(Version::V3),
        (b"MQTT", 5) => Ok(Version::V5),
        // A client of 3.1 reads a CONNACK of two bytes; one of a version yet to come reads that of 5.0.
        (b"MQTT", 3) | (b"MQIsdp", 3) => Err(unsupported(Answer::V3(1))),
        (b"MQTT" | b"MQIsdp", _) => Err(unsupported(Answer::V5)),
        _ => Err(Refusal::silent(Error::Malformed("the protocol name is not MQTT"))),
    }
}

/// Connect flags and keep-alive.
#[derive(Clone, Copy)]
struct Fixed {
    flags: u8,
    keep_alive: u16,
}

impl Fixed {
    fn decode(input: &mut Input<'_>) -> Result<Self, Error> {
        let fixed = Self { flags: input.u8()?, keep_alive: input.u16()? };
        if fixed.flags & 1 != 0 {
            return Err(Error::Malformed("the reserved connect flag is set"));
        }
        let will_bits = fixed.flags & 0x38;
        if (fixed.flags & 4 == 0 && will_bits != 0) || will_bits & 0x18 == 0x18 {
            return Err(Error::Malformed("will flags that contradict each other"));
        }
        Ok(fixed)
    }

    fn has_username(self) -> bool {
        self.flags & 0x80 != 0
    }

    fn has_password(self) -> bool {
        self.flags & 0x40 != 0
    }

    fn will<'a>(self, input: &mut Input<'a>, version: Version) -> Result<Option<Will<'a>>, Error> {
        if self.flags & 4 == 0 {
            return Ok(None);
        }
        let properties = match version {
            Version::V3 => Properties::default(),
            Version::V5 => Properties::decode(input, property::WILL)?,
        };
        let topic = input.binary()?;
        let topic = text::topic_name(topic).ok_or(Error::Malformed("the will's topic is not a topic name"))?;
        if topic.starts_with("$CONTROL/") {
            return Err(Error::Refused(Reason::TOPIC_NAME_INVALID, "a will that would command the server"));
        }
        let payload = input.binary()?;
        let qos = Qos::from_bits(self.flags >> 3 & 3).ok_or(Error::Malformed("QoS 3 does not exist"))?;
        Ok(Some(Will { topic, payload, qos, retain: self.flags & 0x20 != 0, properties }))
    }
}
