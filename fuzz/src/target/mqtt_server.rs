//! What a client sends to the server: both versions, in any pieces, over several connections of one session.
//!
//! Holds: no panic; a step takes no more than there is, and asks for more than there is and no more than the limit; the
//! actions and the answers do not depend on how the bytes were cut; topics are topics; the Receive Maximum is kept.

use mqtt::client::{self, ConnectOptions};
use mqtt::{Action, Grant, Offer, Publish, Qos, Reason, Session, SessionState, Topic, Version};

use crate::input::Input;

/// The first byte: bit 0 MQTT 5, bit 1 without the CONNECT that the server is otherwise sent first, bit 2 a session that
/// is kept. The second one says how the bytes are cut. Then a part for each connection.
pub fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    let (flags, cut) = (input.u8(), usize::from(input.u8()));
    let version = if flags & 1 == 0 { Version::V3 } else { Version::V5 };
    let mut introduction = Vec::new();
    if flags & 2 == 0 {
        let (clean_start, client_id) = (flags & 4 == 0, "fuzz");
        client::connect(&mut introduction, &ConnectOptions { version, clean_start, client_id, ..Default::default() });
    }
    let mut kept = [SessionState::new(u32::MAX), SessionState::new(u32::MAX)];
    for part in input.parts() {
        let stream = [&introduction, part].concat();
        let [whole, pieces] = &mut kept;
        let (told, told_of_pieces) =
            (Connection::take(&stream, usize::MAX, whole), Connection::take(&stream, cut % 7 + 1, pieces));
        assert_eq!(told, told_of_pieces, "what happens depends on how the bytes are cut");
        assert_eq!(whole, pieces, "what is kept depends on how the bytes are cut");
    }
}

struct Connection {
    session: Session,
    offer: Offer,
    out: Vec<u8>,
    told: String,
    closed: bool,
    /// Whether each topic slot was bound.
    slots: Vec<bool>,
}

impl Connection {
    /// Feeds a stream in pieces of so many bytes; tells the actions and the answers.
    fn take(stream: &[u8], piece: usize, state: &mut SessionState) -> (String, Vec<u8>) {
        let offer = Offer { topic_alias_max: 4, packet_bytes_max: 2048, receive_max: 8, ..Offer::default() };
        let (out, told, slots) = (Vec::new(), String::new(), Vec::new());
        let mut connection = Self { session: Session::new(offer), offer, out, told, closed: false, slots };
        let (mut at, mut there) = (0, 0);
        while !connection.closed && there < stream.len() {
            there = stream.len().min(there.saturating_add(piece));
            loop {
                let input = &stream[at..there];
                let (used, more) = connection.step(input, state);
                assert!(used <= input.len());
                at += used;
                if more || connection.closed {
                    break;
                }
            }
        }
        let Self { session, out, told, .. } = connection;
        if session.is_persistent() {
            *state = session.into_state();
        }
        (told, out)
    }

    /// One step; the bytes that it took, and whether it needs more.
    fn step(&mut self, input: &[u8], kept: &SessionState) -> (usize, bool) {
        let step = self.session.step(input, &mut self.out);
        match step.action {
            Action::Incomplete(needed) => {
                assert_eq!(step.used, 0);
                assert!(needed > input.len(), "it waits for what is there");
                assert!(needed <= (self.offer.packet_bytes_max.max(self.offer.connect_bytes_max)) as usize + 1);
                return (0, true);
            }
            Action::None if input.is_empty() => return (0, true),
            action => self.act(action, kept),
        }
        if self.session.version() == Version::V5 {
            assert!(self.session.in_flight() <= u32::from(self.offer.receive_max));
        }
        (step.used, false)
    }

    fn act(&mut self, action: Action<'_>, kept: &SessionState) {
        let told = &mut self.told;
        match action {
            Action::None | Action::Incomplete(_) => return,
            Action::Wait => panic!("a decision is awaited that was made"),
            Action::Connect(connect) => {
                let resumed = Some(kept.clone()).filter(|_| !connect.clean_start);
                let assigned_client_id = connect.client_id.is_empty().then_some("assigned");
                told.push_str(&format!("{connect:?}"));
                if let Err(close) = self.session.accept(Grant { resumed, assigned_client_id }, &mut self.out) {
                    self.close(close);
                }
                return;
            }
            Action::Publish(publish) => return self.publish(&publish),
            Action::Repeat(ack, topic) => {
                self.bind(topic);
                self.session.acknowledge(ack, &mut self.out);
                return;
            }
            Action::Release(ack) => {
                told.push_str(&format!("released {}", ack.packet_id()));
                self.session.acknowledge(ack, &mut self.out);
                return;
            }
            Action::Subscribe(subscribe) => {
                let codes: Vec<Reason> = subscribe.filters().map(|filter| Reason(filter.qos as u8)).collect();
                assert!(!codes.is_empty(), "a SUBSCRIBE without a filter");
                told.push_str(&format!("{subscribe:?}"));
                self.session.subscribed(subscribe.packet_id, &codes, Some("in words"), &mut self.out);
                return;
            }
            Action::Unsubscribe(unsubscribe) => {
                let codes = vec![Reason::NO_SUBSCRIPTION_EXISTED; unsubscribe.filters().count()];
                told.push_str(&format!("{unsubscribe:?}"));
                self.session.unsubscribed(unsubscribe.packet_id, &codes, &mut self.out);
                return;
            }
            Action::Disconnect(reason) => {
                told.push_str(&format!("{reason:?}"));
            }
            Action::Close(close) => return self.close(close),
        }
        self.closed = true;
    }

    fn publish(&mut self, publish: &Publish<'_>) {
        self.bind(publish.topic);
        assert_eq!(publish.packet_id == 0, publish.qos == Qos::AtMostOnce, "a packet identifier goes with QoS 1 and 2");
        self.told.push_str(&format!("{publish:?}"));
        for property in publish.properties.iter() {
            self.told.push_str(&format!("{property:?}"));
        }
        // Every fourth payload is refused, so that this way is taken, too.
        let answer = match publish.payload.len() % 4 {
            3 => self.session.refuse(publish, Reason::NOT_AUTHORIZED).map(Some),
            _ => Ok(publish.ack()),
        };
        match answer {
            Ok(Some(ack)) => self.session.acknowledge(ack, &mut self.out),
            Ok(None) => {}
            Err(close) => self.close(close),
        }
    }

    fn bind(&mut self, topic: Topic<'_>) {
        let slot = usize::from(topic.slot);
        assert!(slot < 2 + usize::from(self.offer.topic_alias_max), "a slot beyond the aliases that were offered");
        self.slots.resize(self.slots.len().max(slot + 1), false);
        if let Some(name) = topic.name {
            assert!(!name.is_empty() && !name.contains(['+', '#', '\0']), "{name:?} is no topic");
            assert!(name.len() <= usize::from(self.offer.topic_bytes_max));
            self.slots[slot] = true;
        }
        assert!(self.slots[slot], "a slot is used that was never bound");
    }

    fn close(&mut self, close: mqtt::Close) {
        self.told.push_str(&format!("{close:?}"));
        close.encode(&mut self.out);
        self.closed = true;
    }
}
