//! The beginning of a connection.

use super::{Action, Asked, Close, Farewell, Phase, Session, SessionState};
use crate::encode;
use crate::error::Error;
use crate::frame::Frame;
use crate::packet::connect::{Answer, Connect, Will};
use crate::packet::{Qos, Version};
use crate::property::{self, Property, PropertyId, Value};
use crate::reason::Reason;

/// What the caller decided about a client that it lets in.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Grant<'a> {
    /// The session that was kept for this client. Ignored if the client asked for a clean start.
    pub resumed: Option<SessionState>,
    /// The client identifier that the server chose because the client had none.
    pub assigned_client_id: Option<&'a str>,
}

/// A will that outlives the bytes of its CONNECT.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredWill {
    pub topic: String,
    pub payload: Vec<u8>,
    pub qos: Qos,
    pub retain: bool,
    /// Seconds to wait after the connection ended.
    pub delay: u32,
    /// The block of MQTT 5 properties, for whoever delivers it.
    pub properties: Vec<u8>,
}

impl From<&Will<'_>> for StoredWill {
    fn from(will: &Will<'_>) -> Self {
        Self {
            topic: will.topic.to_owned(),
            payload: will.payload.to_vec(),
            qos: will.qos,
            retain: will.retain,
            delay: will.delay(),
            properties: will.properties.as_bytes().to_vec(),
        }
    }
}

impl Session {
    pub(super) fn connect<'a>(&mut self, frame: Frame<'a>) -> Action<'a> {
        let connect = match Connect::decode(frame.flags(), frame.body) {
            Ok(connect) => connect,
            Err(refusal) => return Action::Close(self.refuse_connect(refusal.error, refusal.answer)),
        };
        self.version = connect.version;
        if let Err(error) = self.check_connect(&connect) {
            let answer = match self.version {
                Version::V3 => Answer::V3(error.reason().connect_return_code()),
                Version::V5 => Answer::V5,
            };
            return Action::Close(self.refuse_connect(error, answer));
        }
        self.problem_information = connect.wants_problem_information();
        self.client_packet_bytes_max = connect.packet_bytes_max();
        self.keep_alive = self.granted_keep_alive(&connect);
        let (clean_start, session_expiry) = (connect.clean_start, connect.session_expiry());
        self.state = SessionState::new(session_expiry.min(self.offer.session_expiry_max));
        self.will = connect.will.as_ref().map(|will| Box::new(will.into()));
        self.phase = Phase::Asked(Asked { clean_start, keep_alive: connect.keep_alive, session_expiry });
        Action::Connect(Box::new(connect))
    }

    fn check_connect(&self, connect: &Connect<'_>) -> Result<(), Error> {
        if connect.properties.text(PropertyId::AuthenticationMethod).is_some() {
            return Err(Error::Refused(Reason::BAD_AUTHENTICATION_METHOD, "no authentication method is supported"));
        }
        if connect.properties.get(PropertyId::AuthenticationData).is_some() {
            return Err(Error::Protocol("authentication data without a method"));
        }
        let nameless = connect.client_id.is_empty() && connect.version == Version::V3 && !connect.clean_start;
        if nameless || connect.client_id.len() > usize::from(self.offer.client_id_bytes_max) {
            return Err(Error::Refused(Reason::CLIENT_IDENTIFIER_NOT_VALID, "no client identifier, or too long a one"));
        }
        match connect.will {
            Some(will) if will.qos > self.offer.qos_max => {
                Err(Error::Refused(Reason::QOS_NOT_SUPPORTED, "a will with a higher QoS than offered"))
            }
            Some(will) if will.retain && !self.offer.retain_available => {
                Err(Error::Refused(Reason::RETAIN_NOT_SUPPORTED, "a will that is to be retained"))
            }
            _ => Ok(()),
        }
    }

    /// A client of 3.1.1 cannot be told another value, so it is held to its own.
    fn granted_keep_alive(&self, connect: &Connect<'_>) -> u16 {
        let (asked, max) = (connect.keep_alive, self.offer.keep_alive_max);
        let too_long = max > 0 && (asked == 0 || asked > max);
        if too_long && connect.version == Version::V5 { max } else { asked }
    }

    /// Lets the client in, in answer to [`Action::Connect`]: appends the CONNACK. Fails if the client does not take a
    /// packet of that size, or if this is no answer to a CONNECT; the connection is then to be closed.
    pub fn accept(&mut self, grant: Grant<'_>, out: &mut Vec<u8>) -> Result<(), Close> {
        let Phase::Asked(asked) = self.phase else { return Err(self.close(Reason::UNSPECIFIED_ERROR)) };
        if let Some(mut resumed) = grant.resumed.filter(|_| !asked.clean_start) {
            resumed.resume();
            resumed.expiry = self.state.expiry;
            self.state = resumed;
            self.resumed = true;
        }
        let start = out.len();
        encode::accept_connect(out, self.version, self.resumed, &mut |out| {
            self.put_properties(asked, grant.assigned_client_id, out);
        });
        if out.len() - start > self.client_packet_bytes_max as usize {
            out.truncate(start);
            self.will = None;
            self.phase = Phase::Closed;
            let what = "the client takes no packet as large as CONNACK";
            return Err(Close { reason: Reason::PACKET_TOO_LARGE, what, farewell: Farewell::Nothing });
        }
        self.phase = Phase::Open;
        Ok(())
    }

    /// The properties of a CONNACK of 5.0: what differs from what the specification assumes in their absence.
    fn put_properties(&self, asked: Asked, assigned_client_id: Option<&str>, out: &mut Vec<u8>) {
        let offer = &self.offer;
        let flag = |available: bool| (!available).then_some(Value::Byte(0));
        let expiry = (self.state.expiry != asked.session_expiry).then_some(Value::Four(self.state.expiry));
        let keep_alive = (self.keep_alive != asked.keep_alive).then_some(Value::Two(self.keep_alive));
        let properties = [
            (PropertyId::TopicAliasMaximum, (offer.topic_alias_max > 0).then_some(Value::Two(offer.topic_alias_max))),
            (PropertyId::MaximumPacketSize, Some(Value::Four(offer.packet_bytes_max))),
            (PropertyId::ReceiveMaximum, (offer.receive_max < u16::MAX).then_some(Value::Two(offer.receive_max))),
            (PropertyId::SessionExpiry, expiry),
            (PropertyId::AssignedClientId, assigned_client_id.map(Value::Text)),
            (PropertyId::ServerKeepAlive, keep_alive),
            (PropertyId::MaximumQos, (offer.qos_max < Qos::ExactlyOnce).then_some(Value::Byte(offer.qos_max as u8))),
            (PropertyId::RetainAvailable, flag(offer.retain_available)),
            (PropertyId::WildcardAvailable, flag(offer.wildcard_available)),
            (PropertyId::SubscriptionIdAvailable, flag(offer.subscription_id_available)),
            (PropertyId::SharedAvailable, flag(offer.shared_available)),
        ];
        for (id, value) in properties {
            if let Some(value) = value {
                property::put(out, Property { id, value });
            }
        }
    }
}
