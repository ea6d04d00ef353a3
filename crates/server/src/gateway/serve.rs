//! One connection served: its socket is read once, and packet after packet is taken from what is there.

use model::{PayloadKind, limits};
use mqtt::{Action, Publish};

use super::connection::{ConnectionId, ReadOutcome, Route, Stage};
use super::event_loop::{EventLoop, Owed, READ_BYTES};

/// One read while nothing is taken for the log: enough for what concerns the connection alone, and little to keep.
const HELD_READ_BYTES: usize = 512;

/// Whether the packet that begins with this byte is one that the log would have to take: PUBLISH or PUBREL.
fn is_for_the_log(first: u8) -> bool {
    matches!(first >> 4, 3 | 6)
}

impl EventLoop {
    /// Reads the connection's socket once and takes what is there.
    pub(super) fn serve(&mut self, id: ConnectionId) {
        let mut buffer = std::mem::take(&mut self.buffer);
        self.serve_with(id, &mut buffer);
        self.buffer = buffer;
    }

    pub(super) fn serve_with(&mut self, id: ConnectionId, buffer: &mut [u8]) {
        let now = self.now;
        let Some(connection) = self.get(id) else { return };
        connection.queued = false;
        connection.blocked = !connection.may_take();
        if connection.blocked {
            return; // It is queued again when its output is written or the registry has answered.
        }
        if self.holding && self.holds_off(id) {
            return;
        }
        let read_max = if self.holding { HELD_READ_BYTES } else { usize::MAX };
        let Some(connection) = self.get(id) else { return };
        let mut input = std::mem::take(&mut connection.input);
        let kept = input.len();
        let unknown = matches!(connection.stage, Stage::Connecting | Stage::Authenticating);
        let outcome = match connection.readable {
            false => ReadOutcome::Nothing,
            true if unknown && kept >= limits::MQTT_CONNECT_BYTES_MAX => ReadOutcome::Nothing,
            // The usual case: what was kept is short and goes before what is read, in the shared buffer.
            true if kept <= buffer.len() / 2 => {
                buffer[..kept].copy_from_slice(&input);
                let end = if unknown { limits::MQTT_CONNECT_BYTES_MAX } else { buffer.len() };
                connection.read(&mut buffer[kept..end.min(kept.saturating_add(read_max))])
            }
            // A packet that is larger than the buffer grows where it is.
            true => {
                input.resize(kept + READ_BYTES, 0);
                let outcome = connection.read(&mut input[kept..]);
                input.truncate(kept + if let ReadOutcome::Data(read, _) = outcome { read } else { 0 });
                outcome
            }
        };
        match outcome {
            ReadOutcome::Ended => {
                self.drop_connection(id);
                return;
            }
            ReadOutcome::Data(_, more) => {
                connection.readable = more;
                if matches!(connection.stage, Stage::Open(_)) {
                    connection.heard_at = now;
                }
            }
            ReadOutcome::Nothing => connection.readable = unknown && kept >= limits::MQTT_CONNECT_BYTES_MAX,
        }
        match outcome {
            ReadOutcome::Data(read, _) if input.len() == kept => self.take(id, &buffer[..kept + read]),
            _ => self.take(id, &input),
        }
        if self.get(id).is_some_and(|connection| connection.readable && connection.may_take() && !connection.held_off) {
            self.queue(id);
        }
    }

    /// Leaves the connection alone for now if its next packet is one for the log.
    fn holds_off(&mut self, id: ConnectionId) -> bool {
        let waits = self.get(id).is_some_and(|connection| {
            connection.is_open() && connection.input.first().is_some_and(|first| is_for_the_log(*first))
        });
        if waits {
            self.hold_off(id);
        }
        waits
    }

    fn hold_off(&mut self, id: ConnectionId) {
        if let Some(connection) = self.get(id)
            && !connection.held_off
        {
            connection.held_off = true;
            self.held_off.push(id);
        }
    }

    /// Takes packet after packet from the front of `input`; keeps the rest.
    pub(super) fn take(&mut self, id: ConnectionId, input: &[u8]) {
        self.look_ahead(id, input);
        let mut at = 0;
        loop {
            let (taken, publish) = self.take_run(id, &input[at..]);
            at += taken;
            if let Some(publish) = publish {
                self.publish(id, &publish);
                continue;
            }
            let rest = &input[at..];
            let for_log = rest.first().is_some_and(|first| is_for_the_log(*first));
            let room = !for_log || self.make_room(rest.len());
            let holding = self.holding || !room;
            let Some(connection) = self.get(id) else { return };
            if matches!(connection.stage, Stage::Closing) {
                return; // Thrown away.
            }
            if !connection.may_take() {
                connection.blocked = true;
                connection.keep_input(rest);
                if connection.parked.is_some() {
                    self.read_ahead(id, rest);
                }
                return;
            }
            if for_log && holding && connection.is_open() {
                connection.keep_input(rest);
                if !room {
                    self.room_wanted = rest.len().max(READ_BYTES);
                }
                self.hold_off(id);
                return;
            }
            let before = connection.output.len();
            let step = connection.session.step(rest, &mut connection.output);
            let answered = connection.output.len() > before;
            at += step.used;
            match step.action {
                Action::Incomplete(_) | Action::Wait => {
                    connection.keep_input(rest);
                    return;
                }
                action => self.act(id, action),
            }
            if answered {
                self.mark_dirty(id);
            }
        }
    }

    /// Takes what almost all input is: plain messages, one after the other, to where the one before went. Gives back how
    /// many bytes that was, and the message at their end if it is another one, which [`EventLoop::publish`] takes.
    fn take_run<'a>(&mut self, id: ConnectionId, input: &'a [u8]) -> (usize, Option<Publish<'a>>) {
        let open = self.refusal().is_none() && !self.holding;
        let Self { connections, appender, counts, .. } = self;
        let place = connections.get_mut(id.slot as usize).and_then(Option::as_deref_mut);
        let Some(connection) = place.filter(|connection| connection.id == id) else { return (0, None) };
        if !open || !connection.is_open() || connection.refusing || connection.at_quota || !connection.may_take() {
            return (0, None);
        }
        let mut at = 0;
        while appender.has_room(input.len() - at) {
            let Some((used, publish)) = connection.session.plain_publish(&input[at..]) else { break };
            at += used;
            let key = match connection.route(publish.topic.slot) {
                Route::To { key, .. } if publish.topic.name.is_none() && key.kind != PayloadKind::Free => *key,
                _ => return (at, Some(publish)),
            };
            appender.push(key, publish.payload);
            if let Some(ack) = publish.ack() {
                Owed::add(appender, id, ack, connection.durability);
            }
            counts.add(publish.payload);
        }
        (at, None)
    }

    pub(super) fn act(&mut self, id: ConnectionId, action: Action<'_>) {
        match action {
            Action::Incomplete(_) | Action::Wait | Action::None => {}
            Action::Publish(publish) => self.publish(id, &publish),
            // Whether what they speak of is durable is not known any more, and cannot be made so.
            Action::Repeat(..) | Action::Release(_) if self.log_failed => self.turn_away(id),
            Action::Repeat(ack, topic) => {
                self.bind(id, topic);
                self.owe(id, ack);
            }
            Action::Release(ack) => self.release_held(id, ack),
            Action::Connect(connect) => self.connect(id, &connect),
            Action::Subscribe(subscribe) => self.refuse_subscribe(id, &subscribe),
            Action::Unsubscribe(unsubscribe) => self.answer_unsubscribe(id, &unsubscribe),
            Action::Disconnect(_) => self.drop_connection(id),
            Action::Close(close) => self.close(id, close),
        }
    }
}
