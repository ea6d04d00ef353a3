//! What happens to a PUBLISH between the socket and the open batch: where its topic leads, and what it is owed.

use model::{Control, DeviceId, DeviceIndex, Format, GroupKey, Millis, PayloadKind, TenantId};
use mqtt::{Ack, PropertyId, Publish, Qos, Reason, Topic};
use registry::Durability;

use super::connection::{Connection, ConnectionId, Parked, Route, Stage};
use super::event_loop::{EventLoop, OVERLOAD_CODE, Owed};
use super::identity::{Admitted, Identity, Verdict};
use super::known_devices::KnownDevice;
use super::topic::{Target, parse};
use crate::line::ledger::QUOTA_CODE;

/// How often `last_seen_at` of a device is written at most.
const SEEN_INTERVAL_MS: Millis = 10_000;

/// Where a topic leads, or why it does not yet.
enum Judged {
    Route(Route),
    LookUp { tenant: TenantId, device: DeviceId, kind: PayloadKind },
}

impl EventLoop {
    /// Routes the message and adds it to the open batch; it is acknowledged when that is durable.
    pub(super) fn publish(&mut self, id: ConnectionId, publish: &Publish<'_>) {
        let slot = publish.topic.slot;
        let target = match publish.topic.name {
            Some(name) => parse(name),
            None => match self.get(id).map(|connection| connection.route(slot)) {
                Some(Route::Stale { tenant, device, kind }) => {
                    Target::Device { tenant: *tenant, device: *device, kind: *kind }
                }
                // The usual case: the topic is the one before, and leads where it led.
                _ => return self.append(id, publish, content_format(publish)),
            },
        };
        match self.judge(id, target) {
            Judged::Route(route) => {
                if let Some(connection) = self.get(id) {
                    connection.set_route(slot, route);
                }
                self.append(id, publish, content_format(publish));
            }
            Judged::LookUp { tenant, device, kind } => self.look_up(id, publish, tenant, device, kind),
        }
    }

    /// Notes where a topic leads that came with nothing to store, for the messages that follow. A device is judged when
    /// the first of them comes.
    pub(super) fn bind(&mut self, id: ConnectionId, topic: Topic<'_>) {
        let Some(name) = topic.name else { return };
        let route = match parse(name) {
            Target::Device { tenant, device, kind } => Route::Stale { tenant, device, kind },
            target => match self.judge(id, target) {
                Judged::Route(route) => route,
                Judged::LookUp { tenant, device, kind } => Route::Stale { tenant, device, kind },
            },
        };
        if let Some(connection) = self.get(id) {
            connection.set_route(topic.slot, route);
        }
    }

    fn judge(&mut self, id: ConnectionId, target: Target<'_>) -> Judged {
        if let Target::Device { tenant, device, kind } = target
            && let Some(known) = self.known_devices.get(device)
            && let Some(connection) = self.connections.get(id.slot as usize).and_then(Option::as_deref)
            && let Stage::Open(Identity::Key(auth)) = &connection.stage
            && auth.tenant == tenant
            && known.tenant == tenant
            && auth.allows(registry::Right::Ingest)
        {
            let key = GroupKey { device: known.index, kind, format: known.format, flags: known.flags };
            return Judged::Route(Route::To { key, target: Some((tenant, device, kind)) });
        }
        self.judge_anew(id, target)
    }

    fn judge_anew(&mut self, id: ConnectionId, target: Target<'_>) -> Judged {
        let Some(connection) = self.connections.get(id.slot as usize).and_then(Option::as_deref) else {
            return Judged::Route(Route::Unbound);
        };
        let Stage::Open(identity) = &connection.stage else { return Judged::Route(Route::Unbound) };
        let by_key = matches!(identity, Identity::Key(_));
        let admitted = match identity.judge(target, &self.registry) {
            Verdict::Accept(admitted) => admitted,
            Verdict::Refuse(why) => return Judged::Route(Route::Refused(why)),
            Verdict::LookUp(device) => match target {
                Target::Device { tenant, kind, .. } => return Judged::LookUp { tenant, device, kind },
                Target::Free(_) | Target::Refused(_) => return Judged::Route(Route::Unbound),
            },
        };
        let Ok(index) = self.appender.raw().devices().index_of(&admitted.source, &admitted.profile) else {
            return Judged::Route(Route::Refused("this data directory cannot number any more devices and topics"));
        };
        if by_key {
            self.remember(&admitted, index);
        }
        let Admitted { kind, format, flags, .. } = admitted;
        let target = match target {
            Target::Device { tenant, device, kind } => Some((tenant, device, kind)),
            Target::Free(_) | Target::Refused(_) => None,
        };
        Judged::Route(Route::To { key: GroupKey { device: index, kind, format, flags }, target })
    }

    fn remember(&mut self, admitted: &Admitted, index: DeviceIndex) {
        let Some(device) = admitted.source.device() else { return };
        let Admitted { source, format, flags, .. } = admitted;
        let known = KnownDevice { tenant: source.tenant(), index, format: *format, flags: *flags };
        self.known_devices.insert(device, known);
    }

    /// Asks the registry about a device; the message waits, and everything behind it.
    fn look_up(
        &mut self,
        id: ConnectionId,
        publish: &Publish<'_>,
        tenant: TenantId,
        device: DeviceId,
        kind: PayloadKind,
    ) {
        let Some(connection) = self.get(id) else { return };
        connection.parked = Some(Parked {
            slot: publish.topic.slot,
            tenant,
            device,
            kind,
            payload: publish.payload.to_vec(),
            format: content_format(publish),
            qos: publish.qos,
            packet_id: publish.packet_id,
            payload_hash: publish.payload_hash,
        });
        self.ask_device(id, device);
    }

    /// Goes on with the message that waited for the registry.
    pub(super) fn resume(&mut self, id: ConnectionId) {
        let Some(parked) = self.get(id).and_then(|connection| connection.parked.take()) else { return };
        let target = Target::Device { tenant: parked.tenant, device: parked.device, kind: parked.kind };
        let route = match self.judge(id, target) {
            Judged::Route(route) => route,
            // The registry could not answer: not the device's fault, so it is not told that its topic is wrong, and the
            // next message asks again.
            Judged::LookUp { tenant, device, kind } => Route::Stale { tenant, device, kind },
        };
        if let Some(connection) = self.get(id) {
            connection.set_route(parked.slot, route);
        }
        self.append(id, &parked.publish(), parked.format);
        self.queue(id);
    }

    /// Adds a message to the open batch under the route of its slot.
    fn append(&mut self, id: ConnectionId, publish: &Publish<'_>, format: Option<Format>) {
        let refusal = self.refusal();
        let Some(connection) = self.get(id) else { return };
        if refusal.is_some() || connection.refusing || connection.at_quota {
            connection.refusing = true;
            let code =
                if connection.at_quota { QUOTA_CODE } else { code_of(refusal.unwrap_or(Reason::QUOTA_EXCEEDED)) };
            self.refuse(id, publish, refusal.unwrap_or(Reason::QUOTA_EXCEEDED), code);
            return;
        }
        let key = match connection.route(publish.topic.slot) {
            Route::To { key, .. } => GroupKey { format: format.unwrap_or(key.format), ..*key },
            Route::Refused(why) => {
                tracing::debug!(why, "a publish was refused");
                self.refuse(id, publish, Reason::NOT_AUTHORIZED, code_of(Reason::NOT_AUTHORIZED));
                return;
            }
            Route::Unbound | Route::Stale { .. } => {
                self.refuse(id, publish, Reason::UNSPECIFIED_ERROR, code_of(Reason::UNSPECIFIED_ERROR));
                return;
            }
        };
        let held = match publish.qos {
            Qos::ExactlyOnce => held(connection, publish),
            Qos::AtMostOnce | Qos::AtLeastOnce => None,
        };
        self.appender.push(key, publish.payload);
        if let Some(control) = held {
            self.appender.control(&control);
        }
        if let Some(ack) = publish.ack() {
            // Nobody can subscribe to a free topic yet, and MQTT 5 has a way to say so.
            let unheard = key.kind == PayloadKind::Free && publish.qos == Qos::AtLeastOnce;
            let ack = if unheard { ack.with_reason(Reason::NO_MATCHING_SUBSCRIBERS) } else { ack };
            self.owe(id, ack);
        }
        self.counts.add(publish.payload);
    }

    fn refuse(&mut self, id: ConnectionId, publish: &Publish<'_>, reason: Reason, code: &'static str) {
        self.metrics.mqtt.refused(code, 1);
        let Some(connection) = self.get(id) else { return };
        match connection.session.refuse(publish, reason) {
            Ok(ack) => self.owe(id, ack),
            Err(close) => self.close(id, close),
        }
    }

    /// Acknowledges once everything taken so far is durable at the level of the sender's class.
    pub(super) fn owe(&mut self, id: ConnectionId, ack: Ack) {
        let durability = self.get(id).map_or(Durability::Persisted, |connection| connection.durability);
        Owed::add(&mut self.appender, id, ack, durability);
    }

    /// A QoS 2 message was released: PUBCOMP leaves when the log knows it.
    pub(super) fn release_held(&mut self, id: ConnectionId, ack: Ack) {
        let Some(connection) = self.get(id) else { return };
        if connection.session.is_persistent()
            && let Some(session) = connection.session_key
        {
            self.appender.control(&Control::Released { session, packet_id: ack.packet_id() });
        }
        self.owe(id, ack);
    }

    /// The registry knows something new about a device: topics that lead to it are judged again.
    pub(super) fn forget_device(&mut self, device: DeviceId) {
        self.known_devices.remove(device);
        self.make_stale(|other| other == device);
    }

    pub(super) fn forget_devices(&mut self) {
        self.known_devices.clear();
        self.make_stale(|_| true);
    }

    fn make_stale(&mut self, concerned: impl Fn(DeviceId) -> bool) {
        for connection in self.connections.iter_mut().flatten() {
            for route in &mut connection.routes {
                if let Route::To { target: Some((tenant, device, kind)), .. } = *route
                    && concerned(device)
                {
                    *route = Route::Stale { tenant, device, kind };
                }
            }
        }
    }

    /// Tells the registry which devices were heard of.
    pub(super) fn touch_devices(&mut self) {
        let wall = self.clock.now_ms();
        if wall.saturating_sub(self.touched_at) < SEEN_INTERVAL_MS {
            return;
        }
        let since = self.now.saturating_sub(std::time::Duration::from_millis((wall - self.touched_at).max(0) as u64));
        self.touched_at = wall;
        let connected =
            self.connections.iter().flatten().filter(|c| c.heard_at >= since).filter_map(|c| match &c.stage {
                Stage::Open(Identity::Device(auth)) => Some((auth.device, wall)),
                _ => None,
            });
        let heard: Vec<_> = connected.collect();
        let named = self.known_devices.take_heard();
        let registry = self.registry.clone();
        // A fleet takes longer than the loop has.
        self.runtime.spawn_blocking(move || {
            registry.touch(heard.into_iter().chain(named.into_iter().map(|device| (device, wall))));
        });
    }
}

/// What the log must know of a QoS 2 message whose session outlives its connection.
fn held(connection: &Connection, publish: &Publish<'_>) -> Option<Control> {
    let session = connection.session_key.filter(|_| connection.session.is_persistent())?;
    Some(Control::Held { session, packet_id: publish.packet_id, payload_hash: publish.payload_hash })
}

/// The format that a message's content type names (MQTT 5); without one its device's class decides.
fn content_format(publish: &Publish<'_>) -> Option<Format> {
    if publish.properties.is_empty() {
        return None;
    }
    publish.properties.text(PropertyId::ContentType).and_then(Format::from_content_type)
}

/// A refusal's code in the metrics.
fn code_of(reason: Reason) -> &'static str {
    match reason {
        Reason::NOT_AUTHORIZED => "topic",
        Reason::QUOTA_EXCEEDED => OVERLOAD_CODE,
        _ => "unavailable",
    }
}
