//! Sessions that outlive their connection, and which connection has which session now.

use std::collections::HashMap;
use std::time::Duration;

use model::{Batch, BatchView, Control, SessionKey, limits};
use mqtt::SessionState;

use super::connection::ConnectionId;
use crate::line::sessions::HeldIds;

#[cfg(test)]
mod tests;

/// See the module. Times are monotonic.
#[derive(Debug, Default)]
pub(crate) struct KeptSessions {
    live: HashMap<SessionKey, ConnectionId>,
    kept: HashMap<SessionKey, Kept>,
}

#[derive(Debug)]
struct Kept {
    state: SessionState,
    until: Duration,
}

impl KeptSessions {
    /// The sessions that the log knows of, kept as long as any.
    pub fn recover(held: &HeldIds, now: Duration) -> Self {
        let mut sessions = Self::default();
        for (key, ids) in &held.0 {
            let mut state = SessionState::new(limits::MQTT_SESSION_EXPIRY_MAX.as_secs() as u32);
            ids.iter().for_each(|(packet_id, hash)| state.hold(*packet_id, *hash));
            sessions.keep(*key, state, now);
        }
        sessions
    }

    /// The connection that has the session now, if another one than `id`.
    pub fn holder(&self, key: SessionKey) -> Option<ConnectionId> {
        self.live.get(&key).copied()
    }

    /// Gives the session to a connection; what was kept of it comes back.
    pub fn begin(&mut self, key: SessionKey, id: ConnectionId) -> Option<SessionState> {
        self.live.insert(key, id);
        self.kept.remove(&key).map(|kept| kept.state)
    }

    /// Takes the session back from a connection. Returns what the log must be told if the session ends with it.
    pub fn end(&mut self, key: SessionKey, id: ConnectionId, state: SessionState, now: Duration) -> Option<Control> {
        if self.live.get(&key) != Some(&id) {
            return None;
        }
        self.live.remove(&key);
        if state.expiry == 0 {
            return (!state.is_empty()).then_some(Control::SessionEnded { session: key });
        }
        self.keep(key, state, now);
        None
    }

    /// A batch was not stored: the identifiers that it was to record await no PUBREL, and their messages count as new
    /// when they come again. For sessions without a connection.
    pub fn forget(&mut self, batch: &Batch) {
        let view = BatchView::parse(batch.body()).expect("a batch that our own builder closed");
        for control in view.controls() {
            if let Ok(Control::Held { session, packet_id, .. }) = control
                && let Some(kept) = self.kept.get_mut(&session)
            {
                kept.state.release(packet_id);
            }
        }
    }

    fn keep(&mut self, key: SessionKey, state: SessionState, now: Duration) {
        let expiry = Duration::from_secs(state.expiry.into()).min(limits::MQTT_SESSION_EXPIRY_MAX);
        self.kept.insert(key, Kept { state, until: now + expiry });
    }

    /// Drops what has expired, and the sessions closest to it while there are too many. Returns what the log must be told.
    pub fn expire(&mut self, now: Duration) -> Vec<Control> {
        let mut gone: Vec<SessionKey> =
            self.kept.iter().filter(|(_, kept)| kept.until <= now).map(|(key, _)| *key).collect();
        let excess = (self.kept.len() - gone.len()).saturating_sub(limits::MQTT_SESSIONS_MAX);
        if excess > 0 {
            let mut rest: Vec<_> =
                self.kept.iter().filter(|(_, kept)| kept.until > now).map(|(key, kept)| (kept.until, *key)).collect();
            rest.sort_unstable();
            gone.extend(rest.iter().take(excess).map(|(_, key)| *key));
        }
        let remove = |key| self.kept.remove(&key).filter(|kept| !kept.state.is_empty()).map(|_| key);
        gone.into_iter().filter_map(remove).map(|session| Control::SessionEnded { session }).collect()
    }
}
