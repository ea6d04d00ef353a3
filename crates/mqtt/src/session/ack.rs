//! Acknowledgements that wait for the disk, and what they do when it has answered.

use super::{Action, Close, Publish, Session, Topic};
use crate::encode;
use crate::packet::{Qos, Version};
use crate::reason::Reason;

/// An acknowledgement that is owed to the client: four bytes to keep in a queue. Acknowledgements leave in the order in
/// which the session made them (MQTT 5.0 section 4.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ack {
    packet_id: u16,
    kind: Kind,
    reason: Reason,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Acknowledged,
    Received,
    /// A PUBREC for a message that is sent again while it is held.
    ReceivedAgain,
    Completed,
    /// A PUBCOMP whose PUBLISH does not take part in this connection's Receive Maximum.
    CompletedUncounted,
}

impl Ack {
    /// The packet that it answers.
    pub fn packet_id(self) -> u16 {
        self.packet_id
    }

    /// The same with another reason: [`Reason::NO_MATCHING_SUBSCRIBERS`] is a success, too.
    pub fn with_reason(self, reason: Reason) -> Self {
        Self { reason, ..self }
    }
}

/// Acknowledgements that differ only in their packet identifiers, which follow each other: most clients number their
/// packets so, and one entry in a queue stands for all of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Acks {
    first: Ack,
    count: u16,
}

impl From<Ack> for Acks {
    fn from(ack: Ack) -> Self {
        Self { first: ack, count: 1 }
    }
}

impl Acks {
    /// Adds `ack` if it is the next one; whether it was.
    #[inline]
    pub fn extend(&mut self, ack: Ack) -> bool {
        // After 65535 comes 1, so a run ends there.
        let next = Ack { packet_id: self.first.packet_id.wrapping_add(self.count), ..self.first };
        let follows = ack == next;
        self.count += u16::from(follows);
        follows
    }

    /// How many they are; at least 1.
    pub fn count(self) -> u16 {
        self.count
    }
}

impl Publish<'_> {
    /// What is owed for the message once it is durable; nothing with QoS 0.
    #[inline]
    pub fn ack(&self) -> Option<Ack> {
        let kind = match self.qos {
            Qos::AtMostOnce => return None,
            Qos::AtLeastOnce => Kind::Acknowledged,
            Qos::ExactlyOnce => Kind::Received,
        };
        Some(Ack { packet_id: self.packet_id, kind, reason: Reason::SUCCESS })
    }
}

impl Session {
    /// Appends acknowledgements whose time has come: everything that they speak of is durable.
    #[inline]
    pub fn acknowledge(&mut self, acks: impl Into<Acks>, out: &mut Vec<u8>) {
        let Acks { first: ack, count } = acks.into();
        let (first, completes) = match ack.kind {
            Kind::Acknowledged => (encode::PUBACK, true),
            Kind::Received => (encode::PUBREC, ack.reason.is_failure()),
            Kind::ReceivedAgain => (encode::PUBREC, false),
            Kind::Completed => (encode::PUBCOMP, true),
            Kind::CompletedUncounted => (encode::PUBCOMP, false),
        };
        if completes {
            self.in_flight = self.in_flight.saturating_sub(u32::from(count));
        }
        for number in 0..count {
            encode::ack(out, first, ack.packet_id + number, self.version, ack.reason);
        }
    }

    /// Refuses a message that was not appended. With MQTT 5 and QoS 1 or 2 the acknowledgement says so, in its turn, and
    /// the connection goes on; else the only way to say it is to close.
    pub fn refuse(&mut self, publish: &Publish<'_>, reason: Reason) -> Result<Ack, Close> {
        if publish.qos == Qos::ExactlyOnce {
            self.state.release(publish.packet_id);
        }
        match publish.ack() {
            Some(ack) if self.version == Version::V5 => {
                let fits = reason.is_failure() && reason.fits_publish_ack();
                Ok(ack.with_reason(if fits { reason } else { Reason::UNSPECIFIED_ERROR }))
            }
            _ => Err(self.close(reason)),
        }
    }

    pub(super) fn release<'a>(&mut self, packet_id: u16) -> Action<'a> {
        let kind = match self.state.held.remove(&packet_id) {
            Some(held) if held.counted => Kind::Completed,
            // Unknown: released before, but perhaps not durably, so it is recorded once more.
            Some(_) | None => Kind::CompletedUncounted,
        };
        Action::Release(Ack { packet_id, kind, reason: Reason::SUCCESS })
    }

    /// The PUBREC of a message that was sent again while it is held.
    pub(super) fn repeat(packet_id: u16, topic: Topic<'_>) -> Action<'_> {
        Action::Repeat(Ack { packet_id, kind: Kind::ReceivedAgain, reason: Reason::SUCCESS }, topic)
    }
}
