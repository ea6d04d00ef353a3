//! What the registry is asked on behalf of connections, many at a time.
//!
//! A question by itself costs a trip through the runtime to the database's thread; a hundred in one cost hardly more.
//! While one is under way, the next one collects. A connection that waits is not read, so its order holds; what else it
//! is going to ask is read ahead in the input that is there.
//!
//! The answers are the registry's cache: the loop asks it once more when it goes on, on the thread that also handles
//! changes, so that no change is missed in between.

use std::mem::take;

use model::{DeviceId, PayloadKind, TenantId};
use mqtt::Framed;
use registry::Cached;

use super::Inbound;
use super::connection::{ConnectionId, Stage};
use super::event_loop::EventLoop;
use super::identity::{Credential, Identity};
use super::topic::{Target, device_in, parse};

/// Devices in one question that are only read ahead; who waits is asked for in any case.
const READ_AHEAD_MAX: usize = 1 << 16;
/// An MQTT PUBLISH, in the upper four bits of its first byte.
const PUBLISH: u8 = 3;

/// A connection that the registry is asked for.
#[derive(Debug)]
pub(crate) enum Waiting {
    /// Whether it may connect.
    Connect(ConnectionId, Credential),
    /// Whether there is the device that its parked publish names.
    Publish(ConnectionId),
}

/// The question that collects.
#[derive(Debug, Default)]
pub(crate) struct LookUps {
    devices: Vec<DeviceId>,
    waiting: Vec<Waiting>,
    /// The one before has no answer yet.
    under_way: bool,
    /// Memory of [`EventLoop::look_ahead`].
    named: Vec<DeviceId>,
}

impl EventLoop {
    /// Asks about a credential; the connection waits.
    pub(super) fn ask_credential(&mut self, id: ConnectionId, credential: Credential) {
        match &credential {
            Credential::Device(device, _) => self.look_ups.devices.push(*device),
            // Keys are few, and each is a look-up of its own.
            Credential::Key(token) => {
                let (registry, inbox, token) = (self.registry.clone(), self.inbox.clone(), token.clone());
                self.runtime.spawn(async move {
                    if let Err(error) = registry.authenticate_key(&token).await {
                        tracing::debug!(%error, "an API key was not accepted");
                    }
                    inbox
                        .send(Inbound::LookedUp { waiting: vec![Waiting::Connect(id, credential)], round: false })
                        .await;
                });
                return;
            }
        }
        self.look_ups.waiting.push(Waiting::Connect(id, credential));
    }

    /// Asks about the device of a parked publish.
    pub(super) fn ask_device(&mut self, id: ConnectionId, device: DeviceId) {
        self.look_ups.devices.push(device);
        self.look_ups.waiting.push(Waiting::Publish(id));
    }

    /// Brings near what is known of the devices that a key names in its input, before its messages are taken one by one.
    pub(super) fn look_ahead(&mut self, id: ConnectionId, input: &[u8]) {
        let Some(connection) = self.connections.get(id.slot as usize).and_then(Option::as_deref) else { return };
        if !matches!(connection.stage, Stage::Open(Identity::Key(_))) {
            return;
        }
        let named = &mut self.look_ups.named;
        named.clear();
        named.extend(topics(input, self.offer.packet_bytes_max as usize).filter_map(device_in));
        self.known_devices.bring_near(named);
    }

    /// Asks also about the devices that a waiting key names in the input that is there already.
    pub(super) fn read_ahead(&mut self, id: ConnectionId, input: &[u8]) {
        let Some(connection) = self.connections.get(id.slot as usize).and_then(Option::as_deref) else { return };
        let Stage::Open(Identity::Key(auth)) = &connection.stage else { return };
        let packet_bytes_max = self.offer.packet_bytes_max as usize;
        for device in named_devices(input, packet_bytes_max, auth.tenant) {
            if self.look_ups.devices.len() >= READ_AHEAD_MAX {
                return;
            }
            if !self.known_devices.contains(device) {
                self.look_ups.devices.push(device);
            }
        }
    }

    /// Sends the question off, unless one is under way. Called once a round.
    pub(super) fn ask_registry(&mut self) {
        if self.look_ups.under_way || self.look_ups.waiting.is_empty() {
            return;
        }
        let (devices, waiting) = (take(&mut self.look_ups.devices), take(&mut self.look_ups.waiting));
        self.look_ups.under_way = true;
        let (registry, inbox) = (self.registry.clone(), self.inbox.clone());
        self.runtime.spawn(async move {
            if let Err(error) = registry.learn(&devices).await {
                tracing::warn!(%error, devices = devices.len(), "the registry could not be asked about devices");
            }
            inbox.send(Inbound::LookedUp { waiting, round: true }).await;
        });
    }

    /// The registry's cache knows what was asked for, unless the registry could not answer.
    pub(super) fn looked_up(&mut self, waiting: Vec<Waiting>, round: bool) {
        if round {
            self.look_ups.under_way = false;
        }
        for waiting in waiting {
            match waiting {
                Waiting::Publish(id) => self.resume(id),
                Waiting::Connect(id, credential) => match credential.cached(&self.registry) {
                    Cached::Hit(identity) => self.authenticated(id, Some(Ok(identity))),
                    Cached::Denied(denial) => self.authenticated(id, Some(Err(denial))),
                    Cached::Miss => self.authenticated(id, None),
                },
            }
        }
    }
}

/// The devices of a tenant that the whole PUBLISH packets at the front of `input` name.
fn named_devices(input: &[u8], packet_bytes_max: usize, of: TenantId) -> impl Iterator<Item = DeviceId> {
    topics(input, packet_bytes_max).filter_map(move |topic| match parse(std::str::from_utf8(topic).ok()?) {
        Target::Device { tenant, device, kind: PayloadKind::Data | PayloadKind::Events } if tenant == of => {
            Some(device)
        }
        _ => None,
    })
}

/// The topics of the whole PUBLISH packets at the front of `input`, unchecked.
fn topics(input: &[u8], packet_bytes_max: usize) -> impl Iterator<Item = &[u8]> {
    let mut rest = input;
    let bodies = std::iter::from_fn(move || {
        let Ok(Framed::Whole(frame)) = mqtt::frame(rest, packet_bytes_max) else { return None };
        rest = &rest[frame.len..];
        Some(if frame.first >> 4 == PUBLISH { frame.body } else { &[] })
    });
    bodies.filter_map(|body| {
        let (len, rest) = body.split_first_chunk::<2>()?;
        rest.get(..usize::from(u16::from_be_bytes(*len)))
    })
}

#[cfg(test)]
mod tests;
