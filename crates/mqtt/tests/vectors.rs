//! The public packet exchanges against [`mqtt::Session`], with a server in memory that lets everyone in, takes every
//! message and acknowledges at once. Each case runs with the bytes in one piece and byte by byte.

use std::collections::HashMap;

use mqtt::{Action, Grant, Offer, Publish, Reason, Session, SessionState};

#[path = "vectors/suite.rs"]
mod suite;

use suite::{Peer, Scope};

/// What outlives the connections.
#[derive(Default)]
struct Server {
    sessions: HashMap<String, SessionState>,
}

/// One connection to it.
struct Connection<'a> {
    server: &'a mut Server,
    session: Session,
    client_id: String,
    /// Bytes handed to the session at a time.
    chunk: usize,
    input: Vec<u8>,
    out: Vec<u8>,
    closed: bool,
    /// Whether a message may go where a topic slot points.
    slots: Vec<bool>,
}

impl<'a> Connection<'a> {
    fn new(server: &'a mut Server, chunk: usize) -> Self {
        let offer = Offer { topic_alias_max: 10, packet_bytes_max: 2_000_000, receive_max: 20, ..Offer::default() };
        let session = Session::new(offer);
        let (client_id, input, out, slots) = (String::new(), Vec::new(), Vec::new(), Vec::new());
        Self { server, session, client_id, chunk, input, out, closed: false, slots }
    }

    fn take_input(&mut self) {
        let input = std::mem::take(&mut self.input);
        let mut at = 0;
        while !self.closed {
            let step = self.session.step(&input[at..], &mut self.out);
            at += step.used;
            if matches!(step.action, Action::Incomplete(_)) {
                break;
            }
            self.act(step.action);
        }
        self.input = input[at..].to_vec();
    }

    fn act(&mut self, action: Action<'_>) {
        match action {
            Action::Connect(connect) => self.accept(connect.client_id, connect.clean_start),
            Action::Publish(publish) => self.store(&publish),
            Action::Repeat(ack, _) | Action::Release(ack) => self.session.acknowledge(ack, &mut self.out),
            Action::Subscribe(subscribe) => {
                let codes = vec![Reason::IMPLEMENTATION_SPECIFIC_ERROR; subscribe.filters().count()];
                self.session.subscribed(subscribe.packet_id, &codes, None, &mut self.out);
            }
            Action::Unsubscribe(unsubscribe) => {
                let codes = vec![Reason::NO_SUBSCRIPTION_EXISTED; unsubscribe.filters().count()];
                self.session.unsubscribed(unsubscribe.packet_id, &codes, &mut self.out);
            }
            Action::Close(close) => self.end(close),
            Action::Disconnect(_) => self.closed = true,
            Action::None | Action::Incomplete(_) | Action::Wait => {}
        }
    }

    fn accept(&mut self, client_id: &str, clean_start: bool) {
        let assigned = format!("assigned-{}", self.server.sessions.len());
        let given = !client_id.is_empty();
        self.client_id = if given { client_id } else { &assigned }.to_owned();
        let resumed = self.server.sessions.remove(&self.client_id).filter(|_| !clean_start);
        let grant = Grant { resumed, assigned_client_id: (!given).then_some(&assigned) };
        if let Err(close) = self.session.accept(grant, &mut self.out) {
            self.end(close);
        }
    }

    fn store(&mut self, publish: &Publish<'_>) {
        let slot = usize::from(publish.topic.slot);
        if let Some(name) = publish.topic.name {
            self.slots.resize(self.slots.len().max(slot + 1), false);
            self.slots[slot] = may_publish(name);
        }
        if !self.slots[slot] {
            match self.session.refuse(publish, Reason::NOT_AUTHORIZED) {
                Ok(ack) => self.session.acknowledge(ack, &mut self.out),
                Err(close) => self.end(close),
            }
        } else if let Some(ack) = publish.ack() {
            // Nobody subscribes, and the vectors want to hear it with QoS 1.
            let unheard = publish.qos == mqtt::Qos::AtLeastOnce;
            let reason = if unheard { Reason::NO_MATCHING_SUBSCRIBERS } else { Reason::SUCCESS };
            self.session.acknowledge(ack.with_reason(reason), &mut self.out);
        }
    }

    fn end(&mut self, close: mqtt::Close) {
        close.encode(&mut self.out);
        self.closed = true;
    }
}

/// What the server of the vectors lets anyone write to: not what speaks for the server itself, a bridge's state excepted.
fn may_publish(topic: &str) -> bool {
    let bridge_state = topic.starts_with("$SYS/broker/connection/") && topic.ends_with("/state");
    bridge_state || !["$SYS/", "$share/", "$CONTROL/"].iter().any(|prefix| topic.starts_with(prefix))
}

impl Peer for Connection<'_> {
    fn send(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(self.chunk) {
            self.input.extend_from_slice(chunk);
            self.take_input();
        }
    }

    fn receive(&mut self, len: usize) -> Vec<u8> {
        let len = len.min(self.out.len());
        self.out.drain(..len).collect()
    }

    fn closed(&mut self) -> Result<Vec<u8>, String> {
        if self.closed { Ok(std::mem::take(&mut self.out)) } else { Err("the connection stays open".to_owned()) }
    }
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        let session = std::mem::replace(&mut self.session, Session::new(Offer::default()));
        if session.is_persistent() {
            self.server.sessions.insert(std::mem::take(&mut self.client_id), session.into_state());
        }
    }
}

#[test]
fn every_exchange_in_scope_is_answered_byte_for_byte() {
    let Some(dir) = suite::directory() else { return };
    let cases = suite::load(&dir).expect("the vectors can be read");
    let in_scope = suite::in_scope(&cases);
    let mut failed = Vec::new();
    // One server for both runs: what the first leaves behind must not change the second.
    let mut server = Server::default();
    for chunk in [usize::MAX, 1] {
        for case in &in_scope {
            if let Err(error) = suite::run(case, &mut Connection::new(&mut server, chunk)) {
                failed.push(format!("{} / {}: {error}", case.group, case.name));
            }
        }
    }
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
    println!("{} of {} exchanges run; the others by group: tests/vectors/groups.rs", in_scope.len(), cases.len());
    for case in cases {
        if let Scope::Departure(reason) = case.scope() {
            println!("departs: {} / {}: {reason}", case.group, case.name);
        }
    }
}
