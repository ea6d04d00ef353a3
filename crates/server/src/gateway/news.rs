//! What other threads have to say: answers of the registry, changes in it, the end of the log, the end of the server.

use mqtt::Reason;
use registry::Change;

use super::Inbound;
use super::connection::{ConnectionId, Stage};
use super::event_loop::EventLoop;
use super::identity::Identity;
use crate::line::overload::Flow;

impl EventLoop {
    pub(super) fn take_inbox(&mut self) {
        while let Ok(message) = self.receiver.try_recv() {
            match message {
                Inbound::LookedUp { waiting, round } => self.looked_up(waiting, round),
                Inbound::Changed(change) => self.changed(change.as_ref()),
                // Who asked may have gone.
                Inbound::Passed(passed) => drop(passed.send(())),
                Inbound::Stop => self.stopping = true,
            }
        }
        if !self.log_failed
            && let Some(error) = self.appender.raw().log().poisoned()
        {
            self.give_up_log(&error);
        }
    }

    /// What is durable is acknowledged, and nothing more, until the log is opened again.
    pub(super) fn give_up_log(&mut self, error: &journal::Error) {
        self.log_failed = true;
        self.overload.set(Flow::Stopped, &error.to_string());
        self.release();
        self.appender.abandon();
        self.close_all(Reason::SERVER_UNAVAILABLE, |_| true);
    }

    pub(super) fn turn_away(&mut self, id: ConnectionId) {
        let Some(connection) = self.get(id) else { return };
        let close = connection.session.close(Reason::SERVER_UNAVAILABLE);
        self.close(id, close);
    }

    pub(super) fn changed(&mut self, change: Option<&Change>) {
        match change {
            Some(Change::Device(device)) => {
                self.forget_device(*device);
                self.close_all(Reason::ADMINISTRATIVE_ACTION, |connection| {
                    matches!(&connection.stage, Stage::Open(Identity::Device(auth)) if auth.device == *device)
                });
            }
            Some(Change::Profile(device)) => self.forget_device(*device),
            Some(Change::Profiles(_)) => self.forget_devices(),
            // Rules reach the log by another way.
            Some(Change::Rules(..) | Change::Schema(_)) => {}
            Some(Change::Key(key)) => self.close_all(
                Reason::ADMINISTRATIVE_ACTION,
                |connection| matches!(&connection.stage, Stage::Open(Identity::Key(auth)) if auth.key == *key),
            ),
            Some(Change::Class(tenant, class)) => {
                self.forget_devices();
                self.close_all(Reason::ADMINISTRATIVE_ACTION, |connection| {
                    matches!(&connection.stage, Stage::Open(Identity::Device(auth))
                        if auth.tenant == *tenant && auth.class == *class)
                });
            }
            Some(Change::Tenant(tenant)) => {
                self.forget_devices();
                self.close_all(
                    Reason::ADMINISTRATIVE_ACTION,
                    |connection| matches!(&connection.stage, Stage::Open(identity) if identity.tenant() == *tenant),
                );
            }
            None => {
                self.forget_devices();
                self.close_all(Reason::ADMINISTRATIVE_ACTION, |_| true);
            }
        }
    }
}
