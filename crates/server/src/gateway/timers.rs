//! What time brings: silence, expired sessions, devices that were heard of, and the end.

use std::time::Duration;

use mio::Events;
use mqtt::Reason;

use super::connection::{ConnectionId, Stage};
use super::event_loop::{EventLoop, LISTENER, LISTENER_ANONYMOUS, OVERLOAD_WAIT};

/// How long a shutdown waits for the log.
const SHUTDOWN_WAIT: Duration = Duration::from_secs(10);

impl EventLoop {
    pub(super) fn tick(&mut self) {
        self.ticked_at = self.now;
        let now = self.now;
        let silent: Vec<ConnectionId> = self
            .connections
            .iter()
            .flatten()
            .filter(|c| !c.held_off && c.silence_max.is_some_and(|max| now.saturating_sub(c.heard_at) > max))
            .map(|connection| connection.id)
            .collect();
        silent.into_iter().for_each(|id| self.end_silent(id));
        if self.paused_at.is_none() {
            for control in self.sessions.expire(now) {
                self.appender.control(&control);
            }
            self.fire_due_wills();
        }
        self.touch_devices();
        self.take_inbox();
        self.accept(LISTENER);
        if self.anonymous.is_some() {
            self.accept(LISTENER_ANONYMOUS);
        }
    }

    pub(super) fn end_silent(&mut self, id: ConnectionId) {
        let Some(connection) = self.get(id) else { return };
        match connection.stage {
            Stage::Open(_) => {
                let close = connection.session.close(Reason::KEEP_ALIVE_TIMEOUT);
                self.close(id, close);
            }
            Stage::Connecting | Stage::Authenticating | Stage::Closing => self.drop_connection(id),
        }
    }

    /// Makes durable and acknowledges what was taken, then says good-bye.
    pub(super) fn shut_down(&mut self, events: &mut Events) {
        let deadline = self.clock.monotonic() + SHUTDOWN_WAIT;
        while !self.appender.is_settled() && self.clock.monotonic() < deadline {
            let log = self.appender.raw().log();
            if log.poisoned().is_some() || log.obstacle().is_some() {
                break;
            }
            self.commit_if_due(true);
            self.release();
            self.flush_dirty();
            if !self.appender.is_settled()
                && let Err(error) = self.poll.poll(events, Some(OVERLOAD_WAIT))
            {
                tracing::debug!(%error, "waiting for the log while shutting down");
            }
        }
        self.close_all(Reason::SERVER_SHUTTING_DOWN, |_| true);
    }
}
